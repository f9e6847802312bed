"""Trains an encoder and a decoder: pairs of texts to tokens, tokens to steps, the result to a
folder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from inspect import signature
from typing import Any

import torch
from transformers import AutoModelForSeq2SeqLM

from worker.contract import Event
from worker.engine import processes
from worker.engine.adapter import adapt
from worker.engine.arguments import judged_first, trainer_parts
from worker.engine.fit import begin, finish, fit
from worker.engine.loss import IGNORED
from worker.engine.model import Loaded, load
from worker.engine.phases import phase
from worker.engine.room import facts_of, memory
from worker.engine.source import Source
from worker.errors import BadConfig
from worker.families.corpus import learnable
from worker.families.text.training.batches import (
    Collate,
    TextTrainer,
    Tokens,
    lengths,
    longest_first,
    tokenized,
)
from worker.families.text.training.heads import saving, tokenizer_of
from worker.reading import load as load_data
from worker.task import Run
from worker.tasks.seq2seq.cost import recomputes
from worker.tasks.seq2seq.params import Seq2SeqParams
from worker.tasks.seq2seq.rows import Pair, gathered
from worker.tasks.seq2seq.training.rouge import rouge
from worker.tasks.seq2seq.training.writing import writes, written

Tell = Callable[[Any], dict[str, float]]
"""Measures what a model writes."""


def train(params: Seq2SeqParams, run: Run) -> None:
    """Train `run.base` on `run.data` and leave the result in `run.output`.

    Returns early, with a checkpoint written, once `run.stop` is set. Raises `HubtrainError`, and
    whatever torch raises when memory runs out.
    """
    begin(params)
    source = Source(run.base, AutoModelForSeq2SeqLM, params.trust_remote_code)
    with phase(run.emit, "reading data"):
        tokenizer = speaking(params, tokenizer_of(source))
        config = source.config().to_dict()
        corpus = learnable(gathered(load_data(run.data), params), "a text on both sides")
        both = corpus.learned, corpus.held
        rows, valid = (encoded(some, params, tokenizer, config) for some in both)
    with phase(run.emit, "loading model"):
        loaded = load(source, params)
        _make_room(loaded.model, tokenizer, params)
        checkpointing = recomputes(params, facts_of(loaded), memory())
        loaded = adapt(loaded, params, "SEQ_2_SEQ_LM")
    writes(loaded.model, params.written(config), _language(params, tokenizer))
    trainer = WritingTrainer(
        **_parts(params, run, loaded, rows, valid, checkpointing=checkpointing),
        data_collator=PairCollate(tokenizer, loaded.model),
    )
    trainer.by_length = lengths(rows) if params.group_by_length else None
    writer = Writer(params, loaded, tokenizer, run.emit)
    trainer.tell = partial(writer.measured, valid, [one.target for one in corpus.held])
    if fit(trainer, params, run):
        finish(loaded, params, run, saving(tokenizer, params.seen(config)))


class WritingTrainer(TextTrainer):
    """Trains as others do; at each validation it also writes, which is measured."""

    tell: Tell

    def evaluation_loop(self, *args: Any, metric_key_prefix: str = "eval", **how: Any) -> Any:
        """Measure the loss, and what is written."""
        found = super().evaluation_loop(*args, metric_key_prefix=metric_key_prefix, **how)
        for name, value in self.tell(self.model).items():
            found.metrics[f"{metric_key_prefix}_{name}"] = value
        return found


@dataclass(frozen=True)
class Writer:
    """Lets a model write to validation rows."""

    params: Seq2SeqParams
    loaded: Loaded
    tokenizer: Any
    emit: Callable[[Event], None]

    def measured(
        self, rows: Sequence[Tokens], wanted: Sequence[str], model: Any
    ) -> dict[str, float]:
        """Return how near `model` comes to what is wanted of the first of `rows`."""
        rows = rows[: self.params.rouge_rows]
        if not rows:
            return {}
        collate = PairCollate(self.tokenizer, self.loaded.model)
        write = partial(written, model, collate, 2 * self.params.batch_size)
        with phase(self.emit, "validating", at_once=False), self.loaded.precision.mixed():
            tokens = processes.in_parts(rows, write)
        said = self.tokenizer.batch_decode(tokens, skip_special_tokens=True)
        length = sum(map(len, tokens)) / len(tokens)
        return {**rouge(said, wanted[: len(rows)]), "gen_len": length}


def _parts(
    params: Seq2SeqParams,
    run: Run,
    loaded: Loaded,
    rows: Sequence[Tokens],
    valid: Sequence[Tokens],
    *,
    checkpointing: bool,
) -> dict[str, Any]:
    more = {
        "label_names": ["labels"],
        "per_device_eval_batch_size": 2 * params.batch_size,
        "eval_on_start": judged_first(params, run, valid),
    }
    judging = longest_first(valid)
    return trainer_parts(params, run, loaded, rows, judging, checkpointing=checkpointing, **more)


def speaking(params: Seq2SeqParams, tokenizer: Any) -> Any:
    """Return the tokenizer, set to the languages of both sides where it knows several."""
    if not hasattr(tokenizer, "src_lang"):
        if named := params.source_language or params.target_language:
            raise BadConfig(
                f"{params.model} knows no languages, and {named} is none of them.",
                fix="Leave --source-language and --target-language out",
            )
        return tokenizer
    read = params.source_language or tokenizer.src_lang
    both = {"src_lang": read, "tgt_lang": params.target_language or read}
    for name, language in both.items():
        if language and tokenizer.convert_tokens_to_ids(language) == tokenizer.unk_token_id:
            raise BadConfig(
                f"{params.model} knows no language {language}.",
                fix=f"--{'source' if name == 'src_lang' else 'target'}-language as the model's "
                "card has it, such as en_XX",
            )
        setattr(tokenizer, name, language)
    return tokenizer


def _language(params: Seq2SeqParams, tokenizer: Any) -> int | None:
    """Return the token with which what is written begins, of models of several languages."""
    if params.target_language is None or not hasattr(tokenizer, "tgt_lang"):
        return None
    return int(tokenizer.convert_tokens_to_ids(params.target_language))


def encoded(
    pairs: Sequence[Pair], params: Seq2SeqParams, tokenizer: Any, config: Mapping[str, Any]
) -> list[Tokens]:
    """Return pairs in tokens, cut to what the model sees and may write."""
    read = tokenized(tokenizer, [one.text for one in pairs], params.seen(config))

    def as_target(texts: list[str], **how: Any) -> Any:
        return tokenizer(text_target=texts, **how)  # which begins with the language to write

    wanted = tokenized(as_target, [one.target for one in pairs], params.written(config))
    return [
        {"input_ids": one["input_ids"], "labels": other["input_ids"]}
        for one, other in zip(read, wanted, strict=True)
    ]


class PairCollate:
    """Makes a batch: texts padded to the longest, and labels to theirs, with `IGNORED`.

    The first token of a text sees all of it in models that else look only around (LED).
    """

    def __init__(self, tokenizer: Any, model: Any) -> None:
        base = model.get_base_model() if hasattr(model, "get_base_model") else model
        self.looks_around = "global_attention_mask" in signature(base.forward).parameters
        self.texts, self.targets = Collate(tokenizer), Collate(tokenizer)
        self.targets.padding["input_ids"] = IGNORED
        self.targets.left = False

    def __call__(self, rows: Sequence[Tokens]) -> dict[str, torch.Tensor]:
        """Return tensors of (rows, tokens): `input_ids`, `attention_mask`, `labels`."""
        batch = self.texts([{"input_ids": row["input_ids"]} for row in rows])
        batch["labels"] = self.targets([{"input_ids": row["labels"]} for row in rows])["input_ids"]
        if self.looks_around:
            batch["global_attention_mask"] = torch.zeros_like(batch["input_ids"])
            batch["global_attention_mask"][:, 0] = 1
        return batch


def _make_room(model: Any, tokenizer: Any, params: Seq2SeqParams) -> None:
    """Give a model embeddings for all that the tokenizer knows. Raises `BadConfig`."""
    if len(tokenizer) <= model.get_input_embeddings().num_embeddings:
        return
    if params.peft:
        raise BadConfig(
            f"The tokenizer of {params.model} knows {len(tokenizer):,} words, more than the model: "
            "an adapter would not learn the others.",
            fix="Leave --peft out",
        )
    model.resize_token_embeddings(len(tokenizer))
