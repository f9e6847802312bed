"""Asks a trained model: it reads texts and writes others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, GenerationConfig

from worker.answers import parts
from worker.engine.devices import device
from worker.engine.source import loading
from worker.exchange import Answering
from worker.families.finished import facts_of, revision_of
from worker.paths import ref_of
from worker.tasks.seq2seq.params import Question


def answering(model: str, question: Question, together: int) -> Answering:
    """Return the model, which writes a text to each, those of about the same length together."""
    ref, code = ref_of(model), {"trust_remote_code": question.trust_remote_code}
    with loading(ref.name):
        tokenizer = AutoTokenizer.from_pretrained(ref.name, revision=ref.revision, **code)
        which = revision_of(ref, facts_of(model))
        net = AutoModelForSeq2SeqLM.from_pretrained(ref.name, **which, **code).eval().to(device())
    with suppress(OSError):  # transformers takes an adapter's from its base model
        own = GenerationConfig.from_pretrained(ref.name, revision=ref.revision)
        net.generation_config = own
    asked = {"max_new_tokens": question.max_new_tokens, "num_beams": question.num_beams}
    given = {name: value for name, value in asked.items() if value is not None}

    @torch.inference_mode()
    def written(texts: list[str]) -> list[str]:
        read = tokenizer(texts, padding=True, return_tensors="pt").to(net.device)
        inputs = {name: read[name] for name in ("input_ids", "attention_mask")}
        out = net.generate(**inputs, **given)
        return [text.strip() for text in tokenizer.batch_decode(out, skip_special_tokens=True)]

    def answered(questions: Sequence[Question]) -> Iterator[Any]:
        texts = [one.text for one in questions]
        ordered = sorted(range(len(texts)), key=lambda i: -len(texts[i]))
        found = dict[int, str]()
        for places in parts(ordered, together):
            found.update(zip(places, written([texts[i] for i in places]), strict=True))
        return (found[i] for i in range(len(texts)))

    return answered
