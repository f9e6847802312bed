"""What a model says to a few examples of the data, before and after it is trained.

What is asked is an `Asking`: how a prompt goes on (`Continuing`), what is hidden in a text
(`training.blanks`), how two answers score (`pairs.training.ranking`). Nothing is left to chance,
so the training is the same with and without. Bounded in tokens and in time. Nothing here may end a
training: what fails is told in the log.
"""

from __future__ import annotations

import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import torch
from transformers import Trainer

from worker import samples
from worker.engine.model import Loaded
from worker.engine.phases import phase
from worker.engine.speaking import ends_of
from worker.task import Run
from worker.tasks.llm import trainers
from worker.tasks.llm.params import LlmParams
from worker.tasks.llm.tokens import Tokens
from worker.tasks.llm.trainers._sampling import Sampling
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


class Asking(ABC):
    """What a model is asked about some examples."""

    about: ClassVar[str]
    """What its answers are, for the card: a sentence."""

    @property
    @abstractmethod
    def asked(self) -> Sequence[tuple[str, str]]:
        """What is asked, and what the data says to it, as text."""

    @abstractmethod
    def answers(self, model: Any) -> Iterator[str]:
        """Yield what the model says to each."""


@dataclass(slots=True)
class Samples:
    """What is asked of a model, and what it said; nothing where it was not asked."""

    asking: Asking
    before: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)

    def ask_before(self, trainer: Trainer, loaded: Loaded, run: Run) -> None:
        """Ask the model before it is trained, and leave what it says for the page of the job."""
        self.before = self._asked(trainer, loaded, run)
        if self.before:
            with suppress(OSError):
                self._told().write(run.work)

    def ask_after(self, trainer: Trainer, loaded: Loaded, run: Run) -> None:
        """Ask the trained model the same."""
        self.after = self._asked(trainer, loaded, run)
        with suppress(OSError):
            self.write(run.work)

    def _asked(self, trainer: Trainer, loaded: Loaded, run: Run) -> list[str]:
        """Return the answers of the model as it is now; none where they cannot be had."""
        if not self.asking.asked or run.stop.is_set() or trainer.args.world_size > 1:
            return []
        with phase(run.emit, "answering samples"):
            try:
                with torch.no_grad(), evaluating(loaded.model), loaded.precision.mixed():
                    return list(self.asking.answers(loaded.model))
            except Exception as error:  # memory, a model that cannot generate: it can be trained
                sys.stderr.write(f"No samples: {error}\n")
                return []

    def write(self, folder: Path) -> None:
        """Write what the card shows into the folder of the model."""
        if self.before and self.after:
            self._told().write(folder)

    def _told(self) -> samples.Samples:
        """Return what there is: of the trained model only once it has been asked."""
        asked = zip(self.asking.asked, self.before, strict=False)
        told = [{"prompt": p, "data": data, "before": before} for (p, data), before in asked]
        pairs = zip(told, self.after, strict=False)
        both = [{**one, "after": after} for one, after in pairs] if self.after else told
        return samples.Samples(self.asking.about, both)


def count_of(params: LlmParams) -> int:
    """Return how many samples are asked for."""
    own = trainers.of(params).own(params)
    return own.samples if isinstance(own, Sampling) else 0


@dataclass(frozen=True, slots=True)
class TokenizedPrompt:
    """A prompt of the data in tokens, and how the data goes on."""

    ids: tuple[int, ...]
    expected: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Continuing(Asking):
    """How prompts go on, by the likeliest token each time."""

    about = "Always the likeliest token, for the first prompts of the data it was judged by."

    tokenizer: Any
    prompts: Sequence[TokenizedPrompt]
    turn_end: str | None = None

    @property
    def asked(self) -> Sequence[tuple[str, str]]:
        """Prompts, and how the data goes on."""
        return [(self._text(p.ids), self._text(p.expected)) for p in self.prompts]

    def answers(self, model: Any) -> Iterator[str]:
        """Yield what the model says to each prompt."""
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
        end = self.tokenizer.convert_tokens_to_ids(self.turn_end) if self.turn_end else None
        ends = ends_of(model.generation_config)
        return [*ends, *([end] if isinstance(end, int) else [])] or None

    def _text(self, ids: Iterable[int]) -> str:
        text: str = self.tokenizer.decode(list(ids), skip_special_tokens=False)
        return text


def continuing(
    params: LlmParams, tokenizer: Any, examples: Iterable[Tokens], turn_end: str | None
) -> Samples:
    """Return so many prompts as the settings ask for, the first that differ."""
    return Samples(Continuing(tokenizer, prompts_of(examples, count_of(params)), turn_end))


def prompts_of(examples: Iterable[Tokens], count: int) -> list[TokenizedPrompt]:
    """Return the first prompts that differ, at most `count`."""
    found: dict[tuple[int, ...], TokenizedPrompt] = {}
    for tokens in islice(examples, LOOKED_AT):
        if len(found) == count:
            break
        with suppress(ValueError):  # nothing to say behind it
            prompt = _prompt(tokens)
            found.setdefault(prompt.ids, prompt)
    return list(found.values())


def _prompt(tokens: Tokens) -> TokenizedPrompt:
    """Return prompt and answer of an example; raises `ValueError` where it has none."""
    start = tokens.learned.index(1, 1)
    if start == 1:  # a text
        start = min(BEGINNING, len(tokens) // 2)
    if start < 1:
        raise ValueError("too short")
    end = tokens.learned.find(0, start)
    end = min(end if end > 0 else len(tokens), start + LONGEST_ANSWER)
    ids = tuple(tokens.ids[max(0, start - LONGEST_PROMPT) : start])
    return TokenizedPrompt(ids, tuple(tokens.ids[start:end]))
