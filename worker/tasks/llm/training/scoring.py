"""Scores a text with a trained reward model."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from worker.contract import ModelRef
from worker.engine.devices import device
from worker.families.finished import facts_of
from worker.paths import ref_of


def scoring(model: str, *, trust_remote_code: bool = False) -> Callable[[str, str | None], float]:
    """Return what scores texts with the model, which may be whole or an adapter: see `_score`."""
    code: dict[str, Any] = {"trust_remote_code": trust_remote_code}
    ref = ref_of(model)
    code |= {"revision": ref.revision}
    tokenizer = AutoTokenizer.from_pretrained(ref.name, **code)
    net = _loaded(ref, code, adapter=bool(facts_of(model).adapter)).eval()
    net.to(device())
    net.config.get_text_config().pad_token_id = tokenizer.pad_token_id
    return partial(_score, net, tokenizer)


@torch.inference_mode()
def _score(net: Any, tokenizer: Any, prompt: str, completion: str | None = None) -> float:
    """Return the score of `completion` as an answer to `prompt`, or of the text `prompt` alone.

    Where the model learned from conversations, its tokenizer has a chat template, and both are
    turns of one.
    """
    chat = completion is not None and tokenizer.chat_template
    if chat:
        turns = [{"role": "user", "content": prompt}, {"role": "assistant", "content": completion}]
        text = tokenizer.apply_chat_template(turns, tokenize=False)
    else:
        text = prompt + (completion or "")
    inputs = tokenizer(text, return_tensors="pt", add_special_tokens=not chat).to(net.device)
    return round(float(net(**inputs).logits[0, 0]), 4)


def _loaded(ref: ModelRef, code: dict[str, Any], *, adapter: bool) -> Any:
    if not adapter:
        return AutoModelForSequenceClassification.from_pretrained(ref.name, dtype="auto", **code)
    from peft import AutoPeftModelForSequenceClassification

    return AutoPeftModelForSequenceClassification.from_pretrained(ref.name, num_labels=1, **code)
