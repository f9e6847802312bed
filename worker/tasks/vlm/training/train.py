"""Trains a vision language model: rows to images and words, to steps, the result to a folder."""

from __future__ import annotations

import inspect
import json
import re
from collections import Counter
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from transformers import AutoModelForImageTextToText

from worker.engine import processes
from worker.engine.adapter import adapt
from worker.engine.arguments import judged_first, trainer_parts
from worker.engine.fit import begin, finish, fit
from worker.engine.loss import take_loss
from worker.engine.model import Loaded, adapter_of, load
from worker.engine.phases import phase
from worker.engine.room import facts_of, memory
from worker.engine.source import Source
from worker.engine.speaking import ends_turns
from worker.engine.token_trainer import COUNTED
from worker.errors import BadData
from worker.families.pictures.examples import Examples
from worker.families.pictures.training.album import Album, album_of
from worker.families.pictures.training.pictures import readers
from worker.families.pictures.training.shrinking import Shrinking
from worker.families.text.shape import positions
from worker.task import Run
from worker.tasks.vlm import cost
from worker.tasks.vlm.examples import Said, read
from worker.tasks.vlm.lengths import Size, image_tokens
from worker.tasks.vlm.params import VlmParams
from worker.tasks.vlm.speech import WORDING_FILE, Speech, Wording
from worker.tasks.vlm.training.answers import Answers
from worker.tasks.vlm.training.batches import Collate, Gallery
from worker.tasks.vlm.training.processors import processor_of, said_by, save_processor, speech_of
from worker.tasks.vlm.training.trainer import AnswersTrainer

LOOKED_AT = 500
"""Answers by which it is told with which token they end, and how long they are."""


def train(params: VlmParams, run: Run) -> None:
    """Train `run.base` on `run.data` and leave the result in `run.output`.

    Returns early, with a checkpoint written, once `run.stop` is set. Raises `HubtrainError`, and
    whatever torch raises when memory runs out.
    """
    begin(params)
    source = Source(run.base, AutoModelForImageTextToText, params.trust_remote_code)
    with phase(run.emit, "reading data"):
        kind = str(source.config().model_type)
        processor = processor_of(source, kind)
        speech, wording = speech_of(params.model, kind, processor), Wording.of(params, kind)
        album = gathered(params, run, wording)
    with phase(run.emit, "loading model"):
        loaded = load(source, params)
        take_loss(loaded.model)
        row = longest_row(params, loaded, processor, speech, album)
        checkpointing = cost.recomputes(params, facts_of(loaded), row, _memory(loaded))
        loaded = tuned(loaded, params)
    # before training too: a validation stops where answers do
    ends_turns(loaded.model, processor.tokenizer, ends_with(speech, album), speech.template)
    collate = collate_of(params, loaded, processor, speech)
    trainer = _trainer(params, run, loaded, collate, album, checkpointing=checkpointing)
    if fit(trainer, params, run):
        finish(loaded, params, run, partial(_save_beside, source, processor, wording))


def gathered(params: VlmParams, run: Run, wording: Wording) -> Album[Examples[Any, Said]]:
    """Return the examples of `run.data`. Raises `BadData` where there is nothing to learn."""
    album = album_of(params, run, partial(read, wording=wording))
    if not album.corpus.train.examples:
        raise BadData(f"no row of {album.corpus.train.source} has an image and a text.")
    return album


def tuned(loaded: Loaded, params: VlmParams) -> Loaded:
    """Return the model with what is trained of it: its decoder, or an adapter of that.

    What sees stays as it is, unless it is to be trained as well.
    """
    decoder = _decoder(loaded.model)
    if params.train_vision or not decoder:
        return adapt(loaded, params, "CAUSAL_LM")
    if adapter_of(params):
        elsewhere = rf"(?!{re.escape(decoder)}(\.|$)).*"
        return adapt(loaded, params, "CAUSAL_LM", exclude_modules=elsewhere)
    speaks = {id(p) for p in loaded.model.get_output_embeddings().parameters()}
    for name, weights in loaded.model.named_parameters():
        weights.requires_grad_(name.startswith(f"{decoder}.") or id(weights) in speaks)
    return loaded


def _decoder(model: Any) -> str:
    """Return where in a model its decoder is; empty where it is the whole of it."""
    decoder = model.get_decoder()
    return next((name for name, part in model.named_modules() if part is decoder), "")


def collate_of(params: VlmParams, loaded: Loaded, processor: Any, speech: Speech) -> Collate:
    """Return how batches are made for this model."""
    base = loaded.model.get_base_model() if hasattr(loaded.model, "peft_config") else loaded.model
    takes = inspect.signature(base.forward).parameters
    seen = positions(base.config.to_dict())
    longest = min(params.model_max_length or seen, seen)
    return Collate(processor, speech, longest, "logits_to_keep" in takes)


def longest_row(
    params: VlmParams, loaded: Loaded, processor: Any, speech: Speech, album: Album[Any]
) -> int:
    """Return the tokens of the longest example, by the sizes of images and the first texts."""
    config, said = loaded.model.config.to_dict(), said_by(processor)
    sizes: set[Size | None] = {*album.corpus.train.sizes} or {None}
    images = [image_tokens(config, said, size) for size in sizes]
    first = [example.label for example in album.corpus.learned[:LOOKED_AT]]
    texts = [speech.prompt(one.question) + speech.answer(one.question, one.answer) for one in first]
    words = processor.tokenizer(texts, add_special_tokens=False)["input_ids"]
    return min(max(images) + max(map(len, words)), params.model_max_length or positions(config))


def _memory(loaded: Loaded) -> float | None:
    """Return what the check reckons with where the model is divided, else what is there."""
    return None if processes.sharded() else memory()


def _trainer(
    params: VlmParams,
    run: Run,
    loaded: Loaded,
    collate: Collate,
    album: Album[Any],
    *,
    checkpointing: bool,
) -> AnswersTrainer:
    store, corpus = album.store, album.corpus
    shrinking = Shrinking(collate.processor.image_processor)
    rows, valid = (Gallery(store, some, shrinking) for some in (corpus.learned, corpus.held))
    more = {
        **COUNTED,
        "checkpointing": checkpointing,
        "dataloader_num_workers": readers(),
        "eval_on_start": judged_first(params, run, corpus.held),
    }
    trainer = AnswersTrainer(
        **trainer_parts(params, run, loaded, rows, valid, **more), data_collator=collate
    )
    trainer.model_accepts_loss_kwargs = True  # `take_loss` heeds them, whatever the model does
    trainer.precision = loaded.precision
    if params.counts_answers:
        trainer.answers, trainer.asked = Answers(collate), params.eval_answers
    return trainer


def ends_with(speech: Speech, album: Album[Any]) -> str | None:
    """Return the special token that answers end with; none where they just end."""
    said = [example.label for example in album.corpus.learned[:LOOKED_AT]]
    answers = [speech.answer(one.question, one.answer) for one in said]
    known = speech.special | {speech.tokens.get("eos_token", "")}
    ends = Counter(next((t for t in known if t and a.endswith(t)), None) for a in answers)
    return ends.most_common(1)[0][0]


def _save_beside(source: Source, processor: Any, wording: Wording, folder: Path) -> None:
    """Write what goes out with a model: its processor, and what it is asked with."""
    save_processor(source, processor, folder)
    (folder / WORDING_FILE).write_text(json.dumps(asdict(wording)), encoding="utf-8")
