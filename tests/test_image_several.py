"""Images of several classes each: judged by a hand loop, scikit-learn and stock pipeline."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from tiny_vit import COLOURS, image, job, write_model, write_rows

from worker.contract import Metric
from worker.errors import BadData
from worker.splits import Split
from worker.task import DataReport, ModelFacts
from worker.tasks.image_classification import TASK
from worker.tasks.image_classification.params import ImageParams

SUBSETS = [(), ("blue",), ("green",), ("red",), ("blue", "red"), ("blue", "green", "red")]


def striped(names: tuple[str, ...], number: int) -> bytes:
    """Return an image with a band of each of some colours, on grey."""
    from PIL import Image

    made = Image.new("RGB", (48, 48), (128, 128, 128))
    for name in names:
        band = Image.open(io.BytesIO(image(name, number))).resize((48, 16))
        made.paste(band, (0, 16 * list(COLOURS).index(name)))
    out = io.BytesIO()
    made.save(out, "PNG")
    return out.getvalue()


def rows(each: int, first: int = 0) -> list[dict[str, Any]]:
    return [
        {"image": striped(names, n), "labels": list(names)}
        for n in range(first, first + each)
        for names in SUBSETS
    ]


def inspected(labels: list[Any]) -> DataReport:
    png = image("red", 1)
    told = [(i, {"image": {"bytes": png}, "target": one}) for i, one in enumerate(labels, 1)]
    split = Split("rows.jsonl", ("image", "target"), told, len(told))
    facts = ModelFacts("vit", 1, config={"model_type": "vit"})
    return TASK.inspect(ImageParams(data_path="x"), {"train": split}, facts, None)


def test_lists_are_several_classes_as_json_or_python_write_them() -> None:
    said = [f.text for f in inspected([["a", "b"], ["b"], [], ["c"]] * 5).findings]
    assert "20 images in 3 classes, several for an image: b 10, a 5, c 5" in said[0]
    assert "20% held out" in said[0] and "of each class" not in said[0]
    text = [f.text for f in inspected(["['a', 'b']", '["b"]', "[]", '["c"]'] * 5).findings]
    assert text == said


def test_a_broken_list_is_named_with_its_row() -> None:
    with pytest.raises(BadData, match=r'row 3 of rows\.jsonl: the column "target" holds text such'):
        inspected([["a"], ["b"], "a;b"])


def test_lists_that_are_all_empty_teach_nothing() -> None:
    (wrong,) = (f for f in inspected([[], [], []]).findings if f.level == "error")
    assert "no image is of any class" in wrong.text and "--target-column" in wrong.fix


@pytest.mark.slow
def test_several_classes_are_learned_and_scored_one_by_one(tmp_path: Path) -> None:
    import numpy as np
    from PIL import Image
    from sklearn.metrics import f1_score
    from transformers import pipeline

    model = write_model(tmp_path / "vit")
    data = write_rows(tmp_path / "train.parquet", rows(10))
    params, run, events = job(model, data, tmp_path, epochs=10, lr=8e-3, augment=False)
    TASK.train(params, run)
    assert {"judged.png", "precision_recall.png"} <= {file.name for file in run.output.iterdir()}
    config = json.loads((run.output / "config.json").read_text())
    assert config["problem_type"] == "multi_label_classification"
    assert list(config["label2id"]) == ["blue", "green", "red"]
    told = [e.values for e in events if isinstance(e, Metric) and "valid_loss" in e.values]
    assert max(one["valid_accuracy"] for one in told) > 0.8
    assert {"valid_f1_macro", "valid_precision_micro", "valid_recall_weighted"} <= told[-1].keys()
    classify = pipeline("image-classification", model=str(run.output))
    truth, guessed = [], []
    for row in rows(4, first=500):
        found = classify(Image.open(io.BytesIO(row["image"])), top_k=3)
        scores = {one["label"]: one["score"] for one in found}
        guessed.append([scores[name] > 0.5 for name in COLOURS])
        truth.append([name in row["labels"] for name in COLOURS])
    assert f1_score(np.array(truth), np.array(guessed), average="macro") > 0.85
