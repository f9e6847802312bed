"""Asks a trained model about images."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from PIL import Image
from transformers import AutoModelForImageTextToText, GenerationConfig
from transformers.utils import cached_file

from worker.answers import in_places, parts
from worker.contract import ModelRef
from worker.engine.devices import device
from worker.engine.source import Source, loading
from worker.errors import BadConfig
from worker.exchange import Answering
from worker.families.finished import facts_of, revision_of
from worker.families.pictures.training.shrinking import Shrinking
from worker.families.pictures.training.store import opened
from worker.families.text.shape import positions
from worker.paths import base_of_adapter, ref_of
from worker.tasks.vlm.params import Question, VlmParams
from worker.tasks.vlm.speech import WORDING_FILE, Wording
from worker.tasks.vlm.training.answers import Answers
from worker.tasks.vlm.training.batches import Collate
from worker.tasks.vlm.training.processors import processor_of, speech_of

Asked = tuple[Image.Image, str]
"""An image and what is asked of it."""


def answering(model: str, question: Question, together: int) -> Answering:
    """Return the model, which says what it was trained to say of images."""
    ref, facts = ref_of(model), facts_of(model)
    kind, code = str(facts.config.get("model_type") or ""), question.trust_remote_code
    source = Source(_with_processor(ref, facts.adapter), AutoModelForImageTextToText, code)
    processor = processor_of(source, kind)
    with loading(ref.name):
        net: Any = AutoModelForImageTextToText.from_pretrained(
            ref.name, dtype="auto", trust_remote_code=code, **revision_of(ref, facts)
        )
    net = net.eval().to(device())
    with suppress(OSError):  # transformers takes an adapter's from its base model
        net.generation_config = GenerationConfig.from_pretrained(ref.name, revision=ref.revision)
    collate = Collate(processor, speech_of(model, kind, processor), positions(facts.config))
    wording, answers = wording_of(ref, kind), Answers(collate)
    shrinking = Shrinking(processor.image_processor)

    def said(asked: list[Asked]) -> list[str]:
        images, prompts = zip(*asked, strict=True)
        return answers.of(net, images, prompts, question.max_new_tokens)

    def answered(questions: Sequence[Question]) -> Iterator[Any]:
        for some in parts(questions, together):
            yield from in_places([_asked(one, wording, shrinking) for one in some], said)

    return answered


def _asked(question: Question, wording: Wording, shrinking: Shrinking) -> Asked | BadConfig:
    """Return an image and what is asked of it, or why there is none."""
    prompt = wording.question(question.prompt)
    if not prompt:
        return BadConfig("This model answers questions about images.", fix='--prompt "…"')
    image = opened(question.image, shrinking)
    return (image, prompt) if isinstance(image, Image.Image) else image


def wording_of(ref: ModelRef, kind: str) -> Wording:
    """Return what a model is asked with: as its training left it, else as its kind is."""
    file = _file(ref, WORDING_FILE)
    if file is None:
        asks, tells = (
            Wording.of(VlmParams(data_path="", trainer=t), kind) for t in ("vqa", "captioning")
        )
        return Wording(asks.before, tells.prompt)
    with open(file, encoding="utf-8") as stream:
        return Wording(**json.load(stream))


def _with_processor(ref: ModelRef, adapter: Any) -> ModelRef:
    """Return where the processor is: beside an adapter, or with the model that it belongs to."""
    base = base_of_adapter(adapter)
    return base if base and _file(ref, "tokenizer_config.json") is None else ref


def _file(ref: ModelRef, name: str) -> str | None:
    return cached_file(  # type: ignore[no-any-return]
        ref.name,
        name,
        revision=ref.revision,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
    )
