"""Training of detectors: judged by stock processors and losses, pycocotools, timm's own names."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_detector import (
    COLOURS,
    SIDE,
    job,
    rows,
    scene,
    turned,
    write_detr,
    write_rt_detr,
    write_table,
)

from worker.contract import Metric
from worker.errors import BadData
from worker.tasks.object_detection import TASK

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Any]]:
    folder = tmp_path_factory.mktemp("squares")
    data = write_table(folder / "train.parquet", 120)
    params, run, events = job(
        write_rt_detr(folder / "rt_detr"), data, folder, epochs=18, lr=4e-3, batch_size=12,
        augment=False, early_stopping_patience=99,
    )  # fmt: skip
    TASK.train(params, run)
    return run.output, events


def test_squares_are_found_that_were_not_at_first(trained: tuple[Path, list[Any]]) -> None:
    told = [e.values for e in trained[1] if isinstance(e, Metric) and "valid_map" in e.values]
    assert told[0]["valid_map_50"] < 0.3
    assert max(one["valid_map_50"] for one in told) > 0.5
    names = {"map", "map_50", "map_75", "map_blue", "map_red", "mar_1", "mar_10", "mar_100"}
    assert {f"valid_{name}" for name in names} <= told[-1].keys()
    assert (trained[0] / "precision_recall.png").is_file()
    assert "valid_map_small" in told[-1] and "valid_map_large" not in told[-1]


def test_the_saved_model_finds_them_with_stock_transformers(
    trained: tuple[Path, list[Any]], tmp_path: Path
) -> None:
    from PIL import Image
    from transformers import pipeline

    folder = trained[0]
    config = json.loads((folder / "config.json").read_text())
    assert config["id2label"] == {"0": "blue", "1": "red"}
    detect, right = pipeline("object-detection", model=str(folder)), 0
    for row in rows(20, first=700):
        found = detect(Image.open(io.BytesIO(row["image"])), threshold=0.1)
        (x, _, side, _), name = row["objects"]["bbox"][0], row["objects"]["category"][0]
        best = max(found, key=lambda one: one["score"], default=None)
        if best and best["label"] == name:
            middle = (best["box"]["xmin"] + best["box"]["xmax"]) / 2
            right += abs(middle - (x + side / 2)) < side / 3
    assert right >= 14
    (tmp_path / "a.png").write_bytes(scene(701)[0])
    assert TASK.question is not None
    asked = TASK.question(image=str(tmp_path / "a.png"), threshold=0.05)
    answer = TASK.answer(str(folder), asked)
    assert {"label", "score", "box"} == answer[0].keys()
    assert [a["score"] for a in answer] == sorted((a["score"] for a in answer), reverse=True)


def test_the_loss_of_a_batch_is_that_of_the_stock_processor(tmp_path: Path) -> None:
    import torch
    from PIL import Image
    from transformers import AutoImageProcessor, AutoModelForObjectDetection

    seen = [row for row in rows(16) if Image.open(io.BytesIO(row["image"])).width == SIDE]
    model = write_detr(tmp_path / "detr", num_labels=2, dropout=0.0)
    data = write_table(tmp_path / "train.parquet", 16)
    params, run, events = job(
        model, data, tmp_path, augment=False, max_steps=1, batch_size=16, valid_split=None,
        logging_steps=1, neftune_noise_alpha=5.0,
    )  # fmt: skip
    assert "neftune_noise_alpha" in TASK.unused(params)
    TASK.train(params, run)
    told = next(e.values["loss"] for e in events if isinstance(e, Metric) and "loss" in e.values)
    by_hand = AutoModelForObjectDetection.from_pretrained(model).train()
    processor = AutoImageProcessor.from_pretrained(
        model, backend="pil", size={"max_height": SIDE, "max_width": SIDE}
    )
    names, halves = list(COLOURS), []
    for half in (seen, [row for row in rows(16) if row not in seen]):
        marked = [
            {
                "image_id": i,
                "annotations": [
                    {"bbox": box, "category_id": names.index(name), "area": box[2] * box[3]}
                    for box, name in zip(*row["objects"].values(), strict=True)
                ],
            }
            for i, row in enumerate(half)
        ]
        pictures = [Image.open(io.BytesIO(row["image"])).convert("RGB") for row in half]
        batch = processor(pictures, annotations=marked, return_tensors="pt")
        with torch.no_grad():
            halves.append(float(by_hand(**batch).loss))
    # wide and tall ones apart: the stock processor takes boxes as shares of the filled-up batch
    assert told == pytest.approx(sum(halves) / 2, rel=0.02)


def test_boxes_follow_what_is_done_to_the_image() -> None:
    from PIL import Image

    from worker.families.pictures.training.photo import Photo
    from worker.tasks.object_detection.training.pictures import augmented

    def refused(error: Exception) -> BadData:
        return BadData(str(error))

    shrinking: list[Callable[[Any], float]] = [lambda _: 1, lambda _: 16]
    for number in range(60):
        content, objects = scene(number)
        x, y, side, _ = objects["bbox"][0]
        boxes = np.array([[x, y, x + side, y + side]], dtype=float)
        if large := number % 2:  # a photo eight times as large, which is decoded as small as it was
            before = Image.open(io.BytesIO(content)).convert("RGB")
            size = 8 * before.width, 8 * before.height
            before = before.resize(size, Image.Resampling.NEAREST)
            before.save(photo := io.BytesIO(), "JPEG", quality=95, subsampling=0)
            content, boxes = photo.getvalue(), boxes * 8
        made = augmented(
            Photo(io.BytesIO(content), refused), boxes, np.array([0]), random.Random(number),
            shrinking[large],
        )  # fmt: skip
        after, (width, height), (box,), _ = made
        assert (box[:2] >= 0).all() and box[2] <= width and box[3] <= height
        assert max(after.size) <= 64
        box = box * (after.width / width)
        pixels = np.asarray(after, dtype=float)
        left, top, right, bottom = map(int, box)
        edge = 1 + large  # where a part of a photo begins is rounded to a point
        inside = pixels[top + edge : bottom - 1, left + edge : right - 1]
        assert np.ptp(inside[..., 0]) < 30 and np.ptp(inside[..., 2]) < 30, number  # one colour
        assert abs(inside[..., 0] - inside[..., 2]).min() > 50, number


def test_a_photo_that_its_exif_turns_is_learned_and_asked_about_as_it_is_shown(
    trained: tuple[Path, list[Any]], tmp_path: Path
) -> None:
    """As stock transformers and datasets show it."""
    from datasets import Image as Feature
    from transformers import AutoImageProcessor
    from transformers.image_utils import load_image

    from worker.families.pictures.examples import Example
    from worker.families.pictures.training.store import Store
    from worker.tasks.object_detection.boxes import Box, Object
    from worker.tasks.object_detection.examples import Objects
    from worker.tasks.object_detection.training.pictures import Scenes

    content, objects = scene(2)  # of 48 x 64 points
    (x, y, side, _), name = objects["bbox"][0], objects["category"][0]
    (photo := tmp_path / "a.jpg").write_bytes(turned(48, 64, content))
    store = Store(tmp_path / "images.bin")
    place = store.keep(photo.read_bytes())
    objects_on: Objects = (Object(name, Box(x, y, side, side)),)
    seen = np.asarray(store.photo(place, 1).pixels())
    assert (seen == np.asarray(load_image(str(photo)))).all()
    assert (
        seen
        == np.asarray(Feature().decode_example({"path": str(photo), "bytes": None}).convert("RGB"))
    ).all()
    processor = AutoImageProcessor.from_pretrained(trained[0], backend="pil")
    one = Scenes(store, [Example(1, place, objects_on)], ["blue", "red"], processor)[0]
    assert one["truth"].size == (64, 48) and one["truth"].boxes[0].tolist() == [
        x, y, x + side, y + side,
    ]  # fmt: skip
    inside = seen[y + 2 : y + side - 2, x + 2 : x + side - 2].reshape(-1, 3).mean(0)
    assert inside == pytest.approx(COLOURS[name], abs=12)

    (upright := tmp_path / "a.png").write_bytes(content)
    ask = [TASK.question(image=str(file), threshold=0.1) for file in (photo, upright)]
    (found, same) = TASK.answering(str(trained[0]), ask[0], 1)(ask)
    assert [*found[0]["box"].values()] == pytest.approx([*same[0]["box"].values()], abs=3)


def test_measures_are_those_of_coco_and_nothing_is_printed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from worker.tasks.object_detection.training.measures import Found, measured
    from worker.tasks.object_detection.training.pictures import Truth

    def one(boxes: list[list[float]], classes: list[int]) -> tuple[Any, Any]:
        return np.array(boxes, dtype=float).reshape(-1, 4), np.array(classes)

    truth = [Truth((200, 200), *one([[0, 0, 50, 50], [100, 100, 200, 200]], [0, 1]))]
    truth += [Truth((200, 200), *one([], []))]
    right = [
        Found(*one(t.boxes.tolist(), t.classes.tolist()), np.ones(len(t.classes))) for t in truth
    ]
    told = measured(truth, right, ("a", "b"))
    for name in ("map", "map_50", "map_75", "mar_1", "map_a", "map_medium", "map_large"):
        assert told[name] == pytest.approx(1)
    assert "map_small" not in told
    # a box that overlaps by 50/75 counts for overlaps up to 0.65: 4 of the 10
    near = [Found(*one([[0, 0, 50, 75]], [0]), np.ones(1)), right[1]]
    half = measured(truth, near, ("a", "b"))
    assert half["map_a"] == pytest.approx(0.4) and half["map_b"] == 0
    assert half["map"] == pytest.approx(0.2) and half["map_50"] == pytest.approx(0.5)
    assert half["map_75"] == 0
    none = measured(truth, [Found(*one([], []), np.array([]))] * 2, ("a", "b"))
    assert none["map"] == none["mar_100"] == 0
    assert measured(truth[1:], right[1:], ("a", "b")) == {}
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_weights_named_by_timm_are_read_and_saved_by_our_names(tmp_path: Path, name: str) -> None:
    """The network is transformers' own; its names are changed to those that timm's have."""
    import torch
    from safetensors.torch import load_file, save_file
    from transformers import AutoModelForObjectDetection

    from worker.common import TransformersSettings
    from worker.contract import ModelRef
    from worker.engine.source import Source
    from worker.tasks.object_detection.training.model import detector, renamed, resnet

    folder = write_detr(tmp_path / "detr", backbone_config=resnet(name), num_labels=2)
    whole = AutoModelForObjectDetection.from_pretrained(folder).eval()
    weights = load_file(folder / "model.safetensors")
    back = {new: old for old, new in renamed(name)}

    def named(key: str) -> str:
        return next((key.replace(f"{new}.", f"{old}.") for new, old in back.items()
                     if f"{new}." in key), key)  # fmt: skip

    save_file({named(k): w for k, w in weights.items()}, folder / "model.safetensors",
              metadata={"format": "pt"})  # fmt: skip
    config = json.loads((folder / "config.json").read_text())
    del config["backbone_config"]
    config |= {"use_timm_backbone": True, "backbone": name, "use_pretrained_backbone": True}
    (folder / "config.json").write_text(json.dumps(config))
    source = Source(ModelRef(name=str(folder)), AutoModelForObjectDetection)
    loaded = detector(source, TransformersSettings(), ("a", "b"))
    assert not loaded.new
    shown = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        theirs, ours = (m.eval()(pixel_values=shown).pred_boxes for m in (whole, loaded.model))
    assert torch.allclose(theirs, ours, atol=1e-6)
    trained = {n for n, p in loaded.model.named_parameters() if p.requires_grad}
    assert any(".encoder.stages.1." in n for n in trained)
    assert not any(".encoder.stages.0." in n for n in trained)
    loaded.model.save_pretrained(tmp_path / "saved")
    again = AutoModelForObjectDetection.from_pretrained(tmp_path / "saved").eval()
    with torch.no_grad():
        assert torch.allclose(again(pixel_values=shown).pred_boxes, ours, atol=1e-6)
