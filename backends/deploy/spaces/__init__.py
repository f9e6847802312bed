"""Hugging Face Spaces: a page on which a model answers, made of the image that jobs run in.

The Space is made on free hardware and the paid machine is requested last. A variable marks it as
ours; its name is all that is needed to find it again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from backends.base import Flavor, OnProgress, Status, silent
from backends.deploy.base import SECRET, Deployed, DeployOrder, Place
from backends.deploy.spaces.request import (
    DEPLOYMENT_TAG,
    SCHEME,
    SpaceDeployment,
    files_of,
    refuse_name,
)
from backends.deploy.spaces.sending import Sending, model_of
from backends.errors import JobGone
from backends.handle import Handle
from backends.hub import logs
from backends.hub.files import delete
from backends.hub.hardware import FREE
from backends.hub.space import KIND
from backends.spaces import Spaces as JobSpaces
from backends.spaces import build_log, run_log, status_of
from worker.errors import NotThere
from worker.hubclient import hub, patiently

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import SpaceInfo


class Spaces(Place[SpaceDeployment]):
    """A Space with a page: a chat, or a form."""

    name = "spaces"
    scheme = SCHEME
    noun = "Space"
    needs = JobSpaces.needs
    usual_flavor = FREE
    short_names = JobSpaces.short_names

    @property
    def api(self) -> HfApi:
        """The Hub, as the owner of the token."""
        return hub(self.token)

    def flavors(self, owner: str) -> list[Flavor]:
        """Return what the Hub rents out for Spaces: the same to everybody."""
        return JobSpaces(self.token, self.clock).flavors()

    def default_name(self, model: str) -> str:
        """Return the model's name with a word for what it does there."""
        return f"{model.rsplit('/', maxsplit=1)[-1]}-chat"

    def rests(self, order: DeployOrder) -> str:
        """Return when the Space goes to sleep: on free hardware the Hub decides."""
        if order.flavor.name == FREE:
            return "asleep after 48 h without a visitor, awake again with the next one"
        minutes = order.sleep_seconds / 60
        return f"asleep and free after {minutes:g} min without a visitor, until the next one comes"

    def plan(self, order: DeployOrder) -> SpaceDeployment:
        """Return the Space that serves the model."""
        refuse_name(order.name)
        paid = order.flavor.name != FREE
        return SpaceDeployment(
            repo_id=order.path,
            model=order.deployment.model.name,
            private=order.private,
            flavor=order.flavor.name,
            usd_per_hour=order.flavor.usd_per_hour,
            sleep_seconds=order.sleep_seconds if paid else None,
            needs_token=order.needs_token,
            files=tuple(files_of(order)),
        )

    def send(
        self,
        request: SpaceDeployment,
        secrets: Mapping[str, str],
        on_progress: OnProgress = silent,
    ) -> Handle:
        """Make the Space, or bring it up to date."""
        wanted = {SECRET: secrets[SECRET]} if request.needs_token else {}
        Sending(self.api, request, wanted, self.clock, on_progress).run()
        return Handle(self.scheme, request.repo_id)

    def look(self, handle: Handle) -> Deployed:
        """Ask the Hub about the Space."""
        try:
            info = patiently(
                f"asking about {handle}", lambda: self.api.space_info(handle.path), self.clock
            )
        except NotThere as gone:
            raise JobGone(
                f"the Hub has no Space {handle.path}, or shows it to others alone."
            ) from gone
        return self._deployed(info)

    def last_words(self, handle: Handle) -> Iterator[str]:
        """Yield what its build and its program wrote."""
        yield from logs.read(build_log(handle.path), self.token)
        yield from logs.read(run_log(handle.path), self.token)

    def pause(self, handle: Handle) -> None:
        """Pause the Space, if it is ours."""
        if self._is_ours(handle):
            patiently(
                f"pausing {handle.path}", lambda: self.api.pause_space(handle.path), self.clock
            )

    def remove(self, handle: Handle) -> None:
        """Delete the Space, if it is ours."""
        if self._is_ours(handle):
            delete(self.api, handle.path, KIND, self.clock)

    def sweep(self, owner: str) -> list[Deployed]:
        """Return the Spaces of `owner` that are tagged as deployments."""
        found = patiently(
            f"listing the Spaces of {owner}",
            lambda: list(self.api.list_spaces(author=owner, expand=["tags", "runtime"])),
            self.clock,
        )
        ours = (space for space in found if DEPLOYMENT_TAG in (space.tags or []))
        return [self._deployed(space) for space in ours]

    def _deployed(self, space: SpaceInfo) -> Deployed:
        status: Status = status_of(space)
        runtime = space.runtime
        flavor = (runtime.requested_hardware or runtime.hardware) if runtime else None
        model = model_of(self.api, space.id, self.clock) or "?"
        ready = status.stage == "RUNNING"
        return Deployed(Handle(self.scheme, space.id), model, str(flavor or FREE), status, ready)

    def _is_ours(self, handle: Handle) -> bool:
        """Look whether it is there. Raises `LaunchFailed` if hubtrain did not make it."""
        return model_of(self.api, handle.path, self.clock) is not None


PLACE = Spaces
