"""Training of vision language models: the only place of this task that imports torch or PIL."""
