"""What training on pairs costs: two answers for each, and a look at them by a reference model.

The reference is asked before training begins and is gone by then: it takes time and no memory.
"""

from __future__ import annotations

from worker.families.decoder import BACKWARD_SHARE
from worker.task import DataReport, Footprint, ModelFacts
from worker.tasks.llm import cost
from worker.tasks.llm.params import LlmParams


def both(params: LlmParams, largest: int = 0) -> LlmParams:
    """Return the settings as for single sequences: a batch of pairs has twice as many.

    Rows are not filled with further pairs: none is longer than half the `largest` pair, in tokens,
    on average, where that is known.
    """
    row = min(params.row_tokens, -(-largest // 2)) if largest else params.row_tokens
    return params.model_copy(update={"batch_size": 2 * params.batch_size, "block_size": row})


def footprint(
    params: LlmParams,
    facts: ModelFacts,
    data: DataReport,
    memory: float | None = None,
    predicted: float = 1.0,
) -> Footprint:
    """Return the memory training takes on one device, as `worker.tasks.llm.cost` has it."""
    sequences = both(params.within(facts.config), data.largest)
    return cost.footprint(sequences, facts, memory, predicted)


def flops(params: LlmParams, facts: ModelFacts, data: DataReport, *, reference: bool) -> float:
    """Return the floating point operations of the whole training, validation included.

    `reference` says whether all pairs are looked at once more.
    """
    rows, epochs = float(data.rows), params.epochs
    if params.max_steps:
        step = params.batch_size * params.gradient_accumulation
        epochs = params.max_steps * step / max(1.0, rows)
    looked_at = epochs * data.valid_rows
    if reference:
        looked_at += min(1.0, epochs) * rows + data.valid_rows
    pair = data.units / max(1.0, rows)
    tokens = pair * (epochs * rows + looked_at / BACKWARD_SHARE)
    return cost.flops_of(params, facts, round(tokens))
