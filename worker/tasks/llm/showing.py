"""One example shown token by token: which of it is given, which is learned, where it is cut.

What it marks is what `tokens.encode` hands to the training, and no second opinion.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from worker.rendered import Part, Rendered, rendered
from worker.tasks.llm import trainers
from worker.tasks.llm.data import Examples, Speech, text_end
from worker.tasks.llm.params import LlmParams
from worker.tasks.llm.tokens import Example, spelled

LOOKED_AT = 1 << 16
"""Characters of the example that are looked at."""


def example(
    found: Examples, params: LlmParams, tokenizer: Any, how: Speech, row: int
) -> Rendered | None:
    """Return the first example that something is learned from; `row` is a training row's tokens.

    None if there is no such example.
    """
    for line, one in zip(found.lines, found.examples, strict=True):
        if one.learned is None or any(start < LOOKED_AT for start, _ in one.learned):
            where = place(line, found.layout.source)
            head = Example(one.text[:LOOKED_AT], one.learned, one.finished, one.ends)
            if tokenizer is None:
                eos = how.eos if trainers.of(params).ends_texts else None
                return rendered(where, _characters(head, eos))
            parts = list(parts_of(head, tokenizer, text_end(params, how, tokenizer)))
            if len(parts) > row and not trainers.of(params).continues:
                return rendered(where, islice(parts, row), f"cut at {row:,} tokens")
            return rendered(where, parts)
    return None


def place(line: int, source: str) -> str:
    """Return how people are told of a row."""
    return f"line {line} of {source}"


def parts_of(one: Example, tokenizer: Any, eos: int | None) -> Iterator[Part]:
    """Yield the tokens of an example, each with its text and whether it is learned."""
    added = tokenizer.get_added_tokens_decoder()
    for token, text, learned in spelled(one, tokenizer, eos):
        special = token in added and (added[token].special or "|>" in added[token].content)
        yield Part(tokenizer.id_to_token(token) if special else text, learned, special)


def _characters(one: Example, eos: str | None) -> Iterator[Part]:
    """Yield the parts of an example whose tokens are not known."""
    at = 0
    for start, end in ((0, len(one.text)),) if one.learned is None else one.learned:
        yield Part(one.text[at:start])
        yield Part(one.text[start:end], learned=True)
        at = end
    yield Part(one.text[at:])
    if eos and one.ends and not one.finished:
        yield Part(eos, learned=True, special=True)
