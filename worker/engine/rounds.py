"""An epoch's batches, divided among the processes that train together.

They take them in turns, a round at a time, since each pass needs all of them. accelerate fills up
the last round with rows that were seen, and several processes would learn other things than one.
Here the processes that are left over take a row that does not count.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from accelerate.data_loader import BatchSamplerShard
from torch.utils.data import BatchSampler


class Rounds(BatchSampler):
    """The batches that one of several processes takes, as many as any other."""

    def __init__(self, batches: BatchSampler, processes: int, mine: int) -> None:
        self.batches, self.processes, self.mine = batches, processes, mine
        self.batch_size, self.drop_last = batches.batch_size, False

    @property
    def sampler(self) -> Iterable[int]:
        """What decides the order of rows, and is told the epoch."""
        return self.batches.sampler

    @sampler.setter
    def sampler(self, sampler: Any) -> None:
        self.batches.sampler = sampler

    @property
    def left_over(self) -> int:
        """Return how many processes, the last ones, have no batch in the last round."""
        return -len(self.batches) % self.processes

    def __len__(self) -> int:
        return (len(self.batches) + self.left_over) // self.processes

    def __iter__(self) -> Iterator[list[int]]:
        first: list[int] = []
        for place, batch in enumerate(self.batches):
            first = first or batch[:1]
            if place % self.processes == self.mine:
                yield batch
        if self.mine >= self.processes - self.left_over:
            yield first


def in_rounds(loader: Any, processes: int, mine: int) -> Rounds:
    """Let a loader that accelerate has prepared take its batches so."""
    shard = loader.batch_sampler
    assert isinstance(shard, BatchSamplerShard)
    rounds = Rounds(shard.batch_sampler, processes, mine)
    shard.batch_sampler, shard.num_processes, shard.process_index = rounds, 1, 0
    shard.even_batches = False
    shard.sampler = rounds.sampler  # is told the epoch also where its first batches are skipped
    return rounds


@dataclass(frozen=True, slots=True)
class Step:
    """What this process takes of a step."""

    idle: Any = None
    """A batch that does not count, if there is one."""

    weight: float = 1.0
    """Of the mean loss of any other batch: idle processes are counted where losses are averaged."""

    @classmethod
    def last(cls, batches: list[Any], rounds: Rounds) -> Step:
        """Return what it takes of the last step of an epoch."""
        turns = len(batches) * rounds.processes
        idle = rounds.mine >= rounds.processes - rounds.left_over
        return cls(batches[-1] if idle else None, turns / (turns - rounds.left_over))
