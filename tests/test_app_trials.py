"""The app's pages of what is tried, in a real browser: rehearsals, sweeps, and what jobs cost."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Browser, Page, expect
from standins import swept
from standins.app_page import NASTY, at_a_desk, phone, shot
from standins.application import Application
from standins.laptop import processes
from standins.localhub import HubServer
from standins.waiting import PATIENCE, until
from tiny_llm import chats, write_model, write_rows

from orchestrator.jobs.records import Records
from orchestrator.rehearsal.documents import Outcome, Report

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]
WAIT = 1000 * PATIENCE


@dataclass(frozen=True)
class House:
    """A laptop that has swept, on a Hub with a base model, and its app."""

    app: Application
    folder: Path
    token: str

    @property
    def own(self) -> str:
        """The address of the app, without the key."""
        return str(httpx2.URL(self.app.url).copy_with(query=None))

    @property
    def command(self) -> str:
        """A job that rents a machine, as it is typed."""
        return (
            "hubtrain llm --train --trainer sft --peft --model ann/good --backend jobs-a10g-small"
            f" --data-path {self.folder / 'chats.jsonl'} --project-name bot --push-to-hub"
            " --batch-size 1 --gradient-accumulation 1 --model-max-length 64 --epochs 1000"
        )

    def report(self, name: str) -> Report:
        kept = self.app.home / "rehearsals" / name / "report.json"
        return Report.model_validate_json(kept.read_bytes())


@pytest.fixture(scope="module")
def house(shared_hub: HubServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HUBTRAIN_HOME", str(folder / "home"))
        swept.sweep().write()
    Records(folder / "home").write(swept.trials(*(f"{NASTY}-t{n}" for n in range(3))))
    shared_hub.api().create_repo("ann/good")
    shared_hub.api().upload_folder(repo_id="ann/good", folder_path=write_model(folder / "good"))
    write_rows(folder / "chats.jsonl", chats(40))
    environ = shared_hub.env("ann", HUBTRAIN_HOME=str(folder / "home"), COLUMNS="300")
    with Application(folder, environ=environ) as app:
        yield House(app, folder, environ["HF_TOKEN"])


@pytest.fixture
def page(browser: Browser, house: House) -> Iterator[Page]:
    with at_a_desk(browser, house.app.url, WAIT) as made:
        yield made


def written_in(page: Page, house: House) -> None:
    """Write a job on a page, by its command."""
    page.goto(f"{house.own}new")
    page.wait_for_selector("#f-project_name")
    page.fill("#command", house.command)
    expect(page.locator("#f-project_name")).to_have_value("bot", timeout=WAIT)


def rehearsing(page: Page, house: House) -> str:
    """Write a job and rehearse it with the keyboard alone; returns the name of its report."""
    written_in(page, house)
    page.focus("[data-rehearse]", timeout=4 * WAIT)  # it is checked whole before
    page.keyboard.press("Enter")
    link = page.locator(".rehearsal a")
    expect(link).to_be_visible(timeout=WAIT)
    return str(link.get_attribute("href")).rpartition("=")[2]


def test_a_job_is_rehearsed_where_it_is_written(page: Page, house: House) -> None:
    name = rehearsing(page, house)
    expect(page.locator(".rehearsal")).to_contain_text("Rehearsing", timeout=WAIT)
    expect(page.locator("[data-rehearse]")).to_have_count(0)
    page.goto(f"{house.own}rehearsals?id={name}")  # the page that began it is gone
    expect(page.locator("#report .state")).to_contain_text("Rehearsing", timeout=WAIT)
    page.wait_for_selector("#report .course tr")
    expect(page.locator("#report .succeeded .state")).to_contain_text("It works", timeout=4 * WAIT)
    told = page.inner_text("#report")
    for said in ("40 rows packed", "3 steps done", "adapter at ann/bot", "GPUs of jobs-a10g-small"):
        assert said in told, said
    expect(page.locator("#report .machines")).to_contain_text(["jobs-a10g-small", ""])
    assert "rehearsed" in told and "of main memory at most" in told
    assert page.locator("#report .curves svg").count() >= 1
    did = page.locator("#report .course").inner_text()
    assert "fetching the model" in did and "training" in did
    shot(page, "rehearsal")
    phone(page)
    shot(page, "rehearsal-phone")

    kept = house.report(name)
    assert kept.outcome is Outcome.SUCCEEDED and kept.memory_bytes
    inside = (house.app.home / "rehearsals" / name).iterdir()
    assert all(house.token.encode() not in one.read_bytes() for one in inside)
    assert list((house.app.home / "scratch").iterdir()) == []


def test_a_rehearsal_is_alone_and_can_be_stopped(page: Page, house: House) -> None:
    other = page.context.new_page()
    written_in(other, house)
    other.locator("[data-rehearse]").wait_for(timeout=4 * WAIT)
    name = rehearsing(page, house)
    other.locator("[data-rehearse]").click(timeout=WAIT)
    expect(other.locator(".rehearsal.error")).to_contain_text("one at a time", timeout=WAIT)
    other.close()
    page.goto(f"{house.own}rehearsals?id={name}")
    page.focus("#report button.stop")
    page.keyboard.press("Enter")
    page.wait_for_function("document.activeElement.id == 'sure-no'")
    page.click("#sure-yes")
    expect(page.locator("#report .cancelled .state")).to_contain_text("Stopped", timeout=2 * WAIT)
    assert house.report(name).outcome is Outcome.STOPPED
    scratch = house.app.home / "scratch"
    until(lambda: list(scratch.iterdir()) == [] and processes(str(scratch)) == {})


def test_what_cannot_be_rehearsed_says_why(page: Page, house: House) -> None:
    """Names of files and projects are text, and an address can name nothing but a report."""
    name, began = "aaaaaa", datetime.now(UTC) - timedelta(days=1)
    report = Report(
        rehearsal=name,
        project=NASTY,
        task="llm",
        backend="jobs-a10g-small",
        outcome=Outcome.REFUSED,
        began_at=began,
        ended_at=began + timedelta(seconds=3),
        error=f"nothing is at {NASTY}",
        fix="--model",
    )
    (house.app.home / "rehearsals" / name).mkdir(parents=True)
    kept = house.app.home / "rehearsals" / name / "report.json"
    kept.write_text(json.dumps(report.model_dump(mode="json")))
    page.goto(f"{house.own}rehearsals")
    page.locator("#rehearsals a", has_text="onerror").click()
    page.wait_for_selector("#report .failed")
    assert NASTY in page.inner_text("#report") and "--model" in page.inner_text("#report")
    page.goto(f"{house.own}rehearsals?id=../{name}")
    page.wait_for_selector("text=No such report")
    told = page.locator("body").aria_snapshot()
    assert 'heading "No such report"' in told and 'link "Rehearsals"' in told


def test_a_sweep_is_chosen_and_shown(page: Page, house: House) -> None:
    page.goto(f"{house.own}sweep")  # the only one is shown by itself
    page.wait_for_selector("#trials tbody tr")
    told = page.inner_text("#trials")
    assert "Best: t1, loss 1.25" in told and "3 of 3 trials done, $3.00 of at most $5.00" in told
    rows = page.locator("#trials tbody tr")
    assert "t1" in rows.first.inner_text()
    assert page.locator("#trials polyline").count() == 2
    shot(page, "sweep")
    phone(page)
    page.goto(f"{house.own}sweep?name={NASTY}")
    page.wait_for_selector("#sweep input")
    rows.first.get_by_role("link").focus()
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/job\?id=trial1"))
    page.wait_for_selector("#answer .succeeded")
    assert f"{NASTY}-t1" in page.inner_text("#answer")


def test_what_jobs_cost_is_summed_up_as_one_chooses(page: Page, house: House) -> None:
    page.goto(f"{house.own}cost")
    page.wait_for_selector("table.jobs tbody tr")
    assert "$3.00 for 3 jobs" in page.inner_text("h1.state")
    page.get_by_role("radio", name="Project").focus()
    page.keyboard.press("Space")
    page.wait_for_function("document.querySelectorAll('table.jobs tbody tr').length == 3")
    assert f"{NASTY}-t0" in page.inner_text("table.jobs")
    shot(page, "cost")
    phone(page)
