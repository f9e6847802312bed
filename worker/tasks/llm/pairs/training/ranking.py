"""Trains a reward model: the better answer of a pair is to score higher than the worse one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import logsigmoid
from torch.nn.utils.rnn import pad_sequence

from worker.engine.adapter import adapt
from worker.engine.dropout import without_dropout
from worker.engine.fit import begin, finish, fit
from worker.engine.model import Loaded, load
from worker.engine.phases import phase
from worker.errors import BadConfig
from worker.families.heads import numbered
from worker.task import Run
from worker.tasks.llm import trainers
from worker.tasks.llm.heads.score import LABEL
from worker.tasks.llm.pairs.cost import both
from worker.tasks.llm.pairs.data import PairTokens
from worker.tasks.llm.pairs.params import Pairs
from worker.tasks.llm.pairs.training.batches import Reference
from worker.tasks.llm.pairs.training.corpus import tokenized
from worker.tasks.llm.pairs.training.objectives import Outcome
from worker.tasks.llm.pairs.training.trainer import PairsTrainer, trainer_of
from worker.tasks.llm.params import LlmParams
from worker.tasks.llm.training.memory import recomputes_here
from worker.tasks.llm.training.opening import opened, source_of
from worker.tasks.llm.training.samples import (
    LONGEST_ANSWER,
    LONGEST_PROMPT,
    Asking,
    Samples,
    count_of,
)
from worker.tasks.llm.training.train import save_beside


def train(params: LlmParams, own: Pairs, run: Run, *, centering: float) -> None:
    """Train `run.base` on the pairs of `run.data` and leave the result in `run.output`.

    `centering` is as in `Ranking`. Returns early once `run.stop` is set. Raises `HubtrainError`,
    and whatever torch raises when memory runs out.
    """
    begin(params)
    head = trainers.of(params).head
    more = {**numbered([LABEL]), "problem_type": "regression"}
    source = source_of(params, run.base, more)
    with phase(run.emit, "reading data"):
        params, tokenizer = opened(params, source)
        corpus = tokenized(params, own, run, tokenizer)
        _set_padding(tokenizer, params)
    with phase(run.emit, "loading model"):
        loaded = load(source, params, flash_attention=params.use_flash_attention_2)
        without_dropout(loaded.model)
        for config in (loaded.model.config, loaded.model.config.get_text_config()):
            config.pad_token_id = tokenizer.pad_token_id  # the score is read before the padding
        single = both(params, 2 * corpus.largest)  # both answers take the longer one's room
        checkpointing = recomputes_here(single, loaded, predicted=0.0)
        loaded = adapt(loaded, params, head.peft_type, modules_to_save=_new_layers(loaded))
    trainer = trainer_of(
        *(RankingTrainer, params, run, loaded, corpus),
        collate=CollateSides(tokenizer.pad_token_id),
        objective=Ranking(centering),
        checkpointing=checkpointing,
    )
    judging = (corpus.valid.pairs or corpus.train.pairs)[: count_of(params)]
    samples = Samples(Scoring(tokenizer, judging))
    samples.ask_before(trainer, loaded, run)
    if fit(trainer, params, run):
        samples.ask_after(trainer, loaded, run)
        finish(loaded, params, run, partial(_save, tokenizer, corpus.template, samples))


def _set_padding(tokenizer: Any, params: LlmParams) -> None:
    """Choose a token that pads: the end of text where there is no other."""
    tokenizer.padding_side = "right"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    if tokenizer.pad_token is None:
        raise BadConfig(f"The tokenizer of {params.model} has no token that pads or ends a text.")


def _new_layers(loaded: Loaded) -> list[str]:
    """Return the layers that the model's files have not got: an adapter takes them along whole."""
    return sorted({name.rpartition(".")[0] for name in loaded.new})


def _save(tokenizer: Any, template: str | None, samples: Samples, folder: Path) -> None:
    """Write the tokenizer; without a chat template where none was used, so that nobody else does.

    A model scores right only what is written as it was in training.
    """
    if template is None:
        tokenizer.chat_template = None
    save_beside(tokenizer, template, samples, folder)


@dataclass(frozen=True, slots=True)
class CollateSides:
    """Makes a batch of pairs: each answer a row, padded on the right, the chosen ones first."""

    pad: int

    def __call__(self, pairs: Sequence[tuple[PairTokens, Reference]]) -> dict[str, torch.Tensor]:
        """Return `input_ids` and `attention_mask`, both (2 pairs, tokens)."""
        sides = [*(pair.chosen for pair, _ in pairs), *(pair.rejected for pair, _ in pairs)]
        rows = [torch.frombuffer(side.ids, dtype=torch.int32).long() for side in sides]
        seen = [torch.ones_like(row) for row in rows]
        return {
            "input_ids": pad_sequence(rows, batch_first=True, padding_value=self.pad),
            "attention_mask": pad_sequence(seen, batch_first=True),
        }


@dataclass(frozen=True, slots=True)
class Scoring(Asking):
    """How the two answers of pairs score."""

    about = "Scores of both answers, for the first pairs of the data it was judged by."

    tokenizer: Any
    pairs: Sequence[PairTokens]

    @property
    def asked(self) -> Sequence[tuple[str, str]]:
        """What both answers begin with, and how each goes on."""
        return [self._shown(pair) for pair in self.pairs]

    def answers(self, model: Any) -> Iterator[str]:
        """Yield both scores of each pair."""
        collate = CollateSides(self.tokenizer.pad_token_id)
        for pair in self.pairs:
            batch = {k: v.to(model.device) for k, v in collate([(pair, (0.0, 0.0))]).items()}
            chosen, rejected = model(**batch).logits[:, 0].tolist()
            right = "" if chosen > rejected else " (the wrong way round)"
            yield f"chosen {chosen:+.3f}, rejected {rejected:+.3f}{right}"

    def _shown(self, pair: PairTokens) -> tuple[str, str]:
        sides = [tuple(side.ids) for side in (pair.chosen, pair.rejected)]
        pairs = enumerate(zip(*sides, strict=False))
        same = next((i for i, two in pairs if len({*two}) > 1), min(map(len, sides)))
        decode = self.tokenizer.decode
        better, worse = (decode(list(ids[same : same + LONGEST_ANSWER])) for ids in sides)
        prompt = decode(list(sides[0][max(0, same - LONGEST_PROMPT) : same]))
        return prompt, f"chosen: {better}\nrejected: {worse}"


@dataclass(frozen=True, slots=True)
class Ranking:
    """How likely the better answers win, by the difference of the scores.

    Bradley and Terry's model (Ouyang et al. 2022, arXiv 2203.02155, equation 1). Only differences
    count in it; `centering` draws the sum of the two scores to 0 (arXiv 2312.09244, section 2).
    """

    centering: float = 0.0

    def __call__(self, scores: torch.Tensor) -> Outcome:
        """Return the loss of scores (2 pairs), the chosen answers' first."""
        chosen, rejected = scores.float().chunk(2)
        loss = -logsigmoid(chosen - rejected).mean()
        if self.centering:
            loss = loss + self.centering * ((chosen + rejected) ** 2).mean()
        chosen, rejected = chosen.detach(), rejected.detach()
        measured = {
            "rewards/chosen": chosen,
            "rewards/rejected": rejected,
            "rewards/margins": chosen - rejected,
            "rewards/accuracies": (chosen > rejected).float(),
        }
        return Outcome(loss, measured)


class RankingTrainer(PairsTrainer):
    """Trains on batches of `CollateSides`."""

    def outcome(self, model: Any, batch: Mapping[str, Any]) -> Outcome:
        """Return what a batch comes to."""
        return self.objective(model(**batch).logits[:, 0])
