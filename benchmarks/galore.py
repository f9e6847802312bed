"""GaLore: what the optimizer keeps, in bytes, and that the loss falls as with AdamW's whole state.

llama_60m with random weights, on the documentation and
sources of this machine's own Python, which are read and never copied. Rank 128, which in the paper
(arXiv 2403.03507, table 2) stands as 128 of 256 for this model; its published configuration is 512
wide, and that is what is built here. Bytes are those of the optimizer after the last step, and do
not depend on the machine. Where galore_torch is installed, its steps are compared with ours.
"""

from __future__ import annotations

import inspect
import sysconfig
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch

SECONDS = 300
"""About how long it takes on two cores."""

STEPS = 40
RANK, GAP, SCALE = 128, 200, 0.25
SMALL = 2_000_000
"""Characters that the tokenizer is trained on."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One training."""

    name: str
    kept: int
    """Bytes."""

    losses: list[float]
    seconds: float


def texts() -> Iterator[str]:
    """Yield the sources of the standard library, documentation and all."""
    for file in sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py")):
        yield file.read_text(encoding="utf-8", errors="ignore")


def kept_bytes(optimizer: torch.optim.Optimizer) -> int:
    """Return the bytes of all tensors an optimizer keeps of the weights."""
    held = (value for state in optimizer.state.values() for value in state.values())
    return sum(t.numel() * t.element_size() for t in held if isinstance(t, torch.Tensor))


def measured(name: str, rows: list[Any], steps: int, bits: int = 32) -> Measured:
    """Train llama_60m for so many steps; `rows` are batches."""
    from transformers import AutoConfig, AutoModelForCausalLM

    from worker.engine.low_rank import LowRankAdamW
    from worker.tasks.pretraining import models

    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**models.config("llama_60m")))
    model.config.use_cache = False
    low = {"rank": RANK, "gap": GAP, "scale": SCALE, "method": "galore"}
    inner = [p for n, p in model.named_parameters() if "_proj." in n]
    others = [p for n, p in model.named_parameters() if "_proj." not in n]
    groups: list[dict[str, Any]] = [
        {"params": others},
        {"params": inner, **(low if name != "AdamW" else {})},
    ]
    lr = 1e-3
    optimizer: torch.optim.Optimizer
    optimizer = (
        torch.optim.AdamW(groups, lr=lr)
        if name == "AdamW"
        else LowRankAdamW(groups, lr=lr, bits=bits)
    )
    losses, began = [], time.perf_counter()
    for batch in islice(rows, steps):
        loss = model(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return Measured(name, kept_bytes(optimizer), losses, time.perf_counter() - began)


def batches(steps: int) -> list[Any]:
    """Return batches of two rows of 128 tokens of real text."""
    from worker.tasks.llm.training.batches import Collate
    from worker.tasks.pretraining.training.fresh import trained_on
    from worker.tasks.pretraining.training.stream import Passes

    tokenizer = trained_on(iter(["".join(texts())[:SMALL]]), 32_000)
    passes = Passes(texts, tokenizer.backend_tokenizer, tokenizer.eos_token_id, 128, seed=0)
    rows, collate = passes.all(), Collate(pad=tokenizer.pad_token_id)
    return [collate(list(islice(rows, 2))) for _ in range(steps)]


def differs_from_the_authors() -> float | None:
    """Return the largest difference to a weight by galore_torch; none where it is not installed.

    Within one basis: in which sign the next one comes is chance, and the moments go on in it.
    """
    try:
        from galore_torch import GaLoreAdamW  # type: ignore[import-not-found]
    except ImportError:
        return None
    from worker.engine.low_rank import LowRankAdamW

    torch.manual_seed(0)
    common = torch.randn(512, 1376)
    ours, theirs = (torch.nn.Parameter(torch.ones(512, 1376)) for _ in range(2))
    low = {"rank": RANK, "scale": SCALE}
    one = LowRankAdamW([{"params": [ours], "gap": GAP, "method": "galore", **low}], lr=0.01)
    group = {"params": [theirs], "update_proj_gap": GAP, "proj_type": "std", **low}
    more = {"no_deprecation_warning": True}
    known = inspect.signature(GaLoreAdamW).parameters
    other = GaLoreAdamW([group], lr=0.01, eps=1e-8, **(more if set(more) <= set(known) else {}))
    for _ in range(10):
        gradient = common + 0.5 * torch.randn(512, 1376)
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        one.step()
        other.step()
    return float((ours - theirs).abs().max())


def main() -> None:
    """Measure and print."""
    rows = batches(STEPS)
    found = [
        measured("AdamW", rows, STEPS),
        measured("GaLore", rows, STEPS),
        measured("GaLore in 8 bits", rows, 2, bits=8),  # a CPU takes ten seconds for each
    ]
    whole = found[0].kept
    print(f"llama_60m, rank {RANK}, {STEPS} steps of 2 rows of 128 tokens, this Python's sources")
    print("| optimizer | state | of AdamW's | steps | first loss | mean of the last 5 | seconds |")
    print("|---|---|---|---|---|---|---|")
    for one in found:
        last = sum(one.losses[-5:]) / len(one.losses[-5:])
        print(
            f"| {one.name} | {one.kept / 1e6:.1f} MB | {one.kept / whole:.0%} "
            f"| {len(one.losses)} | {one.losses[0]:.2f} | {last:.2f} | {one.seconds:.0f} |"
        )
    difference = differs_from_the_authors()
    told = "is not installed" if difference is None else f"differs by {difference:.1e} at most"
    print(f"galore_torch {told}")
