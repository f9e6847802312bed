"""Which layers of a model a setting means, by their names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from worker.facts import CheckContext
from worker.finding import Finding
from worker.nearest import nearest
from worker.shorten import some

EVERY_LINEAR = "all-linear"
"""All layers but embeddings and the output, as peft says it."""

EVERY_MATRIX = "all"
"""All that is a matrix, embeddings and output included."""

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


def _layers(tensors: Iterable[str]) -> Sequence[str]:
    """Return the names of what has weights, norms and embeddings left out where names tell."""
    parts = (name.split(".") for name in tensors)
    names = {path[-2]: None for path in parts if len(path) > 1 and path[-1] != "bias"}
    return [name for name in names if not name.isdigit()]


def _some(names: Sequence[str]) -> str:
    plain = [n for n in names if "norm" not in n and "emb" not in n and "head" not in n] or names
    return some(plain, SHOWN)
