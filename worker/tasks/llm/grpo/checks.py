"""What there is to say of the settings of `grpo` before anything is rented."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from worker.errors import HubtrainError
from worker.facts import CheckContext, ModelFacts
from worker.families.templates import own_template
from worker.finding import Finding
from worker.tasks.llm.grpo import signature, sources
from worker.tasks.llm.heads.score import SCORE

FLAG = "--reward-funcs"

USUAL_LR = 1e-6
"""Of all weights, as TRL (1.16) has it."""


def rewards(own: Any, about: CheckContext) -> Iterator[Finding]:
    """Say what scores the answers, and all that is wrong with it."""
    if not own.sources:
        text = "nothing scores the answers, and what scores well is what is learned"
        yield Finding("error", "rewards", text, f"{FLAG} with {sources.FORMS}")
    for one in own.sources:
        try:
            yield from _looked_at(one, about)
        except HubtrainError as error:
            yield Finding("error", "rewards", error.message, error.fix)


def _looked_at(one: sources.Source, about: CheckContext) -> Iterator[Finding]:
    match one:
        case sources.File():
            names = ", ".join(function.name for function in signature.functions(one))
            size = Path(one.path).expanduser().stat().st_size
            text = f"{one.name}: {names} · {size:,} bytes, sent along and run where it trains"
            yield Finding("ok", "rewards", text)
        case sources.Import():
            text = f"{one.function} of {one.module} · imported where it trains"
            yield Finding("ok", "rewards", text)
        case sources.Model():
            facts = about.other_model(FLAG, one.name)
            size_ = f"{facts.parameters / 1e6:,.4g} M parameters"
            wrong = list(_unfit(facts))
            yield from wrong
            if not wrong:
                yield Finding("ok", "rewards", f"reward model {facts.name} · {size_}")


def _unfit(facts: ModelFacts) -> Iterator[Finding]:
    """Find that a model scores nothing, or cannot read."""
    if not facts.known:
        return
    if not SCORE.is_on(facts.config):
        text = f"{facts.name} is no reward model: no classifier with one class, which is its score"
        yield Finding("error", "rewards", text, "--trainer reward makes one")
    if not facts.tokenizer_config:
        text = f"{facts.name} comes without a tokenizer, so nothing can be read to it"
        yield Finding("error", "rewards", text, "Push its tokenizer beside it.")


def reads_turns(facts: ModelFacts) -> bool:
    """Whether a reward model can be shown a conversation."""
    return own_template(facts.tokenizer_config, facts.chat_template) is not None


def pace(params: Any) -> Iterator[Finding]:
    """Say that all weights bear less from rewards than from answers, where nobody chose a rate."""
    if params.lr is None and not params.peft:
        text = f"--lr {params.peak_lr:g}, the default, is fast for learning from rewards"
        yield Finding("warn", "settings", text, f"--lr {USUAL_LR:g} is usual, or --peft")


def a_step(params: Any) -> Iterator[Finding]:
    """Find that the answers of a step are not so many to each of some prompts."""
    batch, passes, each = params.batch_size, params.gradient_accumulation, params.num_generations
    answers = batch * passes
    if answers % each == 0:
        return
    least = each // math.gcd(batch, each)
    near = max(1, round(passes / least)) * least
    fixes = [f"--gradient-accumulation {near}"]
    divisors = [n for n in range(2, answers + 1) if answers % n == 0]
    if divisors:
        closest = min(divisors, key=lambda n: (abs(n - each), n))
        fixes.append(f"--num-generations {closest}")
    text = (
        f"--batch-size {batch} times --gradient-accumulation {passes} are {answers:,} answers a "
        f"step, no multiple of --num-generations {each}"
    )
    yield Finding("error", "settings", text, ", or ".join(fixes))
