"""What training an image model costs: memory and arithmetic, from its `config.json` alone.

Networks are read as stages: so many layers, each over so many places (patches, or points of a
feature map). Multiplications of a place and layer, C being the width:

- transformers (ViT and its kin): 4 C² for attention's products, 2 C inner for the MLP, and 2 C a
  place that is attended to (Dosovitskiy et al. 2021; Swin's windows: Liu et al. 2021, equation 2)
- ConvNeXt: 8 C² for the two products, 49 C for the 7x7 depthwise one (Liu et al. 2022)
- ResNet: a bottleneck of C/4 is C·C/4 + 9 (C/4)² + C/4·C; a basic layer 18 C² (He et al. 2016)

Anything else is taken for 160 multiplications a parameter on 224x224 points, which is what
ResNet-50 (4.1 G of 25.6 M parameters), ConvNeXt-T (4.5 of 28.6) and Swin-T (4.5 of 28.3) take.
Against torch's own counter that is 17.4 G for 16.8 (ViT-B/16), 3.6 for 4.1 (ResNet-50), 4.3 for 4.5
(ConvNeXt-T) and 4.3 for 4.5 (Swin-T). What layers keep was counted with torch's hooks for saved
tensors, in 32 bits: 30 M numbers an image (ViT-B/16), 22 (ResNet-50), 27 (ConvNeXt-T, Swin-T).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

USUAL_SIZE = 224
"""Points along an image's edge, where the model does not say."""

PER_PARAMETER = 160
"""Multiplications a parameter on an image of the usual size, for networks not known here."""

KEPT, KEPT_PER_PARAMETER = 18e6, 1.5
"""Numbers kept of an image of the usual size, for networks not known here: between MobileNetV2
(20 M of 2.2 M parameters), RegNet (27 of 20) and EfficientNet-B7 (137 of 64), all measured."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Layers of a network that are alike."""

    layers: int
    places: int
    """Patches or points each layer works on."""

    products: float
    """Multiplications of a layer and place."""

    kept: float
    """Numbers a layer keeps of a place for the way back."""


def size_of(config: Mapping[str, Any]) -> int:
    """Return the points along the edge of an image as the model sees it."""
    said = (config.get("vision_config") or config).get("image_size")
    said = said[0] if isinstance(said, list) and said else said
    return said if isinstance(said, int) and said > 0 else USUAL_SIZE


def stages(config: Mapping[str, Any], size: int) -> list[Stage]:
    """Return the stages of a network on images of `size` points; none for one not known here."""
    config = config.get("vision_config") or config
    kind = str(config.get("model_type") or "")
    if kind.startswith("swin"):
        return _swin(config, size)
    if kind.startswith("convnext"):
        return _convnext(config, size)
    if kind == "resnet":
        return _resnet(config, size)
    if config.get("patch_size") and config.get("num_hidden_layers"):
        return [_transformer(config, size)]
    return []


def multiplications(config: Mapping[str, Any], size: int, parameters: int) -> float:
    """Return the multiplications of one image's way through the network."""
    found = stages(config, size)
    if not found:
        return PER_PARAMETER * parameters * (size / USUAL_SIZE) ** 2
    return sum(s.layers * s.places * s.products for s in found)


def activations(config: Mapping[str, Any], size: int, parameters: int) -> float:
    """Return how many numbers are kept of one image for the way back."""
    found = stages(config, size)
    if not found:
        return (KEPT + KEPT_PER_PARAMETER * parameters) * (size / USUAL_SIZE) ** 2
    return sum(s.layers * s.places * s.kept for s in found)


def _transformer(config: Mapping[str, Any], size: int) -> Stage:
    width = int(config.get("hidden_size") or 768)
    inner = int(config.get("intermediate_size") or width * float(config.get("mlp_ratio") or 4))
    patches = (size // int(_first(config["patch_size"]))) ** 2 + 1
    return _attending(int(config["num_hidden_layers"]), patches, patches, width, inner)


def _attending(layers: int, places: int, seen: int, width: int, inner: float) -> Stage:
    """Return a stage of transformer layers in which a place attends to `seen` places."""
    return Stage(
        layers,
        places,
        products=4 * width**2 + 2 * width * inner + 2 * width * seen,
        kept=8 * width + 2 * inner,
    )


def _swin(config: Mapping[str, Any], size: int) -> list[Stage]:
    window = int(config.get("window_size") or 7) ** 2
    edge = size // int(_first(config.get("patch_size") or 4))
    found = []
    for i, layers in enumerate(config.get("depths") or ()):
        width = int(config.get("embed_dim") or 96) * 2**i
        inner = width * float(config.get("mlp_ratio") or 4)
        found.append(_attending(layers, (edge // 2**i) ** 2, window, width, inner))
    return found


def _convnext(config: Mapping[str, Any], size: int) -> list[Stage]:
    edge = size // int(config.get("patch_size") or 4)
    pairs = zip(config.get("depths") or (), config.get("hidden_sizes") or (), strict=False)
    return [
        Stage(layers, (edge // 2**i) ** 2, products=8 * width**2 + 49 * width, kept=13 * width)
        for i, (layers, width) in enumerate(pairs)
    ]


def _resnet(config: Mapping[str, Any], size: int) -> list[Stage]:
    bottleneck = config.get("layer_type", "bottleneck") == "bottleneck"
    edge = size // (8 if config.get("downsample_in_first_stage") else 4)
    pairs = zip(config.get("depths") or (), config.get("hidden_sizes") or (), strict=False)
    found = [Stage(1, (size // 2) ** 2, products=3 * 49 * 64, kept=5 * 64)]
    for i, (layers, width) in enumerate(pairs):
        products = 17 / 16 * width**2 if bottleneck else 18 * width**2
        found.append(Stage(layers, (edge // 2**i) ** 2, products, kept=3.5 * width))
    return found


def _first(value: Any) -> float:
    return float(value[0]) if isinstance(value, list | tuple) else float(value)
