"""Hugging Face Spaces: a private Docker Space per job, on rented hardware.

The Space is built on free hardware and the paid machine is requested last; the worker inside
waits until it finds itself on it. Cancelling pauses, since a paused Space costs nothing, keeps
its logs' place, and only its owner can start it again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar

from backends.base import Backend, Flavor, Found, Need, OnProgress, Status, silent
from backends.errors import BackendError
from backends.handle import Handle
from backends.hub import logs
from backends.hub.files import delete, recalled
from backends.hub.hardware import FREE, SHORT_NAMES, flavors
from backends.hub.refusals import absent, shown
from backends.hub.space import KIND, TAG
from backends.spaces.launch import Launch, job_of
from backends.spaces.request import JOB_TAG, SpaceRequest, plan, space_name
from worker.clock import ALPHABET
from worker.contract import EndReason, JobSpec
from worker.errors import NotThere
from worker.hubclient import endpoint, hub, patiently

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import SpaceInfo

_COSTS_NOTHING = {FREE, "zero-a10g"}

_UNBUILT = {"CONFIG_ERROR", "BUILD_ERROR"}

_ENDED = _UNBUILT | {"RUNTIME_ERROR", "PAUSED", "STOPPED", "SLEEPING", "DELETING"}
"""Stages from which no worker comes back by itself. One nobody has heard of yet is not among
them, and neither is NO_APP_FILE, which a Space shows until the Hub has seen its first commit."""

_UNBILLED = _ENDED | {"NO_APP_FILE", "BUILDING"}
"""Stages that cost nothing on any hardware."""

_UNTAGGED = re.compile(rf"-[{ALPHABET}]{{6}}$")
"""The end of the name of a Space whose launch was cut short before its tags were sent."""


class Spaces(Backend[SpaceRequest]):
    """A private Docker Space per job, found again by its name, `owner/project-job`."""

    name = "spaces"
    noun = "Space"
    sees_my_files = False
    keeps_disk = False
    bills = True
    builds_image = True
    on_hub = True
    needs = (Need("plan", "Docker Spaces need a paid plan", "Docker Spaces allowed"),)
    short_names: ClassVar[Mapping[str, str]] = SHORT_NAMES

    @property
    def api(self) -> HfApi:
        """The Hub, as the owner of the token."""
        return hub(self.token)

    def flavors(self) -> list[Flavor]:
        """Return what the Hub rents out for Spaces, cheapest first. Asks the Hub."""
        return patiently(
            "asking for hardware and prices",
            lambda: flavors(self.api.list_spaces_hardware()),
            self.clock,
        )

    def writes(self, owner: str, project: str) -> tuple[str, ...]:
        """Return the Space, which is a repo of its own."""
        return (space_name(owner, project, "…"),)

    def plan(self, job: JobSpec) -> SpaceRequest:
        """Return the Space that runs `job`."""
        return plan(job)

    def launch(
        self, request: SpaceRequest, secrets: Mapping[str, str], on_progress: OnProgress = silent
    ) -> Handle:
        """Create the Space, send its files, and request its hardware, in this order."""
        Launch(self.api, request, secrets, self.clock, on_progress).run()
        return Handle(self.name, request.repo_id)

    def find(self, request: SpaceRequest) -> Handle | None:
        """Return the Space of a complete launch. Raises `LaunchFailed` if the name is another's."""
        launch = Launch(self.api, request, {}, self.clock, silent)
        return Handle(self.name, request.repo_id) if launch.complete() else None

    def status(self, handle: Handle) -> Status:
        """Ask the Hub about the Space, and about the token where it shows none."""
        try:
            return shown(handle, lambda: status_of(self.api.space_info(handle.path)))
        except NotThere as gone:
            text = f"The Hub has no Space {handle.path}."
            raise absent(handle, text, self.api, self.clock) from gone

    def logs(self, handle: Handle, *, skip: int = 0, follow: bool = False) -> Iterator[str]:
        """Yield the worker's lines; following survives dropped streams and restarts."""
        if follow:
            log, alive = run_log(handle.path), lambda: self.status(handle).alive
            lines = logs.follow(log, self.token, alive, self.clock)
        else:
            lines = logs.read(run_log(handle.path), self.token)
        return islice(lines, skip, None)

    def recall(self, handle: Handle) -> JobSpec:
        """Read the job from the Space's files."""
        return recalled(self.api, handle.path, KIND, handle)

    def maker(self, handle: Handle) -> str | None:
        """Return whose the Space's first commit is."""
        where: dict[str, Any] = {"repo_id": handle.path, "repo_type": KIND}
        commits = patiently(
            f"asking who made {handle.path}",
            lambda: self.api.list_repo_commits(**where),
            self.clock,
        )
        return next(iter(commits[-1].authors), None) if commits else None

    def build_logs(self, handle: Handle) -> Iterator[str]:
        """Yield what the build of the image wrote."""
        return logs.read(build_log(handle.path), self.token)

    def cancel(self, handle: Handle) -> None:
        """Pause the Space. One that is paused, or gone, costs nothing already."""
        with suppress(NotThere):
            patiently(
                f"pausing {handle.path}", lambda: self.api.pause_space(handle.path), self.clock
            )

    def holds_secrets(self, handle: Handle) -> bool:
        """Ask the Hub: a Space keeps its secrets while it is paused."""
        return bool(self._secrets(handle))

    def forget_secrets(self, handle: Handle) -> None:
        """Delete the Space's secrets."""
        names = self._secrets(handle)
        for name in names:
            drop = partial(self.api.delete_space_secret, handle.path, name)
            patiently(f"deleting the secret {name} of {handle.path}", drop, self.clock)
        if names and self.status(handle).alive:  # a change of settings may restart a Space
            self.cancel(handle)

    def _secrets(self, handle: Handle) -> list[str]:
        ask = partial(self.api.get_space_secrets, handle.path)
        with suppress(NotThere):
            return list(patiently(f"looking for secrets of {handle.path}", ask, self.clock))
        return []

    def remove(self, handle: Handle) -> None:
        """Delete the Space. Refuses one that hubtrain did not make."""
        try:
            job = job_of(self.api, handle.path, self.clock)
        except NotThere:
            return
        if job is None:
            raise BackendError(
                f"{handle.path} was not made by hubtrain and is left alone.",
                fix=f"It can be deleted by hand: {endpoint()}/spaces/{handle.path}/settings",
            )
        ask = partial(self.api.space_info, handle.path)
        with suppress(NotThere):  # it may have been renamed: a deletion is led on to no other name
            there = patiently(f"looking at {handle.path}", ask, self.clock)
            delete(self.api, there.id, KIND, self.clock)

    def listed_as(self, handle: Handle) -> Handle:
        """Ask the Hub, which leads from a Space's old name on to its new one."""
        ask = partial(self.api.space_info, handle.path)
        return Handle(self.name, patiently(f"looking at {handle.path}", ask, self.clock).id)

    def sweep(self, owner: str) -> list[Found]:
        """Return every Space of `owner` that was made for a job, finished or cut short."""
        return patiently(
            f"listing the Spaces of {owner}", lambda: list(self._of(owner)), self.clock
        )

    def _of(self, owner: str) -> Iterator[Found]:
        expand: list[Any] = ["tags", "runtime", "createdAt"]
        for space in self.api.list_spaces(author=owner, expand=expand):
            if job := self._job_of(space):
                where = Handle(self.name, space.id)
                yield Found(where, job, status_of(space), space.created_at)

    def _job_of(self, space: SpaceInfo) -> str | None:
        tags = space.tags or []
        if TAG in tags:
            return next((t.removeprefix(JOB_TAG) for t in tags if t.startswith(JOB_TAG)), None)
        if not _UNTAGGED.search(space.id):
            return None
        try:
            return job_of(self.api, space.id, self.clock)
        except NotThere:  # deleted since it was listed
            return None


def run_log(repo_id: str) -> str:
    """Return where the log of a Space's program is."""
    return f"spaces/{repo_id}/logs/run"


def build_log(repo_id: str) -> str:
    """Return where the log of a Space's build is."""
    return f"spaces/{repo_id}/logs/build"


def status_of(space: SpaceInfo) -> Status:
    """Return what the Hub says of a Space, as a status."""
    runtime = space.runtime.raw if space.runtime else {}
    stage = str(runtime.get("stage", "NO_APP_FILE"))
    hardware = set((runtime.get("hardware") or {}).values()) - {None}
    return Status(
        alive=stage not in _ENDED,
        costing=stage not in _UNBILLED and not hardware <= _COSTS_NOTHING,
        stage=stage,
        detail=str(runtime.get("errorMessage") or ""),
        url=space.host,
        reason=EndReason.BUILD_ERROR if stage in _UNBUILT else None,
    )


BACKEND = Spaces
