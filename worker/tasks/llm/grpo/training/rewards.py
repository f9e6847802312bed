"""What scores answers, ready to be asked: functions of the user's, and reward models.

A function is a stranger to this program: it may raise, return what is no score, or never return.
Each is told as that, by its name, and ends the job as its data would.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
import sys
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from worker.budget import OverBudget, at_most
from worker.contract import ModelRef
from worker.engine import devices
from worker.engine.source import Source
from worker.errors import BadConfig, BadData
from worker.reading.load import local_files
from worker.shorten import shortened
from worker.task import Run
from worker.tasks.llm.grpo import signature, sources
from worker.tasks.llm.grpo.params import GrpoParams
from worker.tasks.llm.grpo.prompts import Prompt
from worker.tasks.llm.params import LlmParams

Scores = list[float | None]

LONGEST_FAULT = 300
"""Characters that are told of what a function raised or returned."""


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers that are scored together, and what they answer: everything that is scored."""

    prompts: Sequence[Prompt]
    """One for each answer."""

    texts: Sequence[str]
    ids: Sequence[Sequence[int]]

    def only(self, places: Sequence[int]) -> Answers:
        """Return the answers at some places."""
        return Answers(
            [self.prompts[i] for i in places],
            [self.texts[i] for i in places],
            [self.ids[i] for i in places],
        )

    def handed(self) -> dict[str, Any]:
        """Return what TRL hands to reward functions, by the names it gives it."""
        columns = dict.fromkeys(name for prompt in self.prompts for name in prompt.columns)
        plain = [isinstance(prompt.asked, str) for prompt in self.prompts]
        return {
            **{name: [prompt.columns.get(name) for prompt in self.prompts] for name in columns},
            "prompts": [
                prompt.asked if text else list(prompt.asked)
                for prompt, text in zip(self.prompts, plain, strict=True)
            ],
            "completions": [
                said if text else [{"role": "assistant", "content": said}]
                for said, text in zip(self.texts, plain, strict=True)
            ],
            "completion_ids": [list(ids) for ids in self.ids],
        }


class Reward(ABC):
    """What scores answers."""

    name: str

    @abstractmethod
    def __call__(self, answers: Answers, more: Mapping[str, Any]) -> Scores:
        """Return a score for each answer; none for those that it has nothing to say of."""


def loaded(params: LlmParams, own: GrpoParams, run: Run) -> list[Reward]:
    """Return what scores the answers. Raises `HubtrainError` for what is not to be had here."""
    sent = {path.name: path for path in local_files(run.files)["train"]} if run.files else {}
    found: list[Reward] = []
    execute = cache(_executed)  # a file is executed once, whatever is taken of it
    for one in own.sources:
        match one:
            case sources.File():
                path = sent.get(one.name, Path(one.path))
                module = _imported(one.name, partial(execute, path))
                found += _of_file(module, path, one.function, own.reward_seconds)
            case sources.Import():
                module = _imported(one.module, partial(importlib.import_module, one.module))
                found.append(_function(module, one.function, own.reward_seconds))
            case sources.Model():
                source = Source(
                    ModelRef.named(one.name),
                    AutoModelForSequenceClassification,
                    params.trust_remote_code,
                )
                found.append(ModelReward.of(source, params.batch_size))
    return _named_apart(found)


def _named_apart(found: list[Reward]) -> list[Reward]:
    """Return rewards of which no two have the same name: it is the name of a measurement."""
    seen: set[str] = set()
    for place, one in enumerate(found, 1):
        if one.name in seen:
            one.name = f"{one.name}_{place}"
        seen.add(one.name)
    return found


def _of_file(module: ModuleType, path: Path, name: str | None, seconds: float) -> Iterator[Reward]:
    for function in signature.functions(sources.File(str(path), name)):
        yield _function(module, function.name, seconds)


def _executed(path: Path) -> ModuleType:
    name = f"hubtrain_rewards_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where dataclasses and pickle look for it
    spec.loader.exec_module(module)
    return module


def _imported(name: str, bring: Callable[[], ModuleType]) -> ModuleType:
    try:
        return bring()
    except (Exception, SystemExit) as error:
        raise BadConfig(
            f"{name} cannot be imported on the machine that trains: {_fault(error)}"
        ) from error


def _function(module: ModuleType, name: str, seconds: float) -> FunctionReward:
    function = getattr(module, name, None)
    if not callable(function):
        raise BadConfig(f"{name} of {module.__name__} is no function.")
    return FunctionReward(name, function, seconds)


def _fault(error: BaseException) -> str:
    said = " ".join(str(error).split())
    return shortened(
        f"{type(error).__name__}: {said}" if said else type(error).__name__, LONGEST_FAULT
    )


@dataclass(slots=True)
class FunctionReward(Reward):
    """A function that is called as TRL calls reward functions."""

    name: str
    function: Callable[..., Any]
    seconds: float
    """Longest time it may take."""

    def __call__(self, answers: Answers, more: Mapping[str, Any]) -> Scores:
        """Return its scores. Raises `BadData` for whatever is wrong with them or with it."""
        try:
            with at_most(self.seconds):
                found = list(self.function(**answers.handed(), **more))
        except OverBudget as late:
            raise BadData(
                f"The reward function {self.name} was not done with {len(answers.texts)} answers "
                f"after {self.seconds:g} s.",
                fix=f"--reward-seconds {10 * self.seconds:g}, or a faster function",
            ) from late
        except MemoryError:
            raise
        except (Exception, SystemExit) as error:
            raise BadData(
                f"The reward function {self.name} failed{self._line(error)}: {_fault(error)}"
            ) from error
        if len(found) != len(answers.texts):
            raise BadData(
                f"The reward function {self.name} returned {len(found)} scores for "
                f"{len(answers.texts)} answers: one for each is needed."
            )
        return [self._score(value, place) for place, value in enumerate(found, 1)]

    def _line(self, error: BaseException) -> str:
        """Return the line of the function's file in which an error arose."""
        code = getattr(self.function, "__code__", None)
        frames = traceback.extract_tb(error.__traceback__)
        own = [f for f in frames if code and f.filename == code.co_filename]
        return f" ({Path(own[-1].filename).name} line {own[-1].lineno})" if own else ""

    def _score(self, value: Any, place: int) -> float | None:
        if value is None:
            return None
        try:
            score = math.nan if isinstance(value, str) else float(value)
        except (TypeError, ValueError, RuntimeError):
            score = math.nan
        if not math.isfinite(score):
            raise BadData(
                f"The reward function {self.name} returned {shortened(repr(value))} for answer "
                f"{place}, where a finite number is needed, or None for no opinion."
            )
        return score


@dataclass(slots=True)
class ModelReward(Reward):
    """A model that puts out one number for a prompt with its answer."""

    name: str
    model: Any
    tokenizer: Any
    batch: int
    """Answers that are scored at a time."""

    @classmethod
    def of(cls, source: Source, batch: int) -> ModelReward:
        """Return a reward model. Raises `HubtrainError` for one that is none or is not there."""
        tokenizer, model = source.processor(AutoTokenizer), source.load(dtype="auto")
        if model.config.num_labels != 1:
            raise BadConfig(f"{source.ref.name} tells {model.config.num_labels} classes, no score.")
        tokenizer.padding_side, tokenizer.truncation_side = "right", "left"
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        for config in (model.config, model.config.get_text_config()):
            config.pad_token_id = tokenizer.pad_token_id  # the score is read before the padding
        model.eval().requires_grad_(False).to(devices.device())
        return cls(Path(source.ref.name).name, model, tokenizer, batch)

    @torch.no_grad()
    def __call__(self, answers: Answers, more: Mapping[str, Any]) -> Scores:
        """Return the model's scores."""
        texts = [
            self._text(prompt, said)
            for prompt, said in zip(answers.prompts, answers.texts, strict=True)
        ]
        groups = (texts[i : i + self.batch] for i in range(0, len(texts), self.batch))
        scores = [score for group in groups for score in self._scores(group)]
        if not all(map(math.isfinite, scores)):
            raise BadData(f"The reward model {self.name} gives a score that is no number.")
        return list(scores)

    def _text(self, prompt: Prompt, said: str) -> str:
        """Return what is scored, written as `--inference` writes it."""
        if not self.tokenizer.chat_template:
            if isinstance(prompt.asked, str):
                return prompt.asked + said
            raise BadConfig(f"{self.name} has no chat template to read conversations by.")
        asked = prompt.turns or ({"role": "user", "content": prompt.asked},)
        turns = [*asked, {"role": "assistant", "content": said}]
        text: str = self.tokenizer.apply_chat_template(turns, tokenize=False)
        return text

    def _scores(self, texts: list[str]) -> list[float]:
        most = getattr(self.model.config.get_text_config(), "max_position_embeddings", None)
        inputs = self.tokenizer(
            texts,
            return_tensors="pt",
            padding=True,
            truncation=most is not None,
            max_length=most,
            add_special_tokens=not self.tokenizer.chat_template,
        ).to(self.model.device)
        found: list[float] = self.model(**inputs).logits[:, 0].float().tolist()
        return found
