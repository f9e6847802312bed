"""One open page on which a job is written: its draft, what is known of it, what is told of that.

A browser sends messages, numbered, and gets the parts that have changed. What it sent before is
older than what it sent last, however they arrive: an older number changes nothing.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from html import escape
from pathlib import Path
from typing import Any

import backends
import worker.tasks
from orchestrator.app.writing import drawn, parts
from orchestrator.app.writing.drawn import Known
from orchestrator.form import models, spelling, uploads
from orchestrator.form.again import again, fresh
from orchestrator.form.draft import Draft, draft, words_of
from orchestrator.form.fields import Form, form_of
from orchestrator.form.look import Look, Read, Watched, read
from orchestrator.form.preview import NOTHING, preview
from orchestrator.form.starting import Offer, Offers
from orchestrator.form.wording import in_words
from orchestrator.jobs.client import Client
from orchestrator.settings.gather import task_of
from worker.errors import BadData, HubtrainError
from worker.tasks import typed

Told = dict[str, Any]
"""What a browser is told: parts of the page by name, as HTML, and what else it has to know."""


@dataclass(frozen=True)
class Desk:
    """What all pages of an app have in common."""

    client: Client
    environ: Mapping[str, str] = field(default_factory=dict)
    """Variables that settings may come from, as they do in the terminal."""

    own_machine: bool = True
    """Whether this machine is the user's own: its folders may be named then."""

    job_page: Callable[[str], str] = "/job?id={}".format
    offers: Offers = field(default_factory=Offers)


class Sheet:
    """One open page. Thread-safe."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._lock = threading.RLock()
        self._watched = Watched(desk.client)
        self._draft = Draft(worker.tasks.load(_first_task()))
        self._read = Read()
        self._offer: Offer | None = None
        self._preview, self._previewed = NOTHING, ""
        self._accounts: tuple[str, ...] = ()
        self._sent: dict[str, Any] = {}
        self._number = -1

    def answer(self, message: Mapping[str, Any]) -> Told:
        """Return what a message changes on the page. Raises nothing of the user's."""
        kind, number = str(message.get("kind")), int(message.get("number", 0))
        does = getattr(self, f"_on_{kind}", None)
        if does is None:
            return {}
        if kind == "models":  # asks the Hub, and changes nothing
            return self._on_models(message)
        with self._lock:
            if number <= self._number:
                return {}
            self._number = number
            try:
                more: Told = does(message) or {}
            except (HubtrainError, ValueError) as error:  # a browser with another version's page
                self._write(replace(self._draft, notes=(in_words(str(error)),)))
                more = {}
            return {**self._news(), **more, "number": number}

    def news(self) -> Told:
        """Return what has changed on the page since it was told last."""
        with self._lock:
            return {**self._news(), "number": self._number}

    def _on_hello(self, message: Mapping[str, Any]) -> Told:
        """Begin with what the page's address says: a task, a job to do again, a start that runs."""
        self._sent, asked = {}, dict(message.get("asked") or {})
        threading.Thread(target=self._settle, daemon=True, name="accounts").start()
        taken = {job.project for job in self._desk.client.glances()}
        told: Told = {"tasks": _tasks()}
        try:
            starting = self._desk.offers.find(str(asked.get("starting", "")))
            if starting is not None:
                said = starting.draft
            elif job := asked.get("again"):
                said = again(self._desk.client.record(str(job)).spec, taken)
            else:
                task, extra = task_of(str(asked.get("task") or _first_task()), "the task")
                said = fresh(task, taken, extra)
        except HubtrainError as error:
            starting, said = None, replace(self._draft, notes=(in_words(words_of(error)),))
        self._write(said)
        self._offer = starting
        return told

    def _settle(self) -> None:
        """Find out what takes a while: whose token it is; and remove uploads that nobody needs."""
        records = self._desk.client.records
        uploads.clear(self._desk.client.clock, lambda job: records.find(job) is not None)
        try:
            accounts = tuple(self._desk.client.accounts())
        except HubtrainError:  # said by the check, where the job needs the Hub
            return
        with self._lock:
            self._accounts = accounts

    def _on_typed(self, message: Mapping[str, Any]) -> None:
        self._write(self._typed(message), drawn_anew=False)

    def _typed(self, message: Mapping[str, Any]) -> Draft:
        """Return the draft as it stands in the browser; of another task, what both have."""
        task = worker.tasks.load(str(message.get("task") or self._draft.task.name))
        values = dict(message.get("values") or {})
        if task is not self._draft.task:
            shared = task.params.model_fields.keys() & self._draft.task.params.model_fields.keys()
            kept = {k: v for k, v in values.items() if k in shared or k not in self._own}
            values = {k: v for k, v in kept.items() if k not in {"trainer", "model"}}
        return draft(task, values)

    @property
    def _own(self) -> set[str]:
        return set(self._draft.task.params.model_fields)

    def _on_change(self, message: Mapping[str, Any]) -> None:
        """Do what a finding advises, or take a machine from the table."""
        said = self._typed(message)
        self._write(draft(said.task, {**said.values, **dict(message.get("changes") or {})}))

    def _on_yaml(self, message: Mapping[str, Any]) -> Told:
        return self._pasted("yaml", spelling.of_yaml, message)

    def _on_command(self, message: Mapping[str, Any]) -> Told:
        def read_command(text: str, *how: Any) -> Draft:
            return spelling.of_command(text, *how, files=self._desk.own_machine)

        return self._pasted("command", read_command, message)

    def _pasted(self, what: str, reads: Callable[..., Draft], message: Mapping[str, Any]) -> Told:
        """Take what was pasted in place of the draft; where it cannot be read, say why."""
        text = str(message.get("text", ""))
        try:
            self._write(reads(text, self._desk.client.accounts, self._desk.environ))
        except HubtrainError as error:
            return {f"{what}_wrong": words_of(error)}
        self._sent[what] = text  # what stands there is not written over
        return {f"{what}_wrong": ""}

    def _on_models(self, message: Mapping[str, Any]) -> Told:
        text = str(message.get("text", ""))
        desk = self._desk
        found = models.suggested(desk.client, self._draft, text, folders=desk.own_machine)
        return {"models": list(found.names), "models_note": found.note}

    def _on_uploaded(self, message: Mapping[str, Any]) -> Told:
        """Take in files that gradio has received, in place of those that were uploaded before."""
        before = str(self._draft.values.get("data_path", ""))
        try:
            files = [_received(one) for one in message.get("files") or ()]
            path = uploads.received(files)
        except HubtrainError as error:
            return {"upload_wrong": words_of(error)}
        except OSError as error:
            return {"upload_wrong": f"the files could not be kept: {error.strerror}."}
        uploads.dropped(before)
        self._write(self._typed(message).having(data_path=path))
        return {"upload_wrong": ""}

    def _on_offer(self, message: Mapping[str, Any]) -> None:
        """Say what a start costs, so that it can be confirmed."""
        look = self._watched.look
        if look is not None and look.ready is not None:
            self._offer = self._desk.offers.make(self._desk.client, look.ready, look.draft)

    def _on_keep(self, message: Mapping[str, Any]) -> None:
        self._offer = None

    def _on_start(self, message: Mapping[str, Any]) -> None:
        self._offer = self._desk.offers.start(str(message.get("offer"))) or self._offer

    def _write(self, said: Draft, *, drawn_anew: bool = True) -> None:
        """Take a draft as the one that is written, read it, and have it checked.

        The fields are told again, filled in, unless it is what stands in them: `drawn_anew`.
        """
        desk = self._desk
        self._draft, self._offer = said, None
        if drawn_anew:
            self._sent.pop("form", None)
        self._read = read(desk.client, said, desk.environ, own_machine=desk.own_machine)
        self._watched.wanted(said, self._read)
        key = repr([said.task.name, *(said.values.get(k) for k in ("data_path", "train_split"))])
        if key != self._previewed:
            self._previewed, self._preview = key, NOTHING
            allowed = "data_path" not in self._read.at
            if allowed and said.values.get("data_path"):
                run = threading.Thread(target=self._preview_of, args=(said, key), daemon=True)
                run.start()

    def _preview_of(self, said: Draft, key: str) -> None:
        found = preview(self._desk.client, said)
        with self._lock:
            if key == self._previewed:
                self._preview = found

    def _news(self) -> Told:
        """Return the parts that are not as they were told last, and whether more is to come."""
        look = self._watched.look or Look(self._draft, self._read)
        offer = self._offer
        form = form_of(self._draft)
        known = Known(self._preview.columns, tuple(backends.names()), self._accounts)
        now: dict[str, Any] = {
            "yaml": spelling.as_yaml(self._draft),
            "command": spelling.as_command(self._draft),
            "task": self._draft.task.name,
            "help": escape(self._draft.task.help),
            "at": dict(self._read.at),
            "preview": parts.preview(self._preview),
            "learned": parts.learned(look),
            "report": parts.report(look),
            "machines": parts.machines(look),
            "bar": parts.bar(look, offer),
        }
        told: Told = {name: value for name, value in now.items() if self._sent.get(name) != value}
        self._sent |= told
        layout = _layout(form, known, self._draft)
        if self._sent.get("form") != layout:
            self._sent["form"] = layout
            told |= {"source": drawn.source(form, known), "form": drawn.form(form, known)}
        if offer is not None and offer.begun:
            told["starting"] = offer.name
            if offer.job_id:
                told["go"] = self._desk.job_page(offer.job_id)
        starts = offer is not None and offer.begun and not offer.over
        told["busy"] = bool(look.busy) or starts
        return told


def _layout(form: Form, known: Known, said: Draft) -> object:
    """Return the same for forms whose fields differ in nothing but what is typed into them."""
    rows = (form.data, form.columns, form.model, form.few, form.job, *(g.fields for g in form.more))
    return (
        said.task.name,
        known,
        [[(f.name, f.kind, f.choices, f.default) for f in r] for r in rows],
    )


def _first_task() -> str:
    """Return the task that a page begins with: the one with the most settings."""
    tasks = map(worker.tasks.load, worker.tasks.names())
    return max(tasks, key=lambda task: len(task.params.model_fields)).name


def _received(told: Mapping[str, Any]) -> tuple[str, Path]:
    """Return a file that gradio has received, under its owner's name; raises `BadData` for others.

    The browser says where it is, so that is not taken on trust.
    """
    path, root = Path(str(told.get("path", ""))).resolve(), received_in()
    if not path.is_relative_to(root) or not path.is_file():
        raise BadData("this is no file that was uploaded.")
    return str(told.get("name", path.name)), path


def received_in() -> Path:
    """Return the folder in which gradio keeps what it receives."""
    chosen = os.environ.get("GRADIO_TEMP_DIR") or Path(tempfile.gettempdir()) / "gradio"
    return Path(chosen).resolve()


def _tasks() -> list[tuple[str, str]]:
    return [(name, typed(name)) for name in worker.tasks.names()]


class Sheets:
    """The open pages of an app, by their sessions. Thread-safe."""

    MOST = 64

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._lock = threading.Lock()
        self._sheets: dict[str, Sheet] = {}

    def of(self, session: str) -> Sheet:
        """Return the page of a session, which is a new one where it has none."""
        with self._lock:
            sheet = self._sheets.pop(session, None) or Sheet(self._desk)
            self._sheets[session] = sheet
            while len(self._sheets) > self.MOST:
                self._sheets.pop(next(iter(self._sheets)))
            return sheet
