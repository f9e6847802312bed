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

from worker.contract import ModelRef
from worker.errors import BadConfig
from worker.paths import base_of_adapter, ref_of
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
        name = json.dumps(model)
        return python(
            f"from transformers import {self.auto_class}, AutoTokenizer",
            "",
            f"model = {self.auto_class}.from_pretrained({name})",
            f"tokenizer = AutoTokenizer.from_pretrained({name})",
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


def revision_of(ref: ModelRef, facts: ModelFacts) -> dict[str, Any]:
    """Return the revision of a model as transformers' `from_pretrained` takes it.

    That of an adapter is not one of its base (transformers 5.23 would look for it there).
    """
    if not facts.adapter:
        return {"revision": ref.revision}
    base = base_of_adapter(facts.adapter)
    return {"revision": base and base.revision, "adapter_kwargs": {"revision": ref.revision}}


def facts_of(model: str) -> ModelFacts:
    """Return what the files of a model, or of an adapter and its base, say of it."""
    from transformers import PreTrainedConfig
    from transformers.utils import cached_file

    ref = ref_of(model)
    file = cached_file(
        ref.name,
        "adapter_config.json",
        revision=ref.revision,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
    )
    adapter: dict[str, Any] = {}
    if file:
        with open(file, encoding="utf-8") as stream:
            adapter = json.load(stream)
    whole = base_of_adapter(adapter) or ref
    config, _ = PreTrainedConfig.get_config_dict(whole.name, revision=whole.revision)
    return ModelFacts(model, 0, config=config, adapter=adapter)
