"""What is made of the likelihoods of two answers: the losses, and what is measured beside them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch.nn.functional import logsigmoid

from worker.tasks.llm.pairs.training.scores import Scores

SURE = -1e-6
"""Largest mean log-probability that odds are taken of: those of a certain answer are infinite."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a batch comes to."""

    loss: torch.Tensor
    """One number, the mean of the pairs."""

    measured: Mapping[str, torch.Tensor]
    """Numbers without gradients, one for each pair."""


class Objective(ABC):
    """A loss on pairs."""

    prompts: ClassVar[bool] = False
    """Whether the prompt before the chosen answer is learned too."""

    references: ClassVar[bool] = False
    """Whether a reference model is asked."""

    @abstractmethod
    def __call__(self, scores: Scores) -> Outcome:
        """Return the loss of a batch."""


@dataclass(frozen=True, slots=True)
class Dpo(Objective):
    """Direct preference optimisation (Rafailov et al. 2023, arXiv 2305.18290, equation 7)."""

    beta: float
    loss: str = "sigmoid"
    smoothing: float = 0.0

    references: ClassVar[bool] = True

    def __call__(self, scores: Scores) -> Outcome:
        """Return the loss of a batch; rewards are beta times the log-ratio to the reference."""
        chosen = scores.chosen - scores.reference_chosen
        rejected = scores.rejected - scores.reference_rejected
        loss = LOSSES[self.loss](self, chosen, rejected, scores)
        return Outcome(loss.mean(), rewards(self.beta * chosen, self.beta * rejected, scores))

    def _sigmoid(self, chosen: torch.Tensor, rejected: torch.Tensor, _: Scores) -> torch.Tensor:
        """Some labels wrong (Mitchell 2023, "A note on DPO with noisy preferences", equation 3)."""
        margin = self.beta * (chosen - rejected)
        return -(1 - self.smoothing) * logsigmoid(margin) - self.smoothing * logsigmoid(-margin)

    def _robust(self, chosen: torch.Tensor, rejected: torch.Tensor, _: Scores) -> torch.Tensor:
        """Unbiased where so many labels are wrong (arXiv 2403.00409, equation 7)."""
        margin, wrong = self.beta * (chosen - rejected), self.smoothing
        right = (1 - wrong) * logsigmoid(margin) - wrong * logsigmoid(-margin)
        return -right / (1 - 2 * wrong)

    def _hinge(self, chosen: torch.Tensor, rejected: torch.Tensor, _: Scores) -> torch.Tensor:
        """A margin of 1 is enough (SLiC, arXiv 2305.10425)."""
        return torch.relu(1 - self.beta * (chosen - rejected))

    def _ipo(self, chosen: torch.Tensor, rejected: torch.Tensor, scores: Scores) -> torch.Tensor:
        """A margin to meet and not exceed, of means over tokens (arXiv 2310.12036, eq. 17)."""
        margin = chosen / scores.chosen_tokens - rejected / scores.rejected_tokens
        return (margin - 1 / (2 * self.beta)) ** 2


LOSSES: Mapping[str, Callable[[Dpo, torch.Tensor, torch.Tensor, Scores], torch.Tensor]] = {
    "sigmoid": Dpo._sigmoid,
    "robust": Dpo._robust,
    "hinge": Dpo._hinge,
    "ipo": Dpo._ipo,
}


@dataclass(frozen=True, slots=True)
class Kto(Objective):
    """Kahneman-Tversky optimisation (Ethayarajh et al. 2024, arXiv 2402.01306, equations 7 and 8).

    In a batch, `chosen` are the answers themselves, and `rejected` other prompts' answers to the
    same prompts: they tell how far the model has moved at all, from which answers are seen.
    """

    beta: float
    desirable: float = 1.0
    undesirable: float = 1.0
    """Weights of good and of bad answers."""

    references: ClassVar[bool] = True

    def __call__(self, scores: Scores) -> Outcome:
        """Return the loss of a batch; a margin is how far an answer is on its right side."""
        assert scores.good is not None
        moved = (scores.rejected - scores.reference_rejected).detach().mean().clamp(min=0)
        gain = self.beta * (scores.chosen - scores.reference_chosen - moved)
        margins = torch.where(scores.good, gain, -gain)
        weights = torch.where(scores.good, self.desirable, self.undesirable)
        loss = (weights * (1 - torch.sigmoid(margins))).mean()
        margins = margins.detach()
        measured = {
            "rewards/margins": margins,
            "rewards/accuracies": (margins > 0).float(),
            "kl": moved.expand(len(margins)),
        }
        return Outcome(loss, measured)


@dataclass(frozen=True, slots=True)
class Orpo(Objective):
    """Odds ratio preference optimisation (Hong et al. 2024, arXiv 2403.07691, equations 6 and 7).

    The text of prompt and chosen answer is learned as such, and the odds of the chosen answer are
    raised over those of the rejected one. Likelihoods are means over tokens.
    """

    beta: float
    """The paper's lambda."""

    prompts: ClassVar[bool] = True

    def __call__(self, scores: Scores) -> Outcome:
        """Return the loss of a batch; rewards are beta times the mean log-probability."""
        chosen = scores.chosen / scores.chosen_tokens
        rejected = scores.rejected / scores.rejected_tokens
        odds = _log_odds(chosen) - _log_odds(rejected)
        ratio = logsigmoid(odds)
        learned = -scores.text.sum() / scores.text_tokens.sum()
        measured = {
            **rewards(self.beta * chosen, self.beta * rejected, scores),
            "nll_loss": learned.detach().expand(len(odds)),
            "log_odds_ratio": ratio.detach(),
            "log_odds_chosen": odds.detach(),
        }
        return Outcome(learned - self.beta * ratio.mean(), measured)


def _log_odds(mean: torch.Tensor) -> torch.Tensor:
    """Return the logarithm of p / (1 - p) for a mean log-probability."""
    mean = mean.clamp(max=SURE)
    return mean - torch.log(-torch.expm1(mean))


def rewards(
    chosen: torch.Tensor, rejected: torch.Tensor, scores: Scores
) -> dict[str, torch.Tensor]:
    """Return what is measured of rewards, by the names TRL gives it."""
    chosen, rejected = chosen.detach(), rejected.detach()
    return {
        "rewards/chosen": chosen,
        "rewards/rejected": rejected,
        "rewards/margins": chosen - rejected,
        "rewards/accuracies": (chosen > rejected).float(),
        "logps/chosen": scores.chosen.detach(),
        "logps/rejected": scores.rejected.detach(),
    }
