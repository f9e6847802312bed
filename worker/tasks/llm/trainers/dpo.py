"""Direct preference optimisation: better answers are made likelier, near a reference model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Lt
from pydantic import field_validator

from worker.facts import CheckContext, ModelFacts
from worker.families.text.shape import Shape
from worker.finding import Finding
from worker.importing import importing
from worker.task import Run
from worker.tasks.llm.pairs.params import Lengths, Pairs
from worker.tasks.llm.params import LlmParams
from worker.tasks.llm.trainers._pairs import PairTrainer
from worker.tasks.llm.trainers._sampling import Sampling


class DpoParams(Pairs, Lengths, Sampling):
    """Trainer dpo."""

    dpo_beta: Annotated[float, Gt(0)] = 0.1
    """How near to the reference model it stays: the larger, the nearer (dpo)."""

    dpo_loss: Literal["sigmoid", "robust", "hinge", "ipo"] = "sigmoid"
    """Loss on the margin between the answers (dpo)."""

    dpo_label_smoothing: Annotated[float, Ge(0), Lt(0.5)] = 0.0
    """Share of the pairs that may be the wrong way round, for sigmoid and robust (dpo)."""

    model_ref: str | None = None
    """Hub id or folder of the reference model, an id also with @ and a revision; none takes the
    model itself as it begins (dpo)."""

    @field_validator("model_ref")
    @classmethod
    def _from_anywhere(cls, value: str | None) -> str | None:
        """Return a folder by its whole path: training runs in another one."""
        folder = Path(value).expanduser() if value else None
        return str(folder.resolve()) if folder and folder.is_dir() else value

    def checks(self, about: CheckContext) -> Iterator[Finding]:
        """Look for the reference model, and whether it has the words of the one to train."""
        asked = getattr(self, "trainer", None) == Dpo.name
        if asked and self.model_ref and about.facts:
            other = about.other_model("--model-ref", self.model_ref)
            size = f"{other.parameters / 1e6:,.4g} M parameters"
            at = f" @ {other.revision[:7]}" if other.revision else ""
            text = f"reference {other.name}{at} · {size} · gone before training"
            yield Finding("ok", "model", text)
            if (ours := vocabulary(about.facts)) != (theirs := vocabulary(other)):
                text = f"{other.name} knows {theirs:,} tokens and {about.model} {ours:,}"
                fix = "--model-ref with a model of the same family"
                yield Finding("warn", "model", text, fix)
        yield from super().checks(about)


def vocabulary(facts: ModelFacts) -> int:
    """Return how many tokens a model knows."""
    return Shape.of(facts.config).vocabulary


class Dpo(PairTrainer[DpoParams]):
    """Raises the odds of better answers over worse, against those of a reference model."""

    name = "dpo"
    help = "learns from pairs of answers, near a reference model"
    settings = DpoParams
    reference = True

    def train(self, params: LlmParams, run: Run) -> None:
        """Train on pairs, once the reference model has been asked about all of them."""
        with importing():
            from worker.tasks.llm.pairs.training import objectives
            from worker.tasks.llm.pairs.training.train import train

        own = self.own(params)
        objective = objectives.Dpo(own.dpo_beta, own.dpo_loss, own.dpo_label_smoothing)
        train(params, own, run, objective, model_ref=own.model_ref)


TRAINER = Dpo()
