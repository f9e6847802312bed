"""Training and inference of such a model: the only place of this task that imports torch."""
