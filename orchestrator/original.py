"""The training that is to be done once more: a job of this machine, or what lies beside a model.

A manifest beside a model is a file that anybody may have written. What it says of a job that this
machine has on record is taken from the record; of any other it is a stranger's word. The curve is
that of the manifest either way: what it says is what `--verify` holds against a new training.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

import worker.tasks
from orchestrator.jobs.client import Client
from orchestrator.jobs.records import LATEST, Record
from orchestrator.preflight.lookup import is_folder
from orchestrator.preflight.project import allowed, is_repo_id
from worker.contract import DataRef, JobSpec, State
from worker.errors import BadConfig, NotThere
from worker.hubclient import hub, patiently
from worker.hubfile import fetch
from worker.manifest import MOST_BYTES, Manifest, TrainedJob, manifest, read
from worker.output import MANIFEST_FILE
from worker.paths import spec_for_others

_COMMIT = re.compile(r"[0-9a-f]{40}")
_JOB = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")


@dataclass(frozen=True)
class Original:
    """A training that is to be done once more."""

    where: str
    """What it was found by, in words."""

    manifest: Manifest
    own: bool
    """Whether this machine has it on record: then the user has asked for all of it before."""

    @property
    def spec(self) -> JobSpec:
        return self.manifest.spec


def original(client: Client, name: str) -> Original:
    """Return a training by a job's name or handle, `OWNER/NAME` or `OWNER/NAME@REVISION`, a folder.

    Raises `BadConfig` where nothing there can be done once more, `HubError`.
    """
    if "://" in name or name == LATEST or client.records.ids(name):
        return _of_job(client, client.record(name))
    if is_folder(name):
        return _of_folder(client, Path(name).expanduser())
    if "/" in name:
        return _of_repo(client, name)
    raise BadConfig(
        f"there is no job {name!r} on this machine, and no folder.",
        fix="hubtrain jobs lists jobs; a model on the Hub is OWNER/NAME.",
    )


def _of_job(client: Client, record: Record) -> Original:
    record = client.refreshed(record)
    job_id, state = record.job_id, record.story.state
    if state is not State.SUCCEEDED:
        fix = f"hubtrain resume {job_id}" if state.final else f"hubtrain logs -f {job_id}"
        raise BadConfig(f"{job_id} has made no model to compare with: it is {state}.", fix=fix)
    return Original(f"job {job_id}", described(record), own=True)


def described(record: Record) -> Manifest:
    """Return the manifest of a job that has succeeded."""
    ended = record.story.ended_at
    assert ended is not None, "a job that has succeeded has ended"
    return manifest(TrainedJob(record.spec, list(record.events), ended))


def _of_folder(client: Client, folder: Path) -> Original:
    file = folder / MANIFEST_FILE
    try:
        if file.stat().st_size > MOST_BYTES:
            raise BadConfig(f"{file} is larger than such files are.")
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise _no_manifest(f"{folder}") from error
    return _of_manifest(client, _read(text, str(file)), str(folder))


def _of_repo(client: Client, name: str) -> Original:
    repo_id, _, revision = name.partition("@")
    if not is_repo_id(repo_id):
        raise BadConfig(f"{repo_id!r} is no repo id.", fix="OWNER/NAME, or OWNER/NAME@REVISION")
    ask = partial(fetch, repo_id, MANIFEST_FILE, revision or "main", client.token, MOST_BYTES)
    file = patiently(f"reading {MANIFEST_FILE} of {repo_id}", ask, client.clock)
    if file is None:
        raise _nothing_there(client, repo_id, revision)
    where = f"{repo_id} at {file.commit[:7]}"
    return _of_manifest(client, _read(file.text, f"{MANIFEST_FILE} of {where}"), where)


def _nothing_there(client: Client, repo_id: str, revision: str) -> BadConfig:
    """Return which is not there: the repo, its revision, or the manifest."""

    def is_there(revision: str | None) -> bool:
        look = partial(hub(client.token).model_info, repo_id, revision=revision)
        try:
            return bool(patiently(f"looking for {repo_id}", look, client.clock))
        except NotThere:
            return False

    if not is_there(None):
        return BadConfig(f"no model {repo_id} on the Hub, or none that this token may see.")
    if revision and not is_there(revision):
        return BadConfig(f"{repo_id} has no revision {revision}.", fix=f"hubtrain rerun {repo_id}")
    return _no_manifest(f"{repo_id} at {revision}" if revision else repo_id)


def _no_manifest(where: str) -> BadConfig:
    return BadConfig(
        f"{where} has no {MANIFEST_FILE}, which tells how a model was trained with hubtrain.",
        fix="hubtrain TASK --train … with settings of your own",
    )


def _read(text: str, where: str) -> Manifest:
    try:
        return read(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "the whole"
        raise BadConfig(
            f"{where} is no manifest that this version of hubtrain reads: {place}: {first['msg']}.",
            fix="Another version wrote it, or somebody changed it.",
        ) from error


def _of_manifest(client: Client, told: Manifest, where: str) -> Original:
    if record := _known(client, told.spec):
        known = described(record).model_copy(update={"curve": told.curve})
        return Original(where, known, own=True)
    if wrong := _wrong(told.spec):
        raise BadConfig(
            f"{MANIFEST_FILE} of {where} says what no job of hubtrain says: {'; '.join(wrong)}.",
            fix="Somebody changed it: ask who made the model.",
        )
    return Original(where, told, own=False)


def _known(client: Client, spec: JobSpec) -> Record | None:
    """Return the job on record that a manifest is of, if that is what it says and it succeeded."""
    record = client.records.find(spec.job_id)
    if record is None or spec_for_others(record.spec) != spec_for_others(spec):
        return None
    record = client.refreshed(record)
    return record if record.story.state is State.SUCCEEDED else None


def _wrong(spec: JobSpec) -> list[str]:
    """Return what of a stranger's job could not have come from hubtrain."""
    found = []
    if not _JOB.fullmatch(spec.job_id):
        found.append("its job has no job's id")
    if spec.task not in worker.tasks.names():
        found.append(
            "its task is not one of " + ", ".join(map(worker.tasks.typed, worker.tasks.names()))
        )
    if not allowed(spec.project):
        found.append("its project's name is no project's name")
    if spec.model and spec.model.on_hub and not _pinned(spec.model.name, spec.model.revision):
        found.append("its base model is no model at a commit")
    for what, ref in (("data", spec.data), ("files", spec.files)):
        if ref and ref.repo_id and not (_pinned(ref.repo_id, ref.revision) and _plain(ref)):
            found.append(f"its {what} are no files of a dataset at a commit")
    return found


def _pinned(repo_id: str, revision: str | None) -> bool:
    return is_repo_id(f"x/{repo_id}" if "/" not in repo_id else repo_id) and bool(
        _COMMIT.fullmatch(revision or "")
    )


def _plain(ref: DataRef) -> bool:
    """Whether the names of files stay in their repo."""
    names = (*ref.train, *ref.valid)
    paths = map(PurePosixPath, names)
    return all(not p.is_absolute() and ".." not in p.parts for p in paths) and all(
        name.isprintable() and "\\" not in name for name in names
    )
