"""Whether a model can be asked, told before it is fetched: as the check before a training does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.preflight.lookup import find_model, in_folder
from orchestrator.preflight.model import FoundModel, check_model
from worker.clock import Clock
from worker.contract import ModelRef
from worker.errors import BadConfig, GatedModel, HubtrainError, HubUnreachable
from worker.facts import ModelFacts
from worker.paths import ref_of
from worker.task import Task

if TYPE_CHECKING:
    from huggingface_hub import HfApi


def check(model: str, task: Task[Any], look: Look, *, trusted: bool) -> ModelFacts:
    """Return what the model is like, or an adapter's base.

    Raises what the check before a training would say of it.
    """
    if not task.starts_from_model:
        facts = ModelFacts(model, 0, config=look(model).read("config.json"))
        task.can_answer(facts)
        return facts
    found, findings = check_model(lambda: _whole(model, look), task.can_answer, trusted)
    for finding in findings.in_order():
        if finding.level == "error":
            raise BadConfig(finding.text, fix=finding.fix)
    assert found is not None  # or there would be an error
    return found.facts


def _whole(name: str, look: Callable[[str], FoundModel]) -> FoundModel:
    """Return the model, or the base of the adapter, of that name."""
    found = look(name)
    base = found.adapter_of
    if base is None:
        return found
    if not base:
        raise BadConfig(
            f"{name} is a LoRA adapter and does not say of which model.",
            fix="Name it in its adapter_config.json, as base_model_name_or_path.",
        )
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
class Look:
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

    ref = ref_of(name)
    files = (
        try_to_load_from_cache(ref.name, file, revision=ref.revision)
        for file in ("config.json", "adapter_config.json")
    )
    return next((Path(file).parent for file in files if isinstance(file, str)), None)
