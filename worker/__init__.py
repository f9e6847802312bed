"""What runs on the rented machine, and the definitions it shares with the laptop.

`contract`, `params`, `task` and the declarations in `tasks/` are light enough for a laptop;
`engine` needs torch and is imported only inside a task's `train`.
"""
