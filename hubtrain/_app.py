"""An app that runs, asked over HTTP: `POST /api/v1/NAME`, answers and failures typed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import SplitResult, parse_qs, urlsplit, urlunsplit

from hubtrain._errors import CheckFailed
from worker import errors
from worker.clock import Clock, SystemClock
from worker.errors import HubtrainError
from worker.loopback import is_loopback

if TYPE_CHECKING:
    import httpx2

    from orchestrator.api.errors import Failure
    from orchestrator.document import Document

D = TypeVar("D", bound="Document")

URL = "http://127.0.0.1:7860"
"""Where an app is that nobody has told another port."""

KEY = "HUBTRAIN_APP_KEY"
"""Environment variable with the key, or the password, of the app."""

HEADERS = ("Authorization", "X-Hubtrain-Authorization")
"""Where the key goes. At the address of a Space the Hub keeps the first of it to itself."""

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 120.0
"""What an answer may take that tells something; what starts or tries a job takes its time."""

SLOW = frozenset(
    {
        *("train", "resume", "rehearse", "cancel", "remove", "ask"),
        *("check_sweep", "start_sweep", "cancel_sweep", "remove_sweep"),
        *("deploy", "pause_deployment", "remove_deployment"),
    }
)


class AppAt:
    """The app at an address."""

    def __init__(self, url: str | None, key: str | None, clock: Clock | None = None) -> None:
        parts = urlsplit(url or URL)
        in_address = parse_qs(parts.query).get("key", [None])[0]
        self.url = urlunsplit((parts.scheme, _host(parts), parts.path.rstrip("/"), "", ""))
        self._named = parts.netloc if _is_named_here(parts) else ""
        self.clock = clock or SystemClock()
        self._key = key or in_address or os.environ.get(KEY)
        if not self._key and is_loopback(parts.hostname):
            self._key = _kept()

    def __repr__(self) -> str:
        return f"AppAt({self.url!r})"

    def asked(self, name: str, given: Mapping[str, Any], answer: type[D]) -> D:
        """Return what the app answers to a verb. Raises `HubtrainError`: what it says is wrong."""
        told = self._sent(f"v1/{name}", given, None if name in SLOW else ANSWER_SECONDS)
        if not told.is_success:
            raise raised(self._read(told, _failure()))
        return self._read(told, answer)

    def asked_as_autotrain(self, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the app answers at an address of AutoTrain's. Raises as `asked`."""
        told = self._sent(name, given, None)
        if not told.is_success:
            raise raised(self._read(told, _failure()))
        found: dict[str, Any] = told.json()
        return found

    def _read(self, told: httpx2.Response, kind: type[D]) -> D:
        try:
            return kind.model_validate_json(told.content)
        except ValueError as error:
            said = f"{self.url} answers {told.status_code}, and not as an app of this version does."
            raise HubtrainError(said) from error

    def _sent(self, path: str, given: Mapping[str, Any], seconds: float | None) -> httpx2.Response:
        import httpx2

        headers = {"Host": self._named} if self._named else {}
        if self._key:
            headers |= dict.fromkeys(HEADERS, f"Bearer {self._key}")
        timeout = httpx2.Timeout(seconds, connect=CONNECT_SECONDS)
        try:
            told = httpx2.post(
                f"{self.url}/api/{path}", json=dict(given), headers=headers, timeout=timeout
            )
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise HubtrainError(
                f"the app at {self.url} does not answer: {error}.",
                fix="`hubtrain app` starts one, and prints its address.",
            ) from error
        if told.status_code == HTTPStatus.UNAUTHORIZED:
            raise HubtrainError(
                f"the app at {self.url} is not opened by this key.",
                fix=f"Give `key`, or set {KEY}: the key in the address that `hubtrain app` prints,"
                " its password, or on a Space a token of yours (hf_…).",
            )
        return told


def _failure() -> type[Failure]:
    from orchestrator.api.errors import Failure

    return Failure


def _is_named_here(parts: SplitResult) -> bool:
    return (parts.hostname or "").endswith(".localhost")


def _host(parts: SplitResult) -> str:
    """Return the host and port: browsers know that `NAME.localhost` is this machine, few others."""
    if not _is_named_here(parts):
        return parts.netloc
    return "127.0.0.1" if parts.port is None else f"127.0.0.1:{parts.port}"


def raised(failure: Failure) -> HubtrainError:
    """Return what went wrong as the error that this API raises for it."""
    if failure.kind == CheckFailed.__name__ and failure.report is not None:
        from orchestrator.api.documents import Checked

        return CheckFailed(Checked.model_validate(failure.report))
    if failure.findings is not None:
        from orchestrator.deploy.documents import DeploymentPlan

        return CheckFailed(DeploymentPlan(ok=False, findings=failure.findings))
    kind = getattr(errors, failure.kind, HubtrainError)
    error: HubtrainError = kind(failure.error, fix=failure.fix, reason=failure.reason)
    return error


def _kept() -> str:
    """Return the key of this machine's own app; empty where it was never started."""
    from worker.home import home

    path = home() / "app.key"
    return path.read_text(encoding="ascii").strip() if path.is_file() else ""
