"""How many tokens an image takes, by `config.json` and the processor's files alone. Light.

- Tiles (Idefics3, SmolVLM): the longest edge is made `size`, tiles of `max_image_size` are cut and
  the whole is shown once more; each takes `image_seq_len` tokens, and marks around them.
- Any size (Qwen2-VL and its kin): edges become multiples of a patch, within so many pixels; `merge
  x merge` patches are one token.
- Fixed: Gemma 3 says how many; PaliGemma, LLaVA and others take one for each patch.

The tests compare them with what transformers' processors write.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

Config = Mapping[str, Any]
Size = tuple[int, int]
"""Width and height."""

USUAL_EDGE, USUAL_PATCH = 336, 14
"""Points along the edges of an image and of a patch, where no file says."""

LONGEST_EDGE = 4096
"""Points that Idefics3's processor lets no image exceed."""

_PIXELS = (56 * 56, 28 * 28 * 1280)
"""Least and most pixels of an image that Qwen2-VL's processor keeps, where no file says."""


def image_tokens(config: Config, processor: Config, size: Size | None) -> int:
    """Return the tokens of an image of `size`; of one whose size is not known as of a square."""
    size = size or (_edge(config), _edge(config))
    tiled = {**processor, **_counted(config)}
    if "max_image_size" in tiled and "image_seq_len" in tiled:
        return _tiles(tiled, size)
    if "merge_size" in processor:
        return _any_size(processor, size)
    said = (config.get(n) or processor.get(n) for n in ("mm_tokens_per_image", "image_seq_length"))
    return int(next(filter(None, said), None) or _patches(config))


def _counted(config: Config) -> dict[str, Any]:
    """Return the tokens of a tile by the model: patches, so many squared to one token."""
    if not config.get("scale_factor"):
        return {}
    return {"image_seq_len": _patches(config) // int(config["scale_factor"]) ** 2}


def _tiles(processor: Config, size: Size) -> int:
    each, edge = int(processor["image_seq_len"]), int(processor["max_image_size"]["longest_edge"])
    longest = min(int((processor.get("size") or {}).get("longest_edge") or 4 * edge), LONGEST_EDGE)
    if not processor.get("do_image_splitting", True):
        return each + 3
    scale = longest / max(size)
    columns, rows = (math.ceil(max(1, int(side * scale)) / edge) for side in size)
    tiles = rows * columns if rows * columns > 1 else 0
    return each + 3 + (tiles * (each + 2) + rows if tiles else 0)


def _any_size(processor: Config, size: Size) -> int:
    """Return the tokens of smart resizing (Wang et al. 2024, arXiv 2409.12191, section 2.1)."""
    factor = int(processor.get("patch_size") or USUAL_PATCH) * int(processor["merge_size"])
    edges = processor.get("size") or {}
    least = int(processor.get("min_pixels") or edges.get("shortest_edge") or _PIXELS[0])
    most = int(processor.get("max_pixels") or edges.get("longest_edge") or _PIXELS[1])
    steps = [max(1, round(side / factor)) for side in size]
    pixels = math.prod(steps) * factor**2
    if pixels > most:
        shrink = math.sqrt(math.prod(size) / most)
        steps = [max(1, math.floor(side / shrink / factor)) for side in size]
    elif pixels < least:
        grow = math.sqrt(least / math.prod(size))
        steps = [math.ceil(side * grow / factor) for side in size]
    return math.prod(steps)


def _patches(config: Config) -> int:
    vision = config.get("vision_config") or config
    patch = vision.get("patch_size") or USUAL_PATCH
    return int((_edge(config) // int(patch[0] if isinstance(patch, list) else patch)) ** 2)


def _edge(config: Config) -> int:
    said = (config.get("vision_config") or config).get("image_size")
    said = said[0] if isinstance(said, list) and said else said
    return said if isinstance(said, int) and said > 0 else USUAL_EDGE
