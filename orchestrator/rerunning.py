"""The settings of a training that is done once more, and what cannot be the same about it.

Of a job that this machine has on record all settings are taken but its name: the model goes to a
place of its own. Of a stranger's only how it was trained: where it runs, what that may cost, and
whether code runs that is not hubtrain's, is for the user to say.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import backends
import worker.tasks
from orchestrator import resuming
from orchestrator.job_request import JobRequest, order_of
from orchestrator.jobs import diff
from orchestrator.jobs.client import Client
from orchestrator.original import Original
from orchestrator.preflight import CheckReport
from orchestrator.preflight.project import cleaned
from orchestrator.preflight.request import Earlier
from orchestrator.settings.gather import classes_of, whose
from orchestrator.settings.layers import Catalog, Layer, Settings, merge
from orchestrator.words import money
from worker import __version__
from worker.common import Data
from worker.contract import JobSpec, Machine
from worker.duration import duration
from worker.errors import BadConfig, HubError
from worker.hubclient import explained, hub
from worker.manifest import Manifest
from worker.params import Params, settings_of
from worker.paths import is_path
from worker.shorten import some
from worker.task import Finding

AGAIN = "-rerun"
"""What follows the project's name."""

NOT_AGAIN = frozenset({"project_name", "repo_id", "overwrite"})
"""Settings of a job that say where its model is: another one does not go there unasked."""


def settings_of_original(original: Original, changes: Mapping[str, Any], source: str) -> Settings:
    """Return the settings of a training, `changes` given over them. Raises `BadConfig`."""
    spec = original.spec
    task = worker.tasks.load(spec.task)
    if not task.reads_rows:
        raise BadConfig(
            f"{original.where} is what a {task.runs_program} left, which only its owner has.",
            fix="Type its command again.",
        )
    catalog = Catalog(classes_of(task), task.ignored, whose)
    given = Layer(source, changes)
    typed = catalog.named(given).values
    values = _trained_with(original, task.params)
    if original.own:
        of_job = resuming.of_the_job(spec, str(typed.get("backend", "")))
        values |= {name: value for name, value in of_job.items() if name not in NOT_AGAIN}
    else:
        values = _of_a_stranger(spec, task.params, values)
        _refuse_unsaid(original, task.params, values, typed)
        values |= {"backend": spec.machine.backend, "push_to_hub": spec.push is not None}
    values["project_name"] = cleaned(f"{spec.project.removesuffix(AGAIN)}{AGAIN}")
    return merge(catalog, [Layer(original.where, values), given])


def earlier(original: Original, asked: JobRequest) -> Earlier:
    """Return what a training takes from its original as it lies: all that is not asked for anew."""
    spec = original.spec
    other_files = asked.typed & {s.name for s in settings_of(asked.task.params) if s.consent}
    return Earlier(
        spec,
        data=None if _other_rows(original, asked) else spec.data,
        files=spec.files if original.own and not other_files else None,
        model=None if "model" in asked.typed else spec.model,
    )


def _other_rows(original: Original, asked: JobRequest) -> bool:
    """Whether rows are asked for anew: a share to hold out is taken of the same ones."""
    said = asked.typed & Data.model_fields.keys()
    if asked.params.valid_share is not None and not original.spec.data.valid:
        said -= {"valid_split"}
    theirs = asked.params.data_path != original.spec.data.repo_id
    if said and "data_path" not in said and theirs and not original.own:
        raise BadConfig(
            "other rows have to be named, since those of the original lie packed.",
            fix="--data-path …",
        )
    return bool(said)


def _trained_with(original: Original, params: type[Params]) -> dict[str, Any]:
    """Return the settings of the task that are not as by default. Raises `BadConfig`."""
    said = original.spec.params
    if unknown := sorted(said.keys() - params.model_fields.keys()):
        raise BadConfig(
            f"{original.where} was trained with settings that this version of hubtrain does not "
            f"know: {some(unknown)}.",
            fix="Use the version that made it, or a newer one.",
        )
    return resuming.given_by(params, said)


def _of_a_stranger(
    spec: JobSpec, params: type[Params], values: Mapping[str, Any]
) -> dict[str, Any]:
    """Return how a training that is not on record here was done: from the model it began with."""
    own = {setting.name for setting in settings_of(params) if setting.own}
    taken = {name: value for name, value in values.items() if name not in own}
    if spec.model and spec.model.on_hub and "model" in taken:  # whatever its settings call it
        taken["model"] = spec.model.name
    return taken


def _refuse_unsaid(
    original: Original, params: type[Params], values: Mapping[str, Any], typed: Mapping[str, Any]
) -> None:
    """Raise `BadConfig` that names all that only the user can say of a stranger's training."""
    unsaid = [one for one in _unsaid(original, params, values) if one[0] not in typed]
    if not unsaid:
        return
    lines = [f"{original.where} was not made by a job on record here, so this is yours to say:"]
    lines += [f"  {flag}: {why}" for _, flag, why in unsaid]
    raise BadConfig("\n".join(lines), fix=f"add {' '.join(flag for _, flag, _ in unsaid)}")


def _unsaid(
    original: Original, params: type[Params], values: Mapping[str, Any]
) -> Iterator[tuple[str, str, str]]:
    """Yield settings that a stranger's word is not enough for: name, flag with value, and why."""
    spec, machine = original.spec, original.spec.machine
    known = machine.backend in backends.names()
    if not known or backends.load(machine.backend).bills:
        took = f"for {duration(original.manifest.seconds)} at {money(machine.usd_per_hour)}/h"
        where = shlex.quote("-".join(machine.words))
        yield "backend", f"--backend {where}", f"that may cost; it ran there {took}, it says"
    if spec.data.repo_id is None:
        rows = f" ({spec.data.rows:,} rows)" if spec.data.rows else ""
        yield "data_path", "--data-path …", f"its rows{rows} lay on the disk of who made it"
    task, asked = worker.tasks.asked(spec)
    if task.base(asked) and not (spec.model and spec.model.on_hub):
        yield "model", "--model …", "its base model was a folder of who made it"
    for setting in settings_of(params):
        value = values.get(setting.name)
        if setting.name in {"data_path", "model"} or value is None:
            continue
        several = value if isinstance(value, list) else [value]
        if setting.consent:
            flag = _spelled(setting.flags[0], several)
            yield setting.name, flag, "it runs code, or reads files, that are not hubtrain's"
        elif any(map(is_path, several)):
            yield setting.name, f"{setting.flags[0]} …", "it names a place on somebody's disk"


def _spelled(flag: str, values: list[Any]) -> str:
    if values == [True]:
        return flag
    return f"{flag} {shlex.quote(','.join(map(str, values)))}"


def moved(client: Client, asked: JobRequest) -> Iterator[Finding]:
    """Yield whether the base model of a training that is done once more is another by now."""
    model = asked.earlier.model if asked.manifest and asked.earlier else None
    if model is None or not model.on_hub:
        return
    look = partial(hub(client.token).model_info, model.name)
    with suppress(HubError), explained(f"looking at {model.name}"):
        now = str(look().sha)
        if now != model.revision:
            then = str(model.revision)[:7]
            text = f"{model.name} is at {now[:7]} by now; this begins at {then}, as the original"
            yield Finding("ok", "model", text)


def unlike(asked: JobRequest, report: CheckReport) -> list[Finding]:
    """Return what of a checked job is not as the training was that it does once more."""
    then = asked.manifest
    if then is None or asked.earlier is None:
        return []
    data = asked.earlier.data or then.spec.data  # others are known once they are packed
    now = order_of(asked, report, data, data).spec("")
    now = now.model_copy(update={"files": then.spec.files})
    found = [Finding("ok", "original", _in_words(then))]
    if then.spec.start:
        found.append(Finding("warn", "original", _in_parts(then.spec)))
    if other := diff.of_training(then.spec, now):
        said = some(other, 8, between="; ", longest=400)
        found.append(Finding("warn", "settings", f"not as in the original: {said}"))
    if asked.earlier.data is None:
        text = "the rows are read anew: whether they are those of the original is told by --verify"
        found.append(Finding("warn", "data", text))
    known = asked.backend.versions(then.versions, report.flavor.accelerators)
    found += _libraries(then.versions, {**known, "hubtrain": __version__})
    return [*found, *_hardware(then, now.machine, report)]


def _in_words(then: Manifest) -> str:
    spec = then.spec
    where = f"{spec.project}, job {spec.job_id}"
    took = f"{duration(then.seconds)} on {'-'.join(spec.machine.words)}, {money(then.cost_usd)}"
    return f"{where}, of {then.trained_at:%Y-%m-%d} · {took}"


def _in_parts(spec: JobSpec) -> str:
    jobs = len(spec.start.jobs) + 1 if spec.start else 1
    return (
        f"{jobs} jobs made it, one going on with another; this trains from the first step, with "
        "the settings of the last of them"
    )


def _libraries(then: Mapping[str, str], now: Mapping[str, str]) -> Iterator[Finding]:
    other = [
        f"{name} {then[name]} then, {now[name]} now"
        for name in then
        if name in now and not _same_version(name, then[name], now[name])
    ]
    if other:
        yield Finding("warn", "versions", some(other, 8))


def _same_version(name: str, then: str, now: str) -> bool:
    """Whether two versions are one; of Python, the image's last digit is not known before."""
    return then == now or (name == "python" and then.startswith(f"{now}."))


def _hardware(then: Manifest, now: Machine, report: CheckReport) -> Iterator[Finding]:
    before = then.spec.machine
    if before.words != now.words:
        told = then.hardware.get("gpus")
        gpus = f" ({some(sorted(set(told)))})" if isinstance(told, list) and told else ""
        text = f"{'-'.join(before.words)}{gpus} then, {'-'.join(now.words)} now"
        drift = "losses drift apart a little, more with each step"
        yield Finding("warn", "machine", f"{text}: {drift}")
    processes = then.spec.parallel.processes, report.parallel.processes
    if processes[0] != processes[1]:
        yield Finding("warn", "machine", "{} processes then, {} now".format(*processes))
