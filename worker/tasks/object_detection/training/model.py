"""The detector to train: with classes of its own, seeing through a network that needs no timm.

The first detectors were published with their backbones as the package timm has them. transformers
has the same ResNets under other names: the weights are read into those, and what is trained and
saved loads without timm.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from transformers import ResNetConfig

from worker.common import Memory
from worker.engine.model import Loaded, load
from worker.engine.source import Source
from worker.tasks.object_detection.kinds import RESNETS, timm_backbone

TRAINED = tuple(f".encoder.stages.{stage}." for stage in (1, 2, 3))
"""Parts of a ResNet that are trained: all but its beginning (Carion et al. 2020, appendix A.4)."""


def detector(source: Source, params: Memory, classes: tuple[str, ...]) -> Loaded:
    """Return the model with a head for `classes`. Raises `HubtrainError`."""
    config = source.config()
    config.id2label = dict(enumerate(classes))
    config.label2id = {name: number for number, name in enumerate(classes)}
    foreign = timm_backbone(config.to_dict())
    names = dict(renamed(foreign)) if foreign else {}
    if foreign:
        config.backbone_config = resnet(foreign, levels=getattr(config, "num_feature_levels", 1))
    more = {"config": config, "ignore_mismatched_sizes": True, "key_mapping": names or None}
    loaded = load(replace(source, more=more), params)
    _keep_names(loaded.model, names)
    _thaw(loaded.model)
    return loaded


def resnet(name: str, *, levels: int = 1) -> ResNetConfig:
    """Return timm's network of this name as transformers has it, for one or more `levels`."""
    layer, depths, widths = RESNETS[name]
    stages = ["stage2", "stage3", "stage4"] if levels > 1 else ["stage4"]
    return ResNetConfig(
        layer_type=layer, depths=depths, hidden_sizes=widths, out_features=stages
    )  # its other settings are those of timm: the stride is that of the 3x3 filters


def renamed(name: str) -> Iterator[tuple[str, str]]:
    """Yield names of a timm network's layers, and what transformers calls them."""
    layer, depths, _ = RESNETS[name]
    yield "model.conv1", "model.embedder.embedder.convolution"
    yield "model.bn1", "model.embedder.embedder.normalization"
    for stage, depth in enumerate(depths):
        for block in range(depth):
            old = f"model.layer{stage + 1}.{block}"
            new = f"model.encoder.stages.{stage}.layers.{block}"
            for i in range(3 if layer == "bottleneck" else 2):
                yield f"{old}.conv{i + 1}", f"{new}.layer.{i}.convolution"
                yield f"{old}.bn{i + 1}", f"{new}.layer.{i}.normalization"
            yield f"{old}.downsample.0", f"{new}.shortcut.convolution"
            yield f"{old}.downsample.1", f"{new}.shortcut.normalization"


def _keep_names(model: Any, names: dict[str, str]) -> None:
    """Let a model be saved by its own names: transformers would go back to those it was read by."""
    done = getattr(model, "_weight_conversions", None)
    if names and done:
        model._weight_conversions = [
            one for one in done if one.target_patterns[0] not in names.values()
        ]


def _thaw(model: Any) -> None:
    """Let what follows the first stage of a ResNet be trained, and nothing before it.

    transformers (5.23) means to, but looks for `stage.1` where its own ResNet has `stages.1`, and
    forgets it all when weights are loaded.
    """
    eyes = getattr(model.config, "backbone_config", None)
    if getattr(eyes, "model_type", "") != "resnet":
        return
    for name, weights in model.named_parameters():
        if ".backbone." in name:
            weights.requires_grad_(any(part in name for part in TRAINED))
