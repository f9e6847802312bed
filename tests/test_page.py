"""The page, in a real browser and over plain HTTP: what it shows, to whom, and when it is over."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import itsdangerous
import psutil
import pytest
from fastapi import FastAPI
from playwright.sync_api import Browser, Page, Request
from standins.application import visitor
from standins.localhub import HubServer
from standins.waiting import PATIENCE, until
from starlette.types import Message
from test_supervise import Worker, spec

from localhub.runtime.processes import free_port
from worker.contract import (
    Checkpoint,
    Chosen,
    EndReason,
    Event,
    Failed,
    Finished,
    Limits,
    Machine,
    Metric,
    Progress,
    Pushed,
    PushTarget,
    Started,
    fold,
)
from worker.host.hubdoor import HubDoor
from worker.host.membership import Membership, Remembered
from worker.page.front import Front
from worker.page.gate import Gate, Guarded
from worker.samples import SAMPLES_FILE, Samples
from worker.samples import read as read_samples
from worker.show.chart import Line, chart, thinned
from worker.show.digest import Digest
from worker.show.door import KeyDoor
from worker.show.view import (
    View,
    answer,
    curves,
    more_curves,
    samples,
    settings,
    what_stopping_keeps,
)

ARTIFACTS = Path(__file__).parent / "artifacts"
KEY = "open-sesame-7x9"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Any]:
    """Start one worker with a page."""
    workers: list[Worker] = []

    def made(*acts: str, environ: dict[str, str] | None = None, **changes: Any) -> Worker:
        worker = Worker(tmp_path, spec(**changes), *acts, **(environ or {"HUBTRAIN_PAGE_KEY": KEY}))
        workers.append(worker)
        return worker

    yield made
    for worker in workers:
        worker.close()


def address(worker: Worker) -> str:
    """Return where the page is, once the worker has told it."""
    started = worker.until("started")
    assert isinstance(started, Started)
    assert started.page is not None
    return started.page


def opened(browser: Browser, url: str, width: int = 400) -> tuple[Page, list[str]]:
    """Open the page as its user on a phone; returns it and every address it asks for."""
    page = browser.new_page(viewport={"width": width, "height": 800})
    asked: list[str] = []

    def note(request: Request) -> None:
        asked.append(request.url)

    page.on("request", note)
    page.goto(f"{url}?key={KEY}")
    page.wait_for_selector("#answer .bar", timeout=90_000)
    return page, asked


@pytest.mark.browser
@pytest.mark.slow
def test_a_job_is_watched_on_a_phone_to_its_end(
    browser: Browser, start: Any, tmp_path: Path
) -> None:
    lines = [f"print=line {n}" for n in range(60)]
    watched, seen = tmp_path / "watched", tmp_path / "seen"
    acts = ("steps=1", f"until={watched}", f"work={seen}", "model=x", "finish")
    worker = start(*lines, *acts, limits=Limits(max_usd=2.5))
    url = address(worker)
    page, asked = opened(browser, url)
    watched.touch()
    assert KEY not in page.url
    assert "Running" in page.inner_text("#answer")
    assert "of at most $2.50" in page.inner_text("#answer")
    page.wait_for_selector("#curves polyline.line0")
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0, "nothing sticks out of a phone"

    log = page.locator("#log textarea")
    log.evaluate("e => { e.scrollTop = 200 }")
    lines_before = log.input_value()
    page.wait_for_function(
        "before => document.querySelector('#log textarea').value != before", arg=lines_before
    )
    assert log.evaluate("e => e.scrollTop") == 200, "the reader keeps their place"
    page.fill("#search textarea, #search input", "LINE 5")
    page.wait_for_function("!document.querySelector('#log textarea').value.includes('line 4')")
    assert "line 55" in log.input_value()
    before = page.inner_text("#answer")
    page.wait_for_function(
        "before => document.querySelector('#answer').innerText != before", arg=before
    )
    assert page.input_value("#search textarea, #search input") == "LINE 5"
    ARTIFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTIFACTS / "page-running.png", full_page=True)

    seen.touch()
    assert isinstance(worker.ended(), Finished)
    page.wait_for_selector("text=Succeeded")
    time.sleep(4)  # the server is gone, and nothing on the page may mind
    text = page.inner_text("body")
    assert "Succeeded" in text
    assert "onnection" not in text
    assert page.locator("polyline").count() >= 2
    page.screenshot(path=ARTIFACTS / "page-end.png", full_page=True)
    own = {httpx2.URL(url).host, "127.0.0.1"}  # to which the address with the key leads
    assert {httpx2.URL(u).host for u in asked if u.startswith("http")} <= own
    page.close()


@pytest.mark.browser
@pytest.mark.slow
def test_stop_asks_once_and_says_what_is_kept(browser: Browser, start: Any) -> None:
    worker = start("steps=6000x0.1")
    page, _ = opened(browser, address(worker))
    page.click("#stop")
    page.wait_for_selector("#stop-no")
    assert "No model is kept" in page.inner_text("#sure")
    page.click("#stop-no")
    page.wait_for_selector("#sure", state="hidden")
    assert worker.process.poll() is None
    page.click("#stop")
    page.click("#stop-yes")
    assert worker.ended().reason is EndReason.USER
    assert worker.process.returncode == EndReason.USER.exit_code
    page.wait_for_selector("text=Stopped (user)")
    page.close()


STRANGE = [
    ("GET", "/config"),
    ("GET", "/log"),
    ("GET", "/end"),
    ("GET", "/gradio_api/info"),
    ("GET", "/gradio_api/startup-events"),
    ("GET", "/gradio_api/file=/etc/hostname"),
    ("POST", "/gradio_api/run/predict"),
    ("POST", "/gradio_api/queue/join"),
    ("POST", "/gradio_api/upload"),
    ("GET", "/gradio_api/queue/data?session_hash=x"),
    ("GET", "/theme.css"),
]


def loaded(worker: Worker) -> bool:
    """Return whether a worker has loaded gradio, which brings pandas."""
    return any("pandas" in one.path for one in psutil.Process(worker.process.pid).memory_maps())


def test_a_stranger_gets_one_sentence_and_nothing_else(start: Any) -> None:
    worker = start("print=private matters", "steps=6000x0.1")
    url = address(worker)
    worker.until("progress")
    with visitor(url) as http:
        front = http.get("/")
        assert front.status_code == 200
        assert "private matters" not in front.text
        assert "support-bot" not in front.text
        for method, path in STRANGE:
            answered = http.request(method, path, json={"fn_index": 2, "data": []})
            assert answered.status_code == 401, path
        assert http.get("/", params={"key": "open-sesame-7x8"}).status_code == 401
        http.cookies.set("hubtrain_k4x", KEY)  # the key is not what the cookie holds
        assert http.get("/log").status_code == 401
    with visitor(url) as http:
        answered = http.get("/", params={"key": KEY})
        assert (answered.status_code, answered.headers["location"]) == (303, "./")
        assert "private matters" in http.get("/log").text
        assert http.get("/gradio_api/file=/etc/hostname").status_code == 404
        assert not loaded(worker), "what serves a page is loaded for who comes to see it"
        assert "gradio" in http.get("/").text
        assert loaded(worker)
    assert worker.process.poll() is None


def test_who_waits_for_the_page_of_a_job_that_ends_is_told_its_end(
    start: Any, tmp_path: Path
) -> None:
    over = tmp_path / "over"
    worker = start("model", "steps=3", f"until={over}", "finish")
    with visitor(address(worker)) as http, ThreadPoolExecutor(1) as other:
        http.get("/", params={"key": KEY})
        shown = other.submit(http.get, "/")
        until(lambda: loaded(worker))
        over.touch()
        assert shown.result().status_code == 200
        assert isinstance(worker.ended(), Finished)


def test_what_loads_for_long_is_not_waited_for_once_the_job_is_over(tmp_path: Path) -> None:
    loading, over = threading.Event(), threading.Event()
    asked: list[str] = []

    def load() -> FastAPI:
        asked.append("gradio")
        over.set()
        assert loading.wait(PATIENCE)
        return FastAPI()

    door = KeyDoor(KEY, "k4x7qp")
    gate = Gate(door=door, log=tmp_path, end=lambda _: "It is over." if over.is_set() else None)
    front = Front(gate, load)
    shown = {"host": door.host, "cookie": f"{door.cookie}={door.proof}"}

    async def visits() -> tuple[httpx2.Response, int]:
        here = httpx2.ASGITransport(app=front)
        async with httpx2.AsyncClient(transport=here, base_url=f"http://{door.host}") as http:
            answer = await http.get("/", headers=shown)
        loading.set()
        return answer, front.waiting

    with ThreadPoolExecutor(1) as elsewhere:  # a browser's loop may run in this thread
        answer, waiting = elsewhere.submit(asyncio.run, visits()).result()
    assert (answer.text, waiting, asked) == ("It is over.", 0, ["gradio"])


OTHER = "http://127.0.0.1:9"
NAVIGATES = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


def test_another_page_of_this_machine_can_neither_read_nor_press(start: Any) -> None:
    worker = start("print=private matters", "steps=3000x0.1")
    url = address(worker)
    with visitor(url) as http:
        http.get("/", params={"key": KEY})
        for site in ("same-site", "cross-site"):
            asks = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors"}
            for method, path in [("POST", "/gradio_api/run/predict"), ("GET", "/log")]:
                assert http.request(method, path, headers=asks).status_code == 403
            framed = {**asks, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "embed"}
            assert http.get("/log", headers=framed).status_code == 403
            assert http.options("/config", headers={**asks, "Origin": OTHER}).status_code == 403
            followed = http.get("/log", headers={**asks, **NAVIGATES})
            assert followed.status_code == 200, "a person may follow a link"
            assert http.post("/log", headers={**asks, **NAVIGATES}).status_code == 403
        old = [{"Origin": origin} for origin in (OTHER, "null", "http://evil.example")]
        for headers in old:  # browsers that do not tell the site
            assert http.post("/gradio_api/run/predict", headers=headers).status_code == 403
        own = {"Origin": url.rstrip("/")}
        assert http.post("/gradio_api/run/predict", headers=own, json={}).status_code != 403
        for headers in ({}, own, {"Origin": OTHER}):
            for path in ("/config", "/log", "/gradio_api/info"):
                answer = http.get(path, headers=headers)
                assert answer.status_code == 200
                assert not [name for name in answer.headers if name.startswith("access-control")]
    assert worker.process.poll() is None


def test_a_log_that_grows_while_it_is_sent_is_sent_as_long_as_it_was(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_text("as long as this")
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)
        with log.open("a") as file:
            file.write(" and longer")

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError("nobody hangs up")

    async def nothing(*_: Any) -> None:
        raise AssertionError("the log is not gradio's")

    door = KeyDoor(KEY, "k4x7qp")
    gate = Guarded(nothing, gate=Gate(door=door, log=log, end=lambda _: None))
    shown = {"host": door.host, "cookie": f"{door.cookie}={door.proof}"}
    asked = {
        **{"type": "http", "method": "GET", "path": "/log", "query_string": b""},
        "headers": [(name.encode(), value.encode()) for name, value in shown.items()],
    }
    with ThreadPoolExecutor(1) as elsewhere:  # a browser's loop may run in this thread
        elsewhere.submit(asyncio.run, gate(asked, receive, send)).result()
    told = dict(sent[0]["headers"])[b"content-length"]
    assert (b"".join(part.get("body", b"") for part in sent[1:]), told) == (
        b"as long as this",
        b"15",
    )


def test_the_cookie_of_a_page_serves_no_other_address(start: Any) -> None:
    worker = start("print=private matters", "steps=6000x0.1")
    url = httpx2.URL(address(worker))
    worker.until("progress")
    assert url.host.startswith("k4x-") and url.host.endswith(".localhost")
    elsewhere = str(url.copy_with(host="127.0.0.1"))
    with httpx2.Client(base_url=elsewhere, timeout=60) as http:
        there = http.get("/log", params={"key": KEY})
        assert there.status_code == 303
        assert there.headers["location"] == f"{url}?key={KEY}"
        assert "set-cookie" not in there.headers
        own = {"Host": url.netloc.decode()}
        let_in = http.get("/", params={"key": KEY}, headers=own)
        assert "domain" not in let_in.headers["set-cookie"].lower()
        assert "private matters" in http.get("/log", headers=own).text
        for host in ("127.0.0.1", "localhost", "k4x.localhost", "evil.example"):
            rebound = {"Host": f"{host}:{url.port}"}
            assert http.get("/log", headers=rebound).status_code == 401


@pytest.mark.browser
@pytest.mark.slow
def test_a_browser_keeps_the_cookie_from_other_servers_here(browser: Browser, start: Any) -> None:
    page, _ = opened(browser, address(start("steps=6000x0.1")))
    own = httpx2.URL(page.url).host
    (cookie,) = page.context.cookies()
    assert cookie["domain"] == own
    for host in ("127.0.0.1", "localhost", "k4x.localhost"):
        assert page.context.cookies(f"http://{host}:9/") == []
    page.close()


def test_a_job_without_a_key_shows_its_page_to_nobody(start: Any) -> None:
    url = address(start("steps=6000x0.1", environ={"HUBTRAIN_PAGE_KEY": ""}))
    for params in ({}, {"key": ""}, {"key": "None"}):
        with visitor(url) as http:
            assert http.get("/log", params=params).status_code == 401


def test_an_address_that_is_taken_ends_no_job(start: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        worker = start("model=x", "finish", environ={"GRADIO_SERVER_PORT": port})
        assert isinstance(worker.ended(), Finished)
    assert "No page" in worker.output


# On a Space: people are who Hugging Face says they are.

OAUTH_SECRET = "the-oauth-secret-of-this-space"
SPACE = "ann/support-bot-k4x"


def signed_in(name: str, *orgs: dict[str, str], seconds: float = 600) -> dict[str, str]:
    """Return the cookies of somebody who came back from the Hub's sign-in page."""
    user = {"preferred_username": name, "name": name, "orgs": list(orgs)}
    login = {"oauth_info": {"userinfo": user, "expires_at": time.time() + seconds}}
    secret = hashlib.sha256(f"{OAUTH_SECRET}-v4".encode()).hexdigest()
    signer = itsdangerous.TimestampSigner(secret)
    return {"session": signer.sign(base64.b64encode(json.dumps(login).encode())).decode()}


@pytest.fixture
def on_space(start: Any, hub_server: Any) -> Any:
    """Start a worker that takes itself for a Space; returns it, its address and its Hub."""

    def made(private: bool, **more: str) -> tuple[Worker, str, HubServer]:
        hub = hub_server()
        api = hub.api()
        api.create_repo(SPACE, repo_type="space", space_sdk="docker", private=private)
        port = free_port()
        login = {
            "OAUTH_CLIENT_ID": "id",
            "OAUTH_CLIENT_SECRET": OAUTH_SECRET,
            "OAUTH_SCOPES": "openid profile",
            "OPENID_PROVIDER_URL": hub.endpoint,
        }
        environ = hub.env("ann", SPACE_ID=SPACE, SYSTEM="spaces", **login, **more)
        environ["GRADIO_SERVER_PORT"] = str(port)
        push = PushTarget(repo_id="ann/support-bot")
        worker = start("print=private matters", "steps=6000x0.1", environ=environ, push=push)
        worker.until("progress")
        return worker, f"http://127.0.0.1:{port}", hub

    return made


def stop(url: str, cookies: dict[str, str]) -> None:
    """Press the button behind the button, without a browser."""
    with httpx2.Client(base_url=url, cookies=cookies, timeout=3 * PATIENCE) as http:
        config = http.get("/config").json()
        for dependency in config["dependencies"]:
            body = {"fn_index": dependency["id"], "data": [""], "session_hash": "direct"}
            http.post("/gradio_api/run/predict", json=body)
            http.post("/gradio_api/queue/join", json=body)


@pytest.mark.slow
def test_on_a_private_space_all_may_look_and_only_the_owner_stops(on_space: Any) -> None:
    worker, url, _ = on_space(private=True)
    with httpx2.Client(base_url=url, timeout=3 * PATIENCE) as http:
        assert "private matters" in http.get("/log").text
        assert http.get("/config").status_code == 200
    for nobody in ({}, signed_in("bob"), signed_in("ann", seconds=-5), {"session": "forged"}):
        stop(url, nobody)
    time.sleep(1)
    assert worker.process.poll() is None
    stop(url, signed_in("ann"))
    assert worker.ended().reason is EndReason.USER


@pytest.mark.slow
def test_a_public_space_shows_a_stranger_a_way_to_sign_in(on_space: Any) -> None:
    worker, url, _ = on_space(private=False)
    assert "Sign in with Hugging Face" in httpx2.get(url, timeout=60).text
    with httpx2.Client(base_url=url, timeout=60, cookies=signed_in("bob")) as http:
        assert "not bob's" in http.get("/").text
        assert http.get("/log").status_code == 401
        assert http.post("/gradio_api/run/predict", json={"fn_index": 0}).status_code == 401
    with httpx2.Client(base_url=url, timeout=60, cookies=signed_in("ann")) as http:
        assert "private matters" in http.get("/log").text
    assert worker.process.poll() is None


@pytest.mark.slow
def test_a_private_space_shows_nothing_past_the_hub(on_space: Any) -> None:
    """Its port is open to the whole machine where a Space is a process: the Hub lets people in."""
    worker, url, _ = on_space(private=True, SPACE_PASS_KEY="what-the-hub-shows")
    passed = {"X-Space-Pass-Key": "what-the-hub-shows"}
    with httpx2.Client(base_url=url, timeout=60) as http:
        assert "private matters" in http.get("/log", headers=passed).text
        for headers in ({}, {"X-Space-Pass-Key": "guessed"}):
            front = http.get("/", headers=headers)
            assert front.status_code == 200 and "support-bot" not in front.text
            assert http.get("/log", headers=headers).status_code == 401
            assert http.get("/config", headers=headers).status_code == 401
    with httpx2.Client(base_url=url, timeout=60, cookies=signed_in("ann")) as http:
        pressed = http.post("/gradio_api/run/predict", json={"fn_index": 2, "data": [""]})
        assert pressed.status_code == 401, "not even its owner's session opens it there"
    assert worker.process.poll() is None


LAB = frozenset({"ann", "lab"})


@pytest.mark.parametrize(
    ("user", "looks", "stops"),
    [
        ({"preferred_username": "ann"}, True, True),
        ({"preferred_username": "bob"}, False, False),
        ({}, False, False),
        ({"orgs": [{"preferred_username": "lab", "roleInOrg": "write"}]}, True, True),
        ({"orgs": [{"preferred_username": "lab", "roleInOrg": "admin"}]}, True, True),
        ({"orgs": [{"preferred_username": "lab", "roleInOrg": "read"}]}, True, False),
        ({"orgs": [{"preferred_username": "lab"}]}, True, False),
        ({"orgs": [{"preferred_username": "other", "roleInOrg": "admin"}]}, False, False),
        (
            {"orgs": [{"preferred_username": "x", "name": "lab", "roleInOrg": "admin"}]},
            False,
            False,
        ),
    ],
)
def test_who_may_look_and_who_may_stop(user: dict[str, Any], looks: bool, stops: bool) -> None:
    door = HubDoor(LAB, sign_in=True, is_private=lambda: False)
    viewer = door.viewer({}, {"oauth_info": {"userinfo": user}})
    assert (viewer.may_look, viewer.may_stop) == (looks, stops)
    private = HubDoor(LAB, sign_in=True, is_private=lambda: True)
    assert private.viewer({}, {"oauth_info": {"userinfo": user}}).may_look


def test_organisations_are_asked_for_where_signing_in_does_not_tell_them() -> None:
    asked: list[str] = []

    def told(token: str) -> list[Membership]:
        asked.append(token)
        return [{"preferred_username": "lab", "roleInOrg": "admin"}]

    nothing: list[Membership] = []
    ask = Remembered(told, seconds=60, otherwise=nothing)
    door = HubDoor(LAB, sign_in=True, is_private=lambda: False, organisations=ask)
    login = {"userinfo": {"preferred_username": "cat"}, "access_token": "cats"}
    assert door.viewer({}, {"oauth_info": login}).may_stop
    assert door.viewer({}, {"oauth_info": login}).may_stop
    assert asked == ["cats"]
    assert not door.viewer({}, {"oauth_info": {**login, "expires_at": 1.0}}).may_look


def test_a_question_without_an_answer_opens_nothing() -> None:
    def broken(_: str) -> bool:
        raise OSError("no route to the Hub")

    assert Remembered(broken, seconds=60, otherwise=False)("ann/bot") is False


def test_the_key_is_needed_and_the_cookie_is_not_the_key() -> None:
    door = KeyDoor(KEY, "k4x")
    assert door.cookie_for(KEY) == (door.cookie, door.proof)
    assert door.cookie_for("") is None and door.cookie_for("schlüssel") is None
    assert HubDoor(LAB, sign_in=True, is_private=lambda: False).cookie_for(KEY) is None
    assert door.viewer({door.cookie: door.proof}, {}).may_stop
    assert not door.viewer({door.cookie: KEY}, {}).may_look
    assert not KeyDoor(None, "k4x").viewer({door.cookie: door.proof}, {}).may_look


# What is shown, from events alone.

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def view(*events: Event, **changes: Any) -> View:
    machine = Machine(backend="spaces", flavor="a10g-small", usd_per_hour=1.0)
    job = spec(machine=machine, limits=Limits(max_usd=0.57), **changes)
    started = Started(job_id="k4x", at=NOON)
    return View.of(job, [started, *events], NOON + timedelta(minutes=9))


def test_a_running_job_in_words() -> None:
    text = answer(view(Progress(step=168, total_steps=300, eta_seconds=540.0)))
    for words in ("Running", "for 9 min", "168 of 300", "$0.15 of at most $0.57", "a10g-small"):
        assert words in text
    assert "width:56.0%" in text


def test_every_end_says_what_happened_and_why() -> None:
    oom = Failed(reason=EndReason.OOM, message="Needed <25> GB.", at=NOON + timedelta(minutes=4))
    text = answer(view(oom))
    assert "Failed (oom)" in text
    assert "Needed &lt;25&gt; GB." in text
    assert "after 4 min" in text
    pushed = Pushed(repo_id="ann/bot", commit="c", url="https://hf/ann/bot", what="adapter")
    text = answer(view(pushed, Finished(at=NOON + timedelta(minutes=5))))
    assert '<a href="https://hf/ann/bot"' in text
    assert "Succeeded" in text


def test_what_stopping_keeps_is_said_before_it_is_done() -> None:
    assert "No model is kept" in what_stopping_keeps(view(), keeps_disk=True)
    on_disk = view(Checkpoint(step=5, where="/app/work/checkpoint-5"))
    assert "No model is kept" in what_stopping_keeps(on_disk, keeps_disk=False)
    assert "/app/work/checkpoint-5" in what_stopping_keeps(on_disk, keeps_disk=True)
    pushed = view(Checkpoint(step=5, where="ann/bot@3f9c1e"))
    on_the_hub = what_stopping_keeps(pushed, keeps_disk=False)
    assert "The checkpoint of step 5 stays at ann/bot@3f9c1e." in on_the_hub


def test_curves_show_both_losses_and_survive_nothing_and_nonsense() -> None:
    metrics = [Metric(step=n, values={"loss": 3.0 / n, "lr": 1e-4}) for n in range(1, 9)]
    drawn = curves(view(*metrics, Metric(step=8, values={"valid_loss": 1.0})))
    assert 'class="line0"' in drawn and 'class="line1"' in drawn
    assert "nothing measured yet" in curves(view())
    over = curves(view(*metrics, Finished(at=NOON)))
    assert "Learning rate" in over and "per second" not in over, "what was not measured is not said"
    assert curves(view(Finished(at=NOON))) == ""
    assert "nothing measured yet" in chart("Loss", [Line("x", [(1.0, float("nan"))])])


def test_a_page_draws_what_its_task_names_first_and_the_rest_below() -> None:
    def metric(step: int) -> Metric:
        told = {"valid_loss": 1 / step, "valid_accuracy": step / 9, "valid_f1_macro": 0.5}
        return Metric(step=step, values={**told, "valid_once": 1.0} if step == 1 else told)

    seen = view(*map(metric, range(1, 9)), task="image_classification")
    first, rest = curves(seen), more_curves(seen)
    assert first.index(">Loss<") < first.index(">Accuracy<") < first.index(">Learning rate<")
    assert ">F1 macro<" in rest
    assert "Accuracy" not in rest and "Once" not in first + rest
    assert "<dt>Validation accuracy</dt><dd>0.8889</dd>" in answer(seen)
    assert more_curves(view()) == ""
    told = Digest(most=100).of([metric(step) for step in range(1, 500)])
    assert len(told) == 499, "what a validation measured is kept"


def test_what_the_model_says_is_shown_as_text_before_and_after(tmp_path: Path) -> None:
    asked = {"prompt": "<b>hi</b>", "data": "ho", "before": "he\x1b", "after": "<img src=x>"}
    began = Samples("Always the likeliest.", [{k: asked[k] for k in ("prompt", "data", "before")}])
    began.write(tmp_path)
    first = samples(replace(view(), samples=read_samples(tmp_path / SAMPLES_FILE)))
    assert "Before training. Always the likeliest." in first and "<p>after</p>" not in first
    Samples("Always the likeliest.", [asked]).write(tmp_path)
    then = samples(replace(view(), samples=read_samples(tmp_path / SAMPLES_FILE)))
    assert "Before and after training." in then and "&lt;img src=x&gt;" in then
    assert "&lt;b&gt;hi" in then and "<img" not in then and "\x1b" not in then
    assert samples(view()) == "" and read_samples(tmp_path / "none") is None


def test_settings_say_what_the_worker_made_of_them() -> None:
    chosen = Chosen(settings={"batch_size": 8, "recomputed_activations": False})
    shown = settings(view(chosen, params={"batch_size": 2, "lr": 0.1}))
    assert "<th>batch_size</th><td>8 (2 was asked for)</td>" in shown
    assert "<th>recomputed_activations</th><td>False</td>" in shown
    assert "<th>lr</th><td>0.1</td>" in shown


def test_a_long_curve_is_thinned_and_ends_where_it_ends() -> None:
    points = [(float(n), 1.0) for n in range(100_000)]
    short = thinned(points)
    assert len(short) <= 160
    assert short[-1] == points[-1]


def test_values_at_the_end_of_all_numbers_are_not_drawn() -> None:
    drawn = chart("Loss", [Line("", [(1.0, 1.7e308), (2.0, -1.7e308), (3.0, 2.0)])])
    assert "nan" not in drawn and drawn == chart("Loss", [Line("", [(3.0, 2.0)])])


def test_a_look_at_a_long_job_costs_no_more_than_at_a_short_one() -> None:
    digest = Digest(most=100)
    events: list[Event] = [Started(job_id="k4x")]
    for step in range(1, 5001):
        events.append(Progress(step=step, total_steps=5000, units_per_second=9.0))
        events.append(Metric(step=step, values={"loss": 1.0}))
        if step % 1000 == 0:
            events.append(Metric(step=step, values={"valid_loss": 1.0}))
        if step % 50 == 0:
            digest.of(events)
    short = digest.of(events)
    assert len(short) < 250
    assert fold(short).progress == fold(events).progress
    assert fold(short).metrics == fold(events).metrics
    assert sum("valid_loss" in e.values for e in short if isinstance(e, Metric)) == 5
    assert digest.of(events[:3]) == events[:3], "another job's events are another digest"
