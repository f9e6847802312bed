"""What every place that can run a job has to be able to do.

A backend is a translation and nothing more: a `JobSpec` into its provider's own request, its
provider's answers into a `Status`. It never reads a training parameter, and never polls, sleeps
or prints; those belong to `orchestrator`.

To add one, write `backends/<name>.py`, end it with `BACKEND = YourClass`, and run
`pytest tests/test_backends.py -k <name>`: one set of tests judges them all.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Generic, Literal, Protocol, Self, TypeVar

from backends.errors import BackendError, JobGone, UnknownFlavor
from backends.handle import Handle
from worker.clock import Clock, SystemClock
from worker.contract import EndReason, JobSpec, Observed
from worker.params import Params


class LaunchRequest(Protocol):
    """What a backend would send, as a value: its `repr` is for people, this is for programs."""

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data, without a secret."""
        ...


RequestT = TypeVar("RequestT", bound=LaunchRequest)

OnProgress = Callable[[str, float | None], None]
"""Told what `launch` is busy with and the share done, 0 to 1 or none: `("uploading", 0.4)`."""


def silent(what: str, done: float | None) -> None:
    """Ignore progress: the default `OnProgress`."""


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
    """GPUs with memory of their own; none where the one there is shares the main memory."""

    vram_bytes: float = 0.0
    """Memory of all GPUs together."""

    cpus: float = 0.0
    nodes: int = 1
    """Machines that a job of it gets; memory, GPUs and cores are those of all of them."""

    short_names: tuple[str, ...] = ()
    """What users may write instead, as in `spaces-a100`."""

    words: tuple[tuple[str, str], ...] = ()
    """The same machine in the words in which its provider is asked for it, if those are others."""

    memory_setting: str = ""
    """The flag that holds its memory below all there is; empty where nothing does."""


@dataclass(frozen=True, slots=True)
class Need:
    """Something that the account a job runs under must have at the Hub."""

    what: Literal["plan", "credit"]
    """A paid plan, or money that can be spent."""

    refusal: str
    """What an account that has none is told: `Docker Spaces need a paid plan`."""

    granted: str
    """What an account that has it is told: `Docker Spaces allowed`."""

    instead: Literal["plan", "credit"] | None = None
    """What does as well: a paid plan brings credit every month."""


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

    waiting: bool = False
    """Whether it waits in the provider's queue, where none of its limits run."""

    def observed(self, at: datetime) -> Observed:
        """Return it as what the laptop saw then, for the job's record."""
        return Observed(
            stage=self.stage,
            alive=self.alive,
            costing=self.costing,
            detail=self.detail,
            url=self.url,
            reason=self.reason,
            at=at,
            source="laptop",
        )


@dataclass(frozen=True, slots=True)
class Found:
    """Something of ours that a provider still has, whatever the laptop remembers."""

    handle: Handle
    job_id: str
    status: Status
    made_at: datetime | None = None
    """When it was made, where the provider says and does not itself end it at its limits."""


class Backend(ABC, Generic[RequestT]):
    """What a place is like, and its verbs. All but `launch` may be repeated without harm.

    `token` is the user's; a backend that needs none ignores it. Only `launch` and a following
    `logs` let time pass, and both do it by `clock`. Nothing outside this package asks for a
    backend by name: whatever the rest of hubtrain wants to know, it asks here.
    """

    name: ClassVar[str]
    noun: ClassVar[str] = "Machine"
    """What people call the thing a job runs on."""

    sees_my_files: bool
    """Whether its machines read and write folders of this one.

    Data and model then stay here. Otherwise the data goes to a private dataset on the Hub, the
    base model must be on the Hub, and no folder here gets the model.
    """

    keeps_disk: bool
    """Whether what a job leaves on its machine's disk is still there when the job is over.

    Where it is not, a job that pushes nothing would lose its model and is refused.
    """

    bills: ClassVar[bool]
    """Whether time on its machines costs money: they are prepared first, and stopped at the end."""

    on_hub: ClassVar[bool]
    """Whether the Hub runs its machines: a job is then found only at the Hub that launched it."""

    builds_image: ClassVar[bool] = False
    """Whether the image that a job runs in is built from files that `launch` sends."""

    preferred_because: ClassVar[str] = ""
    """Why to choose it before other places of the Hub's; none where there is no reason."""

    needs: ClassVar[tuple[Need, ...]] = ()
    """What the account that pays must have at the Hub."""

    permissions: ClassVar[tuple[str, ...]] = ()
    """What its `launch` needs of a fine-grained token in the namespace that pays, beside writing
    its repos: `job.write`."""

    aliases: ClassVar[tuple[str, ...]] = ()
    """Other names users may write."""

    short_names: ClassVar[Mapping[str, str]] = {}
    """What users may write for a flavor: `{"a100": "a100-large"}` makes `spaces-a100`."""

    options: ClassVar[type[Params]] = NoOptions
    """Settings of this backend alone; they become flags of every command that launches.

    They are written into the job (`JobSpec.machine.options`), so none of them may be a secret.
    """

    def __init__(self, token: str | None = None, clock: Clock | None = None) -> None:
        self.token = token
        self.clock = clock or SystemClock()

    def having(self, options: Any, flavor: str | None) -> Self:
        """Return this backend for a job with these `options` on the flavor it names, if any.

        For one that is elsewhere by its options, as a cluster behind a login node is. What is not
        about a new job is asked of a backend without.
        """
        return self

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
            if wanted in (flavor.name, *flavor.short_names):
                return flavor
        raise self.unknown(name, offered)

    def unknown(self, flavor: str, offered: Sequence[Flavor]) -> BackendError:
        """Return what to say of a machine that is not among those offered."""
        return UnknownFlavor(self.name, flavor, {f.name: f.usd_per_hour for f in offered})

    def given(self, flavor: Flavor, options: Any) -> Flavor:
        """Return what a job with these `options` gets of a machine: all of it, by default."""
        return flavor

    @classmethod
    def options_of(cls, job: JobSpec) -> Any:
        """Return this backend's `options` as the job was made with.

        Raises `ValueError` for a job of another version of hubtrain, which had other options.
        """
        return cls.options.model_validate(job.machine.options)

    def writes(self, owner: str, project: str) -> tuple[str, ...]:
        """Return the Hub repos that `launch` makes or writes, whose rights are checked before.

        The model's repo is not among them. Where a name holds the job's id, which is not known
        yet, `…` stands for it.
        """
        return ()

    def require(self, extras: tuple[str, ...]) -> None:
        """Raise `PlanRefused` where its machines lack a package that these extras need.

        `plan` refuses such a job; this lets the check say it first. By default nothing is lacking:
        the image of a job is made with all that it needs.
        """
        return

    def versions(self, names: Iterable[str], accelerators: int) -> Mapping[str, str]:
        """Return the versions of these packages, and of Python, on a machine with so many GPUs.

        What is not known is left out. By default they are those of the image.
        """
        from backends import image

        known = image.versions(accelerators)
        return {name: known[name] for name in ("python", *names) if name in known}

    @abstractmethod
    def plan(self, job: JobSpec) -> RequestT:
        """Return the request `launch` would send: no network, no clock, no state.

        `--dry-run` prints it and the tests compare it, so its `repr` is written for people. It
        reads nothing but the program's own files; its options are in `options_of(job)`. What this
        provider cannot do raises `PlanRefused` here, before anything costs money.
        """

    @abstractmethod
    def launch(
        self, request: RequestT, secrets: Mapping[str, str], on_progress: OnProgress = silent
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

    def maker(self, handle: Handle) -> str | None:
        """Return the account that launched a job; none where the provider does not say."""
        return None

    def listed_as(self, handle: Handle) -> Handle:
        """Return the handle by which `sweep` finds a machine; another one where it was renamed.

        Raises `HubtrainError` where there is none.
        """
        return handle

    def clear(self, request: RequestT) -> None:
        """Delete what a launch that was cut short has left where `sweep` does not find it.

        May repeat, and leaves a launch alone that was completed. By default there is no such thing.
        """

    def look(self, handle: Handle) -> Status:
        """Return `status`, where one that the provider has forgotten is simply gone."""
        try:
            return self.status(handle)
        except JobGone:
            return Status(alive=False, costing=False, stage="gone")

    def holds_secrets(self, handle: Handle) -> bool:
        """Whether a machine at rest still has what it was given as secrets.

        By default none has: they are gone with the program that was given them.
        """
        return False

    def forget_secrets(self, handle: Handle) -> None:
        """Take the secrets back from a machine at rest, which stays at rest. May repeat."""

    def page(self, handle: Handle, url: str) -> str | None:
        """Return `url`, a job's page, with whatever its owner's browser needs to be let in.

        None where that is lost: nobody would be let in.
        """
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
