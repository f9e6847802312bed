"""What a model said to a few prompts, before and after: a trainer writes it, card and page show it.

It is a file of JSON with the fields of `Samples`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SAMPLES_FILE = "samples.json"
"""Beside a finished model; in the work folder of a job as soon as there is something to show."""


@dataclass(frozen=True, slots=True)
class Samples:
    """What a model was asked, and what it said."""

    about: str
    samples: Sequence[Mapping[str, str]]
    """Each with `prompt`, `data`, which is how the data goes on, `before`, and once the model is
    trained `after`."""

    def write(self, folder: Path) -> None:
        """Write the file into a folder, at once as a whole: others read it meanwhile."""
        content = {"about": self.about, "samples": [dict(one) for one in self.samples]}
        made = folder / f".{SAMPLES_FILE}"
        made.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        made.replace(folder / SAMPLES_FILE)


def read(file: Path) -> Samples | None:
    """Return the samples of a file, control characters shown; none where there is no such file."""
    try:
        return parsed(file.read_text("utf-8"))
    except FileNotFoundError:
        return None


def parsed(text: str) -> Samples:
    """Return the samples of such a file's text. Raises `ValueError`, `LookupError`, `TypeError`."""
    found = json.loads(text)
    shown = [{name: _visible(said) for name, said in one.items()} for one in found["samples"]]
    return Samples(found["about"], shown)


def _visible(said: str) -> str:
    return "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in said)
