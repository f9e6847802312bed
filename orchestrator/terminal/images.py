"""`hubtrain gc --images`: the images that jobs left, listed, and those that none uses removed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from orchestrator.jobs.images import Placed, placed
from orchestrator.terminal.desk import Desk
from orchestrator.terminal.question import agreed
from orchestrator.words import count, size
from worker.errors import HubtrainError
from worker.task import Finding


def images(
    desk: Desk, owners: Sequence[str], unanswered: list[str], *, yes: bool
) -> list[dict[str, Any]]:
    """List images and remove those that no job uses; each, for `--json`."""
    before = len(unanswered)
    found = list(placed(desk, owners, unanswered))
    desk.screen.findings(Finding("warn", "not asked", text) for text in unanswered[before:])
    none = "No image of jobs is kept."
    desk.screen.say(f"{count(len(found), 'image')} of jobs:" if found else none)
    desk.screen.say(*(f"  {_line(one)}" for one in found))
    free = [one for one in found if one.image.free]
    question = f"  Remove {len(free)} that no job uses? The next job of a kind builds it again."
    removing = bool(free) and (yes or (not desk.as_json and agreed(desk, question)))
    removed = [one for one in free if removing and _removed(desk, one, unanswered)]
    return [{**one.to_json(), "removed": one in removed} for one in found]


def _line(one: Placed) -> str:
    image = one.image
    room = "size not told" if image.size_bytes is None else size(image.size_bytes)
    if image.used_by:
        use = f"used by {', '.join(image.used_by)}"
    elif image.arriving:
        use = "made just now: a job may be being launched in it"
    else:
        use = "used by no job"
    return f"{image.name} · {room} · {use}"


def _removed(desk: Desk, one: Placed, unanswered: list[str]) -> bool:
    try:
        one.keeper.remove_image(one.image.name)
    except HubtrainError as error:
        unanswered.append(f"{one.image.name}: {error}")
        desk.screen.findings([Finding("warn", "not removed", unanswered[-1])])
        return False
    desk.screen.say(f"Removed {one.image.name}")
    return True
