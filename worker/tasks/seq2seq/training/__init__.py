"""Training of models with an encoder and a decoder: the only place here that imports torch."""
