"""`hubtrain gc`: find what still costs, and stop it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from orchestrator.exits import FAILED
from orchestrator.jobs.gc import Leftover, Sweep, sweep, take_back
from orchestrator.jobs.removal import finish_removals
from orchestrator.terminal.desk import Desk
from orchestrator.terminal.question import agreed
from orchestrator.words import count, money, size
from worker.errors import HubtrainError, NoWrite
from worker.task import Finding

if TYPE_CHECKING:
    from datetime import datetime

    from orchestrator.jobs.stored import Stored


@click.command("gc")
@click.option("--yes", "-y", is_flag=True, help="Stop what is found without asking.")
@click.option("--delete", is_flag=True, help="Delete it too, instead of only stopping it.")
@click.option("--data", is_flag=True, help="Also the private datasets of packed data.")
@click.option("--images", is_flag=True, help="Also the images that jobs ran in.")
@click.option("--username", "owners", multiple=True, help="Account to look at; yours if not given.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document; asks nothing.")
def COMMAND(  # noqa: N802, PLR0917
    yes: bool, delete: bool, data: bool, images: bool, owners: tuple[str, ...], as_json: bool
) -> int:
    """Find what still costs after its job, and stop it.

    Machines are looked for by the records here and by their tag. Exits 0 if nothing of that kind
    is left, and everything could be asked.
    """
    desk = Desk(as_json)
    unanswered: list[str] = []
    removed = finish_removals(desk, unanswered)
    desk.screen.say(*(f"Removed {job}, whose rm was cut short" for job in removed))
    swept = sweep(desk, list(owners), lambda seconds: _tell_of_waiting(desk, seconds))
    swept.unanswered[:0] = unanswered
    _tell_of_unasked(desk, swept)
    garbage = [one for one in swept.leftovers.values() if one.garbage]
    running = [str(one.found.handle) for one in swept.leftovers.values() if not one.garbage]
    desk.screen.say(*(f"Running as it should: {handle}" for handle in running))
    desk.screen.findings(deployed := _deployed(desk, owners))
    desk.screen.say(_headline(desk, garbage, swept.unanswered), *map(_line, garbage))
    stops = bool(garbage) and (yes or (not as_json and agreed(desk, "  Stop?")))
    left = [one for one in garbage if not (stops and _stopped(desk, one, delete))]
    taken = take_back(desk, swept)
    desk.screen.say(*(f"Took the secrets back from {handle}, whose job ended" for handle in taken))
    document: dict[str, Any] = {
        "stopped": [str(one.found.handle) for one in garbage if one not in left],
        "left": [str(one.found.handle) for one in left],
        "secrets_taken_back": taken,
        "removed": removed,
        "running": running,
        "deployed": [finding.text for finding in deployed],
        "unanswered": swept.unanswered,
    }
    if data:
        document["data"] = _data(desk, swept, owners, yes)
    if images:
        document["images"] = _images(desk, swept, owners, yes)
    desk.screen.document(document)
    return FAILED if left or swept.unanswered else 0


def _tell_of_unasked(desk: Desk, swept: Sweep) -> None:
    desk.screen.findings(Finding("warn", "not asked", text) for text in swept.unanswered)
    if desk.token is None:
        text = "without a Hub token only the jobs this machine knows are looked at"
        desk.screen.findings([Finding("warn", "account", text, "hf auth login")])


def _tell_of_waiting(desk: Desk, seconds: float) -> None:
    later = f"looking again in {seconds:.0f} s"
    desk.screen.say(f"Something has no job: one may be being launched, so {later}.")


def _deployed(desk: Desk, owners: tuple[str, ...]) -> list[Finding]:
    """Return what there is to say of models that answer: they stay, and may cost."""
    from orchestrator.terminal.deployments import swept

    try:
        return swept(desk, owners or desk.accounts())
    except HubtrainError:  # said already: nobody could be asked who this is
        return []


def _data(desk: Desk, swept: Sweep, owners: tuple[str, ...], yes: bool) -> list[dict[str, Any]]:
    """List the datasets of packed data and remove those no job reads; each, for `--json`."""
    from orchestrator.jobs.stored import stored

    try:
        if desk.token is None:
            raise NoWrite("they can only be seen with a Hub token")
        found = stored(desk, owners or desk.accounts(), swept.leftovers.values())
    except HubtrainError as error:
        swept.unanswered.append(f"the datasets: {error}")
        desk.screen.findings([Finding("warn", "not asked", swept.unanswered[-1])])
        return []
    free = [one for one in found if one.free]
    many = size(sum(one.size_bytes for one in found))
    none = "No data of jobs is stored."
    desk.screen.say(f"{count(len(found), 'dataset')} of packed data, {many}:" if found else none)
    for one in found:
        desk.screen.say(f"  {one.repo_id} · {size(one.size_bytes)} · {_use(one, desk.clock.now())}")
    if free and swept.unanswered:
        desk.screen.say("None is removed: whether a job reads them could not be asked.")
        free = []
    removing = bool(free) and (
        yes or (not desk.as_json and agreed(desk, f"  Remove {len(free)} that no job reads?"))
    )
    removed = [one for one in free if removing and _removed(desk, one.repo_id)]
    return [{**one.to_json(), "removed": one in removed} for one in found]


def _images(desk: Desk, swept: Sweep, owners: tuple[str, ...], yes: bool) -> list[dict[str, Any]]:
    """List the images of jobs and remove those that none uses; each, for `--json`."""
    from orchestrator.terminal.images import images

    try:
        of = owners or desk.accounts()
    except HubtrainError:  # said already: nobody could be asked who this is
        of = ()
    return images(desk, of, swept.unanswered, yes=yes)


def _use(one: Stored, now: datetime) -> str:
    if one.used_by:
        return f"read by {', '.join(one.used_by)}"
    if one.used_until and one.used_until > now:
        day = f"{one.used_until:%Y-%m-%d}"
        return f"used on another computer, until {day} at most; hubtrain gc --data there removes it"
    if one.arriving or one.used_until:
        return "sent just now: its job may be being launched on another computer"
    return "read by no running job"


def _removed(desk: Desk, repo_id: str) -> bool:
    """Remove a dataset, and return whether it is gone; what a job needs after all stays."""
    from orchestrator.jobs.stored import InUse, discard

    try:
        discard(desk, repo_id)
    except InUse as used:
        desk.screen.say(used.message)
        return False
    desk.screen.say(f"Removed {repo_id}")
    return True


def _headline(desk: Desk, garbage: list[Leftover], unanswered: list[str]) -> str:
    if not garbage and unanswered:
        return "Nothing was found, but not everything could be asked."
    if not garbage:
        known = "" if desk.token else " of the jobs this machine knows"
        return f"Nothing is left over{known}."
    return f"{count(len(garbage), 'machine')} without a job:"


def _line(one: Leftover) -> str:
    costs = "costing" if one.found.status.costing else "free"
    spent = f", {money(one.usd_so_far)} so far" if one.usd_so_far else ""
    return f"  {one.found.handle} · {one.found.status.stage} ({costs}{spent}) · {one.why}"


def _stopped(desk: Desk, one: Leftover, delete: bool) -> bool:
    """Stop one thing; true once it costs nothing. What goes wrong is said, and the rest goes on."""
    try:
        status = one.stop()
        if delete:
            one.backend.remove(one.found.handle)
    except HubtrainError as error:
        desk.screen.findings([Finding("error", "gc", f"{one.found.handle}: {error}")])
        return False
    desk.screen.say(f"Stopped {one.found.handle} ({status.stage})")
    return not status.costing
