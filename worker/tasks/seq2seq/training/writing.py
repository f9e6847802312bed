"""Lets a model write: batches of texts of about the same length, with its cache of keys and values.

Words are chosen as the model's maker says, but greedily: what is measured is to be the same each
time, and beams would take several times as long.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import torch
from transformers import GenerationConfig

from worker.families.text.training.batches import Tokens, length


def writes(model: Any, most: int, language: int | None = None) -> None:
    """Let `model` write up to `most` tokens from now on, wherever it is loaded; the libraries'
    own default is 20. It begins with the token of a `language`, where there are several."""
    config = model.generation_config
    config.max_new_tokens, config.max_length = most, None
    if (config.min_length or 0) >= most:
        config.min_length = 0
    if language is not None:
        config.forced_bos_token_id = language


def greedy(config: GenerationConfig) -> GenerationConfig:
    """Return how words are chosen where what is written is measured."""
    found = deepcopy(config)
    found.update(num_beams=1, do_sample=False, early_stopping=None, length_penalty=None)
    found.update(temperature=None, top_p=None, top_k=None, use_cache=True)
    found.update(num_beam_groups=None, diversity_penalty=None)
    return found


@torch.inference_mode()
def written(model: Any, collate: Any, batch: int, rows: Sequence[Tokens]) -> list[list[int]]:
    """Return the tokens that `model` writes for each row, its first and padding left out."""
    model.eval()
    found: list[list[int]] = [[]] * len(rows)
    ordered = sorted(range(len(rows)), key=lambda i: -length(rows[i]))
    pad = model.generation_config.pad_token_id
    how = greedy(model.generation_config)
    for start in range(0, len(rows), batch):
        places = ordered[start : start + batch]
        given = collate([rows[i] for i in places])
        given = {n: v.to(model.device) for n, v in given.items() if n != "labels"}
        out = model.generate(**given, generation_config=how)
        for place, tokens in zip(places, out[:, 1:].tolist(), strict=True):
            found[place] = [token for token in tokens if token != pad]
    return found
