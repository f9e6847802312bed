"""The page on which a job is written, in a real browser: from an upload to a trained model."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tiny_bert
import tiny_text
import yaml
from playwright.sync_api import Browser, Page, expect
from standins.application import Application
from standins.visitor import LOSES_AN_ANSWER
from standins.waiting import until

from orchestrator.jobs.client import Client
from worker.contract import State

ARTIFACTS = Path(__file__).parent / "artifacts"
SOON = 90_000
"""Milliseconds that a check may take on a machine that is busy with something else."""

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(280)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the app runs: a tiny model, and texts of two classes."""
    made = tmp_path_factory.mktemp("new")
    tiny_bert.write_model(made / "tiny")
    rows = [f'"{row["text"]}",{row["label"]}\n' for row in tiny_text.rows(40)]
    (made / "mails.csv").write_text("mail,kind\n" + "".join(rows))
    return made


@pytest.fixture(scope="module")
def app(folder: Path) -> Iterator[Application]:
    """The app of somebody without a token, who reaches no Hub."""
    environ = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_TOKEN": ""}
    with Application(folder, environ=environ) as made:
        yield made


@pytest.fixture
def page(browser: Browser, app: Application) -> Iterator[Page]:
    """A browser that the app has let in; what its console says of errors fails the test."""
    made = browser.new_page(viewport={"width": 1100, "height": 900})
    made.set_default_timeout(SOON)
    wrong: list[str] = []
    made.on("pageerror", lambda error: wrong.append(str(error)))
    made.goto(app.url)
    yield made
    made.close()
    assert not wrong


def opened(page: Page, app: Application, asked: str = "") -> None:
    page.goto(f"{app.url.partition('?')[0]}new{asked}")
    expect(page.locator("#f-project_name")).to_be_visible(timeout=SOON)


def command(app: Application, folder: Path, *words: str) -> Any:
    """Return what the terminal answers, in the place of the app."""
    own = {"HUBTRAIN_HOME": str(app.home), "HF_ENDPOINT": "http://127.0.0.1:9", "HF_TOKEN": ""}
    done = subprocess.run(
        [sys.executable, "-P", "-m", "orchestrator.terminal.cli", *words, "--dry-run", "--json"],
        env={**os.environ, **own},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    said = json.loads(done.stdout.splitlines()[-1])
    assert said.pop("report")["ok"]
    for value in said["settings"].values():
        value.pop("from")
    return said


def test_an_uploaded_file_becomes_a_trained_model(
    page: Page, app: Application, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(page, app, "?task=text-classification")
    page.set_input_files("#files", folder / "mails.csv")
    rows = page.locator("[data-part=preview] tbody tr")
    expect(rows).to_have_count(5, timeout=SOON)
    page.fill("#f-model", str(folder / "tiny"))
    page.fill("#f-lr", "fast")
    expect(page.locator("#e-lr")).to_have_text("lr fast: must be a number.", timeout=SOON)
    page.fill("#f-lr", "1e-3")
    # The columns are chosen among those there; the class is not found by itself.
    there = ["found by its name", "mail", "kind"]
    expect(page.locator("#f-target_column option")).to_contain_text(there)
    page.select_option("#f-text_column", "mail")
    page.select_option("#f-target_column", "kind")
    page.fill("#f-epochs", "1")
    start = page.locator("[data-offer]")
    expect(start).to_be_visible(timeout=SOON)
    expect(page.locator("[data-part=learned]")).to_contain_text("Texts by class", timeout=SOON)
    table = page.locator("[data-part=machines] tr", has_text="local")
    expect(table).to_contain_text("free", timeout=SOON)
    page.fill("#f-backend", "spaces")
    expect(page.locator("[data-part=bar]")).to_contain_text("to mend", timeout=SOON)
    table.locator("input").check()
    expect(page.locator("#f-backend")).to_have_value("local", timeout=SOON)
    expect(start).to_be_visible(timeout=SOON)
    ARTIFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTIFACTS / "app-new.png", full_page=True)
    _the_same_in_the_terminal(page, app, folder)

    start.click()
    expect(page.locator("[data-part=bar]")).to_contain_text("Start on local: free", timeout=SOON)
    page.locator("[data-start]").dblclick()
    page.wait_for_url(re.compile(r"/job\?id=\w+"), timeout=SOON)
    job_id = page.url.rpartition("=")[2]
    page.go_back()
    assert "/new" not in page.url, "what has begun is behind"
    monkeypatch.setenv("HUBTRAIN_HOME", str(app.home))
    client = Client()
    until(lambda: client.refreshed(client.record(job_id)).story.state.final, 240, every=1)
    assert client.record(job_id).story.state is State.SUCCEEDED
    assert len(client.records.all()) == 1
    assert (folder / "my-text-classification" / "model.safetensors").exists()

    opened(page, app, f"?again={job_id}")
    expect(page.locator("#f-target_column")).to_have_value("kind", timeout=SOON)
    expect(page.locator("#f-project_name")).to_have_value("my-text-classification-2")


def _the_same_in_the_terminal(page: Page, app: Application, folder: Path) -> None:
    """The command and the YAML that the page shows make the same plan, where they are typed."""
    copied = page.input_value("#command")
    words = shlex.split(copied)
    assert words[:3] == ["hubtrain", "text-classification", "--train"]
    (folder / "job.yml").write_text(page.input_value("#yaml"))
    typed = command(app, folder, *words[1:])
    assert command(app, folder, "--config", "job.yml") == typed
    assert typed["settings"]["lr"]["value"] == 0.001


def test_who_has_no_data_begins_with_a_sample(page: Page, app: Application) -> None:
    opened(page, app, "?task=tabular")
    page.click("[data-sample]")
    expect(page.locator("[data-part=bar]")).to_contain_text("Start on local: free", timeout=SOON)
    expect(page.locator("#f-target_columns")).to_have_value("fruit")
    assert page.locator("[data-sample]").count() == 0


PASTES_WHILE_ANSWERS_COME = """text => {
  const ask = window.fetch;
  window.sent = [];
  window.fetch = (...what) => {
    const kind = /"kind": ?"(\\w+)"/.exec(what[1]?.body)?.[1];
    if (kind) window.sent.push(kind);
    if (kind === 'command') window.hubtrainSheet(window.drawn);
    return ask(...what);
  };
  const field = document.querySelector('#command');
  field.value = text;
  field.dispatchEvent(new Event('input', {bubbles: true}));
  window.hubtrainSheet(window.drawn);
}"""
KEEPS_WHAT_DRAWS = """() => {
  const take = window.hubtrainSheet;
  window.hubtrainSheet = told => { if ('form' in told) window.drawn = told; take(told); };
}"""


def test_what_is_pasted_fills_the_form(page: Page, app: Application, folder: Path) -> None:
    opened(page, app)
    page.evaluate(KEEPS_WHAT_DRAWS)
    page.fill(
        "#yaml",
        "task: llm-sft\nbase_model: ann/tiny\nproject_name: chat\n"
        "params:\n  lr: 1e-4\n  peft: true\n"
        "data:\n  path: mails.csv\n  column_mapping:\n    text_column: mail\nhub:\n  token: hf_x\n",
    )
    expect(page.locator("#f-model")).to_have_value("ann/tiny", timeout=SOON)
    expect(page.locator("#f-lr")).to_have_value("0.0001")
    expect(page.locator("#f-trainer")).to_have_value("sft")
    expect(page.locator("#f-peft")).to_be_checked()
    expect(page.locator("[data-part=report]")).to_contain_text("the token was left out")
    expect(page.locator("#command")).to_have_value(re.compile("--trainer sft --model ann/tiny"))
    assert "hf_x" not in page.input_value("#command")

    page.fill("#command", "hubtrain tabular --train --target-columns kind --no-such 3")
    expect(page.locator("#e-command")).to_contain_text("no option --no-such", timeout=SOON)
    expect(page.locator("#task")).to_have_value("llm")
    page.fill("#f-lr", "0.5")
    page.evaluate(
        PASTES_WHILE_ANSWERS_COME,
        "hubtrain tabular --train --target-columns kind --data-path mails.csv",
    )
    expect(page.locator("#task")).to_have_value("tabular", timeout=SOON)
    expect(page.locator("#f-target_columns")).to_have_value("kind")
    sent = page.evaluate("window.sent")
    assert "command" in sent and "typed" not in sent, sent
    assert yaml.safe_load(page.input_value("#yaml"))["data_path"] == "mails.csv"


def test_what_is_written_outlives_a_lost_answer_and_a_reload(page: Page, app: Application) -> None:
    page.add_init_script(LOSES_AN_ANSWER)
    opened(page, app, "?task=vlm")
    page.fill("#f-project_name", "captions")
    page.fill("#f-lr", "0.002")
    expect(page.locator("#yaml")).to_have_value(re.compile("lr: 0.002"), timeout=SOON)
    page.reload()
    expect(page.locator("#f-lr")).to_have_value("0.002", timeout=SOON)
    expect(page.locator("#f-project_name")).to_have_value("captions")
    page.get_by_role("link", name="Cost").click()
    page.wait_for_url("**/cost")
    page.go_back()
    expect(page.locator("#f-lr")).to_have_value("0.002", timeout=SOON)
    opened(page, app, "?task=vlm")
    expect(page.locator("#f-lr")).to_have_value("", timeout=SOON)


def test_on_a_phone_with_a_keyboard_alone(browser: Browser, app: Application, folder: Path) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 800})
    page.set_default_timeout(SOON)
    page.goto(app.url)
    opened(page, app, "?task=text-classification")
    page.focus("#task")
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "f-data_path":
            break
    page.keyboard.type("<img src=x onerror=alert(1)>.csv")
    expect(page.locator("[data-part=report]")).to_contain_text("onerror=alert(1)", timeout=SOON)
    assert page.locator("[data-part=report] img").count() == 0
    assert page.evaluate("document.activeElement.id") == "f-data_path"
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type(str(folder / "mails.csv"))
    expect(page.locator("[data-part=preview] tbody tr")).to_have_count(5, timeout=SOON)
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 390, f"{wide} pixels are wider than the phone"
    named = page.evaluate(
        "[...document.querySelectorAll('.writing :is(input, select, textarea)')]"
        ".filter(one => !one.labels?.length).map(one => one.outerHTML.slice(0, 80))"
    )
    assert named == []
    ARTIFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTIFACTS / "app-new-phone.png")
    page.close()
