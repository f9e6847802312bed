"""What the check makes of boxes, light: ways of writing them, faults, models, memory, work."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tiny_detector import turned, write_detr, write_folder, write_table
from tiny_vit import image

from worker.contract import DataRef
from worker.errors import BadConfig, BadData
from worker.imagefile import size_of
from worker.reading import load
from worker.splits import Split
from worker.task import DataReport, ModelFacts
from worker.tasks.object_detection import TASK
from worker.tasks.object_detection.examples import read
from worker.tasks.object_detection.kinds import KINDS, UNSUITED, size_for
from worker.tasks.object_detection.params import DetectionParams

PNG = image("red", 1)
WIDTH, HEIGHT = size_of(PNG) or (0, 0)
FACTS = ModelFacts("d", 41_500_000, 4.0, {"model_type": "detr", "backbone": "resnet50"})
PARAMS = DetectionParams(data_path="photos")


def split(cells: list[Any], **declared: Any) -> Split:
    told = [(i, {"image": {"bytes": PNG}, "objects": one}) for i, one in enumerate(cells, 1)]
    return Split("photos.jsonl", ("image", "objects"), told, len(told), **declared)


def inspected(cells: list[Any], facts: ModelFacts = FACTS, **declared: Any) -> DataReport:
    return TASK.inspect(PARAMS, {"train": split(cells, **declared)}, facts, None)


def said(report: DataReport, level: str) -> list[str]:
    return [f.text for f in report.findings if f.level == level]


def on(*boxes: Sequence[float], category: Any = "mask") -> dict[str, Any]:
    return {"bbox": list(boxes), "category": [category] * len(boxes)}


GOOD = on([1, 1, 10, 10])


def test_defaults_are_those_of_autotrain() -> None:
    assert PARAMS.model == "facebook/detr-resnet-50"  # its own was no detector
    assert (PARAMS.image_square_size, PARAMS.objects_column) == (600, "objects")
    assert (PARAMS.peak_lr, PARAMS.epochs, PARAMS.batch_size) == (5e-5, 3, 8)
    assert TASK.measures(PARAMS)[0].name == "valid_map"


@pytest.mark.parametrize(
    "cell",
    [
        {"bbox": [[1, 2, 3, 4], [0, 0, 9, 9]], "category": ["a", "b"]},
        [{"bbox": [1, 2, 3, 4], "category": "a"}, {"bbox": [0, 0, 9, 9], "category": "b"}],
        {"bboxes": [[1, 2, 3, 4], [0, 0, 9, 9]], "labels": ["a", "b"], "id": [1, 2]},
        "{'bbox': [[1, 2, 3, 4], [0, 0, 9, 9]], 'category': ['a', 'b']}",
        '[{"bbox": [1, 2, 3, 4], "category": "a"}, {"bbox": [0, 0, 9, 9], "category": "b"}]',
    ],
)
def test_objects_are_read_in_every_way_they_are_written(cell: Any) -> None:
    data = read(split([cell]), split([cell]).rows, PARAMS, len)
    (example,) = data.examples
    assert [(one.name, tuple(one.box)) for one in example.label] == [
        ("a", (1, 2, 3, 4)),
        ("b", (0, 0, 9, 9)),
    ]
    assert example.size == (WIDTH, HEIGHT)


def test_a_text_that_spells_two_values_is_no_list_of_objects() -> None:
    data = read(split(["[1], [2]"]), split(["[1], [2]"]).rows, PARAMS, len)
    assert list(data.broken) == ["no boxes with categories"]


def test_classes_have_the_same_order_whatever_rows_come_first() -> None:
    cells = [on([1, 1, 2, 2], category=name) for name in ("10", "cat", "9", "ant")]
    for some in (cells, cells[::-1]):
        assert read(split(some), split(some).rows, PARAMS, len).classes == ("9", "10", "ant", "cat")
    numbers = [on([1, 1, 2, 2], category=n) for n in (7, 3)]  # they need not begin at 0
    assert read(split(numbers), split(numbers).rows, PARAMS, len).classes == ("3", "7")
    named = split([on([1, 1, 2, 2], category=1)], classes={"objects.category": ("hat", "mask")})
    data = read(named, named.rows, PARAMS, len)
    assert data.classes == ("hat", "mask") and data.used == {"mask"}


def test_a_table_as_cppe_5_is_has_names(tmp_path: Path) -> None:
    file = write_table(tmp_path / "train.parquet", 4)
    found = load(DataRef(folder=str(tmp_path), train=(file.name,)))["train"]
    data = read(found, found.rows, PARAMS, len)
    assert data.classes == ("blue", "red") and len(data.examples) == 4
    assert data.used <= {"blue", "red"} and not data.broken


def test_boxes_are_counted_and_images_of_nothing_are_kept() -> None:
    report = inspected([GOOD] * 16 + [on(), None] * 2)
    (first, *_) = said(report, "ok")
    assert "20 images with 16 boxes of 1 class: mask 16" in first
    assert "4 of nothing, kept as background" in first and f"{WIDTH} x {HEIGHT} pixels" in first
    assert (report.rows, report.valid_rows, report.classes) == (16, 4, 1)
    assert report.bars[0].bars == (("mask", 16),)
    assert report.bars[1].bars == (("0", 4), ("1", 16))
    assert said(report, "ok")[-1] == "16 images to learn from · 3 epochs, 8 a step: 6 steps"


def test_a_training_of_so_many_steps_is_not_told_in_epochs() -> None:
    few, data = PARAMS.model_copy(update={"max_steps": 2}), split([GOOD] * 10)
    report = TASK.inspect(few, {"train": data}, FACTS, None)
    assert said(report, "ok")[-1] == "8 images to learn from · 8 a step: 2 steps"


def test_everything_wrong_with_boxes_is_told_at_once() -> None:
    cells = [
        *[GOOD] * 10,
        on([WIDTH + 5, 1, 10, 10]),
        on([WIDTH - 5, 1, 10, 10]),
        on([3, 3, 0, 5]),
        on([9, 9, -4, 5]),
        {"bbox": [[1, 1, 2, 2]], "category": ["a", "b"]},
        {"bbox": [[1, 1, 2]], "category": ["a"]},
        "no boxes",
    ]
    report = inspected(cells)
    warned, wrong = "\n".join(said(report, "warn")), "\n".join(said(report, "error"))
    assert "1 row with a box outside of the image, 11: the box is left out" in warned
    assert "1 row with a box that reaches out of the image, 12: it is cut off" in warned
    assert "2 rows with a box without width or height, 13, 14" in warned
    assert 'with 1 boxes and 2 categories in the column "objects", 15' in wrong
    assert "with a box that is not four numbers" in wrong and "no boxes with categories" in wrong


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ([WIDTH / 2, HEIGHT / 2, WIDTH - 1, HEIGHT - 1], "two corners"),
        ([0.1, 0.1, 0.5, 0.5], "shares of the image"),
    ],
)
def test_boxes_of_another_kind_are_recognised(box: list[float], words: str) -> None:
    (wrong,) = said(inspected([on(box)] * 10), "error")
    assert words in wrong


def photos(*boxes: Sequence[float]) -> dict[str, Split]:
    """Return photos of 60 x 40 points that are shown as 40 x 60, each with a box."""
    content = turned(40, 60)
    told = [(i, {"image": content, "objects": on(box)}) for i, box in enumerate(boxes, 1)]
    return {"train": Split("photos.jsonl", ("image", "objects"), told, len(told))}


def test_boxes_are_those_of_photos_as_they_are_shown() -> None:
    report = TASK.inspect(PARAMS, photos(*[[5, 45, 10, 14]] * 10), FACTS, None)
    assert "images of 40 x 60 pixels · 10 turned as their EXIF says" in said(report, "ok")[0]
    assert not any("box" in text for text in said(report, "warn"))


def test_boxes_of_photos_as_they_are_stored_are_recognised() -> None:
    stored = photos(*[[5, 5, 10, 10]] * 8, [45, 5, 14, 10], [25, 5, 30, 10])
    (wrong,) = said(TASK.inspect(PARAMS, stored, FACTS, None), "error")
    assert "2 boxes reach out of photos as their EXIF turns them" in wrong


def test_no_boxes_at_all_and_no_such_column_are_refused() -> None:
    (wrong,) = said(inspected([on()] * 9), "error")
    assert "nothing is on any image" in wrong
    bare = Split("x.csv", ("image", "label"), [], 0)
    with pytest.raises(BadData, match='no column "objects"'):
        TASK.inspect(PARAMS, {"train": bare}, FACTS, None)


def test_models_that_find_no_objects_are_refused() -> None:
    def refused(**config: Any) -> str:
        with pytest.raises(BadConfig) as told:
            TASK.check_model(PARAMS, ModelFacts("m", 1, config=config))
        return told.value.message

    TASK.check_model(PARAMS, FACTS)
    assert "does not find objects" in refused(model_type="vit")
    assert "timm" in refused(model_type="detr", backbone="tf_mobilenetv3_small_075")
    assert "timm" in refused(model_type="detr", backbone="resnet50", dilation=True)
    assert "windows" in refused(model_type="rf_detr")


def test_sizes_fit_how_a_kind_sees() -> None:
    assert size_for("detr", 600) == {"max_height": 600, "max_width": 600}
    assert size_for("rt_detr", 600) == {"height": 608, "width": 608}
    facts = ModelFacts("r", 1, config={"model_type": "rt_detr"})
    assert any("608 x 608 points" in text for text in said(inspected([GOOD] * 9, facts), "ok"))


def test_work_and_memory_grow_with_image_and_batch() -> None:
    def needs(**settings: Any) -> float:
        params = DetectionParams(data_path="x", **settings)
        return TASK.footprint(params, FACTS, DataReport()).expected

    assert needs() < needs(batch_size=32) and needs(image_square_size=300) < needs()
    data = DataReport(rows=8, steps=1)
    once = TASK.flops(DetectionParams(data_path="x", batch_size=8), FACTS, data) / 6 / 8
    assert once == pytest.approx(34e9, rel=0.02)  # counted: DETR-R50 on 600 x 600 points


@pytest.mark.slow
def test_the_kinds_are_those_of_transformers() -> None:
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_OBJECT_DETECTION_MAPPING_NAMES as KNOWN,
    )
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_ZERO_SHOT_OBJECT_DETECTION_MAPPING_NAMES as ASKED_IN_WORDS,
    )

    assert KINDS | UNSUITED.keys() == KNOWN.keys() | ASKED_IN_WORDS.keys()


@pytest.mark.slow
def test_a_folder_with_a_list_is_checked_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import hubtrain

    monkeypatch.setenv("HUBTRAIN_HOME", str(tmp_path / "home"))
    write_folder(tmp_path / "squares", 12)
    report = hubtrain.check(
        "object-detection",
        data_path=str(tmp_path / "squares"),
        model=str(write_detr(tmp_path / "detr")),
        project_name="x",
    )
    assert any("12 images with 12 boxes of 2 classes" in f.text for f in report.findings)
