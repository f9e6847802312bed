"""What is trained on, and what is asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from annotated_types import Ge
from pydantic import field_validator

from worker.facts import CheckContext
from worker.finding import Finding
from worker.params import Flag, Params


class Asking(Params):
    """Question (--inference)."""

    model: Annotated[str, Flag("-m")]
    """Trained model to ask: Hub id or folder."""


class AskingMany(Params):
    """Questions in files (--inference)."""

    input: str | None = None
    """What to ask about row by row: a file of rows (CSV, JSONL, Parquet, Excel) or lines (.txt), or
    a folder or zip of pictures or of such files. Columns are called as in training."""

    output: str | None = None
    """File for the answers, .csv or .jsonl, beside the columns of the input; else they are printed
    as JSON lines. The same command goes on where it was interrupted."""

    batch_size: Annotated[int, Ge(1)] = 32
    """Rows that are answered together."""


class Data(Params):
    """Data."""

    data_path: Annotated[str, Flag("--data", "--dataset", "-d")]
    """CSV, JSON, JSONL, Parquet or Excel file, a folder or zip of such, or a Hub dataset."""

    train_split: str = "train"
    """Split to train on."""

    valid_split: str | None = None
    """Split or file to evaluate on, or a share of the training rows to hold out, as in 0.05."""

    max_samples: Annotated[int, Ge(1)] | None = None
    """Use only so many training rows."""

    @field_validator("valid_split", mode="before")
    @classmethod
    def _name_or_share(cls, value: object) -> object:
        if isinstance(value, float | int) and not 0 < value < 1:
            raise ValueError("must be the name of a split, or a share between 0 and 1")
        return str(value) if isinstance(value, float) else value

    @property
    def valid_share(self) -> float | None:
        """Share of the training rows to hold out, where `valid_split` is one and not a name."""
        try:
            share = float(self.valid_split or "")
        except ValueError:
            return None
        return share if 0 < share < 1 else None

    def checks(self, about: CheckContext) -> Iterator[Finding]:
        """Say that a model would be judged by what it has learned."""
        if self.valid_split == self.data_path:
            text = f"--valid-split {self.valid_split} is what is trained on: it tells nothing new."
            yield Finding("warn", "data", text, "--valid-split 0.05")
        yield from super().checks(about)

    def taken(self, total: int) -> int:
        """Return how many of `total` training rows are used."""
        return min(total, self.max_samples or total)
