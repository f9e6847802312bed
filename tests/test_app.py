"""The app: who gets in, by which address, and what is refused. `test_app_pages` looks at it."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from standins.application import Application, visitor
from starlette.responses import PlainTextResponse

from orchestrator.app.gate import Door, Gate
from orchestrator.app.server import listening
from worker.errors import BadConfig
from worker.loopback import is_loopback


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    """The app of somebody without jobs, on this machine."""
    with Application(tmp_path_factory.mktemp("app")) as made:
        yield made


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    """An app that others reach."""
    words = ("--host", "0.0.0.0")
    environ = {"HUBTRAIN_APP_PASSWORD": "correct horse"}
    with Application(tmp_path_factory.mktemp("shared"), *words, environ=environ) as made:
        yield made


STRANGE = [
    ("GET", "/"),
    ("GET", "/config"),
    ("GET", "/openapi.json"),
    ("GET", "/gradio_api/info"),
    ("POST", "/gradio_api/queue/join"),
    ("POST", "/gradio_api/upload"),
]


def test_a_stranger_gets_one_sentence(app: Application) -> None:
    with visitor(app.url) as http:
        for method, path in STRANGE:
            answer = http.request(method, path)
            assert answer.status_code == 401, path
            assert "hubtrain app" in answer.text and len(answer.text) < 1000
            assert answer.headers["content-security-policy"].endswith("frame-ancestors 'self'")
        assert http.get("/", params={"key": "wrong"}).status_code == 401


def test_the_key_opens_it_once_and_a_cookie_afterwards(app: Application) -> None:
    key = httpx2.URL(app.url).params["key"]
    with visitor(app.url) as http:
        let_in = http.get("/", params={"key": key, "job": "k4x"})
        assert (let_in.status_code, let_in.headers["location"]) == (303, "/?job=k4x")
        assert key not in let_in.headers["set-cookie"]
        assert http.get("/").status_code == 200
        for file in ("/etc/hostname", app.home / "app.key", Path(__file__)):
            assert http.get(f"/gradio_api/file={file}").status_code == 403
        climbing = {"files": ("../../../home/app.key", b"x")}
        (there,) = http.post("/gradio_api/upload", files=climbing).json()
        assert Path(there).name == "app.key" and not Path(there).is_relative_to(app.home)
        assert http.get(f"/gradio_api/file={there}").content == b"x"
        assert (app.home / "app.key").read_text().strip() == key
        lost = http.get("/no/such", headers={"Accept": "text/html,*/*;q=0.8"})
        assert lost.status_code == 404 and '<a href="/">' in lost.text
        assert int(lost.headers["content-length"]) == len(lost.content)
        assert http.get("/no/such").json() == {"detail": "Not Found"}
        elsewhere = {"Host": "127.0.0.1:1"}
        assert http.get("/", headers=elsewhere).status_code == 401
        led = http.get("/", params={"key": key}, headers=elsewhere)
        assert httpx2.URL(led.headers["location"]).host == httpx2.URL(app.url).host


def test_the_same_key_opens_it_tomorrow(app: Application) -> None:
    key = httpx2.URL(app.url).params["key"]
    kept = app.home / "app.key"
    assert kept.read_text().strip() == key
    assert sys.platform == "win32" or kept.stat().st_mode & 0o077 == 0


def test_programs_show_the_key(app: Application) -> None:
    key = httpx2.URL(app.url).params["key"]
    with visitor(app.url) as http:
        told = {"Authorization": f"Bearer {key}", "Host": "127.0.0.1:1"}
        assert http.get("/config", headers=told).status_code == 200
        wrong = {"Authorization": f"Bearer {key}x"}
        assert http.get("/config", headers=wrong).status_code == 401


def test_another_website_can_neither_read_nor_press(app: Application) -> None:
    key = httpx2.URL(app.url).params["key"]
    with visitor(app.url) as http:
        http.get("/", params={"key": key})
        for site in ("same-site", "cross-site"):
            asks = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors"}
            assert http.get("/config", headers=asks).status_code == 403
            assert http.post("/gradio_api/queue/join", headers=asks).status_code == 403
            led = {**asks, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
            assert http.get("/job", headers=led).status_code == 200
            for path in ("/ui/stop_training", "/api/v1/jobs", "/logout"):
                assert http.get(path, headers=led).status_code == 403
        old = {"Origin": "http://evil.example"}
        assert http.post("/gradio_api/queue/join", headers=old).status_code == 403
        answer = http.get("/config", headers=old)
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_others_need_the_password(shared: Application) -> None:
    assert "correct horse" not in shared.printed
    with visitor(shared.url) as http:
        front = http.get("/")
        assert front.status_code == 401 and "password" in front.text
        wrong = http.post("/login", data={"password": "correct cow"})
        assert wrong.status_code == 401 and "not the password" in wrong.text
        assert http.post("/login", content=b"x" * 9000).status_code == 413
        let_in = http.post("/login", data={"password": "correct horse"})
        assert let_in.status_code == 303
        assert http.get("/").status_code == 200
        http.get("/logout")
        assert http.get("/").status_code == 401


def test_passwords_are_tried_one_after_the_other() -> None:
    async def inside(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("inside")(scope, receive, send)

    async def tried(said: str) -> int:
        async with httpx2.AsyncClient(transport=transport, base_url="http://app") as http:
            answer = await http.get("/", headers={"Authorization": f"Bearer {said}"})
        answers.append(answer.status_code)
        return answer.status_code

    async def together() -> None:
        wrong = asyncio.create_task(tried("correct cow"))
        right = asyncio.create_task(tried("correct horse"))
        await asyncio.gather(wrong, right)

    transport = httpx2.ASGITransport(app=Gate(inside, door=Door("correct horse", password=True)))
    answers: list[int] = []
    asyncio.run(together())
    assert answers == [401, 200]  # the right one waits for the wrong one


def test_a_new_password_is_printed_once(tmp_path: Path) -> None:
    with Application(tmp_path, "--host", "0.0.0.0") as made:
        said = made.printed.partition("The password is ")[2].split()[0]
        with visitor(made.url) as http:
            assert http.post("/login", data={"password": said}).status_code == 303


def test_a_port_that_is_taken_is_another_or_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BadConfig, match=f"127.0.0.1:{port} cannot be used"):
            listening("127.0.0.1", port)
    with pytest.raises(BadConfig, match="no address of this machine"):
        listening("no.such.host.invalid", None)


def test_what_only_this_machine_reaches() -> None:
    here = ("127.0.0.1", "localhost", "::1", "127.8.8.8", "app-1f.localhost")
    assert all(map(is_loopback, here))
    others = ("0.0.0.0", "::", "192.168.1.5", "example.org", "localhost.example.org", "", None)
    assert not any(map(is_loopback, others))


def test_what_autotrain_was_given_is_said_to_be_unused(tmp_path: Path) -> None:
    with Application(tmp_path, "--workers", "2", "--share") as made:
        assert "--workers means nothing here" in made.printed
        assert "--host 0.0.0.0" in made.printed


def test_without_the_extra_the_pip_command_is_said(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['gradio'] = None; sys.argv = ['hubtrain', 'app'];"
        "from orchestrator.terminal.program import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 2
    assert "pip install" in done.stderr and "[app]" in done.stderr
