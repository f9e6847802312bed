"""Pretraining's settings as those of a language model, whose training it shares."""

from __future__ import annotations

from typing import Any

from worker.tasks.llm import TASK as LLM
from worker.tasks.llm.params import LlmParams
from worker.tasks.pretraining import models
from worker.tasks.pretraining.params import PretrainingParams

OPTIMIZERS = {
    "baseline": "adamw_torch",
    "lora": "adamw_torch",
    "galore": "galore_adamw",
    "galore8bit": "galore_adamw_8bit",
    "lora+galore8bit": "galore_adamw_8bit",
}
"""What `--optimizer` is called elsewhere."""


class Translated(LLM.params):  # type: ignore[name-defined,misc]
    """Settings of a language model, with what only pretraining lets people set."""

    tmax: int
    shuffled: bool

    @property
    def cosine_cycles(self) -> float:
        """Half a wave in `tmax` epochs."""
        return float(0.5 * self.epochs / self.tmax)

    @property
    def in_order(self) -> bool:
        """Whether rows are taken as they come."""
        return not self.shuffled


def as_llm(params: PretrainingParams, *, gpu: bool | None = None) -> LlmParams:
    """Return the settings of the language model.

    `gpu` says whether the machine has one, on which fp16 is what it says; none where that is not
    known, and only what was asked for counts.
    """
    known = LLM.params.model_fields.keys() & type(params).model_fields.keys()
    precision = params.mixed_precision
    if gpu is not None:
        precision = params.dtype if gpu or params.dtype == "bf16" else None
    own: dict[str, Any] = {
        "model": models.HUB.get(params.model, params.model),
        "trainer": "mlm" if params.fills_gaps else "default",
        "optimizer": OPTIMIZERS[params.optimizer],
        "block_size": params.max_length,
        "model_max_length": params.max_length,
        "mixed_precision": None if params.test == "true" else precision,
        "tmax": params.tmax,
        "shuffled": params.shuffle == "true",
    }
    return Translated(**{**{name: getattr(params, name) for name in known}, **own})
