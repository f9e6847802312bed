"""One open page on which a job is written: its draft, what is known of it, what is told of that.

A browser sends messages, numbered, and gets the parts that have changed. What it sent before is
older than what it sent last, however they arrive: an older number changes nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from html import escape
from typing import Any

import backends
import worker.tasks
from orchestrator.app.writing import drawn, parts
from orchestrator.app.writing.drawn import Known
from orchestrator.app.writing.received import received
from orchestrator.app.writing.site import Site
from orchestrator.form import models, sampled, spelling, uploads
from orchestrator.form.clone import clone, fresh
from orchestrator.form.draft import Draft, draft, words_of
from orchestrator.form.fields import Form, form_of
from orchestrator.form.look import Look, Read, Watched, read
from orchestrator.form.preview import NOTHING, preview
from orchestrator.form.starting import Offer
from orchestrator.form.wording import in_words
from orchestrator.hosted import RENTED, UPLOAD_BYTES
from orchestrator.rehearsal import can_be_rehearsed
from orchestrator.settings.gather import task_of
from worker.errors import HubtrainError
from worker.tasks import typed

Told = dict[str, Any]
"""What a browser is told: parts of the page by name, as HTML, and what else it has to know."""


OF_THE_ROWS = ("data_path", "train_split", "objects_column")
"""Settings that change which rows are shown, or what is marked on them."""


class Sheet:
    """One open page. Thread-safe."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._lock = threading.RLock()
        self._watched = Watched(site.client)
        self._draft = Draft(worker.tasks.load(_first_task()))
        self._read = Read()
        self._offer: Offer | None = None
        self._rehearsal = self._unrehearsed = ""
        self._preview, self._rows, self._previewed = NOTHING, "", ""
        self._accounts: tuple[str, ...] = ()
        self._asking = 0
        """Threads that find out what the page is told later, beside the check."""

        self._sent: dict[str, Any] = {}
        self._turn = 0
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

    def _on_anew(self, message: Mapping[str, Any]) -> Told:
        """Tell all once more, to a browser that misses an answer."""
        self._sent = {}
        return {"anew": True, "tasks": _tasks()}

    def _on_hello(self, message: Mapping[str, Any]) -> Told:
        """Begin with what the page's address says: a task, a job to do again, a start that runs.

        A page that was loaded again goes on with what was written on it.
        """
        self._sent, asked = {}, dict(message.get("asked") or {})
        self._in_background(self._settle)
        taken = {job.project for job in self._site.client.glances()}
        told: Told = {"anew": True, "tasks": _tasks()}
        try:
            starting = self._site.offers.find(str(asked.get("starting", "")))
            if starting is not None:
                said = starting.draft
            elif kept := message.get("kept"):
                said = self._of_yaml(str(kept))
            elif job := asked.get("again"):
                said = clone(self._site.client.record(str(job)).spec, taken)
            else:
                task, extra = task_of(str(asked.get("task") or _first_task()), "the task")
                place = {} if self._site.own_machine else {"backend": RENTED}
                said = fresh(task, taken, {**place, **extra})
        except HubtrainError as error:
            starting, said = None, replace(self._draft, notes=(in_words(words_of(error)),))
        self._write(said)
        self._offer = starting
        return told

    def _in_background(self, work: Callable[[], None]) -> None:
        """Do in a thread what takes a while; the page asks again until it is done."""

        def run() -> None:
            try:
                work()
            finally:
                with self._lock:
                    self._asking -= 1

        self._asking += 1
        threading.Thread(target=run, daemon=True, name="aside").start()

    def _settle(self) -> None:
        """Find out what takes a while: whose token it is; and remove uploads that nobody needs."""
        client = self._site.client
        with suppress(HubtrainError):  # said by the check, where the job needs the Hub
            accounts = tuple(client.accounts())
            with self._lock:
                self._accounts = accounts
        uploads.clear(client.clock, lambda job: client.records.find(job) is not None)

    def _on_typed(self, message: Mapping[str, Any]) -> None:
        self._write(self._typed(message), drawn_anew=False)

    def _typed(self, message: Mapping[str, Any]) -> Draft:
        """Return the draft as it stands in the browser; of another task, what both have."""
        task = worker.tasks.load(str(message.get("task") or self._draft.task.name))
        values = dict(message.get("values") or {})
        if task is not self._draft.task:
            before, now = self._draft.task.params.model_fields, task.params.model_fields
            lost = {*(before.keys() - now.keys()), "trainer", "model"}
            values = {name: value for name, value in values.items() if name not in lost}
        return draft(task, values)

    def _on_change(self, message: Mapping[str, Any]) -> None:
        """Do what a finding advises, or take a machine from the table."""
        said = self._typed(message)
        self._write(draft(said.task, {**said.values, **dict(message.get("changes") or {})}))

    def _on_yaml(self, message: Mapping[str, Any]) -> Told:
        return self._pasted("yaml", self._of_yaml, message)

    def _of_yaml(self, text: str) -> Draft:
        return spelling.of_yaml(text, self._site.client.accounts, self._site.environ)

    def _on_command(self, message: Mapping[str, Any]) -> Told:
        def read_command(text: str) -> Draft:
            site = self._site
            asks, own = site.client.accounts, site.own_machine
            return spelling.of_command(text, asks, site.environ, files=own)

        return self._pasted("command", read_command, message)

    def _pasted(self, what: str, reads: Callable[[str], Draft], message: Mapping[str, Any]) -> Told:
        """Take what was pasted in place of the draft; where it cannot be read, say why."""
        text = str(message.get("text", ""))
        try:
            self._write(reads(text))
        except HubtrainError as error:
            return {f"{what}_wrong": words_of(error)}
        self._sent[what] = text  # what stands there is not written over
        return {f"{what}_wrong": ""}

    def _on_models(self, message: Mapping[str, Any]) -> Told:
        text = str(message.get("text", ""))
        site = self._site
        found = models.suggested(site.client, self._draft, text, folders=site.own_machine)
        return {"models": list(found.names), "models_note": found.note}

    def _on_uploaded(self, message: Mapping[str, Any]) -> Told:
        """Take in files that gradio has received, in place of those that were uploaded before."""
        before = str(self._draft.values.get("data_path", ""))
        try:
            files = [received(one) for one in message.get("files") or ()]
            path = uploads.received(files)
        except HubtrainError as error:
            return {"upload_wrong": words_of(error)}
        except OSError as error:
            return {"upload_wrong": f"the files could not be kept: {error.strerror}."}
        uploads.dropped(before)
        self._write(self._typed(message).having(data_path=path))
        return {"upload_wrong": ""}

    def _on_sample(self, message: Mapping[str, Any]) -> Told:
        """Begin with a sample of data, and the settings that go with it."""
        try:
            self._write(sampled.sampled(self._typed(message)))
        except OSError as error:
            return {"upload_wrong": f"the sample could not be written: {error.strerror}."}
        return {}

    def _on_offer(self, message: Mapping[str, Any]) -> None:
        """Say what a start costs, so that it can be confirmed."""
        look = self._watched.look
        if look is not None and look.ready is not None:
            self._offer = self._site.offers.make(self._site.client, look.ready, look.draft)

    def _on_rehearse(self, message: Mapping[str, Any]) -> None:
        """Rehearse what is written, once it is ready; what speaks against it is told."""
        look, rehearsing = self._watched.look, self._site.rehearsing
        if look is None or look.ready is None or rehearsing is None:
            return
        try:
            self._rehearsal, self._unrehearsed = rehearsing.start(look.draft), ""
        except HubtrainError as error:
            self._unrehearsed = in_words(words_of(error))

    def _rehearsed(self, look: Look) -> parts.Trial:
        """Return how the rehearsal that was started on this page goes, and whether one may."""
        rehearsing = self._site.rehearsing
        ready = look.ready if rehearsing else None
        may = ready is not None and can_be_rehearsed(ready.asked)
        report = rehearsing.report(self._rehearsal) if rehearsing and self._rehearsal else None
        return parts.Trial(may, report, self._unrehearsed)

    def _on_keep(self, message: Mapping[str, Any]) -> None:
        self._offer = None

    def _on_start(self, message: Mapping[str, Any]) -> None:
        self._offer = self._site.offers.start(str(message.get("offer"))) or self._offer

    def _write(self, said: Draft, *, drawn_anew: bool = True) -> None:
        """Take a draft as the one that is written, read it, and have it checked.

        The fields are told again, filled in, unless it is what stands in them: `drawn_anew`.
        """
        site = self._site
        self._draft, self._offer, self._unrehearsed = said, None, ""
        if drawn_anew:
            self._sent.pop("form", None)
        self._read = read(site.client, said, site.environ, own_machine=site.own_machine)
        self._watched.wanted(said, self._read)
        key = repr([said.task.name, *(said.values.get(k) for k in OF_THE_ROWS)])
        if key != self._previewed:
            self._previewed, self._preview, self._rows = key, NOTHING, ""
            allowed = "data_path" not in self._read.at
            if allowed and said.values.get("data_path"):
                self._in_background(partial(self._preview_of, said, key))

    def _preview_of(self, said: Draft, key: str) -> None:
        found = preview(self._site.client, said)
        rows = parts.preview(found)
        with self._lock:
            if key == self._previewed:
                self._preview, self._rows = found, rows

    def _news(self) -> Told:
        """Return the parts that are not as they were told last, and whether more is to come."""
        look = self._watched.look or Look(self._draft, self._read)
        offer = self._offer
        trial = self._rehearsed(look)
        form = form_of(self._draft)
        client = self._site.client
        known = Known(
            self._preview.columns,
            tuple(client.places()),
            self._accounts,
            UPLOAD_BYTES if client.guest else None,
            sampled.offers(self._draft),
        )
        now: dict[str, Any] = {
            "yaml": spelling.as_yaml(self._draft),
            "command": spelling.as_command(self._draft),
            "task": self._draft.task.name,
            "help": escape(self._draft.task.help),
            "at": dict(self._read.at),
            "lacking": sorted(self._read.lacking),
            "preview": self._rows,
            "learned": parts.learned(look),
            "report": parts.report(look),
            "machines": parts.machines(look),
            "bar": parts.bar(look, offer, trial),
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
                told["go"] = self._site.job_page(offer.job_id)
        starts = offer is not None and offer.begun and not offer.over
        told["busy"] = bool(look.busy) or starts or self._asking > 0 or trial.runs
        self._turn += 1
        return told | {"turn": self._turn}


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


def prepare() -> None:
    """Load what the first open page would wait for: all tasks, and the settings of one."""
    said = Draft(worker.tasks.load(_first_task()))
    form, known = form_of(said), Known(places=tuple(backends.names()))
    drawn.source(form, known), drawn.form(form, known)
    in_words("--name")  # all settings by their flags


def _tasks() -> list[tuple[str, str]]:
    return [(name, typed(name)) for name in worker.tasks.names()]


class Sheets:
    """The open pages of an app, by their sessions. Thread-safe."""

    MOST = 64

    def __init__(self, site: Site) -> None:
        self._site = site
        self._lock = threading.Lock()
        self._sheets: dict[str, Sheet] = {}

    def of(self, session: str) -> Sheet:
        """Return the page of a session, which is a new one where it has none."""
        with self._lock:
            sheet = self._sheets.pop(session, None) or Sheet(self._site)
            self._sheets[session] = sheet
            while len(self._sheets) > self.MOST:
                self._sheets.pop(next(iter(self._sheets)))
            return sheet
