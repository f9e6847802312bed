"""The addresses of Spaces on the local Hub: who comes in, and what passes."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from http import HTTPStatus

import httpx2
import pytest
from standins.localhub import HubServer
from standins.spaces import host, new_space, visit, wait_for
from standins.waiting import PATIENCE
from websockets.asyncio.client import connect


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubServer]:
    server = HubServer(tmp_path_factory.mktemp("hub") / "data", ("ann:write", "bob:write"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def private(hub: HubServer) -> str:
    """A private Space that runs."""
    name = new_space(hub)
    wait_for(hub, name)
    return name


def test_a_private_space_shows_itself_to_its_members_only(hub: HubServer, private: str) -> None:
    assert visit(hub, private).json() == "hello"
    for user in (None, "bob"):
        assert visit(hub, private, user=user).status_code == HTTPStatus.NOT_FOUND
    unknown = visit(hub, "ann/nowhere", user=None)
    assert visit(hub, private, user=None).text == unknown.text


def test_a_public_space_shows_itself_to_all(hub: HubServer) -> None:
    name = new_space(hub, private=False)
    wait_for(hub, name)
    assert visit(hub, name, user=None).json() == "hello"
    hub.api().update_repo_settings(name, repo_type="space", visibility="private")
    assert visit(hub, name, user=None).status_code == HTTPStatus.NOT_FOUND
    with pytest.raises(httpx2.RemoteProtocolError, match="9 bytes, expected 1000"):
        visit(hub, name, "/break")  # whose Space ends in the middle


def test_a_space_gets_requests_without_what_is_the_hubs(hub: HubServer, private: str) -> None:
    seen = visit(
        hub, private, "/headers", headers={"Cookie": "token=t; mine=1; spaces-jwt=j", "X-A": "b"}
    ).json()
    seen = {name.lower(): value for name, value in seen.items()}
    assert "authorization" not in seen and seen["cookie"] == "mine=1" and seen["x-a"] == "b"
    assert seen["host"] == seen["x-forwarded-host"] == host(hub, private)
    assert seen["x-forwarded-proto"] == "http" and seen["x-forwarded-for"] == "127.0.0.1"


def test_streams_and_large_bodies_pass(hub: HubServer, private: str) -> None:
    body = os.urandom(9_000_000)
    assert visit(hub, private, "/", method="POST", content=body).content == body
    headers = {"Host": host(hub, private), "Authorization": f"Bearer {hub.tokens['ann']}"}
    with httpx2.stream(
        "GET", f"{hub.endpoint}/stream", headers=headers, timeout=PATIENCE
    ) as answer:
        arrived = [(time.monotonic(), line) for line in answer.iter_lines() if line]
    assert [line for _, line in arrived] == ["data: 0", "data: 1", "data: 2"]
    assert arrived[-1][0] - arrived[0][0] > 0.4


def test_a_browser_comes_in_from_the_hubs_own_page(hub: HubServer, private: str) -> None:
    with httpx2.Client(base_url=hub.endpoint, timeout=PATIENCE) as browser:
        assert browser.get(f"/spaces/{private}").headers["location"].startswith("/login?next=")
        browser.post("/login", content=f"token={hub.tokens['ann']}")
        sent_on = browser.get(f"/spaces/{private}").headers["location"]
    assert sent_on.startswith(f"http://{host(hub, private)}/?__sign=")
    arrived = visit(hub, private, sent_on.partition(str(hub.port))[2], user=None)
    assert (arrived.status_code, arrived.headers["location"]) == (HTTPStatus.FOUND, "/")
    cookie = arrived.headers["set-cookie"].partition(";")[0]
    assert visit(hub, private, user=None, headers={"Cookie": cookie}).json() == "hello"
    forged = visit(hub, private, user=None, headers={"Cookie": cookie + "x"})
    assert forged.status_code == HTTPStatus.NOT_FOUND
    with hub.http() as http:
        token = http.get(f"/api/spaces/{private}/jwt").json()["token"]
    assert visit(hub, private, f"/?__sign={token}", user=None).status_code == HTTPStatus.FOUND


def test_websockets_pass_both_ways(hub: HubServer) -> None:
    server = (
        "import asyncio, os, websockets.asyncio.server as s\n"
        "async def echo(w):\n"
        "    async for m in w: await w.send(m)\n"
        "async def main():\n"
        "    async with s.serve(echo, '127.0.0.1', int(os.environ['GRADIO_SERVER_PORT'])) as one:\n"
        "        await one.serve_forever()\n"
        "asyncio.run(main())\n"
    )
    name = new_space(hub, 'CMD ["python", "ws.py"]', files={"ws.py": server})
    wait_for(hub, name)

    async def talk() -> list[str | bytes]:
        async with connect(
            f"ws://{host(hub, name)}/x?y=1",
            host="127.0.0.1",
            port=hub.port,
            additional_headers={"Authorization": f"Bearer {hub.tokens['ann']}"},
            proxy=None,
        ) as socket:
            heard = []
            for message in ("text", b"bytes"):
                await socket.send(message)
                heard.append(await socket.recv())
            return heard

    assert asyncio.run(talk()) == ["text", b"bytes"]


def test_a_private_spaces_own_port_shows_that_nobody_was_let_in(
    hub: HubServer, private: str
) -> None:
    """What comes by the Hub has the Space's pass key; a visitor cannot bring one."""
    forged = {"X-Space-Pass-Key": "forged"}
    key = visit(hub, private, "/env").json()["SPACE_PASS_KEY"]
    for headers in ({}, forged):
        seen = visit(hub, private, "/headers", headers=headers).json()
        shown = [value for name, value in seen.items() if name.lower() == "x-space-pass-key"]
        assert shown == [key] and len(key) == 64


ORIGINS = [None, "null", "http://evil.example", "http://127.0.0.1:9"]


@pytest.mark.parametrize("origin", ORIGINS)
def test_a_session_takes_only_what_the_hubs_own_pages_send(
    hub: HubServer, private: str, origin: str | None
) -> None:
    own = {"Origin": hub.endpoint}
    foreign = {"Origin": origin} if origin else {}
    settings = f"/api/spaces/{private}/settings"
    with httpx2.Client(base_url=hub.endpoint, timeout=PATIENCE) as browser:
        browser.post("/login", content=f"token={hub.tokens['ann']}", headers=own)
        for body in ({"json": {"private": False}}, {"content": b'{"private": false}'}):
            refused = browser.put(settings, headers=foreign, **body)
            assert refused.status_code == HTTPStatus.FORBIDDEN
        plain = browser.put(settings, headers=own, content=b'{"private": false}')
        assert plain.status_code == HTTPStatus.FORBIDDEN, "a form can send this"
        assert browser.put(settings, headers=own, json={"private": True}).is_success
        if origin:
            again = browser.post("/login", content="token=hf_no", headers=foreign)
            assert again.status_code == HTTPStatus.FORBIDDEN
    assert hub.api().space_info(private).private
