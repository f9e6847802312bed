"""What the rest of the worker may ask of the machine it runs on."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import ClassVar

from worker.bootstrap import SINCE
from worker.clock import Clock
from worker.contract import JOB_FILE, Stopped
from worker.hardware import Node, stated_memory
from worker.show.door import Door

_SOURCES = Path(__file__).parents[2]
"""The folder `worker` is imported from. Children are started with `-P`, which does not search the
current folder, so that no file in it can pass for a library."""

_TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
"""Where libraries look for a token of the Hub."""

_NOT_FOR_THE_TRAINER = (
    "HUBTRAIN_PAGE_KEY",
    "OAUTH_CLIENT_ID",
    "OAUTH_CLIENT_SECRET",
    "SPACE_PASS_KEY",
)
"""Secrets of the page. The trainer may run code of a model, which must not open it."""

_IS_A_SPACE = "SYSTEM"
"""By which libraries take themselves for the page of a Space: there trackio makes no other."""


class Host(ABC):
    """The machine a worker runs on, and its provider. `environ` holds secrets: never print it.

    What the environment tells of the hardware is read here by the Hub's names for it, which a plain
    machine does not set.
    """

    keeps_disk: ClassVar[bool]
    """Whether what the job leaves on this machine's disk is still there when the job is over."""

    forgets_starts: ClassVar[bool] = False
    """Whether its provider may start the job again on a disk that knows nothing of it, so that each
    start has to be told to the Hub."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ

    @classmethod
    @abstractmethod
    def is_here(cls, environ: Mapping[str, str]) -> bool:
        """Whether an environment is that of a worker on such a host."""

    @abstractmethod
    def stop_billing(self, *, clock: Clock, log: Callable[[str], object]) -> bool:
        """Make this machine cost nothing; true once its provider has agreed, or if it is free.

        Called once, at the end of every job. May block for minutes while the provider cannot be
        reached, and may be cut short by the very stop it asked for. Raises nothing.
        """

    @abstractmethod
    def is_flavor(self, flavor: str | None) -> bool:
        """Whether this machine is surely `flavor`, without asking anybody; true for no flavor."""

    @abstractmethod
    def current_flavor(self) -> str | None:
        """Ask the provider which hardware the job has now. Raises `HubError`; may be repeated."""

    @abstractmethod
    def stopped_on_purpose(self) -> Stopped | None:
        """Ask why this machine has to end; returns the ending if somebody wished it.

        None where the provider took the machine away, or does not say within seconds.
        """

    def starts_again(self) -> bool:
        """Whether the provider, which takes this machine away, starts the job again by itself.

        Its job has not ended then: what is started again goes on from its own last checkpoint.
        Asked where nobody wished the end (`stopped_on_purpose`); answers within seconds.
        """
        return False

    @abstractmethod
    def door(self, owner: str | None, job_id: str) -> Door:
        """Return who may see the page of a job that `owner` made, and who may stop it."""

    def what_is_left(self, model: Path) -> str:
        """Return a sentence: where the model is that lies in this folder, or that it is lost."""
        return f"It lies in {model}." if self.keeps_disk else "It is lost with this machine's disk."

    @property
    def flavor(self) -> str | None:
        """What the provider calls this hardware; none where the machine is not told."""
        return self.environ.get("ACCELERATOR") or None

    @property
    def cores(self) -> int | None:
        """CPU cores that the provider gives this job; none where the machine is not told."""
        told = self.environ.get("CPU_CORES", "")
        return int(told) if told.isdecimal() else None

    @property
    def memory(self) -> int | None:
        """Main memory in bytes that the provider gives this job; none where it is not told."""
        return stated_memory(self.environ)

    def on_each_node(self, nodes: int) -> list[str]:
        """Return the words before a command that is to run once on each node of the job."""
        raise NotImplementedError(f"nobody starts anything on {nodes} nodes here")

    def node(self, port: int) -> Node:
        """Return which of the job's nodes this is; on the first of them `port` is free."""
        return Node(port=port)

    def accelerators(self, paid: int) -> int:
        """Return how many accelerators have to be there before anything is trained.

        All that are paid for, unless the Hub says that it hands out fewer, as the local one does.
        """
        lent = self.environ.get("ACCELERATORS", "").strip()
        return min(int(lent), paid) if lent.isdecimal() else paid

    def since(self, now: datetime) -> datetime:
        """Return since when this machine works for the job, given the time that it is now.

        That is before the worker began, if packages were installed first (`worker.bootstrap`).
        """
        told = self.environ.get(SINCE, "")
        try:
            return min(now, datetime.fromtimestamp(float(told), now.tzinfo))
        except (ValueError, OverflowError, OSError):
            return now

    @property
    def job_file(self) -> Path:
        """The spec: `$HUBTRAIN_JOB_FILE`, or `job.json` in the current folder."""
        return Path(self.environ.get("HUBTRAIN_JOB_FILE") or JOB_FILE).absolute()

    @property
    def work(self) -> Path:
        """Folder for all that the worker writes: `$HUBTRAIN_WORK`, or `work` in the current one."""
        return Path(self.environ.get("HUBTRAIN_WORK") or "work").absolute()

    @property
    def model(self) -> Path:
        """Folder the trainer leaves the model in."""
        return self.work / "model"

    @property
    def token(self) -> str | None:
        """The Hub token this job was given."""
        return self.environ.get("HF_TOKEN") or None

    def for_trainer(self, *, token: bool = True) -> dict[str, str]:
        """Return the trainer's environment: this one, without the secrets of the page.

        Nor has it a `token` of the Hub, unless that is asked for.
        """
        hidden = {*_NOT_FOR_THE_TRAINER, _IS_A_SPACE, *(() if token else _TOKENS)}
        kept = {k: v for k, v in self.environ.items() if k not in hidden}
        path = dict.fromkeys([str(_SOURCES), *kept.get("PYTHONPATH", "").split(os.pathsep)])
        return {
            **kept,
            "PYTHONPATH": os.pathsep.join(filter(None, path)),
            "PYTHONSAFEPATH": "1",  # as `-P`, for what the trainer starts itself
            "PYTHONUNBUFFERED": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
        }
