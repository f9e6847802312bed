"""Waiting for the hardware the job asked for, which is requested last because it costs money.

The worker waits on a free machine. When the requested hardware is ready, the provider sends SIGTERM
to this machine and starts the worker again on the new one. So SIGTERM while waiting is normal and
does not end the job.
"""

from __future__ import annotations

from worker.contract import EndReason
from worker.duration import roughly
from worker.errors import HubError, HubtrainError
from worker.supervise.live import Live

LOOK_SECONDS = 5.0
GIVE_UP_SECONDS = 1800.0
SETTLED_SECONDS = 60.0
"""How long new hardware is mistrusted: the Hub may name it before it replaces this machine."""


def wait_for_flavor(live: Live) -> bool:
    """Return true once this is the right machine, false if asked to go before that.

    Raises `HubtrainError` after `GIVE_UP_SECONDS`.
    """
    flavor, clock = live.spec.machine.flavor, live.clock
    if live.host.is_flavor(flavor):
        return True
    began, since = clock.monotonic(), None
    while True:
        current, now = _current(live), clock.monotonic()
        since = None if current != flavor else now if since is None else since
        if since is not None and (not live.waiting or now - since >= SETTLED_SECONDS):
            live.waiting = ""
            return True
        if now - began >= GIVE_UP_SECONDS:
            raise _never_came(flavor, current)
        live.waiting = f"waiting for {flavor}"
        live.nap(LOOK_SECONDS)
        if live.stopped_by:
            return False


def _current(live: Live) -> str | None:
    try:
        return live.host.current_flavor()
    except HubError as error:
        live.journal.log(str(error))
        return None


def _never_came(flavor: str | None, current: str | None) -> HubtrainError:
    return HubtrainError(
        f"{flavor} did not come within {roughly(GIVE_UP_SECONDS)}; this is {current}.",
        fix="Run the job again later, or on other hardware.",
        reason=EndReason.PROVIDER,
    )
