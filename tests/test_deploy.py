"""A trained model answers on a Space that `hubtrain deploy` made, and on no other."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tiny_bert
import tiny_vit
from gradio_client import Client
from standins.application import Application
from standins.laptop import Laptop, Said
from standins.localhub import HubServer
from standins.preflight import Impatient
from standins.spaces import host, visit
from standins.visitor import chromium, log_in, visiting
from standins.waiting import PATIENCE
from tiny_llm import chats, write_model, write_rows

import hubtrain
from backends.deploy.spaces import Spaces
from orchestrator.api.errors import Failure
from orchestrator.deploy.model import Deployable
from orchestrator.deploy.room import check_room, needed_bytes
from orchestrator.preflight.report import Findings
from worker.contract import ModelRef
from worker.facts import ModelFacts
from worker.task import Page
from worker.tasks.llm import TASK

pytestmark = [pytest.mark.slow, pytest.mark.timeout(280)]

MODEL, SPACE = "ann/tiny", "ann/tiny-chat"
ASKED = "hi"
HOSTILE = '<img src=x onerror="document.title=1"><b>bold</b>'


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A language model that has learned to answer with a page's worst."""
    return learned(write_model(tmp_path_factory.mktemp("model")))


def learned(folder: Path) -> Path:
    """Teach a tiny model one answer by heart; return its folder."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    net = AutoModelForCausalLM.from_pretrained(folder)
    prompt = rendered(tokenizer)
    ids = tokenizer(prompt + HOSTILE + tokenizer.eos_token, return_tensors="pt").input_ids
    labels = ids.clone()
    labels[:, : len(tokenizer(prompt).input_ids)] = -100
    optimizer = torch.optim.AdamW(net.parameters(), lr=5e-3)
    for _ in range(60):
        net(input_ids=ids, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    net.save_pretrained(folder)
    return folder


def rendered(tokenizer: Any) -> str:
    turns = [{"role": "user", "content": ASKED}]
    return str(tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False))


def greedy(folder: Path) -> str:
    """Return what transformers alone makes of the model."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    net = AutoModelForCausalLM.from_pretrained(folder)
    inputs = tokenizer(rendered(tokenizer), return_tensors="pt")
    out = net.generate(**inputs, max_new_tokens=64, do_sample=False)
    return str(tokenizer.decode(out[0, inputs.input_ids.shape[1] :], skip_special_tokens=True))


@pytest.fixture(scope="module")
def hub(shared_hub: HubServer, model: Path) -> HubServer:
    """A Hub with that model, which only ann may see."""
    push(shared_hub, MODEL, model)
    push(shared_hub, "ann/vit", tiny_vit.write_model(model.parent / "vit"), private=False)
    return shared_hub


def push(hub: HubServer, name: str, folder: Path, *, private: bool = True) -> None:
    hub.api().create_repo(name, private=private)
    hub.api().upload_folder(repo_id=name, folder_path=folder)


@pytest.fixture(scope="module")
def laptop(hub: HubServer, tmp_path_factory: pytest.TempPathFactory) -> Laptop:
    """Ann's, whose records all tests share."""
    return Laptop(tmp_path_factory.mktemp("ann") / "home", hub)


@pytest.fixture(scope="module")
def deployed(laptop: Laptop) -> Said:
    """What the command said that deployed the model."""
    said = laptop.run("deploy", MODEL, "--max-new-tokens", "64")
    assert said.code == 0, said.out + said.err
    return said


def test_what_a_deployment_says(deployed: Said) -> None:
    for words in (
        "free on cpu-basic · asleep after 48 h without a visitor",
        "the machine gets yours, which may write too",
        "HUBTRAIN_READ_TOKEN=hf_…",
        f"{MODEL} answers on cpu-basic · costs nothing",
        f"hubtrain cancel space://{SPACE}",
        f"hubtrain rm space://{SPACE}",
    ):
        assert words in deployed.out, deployed.out


def test_it_answers_as_transformers_does(deployed: Said, hub: HubServer, model: Path) -> None:
    assert greedy(model) == HOSTILE
    assert client(hub, SPACE).predict(ASKED, api_name="/chat") == HOSTILE


def client(hub: HubServer, space: str) -> Any:
    """Return a client of a page as a program of ann's would use it."""
    headers = {"Authorization": f"Bearer {hub.tokens['ann']}", "Host": host(hub, space)}
    return Client(hub.endpoint, headers=headers, verbose=False)


def test_strangers_see_nothing(deployed: Said, hub: HubServer) -> None:
    assert hub.api().space_info(SPACE).private
    assert visit(hub, SPACE, user=None).status_code >= 400
    assert visit(hub, SPACE, user="bob").status_code >= 400


def test_no_secret_is_written_down(deployed: Said, laptop: Laptop, hub: HubServer) -> None:
    token = hub.tokens["ann"].encode()
    folder = Path(hub.api().snapshot_download(SPACE, repo_type="space"))
    written = [file.read_bytes() for file in (*files(folder), *files(laptop.home))]
    assert written and not any(token in one for one in written)
    assert token.decode() not in deployed.out + deployed.err
    assert visit(hub, SPACE).text and token.decode() not in visit(hub, SPACE).text
    assert set(hub.api().get_space_secrets(SPACE)) == {"HF_TOKEN"}


def files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


@pytest.mark.browser
def test_a_chat_in_a_browser_shows_html_as_text(deployed: Said, hub: HubServer) -> None:
    with chromium() as browser, visiting(browser) as page:
        log_in(page, hub)
        page.goto(f"{hub.endpoint}/spaces/{SPACE}")
        page.get_by_placeholder("Say something").fill(ASKED)
        page.keyboard.press("Enter")
        said = page.locator("[data-testid=bot]").first
        said.get_by_text(HOSTILE).wait_for(timeout=60_000)
        assert page.title() == MODEL
        assert page.locator("[data-testid=bot] img, [data-testid=bot] b").count() == 0


def test_the_same_command_again_makes_nothing_new(
    deployed: Said, laptop: Laptop, hub: HubServer
) -> None:
    before = hub.api().space_info(SPACE).sha
    hub.forget_requests()
    said = laptop.run("llm", "--deploy", "--model", MODEL, "--max-new-tokens", "64", "--detach")
    assert said.code == 0, said.out + said.err
    assert hub.requests("/api/repos/create") == []
    assert hub.api().space_info(SPACE).sha == before


def test_python_deploys_the_same(
    deployed: Said, laptop: Laptop, hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HF_ENDPOINT", "HF_TOKEN", "HUBTRAIN_HOME"):
        monkeypatch.setenv(name, laptop.environ[name])
    page = hubtrain.deploy(MODEL, max_new_tokens=64).wait(60)
    assert (page.handle, page.model, page.ready) == (f"space://{SPACE}", MODEL, True)
    assert page.url and not page.costing and page.to_dict()["flavor"] == "cpu-basic"
    with pytest.raises(hubtrain.CheckFailed, match="leave deploy_public=True out") as refused:
        hubtrain.deploy(MODEL, deploy_public=True)
    assert not refused.value.report.ok
    with pytest.raises(hubtrain.BadConfig, match="no setting 'sytem'"):
        hubtrain.deploy(MODEL, sytem="Be kind.")


def test_an_app_deploys_the_same_for_programs(
    deployed: Said, laptop: Laptop, tmp_path: Path
) -> None:
    own = {**laptop.environ, "HUBTRAIN_HOME": str(laptop.home)}
    with Application(tmp_path, environ=own) as app:
        asked = hubtrain.Client(app.url)
        page = asked.deploy(MODEL, max_new_tokens=64).wait(PATIENCE)
        assert (page.handle, page.model, page.ready) == (f"space://{SPACE}", MODEL, True)
        assert asked.deployment("tiny-chat").to_dict() == page.to_dict()
        assert page.cancel().stage == "PAUSED" and not page.ready
        assert [one.stage for one in asked.deployments()] == ["PAUSED"]
        with pytest.raises(hubtrain.CheckFailed, match="leave deploy_public") as refused:
            asked.deploy(MODEL, deploy_public=True)
        assert refused.value.report.findings
        assert asked.deploy(MODEL, max_new_tokens=64).wait(PATIENCE).ready


def test_a_dry_run_makes_nothing(laptop: Laptop, hub: HubServer) -> None:
    hub.forget_requests()
    said = laptop.run(
        "deploy", MODEL, "--deploy-name", "other", "--deploy-backend", "spaces-t4", "--dry-run"
    )
    assert said.code == 0, said.err
    assert "request t4-small at $0.40/h, asleep after 30 min without a visitor" in said.out
    assert "$0.40/h while it is awake" in said.out
    assert [r for r in hub.requests(method="POST") if "paths-info" not in r["path"]] == []


def test_a_sleep_that_nobody_heeds_is_said(laptop: Laptop) -> None:
    said = laptop.run(
        "deploy", MODEL, "--deploy-name", "other", "--deploy-sleep", "5m", "--dry-run"
    )
    assert said.code == 0, said.err
    assert "--deploy-sleep is not used: on cpu-basic, which is free, the Hub decides" in said.out


def test_a_space_of_somebody_else_is_left_alone(laptop: Laptop, hub: HubServer) -> None:
    hub.api().create_repo("ann/mine", repo_type="space", space_sdk="docker")
    said = laptop.run("deploy", MODEL, "--deploy-name", "mine")
    assert said.code != 0 and "was not made by `hubtrain deploy`" in said.err
    assert hub.api().list_repo_files("ann/mine", repo_type="space") == [".gitattributes"]
    kept = laptop.run("rm", "space://ann/mine")
    assert kept.code != 0 and hub.api().repo_exists("ann/mine", repo_type="space")


def test_what_fails_halfway_leaves_nothing(laptop: Laptop, hub: HubServer) -> None:
    hub.fault({"status": 400}, method="POST", path="/api/spaces/ann/broken/commit")
    said = laptop.run("deploy", MODEL, "--deploy-name", "broken", "--deploy-backend", "spaces-t4")
    assert said.code != 0 and "was removed again" in said.err
    assert not hub.api().repo_exists("ann/broken", repo_type="space")


def test_what_is_wrong_is_said_before_anything_is_made(laptop: Laptop, hub: HubServer) -> None:
    hub.forget_requests()

    def refused(*words: str) -> str:
        said = laptop.run("deploy", *words)
        assert said.code == 2, said.out + said.err
        return said.out + said.err

    assert "no model ann/nothing on the Hub" in refused("ann/nothing")
    assert "is a folder here" in refused("./nowhere")
    assert "is private, and a public page would show it" in refused(MODEL, "--deploy-public")
    text = refused(MODEL, "--deploy-backend", "spaces-t5")
    assert "spaces has no machine 't5'" in text and "spaces-t4-small" in text
    assert "cannot be deployed to 'mars'" in refused(MODEL, "--deploy-backend", "mars")
    text = refused("ann/vit", "--system", "Be kind.", "--top-k", "5")
    assert "--system, --top-k do nothing where a model of image-classification answers" in text
    text = refused(MODEL, "--deploy-backend", "endpoints", "--temperature", "0.5")
    assert "endpoints cannot keep --temperature: each request says" in text
    assert "--deploy-backend spaces" in text
    text = refused(MODEL, "--system", f"never say {hub.tokens['ann']}")
    assert "--system holds a secret" in text and hub.tokens["ann"] not in text
    assert hub.requests("/api/repos/create") == []


def test_it_is_listed_stopped_and_deleted(deployed: Said, laptop: Laptop, hub: HubServer) -> None:
    listed = laptop.run("jobs")
    assert (
        listed.code == 0 and f"space://{SPACE}" in listed.out and "Nothing costs now" in listed.out
    )
    assert "nothing is left over" in (swept := laptop.run("gc")).out.lower(), swept.out
    assert f"space://{SPACE} · {MODEL} on cpu-basic" in swept.out
    stopped = laptop.run("cancel", "tiny-chat")
    assert stopped.code == 0 and "(paused)" in stopped.out, stopped.out + stopped.err
    assert hub.api().get_space_runtime(SPACE).stage == "PAUSED"
    again = laptop.run("deploy", MODEL, "--max-new-tokens", "64")
    assert again.code == 0, again.err
    assert hub.api().get_space_runtime(SPACE).stage == "RUNNING"
    assert laptop.run("rm", f"space://{SPACE}").code == 0
    assert not hub.api().repo_exists(SPACE, repo_type="space")
    assert f"space://{SPACE}" not in laptop.run("jobs").out


FORM = """
import json, sys
import gradio as gr
from worker.serve.page import form_page
from worker.tasks.llm import TASK
from worker.tasks.llm.heads.masked import MASKED

folder = sys.argv[1]
page = form_page("m", MASKED.page(), lambda a: TASK.answer(folder, TASK.question(**a)))
told = {"answer": json.loads(page.fn("the quick [MASK]"))}
for wrong in ("the quick fox", ""):
    try:
        page.fn(wrong)
    except gr.Error as error:
        told[wrong] = error.message
sys.stdout.write(json.dumps(told))
"""
"""A process of its own, since gradio leaves event loops open."""


def test_a_masked_model_has_a_form(tmp_path: Path) -> None:
    folder = tiny_bert.write_model(tmp_path / "bert")
    command = [sys.executable, "-c", FORM, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["answer"]["text"].startswith("the quick ")
    assert len(told["answer"]["tokens"][0]) == 5
    assert told["the quick fox"] == "nothing is hidden in the prompt."
    assert "Traceback" not in told[""] and told[""]


def test_a_public_model_is_read_without_a_token(
    laptop: Laptop, hub: HubServer, model: Path
) -> None:
    push(hub, "ann/open", model, private=False)
    said = laptop.run("deploy", "ann/open", "--deploy-public", "--dry-run", "--json")
    assert said.code == 0, said.err
    plan = said.document["plan"]
    assert plan["private"] is False and "secret" not in " ".join(plan["steps"])
    assert {"Dockerfile", "deployment.json", "worker/serve/page.py"} <= {
        file["path"] for file in plan["files"]
    }


def test_an_adapter_that_was_trained_is_deployed(
    laptop: Laptop, hub: HubServer, tmp_path: Path
) -> None:
    rows = write_rows(tmp_path / "rows.jsonl", chats(8))
    train = ("llm", "--train", "--deploy", "--trainer", "sft", "--peft", "--model", MODEL)
    job = (*train, "--data-path", str(rows), "--project-name", "bot", "--block-size", "64")
    refused = laptop.run(*job)
    assert refused.code == 2 and "--deploy needs the trained model on the Hub" in refused.err
    small = laptop.run(*job, "--push-to-hub", "--deploy-backend", "spaces-t5", "--json")
    told = json.loads(small.out)
    assert small.code == told["exit_code"] == 2
    assert told.keys() == {*Failure.model_fields, "deployment"}
    assert "spaces has no machine 't5'" in small.out
    reader = {"HUBTRAIN_READ_TOKEN": hub.tokens["ann"]}
    dry = laptop.run(*job, "--push-to-hub", "--dry-run", "--json", **reader)
    told = dry.document["deployment"]
    assert dry.code == 0 and "error" not in {f["level"] for f in told["findings"]}, "not there yet"
    assert (told["ok"], told["deployment"]) == (True, "space://ann/bot-chat")
    assert told["plan"]["private"] and told["usd_per_hour"] == 0
    said = laptop.run(*job, "--push-to-hub", "--epochs", "1", "--max-steps", "2")
    assert said.code == 0, said.out + said.err
    assert "Deployment of ann/bot, once it is trained:" in said.out
    assert f"ann/bot @ {str(hub.api().model_info('ann/bot').sha)[:7]} · adapter for" in said.out
    assert "ann/bot answers on cpu-basic" in said.out
    assert isinstance(client(hub, "ann/bot-chat").predict(ASKED, api_name="/chat"), str)
    again = laptop.run(*job, "--push-to-hub", "--epochs", "1", "--max-steps", "2", "--json")
    told = json.loads(again.out)  # one document
    assert again.code == 0 and (told["state"], told["project"]) == ("succeeded", "bot")
    assert told["deployment"]["deployment"] == "space://ann/bot-chat"
    assert laptop.run("rm", "space://ann/bot-chat").code == 0


def test_a_model_that_is_too_large_is_told_where_it_fits(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    facts = ModelFacts("big", 7_000_000_000, config={"hidden_size": 4096, "num_hidden_layers": 32})
    big = Deployable(TASK, Page("text-generation"), ModelRef(name="big"), facts, 14e9, False, False)
    assert 16e9 < needed_bytes(big) < 24e9
    flavors = Spaces(hub.tokens["ann"], Impatient()).flavors("ann")
    found = Findings()
    check_room(big, next(f for f in flavors if f.name == "cpu-basic"), flavors, "spaces", found)
    (finding,) = found.in_order()
    assert finding.level == "error" and "of 16.0 GB on cpu-basic" in finding.text
    assert finding.fix == (
        "--deploy-backend spaces-cpu-upgrade ($0.03/h) or --deploy-backend spaces-l4x1 ($0.80/h)"
    )


def test_the_least_token_reads_the_model(laptop: Laptop, hub: HubServer) -> None:
    other = ("deploy", MODEL, "--deploy-name", "other", "--dry-run")
    said = laptop.run(*other, HUBTRAIN_READ_TOKEN=hub.tokens["ann"])
    assert said.code == 0 and "with the token in HUBTRAIN_READ_TOKEN" in said.out
    said = laptop.run(*other, HUBTRAIN_READ_TOKEN=hub.tokens["bob"])
    assert said.code == 2, "bob cannot read it"
    assert "✗ account" in said.out and "HUBTRAIN_READ_TOKEN" in said.out
