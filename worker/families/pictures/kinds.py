"""Whether a model can be trained to tell images apart, told by its `config.json` alone. Light."""

from __future__ import annotations

from worker.errors import BadConfig
from worker.families.kinds import class_of
from worker.families.pictures.settings import WholeImages
from worker.task import ModelFacts

_KINDS = """
beit bit clip convnext convnextv2 cvt data2vec-vision deit dinat dinov2 dinov2_with_registers
donut-swin efficientnet focalnet hgnet_v2 hiera ijepa levit metaclip_2 mobilenet_v1 mobilenet_v2
mobilevit mobilevitv2 poolformer pp_lcnet pvt pvt_v2 regnet resnet segformer siglip siglip2
swiftformer swin swinv2 textnet vit vit_msn
"""
KINDS = frozenset(_KINDS.split())
"""Kinds that transformers (5.23) loads as classifiers of images, without those below."""

UNSUITED = {
    "imagegpt": "it reads images as text of colours",
    "perceiver": "its classes each read images in a way of their own",
    "shieldgemma2": "it answers questions about images",
    "timm_wrapper": "it needs the package timm, which the machine that trains has not got",
}
"""Kinds that transformers loads as such too, and why they are not trained here."""


_CONVOLUTIONS = """
bit efficientnet hgnet_v2 mobilenet_v1 mobilenet_v2 poolformer pp_lcnet regnet resnet textnet
"""
CONVOLUTIONS = frozenset(_CONVOLUTIONS.split())
"""Kinds without linear layers inside, which is where adapters go."""


def check_model(params: WholeImages, facts: ModelFacts) -> None:
    """Do nothing for a model that can be trained so. Raises `BadConfig` for others."""
    tells_apart(facts)
    kind = str(facts.config.get("model_type"))
    if params.peft and kind in CONVOLUTIONS and params.target_modules == "all-linear":
        raise BadConfig(
            f"{facts.name} is a {kind}, which has no linear layers that an adapter could go to.",
            fix="Leave --peft out: such models are small.",
        )


def tells_apart(facts: ModelFacts) -> None:
    """Do nothing for a model of images. Raises `BadConfig` for anything else."""
    kind = str(facts.config.get("model_type") or "")
    code = facts.config.get("auto_map")
    called = class_of(facts) or kind
    own_code = isinstance(code, dict) and "AutoModelForImageClassification" in code
    if (kind in KINDS or own_code) and not called.endswith("WithTeacher"):
        return
    if not kind and "num_features" in facts.config:  # as timm writes its own
        kind = "timm_wrapper"
    why = UNSUITED.get(kind, "it does not tell images apart")
    if called.endswith("WithTeacher"):
        why = "it learns from another model beside the images"
    raise BadConfig(
        f"{facts.name} is a {called or kind or 'model of no known kind'}: {why}.",
        fix="--model with one that does, such as google/vit-base-patch16-224",
    )
