"""The next token of a text: what causal language models put out.

Whether a model is one is told by its `config.json` alone, for transformers loads nearly anything as
one: weights that are missing it makes up at random, and a training on those succeeds and is worth
nothing.
"""

from __future__ import annotations

import json
import re
import shlex
import threading
from collections.abc import Mapping

from worker.session import Session
from worker.task import Page, python
from worker.tasks.llm.heads import Answer, Config, Head, classes
from worker.tasks.llm.params import Question

_PREDICTS = re.compile(r"ForCausalLM$|LMHead")
"""In the name of a class that predicts the next token."""

_TEXT_TOO = """
dots3_note emu3 gemma3 gemma3n gemma4 gemma4_unified got_ocr2 llama4 mllama qwen3_5 qwen3_5_moe
qwen4_exp
"""
TEXT_TOO = frozenset(_TEXT_TOO.split())
"""Kinds made for pictures that transformers (5.23) also loads as models of text alone."""

_OTHER_KINDS = re.compile(
    r"bert|deberta|electra|funnel|fnet|mpnet|longformer|luke|esm|flaubert|nystromformer|t5|bart"
    r"|pegasus|marian|m2m|nllb|^led$|prophetnet|encoder-decoder|whisper|wav2vec|^vit|clip"
)
"""In the kind of a model that does something else, for a configuration that names no class."""


def _is_causal(config: Config) -> bool:
    if config.get("is_encoder_decoder"):
        return False
    code = config.get("auto_map")
    if isinstance(code, Mapping) and "AutoModelForCausalLM" in code:
        return True
    kind, named = str(config.get("model_type") or ""), classes(config)
    if not named:
        return bool(config.get("is_decoder")) or not _OTHER_KINDS.search(kind)
    if any(_PREDICTS.search(name) for name in named):
        return True
    return kind in TEXT_TOO and any(n.endswith("ForConditionalGeneration") for n in named)


class Causal(Head):
    """Predicts the next token."""

    called = "causal language model"
    does = "go on with a text"
    such_as = "Qwen/Qwen3-0.6B"
    auto_class = "AutoModelForCausalLM"
    pipeline_tag = "text-generation"
    goes_on = True
    peft_type = "CAUSAL_LM"

    def is_on(self, config: Config) -> bool:
        """Return whether a model goes on with a text."""
        return _is_causal(config)

    def loading(self, model: str, *, adapter: bool) -> str:
        """Return the Python that has the model go on with a text, or answer it in a chat."""
        name = json.dumps(model)
        said = (
            "",
            'text = "Hello"',
            "if tokenizer.chat_template:",
            '    chat = [{"role": "user", "content": text}]',
            "    text = tokenizer.apply_chat_template(chat, tokenize=False, "
            "add_generation_prompt=True)",
            "inputs = tokenizer(text, add_special_tokens=not tokenizer.chat_template, "
            'return_tensors="pt")',
            'tokens = model.generate(input_ids=inputs["input_ids"], max_new_tokens=100)[0]',
            "print(tokenizer.decode(tokens))",
        )
        if not adapter:
            return python(*self.loaded(name), *said)
        return python(
            "from peft import AutoPeftModelForCausalLM",
            "from transformers import AutoTokenizer, GenerationConfig",
            "",
            f"model = AutoPeftModelForCausalLM.from_pretrained({name})",
            # Without it an adapter stops where its base model does, not where its answers end.
            f"model.generation_config = GenerationConfig.from_pretrained({name})",
            f"tokenizer = AutoTokenizer.from_pretrained({name})",
            *said,
        )

    def try_it(self, model: str) -> str:
        """Return the command that opens a chat with `model`."""
        return f"hubtrain llm --inference --model {shlex.quote(model)}"

    def page(self) -> Page:
        """Return a chat."""
        return Page(self.pipeline_tag)

    def session(self, model: str, question: Question, stop: threading.Event) -> Session:
        """Return the model, ready to go on with texts."""
        from worker.tasks.llm.training.generating import Generator

        return Generator(model, question, stop)

    def opened(self, model: str, question: Question) -> Answer:
        """Return what goes on with a prompt."""
        session = self.session(model, question, threading.Event())

        def answer(asked: Question) -> str:
            chat = [{"role": "user", "content": str(asked.prompt)}]
            return session.reply(chat, lambda text: None).text

        return answer


CAUSAL = Causal()
