"""Which layers of a model a setting means, by their names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from worker.facts import CheckContext
from worker.finding import Finding
from worker.nearest import nearest
from worker.shorten import some

EVERY_LINEAR = "all-linear"
"""All layers but embeddings and the output, as peft says it."""

EVERY_MATRIX = "all"
"""All that is a matrix, embeddings and output included."""

ENDS = frozenset(
    {"embed_tokens", "embed_positions", "embed_in", "wte", "wpe", "shared", "tokens_embed"}
    | {"word_embeddings", "position_embeddings", "token_type_embeddings", "embeddings"}
    | {"lm_head", "embed_out"}
)
"""What embeddings and outputs are called in files."""

SHARE = 4
"""A rank is usually so small a part of a matrix's side (GaLore, arXiv 2403.03507, table 2)."""

SHOWN = 12
"""Layers that are named before it is said how many more there are."""


def no_layers(targets: str, about: CheckContext) -> Iterator[Finding]:
    """Yield `targets` that are to get an adapter and are not there, by the names of the tensors.

    Only the last part of a name is compared, `q_proj` of `self_attn.q_proj`: what stands before
    it may be called differently in a file than in the model that is made of it.
    """
    if targets == EVERY_LINEAR or about.facts is None:
        return
    there = _layers(about.tensors)
    names = [name.strip() for name in targets.split(",")]
    lacking = [name for name in names if name.rsplit(".")[-1] not in there]
    if there and lacking:
        none = len(lacking) == len(names)
        meant = [name if name not in lacking else nearest(name, there) for name in names]
        sure = all(meant)
        yield Finding(
            "error" if none else "warn",
            "settings",
            f"--target-modules {','.join(lacking)}: {about.facts.name} has no layer of that name"
            f"{'' if none else ', and only the others get an adapter'}; it has {_some(there)}.",
            f"--target-modules {','.join(filter(None, meant)) if sure else EVERY_LINEAR}",
        )


def none_projected(
    rank: int, targets: str, tensors: Mapping[str, Sequence[int]], config: Mapping[str, Any]
) -> Iterator[Finding]:
    """Yield that a low-rank optimizer has no matrix to project, as `engine.optimizer` chooses them.

    The shapes of `tensors` tell, else the model's `config`: a layer has its hidden size as one of
    its sides, and so no shorter one that is longer.
    """
    matrices = [(name, sides) for name, sides in tensors.items() if len(sides) == 2]  # noqa: PLR2004
    hidden = config.get("hidden_size", config.get("n_embd"))
    if matrices:
        side = max((min(sides) for name, sides in matrices if _meant(name, targets)), default=0)
    elif isinstance(hidden, int) and "vision_config" not in config and targets != EVERY_MATRIX:
        side = hidden
    else:
        return
    if not side:
        text = f"--optim-target-modules {targets}: the model has no layer of that name."
        yield Finding("error", "settings", text, f"--optim-target-modules {EVERY_LINEAR}")
    elif side <= rank:
        text = (
            f"--optim-rank {rank}: the optimizer has no matrix to project. Of the layers that it "
            f"is used for ({targets}) each has a side of {side} or less."
        )
        fix = f"--optim-rank {max(1, side // SHARE)}, or another --optimizer"
        yield Finding("error", "settings", text, fix)


def _meant(tensor: str, targets: str) -> bool:
    """Whether the weights of this name are among those that a low-rank optimizer is used for."""
    layer = tensor.removesuffix(".weight")
    if layer == tensor:
        return False
    linear = layer.rpartition(".")[2] not in ENDS
    wanted = [name.strip() for name in targets.split(",")]
    if wanted == [EVERY_MATRIX]:
        return True
    return linear and (wanted == [EVERY_LINEAR] or any(word in layer for word in wanted))


def _layers(tensors: Iterable[str]) -> Sequence[str]:
    """Return the names of what has weights, norms and embeddings left out where names tell."""
    parts = (name.split(".") for name in tensors)
    names = {path[-2]: None for path in parts if len(path) > 1 and path[-1] != "bias"}
    return [name for name in names if not name.isdigit()]


def _some(names: Sequence[str]) -> str:
    plain = [n for n in names if "norm" not in n and "emb" not in n and "head" not in n] or names
    return some(plain, SHOWN)
