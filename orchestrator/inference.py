"""`hubtrain llm --inference`: one answer of a model, computed on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from orchestrator.desk import Desk
from worker.errors import BadConfig, HubtrainError
from worker.hubclient import endpoint


def answer(desk: Desk, model: str | None, own: Mapping[str, Any]) -> int:
    """Print the model's answer to the prompt; returns the exit code.

    In a process of its own, since this one must stay light. Raises `HubtrainError`.
    """
    if not model or not own.get("prompt"):
        raise BadConfig('--inference needs --model and --prompt "…"')
    if find_spec("torch") is None or find_spec("transformers") is None:
        raise HubtrainError("answering needs torch here.", fix='pip install "hubtrain[llm]"')
    command = [sys.executable, "-m", "worker.tasks.llm.generate", "--model", model]
    command += ["--prompt", str(own["prompt"]), "--max-new-tokens", str(own["max_new_tokens"])]
    environ = {**os.environ, "HF_ENDPOINT": endpoint()}
    if desk.token:
        environ["HF_TOKEN"] = desk.token
    done = subprocess.run(command, env=environ, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise HubtrainError(f"{model} could not answer (exit code {done.returncode}).")
    said = done.stdout.strip()
    desk.screen.plain(said)
    desk.screen.document({"model": model, "prompt": own["prompt"], "answer": said})
    return 0
