"""Is everything on this machine that a job needs? Asked by `doctor`, and by `setup` at its end."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
from collections.abc import Iterator
from importlib.util import find_spec

import worker.tasks
from backends.packages import missing
from orchestrator.terminal.desk import Desk
from orchestrator.words import size
from worker.account import who
from worker.errors import HubtrainError
from worker.home import home
from worker.hubclient import endpoint, hub
from worker.installing import install
from worker.task import Finding

_LEAST_BYTES = 2e9


def checkup(desk: Desk) -> list[Finding]:
    """Return what there is to say of packages, disk and token."""
    return [*_version(), *_local_training(), *_disk(), *_account(desk)]


def _version() -> Iterator[Finding]:
    version = importlib.metadata.version("hubtrain")
    yield Finding("ok", "hubtrain", f"{version} · Python {platform.python_version()}")


def _local_training() -> Iterator[Finding]:
    """Say which tasks can train on this machine, and what it lacks for the others."""
    needs: dict[tuple[str, ...], list[str]] = {}
    for task in map(worker.tasks.load, worker.tasks.names()):
        needs.setdefault(task.extras, []).append(worker.tasks.typed(task.name))
    lacking = {extras: names for extras, names in needs.items() if _lacks(extras)}
    able = [name for extras, names in needs.items() if extras not in lacking for name in names]
    if able:
        yield Finding("ok", "local", f"jobs can train here: {', '.join(sorted(able))}")
    if lacking:
        of = (f"{','.join(extras)} for {', '.join(names)}" for extras, names in lacking.items())
        text = f"renting works; training here needs extras: {'; '.join(of)}"
        every = dict.fromkeys(extra for extras in lacking for extra in extras)
        yield Finding("warn", "local", text, install(every))
    yield from _torchvision()


def _lacks(extras: tuple[str, ...]) -> bool:
    try:
        return bool(missing(extras))
    except HubtrainError:  # hubtrain was installed when it had no such extra
        return True


def _torchvision() -> Iterator[Finding]:
    """A torchvision made for another torch breaks even text training, at import."""
    if find_spec("torchvision") is None or find_spec("torch") is None:
        return
    needs = importlib.metadata.requires("torchvision") or []
    wanted = next((n for n in needs if n.replace(" ", "").startswith("torch==")), "")
    have = importlib.metadata.version("torch").split("+")[0]
    if wanted and wanted.replace(" ", "").removeprefix("torch==").split(";")[0] != have:
        text = f"torchvision wants {wanted}, here is torch {have}: importing transformers will fail"
        yield Finding("error", "local", text, "pip uninstall torchvision")


def _disk() -> Iterator[Finding]:
    folder = home()
    nearest = next(p for p in (folder, *folder.parents) if p.exists())
    free = shutil.disk_usage(nearest).free
    if not os.access(nearest, os.W_OK):
        text = f"{nearest} cannot be written in, and records belong in {folder}"
        yield Finding("error", "disk", text, "HUBTRAIN_HOME=/another/folder")
        return
    level = "ok" if free > _LEAST_BYTES else "warn"
    yield Finding(level, "disk", f"{size(free)} free for {folder}")


def _account(desk: Desk) -> Iterator[Finding]:
    if desk.token is None:
        fix = f"Make one at {endpoint()}/settings/tokens, then: hf auth login"
        yield Finding("warn", "account", "no Hub token; only local jobs without --push-to-hub", fix)
        return
    try:
        account = who(hub(desk.token), desk.clock)
    except HubtrainError as error:
        yield Finding("error", "account", error.message, error.fix)
        return
    role = account.token_role or "unknown"
    level = "warn" if role == "read" else "ok"
    fix = (
        f"To push, make one that may write: {endpoint()}/settings/tokens" if role == "read" else ""
    )
    yield Finding(level, "account", f"{account.name} at {endpoint()} · token may {role}", fix)
