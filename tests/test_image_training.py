"""Training of image classifiers: judged by a hand loop, scikit-learn and stock transformers."""

from __future__ import annotations

import io
import json
import math
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
from tiny_vit import COLOURS, HUGE, image, job, write_model, write_table

from worker.contract import Checkpoint, Metric, Progress
from worker.errors import BadConfig, BadData
from worker.tasks.image_classification import TASK

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("vit"))


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_table(tmp_path_factory.mktemp("data") / "train.parquet", 24)


def right(folder: Path, first: int = 1000, each: int = 10) -> float:
    """Return how often stock `pipeline` is right on images that no training saw."""
    from PIL import Image
    from transformers import pipeline

    classify = pipeline("image-classification", model=str(folder))
    asked = [
        (c, Image.open(io.BytesIO(image(c, n))))
        for c in COLOURS
        for n in range(first, first + each)
    ]
    found: list[bool] = [classify(i)[0]["label"] == colour for colour, i in asked]
    return sum(found) / len(found)


def test_a_model_is_trained_measured_and_loads_with_stock_transformers(
    model: Path, table: Path, tmp_path: Path
) -> None:
    params, run, events = job(model, table, tmp_path, epochs=6)
    TASK.train(params, run)
    config = json.loads((run.output / "config.json").read_text())
    assert config["id2label"] == {"0": "blue", "1": "green", "2": "red"}
    assert config["label2id"] == {"blue": 0, "green": 1, "red": 2}
    processor = json.loads((run.output / "preprocessor_config.json").read_text())
    assert processor["image_processor_type"] == "ViTImageProcessor"
    assert (run.output / "judged.png").exists()
    assert right(run.output) > 0.9
    last = [e.values for e in events if isinstance(e, Metric) and "valid_loss" in e.values][-1]
    assert last["valid_accuracy"] > 0.9
    assert {"valid_f1_macro", "valid_precision_micro", "valid_recall_weighted"} <= last.keys()
    progress = [e for e in events if isinstance(e, Progress)][-1]
    assert progress.step == progress.total_steps == params.steps(57)


def test_an_adapter_is_merged_into_a_model_that_loads_alike(
    model: Path, table: Path, tmp_path: Path
) -> None:
    params, run, _ = job(model, table, tmp_path, epochs=8, peft=True, lr=1e-2)
    TASK.train(params, run)
    assert not (run.output / "adapter_config.json").exists()
    assert right(run.output) > 0.9


def test_loss_and_gradients_of_a_batch_are_those_of_a_hand_loop(
    table: Path, tmp_path: Path
) -> None:
    import torch
    from PIL import Image
    from transformers import AutoImageProcessor, AutoModelForImageClassification

    model = write_model(tmp_path / "vit", num_labels=3)
    params, run, events = job(
        model, table, tmp_path, augment=False, max_steps=1, batch_size=72, valid_split=None,
        optimizer="sgd", lr=1.0, max_grad_norm=1e9, warmup_ratio=0, logging_steps=1,
    )  # fmt: skip
    TASK.train(params, run)
    by_hand = AutoModelForImageClassification.from_pretrained(model)
    processor = AutoImageProcessor.from_pretrained(model, backend="pil")
    asked = [
        (n, Image.open(io.BytesIO(image(c, i)))) for i in range(24) for n, c in enumerate(COLOURS)
    ]
    pixels = processor([i for _, i in asked], return_tensors="pt")["pixel_values"]
    logits = by_hand(pixel_values=pixels).logits
    loss = torch.nn.functional.cross_entropy(logits, torch.tensor([n for n, _ in asked]))
    torch.autograd.backward(loss)
    told = next(e.values["loss"] for e in events if isinstance(e, Metric) and "loss" in e.values)
    trained = AutoModelForImageClassification.from_pretrained(run.output)
    assert told == pytest.approx(loss.item(), abs=1e-4)
    for (name, ours), theirs in zip(trained.named_parameters(), by_hand.parameters(), strict=True):
        assert theirs.grad is not None
        step = theirs.detach() - ours.detach()  # with a rate of 1 the step is the gradient
        assert float((step - theirs.grad).abs().max()) < 1e-4, name


def test_what_is_shown_depends_on_seed_epoch_and_image_alone(
    model: Path, table: Path, tmp_path: Path
) -> None:
    import torch
    from transformers import AutoImageProcessor

    from worker.families.pictures.training.pictures import Pictures
    from worker.tasks.image_classification.training.train import gathered, target_of

    params, run, _ = job(model, table, tmp_path)
    album = gathered(params, run)
    corpus = album.corpus
    processor = AutoImageProcessor.from_pretrained(model, backend="pil")

    def shown(seed: int, epoch: int, i: int = 3) -> Any:
        pictures = Pictures(
            album.store, corpus.learned, target_of(corpus.train), processor, seed=seed
        )
        pictures.epoch = epoch
        return pictures[i]["pixel_values"]

    assert shown(1, 0).shape == (3, 32, 32)
    assert torch.equal(shown(1, 0), shown(1, 0))
    assert not torch.equal(shown(1, 0), shown(1, 1))
    assert not torch.equal(shown(1, 0), shown(2, 0))
    assert len(corpus.learned) == 57 and len(corpus.held) == 15
    assert {e.row for e in corpus.learned}.isdisjoint(e.row for e in corpus.held)


def test_a_training_that_is_stopped_goes_on_as_if_it_had_not_been(
    model: Path, table: Path, tmp_path: Path
) -> None:
    import torch
    from safetensors.torch import load_file

    settings: dict[str, Any] = {
        "epochs": 2,
        "batch_size": 8,
        "logging_steps": 1,
        "valid_split": None,
    }
    params, whole, _ = job(model, table, tmp_path / "whole", **settings)
    TASK.train(params, whole)
    params, first, told = job(model, table, tmp_path / "first", **settings)

    def emit(event: Any) -> None:
        told.append(event)
        if isinstance(event, Metric) and event.step == 12:
            first.stop.set()

    object.__setattr__(first, "emit", emit)
    TASK.train(params, first)
    assert not (first.output / "config.json").exists()
    kept = [e for e in told if isinstance(e, Checkpoint)][-1]
    assert 12 <= kept.step < 18
    params, second, _ = job(model, table, tmp_path / "second", **settings)
    object.__setattr__(second, "last_checkpoint", Path(kept.where))
    TASK.train(params, second)
    ours, theirs = (load_file(r.output / "model.safetensors") for r in (second, whole))
    for name, weights in theirs.items():
        assert torch.allclose(ours[name], weights, atol=1e-6), name


def test_crops_lie_within_the_image() -> None:
    from worker.families.pictures.training.pictures import crop

    for seed, size in enumerate([(1, 1), (300, 2), (2, 300), (64, 48)] * 25):
        left, top, right, bottom = crop(size, random.Random(seed))
        assert 0 <= left < right <= size[0] and 0 <= top < bottom <= size[1]
        if min(size) > 10:
            assert 0.7 < (right - left) / (bottom - top) < 1.4
            assert 0.05 < (right - left) * (bottom - top) / math.prod(size) <= 1


def test_a_single_class_is_refused(model: Path, tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    rows = [{"image": {"bytes": image("red", n), "path": ""}, "label": "red"} for n in range(6)]
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "train.parquet")
    params, run, _ = job(model, tmp_path / "train.parquet", tmp_path)
    with pytest.raises(BadData, match="nothing to tell apart"):
        TASK.train(params, run)


def test_a_question_is_answered_with_the_numbers_of_pipeline(model: Path, tmp_path: Path) -> None:
    from transformers import pipeline

    assert TASK.question is not None
    (tmp_path / "cat.png").write_bytes(image("red", 7))
    found = TASK.answer(str(model), TASK.question(image=str(tmp_path / "cat.png"), top_k=3))
    judge = pipeline("image-classification", model=str(model))(str(tmp_path / "cat.png"), top_k=3)
    assert found == judge


PPM = b"P6 2 2 255\n" + bytes(12)
"""An image that Pillow reads and no training does, as PostScript would be."""


@pytest.mark.parametrize("content", [b"<html>", HUGE, PPM])
def test_a_question_about_no_image_is_refused_in_words(
    model: Path, tmp_path: Path, content: bytes
) -> None:
    assert TASK.question is not None
    (tmp_path / "cat.png").write_bytes(content)
    with pytest.raises(BadConfig, match=r"cat\.png is no image that can be read") as refused:
        TASK.answer(str(model), TASK.question(image=str(tmp_path / "cat.png")))
    assert refused.value.fix.startswith("--image with another file")


BACKWARDS = """
from transformers import ViTForImageClassification

class Backwards(ViTForImageClassification):
    def forward(self, *args, **how):
        said = super().forward(*args, **how)
        said.logits = -said.logits
        return said
"""


def test_code_of_a_models_own_answers_only_where_it_may(model: Path, tmp_path: Path) -> None:
    assert TASK.question is not None
    own = Path(shutil.copytree(model, tmp_path / "own"))
    (own / "backwards.py").write_text(BACKWARDS)
    config = json.loads((own / "config.json").read_text())
    config["auto_map"] = {"AutoModelForImageClassification": "backwards.Backwards"}
    (own / "config.json").write_text(json.dumps(config))
    (tmp_path / "cat.png").write_bytes(image("red", 7))
    first, last = (
        TASK.answer(
            str(own),
            TASK.question(image=str(tmp_path / "cat.png"), top_k=10, trust_remote_code=code),
        )
        for code in (False, True)
    )
    assert [one["label"] for one in first] == [one["label"] for one in reversed(last)]
