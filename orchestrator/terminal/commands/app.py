"""`hubtrain app`: the app in a browser."""

from __future__ import annotations

import sys
import webbrowser
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from orchestrator.flags import DETACH, DRY_RUN, JSON, TOKEN_OPTION
from orchestrator.terminal.desk import Desk
from worker.errors import BadConfig
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


_OWN = (DRY_RUN, DETACH, TOKEN_OPTION, JSON)
_HERE = frozenset({"port", "host", "opens"})
_THERE = frozenset({"owner", "name", "public", *(option.name for option in _OWN)})


@click.command("app")
@click.option("--port", type=click.IntRange(0, 65535), help="Port; 7860, or a free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--open/--no-open", "opens", default=None, help="Open the browser, or do not.")
@click.option("--on-space", is_flag=True, help="Make a Space of the Hub that runs it.")
@click.option("--username", "--namespace", "owner", help="User or organisation of the Space.")
@click.option("--deploy-name", "name", help="Name of the Space; hubtrain-app when not given.")
@click.option("--deploy-public", "public", is_flag=True, help="Let everybody visit the Space.")
@click.option("--workers", type=int, hidden=True)
@click.option("--share", is_flag=True, hidden=True)
@click.option("--colab", is_flag=True, hidden=True)
@click.pass_context
def COMMAND(  # noqa: N802
    context: click.Context,
    /,
    port: int | None,
    host: str,
    opens: bool | None,
    on_space: bool,
    **rest: Any,
) -> int:
    """Show jobs, and start them, in a browser.

    Only this machine reaches it, with the key in the address that is printed. With another --host
    others do, with a password: HUBTRAIN_APP_PASSWORD, or one that is printed. With --on-space it
    runs at the Hub, for several users: each signs in there, sees their own jobs and pays for them.
    """
    _refuse_what_does_not_go(context, on_space)
    own = {str(option.name): rest.pop(str(option.name)) for option in _OWN}
    where = {name: rest.pop(name) for name in ("owner", "name", "public")}
    return _on_space(own, where) if on_space else _here(port, host, opens, rest)


COMMAND.params += _OWN


def _refuse_what_does_not_go(context: click.Context, on_space: bool) -> None:
    """Raise `BadConfig` for flags of an app on a Space, or of one here, that go with the other."""
    wrong = [
        param.opts[0]
        for param in COMMAND.params
        if (param.name in _HERE if on_space else param.name in _THERE)
        and context.get_parameter_source(str(param.name)) is ParameterSource.COMMANDLINE
    ]
    if wrong and on_space:
        raise BadConfig(f"{', '.join(wrong)}: the Hub decides on a Space.", fix="Leave it out.")
    if wrong:
        raise BadConfig(f"{', '.join(wrong)}: of an app on a Space.", fix="Add --on-space.")


def _on_space(own: dict[str, Any], where: dict[str, Any]) -> int:
    from orchestrator.deploy.app import check_app
    from orchestrator.terminal.deploy import make

    desk = Desk(bool(own["json"]))
    with desk.screen.waiting("Checking"):
        checked = check_app(desk, where["owner"], where["name"], private=not where["public"])
    return make(desk, checked, dry_run=bool(own["dry_run"]), detach=bool(own["detach"]))


def _here(port: int | None, host: str, opens: bool | None, unused: dict[str, Any]) -> int:
    if find_spec("gradio") is None:
        raise BadConfig("the app is not installed.", fix=install(["app"]))
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
