"""The interface of a backend: a place that can run a job.

A backend only translates: a `JobSpec` into its provider's request, and its provider's answers
into a `Status`. It never reads a training parameter, and never polls, sleeps or prints; the
orchestrator does that.

To add one, write `backends/<name>.py`, end it with `BACKEND = YourClass`, and run
`pytest tests/test_backends.py -k <name>`: all backends pass the same tests.
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
    """The request a backend would send, as a value. `repr` is for people, `to_json` for code."""

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data, without a secret."""
        ...


RequestT = TypeVar("RequestT", bound=LaunchRequest)

OnProgress = Callable[[str, float | None], None]
"""Called with the step of `launch` and the share done, 0 to 1 or none: `("uploading", 0.4)`."""


def silent(what: str, done: float | None) -> None:
    """Ignore progress: the default `OnProgress`."""


def spec_in(text: bytes | str, where: str) -> JobSpec:
    """Parse a job's spec. Raises `BackendError` if another version of hubtrain wrote it.

    It is not `JobGone`, because the job may be running.
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
    """Number of GPUs with their own memory; 0 if the GPU shares the main memory."""

    vram_bytes: float = 0.0
    """Memory of all GPUs together."""

    cpus: float = 0.0
    nodes: int = 1
    """Number of machines that a job gets; memory, GPUs and cores are those of all together."""

    short_names: tuple[str, ...] = ()
    """Names that users may write instead, as in `spaces-a100`."""

    words: tuple[tuple[str, str], ...] = ()
    """The machine in the provider's request format, if that differs from its name."""

    memory_setting: str = ""
    """The flag that limits its memory; empty if none does."""


@dataclass(frozen=True, slots=True)
class Need:
    """Something that the account of a job must have at the Hub."""

    what: Literal["plan", "credit"]
    """A paid plan, or money that can be spent."""

    refusal: str
    """The message if the account lacks it: `Docker Spaces need a paid plan`."""

    granted: str
    """The message if the account has it: `Docker Spaces allowed`."""

    instead: Literal["plan", "credit"] | None = None
    """An alternative: a paid plan includes monthly credit."""


@dataclass(frozen=True, slots=True)
class Status:
    """A provider's answer about one job's machine; the job's own state is in its events."""

    alive: bool
    """Whether the worker runs, or may still start."""

    costing: bool
    """Whether the provider bills for it now."""

    stage: str
    """The provider's own word, as in `RUNNING_BUILDING`."""

    detail: str = ""
    url: str | None = None
    """The address of the job's page, if it has one."""

    reason: EndReason | None = None
    """Why it is not alive, if the provider says; for example, the image build failed."""

    waiting: bool = False
    """Whether it waits in the provider's queue; limits do not count there."""

    def observed(self, at: datetime) -> Observed:
        """Return the status as an event for the job's record."""
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
    """A machine of hubtrain that a provider still has, whether on record or not."""

    handle: Handle
    job_id: str
    status: Status
    made_at: datetime | None = None
    """When it was created, if the provider says so and does not end it at its limits itself."""


class Backend(ABC, Generic[RequestT]):
    """The properties of a backend, and its methods. All but `launch` may be repeated without harm.

    `token` is the user's; a backend that needs none ignores it. Only `launch`, and `logs` with
    `follow`, wait, and both wait by `clock`. No code outside this package tests for the name of a
    backend: everything that hubtrain needs to know about one is a property or method here.
    """

    name: ClassVar[str]
    noun: ClassVar[str] = "Machine"
    """The user's word for what a job runs on: Space, Job, Container."""

    sees_my_files: bool
    """Whether its machines read and write folders of this machine.

    If so, data and model stay here. Otherwise the data goes to a private dataset on the Hub, the
    base model must be on the Hub, and the model is not written to a folder here.
    """

    keeps_disk: bool
    """Whether the files of a job stay on its machine's disk after the job has ended.

    If not, a job that does not push would lose its model, so it is refused.
    """

    bills: ClassVar[bool]
    """Whether time on its machines costs money, so that they have to be stopped at the end."""

    on_hub: ClassVar[bool]
    """Whether the Hub runs its machines; a job is then known only to the Hub that launched it."""

    builds_image: ClassVar[bool] = False
    """Whether the image that a job runs in is built from files that `launch` sends."""

    preferred_because: ClassVar[str] = ""
    """Why to prefer it to other backends of the Hub; empty if there is no reason."""

    needs: ClassVar[tuple[Need, ...]] = ()
    """What the paying account must have at the Hub."""

    permissions: ClassVar[tuple[str, ...]] = ()
    """Permissions that `launch` needs of a fine-grained token in the paying namespace, in addition
    to writing repos: `job.write`."""

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
        """Return this backend, configured with the `options` and flavor of a new job.

        A backend overrides it if its options say where it is, such as the login node of a cluster.
        Methods on existing jobs work without it.
        """
        return self

    @abstractmethod
    def flavors(self) -> list[Flavor]:
        """Return the machines with today's prices, cheapest first. May use the network."""

    def flavor(self, name: str) -> Flavor:
        """Return one of `flavors` by its name or short name.

        May use the network. Raises `UnknownFlavor` with the price list, nearest name first.
        """
        wanted = self.short_names.get(name, name)
        offered = self.flavors()
        for flavor in offered:
            if wanted in (flavor.name, *flavor.short_names):
                return flavor
        raise self.unknown(name, offered)

    def unknown(self, flavor: str, offered: Sequence[Flavor]) -> BackendError:
        """Return the error for a flavor that is not among those offered."""
        return UnknownFlavor(self.name, flavor, {f.name: f.usd_per_hour for f in offered})

    def given(self, flavor: Flavor, options: Any) -> Flavor:
        """Return the part of a machine that a job with these `options` gets: by default all."""
        return flavor

    @classmethod
    def options_of(cls, job: JobSpec) -> Any:
        """Return the `options` with which the job was created.

        Raises `ValueError` if another version of hubtrain, with other options, created it.
        """
        return cls.options.model_validate(job.machine.options)

    def writes(self, owner: str, project: str) -> tuple[str, ...]:
        """Return the Hub repos that `launch` writes; the check tests the rights to them.

        The model's repo is not among them. `…` in a name stands for the job's id, which is not
        known yet.
        """
        return ()

    def require(self, extras: tuple[str, ...]) -> None:
        """Raise `PlanRefused` if its machines lack a package that these extras need.

        `plan` refuses such a job too; here the check learns it earlier. By default nothing is
        lacking, because a job's image is built with all packages that it needs.
        """
        return

    def versions(self, names: Iterable[str], accelerators: int) -> Mapping[str, str]:
        """Return the versions of these packages and of Python on a machine with so many GPUs.

        Unknown versions are left out. The default are the versions in the image.
        """
        from backends import image

        known = image.versions(accelerators)
        return {name: known[name] for name in ("python", *names) if name in known}

    @abstractmethod
    def plan(self, job: JobSpec) -> RequestT:
        """Return the request `launch` would send: no network, no clock, no state.

        `--dry-run` prints the request and tests compare it, so its `repr` is for people. `plan`
        reads no files except the program's own; the options are in `options_of(job)`. Raises
        `PlanRefused` for what this provider cannot do, before anything costs money.
        """

    @abstractmethod
    def launch(
        self, request: RequestT, secrets: Mapping[str, str], on_progress: OnProgress = silent
    ) -> Handle:
        """Send the request; return once the provider has accepted it. Only `launch` gets secrets.

        Idempotent by the job's id: called again after a crash, it finds what it created and
        continues. The step that costs money is the last one. If an earlier step fails, `launch`
        removes what it created and raises `LaunchFailed`. If the provider stops answering, it
        raises `HubUnreachable`: what was created is then unknown, but it costs nothing, and the
        same launch completes it.
        """

    @abstractmethod
    def find(self, request: RequestT) -> Handle | None:
        """Return the handle of a completed launch of this request whose answer was lost, or none.

        None for an interrupted launch: calling `launch` again completes it.
        """

    @abstractmethod
    def status(self, handle: Handle) -> Status:
        """Return the machine's current status. One request, no waiting.

        Raises `JobGone` only if the machine is known to be gone, and `NoWrite` if this token may
        not see it.
        """

    @abstractmethod
    def logs(self, handle: Handle, *, skip: int = 0, follow: bool = False) -> Iterator[str]:
        """Yield the worker's lines after the first `skip`, in an order that never changes.

        With `follow`, it blocks for more lines until the machine has stopped. The provider may
        delete the lines before the job: the iterator then ends, without an error.
        """

    @abstractmethod
    def cancel(self, handle: Handle) -> None:
        """Stop the machine and its billing. It is no error if it has stopped already."""

    @abstractmethod
    def remove(self, handle: Handle) -> None:
        """Delete everything `launch` created that costs money or space. May be repeated."""

    @abstractmethod
    def recall(self, handle: Handle) -> JobSpec:
        """Return the job's spec from its machine, for a laptop that has no record of it.

        Raises `JobGone` if there is no such job, and `BackendError` if the spec cannot be parsed.
        """

    def maker(self, handle: Handle) -> str | None:
        """Return the account that launched a job, or none if the provider does not say."""
        return None

    def listed_as(self, handle: Handle) -> Handle:
        """Return the handle with which `sweep` lists a machine; it differs if that was renamed.

        Raises `HubtrainError` if there is no such machine.
        """
        return handle

    def clear(self, request: RequestT) -> None:
        """Delete leftovers of an interrupted launch that `sweep` does not find.

        May be repeated. Does not touch a completed launch. By default there are no such leftovers.
        """

    def look(self, handle: Handle) -> Status:
        """Return `status`, with the stage `gone` instead of `JobGone`."""
        try:
            return self.status(handle)
        except JobGone:
            return Status(alive=False, costing=False, stage="gone")

    def holds_secrets(self, handle: Handle) -> bool:
        """Whether a stopped machine still stores its secrets.

        By default it does not: they are gone with the program that received them.
        """
        return False

    def forget_secrets(self, handle: Handle) -> None:
        """Delete the secrets of a stopped machine without starting it. May be repeated."""

    def page(self, handle: Handle, url: str) -> str | None:
        """Return the address of a job's page with the key that its owner's browser needs.

        None if the key is lost, because nobody could open the page.
        """
        return url

    def build_logs(self, handle: Handle) -> Iterator[str]:
        """Yield the provider's build log; empty if it builds nothing."""
        return iter(())

    def sweep(self, owner: str) -> list[Found]:
        """Return everything of `owner` that `launch` created and the provider still has.

        One request for all jobs, for `gc`. It needs no record, so it also finds what a lost laptop
        left running. Empty if nothing can be left that costs money.
        """
        return []
