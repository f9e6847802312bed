"""Text of a causal language model, as it comes: one answer at a time, or several in a batch.

The model may be whole or an adapter, on the Hub or in a folder; it runs on the best device here.
Batches are padded on the left, and no row sees its padding.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import takewhile
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, set_seed
from transformers.generation.streamers import BaseStreamer

from worker.budget import OverBudget, budget
from worker.engine.devices import device
from worker.engine.speaking import ends_of
from worker.errors import BadConfig
from worker.families.finished import facts_of, revision_of
from worker.families.sandbox import FAULTS
from worker.paths import ref_of
from worker.session import Message, Messages, Reply, Say, Session
from worker.shorten import shortened
from worker.tasks.llm.params import Question

LONGEST = 512
"""Tokens of an answer when nobody says, not even the model."""

_TEMPLATE_BYTES = 1 << 30
"""Memory for a chat template."""

_UNFINISHED = "\ufffd"
"""What the bytes of a character decode to while some are missing."""


class Generator(Session):
    """A model with its tokenizer, asked as a `Question` says. Answers end while `stop` is set."""

    template_seconds = 20.0
    """What its chat template may take. A sane one takes a thousandth."""

    def __init__(self, model: str, question: Question, stop: threading.Event | None = None) -> None:
        code: dict[str, Any] = {"trust_remote_code": question.trust_remote_code}
        self.model, self.question = model, question
        self.stop = stop or threading.Event()
        ref = ref_of(model)
        self.tokenizer = AutoTokenizer.from_pretrained(ref.name, revision=ref.revision, **code)
        code |= revision_of(ref, facts_of(model))
        net = AutoModelForCausalLM.from_pretrained(ref.name, dtype="auto", device_map=None, **code)
        self.net = net.eval().to(device())
        with suppress(OSError):  # transformers takes an adapter's from its base model
            own = GenerationConfig.from_pretrained(ref.name, revision=ref.revision)
            self.net.generation_config = own
        self.has_template = bool(self.tokenizer.chat_template)
        if question.system and not self.has_template:
            raise BadConfig(
                f"{model} has no chat template, so it knows no --system: it goes on with a text."
            )

    def reply(self, messages: Messages, say: Say) -> Reply:
        """Return the answer to a conversation, told to `say` word by word."""
        ids, dropped = self._fitted(messages)
        stream = _Stream(self, say)
        (tokens,) = self._generated([ids], lambda: stream.stopped, streamer=stream)
        stream.finish(tokens)
        return self._reply(tokens, dropped)

    def replies(self, chats: Sequence[Messages], together: int) -> Iterator[Reply]:
        """Yield the answers; a model that keeps a state, as Mamba does, is asked one by one."""
        together = 1 if getattr(self.net, "_is_stateful", False) else together
        stops = {"stop_strings": [self.question.stop], "tokenizer": self.tokenizer}
        for start in range(0, len(chats), together):
            fitted = [self._fitted(messages) for messages in chats[start : start + together]]
            rows = [ids for ids, _ in fitted]
            answered = self._generated(rows, **(stops if self.question.stop else {}))
            for tokens, (_, dropped) in zip(answered, fitted, strict=True):
                yield self._reply(tokens, dropped)

    @torch.inference_mode()
    def _generated(
        self, rows: list[list[int]], until: Callable[[], bool] = lambda: False, **how: Any
    ) -> list[list[int]]:
        """Return the tokens that follow on each row, up to one that ends an answer, and that."""
        if self.question.seed is not None:
            set_seed(self.question.seed)
        width = max(map(len, rows))
        inputs = [[self._pad] * (width - len(row)) + row for row in rows]
        seen = [[0] * (width - len(row)) + [1] * len(row) for row in rows]

        def stopped(ids: torch.Tensor, scores: Any, **more: Any) -> torch.Tensor:
            return torch.full((len(ids),), self.stop.is_set() or until(), device=ids.device)

        out = self.net.generate(
            input_ids=torch.tensor(inputs, device=self.net.device),
            attention_mask=torch.tensor(seen, device=self.net.device),
            max_new_tokens=min(self._longest, self._context - width),
            stopping_criteria=[stopped],
            pad_token_id=self._pad,
            num_beams=1,
            **self._sampling,
            **how,
        )
        return [self._answer(row[width:].tolist()) for row in out]

    def _reply(self, tokens: list[int], dropped: int) -> Reply:
        text, stopped = self.cut(tokens)
        ended = stopped or (bool(tokens) and tokens[-1] in self._ends)
        text = text.strip()
        if ended:
            return Reply(text, "stop", dropped)
        return Reply(text, "interrupted" if self.stop.is_set() else "length", dropped)

    def _answer(self, tokens: list[int]) -> list[int]:
        """Return tokens up to the first that ends an answer, and that one."""
        before = list(takewhile(lambda token: token not in self._ends, tokens))
        return tokens[: len(before) + 1]

    def cut(self, tokens: list[int]) -> tuple[str, bool]:
        """Return tokens as text, up to where it is to stop, and whether it is to stop there."""
        text = self.tokenizer.decode(tokens, skip_special_tokens=True)
        at = text.find(self.question.stop) if self.question.stop else -1
        return (text, False) if at < 0 else (text[:at], True)

    @property
    def _ends(self) -> frozenset[int]:
        """Tokens that end an answer."""
        return frozenset(ends_of(self.net.generation_config))

    @property
    def _pad(self) -> int:
        return int(self.tokenizer.pad_token_id or self.tokenizer.eos_token_id or 0)

    @property
    def _longest(self) -> int:
        own = self.net.generation_config.max_new_tokens
        return self.question.max_new_tokens or own or LONGEST

    @property
    def _context(self) -> int:
        """Tokens that the model sees at most; no end where its configuration does not say."""
        config = self.net.config.get_text_config()
        return getattr(config, "max_position_embeddings", None) or sys.maxsize

    @property
    def _sampling(self) -> Mapping[str, Any]:
        """Return how a token is chosen: as the question says, else as the model's maker does."""
        asked, own = self.question, self.net.generation_config
        said = {"temperature": asked.temperature, "top_p": asked.top_p, "top_k": asked.top_k}
        given = {name: value for name, value in said.items() if value is not None}
        if asked.temperature == 0 or not (given or own.do_sample):
            return {"do_sample": False, **dict.fromkeys(said)}
        return {"do_sample": True, **given}

    def _fitted(self, messages: Messages) -> tuple[list[int], int]:
        """Return the tokens of a conversation, and how many of its first messages do not fit.

        What a system message says stays, and so does the last message.
        """
        kept = list(messages)
        ids = self._ids(kept)
        room = self._context - min(self._longest, self._context // 4)
        while len(ids) > room and (oldest := _oldest(kept)):
            del kept[oldest]
            ids = self._ids(kept)
        if len(ids) >= self._context:
            said = shortened(" ".join(messages[-1]["content"].split()), 60)
            raise BadConfig(
                f'"{said}" makes {len(ids):,} tokens, and {self.model} sees no more than '
                f"{self._context:,}, its answer among them.",
                fix="a shorter prompt",
            )
        return ids, len(messages) - len(kept)

    def _ids(self, messages: Messages) -> list[int]:
        if not self.has_template:
            found = self.tokenizer(messages[-1]["content"])["input_ids"]
            return list(found) or [self.tokenizer.bos_token_id or self._pad]
        text = self._rendered(messages)
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _rendered(self, messages: Messages) -> str:
        """Return a conversation as text. Its template is a program that a stranger wrote."""
        try:
            with budget(self.template_seconds, _TEMPLATE_BYTES):
                return str(
                    self.tokenizer.apply_chat_template(
                        [dict(message) for message in messages],
                        add_generation_prompt=True,
                        tokenize=False,
                    )
                )
        except (*FAULTS, OverBudget, MemoryError) as error:
            why = str(error) or "it takes too much time or memory"
            raise BadConfig(
                f"the chat template of {self.model} refuses this conversation: {why}",
                fix="without --system" if messages[0]["role"] == "system" else "",
            ) from error


class _Stream(BaseStreamer):  # type: ignore[misc]
    """Tells an answer's text token by token, as far as no later token can change it."""

    def __init__(self, of: Generator, say: Say) -> None:
        self.of, self.say = of, say
        self.tokens: list[int] | None = None
        self.told = ""
        self.stopped = False
        """Whether the text is there at which the user wants it to stop."""

    def put(self, value: torch.Tensor) -> None:
        """Take the prompt at first, then each new token."""
        if self.tokens is None:
            self.tokens = []
            return
        self.tokens += value.flatten().tolist()
        text, self.stopped = self.of.cut(self.tokens)
        self._tell(text if self.stopped else _settled(text, self.of.question.stop or ""))

    def end(self) -> None:
        """Do nothing: what was held back is told by `finish`."""

    def finish(self, tokens: list[int]) -> None:
        """Tell what is left of the whole answer."""
        self._tell(self.of.cut(tokens)[0])

    def _tell(self, text: str) -> None:
        text = text.strip()
        if text.startswith(self.told) and text != self.told:
            self.say(text[len(self.told) :])
            self.told = text


def _settled(text: str, stop: str) -> str:
    """Return text without an unfinished character, and what may be the beginning of `stop`."""
    text = text.rstrip(_UNFINISHED)
    held = next((n for n in range(len(stop) - 1, 0, -1) if text.endswith(stop[:n])), 0)
    return text[: len(text) - held]


def _oldest(messages: list[Message]) -> slice | None:
    """Return where the oldest exchange stands; none where there is the last message alone."""
    first = int(messages[0]["role"] == "system")
    turns = range(first + 1, len(messages))
    after = next((i for i in turns if messages[i]["role"] == "user"), None)
    return slice(first, after) if after else None
