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
from orchestrator.preflight.request import CheckRequest
from orchestrator.words import count, size
from worker.errors import BadConfig
from worker.facts import CheckContext, ModelFacts
from worker.finding import Finding
from worker.folder import choose, name_there, shown

NAMED = 3
"""Files that are named of those that are left out for one reason."""


def check_settings(
    request: CheckRequest,
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
        tensors=model.tensors if model and based else {},
        other_model=other_model,
    )
    findings = Findings()
    findings.attempt("model", lambda: findings.add(request.params.checks(about)))
    findings.add(findings.attempt("files", partial(_check_along, request)) or ())
    return findings


def _check_along(request: CheckRequest) -> list[Finding]:
    """Return what goes along of folders. Raises `BadConfig` for what cannot.

    That is also where two have one name: they lie side by side then.
    """
    files = request.along
    first: dict[str, str] = {}
    for path in files:
        other = first.setdefault(name_there(Path(path)), path)
        if other != path:
            said = f"two files that go along have the same name: {other}, {path}"
            raise BadConfig(said, fix="Rename one.")
    folders = [path for path in map(Path, files) if path.expanduser().is_dir()]
    return [Finding("ok", "files", _folder_in_words(path)) for path in folders]


def _folder_in_words(path: Path) -> str:
    """Return what of a folder goes along, and what does not, the first few of each by name."""
    chosen = choose(path)
    text = f"{path}: {count(len(chosen.files), 'file')}, {size(chosen.size)}"
    left_out = [
        f"{', '.join(map(shown, names[:NAMED]))}"
        f"{f' and {len(names) - NAMED:,} more' if len(names) > NAMED else ''} ({why})"
        for why, names in chosen.left_out.items()
    ]
    return f"{text} · left out: {'; '.join(left_out)}" if left_out else text
