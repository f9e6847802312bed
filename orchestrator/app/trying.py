"""A trained model that is asked from the page of its job, in a process of its own on this machine.

One model is loaded at a time. It is let go when another one is asked, and after a while in which
nobody asks.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from queue import SimpleQueue
from typing import Any

from orchestrator.inference.process import ProcessSession
from orchestrator.inference.trained import Model
from worker.errors import BadConfig
from worker.session import Messages, Reply

IDLE_SECONDS = 300.0


@dataclass
class Trying:
    """The model that is loaded now. Used from several threads; questions wait for each other."""

    _model: Model | None = None
    _session: ProcessSession | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _timer: threading.Timer | None = None

    def answer(self, model: Model, question: Mapping[str, Any]) -> Any:
        """Return the answer to one question of a model with a form. Raises `HubtrainError`."""
        with self._lock:
            session = self._loaded(model)
            try:
                session.ask([question])
                said = session.next()
            finally:
                self._rest()
        if "message" in said:
            raise BadConfig(str(said["message"]))
        return said["answer"]

    def talk(self, model: Model, said: Messages) -> Iterator[Reply]:
        """Yield the answer to a conversation as it grows, whole at last. Raises `HubtrainError`.

        A model without a chat template is told the last message alone.
        """
        told: SimpleQueue[str | Reply | Exception] = SimpleQueue()

        def ask() -> None:
            with self._lock:
                try:
                    session = self._loaded(model)
                    forgets = 0 if session.has_template else len(said) - 1
                    reply = session.reply(said[forgets:], told.put)
                    told.put(replace(reply, dropped=forgets + reply.dropped))
                except Exception as error:  # whatever it is, who reads must not wait for ever
                    told.put(error)
                finally:
                    self._rest()

        threading.Thread(target=ask, name="app-asks-model", daemon=True).start()
        text = ""
        while isinstance(piece := told.get(), str):
            text += piece
            yield Reply(text)
        if isinstance(piece, Exception):
            raise piece
        yield piece

    def close(self) -> None:
        """Let the model go."""
        with self._lock:
            self._close()

    def end(self) -> None:
        """Let the model go at once, also where it is answering: nobody reads on."""
        if session := self._session:
            session.close()

    def _loaded(self, model: Model) -> ProcessSession:
        if self._timer:
            self._timer.cancel()
        known = self._session
        if known and known.alive and self._model and self._model.name == model.name:
            return known
        self._close()
        self._session = model.loaded()
        self._model = model
        return self._session

    def _close(self) -> None:
        if self._session:
            self._session.close()
        self._session = self._model = None

    def _rest(self) -> None:
        """Let the model go after a while."""
        self._timer = threading.Timer(IDLE_SECONDS, self.close)
        self._timer.daemon = True
        self._timer.start()
