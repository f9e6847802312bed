"""What every place that can answer for a model has to be able to do.

To add one, write `backends/deploy/<name>.py` and end it with `PLACE = YourClass`. A place polls,
sleeps and prints nothing; those belong to `orchestrator`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

from backends.base import Flavor, LaunchRequest, Need, OnProgress, Status, silent
from backends.handle import Handle
from worker.clock import Clock, SystemClock
from worker.contract import Deployment

SECRET = "HF_TOKEN"
"""Environment of the machine: the token by which it reads the model, where it needs one."""


@dataclass(frozen=True, slots=True)
class DeployOrder:
    """A model that is to answer somewhere, checked."""

    deployment: Deployment
    does: str
    """What the model does, in the Hub's words."""

    extras: tuple[str, ...]
    """Extras of the package that its answers need."""

    owner: str
    name: str
    private: bool
    flavor: Flavor
    sleep_seconds: int
    """Silence after which a paid machine stops costing."""

    needs_token: bool = False
    """Whether the machine needs a token to read the model."""

    @property
    def path(self) -> str:
        """Return `owner/name`."""
        return f"{self.owner}/{self.name}"


@dataclass(frozen=True, slots=True)
class Deployed:
    """A model that answers, or did, as its provider knows it."""

    handle: Handle
    model: str
    flavor: str
    status: Status
    ready: bool = False
    """Whether it answers now, or will once somebody asks."""


RequestT = TypeVar("RequestT", bound=LaunchRequest)


class Place(ABC, Generic[RequestT]):
    """What a place is like, and its verbs, each of which may be repeated without harm."""

    name: ClassVar[str]
    """As in `--deploy-backend`."""

    scheme: ClassVar[str]
    """How its handles begin."""

    noun: ClassVar[str]
    needs: ClassVar[tuple[Need, ...]] = ()
    """What the account that pays must have at the Hub."""

    usual_flavor: ClassVar[str | None] = None
    """The machine where nobody names one; none: the cheapest that the model fits on."""

    short_names: ClassVar[Mapping[str, str]] = {}
    takes_adapters: ClassVar[bool] = True
    """Whether an adapter can be deployed without being merged into its base."""

    fixes_answers: ClassVar[bool] = True
    """Whether settings of answers, such as `--system`, can be the same for all who ask."""

    def __init__(self, token: str | None = None, clock: Clock | None = None) -> None:
        self.token = token
        self.clock = clock or SystemClock()

    @abstractmethod
    def flavors(self, owner: str) -> list[Flavor]:
        """Return what `owner` can rent, cheapest first, at today's prices. Asks the network."""

    @abstractmethod
    def default_name(self, model: str) -> str:
        """Return what a deployment of `model` is called where nobody says."""

    @abstractmethod
    def rests(self, order: DeployOrder) -> str:
        """Return when a machine that nobody asks stops costing, in words."""

    @abstractmethod
    def plan(self, order: DeployOrder) -> RequestT:
        """Return what `send` would send, without asking anybody. Raises `PlanRefused`."""

    @abstractmethod
    def send(
        self, request: RequestT, secrets: Mapping[str, str], on_progress: OnProgress = silent
    ) -> Handle:
        """Make the deployment, or bring the one that is there up to date; money last.

        One of the same name that hubtrain did not make is left alone: `LaunchFailed`. What fails
        leaves nothing that costs and was not there before.
        """

    @abstractmethod
    def look(self, handle: Handle) -> Deployed:
        """Say how it is now. Raises `JobGone` where it is known to be gone."""

    @abstractmethod
    def last_words(self, handle: Handle) -> Iterator[str]:
        """Yield what it wrote while it was made or started, for who wonders why it failed."""

    @abstractmethod
    def pause(self, handle: Handle) -> None:
        """Let it cost nothing, until it is deployed again. One that does already is no error."""

    @abstractmethod
    def remove(self, handle: Handle) -> None:
        """Delete it. Refuses one that hubtrain did not make."""

    @abstractmethod
    def sweep(self, owner: str) -> list[Deployed]:
        """Return every deployment of `owner` that hubtrain made."""
