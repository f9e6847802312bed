"""What pages and routes are made of, and what they share: the app of one user."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import TYPE_CHECKING, Any

from orchestrator.app.board import Board
from orchestrator.app.logs import Logs
from orchestrator.jobs.client import Client
from worker.importing import importing
from worker.show.visits import Visits

if TYPE_CHECKING:
    from orchestrator.app.rehearsing import Rehearsing
    from orchestrator.app.samples import Said
    from orchestrator.app.trying import Trying


LOGOUT = "/logout"
"""Address at which a login ends."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page: a module in `pages/` has one, called `PAGE`; one with an underscore is a part."""

    path: str
    """What its address ends with, without a slash; empty for the first page."""

    title: str
    lay_out: Callable[[App], None]
    """Lays it out, within the page's gradio context."""

    place: int | None = None
    """Where in the menu it stands; none where it is reached from elsewhere."""

    prepare: Callable[[], None] = lambda: None
    """Loads what would make its first visitor wait. Done in a thread once the app answers; asks
    nobody."""


@dataclass
class App:
    """The app of one user, which all its pages and routes work with."""

    client: Client
    visits: Visits = field(default_factory=Visits)
    """Which pages are open, and what each of them shows now."""

    pages: tuple[Page, ...] = ()

    own_machine: bool = True
    """Whether nobody but the user of this machine reaches it: its folders may be named then."""

    on_open: Callable[..., Any] = field(default=lambda **_: None)
    """Registers what is to be done when the page that is laid out now is opened (`Blocks.load`)."""

    @cached_property
    def board(self) -> Board:
        """What is known of all jobs."""
        return Board(self.client)

    @cached_property
    def logs(self) -> Logs:
        """What jobs have printed."""
        return Logs(self.client)

    @cached_property
    def said(self) -> Said:
        """What the models of jobs said before and after."""
        from orchestrator.app.samples import Said

        return Said(self.client)

    @cached_property
    def trying(self) -> Trying:
        """The model that is asked now."""
        from orchestrator.app.trying import Trying

        return Trying()

    @cached_property
    def rehearsing(self) -> Rehearsing:
        """The rehearsal that was started here, and the reports of all."""
        from orchestrator.app.rehearsing import Rehearsing

        return Rehearsing(self.client)

    def has(self, path: str) -> bool:
        """Whether there is a page at this address."""
        return any(page.path == path for page in self.pages)


def pages() -> tuple[Page, ...]:
    """Return the pages, in the order of the menu."""
    from orchestrator.app import pages as room

    found: list[Page] = [module.PAGE for module in _modules(room)]
    return tuple(sorted(found, key=lambda page: (page.place is None, page.place or 0, page.path)))


def routes() -> list[Callable[[Any, App], Any]]:
    """Return what adds addresses to the web application: `mount` of each module in `routes/`.

    It is called with the FastAPI application and the `App`. Where it returns an asynchronous
    context manager, that is entered while the app is served.
    """
    from orchestrator.app import routes as room

    return [module.mount for module in _modules(room)]


def _modules(room: ModuleType) -> list[ModuleType]:
    found = (module.name for module in iter_modules(room.__path__))
    names = sorted(name for name in found if not name.startswith("_"))
    with importing():
        return [import_module(f"{room.__name__}.{name}") for name in names]
