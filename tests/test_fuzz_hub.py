"""Whatever a Hub answers, or something between, the user is told in words and can go on.

Answers to the real commands are spoiled on the way, one or all from some on. `make campaign` runs
many more rounds; a failing one is told by its number.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from benches.jobs import cancel_all
from fuzzing.between import Between, between
from fuzzing.originals import as_lines
from fuzzing.program import command, understood
from standins.containers import left_open
from standins.laptop import Said
from standins.localhub import HubServer
from test_fuzz_files import rounds
from tiny_llm import chats, write_model

from worker.errors import HubUnreachable
from worker.hubclient import explained
from worker.hubclient import hub as hub_client

pytestmark = left_open

MODEL, DATA = "ann/fuzz-tiny", "ann/fuzz-rows"
ALL = 10_000
"""More answers than a command gets."""

LLM = ("llm", "--train", "--trainer", "sft", "--model", MODEL, "--project-name", "bot")
PUSHING = ("--push-to-hub", "--dry-run")
LOOKS: tuple[tuple[str, ...], ...] = (
    (*LLM, *PUSHING, "--backend", "spaces-t4", "--data-path", "chats.jsonl"),
    (*LLM, *PUSHING, "--backend", "jobs-t4-small", "--data-path", DATA),
    ("doctor",),
    ("backends",),
    ("backends", "--for", "llm", "--model", MODEL, "--data-path", "chats.jsonl"),
    ("data", "--data-path", DATA),
    ("jobs", "--remote"),
    ("gc", "--yes", "--data", "--images"),
    ("llm", "--deploy", "--model", MODEL, "--dry-run"),
    ("export", "--gguf", "--model", MODEL, "--output", "x.gguf", "--dry-run"),
)
"""Commands that leave nothing at the Hub."""

SCRIPT = ("spacerunner", "--script-path", "run.py", "--project-name", "script", "--username", "ann")
SUBMIT = (*SCRIPT, "--backend", "jobs-cpu-basic", "--max-duration", "10m", "--detach")


@pytest.fixture(scope="module")
def hub(shared_hub: HubServer, tmp_path_factory: pytest.TempPathFactory) -> HubServer:
    """A Hub with a model and rows that a job may use."""
    folder, api = tmp_path_factory.mktemp("model"), shared_hub.api()
    write_model(folder)
    api.create_repo(MODEL)
    api.upload_folder(repo_id=MODEL, folder_path=folder)
    api.create_repo(DATA, repo_type="dataset")
    api.upload_file(
        repo_id=DATA,
        repo_type="dataset",
        path_or_fileobj=as_lines(chats(12)),
        path_in_repo="train.jsonl",
    )
    return shared_hub


@pytest.fixture
def line(hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Between]:
    """A bad line to it, for the commands of this process."""
    with between(hub.endpoint) as line:
        monkeypatch.chdir(tmp_path)
        for name, value in {
            "HUBTRAIN_HOME": str(tmp_path / "home"),
            "HF_HOME": str(tmp_path / "hf"),
            "HF_ENDPOINT": line.near,
            "HF_TOKEN": hub.tokens["ann"],
            "DOCKER_HOST": "unix:///nowhere.sock",
        }.items():
            monkeypatch.setenv(name, value)
        (tmp_path / "chats.jsonl").write_bytes(as_lines(chats(12)))
        (tmp_path / "run.py").write_text("import time\ntime.sleep(600)\n")
        yield line
        cancel_all(hub)


def times(chance: Random, numbers: range) -> int:
    """Return how many answers are spoiled: all only in long runs, for that is waited out."""
    often = chance.choice((1, 1, ALL))
    return min(often, 2) if numbers[0] == 0 else often


@rounds(12, 200)
def test_answers_to_commands_that_look(line: Between, numbers: range) -> None:
    for number in numbers:
        chance = Random(number)
        words = chance.choice(LOOKS)
        line.reset(chance, first=chance.randint(0, 12), times=times(chance, numbers))
        understood(*words, case=(number, line.spoiled))


@rounds(1, 30)
def test_answers_while_a_job_is_begun_looked_at_and_ended(line: Between, numbers: range) -> None:
    """What a command began with a bad line, the same command ends with a good one."""
    for number in numbers:
        chance = Random(number)

        def badly(*words: str, chance: Random = chance, number: int = number) -> None:
            line.reset(chance, first=chance.randint(0, 20), times=times(chance, numbers))
            understood(*words, case=(number, line.spoiled))

        def well(*words: str, number: int = number) -> Said:
            line.reset()
            said = command(*words)
            assert said.code == 0, (number, words, said)
            return said

        badly(*SUBMIT)
        job = well(*SUBMIT, "--json").document["job"]
        for words in (("status", job), ("logs", job), ("jobs",), ("cancel", job)):
            badly(*words)
        well("cancel", job)
        badly("rm", job, "--yes")
        well("gc", "--yes")
        assert not [one for one in _alive(line) if one == job]


def _alive(line: Between) -> list[str]:
    """Return our jobs of the Jobs that the Hub still runs."""
    from huggingface_hub import HfApi

    there = HfApi(line.far).list_jobs(namespace="ann", status=["SCHEDULING", "RUNNING"])
    return [str((one.labels or {}).get("hubtrain-job")) for one in there]


@pytest.mark.parametrize("name", ["login page", "null"])
def test_a_line_that_only_says_other_things_is_named(line: Between, name: str) -> None:
    line.reset(Random(name), times=ALL, only=name)
    said = understood(*LOOKS[1])
    assert said.code and line.near in said.out + said.err


def test_one_answer_that_a_job_is_not_there_ends_none(line: Between, hub: HubServer) -> None:
    """It may be of something between: only what is said twice is so."""
    job = understood(*SUBMIT, "--json").document["job"]
    path = "/api/jobs/ann/[0-9a-f]{24}$"
    hub.fault({"status": 404}, method="GET", path=path)
    said = understood("status", job, "--json")
    assert said.document["state"] in {"queued", "running"}, said
    hub.fault({"status": 404}, method="GET", path=path, times=2)
    assert command("status", job, "--json").document["state"] == "lost"
    hub.clear_faults()
    assert understood("cancel", job).code == 0
    assert understood("rm", job, "--yes").code == 0


def test_answers_that_no_call_foresees_are_told_as_those_of_no_hub(line: Between) -> None:
    odd = hub_client(None)
    with pytest.raises(HubUnreachable, match="did not answer as a Hub does"), explained("asking"):
        odd.cancel_job(job_id="\x1b", namespace="ann")
    with pytest.raises(HubUnreachable, match="did not send the whole file"), explained("reading"):
        raise OSError("Consistency check failed: file should be of size 714 but has size 0")
