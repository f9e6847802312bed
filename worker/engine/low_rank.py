"""AdamW whose moments live in few dimensions: GaLore (arXiv 2403.03507) and APOLLO (2412.05270).

A gradient G of m x n is seen through a basis of its shorter side, which leaves r dimensions of it;
both moments are kept of that and take r * max(m, n) numbers each instead of m * n.

- GaLore (algorithm 2): the basis holds the r largest singular vectors of G, found anew every so
  many steps; Adam's step in these dimensions is carried back and scaled.
- APOLLO (algorithm 1): the basis is random, made again from a seed and kept in no checkpoint.
  Adam's step in it only tells by how much each channel of the raw gradient is scaled; its norm may
  grow by 1% a step.

Both take the state of any other tensor as AdamW does, and to all of it `bits=8` applies: moments in
blocks of 256 with one scale each (arXiv 2110.02861). States are tensors and numbers alone, so that
a checkpoint loads without trust. Why not galore_torch and apollo_torch, which transformers would
take: their states are objects, which torch does not load so, and the first has not changed since
2024. `benchmarks/galore.py` compares with the first where it is installed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

GROWTH = 1.01
"""Most that the norm of APOLLO's step may grow from one step to the next."""

LEAST_8_BIT = 4096
"""Numbers of a tensor below which its moments keep 32 bits, as in bitsandbytes."""

BYTE = 8

BLOCK = 256
"""Numbers that share a scale in 8 bits."""


class LowRankAdamW(torch.optim.Optimizer):
    """AdamW; groups with a `rank` are seen through a basis, as the group's `method` says.

    Such a group has `rank`, `gap` (steps until the basis is found anew), `scale` and `method`
    (`galore` or `apollo`), and holds matrices whose sides are both longer than its rank.
    """

    def __init__(
        self,
        params: Iterable[Any],
        *,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        bits: int = 32,
    ) -> None:
        plain = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, {**plain, "bits": bits, "rank": None})
        self._bases: dict[int, tuple[int, Tensor]] = {}

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Move the weights by one step; returns what `closure` returns."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        number = 0
        for group in self.param_groups:
            for weight in group["params"]:
                number += 1
                if weight.grad is not None:
                    self._move(weight, group, number)
        return loss

    def _move(self, weight: Tensor, group: dict[str, Any], number: int) -> None:
        state, gradient = self.state[weight], weight.grad.float()  # type: ignore[union-attr]
        state["step"] = state.get("step", 0) + 1
        if group["rank"] is None:
            change = _adam(gradient, state, group)
        elif group["method"] == "galore":
            change = _galore(gradient, state, group)
        else:
            seed = number + 100_003 * ((state["step"] - 1) // group["gap"])
            change = _apollo(gradient, self._basis(number, gradient, seed, group), state, group)
        weight.mul_(1 - group["lr"] * group["weight_decay"])
        weight.add_(change.to(weight.dtype), alpha=-group["lr"])

    def _basis(self, number: int, gradient: Tensor, seed: int, group: dict[str, Any]) -> Tensor:
        """Return APOLLO's basis of a matrix; on a GPU it is held until it is made anew."""
        side, rank = min(gradient.shape), group["rank"]
        if gradient.device.type == "cpu":
            return random_basis(side, rank, seed)
        held = self._bases.get(number)
        if held is None or held[0] != seed:
            held = seed, random_basis(side, rank, seed).to(gradient.device)
            self._bases[number] = held
        return held[1]

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the state of a checkpoint; torch makes floats of all of it, of bytes too."""
        super().load_state_dict(state_dict)
        for state in self.state.values():
            for name, value in state.items():
                if name.endswith("_codes"):
                    state[name] = value.to(torch.uint8)


def _galore(gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> Tensor:
    """Return Adam's step in the largest singular vectors of the gradient, carried back."""
    if (state["step"] - 1) % group["gap"] == 0:
        state["basis"] = _turned(leading(gradient, group["rank"]), state.get("basis"))
    basis = state["basis"]
    if _tall(gradient):
        back: Tensor = _adam(gradient @ basis, state, group) @ basis.T
    else:
        back = basis @ _adam(basis.T @ gradient, state, group)
    return back.mul_(group["scale"])


def _turned(basis: Tensor, before: Tensor | None) -> Tensor:
    """Return a basis whose vectors point as those before them did.

    A singular vector has no sign of its own, and the moments go on from one basis to the next.
    """
    if before is None:
        return basis
    return basis * torch.where((basis * before).sum(0) < 0, -1.0, 1.0)


def leading(gradient: Tensor, rank: int) -> Tensor:
    """Return the `rank` largest singular vectors of the shorter side, as columns.

    They are eigenvectors of the product of the gradient with itself, which is as small as that side
    is short; in 64 bits, since its numbers are squares. Faster than singular vectors of the whole:
    on one core 0.04 s against 0.12 s for 512 x 1,376, and 1.6 s against 2.2 s for 2,048 x 2,048.
    """
    wide = gradient.double() if gradient.device.type != "mps" else gradient.cpu().double()
    product = wide.T @ wide if _tall(gradient) else wide @ wide.T
    vectors: Tensor = torch.linalg.eigh(product).eigenvectors
    return vectors[:, -rank:].flip(1).to(gradient)


def _apollo(
    gradient: Tensor, basis: Tensor, state: dict[str, Any], group: dict[str, Any]
) -> Tensor:
    """Return the gradient with each channel scaled as Adam scales it in random dimensions."""
    seen = gradient @ basis if _tall(gradient) else basis.T @ gradient
    moved = _adam(seen, state, group)
    along = 1 if _tall(gradient) else 0
    if group["rank"] == 1:  # APOLLO-Mini: one scale a matrix
        by = moved.norm() / (seen.norm() + 1e-8)
    else:
        by = moved.norm(dim=along, keepdim=True) / (seen.norm(dim=along, keepdim=True) + 1e-8)
    change: Tensor = gradient * by
    norm, before = change.norm(), state.get("norm")
    if before is not None:
        allowed = torch.clamp(GROWTH * before / (norm + 1e-8), max=1.0)
        change, norm = change * allowed, norm * allowed
    state["norm"] = norm
    return change.mul_(math.sqrt(group["scale"]))


def random_basis(side: int, rank: int, seed: int) -> Tensor:
    """Return a random basis (side, rank), the same for the same seed.

    Drawn on the CPU: the generators of devices differ, and results are not to depend on whose GPU
    it is. A million numbers take 4 ms.
    """
    chance = torch.Generator().manual_seed(seed)
    return torch.randn((side, rank), generator=chance) / math.sqrt(rank)


def _tall(gradient: Tensor) -> bool:
    """Whether the shorter side is that of the columns."""
    return gradient.shape[0] >= gradient.shape[1]


def _adam(gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> Tensor:
    """Return Adam's step for a gradient, bias corrected (Kingma and Ba 2015, algorithm 1)."""
    few = group["bits"] == BYTE and gradient.numel() >= LEAST_8_BIT
    take, keep = (_unpacked, _packed) if few else (_as_is, _kept)
    first, second = take(state, "first", gradient), take(state, "second", gradient)
    beta1, beta2 = group["betas"]
    first.lerp_(gradient, 1 - beta1)
    second.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
    size = (second / (1 - beta2 ** state["step"])).sqrt_().add_(group["eps"])
    change: Tensor = first.div(1 - beta1 ** state["step"]).div_(size)
    keep(state, "first", first)
    keep(state, "second", second)
    return change


def _as_is(state: dict[str, Any], name: str, like: Tensor) -> Tensor:
    found: Tensor | None = state.get(name)
    return torch.zeros_like(like) if found is None else found


def _kept(state: dict[str, Any], name: str, moment: Tensor) -> None:
    state[name] = moment


def _unpacked(state: dict[str, Any], name: str, like: Tensor) -> Tensor:
    """Return a moment that is kept in bytes."""
    if f"{name}_codes" not in state:
        return torch.zeros_like(like)
    from bitsandbytes.functional import dequantize_blockwise

    codes, scales = state[f"{name}_codes"], state[f"{name}_scales"]
    back: Tensor = dequantize_blockwise(
        codes, absmax=scales, code=_levels(name, like.device), blocksize=BLOCK
    )
    return back.view_as(like)


def _packed(state: dict[str, Any], name: str, moment: Tensor) -> None:
    """Keep a moment in bytes, in blocks with a scale each."""
    from bitsandbytes.functional import quantize_blockwise

    codes, how = quantize_blockwise(
        moment.contiguous(), code=_levels(name, moment.device), blocksize=BLOCK
    )
    state[f"{name}_codes"], state[f"{name}_scales"] = codes, how.absmax


_LEVELS: dict[tuple[str, str], Tensor] = {}


def _levels(name: str, device: torch.device) -> Tensor:
    """Return the 256 values that a byte stands for; the second moment has no sign."""
    from bitsandbytes.functional import create_dynamic_map

    key = (name, str(device))
    if key not in _LEVELS:
        _LEVELS[key] = create_dynamic_map(signed=name == "first").to(device)
    return _LEVELS[key]
