"""What users may set of learning from rewards. Declarations only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from annotated_types import Ge, Gt, Le
from pydantic import field_validator, model_validator

from worker.common import MOST
from worker.facts import CheckContext
from worker.finding import Finding
from worker.params import Consent, Flag, listed
from worker.tasks.llm.grpo import sources
from worker.tasks.llm.pairs.params import Lengths
from worker.tasks.llm.trainers._sampling import Sampling

NAME = "grpo"

ANSWER = 512
"""Longest answer in tokens where nobody says, as in TRL; at most half of a row."""


class GrpoParams(Lengths, Sampling):
    """Trainer grpo."""

    reward_funcs: Annotated[tuple[str, ...] | None, Consent()] = None
    """What scores the answers, with commas between: functions of a Python file of yours, which is
    sent along (rewards.py, rewards.py:length), functions of a package there (package.module:name),
    reward models (Hub id or folder), think_format_reward (grpo)."""

    reward_weights: tuple[float, ...] | None = None
    """Weight of each of reward_funcs in the sum, with commas between; none takes 1 for all
    (grpo)."""

    num_generations: Annotated[int, Ge(2), Le(MOST)] = 8
    """Answers to each prompt, which are compared with one another. batch_size counts answers, and
    batch_size times gradient_accumulation has to be a multiple of this (grpo)."""

    temperature: Annotated[float, Gt(0)] = 1.0
    """How freely answers are drawn: the lower, the more alike. With --inference 0 takes the
    likeliest always, and the default of this and the next two is what the model's maker says."""

    top_p: Annotated[float, Gt(0), Le(1)] = 1.0
    """Tokens are drawn from the likeliest that together have this share; 1 takes all."""

    top_k: Annotated[int, Ge(0)] = 0
    """Tokens are drawn from so many of the likeliest; 0 takes all."""

    grpo_beta: Annotated[float, Ge(0), Flag("--beta")] = 0.0
    """How strongly it is held near the model as it begins, by KL divergence; 0 lets it go, and
    needs no reference (grpo)."""

    num_iterations: Annotated[int, Ge(1), Le(MOST)] = 1
    """Steps that are taken on the same answers; epsilon matters from 2 on (grpo)."""

    epsilon: Annotated[float, Gt(0)] = 0.2
    """How far, as a share, a token's probability may move on the same answers (grpo)."""

    epsilon_high: Annotated[float | None, Gt(0)] = None
    """The same upwards, as in 0.28 (DAPO, arXiv 2503.14476); none takes epsilon (grpo)."""

    loss_type: Literal["dapo", "grpo", "dr_grpo", "bnpo"] = "dapo"
    """What tokens are averaged over: those of a step (dapo), of each answer (grpo, arXiv
    2402.03300), of a pass (bnpo), or the longest answers there may be (dr_grpo, arXiv 2503.20783)
    (grpo)."""

    scale_rewards: Literal["group", "batch", "none"] = "group"
    """Whether rewards are divided by their standard deviation, among the answers to a prompt or of
    a step (grpo)."""

    mask_truncated_completions: bool = False
    """Learn nothing from answers that are cut off by max_completion_length (grpo)."""

    reward_seconds: Annotated[float, Gt(0), Le(MOST)] = 600.0
    """Longest time a reward function may take for the answers of a step, in seconds (grpo)."""

    @field_validator("reward_funcs", "reward_weights", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        """Take names and numbers with commas between as lists."""
        return (value,) if isinstance(value, int | float) else listed(value)

    @field_validator("reward_funcs")
    @classmethod
    def _readable(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        found = tuple(map(sources.anywhere, value or ()))
        if len(set(found)) < len(found):
            raise ValueError("names the same twice")
        return found or None

    @model_validator(mode="after")
    def _a_weight_for_each(self) -> Self:
        weights, named = self.reward_weights, self.reward_funcs or ()
        whole_files = any(
            isinstance(one, sources.File) and not one.function for one in self.sources
        )
        if weights and whole_files:
            raise ValueError("reward_weights needs functions by name: rewards.py:length")
        if weights and len(weights) != len(named):
            raise ValueError(f"reward_weights are {len(weights)}, and reward_funcs {len(named)}")
        return self

    def checks(self, about: CheckContext) -> Iterator[Finding]:
        """Look at what scores the answers, and whether they can be told apart by prompts."""
        if getattr(self, "trainer", None) == NAME:
            from worker.tasks.llm.grpo import checks

            yield from checks.rewards(self, about)
            yield from checks.a_step(self)
            yield from checks.pace(self)
        yield from super().checks(about)

    @property
    def sources(self) -> list[sources.Source]:
        """What scores the answers."""
        return [sources.source(one) for one in self.reward_funcs or ()]

    @property
    def files(self) -> tuple[str, ...]:
        """Files that go along, each once."""
        paths = (one.path for one in self.sources if isinstance(one, sources.File))
        return tuple(dict.fromkeys(paths))

    def answer_tokens(self, row: int) -> int:
        """Return the longest answer, in tokens, where a row has so many."""
        return self.max_completion_length or min(ANSWER, row // 2)

    def prompt_tokens(self, row: int) -> int:
        """Return the longest prompt, in tokens; none is left where this is no more than 0."""
        return min(row - self.answer_tokens(row), self.max_prompt_length or row)
