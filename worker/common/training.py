"""The groups together: what trainings with transformers, and adapters in them, may be told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

from pydantic import model_validator

from worker.common.distributed import Distributed
from worker.common.layers import EVERY_MATRIX
from worker.common.lora import Lora
from worker.common.memory import Memory
from worker.common.optimisation import Optimisation
from worker.common.watching import Watching
from worker.facts import CheckContext
from worker.finding import Finding
from worker.params import Params


class Training(Optimisation, Lora):
    """Training."""

    @property
    def usual_lr(self) -> float:
        """The learning rate where none is given. An adapter, begun at zero, needs more."""
        return 2e-4 if self.peft else super().usual_lr

    @property
    def bearable_lr(self) -> tuple[float, str]:
        """An adapter bears more, too: LoRA is given 5e-3 at most."""
        return (0.05, "an adapter") if self.peft else super().bearable_lr

    def checks(self, about: CheckContext) -> Iterator[Finding]:
        """Say that an adapter needs no projection."""
        if self.peft and self.low_rank and self.optim_target_modules != EVERY_MATRIX:
            text = "an adapter is of low rank already: nothing of it is projected."
            yield Finding("warn", "settings", f"--optimizer {self.optimizer}: {text}")
        yield from super().checks(about)


class TransformersSettings(Optimisation, Memory, Watching, Distributed):
    """What every training with transformers may be told."""


class Quantized(Params):
    """Where a model may be in few bits, but for an adapter beside it: see `Memory` and `Lora`."""

    @model_validator(mode="after")
    def _few_bits_need_an_adapter(self) -> Self:
        bits = getattr(self, "quantization", None)
        if bits and not getattr(self, "peft", False):
            raise ValueError(f"quantization {bits} needs --peft")
        return self
