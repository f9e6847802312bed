"""A model with random weights, and a tokenizer trained on the data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tokenizers import Tokenizer, decoders, pre_tokenizers, processors, trainers
from tokenizers import models as kinds
from transformers import AutoConfig, PreTrainedTokenizerFast

from worker.engine.source import Source

SAMPLE = 1 << 25
"""Characters of the data that a tokenizer is trained on: what lies behind changes little."""

SPECIAL = {
    "bos_token": "<s>",
    "pad_token": "<pad>",
    "eos_token": "</s>",
    "unk_token": "<unk>",
    "mask_token": "<mask>",
}
"""In the order of their ids, which is RoBERTa's: its positions begin behind the id of padding."""


@dataclass(frozen=True, slots=True)
class Fresh(Source):
    """A model that is built, not loaded."""

    settings: dict[str, Any] = field(default_factory=dict)
    """Its `config.json`."""

    def config(self) -> Any:
        """Return what the model is like."""
        return AutoConfig.for_model(**self.settings)

    def load_and_tell(self, **how: Any) -> tuple[Any, tuple[str, ...]]:
        """Return it with random weights, by the seed that has been set; no file lacks any."""
        how.pop("quantization_config", None)
        model = self.auto_class.from_config(self.config(), **how)
        model.name_or_path = self.ref.name  # an adapter takes it from there
        return model, ()


def trained_on(texts: Iterator[str], vocabulary: int, *, begins: bool = False) -> Any:
    """Return a byte-level BPE tokenizer (arXiv 1508.07909), the same for the same texts.

    `begins` has a mark at the beginning of a text and one at its end.
    """
    made = Tokenizer(kinds.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIAL.values()),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    made.train_from_iterator(_sample(texts), trainer)
    if begins:
        names = [SPECIAL["bos_token"], SPECIAL["eos_token"]]
        marks = [(name, made.token_to_id(name)) for name in names]
        made.post_processor = processors.TemplateProcessing(
            single=f"{names[0]} $A {names[1]}", special_tokens=marks
        )
    return PreTrainedTokenizerFast(tokenizer_object=made, **SPECIAL)


def _sample(texts: Iterator[str]) -> Iterator[str]:
    left = SAMPLE
    for text in texts:
        yield text[:left]
        left -= len(text)
        if left <= 0:
            return


def speaking(settings: dict[str, Any], tokenizer: Any) -> dict[str, Any]:
    """Return a `config.json` for the tokenizer: its special tokens, and room for all others."""
    ids = {
        f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad")
    }
    return {**settings, **ids, "vocab_size": max(settings["vocab_size"], len(tokenizer))}
