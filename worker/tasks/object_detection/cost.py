"""Memory and work of training a detector, before it runs: by its kind, size and that of its images.

Counted with torch's own counters, for an image: thousand millions of multiplications, and millions
of numbers that the layers keep for the way back (torch's hooks for saved tensors, in 32 bits).

| model | points | multiplications | kept |
|---|---|---|---|
| DETR, ResNet-50 (41.5 M parameters) | 600 x 600 | 34 | 60 |
| Deformable DETR, ResNet-50 (40.0 M) | 600 x 600 | | 394 |
| RT-DETR, ResNet-50 (42.7 M) | 640 x 640 | 68 | 204 |
| D-FINE (31.1 M) | 640 x 640 | 47 | 244 |
| YOLOS-S (30.7 M), by `worker.families.pictures.cost` | 608 x 608 | 33 | 117 |

DETR keeps little: the first stage of its ResNet and all norms in it stay as they were.
"""

from __future__ import annotations

from worker.families.pictures.cost import USUAL_SIZE, activations, multiplications
from worker.footprint import FULL, HALF, footprint_of, weight_bytes
from worker.optimizers import state_bytes
from worker.task import DataReport, Footprint, ModelFacts
from worker.tasks.object_detection.kinds import MASKED, side_of
from worker.tasks.object_detection.params import DetectionParams

PER_PARAMETER = {"masked": 114.0, "square": 190.0}
"""Multiplications a parameter on an image of 224 x 224 points: the table's, by how they see."""

KEPT_PER_PARAMETER = {"deformable_detr": 1.37, "d_fine": 0.96, "rt_detr": 0.59, "rt_detr_v2": 0.59}
FEWEST_KEPT = 0.2
"""Numbers kept a parameter on such an image: the table's; DETR and its kin keep the fewest."""

MIXED_KEPT = 2.5
"""Bytes kept of a number under mixed precision, where some layers stay in 32 bits."""


def footprint(params: DetectionParams, facts: ModelFacts) -> Footprint:
    """Return the memory training takes on one device, in bytes."""
    mixed = params.mixed_precision is not None or facts.bytes_per_parameter <= HALF
    said = ("all weights in 32 bits", params.mixed_precision, f"batches of {params.batch_size}")
    return footprint_of(
        weights=facts.parameters * weight_bytes(facts, adapter=False, mixed=mixed),
        gradients=FULL * facts.parameters,
        states=facts.parameters * state_bytes(params.optimizer),
        kept=_kept(params, facts) * params.batch_size * (MIXED_KEPT if mixed else FULL),
        least=0.4,
        spread=0.5,
        passes=params.gradient_accumulation,
        explained=", ".join(filter(None, said)),
    )


def flops(params: DetectionParams, facts: ModelFacts, data: DataReport) -> float:
    """Return the floating point operations of the whole training, validation included.

    A multiplication and its addition are two; the way back costs twice the way there (Kaplan et al.
    2020, section 2.1).
    """
    once = 2 * _multiplications(params, facts)
    seen = data.steps * params.batch_size * params.gradient_accumulation
    epochs = seen / data.rows if data.rows else 0.0
    return once * (3 * seen + epochs * data.valid_rows)


def _multiplications(params: DetectionParams, facts: ModelFacts) -> float:
    """Return the multiplications of one image's way through the network."""
    kind, side = _seen(params, facts)
    if kind == "yolos":
        return multiplications(facts.config, side, facts.parameters)
    each = PER_PARAMETER["masked" if kind in MASKED else "square"]
    return each * facts.parameters * (side / USUAL_SIZE) ** 2


def _kept(params: DetectionParams, facts: ModelFacts) -> float:
    """Return how many numbers are kept of one image for the way back."""
    kind, side = _seen(params, facts)
    if kind == "yolos":
        return activations(facts.config, side, facts.parameters)
    each = KEPT_PER_PARAMETER.get(kind, FEWEST_KEPT)
    return each * facts.parameters * (side / USUAL_SIZE) ** 2


def _seen(params: DetectionParams, facts: ModelFacts) -> tuple[str, int]:
    kind = str(facts.config.get("model_type"))
    return kind, side_of(kind, params.image_square_size)
