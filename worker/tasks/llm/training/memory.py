"""What the memory of this machine suffices for: to keep what the backward pass needs, and how much
of a step to take at once.
"""

from __future__ import annotations

import sys
from typing import Any

from worker.engine import devices, processes
from worker.engine.model import Loaded
from worker.engine.room import facts_of, memory
from worker.tasks.llm.cost import enlarged, recomputes
from worker.tasks.llm.params import LlmParams

ROOM = 0.9
"""Share of the memory that passes are enlarged into."""


def recomputes_here(params: LlmParams, loaded: Loaded, predicted: float = 1.0) -> bool:
    """Whether activations are recomputed: not where all of them fit into this machine's memory.

    Logits are computed for a share of the tokens that is `predicted`; a loss that is not ours takes
    `COPIED` as much.
    """
    if processes.sharded():  # as the check reckoned: see `worker.launch.chosen`
        return recomputes(params, facts_of(loaded), None, predicted)
    return recomputes(params, facts_of(loaded), memory(), predicted)


def in_larger_passes(params: LlmParams, loaded: Loaded) -> LlmParams:
    """Return settings that take the rows of a step in fewer passes, where a GPU has the memory.

    The gradients of a step are the same sum. A GPU waits for the CPU in small passes, and all
    weights are made 16-bit in every pass. Where the sum would depend on the passes, it would depend
    on the machine's memory: there they stay as they are. Dropout is another draw of the same
    chance, as on another machine.
    """
    if devices.device() != "cuda" or params.auto_find_batch_size or processes.sharded():
        return params
    larger = enlarged(params, facts_of(loaded), ROOM * memory())
    if larger.batch_size == params.batch_size:
        return params
    rows = f"{larger.batch_size} rows a pass, as this GPU's memory allows"
    if why := depends_on_passes(params, loaded.model):
        sys.stderr.write(f"Steps are not taken with {rows}: {why}.\n")
        return params
    sys.stderr.write(f"Steps are taken with {rows}, and not {params.batch_size}.\n")
    return larger


def depends_on_passes(params: LlmParams, model: Any) -> str:
    """Return why the gradients of a step depend on how its rows are dealt to passes; or nothing."""
    if params.neftune_noise_alpha:  # it is stronger in short rows
        return "the noise of --neftune-noise-alpha would be another"
    if getattr(model.config.get_text_config(), "output_router_logits", False):
        return "the model balances its experts over the rows of a pass"
    return ""
