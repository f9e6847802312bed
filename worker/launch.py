"""Several processes that train together: how many, what each of them takes, and who starts them.

Pure, and light: the check, the plan and the supervisor all ask here. What a process does among the
others is in `worker.engine.processes`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from worker.contract import ALONE, JobSpec, Parallel
from worker.hardware import ONLY, Node

if TYPE_CHECKING:
    from worker.params import Params
    from worker.task import Footprint

TRAINER = "worker.run"
"""The module that each of them runs."""

LAUNCHER = "accelerate.commands.launch"
"""What `accelerate launch` runs."""

_FAILED = re.compile(r"failed \(exitcode: (-?\d+)\) local_rank: \d+ \(pid: \d+\)")

DEEPSPEED = "deepspeed"

SHARDED_WITH = frozenset({"adamw_torch", "adamw_torch_fused", "adagrad", "rmsprop", "sgd"})
"""Optimizers that work on shares of weights: those of torch."""


def processes_of(params: Params, accelerators: int, *, together: bool, nodes: int = 1) -> int:
    """Return how many processes train on so many GPUs, those of all nodes.

    `together` says whether the task can train in several (`Task.trains_together`).
    """
    if not together:
        return 1
    return getattr(params, "num_processes", None) or max(nodes, accelerators)


def unused(way: str, *, together: bool) -> dict[str, str]:
    """Return the settings that do nothing where a way to train has one process, each with why."""
    return {} if together else {"distributed_backend": f"{way} trains in one process."}


def chosen(
    params: Params, several: Parallel, whole: Footprint, least: Footprint, memory: float
) -> Parallel:
    """Return how `several` processes share a training; `memory` is what each has, in bytes.

    `whole` is the footprint where each holds the whole model, and `least` the smallest one there
    can be, with `Footprint.sharded` where it can be divided. What was asked for is what is
    returned, whether it can be done or not: see `faults`.
    """
    if several.processes == 1:
        return ALONE
    asked = getattr(params, "distributed_backend", None)
    divided = several.model_copy(update={"strategy": "fsdp"})
    if asked == "fsdp":
        return divided
    useful = whole.high > memory and least.sharded > least.gathered
    wanted = asked == DEEPSPEED or (asked is None and useful)
    can = not any(_unsharded(params, least))
    return divided if wanted and can else several


def read_as(params: Params, parallel: Parallel) -> str:
    """Return what DeepSpeed was read as, where it was asked for; else nothing."""
    if parallel.processes == 1 or getattr(params, "distributed_backend", None) != DEEPSPEED:
        return ""
    if parallel.strategy == "fsdp":
        return "deepspeed is read as fsdp: torch's FSDP2 divides what DeepSpeed's ZeRO-3 does"
    return "deepspeed is read as ddp: this model cannot be divided, each process holds all of it"


def share(batch_size: int, accumulation: int, processes: int) -> tuple[int, int] | None:
    """Return what each of `processes` takes of a step: rows a pass, and passes.

    Together they take the rows that one process would, and no pass is larger than `batch_size`;
    none where the rows cannot be divided.
    """
    mine, rest = divmod(batch_size * accumulation, processes)
    if rest:
        return None
    rows = next(rows for rows in range(min(batch_size, mine), 0, -1) if mine % rows == 0)
    return rows, mine // rows


def faults(params: Params, parallel: Parallel, footprint: Footprint) -> Iterator[tuple[str, str]]:
    """Yield what a training in several processes cannot do, each with what to type."""
    if parallel.processes == 1:
        return
    if parallel.processes % parallel.nodes:
        text = f"{parallel.processes} processes cannot be divided among {parallel.nodes} nodes."
        more = -(-parallel.processes // parallel.nodes) * parallel.nodes
        yield text, f"--num-processes {more}"
    yield from _undivided(params, parallel.processes)
    if getattr(params, "auto_find_batch_size", False):
        text = "--auto-find-batch-size is for one process: others would not know of it."
        yield text, "a smaller --batch-size"
    if parallel.strategy == "fsdp":
        yield from ((text, "--distributed-backend ddp") for text in _unsharded(params, footprint))


def _undivided(params: Params, processes: int) -> Iterator[tuple[str, str]]:
    batch = int(getattr(params, "batch_size", processes))
    passes = int(getattr(params, "gradient_accumulation", 1))
    if share(batch, passes, processes) is None:
        more = next(n for n in range(passes, passes + processes) if n * batch % processes == 0)
        text = f"a step of {batch * passes} rows cannot be divided among {processes} processes."
        yield text, f"--gradient-accumulation {more}, which makes {batch * more} rows a step"


def _unsharded(params: Params, footprint: Footprint) -> Iterator[str]:
    """Yield why a model cannot be divided."""
    optimizer = str(getattr(params, "optimizer", ""))
    if not footprint.sharded:
        yield "this training cannot divide its model among processes (fsdp)."
    if _few_bits(params):
        bits = getattr(params, "quantization", "")
        yield f"--quantization {bits}: such weights cannot be divided among processes (fsdp)."
    elif getattr(params, "peft", False) and (how := _looks_at_whole(params)):
        yield f"{how} needs whole weights, and not shares of them (fsdp)."
    if optimizer not in SHARDED_WITH:
        yield f"--optimizer {optimizer} cannot work on shares of weights (fsdp)."


def less_to_save(params: Params) -> str:
    """Return what to type where main memory is too small to save a model that is divided."""
    adapter = getattr(params, "peft", False)
    return "leave --merge-adapter out" if adapter else "--peft, or more main memory"


def _looks_at_whole(params: Params) -> str:
    """Return the kind of adapter that is computed from the weights beside it; else nothing."""
    if getattr(params, "use_dora", False):
        return "--use-dora"
    begins = getattr(params, "init_lora_weights", "default")
    return "" if begins == "default" else f"--init-lora-weights {begins}"


def here(spec: JobSpec, lent: int) -> Parallel:
    """Return how a job trains where so many of the GPUs that it pays for on a node are lent."""
    fewer = lent < min(spec.gpus_per_node, spec.parallel.processes // spec.parallel.nodes)
    return ALONE if fewer else spec.parallel


def _few_bits(params: Params) -> bool:
    return bool(getattr(params, "quantization", None))


def command(
    parallel: Parallel, arguments: Sequence[str], cores: int, node: Node = ONLY
) -> list[str]:
    """Return the command that trains on a node with so many cores.

    It is one process, or a launcher that starts the node's share of several.
    """
    if parallel.processes == 1:
        return [sys.executable, "-P", "-m", TRAINER, *arguments]
    each = max(1, cores * parallel.nodes // parallel.processes)
    place = ["--num_cpu_threads_per_process", str(each), "--main_process_port", str(node.port)]
    if parallel.nodes > 1:
        place += ["--machine_rank", str(node.number), "--main_process_ip", node.first]
    flags = [*_flags(parallel), *place, "--module", TRAINER]
    return [sys.executable, "-P", "-m", LAUNCHER, *flags, *arguments]


def code_in(line: str) -> int | None:
    """Return the exit code that the launcher tells of the first process that failed.

    The line is torch's (`torch.distributed.elastic`); none where it is another one.
    """
    found = _FAILED.search(line)
    return int(found[1]) if found else None


def shown(parallel: Parallel, accelerators: int) -> str:
    """Return what a plan shows of several processes: the command on GPUs; empty for one process.

    On a CPU it is told in words: there, too, accelerate wants to be called `--multi_gpu`.
    """
    if parallel.processes == 1:
        return ""
    held = "a share of the model (FSDP2)" if parallel.strategy == "fsdp" else "the whole model"
    flags = " ".join(_flags(parallel))
    started = f"accelerate launch {flags} --module {TRAINER} …"
    if not accelerators:
        started = f"{parallel.processes} processes on the CPU"
    if parallel.nodes > 1:
        started = f"on {parallel.nodes} nodes: {started}"
    return f"{started} · each holds {held}"


def _flags(parallel: Parallel) -> list[str]:
    return [
        *("--multi_gpu", "--num_processes", str(parallel.processes)),
        *("--num_machines", str(parallel.nodes)),
        *("--mixed_precision", "no", "--dynamo_backend", "no"),  # the trainer sets them itself
    ]
