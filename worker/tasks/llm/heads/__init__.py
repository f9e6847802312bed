"""What a language model puts out: one class for each kind of output layer, its head.

A trainer names the head of the models it makes; so a card, and a question to a finished model,
know what it is without knowing who trained it. To add one, write a module here with a subclass of
`Head`, and name it in a trainer. Light: only `session` and `opened` import what models need.
"""

from __future__ import annotations

import json
import shlex
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from worker.errors import BadConfig
from worker.session import Session
from worker.task import Field, ModelFacts, Page, python
from worker.tasks.llm.params import Question

Config = Mapping[str, Any]
"""A `config.json`."""


Answer = Callable[[Question], Any]
"""A loaded model: returns what it answers to a question that has a prompt, as plain data."""


class Head(ABC):
    """What a language model puts out, and how it is told from others, loaded and asked."""

    called: ClassVar[str]
    """What a model with it is: causal language model."""

    does: ClassVar[str]
    """What such a model does, behind "it": goes on with a text."""

    such_as: ClassVar[str]
    """Hub id of a small one, for who has none."""

    auto_class: ClassVar[str]
    """Class of transformers that loads one."""

    pipeline_tag: ClassVar[str]
    """What such a model does, in the Hub's words."""

    goes_on: ClassVar[bool] = False
    """Whether it tells how likely each next token of a text is."""

    peft_type: ClassVar[str | None] = None
    """What it does, as peft writes it into an adapter; none where peft has no word for it."""

    @abstractmethod
    def is_on(self, config: Config) -> bool:
        """Return whether a whole model has this head."""

    def fits(self, config: Config) -> bool:
        """Return whether a model can be made into one with this head: by default, if it has it."""
        return self.is_on(config)

    def check_model(self, facts: ModelFacts) -> None:
        """Raise `BadConfig` for a model that this head does not fit."""
        if not self.fits(facts.config):
            raise BadConfig(
                f"{facts.name} is a {kind_of(facts.config)}, which is no {self.called}: it does "
                f"not {self.does}.",
                fix=f"--model with one that does, such as {self.such_as}",
            )

    def loading(self, model: str, *, adapter: bool) -> str:
        """Return how `model` is loaded, for its card, in Markdown."""
        return python(*self.loaded(json.dumps(model)))

    def loaded(self, model: str) -> tuple[str, ...]:
        """Return the lines of Python that load a model, named as Python has it, and tokenizer."""
        return (
            f"from transformers import {self.auto_class}, AutoTokenizer",
            "",
            f"model = {self.auto_class}.from_pretrained({model})",
            f"tokenizer = AutoTokenizer.from_pretrained({model})",
        )

    def try_it(self, model: str) -> str:
        """Return the command that asks `model` something."""
        return f'hubtrain llm --inference --model {shlex.quote(model)} --prompt "…"'

    def page(self) -> Page:
        """Return how visitors ask a deployed model: with a prompt."""
        return Page(self.pipeline_tag, (Field("prompt", "Prompt", column="prompt_text_column"),))

    def session(self, model: str, question: Question, stop: threading.Event) -> Session | None:
        """Return `model` where it can be talked to; heavy libraries are imported inside."""
        return None

    @abstractmethod
    def opened(self, model: str, question: Question) -> Answer:
        """Return `model`, loaded; `question` says how, and heavy libraries are as above."""


def kind_of(config: Config) -> str:
    """Return what a `config.json` calls its model: the class, else the family."""
    return str(next(iter(classes(config)), config.get("model_type")))


def classes(config: Config) -> list[str]:
    """Return the classes of transformers that a `config.json` names."""
    named = config.get("architectures")
    return [str(name) for name in named] if isinstance(named, list) else []
