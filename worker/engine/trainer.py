"""transformers' Trainer without what it does in every pass for nobody here.

A model of 3B with an adapter has 3,000 layers within layers, and a GPU waits while Python goes
through them: on an H100 the stock class trained one at 0.77 of the speed of a loop by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import find_batch_size
from transformers import Trainer, TrainerState
from transformers.trainer import OPTIMIZER_NAME, SCHEDULER_NAME

from worker.engine import processes, shares
from worker.engine.loss import IGNORED
from worker.engine.rounds import Rounds, Step, in_rounds


class LeanTrainer(Trainer):  # type: ignore[misc]
    """Trains as the stock class does, and never waits for the GPU between two reports."""

    _set_to_train = False
    """Whether all layers are. An adapter says so of itself while the model within does not."""

    compute_loss: Callable[..., Any]

    idle = False
    """Whether the batch at hand is there only because others have one; it does not count."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._rounds: Rounds | None = None
        self._step = Step()
        self.args.save_only_model = False  # asked of shares of a model; here they can be saved

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        """Write what goes on beside the weights: the first process, with the others' shares."""
        if not processes.sharded():
            super()._save_optimizer_and_scheduler(output_dir)
            return
        state = shares.put_together(self.optimizer.state_dict())
        if self.args.should_save:
            torch.save(state, Path(output_dir, OPTIMIZER_NAME))
            torch.save(self.lr_scheduler.state_dict(), Path(output_dir, SCHEDULER_NAME))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        """Take up what went on beside the weights, each process its share."""
        if checkpoint is None or not processes.sharded():
            super()._load_optimizer_and_scheduler(checkpoint)
            return
        shares.load_optimizer(self.optimizer, Path(checkpoint, OPTIMIZER_NAME))
        schedule = torch.load(Path(checkpoint, SCHEDULER_NAME), weights_only=True)
        self.lr_scheduler.load_state_dict(schedule)

    def _load_from_checkpoint(self, checkpoint: str, *model: Any) -> None:
        """Take up the weights, each process its share; an adapter is whole in all of them."""
        if processes.sharded() and not hasattr(self.model, "peft_config"):
            shares.load_weights(self.model, Path(checkpoint))
        else:
            super()._load_from_checkpoint(checkpoint, *model)

    def _load_best_model(self) -> None:
        """Take up the best checkpoint's weights, each process its share."""
        if processes.sharded():
            self._load_from_checkpoint(self.state.best_model_checkpoint, self.model)
        else:
            super()._load_best_model()

    def get_train_dataloader(self) -> Any:
        """Return batches of the training split: each row comes once, in several processes too."""
        loader = super().get_train_dataloader()
        if self.args.world_size > 1:
            self._rounds = in_rounds(loader, self.args.world_size, self.args.process_index)
        return loader

    def ready(self, batch: Any) -> Any:
        """Return a batch of the loader as it is trained on, in the step that comes next."""
        return batch

    def get_batch_samples(
        self, batches: Iterator[Any], count: int, device: torch.device
    ) -> tuple[list[Any], Any]:
        """Return the batches of a step, and how many tokens all processes learn of it."""
        taken = [self.ready(batch) for batch in islice(batches, count)]
        self._step = Step()
        if self._rounds is not None and self.accelerator.gradient_state.end_of_dataloader:
            self._step = Step.last(taken, self._rounds)
        counting = [_nothing_of(one) if one is self._step.idle else one for one in taken]
        return taken, self._get_num_items_in_batch(counting, device)

    def training_step(self, model: Any, inputs: Any, num_items: Any = None) -> Any:
        """Do a pass, whose loss counts for as much as it would in one process."""
        self.idle = inputs is self._step.idle
        of_step = num_items is not None and self.model_accepts_loss_kwargs
        weight = 0.0 if self.idle else 1.0 if of_step else self._step.weight
        if weight == 1.0:
            return self._pass(model, inputs, num_items)
        whole = self.compute_loss
        self.compute_loss = lambda *given, **more: weight * whole(*given, **more)
        try:
            return self._pass(model, inputs, num_items)
        finally:
            del self.compute_loss

    def _pass(self, model: Any, *inputs: Any, **more: Any) -> Any:
        """Do a pass; what is set to train already is not set so again, layer by layer."""
        if not (model.training and self._set_to_train):
            self._set_to_train = True
            return super().training_step(model, *inputs, **more)
        model.train = lambda mode=True: model
        try:
            return super().training_step(model, *inputs, **more)
        finally:
            del model.train

    def prediction_step(self, model: Any, inputs: dict[str, Any], *how: Any, **more: Any) -> Any:
        """Judge a batch. Rows that only fill it up, where several processes judge, have no loss.

        The stock class leaves them out of what is predicted, and not out of the mean.
        """
        loss, *predicted = super().prediction_step(model, inputs, *how, **more)
        rows = find_batch_size(inputs)
        counting = self._rows_to_go(rows)
        if 0 < counting < rows:
            some = {name: column[:counting] for name, column in inputs.items()}
            loss = super().prediction_step(model, some, prediction_loss_only=True)[0]
        return (loss, *predicted)

    def _rows_to_go(self, most: int) -> int:
        """Return how many rows of this process's batch are there for the first time."""
        state = self.accelerator.gradient_state
        if self.args.world_size == 1 or not state.end_of_dataloader or state.remainder <= 0:
            return most
        return int(state.remainder) - most * processes.rank()

    def validation_batches(self) -> Iterator[tuple[Any, bool]]:
        """Yield what this process takes of the validation split, and whether it counts.

        Each row counts once. A process that has a batch less than others takes one that does not
        count, since a model of which each holds a share needs all for every pass.
        """
        self.accelerator.even_batches = False  # else rows that were seen would fill up the last
        try:
            loader = self.get_eval_dataloader()
        finally:
            self.accelerator.even_batches = True
        taken = 0
        for taken, batch in enumerate(loader, 1):  # noqa: B007
            yield batch, True
        batches = -(-len(self.eval_dataset) // self.args.eval_batch_size)
        for _ in range(-(-batches // self.args.world_size) - taken):
            yield self.data_collator([self.eval_dataset[0]]), False

    def floating_point_ops(self, inputs: Any) -> int:
        """Return nothing: nobody reads it, and the stock class counts all parameters for it."""
        return 0

    def _track_num_input_tokens(self, inputs: Any) -> None:
        """Count tokens here: the stock class asks the GPU, which first has to do all it was given.

        Both this method and the next are transformers' own. Where it renames them, it is as slow
        as it was.
        """
        counted = self.args.include_num_input_tokens_seen == "all" and "input_ids" in inputs
        if self.args.world_size > 1 or not counted:
            super()._track_num_input_tokens(_nothing_of(inputs) if self.idle else inputs)
        else:
            self.state.num_input_tokens_seen += inputs["input_ids"].numel()

    def _get_num_items_in_batch(self, batch_samples: list[Any], device: torch.device) -> Any:
        """Count learned tokens where the batches are, and leave the number there."""
        here = device if self.args.world_size > 1 else torch.device("cpu")
        return super()._get_num_items_in_batch(batch_samples, here)


def _nothing_of(batch: Any) -> Any:
    """Return what counts as a batch without rows, and with nothing to learn."""
    if not isinstance(batch, Mapping):
        return batch
    return {
        name: torch.full_like(column, IGNORED) if "labels" in name else column[:0]
        for name, column in batch.items()
        if isinstance(column, torch.Tensor)
    }


def epoch_of(state: TrainerState) -> int:
    """Return which epoch a training is in, from 0; after a resume one is begun in its middle."""
    return int((state.epoch or 0) + 1e-6)  # a share that is a whole number may come out below it
