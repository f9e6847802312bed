"""Questions to the Hub about the visitors of a page, and how long their answers are cached.

Each question has a time limit. Without an answer nobody gets access.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Mapping
from typing import Any, Generic, TypeVar

from worker.hubclient import hub
from worker.timeout import within

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

ANSWER_SECONDS = 3.0
PRIVACY_SECONDS = 5.0
"""How long a page may stay open to strangers after its Space was made public."""

MEMBERSHIP_SECONDS = 60.0

Membership = Mapping[str, Any]
"""An organisation somebody is in, in the Hub's words: `preferred_username`, `roleInOrg`."""


class Remembered(Generic[K, T]):
    """A cache of answers that expire. Thread-safe: only one thread asks at a time."""

    def __init__(self, ask: Callable[[K], T], *, seconds: float, otherwise: T) -> None:
        self._ask, self._seconds, self._otherwise = ask, seconds, otherwise
        self._answers: dict[K, tuple[float, T]] = {}
        self._lock = threading.Lock()

    def __call__(self, about: K) -> T:
        """Return the answer; `otherwise` if there is none in time."""
        with self._lock:
            now = time.monotonic()
            self._answers = {k: v for k, v in self._answers.items() if now - v[0] < self._seconds}
            if about not in self._answers:
                answer = self._asked(about)
                self._answers[about] = (time.monotonic(), answer)
            return self._answers[about][1]

    def _asked(self, about: K) -> T:
        try:
            return within(ANSWER_SECONDS, lambda: self._ask(about), "asking the Hub")
        except Exception:  # if the Hub cannot be asked, nobody gets more access
            return self._otherwise


def privacy(space: str, token: str | None) -> Callable[[], bool]:
    """Return what tells whether a Space is private, which its owner may change at any time."""
    ask: Remembered[str, bool] = Remembered(
        lambda name: bool(hub(token).space_info(name).private),
        seconds=PRIVACY_SECONDS,
        otherwise=False,
    )
    return lambda: ask(space)


def memberships(provider: str) -> Callable[[str], list[Membership]]:
    """Return what tells the organisations of whoever signed in and got an access token."""

    def ask(access_token: str) -> list[Membership]:
        from huggingface_hub import get_session

        headers = {"Authorization": f"Bearer {access_token}"}
        told = get_session().get(f"{provider}/oauth/userinfo", headers=headers)
        told.raise_for_status()
        return list(told.json().get("orgs") or [])

    nothing: list[Membership] = []
    return Remembered(ask, seconds=MEMBERSHIP_SECONDS, otherwise=nothing)
