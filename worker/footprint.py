"""The memory of a training with transformers, put together from what a task knows of its model.

Parameters, gradients and optimizer states (Rajbhandari et al. 2020, ZeRO, section 3), and what is
kept of a batch. The check asks here before a machine is rented, and the machine asks again once the
model is loaded: it knows how its weights were loaded, and reckons on as the check did. Light.
"""

from __future__ import annotations

from worker.facts import ModelFacts
from worker.task import Footprint

FRAMEWORK = 0.65e9
"""Bytes that torch, the libraries and the data take before any model; CUDA takes as much."""

LEAST_FRAMEWORK = 0.4e9
"""The least of that: measured on a CPU, before the data are read."""

FULL, HALF = 4.0, 2.0
"""Bytes of a number of 32 bits, and of one of 16."""

QUANTIZED = {"int4": 0.65, "int8": 1.15}
"""Bytes of a weight in few bits, embeddings in 16 among them."""


def weight_bytes(facts: ModelFacts, *, adapter: bool, mixed: bool) -> float:
    """Return the bytes of one of the model's weights in memory, as `engine.model` has them.

    All weights are trained in 32 bits: a step of 1e-5 is lost in a weight of 16. Where that is
    asked for (`mixed`) or the checkpoint had no more, 16-bit copies of them are multiplied.
    Beside an adapter they stay as the checkpoint has them.
    """
    half = facts.bytes_per_parameter <= HALF
    if adapter and half:
        return facts.bytes_per_parameter
    return FULL + (HALF if mixed or half else 0.0)


def footprint_of(
    *,
    weights: float,
    gradients: float,
    states: float,
    kept: float,
    least: float,
    spread: float = 0.3,
    passes: int = 1,
    explained: str,
) -> Footprint:
    """Return the memory of a training, from parts in bytes; `kept` is what is kept of a batch.

    The least of that is a share, the most a `spread` more. In the first of a step's `passes`
    gradients come while what was kept goes: where it is the only one, the least has the larger.
    """
    fixed, some = FRAMEWORK + weights + states, least * kept
    expected = fixed + gradients + kept
    first = max(gradients, some) if passes == 1 else gradients + some
    return Footprint(
        low=fixed - FRAMEWORK + LEAST_FRAMEWORK + first,
        expected=expected,
        high=1.15 * expected + spread * kept,
        explained=explained,
    )
