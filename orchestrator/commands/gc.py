"""`hubtrain gc`: find what still costs, and stop it."""

from __future__ import annotations

import click

from orchestrator.desk import Desk
from orchestrator.gc import Leftover, leftovers, stop
from orchestrator.words import count, money


@click.command("gc")
@click.option("--yes", "-y", is_flag=True, help="Stop what is found without asking.")
@click.option("--delete", is_flag=True, help="Delete it too, instead of only stopping it.")
@click.option("--username", "owners", multiple=True, help="Account to look at; yours if not given.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document; asks nothing.")
def COMMAND(yes: bool, delete: bool, owners: tuple[str, ...], as_json: bool) -> int:  # noqa: N802
    """Find machines that live on after their job, by record and by tag, and stop them.

    Exits 0 if nothing of that kind is left.
    """
    desk = Desk(as_json)
    found = leftovers(desk, list(owners) or desk.accounts())
    garbage = [one for one in found if one.garbage]
    for one in found:
        if not one.garbage:
            desk.screen.say(f"Running as it should: {one.found.handle}")
    desk.screen.say(_headline(garbage), *map(_line, garbage))
    stopping = bool(garbage) and (yes or (not as_json and click.confirm("  Stop?", default=False)))
    left = [one for one in garbage if not (stopping and _stopped(desk, one, delete))]
    desk.screen.document(
        {
            "stopped": [str(g.found.handle) for g in garbage if g not in left],
            "left": [str(g.found.handle) for g in left],
            "running": [str(one.found.handle) for one in found if not one.garbage],
        }
    )
    return 1 if left else 0


def _headline(garbage: list[Leftover]) -> str:
    if not garbage:
        return "Nothing is left over."
    return f"{count(len(garbage), 'machine')} without a job:"


def _line(one: Leftover) -> str:
    costs = "costing" if one.found.status.costing else "free"
    spent = f", {money(one.usd_so_far)} so far" if one.usd_so_far else ""
    return f"  {one.found.handle} · {one.found.status.stage} ({costs}{spent}) · {one.why}"


def _stopped(desk: Desk, one: Leftover, delete: bool) -> bool:
    status = stop(one)
    if delete:
        one.backend.remove(one.found.handle)
    desk.screen.say(f"Stopped {one.found.handle} ({status.stage})")
    return not status.costing
