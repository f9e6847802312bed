"""Inference Endpoints: the local Hub's, judged by the stock client, and `hubtrain deploy` there."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import HfApi, constants
from huggingface_hub.errors import HfHubHTTPError, InferenceEndpointError
from standins.laptop import Laptop
from standins.localhub import HubServer
from tiny_llm import chats, write_model, write_rows

from orchestrator.jobs.records import Records
from worker.contract import DataRef, JobSpec, Machine, ModelRef

pytestmark = pytest.mark.slow

MODEL, HANDLE = "ann/Tiny_Bot", "endpoint://ann/tiny-bot"
MACHINE: dict[str, Any] = {
    "accelerator": "gpu",
    "instance_type": "nvidia-t4",
    "instance_size": "x1",
    "region": "us-east-1",
    "vendor": "aws",
}


@pytest.fixture(scope="module")
def hub(shared_hub: HubServer, tmp_path_factory: pytest.TempPathFactory) -> HubServer:
    api, folder = shared_hub.api(), write_model(tmp_path_factory.mktemp("model"))
    api.create_repo(MODEL, private=True)
    api.upload_folder(repo_id=MODEL, folder_path=folder)
    return shared_hub


@pytest.fixture
def api(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[HfApi]:
    """The stock client: its address of the service is a constant, which no variable changes.

    What it returns forgets the client's token, and takes that of the environment.
    """
    monkeypatch.setenv("HF_TOKEN", hub.tokens["ann"])
    real = constants.INFERENCE_ENDPOINTS_ENDPOINT
    constants.INFERENCE_ENDPOINTS_ENDPOINT = f"{hub.endpoint}/endpoints/v2"
    yield hub.api()
    constants.INFERENCE_ENDPOINTS_ENDPOINT = real


def test_the_whole_life_as_the_stock_client_asks_for_it(api: HfApi) -> None:
    where: dict[str, Any] = {"namespace": "ann"}
    made = api.create_inference_endpoint(
        "life", repository=MODEL, framework="pytorch", **MACHINE, **where
    )
    assert made.status == "pending" and made.url is None
    assert made.wait(timeout=60, refresh_every=1).status == "running"
    assert [e.name for e in api.list_inference_endpoints("ann")] == ["life"]
    with pytest.raises(HfHubHTTPError, match="already exists"):
        api.create_inference_endpoint(
            "life", repository=MODEL, framework="pytorch", **MACHINE, **where
        )
    changed = api.update_inference_endpoint("life", min_replica=0, task="text-generation", **where)
    assert changed.task == "text-generation"
    assert changed.raw["compute"]["scaling"] == {
        "maxReplica": 1,
        "minReplica": 0,
        "scaleToZeroTimeout": None,
    }
    assert api.scale_to_zero_inference_endpoint("life", **where).status == "scaledToZero"
    assert api.pause_inference_endpoint("life", **where).status == "paused"
    assert api.resume_inference_endpoint("life", **where).status == "pending"
    assert api.resume_inference_endpoint("life", **where).status in {"pending", "initializing"}
    api.delete_inference_endpoint("life", **where)
    with pytest.raises(HfHubHTTPError, match="not found"):
        api.get_inference_endpoint("life", **where)


def test_what_the_service_refuses(api: HfApi, hub: HubServer) -> None:
    for wrong in ({"instance_size": "x9"}, {"region": "moon"}):
        with pytest.raises(HfHubHTTPError, match="There is no"):
            api.create_inference_endpoint(
                "w", repository=MODEL, framework="pytorch", **{**MACHINE, **wrong}, namespace="ann"
            )
    with pytest.raises(HfHubHTTPError, match="no access"):
        hub.api("bob").list_inference_endpoints_hardware(namespace="ann")
    lost = api.create_inference_endpoint(
        "lost", repository="ann/nothing", framework="pytorch", **MACHINE, namespace="ann"
    )
    with pytest.raises(InferenceEndpointError):
        lost.wait(timeout=60, refresh_every=1)
    lost.delete()


def test_a_model_is_deployed_and_scales_to_zero(api: HfApi, hub: HubServer, tmp_path: Path) -> None:
    laptop = Laptop(tmp_path / "home", hub)
    deploy = ("deploy", MODEL, "--deploy-backend", "endpoints", "--deploy-sleep", "20m")
    planned = laptop.run(*deploy, "--dry-run")
    assert planned.code == 0, planned.out + planned.err
    assert "$0.07/h while it is awake on aws-eu-west-1-intel-spr-x2" in planned.out
    assert planned.out.count("asleep and free after 20 min without a request") == 2
    assert api.list_inference_endpoints("ann") == []

    said = laptop.run(*deploy)
    assert said.code == 0, said.out + said.err
    for words in ("Pending", "Running", f"{MODEL} answers on", f"hubtrain cancel {HANDLE}"):
        assert words in said.out, said.out
    made = api.get_inference_endpoint("tiny-bot", namespace="ann")
    assert made.raw["compute"]["scaling"] == {
        "minReplica": 0,
        "maxReplica": 1,
        "scaleToZeroTimeout": 20,
    }
    assert (made.type, made.task, made.raw["tags"]) == (
        "authenticated",
        "text-generation",
        ["hubtrain"],
    )
    assert made.revision == api.model_info(MODEL).sha
    assert hub.tokens["ann"] not in said.out + planned.out

    listed = laptop.run("jobs")
    assert HANDLE in listed.out and f"Costing now: {HANDLE} $0.07/h" in listed.out
    assert f"{HANDLE} · {MODEL} on aws-eu-west-1-intel-spr-x2 · running, costing" in (
        laptop.run("gc").out
    )
    assert laptop.run("cancel", HANDLE).code == 0
    assert api.get_inference_endpoint("tiny-bot", namespace="ann").status == "paused"
    assert laptop.run(*deploy, "--detach").code == 0
    assert [e.status for e in api.list_inference_endpoints("ann")] != ["paused"]
    assert laptop.run("rm", HANDLE).code == 0
    assert api.list_inference_endpoints("ann") == []


def test_what_is_not_ours_or_cannot_be_is_refused(
    api: HfApi, hub: HubServer, tmp_path: Path
) -> None:
    laptop = Laptop(tmp_path / "home", hub)
    api.create_inference_endpoint(
        "mine", repository=MODEL, framework="pytorch", **MACHINE, namespace="ann"
    )
    deploy = ("deploy", MODEL, "--deploy-backend")
    said = laptop.run(*deploy, "endpoints", "--deploy-name", "mine")
    assert said.code != 0 and "was not made by `hubtrain deploy`" in said.err
    assert laptop.run("rm", "endpoint://ann/mine").code != 0
    assert api.get_inference_endpoint("mine", namespace="ann").raw["tags"] == []
    api.delete_inference_endpoint("mine", namespace="ann")
    said = laptop.run(*deploy, "endpoints", "--deploy-name", "No Name")
    assert said.code == 2 and "cannot be the name of an endpoint" in said.out
    said = laptop.run(*deploy, "endpoints-aws-mars-x1")
    assert said.code == 2 and "endpoints has no machine 'aws-mars-x1'" in said.out


def test_what_runs_and_cannot_be_moved_stays_known_and_cancel_goes_past_what_is_gone(
    api: HfApi, hub: HubServer, tmp_path: Path
) -> None:
    laptop = Laptop(tmp_path / "home", hub)
    deploy = ("deploy", MODEL, "--detach", "--deploy-backend")
    assert laptop.run(*deploy, "endpoints").code == 0
    moved = laptop.run(*deploy, "endpoints-aws-us-east-1-nvidia-t4-x1")
    assert moved.code != 0 and "cannot be moved" in moved.err, moved.out + moved.err
    assert f"{HANDLE} $0.07/h" in (listed := laptop.run("jobs")).out, listed.out

    Records(laptop.home).claim("f", waiting_job, datetime.now(UTC))
    said = laptop.run("cancel", "endpoint://ann/gone", HANDLE, "waiting")
    assert said.code != 0 and "there is no endpoint ann/gone" in said.out + said.err
    assert api.get_inference_endpoint("tiny-bot", namespace="ann").status == "paused"
    assert "waiting" in said.out, said.out
    assert laptop.run("rm", HANDLE).code == 0


def waiting_job() -> JobSpec:
    return JobSpec(
        job_id="aaa",
        project="waiting",
        task="llm",
        params={},
        model=ModelRef(name="m"),
        data=DataRef(),
        machine=Machine(backend="local"),
    )


def test_an_adapter_is_refused_before_it_is_trained(hub: HubServer, tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.jsonl", chats(8))
    laptop = Laptop(tmp_path / "home", hub)
    train = ("llm", "--train", "--trainer", "sft", "--peft", "--model", MODEL, "--push-to-hub")
    job = (*train, "--data-path", str(rows), "--project-name", "bot", "--block-size", "64")
    deploy = ("--deploy", "--deploy-backend", "endpoints", "--dry-run")
    said = laptop.run(*job, *deploy)
    assert said.code == 2 and "ann/bot is an adapter" in said.out, said.out + said.err
    merged = laptop.run(*job, *deploy, "--merge-adapter")
    assert merged.code == 0, merged.out + merged.err
    assert "  Then   ann/bot is deployed as endpoint" in merged.out, "the step after the job"
