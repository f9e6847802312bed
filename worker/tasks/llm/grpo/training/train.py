"""Trains a model on rewards for its own answers."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

from worker.engine import devices, processes
from worker.engine.adapter import adapt
from worker.engine.arguments import share_of_step, trainer_parts
from worker.engine.dropout import without_dropout
from worker.engine.fit import begin, finish, fit
from worker.engine.model import Loaded, load
from worker.engine.phases import phase
from worker.engine.speaking import ends_turns
from worker.engine.token_trainer import COUNTED
from worker.errors import BadConfig, BadData
from worker.reading import load as load_rows
from worker.task import Run
from worker.tasks.llm import trainers
from worker.tasks.llm.data import Speech, text_end, training_split
from worker.tasks.llm.grpo import cost, prompts
from worker.tasks.llm.grpo.params import GrpoParams
from worker.tasks.llm.grpo.report import prompts_a_step, room
from worker.tasks.llm.grpo.training import rewards
from worker.tasks.llm.grpo.training.objective import Objective
from worker.tasks.llm.grpo.training.rollout import Asked, Beginning, Judges, Rollouts
from worker.tasks.llm.grpo.training.trainer import PromptRows, RewardedTrainer, unchanged
from worker.tasks.llm.grpo.training.writing import Writer
from worker.tasks.llm.pairs.training.batches import SideBySide
from worker.tasks.llm.params import LlmParams
from worker.tasks.llm.tokens import encode
from worker.tasks.llm.training.corpus import speech_of
from worker.tasks.llm.training.memory import recomputes_here
from worker.tasks.llm.training.opening import opened, source_of
from worker.tasks.llm.training.samples import LONGEST_PROMPT, Continuing, Samples, TokenizedPrompt
from worker.tasks.llm.training.train import padding_id, possible, save_beside


@dataclass(frozen=True, slots=True)
class Questions:
    """The prompts of a job in tokens."""

    train: list[Asked]
    valid: list[Asked]
    template: str | None
    """The chat template they were written with."""

    turn_end: str | None
    """The token that ends the assistant's turns, in conversations."""

    def first(self, count: int) -> list[TokenizedPrompt]:
        """Return the first prompts that differ, of those held out if there are any."""
        prompts = (tuple(one.ids[-LONGEST_PROMPT:]) for one in self.valid or self.train)
        return [TokenizedPrompt(ids, ()) for ids in islice(dict.fromkeys(prompts), count)]


def train(params: LlmParams, own: GrpoParams, run: Run) -> None:
    """Train `run.base` on the prompts of `run.data` and leave the result in `run.output`.

    Returns early once `run.stop` is set. Raises `HubtrainError`, and whatever torch raises when
    memory runs out.
    """
    begin(params)
    source = source_of(params, run.base)
    with phase(run.emit, "reading data"):
        params, tokenizer = opened(params, source)
        room(params, own)
        asked = questions(params, own, run, tokenizer)
    with phase(run.emit, "loading rewards"):
        judges = _judges(params, own, run)
    with phase(run.emit, "loading model"):
        loaded = load(source, params, flash_attention=params.use_flash_attention_2)
        without_dropout(loaded.model)
        params = possible(params, loaded)
        one = cost.pass_of(params, own)
        checkpointing = recomputes_here(one, loaded, cost.predicted(params, own))
        loaded = adapt(loaded, params, trainers.of(params).head.peft_type)
        rollouts = _rollouts(params, own, loaded, tokenizer, judges=judges, turn_end=asked.turn_end)
    trainer = _trainer(
        *(params, own, run, loaded, asked), rollouts=rollouts, checkpointing=checkpointing
    )
    samples = Samples(Continuing(tokenizer, asked.first(own.samples), asked.turn_end))
    samples.ask_before(trainer, loaded, run)
    if fit(trainer, params, run):
        samples.ask_after(trainer, loaded, run)
        ends_turns(loaded.model, tokenizer, asked.turn_end, asked.template)
        finish(loaded, params, run, partial(save_beside, tokenizer, asked.template, samples))


def questions(params: LlmParams, own: GrpoParams, run: Run, tokenizer: Any) -> Questions:
    """Return the prompts of `run.data` in tokens. Raises `BadData` where there are none."""
    how, backend = speech_of(params, tokenizer)
    splits = load_rows(run.data)
    train_rows, valid_rows = training_split(splits, params)
    split = splits["train"]
    learned = prompts.read(split, params, how, train_rows)
    held_out = prompts.read(splits.get("valid", split), params, how, valid_rows)
    for found in (learned, held_out):
        found.broken.refuse(found.layout.source)
    if not learned.prompts:
        raise BadData(f"No row of {split.source} has anything to ask.")
    chat = learned.chat and how.template is not None
    return Questions(
        list(_tokens(learned, params, own, how, backend)),
        list(_tokens(held_out, params, own, how, backend)),
        template=how.template.source if chat and how.template else None,
        turn_end=prompts.turn_end(how) if chat else None,
    )


def _tokens(
    found: prompts.Prompts, params: LlmParams, own: GrpoParams, how: Speech, backend: Any
) -> Iterator[Asked]:
    most, eos = own.prompt_tokens(params.row_tokens), text_end(params, how, backend)
    encoded = encode([one.example for one in found.prompts], backend, eos)
    for prompt, tokens in zip(found.prompts, encoded, strict=True):
        if len(tokens):
            yield Asked(prompt, array("i", tokens.ids[-most:]))


def _judges(params: LlmParams, own: GrpoParams, run: Run) -> Judges:
    found = rewards.loaded(params, own, run)
    if not found:
        raise BadConfig("Nothing scores the answers.", fix="--reward-funcs")
    return Judges(found, own.reward_weights or [1.0] * len(found))


def _rollouts(
    params: LlmParams,
    own: GrpoParams,
    loaded: Loaded,
    tokenizer: Any,
    *,
    judges: Judges,
    turn_end: str | None,
) -> Rollouts:
    """Return how the answers of a step are made."""
    flat = loaded.model.config._attn_implementation == "flash_attention_2"
    return Rollouts(
        Writer.of(params, own, loaded, tokenizer, turn_end),
        judges,
        SideBySide(
            padding_id(tokenizer), packed=params.packing, left=params.padding == "left", flat=flat
        ),
        tokenizer,
        each=own.num_generations,
        batch=share_of_step(params)[0],
        scaled_by=own.scale_rewards,
        temperature=own.temperature,
        drop_cut_off=own.mask_truncated_completions,
        reference=_beginning(params, loaded) if own.grpo_beta else None,
        reused=own.num_iterations > 1,
    )


def _beginning(params: LlmParams, loaded: Loaded) -> Beginning:
    """Return the model as it began: with its adapter switched off, or a copy.

    An adapter that was taken out of the weights (PiSSA) is not switched off: that would be another
    model.
    """
    if params.peft and loaded.begun is None:
        return _without_adapter
    copy = loaded.source.load(dtype=loaded.precision.checkpoint).eval().requires_grad_(False)
    copy.config.use_cache = False
    copy.to(devices.device())
    without_dropout(copy)
    return lambda model: nullcontext(copy)


@contextmanager
def _without_adapter(model: Any) -> Iterator[Any]:
    with model.disable_adapter():
        yield model


def _trainer(
    params: LlmParams,
    own: GrpoParams,
    run: Run,
    loaded: Loaded,
    asked: Questions,
    *,
    rollouts: Rollouts,
    checkpointing: bool,
) -> RewardedTrainer:
    """Return the trainer, whose batches are the prompts of a step."""
    rows = PromptRows(asked.train, prompts_a_step(params, own), own.num_iterations)
    visited = rows.a_step * processes.count()
    steps = {"batch_size": visited, "gradient_accumulation": 1, "auto_find_batch_size": False}
    by_prompts = params.model_copy(update=steps)
    more = {
        "checkpointing": checkpointing,
        **COUNTED,
        "per_device_eval_batch_size": rows.a_step * own.num_generations,
    }
    return RewardedTrainer(
        **trainer_parts(by_prompts, run, loaded, rows, asked.valid, **more),
        data_collator=unchanged,
        rollouts=rollouts,
        objective=Objective(
            own.grpo_beta,
            own.epsilon,
            own.epsilon_high or own.epsilon,
            own.loss_type,
            own.answer_tokens(params.row_tokens),
        ),
        run=run,
    )
