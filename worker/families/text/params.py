"""Settings that all models of text have. Declarations only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from annotated_types import Ge, Le

from worker.common import (
    MOST,
    Accumulation,
    BatchSize,
    Data,
    EarlyStopping,
    Epochs,
    Rate,
    TransformersSettings,
)
from worker.families.text.shape import positions
from worker.params import Consent, Flag


class TextSettings(Data, TransformersSettings, EarlyStopping):
    """Texts.

    In a task's class it comes before the groups for adapters: what it says of rates outranks them.
    """

    max_seq_length: Annotated[int, Ge(3), Le(MOST), Flag("--max-length")] = 128
    """Tokens of a text that the model sees, special ones included; the rest is cut. No more than
    the model can see."""

    group_by_length: bool = True
    """Learn from texts of about the same length together, which saves padding."""

    trust_remote_code: Annotated[bool, Consent()] = False
    """Run code that comes with the model."""

    valid_split: str | None = "0.2"
    """Split or file to evaluate on, or a share of the training rows to hold out, as in 0.05."""

    epochs: Epochs = 3
    batch_size: BatchSize = 8
    """Rows of a forward pass; a validation takes twice as many."""

    gradient_accumulation: Accumulation = 1
    lr: Rate = None
    """Peak learning rate; none takes 5e-5, or 5e-4 for an adapter."""

    @property
    def usual_lr(self) -> float:
        """The learning rate where none is given. An adapter, begun at zero, needs more."""
        return 5e-4 if getattr(self, "peft", False) else 5e-5

    def seen(self, config: Mapping[str, Any]) -> int:
        """Return the tokens of a text that a model with this `config.json` is given."""
        return min(self.max_seq_length, positions(config))
