"""A Space of the Hub: billed by the minute until it is paused, and its disk is lost with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from worker.clock import Clock
from worker.contract import EndReason, Stopped
from worker.errors import HubError, HubtrainError
from worker.host.base import Host
from worker.host.hubdoor import PASS_KEY, HubDoor
from worker.host.membership import memberships, privacy
from worker.hubclient import REAL_HUB, explained, hub
from worker.show.door import Door
from worker.timeout import within

WAITS = (1, 2, 4, 8, 15, 30, 60, 60, 120)
"""Seconds between tries to stop billing. After the last one the worker exits, since the Hub
suspends a Space whose program has ended."""

COMING_BACK = frozenset(
    {
        *("BUILDING", "APP_STARTING", "RUNNING"),
        *("RUNNING_BUILDING", "RUNNING_APP_STARTING"),
    }
)
"""Stages of a Space whose program the Hub ends to start it again. Should it not, the Space costs
nothing: its program has ended."""

CALL_SECONDS = 90.0
WHY_SECONDS = 3.0


class Space(Host):
    """The Space this worker is the program of."""

    keeps_disk = False
    forgets_starts = True

    @classmethod
    def is_here(cls, environ: Mapping[str, str]) -> bool:
        """Whether there is a `SPACE_ID`, which the Hub sets in each Space."""
        return bool(environ.get("SPACE_ID"))

    @property
    def name(self) -> str:
        """The Space, as `owner/name`."""
        return self.environ["SPACE_ID"]

    def stop_billing(self, *, clock: Clock, log: Callable[[str], object]) -> bool:
        """Pause the Space, or move it to free hardware; true once the Hub has agreed to either.

        Whether it has been done is checked from the laptop, by the watch and by `hubtrain gc`. The
        secrets are taken back from there too: to delete one restarts a Space that is not paused.
        """
        if self.token is None:  # taken back after the job's end, and then somebody restarted it
            log("There is no token to pause the Space with; exiting, which suspends it.")
            return False
        for wait in (*WAITS, None):
            if self._paused(log) or self._on_free_hardware(log):
                return True
            if wait is not None:
                clock.sleep(wait)
        log("Billing could not be stopped from here; exiting, which suspends the Space.")
        return False

    def is_flavor(self, flavor: str | None) -> bool:
        """Compare with `ACCELERATOR`, which is `none` on a machine without one."""
        return flavor is None or flavor == (self.flavor or "none")

    def current_flavor(self) -> str | None:
        """Ask the Hub, which names new hardware before it replaces this machine."""
        with explained(f"asking what {self.name} runs on"):
            hardware = self._runtime().hardware
        return str(getattr(hardware, "value", hardware)) if hardware else None

    def stopped_on_purpose(self) -> Stopped | None:
        """Ask the Hub whether the Space was paused."""
        if self._stage() != "PAUSED":
            return None
        return Stopped(reason=EndReason.USER, message="The Space was paused.")

    def starts_again(self) -> bool:
        """Ask the Hub whether it restarts the Space or moves it, which leaves it no disk."""
        return self._stage() in COMING_BACK

    def door(self, owner: str | None, job_id: str) -> Door:
        """Return a door for the job's owner and the Space's, which may be two."""
        owners = frozenset(filter(None, (owner, self.name.partition("/")[0])))
        sign_in = "OAUTH_CLIENT_ID" in self.environ and self.environ.get("SYSTEM") == "spaces"
        provider = self.environ.get("OPENID_PROVIDER_URL", REAL_HUB)
        return HubDoor(
            owners,
            sign_in,
            privacy(self.name, self.token),
            memberships(provider),
            pass_key=self.environ.get(PASS_KEY) or None,
        )

    def _stage(self) -> str | None:
        """Return what the Hub calls the Space's state; none where it does not say in seconds."""
        doing = f"asking why {self.name} has to end"
        try:
            with explained(doing):
                stage = within(WHY_SECONDS, self._runtime, doing).stage
        except HubError:
            return None
        return str(getattr(stage, "value", stage))

    def _runtime(self) -> Any:
        return hub(self.token).get_space_runtime(self.name)

    def _paused(self, log: Callable[[str], object]) -> bool:
        log(f"Pausing {self.name}, so that it costs nothing.")
        return _agreed(lambda: hub(self.token).pause_space(self.name), f"pausing {self.name}", log)

    def _on_free_hardware(self, log: Callable[[str], object]) -> bool:
        from huggingface_hub import SpaceHardware

        def ask() -> object:
            return hub(self.token).request_space_hardware(self.name, SpaceHardware.CPU_BASIC)

        return _agreed(ask, f"moving {self.name} to free hardware", log)


def _agreed(ask: Callable[[], object], doing: str, log: Callable[[str], object]) -> bool:
    """Whether the Hub did as it was asked. Raises nothing, so that the next way is tried."""
    try:
        with explained(doing):
            within(CALL_SECONDS, ask, doing)
    except HubtrainError as error:
        log(str(error))
        return False
    except Exception as error:
        log(f"{doing}: {type(error).__name__}: {error}")
        return False
    log(f"Done {doing}.")
    return True


HOST = Space
