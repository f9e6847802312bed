"""Training of sentence transformers: the only place of this task that imports torch."""
