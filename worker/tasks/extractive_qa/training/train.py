"""Trains a model that finds answers: rows to windows, windows to steps, the result to a folder."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from transformers import AutoModelForQuestionAnswering, EvalPrediction

from worker import evaluation_plots
from worker.engine import processes
from worker.engine.fit import begin, finish, fit
from worker.engine.model import Loaded
from worker.engine.phases import phase
from worker.engine.source import Source
from worker.errors import BadData
from worker.families.text.training.batches import Collate, TextTrainer, longest_first, trainer_of
from worker.families.text.training.heads import saving, tokenizer_of, with_head
from worker.families.training.answers import answered
from worker.reading import load as load_data
from worker.task import Run
from worker.tasks.extractive_qa.params import QaParams
from worker.tasks.extractive_qa.rows import Asked, gathered
from worker.tasks.extractive_qa.training.reading import (
    Window,
    best_answers,
    length,
    windows_of,
)
from worker.tasks.extractive_qa.windows import Windows

ALL = 100.0
LABELS = ["start_positions", "end_positions"]

UNANSWERABLE = "unanswerable"
"""Setting in a model's `config.json`: it has learned from questions that have no answer."""


def train(params: QaParams, run: Run) -> None:
    """Train `run.base` on `run.data` and leave the result in `run.output`.

    Returns early, with a checkpoint written, once `run.stop` is set. Raises `HubtrainError`, and
    whatever torch raises when memory runs out.
    """
    begin(params)
    source = Source(run.base, AutoModelForQuestionAnswering, params.trust_remote_code)
    with phase(run.emit, "reading data"):
        tokenizer = reader(source)
        corpus = gathered(load_data(run.data), params)
    found, learned, held = corpus.train, corpus.learned, corpus.held
    if not any(one.answer for one in learned):
        raise BadData(f"No question of {found.source} has an answer that is in its context.")
    with phase(run.emit, "loading model"):
        loaded = with_head(source, params, tokenizer, "QUESTION_ANS")
        setattr(loaded.model.config, UNANSWERABLE, found.unanswerable > 0)
    most = params.seen(loaded.model.config.to_dict())
    with phase(run.emit, "reading tokens"):
        sizes = sizes_for(tokenizer, most, params.max_doc_stride)
        learning = learned, [*windows_of(tokenizer, learned, sizes)]
        judging = held, longest_first([*windows_of(tokenizer, held, sizes)], length)
    trainer = _trainer(params, run, loaded, tokenizer, (learning, judging))
    if fit(trainer, params, run):
        if trainer.eval_dataset:
            _draw(trainer, judging, run.output)
        finish(loaded, params, run, saving(tokenizer, most))


def reader(source: Source) -> Any:
    """Return the model's tokenizer; it pads behind a window, whose logits are found by place."""
    tokenizer = tokenizer_of(source)
    tokenizer.padding_side = tokenizer.truncation_side = "right"
    return tokenizer


def sizes_for(tokenizer: Any, most: int, overlap: int) -> Windows:
    """Return the sizes of windows of at most so many tokens."""
    return Windows.of(most, tokenizer.num_special_tokens_to_add(pair=True), overlap)


Read = tuple[Sequence[Asked], Sequence[Window]]
"""Questions, and the windows in which the model reads them and their contexts."""


def _trainer(
    params: QaParams, run: Run, loaded: Loaded, tokenizer: Any, read: tuple[Read, Read]
) -> TextTrainer:
    """Return what trains on the first of what was `read`, and judges by the second."""
    (learned, learning), (held, judging) = read
    train = [one.labelled(learned[one.asked].answer) for one in learning]
    valid = [one.labelled(held[one.asked].answer) for one in judging]
    how: dict[str, Any] = {
        "data_collator": Collate(tokenizer),
        "compute_metrics": partial(_measured, (held, judging)),
        "preprocess_logits_for_metrics": _starts_and_ends,
    }
    return trainer_of(params, run, loaded, train, valid, labels=LABELS, **how)


def _starts_and_ends(logits: Any, labels: Any) -> Any:
    """Return the logits of starts and ends: some models tell more."""
    return logits[0], logits[1]


def _measured(judging: Read, seen: EvalPrediction) -> dict[str, float]:
    said = _said(judging, seen.predictions)
    return answered(said, [one.texts for one in judging[0]])


def _said(judging: Read, logits: tuple[Any, Any]) -> list[str]:
    """Return the answer to each question; an empty one where there may be none and is none."""
    asked, windows = judging
    found = best_answers(windows, *logits)
    may_be_none = any(one.answer is None for one in asked)
    said = []
    for place, one in enumerate(asked):
        best = found[place]
        nothing = may_be_none and best.nothing > best.score
        said.append("" if nothing else one.context[best.start : best.end].strip())
    return said


def _draw(trainer: TextTrainer, judging: Read, folder: Path) -> None:
    """Let the finished model judge once more, and draw how it answers questions of both kinds."""
    seen = trainer.predict(trainer.eval_dataset)
    if not processes.is_first():
        return
    kinds, columns = ("has an answer", "has none"), ("exact", "in part", "wrong", "says none")
    counts = {kind: dict.fromkeys(columns, 0) for kind in kinds}
    for said, one in zip(_said(judging, seen.predictions), judging[0], strict=True):
        share = answered([said], [one.texts])["f1"]
        told = "exact" if share == ALL else "in part" if share else "wrong"
        counts[kinds[not one.texts]][told if said else "says none"] += 1
    there = [kind for kind in kinds if sum(counts[kind].values())]
    evaluation_plots.matrix([[*counts[kind].values()] for kind in there], there, columns, folder)
