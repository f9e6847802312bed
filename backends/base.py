"""What every place that can run a job has to be able to do.

A backend is a translation and nothing more: a `JobSpec` into its provider's own request, its
provider's answers into a `Status`. It never reads a training parameter, and never polls, sleeps
or prints; those belong to `orchestrator`.

To add one, write `backends/<name>.py`, end it with `BACKEND = YourClass`, and run
`pytest tests/test_backends.py -k <name>`: one set of tests judges them all.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from backends.errors import BackendError, JobGone, UnknownFlavor
from backends.handle import Handle
from worker.clock import Clock, SystemClock
from worker.contract import EndReason, JobSpec
from worker.params import Params


class Request(Protocol):
    """What a backend would send, as a value: its `repr` is for people, this is for programs."""

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data, without a secret."""
        ...


RequestT = TypeVar("RequestT", bound=Request)

Report = Callable[[str, float | None], None]
"""Told what `launch` is busy with and the share done, 0 to 1 or none: `("uploading", 0.4)`."""


def silent(what: str, done: float | None) -> None:
    """Be a `Report` nobody reads."""


def spec_in(text: bytes | str, where: str) -> JobSpec:
    """Return the job written down as `text`. Raises `BackendError` if this program cannot read it.

    That happens between versions: the job may be well, so it is not `JobGone`.
    """
    try:
        return JobSpec.model_validate_json(text)
    except ValueError as error:
        raise BackendError(
            f"The job in {where} was written down by another version of hubtrain.",
            fix="Use that version for it, or a newer one.",
        ) from error


class NoOptions(Params):
    """Options of a backend that has none."""


@dataclass(frozen=True, slots=True)
class Flavor:
    """One machine a provider rents out."""

    name: str
    """The provider's own name."""

    description: str
    usd_per_hour: float
    memory_bytes: float
    """Main memory."""

    accelerator: str | None = None
    """Model of the GPU, as the provider says it."""

    accelerators: int = 0
    vram_bytes: float = 0.0
    """Memory of all GPUs together."""

    cpus: float = 0.0
    short_names: tuple[str, ...] = ()
    """What users may write instead, as in `spaces-a100`."""


@dataclass(frozen=True, slots=True)
class Status:
    """A provider's answer about one job's machine; the job's own state is in its events."""

    alive: bool
    """Whether the worker runs, or still may come to."""

    costing: bool
    """Whether the provider bills for it now."""

    stage: str
    """The provider's own word, as in `RUNNING_BUILDING`."""

    detail: str = ""
    url: str | None = None
    """The job's page, where there is one."""

    reason: EndReason | None = None
    """Why it is not alive, where the provider says: its image could not be built, say."""


@dataclass(frozen=True, slots=True)
class Found:
    """Something of ours that a provider still has, whatever the laptop remembers."""

    handle: Handle
    job_id: str
    status: Status


class Backend(ABC, Generic[RequestT]):
    """Six verbs, and what goes with them. All but `launch` may be repeated without harm.

    `token` is the user's; a backend that needs none ignores it. Only `launch` and a following
    `logs` let time pass, and both do it by `clock`.
    """

    name: ClassVar[str]
    noun: ClassVar[str] = "Machine"
    """What people call the thing a job runs on."""

    aliases: ClassVar[tuple[str, ...]] = ()
    """Other names users may write."""

    short_names: ClassVar[Mapping[str, str]] = {}
    """What users may write for a flavor: `{"a100": "a100-large"}` makes `spaces-a100`."""

    options: ClassVar[type[Params]] = NoOptions
    """Settings of this backend alone; they become flags of every command that launches."""

    needs_paid_plan: ClassVar[bool] = False
    """Whether the Hub makes its machines only for accounts with a paid plan."""

    needs_hub: ClassVar[bool]
    """Whether the machine reads data and writes its model only by way of the Hub."""

    def __init__(self, token: str | None = None, clock: Clock | None = None) -> None:
        self.token = token
        self.clock = clock or SystemClock()

    @abstractmethod
    def flavors(self) -> list[Flavor]:
        """Return what can be rented, cheapest first, at today's prices. May use the network."""

    def flavor(self, name: str) -> Flavor:
        """Return one of `flavors` by its own name or a short one.

        May use the network. Raises `UnknownFlavor` with the price list, nearest name first.
        """
        wanted = self.short_names.get(name, name)
        offered = self.flavors()
        for flavor in offered:
            if flavor.name == wanted:
                return flavor
        raise UnknownFlavor(self.name, name, {f.name: f.usd_per_hour for f in offered})

    @abstractmethod
    def plan(self, job: JobSpec, options: Any) -> RequestT:
        """Return the request `launch` would send: no network, no clock, no state.

        `--dry-run` prints it and the tests compare it, so its `repr` is written for people. It
        reads nothing but the program's own files. What this provider cannot do raises
        `PlanRefused` here, before anything costs money.
        """

    @abstractmethod
    def launch(
        self, request: RequestT, secrets: Mapping[str, str], report: Report = silent
    ) -> Handle:
        """Send the request and return once the provider has it. Secrets pass here and nowhere else.

        Idempotent by the job's id: called again after a crash it finds what it made and goes on
        from there. Money last; whatever fails before that removes what was made and raises
        `LaunchFailed`. A provider that stops answering raises `HubUnreachable`: then it is not
        known what there is, but what there is costs nothing and the same launch completes it.
        """

    @abstractmethod
    def find(self, request: RequestT) -> Handle | None:
        """Return the handle of a launch of this request whose answer was lost; none if none is.

        A launch that was cut short is none: calling `launch` again completes it.
        """

    @abstractmethod
    def status(self, handle: Handle) -> Status:
        """Say how the machine is now. One look, no waiting.

        Raises `JobGone` only for a machine that is known to be gone: one that this token may not
        see raises `NoWrite`.
        """

    @abstractmethod
    def logs(self, handle: Handle, *, skip: int = 0, follow: bool = False) -> Iterator[str]:
        """Yield the worker's lines after the first `skip`, in an order that never changes.

        With `follow`, blocks for more until the machine has stopped. The lines may be gone before
        the job is: absence ends the iterator and is no error.
        """

    @abstractmethod
    def cancel(self, handle: Handle) -> None:
        """Ask the machine to stop and cost nothing. One that already has is not an error."""

    @abstractmethod
    def remove(self, handle: Handle) -> None:
        """Delete whatever `launch` made that could go on costing money or space. May repeat."""

    @abstractmethod
    def recall(self, handle: Handle) -> JobSpec:
        """Return the job as the machine has it, for a laptop that has no record of it.

        Raises `JobGone` where there is none, and `BackendError` where it cannot be understood.
        """

    def look(self, handle: Handle) -> Status:
        """Return `status`, where one that the provider has forgotten is simply gone."""
        try:
            return self.status(handle)
        except JobGone:
            return Status(alive=False, costing=False, stage="gone")

    def page(self, handle: Handle, url: str) -> str:
        """Return `url`, a job's page, with whatever its owner's browser needs to be let in."""
        return url

    def build_logs(self, handle: Handle) -> Iterator[str]:
        """Yield what the provider wrote while it made the machine; nothing where it makes none."""
        return iter(())

    def sweep(self, owner: str) -> list[Found]:
        """Return everything of `owner` made by `launch` that the provider still has.

        One question about all jobs, for `gc`: it needs no record, so it also finds what a
        laptop that is gone has left. Empty where nothing can be left that costs.
        """
        return []
