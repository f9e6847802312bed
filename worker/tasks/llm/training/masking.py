"""Rows of texts in which tokens are hidden, and texts side by side that cannot see one another.

Models that look both ways are kept from seeing another text of the row by an attention mask, which
transformers makes in the form that the model's attention wants. `first_position` proves for the
model at hand that it heeds it.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

import torch
from transformers import masking_utils

from worker.engine.loss import IGNORED
from worker.tasks.llm.tokens import Tokens
from worker.tasks.llm.training.batches import LEAK, apart, evaluating

HIDDEN, REPLACED = 0.8, 0.5
"""Of the tokens to learn, the share that is hidden, and of the rest the share that becomes another
token (BERT, arXiv 1810.04805, section 3.1)."""


@dataclass(frozen=True, slots=True)
class Hiding:
    """Which tokens are hidden."""

    probability: float
    mask: int
    """Id of the token that stands for a hidden one."""

    vocabulary: int
    """Number of tokens, of which one may take the place of another."""

    special: tuple[int, ...]
    """Ids that are never hidden: those that stand for no text."""

    def __call__(
        self, ids: torch.Tensor, chance: torch.Generator | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ids with some hidden, and labels that are the ids of those; both of `ids`' shape.

        `chance` is torch's own generator where none is given.
        """
        draw = partial(torch.bernoulli, generator=chance)
        rate = partial(torch.full, ids.shape, device=ids.device)
        special = torch.isin(ids, torch.tensor(self.special, device=ids.device))
        learned = draw(rate(self.probability).masked_fill(special, 0.0)).bool()
        hidden = learned & draw(rate(HIDDEN)).bool()
        replaced = learned & ~hidden & draw(rate(REPLACED)).bool()
        others = torch.randint(self.vocabulary, ids.shape, generator=chance, device=ids.device)
        seen = torch.where(replaced, others, ids.masked_fill(hidden, self.mask))
        return seen, ids.masked_fill(~learned, IGNORED)


@dataclass(frozen=True, slots=True)
class MaskedRows:
    """Makes a batch of training rows; tensors are (rows, tokens) and 64 bits wide."""

    hide: Hiding
    pad: int
    first: int | None = None
    """Position of a text's first token where texts share rows; none where each has its own."""

    seed: int | None = None
    """Hides the same tokens of a row whenever it comes, in whatever batch; none hides others each
    time."""

    def __call__(self, rows: Sequence[Sequence[Tokens]]) -> dict[str, torch.Tensor]:
        """Return `input_ids`, `labels`, and which text each token is of (`texts`, 0 for padding).

        With several texts in a row also `position_ids`.
        """
        return self.hidden(self.bare(rows))

    def bare(self, rows: Sequence[Sequence[Tokens]]) -> dict[str, torch.Tensor]:
        """Return the same batch before any token is hidden, without `labels`."""
        width = max(sum(map(len, row)) for row in rows)
        ids, texts, positions = (
            torch.stack(column)
            for column in zip(*(self._row(row, width) for row in rows), strict=True)
        )
        places = {} if self.first is None else {"position_ids": positions + self.first}
        return {"input_ids": ids, **places, "texts": texts}

    def hidden(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return a bare batch with tokens hidden, and those as `labels`."""
        ids, padding = batch["input_ids"], batch["texts"] == 0
        if self.seed is None:
            seen, labels = self.hide(ids)
        else:
            seen, labels = ids.clone(), torch.full_like(ids, IGNORED)
            for i, row in enumerate(ids):
                own = ~padding[i]
                seen[i, own], labels[i, own] = self.hide(row[own], self._chance(row[own]))
        labels = labels.masked_fill(padding, IGNORED)
        return {**batch, "input_ids": seen, "labels": labels}

    def _row(self, row: Sequence[Tokens], width: int) -> tuple[torch.Tensor, ...]:
        gap = width - sum(map(len, row))
        lengths = [*map(len, row), gap]
        ids = torch.tensor([*chain.from_iterable(tokens.ids for tokens in row), *[self.pad] * gap])
        numbers = torch.tensor([*range(1, len(row) + 1), 0])
        texts = numbers.repeat_interleave(torch.tensor(lengths))
        return ids, texts, torch.cat([torch.arange(length) for length in lengths])

    def _chance(self, row: torch.Tensor) -> torch.Generator:
        content = zlib.crc32(row.cpu().numpy().tobytes())
        return torch.Generator(row.device).manual_seed(content + (self.seed or 0))


def seen(model: Any, batch: dict[str, torch.Tensor]) -> dict[str, Any]:
    """Return what the model is given of a batch: each token sees those of its own text."""
    ids, texts = batch["input_ids"], batch["texts"]
    if "position_ids" not in batch:
        return {"input_ids": ids, "attention_mask": (texts > 0).long()}
    return {
        "input_ids": ids,
        "position_ids": batch["position_ids"],
        "attention_mask": _own_text(model, texts),
    }


def _own_text(model: Any, texts: torch.Tensor) -> Any:
    """Return the mask of rows with several texts; one for each kind of layer where there are two.

    transformers takes sizes, type and device from `inputs_embeds`, and nothing else.
    """
    config = model.config
    how = {
        "config": config,
        "inputs_embeds": torch.empty(*texts.shape, 1, dtype=model.dtype, device=texts.device),
        "attention_mask": None,
        "and_mask_function": masking_utils.packed_sequence_mask_function(texts),
    }
    makers: dict[str, Callable[..., Any]] = {
        "full_attention": masking_utils.create_bidirectional_mask,
        "sliding_attention": masking_utils.create_bidirectional_sliding_window_mask,
    }
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    masks = {kind: makers[kind](**how) for kind in kinds}
    return masks if len(masks) > 1 else next(iter(masks.values()))


@contextmanager
def predicting(model: Any, keep: torch.Tensor) -> Iterator[None]:
    """Let the model compute logits (kept, vocabulary) of the tokens in `keep` (rows, tokens) alone.

    Most of the memory of a step, and a fifth of the work of a BERT, is in logits nobody needs.
    """
    hook = model.get_output_embeddings().register_forward_pre_hook(lambda _, given: given[0][keep])
    try:
        yield
    finally:
        hook.remove()


_REFUSALS = (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError)
"""What models raise that cannot be asked so."""


def predicts_some(model: Any, ids: torch.Tensor) -> bool:
    """Whether the model yields the same logits for some tokens of `ids` (1, tokens) as for all."""
    keep = torch.zeros_like(ids, dtype=torch.bool)
    keep[:, 1::2] = True
    with evaluating(model):
        try:
            whole = model(input_ids=ids).logits[keep]
            with predicting(model, keep):
                some = model(input_ids=ids).logits
        except _REFUSALS:
            return False
    return whole.shape == some.shape and torch.allclose(whole, some, rtol=1e-2, atol=1e-2)


def first_position(model: Any, ids: torch.Tensor, pad: int) -> int | None:
    """Return at which position the texts of a shared row begin: at 0, or behind the padding's id.

    None where the model would see one text from another. `ids` (1, tokens) are plain tokens.
    """
    text, others = ids[:, :7], (ids[:, 7:16], ids[:, 16:25])
    with evaluating(model):
        alone = model(input_ids=text).logits
        mixed = model(input_ids=torch.cat([others[0], text], 1)).logits[:, 9:]
        for first in (0, pad + 1):
            try:
                behind = [_behind(model, other, text, first) for other in others]
            except _REFUSALS:
                continue
            unseen = apart(*behind) <= LEAK * float(alone.float().std())
            if unseen and apart(behind[0], alone) < 0.1 * apart(mixed, alone):
                return first
    return None


def _behind(model: Any, other: torch.Tensor, text: torch.Tensor, first: int) -> torch.Tensor:
    """Return the logits of a text that shares its row with another."""
    lengths = (other.shape[1], text.shape[1])
    batch = {
        "input_ids": torch.cat([other, text], 1),
        "position_ids": torch.cat([torch.arange(n) for n in lengths])[None].to(text) + first,
        "texts": torch.tensor([1, 2]).repeat_interleave(torch.tensor(lengths))[None].to(text),
    }
    logits: torch.Tensor = model(**seen(model, batch)).logits
    return logits[:, lengths[0] :]


def plain_tokens(special: Sequence[int], vocabulary: int, device: torch.device) -> torch.Tensor:
    """Return 25 different tokens (1, 25) that stand for text, as far as there are as many."""
    usable = [i for i in range(vocabulary) if i not in set(special)] or [0]
    return torch.tensor([usable[i * 7919 % len(usable)] for i in range(1, 26)], device=device)[None]
