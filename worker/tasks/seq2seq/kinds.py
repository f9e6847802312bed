"""Whether a model reads one text and writes another, told by its `config.json` alone. Light."""

from __future__ import annotations

from worker.facts import ModelFacts
from worker.families.kinds import check_kind

_KINDS = """
bart bigbird_pegasus blenderbot blenderbot-small encoder-decoder fsmt led longt5 m2m_100 marian
mbart mt5 mvp nllb-moe pegasus pegasus_x plbart prophetnet switch_transformers t5 t5gemma umt5
"""
KINDS = frozenset(_KINDS.split())
"""Kinds that transformers (5.23) loads as such, without those that listen or see."""

SUCH_AS = "google/flan-t5-base"


def overflows_in_half(kind: str) -> bool:
    """Whether a kind of model was made in bfloat16, with numbers that float16 has not got."""
    return kind in {"t5", "mt5", "umt5", "longt5", "switch_transformers"}


def check_model(facts: ModelFacts) -> None:
    """Do nothing for a model that reads and writes. Raises `BadConfig` for others."""
    check_kind(
        facts,
        KINDS,
        "AutoModelForSeq2SeqLM",
        "it has no encoder that reads a text and decoder that writes another",
        f"--model with one that has, such as {SUCH_AS}; a model that goes on with a text is "
        "trained by hubtrain llm",
    )
