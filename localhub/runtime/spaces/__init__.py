"""Spaces at work: what is built of their files, and the process that it is run as.

`scheduler` assigns machines, `lease` is one run on a machine, `runner` makes and starts it, `build`
reads README and Dockerfile, `environment` is its variables, `records` is the database.
"""
