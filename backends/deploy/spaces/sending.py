"""Makes a Space that serves something, or brings it up to date.

Every step looks before it acts, so that what was cut short is completed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from backends.base import OnProgress
from backends.deploy.base import SECRET
from backends.deploy.spaces.request import APP, VARIABLE, SpaceDeployment
from backends.errors import LaunchFailed
from backends.hub.files import commit, delete, has_files, once
from backends.hub.space import KIND
from backends.spaces.launch import create, rent
from worker.clock import Clock
from worker.errors import HubtrainError, HubUnreachable, NotThere
from worker.hubclient import explained, patiently

if TYPE_CHECKING:
    from huggingface_hub import HfApi

T = TypeVar("T")

_DOWN = {"PAUSED", "STOPPED", "SLEEPING", "RUNTIME_ERROR", "BUILD_ERROR", "CONFIG_ERROR"}
"""Stages from which a Space does not come back because its settings changed."""


class Sending:
    """One `send`."""

    def __init__(
        self,
        api: HfApi,
        request: SpaceDeployment,
        secrets: Mapping[str, str],
        clock: Clock,
        on_progress: OnProgress,
    ) -> None:
        self.api, self.request, self.secrets = api, request, secrets
        self.clock, self.on_progress = clock, on_progress
        self.made = False

    def run(self) -> None:
        """Do what is not done yet; a Space that this call made is removed where it fails."""
        try:
            self._run()
        except BaseException as error:
            if self.made:
                delete(self.api, self.request.repo_id, KIND, self.clock)
            if self.made and isinstance(error, HubtrainError):
                text = f"{error.message} The Space {self.request.repo_id} was removed again."
                raise LaunchFailed(text, fix=error.fix, reason=error.reason) from error
            raise

    def _run(self) -> None:
        request = self.request
        if self._there():
            self.on_progress("updating the Space", None)
            self._update()
        else:
            self.on_progress("creating the Space", None)
            self._once(self._create, self._there)
        changed = not self._has_files()
        if changed:
            self.on_progress(f"sending {len(request.files)} files", None)
            self._once(self._commit, self._has_files)
        self._rent()
        if not self.made and self._stage() in _DOWN:
            self.on_progress("starting the Space", None)
            self._ask(lambda: self.api.restart_space(request.repo_id, factory_reboot=changed))

    def _there(self) -> bool:
        """Look whether it is there. Raises `LaunchFailed` where another kind of Space is."""
        there = model_of(self.api, self.request.repo_id, self.clock)
        if there is not None and APP in {there, self.request.model} and there != self.request.model:
            raise LaunchFailed(
                f"the Space {self.request.repo_id} serves {there}, and is left alone.",
                fix="--deploy-name with another one",
            )
        return there is not None

    def _create(self) -> None:
        request = self.request
        self.made = True
        try:
            with explained(f"creating the Space {request.repo_id}"):
                create(
                    self.api,
                    request.repo_id,
                    request.variables,
                    self.secrets,
                    private=request.private,
                )
        except HubUnreachable:  # perhaps it was made all the same
            raise
        except HubtrainError:
            self.made = False
            raise

    def _update(self) -> None:
        """Bring what visitors may see, and what the Space may read, up to date."""
        repo, wanted = self.request.repo_id, self.request
        info = self._ask(lambda: self.api.space_info(repo))
        if bool(info.private) != wanted.private:
            self._ask(
                lambda: self.api.update_repo_settings(
                    repo, private=wanted.private, repo_type="space"
                )
            )
        if self._ask(lambda: self.api.get_space_variables(repo))[VARIABLE].value != wanted.model:
            self._ask(lambda: self.api.add_space_variable(repo, VARIABLE, wanted.model))
        for name, value in self.secrets.items():
            self._ask(partial(self.api.add_space_secret, repo, name, value))
        there = self._ask(lambda: self.api.get_space_secrets(repo))
        for name in there.keys() & {SECRET} - self.secrets.keys():
            self._ask(partial(self.api.delete_space_secret, repo, name))

    def _commit(self) -> None:
        request = self.request
        commit(self.api, request.repo_id, KIND, request.files, f"Serve {request.model}")

    def _has_files(self) -> bool:
        return self._ask(
            lambda: has_files(self.api, self.request.repo_id, KIND, self.request.files)
        )

    def _rent(self) -> None:
        """Request the machine, and when it is to sleep, where they are not as they should be."""
        repo, flavor, sleep = self.request.repo_id, self.request.flavor, self.request.sleep_seconds
        runtime = self._ask(lambda: self.api.get_space_runtime(repo))
        if flavor not in {runtime.requested_hardware, runtime.hardware}:
            self.on_progress(f"requesting {flavor}", None)
            self._ask(lambda: rent(self.api, repo, flavor, sleep))
        elif sleep is not None and runtime.sleep_time != sleep:
            self._ask(lambda: self.api.set_space_sleep_time(repo, sleep))

    def _stage(self) -> str:
        return str(self._ask(lambda: self.api.get_space_runtime(self.request.repo_id)).stage)

    def _once(self, act: Callable[[], None], done: Callable[[], bool]) -> None:
        once(f"making {self.request.repo_id}", act, done, self.clock)

    def _ask(self, ask: Callable[[], T]) -> T:
        return patiently(f"making {self.request.repo_id}", ask, self.clock)


def model_of(api: HfApi, repo_id: str, clock: Clock) -> str | None:
    """Return what a Space of ours serves, a model or `APP`; none if there is no such Space.

    Raises `LaunchFailed` for one that hubtrain did not make.
    """
    try:
        there = patiently(
            f"looking for the Space {repo_id}", lambda: api.get_space_variables(repo_id), clock
        )
    except NotThere:
        return None
    if VARIABLE not in there:
        raise LaunchFailed(
            f"the Space {repo_id} was not made by `hubtrain deploy` or `hubtrain app`, and is left"
            " alone.",
            fix="--deploy-name with another one",
        )
    return str(there[VARIABLE].value)
