"""Training and asking a tagger: the only place of this task that imports torch."""
