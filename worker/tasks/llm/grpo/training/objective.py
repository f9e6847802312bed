"""What is made of scores: how much better an answer is than its fellows, and the loss of it.

Group relative policy optimisation (Shao et al. 2024, arXiv 2402.03300, equations 3 and 4), with the
means over tokens of DAPO (arXiv 2503.14476, equation 8) and Dr. GRPO (arXiv 2503.20783, section 3),
and the divergence weighted so that its gradient is unbiased (DeepSeek-V3.2, arXiv 2512.02556).
Tokens are in vectors, those of all answers of a pass one after the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

SMALL = 1e-4
"""Added to what is divided by: answers that all score the same teach nothing."""


def advantages(rewards: torch.Tensor, each: int, scaled_by: str) -> torch.Tensor:
    """Return how far each of `rewards` (answers) is above the mean of its group.

    Groups of `each` answers follow one another. The difference is divided by the standard deviation
    of the `group` or of the whole `batch`, or not at all (`none`).
    """
    groups = rewards.view(-1, each)
    above = groups - groups.mean(1, keepdim=True)
    if scaled_by == "group":
        above = above / (groups.std(1, keepdim=True) + SMALL)
    elif scaled_by == "batch":
        above = above / (rewards.std() + SMALL)
    return above.flatten()


@dataclass(frozen=True, slots=True)
class Tokens:
    """The answers' tokens of a pass: log-probabilities in nats, and whose they are."""

    now: torch.Tensor
    before: torch.Tensor
    """As the answers were drawn; without gradients."""

    reference: torch.Tensor | None
    """In the model as it began; none where it is not held near that."""

    owners: torch.Tensor
    """Place of each token's answer in `advantages`."""

    advantages: torch.Tensor
    """Of the answers of the pass."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a pass comes to."""

    loss: torch.Tensor
    """Its part of the loss of the step."""

    measured: Mapping[str, torch.Tensor]
    """Sums over the tokens of the pass."""


@dataclass(frozen=True, slots=True)
class Objective:
    """The loss."""

    beta: float = 0.0
    low: float = 0.2
    high: float = 0.2
    """How far a probability may fall and rise, as shares of what it was."""

    kind: str = "dapo"
    longest: int = 1
    """Tokens of the longest answer there may be."""

    def __call__(self, tokens: Tokens, passes: int, in_step: float) -> Outcome:
        """Return the part of one of so many `passes` of a step that has `in_step` tokens.

        Of several processes, whose losses are averaged, each counts its own passes, and its share
        of the tokens of all.
        """
        ratio = torch.exp(tokens.now - tokens.before)
        gain = tokens.advantages[tokens.owners]
        held = ratio.clamp(1 - self.low, 1 + self.high)
        each = -torch.min(ratio * gain, held * gain)
        measured = {
            "clip_ratio": (
                ((ratio < 1 - self.low) & (gain < 0)) | ((ratio > 1 + self.high) & (gain > 0))
            ).sum()
        }
        if tokens.reference is not None:
            apart = tokens.reference - tokens.now
            divergence = torch.exp(apart) - apart - 1  # equation 4
            each = each + self.beta * ratio * divergence
            measured["kl"] = divergence.detach().sum()
        return Outcome(self._mean(each, tokens, passes, in_step), measured)

    def _mean(
        self, each: torch.Tensor, tokens: Tokens, passes: int, in_step: float
    ) -> torch.Tensor:
        answers = len(tokens.advantages)
        if self.kind == "dapo":
            return each.sum() / (in_step or 1)
        if self.kind == "bnpo":
            return each.sum() / max(1, len(each)) / passes
        if self.kind == "dr_grpo":
            return each.sum() / (answers * self.longest) / passes
        zeros = each.new_zeros(answers)
        sums = zeros.index_add(0, tokens.owners, each)
        counts = zeros.index_add(0, tokens.owners, torch.ones_like(each))
        return (sums / counts.clamp(min=1)).mean() / passes
