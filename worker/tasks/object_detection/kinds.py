"""Which models find objects, told by their `config.json` alone, and how they see images. Light."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from worker.errors import BadConfig
from worker.facts import ModelFacts
from worker.families.kinds import class_of

MASKED = frozenset({"conditional_detr", "dab-detr", "deformable_detr", "detr", "table-transformer"})
"""Kinds that see images of any shape, and are told which points of a batch are none."""

SQUARE = frozenset({"d_fine", "rt_detr", "rt_detr_v2", "yolos"})
"""Kinds that see squares, whose sides are multiples of `MULTIPLE`."""

KINDS = MASKED | SQUARE
"""Kinds that transformers (5.23) trains to find objects."""

MULTIPLE = 32
"""The largest stride of their layers: parts that are put together have to be of one size."""

UNSUITED = {
    "deimv2": "its training is not judged here yet",
    "lw_detr": "it divides images into windows, which needs sizes of its own",
    "rf_detr": "it divides images into windows, which needs sizes of its own",
    **dict.fromkeys(
        ("pp_doclayout_v2", "pp_doclayout_v3", "pp_doclayout_v4", "pp_ocrv5_mobile_det",
         "pp_ocrv5_server_det", "pp_ocrv6_medium_det", "pp_ocrv6_small_det"),
        "transformers has no training for it",
    ),
    **dict.fromkeys(
        ("grounding-dino", "mm-grounding-dino", "omdet-turbo", "owlv2", "owlvit"),
        "it finds what words ask for, and has no classes to learn",
    ),
}  # fmt: skip
"""Other kinds that find objects, and why they are not trained here."""

RESNETS: Mapping[str, tuple[str, list[int], list[int]]] = {
    "resnet18": ("basic", [2, 2, 2, 2], [64, 128, 256, 512]),
    "resnet34": ("basic", [3, 4, 6, 3], [64, 128, 256, 512]),
    "resnet50": ("bottleneck", [3, 4, 6, 3], [256, 512, 1024, 2048]),
    "resnet101": ("bottleneck", [3, 4, 23, 3], [256, 512, 1024, 2048]),
}
"""Networks of the package timm, which the machine that trains has not got, that transformers has
too: kind of layers, how many, and how wide (He et al. 2016, table 1)."""


def check_model(facts: ModelFacts) -> None:
    """Do nothing for a model that finds objects. Raises `BadConfig` for others."""
    kind = str(facts.config.get("model_type") or "")
    called = class_of(facts) or kind
    if kind not in KINDS:
        why = UNSUITED.get(kind, "it does not find objects")
    elif foreign := needs_timm(facts.config):
        why = f"its backbone {foreign} needs the package timm, which the machine has not got"
    else:
        return
    raise BadConfig(
        f"{facts.name} is a {called or 'model of no known kind'}: {why}.",
        fix="--model with one that does, such as facebook/detr-resnet-50",
    )


def timm_backbone(config: Mapping[str, Any]) -> str:
    """Return the name of the timm network that a detector looks through; empty for none."""
    if config.get("model_type") not in MASKED:
        return ""
    inner = config.get("backbone_config") or {}
    if not inner and config.get("use_timm_backbone", True):  # as they were written first
        inner = {"model_type": "timm_backbone", "backbone": config.get("backbone") or "resnet50"}
    return str(inner.get("backbone") or "") if inner.get("model_type") == "timm_backbone" else ""


def needs_timm(config: Mapping[str, Any]) -> str:
    """Return the timm network of a detector that transformers has none like; else nothing.

    Nor has it one with holes in its filters, `dilation`.
    """
    name = timm_backbone(config)
    return name if name and (name not in RESNETS or config.get("dilation")) else ""


def side_of(kind: str, asked: int) -> int:
    """Return the longest side of an image as a model of this kind sees it, in points."""
    return asked if kind in MASKED else -(-asked // MULTIPLE) * MULTIPLE


def size_for(kind: str, asked: int) -> dict[str, int]:
    """Return the size of images as transformers' processors take it.

    Shapes are kept where the kind is told which points of a batch are none.
    """
    side = side_of(kind, asked)
    if kind in MASKED:
        return {"max_height": side, "max_width": side}
    return {"height": side, "width": side}
