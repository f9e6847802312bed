"""transformers' Trainer on answers that the model writes itself.

A batch of its data is the prompts of one step. Whatever a step takes, writing and scoring answers
and learning from them in several passes, is done in `training_step`; the rest is the stock class.
Of several processes each is given the whole batch, and does its part of it.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Dataset, Sampler

from worker.engine import devices, processes
from worker.engine.phases import phase
from worker.engine.trainer import LeanTrainer
from worker.task import Run
from worker.tasks.llm.grpo.training.objective import Objective, Outcome, Tokens
from worker.tasks.llm.grpo.training.rollout import Asked, Rollout, Rollouts, Scored
from worker.tasks.llm.pairs.training.batches import NOBODY
from worker.tasks.llm.pairs.training.scores import likelihoods


class PromptRows(Dataset[Asked]):
    """Prompts, as often as an epoch visits them: all steps are full, and some are taken again.

    Those of a step come `times` running, and each time once for each process.
    """

    def __init__(self, asked: Sequence[Asked], a_step: int, times: int) -> None:
        self.asked, self.a_step, self.times = asked, a_step, times
        self.visits = times * processes.count()

    def __len__(self) -> int:
        return -(-len(self.asked) // self.a_step) * self.a_step * self.visits

    def __getitem__(self, i: int) -> Asked:
        return self.asked[i]


class Visits(Sampler[int]):
    """The order in which an epoch visits the prompts of `PromptRows`: shuffled, steps running.

    The last step is filled with prompts from the beginning of the order.
    """

    def __init__(self, rows: PromptRows, seed: int) -> None:
        self.rows, self.seed, self.epoch = rows, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of an epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[int]:
        count, step = len(self.rows.asked), self.rows.a_step
        order = list(range(count))
        random.Random(f"{self.seed} {self.epoch}").shuffle(order)
        for start in range(0, count, step):
            visited = [order[(start + i) % count] for i in range(step)]
            for _ in range(self.rows.visits):
                yield from visited


class RewardedTrainer(LeanTrainer):
    """Learns from the scores of answers that it lets the model write."""

    def __init__(
        self, *args: Any, rollouts: Rollouts, objective: Objective, run: Run, **more: Any
    ) -> None:
        super().__init__(*args, **more)
        self.rollouts, self.objective, self.run = rollouts, objective, run
        self.rollout: Rollout | None = None
        self.left = 0
        """Steps that will still be taken on `rollout`."""

        self.measured: defaultdict[str, list[float]] = defaultdict(list)
        self.said: list[tuple[str, float]] = []
        """What functions have measured in this process."""

    def training_step(self, model: Any, inputs: Sequence[Asked], *_: Any, **__: Any) -> Any:
        """Return the loss of a step, its gradients summed over passes; processes average both."""
        rollout = self._rollout(inputs)
        model.train()
        loss = torch.zeros((), device=self.args.device)
        sums: defaultdict[str, float] = defaultdict(float)
        for place, made in enumerate(rollout.passes, 1):
            last = place == len(rollout.passes)
            with nullcontext() if last else self.accelerator.no_sync(model):
                with self.compute_loss_context_manager():
                    outcome = self.outcome(model, made, rollout)
                self.accelerator.backward(outcome.loss)
            loss += outcome.loss.detach()
            for name, summed in outcome.measured.items():
                sums[name] += float(summed)
        told = processes.gathered([dict(sums)])
        for name in sums:
            total = sum(one[name] for one in told)
            self.measured[name].append(total / max(1, rollout.learned))
        self.state.num_input_tokens_seen += rollout.total
        return loss

    def outcome(self, model: Any, made: dict[str, torch.Tensor], rollout: Rollout) -> Outcome:
        """Return what one pass of a step comes to."""
        now = likelihoods(model, made, self.rollouts.temperature)
        owners = made["owners"][:, 1:]
        tokens = Tokens(
            now=now,
            before=made.get("before", now.detach()),
            reference=made.get("reference"),
            owners=owners[owners != NOBODY],
            advantages=made["advantages"],
        )
        return self.objective(tokens, len(rollout.passes), rollout.learned / processes.count())

    def _rollout(self, inputs: Sequence[Asked]) -> Rollout:
        """Return the answers of this step: those of the one before where they are used again."""
        if self.rollout is None or self.left == 0:
            step, times = self.state.global_step, self.train_dataset.times
            seed = f"{self.args.seed} {step}"
            self.rollout = self.rollouts(self.model, inputs, seed, self._more(), self._busy)
            self.left = times - step % times  # it may go on amid them, where none were kept
            for name, value in (*self.rollout.measured.items(), *processes.gathered(self.said)):
                self.measured[name].append(value)
            self.said.clear()
        self.left -= 1
        return self.rollout

    def _more(self) -> dict[str, Any]:
        """Return what TRL hands to reward functions beside the data."""
        return {
            "trainer_state": self.state,
            "log_extra": lambda column, values: None,
            "log_metric": lambda name, value: self.said.append((name, float(value))),
        }

    def _busy(self, name: str) -> AbstractContextManager[None]:
        return phase(self.run.emit, name, at_once=False)

    def log(self, logs: dict[str, float], *args: Any, **more: Any) -> None:
        """Log means of what was measured beside the loss of the same steps."""
        if "loss" in logs:
            means = {name: sum(values) / len(values) for name, values in self.measured.items()}
            logs = {**logs, **means}
            self.measured.clear()
        super().log(logs, *args, **more)

    @torch.no_grad()
    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Return `eval_reward` and its parts: of one answer to each prompt that is held out."""
        found: list[Scored] = []
        size = self.args.per_device_eval_batch_size * processes.count()
        for start in range(0, len(self.eval_dataset), size):
            batch = self.eval_dataset[start : start + size]
            seed = f"{self.args.seed} valid {self.state.global_step}"
            seeds = [f"{seed} {start + place}" for place in range(len(batch))]
            found.append(self.rollouts.scored(self.model, batch, seeds, self._more(), self._busy))
            self.callback_handler.on_prediction_step(self.args, self.state, self.control)
        self.said.clear()
        measured = self.rollouts.judges.measured(*found)
        metrics = {f"eval_{name}": value for name, value in measured}
        self.log(metrics)
        self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _get_train_sampler(self, *_: Any) -> Visits:
        return Visits(self.train_dataset, self.args.seed)

    def _save_rng_state(self, output_dir: str) -> None:
        """Keep beside chance the answers that steps to come learn from once more, each its own."""
        super()._save_rng_state(output_dir)
        if self.rollout is not None and self.left:
            kept = {f.name: getattr(self.rollout, f.name) for f in fields(Rollout)}
            kept |= {"passes": list(self.rollout.passes), "measured": dict(self.rollout.measured)}
            torch.save([kept, self.left], self._answers_in(output_dir))

    def _load_rng_state(self, checkpoint: str | None) -> None:
        """Take up the answers with chance: written again they would be those of another model.

        Those of other processes than these are: passes that were divided are not divided anew.
        """
        super()._load_rng_state(checkpoint)
        if checkpoint and (file := self._answers_in(checkpoint)).exists():
            kept, self.left = torch.load(file, map_location=devices.device(), weights_only=True)
            self.rollout = Rollout(**kept)

    def _answers_in(self, checkpoint: str) -> Path:
        return Path(checkpoint) / f"answers_{processes.rank()}_of_{processes.count()}.pt"

    def _track_num_input_tokens(self, inputs: Any) -> None:
        """Count nothing here: a step counts its own tokens."""


def unchanged(batch: Sequence[Asked]) -> list[Asked]:
    """Return prompts as they are: they become tensors with their answers."""
    return list(batch)
