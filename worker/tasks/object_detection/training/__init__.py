"""Training of detectors: the only place of this task that imports torch, PIL or numpy."""
