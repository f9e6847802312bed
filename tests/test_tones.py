"""Pictures that are looked up are what the processor computes, to the last bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")


def photo() -> Image.Image:
    """Return an image with every kind of colour."""
    return Image.fromarray(np.random.default_rng(7).integers(0, 256, (70, 90, 3), np.uint8))


def processors() -> dict[str, tuple[Any, dict[str, Any]]]:
    """Return processors, and how each is told to size images."""
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
    from transformers.models.detr.image_processing_pil_detr import DetrImageProcessorPil
    from transformers.models.mobilevit.image_processing_pil_mobilevit import (
        MobileViTImageProcessorPil,
    )
    from transformers.models.rt_detr.image_processing_pil_rt_detr import RTDetrImageProcessorPil
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

    longest = {"max_height": 64, "max_width": 64}
    return {
        "vit": (ViTImageProcessorPil(size={"height": 32, "width": 32}), {}),
        "as it is": (ViTImageProcessorPil(), {"do_resize": False, "do_center_crop": False}),
        "clip": (CLIPImageProcessorPil(size={"shortest_edge": 40}), {}),
        "detr": (DetrImageProcessorPil(size=longest), {"do_pad": False}),
        "not normalised": (RTDetrImageProcessorPil(), {"do_pad": False}),
        "blue first": (MobileViTImageProcessorPil(), {}),
    }


@pytest.mark.parametrize("name", processors())
def test_an_image_looked_up_is_what_the_processor_computes(name: str) -> None:
    from worker.families.pictures.training.tones import Tones

    processor, how = processors()[name]
    tones, image = Tones(processor, **how), photo()
    computed = processor(image, return_tensors="pt", **how)["pixel_values"][0]
    assert torch.equal(tones.of(image), computed)
    assert tones.table is not None


def test_a_processor_that_looks_at_more_than_one_pixel_is_left_to_do_it() -> None:
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

    from worker.families.pictures.training.tones import Tones

    class Brightened(ViTImageProcessorPil):  # type: ignore[misc]
        """Makes the brightest point of each image white."""

        def rescale(self, image: Any, scale: float, **how: Any) -> Any:
            return super().rescale(image, 1 / image.max(), **how)

    processor, image = Brightened(), photo().point(lambda value: value // 2)
    tones = Tones(processor)
    assert torch.equal(tones.of(image), processor(image, return_tensors="pt")["pixel_values"][0])
