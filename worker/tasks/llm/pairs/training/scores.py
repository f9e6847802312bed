"""How likely a model finds the answers of a batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from worker.engine.loss import of_each
from worker.tasks.llm.pairs.training.batches import NOBODY


@dataclass(frozen=True, slots=True)
class Scores:
    """Log-probabilities in nats, in vectors as long as the batch has pairs."""

    chosen: torch.Tensor
    rejected: torch.Tensor
    chosen_tokens: torch.Tensor
    rejected_tokens: torch.Tensor
    """How many tokens the answers have."""

    reference_chosen: torch.Tensor
    reference_rejected: torch.Tensor
    text: torch.Tensor
    """Of the chosen answer, with its prompt where that is scored."""

    text_tokens: torch.Tensor
    good: torch.Tensor | None = None
    """Whether the answers are good ones, where each has a label."""


def score(model: Any, batch: Mapping[str, Any]) -> Scores:
    """Return what `model` makes of a batch of `CollatePairs`, gradients included."""
    scored = batch["owners"][:, 1:] != NOBODY
    whose, answer = batch["owners"][:, 1:][scored], batch["answers"][:, 1:][scored]
    told = likelihoods(model, batch)
    answers = batch["references"].shape[0]

    def total(values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        sums = torch.zeros(answers, device=told.device, dtype=torch.float32)
        chosen, rejected = sums.index_add(0, whose, values.float()).chunk(2)
        return chosen, rejected

    chosen, rejected = total(told * answer)
    chosen_tokens, rejected_tokens = total(answer)
    reference_chosen, reference_rejected = batch["references"].chunk(2)
    return Scores(
        chosen=chosen,
        rejected=rejected,
        chosen_tokens=chosen_tokens,
        rejected_tokens=rejected_tokens,
        reference_chosen=reference_chosen,
        reference_rejected=reference_rejected,
        text=total(told)[0],
        text_tokens=total(torch.ones_like(told))[0],
        good=batch.get("good"),
    )


def likelihoods(model: Any, batch: Mapping[str, Any], temperature: float = 1.0) -> torch.Tensor:
    """Return the log-probability of each token that has an owner, in the order of the rows.

    `batch` is one of `SideBySide.rows`; logits are divided by `temperature`.
    """
    scored = batch["owners"][:, 1:] != NOBODY
    logits = _logits(model, batch, scored)
    if temperature != 1.0:
        logits = logits / temperature
    return -of_each(logits, batch["input_ids"][:, 1:][scored])


def _logits(model: Any, batch: Mapping[str, Any], scored: torch.Tensor) -> torch.Tensor:
    """Return the logits (tokens, vocabulary) that predict the `scored` tokens, and no others.

    `scored` is (rows, tokens - 1): what stands before each of them predicts it.
    """
    before = torch.nn.functional.pad(scored, (0, 1))
    with _head_sees(model, before):
        logits: torch.Tensor = model(
            input_ids=batch["input_ids"], position_ids=batch["position_ids"]
        ).logits
    # A head that is called in another way has seen all.
    return logits[0] if logits.shape[:2] == (1, int(before.sum())) else logits[before]


@contextmanager
def _head_sees(model: Any, wanted: torch.Tensor) -> Iterator[None]:
    """Hand the output layer only the states that are `wanted`: it is most of a small model's work.

    Whatever a model does to its logits afterwards, scale or cap them, it does to these.
    """
    head = getattr(model, "module", model).get_output_embeddings()
    if head is None:
        yield
        return
    hook = head.register_forward_pre_hook(lambda _, states: (states[0][wanted][None], *states[1:]))
    try:
        yield
    finally:
        hook.remove()
