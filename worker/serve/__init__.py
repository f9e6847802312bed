"""A trained model that answers on a page: what a Space runs that `hubtrain deploy` made.

`weights` fetches the model, `page` is what visitors see, `server` serves it. It knows no task: a
task says how its models are asked (`Task.page`).
"""
