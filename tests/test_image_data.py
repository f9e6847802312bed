"""What the check makes of images, light: classes, damage, models, memory and work."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import ExifTags, Image, ImageOps
from tiny_vit import HUGE, image, write_folders, write_model

import hubtrain
from worker.errors import BadConfig, BadData
from worker.families.pictures.cost import multiplications, stages
from worker.families.pictures.kinds import CONVOLUTIONS, KINDS, UNSUITED
from worker.imagefile import MOST_PIXELS, fault, is_cut_short, is_turned, kind_of, size_of
from worker.splits import Split
from worker.task import DataReport, ModelFacts
from worker.tasks.image_classification import TASK
from worker.tasks.image_classification.params import ImageParams

VIT: dict[str, Any] = {
    "architectures": ["ViTForImageClassification"],
    "model_type": "vit",
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "image_size": 224,
    "patch_size": 16,
    "id2label": {str(i): f"kind {i}" for i in range(1000)},
}
FACTS = ModelFacts("google/vit", 86_567_656, 4.0, VIT)
PNG = image("red", 1)


def split(
    labels: Sequence[Any], *, column: str = "label", images: Any = None, **more: Any
) -> Split:
    rows = [
        (i, {"image": {"bytes": (images or {}).get(i, PNG), "path": None}, column: label})
        for i, label in enumerate(labels, 1)
    ]
    return Split("photos", ("image", column), rows, more.pop("total", len(rows)), **more)


def look(train: Split, valid: Split | None = None, **settings: Any) -> DataReport:
    splits = {"train": train, **({"valid": valid} if valid else {})}
    return TASK.inspect(ImageParams(data_path="photos", **settings), splits, FACTS, None)


def said(report: DataReport, level: str) -> str:
    return "\n".join(f.text for f in report.findings if f.level == level)


def test_classes_are_counted_and_a_share_of_each_is_held_out() -> None:
    report = look(split(["cat"] * 50 + ["dog"] * 30))
    assert "cat 50, dog 30 · images of 37 x 47 pixels · 20% of each class held out" in said(
        report, "ok"
    )
    assert "a new head for 2 classes takes the place of that of google/vit for 1,000" in said(
        report, "ok"
    )
    assert (report.rows, report.valid_rows, report.units) == (64, 16, 64)
    assert report.steps == 24
    assert said(report, "warn") == "" == said(report, "error")


def test_counts_are_scaled_up_where_only_the_first_rows_were_read() -> None:
    report = look(split(["a", "b"] * 50, total=1000))
    assert "about 1,000 images in 2 classes: a about 500, b about 500" in said(report, "ok")
    assert (report.rows, report.valid_rows) == (800, 200)


@pytest.mark.parametrize(
    ("cells", "declared", "classes"),
    [
        ([0, 1] * 5, ("cat", "dog"), "cat 5, dog 5"),
        ([3, 10, 9] * 5, (), "3 5, 9 5, 10 5"),
        ([1.0, 2.0] * 5, (), "1 5, 2 5"),
        (["10", "9"] * 5, (), "9 5, 10 5"),
        ([True, False] * 5, (), "False 5, True 5"),
        ([0, 1, -1] * 5, ("cat", "dog"), "cat 5, dog 5"),
        (["cat", "dog", "nan", " ", float("nan")] * 5, (), "cat 5, dog 5"),
    ],
)
def test_labels_may_be_numbers_or_names(cells: Any, declared: Any, classes: str) -> None:
    report = look(split(cells, classes={"label": declared} if declared else {}))
    assert f"classes: {classes}" in said(report, "ok")


@pytest.mark.parametrize("column", ["target", "label", "labels"])
def test_usual_names_of_the_column_are_found(column: str) -> None:
    assert look(split(["a", "b"] * 9, column=column)).rows


def test_a_wrong_column_is_told_with_the_nearest() -> None:
    with pytest.raises(BadData, match='no column "speces"') as wrong:
        look(split(["a", "b"] * 9, column="species"), target_column="speces")
    assert wrong.value.fix == "--target-column species"


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ([0.5, 1.5], "numbers such as 0.5, which names no class"),
        (["a", ["b"]], "lists"),
        ([7, 7], "none of its 2 classes"),
    ],
)
def test_what_names_no_class_is_refused(cells: Any, words: str) -> None:
    with pytest.raises(BadData, match=words):
        look(split(cells, classes={"label": ("a", "b")} if cells[0] == 7 else {}))


def test_text_in_place_of_images_is_refused() -> None:
    rows = [(1, {"image": "a/1.jpg", "label": "a"})]
    with pytest.raises(BadData, match="text such as"):
        look(Split("photos.csv", ("image", "label"), rows, 1))


def flipped(png: bytes) -> bytes:
    """Return an image whose pixels have changed on the way."""
    at = png.index(b"IDAT") + 20
    return png[:at] + bytes([png[at] ^ 1]) + png[at + 1 :]


def test_damaged_rows_are_left_out_and_named() -> None:
    heic = b"\x00\x00\x00\x18ftypheic" + bytes(20)
    images = {2: b"", 3: b"<html>", 4: heic, 5: PNG[:-20], 6: HUGE, 7: flipped(PNG)}
    report = look(split(["a", "b"] * 10 + [None], images=images))
    warned = said(report, "warn")
    assert "1 row without an image, 2: left out" in warned
    assert "2 rows with something that is no readable image, 3, 4: left out" in warned
    assert "2 rows with an image that is cut short or damaged, 5, 7: shown" in warned
    assert "1 row without a class, 21: left out" in warned
    assert "1 row with an image of more than 179 million pixels, 6: left out" in warned
    assert [f.fix for f in report.findings if "readable" in f.text] == [
        "convert the 1 HEIC photos to JPEG"
    ]


def test_a_single_class_teaches_nothing() -> None:
    assert 'all images are of the class "a"' in said(look(split(["a"] * 9)), "error")


def test_small_and_uneven_classes_are_told() -> None:
    assert "fewer than 5 images of 1 class: b 2" in said(
        look(split(["a"] * 40 + ["b"] * 2)), "warn"
    )
    uneven = said(look(split(["a"] * 60 + ["b"] * 6)), "warn")
    assert '"a" has 10 times as many images as "b"' in uneven


def test_names_of_classes_that_hardly_differ_are_told() -> None:
    warned = said(look(split([" cat", "Cat", "cat", "hot dog", "hotdog", "dog"] * 9)), "warn")
    assert 'in capitals or blanks alone: " cat", "Cat", "cat"; "hot dog", "hotdog"' in warned


def test_a_validation_split_is_compared_with_the_training() -> None:
    report = look(split(["a", "b", "c"] * 9), split(["a", "x"] * 4))
    assert "1 class that no training image is of: x" in said(report, "error")
    assert "no image of 2 classes: b, c" in said(report, "warn")
    part = look(split(["a", "b"] * 9, total=500), split(["x"] * 4))
    assert said(part, "error") == "", "the rest of the training may have it"


def test_no_validation_is_told() -> None:
    report = look(split(["a", "b"] * 9), valid_split=None)
    assert "nothing is held out" in said(report, "warn")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WebP", "BMP", "TIFF", "AVIF"])
def test_images_are_known_by_their_signatures(kind: str) -> None:
    content = image("blue", 1, kind)
    assert kind_of(content) == kind
    assert size_of(content) == Image.open(BytesIO(content)).size
    assert not is_cut_short(content + bytes(10_000)), "phones append films to their photos"
    if kind in {"PNG", "JPEG"}:
        assert is_cut_short(content[: len(content) // 2])
    for length in range(40):
        size_of(content[:length])  # whatever is missing is no error


@pytest.mark.parametrize("how", [{"lossless": True}, {"exif": b"Exif\0\0" + bytes(20)}])
def test_the_size_of_every_kind_of_webp_is_read(how: dict[str, Any]) -> None:
    stream = BytesIO()
    Image.new("RGB", (300, 20)).save(stream, "WebP", **how)
    assert size_of(stream.getvalue()) == (300, 20)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WebP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_size_is_that_of_the_image_as_it_is_shown(kind: str, orientation: int) -> None:
    exif, stream = Image.Exif(), BytesIO()
    exif[ExifTags.Base.Orientation] = orientation
    Image.new("RGB", (40, 30)).save(stream, kind, exif=exif)
    content = stream.getvalue()
    with Image.open(BytesIO(content)) as stored:
        assert size_of(content) == ImageOps.exif_transpose(stored).size
    assert is_turned(content) is (orientation > 4)
    for length in range(0, len(content), 7):
        is_turned(content[:length])


def test_the_orientation_of_another_image_behind_the_first_does_not_count() -> None:
    exif, first, second = Image.Exif(), BytesIO(), BytesIO()
    exif[ExifTags.Base.Orientation] = 6
    Image.new("RGB", (40, 30)).save(first, "JPEG")
    Image.new("RGB", (40, 30)).save(second, "JPEG", exif=exif)
    assert size_of(first.getvalue() + second.getvalue()) == (40, 30)


def test_where_there_is_no_exif_the_orientation_of_xmp_counts() -> None:
    stream, said = BytesIO(), b'<rdf:Description tiff:Orientation="8"/>'
    Image.new("RGB", (40, 30)).save(stream, "JPEG", xmp=said)
    with Image.open(BytesIO(stream.getvalue())) as stored:
        assert ImageOps.exif_transpose(stored).size == size_of(stream.getvalue()) == (30, 40)


def test_a_cut_photo_with_a_small_picture_in_its_notes_is_found_cut() -> None:
    small, photo = image("red", 1, "JPEG"), BytesIO()
    Image.effect_noise((300, 200), 50).save(photo, "JPEG", exif=b"Exif\0\0" + small)
    assert not is_cut_short(photo.getvalue())
    assert is_cut_short(photo.getvalue()[:-9])


def test_an_image_that_pillow_would_not_open_is_told_by_its_header() -> None:
    assert 2 * (Image.MAX_IMAGE_PIXELS or 0) == MOST_PIXELS
    assert fault(HUGE) == "is too large to be opened (30,000 x 30,000 pixels; at most 179 million)"
    with pytest.raises(Image.DecompressionBombError):
        Image.open(BytesIO(HUGE))


@pytest.mark.parametrize(
    ("config", "parameters", "published"),
    [
        # multiplications in 1e9: DeiT (Touvron et al. 2021) for ViT-B/16, then the papers' own
        (VIT, 86.6e6, 17.6),
        ({"model_type": "resnet", "depths": [3, 4, 6, 3], "hidden_sizes": [256, 512, 1024, 2048]},
         25.6e6, 4.1),
        ({"model_type": "convnext", "depths": [3, 3, 9, 3], "hidden_sizes": [96, 192, 384, 768],
          "patch_size": 4}, 28.6e6, 4.5),
        ({"model_type": "swin", "depths": [2, 2, 6, 2], "embed_dim": 96, "window_size": 7,
          "patch_size": 4}, 28.3e6, 4.5),
    ],
)  # fmt: skip
def test_work_is_what_papers_say(config: Any, parameters: float, published: float) -> None:
    assert stages(config, 224)
    found = multiplications(config, 224, int(parameters)) / 1e9
    assert found == pytest.approx(published, rel=0.13)
    unknown = multiplications({"model_type": "regnet"}, 224, 20_600_000) / 1e9
    assert unknown == pytest.approx(4.0, rel=0.2)  # RegNetY-4GF (Radosavovic et al. 2020)


def test_memory_grows_with_the_batch_and_shrinks_with_an_adapter() -> None:
    def needs(**settings: Any) -> float:
        params = ImageParams(data_path="photos", **settings)
        return TASK.footprint(params, FACTS, DataReport()).expected

    assert needs() == pytest.approx(2.66e9, rel=0.15)  # measured: ViT-B/16, batches of 8, a CPU
    assert needs(batch_size=32) > needs() > needs(peft=True)
    assert needs(optimizer="sgd") < needs(optimizer="adamw_8bit") < needs()


def test_models_that_do_not_see_images_are_refused() -> None:
    params = ImageParams(data_path="photos")
    TASK.check_model(params, FACTS)
    llama = ModelFacts(
        "m", 1, config={"model_type": "llama", "architectures": ["LlamaForCausalLM"]}
    )
    with pytest.raises(BadConfig, match="LlamaForCausalLM: it does not tell images apart"):
        TASK.check_model(params, llama)
    with pytest.raises(BadConfig, match="timm"):
        TASK.check_model(
            params, ModelFacts("m", 1, config={"num_features": 3, "architecture": "x"})
        )
    resnet = ModelFacts("m", 1, config={"model_type": "resnet"})
    TASK.check_model(params, resnet)
    with pytest.raises(BadConfig, match="no linear layers"):
        TASK.check_model(ImageParams(data_path="photos", peft=True), resnet)


@pytest.mark.slow
def test_the_kinds_are_those_of_transformers() -> None:
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES as KNOWN,
    )

    assert KINDS | UNSUITED.keys() == KNOWN.keys()
    assert CONVOLUTIONS < KINDS


def test_defaults_are_those_of_autotrain() -> None:
    params = ImageParams(data_path="photos")
    assert params.model == "google/vit-base-patch16-224"
    assert (params.peak_lr, params.epochs, params.batch_size) == (5e-5, 3, 8)
    assert (params.gradient_accumulation, params.warmup_ratio) == (1, 0.1)
    assert (params.early_stopping_patience, params.early_stopping_threshold) == (5, 0.01)
    assert (params.image_column, params.target_column) == ("image", "target")


@pytest.mark.parametrize(
    "settings", [{"quantization": "int4", "peft": True}, {"merge_adapter": False}]
)
def test_what_makes_no_sense_for_images_is_refused(settings: Any) -> None:
    with pytest.raises(ValueError, match=r"for language models|always merged"):
        ImageParams(data_path="photos", **settings)


def test_the_check_imports_nothing_heavy() -> None:
    code = (
        "import sys; from worker.tasks.image_classification import TASK, report\n"
        "print(sorted({'torch', 'PIL', 'numpy', 'transformers'} & set(sys.modules)))"
    )
    out = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert json.loads(out.replace("'", '"')) == []


def test_settings_that_do_nothing_for_images_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUBTRAIN_HOME", str(tmp_path))
    report = hubtrain.check(
        "image-classification",
        data_path=str(write_folders(tmp_path / "colours", 6)),
        model=str(write_model(tmp_path / "vit")),
        project_name="x",
        disable_gradient_checkpointing=True,
    )
    (note,) = (f.text for f in report.findings if f.topic == "settings")
    assert "disable_gradient_checkpointing" in note and "all activations kept" in note
