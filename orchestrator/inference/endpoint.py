"""A model on a server that speaks OpenAI's protocol: chat completions, as server-sent events.

vLLM, TGI, llama.cpp, Ollama, Inference Endpoints and Inference Providers do. Requests are written
here and not by `huggingface_hub.InferenceClient`, which sends the user's Hub token to any address
that it is given no key for, and takes a stream that broke off for a whole one.

Which key goes where: `ENDPOINT_API_KEY`, if it is set, to the endpoint that the user names; the Hub
token to the Hub alone and what runs on its behalf; neither over plain http but to this machine.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from worker.clock import Clock
from worker.errors import BadConfig, HubtrainError
from worker.hubclient import REAL_HUB, endpoint
from worker.loopback import is_loopback
from worker.session import Messages, Reply, Say, Session

if TYPE_CHECKING:
    import httpx2

KEY = "ENDPOINT_API_KEY"
"""Variable with the key of an endpoint. Its name is not one that jobs on this machine are given."""

PROVIDERS = "https://router.huggingface.co/v1"
"""Inference Providers of the Hub: what `hub` means."""

PATIENCE = 900.0
"""Seconds for which an endpoint may say that it is not ready: it loads a model, or starts."""

SILENCE = 300.0
"""Longest wait for the next token, in seconds; the first comes after the whole prompt is read."""

_NOT_READY = frozenset({429, 502, 503, 504})
_HUB_DOMAINS = (".huggingface.co", ".endpoints.huggingface.cloud")
_CHAT = "/chat/completions"
_LONGEST_WORDS = 500


def address_of(said: str) -> str:
    """Return the base address of an endpoint, such as `http://localhost:8000/v1`.

    It ends with `/v1` unless it was given up to `/chat/completions`. Raises `BadConfig`.
    """
    if said == "hub":
        if endpoint() != REAL_HUB:
            raise BadConfig(
                f"--endpoint hub is {REAL_HUB}'s, and HF_ENDPOINT is {endpoint()}.",
                fix="Unset HF_ENDPOINT, or give a server's address: --endpoint http://localhost:8000",
            )
        return PROVIDERS
    parts = urlsplit(said if "://" in said else f"//{said}")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        host = f"http://{parts.netloc or 'localhost:8000'}{parts.path}"
        raise BadConfig(f"--endpoint {said}: no address of a server.", fix=f"--endpoint {host}")
    if parts.username or parts.password:
        raise BadConfig(
            "--endpoint holds a password, and other users of this machine can see command lines.",
            fix=f"export {KEY}=…  and an address without it",
        )
    path = parts.path.rstrip("/")
    if path.endswith(_CHAT):
        path = path.removesuffix(_CHAT)
    elif not path.endswith("/v1"):
        path += "/v1"
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))


def key_for(address: str, environ: Mapping[str, str], token: Callable[[], str | None]) -> str:
    """Return what opens an endpoint, empty for none. Raises `BadConfig` where it could be read."""
    key = environ.get(KEY, "").strip() or (token() or "" if _is_hubs(address) else "")
    if key and urlsplit(address).scheme != "https" and not _is_here(address):
        raise BadConfig(
            f"{address} is not encrypted: everybody on the way could read {KEY}.",
            fix=f"an address with https, a tunnel (ssh -L), or `unset {KEY}` if it needs none",
        )
    return key


def _is_hubs(address: str) -> bool:
    """Whether the Hub runs what is there, so that the Hub's token is meant for it."""
    there, hub = urlsplit(address), urlsplit(endpoint())
    if endpoint() != REAL_HUB:
        return (there.scheme, there.netloc) == (hub.scheme, hub.netloc)
    host = f".{there.hostname}"
    return there.scheme == "https" and host.endswith(_HUB_DOMAINS)


def _is_here(address: str) -> bool:
    return is_loopback(urlsplit(address).hostname)


@dataclass
class EndpointSession(Session):
    """A model that a server has. Ctrl-C ends an answer early."""

    address: str
    model: str
    key: str = field(repr=False)
    clock: Clock
    sampling: Mapping[str, Any] = field(default_factory=dict)
    """Of the request: `temperature`, `max_tokens`, …"""

    waiting: Say = lambda why: None
    """Is told why it is not ready yet."""

    has_template = True

    def __post_init__(self) -> None:
        import httpx2

        self._client = httpx2.Client(
            headers={"Authorization": f"Bearer {self.key}"} if self.key else {},
            timeout=httpx2.Timeout(SILENCE, connect=10.0),
            trust_env=not _is_here(self.address),  # a proxy does not lead back here
        )
        try:
            self.model = self.model or self._only_model()
        except BaseException:
            self.close()
            raise

    def reply(self, messages: Messages, say: Say) -> Reply:
        """Return the answer, told to `say` as it comes."""
        said: list[str] = []

        def heard(piece: str) -> None:
            said.append(piece)
            say(piece)

        body = {"model": self.model, "messages": list(messages), "stream": True, **self.sampling}
        try:
            with self._answered("POST", _CHAT, json=body) as response:
                end = _stream(response, heard, self._host)
        except KeyboardInterrupt:
            return Reply("".join(said).strip(), "interrupted")
        return Reply("".join(said).strip(), "length" if end == "length" else "stop")

    def replies(self, chats: Sequence[Messages], together: int) -> Iterator[Reply]:
        """Yield the answers; so many requests go out `together`, which servers batch."""
        pool = ThreadPoolExecutor(together)
        try:
            yield from pool.map(lambda messages: self.reply(messages, lambda text: None), chats)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        """Close the connections, which tells the server to stop."""
        self._client.close()

    @property
    def _host(self) -> str:
        return urlsplit(self.address).netloc

    def _only_model(self) -> str:
        """Return the model that the server has. Raises `BadConfig` where it has several."""
        with self._answered("GET", "/models") as response:
            try:
                found = [str(model["id"]) for model in json.loads(response.read())["data"]]
            except (ValueError, KeyError, TypeError) as error:
                raise _no_such_server(self._host) from error
        if len(found) != 1:
            there = f"it has {', '.join(found[:10])}" if found else "it names none"
            raise BadConfig(f"say which model of {self._host}; {there}.", fix="--model NAME")
        return found[0]

    @contextmanager
    def _answered(self, method: str, path: str, **how: Any) -> Iterator[httpx2.Response]:
        """Give a server's answer once it is ready. Raises `HubtrainError` for any but success."""
        import httpx2

        base, _, query = self.address.partition("?")
        url = f"{base}{path}?{query}" if query else base + path
        begun, wait = self.clock.monotonic(), 1.0
        try:
            while True:
                with self._client.stream(method, url, **how) as response:
                    if response.is_success:
                        yield response
                        return
                    words = _words(response)
                if response.status_code not in _NOT_READY or self._tired(begun):
                    raise self._refusal(response, words)
                self.waiting(f"{self._host} is not ready yet ({response.status_code}: {words})")
                self.clock.sleep(_wait(response, wait))
                wait = min(wait * 1.5, 15.0)
        except httpx2.HTTPError as error:
            raise HubtrainError(
                f"no answer from {self._host} ({type(error).__name__}: {error}).",
                fix=f"Is it there?  curl {base}/models",
            ) from error

    def _tired(self, begun: float) -> bool:
        return self.clock.monotonic() - begun > PATIENCE

    def _refusal(self, response: httpx2.Response, words: str) -> HubtrainError:
        status = response.status_code
        match status:
            case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
                hubs = "hf auth login, or " if _is_hubs(self.address) else ""
                had = "refuses this key" if self.key else "asks for a key"
                return BadConfig(
                    f"{self._host} {had} ({status}: {words}).", fix=f"{hubs}export {KEY}=…"
                )
            case HTTPStatus.NOT_FOUND:
                text = f"{self._host} does not know {self.model or 'this address'} (404: {words})."
                return BadConfig(text, fix="--model NAME, or --endpoint http://HOST/v1")
            case HTTPStatus.BAD_REQUEST | HTTPStatus.UNPROCESSABLE_ENTITY:
                return BadConfig(f"{self._host} refuses this ({status}: {words}).")
            case _ if response.is_redirect:
                there = response.headers.get("location", "elsewhere")
                return BadConfig(f"{self._host} sends on to {there}.", fix=f"--endpoint {there}")
            case _ if status in _NOT_READY:
                fix = "Run the same command again later."
                return HubtrainError(f"{self._host} is not ready ({status}: {words}).", fix=fix)
            case _:
                return HubtrainError(f"{self._host} answered {status}: {words}")


def _stream(response: httpx2.Response, say: Say, host: str) -> str:
    """Tell the pieces of an answer; return why it ends. Raises `HubtrainError`."""
    import httpx2

    if not response.headers.get("content-type", "").startswith("text/event-stream"):
        return _whole(response, say, host)
    end = ""
    try:
        for event in _events(response.iter_lines()):
            if event == "[DONE]":
                return end
            chunk = json.loads(event)
            if "error" in chunk:
                raise HubtrainError(f"{host} broke off its answer: {_error_in(chunk)}")
            for choice in chunk.get("choices") or ():
                say(str(choice["delta"].get("content") or ""))
                end = choice.get("finish_reason") or end
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _no_such_server(host) from error
    except httpx2.HTTPError as error:
        raise _broken(host, type(error).__name__) from error
    if not end:
        raise _broken(host, "it closed the connection")
    return end


def _events(lines: Iterable[str]) -> Iterator[str]:
    """Yield the data of server-sent events. Each of theirs is one line."""
    for line in lines:
        if line.startswith("data:"):
            yield line.removeprefix("data:").strip()


def _whole(response: httpx2.Response, say: Say, host: str) -> str:
    """Tell the answer of a server that does not stream."""
    try:
        (choice, *_) = json.loads(response.read())["choices"]
        say(str(choice["message"]["content"]))
        return str(choice.get("finish_reason") or "stop")
    except (ValueError, KeyError, TypeError) as error:
        raise _no_such_server(host) from error


def _words(response: httpx2.Response) -> str:
    """Return what a server says of its refusal."""
    text = response.read().decode(errors="replace")
    try:
        words = _error_in(json.loads(text))
    except ValueError:
        words = " ".join(text.split())
    return words[:_LONGEST_WORDS] or response.reason_phrase


def _error_in(told: Any) -> str:
    """Return the words of an error, be it OpenAI's object, TGI's string or FastAPI's detail."""
    for name in ("error", "message", "detail"):
        if isinstance(told, dict) and told.get(name):
            told = told[name]
    return told if isinstance(told, str) else json.dumps(told)


def _wait(response: httpx2.Response, otherwise: float) -> float:
    said = response.headers.get("retry-after", "")
    return min(float(said), 60.0) if said.isdecimal() else otherwise


def _broken(host: str, why: str) -> HubtrainError:
    return HubtrainError(
        f"the answer of {host} broke off ({why}); what is there is not the whole.",
        fix="Run the same command again.",
    )


def _no_such_server(host: str) -> HubtrainError:
    return BadConfig(
        f"what answers at {host} does not speak OpenAI's protocol (chat completions).",
        fix="--endpoint http://HOST/v1",
    )
