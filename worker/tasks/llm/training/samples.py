"""What a model says to a few prompts of the data, before and after it is trained.

Greedy, so that nothing is left to chance and the training is the same with and without. Bounded in
tokens and in time. Nothing here may end a training: what fails is told in the log.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from transformers import Trainer

from worker.engine.model import Loaded
from worker.task import SAMPLES_FILE
from worker.tasks.llm.tokens import Tokens
from worker.tasks.llm.training.batches import evaluating

LOOKED_AT = 1000
"""Examples in which prompts are looked for."""

LONGEST_PROMPT = 192
"""Tokens of a prompt, its last ones."""

LONGEST_ANSWER = 48
"""Tokens of an answer."""

BEGINNING = 24
"""Tokens of a text that is learned whole which are its prompt, or half of a shorter one."""

SECONDS = 20.0
"""For all answers of one model."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt of the data in tokens, and how the data goes on."""

    ids: tuple[int, ...]
    expected: tuple[int, ...]


@dataclass(slots=True)
class Samples:
    """Prompts, and what the model said to them; none where it was not asked."""

    tokenizer: Any
    prompts: Sequence[Prompt]
    turn_end: str | None = None
    before: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)

    def ask(self, trainer: Trainer, loaded: Loaded) -> list[str]:
        """Return the answers of the model as it is now; none where they cannot be had."""
        if not self.prompts or trainer.args.world_size > 1:
            return []
        try:
            with evaluating(loaded.model), loaded.precision.mixed():
                return list(self._answers(loaded.model))
        except Exception as error:  # memory, a model that cannot generate: it can still be trained
            sys.stderr.write(f"No samples: {error}\n")
            return []

    def write(self, folder: Path) -> None:
        """Write what the card shows into the folder of the model."""
        if not self.before or not self.after:
            return
        told = [
            {"prompt": self._text(p.ids), "data": self._text(p.expected), "before": b, "after": a}
            for p, b, a in zip(self.prompts, self.before, self.after, strict=False)
        ]
        text = json.dumps(told, indent=2, ensure_ascii=False) + "\n"
        (folder / SAMPLES_FILE).write_text(text, encoding="utf-8")

    def _answers(self, model: Any) -> Iterator[str]:
        ends = time.monotonic() + SECONDS
        for prompt in self.prompts:
            ids = torch.tensor([prompt.ids], device=model.device)
            out = model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=LONGEST_ANSWER,
                max_time=max(0.1, ends - time.monotonic()),
                do_sample=False,
                temperature=None,
                top_p=None,
                top_k=None,
                use_cache=True,
                eos_token_id=self._stops(model),
                pad_token_id=self.tokenizer.pad_token_id or self.tokenizer.eos_token_id or 0,
            )
            yield self._text(out[0, ids.shape[1] :].tolist())

    def _stops(self, model: Any) -> list[int] | None:
        known = model.generation_config.eos_token_id
        found = [known] if isinstance(known, int) else list(known or [])
        end = self.tokenizer.convert_tokens_to_ids(self.turn_end) if self.turn_end else None
        return [*found, *([end] if isinstance(end, int) else [])] or None

    def _text(self, ids: Iterable[int]) -> str:
        text: str = self.tokenizer.decode(list(ids), skip_special_tokens=False)
        return text


def prompts_of(examples: Sequence[Tokens], count: int) -> list[Prompt]:
    """Return the first prompts that differ, at most `count`."""
    found: dict[tuple[int, ...], Prompt] = {}
    for tokens in islice(examples, LOOKED_AT):
        if len(found) == count:
            break
        with suppress(ValueError):  # nothing to say behind it
            prompt = _prompt(tokens)
            found.setdefault(prompt.ids, prompt)
    return list(found.values())


def _prompt(tokens: Tokens) -> Prompt:
    """Return prompt and answer of an example; raises `ValueError` where it has none."""
    start = tokens.learned.index(1, 1)
    if start == 1:  # a text
        start = min(BEGINNING, len(tokens) // 2)
    if start < 1:
        raise ValueError("too short")
    end = tokens.learned.find(0, start)
    end = min(end if end > 0 else len(tokens), start + LONGEST_ANSWER)
    ids = tuple(tokens.ids[max(0, start - LONGEST_PROMPT) : start])
    return Prompt(ids, tuple(tokens.ids[start:end]))
