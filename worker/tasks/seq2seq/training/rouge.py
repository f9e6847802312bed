"""How much of what is wanted was written: ROUGE (Lin 2004), by the package rouge_score.

Nothing is fetched: sentences end where a mark and white space say so, and not by a model of them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from nltk.stem.porter import PorterStemmer
from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenizers import Tokenizer

KINDS = ("rouge1", "rouge2", "rougeL", "rougeLsum")

_ALONE = r"\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_ALONE}]|[^\W_{_ALONE}]+")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[\u3002\uff01\uff1f])\s*")  # Chinese, too

SHORTEST = 4
"""Letters of a word from which on its ending is taken off."""


class Words(Tokenizer):  # type: ignore[misc]
    """Words as the package has them, and those of other letters, of which it sees nothing.

    Chinese and Japanese put no space between words: there each letter is one.
    """

    def __init__(self) -> None:
        self._stem = PorterStemmer().stem

    def tokenize(self, text: str) -> list[str]:
        """Return the words of a text, English endings taken off."""
        return [
            self._stem(word) if len(word) >= SHORTEST and word.isascii() else word
            for word in _WORD.findall(text.lower())
        ]


def rouge(written: Sequence[str], wanted: Sequence[str]) -> dict[str, float]:
    """Return the mean F1 of all texts, in percent, of single words, pairs, and longest
    subsequences: of the whole text (rougeL) and sentence by sentence (rougeLsum)."""
    scorer = RougeScorer(KINDS, tokenizer=Words())
    scores = [
        scorer.score(by_sentence(right), by_sentence(said))
        for said, right in zip(written, wanted, strict=True)
    ]
    return {
        kind: 100 * sum(score[kind].fmeasure for score in scores) / max(1, len(scores))
        for kind in KINDS
    }


def by_sentence(text: str) -> str:
    """Return a text with a sentence a line, as rougeLsum takes it."""
    return "\n".join(filter(None, _SENTENCE_END.split(text.strip())))
