"""Pictures as tensors, and models with new heads: the only place here that imports torch or PIL."""
