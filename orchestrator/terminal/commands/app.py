"""`hubtrain app`: the app in a browser."""

from __future__ import annotations

import sys
import webbrowser
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

import click

from orchestrator.terminal.desk import Desk
from worker.errors import HubtrainError
from worker.finding import Finding
from worker.installing import install

if TYPE_CHECKING:
    from orchestrator.app.server import Served

_UNUSED = {
    "workers": "--workers means nothing here: one process serves the app",
    "share": "--share means nothing here: the app sends nothing through others' servers;"
    " --host 0.0.0.0 lets others of this network in, with a password",
    "colab": "--colab means nothing here: examples/hubtrain.ipynb is for notebooks",
}
"""What AutoTrain's app was given, and why it changes nothing."""


@click.command("app")
@click.option("--port", type=click.IntRange(0, 65535), help="Port; 7860, or a free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--open/--no-open", "opens", default=None, help="Open the browser, or do not.")
@click.option("--workers", type=int, hidden=True)
@click.option("--share", is_flag=True, hidden=True)
@click.option("--colab", is_flag=True, hidden=True)
def COMMAND(port: int | None, host: str, opens: bool | None, **unused: object) -> int:  # noqa: N802
    """Show jobs, and start them, in a browser.

    Only this machine reaches it, with the key in the address that is printed. With another --host
    others do, with a password: HUBTRAIN_APP_PASSWORD, or one that is printed.
    """
    if find_spec("gradio") is None:
        raise HubtrainError("the app is not installed.", fix=install(["app"]))
    from orchestrator.app.server import Served

    desk = Desk()
    notes = [text for name, text in _UNUSED.items() if unused.get(name)]
    desk.screen.findings(Finding("warn", "settings", text) for text in notes)
    served = Served(desk, host, port)
    opens = _sits_here() if opens is None else opens
    served.run(partial(_ready, desk, served, opens=opens and not served.door.password))
    return 0


def _sits_here() -> bool:
    """Whether somebody sits at this machine who sees a browser that is opened."""
    return sys.stdout.isatty() and sys.platform in {"darwin", "win32"}


def _ready(desk: Desk, served: Served, *, opens: bool) -> None:
    from orchestrator.app.server import PASSWORD

    desk.screen.say(f"The app is at {served.url}")
    if served.door.password:
        told = f"in {PASSWORD}" if served.chosen else f"{served.secret} ({PASSWORD} sets another)"
        desk.screen.say(f"The password is {told}")
    desk.screen.say("Ctrl-C ends it; jobs go on.")
    if opens:
        webbrowser.open(served.url)
