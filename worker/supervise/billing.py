"""Stopping what costs. A worker can stop its own Space; elsewhere its exit is all it has.

It does not judge whether it worked: the laptop asks the provider, and so does `hubtrain gc`.
"""

from __future__ import annotations

from collections.abc import Callable

from worker.clock import Clock
from worker.errors import HubtrainError
from worker.hubclient import explained, hub
from worker.supervise.patience import within

WAITS = (1, 2, 4, 8, 15, 30, 60, 60, 120)
"""Seconds between attempts. After the last one the worker exits: a Space that dies is suspended."""

_CALL_SECONDS = 90.0


def stop_billing(
    space_id: str | None, token: str | None, *, clock: Clock, log: Callable[[str], object]
) -> bool:
    """Pause this Space, or move it to free hardware; true once the Hub has agreed to either.

    Blocks for minutes while the Hub cannot be reached, and may be cut short at any moment by the
    pause it asked for. Outside a Space nothing is asked and nothing costs after the exit.
    """
    if space_id is None:
        return True
    for wait in (*WAITS, None):
        if _paused(space_id, token, log) or _free_hardware(space_id, token, log):
            return True
        if wait is not None:
            clock.sleep(wait)
    log("Billing could not be stopped from here; exiting, which suspends the Space.")
    return False


def _paused(space_id: str, token: str | None, log: Callable[[str], object]) -> bool:
    log(f"Pausing {space_id}, so that it costs nothing.")
    return _asked(lambda: hub(token).pause_space(space_id), f"pausing {space_id}", log)


def _free_hardware(space_id: str, token: str | None, log: Callable[[str], object]) -> bool:
    from huggingface_hub import SpaceHardware

    def ask() -> object:
        return hub(token).request_space_hardware(space_id, SpaceHardware.CPU_BASIC)

    return _asked(ask, f"moving {space_id} to free hardware", log)


def _asked(ask: Callable[[], object], doing: str, log: Callable[[str], object]) -> bool:
    try:
        with explained(doing):
            within(_CALL_SECONDS, ask, doing)
    except HubtrainError as error:
        log(str(error))
        return False
    except Exception as error:  # nothing may keep the next attempt from being made
        log(f"{doing}: {type(error).__name__}: {error}")
        return False
    log(f"Done {doing}.")
    return True
