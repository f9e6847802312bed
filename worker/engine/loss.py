"""The loss of language models in less memory: the same numbers, without copies of the logits.

transformers' `ForCausalLMLoss` holds logits four times over: as the model makes them, in 32 bits,
their logarithms, and their gradient: 14 bytes each, for 4,096 tokens and 128,000 words 7 GB. Here
they are held once, as they come, and their gradient takes their place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

import torch
from transformers.loss.loss_utils import ForCausalLMLoss
from transformers.modeling_outputs import CausalLMOutput

IGNORED = -100
"""Label of a token the loss does not count."""

AT_ONCE = 2**25
"""Logits that are worked on at a time, in 32 bits."""


def save_memory(model: Any) -> bool:
    """Let a model take its loss so, if it takes the usual one; whether it does.

    Who gives it labels then gets no logits, of which accelerate would make a copy in 32 bits.
    """
    if getattr(model, "loss_function", None) is not ForCausalLMLoss:
        return False
    model.loss_function = causal_loss
    model.forward = _loss_alone(model.forward)
    return True


def _loss_alone(forward: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(forward)
    def shorter(*inputs: Any, **named: Any) -> Any:
        found = forward(*inputs, **named)
        return found if named.get("labels") is None else type(found)(loss=found.loss)

    return shorter


def take_loss(model: Any) -> None:
    """Let any model that predicts the next token take its loss here, whatever it would do itself.

    Given labels it returns their loss alone, over `num_items_in_batch`, as `causal_loss` does. Its
    logits may be those of the last tokens alone (`logits_to_keep`).
    """
    forward = model.forward

    @wraps(forward)
    def judged(
        *inputs: Any, labels: Any = None, num_items_in_batch: Any = None, **named: Any
    ) -> Any:
        found = forward(*inputs, **named)
        if labels is None:
            return found
        logits = found.logits
        learned = labels[:, labels.shape[1] - logits.shape[1] :]
        loss = causal_loss(logits, learned, logits.shape[-1], num_items_in_batch)
        return CausalLMOutput(loss=loss)

    model.forward = judged


def causal_loss(
    logits: torch.Tensor,
    labels: torch.Tensor,
    vocab_size: int,
    num_items_in_batch: torch.Tensor | int | None = None,
    shift_labels: torch.Tensor | None = None,
    **_: Any,
) -> torch.Tensor:
    """Return the mean over learned tokens, or the sum over `num_items_in_batch`, in nats.

    Takes what `ForCausalLMLoss` does, and yields what it does; the logits are gone after a
    backward pass.
    """
    if shift_labels is None:
        shift_labels = torch.nn.functional.pad(labels, (0, 1), value=IGNORED)[..., 1:]
    targets = shift_labels.reshape(-1).to(logits.device)
    total = summed(logits.reshape(-1, vocab_size), targets)
    if num_items_in_batch is None:
        num_items_in_batch = (targets != IGNORED).sum()
    return total / num_items_in_batch


def summed(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return the sum of the cross entropies of `logits` (tokens, words), in nats."""
    return of_each(logits, targets).sum()


def of_each(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return the cross entropies (tokens) of `logits` (tokens, words), in nats; 0 for `IGNORED`.

    The logits are gone after a backward pass.
    """
    found: torch.Tensor = _CrossEntropy.apply(logits, targets)  # type: ignore[no-untyped-call]
    return found


class _CrossEntropy(torch.autograd.Function):
    """Cross entropies, taken in 32 bits; the gradient is written over the logits.

    Two kernels read the logits once each, where the usual loss moves them seven times.
    """

    @staticmethod
    def forward(ctx: Any, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return those of each row of `logits` (tokens, words)."""
        ctx.save_for_backward(logits, targets)
        found = [
            -_at(torch.log_softmax(part, -1, dtype=torch.float32), wanted)
            for part, wanted in _parts(logits, targets)
        ]
        return torch.cat(found).masked_fill_(targets == IGNORED, 0.0)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None]:
        """Return the softmax, less one at each target, by the incoming gradient (tokens)."""
        logits, targets = ctx.saved_tensors
        for part, wanted, weight in _parts(logits, targets, grad):
            shares = torch.softmax(part, -1, dtype=torch.float32)
            shares.scatter_add_(
                1, wanted.clamp(min=0)[:, None], shares.new_tensor(-1.0).expand(len(wanted), 1)
            )
            scale = torch.where(wanted == IGNORED, 0.0, weight)[:, None]
            torch.mul(shares, scale, out=part)
        return logits, None


def _parts(*columns: torch.Tensor) -> Iterator[tuple[torch.Tensor, ...]]:
    """Yield some rows of each at a time."""
    size = max(1, AT_ONCE // columns[0].shape[1])
    return zip(*(torch.split(column, size) for column in columns), strict=True)


def _at(values: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    return values.gather(1, places.clamp(min=0)[:, None])[:, 0]
