"""Sentences as the model reads them: tokens, and the label of each.

A sentence is read as running text, its words with blanks between, so that the model is trained on
the tokens that it will be given later: byte-level tokenizers (GPT-2, RoBERTa) have other tokens
for a word behind a blank. A word's tag is that of its first token. What else the word is divided
into is labelled as the inside of the same entity, so that transformers' pipeline, which looks at
tokens, does not take words apart. To judge, the first token alone counts: each word counts once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.families.tags import continued
from worker.families.text.training.batches import TOKENIZED, Tokens
from worker.families.training.entities import NOT_JUDGED
from worker.tasks.token_classification.rows import Sentence


def labelled(
    tokenizer: Any,
    sentences: Sequence[Sentence],
    numbers: Mapping[str, int],
    most: int,
    *,
    judged: bool,
) -> list[Tokens]:
    """Return each sentence cut at `most` tokens, with `labels`: numbers of tags, or -100.

    Of words whose tokens are several the first alone has one where they are `judged`.
    """
    found: list[Tokens] = []
    for start in range(0, len(sentences), TOKENIZED):
        group = sentences[start : start + TOKENIZED]
        told = tokenizer(
            [one.text for one in group],
            truncation=True,
            max_length=most,
            return_offsets_mapping=True,
        )
        offsets = told.pop("offset_mapping")
        told.pop("attention_mask", None)
        for i, one in enumerate(group):
            row = {name: np.asarray(told[name][i], np.int32) for name in told}
            row["labels"] = _labels(one, offsets[i], numbers, judged=judged)
            found.append(row)
    return found


def _labels(
    sentence: Sentence,
    offsets: Sequence[tuple[int, int]],
    numbers: Mapping[str, int],
    *,
    judged: bool,
) -> NDArray[np.int32]:
    """Return the label of each token, whose places in the text are `offsets`."""
    labels = np.full(len(offsets), NOT_JUDGED, np.int32)
    words, text = _word_at(sentence), sentence.text
    before = -1
    for place, (start, end) in enumerate(offsets):
        if not text[start:end].strip():  # a special token, or a blank
            continue
        word = words[end - 1]  # a token may begin with the blank before its word
        tag = sentence.tags[word]
        if tag is not None and (word != before or not judged):
            tag = tag if word != before else continued(tag)
            labels[place] = numbers.get(tag, NOT_JUDGED)
        before = word
    return labels


def _word_at(sentence: Sentence) -> list[int]:
    """Return the place of the word of each character; a blank is of the word before."""
    return [i for i, word in enumerate(sentence.words) for _ in range(len(word) + 1)]
