"""transformers' Trainer, with validations in which the model answers some of the questions."""

from __future__ import annotations

from typing import Any

import torch

from worker.engine import processes
from worker.engine.model import Precision
from worker.engine.token_trainer import TokenTrainer
from worker.tasks.vlm.training.answers import Answers, same
from worker.tasks.vlm.training.batches import Gallery


class AnswersTrainer(TokenTrainer):
    """Counts how many validation answers are right, to the letter."""

    answers: Answers | None = None
    """How the model is asked; none where nothing is counted."""

    asked: int = 0
    """Validation rows that it is asked, the first ones."""

    precision: Precision

    def more_measures(self, model: Any) -> dict[str, float]:
        """Return `exact_match`: the share of the first validation rows that are answered right."""
        if self.answers is None or processes.sharded():  # of which nobody has the whole model
            return {}
        rows = range(min(self.asked, len(self.eval_dataset)))
        mine = rows[self.args.process_index :: self.args.world_size]
        each = self.args.eval_batch_size
        right = sum(
            self._right(model, mine[start : start + each]) for start in range(0, len(mine), each)
        )
        found = torch.tensor([float(right)], device=self.args.device)
        return {"exact_match": float(self.accelerator.reduce(found)) / max(1, len(rows))}

    def _right(self, model: Any, places: range) -> int:
        gallery = self.eval_dataset
        assert isinstance(gallery, Gallery)
        assert self.answers is not None
        shown, collate = [gallery[i] for i in places], self.answers.collate
        wanted = [one.said.answer for one in shown]
        tokens = collate.processor.tokenizer(wanted, add_special_tokens=False)["input_ids"]
        net = model.get_base_model() if hasattr(model, "peft_config") else model
        with self.precision.mixed():
            said = self.answers.of(
                net,
                [one.image for one in shown],
                [one.said.question for one in shown],
                max(map(len, tokens)) + 2,  # a longer answer is not the same, however it goes on
            )
        return sum(map(same, said, wanted))
