"""A run that reports to trackio on a Space of the user's, which the local Hub really runs."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import HfApi
from standins.laptop import Laptop
from standins.localhub import HubServer
from standins.waiting import until
from tiny_llm import chats, write_model, write_rows

pytest.importorskip("trackio")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(280)]

NOWHERE = "http://127.0.0.1:9"
"""Stands for the way to hf.space, where trackio looks for every Space: nothing leaves this machine.

So what it logs goes the way it keeps for Spaces that are not up yet: into their bucket.
"""


def asked(hub: HubServer, space: str, what: str, **about: str) -> Any:
    """Ask trackio's own API, as its page does, at the address that the Hub gives the Space."""
    headers = {"Host": f"{space.replace('/', '-')}.localhost:{hub.port}"}
    with hub.http() as http:
        said = http.post(f"/api/{what}", json={"kwargs": about}, headers=headers)
    return said.json()["data"] if said.is_success else None


def test_a_run_is_seen_on_the_space_that_its_user_names(
    shared_hub: HubServer, tmp_path: Path
) -> None:
    laptop = Laptop(tmp_path / "home", shared_hub)
    write_model(tmp_path / "tiny")
    write_rows(tmp_path / "chats.jsonl", chats(20))
    said = laptop.run(
        *("llm", "--train", "--trainer", "sft", "--peft", "--model", "tiny", "--json"),
        *("--data-path", "chats.jsonl", "--project-name", "bot", "--max-steps", "3"),
        *("--logging-steps", "1", "--model-max-length", "64", "--log", "trackio"),
        TRACKIO_SPACE_ID="ann/board",
        TRACKIO_DIR=str(tmp_path / "trackio"),
        SYSTEM="spaces",  # as the job has it where it runs as a Space itself
        HTTPS_PROXY=NOWHERE,
        NO_PROXY="127.0.0.1,localhost",
    )
    assert said.code == 0, said.err + said.out
    job = said.document["job"]

    api = shared_hub.api()
    assert api.space_info("ann/board").private and api.bucket_info("ann/board-bucket").private
    runs = until(lambda: asked(shared_hub, "ann/board", "get_runs_for_project", project="bot"))
    assert [run["name"] for run in runs] == [job]
    rows = asked(shared_hub, "ann/board", "get_logs", project="bot", run=job)
    losses = [row["train/loss"] for row in rows if "train/loss" in row]
    assert len(losses) == 3 and losses == told(tmp_path)
    kept_in_the_bucket(api, tmp_path, job)
    nothing_holds_the_token(shared_hub, tmp_path)


def told(folder: Path) -> list[float]:
    """Return the losses that the job's own events tell."""
    lines = (folder / "bot" / "events.jsonl").read_text("utf-8").splitlines()
    values = [json.loads(line).get("values", {}) for line in lines]
    return [one["loss"] for one in values if "loss" in one]


def kept_in_the_bucket(api: HfApi, folder: Path, job: str) -> None:
    """What the Space has written to its folder is in the bucket that is mounted there."""

    def names() -> set[str]:
        into = folder / "bot.db"
        if not list(api.get_bucket_paths_info("ann/board-bucket", ["trackio/bot.db"])):
            return set()
        api.download_bucket_files("ann/board-bucket", [("trackio/bot.db", into)])
        try:
            with closing(sqlite3.connect(into)) as kept:
                return {name for (name,) in kept.execute("SELECT run_name FROM metrics")}
        except sqlite3.DatabaseError:  # read while it was written
            return set()

    until(lambda: names() == {job})


def nothing_holds_the_token(hub: HubServer, folder: Path) -> None:
    """The Space has the token as its secret, and nothing else has it."""
    api = hub.api()
    assert set(api.get_space_secrets("ann/board")) == {"HF_TOKEN"}
    token = hub.tokens["ann"]
    values = [one.value for one in api.get_space_variables("ann/board").values()]
    assert values and token not in values
    ours = [path for path in folder.rglob("*") if path.is_file()]
    there = Path(api.snapshot_download("ann/board", repo_type="space", local_dir=folder / "space"))
    for path in (*ours, *(one for one in there.rglob("*") if one.is_file())):
        assert token.encode() not in path.read_bytes(), path
