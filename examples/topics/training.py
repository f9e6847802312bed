"""Trains the model, and asks it: the only file of this task that imports torch and numpy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    EvalPrediction,
    Trainer,
    pipeline,
)

from worker.engine.adapter import adapt
from worker.engine.arguments import trainer_parts
from worker.engine.fit import begin, finish, fit
from worker.engine.model import Loaded, load
from worker.engine.phases import phase
from worker.engine.source import Source
from worker.reading import load as load_data
from worker.task import Run
from worker.tasks.topics import TopicsParams
from worker.tasks.topics.rows import Example, Examples, divided


def train(params: TopicsParams, run: Run) -> None:
    """Train `run.base` on `run.data` and leave the result in `run.output`.

    Returns early, with a checkpoint written, once `run.stop` is set. Raises `HubtrainError`, and
    whatever torch raises when memory runs out.
    """
    begin(params)
    with phase(run.emit, "reading data"):
        examples = divided(load_data(run.data), params)
    with phase(run.emit, "loading model"):
        source = _source(params, run, examples.topics)
        tokenizer = source.processor(AutoTokenizer)
        loaded = _classifier(source, params, tokenizer)
    trainer = _trainer(params, run, loaded, tokenizer, examples)
    if fit(trainer, params, run):
        finish(loaded, params, run, tokenizer.save_pretrained)


def _source(params: TopicsParams, run: Run, topics: Sequence[str]) -> Source:
    """Return where the model comes from, to be loaded with a new head that knows `topics`."""
    names = dict(enumerate(topics))
    numbers = {name: number for number, name in names.items()}
    head = {"id2label": names, "label2id": numbers, "ignore_mismatched_sizes": True}
    return Source(run.base, AutoModelForSequenceClassification, more=head)


def _classifier(source: Source, params: TopicsParams, tokenizer: Any) -> Loaded:
    """Return the model, with an adapter where one is asked for; its head is always trained."""
    loaded = load(source, params)
    if tokenizer.pad_token is None:  # decoders often have none; texts of a batch differ in length
        tokenizer.pad_token = tokenizer.eos_token
    loaded.model.config.pad_token_id = tokenizer.pad_token_id
    parts = loaded.model.named_children()
    body = loaded.model.base_model
    head = [name for name, part in parts if part is not body and any(part.state_dict())]
    return adapt(loaded, params, "SEQ_CLS", modules_to_save=head)


def _trainer(
    params: TopicsParams, run: Run, loaded: Loaded, tokenizer: Any, examples: Examples
) -> Trainer:
    most = params.within(loaded.model.config.to_dict())
    numbers = loaded.model.config.label2id

    def rows(some: Sequence[Example]) -> list[dict[str, Any]]:
        return [
            {
                **tokenizer(one.text, truncation=True, max_length=most),
                "labels": numbers[one.topic],
            }
            for one in some
        ]

    train, valid = rows(examples.train), rows(examples.valid)
    return Trainer(
        **trainer_parts(params, run, loaded, train, valid, label_names=["labels"]),
        data_collator=DataCollatorWithPadding(tokenizer),
        compute_metrics=_measured,
    )


def _measured(seen: EvalPrediction) -> dict[str, float]:
    """Return the share of texts whose likeliest topic is theirs; logits are (texts, topics)."""
    return {"accuracy": float((seen.predictions.argmax(1) == seen.label_ids).mean())}


def topic_of(model: str, text: str) -> dict[str, Any]:
    """Return the likeliest topic as `{"label": …, "score": …}`."""
    found: list[dict[str, Any]] = pipeline("text-classification", model=model)(text)
    return found[0]
