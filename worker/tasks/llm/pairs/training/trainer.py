"""transformers' Trainer on batches of pairs, with an objective of ours."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch

from worker.engine.arguments import trainer_parts
from worker.engine.model import Loaded
from worker.engine.token_trainer import COUNTED
from worker.engine.trainer import LeanTrainer
from worker.task import Run
from worker.tasks.llm.pairs.training.corpus import PairCorpus
from worker.tasks.llm.pairs.training.objectives import Outcome
from worker.tasks.llm.pairs.training.scores import score
from worker.tasks.llm.params import LlmParams

Measured = defaultdict[str, list[torch.Tensor]]


class PairsTrainer(LeanTrainer):
    """Trains on pairs and logs what the objective measures, as means over all pairs since last."""

    def __init__(self, *args: Any, objective: Callable[[Any], Outcome], **more: Any) -> None:
        super().__init__(*args, **more)
        self.objective = objective
        self.measured: Measured = defaultdict(list)
        # A batch's loss is the mean of its pairs, and a step's that of its batches.
        self.model_accepts_loss_kwargs = False

    def outcome(self, model: Any, batch: Mapping[str, Any]) -> Outcome:
        """Return what a batch comes to."""
        return self.objective(score(model, batch))

    def compute_loss(self, model: Any, inputs: Mapping[str, Any], *_: Any, **__: Any) -> Any:
        """Return the loss of a batch."""
        outcome = self.outcome(model, inputs)
        for name, values in outcome.measured.items():
            self.measured[name].append(values[:0] if self.idle else values)
        return outcome.loss

    def log(self, logs: dict[str, float], *args: Any, **more: Any) -> None:
        """Log what was measured beside the loss of the same steps."""
        if "loss" in logs and self.measured:
            logs = {**logs, **self._of_all_processes(self.measured)}
            self.measured.clear()
        super().log(logs, *args, **more)

    def _of_all_processes(self, measured: Measured) -> dict[str, float]:
        """Return the means over the pairs of all processes, which may have seen unlike many."""
        found = {name: torch.cat(values) for name, values in measured.items()}
        sums = torch.stack([torch.stack([v.sum(), v.new_tensor(len(v))]) for v in found.values()])
        totals = self.accelerator.reduce(sums).tolist()
        return {name: total / n for name, (total, n) in zip(found, totals, strict=True)}

    @torch.no_grad()
    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Return `eval_loss` and what the objective measures, as means over all pairs."""
        model = self.accelerator.unwrap_model(self.model_wrapped)
        model.eval()
        measured: Measured = defaultdict(list)
        for batch, counts in self.validation_batches():
            with self.compute_loss_context_manager():
                outcome = self.outcome(model, self._prepare_inputs(batch))
            pairs = len(next(iter(outcome.measured.values())))
            for name, values in {**outcome.measured, "loss": outcome.loss.expand(pairs)}.items():
                measured[name].append(values if counts else values[:0])
            self.callback_handler.on_prediction_step(self.args, self.state, self.control)
        found = self._of_all_processes(measured)
        metrics = {f"eval_{name}": value for name, value in found.items()}
        self.log(metrics)
        self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics


T = TypeVar("T", bound=PairsTrainer)


def trainer_of(
    kind: type[T],
    params: LlmParams,
    run: Run,
    loaded: Loaded,
    corpus: PairCorpus,
    *,
    collate: Callable[[Any], dict[str, Any]],
    objective: Callable[[Any], Outcome],
    checkpointing: bool,
    **arguments: Any,
) -> T:
    """Return a trainer of this kind; `arguments` are training arguments beside the usual ones."""
    more = {"checkpointing": checkpointing, **COUNTED, **arguments}
    return kind(
        **trainer_parts(params, run, loaded, corpus.train, corpus.valid, **more),
        data_collator=collate,
        objective=objective,
    )
