"""Attention over packed rows, each example for itself, so that no mask is built or multiplied.

transformers tells the examples of a row apart with a mask of rows times columns (`sdpa`), which
keeps torch from using its flash attention, or with the package flash-attn, which has to be compiled
for each torch. torch has the same kernels itself, for rows cut into examples of any length; this
module lends them to transformers under the name `PACKED`. On a CPU, and in 32 bits, as when a model
answers, examples are taken one by one: on one thread a row of 512 tokens with one example took as
long as with the mask, with four a third, with a hundred still a third; one of 2,048 with sixteen a
twelfth.

The kernels want 16-bit numbers, heads of at most 256 and a GPU since Ampere, and nothing here sees
sliding windows or soft caps; `adopt` finds out whether they do for a model what `sdpa` does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

PACKED = "hubtrain_packed"

_BEYOND = ("softcap", "s_aux", "position_bias", "sliding_window")
"""What attention may be asked for and the kernels here do not do."""


def adopt(model: Any, proven: Callable[[Any], bool]) -> bool:
    """Give the model this attention if it is `proven` to do the same; whether it is.

    Otherwise the model keeps what it has.
    """
    before = model.config._attn_implementation
    config = model.config.get_text_config()
    if before != "sdpa" or not model._supports_flash_attn or _looks_away(config):
        return False
    AttentionInterface.register(PACKED, _forward)
    AttentionMaskInterface.register(PACKED, _mask)
    model.set_attn_implementation(PACKED)
    try:
        if proven(model):
            return True
    except (RuntimeError, ValueError, TypeError):
        pass  # no such kernel for this machine, or for this model
    model.set_attn_implementation(before)
    return False


def lent(model: Any) -> bool:
    """Whether the model has this attention."""
    return bool(model.config._attn_implementation == PACKED)


def bounds(positions: torch.Tensor) -> tuple[torch.Tensor, int]:
    """Return where examples begin in a row, its end behind them, and the longest one's length.

    `positions` (tokens) start again at 0 with each example. The bounds are 32 bits wide.
    """
    starts = (positions == 0).nonzero()[:, 0]
    ends = torch.cat([starts, starts.new_tensor([len(positions)])])
    return ends.int(), int(ends.diff().max())


def _looks_away(config: Any) -> bool:
    """Whether some layers do not look at the whole example."""
    kinds = getattr(config, "layer_types", None)
    if kinds:
        return any(kind != "full_attention" for kind in kinds)
    return getattr(config, "sliding_window", None) is not None


def _mask(
    *, q_length: int, kv_length: int, attention_mask: torch.Tensor | None = None, **how: Any
) -> torch.Tensor | None:
    """Return no mask for rows that are seen whole: the bounds of their examples say it all."""
    if attention_mask is None and q_length == kv_length:
        return None
    return sdpa_mask(q_length=q_length, kv_length=kv_length, attention_mask=attention_mask, **how)  # type: ignore[no-any-return]


def _forward(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    dropout: float = 0.0,
    scaling: float | None = None,
    position_ids: torch.Tensor | None = None,
    cu_seq_lens_q: torch.Tensor | None = None,
    max_length_q: int = 0,
    **more: Any,
) -> tuple[torch.Tensor, None]:
    """Return what each token attends to, (rows, tokens, heads, width), as transformers wants it.

    `query` is (rows, heads, tokens, width); keys and values may have fewer heads. Raises
    `ValueError` where more is asked for than is done here.
    """
    whole = attention_mask is None and query.shape[2] == key.shape[2]
    if not whole:  # an answer is being written
        return sdpa_attention_forward(  # type: ignore[no-any-return]
            module, query, key, value, attention_mask, dropout, scaling, **more
        )
    if asked := [name for name in _BEYOND if more.get(name) is not None]:
        raise ValueError(f"packed attention knows no {', '.join(asked)}")
    rows, _, tokens, _ = query.shape
    if cu_seq_lens_q is None:
        cu_seq_lens_q, max_length_q = _found(position_ids, rows, tokens, query.device)
    states = [x.transpose(1, 2).flatten(0, 1).to(_products(query)) for x in (query, key, value)]
    flash = query.is_cuda and states[0].dtype in {torch.bfloat16, torch.float16}
    attend = _flash if flash else _one_by_one
    out = attend(states, cu_seq_lens_q, max_length_q, dropout, scaling)
    return out.view(rows, tokens, *out.shape[1:]), None


def _found(
    positions: torch.Tensor | None, rows: int, tokens: int, device: torch.device
) -> tuple[torch.Tensor, int]:
    """Return the bounds where nobody told them, kept with the positions for the other layers."""
    if positions is None:
        positions = torch.arange(tokens, device=device)
    found: tuple[torch.Tensor, int] | None = getattr(positions, "examples", None)
    if found is None:
        found = bounds(positions.expand(rows, tokens).reshape(-1))
        positions.examples = found  # type: ignore[attr-defined]
    return found


def _products(query: torch.Tensor) -> torch.dtype:
    kind = query.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else query.dtype


def _flash(
    states: Sequence[torch.Tensor],
    ends: torch.Tensor,
    longest: int,
    dropout: float,
    scaling: float | None,
) -> torch.Tensor:
    """torch's flash attention (Dao 2023, arXiv 2307.08691) of queries, keys and values, (tokens,
    heads, width) each.

    `torch.nn.attention.varlen` calls the same operator, with other arguments in every release.
    """
    found = torch.ops.aten._flash_attention_forward(
        *states, ends, ends, longest, longest, dropout, True, False, scale=scaling
    )
    return found[0]  # type: ignore[no-any-return]


def _one_by_one(
    states: Sequence[torch.Tensor],
    ends: torch.Tensor,
    longest: int,
    dropout: float,
    scaling: float | None,
) -> torch.Tensor:
    sizes = ends.diff().tolist()
    split = (torch.split(x.transpose(0, 1)[None], sizes, 2) for x in states)
    gqa = states[0].shape[1] != states[1].shape[1]
    done = [
        torch.nn.functional.scaled_dot_product_attention(
            q, k, v, dropout_p=dropout, is_causal=True, scale=scaling, enable_gqa=gqa
        ).transpose(1, 2)  # as it lies in memory
        for q, k, v in zip(*split, strict=True)
    ]
    return torch.cat(done, 1)[0]
