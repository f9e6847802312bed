"""The trainer of sentence-transformers, whose checkpoints hold all that a training goes on from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from sentence_transformers.base.sampler import DefaultBatchSampler
from sentence_transformers.sentence_transformer.trainer import SentenceTransformerTrainer
from torch.utils.data import RandomSampler

from worker.engine.trainer import LeanTrainer

HEAD_FILE = "loss.safetensors"
"""File of a checkpoint with the weights of the loss: the classifier of `pair_class`."""


class SentenceTrainer(LeanTrainer, SentenceTransformerTrainer):  # type: ignore[misc]
    """The library's trainer without its model card, and with its loss's weights in checkpoints."""

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        """Add none: the supervisor writes the card, and the library's asks the Hub."""

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        folder = Path(output_dir or self.args.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        self.model.save_pretrained(str(folder), create_model_card=False)
        if head := self._head():
            save_file(head, folder / HEAD_FILE)

    def _load_from_checkpoint(self, checkpoint: str, *model: Any) -> None:
        super()._load_from_checkpoint(checkpoint, *model)
        if (file := Path(checkpoint) / HEAD_FILE).exists():
            self.loss.load_state_dict(load_file(file), strict=False)

    def _head(self) -> dict[str, torch.Tensor]:
        """Return the weights of the loss that are not the model's."""
        return {n: w for n, w in self.loss.state_dict().items() if not n.startswith("model.")}


class Shuffled(DefaultBatchSampler):  # type: ignore[misc]
    """Batches whose order follows from seed and epoch alone, so that a resume finds its place.

    In the first epoch it is the library's own.
    """

    def __init__(self, dataset: Any, *, generator: torch.Generator, **how: Any) -> None:
        super().__init__(RandomSampler(dataset, generator=generator), generator=generator, **how)

    def __iter__(self) -> Iterator[list[int]]:
        self.generator.manual_seed(self.seed + self.epoch)
        return super().__iter__()  # type: ignore[no-any-return]
