"""Numbers of images: checked, learned in their own units, asked, and equal to a hand loop."""

from __future__ import annotations

import io
import json
import random
from pathlib import Path
from typing import Any

import pytest
from tiny_vit import image, job, write_model, write_rows

from worker.contract import Checkpoint, Metric
from worker.errors import BadData
from worker.splits import Split
from worker.task import DataReport, ModelFacts
from worker.tasks.image_regression import TASK
from worker.tasks.image_regression.params import ImageRegressionParams

PNG = image("red", 1)


def grey(number: int) -> tuple[bytes, float]:
    """Return a grey image, and its brightness as a number far from 0: 4,000 to 6,000."""
    from PIL import Image

    bright = random.Random(number).random()
    out = io.BytesIO()
    Image.new("RGB", (40, 32), (round(255 * bright),) * 3).save(out, "PNG")
    return out.getvalue(), 4000 + 2000 * bright


def rows(count: int, first: int = 0) -> list[dict[str, Any]]:
    made = (grey(n) for n in range(first, first + count))
    return [{"image": content, "target": number} for content, number in made]


def inspected(cells: list[Any], column: str = "target", **declared: Any) -> DataReport:
    told = [(i, {"image": {"bytes": PNG}, column: one}) for i, one in enumerate(cells, 1)]
    split = Split("photos.csv", ("image", column), told, len(told), **declared)
    return TASK.inspect(ImageRegressionParams(data_path="x"), {"train": split}, FACTS, None)


FACTS = ModelFacts("vit", 1, config={"model_type": "vit"})


def test_defaults_are_those_of_autotrain() -> None:
    params = ImageRegressionParams(data_path="photos")
    assert params.model == "google/vit-base-patch16-224"
    assert (params.peak_lr, params.epochs, params.batch_size) == (5e-5, 3, 8)
    assert (params.image_column, params.target_column) == ("image", "target")


def test_the_check_tells_how_numbers_are_spread() -> None:
    report = inspected([1, 2.5, "4", None, float("nan")] * 8)
    assert (report.rows, report.valid_rows) == (19, 5)
    assert sum(count for _, count in report.bars[0].bars) == 24
    size, *rest = (f.text for f in report.findings)
    assert '24 images · "target" 1 to 4, mean 2.5, deviation 1.225' in size
    assert "20% held out for validation" in size
    assert any(text.startswith("16 rows without a number, 4, 5, 9") for text in rest)


def test_words_are_no_numbers() -> None:
    with pytest.raises(BadData, match=r'row 2 of photos.csv: the column "target" holds text such'):
        inspected([1, "good"])


def test_numbers_that_are_all_the_same_teach_nothing() -> None:
    (wrong,) = (f for f in inspected([3.0] * 9).findings if f.level == "error")
    assert 'all numbers in the column "target" are 3' in wrong.text


def test_places_of_classes_are_taken_as_numbers_and_named() -> None:
    report = inspected([0, 1] * 10, "labels", classes={"labels": ("cat", "dog")})
    (warned,) = (f for f in report.findings if "declares classes" in f.text)
    assert "cat 0, dog 1" in warned.text and "image-classification" in warned.fix


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Any]]:
    folder = tmp_path_factory.mktemp("scored")
    model, data = write_model(folder / "vit"), write_rows(folder / "train.parquet", rows(80))
    params, run, events = job(model, data, folder, task=TASK, epochs=8, lr=4e-3)
    TASK.train(params, run)
    return run.output, events


@pytest.mark.slow
def test_a_model_says_numbers_in_their_own_units(trained: tuple[Path, list[Any]]) -> None:
    from PIL import Image
    from sklearn.metrics import r2_score
    from transformers import pipeline

    folder, events = trained
    config = json.loads((folder / "config.json").read_text())
    assert (folder / "judged.png").exists()
    assert (config["problem_type"], config["label2id"]) == ("regression", {"target": 0})
    score = pipeline("image-classification", model=str(folder))
    seen = rows(30, first=900)
    guesses = [score(Image.open(io.BytesIO(row["image"])))[0]["score"] for row in seen]
    assert r2_score([row["target"] for row in seen], guesses) > 0.8
    told = [e.values for e in events if isinstance(e, Metric) and "valid_loss" in e.values][-1]
    assert told["valid_r2"] > 0.8
    assert told["valid_rmse"] == pytest.approx(told["valid_mse"] ** 0.5)
    assert 1 < told["valid_mae"] < 200, "in units of the numbers, which go from 4,000 to 6,000"
    assert "valid_explained_variance" in told


@pytest.mark.slow
def test_a_question_is_answered_with_the_number(
    trained: tuple[Path, list[Any]], tmp_path: Path
) -> None:
    assert TASK.question is not None
    content, number = grey(901)
    (tmp_path / "grey.png").write_bytes(content)
    asked = TASK.question(image=str(tmp_path / "grey.png"))
    assert TASK.answer(str(trained[0]), asked)["target"] == pytest.approx(number, abs=300)


@pytest.mark.slow
def test_a_stopped_training_goes_on_with_the_same_scale(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    model, data = write_model(tmp_path / "vit"), write_rows(tmp_path / "d.parquet", rows(24))
    how: dict[str, Any] = {"task": TASK, "epochs": 2, "batch_size": 4}
    how |= {"valid_split": None, "logging_steps": 1, "peft": True}
    params, whole, _ = job(model, data, tmp_path / "whole", **how)
    TASK.train(params, whole)
    params, first, told = job(model, data, tmp_path / "first", **how)

    def emit(event: Any) -> None:
        told.append(event)
        if isinstance(event, Metric) and event.step == 5:
            first.stop.set()

    object.__setattr__(first, "emit", emit)
    TASK.train(params, first)
    kept = [e for e in told if isinstance(e, Checkpoint)][-1]
    params, second, _ = job(model, data, tmp_path / "second", **how)
    object.__setattr__(second, "last_checkpoint", Path(kept.where))
    TASK.train(params, second)
    ours, theirs = (load_file(r.output / "model.safetensors") for r in (second, whole))
    for name, weights in theirs.items():
        assert torch.allclose(ours[name], weights, atol=1e-3), name


@pytest.mark.slow
def test_the_loss_is_that_of_a_hand_loop_over_standardised_numbers(tmp_path: Path) -> None:
    import torch
    from PIL import Image
    from transformers import AutoImageProcessor, AutoModelForImageClassification

    model = write_model(tmp_path / "vit", num_labels=1)
    seen = rows(16)
    data = write_rows(tmp_path / "train.parquet", seen)
    params, run, events = job(
        model, data, tmp_path, task=TASK, augment=False, max_steps=1,
        batch_size=16, valid_split=None, logging_steps=1,
    )  # fmt: skip
    TASK.train(params, run)
    by_hand = AutoModelForImageClassification.from_pretrained(model)
    processor = AutoImageProcessor.from_pretrained(model, backend="pil")
    pictures = [Image.open(io.BytesIO(row["image"])) for row in seen]
    said = by_hand(**processor(pictures, return_tensors="pt")).logits[:, 0]
    numbers = torch.tensor([row["target"] for row in seen])
    wanted = (numbers - numbers.mean()) / numbers.std(correction=0)
    told = next(e.values["loss"] for e in events if isinstance(e, Metric) and "loss" in e.values)
    assert told == pytest.approx(torch.nn.functional.mse_loss(said, wanted).item(), abs=1e-4)
