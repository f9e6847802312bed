"""What a cluster lends, as flavors: its partitions, and shares of the GPUs of their nodes.

A flavor is called as Slurm would be asked for it: `gpu` is a partition without a GPU, `gpu:a100`
one A100 of it, `gpu:a100x4` four on one node. Slurm tells no prices, and of GPUs no memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from backends.base import Flavor

_GB = 1e9
_MEMORY = {
    "t4": 16, "p100": 16, "v100": 16, "l4": 24, "a10": 24, "a10g": 24, "a30": 24, "a40": 48,
    "l40": 48, "l40s": 48, "a6000": 48, "a100": 40, "h100": 80, "h200": 141, "gh200": 96,
    "b200": 180, "mi210": 64, "mi250": 64, "mi250x": 64, "mi300": 128, "mi300a": 128, "mi300x": 192,
}  # fmt: skip
"""GB of a GPU as its maker says; the least where there are several of one name."""

ASSUMED = 16
"""GB of a GPU that nobody knows."""

_BARS = 6
"""Between what `sinfo` is asked for of each kind of node."""

_GPU = re.compile(r"gpu:(?:(?P<kind>[^:,()]+):)?(?P<number>\d+)")


@dataclass(frozen=True, slots=True)
class Ask:
    """A flavor's name, read: what of which partition."""

    partition: str
    kind: str | None = None
    """Type of its GPUs, as Slurm has it; none where it has none."""

    gpus: int = 0

    @classmethod
    def of(cls, name: str) -> Ask:
        """Return what the flavor of this name asks for."""
        partition, colon, gpus = name.partition(":")
        if not colon:
            return cls(partition)
        found = re.fullmatch(r"(.+?)(?:x(\d+))?", gpus)
        assert found is not None
        kind = None if found[1] == "gpu" else found[1]
        return cls(partition, kind, int(found[2] or 1))

    @property
    def name(self) -> str:
        """The flavor's name."""
        if not self.gpus:
            return self.partition
        many = f"x{self.gpus}" if self.gpus > 1 else ""
        return f"{self.partition}:{self.kind or 'gpu'}{many}"

    @property
    def gres(self) -> str | None:
        """What Slurm is asked for (`--gres`); none without a GPU."""
        return ":".join(filter(None, ("gpu", self.kind, str(self.gpus)))) if self.gpus else None


@dataclass(frozen=True, slots=True)
class Nodes:
    """Nodes of one kind in one partition."""

    partition: str
    default: bool
    gpus: tuple[tuple[str | None, int], ...]
    """Types and numbers of the GPUs of each."""

    cpus: float
    memory_bytes: float
    longest: str
    """Longest wall time there, as Slurm writes it."""

    count: int


def nodes_of(told: str) -> list[Nodes]:
    """Return the nodes in what `machines` of `cluster.sh` says, the default partition first."""
    rows = (line.split("|") for line in told.splitlines() if line.count("|") == _BARS)
    found = [_nodes(row) for row in rows if row[_BARS].strip() == "up"]
    return sorted(found, key=lambda nodes: not nodes.default)


def _nodes(row: list[str]) -> Nodes:
    partition, gres, cpus, mebibytes, longest, count, _ = (part.strip() for part in row)
    return Nodes(
        partition=partition.rstrip("*"),
        default=partition.endswith("*"),
        gpus=tuple((g["kind"], int(g["number"])) for g in _GPU.finditer(gres)),
        cpus=float(cpus.rstrip("+")),
        memory_bytes=float(mebibytes.rstrip("+")) * 2**20,
        longest=longest,
        count=int(count),
    )


def flavors(nodes: list[Nodes], gpu_memory: float | None = None) -> list[Flavor]:
    """Return the flavors of a cluster, each once; `gpu_memory` in GB is that of one GPU."""
    found: dict[str, Flavor] = {}
    for one in nodes:
        for flavor in _of(one, gpu_memory):
            found.setdefault(flavor.name, flavor)
    return list(found.values())


def _of(nodes: Nodes, gpu_memory: float | None) -> Iterator[Flavor]:
    yield _flavor(nodes, Ask(nodes.partition), 1.0, None)
    for kind, number in nodes.gpus:
        for gpus in _shares(number):
            memory = gpu_memory or memory_of(kind) or ASSUMED
            yield _flavor(nodes, Ask(nodes.partition, kind, gpus), gpus / number, memory)


def _shares(number: int) -> list[int]:
    """Return 1, 2, 4 … and all the GPUs of a node."""
    return sorted({n for n in (1, 2, 4, 8, number) if n <= number})


def _flavor(nodes: Nodes, ask: Ask, share: float, gpu_memory: float | None) -> Flavor:
    limit = "" if nodes.longest == "infinite" else f", at most {nodes.longest}"
    many = "1 node" if nodes.count == 1 else f"{nodes.count} nodes"
    typed = ask.name.lower().replace("_", "-")
    return Flavor(
        name=ask.name,
        description=f"{many} of partition {nodes.partition}{limit}",
        usd_per_hour=0.0,
        memory_bytes=nodes.memory_bytes * share,
        accelerator=(ask.kind or "GPU") if ask.gpus else None,
        accelerators=ask.gpus,
        vram_bytes=(gpu_memory or 0.0) * _GB * ask.gpus,
        cpus=max(1.0, nodes.cpus * share // 1),
        short_names=() if typed == ask.name else (typed,),
    )


def memory_of(kind: str | None) -> float | None:
    """Return the GB of a GPU by what a cluster calls it, as in `a100-sxm4-80gb`; none if new."""
    words = re.findall(r"[a-z0-9.]+", (kind or "").lower())
    for word in words:
        if stated := re.fullmatch(r"(\d+)gb?", word.rpartition(".")[2]):
            return float(stated[1])
    return next((float(_MEMORY[word]) for word in words if word in _MEMORY), None)
