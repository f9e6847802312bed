"""A trained model that is asked from the page of its job, in a process of its own on this machine.

One model is loaded at a time. It is let go when another one is asked, and after a while in which
nobody asks.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any

import worker.tasks
from orchestrator.aside import environ_of
from orchestrator.inference.model import Look, check
from orchestrator.inference.process import ProcessSession
from orchestrator.jobs.client import Client
from orchestrator.jobs.records import Record
from worker.errors import BadConfig, HubtrainError
from worker.hubclient import hub
from worker.session import Reply
from worker.task import Page, Task

IDLE_SECONDS = 300.0
SILENCE_SECONDS = 1800.0
"""Longest silence: a large model may have to be fetched first."""


@dataclass(frozen=True)
class Model:
    """A trained model that can be asked."""

    task: Task[Any]
    name: str
    """Hub id or folder."""

    page: Page | None
    """What a question is made of; none: a prompt, that the model goes on with."""

    environ: Mapping[str, str]


def made_by(record: Record) -> str | None:
    """Return the model that came of a job: Hub id or folder; none if none did."""
    story = record.story
    task = worker.tasks.load(record.spec.task)
    if task.question is None or task.makes != "model":
        return None
    return story.pushed.repo_id if story.pushed else story.output


def model_of(client: Client, record: Record) -> Model:
    """Return the model of a job, once nothing speaks against asking it. Raises `HubtrainError`."""
    task, name = worker.tasks.load(record.spec.task), made_by(record)
    if name is None:
        raise BadConfig(f"{record.job_id} has made no model that can be asked here.")
    look = Look(hub(client.token), client.clock, task.model_reads)
    facts = check(name, task, look, trusted=False)
    environ = environ_of(client.token) | ({"HF_HUB_OFFLINE": "1"} if look.offline else {})
    page = task.page(facts)
    return Model(task, name, None if page is None or page.is_chat else page, environ)


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

    def talk(self, model: Model, prompt: str) -> Iterator[str]:
        """Yield the answer to a prompt as it grows. Raises `HubtrainError`."""
        told: SimpleQueue[str | Reply | HubtrainError] = SimpleQueue()

        def reply() -> None:
            with self._lock:
                try:
                    session = self._loaded(model)
                    told.put(session.reply([{"role": "user", "content": prompt}], told.put))
                except HubtrainError as error:
                    told.put(error)
                finally:
                    self._rest()

        threading.Thread(target=reply, name="app-asks-model", daemon=True).start()
        text = ""
        while isinstance(piece := told.get(), str):
            text += piece
            yield text
        if isinstance(piece, HubtrainError):
            raise piece
        yield piece.text

    def close(self) -> None:
        """Let the model go."""
        with self._lock:
            self._close()

    def _loaded(self, model: Model) -> ProcessSession:
        if self._timer:
            self._timer.cancel()
        known = self._session
        if known and known.alive and self._model and self._model.name == model.name:
            return known
        self._close()
        self._session = ProcessSession(
            model.task.name, _asked(model), model.environ, SILENCE_SECONDS
        )
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


def _asked(model: Model) -> dict[str, Any]:
    """Return what the process is told first: the model, and what is the same for all questions."""
    assert model.task.question is not None
    question = model.task.question.model_construct()
    fixed = question.model_dump(mode="json", exclude_unset=True)
    if model.page is None:
        return {"model": model.name, "question": fixed}
    return {"model": model.name, "question": fixed, "together": 1}
