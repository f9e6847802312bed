"""Settings that would do nothing, or ruin the model, although their values are allowed.

What they mean is known to the groups that declare them, which say it themselves: see
`Params.checks`. This file only tells them what surrounds them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from backends.base import Backend
from orchestrator.preflight.lookup import is_folder
from orchestrator.preflight.model import BaseModel
from orchestrator.preflight.report import Findings
from orchestrator.preflight.request import JobRequest
from worker.errors import BadConfig, HubtrainError
from worker.facts import CheckContext, ModelFacts


def check_settings(
    request: JobRequest,
    backend: Backend[Any],
    model: BaseModel | None,
    other_model: Callable[[str, str], ModelFacts],
) -> Findings:
    """Return what there is to say about the settings, with the base model where it was found.

    `other_model` finds one more, by the flag that names it and its name.
    """
    name = str(getattr(request.params, "model", ""))
    based = model is not None and model.ref is not None
    about = CheckContext(
        typed=request.typed,
        pushed=request.job.push_to_hub,
        model=name,
        model_is_here=backend.sees_my_files and is_folder(name),
        secrets=request.secrets,
        facts=model.facts if model and based else None,
        tensors=model.tensors if model and based else tuple,
        other_model=other_model,
    )
    findings = Findings()
    findings.attempt("model", lambda: findings.add(request.params.checks(about)))
    findings.attempt("settings", partial(_check_along, request))
    return findings


def _check_along(request: JobRequest) -> None:
    """Raise `BadConfig` where two files that go along have one name: they lie side by side then."""
    try:
        files = request.task.files(request.params)
    except HubtrainError:  # said by the setting that names the file
        return
    first: dict[str, str] = {}
    for path in files:
        other = first.setdefault(Path(path).name, path)
        if other != path:
            said = f"two files that go along have the same name: {other}, {path}"
            raise BadConfig(said, fix="Rename one.")
