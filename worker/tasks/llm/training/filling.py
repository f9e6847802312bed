"""Fills in what is hidden in a prompt, with a trained masked language model."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from transformers import AutoModelForMaskedLM, AutoTokenizer

from worker.engine.devices import device
from worker.errors import BadConfig
from worker.families.finished import facts_of, revision_of
from worker.paths import ref_of

MASKS = ("[MASK]", "<mask>")
"""How people write that something is hidden, whatever the model's own way."""

SHOWN = 5
"""Tokens told for each hidden one."""


def filling(model: str, *, trust_remote_code: bool = False) -> Callable[[str], dict[str, Any]]:
    """Return what fills in a prompt with the model, which may be an adapter: see `_filled`."""
    code: dict[str, Any] = {"trust_remote_code": trust_remote_code}
    ref = ref_of(model)
    tokenizer = AutoTokenizer.from_pretrained(ref.name, revision=ref.revision, **code)
    code |= revision_of(ref, facts_of(model))
    net = AutoModelForMaskedLM.from_pretrained(ref.name, dtype="auto", **code).eval()
    net.to(device())
    return partial(_filled, net, tokenizer)


@torch.inference_mode()
def _filled(net: Any, tokenizer: Any, prompt: str) -> dict[str, Any]:
    """Return `text`, the prompt with each hidden token filled in, and the likeliest ones, `tokens`.

    Those are, for each hidden token, up to five, with their probabilities. Raises `BadConfig` where
    nothing is hidden.
    """
    for mask in MASKS:
        prompt = prompt.replace(mask, tokenizer.mask_token)
    inputs = tokenizer(prompt, return_tensors="pt")
    ids = inputs["input_ids"][0]
    (places,) = (ids == tokenizer.mask_token_id).nonzero(as_tuple=True)
    if not len(places):
        raise BadConfig("nothing is hidden in the prompt.", fix=f'--prompt "… {MASKS[0]} …"')
    scores = net(**inputs.to(net.device)).logits[0, places].float().softmax(-1).cpu()
    best = scores.topk(min(SHOWN, scores.shape[-1]))
    ids[places] = best.indices[:, 0].to(ids)
    return {
        "text": tokenizer.decode(ids, skip_special_tokens=True),
        "tokens": [
            [
                {"token": tokenizer.decode([token]).strip(), "score": round(score, 4)}
                for token, score in zip(tokens, chances, strict=True)
            ]
            for tokens, chances in zip(best.indices.tolist(), best.values.tolist(), strict=True)
        ],
    }
