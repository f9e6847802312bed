"""Training on pairs of answers; imported only where a model is trained."""
