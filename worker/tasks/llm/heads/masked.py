"""Tokens that are hidden in a text: what masked language models, such as BERT, put out."""

from __future__ import annotations

import re
from collections.abc import Mapping

from worker.task import Field, Page
from worker.tasks.llm.heads import Answer, Config, Head, classes
from worker.tasks.llm.params import Question

_FILLS = re.compile(
    r"ForMaskedLM$|^(Albert|Bert|BigBird|Ernie|FNet|MegatronBert|MobileBert)ForPreTraining$"
)
"""In the name of a class that predicts hidden tokens. Electra's pretraining has another aim."""

_ENCODERS = re.compile(
    r"bert|deberta|electra|fnet|flaubert|longformer|luke|^esm$|mpnet|nystromformer"
)
"""In the kind of an encoder, for a configuration that names no class."""


class Masked(Head):
    """Predicts tokens that are hidden, from all that stands around them."""

    called = "masked language model"
    does = "fill in what is hidden in a text"
    such_as = "answerdotai/ModernBERT-base"
    auto_class = "AutoModelForMaskedLM"
    pipeline_tag = "fill-mask"

    def is_on(self, config: Config) -> bool:
        """Return whether a model fills in what is hidden."""
        if config.get("is_encoder_decoder") or config.get("is_decoder"):
            return False
        named, code = classes(config), config.get("auto_map")
        if isinstance(code, Mapping) and "AutoModelForMaskedLM" in code:
            return not any("CausalLM" in name for name in named)
        if not named:
            return bool(_ENCODERS.search(str(config.get("model_type") or "")))
        return any(_FILLS.search(name) for name in named)

    def try_it(self, model: str) -> str:
        """Return the command that has a hidden word filled in."""
        return super().try_it(model).replace("…", "… [MASK] …")

    def page(self) -> Page:
        """Return what is asked for: a text in which something is hidden."""
        return Page(
            self.pipeline_tag,
            (Field("prompt", "Text with [MASK] in it", column="prompt_text_column"),),
        )

    def opened(self, model: str, question: Question) -> Answer:
        """Return what fills in a prompt, and tells the likeliest tokens for each hidden one."""
        from worker.tasks.llm.training.filling import filling

        fill = filling(model, trust_remote_code=question.trust_remote_code)
        return lambda asked: fill(str(asked.prompt))


MASKED = Masked()
