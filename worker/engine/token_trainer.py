"""transformers' Trainer with a validation loss that counts every token alike."""

from __future__ import annotations

import math
from typing import Any

import torch

from worker.engine.loss import IGNORED
from worker.engine.trainer import LeanTrainer

COUNTED: dict[str, Any] = {"include_num_input_tokens_seen": "all", "prediction_loss_only": True}
"""Training arguments with which progress counts tokens, and validation keeps no predictions."""


class TokenTrainer(LeanTrainer):
    """Trains on batches of token rows; the stock class averages validation over batches."""

    def nats(self, model: Any, batch: dict[str, Any]) -> tuple[float, int]:
        """Return the loss of a batch, summed over its learned tokens, and how many those are."""
        learned = int((batch["labels"][:, 1:] != IGNORED).sum())
        if not learned and self.args.world_size == 1:
            return 0.0, 0
        loss = float(model(**self._prepare_inputs(batch)).loss)  # others may wait for this pass
        return (loss * learned, learned) if learned else (0.0, 0)

    def more_measures(self, model: Any) -> dict[str, float]:
        """Return what else `model`, not in training, is judged by; all processes ask at once."""
        return {}

    @torch.no_grad()
    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Return `eval_loss`, nats a learned token of the validation split, and its perplexity."""
        model = self.accelerator.unwrap_model(self.model_wrapped)
        model.eval()
        sums = torch.zeros(2, dtype=torch.float64)
        for batch, counts in self.validation_batches():
            sums += counts * torch.tensor(self.nats(model, batch), dtype=torch.float64)
            self.callback_handler.on_prediction_step(self.args, self.state, self.control)
        total, tokens = self.accelerator.reduce(sums.float().to(self.args.device)).tolist()
        loss = total / max(1.0, tokens)
        metrics = {"eval_loss": loss, "eval_perplexity": math.exp(min(loss, 700.0))}
        metrics |= {f"eval_{name}": value for name, value in self.more_measures(model).items()}
        self.log(metrics)
        self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics
