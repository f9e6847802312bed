"""What an optimizer keeps of each parameter it moves, told by its name in transformers."""

from __future__ import annotations

FULL, EIGHTH = 4.0, 1.0
"""Bytes of a kept number: in 32 bits, and in 8 with the scale of its block rounded away."""

KEPT = {"sgd": 0, "lion": 1, "rmsprop": 1, "adagrad": 1, "ademamix": 3}
"""Numbers kept of a parameter, by the family of optimizers; AdamW keeps two moments."""

ADAFACTOR = 0.1
"""Bytes of a parameter: it keeps one number for a row and one for a column of a matrix (Shazeer and
Stern 2018)."""


def state_bytes(optimizer: str) -> float:
    """Return the bytes kept of a trained parameter, gradient and weight not counted."""
    if optimizer == "adafactor":
        return ADAFACTOR
    numbers = next((count for family, count in KEPT.items() if family in optimizer), 2)
    return numbers * (EIGHTH if "8bit" in optimizer else FULL)
