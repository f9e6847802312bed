"""What the worker asks of where it runs: found by the environment, and one file a kind of host."""

from __future__ import annotations

import os
import shutil
import signal
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from test_supervise import Worker, spec

from worker.bootstrap import SINCE
from worker.clock import SystemClock
from worker.contract import EndReason, Machine
from worker.host import Host, PlainMachine, host_of
from worker.host.hubdoor import HubDoor
from worker.host.space import Space
from worker.show.door import KeyDoor

ROOT = Path(__file__).parent.parent
SECRETS = ("HUBTRAIN_PAGE_KEY", "OAUTH_CLIENT_ID", "OAUTH_CLIENT_SECRET", "SPACE_PASS_KEY")

MOON = """
from pathlib import Path
from worker.contract import EndReason, Stopped
from worker.host.base import Host
from worker.show.door import KeyDoor


class Moon(Host):
    keeps_disk = True

    @classmethod
    def is_here(cls, environ):
        return "MOON" in environ

    def is_flavor(self, flavor):
        return False

    def current_flavor(self):
        return "crater"

    def stopped_on_purpose(self):
        return Stopped(reason=EndReason.USER, message="The moon has set.")

    def door(self, owner, job_id):
        return KeyDoor("the key of the moon", job_id)

    def stop_billing(self, *, clock, log):
        Path(self.environ["MOON"]).write_text("costs nothing any more")
        return True


HOST = Moon
"""


@pytest.mark.parametrize(
    ("environ", "kind", "door"),
    [
        ({}, PlainMachine, KeyDoor),
        ({"SPACE_ID": ""}, PlainMachine, KeyDoor),
        ({"SPACE_ID": "ann/train", "HF_TOKEN": "hf_x"}, Space, HubDoor),
    ],
)
def test_the_environment_tells_the_host(
    environ: dict[str, str], kind: type[Host], door: type[Any]
) -> None:
    host = host_of(environ)
    assert type(host) is kind
    assert type(host.door("ann", "k4x")) is door
    assert host.is_flavor(None)
    assert host.what_is_left(Path("/somewhere")).endswith(".")


@pytest.mark.parametrize("environ", [{}, {"SPACE_ID": "ann/train"}])
def test_the_trainer_gets_nothing_that_opens_the_page(environ: dict[str, str]) -> None:
    host = host_of(
        {**environ, **dict.fromkeys(SECRETS, "canary"), "HF_TOKEN": "hf_x", "SYSTEM": "spaces"}
    )
    trainer = host.for_trainer()
    assert "canary" not in trainer.values()
    assert "SYSTEM" not in trainer  # in which trackio would make no Space of its own
    assert trainer["HF_TOKEN"] == "hf_x"  # what evaluates the model may need more of the Hub
    assert "HF_TOKEN" not in host.for_trainer(token=False)


def test_a_machine_that_was_equipped_first_works_since_then() -> None:
    now = SystemClock().now()
    before = now - timedelta(minutes=5)
    assert host_of({SINCE: str(before.timestamp())}).since(now) == before
    later = str((now + timedelta(hours=1)).timestamp())
    assert [host_of({SINCE: told}).since(now) for told in ("", "soon", "1e99", later)] == [now] * 4


def test_a_plain_machine_costs_nothing_and_asks_nobody() -> None:
    said: list[str] = []
    host = host_of({})
    assert host.stop_billing(clock=SystemClock(), log=said.append)
    assert host.stopped_on_purpose() is None
    assert host.is_flavor("a100-large")
    assert said == []


def test_a_host_is_one_file_and_every_question_goes_to_it(tmp_path: Path) -> None:
    house, job = tmp_path / "house", tmp_path / "job"
    shutil.copytree(ROOT / "worker", house / "worker")
    (house / "worker/host/moon.py").write_text(MOON)
    job.mkdir()
    machine = Machine(backend="moon", flavor="crater")
    paths = os.pathsep.join(map(str, (house, ROOT)))
    worker = Worker(
        job,
        spec(machine=machine),
        "steps=6000x0.1",
        MOON=str(tmp_path / "bill"),
        PYTHONPATH=paths,
        cwd=str(house),
    )
    try:
        worker.until("progress")
        worker.process.send_signal(signal.SIGTERM)
        ending = worker.ended()
    finally:
        worker.close()
    assert (ending.reason, ending.message) == (EndReason.USER, "The moon has set.")
    assert (tmp_path / "bill").read_text() == "costs nothing any more"
