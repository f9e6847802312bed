"""A job while it is being written: its settings as a form, as YAML and as a command, in step.

A `Draft` is a task and what is said of its settings. All three are made of it, and it is made of
each of them. Nothing here shows anything or knows a surface; `orchestrator.app` draws it.
"""
