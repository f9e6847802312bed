"""Whether the layers that are to get an adapter are there, by the names of the tensors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from orchestrator.preflight.model import BaseModel
from orchestrator.preflight.report import Findings

EVERYWHERE = "all-linear"
SHOWN = 12
"""Names a message gives before it says that there are more."""


def check_layers(params: Any, model: BaseModel) -> Findings:
    """Return what there is to say about `--target-modules`.

    Only the last part of a name is compared, `q_proj` of `self_attn.q_proj`: what stands before
    it may be called differently in a file than in the model that is made of it.
    """
    findings = Findings()
    wanted = str(getattr(params, "target_modules", EVERYWHERE))
    if wanted == EVERYWHERE or not getattr(params, "peft", False):
        return findings
    tensors = findings.attempt("model", model.tensors)
    there = _layers(tensors or ())
    lacking = [n for n in map(str.strip, wanted.split(",")) if n.rsplit(".")[-1] not in there]
    if there and lacking:
        none = len(lacking) == len(wanted.split(","))
        (findings.error if none else findings.warn)(
            "settings",
            f"--target-modules {','.join(lacking)}: {model.facts.name} has no layer of that name"
            f"{'' if none else ', and only the others get an adapter'}; it has {_some(there)}.",
            f"--target-modules {EVERYWHERE}",
        )
    return findings


def _layers(tensors: Iterable[str]) -> list[str]:
    """Return the names of what has weights, norms and embeddings left out where names tell."""
    parts = (name.split(".") for name in tensors)
    names = {path[-2]: None for path in parts if len(path) > 1 and path[-1] != "bias"}
    return [name for name in names if not name.isdigit()]


def _some(names: list[str]) -> str:
    plain = [n for n in names if "norm" not in n and "emb" not in n and "head" not in n] or names
    more = f" and {len(plain) - SHOWN} more" if len(plain) > SHOWN else ""
    return ", ".join(plain[:SHOWN]) + more
