"""Training and asking such a model: the only place of this task that imports torch."""
