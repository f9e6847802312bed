"""What this machine has: its accelerator, its memory, whether it is fast in bfloat16."""

from __future__ import annotations

import os
import sys
from functools import cache

import torch

from worker.contract import EndReason
from worker.engine import processes
from worker.errors import HubtrainError
from worker.hardware import stated_memory


@cache
def device() -> str:
    """Return `cuda`, `mps` or `cpu`."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def require(accelerators: int) -> None:
    """Raise `HubtrainError` unless so many accelerators are there: the CPU is no stand-in."""
    there = torch.cuda.device_count() if device() == "cuda" else int(device() != "cpu")
    if there < accelerators:
        raise HubtrainError(
            f"This job is to use {accelerators} GPU{'s' * (accelerators != 1)}, and torch "
            f"{torch.__version__} (CUDA {torch.version.cuda}) can use {there or 'none'} here.",
            reason=EndReason.NO_ACCELERATOR,
        )


def readers(most: int) -> int:
    """Return how many processes make batches while a GPU computes, `most` at most.

    None where the cores have the model to compute. Each is a fork that tokenizes on one thread.
    """
    if device() != "cuda":
        return 0
    forks_use_one_thread()
    return min(most, (os.cpu_count() or 1) - 1)


@cache
def forks_use_one_thread() -> None:
    """Let forked processes tokenize on one thread: a pool of threads is lost in a fork, which then
    waits for it for ever. Windows forks nothing."""
    if sys.platform != "win32":
        one_thread = {"TOKENIZERS_PARALLELISM": "false"}
        os.register_at_fork(after_in_child=lambda: os.environ.update(one_thread))


def memory() -> float:
    """Return the bytes of memory training can have: a GPU's, or a share of this machine's.

    What the provider of a container gives it outranks what the machine below has. Of several
    processes all get the answer of the one that has the least, so that all decide alike.
    """
    return processes.least_of(_memory())


def _memory() -> float:
    if device() == "cuda":
        return float(torch.cuda.mem_get_info()[0])
    import psutil

    limits = [float(psutil.virtual_memory().available)]
    if stated := stated_memory(os.environ):
        limits.append(float(stated))
    return min(limits) / processes.on_this_node()


@cache
def fast_bfloat16() -> bool:
    """Whether products in bfloat16 are faster here than in 32 bits."""
    if device() == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device() == "mps":
        return True
    if not hasattr(torch.cpu, "get_capabilities"):  # torch 2.10 knows only these two
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    found = torch.cpu.get_capabilities()
    return bool(found.get("avx512_bf16") or found.get("amx_bf16") or found.get("bf16"))
