"""`hubtrain TASK --inference`: a trained model answers, here or on a server.

One prompt, a file of them, or a chat. On this machine it answers in a process of its own, since
this one must stay light.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from orchestrator.exits import DETACHED
from orchestrator.inference.endpoint import EndpointSession, address_of, key_for
from orchestrator.inference.model import Look, check
from orchestrator.inference.process import SECONDS, ProcessSession
from orchestrator.inference.prompts import STDIN, Answers, Prompt, read
from orchestrator.settings.layers import Settings
from orchestrator.subprocess_call import environ_of
from orchestrator.terminal.batch_inference import ByRows, answer_rows, asked_by_rows, many_of
from orchestrator.terminal.chat import Chat
from orchestrator.terminal.desk import Desk
from orchestrator.terminal.output import Screen
from orchestrator.terminal.question import on_terminal
from orchestrator.terminal.replies import remark
from orchestrator.words import count
from worker.common import Asking, Prompting
from worker.errors import BadConfig
from worker.hubclient import hub
from worker.params import Params
from worker.session import Reply, Session
from worker.task import ModelFacts, Task
from worker.tasks import typed


def answer(desk: Desk, task: Task[Any], settings: Settings, seconds: float = SECONDS) -> int:
    """Print what a model answers; returns the exit code. Raises `HubtrainError`."""
    if task.question is None:
        raise BadConfig(f"models of {typed(task.name)} cannot be asked here.")
    many = many_of(task, settings)
    question = settings.of(asked_by_rows(task.question) if many else task.question)
    if isinstance(question, Prompting):
        do = _wanted(desk, question)
        if question.prompt == STDIN:
            question = question.model_copy(update={"prompt": sys.stdin.read()})
        if question.endpoint:
            return do(_served(desk, question, str(settings.values.get("model") or "")))
    else:
        do = _tell_answer
    model = settings.of(Asking).model
    facts, environ = _checked(desk, task, model, question)
    asked = {"model": model, "question": question.model_dump(mode="json")}

    def start() -> ProcessSession:
        with desk.screen.waiting(f"Loading {model}"):
            return ProcessSession(task.name, asked, environ, seconds)

    if many and (page := task.page(facts)) and not page.is_chat:
        by = ByRows(model, page, many, question, task.question)
        return answer_rows(desk, task, settings, by, environ)
    if many and not isinstance(question, Prompting):
        raise BadConfig(f"models of {typed(task.name)} are not asked with files.")
    return do(_Asked(desk, question, model, start))


@dataclass(frozen=True)
class _Asked:
    """A question to a model, which is loaded when it is needed."""

    desk: Desk
    question: Params
    model: str
    start: Callable[[], Session]

    @property
    def prompting(self) -> Prompting:
        """The question to a model that goes on with texts."""
        assert isinstance(self.question, Prompting)
        return self.question


def _wanted(desk: Desk, question: Prompting) -> Callable[[_Asked], int]:
    """Return what is to be done with a model. Raises `BadConfig` where that is not said."""
    if question.prompt is not None and question.prompts is not None:
        raise BadConfig("--prompt and --prompts: give one of them.")
    if question.output is not None and question.prompts is None:
        raise BadConfig("--output takes the answers to a file of prompts.", fix="--prompts FILE")
    if question.prompts is not None:
        return _answer_file
    if question.prompt is not None:
        return _answer_one
    if on_terminal() and not desk.as_json:
        return _chat
    raise BadConfig(
        "--inference has nothing to answer, and a chat needs a terminal.",
        fix='--prompt "…", --prompt - for standard input, or --prompts FILE',
    )


def _checked(
    desk: Desk, task: Task[Any], model: str, question: Params
) -> tuple[ModelFacts, dict[str, str]]:
    """Return what a model is like, once nothing speaks against it, and where it answers."""
    look = Look(hub(desk.token), desk.clock, task.model_reads)
    trusted = bool(getattr(question, "trust_remote_code", False))
    with desk.screen.waiting(f"Looking at {model}"):
        facts = check(model, task, look, trusted=trusted)
    return facts, environ_of(desk.token) | ({"HF_HUB_OFFLINE": "1"} if look.offline else {})


def _served(desk: Desk, question: Prompting, model: str) -> _Asked:
    """Return the question to a model of a server."""
    assert question.endpoint is not None
    address = address_of(question.endpoint)
    sampling = {
        "max_tokens": question.max_new_tokens,
        "temperature": question.temperature,
        "top_p": question.top_p,
        "top_k": question.top_k,
        "stop": question.stop,
        "seed": question.seed,
    }
    session = EndpointSession(
        address,
        model,
        key_for(address, os.environ, lambda: desk.token),
        desk.clock,
        {name: value for name, value in sampling.items() if value is not None},
        cache(desk.screen.aside),  # each reason once
    )
    return _Asked(desk, question, session.model, lambda: session)


def _answer_one(asked: _Asked) -> int:
    """Print the answer to one prompt as it comes."""
    question, screen = asked.prompting, asked.desk.screen
    with closing(asked.start()) as session:
        if isinstance(session, ProcessSession) and not session.talks:
            return _tell(asked, session.answer)
        messages = Prompt(question.prompt or "").messages(question.system)
        with screen.waiting("Answering"), screen.streamed() as say:
            reply = session.reply(messages, say)
    remark(screen, reply)
    given = question.model_dump(mode="json", exclude_defaults=True)
    told = {"model": asked.model, **given, "answer": reply.text, "end": reply.end}
    screen.document(told)
    return DETACHED if reply.end == "interrupted" else 0


def _tell_answer(asked: _Asked) -> int:
    """Print the one answer of a model that cannot be talked to."""
    with closing(asked.start()) as process:
        assert isinstance(process, ProcessSession)
        return _tell(asked, process.answer)


def _tell(asked: _Asked, said: Any) -> int:
    screen, question = asked.desk.screen, asked.question
    screen.plain(said if isinstance(said, str) else json.dumps(said, indent=2))
    given = question.model_dump(mode="json", exclude_defaults=True)
    screen.document({"model": asked.model, **given, "answer": said})
    return 0


def _chat(asked: _Asked) -> int:
    with closing(asked.start()) as session:
        return Chat(asked.desk.screen, session, asked.model, asked.prompting.system).run()


def _answer_file(asked: _Asked) -> int:
    """Answer a file of prompts, onto the screen or into a file, where it goes on if it is there."""
    question, screen = asked.prompting, asked.desk.screen
    prompts = read(question.prompts or "", question.prompt_text_column)
    answers = Answers(Path(question.output or os.devnull), asked.model)
    done = answers.there(prompts) if question.output else 0
    if done:
        screen.aside(f"{done:,} of {count(len(prompts), 'prompt')} are answered in {answers.path}")
    try:
        if done < len(prompts):
            with closing(asked.start()) as session:
                replies = _replies(session, question, prompts, done)
                (_into_file if question.output else _onto_screen)(screen, prompts, answers, replies)
    except KeyboardInterrupt:
        if question.output:
            screen.aside("Stopped. The same command goes on where it was.")
        return DETACHED
    if question.output:
        screen.say(f"{count(len(prompts), 'answer')} in {answers.path}")
        screen.document({"model": asked.model, "output": str(answers.path), "rows": len(prompts)})
    return 0


def _replies(
    session: Session, question: Prompting, prompts: Sequence[Prompt], done: int
) -> Iterator[tuple[Prompt, Reply]]:
    """Yield the prompts that are not yet done, each with its answer.

    Batches are those of a run from the start: what is drawn by chance depends on the neighbours.
    """
    together = question.batch_size
    first = done - done % together
    chats = [prompt.messages(question.system) for prompt in prompts[first:]]
    for n, reply in enumerate(session.replies(chats, together), first):
        if n >= done:
            yield prompts[n], reply


def _onto_screen(
    screen: Screen,
    prompts: Sequence[Prompt],
    answers: Answers,
    replies: Iterator[tuple[Prompt, Reply]],
) -> None:
    for prompt, reply in replies:
        screen.plain(f"> {prompt.messages()[-1]['content']}")
        screen.plain(f"{reply.text}\n")
        screen.document(answers.told(prompt, reply))


def _into_file(
    screen: Screen,
    prompts: Sequence[Prompt],
    answers: Answers,
    replies: Iterator[tuple[Prompt, Reply]],
) -> None:
    with screen.stages() as stages:
        before = answers.there(prompts)
        for n, (prompt, reply) in enumerate(replies, before + 1):
            answers.write(prompt, reply)
            stages.show("Answering", n / len(prompts), f"{n:,}/{len(prompts):,}")
