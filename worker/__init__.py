"""What runs on the rented machine, and the definitions it shares with the laptop.

`contract`, `params`, `task` and the declarations in `tasks/` are light enough for a laptop;
`engine` needs torch and is imported only inside a task's `train`.
"""

__version__ = "0.1.0"
"""Of hubtrain; here, because a rented machine gets this folder alone."""
