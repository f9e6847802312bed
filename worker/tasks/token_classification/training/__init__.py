"""Training and inference of a tagger: the only place of this task that imports torch."""
