"""The Modelfile with which Ollama takes a GGUF file: its template, and where answers end.

Ollama's templates are Go's. Ours is made of the model's own: what that writes before and after
what is said is found by letting it write, and it is used only if putting these pieces together
gives, to the letter, what the template itself gives for every conversation that is tried.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2.exceptions import TemplateError
from transformers import AutoTokenizer, GenerationConfig

from worker.engine.speaking import ends_of

Message = dict[str, str]
S, U, A, V = (f"\ue000{word}\ue001" for word in ("system", "user", "assistant", "again"))
"""Words that no template contains."""


@dataclass(frozen=True, slots=True)
class Turns:
    """What a template writes around what is said."""

    system: tuple[str, str] | None
    """None where the template takes no system message."""

    unsaid: str
    """What stands in the place of a system message where there is none."""

    user: tuple[str, str]
    assistant: tuple[str, str]
    answer: str
    """What begins the answer."""

    def text(self, messages: Sequence[Message]) -> str:
        """Return a conversation, and the beginning of the answer to it."""
        told = "" if messages[0]["role"] == "system" else self.unsaid
        for message in messages:
            before, after = getattr(self, message["role"])
            told += before + message["content"] + after
        return told + self.answer

    def template(self) -> str:
        """Return the same in Go."""
        user, assistant = (_around(".Content", turn) for turn in (self.user, self.assistant))
        lines = [
            _go(self.unsaid),
            "{{- range .Messages }}",
            f'{{{{- if eq .Role "user" }}}}{user}',
            f'{{{{- else if eq .Role "assistant" }}}}{assistant}',
            "{{- end }}",
            "{{- end }}",
            _go(self.answer),
        ]
        if self.system:
            system = f"{{{{- if .System }}}}{_around('.System', self.system)}"
            lines[0] = "{{- else }}".join(filter(None, (system, lines[0]))) + "{{- end }}"
        return "\n".join(filter(None, lines))


def _go(text: str) -> str:
    """Return what writes a text in Go, and no space before it."""
    return f"{{{{- {json.dumps(text, ensure_ascii=False)} }}}}" if text else ""


def _around(what: str, pieces: tuple[str, str]) -> str:
    return f"{_go(pieces[0])}{{{{- {what} }}}}{_go(pieces[1])}"


def write_modelfile(model: Path, folder: Path, file: str) -> str:
    """Write `Modelfile` for a file beside it; returns what became of the model's template."""
    tokenizer = AutoTokenizer.from_pretrained(model)
    turns = turns_of(tokenizer)
    lines = [f"FROM ./{file}"]
    if turns is not None:
        lines.append(f'TEMPLATE """{turns.template()}"""')
    lines += [
        f"PARAMETER stop {json.dumps(s, ensure_ascii=False)}" for s in _stops(tokenizer, model)
    ]
    (folder / "Modelfile").write_text("\n".join(lines) + "\n", encoding="utf-8")
    if turns is not None:
        return "the model's own, in Ollama's words" + (
            "" if turns.system else "; no system message"
        )
    if tokenizer.chat_template is None:
        return "none: the model has none, and goes on with what it is given"
    return "none: the model's own is more than a row of turns; write TEMPLATE into the Modelfile"


def _stops(tokenizer: Any, model: Path) -> list[str]:
    """Return the tokens at which answers end, in words."""
    ends: list[int] = []
    if (model / "generation_config.json").exists():
        ends = ends_of(GenerationConfig.from_pretrained(model))
    return [str(tokenizer.convert_ids_to_tokens(number)) for number in ends or ends_of(tokenizer)]


def turns_of(tokenizer: Any) -> Turns | None:
    """Return what a tokenizer's template writes, if it writes a row of turns and nothing else."""
    if not isinstance(tokenizer.chat_template, str):
        return None
    try:
        turns = _found(tokenizer)
        tried = [_said(U), _said(U, A, V), _said(U, A, V, "b", "c")]
        if turns and turns.system:
            tried += [_said(S, U), _said(S, U, A, V)]
        same = turns and all(turns.text(said) == _told(tokenizer, said) for said in tried)
    except TemplateError:
        return None
    return turns if same else None


def _said(*contents: str) -> list[Message]:
    """Return a conversation; what is `S` is a system message."""
    system = [{"role": "system", "content": S}] if contents[0] == S else []
    rest = contents[len(system) :]
    roles = itertools.cycle(("user", "assistant"))
    return [*system, *({"role": r, "content": c} for r, c in zip(roles, rest, strict=False))]


def _told(tokenizer: Any, said: list[Message]) -> str:
    """Return what the template makes of a conversation, less what Ollama begins with by itself."""
    text = str(tokenizer.apply_chat_template(said, tokenize=False, add_generation_prompt=True))
    begin = tokenizer.bos_token
    itself = begin is not None and tokenizer("a")["input_ids"][:1] == [tokenizer.bos_token_id]
    return text.removeprefix(begin) if itself else text


def _found(tokenizer: Any) -> Turns | None:
    """Return the pieces that stand between known words in what a template writes.

    Where two pieces meet, what both ways of going on begin or end with decides whose it is.
    """
    turns = _between(_told(tokenizer, _said(U, A, V)), U, A, V)
    try:
        with_system = _between(_told(tokenizer, _said(S, U)), S, U)
    except TemplateError:
        with_system = []
    if not turns:
        return None
    opened, turn, back, last = turns
    befores = [opened, back, *with_system[1:2]]
    user = _shared([piece[::-1] for piece in befores])[::-1]
    after = _shared([turn, last])
    return Turns(
        system=(with_system[0], with_system[1].removesuffix(user)) if with_system else None,
        unsaid=opened.removesuffix(user),
        user=(user, after),
        assistant=(turn.removeprefix(after), back.removesuffix(user)),
        answer=last.removeprefix(after),
    )


def _shared(texts: Sequence[str]) -> str:
    """Return what all texts begin with."""
    same = itertools.takewhile(lambda letters: len(set(letters)) == 1, zip(*texts, strict=False))
    return "".join(letters[0] for letters in same)


def _between(text: str, *words: str) -> list[str]:
    """Return what stands before, between and behind words; empty where one is not there once."""
    pieces = []
    for word in words:
        before, found, text = text.partition(word)
        if not found or word in text:
            return []
        pieces.append(before)
    return [*pieces, text]
