"""What the page on which a job is written answers its browser, without a browser."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from standins.waiting import until

from orchestrator.app.writing.received import received_in
from orchestrator.app.writing.sheet import Sheet, Sheets, Told
from orchestrator.app.writing.site import Site
from orchestrator.jobs.client import Client


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    """A laptop of somebody who has no token, and no Hub."""
    monkeypatch.setenv("HUBTRAIN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "received"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_TOKEN", "")
    monkeypatch.chdir(tmp_path)
    return Client()


class Browser:
    """What a browser has of a page: the parts as they were told last."""

    def __init__(self, sheet: Sheet, **asked: str) -> None:
        self.sheet, self.number = sheet, 0
        self.shown: Told = {}
        self.say("hello", asked=asked)

    def say(self, kind: str, **more: Any) -> Told:
        self.number += 1
        return self.take(self.sheet.answer({"kind": kind, "number": self.number, **more}))

    def take(self, told: Told) -> Told:
        json.dumps(told)
        self.shown |= told
        return told

    def typed(self, **values: Any) -> Told:
        return self.say("typed", task=self.shown["task"], values=values)

    @property
    def said(self) -> Any:
        """The draft, as the YAML beside it says it."""
        return yaml.safe_load(self.shown["yaml"])

    def settled(self) -> Told:
        """Wait until all that is asked about the draft is known."""

        def settled() -> bool:
            return not self.take(self.sheet.news())["busy"]

        until(settled)
        return self.shown


def test_a_page_begins_with_the_task_of_its_address(alone: Client) -> None:
    one = Browser(Sheet(Site(alone)), task="llm-dpo")
    assert one.shown["task"] == "llm"
    assert one.shown["yaml"] == "task: llm\ntrainer: dpo\nproject_name: my-llm\n"
    assert 'name="dpo_beta"' in one.shown["form"] and 'name="data_path"' in one.shown["source"]
    assert one.shown["lacking"] == ["data_path", "model"] and "is needed" not in one.shown["report"]
    assert "Still needed" in one.shown["bar"] and "to mend" not in one.shown["bar"]
    wrong = Browser(Sheet(Site(alone)), task="nix")
    assert "the task is &#x27;nix&#x27;" in wrong.shown["report"]
    none = Browser(Sheet(Site(alone)), again="k4x7qp")
    assert "k4x7qp" in none.shown["report"]


def test_where_jobs_run_on_rented_machines_a_page_begins_with_one(alone: Client) -> None:
    one = Browser(Sheet(Site(alone, own_machine=False)), task="llm-sft")
    assert one.said["backend"] == "spaces"
    assert one.shown["lacking"] == sorted(one.shown["at"]) == ["data_path", "model"]
    assert "to mend" not in one.shown["bar"]


def test_only_what_changed_is_told(alone: Client) -> None:
    one = Browser(Sheet(Site(alone)))
    told = one.typed(project_name="bot", lr="1e-4")
    assert {"yaml", "command"} <= told.keys() and not {"form", "help", "preview"} & told.keys()
    assert "lr: 0.0001" in told["yaml"]
    assert "form" in one.typed(project_name="bot", trainer="dpo")


def test_what_was_lost_is_told_anew(alone: Client) -> None:
    sheet = Sheet(Site(alone))
    one = Browser(sheet)
    one.typed(project_name="bot")
    lost = sheet.answer({"kind": "typed", "number": 5, "task": "vlm", "values": {}})
    one.number = 5
    assert lost["turn"] == one.shown["turn"] + 1 and "form" in lost
    told = one.say("anew")
    parts = {"tasks", "form", "source", "yaml", "command", "report", "machines", "bar"}
    assert told["anew"] and parts <= told.keys() and told["task"] == "vlm"


def test_an_older_message_changes_nothing(alone: Client) -> None:
    sheet = Sheet(Site(alone))
    one = Browser(sheet)
    one.typed(project_name="new")
    late = {"kind": "typed", "number": 1, "task": "llm", "values": {"project_name": "old"}}
    assert sheet.answer(late) == {}
    assert "project_name: new" in one.settled()["yaml"]


def test_another_task_keeps_what_both_have(alone: Client) -> None:
    one = Browser(Sheet(Site(alone)))
    one.typed(data_path="rows.csv", lr="1", trainer="dpo", model="x", backend="spaces")
    said = {"data_path": "rows.csv", "lr": "1", "trainer": "dpo", "model": "x", "max_cost": "3"}
    one.say("typed", task="text_classification", values=said)
    assert one.shown["yaml"].splitlines() == [
        *("task: text-classification", "data_path: rows.csv", "lr: 1", "max_cost: 3")
    ]


def test_what_a_browser_should_not_say_is_refused(alone: Client, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("text\nx\n")
    one = Browser(Sheet(Site(alone)))
    files = [{"name": "a.csv", "path": str(tmp_path / "secret.csv")}]
    told = one.say("uploaded", files=files, values={})
    assert "no file that was uploaded" in told["upload_wrong"]
    assert (tmp_path / "secret.csv").exists()
    climbing = [{"name": "a.csv", "path": str(received_in() / "../secret.csv")}]
    assert one.say("uploaded", files=climbing, values={})["upload_wrong"]
    assert one.sheet.answer({"kind": "_write", "number": 99}) == {}
    assert "no setting" in one.typed(no_such="1")["report"]
    assert one.say("start", offer="guessed").get("starting") is None


def test_an_upload_takes_the_place_of_the_one_before(alone: Client) -> None:
    one = Browser(Sheet(Site(alone)), task="text-classification")

    def send(name: str) -> Path:
        there = received_in() / "a1" / "file.csv"
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_text("text,label\nhi,a\nyou,b\n")
        values = {k: v for k, v in one.said.items() if k != "task"}
        one.say("uploaded", files=[{"name": name, "path": str(there)}], values=values)
        return Path(one.said["data_path"])

    first, second = send("../../rows.csv"), send("more.csv")
    assert (first.name, second.name) == ("rows.csv", "more.csv")
    assert second.exists() and not first.exists()
    assert "hi" in one.settled()["preview"]
    assert ">label</option>" in one.shown["source"]


def test_a_job_without_a_model_is_told_what_is_wrong_and_not_started(alone: Client) -> None:
    Path("rows.csv").write_text("text\n" + "some words here\n" * 20)
    one = Browser(Sheet(Site(alone)), task="llm-sft")
    one.typed(project_name="x", data_path="rows.csv", model="./none", trainer="sft")
    shown = one.settled()
    assert "no folder ./none" in shown["report"]
    assert "thing to mend. Nothing was created" in shown["bar"]
    assert "data-start" not in one.say("offer").get("bar", "")


def test_pages_are_told_apart_by_their_sessions(alone: Client) -> None:
    sheets = Sheets(Site(alone))
    assert sheets.of("a") is sheets.of("a") is not sheets.of("b")
    first = sheets.of("a")
    for number in range(sheets.MOST):
        sheets.of(str(number))
    assert sheets.of("a") is not first
