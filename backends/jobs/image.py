"""The image of our own that Jobs may run in: that of a private Space, built once and paused.

The Space's name follows from what is installed in it. Neither a job nor the worker is in it, for a
Job mounts those: so it serves every job of its kind, whatever version of hubtrain sends it. It is
built on hardware that costs nothing, and a tag in its repo says that it has been.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import partial
from importlib.resources import files as package_files
from typing import TYPE_CHECKING, Any, TypeVar

from backends.base import OnProgress
from backends.errors import LaunchFailed
from backends.hub import logs
from backends.hub.files import RepoFile, commit, has_files, once
from backends.image import TORCH_FILE
from backends.keeping import KeptImage
from backends.spaces.launch import create
from backends.spaces.request import KIND, PAGE_PORT
from worker.clock import Clock
from worker.contract import EndReason
from worker.errors import HubtrainError, HubUnreachable, NotThere
from worker.hubclient import explained, patiently
from worker.hubjobs import ENDED

if TYPE_CHECKING:
    from huggingface_hub import HfApi, JobInfo
    from huggingface_hub.hf_api import SpaceInfo

T = TypeVar("T")

OWN = "own"
"""What users write for it."""

SPACES = "hf.co/spaces/"
"""How the Hub is told of the image of a Space."""

NAME = TAG = "hubtrain-image"
DIGITS = 12
"""Of its content, behind the name of each."""

INSTALLED = ("Dockerfile", TORCH_FILE, "requirements.txt", "constraints.txt")
"""Files of a job that say what is in its image."""

BUILT = "built"
"""The tag of a repo whose image has been built."""

LOOK_SECONDS = 10.0
MOST_LOOKS = 360
"""Interval and number of looks at a build: an hour."""

ARRIVING = timedelta(minutes=30)
TOLD_LINES = 20
"""Lines of a failed build that its error repeats."""

_MOVING = {"NO_APP_FILE", "BUILDING", "RUNNING_BUILDING"}
_UNBUILT = {"CONFIG_ERROR", "BUILD_ERROR"}
_RESTING = {"PAUSED", "STOPPED"}


def own_files(files: Iterable[RepoFile]) -> tuple[RepoFile, ...]:
    """Return the files of the Space that builds what a job with `files` needs."""
    template = package_files("space_template")
    page = (template / "image.md").read_text("utf-8")
    told = {"{{ title | tojson }}": f'"{NAME}"', "{{ port }}": str(PAGE_PORT), "{{ tag }}": TAG}
    for name, value in told.items():
        page = page.replace(name, value)
    return (
        *(one for one in files if one.path in INSTALLED),
        RepoFile("README.md", page.encode()),
        RepoFile("image.json", b"{}\n"),
        RepoFile("worker/__main__.py", (template / "idle.py").read_bytes()),
    )


def repo_of(owner: str, files: Iterable[RepoFile]) -> str:
    """Return the name of the Space of these files: the same packages, the same Space."""
    installed = sorted((one.path, one.sha256) for one in files if one.path in INSTALLED)
    told = hashlib.sha256(repr(installed).encode()).hexdigest()
    return f"{owner}/{NAME}-{told[:DIGITS]}"


def is_image(repo_id: str) -> bool:
    """Whether a Space has a name that only these get."""
    return bool(re.fullmatch(rf"[^/]+/{NAME}-[0-9a-f]{{{DIGITS}}}", repo_id))


class OwnImage:
    """The Space of one image. All that is done may be done again, by several at once."""

    def __init__(self, api: HfApi, repo_id: str, clock: Clock) -> None:
        self.api, self.repo_id, self.clock = api, repo_id, clock

    def make(self, files: tuple[RepoFile, ...], on_progress: OnProgress) -> None:
        """Return once it is built and its Space paused; that takes minutes where it is new.

        What failed for an earlier launch is built again. Raises `LaunchFailed` with the last words
        of a build that fails.
        """
        if self._is_built():
            return
        on_progress(f"building the image {self.repo_id}, once for all jobs of its kind", None)
        self._once(self._create, self._is_there)
        if not self._look(lambda: has_files(self.api, self.repo_id, KIND, files)):
            say = "What is installed in the image"
            commit(self.api, self.repo_id, KIND, files, say)
        elif str(self._runtime().stage) in _UNBUILT:
            restart = partial(self.api.restart_space, self.repo_id, factory_reboot=True)
            self._ask("building", restart)
        for _ in range(MOST_LOOKS):
            if self._is_built() or self._has_come():
                return
            self.clock.sleep(LOOK_SECONDS)
        raise LaunchFailed(
            f"The image {self.repo_id} was not built within an hour.",
            fix="The same command again goes on waiting.",
            reason=EndReason.BUILD_ERROR,
        )

    def _has_come(self) -> bool:
        """Pause the Space where its build is over, and note it; start what was paused before."""
        stage = str(self._runtime().stage)
        if stage in _UNBUILT:
            raise self._failed()
        if stage in _RESTING:
            self._ask("starting", lambda: self.api.restart_space(self.repo_id))
        if stage in _MOVING | _RESTING:
            return False
        self._ask("pausing", lambda: self.api.pause_space(self.repo_id))
        self._ask("noting", self._tag)
        return True

    def _tag(self) -> None:
        self.api.create_tag(self.repo_id, repo_type=KIND, tag=BUILT, exist_ok=True)

    def _failed(self) -> LaunchFailed:
        said: list[str] = []
        try:
            said = list(logs.read(f"spaces/{self.repo_id}/logs/build", str(self.api.token)))
        except HubtrainError as error:
            said = [error.message]
        return LaunchFailed(
            "\n  ".join([f"The image {self.repo_id} could not be built:", *said[-TOLD_LINES:]]),
            fix="Without --jobs-image a public image is taken, and packages are installed in it.",
            reason=EndReason.BUILD_ERROR,
        )

    def _is_built(self) -> bool:
        try:
            refs = self._look(lambda: self.api.list_repo_refs(self.repo_id, repo_type=KIND))
        except NotThere:
            return False
        return any(tag.name == BUILT for tag in refs.tags)

    def _is_there(self) -> bool:
        try:
            return bool(self._runtime())
        except NotThere:
            return False

    def _create(self) -> None:
        try:
            with explained(f"creating the Space {self.repo_id}"):
                create(self.api, self.repo_id, {}, {}, private=True)
        except HubUnreachable:
            raise
        except HubtrainError:
            if not self._is_there():  # by another launch, in this very moment
                raise

    def _runtime(self) -> Any:
        return self._look(lambda: self.api.get_space_runtime(self.repo_id))

    def _once(self, act: Callable[[], None], done: Callable[[], bool]) -> None:
        once(f"making {self.repo_id}", act, done, self.clock)

    def _ask(self, doing: str, ask: Callable[[], T]) -> T:
        return patiently(f"{doing} {self.repo_id}", ask, self.clock)

    def _look(self, ask: Callable[[], T]) -> T:
        return self._ask("looking at", ask)


def images(api: HfApi, owner: str, clock: Clock) -> list[KeptImage]:
    """Return the images of our own that an account has, with the Jobs that run in them."""
    expand: list[Any] = ["tags", "lastModified"]

    def ask() -> tuple[list[SpaceInfo], list[JobInfo]]:
        spaces = api.list_spaces(author=owner, filter=TAG, expand=expand)
        return list(spaces), list(api.list_jobs(namespace=owner))

    spaces, jobs = patiently(f"listing the Spaces and Jobs of {owner}", ask, clock)
    running = [job for job in jobs if str(job.status.stage) not in ENDED]
    freshest = clock.now() - ARRIVING
    return [
        KeptImage(
            name=f"{SPACES}{space.id}",
            size_bytes=None,
            used_by=tuple(job.id for job in running if job.space_id == space.id),
            arriving=space.last_modified is not None and space.last_modified > freshest,
        )
        for space in spaces
        if TAG in (space.tags or []) and is_image(space.id)
    ]
