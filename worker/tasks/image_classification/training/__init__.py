"""Training of image classifiers: the only place of this task that imports torch, PIL or numpy."""
