"""Trains language models. torch is imported here, and so nothing imports this before training."""
