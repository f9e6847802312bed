"""The app of several users: who is a guest may reach nothing of its machine, or of another guest.

`test_app_on_space` looks at it whole, at a Hub and in a browser.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from standins.preflight import Impatient
from starlette.requests import Request
from starlette.types import Message

import worker.tasks
from orchestrator import flow
from orchestrator.api.answering import answered
from orchestrator.api.verb import Caller
from orchestrator.api.verbs import VERBS
from orchestrator.app.lobby import proxy
from orchestrator.app.lobby.__main__ import root_of
from orchestrator.app.lobby.login import Login, SigningIn
from orchestrator.app.lobby.quota import Quota, TooMuch
from orchestrator.app.lobby.rooms import Full, Room, Rooms
from orchestrator.app.lobby.sessions import Sessions
from orchestrator.form import uploads
from orchestrator.form.draft import draft
from orchestrator.hosted import UPLOADS, Guest, too_long
from orchestrator.jobs.client import Client
from worker.clock import SystemClock
from worker.errors import BadConfig, HubtrainError

UPLOAD_SCOPE = {
    **{"type": "http", "method": "POST", "path": "/gradio_api/upload", "query_string": b""},
    **{"server": ("127.0.0.1", 80), "scheme": "http"},
}
NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
STAND_IN = (sys.executable, str(Path(__file__).parent / "standins" / "guest_app.py"))


class Told(SystemClock):
    """A clock that shows what it was told."""

    at = NOW

    def now(self) -> datetime:
        return self.at


def login(name: str, hours: float = 8) -> Login:
    return Login(name, f"hf_{name}", datetime.now(UTC) + timedelta(hours=hours))


@pytest.fixture
def guest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    """Ann, on an app that others use too."""
    monkeypatch.setenv("HUBTRAIN_HOME", str(tmp_path / "home"))
    until = datetime.now(UTC) + timedelta(days=30)
    return Client(clock=Impatient(), given_token="hf_ann", guest=Guest("ann", until))


ASKED = {"model": "ann/tiny", "data_path": "ann/chats", "project_name": "x", "backend": "spaces"}


def asked(client: Client, **said: Any) -> Any:
    task = worker.tasks.load("llm")
    return flow.ask(client, task, draft(task, {**ASKED, **said}).settings())


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ({"data_path": "/etc/passwd"}, "data_path: /etc/passwd would be a place on the machine"),
        ({"data_path": ".."}, "data_path: .. would be"),
        ({"model": "a/../../b"}, "model: a/../../b would be"),
        ({"model": "~"}, "model: ~ would be"),
        ({"trust_remote_code": True}, "trust_remote_code: this runs code"),
        ({"backend": "local"}, "backend: on this app jobs run on rented machines: jobs or spaces"),
        ({"backend": "docker"}, "backend: on this app"),
        ({"backend": "slurm"}, "backend: on this app"),
    ],
)
def test_a_guest_reaches_nothing_of_the_machine(
    guest: Client, said: dict[str, Any], wrong: str
) -> None:
    with pytest.raises(BadConfig) as refused:
        asked(guest, **said)
    assert refused.value.message.startswith(wrong)


def test_a_guest_uses_what_they_uploaded(guest: Client, tmp_path: Path) -> None:
    mine = tmp_path / "rows.csv"
    mine.write_text("text\nx\n")
    kept = uploads.received([("rows.csv", mine)])
    assert asked(guest, data_path=kept).project == "x"
    with pytest.raises(BadConfig, match="would be a place"):
        asked(guest, data_path=str(Path(kept).parent.parent / ".." / "jobs.sqlite"))


def test_no_verb_runs_or_reads_what_is_the_machines(guest: Client, tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text("task: llm-sft\n")

    def said(verb: str, **fields: Any) -> str:
        failed = answered(VERBS[verb], Caller(guest), fields).failure
        assert failed is not None, verb
        return failed.error

    assert "config: a place on the machine" in said("check", config=str(file))
    assert "config: a place" in said("check_sweep", config=str(file), tries={"lr": [1e-4]})
    assert "would run on the machine" in said("rehearse", task="llm-sft", settings=ASKED)
    assert "rented machines" in said("logs", job="local://k4x7qp")
    assert "rented machines" in said("cancel", job="docker://k4x7qp")


def test_a_job_longer_than_its_login_is_refused() -> None:
    ann = Guest("ann", NOW + timedelta(hours=3))
    assert too_long(ann, 2 * 3600, NOW) is None
    late = too_long(ann, 5 * 3600, NOW)
    assert late is not None and late.level == "error"
    assert late.text == "your login ends in 3 h 00 min, and the job may take 5 h 00 min"


def test_a_session_ends_with_its_login() -> None:
    clock = Told()
    sessions = Sessions(clock)
    key = sessions.open(Login("ann", "hf_ann", NOW + timedelta(hours=1)))
    other = sessions.open(Login("ann", "hf_2", NOW + timedelta(hours=8)))
    found = sessions.login(key)
    assert found is not None and "hf_ann" not in repr(found)
    clock.at += timedelta(hours=1)
    assert sessions.login(key) is None and sessions.any_of("ann")
    assert sessions.login("made up") is None
    assert sessions.end(other) is not None and not sessions.any_of("ann")


def test_who_nobody_set_up_for_logins_says_what_to_type() -> None:
    with pytest.raises(HubtrainError, match=r"OAUTH_CLIENT_ID.* is not set.*--on-space"):
        SigningIn({"SPACE_HOST": "x.hf.space"}, SystemClock())


def test_records_are_kept_where_there_is_storage(tmp_path: Path) -> None:
    assert root_of({}, tmp_path) == (tmp_path / "hubtrain" / "users", True)
    assert root_of({"HUBTRAIN_HOME": "/x"}, tmp_path) == (Path("/x/users"), True)
    assert root_of({}, tmp_path / "none")[1] is False


def in_rooms(folder: Path, what: Callable[[Rooms], Awaitable[None]], **how: Any) -> None:
    """Do something with rooms whose apps are stand-ins, and end them."""

    async def run() -> None:
        rooms = Rooms(folder / "users", kept=False, program=STAND_IN, **how)
        try:
            await what(rooms)
        finally:
            await rooms.close()

    asyncio.run(run())


async def ask(room: Room, **headers: str) -> tuple[httpx2.Headers, Any]:
    """Pass a request on to an app, and return the headers and the content of its answer."""
    scope = {
        **{"type": "http", "method": "GET", "path": "/x", "query_string": b"a=1"},
        "headers": [(k.lower().encode(), v.encode()) for k, v in headers.items()],
    }
    sent: list[Message] = []

    async def receive() -> Message:
        await asyncio.sleep(60)
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    async with proxy.client() as asking:
        answer = await proxy.passed_on(asking, Request(scope, receive), None, room)
        assert room.busy == 1
        await answer(scope, receive, send)
    assert room.busy == 0
    body = httpx2.Response(200, content=b"".join(one.get("body", b"") for one in sent))
    return httpx2.Headers(sent[0]["headers"]), body.json()


def test_an_app_has_its_own_token_and_folder_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OAUTH_CLIENT_SECRET", "of the Space")
    monkeypatch.setenv("HF_TOKEN", "hf_owner")

    async def look(rooms: Rooms) -> None:
        room = await rooms.of(login("ann"))
        came, told = await ask(
            room, host="ann-app.hf.space", cookie="session=1", authorization="Bearer hf_mine"
        )
        environ, headers = told["environ"], told["headers"]
        assert environ["HF_TOKEN"] == "hf_ann"
        assert "of the Space" not in environ.values() and "hf_owner" not in environ.values()
        assert environ["HUBTRAIN_HOME"] == str(tmp_path / "users" / "ann")
        assert (tmp_path / "users" / "ann").stat().st_mode & 0o077 == 0
        assert told["here"] == [] and "hf_ann" not in " ".join(told["argv"])
        assert headers["authorization"] == f"Bearer {room.key}" and "cookie" not in headers
        assert headers["host"] == "ann-app.hf.space"
        assert "set-cookie" not in came
        again = await rooms.of(login("ann", hours=7))
        assert again is room
        newer = await rooms.of(login("ann", hours=9))
        assert newer is not room and not room.alive and not room.scratch.exists()

    in_rooms(tmp_path, look)


def test_programs_have_an_app_and_rights_of_their_own(tmp_path: Path) -> None:
    async def look(rooms: Rooms) -> None:
        browser = await rooms.of(login("ann"))
        program = await rooms.of(replace(login("ann"), token="hf_lean", by_program=True))
        assert browser.alive and program.alive and browser.key != program.key
        _, told = await ask(program, **{"x-hubtrain-authorization": "Bearer hf_lean"})
        assert told["environ"]["HF_TOKEN"] == "hf_lean"
        assert told["environ"]["HUBTRAIN_HOME"] == str(tmp_path / "users" / "ann")
        assert "x-hubtrain-authorization" not in told["headers"]
        other = await rooms.of(replace(login("ann"), token="hf_full", by_program=True))
        assert not program.alive and other.alive and browser.alive

    in_rooms(tmp_path, look)


@pytest.mark.parametrize(
    ("sent", "said", "why"),
    [
        ({"content-length": "700"}, 700, None),
        ({"content-length": "701"}, 701, "more than 1.0 kB"),
        ({"transfer-encoding": "chunked"}, 700, None),
        ({"transfer-encoding": "chunked"}, 701, "more than 1.0 kB"),
    ],
)
def test_what_is_too_much_is_refused_before_it_is_kept(
    tmp_path: Path, sent: dict[str, str], said: int, why: str | None
) -> None:
    kept = tmp_path / "users" / "ann" / UPLOADS / "x" / "rows.csv"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"x" * 300)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"x" * said, "more_body": False}

    async def take(rooms: Rooms, quota: Quota, name: str) -> int:
        headers = [(k.encode(), v.encode()) for k, v in sent.items()]
        scope = {**UPLOAD_SCOPE, "headers": headers}
        async with quota.received(Request(scope, receive), name) as body:
            assert body is not None
            return sum([len(piece) async for piece in body])

    async def look(rooms: Rooms) -> None:
        quota = Quota(rooms, each=1000, together=1500, spare=0)
        for _ in range(2):  # nothing stays counted of what went wrong
            if why is None:
                assert await take(rooms, quota, "ann") == said
            else:
                with pytest.raises(TooMuch, match=why):
                    await take(rooms, quota, "ann")
        with pytest.raises(TooMuch, match="no room for such an upload"):
            await take(rooms, Quota(rooms, each=1000, together=900, spare=0), "bob")

    in_rooms(tmp_path, look)


def test_apps_end_when_nobody_asks_them_and_are_never_too_many(tmp_path: Path) -> None:
    clock = [0.0]

    async def look(rooms: Rooms) -> None:
        ann = await rooms.of(login("ann"))
        clock[0] = 5
        bob = await rooms.of(login("bob"))
        assert ann.alive
        ann.busy = 1
        cat = await rooms.of(login("cat"))
        assert ann.alive and not bob.alive, "the one whom nobody waits for"
        cat.busy = 1
        with pytest.raises(Full):
            await rooms.of(login("bob"))
        cat.busy, clock[0] = 0, 5 + 61
        await rooms.tidy()
        assert ann.alive and not cat.alive
        await rooms.leave(login("ann"))
        assert not ann.alive

    in_rooms(tmp_path, look, most=2, idle_seconds=60, now=lambda: clock[0])
