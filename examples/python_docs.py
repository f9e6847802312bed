"""Makes `examples/python-docs.jsonl`: the language reference that ships with Python, as a chat.

Each topic of `pydoc_data.topics` becomes a question and its answer: the paragraphs it begins with.
The text is the Python documentation's, under the PSF licence; it is read from the interpreter that
runs this.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from pydoc_data.topics import topics

HERE = Path(__file__).parent
ANSWER_CHARACTERS = 2300
"""Longest answer: whole paragraphs, so that a model learns to end where a person would."""


def rows() -> list[dict[str, object]]:
    """Return one conversation per topic, in the order of their names."""
    return [
        {
            "messages": [
                {"role": "user", "content": f"What does Python's reference say about {name!r}?"},
                {"role": "assistant", "content": opening(text)},
            ]
        }
        for name, text in sorted(topics.items())
    ]


def opening(text: str, most: int = ANSWER_CHARACTERS) -> str:
    """Return the paragraphs a text begins with: one, or as many as fit in `most` characters."""
    taken = ""
    for paragraph in text.strip().split("\n\n"):
        if taken and len(taken) + len(paragraph) > most:
            break
        taken += paragraph.rstrip() + "\n\n"
    return taken.strip()


def write(path: Path) -> int:
    """Write the rows as JSON lines and return how many there are."""
    made = rows()
    path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in made), "utf-8")
    return len(made)


if __name__ == "__main__":
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "python-docs.jsonl"
    sys.stdout.write(f"{write(path)} conversations in {path}\n")
