"""What training would make of prompts, counted before anything is rented. Light: no torch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from worker.bars import by_length
from worker.errors import BadConfig, HubtrainError
from worker.families.balance import few_steps
from worker.families.text.lengths import CHARACTERS_A_TOKEN
from worker.rendered import Part, Rendered, rendered
from worker.shorten import some
from worker.splits import Splits
from worker.task import DataReport, Finding, ModelFacts
from worker.tasks.llm import findings, showing
from worker.tasks.llm.data import Speech, text_end, training_split
from worker.tasks.llm.grpo import checks, signature, sources
from worker.tasks.llm.grpo.params import GrpoParams
from worker.tasks.llm.grpo.prompts import Prompts, read
from worker.tasks.llm.params import LlmParams
from worker.tasks.llm.report import heads, scale_of, spoken
from worker.tasks.llm.tokens import Tokenizer, encode

SHORTER = 0.5
"""Share of the longest answer that answers are taken to have, on average."""


def inspect(
    params: LlmParams,
    own: GrpoParams,
    splits: Splits,
    facts: ModelFacts,
    tokenizer: Tokenizer | None,
) -> DataReport:
    """Return what training would make of the data. Raises `BadData` and `BadConfig`."""
    asked, params = params, params.within(facts.config)
    room(params, own)
    how = spoken(params, facts, tokenizer)
    train_rows, valid_rows = training_split(splits, params)
    split = splits["train"]
    train = read(split, params, how, train_rows)
    valid = read(splits.get("valid", split), params, how, valid_rows) if valid_rows else None
    lengths = _lengths(train, params, how, tokenizer)
    most, answer = own.prompt_tokens(params.row_tokens), own.answer_tokens(params.row_tokens)
    scale = scale_of(params, splits, len(train_rows), len(valid_rows))
    prompts = round(len(train.prompts) * scale)
    steps = steps_of(params, own, prompts)
    kept = sum(min(length, most) for length in lengths)
    found = [
        _size(train, valid, params, scale),
        *_broken(train, valid),
        *_counted(lengths, most, tokenizer is not None),
        *findings.empty(train.empty),
        *findings.not_held_out(splits, valid_rows, params),
        *_lacking(own, split.columns, split.source),
        *_unread(train, facts),
        *findings.shortened(asked, params),
        Finding("ok", "data", _plan(params, own, prompts, answer, steps)),
        *few_steps(steps, params),
    ]
    return DataReport(
        findings=tuple(found),
        rows=prompts,
        valid_rows=round(len(valid.prompts) * (1 if "valid" in splits else scale)) if valid else 0,
        units=round((kept + SHORTER * answer * len(lengths)) * scale * own.num_generations),
        largest=min(max(lengths, default=0), most) + answer if scale == 1 else 0,
        steps=steps,
        example=_example(train, params, own, tokenizer, how),
        bars=(by_length("Prompts by tokens", lengths, scale),),
    )


def room(params: LlmParams, own: GrpoParams) -> None:
    """Raise `BadConfig` where answers leave prompts no room."""
    row = params.row_tokens
    if own.prompt_tokens(row) < 1:
        text = f"answers of {own.answer_tokens(row):,} tokens leave prompts no room in {row:,}"
        fix = f"--max-completion-length {max(1, row // 2)}, or a larger --model-max-length"
        raise BadConfig(text, fix=fix)


def prompts_a_step(params: LlmParams, own: GrpoParams) -> int:
    """Return how many prompts are answered for a step."""
    return max(1, params.batch_size * params.gradient_accumulation // own.num_generations)


def steps_of(params: LlmParams, own: GrpoParams, prompts: int) -> int:
    """Return the optimizer steps of a training on so many prompts."""
    if params.max_steps:
        return params.max_steps
    each = math.ceil(max(1, prompts) / prompts_a_step(params, own)) * own.num_iterations
    return max(1, math.ceil(params.epochs * each))


def _lengths(
    found: Prompts, params: LlmParams, how: Speech, tokenizer: Tokenizer | None
) -> list[int]:
    examples = [prompt.example for prompt in found.prompts]
    if tokenizer is None:
        return [max(1, round(len(one.text) / CHARACTERS_A_TOKEN)) for one in examples]
    eos = text_end(params, how, tokenizer)
    encoded = encode(heads(examples), tokenizer, eos)
    pairs = zip(examples, encoded, strict=True)
    return [round(len(t) * max(1.0, len(e.text) / findings.LOOKED_AT)) for e, t in pairs]


def _size(train: Prompts, valid: Prompts | None, params: LlmParams, scale: float) -> Finding:
    held = (len(valid.prompts), valid.layout.source) if valid else None
    rows = len(train.prompts)
    return findings.counted(train.layout.source, rows, "prompts", held, params=params, scale=scale)


def _broken(train: Prompts, valid: Prompts | None) -> Iterator[Finding]:
    for part in filter(None, (train, valid)):
        yield from part.broken.findings(part.layout.source)
    if not train.prompts and not train.broken:
        yield Finding("error", "data", "no row has anything to ask")


def _counted(lengths: Sequence[int], most: int, exact: bool) -> Iterator[Finding]:
    if not lengths:
        return
    ordered = sorted(lengths)
    what = "tokens a prompt" if exact else "tokens a prompt, estimated from characters"
    text = f"{what}: median {ordered[len(ordered) // 2]:,}, longest {ordered[-1]:,}"
    if over := sum(length > most for length in lengths):
        share = f"{over:,} ({over / len(lengths):.1%})"
        text += f" · {share} cut to the last {most:,} (--model-max-length, --max-prompt-length)"
    yield Finding("ok", "data", text)


def _lacking(own: GrpoParams, columns: Sequence[str], source: str) -> Iterator[Finding]:
    """Find reward functions that need columns which the data has not got."""
    for file in own.sources:
        if not isinstance(file, sources.File):
            continue
        try:
            functions = signature.functions(file)
        except HubtrainError:
            continue  # said where the settings are looked at
        for one, names in signature.lacking(functions, columns).items():
            told = ", ".join(f'"{name}"' for name in names)
            text = f"{one.file}:{one.name} needs {told}, and {source} has: {some(columns, 20)}"
            fix = f"a column of that name, or a default: def {one.name}(…, {names[0]}=None, …)"
            yield Finding("error", "rewards", text, fix)


def _unread(train: Prompts, facts: ModelFacts) -> Iterator[Finding]:
    """Find reward models that cannot be shown the conversations there are."""
    if not any(not isinstance(prompt.asked, str) for prompt in train.prompts):
        return
    for name, other in facts.others.items():
        if other.tokenizer_config and not checks.reads_turns(other):
            text = f"prompts are conversations, and {name} has no chat template to read them by"
            fix = "a reward model that learned from conversations, or prompts as text"
            yield Finding("error", "rewards", text, fix)


def _plan(params: LlmParams, own: GrpoParams, prompts: int, answer: int, steps: int) -> str:
    each = prompts_a_step(params, own)
    epochs = f"{params.epochs:,g} epoch{'s' * (params.epochs != 1)}"
    return (
        f"{prompts:,} prompts, {own.num_generations} answers of up to {answer:,} tokens to each · "
        f"{epochs}, {each:,} prompt{'s' * (each != 1)} and {each * own.num_generations:,} answers "
        f"a step: {steps:,} step{'s' * (steps != 1)}"
    )


def _example(
    train: Prompts, params: LlmParams, own: GrpoParams, tokenizer: Any, how: Speech
) -> Rendered | None:
    """Return the first prompt, and where its answer will be."""
    for line, prompt in zip(train.lines, train.prompts, strict=True):
        where = showing.place(line, train.layout.source)
        head = replace(prompt.example, text=prompt.example.text[: showing.LOOKED_AT])
        most = own.prompt_tokens(params.row_tokens)
        if tokenizer is None:
            parts = [Part(head.text)]
        else:
            parts = list(showing.parts_of(head, tokenizer, text_end(params, how, tokenizer)))
        shown = islice(parts, max(0, len(parts) - most), None)
        answer = Part("…", learned=True)
        count = own.num_generations
        note = f"{count} answers are generated, scored, and learned from by their scores"
        return rendered(where, [*shown, answer], note)
    return None
