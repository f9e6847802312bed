"""What the check says of how many examples there are, and of those that judge. Light."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from worker.common import Data
from worker.families.corpus import Corpus
from worker.finding import Finding


def size(corpus: Corpus[Any, Any], params: Data, *said: str, of: str = "") -> Finding:
    """How many examples there are, as `said`, and what is held out of them: `of each class`."""
    parts = [corpus.train.source, *said]
    if corpus.valid is not None:
        parts.append(f"{len(corpus.held):,} for validation from {corpus.valid.source}")
    elif params.valid_share is not None:
        kept = " ".join(filter(None, (f"{params.valid_share:.0%}", of, "held out for validation")))
        parts.append(kept)
    return Finding("ok", "data", " · ".join(parts))


def how_many(corpus: Corpus[Any, Any], unit: str) -> str:
    """Return how many examples the training split has, called `unit` (plural)."""
    return f"{corpus.about(len(corpus.train.examples))} {unit}"


def not_validated(
    corpus: Corpus[Any, Any], params: Data, what: str, unit: str
) -> Iterable[Finding]:
    """Nothing held out, though perhaps it was meant to be: nobody will know `what`.

    `unit` is what an example is called, singular.
    """
    if corpus.held or not corpus.learned:
        return
    if corpus.valid is None and params.valid_share is None:
        text = f"nothing is held out: nobody will know {what}"
        yield Finding("warn", "data", text, fix="--valid-split 0.2")
    else:
        text = f"no {unit} is left to validate with: nobody will know {what}"
        yield Finding("warn", "data", text, fix="more rows")
