"""Retries of calls to the Hub, with limits on the whole time and on the time of each try."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception
from tenacity.wait import wait_exponential_jitter

from worker.errors import HubError, HubUnreachable
from worker.supervise.live import Live
from worker.timeout import within

T = TypeVar("T")


CALL_SECONDS = 120.0
"""Longest that one small question to the Hub may take."""


def keep_trying(
    live: Live,
    do: Callable[[], T],
    doing: str,
    *,
    seconds: float,
    refusals: int,
    longest: float = CALL_SECONDS,
    at_most: float = math.inf,
) -> T:
    """Return what `do` returns, calling it again while the Hub fails; raises its last `HubError`.

    If the Hub does not answer, it is tried again for `seconds`. If it refuses, it is asked
    `refusals` times in all, since that seldom changes. One try takes at most `longest` seconds,
    and all together take at most `at_most`. Once somebody asks to stop, nothing is tried again.
    """
    began = live.clock.monotonic()
    asked = live.stopped_by

    def once() -> T:
        left = at_most - (live.clock.monotonic() - began)
        return within(min(longest, left), do, doing)

    def over(state: RetryCallState) -> bool:
        error = state.outcome and state.outcome.exception()
        waited = live.clock.monotonic() - began + state.upcoming_sleep
        late = waited > min(seconds, at_most)
        refused = not isinstance(error, HubUnreachable) and state.attempt_number >= refusals
        return late or refused or live.stopped_by != asked

    def tell(state: RetryCallState) -> None:
        error = state.outcome and state.outcome.exception()
        live.journal.log(f"{error} Trying again in {state.upcoming_sleep:.0f} s.")

    result: T = Retrying(
        retry=retry_if_exception(lambda error: isinstance(error, HubError)),
        wait=wait_exponential_jitter(initial=1, max=60, jitter=1),
        stop=over,
        sleep=live.nap,
        before_sleep=tell,
        reraise=True,
    )(once)
    return result
