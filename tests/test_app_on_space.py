"""The app on a Space of a local Hub: two people sign in there, and neither reaches the other."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx2
import pytest
from huggingface_hub import CommitOperationAdd
from playwright.sync_api import Browser, Page
from standins.laptop import Laptop, processes
from standins.localhub import HubServer
from standins.spaces import host
from standins.visitor import log_in
from standins.waiting import PATIENCE, until
from tiny_llm import chats, write_model, write_rows

import hubtrain

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.timeout(580)]

SESSION, BEGUN = "__Host-hubtrain", "__Host-hubtrain-login"
MODEL, DATA, SPACE = "ann/tiny", "ann/chats", "ann/hubtrain-app"
HANDLE = f"space://{SPACE}"
ARTIFACTS = Path(__file__).parent / "artifacts"

CALL = """async ([way, path, body]) => {
  const headers = {'content-type': 'application/json',
                   accept: 'application/json, text/event-stream'};
  const sent = body === null ? undefined : JSON.stringify(body);
  const answer = await fetch(path, {method: way, headers, body: sent});
  return [answer.status, await answer.text()];
}"""
UPLOAD = """async text => {
  const form = new FormData();
  form.append('files', new File([text], 'rows.csv'));
  const answer = await fetch('/gradio_api/upload', {method: 'POST', body: form});
  return (await answer.json())[0];
}"""


def endless(project: str, **more: Any) -> dict[str, Any]:
    """Return the settings of a job that does not end by itself."""
    return {
        **{"model": MODEL, "data_path": DATA, "project_name": project, "peft": True},
        **{"backend": "spaces-cpu", "push_to_hub": True, "epochs": 100000, "block_size": 64},
        **more,
    }


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubServer]:
    folder = tmp_path_factory.mktemp("hub")
    server = HubServer(folder / "data", ("ann:write", "bob:write"), ("lab@team:ann,bob",)).start()
    api = server.api()
    api.create_repo(MODEL, private=False)
    api.create_repo(DATA, repo_type="dataset", private=False)
    api.upload_folder(repo_id=MODEL, folder_path=write_model(folder / "tiny"))
    write_rows(folder / "train.jsonl", chats(40))
    rows = CommitOperationAdd("train.jsonl", (folder / "train.jsonl").read_bytes())
    api.create_commit(DATA, [rows], repo_type="dataset", commit_message="Rows")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def laptop(hub: HubServer, tmp_path_factory: pytest.TempPathFactory) -> Laptop:
    return Laptop(tmp_path_factory.mktemp("ann") / "home", hub)


@pytest.fixture(scope="module")
def site(laptop: Laptop) -> str:
    """The address of ann's app, which everybody may visit."""
    said = laptop.run("app", "--on-space", "--deploy-public")
    assert said.code == 0, said.out + said.err
    assert f"hubtrain rm {HANDLE}" in said.out
    return f"http://{host(laptop.hub, SPACE)}"


class Person:
    """Somebody with a browser of their own, who is known to the Hub."""

    def __init__(self, browser: Browser, hub: HubServer, site: str, name: str) -> None:
        self.site, self.name = site, name
        self.context = browser.new_context(viewport={"width": 1000, "height": 700})
        self.context.set_default_timeout(1000 * PATIENCE)
        self.page: Page = self.context.new_page()
        log_in(self.page, hub, name)

    def sign_in(self) -> Page:
        """Press the app's link and agree where the Hub asks; return the page that comes of it."""
        left, asking = self.page, self.context.new_page()  # what is left may load itself anew
        asking.goto(self.site)
        with self.context.expect_page() as opened:
            asking.click("text=sign in with Hugging Face")
        self.page = opened.value
        for page in (left, asking):  # a browser has six connections to a site, an open page two
            page.close()
        agree = self.page.get_by_role("button", name="Authorize")
        agree.or_(self.page.locator("#menu, [role=alert]").first).wait_for()
        if agree.is_visible():
            agree.click()
        return self.page

    def home(self) -> Page:
        """Sign in, and return the app's first page once it is there."""
        page = self.sign_in()
        page.wait_for_selector(f"#menu >> text={self.name}", timeout=3000 * PATIENCE)
        return page

    def call(self, path: str, body: Any = None, way: str = "POST") -> tuple[int, str]:
        """Ask the app something as a script of its page would."""
        status, text = self.page.evaluate(CALL, [way, path, body])
        return int(status), str(text)

    def ask(self, verb: str, **fields: Any) -> tuple[int, Any]:
        """Return status and answer of a verb."""
        status, text = self.call(f"/api/v1/{verb}", fields)
        return status, json.loads(text)

    def train(self, project: str, **more: Any) -> str:
        """Start a job that does not end by itself; return its id."""
        status, found = self.ask("train", task="llm-sft", settings=endless(project, **more))
        assert status == 200, found
        return str(found["job"]["job"])

    def jobs(self) -> list[str]:
        """Return the ids of the jobs that they see."""
        return [job["job"] for job in self.ask("jobs", refresh=False)[1]["jobs"]]


@pytest.fixture(scope="module")
def people(browser: Browser, hub: HubServer, site: str) -> Iterator[dict[str, Person]]:
    found = {name: Person(browser, hub, site, name) for name in ("ann", "bob")}
    yield found
    for one in found.values():
        one.context.close()


def test_a_stranger_sees_one_sentence(browser: Browser, site: str) -> None:
    page = browser.new_page()
    for path in ("/", "/job?id=latest", "/config", "/mcp", "/openapi.json", "/log?id=latest"):
        answer = page.goto(site + path)
        assert answer is not None and answer.status == (200 if path == "/" else 401), path
        assert "sign in with Hugging Face" in page.inner_text("body")
    forged = page.goto(f"{site}/login/callback?state=x&code=y")
    assert forged is not None and forged.status == 403
    assert "begun elsewhere" in page.inner_text("body")
    page.close()


def test_each_has_jobs_of_their_own(people: dict[str, Person]) -> None:
    ann, bob = people["ann"], people["bob"]
    made = {}
    for one in (ann, bob):
        page = one.home()
        assert "keeps its list of jobs while its Space runs" in page.inner_text("#menu")
        made[one.name] = one.train(f"of-{one.name}")
    for one, other in ((ann, bob), (bob, ann)):
        mine, theirs = made[one.name], made[other.name]
        assert one.jobs() == [mine]
        for name in (theirs, f"of-{other.name}", f"spaces://{other.name}/of-{other.name}-{theirs}"):
            for verb in ("job", "record", "logs", "cancel", "remove", "resume"):
                status, said = one.ask(verb, job=name)
                assert status >= 400, (verb, name, said)
        assert one.call(f"/log?id={theirs}", way="GET")[0] == 404
        tool = {"name": "jobs", "arguments": {"refresh": False}}
        asked = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": tool}
        status, said = one.call("/mcp", asked)
        assert status == 200 and mine in said and theirs not in said
        one.page.goto(f"{one.site}/job?id={theirs}")
        one.page.wait_for_selector(f"#answer >> text={theirs}")
        assert f"of-{other.name}" not in one.page.content()
    ann.page.goto(ann.site)
    ann.page.wait_for_selector("#jobs >> text=of-ann")
    ARTIFACTS.mkdir(exist_ok=True)
    ann.page.screenshot(path=ARTIFACTS / "app-on-space.png", full_page=True)
    assert "of-bob" not in ann.page.content()
    sent = bob.page.evaluate(UPLOAD, "text\nsecret of bob\n")
    assert "secret of bob" in bob.call(f"/gradio_api/file={sent}", way="GET")[1]
    status, said = ann.call(f"/gradio_api/file={sent}", way="GET")
    assert status >= 400 and "secret" not in said
    for one in (ann, bob):
        assert one.ask("cancel", job=made[one.name])[0] == 200


def test_tokens_stand_nowhere(people: dict[str, Person], laptop: Laptop) -> None:
    """Neither on command lines, nor in what the Space printed, nor in what it keeps."""
    running = processes("orchestrator.app.lobby.guest")
    assert len(running) == 2
    printed = laptop.run("logs", HANDLE)
    kept = [
        file
        for folder in laptop.hub.data.rglob("users")
        for file in folder.rglob("*")
        if file.is_file()
    ]
    assert kept and printed.code == 0
    every = [*running.values(), printed.out, *map(_held, kept)]
    assert not [text[:200] for text in every if "hf_" in text and _has_token(text)]


def _held(file: Path) -> str:
    """What a file holds; nothing where it was one of SQLite's that has just gone."""
    try:
        return file.read_bytes().decode("latin-1")
    except FileNotFoundError:
        return ""


def _has_token(text: str) -> bool:
    """Whether a Hub token stands somewhere in a text."""
    import re

    return bool(re.search(r"hf_[0-9a-f]{34}", text))


def test_programs_show_a_token_of_their_users(
    people: dict[str, Person], hub: HubServer, site: str
) -> None:
    ann = hubtrain.Client(site, key=hub.tokens["ann"])
    assert {job.id for job in ann.jobs()} == set(people["ann"].jobs())
    bob = hubtrain.Client(site, key=hub.tokens["bob"])
    assert bob.jobs()[0].id in people["bob"].jobs()
    with pytest.raises(hubtrain.HubtrainError, match="no job '"):
        bob.job(ann.jobs()[0].id)
    with pytest.raises(hubtrain.HubtrainError, match="a token of yours"):
        hubtrain.Client(site, key="hf_" + "0" * 34).jobs()
    until(lambda: len(processes("orchestrator.app.lobby.guest")) == 4)
    job = ann.train("llm-sft", **endless("of-lab", username="lab"))
    job.cancel()
    assert job.id in people["ann"].jobs(), "they are the same jobs"


def test_a_login_ends_once_in_the_browser_that_began_it(
    people: dict[str, Person], hub: HubServer, site: str
) -> None:
    known = {c["name"]: c["value"] for c in people["bob"].context.cookies(hub.endpoint)}

    def ask(
        address: str,
        cookies: Mapping[str, str] = {},
        **headers: str,
    ) -> httpx2.Response:
        url = httpx2.URL(address)
        there = url.copy_with(host="127.0.0.1")  # where browsers find what ends in .localhost
        shown = "; ".join(f"{name}={value}" for name, value in cookies.items())
        sent = {"Host": url.netloc.decode(), "Cookie": shown, **headers}
        return httpx2.get(there, headers=sent, timeout=PATIENCE, trust_env=False)

    def begun() -> tuple[str, dict[str, str]]:
        there = ask(f"{site}/login")
        back = ask(there.headers["location"], known)
        return back.headers["location"], dict(there.cookies)

    (mine, own), (_, others) = begun(), begun()
    for cookies in ({}, others, {BEGUN: ""}):
        elsewhere = ask(mine, cookies)
        assert elsewhere.status_code == 403 and "begun elsewhere" in elsewhere.text
    refused = ask(f"{mine.partition('?')[0]}?error=access_denied&state={others[BEGUN]}", others)
    assert refused.status_code == 403 and "not told yes" in refused.text
    let_in = ask(mine, {**own, SESSION: "made-up"})
    assert let_in.status_code == 303
    session = let_in.cookies[SESSION]
    assert session != "made-up" and ask(f"{site}/config", {SESSION: session}).status_code == 200
    assert ask(f"{site}/config", {SESSION: "made-up"}).status_code == 401
    assert "not begun here" in ask(mine, own).text, "a code is taken once"
    led = {
        "Sec-Fetch-Site": "cross-site",
        "Sec-Fetch-Mode": "navigate",
        "Sec-Fetch-Dest": "document",
    }
    assert ask(f"{site}/logout", {SESSION: session}, **led).status_code == 403
    assert ask(f"{site}/config", {SESSION: session}).status_code == 200
    assert ask(f"{site}/logout", {SESSION: session}).status_code == 303
    assert ask(f"{site}/config", {SESSION: session}).status_code == 401


def test_who_logs_out_has_to_sign_in_again(people: dict[str, Person]) -> None:
    ann, bob = people["ann"], people["bob"]
    held = ann.context.cookies(ann.site)
    ann.page.goto(ann.site)
    ann.page.click("text=Log out")
    ann.page.wait_for_selector("text=sign in with Hugging Face")
    ann.context.add_cookies(held)  # type: ignore[arg-type]
    assert ann.call("/api/v1/jobs", {})[0] == 401
    ann.page.goto(ann.site)
    assert "Your login has ended" in ann.page.inner_text("body")
    assert bob.ask("jobs")[0] == 200
    until(lambda: len(processes("orchestrator.app.lobby.guest")) == 3)
    ann.home()
    assert len(ann.jobs()) == 2, "what is known of her jobs was kept"


def test_a_login_that_may_only_read_is_refused(people: dict[str, Person], laptop: Laptop) -> None:
    """Nothing is lost by it: made once more, the Space asks for enough, and finds the jobs.

    Those for an organisation are found by who launched them, and by nobody else.
    """
    api, bob = laptop.hub.api(), people["bob"]
    file = api.hf_hub_download(SPACE, "README.md", repo_type="space")
    lean = Path(file).read_text(encoding="utf-8").replace("- manage-repos", "- read-repos")
    where: dict[str, Any] = {"repo_id": SPACE, "repo_type": "space"}
    api.upload_file(path_or_fileobj=lean.encode(), path_in_repo="README.md", **where)
    sha = api.space_info(SPACE).sha
    until(
        lambda: (now := api.get_space_runtime(SPACE)).stage == "RUNNING" and now.raw["sha"] == sha
    )
    refused = bob.sign_in()
    refused.wait_for_selector("[role=alert]")
    told = refused.inner_text("body")
    assert "it lacks manage-repos" in told and "hubtrain app --on-space" in told
    assert bob.call("/api/v1/jobs", {})[0] == 401

    again = laptop.run("app", "--on-space", "--deploy-public")
    assert again.code == 0 and f"http://{host(laptop.hub, SPACE)}" in again.out, again.err
    for one, projects in ((people["ann"], {"of-ann", "of-lab"}), (bob, {"of-bob"})):
        one.home()
        one.page.wait_for_selector(f"text={len(projects)} job")
        assert {job["project"] for job in one.ask("jobs", refresh=False)[1]["jobs"]} == projects


def test_who_loses_their_login_is_told_and_leaves_nothing_half_done(
    people: dict[str, Person], hub: HubServer
) -> None:
    bob, api = people["bob"], hub.api("bob")
    there = [space.id for space in api.list_spaces(author="bob")]
    with sqlite3.connect(hub.data / "hub.sqlite") as db:
        asked = "SELECT token FROM tokens WHERE user = 'bob' AND name LIKE 'oauth:%'"
        found = [token for (token,) in db.execute(asked)]
    for token in found:
        hub.admin("PUT", "tokens", {"token": token, "revoked": True})
    status, told = bob.ask("train", task="llm-sft", settings=endless("too-late"))
    assert status == 422 and "Log out and sign in again." in told["fix"], told
    bob.page.wait_for_selector("text=Your login has ended")
    assert bob.page.get_by_role("link", name="sign in with Hugging Face").is_visible()
    assert [space.id for space in api.list_spaces(author="bob")] == there
    bob.home()
    assert len(bob.jobs()) == 1


def test_it_is_removed_as_what_it_is(laptop: Laptop, people: dict[str, Person]) -> None:
    assert "the app of hubtrain" in laptop.run("gc").out
    said = laptop.run("deploy", MODEL, "--deploy-name", "hubtrain-app")
    assert said.code != 0 and "serves the app of hubtrain, and is left alone" in said.err
    stopped = laptop.run("cancel", HANDLE)
    assert "start it again   hubtrain app --on-space" in stopped.out
    assert laptop.run("rm", HANDLE, "--force").code == 0
    assert not laptop.hub.api().repo_exists(SPACE, repo_type="space")
