"""How a model is asked about an image and how it answers, as text. Light: no torch, no PIL.

Models that chat are asked with their template, as transformers' pipeline asks them. PaliGemma has
none: a prefix such as `answer en What is this?` is given, and a suffix is learned (Beyer et al.
2024, arXiv 2407.07726). Others without a template get the question on a line of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from worker.errors import BadConfig
from worker.facts import ModelFacts
from worker.families.sandbox import FAULTS, render
from worker.families.templates import own_template, special_tokens
from worker.tasks.vlm.kinds import PREFIXED
from worker.tasks.vlm.params import VlmParams

WORDING_FILE = "wording.json"
"""What a trained model is asked with, beside it: the fields of `Wording`."""

IMAGE = "<image>"
"""What stands for an image where no template writes it."""


@dataclass(frozen=True, slots=True)
class Wording:
    """What stands around a question, and what is asked where nobody asks anything."""

    before: str = ""
    prompt: str = ""

    @classmethod
    def of(cls, params: VlmParams, kind: str) -> Wording:
        """Return how a kind of model is asked: PaliGemma as it was made with."""
        prefixed = kind == PREFIXED
        if params.asks:
            return cls("answer en " if prefixed else "", "")
        usual = "caption en" if prefixed else "Describe the image."
        return cls("", params.caption_prompt or usual)

    def question(self, asked: str | None) -> str:
        """Return what the model is asked."""
        return self.before + asked if asked else self.prompt


@dataclass(frozen=True)
class Speech:
    """How one model is asked, and how it answers."""

    model: str
    """What messages call it."""

    kind: str
    template: str | None = None
    tokens: Mapping[str, str] = field(default_factory=dict)
    """`bos_token`, `eos_token`, … as the tokenizer spells them."""

    special: frozenset[str] = frozenset()
    """Tokens that stand for no text: one of them ends an answer."""

    image: str = IMAGE

    @classmethod
    def of(cls, facts: ModelFacts, tokenizer: Any) -> Speech:
        """Return how a model is spoken with by its files, of a `tokenizers.Tokenizer` or none."""
        config, within = facts.tokenizer_config, facts.processor.get("chat_template")
        beside = facts.chat_template or (within if isinstance(within, str) else None)
        return cls(
            facts.name,
            str(facts.config.get("model_type") or ""),
            own_template(config, beside),
            special_tokens(config),
            special_of(tokenizer),
            str(config.get("image_token") or IMAGE),
        )

    @property
    def prefixed(self) -> bool:
        """Whether its processor joins a prefix and a suffix."""
        return self.kind == PREFIXED and not self.template

    def prompt(self, question: str) -> str:
        """Return what the processor is given, with one image. Raises `BadConfig`."""
        question = self._unmarked(question)
        if self.template:
            return self._rendered([self._turn("user", question)], prompt=True)
        return self.image + (question if self.prefixed else f"\n{question}\n")

    def answer(self, question: str, answer: str) -> str:
        """Return what follows on the prompt and is learned, its end too. Raises `BadConfig`."""
        eos, answer = self.tokens.get("eos_token", ""), self._unmarked(answer)
        if not self.template:
            return answer + eos
        asked = self._turn("user", self._unmarked(question))
        chat = [asked, self._turn("assistant", answer)]
        whole, prompt = self._rendered(chat, prompt=False), self.prompt(question)
        at = len(prompt) if whole.startswith(prompt) else whole.rfind(answer.strip())
        if at < 0 or answer.strip() not in whole[at:]:
            raise BadConfig(f"the chat template of {self.model} does not write what is answered.")
        said = whole[at:].rstrip()  # white space behind an answer's end is not learned
        ends = any(said.endswith(token) for token in self._ends)
        return said if ends else said + eos

    def _unmarked(self, text: str) -> str:
        """Return text without what stands for an image, as LLaVA's rows have it: one is shown, and
        processors count."""
        marks = [mark for mark in (IMAGE, self.image) if mark in text]
        for mark in marks:
            text = text.replace(mark, "").strip()
        return self._unmarked(text) if marks else text

    @cached_property
    def _ends(self) -> frozenset[str]:
        begins = {self.tokens.get("bos_token")} - {self.tokens.get("eos_token")}
        return frozenset(filter(None, (self.special | {self.tokens.get("eos_token")}) - begins))

    @cached_property
    def _in_parts(self) -> bool:
        """Whether the template takes a message as parts, an image among them."""
        asked = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "q"}]}
        alone = {"role": "user", "content": [{"type": "text", "text": "q"}]}
        try:
            seen, unseen = (
                render(str(self.template), [one], self._more(prompt=True)) for one in (asked, alone)
            )
        except FAULTS:
            return False
        return seen != unseen and "'type'" not in seen

    def _turn(self, role: str, text: str) -> dict[str, Any]:
        sees = role == "user"
        if not self._in_parts:
            return {"role": role, "content": f"{self.image}\n{text}" if sees else text}
        image = [{"type": "image"}] if sees else []
        return {"role": role, "content": [*image, {"type": "text", "text": text}]}

    def _rendered(self, chat: Sequence[Mapping[str, Any]], *, prompt: bool) -> str:
        try:
            return render(str(self.template), chat, self._more(prompt=prompt))
        except FAULTS as error:
            why = str(error) or type(error).__name__
            raise BadConfig(
                f"the chat template of {self.model} refuses a question and its answer: {why}",
                fix="another model",
            ) from error

    def _more(self, *, prompt: bool) -> dict[str, Any]:
        return {"tools": None, "documents": None, "add_generation_prompt": prompt, **self.tokens}


def special_of(tokenizer: Any) -> frozenset[str]:
    """Return the tokens of a `tokenizers.Tokenizer` that stand for no text; none of none."""
    added = tokenizer.get_added_tokens_decoder().values() if tokenizer is not None else ()
    return frozenset(token.content for token in added if token.special)
