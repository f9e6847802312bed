"""Settings that several tasks share, in the groups users meet them in, one file for each subject.

A group looks at its own values in `checks`; nothing here knows a task.
"""

from __future__ import annotations

from worker.common.data import Asking, AskingMany, Data
from worker.common.distributed import Distributed
from worker.common.layers import EVERY_LINEAR, EVERY_MATRIX
from worker.common.lora import Lora, MergedLora
from worker.common.memory import Memory
from worker.common.optimisation import (
    LOW_RANK,
    MOST,
    OPTIMIZERS,
    SCHEDULERS,
    Accumulation,
    BatchSize,
    Epochs,
    LowRank,
    Optimisation,
    Rate,
)
from worker.common.prompting import Prompting
from worker.common.training import Quantized, Training, TransformersSettings
from worker.common.watching import (
    WANDB_MODE,
    EarlyStopping,
    EarlyStoppingIfAsked,
    Watching,
    keeps_the_best,
)

__all__ = [
    "EVERY_LINEAR",
    "EVERY_MATRIX",
    "LOW_RANK",
    "MOST",
    "OPTIMIZERS",
    "SCHEDULERS",
    "WANDB_MODE",
    "Accumulation",
    "Asking",
    "AskingMany",
    "BatchSize",
    "Data",
    "Distributed",
    "EarlyStopping",
    "EarlyStoppingIfAsked",
    "Epochs",
    "Lora",
    "LowRank",
    "Memory",
    "MergedLora",
    "Optimisation",
    "Prompting",
    "Quantized",
    "Rate",
    "Training",
    "TransformersSettings",
    "Watching",
    "keeps_the_best",
]
