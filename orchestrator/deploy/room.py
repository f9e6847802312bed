"""Whether a model fits on the machine that is to answer with it."""

from __future__ import annotations

from collections.abc import Sequence

from backends.base import Flavor
from orchestrator.deploy.model import Deployable
from orchestrator.preflight.estimate import capacity
from orchestrator.preflight.report import Findings
from orchestrator.words import money, size

PROGRAM_BYTES = 1.2e9
"""What Python, torch and the page take: 0.55 GB measured on a CPU; a GPU's context is the rest."""

SPARE = 1.1
"""Weights and cache in memory, over their sizes: what is made and thrown away while it answers."""

LONGEST_CHAT = 8192
"""Tokens of a conversation for which there has to be room, if the model sees as many."""


def needed_bytes(model: Deployable) -> float:
    """Return the memory that answers take, with weights in the precision they are stored in."""
    return PROGRAM_BYTES + SPARE * (model.stored_bytes + _cache_bytes(model))


def cheapest(model: Deployable, flavors: Sequence[Flavor], *, gpu: bool = False) -> Flavor | None:
    """Return the cheapest machine that the model fits on, with a GPU if it has to have one."""
    need = needed_bytes(model)
    fitting = (f for f in flavors if capacity(f) >= need and (f.accelerators or not gpu))
    return min(fitting, key=lambda f: f.usd_per_hour, default=None)


def check_room(
    model: Deployable, flavor: Flavor, flavors: Sequence[Flavor], place: str, findings: Findings
) -> None:
    """Find whether the model fits on `flavor`; if not, name the cheapest of `flavors` it does."""
    need, there = needed_bytes(model), capacity(flavor)
    text = f"{size(need)} needed to answer, of {size(there)} on {flavor.name}"
    if need <= there:
        findings.ok("memory", text)
        return
    fitting = (cheapest(model, flavors), cheapest(model, flavors, gpu=True))
    offers = [
        f"--deploy-backend {place}-{one.name} ({money(one.usd_per_hour)}/h)"
        for one in dict.fromkeys(filter(None, fitting))
    ]
    findings.error("memory", text, " or ".join(offers) or f"no machine of {place} has as much")


def _cache_bytes(model: Deployable) -> float:
    """Return the size of the keys and values of the longest conversation; 0 for other models."""
    config = model.facts.config.get("text_config") or model.facts.config
    layers, width = config.get("num_hidden_layers"), config.get("hidden_size")
    if not (model.page.is_chat and layers and width):
        return 0.0
    heads = config.get("num_attention_heads") or 1
    head = config.get("head_dim") or width / heads
    kept = (config.get("num_key_value_heads") or heads) * head
    tokens = min(config.get("max_position_embeddings") or LONGEST_CHAT, LONGEST_CHAT)
    return float(2 * layers * kept * tokens * model.facts.bytes_per_parameter)
