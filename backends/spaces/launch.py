"""Create a Space exactly once, and request its paid hardware last.

Every step looks before it acts, so a launch that was cut short is completed by the next one, and
an answer that was lost is found by looking and not by asking again. What it does not know: what
the job is, and who else may be launching it; the name, which holds the job's id, settles that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from backends.base import OnProgress
from backends.errors import LaunchFailed
from backends.hub.creating import Creating
from backends.hub.files import commit, delete, has_files, once
from backends.hub.hardware import FREE
from backends.hub.space import KIND
from backends.spaces.request import JOB_VARIABLE, SpaceRequest
from worker.clock import Clock
from worker.errors import HubtrainError, HubUnreachable, NotThere
from worker.hubclient import explained, patiently

if TYPE_CHECKING:
    from huggingface_hub import HfApi

T = TypeVar("T")


@dataclass(slots=True)
class Launch(Creating):
    """One launch of one request."""

    api: HfApi
    request: SpaceRequest
    secrets: Mapping[str, str]
    clock: Clock
    on_progress: OnProgress
    made: bool = False

    def run(self) -> None:
        """Do what is not done yet. Raises `LaunchFailed` when nothing of it is left.

        A Hub that stops answering raises `HubUnreachable`: what there is then is free, and the
        same launch completes it.
        """
        try:
            self._run()
        except BaseException as error:
            if not self.made:
                raise
            self._undo(error)
            if isinstance(error, HubtrainError):
                raise LaunchFailed(error.message, fix=error.fix, reason=error.reason) from error
            raise

    def complete(self) -> bool:
        """Say whether an earlier launch did all of it."""
        return self._is_ours() and self._has_files() and self._has_hardware()

    def _run(self) -> None:
        self.on_progress("creating the Space", None)
        if not self._is_ours():
            self._once(self._create, self._is_ours)
        self.on_progress(f"sending {len(self.request.files)} files", None)
        if not self._has_files():
            self._once(self._commit, self._has_files)
        if not self._has_hardware():
            self.on_progress(f"requesting {self.request.flavor}", None)
            self._once(self._rent, self._has_hardware)

    def _once(self, act: Callable[[], None], done: Callable[[], bool]) -> None:
        once(f"making {self.request.repo_id}", act, done, self.clock)

    def _make(self) -> None:
        request = self.request
        with explained(f"creating the Space {request.repo_id}"):
            create(self.api, request.repo_id, request.variables, self.secrets, private=True)

    def _commit(self) -> None:
        request = self.request
        commit(self.api, request.repo_id, KIND, request.files, f"Job {request.job_id}")

    def _rent(self) -> None:
        request = self.request
        with explained(f"requesting {request.flavor} for {request.repo_id}"):
            rent(self.api, request.repo_id, request.flavor, request.sleep_seconds)

    def _is_ours(self) -> bool:
        """Look whether the Space is there. Raises `LaunchFailed` if it is not this job's."""
        try:
            job = job_of(self.api, self.request.repo_id, self.clock)
        except NotThere:
            return False
        if job != self.request.job_id:
            self.made = False
            raise LaunchFailed(
                f"There is already a Space {self.request.repo_id}, and it is not this job's.",
                fix="Choose another --project-name.",
            )
        return True

    def _has_files(self) -> bool:
        return self._look(
            lambda: has_files(self.api, self.request.repo_id, KIND, self.request.files)
        )

    def _has_hardware(self) -> bool:
        if self.request.flavor == FREE:
            return True
        runtime = self._look(lambda: self.api.get_space_runtime(self.request.repo_id))
        return self.request.flavor in {runtime.requested_hardware, runtime.hardware}

    def _look(self, ask: Callable[[], T]) -> T:
        return patiently(f"looking at {self.request.repo_id}", ask, self.clock)

    def _undo(self, error: BaseException) -> None:
        """Remove the Space this launch made. One that cannot be removed stays, free, and is named.

        Raises `HubUnreachable`, since then the launch is neither done nor undone.
        """
        try:
            delete(self.api, self.request.repo_id, KIND, self.clock)
        except HubtrainError as stuck:
            raise HubUnreachable(
                f"{error} The Space {self.request.repo_id} may be left: {stuck.message}".strip(),
                fix="Run the same command again to go on with it, or `hubtrain gc` to remove it.",
            ) from error


def create(
    api: HfApi,
    repo_id: str,
    variables: Mapping[str, str],
    secrets: Mapping[str, str],
    *,
    private: bool,
) -> None:
    """Create a Docker Space on hardware that costs nothing."""
    from huggingface_hub import SpaceHardware

    api.create_repo(
        repo_id,
        repo_type="space",
        space_sdk="docker",
        private=private,
        space_hardware=SpaceHardware(FREE),
        space_variables=_pairs(variables),
        space_secrets=_pairs(secrets),
    )


def rent(api: HfApi, repo_id: str, flavor: str, sleep_seconds: int | None) -> None:
    """Request hardware for a Space, asleep after so long without a visitor."""
    api.request_space_hardware(
        repo_id,
        flavor,  # type: ignore[arg-type]  # the Hub has more than the enum
        sleep_time=sleep_seconds,
    )


def job_of(api: HfApi, repo_id: str, clock: Clock) -> str | None:
    """Return the job a Space was made for; none if hubtrain did not make it.

    Raises `NotThere` if there is no such Space.
    """
    variables = patiently(
        f"looking for the Space {repo_id}", lambda: api.get_space_variables(repo_id), clock
    )
    return variables[JOB_VARIABLE].value if JOB_VARIABLE in variables else None


def _pairs(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in values.items()]
