"""The Hub, with a timeout on every call and its refusals in words a user can act on.

Used by the worker, by the backends that live on the Hub and by the laptop; the address is
`HF_ENDPOINT`, and nothing here knows whether that is the real Hub. `huggingface_hub` is
imported on use, so that commands that never call the Hub do not pay for it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from http import HTTPStatus
from json import JSONDecodeError
from typing import TYPE_CHECKING, Any, TypeVar

from worker.clock import Clock
from worker.contract import EndReason
from worker.errors import (
    BadConfig,
    GatedModel,
    HubError,
    HubtrainError,
    HubUnreachable,
    NotThere,
    NoWrite,
)

if TYPE_CHECKING:
    import httpx2
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

CALL_SECONDS = 60.0
"""Longest silence of the Hub within one call. Uploads stream, so it bounds stalls, not sizes."""

READ_SECONDS = 20.0
"""The same for a call that only reads, which the Hub answers at once or not at all."""

REAL_HUB = "https://huggingface.co"

TRIES = 4
"""How often `patiently` asks, over some five seconds."""

SILENT_TRIES = 2
"""How often it asks a Hub that accepts the call and never answers: each takes `READ_SECONDS`."""

_MALFORMED = (AttributeError, LookupError, TypeError, ValueError, ArithmeticError, RecursionError)
"""What is raised where an answer is read that lacks what all such answers have."""

_CUT_SHORT = "Consistency check failed"
"""How the client library says that a file came with another size than was told."""

T = TypeVar("T")


def endpoint() -> str:
    """Return the Hub's address, without a slash at its end."""
    return (os.environ.get("HF_ENDPOINT") or REAL_HUB).rstrip("/")


def hub_variables() -> dict[str, str]:
    """Return what a worker elsewhere is to know of the Hub: which it is, and how to upload to it.

    They have to be in its environment from the start: libraries read them when they are imported.
    """
    _choose_transfer()
    names = ("HF_ENDPOINT", "HF_HUB_DISABLE_XET")
    return {name: os.environ[name] for name in names if os.environ.get(name)}


def _choose_transfer() -> None:
    if endpoint() != REAL_HUB:
        # Uploads by Xet have no fallback, and mirrors and private Hubs do not support it.
        os.environ.setdefault("HF_HUB_DISABLE_XET", "1")


def hub(token: str | None) -> HfApi:
    """Return a client of the Hub at `HF_ENDPOINT`; with no token it is anonymous.

    The user's own login is not looked up here: whoever calls decides which token is used.
    """
    if not endpoint().startswith(("http://", "https://")):
        raise BadConfig(f"HF_ENDPOINT is {endpoint()!r}, which is no address of a Hub.")
    _prepare()
    from huggingface_hub import HfApi

    return HfApi(endpoint=endpoint(), token=token or False)


@cache
def _prepare() -> None:
    """Give the client library timeouts, which its POSTs lack, and the right transfer protocol."""
    _choose_transfer()
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    import httpx2
    from huggingface_hub import set_client_factory
    from huggingface_hub.utils._http import default_client_factory
    from huggingface_hub.utils.tqdm import disable_progress_bars

    def client() -> httpx2.Client:
        made = default_client_factory()
        made.timeout = httpx2.Timeout(CALL_SECONDS, connect=10.0)
        asked = made.event_hooks.get("request", [])
        made.event_hooks = {**made.event_hooks, "request": [*asked, _bound]}
        return made

    set_client_factory(client)
    disable_progress_bars()  # hubtrain shows its own, of the whole upload


def _bound(request: httpx2.Request) -> None:
    """Give a request the timeouts its caller did not: some calls of the library ask for none."""
    bounds = dict.fromkeys(("connect", "read", "write", "pool"), CALL_SECONDS)
    bounds |= {k: v for k, v in request.extensions.get("timeout", {}).items() if v is not None}
    if request.method in {"GET", "HEAD"} and bounds["read"] == CALL_SECONDS:
        bounds["read"] = READ_SECONDS
    request.extensions["timeout"] = bounds


@contextmanager
def explained(doing: str) -> Iterator[None]:
    """Turn what the client library raises inside into a `HubtrainError` that says what to do.

    What reads an answer goes inside as well: any answer may be another than the Hub's.
    """
    from httpx2 import InvalidURL  # of an id in an answer that no address can hold
    from huggingface_hub.errors import HFValidationError

    try:
        yield
    except HubtrainError:
        raise
    except HFValidationError as error:
        raise BadConfig(f"{doing}: no repo can be called so. {error}") from error
    except JSONDecodeError as error:
        raise HubUnreachable(
            f"{doing}: what answers at {endpoint()} is no Hub.",
            fix="A login page or a proxy may stand between; then run the same command again.",
        ) from error
    except Exception as error:
        if told := hub_error(doing, error):
            raise told from error
        if isinstance(error, (*_MALFORMED, InvalidURL)):
            raise HubUnreachable(
                f"{doing}: {endpoint()} did not answer as a Hub does "
                f"({type(error).__name__}: {str(error)[:100]}).",
                fix="Run the same command again; if it stays so, update hubtrain.",
            ) from error
        if isinstance(error, RuntimeError):  # large files go elsewhere, and fail in other words
            raise HubUnreachable(
                f"{doing}: the upload broke off ({error.__cause__ or error}).",
                fix="Run the same command again; what has arrived is not sent twice.",
            ) from error
        raise


def hub_error(doing: str, error: BaseException) -> HubtrainError | None:
    """Return a refusal or the silence of the Hub in words for the user; none for other errors."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    if isinstance(error, HfHubHTTPError):
        return _refusal(doing, error)
    if isinstance(
        error, httpx2.HTTPError | ConnectionError | TimeoutError | LocalEntryNotFoundError
    ):
        return HubUnreachable(
            f"{doing}: no answer from {endpoint()} ({type(error).__name__}).",
            fix="Check the network, then run the same command again; nothing is done twice.",
        )
    if isinstance(error, OSError) and str(error).startswith(_CUT_SHORT):
        return HubUnreachable(
            f"{doing}: {endpoint()} did not send the whole file.",
            fix="Run the same command again.",
        )
    return None


def patiently(doing: str, ask: Callable[[], T], clock: Clock) -> T:
    """Return what `ask` returns, repeated at growing intervals while the Hub does not answer.

    For calls that may be repeated. Raises what `explained` raises.
    """
    from tenacity import Retrying, retry_if_exception_type
    from tenacity.wait import wait_exponential_jitter

    def once() -> T:
        with explained(doing):
            return ask()

    asking: Any = Retrying(
        stop=_in_vain,
        wait=wait_exponential_jitter(multiplier=0.5, max=8.0),
        retry=retry_if_exception_type(HubUnreachable),
        sleep=clock.sleep,
        reraise=True,
    )
    answer: T = asking(once)
    return answer


def _in_vain(state: Any) -> bool:
    import httpx2

    silent = isinstance(state.outcome.exception().__cause__, httpx2.TimeoutException)
    return bool(state.attempt_number >= (SILENT_TRIES if silent else TRIES))


def _refusal(doing: str, error: HfHubHTTPError) -> HubtrainError:
    from huggingface_hub.errors import (
        GatedRepoError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    status = error.response.status_code if error.response is not None else 0
    words = error.server_message or str(error).splitlines()[0]
    if isinstance(error, GatedRepoError):
        return GatedModel(f"{doing}: {words}", fix="Accept the terms on the repo's page.")
    if (
        isinstance(error, RepositoryNotFoundError | RevisionNotFoundError)
        or status == HTTPStatus.NOT_FOUND
    ):
        return NotThere(f"{doing}: not there, or this token may not see it.", fix="")
    if lacking := _lacking(status, words):
        return HubError(f"{doing}: {lacking} ({words}).", fix=f"{endpoint()}/settings/billing")
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return NoWrite(
            f"{doing}: the Hub refused this token ({status}: {words}).",
            fix=f"Make one with write access: {endpoint()}/settings/tokens",
        )
    if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return HubUnreachable(
            f"{doing}: the Hub answered {status} and kept doing so ({words}).",
            fix="Run the same command again later; nothing is done twice.",
        )
    return HubError(f"{doing}: {status} {words}", reason=EndReason.PROVIDER)


def _lacking(status: int, words: str) -> str:
    """Return what an account lacks that the Hub answers so; empty if it lacks nothing."""
    if status == HTTPStatus.PAYMENT_REQUIRED:
        return "payment is needed"
    full = status == HTTPStatus.FORBIDDEN and "storage" in words.lower()
    return "no room left at the Hub" if full or status == HTTPStatus.INSUFFICIENT_STORAGE else ""
