"""What trainings of texts share: the only place of this family that imports torch."""
