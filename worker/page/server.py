"""Serves the page from a thread. The port is open at once; nothing is loaded until somebody comes.

An error here never ends the job; it is written to the job's log.
"""

from __future__ import annotations

import os
import select
import socket
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from worker.importing import importing
from worker.samples import SAMPLES_FILE
from worker.samples import read as read_samples
from worker.show import filled, style
from worker.show import view as shown
from worker.show.digest import Digest
from worker.show.view import View
from worker.show.visits import Visits
from worker.supervise.live import Live

if TYPE_CHECKING:
    from fastapi import FastAPI

    from worker.page.front import Front
    from worker.page.gate import Gate

GONE = "The worker no longer answers; this is what it said last."
ANSWER_SECONDS = 0.5
"""Seconds that responses in progress get to finish."""


class Server:
    """The page of one job, served until the process ends."""

    def __init__(self, live: Live) -> None:
        self.live = live
        self.url: str | None = None
        self._visits = Visits()
        self._digest = Digest()
        self._front: Front | None = None
        self._door = live.host.door(live.spec.owner, live.spec.job_id)
        self._socket = listening(live.host.environ)
        if host := self._door.host:
            self.url = f"http://{host}:{self._socket.getsockname()[1]}/"
        threading.Thread(target=self._serve, daemon=True, name="page").start()

    def show_end(self, seconds: float) -> None:
        """Wait until each open page has drawn the end, and who came has it, at most so long."""
        until = time.monotonic() + seconds
        if not self._awaited:
            return
        while self._awaited and time.monotonic() < until:
            time.sleep(0.1)
        time.sleep(ANSWER_SECONDS)

    def look(self) -> View:
        """Return the job as it is now."""
        live = self.live
        events = self._digest.of(live.journal.events)
        return View.of(
            *(live.spec, events, live.clock.now(), live.usage, live.waiting),
            samples=read_samples(live.host.work / SAMPLES_FILE),
        )

    def end(self, session: str | None) -> str | None:
        """Return the last page once the job is over; the page that asks is no longer waited for."""
        if not self.live.over:
            return None
        self._visits.leave(session)
        return last_page(self.look(), "\n".join(self.live.journal.tail))

    @property
    def _awaited(self) -> bool:
        return self._visits.open or bool(self._front and self._front.waiting)

    def _serve(self) -> None:
        try:
            self._run()
        except Exception as error:  # an error of the page must not end the job
            self.live.journal.log(f"The page could not be served: {error!r}")

    def _run(self) -> None:
        select.select([self._socket], [], [])  # until somebody comes
        import uvicorn

        from worker.page.front import Front
        from worker.page.gate import Gate

        gate = Gate(door=self._door, log=self.live.journal.log_path, end=self.end)
        self._front = Front(gate, lambda: self._loaded(gate))
        config = uvicorn.Config(
            self._front,
            log_config=None,
            access_log=False,
            ws="none",
            lifespan="off",
            forwarded_allow_ips="*",
            timeout_graceful_shutdown=1,
        )
        uvicorn.Server(config).run(sockets=[self._socket])

    def _loaded(self, gate: Gate) -> FastAPI:
        try:
            return self._gradio(gate)
        except Exception as error:
            self.live.journal.log(f"The page could not be loaded: {error!r}")
            raise

    def _gradio(self, gate: Gate) -> FastAPI:
        os.environ.update(GRADIO_ANALYTICS_ENABLED="False", HF_HUB_DISABLE_TELEMETRY="1")
        with importing():
            from fastapi import FastAPI

            from worker.page.blocks import build
            from worker.page.gate import Guarded
            from worker.show.mounted import mounted

        app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
        app.add_middleware(Guarded, gate=gate)
        if self._door.sign_in:
            from gradio.oauth import attach_oauth

            attach_oauth(app)
        page = build(self.live, self._visits, self.look, self._door.sign_in)
        mounted(app, page, gone=GONE)
        return app


def last_page(view: View, log: str) -> str:
    """Return a page that needs no server once it is shown: the end, the curves, the last lines."""
    return filled(
        Path(__file__).parent / "end.html.jinja",
        title=f"{view.spec.project}: {view.story.state}",
        css=style(),
        answer=shown.answer(view),
        curves=shown.curves(view),
        samples=shown.samples(view),
        more=shown.more_curves(view),
        settings=shown.settings(view),
        log=log,
    )


def listening(environ: Mapping[str, str]) -> socket.socket:
    """Open the port on which the place where this runs expects a page."""
    name = environ.get("GRADIO_SERVER_NAME") or "127.0.0.1"
    port = int(environ.get("GRADIO_SERVER_PORT") or 0)
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind((name, port))
    bound.listen(128)
    return bound
