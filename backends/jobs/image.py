"""The image of our own that Jobs may run in: that of a private Space, built once and paused.

The Space's name follows from what is installed in it. Neither a job nor the worker is in it, for a
Job mounts those: so it serves every job of its kind, whatever version of hubtrain sends it. It is
built on hardware that costs nothing, and a tag in its repo says that it has been.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from importlib.resources import files as package_files
from typing import TYPE_CHECKING, Any, TypeVar

from backends.base import OnProgress
from backends.errors import LaunchFailed
from backends.hub import logs
from backends.hub.files import RepoFile, commit, has_files, once
from backends.hub.notes import USE_SECONDS, Notes
from backends.hub.space import KIND, PAGE_PORT
from backends.image import TORCH_FILE
from backends.image_keeping import KeptImage
from backends.spaces.launch import create
from worker.account import who
from worker.clock import Clock
from worker.contract import EndReason
from worker.errors import HubtrainError, HubUnreachable, NotThere, NoWrite
from worker.hubclient import explained, patiently
from worker.hubjobs import ENDED

if TYPE_CHECKING:
    from huggingface_hub import HfApi, JobInfo

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

NOTED_LOOKS = 60
"""Looks after which a build that goes on is noted as used anew."""

MOST_REMOVALS = 3
"""How often an image that somebody removed is built again, by one launch."""

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
    """The Space of one image. All that is done may be done again, by several at once.

    What uses it is noted in its repo, under the name of a job: nobody then removes it.
    """

    def __init__(self, api: HfApi, repo_id: str, clock: Clock, job_id: str) -> None:
        self.api, self.repo_id, self.clock = api, repo_id, clock
        self.notes = Notes(api, repo_id, KIND, clock, job_id)
        self.noted_at: datetime | None = None

    def make(self, files: tuple[RepoFile, ...], on_progress: OnProgress) -> None:
        """Return once it is built, noted as used, and its Space paused: minutes where it is new.

        What failed for an earlier launch is built again, and so is what somebody removes meanwhile.
        Raises `LaunchFailed` with the last words of a build that fails.
        """
        for _ in range(MOST_REMOVALS):
            with suppress(NotThere):
                self._make(files, on_progress)
                if self.note():
                    return
        raise LaunchFailed(
            f"The Space {self.repo_id} is not there once it is made.",
            fix="Somebody removes it, or this token may not see it. Run the same command again.",
        )

    def note(self, more_seconds: float = 0.0) -> bool:
        """Note that it is about to be used; false if it is gone."""
        noted = self.notes.use(more_seconds)
        self.noted_at = self.clock.now() if noted else None
        return noted

    @property
    def noted_lately(self) -> bool:
        """Whether the note that it is used counts for a good while yet."""
        age = self.clock.now() - self.noted_at if self.noted_at else None
        return age is not None and age.total_seconds() < USE_SECONDS / 2

    def _make(self, files: tuple[RepoFile, ...], on_progress: OnProgress) -> None:
        if self._is_built():
            self._rest()
            return
        on_progress(f"building the image {self.repo_id}, once for all jobs of its kind", None)
        self._once(self._create, self._is_there)
        if not self._look(lambda: has_files(self.api, self.repo_id, KIND, files)):
            say = "What is installed in the image"
            commit(self.api, self.repo_id, KIND, files, say)
        elif str(self._runtime().stage) in _UNBUILT:
            restart = partial(self.api.restart_space, self.repo_id, factory_reboot=True)
            self._ask("building", restart)
        for look in range(MOST_LOOKS):
            if look % NOTED_LOOKS == 0:
                self.notes.use()
            if self._has_come():
                self._rest()
                return
            self.clock.sleep(LOOK_SECONDS)
        raise LaunchFailed(
            f"The image {self.repo_id} was not built within an hour.",
            fix="The same command again goes on waiting.",
            reason=EndReason.BUILD_ERROR,
        )

    def _has_come(self) -> bool:
        """Note that the build is over, once it is; start what was paused before.

        That is noted before the Space is paused. So whoever sees it paused, and then no note, knows
        that its build was cut short.
        """
        stage = str(self._runtime().stage)
        if self._is_built():
            return True
        if stage in _UNBUILT:
            raise self._failed()
        if stage in _RESTING:
            self._ask("starting", lambda: self.api.restart_space(self.repo_id))
        if stage in _MOVING | _RESTING:
            return False
        self._ask("noting", self._tag)
        return True

    def _rest(self) -> None:
        """Pause the Space, unless it is: whoever noted that it is built may have been killed."""
        if str(self._runtime().stage) not in _RESTING:
            self._ask("pausing", lambda: self.api.pause_space(self.repo_id))

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


def running(api: HfApi, owners: Iterable[str], clock: Clock) -> list[JobInfo]:
    """Return the Jobs that have not ended, of these accounts and of all that the token is in.

    Of the latter, those are left out whose Jobs it may not see.
    """

    def jobs_of(namespace: str) -> list[JobInfo]:
        return list(api.list_jobs(namespace=namespace))

    asked = set(owners)
    jobs: list[JobInfo] = []
    for name in sorted(asked.union(who(api, clock).namespaces if asked else ())):
        try:
            jobs += patiently(f"listing the Jobs of {name}", partial(jobs_of, name), clock)
        except (NoWrite, NotThere):
            if name in asked:
                raise
    return [job for job in jobs if str(job.status.stage) not in ENDED]


def images(api: HfApi, owner: str, jobs: Iterable[JobInfo], clock: Clock) -> list[KeptImage]:
    """Return the images of our own that an account has, with those of `jobs` that run in them."""
    expand: list[Any] = ["tags", "lastModified"]
    ask = partial(api.list_spaces, author=owner, filter=TAG, expand=expand)
    spaces = patiently(f"listing the Spaces of {owner}", lambda: list(ask()), clock)
    freshest = clock.now() - ARRIVING
    return [
        KeptImage(
            name=f"{SPACES}{space.id}",
            size_bytes=None,
            used_by=tuple(job.id for job in jobs if job.space_id == space.id),
            arriving=(space.last_modified is not None and space.last_modified > freshest)
            or Notes(api, space.id, KIND, clock).used_until() is not None,
        )
        for space in spaces
        if TAG in (space.tags or []) and is_image(space.id)
    ]
