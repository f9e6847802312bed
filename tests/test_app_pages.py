"""The app in a real browser: all jobs, one job, two laid over each other; phone and keyboard."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import escape
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Browser, Page, expect
from standins.app_page import NASTY, at_a_desk, phone, shot
from standins.application import Application, command, visitor
from standins.visitor import LOSES_AN_ANSWER
from standins.waiting import PATIENCE, until
from tiny_llm import chats, write_model, write_rows

import worker.tasks
from orchestrator.app.pages._tryit import conversation
from orchestrator.app.trying import Trying
from orchestrator.inference.trained import Model, model_of
from orchestrator.jobs.client import Client
from orchestrator.jobs.records import Records
from worker.contract import (
    Created,
    DataRef,
    EndReason,
    Event,
    Failed,
    Finished,
    JobSpec,
    Launched,
    Limits,
    Machine,
    Metric,
    Observed,
    Progress,
    Started,
)
from worker.session import Message

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900)]
SCRIPT = f"""
import time
print({NASTY!r}, flush=True)
for n in range(600):
    print("line", n, flush=True)
    time.sleep(1.5)
"""
LEARNER = (
    *("llm", "--train", "--trainer", "sft", "--model", "./tiny", "--data-path", "chats.jsonl"),
    *("--project-name", "learner", "--max-steps", "100000", "--save-steps", "2"),
    *("--batch-size", "1", "--model-max-length", "32", "--samples", "0"),
)
WAIT = 150_000


def spec(job_id: str, project: str, *, lr: float = 1e-3, usd: float = 0.0) -> JobSpec:
    backend = "spaces" if usd else "local"
    return JobSpec(
        job_id=job_id,
        project=project,
        task="llm",
        params={"trainer": "sft", "lr": lr, "model": "tiny"},
        data=DataRef(),
        machine=Machine(backend=backend, flavor="t4-small" if usd else None, usd_per_hour=usd),
        limits=Limits(max_usd=5.0 if usd else None),
    )


def life(one: JobSpec, began: datetime, steps: int, *ends: Event) -> list[Event]:
    """Return what a job tells in so many steps of a hundred."""
    told: list[Event] = [Started(job_id=one.job_id, at=began)]
    for step in range(1, steps + 1):
        told.append(Progress(step=step, total_steps=100, at=began))
        loss = 2 / step ** (0.3 + 30 * one.params["lr"])
        values = {"loss": loss, "lr": 1e-4}
        if step % 10 == 0:
            values["valid_loss"] = 1.1 * loss
        told.append(Metric(step=step, values=values, at=began))
    worker = [e.model_copy(update={"seq": n}) for n, e in enumerate((*told, *ends), 1)]
    handle = f"{one.machine.backend}://ann/{one.job_id}"
    created = Created(job_id=one.job_id, at=began, source="laptop")
    return [created, Launched(handle=handle, at=began, source="laptop"), *worker]


def written(folder: Path) -> None:
    """Write down jobs in several states, as if they had been made here."""
    now = datetime.now(UTC)
    over = now - timedelta(hours=2)
    gone = Observed(stage="exited", alive=False, costing=False, at=over, source="laptop")
    costs = Observed(stage="RUNNING", alive=True, costing=True, at=now, source="laptop")
    words = f"the loss is no number any more {NASTY}"
    lost = Failed(reason=EndReason.BAD_CONFIG, message=words, at=over)
    first, second = spec("aaa111", "first-try"), spec("bbb222", "second-try", lr=5e-3)
    failed, paid = spec("ccc333", "diverged", lr=0.005), spec("ddd444", "support-bot", usd=0.6)
    Records(folder).write(
        [
            (first, [*life(first, over, 100, Finished(at=over)), gone]),
            (second, [*life(second, over, 100, Finished(at=over)), gone]),
            (failed, [*life(failed, over, 12, lost), gone]),
            (paid, [*life(paid, now - timedelta(minutes=30), 40), costs]),
        ]
    )


@dataclass(frozen=True)
class House:
    """A laptop with jobs on record, one that was trained and one that runs, and its app."""

    app: Application
    folder: Path

    @property
    def own(self) -> str:
        """The address of the app, without the key."""
        return str(httpx2.URL(self.app.url).copy_with(query=None))


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    written(folder / "home")
    command(folder, "init", "tabular", ".")
    fruit = folder / "job.yml"
    command(folder, "--config", str(fruit), "--num-trials", "1", "--project", "fruit-or-not")
    (folder / "long.py").write_text(SCRIPT)
    script = ("--script-path", str(folder / "long.py"), "--project-name", "long-one")
    command(folder, "spacerunner", *script, "--detach")
    try:
        with Application(folder, environ={"HF_ENDPOINT": "http://127.0.0.1:9"}) as app:
            yield House(app, folder)
    finally:
        command(folder, "cancel", "long-one")


@pytest.fixture
def page(browser: Browser, house: House) -> Iterator[Page]:
    with at_a_desk(browser, house.app.url, WAIT) as made:
        yield made


def test_all_jobs_with_what_costs_first(page: Page) -> None:
    assert "key=" not in page.url
    page.wait_for_function("document.title == 'Jobs · hubtrain'")
    top = page.inner_text("#top")
    assert "$0.60/h now" in top and "support-bot on spaces t4-small" in top
    assert re.search(r"\$0\.\d\d in \d{4}-\d\d", top)
    rows = page.inner_text("#jobs")
    for word in ("first-try", "Succeeded", "diverged", "Failed", "fruit-or-not", "40 of 100"):
        assert word in rows
    assert page.locator("#jobs svg.spark").count() >= 4
    shot(page, "home")
    phone(page)
    shot(page, "home-phone")


def test_an_answer_that_was_lost_is_sent_again(browser: Browser, house: House) -> None:
    page = browser.new_page()
    page.set_default_timeout(WAIT)
    page.add_init_script(LOSES_AN_ANSWER)
    page.goto(house.app.url)
    page.goto(f"{house.own}job?id=ccc333")
    page.wait_for_selector("#answer .failed")
    page.wait_for_selector("#controls button.remove")
    page.close()


def test_jobs_are_found_by_words_and_by_state(page: Page) -> None:
    page.fill("#filters input[type=text], #filters textarea", "TRY llm")
    page.wait_for_function("document.querySelectorAll('#jobs tbody tr').length == 2")
    page.fill("#filters input[type=text], #filters textarea", "")
    page.click("#by-state input")
    page.get_by_role("option", name="Failed").click()
    page.wait_for_function("document.querySelectorAll('#jobs tbody tr').length == 1")
    assert "diverged" in page.inner_text("#jobs")


def test_a_job_after_its_end(page: Page, house: House) -> None:
    page.get_by_role("link", name="diverged").click()
    page.wait_for_selector("#curves polyline.line0")
    assert "Failed (bad_config)" in page.inner_text("#answer")
    page.wait_for_function("document.title == 'Failed · diverged'")
    assert NASTY in page.inner_text("#answer"), "what a job says is text"
    page.get_by_role("button", name="Settings").click()
    page.wait_for_selector("#settings >> text=0.005")
    shot(page, "job")
    phone(page)
    page.goto(f"{house.own}job?id=nobody")
    page.wait_for_selector("text=No such job")
    page.wait_for_selector("#log-box", state="hidden")


def test_a_trained_model_is_asked_where_its_job_is_shown(page: Page) -> None:
    page.get_by_role("link", name="fruit-or-not").click()
    page.wait_for_selector("#answer .succeeded")
    page.get_by_role("button", name="Try the model").click()
    page.click("#try-begin")
    page.wait_for_selector("#try-ask")
    page.wait_for_selector("#try >> text=grams")
    shot(page, "try")
    ask = page.locator("#try-ask")
    ask.click()
    page.wait_for_selector("#try-ask:disabled >> text=Answering")
    expect(ask).to_be_enabled(timeout=1000 * PATIENCE)
    expect(ask).to_have_text("Ask")


def test_the_model_answers(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUBTRAIN_HOME", str(house.app.home))
    client, trying = Client(), Trying()
    model = model_of(client, client.record("fruit-or-not"))
    assert model.page is not None and model.page.answers_as == "labels"
    row = '[{"grams": 174, "colour": "green", "smoothness": 0.69}]'
    try:
        (field,) = model.page.fields
        answer = trying.answer(model, {field.name: row})
    finally:
        trying.close()
    assert {one["label"] for one in answer} >= {"apple"}


def test_a_model_is_told_what_was_said_before(house: House) -> None:
    folder = write_model(house.folder / "talker")
    task = worker.tasks.load("llm")
    model, trying = Model(task, str(folder), None, os.environ), Trying()
    said: tuple[Message, ...] = ({"role": "user", "content": f"say 3 {NASTY}"},)
    try:
        *growing, first = trying.talk(model, said)
        said = (*said, {"role": "assistant", "content": "three"}, said[0])
        *_, second = trying.talk(model, said)
    finally:
        trying.close()
    assert growing[-1].text == first.text and first.dropped == 0
    assert second.dropped == 0
    assert second.text != first.text, "it was told what was said before"
    assert NASTY not in conversation(said) and escape(NASTY) in conversation(said)


def test_a_running_job_is_watched_and_stopped(page: Page, house: House) -> None:
    page.get_by_role("link", name="long-one").click()
    page.wait_for_selector("#controls button.stop")
    page.click("#log-box button")
    log = page.locator("#log textarea")
    page.wait_for_function("document.querySelector('#log textarea').value.includes('line 3')")
    assert NASTY in log.input_value()
    page.fill("#search textarea, #search input", "ONERROR")
    page.wait_for_function("!document.querySelector('#log textarea').value.includes('line 3')")
    with visitor(house.app.url) as http:
        key = httpx2.URL(house.app.url).params["key"]
        job = httpx2.URL(page.url).params["id"]
        answer = http.get("/log", params={"id": job}, headers={"Authorization": f"Bearer {key}"})
        assert "line 3" in answer.text
        assert answer.headers["content-disposition"].startswith("attachment")
    page.click("#controls button.stop")
    page.wait_for_selector("#sure-no")
    assert "Stop long-one" in page.inner_text("#sure")
    page.click("#sure-no")
    page.wait_for_selector("#sure", state="hidden")
    page.click("#controls button.stop")
    page.click("#sure-yes")
    page.wait_for_selector("#answer .cancelled")
    until(lambda: "Stopped" in page.inner_text("#answer"))


def test_two_jobs_laid_over_each_other(page: Page, house: House) -> None:
    page.goto(f"{house.own}compare?a=aaa111&b=bbb222")
    page.wait_for_selector("#compared polyline.line2")
    assert page.locator("#compared figure").first.locator("polyline").count() == 4
    table = page.inner_text("#compared table")
    assert "0.001" in table and "0.005" in table
    assert "trainer" not in table, "only what differs"
    shot(page, "compare")
    phone(page)


def test_a_keyboard_is_enough(page: Page) -> None:
    seen = []
    for _ in range(40):
        page.keyboard.press("Tab")
        here = page.evaluate(
            "(e => ({what: e.getAttribute('aria-label') || e.labels?.[0]?.innerText || e.innerText,"
            " stop: e.className, outline: getComputedStyle(e).outlineStyle}))"
            "(document.activeElement)"
        )
        seen.append(here["what"].strip())
        assert here["outline"] != "none", f"{seen[-1]} does not show its focus"
        if here["stop"] == "stop" and {"Search", "State"} <= set(seen):
            break
    assert seen[0] == "Jobs", "the pages come first"
    asked = seen[-1]
    assert asked.startswith("Stop ")
    for key in ("Enter", "Escape"):
        page.keyboard.press("Enter")
        page.wait_for_function("document.activeElement.id == 'sure-no'")
        assert page.get_by_role("alertdialog", name=re.compile("^Stop ")).is_visible()
        page.keyboard.press(key)
        page.wait_for_selector("#sure", state="hidden")
        page.wait_for_function("document.activeElement.className == 'stop'")
        assert page.evaluate("document.activeElement.ariaLabel") == asked


def test_what_a_screen_reader_is_told(page: Page) -> None:
    told = page.locator("body").aria_snapshot()
    for said in (
        'navigation "Pages"',
        'heading "$0.60/h now"',
        'link "first-try"',
        'button "Stop support-bot…"',
        'progressbar "steps"',
        'columnheader "State"',
    ):
        assert said in told, said
    assert re.search(r'img "loss from [\d.]+ to [\d.]+"', told)
    assert 'textbox "Search"' in told


def test_a_training_that_was_stopped_goes_on(page: Page, house: House) -> None:
    records = Records(house.app.home)

    write_model(house.folder / "tiny")
    write_rows(house.folder / "chats.jsonl", chats(20))
    command(house.folder, *LEARNER, "--detach")
    (first,) = records.ids("learner")
    page.goto(f"{house.own}job?id={first}")
    page.wait_for_selector("#controls button.stop")
    until(lambda: records.get(first).story.last_checkpoint, 200)
    page.click("#controls button.stop")
    page.click("#sure-yes")
    page.click("#controls button.resume")
    page.wait_for_selector("#sure-yes")
    assert re.search(r"Go on with learner from step \d+ on local: .*free", page.inner_text("#sure"))
    page.click("#sure-yes")
    page.wait_for_selector("text=Launched as")
    again = records.ids("learner")[0]
    assert records.get(again).spec.start is not None and again != first
    command(house.folder, "cancel", again)


def test_a_job_is_removed_where_it_is_shown(page: Page, house: House) -> None:
    page.get_by_role("link", name="fruit-or-not").click()
    page.click("#controls button.remove")
    page.wait_for_selector("#sure-yes")
    assert "Models stay" in page.inner_text("#sure")
    page.click("#sure-yes")
    page.wait_for_selector("text=No such job")
    assert Records(house.app.home).ids("fruit-or-not") == []
    assert (house.folder / "my-tabular").exists() or (house.folder / "fruit-or-not").exists()
