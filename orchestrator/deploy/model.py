"""The model that is to answer: whole or an adapter, on the Hub, of which task, and how large."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import worker.tasks
from orchestrator.jobs.client import Client
from orchestrator.preflight.lookup import find_model, is_folder
from orchestrator.preflight.model import FoundModel, facts_of
from orchestrator.words import size
from worker.contract import ModelRef
from worker.errors import BadConfig
from worker.facts import ModelFacts
from worker.hubclient import hub, patiently
from worker.hubrepo import sizes_of
from worker.task import Page, Task
from worker.weights import SAFE

if TYPE_CHECKING:
    from huggingface_hub.hf_api import ModelInfo


@dataclass(frozen=True)
class Deployable:
    """A model that can be asked on a page."""

    task: Task[Any]
    page: Page
    ref: ModelRef
    facts: ModelFacts
    """Of the base where it is an adapter."""

    stored_bytes: float
    """Size of the weights, those of an adapter's base among them."""

    private: bool
    needs_token: bool
    """Whether nobody reads it, or its base, without a token."""

    base: ModelRef | None = None
    is_there: bool = True
    """Whether it is on the Hub already; not where a training is yet to make it."""

    fixed: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the question that are the same for all visitors."""

    @property
    def name(self) -> str:
        return self.ref.name

    @property
    def words(self) -> str:
        """What it is, in a line."""
        commit = f" @ {self.ref.revision[:7]}" if self.ref.revision else ""
        kind = f"adapter for {self.base.name}" if self.base else "whole model"
        parts = (f"{self.name}{commit}", kind, size(self.stored_bytes), self.page.does)
        return " · ".join((*parts, "private" if self.private else "public"))

    @property
    def names(self) -> tuple[str, ...]:
        """The repos of it that can be read already."""
        own = self.ref if self.is_there else None
        return tuple(ref.name for ref in (own, self.base) if ref)


def deployable(
    client: Client, name: str, task: Task[Any] | None, fixed: Mapping[str, Any]
) -> Deployable:
    """Return the model of that name. Its task is looked for where none is said.

    Raises `HubtrainError` for one that is not there, or that no page can ask.
    """
    if is_folder(name):
        raise BadConfig(
            f"{name} is a folder here, and what answers elsewhere cannot see it.",
            fix=f"hf upload NAME {name}, then hubtrain deploy NAME",
        )
    tasks = [task] if task else [worker.tasks.load(one) for one in worker.tasks.names()]
    reads = tuple(dict.fromkeys(file for one in tasks for file in one.model_reads))
    look = partial(_found, client, reads)
    found = look(name)
    base = _base(found, look)
    facts = facts_of(base or found)
    if base:
        facts = replace(facts, adapter=found.read("adapter_config.json"))
    able, page = _able(tasks, facts, name)
    _refuse_of_others(able, fixed)
    infos = [_info(client, one.ref) for one in (found, base) if one]
    for info in infos:
        _only_safetensors(info)
    return Deployable(
        task=able,
        page=page,
        ref=found.ref,
        facts=facts,
        stored_bytes=found.stored_bytes + (base.stored_bytes if base else 0.0),
        private=any(bool(info.private) for info in infos),
        needs_token=any(bool(info.private or info.gated) for info in infos),
        base=base.ref if base else None,
        fixed=fixed,
    )


def _found(client: Client, reads: tuple[str, ...], name: str) -> FoundModel:
    return find_model(name, lambda: None, hub(client.token), client.clock, reads)


def _base(found: FoundModel, look: Callable[[str], FoundModel]) -> FoundModel | None:
    """Return the model that an adapter belongs to; none for a whole model."""
    name = found.adapter_of
    if name is None:
        return None
    if not name or is_folder(name):
        raise BadConfig(
            f"{found.ref.name} is a LoRA adapter for {name or 'a model that it does not name'}, "
            "which is not on the Hub.",
            fix="Merge it into its base first, and deploy that.",
        )
    return look(name)


def _able(tasks: Sequence[Task[Any]], facts: ModelFacts, name: str) -> tuple[Task[Any], Page]:
    """Return the first of the tasks that can answer with the model, and the page for it."""
    refused: list[BadConfig] = []
    for task in tasks:
        try:
            task.can_answer(facts)
        except BadConfig as error:
            refused.append(error)
            continue
        if page := task.page(facts):
            return task, page
    if len(tasks) == 1 and refused:
        raise refused[0]
    known = map(worker.tasks.load, worker.tasks.names())
    able = [worker.tasks.typed(one.name) for one in known if one.has_page]
    raise BadConfig(
        f"{name} is no model that can be deployed: pages are there for those of {', '.join(able)}.",
        fix="hubtrain TASK --inference asks a model on this machine.",
    )


def _refuse_of_others(task: Task[Any], fixed: Mapping[str, Any]) -> None:
    """Raise `BadConfig` for settings of answers that models of other tasks give."""
    if strange := [f"--{name.replace('_', '-')}" for name in fixed if name not in task.fixed]:
        own = worker.tasks.typed(task.name)
        does = "does" if len(strange) == 1 else "do"
        raise BadConfig(
            f"{', '.join(strange)} {does} nothing where a model of {own} answers.",
            fix=f"Leave {', '.join(strange)} out",
        )


def _info(client: Client, ref: ModelRef) -> ModelInfo:
    def ask() -> ModelInfo:
        found = hub(client.token).model_info(ref.name, revision=ref.revision)
        sizes_of(found)
        return found

    return patiently(f"looking at {ref.name}", ask, client.clock)


def _only_safetensors(info: ModelInfo) -> None:
    files = [file.rfilename for file in info.siblings or []]
    if not any(file.endswith(SAFE) for file in files):
        raise BadConfig(
            f"{info.id} has no weights in safetensors; files of other kinds can run what their "
            "maker likes, and are not loaded.",
        )
