"""What tasks share at training time. Only here may torch and transformers be imported at the top.

Each module is imported by itself, since a process should pay only for what it uses.
"""

from worker.engine.lean import nothing_from_the_hub

nothing_from_the_hub()
