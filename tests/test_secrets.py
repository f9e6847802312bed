"""What the worker no longer needs it no longer has: a token is kept from whom it is not for."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from benches.spaces import SpacesBench, job
from standins.bench import CANARY, without_spaces
from standins.laptop import Laptop
from standins.localhub import HubServer
from standins.waiting import until
from tiny_llm import chats, write_model, write_rows

import worker.prctl
from backends.spaces import Spaces
from orchestrator.jobs.client import Client
from orchestrator.jobs.gc import sweep, take_back
from worker.contract import Finished, Launched

SPY = """
import base64
import os
import pathlib

from transformers import LlamaConfig, LlamaForCausalLM

found = [repr(dict(os.environ)).encode(), pathlib.Path("/proc/self/environ").read_bytes()]
home = pathlib.Path(os.environ.get("HF_HOME", pathlib.Path.home() / ".cache/huggingface"))
found += [path.read_bytes() for path in home.glob("*token*") if path.is_file()]
found += [path.read_bytes() for path in pathlib.Path().glob("*.json")]
seen = b" ".join(found)
for at in range(0, len(seen), 3000):
    said = base64.b64encode(seen[at : at + 3000]).decode().replace("/", "~")
    print("SPIED " + said, flush=True)


class SpyConfig(LlamaConfig):
    model_type = "spy"


class SpyModel(LlamaForCausalLM):
    config_class = SpyConfig
"""
"""Code of a model that tells, in a form that no redactor knows, all that it finds."""


@pytest.fixture(scope="module")
def hub(shared_hub: HubServer, tmp_path_factory: pytest.TempPathFactory) -> HubServer:
    """A Hub with a private model whose code looks around."""
    folder = write_model(tmp_path_factory.mktemp("spy"))
    config = json.loads((folder / "config.json").read_text())
    code = {"AutoConfig": "spy.SpyConfig", "AutoModelForCausalLM": "spy.SpyModel"}
    config |= {"model_type": "spy", "architectures": ["SpyModel"], "auto_map": code}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "spy.py").write_text(SPY)
    shared_hub.api().create_repo("ann/spy", private=True)
    shared_hub.api().upload_folder(repo_id="ann/spy", folder_path=folder)
    return shared_hub


@pytest.fixture
def laptop(hub: HubServer, tmp_path: Path) -> Laptop:
    write_rows(tmp_path / "chats.jsonl", chats(20))
    return Laptop(tmp_path / "home", hub)


@pytest.mark.slow
def test_the_code_of_a_private_model_trains_and_finds_no_token(laptop: Laptop) -> None:
    said = laptop.run(
        *("llm", "--train", "--trainer", "sft", "--model", "ann/spy", "--trust-remote-code"),
        *("--data-path", "chats.jsonl", "--project-name", "spied", "--push-to-hub", "--json"),
        *("--max-steps", "1", "--model-max-length", "64", "--samples", "0", "--username", "ann"),
    )
    assert said.code == 0, said.err + said.out
    assert laptop.hub.api().model_info("ann/spied").sha == said.document["commit"]
    log = laptop.run("logs", said.document["job"]).out
    spied = re.findall(r"SPIED (\S+)", log)
    assert spied, log
    seen = b"".join(base64.b64decode(told.replace("~", "/")) for told in spied)
    assert b"HF_HUB_OFFLINE" in seen and b"PYTHONSAFEPATH" in seen
    assert laptop.hub.tokens["ann"].encode() not in seen
    assert "the trainer gets no token of the Hub" in log


PEEK = """
import os, pathlib, subprocess, sys, types
prctl = types.ModuleType("prctl")
exec(os.environ["PRCTL"], prctl.__dict__)
look = '''
import os
for name in ("environ", "mem", "maps"):
    try:
        open(f"/proc/{os.getppid()}/{name}", "rb").close()
        print(name)
    except PermissionError:
        pass
'''
def seen():
    ran = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    return ran.stdout.split()
before = seen()
prctl.keep_secrets()
limits = pathlib.Path("/proc/self/limits").read_text()
print(before, seen(), limits.split("core file size")[1].split()[0])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Linux has /proc")
def test_a_process_that_keeps_its_secrets_cannot_be_read_by_its_children() -> None:
    """Root reads everything: where root runs the test, nobody does this."""
    root = os.geteuid() == 0
    who: dict[str, Any] = {"user": 65534, "group": 65534, "extra_groups": []} if root else {}
    python = "/usr/bin/python3" if root else sys.executable  # one that nobody may run, too
    done = subprocess.run(
        [python, "-c", PEEK],
        cwd="/",
        env={"PRCTL": Path(worker.prctl.__file__).read_text("utf-8")},
        capture_output=True,
        text=True,
        check=True,
        **who,
    )
    assert done.stdout.strip() == "['environ', 'mem', 'maps'] [] 0"


@pytest.fixture
def spaces(hub: HubServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Spaces]:
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    monkeypatch.setenv("HUBTRAIN_HOME", str(tmp_path / "records"))
    yield Spaces(hub.tokens["ann"])
    next(without_spaces(hub), None)


def test_a_space_that_lost_its_laptop_gives_its_secrets_back_once_its_job_has_ended(
    hub: HubServer, spaces: Spaces
) -> None:
    spec = job(lines=2)
    _, handle = SpacesBench(spaces).launch(spec)
    spaces.cancel(handle)
    client = Client(given_token=hub.tokens["ann"])
    client.records.claim("f", lambda: spec, client.clock.now())
    client.records.add(spec.job_id, [Launched(handle=str(handle))])
    assert take_back(client, sweep(client, ["ann"])) == [], "it may go on when it is started again"
    assert list(hub.api().get_space_secrets(handle.path)) == ["HF_TOKEN"]
    client.records.add(spec.job_id, [Finished()])
    assert take_back(client, sweep(client, ["ann"])) == [str(handle)]
    assert not spaces.holds_secrets(handle)
    until(lambda: spaces.status(handle).stage == "PAUSED")
    assert take_back(client, sweep(client, ["ann"])) == []
    assert CANARY not in repr(client.records.get(spec.job_id))
