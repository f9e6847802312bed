"""Brings what a job trains with to this machine, before it trains: `python -m worker.run --fetch`.

Afterwards training needs no token, so that the code of a model or a library that runs with it finds
none. Which models nobody may read without one is written down, in `FETCHED` of the work folder: a
library that looks for more of those has to be content with what is here.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from worker import tasks, weights
from worker.contract import DataRef, JobSpec, ModelRef
from worker.errors import HubtrainError
from worker.hubclient import explained, hub
from worker.task import Task

FETCHED = "fetched.json"


def needs_token(job: JobSpec) -> bool:
    """Whether training itself asks the Hub as the job's owner."""
    task, params = _read(job)
    return task is not None and task.needs_token(params)


def has_any(job: JobSpec) -> bool:
    """Whether a job takes anything from the Hub."""
    return bool(_models(job) or _on_hub(job))


def fetch(job: JobSpec, work: Path) -> None:
    """Bring models and examples here, into the cache of the Hub's library. Raises `HubError`."""
    from worker.reading import local_files

    token, trusted = os.environ.get("HF_TOKEN"), bool(job.params.get("trust_remote_code"))
    models = _models(job)
    for model in models:
        weights.fetch_to_train(model, token, trusted=trusted)
    for ref in _on_hub(job):
        local_files(ref)
    found = list(_closed(model.name for model in models))
    work.mkdir(parents=True, exist_ok=True)
    (work / FETCHED).write_text(json.dumps({"closed": found}), encoding="utf-8")


def closed(work: Path) -> list[str]:
    """Return the models that were fetched and that nobody may read without a token."""
    told: list[str] = json.loads((work / FETCHED).read_text(encoding="utf-8"))["closed"]
    return told


def _read(job: JobSpec) -> tuple[Task[Any] | None, Any]:
    """Return a job's task and settings; none where the trainer will say what is wrong with them."""
    try:
        task = tasks.load(job.task)
        return task, task.params.model_validate(job.params)
    except ValueError:
        return None, None


def _models(job: JobSpec) -> list[ModelRef]:
    task, params = _read(job)
    base = [job.model] if job.model is not None and job.model.on_hub else []
    return [*base, *map(ModelRef.named, task.loads(params) if task else ())]


def _on_hub(job: JobSpec) -> list[DataRef]:
    return [ref for ref in (job.data, job.files) if ref is not None and ref.repo_id]


def _closed(names: Iterable[str]) -> Iterator[str]:
    """Yield the models that a stranger may not read; one that cannot be asked about is one too."""
    for name in dict.fromkeys(names):
        try:
            with explained(f"asking who may read {name}"):
                hub(None).auth_check(name)
        except HubtrainError:
            yield name
