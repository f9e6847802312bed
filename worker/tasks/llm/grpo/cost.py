"""What learning from rewards costs: answers are written one token at a time, scored, and learned.

Writing is not like training: each token takes a pass over all weights, which a machine reads sooner
than it multiplies them, and in each pass Python starts every layer by itself.
"""

from __future__ import annotations

from worker.families.decoder import BACKWARD_SHARE
from worker.families.text.shape import Shape
from worker.footprint import FULL, HALF
from worker.task import DataReport, Footprint, ModelFacts
from worker.tasks.llm import cost
from worker.tasks.llm.grpo.params import GrpoParams
from worker.tasks.llm.grpo.report import prompts_a_step
from worker.tasks.llm.params import LlmParams

READING = 45
"""Answers that are written together below which a pass takes as long as for so many: a weight of 16
bits is read in the time of 90 operations (A100: 2e12 bytes and 0.28 times 312e12 operations a
second)."""

LAYER_SECONDS = 1e-3
"""For Python to start one layer of one pass: transformers writes about 30 tokens a second with a
model of 30 layers, whatever the GPU."""

DRAWN = 12.0
"""Bytes of a token of the vocabulary while one is drawn: logits, sorted, and their shares."""


def pass_of(params: LlmParams, own: GrpoParams, largest: int = 0) -> LlmParams:
    """Return settings with rows as long as prompt and answer; the `largest`, where it is known."""
    row = own.prompt_tokens(params.row_tokens) + own.answer_tokens(params.row_tokens)
    return params.model_copy(update={"block_size": min(row, largest) if largest else row})


def predicted(params: LlmParams, own: GrpoParams) -> float:
    """Return the share of a row that is an answer, and so has logits."""
    return own.answer_tokens(params.row_tokens) / pass_of(params, own).row_tokens


def footprint(
    params: LlmParams,
    own: GrpoParams,
    facts: ModelFacts,
    data: DataReport,
    memory: float | None = None,
) -> Footprint:
    """Return the memory training takes on one device: while it learns, or while it writes.

    Beside it are the reward models, and a copy of the model where it is held near its beginning and
    has no adapter to switch off.
    """
    params = params.within(facts.config)
    beside = sum(other.parameters * other.bytes_per_parameter for other in facts.others.values())
    if own.grpo_beta and not params.peft:
        beside += facts.parameters * min(FULL, max(HALF, facts.bytes_per_parameter))
    one = pass_of(params, own, data.largest)
    room = None if memory is None else max(0.0, memory - beside)
    learning = cost.footprint(one, facts, room, predicted(params, own))
    single = one.model_copy(update={"batch_size": 1, "block_size": 8})
    writing = cost.footprint(single, facts, room).expected + _writing(one, own, facts)
    expected = max(learning.expected, writing)
    return Footprint(
        low=beside + learning.low,
        expected=beside + expected,
        high=beside + max(learning.high, 1.15 * writing),
        explained=f"{learning.explained}, {_answers(params, own):,} answers at a time",
    )


def _answers(params: LlmParams, own: GrpoParams) -> int:
    return prompts_a_step(params, own) * own.num_generations


def _writing(one: LlmParams, own: GrpoParams, facts: ModelFacts) -> float:
    """Return the bytes of keys, values and draws while all answers of a step are written."""
    shape = Shape.of(facts.config)
    width = FULL if facts.bytes_per_parameter > HALF else HALF
    kept = one.row_tokens * shape.layers * shape.cached * width
    return _answers(one, own) * (kept + DRAWN * shape.vocabulary)


def flops(params: LlmParams, own: GrpoParams, facts: ModelFacts, data: DataReport) -> float:
    """Return the arithmetic of the whole training, writing and scoring included."""
    params = params.within(facts.config)
    learned = _learned_tokens(params, own, data)
    one = pass_of(params, own, data.largest)
    looked_at = 1.0 + ((own.grpo_beta > 0) + (own.num_iterations > 1)) / BACKWARD_SHARE
    total = cost.flops_of(one, facts, round(learned * looked_at))
    written = learned / own.num_iterations
    judges = sum(other.parameters for other in facts.others.values())
    return (
        total + 2.0 * written * judges + 2.0 * facts.parameters * _reads(params, own, written, data)
    )


def _learned_tokens(params: LlmParams, own: GrpoParams, data: DataReport) -> float:
    """Return the tokens of prompts and answers that are trained on, over all steps."""
    prompts = data.steps * prompts_a_step(params, own)
    return prompts * data.units / max(1, data.rows)


def _reads(params: LlmParams, own: GrpoParams, written: float, data: DataReport) -> float:
    """Return for how many tokens all weights are read or multiplied while answers are written."""
    together = _answers(params, own)
    answer = own.answer_tokens(params.row_tokens)
    passes = data.steps / own.num_iterations * answer
    return written + passes * max(0.0, READING - together)


def seconds(params: LlmParams, own: GrpoParams, facts: ModelFacts, data: DataReport) -> float:
    """Return what writing takes at least, however fast the machine computes."""
    params = params.within(facts.config)
    rounds = data.steps / own.num_iterations
    if data.valid_rows:
        rounds += max(1.0, params.epochs) * data.valid_rows / _answers(params, own)
    tokens = rounds * own.answer_tokens(params.row_tokens)
    return tokens * Shape.of(facts.config).layers * LAYER_SECONDS
