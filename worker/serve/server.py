"""Loads a model and serves its page, until the machine stops.

The port opens once the model can answer: until then its Space is shown as starting, and one whose
model cannot be loaded ends, which costs nothing, with the reason in its log.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any

from worker import tasks
from worker.answers import the_one
from worker.contract import DEPLOYMENT_FILE, Deployment
from worker.errors import BadConfig, HubtrainError
from worker.importing import importing
from worker.serve.weights import ADAPTER, fetch
from worker.task import ModelFacts

TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")


def serve(folder: Path) -> int:
    """Serve what the deployment in `folder` says; returns the exit code of its process."""
    try:
        told = (folder / DEPLOYMENT_FILE).read_text(encoding="utf-8")
        deployment = Deployment.model_validate_json(told)
        _say(f"Fetching {deployment.model.name}")
        model = fetch(deployment, _token(), folder / "weights")
        _say("Loading the model")
        page = page_of(deployment, model)
    except (HubtrainError, OSError, ValueError) as error:
        _say(f"The model cannot be served: {error}")
        return 1
    _say("The model answers.")
    _run(page)
    return 0


def _token() -> str | None:
    """Return the token to fetch the model with, and forget it: to answer, none is needed."""
    found = [os.environ.pop(name, "") for name in TOKENS]
    return next(filter(None, found), None)


def page_of(deployment: Deployment, model: Path) -> Any:
    """Return the page on which the model in a folder answers. Raises `HubtrainError`."""
    os.environ.update(HF_HUB_OFFLINE="1", GRADIO_ANALYTICS_ENABLED="False")
    with importing():
        from worker.serve.page import chat_page, form_page
        from worker.serve.streaming import growing

    task, title = tasks.load(deployment.task), deployment.model.name
    shape = task.page(_facts(model, deployment))
    if shape is None or task.question is None:
        raise BadConfig(f"models of {tasks.typed(task.name)} have no page.")
    fixed = dict(deployment.question)
    question: Any = task.question
    if not shape.is_chat:
        answering = task.answering(str(model), question.model_construct(**fixed), 1)
        return form_page(
            title, shape, lambda asked: the_one(answering([question(**fixed, **asked)]))
        )
    system = str(fixed.pop("system", None) or "")
    session = task.session(str(model), question(**fixed), stop := threading.Event())
    if session is None:
        raise BadConfig(f"{title} cannot be talked to.")
    talk = partial(growing, session, stop)
    return chat_page(title, talk, system if session.has_template else None)


def _facts(model: Path, deployment: Deployment) -> ModelFacts:
    """Return what the files of a fetched model say of it."""
    adapter = _read(model / ADAPTER)
    base = Path(adapter.get("base_model_name_or_path") or model)
    return ModelFacts(deployment.model.name, 0, config=_read(base / "config.json"), adapter=adapter)


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    return found


def _run(page: Any) -> None:
    import uvicorn

    from worker.page.server import listening
    from worker.serve.page import application

    config = uvicorn.Config(
        application(page), log_config=None, access_log=False, ws="none", forwarded_allow_ips="*"
    )
    uvicorn.Server(config).run(sockets=[listening(os.environ)])


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
