"""Asks a trained model of a text: imports transformers when it is called."""

from __future__ import annotations

from typing import Any

from worker.paths import ref_of


def told_of(model: str, text: str, *, top_k: int, trust_remote_code: bool) -> list[dict[str, Any]]:
    """Return what transformers' pipeline says of a text: `{"label": …, "score": …}` each."""
    from transformers import pipeline

    ref = ref_of(model)
    ask = pipeline(
        "text-classification",
        model=ref.name,
        revision=ref.revision,
        trust_remote_code=trust_remote_code,
    )
    found: list[dict[str, Any]] = ask(text, top_k=top_k, truncation=True)
    return found
