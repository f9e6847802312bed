"""`hubtrain TASK --inference`: one answer of a trained model, computed on this machine.

In a process of its own, which is `worker.answering`, since this one must stay light.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.preflight.lookup import find_model, in_folder
from orchestrator.preflight.model import FoundModel, check_model
from orchestrator.settings.layers import Settings
from orchestrator.terminal.aside import aside, environ_of
from orchestrator.terminal.desk import Desk
from worker.clock import Clock
from worker.common import Asking
from worker.contract import ModelRef
from worker.errors import BadConfig, GatedModel, HubtrainError, HubUnreachable
from worker.hubclient import hub
from worker.task import Task
from worker.tasks import typed

if TYPE_CHECKING:
    from huggingface_hub import HfApi

SECONDS = 1800.0
"""Longest wait for an answer: a large model may have to be fetched first."""


def answer(desk: Desk, task: Task[Any], settings: Settings, seconds: float = SECONDS) -> int:
    """Print a model's answer to a question; returns the exit code. Raises `HubtrainError`."""
    if task.question is None:
        raise BadConfig(f"models of {typed(task.name)} cannot be asked here.")
    question, model = settings.of(task.question), settings.of(Asking).model
    look = _Look(hub(desk.token), desk.clock, task.model_reads)
    if task.starts_from_model:
        trusted = bool(getattr(question, "trust_remote_code", False))
        with desk.screen.waiting(f"Looking at {model}"):
            _check(model, task, look, trusted=trusted)
    asked = {"model": model, "question": question.model_dump(mode="json")}
    environ = environ_of(desk.token) | ({"HF_HUB_OFFLINE": "1"} if look.offline else {})
    with desk.screen.waiting("Answering"):
        said = aside(("worker.answering", task.name), asked, environ, seconds)
    desk.screen.plain(said if isinstance(said, str) else json.dumps(said, indent=2))
    given = question.model_dump(mode="json", exclude_defaults=True)
    desk.screen.document({"model": model, **given, "answer": said})
    return 0


def _check(
    model: str, task: Task[Any], look: Callable[[str], FoundModel], *, trusted: bool
) -> None:
    """Raise what the check before a training would say of the model, or of an adapter's base."""
    _, findings = check_model(lambda: _whole(model, look), task.can_answer, trusted)
    for finding in findings.in_order():
        if finding.level == "error":
            raise BadConfig(finding.text, fix=finding.fix)


def _whole(name: str, look: Callable[[str], FoundModel]) -> FoundModel:
    """Return the model, or the base of the adapter, of that name."""
    found = look(name)
    base = found.adapter_of
    if base is None:
        return found
    if not base:
        raise BadConfig(f"{name} is a LoRA adapter and does not say of which model.")
    try:
        whole = look(base)
    except HubtrainError as error:
        raise BadConfig(
            f"{name} is a LoRA adapter for {base}, and without that it says nothing: "
            f"{error.message}",
            fix=error.fix if isinstance(error, GatedModel | HubUnreachable) else "",
        ) from error
    of_adapter = {name: path for name, path in found.files.items() if name.startswith("adapter")}
    return replace(whole, files={**whole.files, **of_adapter})


@dataclass
class _Look:
    """Finds models; where the Hub does not answer, those that were fetched before."""

    hub: HfApi
    clock: Clock
    reads: tuple[str, ...]
    offline: bool = False

    def __call__(self, name: str) -> FoundModel:
        try:
            return find_model(name, lambda: None, self.hub, self.clock, self.reads)
        except HubUnreachable:
            kept = _kept(name)
            if kept is None:
                raise
            self.offline = True
            return replace(in_folder(str(kept), self.reads), ref=ModelRef(name=name))


def _kept(name: str) -> Path | None:
    """Return the folder of a model in the Hub's cache; none if it is not there."""
    from huggingface_hub import try_to_load_from_cache

    files = (try_to_load_from_cache(name, n) for n in ("config.json", "adapter_config.json"))
    return next((Path(file).parent for file in files if isinstance(file, str)), None)
