"""A Job of the Hub: billed until its program ends, and its disk is lost with it."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping

from worker.clock import Clock
from worker.contract import EndReason, Stopped
from worker.errors import HubError
from worker.host.base import Host
from worker.hubclient import explained, hub
from worker.hubjobs import end_reason, page_key
from worker.show.door import STRANGER, Door, Viewer
from worker.timeout import within

NAMESPACE = "HUBTRAIN_NAMESPACE"
"""Environment: the account the Job runs under, which the Hub does not tell it."""

WHY_SECONDS = 3.0

_ENDED_BY = {
    EndReason.USER: "The Job was cancelled.",
    EndReason.DEADLINE: "The Job reached the Hub's time limit for it.",
}


class Job(Host):
    """The Job this worker is the program of."""

    keeps_disk = False

    @classmethod
    def is_here(cls, environ: Mapping[str, str]) -> bool:
        """Whether there is a `JOB_ID` of the Hub's, in a namespace that the launch has told."""
        return bool(environ.get("JOB_ID") and environ.get(NAMESPACE))

    @property
    def job_id(self) -> str:
        """The Hub's id of the Job."""
        return self.environ["JOB_ID"]

    def stop_billing(self, *, clock: Clock, log: Callable[[str], object]) -> bool:
        """Return true: billing ends with this program, which is about to end."""
        log("The Job ends, and costs nothing from now on.")
        return True

    def is_flavor(self, flavor: str | None) -> bool:
        """Return true: a Job is started on its machine and never moved to another."""
        return True

    def current_flavor(self) -> str | None:
        """Return what the environment tells: it does not change."""
        return self.flavor

    def stopped_on_purpose(self) -> Stopped | None:
        """Ask the Hub whether the Job was cancelled, or has reached its time limit."""
        doing = f"asking why the Job {self.job_id} has to end"
        try:
            with explained(doing):
                status = within(WHY_SECONDS, self._status, doing)
        except HubError:
            return None
        why = end_reason(*status, timeout=EndReason.DEADLINE)
        return Stopped(reason=why, message=_ENDED_BY[why]) if why in _ENDED_BY else None

    def door(self, owner: str | None, job_id: str) -> Door:
        """Return a door for the key that follows from the token; nobody else may look."""
        key = page_key(self.token, self.job_id) if self.token else None
        return JobDoor(key, job_id)

    def _status(self) -> tuple[str, str]:
        asked = {"job_id": self.job_id, "namespace": self.environ[NAMESPACE]}
        status = hub(self.token).inspect_job(**asked).status
        return str(getattr(status.stage, "value", status.stage)), status.message or ""


class JobDoor:
    """Access by a key in the address, behind the Hub's own check of who may reach the port."""

    sign_in = False
    takes_key = True
    host = None

    def __init__(self, key: str | None, job_id: str) -> None:
        self._key = key
        self._cookie = f"hubtrain_{job_id}"

    def is_address(self, headers: Mapping[str, str]) -> bool:
        """Return true: the Hub gives the page its address."""
        return True

    def cookie_for(self, key: str) -> tuple[str, str] | None:
        return (self._cookie, key) if self._opens(key) else None

    def viewer(self, cookies: Mapping[str, str], session: object) -> Viewer:
        if not self._opens(cookies.get(self._cookie, "")):
            return STRANGER
        return Viewer("its user", may_look=True, may_stop=True)

    def _opens(self, key: str) -> bool:
        return self._key is not None and hmac.compare_digest(key.encode(), self._key.encode())


HOST = Job
