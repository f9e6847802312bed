"""The model that a training begins with: where it comes from, and its tokenizer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import transformers
from transformers import AutoTokenizer

from worker.contract import ModelRef
from worker.engine.source import Source
from worker.tasks.llm import trainers
from worker.tasks.llm.params import LlmParams


def source_of(params: LlmParams, ref: ModelRef, more: Mapping[str, Any] | None = None) -> Source:
    """Return where a model comes from that the trainer loads; `more` is that of `Source`."""
    auto_class = getattr(transformers, trainers.of(params).head.auto_class)
    return Source(ref, auto_class, params.trust_remote_code, more or {})


def opened(params: LlmParams, source: Source) -> tuple[LlmParams, Any]:
    """Return the settings as far as this model takes them, and its tokenizer."""
    return params.within(source.config().to_dict()), source.processor(AutoTokenizer)
