"""Saves a finished model, with its card, to the Hub or a folder, and the record of other jobs."""

from __future__ import annotations

import os
import shutil
import traceback
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from worker import card, output
from worker.contract import (
    EVENTS_FILE,
    LOG_TAIL_FILE,
    Ending,
    EndReason,
    Event,
    Failed,
    Finished,
    Phase,
    Pushed,
    PushTarget,
)
from worker.errors import HubtrainError, HubUnreachable
from worker.hubclient import explained, hub
from worker.manifest import TrainedJob
from worker.output import MANIFEST_FILE
from worker.supervise.journal import jsonl
from worker.supervise.live import Live
from worker.supervise.push import Parcel, push_model, push_record
from worker.supervise.retry import keep_trying

PUSH_REFUSALS = 6
PUSH_BYTES_PER_SECOND = 2e6
"""Slowest upload, in bytes a second, that is waited for."""

PUSH_GRACE = 600.0
"""Seconds a push may take beyond the job's limits: a trained model is worth ten minutes."""

RECORD_SECONDS = 60.0
RECORD_REFUSALS = 3


def keep_model(live: Live, finished: Finished) -> Ending:
    """Put the model where the spec wants it; returns the job's ending, `finished` or a failure."""
    folder = live.host.model
    if not folder.is_dir() or not any(folder.iterdir()):
        return _without(live)
    story = live.story()
    finished = finished.model_copy(update={"metrics": {**story.metrics, **finished.metrics}})
    _describe(live, folder)
    ending: Ending = finished
    if live.spec.push:
        ending = _pushed(live, live.spec.push, finished)
    return _left_on_machine(live, ending)


def _without(live: Live) -> Ending:
    """Return the ending of a job that left nothing."""
    if card.result_of(live.spec) == "output":
        return Finished(note=f"The {live.worker} left no output.")
    return Failed(reason=EndReason.WORKER_DIED, message="The trainer left no model.")


def keep_unfinished(live: Live, ending: Ending) -> Ending:
    """Keep what was left by a program that did not come to its good end; says where, if anywhere.

    On the Hub that is the job's own branch: nobody is to take it for the output of a good end.
    """
    spec, folder = live.spec, live.host.model
    if isinstance(ending, Finished) or card.result_of(live.spec) != "output" or not folder.is_dir():
        return ending
    files = {f"output/{p.relative_to(folder).as_posix()}": p for p in _files(live)}
    if not files:
        return ending
    where = f"lies in {folder}" if live.host.keeps_disk else "is lost with this machine's disk"
    if target := spec.push:
        where = _sent_aside(live, target, files) or where
    words = f"{ending.message} What it had written {where}.".lstrip()
    return ending.model_copy(update={"message": words})


def _files(live: Live) -> list[Path]:
    return Parcel(live.host.model, live.spec, PushTarget(repo_id=""), "").files


def _sent_aside(live: Live, target: PushTarget, files: Mapping[str, Path]) -> str:
    """Commit files to the job's branch and return where they are; nothing if they are not."""
    size = sum(path.stat().st_size for path in files.values())
    try:
        keep_trying(
            live,
            lambda: push_record(live.spec, target, live.host.token, files),
            "keeping what it had written",
            seconds=live.spec.limits.push_seconds,
            refusals=RECORD_REFUSALS,
            longest=60 + size / PUSH_BYTES_PER_SECOND,
            at_most=max(0.0, live.seconds_left) + PUSH_GRACE,
        )
    except HubtrainError as error:
        live.journal.log(f"What it had written could not be kept: {error}")
        return ""
    return f"is in output/ of the branch {live.spec.branch} of {target.repo_id}"


def keep_ahead(live: Live) -> None:
    """Push the model as it is, so that nothing that comes after can lose it. Raises nothing."""
    target, folder = live.spec.push, live.host.model
    if target is None or not folder.is_dir() or not any(folder.iterdir()):
        return
    _describe(live, folder)
    live.journal.say(Phase(name="pushing"))
    try:
        live.journal.say(_push(live, _parcel(live, target)))
    except HubtrainError as error:
        live.journal.log(f"The model is pushed later, since it could not be now: {error}")


def _describe(live: Live, folder: Path) -> None:
    """Write card and manifest. A model is worth more than its card: no error here ends the job."""
    try:
        trained = TrainedJob(live.spec, live.journal.events, live.clock.now(), _license(live))
        card.write(trained, folder)
    except Exception:
        live.journal.log(f"The model goes without its card: {traceback.format_exc()}")
        manifest = folder / MANIFEST_FILE
        if not manifest.exists():  # a repeated push recognizes itself by it
            manifest.write_text(
                f'{{"spec": {{"job_id": "{live.spec.job_id}"}}}}\n', encoding="utf-8"
            )


def keep_record(live: Live, target: PushTarget) -> None:
    """Commit events and log of a job to its branch, for the laptop. Gives up after a minute."""
    files = {
        EVENTS_FILE: jsonl(live.journal.events),
        LOG_TAIL_FILE: "\n".join(live.journal.tail) + "\n",
    }
    try:
        keep_trying(
            live,
            lambda: push_record(live.spec, target, live.host.token, files),
            "keeping the record",
            seconds=RECORD_SECONDS,
            refusals=RECORD_REFUSALS,
            longest=RECORD_SECONDS,
        )
    except HubtrainError as error:
        live.journal.log(f"The record could not be kept: {error}")


def _pushed(live: Live, target: PushTarget, finished: Finished) -> Ending:
    live.journal.say(Phase(name="pushing"))
    try:
        pushed = _push(live, _parcel(live, target, finished))
    except HubtrainError as error:
        if live.story().pushed:
            late = f"the model was pushed, but what its evaluation came to could not be: {error}"
            note = f"{finished.note}; {late}" if finished.note else late
            return finished.model_copy(update={"note": note})
        # The same command would train once more: what to type next depends on what is left.
        why = error.message if isinstance(error, HubUnreachable) else str(error)
        return Failed(
            reason=EndReason.PUSH_FAILED,
            message=f"The {card.result_of(live.spec)} is there but could not be pushed: {why}",
        )
    live.journal.say(pushed)
    return finished


def _parcel(live: Live, target: PushTarget, *ending: Finished) -> Parcel:
    """Return the model with its events, those of its own push too, with the numbers to come."""
    bare = Parcel(live.host.model, live.spec, target, "")
    good: tuple[Event, ...] = (bare.pushed, *ending)
    ahead = [live.journal.draft(event, n) for n, event in enumerate(good, 1)]
    return replace(bare, events=jsonl([*live.journal.events, *ahead]))


def _push(live: Live, parcel: Parcel) -> Pushed:
    """Commit a model, with patience. Raises `HubtrainError`."""
    return keep_trying(
        live,
        lambda: push_model(parcel, live.host.token),
        "pushing the model",
        seconds=live.spec.limits.push_seconds,
        refusals=PUSH_REFUSALS,
        longest=600 + parcel.pushed.size_bytes / PUSH_BYTES_PER_SECOND,
        at_most=max(0.0, live.seconds_left) + PUSH_GRACE,
    )


def _left_on_machine(live: Live, ending: Ending) -> Ending:
    """Move the model to the folder the spec names, if it names one, and its story with it."""
    folder, wanted = live.host.model, live.spec.output
    if live.spec.push and wanted is None:
        return _located(ending, None, live)
    ending_there = _told_in(folder, live, _located(ending, Path(wanted or folder), live))
    if wanted is None or (kept := _moved(live, Path(wanted))) == Path(wanted):
        return ending_there
    return _told_in(kept, live, _located(ending, kept, live))


def _located(ending: Ending, kept: Path | None, live: Live) -> Ending:
    """Return the ending with the place of the model in it."""
    if isinstance(ending, Finished):
        return ending.model_copy(update={"output": str(kept) if kept else None})
    where = f"It lies in {kept}." if kept else live.host.what_is_left(live.host.model)
    return ending.model_copy(update={"message": f"{ending.message} {where}"})


def _told_in(folder: Path, live: Live, ending: Ending) -> Ending:
    """Write the events beside the model, the ending as it will be told, and return the ending.

    A model is worth more than its events: a full disk does not end the job.
    """
    told = [*live.journal.events, live.journal.draft(ending, 1)]
    try:
        (folder / EVENTS_FILE).write_text(jsonl(told), encoding="utf-8")
    except OSError as error:
        live.journal.log(f"The events could not be written beside the model: {error}")
    return ending


def _moved(live: Live, wanted: Path) -> Path:
    """Move the model to `wanted` and return where it is: elsewhere rather than nowhere."""
    spec, model = live.spec, live.host.model
    try:
        kept = output.put(
            *(model, wanted, spec.job_id),
            continued=spec.start.jobs if spec.start else (),
            overwrite=spec.overwrite_output,
        )
    except OSError as error:
        live.journal.log(
            f"{wanted} could not be written ({error}): the {card.result_of(spec)} is in {model}."
        )
        return model
    shutil.rmtree(model, ignore_errors=True)
    if kept == Path(os.path.realpath(wanted)):
        return wanted
    live.journal.log(
        f"{wanted} holds something that is not this job's: the {card.result_of(spec)} is in {kept}."
    )
    return kept


def _license(live: Live) -> str | None:
    """Return the base model's licence, if the Hub tells it quickly."""
    model = live.spec.model
    if model is None or not model.on_hub:
        return None
    name = model.name
    try:
        with explained(f"reading the card of {name}"):
            info = hub(live.host.token).model_info(name, revision=model.revision)
    except HubtrainError:
        return None
    data = info.card_data
    said = data.get("license") if data else None
    return said if isinstance(said, str) else None
