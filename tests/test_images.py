"""Folders of images: what each becomes, and what each that says too little is told."""

from __future__ import annotations

import re
import subprocess
import sys
import unicodedata
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from standins.localhub import HubServer
from tiny_vit import HUGE

from orchestrator.data.package import Package, package
from orchestrator.data.package.shards import SHARD_BYTES
from orchestrator.data.sources import DataSource, find
from worker.common import Data
from worker.contract import DataRef
from worker.errors import BadConfig, BadData
from worker.hubclient import hub
from worker.reading import load

MEDIA = (".jpg", ".jpeg", ".png")


class Settings(Data):
    """Settings of a task that reads images."""

    image_column: str = "image"


def picture(shade: int, kind: str = "png", side: int = 8) -> bytes:
    stream = BytesIO()
    Image.new("RGB", (side, side), (shade, 0, 0)).save(stream, {"jpg": "jpeg"}.get(kind, kind))
    return stream.getvalue()


def write(folder: Path, files: dict[str, bytes | str]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def source(path: Path, **settings: Any) -> DataSource:
    return find(Settings(data_path=str(path), **settings), None, MEDIA)


def told(path: Path, **settings: Any) -> list[tuple[str, Any]]:
    """Return the path of each image and the rest of its row."""
    rows = [dict(row) for _, row in source(path, **settings).tables["train"].rows()]
    return [(row.pop("image")["path"], row) for row in rows]


def packed(path: Path, folder: Path, **settings: Any) -> Package:
    params = Settings(data_path=str(path), **settings)
    return package(find(params, None, MEDIA), params, folder)


def refused(path: Path, **settings: Any) -> str:
    try:
        source(path, **settings).tables["train"].measure(1e9)
    except BadData as error:
        return f"{error.message} {error.fix}"
    return "not refused"


PETS: dict[str, bytes | str] = {
    "cat/2.JPG": picture(2, "jpg"),
    "cat/10.png": picture(10),
    "dog/a b.jpeg": picture(3, "jpg"),
    "dog/ä.png": picture(4),
    "owl/1.png": picture(5),
    "owl/2.png": picture(6),
    "owl/3.png": picture(7),
}
TURNS = ["cat/10.png", "dog/a b.jpeg", "owl/1.png", "cat/2.JPG", "dog/ä.png", "owl/2.png"]
TURNS += ["owl/3.png"]
STRAY: dict[str, bytes | str] = {
    ".DS_Store": "x",
    "cat/Thumbs.db": "x",
    "__MACOSX/cat/._2.jpg": "x",
    "notes.txt": "x",
}


# what can be read


def test_a_folder_per_class_is_a_table_of_images_and_labels(tmp_path: Path) -> None:
    found = source(write(tmp_path / "pets", PETS | STRAY))
    table = found.tables["train"]
    rows = [row for _, row in table.rows()]
    assert [row["image"]["path"] for row in rows] == TURNS
    assert [row["label"] for row in rows] == [0, 1, 2, 0, 1, 2, 2]
    assert rows[0]["image"]["bytes"] == PETS["cat/10.png"]
    assert table.columns() == ("image", "label")
    assert table.classes() == {"label": ("cat", "dog", "owl")}
    measured = table.measure(1e9)
    assert (measured.rows, measured.exact) == (7, True)
    assert found.notes == ("ignored: notes.txt, .DS_Store, __MACOSX, cat/Thumbs.db",)


@pytest.mark.parametrize("wrapped", ["", "my pets/"])
def test_a_zip_is_read_as_its_folder_is(tmp_path: Path, wrapped: str) -> None:
    path = tmp_path / "pets.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (PETS | STRAY).items():
            archive.writestr(wrapped + name, content)
    assert [p.removeprefix(wrapped) for p, _ in told(path)] == TURNS


@pytest.mark.parametrize("valid", ["valid", "validation", "val", "test"])
def test_splits_are_folders_of_their_own(tmp_path: Path, valid: str) -> None:
    files: dict[str, bytes | str] = {f"train/{name}": data for name, data in PETS.items()}
    files |= {f"{valid}/dog/1.png": picture(1), f"{valid}/owl/1.png": picture(2)}
    write(tmp_path / "pets", files)
    found = source(tmp_path / "pets", valid_split=valid)
    table = found.tables["valid"]
    assert [row["label"] for _, row in table.rows()] == [1, 2], "numbers as in training"
    assert table.classes() == found.tables["train"].classes()
    assert source(tmp_path / "pets").unused == ("test" if valid == "test" else "valid",)
    with pytest.raises(BadConfig, match="no split 'holdout'"):
        source(tmp_path / "pets", valid_split="holdout")


def test_a_split_may_have_any_name_that_is_asked_for(tmp_path: Path) -> None:
    write(tmp_path / "pets", {f"fold1/{name}": data for name, data in PETS.items()})
    assert len(told(tmp_path / "pets", train_split="fold1")) == 7


LISTS = {
    "metadata.csv": "file_name,target\nimg/1.png,0.5\n2.JPG,1\n",
    "metadata.jsonl": '{"file_name": "img/1.png", "target": 0.5}\n'
    '{"file_name": "2.JPG", "target": 1}\n',
    "labels.csv": "target,photo\n0.5,./img/1.png\n1,2.JPG\n",
}


@pytest.mark.parametrize("name", LISTS)
def test_a_list_says_what_the_images_show(tmp_path: Path, name: str) -> None:
    images: dict[str, bytes | str] = {"img/1.png": picture(1), "2.JPG": picture(2, "jpg")}
    rows = [("img/1.png", {"target": 0.5}), ("2.JPG", {"target": 1})]
    write(tmp_path / "a", {**images, name: LISTS[name]})
    assert told(tmp_path / "a") == rows
    assert told(tmp_path / "a" / name) == rows, "the list by its own path"
    below = {f"train/{n}": content for n, content in {**images, name: LISTS[name]}.items()}
    assert [row for _, row in told(write(tmp_path / "b", below))] == [r for _, r in rows]


def test_a_column_of_paths_that_a_setting_names_keeps_its_name(tmp_path: Path) -> None:
    write(tmp_path, {"1.png": picture(1), "labels.csv": "photo,target\n1.png,1\n"})
    assert source(tmp_path).tables["train"].columns() == ("image", "target")
    kept = source(tmp_path, image_column="photo").tables["train"]
    assert kept.columns() == ("photo", "target")


def test_names_with_umlauts_are_found_however_a_system_writes_them(tmp_path: Path) -> None:
    write(tmp_path, {unicodedata.normalize("NFD", "Bär.png"): picture(1)})
    write(tmp_path, {"metadata.csv": "file_name,target\nBär.png,1\n"})
    assert len(told(tmp_path)) == 1


def test_tables_beside_a_logo_are_tables_and_a_task_of_tables_sees_no_images(
    tmp_path: Path,
) -> None:
    write(tmp_path, {"logo.png": picture(1), "train.csv": "text\nhello\n"})
    found = find(Data(data_path=str(tmp_path)), None)
    assert [row for _, row in found.tables["train"].rows()] == [{"text": "hello"}]


# what is wrong

ONE = picture(1)
WRONG: list[tuple[dict[str, bytes | str], str]] = [
    ({"cat/1.png": ONE, "dog/x.txt": "x"}, "the folder dog holds no images"),
    ({"cat/1.png": ONE, "cat/2.png": ONE}, "a single folder of images, cat"),
    ({"1.png": ONE, "2.png": ONE}, r"1\.png and 1 more\), and nothing says what they show"),
    ({"1.png": ONE, "cat/1.png": ONE, "dog/1.png": ONE}, r"1\.png lies beside the folders"),
    ({"cat/big/1.png": ONE, "dog/1.png": ONE}, "cat/big is a folder of images within"),
    ({"cat/1.png": ONE, "dog/2.png": b""}, r"dog/2\.png is empty"),
    (
        {"cat/1.png": ONE, "cat/2.png": "x", "dog/1.png": b"", "dog/2.png": ONE[:-20]},
        r"dog/1\.png is empty; cat/2\.png is no image .*; dog/2\.png is cut short",
    ),
    ({"cat/1.png": ONE, "dog/2.png": "<html>"}, r"dog/2\.png is no image .it begins with '<html>'"),
    ({"cat/1.png": ONE, "dog/ü 2.png": ONE[:-20]}, r"dog/ü 2\.png is cut short"),
    ({"cat/1.png": ONE, "dog/2.jpg": picture(2, "jpg", 64)[:-40]}, r"dog/2\.jpg is cut short"),
    ({"cat/1.png": ONE, "dog/2.png": HUGE}, r"dog/2\.png is too large .*30,000 x 30,000"),
    ({"1.png": ONE, "metadata.csv": "name,x\n1.png,1\n"}, r"metadata\.csv has no column file_name"),
    ({"1.png": ONE, "metadata.csv": "file_name\n1.png\n2.png\n"}, r"row 3 has '2\.png'"),
    ({"1.png": ONE, "metadata.csv": "file_name,x\n,1\n"}, "row 2 has none"),
    ({"1.png": ONE, "metadata.csv": "file_name\n../x.png\n"}, r"row 2 has '\.\./x\.png'"),
    ({"1.png": ONE, "a.csv": "photo,image\n1.png,1\n"}, "a column image too"),
    (
        {"train/a/1.png": ONE, "train/b/1.png": ONE, "valid/c/1.png": ONE, "valid/a/1.png": ONE},
        "valid/c is a class that the training images do not have",
    ),
]


@pytest.mark.parametrize(("files", "message"), WRONG, ids=[w[1][:24] for w in WRONG])
def test_a_folder_that_cannot_be_used_is_explained(
    tmp_path: Path, files: dict[str, bytes | str], message: str
) -> None:
    path = write(tmp_path / "pets", files)
    valid = "valid" if any(name.startswith("valid/") for name in files) else None
    assert re.search(message, refused(path, valid_split=valid))


def test_a_small_zip_with_an_image_that_fills_the_memory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("cat/1.png", ONE)
        with archive.open("dog/2.png", "w", force_zip64=True) as bomb:
            bomb.write(ONE)
            for _ in range(140):
                bomb.write(bytes(1 << 20))
    assert path.stat().st_size < 1 << 20
    assert "dog/2.png has 147 MB, which no image has" in refused(path)


def test_links_that_lead_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    pets = write(tmp_path / "pets", PETS)
    write(tmp_path / "mine", {"secret.png": picture(9)})
    (pets / "cat" / "3.png").symlink_to(tmp_path / "mine" / "secret.png")
    assert "cat/3.png in" in refused(pets) and "outside that folder" in refused(pets)
    (pets / "cat" / "3.png").unlink()
    (pets / "cow").symlink_to(tmp_path / "mine")
    assert "cow in pets is a link to a folder" in refused(pets)
    (tmp_path / "list").mkdir()
    (tmp_path / "list" / "x.png").symlink_to(tmp_path / "mine" / "secret.png")
    listed = write(tmp_path / "list", {"y.png": ONE, "a.csv": "image\ny.png\nx.png\n"}) / "a.csv"
    assert "row 3 has 'x.png'" in refused(listed)


def test_a_broken_image_that_the_check_did_not_come_to_is_found_when_it_is_packed(
    tmp_path: Path,
) -> None:
    path = write(tmp_path / "pets", {**PETS, "owl/9.png": "no"})
    source(path).tables["train"].measure(100)
    with pytest.raises(BadData, match=r"owl/9\.png is no image"):
        packed(path, tmp_path / "out")
    assert not (tmp_path / "out" / "data").exists()


# packing


def test_packed_images_are_what_stock_datasets_calls_images_and_labels(tmp_path: Path) -> None:
    """The judge is the library whose features they are."""
    from datasets import ClassLabel, load_dataset
    from datasets import Image as Images

    made = packed(write(tmp_path / "pets", PETS), tmp_path / "out")
    again = packed(tmp_path / "pets", tmp_path / "again")
    assert made.content == again.content and made.rows == 7
    files = [str(made.folder / name) for name in made.train]
    stock = load_dataset("parquet", data_files=files, cache_dir=str(tmp_path), split="train")
    assert isinstance(stock.features["image"], Images)
    assert stock.features["label"] == ClassLabel(names=["cat", "dog", "owl"])
    assert stock[0]["image"].getpixel((0, 0)) == (10, 0, 0)
    split = load(DataRef(folder=str(made.folder), train=made.train))["train"]
    assert split.classes == {"label": ("cat", "dog", "owl")}
    assert [row for _, row in split.rows] == [
        row for _, row in source(tmp_path / "pets").tables["train"].rows()
    ]
    assert packed(tmp_path / "pets", tmp_path / "few", max_samples=3).rows == 3


WEIGHED = """
import resource, sys
from orchestrator.data.package import package
from orchestrator.data.sources import find
from pathlib import Path
from worker.common import Data
params = Data(data_path=sys.argv[1])
found = find(params, None, (".png",))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
made = package(found, params, Path(sys.argv[2]))
grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
print(made.rows, len(made.train), grown)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="weighs itself as POSIX does")
def test_a_large_folder_is_packed_in_shards_and_not_held_in_memory(tmp_path: Path) -> None:
    """Images of ten shards, whose files are links to one of them in the folder."""
    large = ONE[:-12] + b"\0" * (1 << 20) + ONE[-12:]
    pets = write(tmp_path / "pets", {"cat/0.png": large, "dog/0.png": large})
    count = 10 * SHARD_BYTES // len(large)
    for number in range(1, count // 2):
        for kind in ("cat", "dog"):
            (pets / kind / f"{number}.png").hardlink_to(pets / kind / "0.png")
    told = subprocess.run(
        [sys.executable, "-c", WEIGHED, str(pets), str(tmp_path / "out")],
        capture_output=True,
        text=True,
        check=True,
    )
    rows, shards, grown = map(int, told.stdout.split())
    assert rows == count // 2 * 2 and shards >= 9
    assert grown < 8 * SHARD_BYTES


# the Hub


def test_images_of_the_hub_are_used_in_parquet_and_refused_as_files(
    tmp_path: Path, shared_hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", shared_hub.endpoint)
    monkeypatch.setenv("HF_TOKEN", shared_hub.tokens["ann"])
    api = hub(shared_hub.tokens["ann"])
    made = packed(write(tmp_path / "pets", PETS), tmp_path / "out")
    for name, folder in {"ann/packed": made.folder, "ann/loose": tmp_path / "pets"}.items():
        api.create_repo(name, repo_type="dataset")
        api.upload_folder(repo_id=name, repo_type="dataset", folder_path=folder)
    found = find(Settings(data_path="ann/packed"), api, MEDIA)
    assert found.remote is not None
    assert found.tables["train"].classes() == {"label": ("cat", "dog", "owl")}
    assert load(found.remote)["train"].classes == {"label": ("cat", "dog", "owl")}
    with pytest.raises(BadData, match="7 examples as files of their own") as caught:
        find(Settings(data_path="ann/loose"), api, MEDIA)
    assert "hf download ann/loose --repo-type dataset" in caught.value.fix
