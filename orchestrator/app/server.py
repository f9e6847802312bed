"""Serves the app: the pages, and beside them whatever `routes/` has, behind one gate."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

from orchestrator.app.base import LOGOUT, App, Page, pages, routes
from orchestrator.app.keys import key
from orchestrator.hosted import UPLOAD_BYTES
from orchestrator.jobs.client import Client
from worker.errors import BadConfig
from worker.loopback import is_loopback

PORT = 7860
"""Where AutoTrain's app and Gradio's are expected."""

PREPARE_SECONDS = 1.5
"""How long the first page has the machine for itself, before others are prepared."""

GONE = "The app no longer answers: start it again with hubtrain app."
GONE_ELSEWHERE = "The app no longer answers: its Space may be asleep. Load this page again."
"""What is said to a guest, who cannot start it."""

FORGETS = (
    "This app keeps its list of jobs while its Space runs. After that it finds your jobs again at"
    " the Hub, by their tags."
)
"""What is said where nothing that the app keeps outlives it."""

PASSWORD = "HUBTRAIN_APP_PASSWORD"
"""Environment variable with the password for an app that others reach."""


class Served:
    """An app that is about to be served: its port is open already.

    Raises `BadConfig` for a port that is asked for and taken, and for a host that is not this
    machine's.
    """

    def __init__(self, client: Client, host: str = "127.0.0.1", port: int | None = None) -> None:
        from orchestrator.app.gate import Door

        self.host = host
        self._socket = listening(host, port)
        self.port = int(self._socket.getsockname()[1])
        self.chosen = bool(os.environ.get(PASSWORD))
        """Whether the password is one that the user has chosen."""

        own = is_loopback(host)
        self.secret = key() if own else _password()
        self.door = Door(self.secret, password=not own)
        self.app = App(client, pages=pages(), own_machine=own)

    @property
    def url(self) -> str:
        """Where its user opens it: on this machine with the key."""
        if self.door.host:
            return f"http://{self.door.host}:{self.port}/?key={self.secret}"
        named = socket.gethostname() if self.host in {"0.0.0.0", "::", ""} else self.host
        return f"http://[{named}]:{self.port}/" if ":" in named else f"http://{named}:{self.port}/"

    def run(self, on_ready: Callable[[], None] = lambda: None) -> None:
        """Serve it until the process is interrupted; `on_ready` is told when it answers."""
        serve(self.app, self.door, self._socket, partial(self._ready, on_ready))

    def _ready(self, on_ready: Callable[[], None]) -> None:
        on_ready()
        preparing = threading.Timer(PREPARE_SECONDS, self._prepare)
        preparing.daemon = True
        preparing.start()

    def _prepare(self) -> None:
        for page in self.app.pages:
            page.prepare()


def serve(
    app: App, door: Any, bound: socket.socket, on_ready: Callable[[], None] = lambda: None
) -> None:
    """Serve an app on an open port until the process is interrupted."""
    import uvicorn

    from orchestrator.app import receiving

    with receiving.folder() as uploads:
        os.environ["GRADIO_TEMP_DIR"] = str(uploads)  # gradio's own is one for all users here
        web = application(app, door, on_ready)
        config = uvicorn.Config(
            web, log_config=None, access_log=False, ws="none", timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(config)
        # Pages that are open when the app ends are cut off: that is no error of theirs.
        logging.getLogger("uvicorn.error").addFilter(lambda _: not server.should_exit)
        try:
            server.run(sockets=[bound])
        finally:
            app.trying.end()
            app.rehearsing.close()


def application(app: App, door: Any, on_ready: Callable[[], None] = lambda: None) -> Any:
    """Return the whole app as an ASGI application."""
    os.environ.update(GRADIO_ANALYTICS_ENABLED="False", HF_HUB_DISABLE_TELEMETRY="1")
    from fastapi import FastAPI

    from orchestrator.app.gate import Gate
    from orchestrator.app.receiving import Receiving
    from worker.show.mounted import mounted

    running: list[Any] = []

    @asynccontextmanager
    async def lifespan(web: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for one in running:
                await stack.enter_async_context(one)
            on_ready()
            yield

    web = FastAPI(title="hubtrain", docs_url=None, redoc_url=None, lifespan=lifespan)
    web.add_middleware(Receiving)
    web.add_middleware(Gate, door=door)
    running += [context for mount in routes() if (context := mount(web, app)) is not None]
    css = (Path(__file__).parent / "app.css").read_text(encoding="utf-8")
    most, gone = (UPLOAD_BYTES, GONE_ELSEWHERE) if app.client.guest else (None, GONE)
    return mounted(web, _blocks(app), gone=gone, css=css, uploads=True, most=most)


def _blocks(app: App) -> Any:
    """Return all pages as one gradio application."""
    import gradio as gr

    first, *others = sorted(app.pages, key=lambda page: page.path != "")
    with gr.Blocks(title="hubtrain", analytics_enabled=False) as blocks:
        app.on_open = blocks.load
        _lay_out(app, first)
    for page in others:
        with blocks.route(page.title, page.path, show_in_navbar=False):
            _lay_out(app, page)
    return blocks


def _lay_out(app: App, page: Page) -> None:
    import gradio as gr

    gr.Navbar(visible=False)
    gr.HTML(menu(app, page), js_on_load=None, elem_id="menu")
    page.lay_out(app)


def menu(app: App, here: Page) -> str:
    """Return the links to the pages, with the present one marked, and who is signed in."""
    links = (
        f'<a href="/{page.path}"{" aria-current=page" if page is here else ""}>'
        f"{escape(page.title)}</a>"
        for page in app.pages
        if page.place is not None
    )
    titled = f'data-title="{escape(here.title)} · hubtrain"'
    shown = (
        f'<nav class="hubtrain menu" aria-label="Pages" {titled}><b>hubtrain</b>{"".join(links)}'
    )
    guest = app.client.guest
    if guest is None:
        return f"{shown}</nav>"
    who = f'<span class="who">{escape(guest.name)} · <a href="{LOGOUT}">Log out</a></span>'
    note = "" if guest.kept else f'<p class="hubtrain small">{FORGETS}</p>'
    return f"{shown}{who}</nav>{note}"


def listening(host: str, port: int | None) -> socket.socket:
    """Open a port: the one asked for, else the usual one, else one that is free.

    Raises `BadConfig` where that cannot be.
    """
    wanted = PORT if port is None else port
    try:
        family, *_, place = socket.getaddrinfo(host, wanted, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise BadConfig(f"{host} is no address of this machine.", fix="--host 127.0.0.1") from error
    bound = socket.socket(family, socket.SOCK_STREAM)
    if os.name == "posix":
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        _bind(bound, place, exactly=port is not None)
    except OSError as error:
        bound.close()
        fix = "Without --port it takes a free one."
        raise BadConfig(f"{host}:{wanted} cannot be used: {error.strerror}.", fix=fix) from error
    bound.listen(128)
    return bound


def _bind(bound: socket.socket, place: Any, *, exactly: bool) -> None:
    try:
        bound.bind(place)
    except OSError:
        if exactly:
            raise
        bound.bind((place[0], 0, *place[2:]))


def _password() -> str:
    """Return the password for an app that others reach. Raises `BadConfig` for a short one."""
    said = os.environ.pop(PASSWORD, "")  # no job of this machine is to inherit it
    if said and len(said) < 8:  # noqa: PLR2004
        raise BadConfig(f"{PASSWORD} has fewer than 8 letters.", fix="Take a longer one.")
    return said or secrets.token_urlsafe(12)
