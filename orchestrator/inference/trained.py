"""The model that came of a job, and how it is asked: by the app's page of the job, and by Python.

Nothing is loaded here: a `ProcessSession` does that, in a process of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import worker.tasks
from orchestrator import hosted
from orchestrator.inference.many import AT_ONCE
from orchestrator.inference.model import Look, check
from orchestrator.inference.process import SECONDS, ProcessSession
from orchestrator.inference.prompts import Prompt
from orchestrator.jobs.client import Client
from orchestrator.jobs.records import Record
from orchestrator.settings.layers import ARGUMENTS, Catalog, Layer, merge
from orchestrator.subprocess_call import environ_of
from worker.common import Prompting
from worker.errors import BadConfig
from worker.hubclient import hub
from worker.task import Page, Task

FOR_COMMANDS = frozenset({"prompt", "prompts", "prompt_text_column", "output", "endpoint"})
"""Settings of `--inference` that say what is asked and where, which Python says otherwise."""

Question = str | Mapping[str, Any]
"""A prompt; for a model with fields, or columns, the value of each by its name."""


@dataclass(frozen=True)
class Model:
    """A trained model that can be asked."""

    task: Task[Any]
    name: str
    """Hub id or folder."""

    page: Page | None
    """What a question is made of; none: a prompt, that the model goes on with."""

    environ: Mapping[str, str]

    def loaded(
        self, settings: Mapping[str, Any] | None = None, seconds: float = SECONDS
    ) -> ProcessSession:
        """Return the model in a process, which answers with these settings until it is closed.

        `seconds` is the longest silence. Raises `HubtrainError`.
        """
        assert self.task.question is not None
        question = self.task.question.model_construct(**(settings or {}))
        fixed = question.model_dump(mode="json", exclude_unset=True)
        together = {} if self.page is None else {"together": 1}
        asked = {"model": self.name, "question": fixed, **together}
        return ProcessSession(self.task.name, asked, self.environ, seconds)


def made_by(record: Record) -> str | None:
    """Return the model that came of a job: Hub id or folder; none if none did."""
    story = record.story
    task = worker.tasks.load(record.spec.task)
    if task.question is None or task.makes != "model":
        return None
    return story.pushed.repo_id if story.pushed else story.output


def model_of(client: Client, record: Record) -> Model:
    """Return the model of a job, once nothing speaks against asking it. Raises `HubtrainError`."""
    if client.guest is not None:
        raise hosted.no_programs("asking the model here")
    task, name = worker.tasks.load(record.spec.task), made_by(record)
    if name is None:
        state = record.story.state
        yet = "" if state.final else f" yet: it is {state}"
        raise BadConfig(
            f"{record.job_id} has made no model that can be asked here{yet}.",
            fix=f"hubtrain status {record.job_id} tells how it is.",
        )
    look = Look(hub(client.token), client.clock, task.model_reads)
    facts = check(name, task, look, trusted=False)
    environ = environ_of(client.token) | ({"HF_HUB_OFFLINE": "1"} if look.offline else {})
    page = task.page(facts)
    return Model(task, name, None if page is None or page.is_chat else page, environ)


def answers(model: Model, questions: Sequence[Question], settings: Mapping[str, Any]) -> list[Any]:
    """Return the model's answers: texts to prompts, plain data to fields. It is loaded once.

    `settings` are those of questions. Raises `HubtrainError`.
    """
    talks = model.task.question is not None and issubclass(model.task.question, Prompting)
    ask = _talked if talks and model.page is None else _filled_in
    return list(ask(model, questions, settings))


def _talked(
    model: Model, questions: Sequence[Question], settings: Mapping[str, Any]
) -> Iterator[str]:
    prompts = [question for question in questions if isinstance(question, str)]
    if len(prompts) < len(questions):
        raise BadConfig("this model goes on with texts: each question is to be one.")
    assert model.task.question is not None
    assert issubclass(model.task.question, Prompting)
    given = merge(Catalog((model.task.question,)), [Layer(ARGUMENTS, settings)])
    if elsewhere := FOR_COMMANDS & given.values.keys():
        raise BadConfig(f"{min(elsewhere)} is a setting of `--inference` alone.")
    question = given.of(model.task.question)
    chats = [Prompt(prompt).messages(question.system) for prompt in prompts]
    with closing(model.loaded(question.model_dump(exclude_unset=True))) as session:
        for reply in session.replies(chats, question.batch_size):
            yield reply.text


def _filled_in(
    model: Model, questions: Sequence[Question], settings: Mapping[str, Any]
) -> Iterator[Any]:
    if model.page is None:
        raise BadConfig(f"models of {worker.tasks.typed(model.task.name)} are not asked so.")
    if settings:
        raise BadConfig(f"this model's questions have no setting {next(iter(settings))!r}.")
    said = [_fields(model.page, question) for question in questions]
    with closing(model.loaded()) as session:
        for start in range(0, len(said), AT_ONCE):
            some = said[start : start + AT_ONCE]
            session.ask(some)
            for _ in some:
                told = session.next()
                if "message" in told:
                    raise BadConfig(str(told["message"]))
                yield told["answer"]


def _fields(page: Page, question: Question) -> dict[str, str]:
    """Return a question as the model's process takes it. Raises `BadConfig`."""
    names = [one.name for one in page.fields]
    first = page.fields[0]
    if first.kind == "row":
        names = list(first.columns)
    if not isinstance(question, Mapping) or (names and not set(question) <= set(names)):
        said = f": {', '.join(names)}" if names else ""
        raise BadConfig(f"a question to this model is a dict by names{said}.")
    if first.kind == "row":
        return {first.name: json.dumps(question, default=str)}
    return {k: v if isinstance(v, str) else json.dumps(v) for k, v in question.items()}
