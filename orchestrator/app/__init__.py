"""The app: hubtrain in a browser, for the user of this machine.

A surface like the terminal: it calls what the terminal calls and shows what comes back. `server`
serves it and `gate` says who may see it. A page is one file in `pages/`, which shows itself with
gradio; what it shows is made in `shown/`, which knows no gradio. Other addresses, such as an API,
are files in `routes/`. Nothing lists them.
"""
