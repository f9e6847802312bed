"""The page where it lives: on a Space of a local Hub, behind the Hub's own door, in a real browser.

Everybody here is a browser profile of their own that logs in at the Hub as people do; nothing is
asked of the page that a browser could not ask.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request
from standins.laptop import Laptop, trainer_of
from standins.localhub import HubServer
from standins.waiting import PATIENCE, until
from tiny_llm import chats, write_model, write_rows

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.timeout(280)]

ARTIFACTS = Path(__file__).parent / "artifacts"
MODEL = "ann/tiny"
START_MS = 100_000

STEP = """() => {
  const told = [...document.querySelectorAll('#answer dt')].find(e => e.innerText === 'Step');
  return told ? parseInt(told.nextSibling.innerText.replace(',', '')) : 0;
}"""
POINTS = """() => {
  const line = document.querySelector('#curves polyline.line0');
  return line ? line.points.numberOfItems : 0;
}"""
PRESS_EVERYTHING = """async () => {
  const answers = [];
  for (let fn_index = 0; fn_index < 10; fn_index++)
    for (const path of ['run/predict', 'queue/join']) {
      const body = JSON.stringify({fn_index, data: [''], session_hash: 'direct'});
      const headers = {'content-type': 'application/json'};
      const answer = await fetch('/gradio_api/' + path, {method: 'POST', headers, body});
      answers.push(answer.status + ' ' + await answer.text());
    }
  return answers;
}"""
READ_EVERYTHING = """async () => {
  const paths = ['log', 'end', 'end?of=direct', 'config', 'gradio_api/info', 'theme.css',
                 'gradio_api/queue/data?session_hash=direct', 'gradio_api/heartbeat/direct'];
  return Promise.all(paths.map(async path => (await fetch('/' + path)).status));
}"""


@dataclass
class Visitor:
    """Somebody with a browser of their own, and every address it asked for."""

    context: BrowserContext
    hub: HubServer
    asked: list[str] = field(default_factory=list)

    def log_in(self, name: str) -> Visitor:
        """Log in at the Hub, as people do there."""
        page = self.context.new_page()
        page.goto(f"{self.hub.endpoint}/login")
        page.fill("input[name=token]", self.hub.tokens[name])
        page.click("button")
        page.wait_for_selector("text=log out")
        page.close()
        return self

    def open(self, job: Job) -> Page:
        """Go to the Space by its page on the Hub and wait until it shows the job that trains."""
        page = self.context.new_page()
        page.goto(f"{self.hub.endpoint}/spaces/{job.space}")
        page.wait_for_selector("#answer .bar", timeout=START_MS)
        assert page.url == f"{job.site}/"
        return page

    def sign_in(self, page: Page) -> Page:
        """Sign in with the page's link and agree; returns the page that comes of it."""
        here = urlsplit(page.url)
        with self.context.expect_page() as opened:
            page.click("text=Sign in with Hugging Face")
        opened.value.click("text=Authorize")
        opened.value.wait_for_url(lambda url: urlsplit(url)[1:3] == here[1:3])
        return opened.value


@dataclass(frozen=True)
class Job:
    """A job on a Space, and what may be asked of it."""

    laptop: Laptop
    id: str
    space: str

    @property
    def site(self) -> str:
        """The Space's own address."""
        return f"http://{self.space.replace('/', '-').lower()}.localhost:{self.laptop.hub.port}"

    @property
    def pid(self) -> int | None:
        """The process that trains, if there is one."""
        return trainer_of(self.id)

    def cancelled(self) -> bool:
        told = self.laptop.run("status", self.id, "--json")
        assert told.code == 0, told.err
        return (told.document["state"], told.document["reason"]) == ("cancelled", "user")

    def costs(self) -> bool:
        return any(bill["costing"] for bill in self.laptop.hub.admin("GET", "bills"))

    def stage(self) -> str:
        return str(self.laptop.hub.api().get_space_runtime(self.space).stage)


@pytest.fixture(scope="module")
def laptop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laptop]:
    folder = tmp_path_factory.mktemp("laptop")
    users, orgs = ("ann:write", "bob:read", "cat:read"), ("lab:ann,cat:read",)
    hub = HubServer(folder / "data", users, orgs).start()
    hub.api().create_repo(MODEL, private=False)
    hub.api().upload_folder(repo_id=MODEL, folder_path=write_model(folder / "tiny"))
    write_rows(folder / "chats.jsonl", chats(40))
    yield Laptop(folder / "home", hub)
    hub.stop()


@pytest.fixture
def visitor(browser: Browser, laptop: Laptop) -> Iterator[Any]:
    """Make browser profiles; none of them may ask for anything beyond this machine."""
    visitors: list[Visitor] = []

    def made() -> Visitor:
        new = Visitor(browser.new_context(viewport={"width": 1000, "height": 900}), laptop.hub)

        def note(request: Request) -> None:
            new.asked.append(request.url)

        new.context.on("request", note)
        visitors.append(new)
        return new

    yield made
    for one in visitors:
        one.context.close()
    asked = [urlsplit(url) for one in visitors for url in one.asked]
    hosts = {url.hostname or "" for url in asked if url.scheme not in {"data", "blob"}}
    assert {h for h in hosts if h != "127.0.0.1" and not h.endswith(".localhost")} == set()


@pytest.fixture
def launch(laptop: Laptop) -> Iterator[Any]:
    """Launch a job that does not end by itself; it ends with the test."""
    jobs: list[Job] = []

    def launched(project: str, owner: str = "ann") -> Job:
        said = laptop.run(
            *("llm", "--train", "--trainer", "sft", "--peft", "--model", MODEL),
            *("--data-path", "chats.jsonl", "--project-name", project, "--username", owner),
            *("--backend", "spaces-cpu", "--push-to-hub", "--epochs", "100000"),
            *("--model-max-length", "64", "--json", "--detach"),
        )
        assert said.code == 0, said.err + said.out
        handle = said.document["handle"]
        jobs.append(Job(laptop, said.document["job"], handle.removeprefix("spaces://")))
        return jobs[-1]

    yield launched
    for job in jobs:
        if job.stage() != "PAUSED":
            laptop.run("cancel", job.id)


def goes_on(page: Page, job: Job) -> None:
    """Assert that the job trains and the page shows it, without being loaded again."""
    before = page.evaluate(STEP)
    page.wait_for_function(f"before => ({STEP})() > before + 1", arg=before)
    assert job.pid is not None


def stop(page: Page) -> str:
    """Press Stop and confirm; returns what was asked."""
    page.click("#stop")
    page.wait_for_selector("#stop-yes")
    asked = page.inner_text("#sure")
    page.click("#stop-yes")
    return asked


def test_its_owner_watches_signs_in_and_stops_it(launch: Any, visitor: Any) -> None:
    job = launch("bot")
    page = visitor().context.new_page()
    for path in ("/", "/log", "/config"):
        shut = page.goto(job.site + path)
        assert shut is not None and shut.status == 404, "a private Space is not there for strangers"
        assert "bot" not in shut.text()

    ann = visitor().log_in("ann")
    watching = ann.open(job)
    assert "Running" in watching.inner_text("#answer")
    assert "spaces cpu-basic" in watching.inner_text("#answer")
    goes_on(watching, job)
    watching.wait_for_function(f"() => ({POINTS})() > 1")
    watching.wait_for_function("() => document.querySelectorAll('polyline').length > 1")
    assert watching.input_value("#log textarea")

    assert not watching.is_visible("#stop"), "until she says who she is"
    watching.evaluate(PRESS_EVERYTHING)
    goes_on(watching, job)

    stopping = ann.sign_in(watching)
    stopping.wait_for_selector("#stop")
    assert "Signed in as ann" in stopping.inner_text("#who")
    watching.wait_for_selector("#stop")
    ARTIFACTS.mkdir(exist_ok=True)
    stopping.screenshot(path=ARTIFACTS / "page-on-space.png", full_page=True)
    kept = stop(stopping)
    assert "No model is kept" in kept or "The checkpoint of step" in kept
    for seen in (stopping, watching):
        seen.wait_for_selector("text=Stopped (user)", timeout=PATIENCE * 1000)
    until(job.cancelled)
    until(lambda: job.stage() == "PAUSED")
    assert not job.costs()
    assert job.pid is None
    for seen in (stopping, watching):
        seen.wait_for_timeout(2500)
        assert "Stopped (user)" in seen.inner_text("body"), "the end stays, and needs no server"
        assert seen.evaluate("document.querySelectorAll('polyline').length") >= 2


def test_a_stranger_with_an_account(launch: Any, visitor: Any) -> None:
    job = launch("secret")
    ann = visitor().log_in("ann")
    watching = ann.open(job)
    bob = visitor().log_in("bob")
    page = bob.context.new_page()
    for address in (f"{job.laptop.hub.endpoint}/spaces/{job.space}", job.site, f"{job.site}/log"):
        shut = page.goto(address)
        assert shut is not None and shut.status == 404
        assert "secret" not in shut.text()

    job.laptop.hub.api().update_repo_settings(job.space, repo_type="space", private=False)
    until(lambda: page.goto(f"{job.site}/log").status == 401)
    page.goto(job.site)
    mine = bob.sign_in(page)
    assert "not bob's" in mine.inner_text("body")
    assert "secret" not in mine.content()
    assert set(mine.evaluate(READ_EVERYTHING)) == {401}
    assert {answer[:3] for answer in mine.evaluate(PRESS_EVERYTHING)} == {"401"}
    assert job.pid is not None

    owner = ann.sign_in(watching)
    owner.wait_for_selector("#stop")
    goes_on(owner, job)


def test_an_organisation_stops_its_job(launch: Any, visitor: Any) -> None:
    job = launch("shared", owner="lab")
    cat = visitor().log_in("cat")
    reading = cat.sign_in(cat.open(job))
    reading.wait_for_selector("text=Signed in as cat, who may not stop this job")
    assert not reading.is_visible("#stop")
    reading.evaluate(PRESS_EVERYTHING)
    goes_on(reading, job)

    ann = visitor().log_in("ann")
    stop(ann.sign_in(ann.open(job)))
    reading.wait_for_selector("text=Stopped (user)", timeout=PATIENCE * 1000)
    until(job.cancelled)
    until(lambda: job.stage() == "PAUSED")
