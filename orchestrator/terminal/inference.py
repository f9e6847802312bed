"""`hubtrain llm --inference`: one answer of a model, computed on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.preflight.lookup import find_model, in_folder
from orchestrator.preflight.model import Found, check_model
from orchestrator.settings.layers import Settings
from orchestrator.terminal.desk import Desk
from worker.clock import Clock
from worker.contract import ModelRef
from worker.errors import BadConfig, GatedModel, HubtrainError, HubUnreachable
from worker.hubclient import endpoint, hub
from worker.task import Task

if TYPE_CHECKING:
    from huggingface_hub import HfApi


def answer(desk: Desk, task: Task[Any], settings: Settings, own: Mapping[str, Any]) -> int:
    """Print the model's answer to the prompt; returns the exit code.

    In a process of its own, since this one must stay light. Raises `HubtrainError`.
    """
    model, prompt = settings.values.get("model"), own.get("prompt")
    if not model or not prompt:
        raise BadConfig('--inference needs --model and --prompt "…"')
    if find_spec("torch") is None or find_spec("transformers") is None:
        raise HubtrainError("answering needs torch here.", fix='pip install "hubtrain[llm]"')
    trusted = str(settings.values.get("trust_remote_code", False)).lower() in {"true", "1", "yes"}
    look = _Look(hub(desk.token), desk.clock)
    with desk.screen.waiting(f"Looking at {model}"):
        _check(str(model), task, look, trusted=trusted)
    command = [sys.executable, "-P", "-m", "worker.tasks.llm.generate", "--model", str(model)]
    command += [f"--prompt={prompt}", "--max-new-tokens", str(own["max_new_tokens"])]
    command += ["--trust-remote-code"] if trusted else []
    environ = {**os.environ, "HF_ENDPOINT": endpoint()}
    if look.offline:
        environ["HF_HUB_OFFLINE"] = "1"
    if desk.token:
        environ["HF_TOKEN"] = desk.token
    with desk.screen.waiting("Answering"):
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        why = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise HubtrainError(f"{model} could not answer: {why[-1]}")
    said = done.stdout.strip()
    desk.screen.plain(said)
    desk.screen.document({"model": model, "prompt": prompt, "answer": said})
    return 0


def _check(model: str, task: Task[Any], look: Callable[[str], Found], *, trusted: bool) -> None:
    """Raise what the check before a training would say of the model, or of an adapter's base."""
    _, findings = check_model(lambda: _whole(model, look), task.can_answer, trusted)
    for finding in findings.in_order():
        if finding.level == "error":
            raise BadConfig(finding.text, fix=finding.fix)


def _whole(name: str, look: Callable[[str], Found]) -> Found:
    """Return the model, or the base of the adapter, of that name."""
    found = look(name)
    base = found.adapter_of
    if base is None:
        return found
    if not base:
        raise BadConfig(f"{name} is a LoRA adapter and does not say of which model.")
    try:
        return look(base)
    except HubtrainError as error:
        raise BadConfig(
            f"{name} is a LoRA adapter for {base}, and without that it says nothing: "
            f"{error.message}",
            fix=error.fix if isinstance(error, GatedModel | HubUnreachable) else "",
        ) from error


@dataclass
class _Look:
    """Finds models; where the Hub does not answer, those that were fetched before."""

    hub: HfApi
    clock: Clock
    offline: bool = False

    def __call__(self, name: str) -> Found:
        try:
            return find_model(name, lambda: None, self.hub, self.clock)
        except HubUnreachable:
            kept = _kept(name)
            if kept is None:
                raise
            self.offline = True
            return replace(in_folder(str(kept)), ref=ModelRef(name=name))


def _kept(name: str) -> Path | None:
    """Return the folder of a model in the Hub's cache; none if it is not there."""
    from huggingface_hub import try_to_load_from_cache

    files = (try_to_load_from_cache(name, n) for n in ("config.json", "adapter_config.json"))
    return next((Path(file).parent for file in files if isinstance(file, str)), None)
