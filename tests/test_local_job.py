"""A job on this machine with the real command line: what it leaves in the folder, and again."""

from __future__ import annotations

import json
from typing import Any

import pytest
from standins.laptop import Laptop
from tiny_llm import chats, write_model, write_rows

pytestmark = [pytest.mark.slow, pytest.mark.timeout(280)]


@pytest.fixture(scope="module")
def laptop(shared_hub: Any, tmp_path_factory: pytest.TempPathFactory) -> Laptop:
    folder = tmp_path_factory.mktemp("laptop")
    write_model(folder / "tiny")
    write_rows(folder / "chats.jsonl", chats(20))
    return Laptop(folder / "home", shared_hub)


def train(*more: str) -> tuple[str, ...]:
    return (
        *("llm", "--train", "--trainer", "sft", "--peft", "--model", "tiny"),
        *("--data-path", "chats.jsonl", "--project-name", "bot", "--max-steps", "2"),
        *("--model-max-length", "64", *more),
    )


def test_a_job_on_this_machine_and_the_same_command_again(laptop: Laptop) -> None:
    here = laptop.home.parent
    first = laptop.run(*train("--json"), HF_TOKEN="")
    assert first.code == 0, first.err + first.out
    job = first.document
    assert (job["state"], job["model"]) == ("succeeded", str(here / "bot"))
    files = {p.name for p in (here / "bot").iterdir()}
    assert {"adapter_model.safetensors", "README.md", "hubtrain.json", "events.jsonl"} <= files
    card = (here / "bot" / "README.md").read_text()
    assert "local-local" not in card and "local local" not in card
    assert "--backend local --project-name bot" in card
    assert '"kind":"finished"' in (here / "bot" / "events.jsonl").read_text()

    again = laptop.run(*train("--json"), HF_TOKEN="")
    assert again.code == 0, again.err
    assert again.document["job"] == job["job"]
    told = laptop.run(*train(), HF_TOKEN="")
    assert f"done as {job['job']}" in told.out and "Succeeded in" in told.out
    assert "to do it again: the same command with --overwrite" in told.out

    other = laptop.run(*train("--lr", "1e-3"), HF_TOKEN="")
    assert other.code == 2, other.out
    assert "already holds" in other.out and "--overwrite" in other.out
    assert len([job for job in laptop.jobs() if job["project"] == "bot"]) == 1


def test_two_processes_of_this_machine_learn_what_one_does(laptop: Laptop) -> None:
    """As a user asks for them, by the command line."""
    curves = []
    for project, several in (("one", ()), ("two", ("--num-processes", "2"))):
        asked = [*train("--lora-dropout", "0", "--batch-size", "2", "--gradient-accumulation", "2")]
        asked[asked.index("bot")] = project
        asked += ["--logging-steps", "1", *several, "--json"]
        said = laptop.run(*asked, HF_TOKEN="")
        assert said.code == 0, said.err + said.out
        events = (laptop.home.parent / project / "events.jsonl").read_text("utf-8")
        told = map(json.loads, events.splitlines())
        curves.append([e["values"]["loss"] for e in told if "loss" in e.get("values", {})])
    one, two = curves
    assert len(one) == 2
    assert two == pytest.approx(one, abs=1e-3)


def test_a_folder_that_is_not_ours_is_left_as_it_is(laptop: Laptop) -> None:
    mine = laptop.home.parent / "notes" / "README.md"
    mine.parent.mkdir()
    mine.write_text("mine")
    said = laptop.run(*train("--project", "notes", "--json"), HF_TOKEN="")
    assert said.code == 2
    assert mine.read_text() == "mine"
    assert [p.name for p in mine.parent.iterdir()] == ["README.md"]


def test_a_plan_shows_settings_and_where_they_were_said_and_no_hashes(laptop: Laptop) -> None:
    here, api = laptop.home.parent, laptop.hub.api()
    api.create_repo("ann/tiny", exist_ok=True)
    api.upload_folder(repo_id="ann/tiny", folder_path=here / "tiny")
    (here / "job.yml").write_text("task: llm-sft\nparams:\n  epochs: 3\n")
    words = [
        *("llm", "--train", "--config", "job.yml", "--model", "ann/tiny", "--peft", "--dry-run"),
        *("--data-path", "chats.jsonl", "--project", "bot2", "--backend", "spaces-t4"),
        "--push-to-hub",
    ]
    said = laptop.run(*words, HUBTRAIN_BATCH_SIZE="3")
    assert said.code == 0, said.err + said.out
    rows = [line.split() for line in said.out.splitlines()]
    assert ["epochs", "3", "job.yml"] in rows
    assert ["lr", "0.0002", "default"] in rows
    assert ["batch_size", "3", "environment"] in rows
    assert ["peft", "on", "flag"] in rows
    assert "ann/hubtrain-data-" in said.out and "20 training rows" in said.out
    assert "Model  ann/bot2, a private repo" in said.out
    assert len(said.out.splitlines()) < 50
    assert "worker/contract/job.py" not in said.out, "files are counted and not listed"
    document = laptop.run(*words, "--json").document
    assert document["settings"]["epochs"] == {"value": 3, "from": "job.yml"}
    assert document["data"]["repo_id"].startswith("ann/hubtrain-data-")
    assert document["plan"]["files"][0]["sha256"]
