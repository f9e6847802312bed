"""Assistants as users: tools over stdio, documents with schemas, nothing that waits for a key."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import anyio
import click
import pytest
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters
from standins.documents import differs, is_declared
from standins.laptop import Laptop
from standins.localhub import HubServer
from tiny_llm import chats, write_model, write_rows

import worker.tasks
from orchestrator.api import documents, reference
from orchestrator.api.errors import Failure, failure
from orchestrator.api.printed import PRINTED, TASK, WITHOUT
from orchestrator.api.schema import settings_schema
from orchestrator.api.verbs import VERBS
from orchestrator.terminal.program import program
from worker.columns import no_column
from worker.errors import BadConfig, HubtrainError, NoWrite

ROOT = Path(__file__).parent.parent
PATIENCE = 280.0


@pytest.fixture(scope="module")
def laptop(shared_hub: HubServer, tmp_path_factory: pytest.TempPathFactory) -> Laptop:
    """A laptop with data, on a Hub that has a base model."""
    folder = tmp_path_factory.mktemp("laptop")
    model = write_model(folder / "model")
    shared_hub.api().create_repo("ann/base")
    shared_hub.api().upload_folder(repo_id="ann/base", folder_path=model)
    write_rows(folder / "chats.jsonl", chats(24))
    return Laptop(folder / "home", shared_hub)


def settings(laptop: Laptop, **more: Any) -> dict[str, Any]:
    """Return a job of a few steps on a machine of the local Hub that costs."""
    small = {"batch_size": 1, "gradient_accumulation": 1, "block_size": 64, "max_steps": 2}
    data = str(laptop.home.parent / "chats.jsonl")
    return {
        **{"model": "ann/base", "data_path": data, "project_name": "bot", "push_to_hub": True},
        **{"backend": "jobs-a10g-small", "samples": 0, **small, **more},
    }


def with_tools(laptop: Laptop, use: Callable[[Client], Coroutine[Any, Any, None]]) -> None:
    """Let `use` call the tools that `hubtrain mcp` serves."""
    words = ["-P", "-m", "orchestrator.terminal.cli", "mcp"]
    how = StdioServerParameters(
        command=sys.executable, args=words, env=laptop.environ, cwd=laptop.home.parent
    )

    async def run() -> None:
        async with Client(how, read_timeout_seconds=PATIENCE) as client:
            await use(client)

    anyio.run(run)


async def called(client: Client, name: str, **given: Any) -> dict[str, Any]:
    """Return the answer of a tool; its client has held it against its schema."""
    answer = await client.call_tool(name, given)
    assert not answer.is_error, answer.structured_content
    assert answer.structured_content == json.loads(answer.content[0].text)  # type: ignore[union-attr]
    return dict(answer.structured_content or {})


async def refused(client: Client, name: str, **given: Any) -> Failure:
    """Return what went wrong with a call."""
    answer = await client.call_tool(name, given)
    assert answer.is_error, answer.structured_content
    return Failure.model_validate(answer.structured_content)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_an_assistant_rehearses_a_job_and_runs_it_to_its_end(laptop: Laptop) -> None:
    told: list[str] = []

    async def progress(
        progress: float, total: float | None = None, message: str | None = None
    ) -> None:
        told.append(str(message))

    async def use(client: Client) -> None:
        job = settings(laptop)
        asked = {"task": "llm-sft", "settings": job}
        checked = await called(client, "check", **asked)
        assert checked["ok"] and "nothing bounds it" in checked["findings"][-1]["text"]
        tried = await client.call_tool("rehearse", asked, progress_callback=progress)
        assert tried.structured_content and tried.structured_content["ok"]
        assert "starting" in told
        unbounded = await refused(client, "train", **asked)
        assert (unbounded.exit_code, unbounded.reason) == (2, "bad_config")
        assert unbounded.fix.startswith("max_cost=") and unbounded.problems[0].where == "max_cost"
        assert (await called(client, "jobs"))["jobs"] == []
        asked["settings"] = job | {"max_cost": 1.0}
        launched = await called(client, "train", **asked)
        assert not launched["existed"] and launched["estimate"]["usd_at_most"] <= 1.0
        name = launched["job"]["job"]
        assert (await called(client, "train", **asked))["existed"]
        now = launched["job"]
        while now["ended_at"] is None or now["costing"] is not False:
            now = await called(client, "job", job=name, wait_seconds=50)
        assert (now["state"], now["step"]) == ("succeeded", 2), now["message"]
        first = await called(client, "logs", job=name, after=0, limit=2)
        rest = await called(client, "logs", job=name, after=first["next"])
        whole = await called(client, "logs", job=name, after=0, limit=1000)
        assert len(first["lines"]) == 2 and first["ended"]
        assert whole["lines"][:2] == first["lines"]
        assert whole["lines"][2:102] == rest["lines"]
        assert (await called(client, "cost", by="job"))["lines"][0]["group"] == name
        assert (await called(client, "remove", job=name))["job"] == name
        assert (await called(client, "jobs"))["jobs"] == []

    with_tools(laptop, use)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_an_assistant_runs_a_sweep_that_goes_on_by_itself(laptop: Laptop) -> None:
    rows = [f"{i % 17},{(i * 7) % 5},{'yn'[i % 17 > 8]}\n" for i in range(60)]
    table = laptop.home.parent / "t.csv"
    table.write_text("a,b,y\n" + "".join(rows))
    job = {"data_path": str(table), "target_columns": ["y"], "project_name": "table"}
    asked: dict[str, Any] = {
        "task": "tabular",
        "settings": {**job, "num_trials": 1},
        "tries": {"model": ["decision_tree", "naive_bayes"]},
        "how": {"parallel": 2},
    }
    paid = {"backend": "spaces-cpu-upgrade", "push_to_hub": True, "project_name": "paid"}

    async def started(client: Client) -> None:
        plan = await called(client, "check_sweep", **asked)
        assert (plan["total"], len(plan["trials"])) == (2, 2)
        wrong = await refused(client, "start_sweep", **asked | {"how": {"trails": 2}})
        assert (wrong.exit_code, wrong.problems[0].where) == (2, "how.trails")
        wrong = await refused(client, "start_sweep", **asked | {"tries": {"modle": ["ridge"]}})
        assert wrong.problems[0].where == "modle", wrong
        costing = asked | {"settings": asked["settings"] | paid}
        wrong = await refused(client, "start_sweep", **costing)
        assert "nothing bounds them" in wrong.error and wrong.problems[0].where == "max_cost"
        wrong = await refused(client, "train", yaml="task: tabular\nsweep: {try: {model: [ridge]}}")
        assert "what a sweep tries" in wrong.error
        assert (await called(client, "sweeps"))["sweeps"] == []
        begun = await called(client, "start_sweep", **asked)
        assert (begun["existed"], begun["sweep"]["running"]) == (False, True)

    async def ended(client: Client) -> None:
        now = await called(client, "sweep", sweep="table")
        while now["running"]:
            now = await called(client, "sweep", sweep="table", wait_seconds=50)
        assert [t["state"] for t in now["trials"]] == ["succeeded", "succeeded"], now
        values = [trial["value"] for trial in now["trials"]]
        assert (now["best"], now["ended_early"]) == (values.index(max(values)), None)
        assert (Path(now["model"]) / "model.skops").is_file()
        again = await called(client, "start_sweep", **asked)
        assert [t["job"] for t in again["sweep"]["trials"]] == [t["job"] for t in now["trials"]]
        assert (await called(client, "cancel_sweep", sweep="table"))["best"] == now["best"]
        assert [one["sweep"] for one in (await called(client, "sweeps"))["sweeps"]] == ["table"]
        assert (await refused(client, "sweep", sweep="tabel")).exit_code == 2

    with_tools(laptop, started)
    with_tools(laptop, ended)  # the program that has begun it is gone
    told = laptop.run("status", "table", "--json").document
    assert (told["sweep"], told["total"]) == ("table", 2)
    assert "2 of 2 trials ended · best t" in laptop.run("status", "table").out

    async def removed(client: Client) -> None:
        gone = await called(client, "remove_sweep", sweep="table")
        assert len(gone["jobs"]) == 2 and not gone["jobs"][0]["problem"]
        assert (await called(client, "sweeps"))["sweeps"] == []
        assert (await called(client, "jobs"))["jobs"] == []
        assert Path(told["model"]).is_dir(), "models stay"

    with_tools(laptop, removed)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_an_assistant_deploys_a_model_and_removes_it(laptop: Laptop) -> None:
    async def use(client: Client) -> None:
        paid = {"model": "ann/base", "settings": {"deploy_backend": "spaces-t4"}}
        checked = await called(client, "check_deployment", **paid)
        assert checked["ok"] and checked["usd_per_hour"] == 0.4 and checked["plan"]
        assert "'max_usd_per_hour' is needed" in checked["findings"][-1]["text"]
        wrong = await refused(client, "deploy", **paid)
        assert (wrong.exit_code, wrong.problems[0].where) == (2, "max_usd_per_hour"), wrong
        wrong = await refused(client, "deploy", **paid, max_usd_per_hour=0.3)
        assert "is 0.3: this costs $0.40 an hour on t4-small" in wrong.error
        wrong = await refused(client, "deploy", model="ann/nothing")
        assert (wrong.kind, wrong.problems[0].topic) == ("CheckFailed", "model"), wrong
        assert wrong.findings and not (await called(client, "deployments"))["deployments"]
        made = await called(client, "deploy", model="ann/base", settings={"system": "Be kind."})
        handle = made["deployment"]["deployment"]
        assert handle == "space://ann/base-chat" and made["findings"]
        now = made["deployment"]
        while not now["ready"]:
            now = await called(client, "deployment", deployment="base-chat", wait_seconds=50)
        assert now["url"] and not now["costing"]
        listed = await called(client, "deployments")
        assert [one["deployment"] for one in listed["deployments"]] == [handle]
        assert listed["usd_per_hour"] == 0
        paused = await called(client, "pause_deployment", deployment=handle)
        assert (paused["ready"], paused["stage"]) == (False, "PAUSED")
        assert (await called(client, "deployment", deployment=handle, wait_seconds=50)) == paused
        removed = await called(client, "remove_deployment", deployment=handle)
        assert removed == {"deployment": handle, "removed": True}
        assert (await refused(client, "deployment", deployment="base-chat")).exit_code == 2
        assert (await called(client, "deployment", deployment=handle))["stage"] == "gone"

    with_tools(laptop, use)
    assert not laptop.hub.api().repo_exists("ann/base-chat", repo_type="space")


def test_tools_say_what_they_take_and_what_is_wrong_and_where(laptop: Laptop) -> None:
    async def use(client: Client) -> None:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert set(tools) == {name for name, verb in VERBS.items() if verb.tool}
        assert all(tool.description and tool.output_schema for tool in tools.values())
        assert tools["job"].input_schema["required"] == ["job"]
        assert [
            n for n, t in tools.items() if t.annotations and t.annotations.destructive_hint
        ] == ["remove", "remove_deployment", "remove_sweep"]
        kinds = (await called(client, "tasks"))["tasks"]
        assert {worker.tasks.typed(name) for name in worker.tasks.names()} <= {
            kind["task"] for kind in kinds
        }
        limits = await called(client, "settings", task="llm-sft", group="Limits")
        assert limits["given"] == {"trainer": "sft"}
        assert set(limits["json_schema"]["properties"]) >= {"max_cost", "max_duration"}
        assert "jobs" in (await called(client, "backends"))["backends"]
        offers = await called(
            client, "compare", task="llm-sft", settings=settings(laptop), yaml="epochs: 2"
        )
        assert offers["recommended"]
        for name, given, where in (
            ("check", {"task": "tea"}, None),
            ("check", {"tsk": "llm"}, "tsk"),
            ("job", {}, "job"),
            ("job", {"job": "nobody"}, None),
            ("logs", {"job": "nobody", "limit": 0}, "limit"),
            ("train", {"task": "llm", "settings": {"batch_sise": 1}}, "batch_sise"),
            ("train", {"task": "llm", "settings": settings(laptop, lr="x")}, "lr"),
            ("train", {"yaml": "task: llm\nmodel: ${HF_TOKEN}"}, None),
        ):
            wrong = await refused(client, name, **given)
            assert (wrong.exit_code, wrong.problems[0].where) == (2, where), wrong
        nothing = settings(laptop, project_name="tea", data_path="/no/such.csv", text_column="tea")
        wrong = await refused(client, "train", task="llm-sft", settings=nothing)
        assert (wrong.kind, wrong.problems[0].topic) == ("CheckFailed", "data")
        assert wrong.report and not wrong.report["ok"]

    with_tools(laptop, use)


def test_standard_output_of_the_tools_is_theirs_alone(laptop: Laptop) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "orchestrator.terminal.cli", "mcp"],
        input='{"jsonrpc":"2.0","id":1,"method":"ping"}\nno json\n',
        env=laptop.environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["jsonrpc"] for line in done.stdout.splitlines()]


COMMANDS = """
tasks --json
backends --json
backends --for llm {job} --json
doctor --json
setup --json
init llm begun --json
config llm {job} --json
data llm {job} --json
llm --train {job} --dry-run --json
llm --train {job} --batch-size 0 --json
llm --train {job} --no-such --json
llm --train {job} --data-path no.csv --json
llm --inference --model ann/base --json
rehearse llm {job} --backend local --json
sweep llm {job} --try lr=1e-4,2e-4 --dry-run --json
deploy ann/base --dry-run --json
deploy ann/nothing --json
app --on-space --dry-run --json
jobs --json
cost --json
gc --json
status nobody --json
logs nobody --json
cancel nobody --json
resume nobody --json
rerun ann/base --json
rm nobody --json
export nobody --json
tools lm-eval nobody --json
"""


@pytest.mark.slow
@pytest.mark.timeout(280)
def test_each_command_prints_its_document_and_waits_for_no_key(laptop: Laptop) -> None:
    """Standard input is closed and there is no terminal, as where an assistant starts it."""
    job = settings(laptop, samples=0)
    flags = [
        f"--{name.replace('_', '-')} {value}" for name, value in job.items() if value is not True
    ]
    lines = COMMANDS.format(job=" ".join([*flags, "--trainer sft", "--push-to-hub"])).split("\n")
    ran = set()
    for words in filter(None, map(shlex.split, lines)):
        command = [sys.executable, "-P", "-m", "orchestrator.terminal.cli", *words]
        done = subprocess.run(
            ["sh", "-c", 'exec "$@" <&-', "sh", *command],
            env=laptop.environ,
            cwd=laptop.home.parent,
            capture_output=True,
            text=True,
            timeout=100,
            start_new_session=True,
            check=False,
        )
        (document,) = map(json.loads, done.stdout.splitlines())
        is_declared(words, document)
        wrong = isinstance(document, dict) and "exit_code" in document
        assert not wrong or document["exit_code"] == done.returncode, done.stderr
        if wrong:
            assert differs(Failure, document) == "" and document["problems"]
        ran.add(words[0])
    assert {one.command for one in PRINTED} - {TASK} <= ran


def test_every_command_says_what_it_prints() -> None:
    context = click.Context(program)
    commands = set(program.list_commands(context)) - set(
        map(worker.tasks.typed, worker.tasks.names())
    )
    assert commands - {one.command for one in PRINTED} <= set(WITHOUT)


def test_the_page_of_documents_says_what_is_declared() -> None:
    page = (ROOT / "docs" / "json.md").read_text(encoding="utf-8")
    again = "run: python -m orchestrator.api.reference > docs/json.md"
    assert page == reference.page(), again


@pytest.mark.parametrize("name", [None, *worker.tasks.names()])
def test_a_schema_is_printed_of_each_task(name: str | None) -> None:
    if name is None:
        with pytest.raises(BadConfig, match="no group 'tea'"):
            settings_schema("llm", "tea")
        return
    found = settings_schema(worker.tasks.typed(name))
    known = found.json_schema["properties"]
    assert set(known) == {one for names in found.groups.values() for one in names}
    assert set(found.json_schema["required"]) <= set(known)


@pytest.mark.parametrize(
    ("error", "where", "kind", "code"),
    [
        (BadConfig("--batch-size 0: must be 1 or more."), "batch_size", "BadConfig", 2),
        (BadConfig("job.yml: lr 'x': must be a number."), "lr", "BadConfig", 2),
        (BadConfig("HUBTRAIN_LR 'x': must be a number."), "lr", "BadConfig", 2),
        (BadConfig("flags: no setting 'batch_sise'."), "batch_sise", "BadConfig", 2),
        (no_column("tea", ["text"], "a.csv", "--text-column"), "tea", "BadData", 2),
        (BadConfig("too long", fix="--max-duration 2h"), "max_duration", "BadConfig", 2),
        (NoWrite("this token can read alone"), None, "NoWrite", 1),
        (HubtrainError("the model is gone"), None, "HubtrainError", 1),
    ],
)
def test_what_goes_wrong_says_where(
    error: HubtrainError, where: str | None, kind: str, code: int
) -> None:
    told = failure(error)
    assert (told.problems[0].where, told.kind, told.exit_code) == (where, kind, code)
    assert "--" not in told.error + told.fix


def test_of_several_things_that_are_wrong_each_is_one() -> None:
    told = failure(BadConfig("--lr 0: no.\n  it goes on\n--epochs x: no.", fix="--epochs 1"))
    assert [(one.where, one.fix) for one in told.problems] == [("lr", ""), ("epochs", "epochs=1")]
    assert told.problems[0].what.endswith("it goes on")


def test_a_key_that_is_not_declared_is_found() -> None:
    assert differs(documents.Begun, {"folder": "a", "job": "b", "files": []}) == ""
    assert "tea" in differs(documents.Begun, {"folder": "a", "job": "b", "files": [], "tea": 1})
    assert differs(documents.Begun, {"folder": "a"})
