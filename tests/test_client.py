"""A running app asked by programs: HTTP, `hubtrain.Client`, AutoTrain's addresses, MCP at /mcp."""

from __future__ import annotations

import inspect
import json
import re
import resource
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from fastapi import FastAPI
from mcp.client.client import Client as Tools
from mcp.client.streamable_http import streamable_http_client
from standins.application import Application, visitor
from standins.localhub import HubServer
from standins.waiting import until
from tiny_llm import chats, write_model, write_rows

import hubtrain
import worker
from hubtrain.autotrain import Client
from orchestrator.api.errors import Failure
from orchestrator.api.launching import settled
from orchestrator.api.requests import JobAsked
from orchestrator.api.verbs import VERBS
from orchestrator.app.base import App
from orchestrator.app.routes import autotrain, autotrain_page
from orchestrator.jobs.client import Client as Jobs

PATIENCE = 240.0


@pytest.fixture(scope="module")
def app(shared_hub: HubServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    """The app of somebody who has a small model and data, and no account."""
    folder = tmp_path_factory.mktemp("app")
    write_model(folder / "model")
    write_rows(folder / "chats.jsonl", chats(24))
    with Application(folder, environ=shared_hub.env("ann", HF_TOKEN="")) as made:
        yield made


@pytest.fixture
def client(app: Application) -> hubtrain.Client:
    """What a program has that was given the address that the app has printed."""
    return hubtrain.Client(app.url)


@pytest.fixture
def http(app: Application) -> Iterator[httpx2.Client]:
    """A program without a library, with the key."""
    key = httpx2.URL(app.url).params["key"]
    with visitor(app.url, headers={"Authorization": f"Bearer {key}"}) as made:
        yield made


def settings(app: Application, **more: Any) -> dict[str, Any]:
    """Return a job of two steps on this machine."""
    folder = app.home.parent
    small = {"batch_size": 1, "gradient_accumulation": 1, "block_size": 64, "max_steps": 2}
    paths = {"model": folder / "model", "data_path": folder / "chats.jsonl"}
    return {**paths, "project_name": "bot", "samples": 0, **small, **more}


@pytest.mark.slow
@pytest.mark.timeout(280)
def test_a_program_trains_through_the_app(
    app: Application,
    client: hubtrain.Client,
    http: httpx2.Client,
    tmp_path: Path,
) -> None:
    report = client.check("llm-sft", **settings(app))
    assert report.ok and report.estimate and report.estimate.usd_at_most == 0
    file = tmp_path / "job.yml"
    file.write_text("task: llm-sft\nepochs: 1\n", encoding="utf-8")
    job = client.train(config=file, **settings(app))
    assert isinstance(job, hubtrain.Job)
    seen: list[float] = []
    lines: list[str] = []
    job.wait(PATIENCE, on_update=lambda now: seen.append(now.progress), on_line=lines.append)
    assert (job.state, job.reason, job.progress) == ("succeeded", "ok", 1.0), job.message
    assert job.result() == job.model == str(app.home.parent / "bot")
    assert job.metrics["loss"] > 0 and [one["step"] for one in job.history][-1] == 2
    assert seen[-1] == 1.0 and lines
    assert list(job.logs())[: len(lines)] == lines and list(job.logs(follow=True))
    assert job.to_dict()["job"] == job.id and job.cost == 0.0
    assert job.cancel().state == "succeeded"
    assert client.jobs() == [job] == [client.job("bot")]
    assert isinstance(job.ask("Hello?", max_new_tokens=2), str)
    assert client.train("llm-sft", **settings(app, epochs=1)) == job
    assert [line.group for line in client.cost("project").lines] == ["bot"]
    known = http.get("/api/v1/job", params={"job": "latest", "wait_seconds": 5})
    assert (known.status_code, known.json()["job"]) == (200, job.id)
    old = http.post("/api/logs", json={"jid": job.id}).json()
    assert old["success"] and old["logs"].splitlines() == list(job.logs())
    stopped = http.post("/api/stop_training", json={"jid": job.id}).json()
    assert (stopped["success"], stopped["state"]) == (True, "succeeded")
    client.remove(job.id)
    assert client.jobs() == []


def test_errors_are_those_of_this_api_with_the_words_of_the_terminal(
    app: Application, client: hubtrain.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUBTRAIN_HOME", str(tmp_path))
    monkeypatch.setenv("HF_TOKEN", "")
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("llm-sft", settings(app, batch_sise=2)),
        ("llm-sft", settings(app, batch_size=0)),
        ("tea", {}),
        ("llm-sft", settings(app, data_path="/no/such.csv", project_name="other")),
    ]
    for task, given in wrong:
        said = []
        for train in (client.train, hubtrain.train):
            with pytest.raises(hubtrain.BadConfig) as raised:
                train(task, **given)
            said.append((type(raised.value), str(raised.value), raised.value.reason))
        assert said[0] == said[1]
    with pytest.raises(hubtrain.CheckFailed) as refused:
        client.train("llm-sft", **wrong[-1][1])
    assert not refused.value.report.ok
    with pytest.raises(hubtrain.HubtrainError, match="no job 'nobody'"):
        client.job("nobody")
    with pytest.raises(hubtrain.HubtrainError, match="is not opened by this key") as shut:
        hubtrain.Client(f"{app.url}x").jobs()
    assert "HUBTRAIN_APP_KEY" in shut.value.fix
    with pytest.raises(hubtrain.HubtrainError, match="does not answer"):
        hubtrain.Client("http://127.0.0.1:1", "k").jobs()
    assert httpx2.URL(app.url).params["key"] not in repr(client) + repr(vars(client))


def test_the_key_of_this_machine_is_sent_to_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str | None] = []

    class Proxy(BaseHTTPRequestHandler):
        """Has what goes to other machines pass by."""

        def do_POST(self) -> None:
            sent.append(self.headers["Authorization"])
            self.send_error(401)

        def log_message(self, *_: object) -> None:
            pass

    (tmp_path / "app.key").write_text("key-of-this-machine\n", encoding="ascii")
    monkeypatch.setenv("HUBTRAIN_HOME", str(tmp_path))
    monkeypatch.delenv("HUBTRAIN_APP_KEY", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.server_address[1]}")
        for key in (None, "its-own"):
            with pytest.raises(hubtrain.HubtrainError, match="is not opened by this key"):
                hubtrain.Client("http://gpu-box.example:7860", key).tasks()
        proxy.shutdown()
    assert sent == [None, "Bearer its-own"]


def test_the_app_of_this_machine_needs_no_key(
    app: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUBTRAIN_HOME", str(app.home))
    here = hubtrain.Client(app.url.partition("/?")[0])
    assert "llm" in [kind.task for kind in here.tasks()]
    assert "local" in here.backends().backends
    assert here.settings("llm").json_schema["properties"]["batch_size"]["type"] == "integer"


def test_sweeps_and_deployments_are_asked_of_the_app(
    app: Application, client: hubtrain.Client, http: httpx2.Client, tmp_path: Path
) -> None:
    file = tmp_path / "sweep.yml"
    file.write_text("task: llm-sft\nsweep:\n  try: {lr: [0.0001, 0.001]}\n", encoding="utf-8")
    plan = client.check_sweep(config=file, tries={"epochs": [1, 2]}, **settings(app))
    assert (plan.total, plan.trials[3].settings) == (4, {"lr": 1e-3, "epochs": 2})
    with pytest.raises(hubtrain.BadConfig, match="say what to try"):
        client.start_sweep("llm-sft", **settings(app))
    with pytest.raises(hubtrain.BadConfig, match="what a sweep tries, and this is one job"):
        client.train(config=file, **settings(app))
    file.write_text("task: llm-sft\nsweep:\n  try: [lr]\n", encoding="utf-8")
    with pytest.raises(hubtrain.BadConfig, match="`try` in `sweep` is to be a block"):
        client.check_sweep(config=file, **settings(app))
    with pytest.raises(hubtrain.BadConfig, match="no sweep 'nobody'"):
        client.cancel_sweep("nobody")
    with pytest.raises(hubtrain.CheckFailed, match="no model ann/nothing") as refused:
        client.deploy("ann/nothing")
    assert not refused.value.report.ok
    with pytest.raises(hubtrain.BadConfig, match="no deployment 'nobody'"):
        client.deployment("nobody")
    assert (client.sweeps(), client.deployments()) == ([], [])
    assert http.get("/api/v1/sweeps").json() == {"sweeps": []}


def test_a_disk_that_takes_no_upload_is_told_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUBTRAIN_HOME", str(tmp_path))
    web = FastAPI()
    autotrain_page.mount(web, App(Jobs()))
    files = {"data_files_training": ("rows.csv", b"text\n" * 1000)}
    said = {"task": "llm:sft", "project_name": "x", "base_model": "a/b"}

    async def send() -> httpx2.Response:
        there = httpx2.ASGITransport(app=web)
        async with httpx2.AsyncClient(transport=there, base_url="http://app") as http:
            return await http.post("/ui/create_project", data=said, files=files)

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, before[1]))
    try:
        answer = anyio.run(send)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    told = answer.json()
    assert (answer.status_code, told["success"]) == (500, False)
    assert "the disk is full" in told["message"] and "Make room" in told["message"]
    assert list((tmp_path / "uploads").glob("*/*")) == []


@pytest.mark.parametrize("name", ["train", "check", "rehearse", "resume", "job", "jobs", "deploy"])
def test_its_verbs_are_those_of_the_module(name: str) -> None:
    """What belongs to the machine alone is not asked of an app."""
    own = {"token", "on_progress", "runner"} | ({"refresh"} if name == "job" else set())
    here = inspect.signature(getattr(hubtrain, name)).parameters.keys() - own
    assert here <= inspect.signature(getattr(hubtrain.Client, name)).parameters.keys()


def test_the_verbs_are_described_and_what_is_wrong_is_data(http: httpx2.Client) -> None:
    described = http.get("/openapi.json")
    for named in re.findall(r'"\$ref":"#/([^"]+)"', described.text):
        part = described.json()
        for key in named.split("/"):
            part = part[key]
    paths = described.json()["paths"]
    assert {f"/api/v1/{name}" for name in VERBS} <= paths.keys()
    for path, ways in paths.items():  # a document that names none is no OpenAPI
        told = {one["name"] for way in ways.values() for one in way.get("parameters", ())}
        assert set(re.findall(r"{(\w+)}", path)) <= told, path
        may_fail = path.startswith(("/api/", "/ui/")) and path != "/api/version"
        statuses = [way["responses"].keys() for way in ways.values()]
        assert all({"422", "503", "500"} <= found for found in statuses) or not may_fail, path
    train = paths["/api/v1/train"]["post"]
    asked = train["requestBody"]["content"]["application/json"]["schema"]
    assert "settings" in asked["properties"] and "get" not in paths["/api/v1/train"]
    assert train["responses"]["200"]["content"]["application/json"]["schema"]["$ref"]
    assert paths["/api/v1/job"]["get"]["parameters"][0]["required"]
    for path, body in (
        ("check", b'{"task": "tea"}'),
        ("check", b"no json"),
        ("job", b"[]"),
        ("job", b'{"jib": "x"}'),
        ("record", b'{"job": "nobody"}'),
        ("job", b"[" * 100_000),
        ("job", b'{"job": "\\ud83d"}'),
        ("check", b'{"task": "llm", "config": "\\u0000"}'),
    ):
        answer = http.post(f"/api/v1/{path}", content=body)
        assert answer.status_code == 422
        assert Failure.model_validate_json(answer.content).exit_code == 2
    assert http.get("/api/v1/cost", params={"by": "project"}).json()["by"] == "project"


def test_nothing_of_it_is_open_to_strangers(app: Application) -> None:
    with visitor(app.url) as stranger:
        paths = [f"/api/v1/{name}" for name in VERBS]
        for path in [*paths, "/api/create_project", "/api/logs", "/mcp"]:
            assert stranger.post(path, json={}).status_code == 401, path
        for path in ("params/llm/basic", "logs", "stop_training", "model_choices/llm"):
            assert stranger.get(f"/ui/{path}").status_code == 401, path
        assert stranger.post("/ui/create_project", data={"task": "llm"}).status_code == 401


def test_programs_of_autotrain_go_on_working(app: Application, http: httpx2.Client) -> None:
    assert http.get("/api/version").json() == {"version": worker.__version__}
    basic = http.get("/ui/params/llm:sft/basic").json()
    full = http.get("/ui/params/llm:sft/full").json()
    assert set(basic) < set(full) and full["lr"]["type"] == "number"
    assert full["trainer"]["default"] == "sft" and "dpo" in full["trainer"]["options"]
    assert http.get("/ui/params/tea/full").status_code == 422
    folder = app.home.parent
    body: dict[str, Any] = {
        "project_name": "old",
        "task": "llm:sft",
        "base_model": str(folder / "model"),
        "hardware": "spaces-a10g-large",
        "username": "ann",
        "hub_dataset": "ann/chats",
        "train_split": "train",
        "params": {"lr": 1e-3, "valid_split": "null"},
        "column_mapping": {"text_column": "messages"},
    }
    refused = http.post("/api/create_project", json=body)
    told = refused.json()
    assert (refused.status_code, told["success"]) == (422, False)
    topics = {one["topic"]: one["what"] for one in told["problems"]}
    assert "token" in topics["account"], told
    unknown = http.post("/api/create_project", json=body | {"params": {"tea": 1}}).json()
    assert unknown["problems"][0]["where"] == "tea"
    other = http.post("/api/create_project", json=body | {"project": "x"}).json()
    assert other["problems"][0]["where"] == "project"
    text = http.post("/api/create_project", json=body | {"params": "lr=1"})
    assert (text.status_code, text.json()["problems"][0]["where"]) == (422, "params")
    assert http.post("/api/stop_training", json={}).json()["problems"][0]["where"] == "jid"
    nobody = http.post("/api/logs", json={"jid": "ann/nothing-k4x7qp"}).json()
    assert not nobody["success"]


@pytest.mark.slow
def test_programs_of_autotrains_client_and_page_go_on_working(
    app: Application, http: httpx2.Client, shared_hub: HubServer
) -> None:
    folder = app.home.parent
    long = {"batch_size": 1, "block_size": 64, "epochs": 100_000, "push_to_hub": False}
    job: dict[str, Any] = {
        "task": "llm:sft",
        "base_model": str(folder / "model"),
        "train_split": "train",
    }
    old = Client(app.url, username="ann")
    with pytest.raises(hubtrain.BadConfig, match="no setting 'tea'"):
        old.create(**job, project_name="x", backend="local", dataset="d", params={"tea": 1})
    made = old.create(
        **job,
        project_name="by-client",
        backend="local-ui",
        dataset=str(folder / "chats.jsonl"),
        params=long,
    )
    assert made["success"] and made["job_id"] and "by-client is" in made["message"]
    now = http.get("/ui/is_model_training").json()
    assert now == {"model_training": True, "pids": [made["job_id"]]}
    assert "logs" in old.get_logs(made["job_id"])
    assert old.stop_training(made["job_id"])["success"]
    assert http.get("/ui/is_model_training").json() == {"model_training": False, "pids": []}

    said = {**job, "project_name": "by-page", "hardware": "local-ui", "autotrain_user": "ann"}
    said |= {"params": json.dumps(long), "column_mapping": '{"text": "messages"}'}
    files = {"data_files_training": ("chats.jsonl", (folder / "chats.jsonl").read_bytes())}
    both = http.post("/ui/create_project", data=said | {"hub_dataset": "a/b"}, files=files)
    assert (both.status_code, both.json()["success"]) == (422, False)
    assert http.post("/ui/create_project", data=said).status_code == 422
    kept = list((app.home / "uploads").glob("*/chats.jsonl"))
    sent = http.post("/ui/create_project", data=said, files=files).json()
    assert sent["success"] == "true" and "monitor_url" in sent, sent
    assert kept == [] and list((app.home / "uploads").glob("*/chats.jsonl"))
    until(lambda: http.get("/ui/logs").json()["logs"])
    assert http.get("/ui/stop_training").json() == {"success": True}
    assert not http.get("/ui/is_model_training").json()["model_training"]
    assert http.get("/ui/accelerators").json()["accelerators"] >= 0
    assert "rate" in http.get("/ui/help/lr").json()["message"]
    assert http.get("/ui/help/tea").status_code == 422
    tables = http.get("/ui/model_choices/tabular:classification").json()
    assert {"id": "xgboost", "name": "xgboost"} in tables
    shared_hub.api().create_repo("ann/base", exist_ok=True)
    shared_hub.api().upload_folder(repo_id="ann/base", folder_path=folder / "model")
    models = http.get("/ui/model_choices/llm:sft").json()
    assert {"id": "ann/base", "name": "ann/base"} in models


CHOSEN = {"text_column": "chosen", "rejected_text_column": "rejected", "prompt_text_column": "p"}
LABELLED = {"text_column": "text", "target_column": "label"}
OF_AUTOTRAIN: dict[str, dict[str, Any]] = {
    "llm:sft": {"text_column": "messages"},
    "llm:default": {"text_column": "text"},
    "llm:generic": {"text_column": "text"},
    "llm:dpo": CHOSEN,
    "llm:orpo": CHOSEN,
    "llm:reward": {"text_column": "chosen", "rejected_text_column": "rejected"},
    "text-classification": LABELLED,
    "text-regression": LABELLED,
    "token-classification": {"text_column": "tokens", "target_column": "tags"},
    "seq2seq": LABELLED,
    "extractive-question-answering": {"text_column": "context", "question_column": "question"},
    "extractive-qa": {"text_column": "context", "answer_column": "answers"},
    "st:pair": {"sentence1_column": "a", "sentence2_column": "b"},
    "st:triplet": {"sentence1_column": "a", "sentence2_column": "b", "sentence3_column": "c"},
    "image-classification": {"image_column": "image", "target_column": "label"},
    "image-regression": {"image_column": "image", "target_column": "label"},
    "image-object-detection": {"image_column": "image", "objects_column": "objects"},
    "vlm:vqa": {"image_column": "i", "text_column": "answer", "prompt_text_column": "question"},
    "vlm:captioning": {"image_column": "image", "text_column": "caption"},
    "tabular:classification": {"id_column": "id", "target_columns": ["label"]},
    "tabular-regression": {"id_column": "id", "target_columns": ["label"]},
}
"""Tasks as its page and its API call them, with columns as they map them."""


@pytest.mark.parametrize("task", OF_AUTOTRAIN)
def test_every_task_of_autotrains_api_is_understood_and_pushed(task: str, tmp_path: Path) -> None:
    body = {
        "task": task,
        "base_model": "xgboost" if task.startswith("tabular") else "ann/base",
        "project_name": "old",
        "hardware": "spaces-a10g-large",
        "username": "ann",
        "hub_dataset": "ann/data",
        "train_split": "train",
        "params": {"valid_split": "null", "lr": None},
        "column_mapping": OF_AUTOTRAIN[task],
    }
    asked = JobAsked.model_validate(autotrain.job_of(body))
    job = settled(Jobs(given_token="hf_of_nobody"), asked)
    assert (job.job.push_to_hub, job.job.username, job.flavor) == (True, "ann", "a10g-large")
    assert job.notes == ()
    mapped = {name: getattr(job.params, name, None) for name in OF_AUTOTRAIN[task]}
    assert None not in mapped.values() or task == "token-classification"


def test_assistants_have_their_tools_in_the_app(app: Application) -> None:
    key = httpx2.URL(app.url).params["key"]
    address = str(httpx2.URL(app.url).copy_with(host="127.0.0.1", path="/mcp", query=None))

    async def run() -> None:
        headers = {"Authorization": f"Bearer {key}"}
        async with (
            httpx2.AsyncClient(headers=headers, timeout=PATIENCE) as http,
            Tools(streamable_http_client(address, http_client=http)) as tools,
        ):
            named = {tool.name for tool in (await tools.list_tools()).tools}
            assert "train" in named and "record" not in named
            answer = await tools.call_tool("job", {"job": "nobody"})
            assert answer.is_error and "nobody" in json.dumps(answer.structured_content)

    anyio.run(run)
