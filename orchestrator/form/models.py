"""Models to choose from while one types: of the Hub, or folders of this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from orchestrator.form.draft import Draft
from orchestrator.form.fields import sampled
from orchestrator.jobs.client import Client
from worker.errors import HubtrainError
from worker.hubclient import explained, hub
from worker.params import settings_of
from worker.task import Task

MOST = 10
TRENDING, DOWNLOADED = 30, 100
FEWEST = 2
"""Letters from which on the Hub is asked."""


@dataclass(frozen=True, slots=True)
class Suggested:
    """Names that the text may become."""

    names: tuple[str, ...] = ()
    note: str = ""
    """Why there are none, where that is worth saying."""


def suggested(client: Client, said: Draft, text: str, *, folders: bool) -> Suggested:
    """Return models whose names hold the text, the most downloaded first.

    Those that do already what the task trains for come before all others. `folders`: whether
    folders of this machine are shown.
    """
    wanted = text.strip()
    if wanted.startswith(("/", ".", "~")):
        return Suggested(_folders(wanted)) if folders else Suggested()
    if len(wanted) < FEWEST:
        return Suggested()
    try:
        return Suggested(_on_hub(client, said, wanted))
    except HubtrainError:
        return Suggested(note="The Hub does not answer: type a model's name, or a folder.")


def popular(client: Client, task: Task[Any], given: Mapping[str, Any]) -> tuple[str, ...]:
    """Return models that a job of a task may begin with: of the Hub, those that many use now.

    First those that are talked of, then the most downloaded. Raises `HubtrainError` where the Hub
    cannot be asked.
    """
    setting = next((one for one in settings_of(task.params) if one.name == "model"), None)
    if setting is None or setting.choices:
        return tuple(map(str, setting.choices)) if setting else ()
    params = sampled(Draft(task, given))
    tag = task.pipeline_tag(params) if params else None
    find = partial(hub(client.token).list_models, pipeline_tag=tag)
    with explained("listing models"):
        names = dict.fromkeys(one.id for one in find(sort="trending_score", limit=TRENDING))
        names |= dict.fromkeys(one.id for one in find(sort="downloads", limit=DOWNLOADED))
    return tuple(names)


def _on_hub(client: Client, said: Draft, wanted: str) -> tuple[str, ...]:
    params = sampled(said)
    tag = said.task.pipeline_tag(params) if params else None
    api = hub(client.token)
    find = partial(api.list_models, search=wanted, sort="downloads", limit=MOST)
    with explained(f"looking for {wanted}"):
        names = dict.fromkeys(one.id for one in find(pipeline_tag=tag)) if tag else {}
        if len(names) < MOST:
            names |= dict.fromkeys(one.id for one in find())
    return tuple(islice(names, MOST))


def _folders(wanted: str) -> tuple[str, ...]:
    """Return folders whose paths begin with the text."""
    path = Path(wanted).expanduser()
    above, start = (path, "") if wanted.endswith("/") else (path.parent, path.name)
    try:
        inside = sorted(one for one in above.iterdir() if one.name.startswith(start))
        return tuple(str(one) for one in islice((o for o in inside if o.is_dir()), MOST))
    except OSError:
        return ()
