"""The check before anything is rented, against a real local Hub and the real task."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import HfApi
from standins.localhub import HubServer
from standins.preflight import CHATS, Asking, errors, model, only_error, said
from test_lm_eval import written

from backends.packages import missing
from orchestrator.preflight.places import places
from orchestrator.preflight.project import allowed, check_output, cleaned
from orchestrator.preflight.report import Findings
from worker.account import who
from worker.clock import SystemClock
from worker.installing import install
from worker.output import put
from worker.tasks import load


@pytest.fixture(scope="module")
def hub(shared_hub: HubServer, tmp_path_factory: pytest.TempPathFactory) -> HubServer:
    """A local Hub with some models on it."""
    api = shared_hub.api("ann")
    shared_hub.admin("POST", "users", {"name": "carl", "plan": "free"})
    folder = tmp_path_factory.mktemp("models")
    made = {
        "ann/small": model(folder / "small"),
        "ann/gated": model(folder / "gated"),
        "ann/large": model(folder / "large", 70_000_000_000),
        "ann/medium": model(folder / "medium", 3_000_000_000),
        "ann/coded": model(folder / "coded", model_type="ownkind", auto_map={"AutoModel": "m.M"}),
    }
    for repo, path in made.items():
        api.create_repo(repo)
        card = "---\nlicense: mit\n---\n"
        (path / "README.md").write_text(card)
        api.upload_folder(repo_id=repo, folder_path=path)
    api.update_repo_settings("ann/gated", gated="manual")
    api.create_repo("ann/adapter")
    api.upload_file(
        repo_id="ann/adapter",
        path_in_repo="adapter_config.json",
        path_or_fileobj=json.dumps({"base_model_name_or_path": "ann/small"}).encode(),
    )
    return shared_hub


@pytest.fixture
def ask(hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asking:
    """Let somebody with chats and the models of the Hub have a job checked."""
    return Asking.of(hub, tmp_path, monkeypatch)


# what is right


def test_a_job_that_is_right_is_described(ask: Asking, hub: HubServer) -> None:
    hub.forget_requests()
    report = ask(valid_split="0.1")
    assert report.ok, errors(report)
    topics = [f.topic for f in report.findings]
    assert topics == sorted(
        topics, key=["account", "project", "model", "data", "memory", "price"].index
    )
    right = "ann (PRO) · token can write ann/bot · Docker Spaces allowed"
    assert said(report, "account").startswith(f"{right}\n"), "and that the token can do too much"
    commit = hub.api().model_info("ann/small").sha
    assert said(report, "model") == (
        f"ann/small @ {str(commit)[:7]} · 150 M parameters, bf16 · mit · not gated"
    )
    assert "chats.jsonl · 36 conversations · 10% held out" in said(report, "data")
    assert "of 16 GB on t4-small · LoRA r16" in said(report, "memory")
    assert " at $0.40/h  →  $" in said(report, "price") and "would fit too" in said(report, "price")
    assert report.model
    assert (report.model.revision, report.flavor.name, report.owner) == (commit, "t4-small", "ann")
    assert report.known.data.rows == 36
    assert report.push is not None and report.push.repo_id == "ann/bot"
    assert json.loads(json.dumps(report.to_json()))["estimate"]["usd"]["low"] > 0
    assert len(hub.requests(path="whoami")) == 1, "the Hub allows few of these"
    assert not hub.requests(method="POST"), "a check creates nothing"


def test_files_of_one_name_cannot_go_along(ask: Asking, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    both = f"{written(tmp_path)},{written(tmp_path / 'other')}"
    wrong = only_error(ask(lm_eval=both))
    assert "two files that go along have the same name" in wrong.text
    assert str(tmp_path / "other" / "foxes.yaml") in wrong.text and wrong.fix == "Rename one."


def test_a_local_job_needs_no_token_and_no_hub(ask: Asking, hub: HubServer, tmp_path: Path) -> None:
    folder = model(tmp_path / "mine", parameters=1_000_000)
    hub.forget_requests()
    report = ask(user=None, backend="local", model=str(folder))
    assert report.ok, errors(report)
    assert report.model and report.model.name == str(folder) and report.model.revision is None
    assert "nothing to pay" in said(report, "price")
    assert report.owner is None
    assert not hub.requests(), "nobody was asked"
    rows, push = str(tmp_path / "chats.jsonl"), {"repo_id": "ann/bot"}
    given: dict[str, Any] = {"data_path": rows, "valid_split": rows, "job": push}
    report = ask(user=None, backend="local", model=str(folder), **given)
    assert report.ok and "--repo-id ann/bot is not used" in said(report, "project")
    assert "is what is trained on" in said(report, "data")


def test_a_package_that_this_machine_lacks_is_told(ask: Asking, tmp_path: Path) -> None:
    if not (lacking := [name for name in ("trackio", "wandb") if missing((name,))]):
        pytest.skip("every tracker is installed here")
    base = str(model(tmp_path / "mine", parameters=1_000_000))
    local = ask(user=None, backend="local", model=base, log=lacking[0])
    wrong = next(f for f in errors(local) if f.topic == "backend")
    assert wrong.text == f"Training here needs {lacking[0]}."
    assert wrong.fix == f"{install(('llm', lacking[0]))}, or rent with --backend spaces-…"
    assert not [f for f in errors(ask(log=lacking[0])) if f.topic == "backend"], "an image has it"


def test_the_cheapest_machine_that_fits_is_chosen(ask: Asking) -> None:
    report = ask(flavor=None)
    assert report.ok and report.flavor.usd_per_hour == 0
    report = ask(flavor=None, model="ann/large", quantization="int4")
    assert report.ok and report.flavor.vram_bytes / report.flavor.accelerators > 35e9


def test_a_dataset_of_the_hub_is_pinned_and_used_in_place(ask: Asking, hub: HubServer) -> None:
    api = hub.api()
    api.create_repo("ann/chats", repo_type="dataset")
    for split in ("train", "test"):
        api.upload_file(
            repo_id="ann/chats",
            repo_type="dataset",
            path_in_repo=f"{split}.jsonl",
            path_or_fileobj=CHATS.encode(),
        )
    report = ask(data_path="ann/chats", valid_split="test")
    assert report.ok, errors(report)
    remote = report.source.remote
    assert remote is not None and remote.revision == api.dataset_info("ann/chats").sha
    assert (remote.train, remote.valid) == (("train.jsonl",), ("test.jsonl",))
    assert "used where it is" in said(report, "data")
    assert report.known.data.valid_rows == 40


# what is wrong, each in one message


def test_everything_wrong_is_listed_at_once(ask: Asking, tmp_path: Path) -> None:
    data = tmp_path / "reviews.csv"
    data.write_text("review,stars\nfine,5\n")
    report = ask(user="bob", project="my bot!", model="ann/gated", data_path=str(data))
    assert [f.topic for f in errors(report)] == ["account", "project", "model", "data"]
    assert 'no column "text" in reviews.csv' in said(report, "data")
    assert "gated and bob has not accepted" in said(report, "model")
    assert report.facts is None


def test_no_token(ask: Asking) -> None:
    wrong = only_error(ask(user=None))
    assert (
        wrong.topic == "account" and "no Hub token" in wrong.text and "hf auth login" in wrong.fix
    )


def test_a_token_the_hub_does_not_know(ask: Asking) -> None:
    wrong = only_error(ask(token="hf_" + "x" * 34))
    assert wrong.topic == "account" and "does not accept this token" in wrong.text


def test_a_token_that_can_only_read(ask: Asking) -> None:
    wrong = only_error(ask(user="bob"))
    assert "can read but not write. Make one with write access to bob/bot" in wrong.text


def test_another_ones_namespace(ask: Asking) -> None:
    wrong = only_error(ask(job={"username": "bob"}))
    assert (wrong.text, wrong.fix) == ("ann is no member of bob.", "--username ann")


def test_a_fine_grained_token_without_the_right(ask: Asking, hub: HubServer) -> None:
    scope = {"entity": {"type": "user", "name": "ann"}, "permissions": ["repo.content.read"]}
    made = hub.admin("POST", "tokens", {"user": "ann", "role": "fineGrained", "scoped": [scope]})
    wrong = only_error(ask(token=made["token"]))
    assert "this fine-grained token may not write ann/bot" in wrong.text


def test_a_token_for_the_model_repo_alone_cannot_make_the_machine(
    ask: Asking, hub: HubServer
) -> None:
    scope = {"entity": {"type": "model", "name": "ann/bot"}, "permissions": ["repo.write"]}
    made = hub.admin("POST", "tokens", {"user": "ann", "role": "fineGrained", "scoped": [scope]})
    wrong = only_error(ask(token=made["token"]))
    assert wrong.text == (
        "this fine-grained token may not write ann/bot-… and ann/hubtrain-data-…: it lacks "
        "`repo.write` there."
    )
    base = model(hub.data.parent / "alone", parameters=1_000_000)
    local = ask(token=made["token"], backend="local", model=str(base), job={"push_to_hub": True})
    assert not [f for f in errors(local) if f.topic == "account"], "it makes no other repo"


def test_a_free_account_is_told_where_it_can_train(ask: Asking, hub: HubServer) -> None:
    made = hub.admin("POST", "tokens", {"user": "carl", "role": "write"})
    wrong = only_error(ask(token=made["token"]))
    assert "Docker Spaces need a paid plan, and carl has none" in wrong.text
    assert wrong.text.endswith(f"{hub.endpoint}/pro")
    assert re.fullmatch(r"--backend .*\bjobs\b.*\blocal\b.* needs no paid plan", wrong.fix)


def test_it_is_said_which_places_of_the_hub_an_account_may_use(hub: HubServer) -> None:
    def told(token: str) -> dict[str, str]:
        account = who(HfApi(endpoint=hub.endpoint, token=token), SystemClock())
        return {line.topic: line.text for line in places(account)}

    made = hub.admin("POST", "tokens", {"user": "carl", "role": "write"})["token"]
    ann, carl = told(hub.tokens["ann"]), told(made)
    assert ann["jobs"].startswith("preferred for ann: it costs nothing once its program has ended")
    assert ann["spaces"] == "allowed for ann"
    assert carl["jobs"].startswith("preferred for carl")
    assert carl["spaces"].startswith("Docker Spaces need a paid plan, and carl has none")
    hub.admin("PUT", "machines", {"credits": {"carl": False}})
    try:
        assert told(made)["jobs"].startswith("Jobs need pre-paid credit, and carl has none")
    finally:
        hub.admin("PUT", "machines", {"credits": {"carl": True}})


def test_a_repo_that_holds_a_model_is_not_written_over(ask: Asking) -> None:
    wrong = only_error(ask(project="small").refused())
    assert "ann/small already holds" in wrong.text and "--overwrite" in wrong.fix
    over = ask(project="small", job={"overwrite": True})
    assert over.ok and not over.held


def test_what_somebody_wrote_into_a_repo_is_not_written_over(ask: Asking, hub: HubServer) -> None:
    api = hub.api("ann")
    api.create_repo("ann/begun")
    assert not ask(project="begun").held, "the Hub's own .gitattributes is nobody's"
    api.upload_file(repo_id="ann/begun", path_in_repo="README.md", path_or_fileobj=b"mine")
    wrong = only_error(ask(project="begun").refused())
    assert wrong.text == "ann/begun already holds 1 file: README.md."


def test_a_folder_that_holds_something_is_not_written_over(ask: Asking, tmp_path: Path) -> None:
    base = str(model(tmp_path / "mine", parameters=1_000_000))
    local = partial(ask, user=None, backend="local", model=base, output=tmp_path / "bot")
    (tmp_path / "bot").mkdir()
    assert not local().held, "an empty folder is as good as none"
    (tmp_path / "bot" / "README.md").write_text("mine")
    wrong = only_error(local().refused())
    assert wrong.text == f"{tmp_path / 'bot'} already holds 1 file: README.md."
    assert wrong.fix == "--overwrite, or another --project-name"
    assert wrong in local(data_path="nowhere.jsonl").findings, "all that is wrong is said at once"
    assert not local(job={"overwrite": True}).held
    (tmp_path / "bot" / "README.md").unlink()
    put(tmp_path / "mine", tmp_path / "bot", "k4x", overwrite=False)
    assert [held.job_id for held in local().held] == ["k4x"]
    for continued, held in (("k4y",), ["k4x"]), (("k4x", "k4y"), []):
        findings = Findings()
        check_output(tmp_path / "bot", False, continued, findings)
        assert [one.job_id for one in findings.held] == held


def test_a_file_of_the_projects_name_is_refused(ask: Asking, tmp_path: Path) -> None:
    base = str(model(tmp_path / "mine", parameters=1_000_000))
    (tmp_path / "bot").write_text("mine")
    local = partial(ask, user=None, backend="local", model=base, output=tmp_path / "bot")
    for job in ({}, {"overwrite": True}):
        wrong = only_error(local(job=job))
        assert wrong.text == f"{tmp_path / 'bot'} is a file, and the model is a folder."
        assert wrong.fix == "--project-name bot-model"


def test_a_machine_that_forgets_its_disk_needs_a_place_for_the_model(
    ask: Asking,
) -> None:
    assert only_error(ask(job={"push_to_hub": False})).fix == "--push-to-hub"


def test_no_such_model(ask: Asking) -> None:
    wrong = only_error(ask(model="ann/smal"))
    assert wrong.topic == "model" and "no model ann/smal on the Hub" in wrong.text
    assert wrong.fix == "--model ann/small"


@pytest.mark.parametrize("name", ["a/b/c", "my model", "..", "./nowhere"])
def test_a_model_that_cannot_be(ask: Asking, name: str) -> None:
    assert only_error(ask(model=name)).topic == "model"


def test_an_adapter_is_not_a_base_model(ask: Asking) -> None:
    wrong = only_error(ask(model="ann/adapter"))
    assert "is a LoRA adapter for ann/small" in wrong.text and "--model ann/small" in wrong.fix


def test_code_of_a_models_own_needs_a_yes(ask: Asking) -> None:
    assert "--trust-remote-code" in only_error(ask(model="ann/coded")).fix
    assert ask(model="ann/coded", trust_remote_code=True).ok


def test_a_folder_cannot_be_reached_from_a_space(ask: Asking, tmp_path: Path) -> None:
    wrong = only_error(ask(model=str(model(tmp_path / "mine"))))
    assert "a folder of this machine" in wrong.text and "hf upload" in wrong.fix


def test_broken_and_empty_data(ask: Asking, tmp_path: Path) -> None:
    data = tmp_path / "rows.jsonl"
    data.write_text(CHATS + '{"messages": ')
    assert "line 41 is not JSON" in only_error(ask(data_path=str(data))).text
    data = tmp_path / "rows.csv"
    data.write_text("text\n")
    assert "has columns and no rows" in only_error(ask(data_path=str(data))).text
    data.write_text('text,n\n"",1\n"",2\n')
    assert "no row has anything to learn" in said(ask(data_path=str(data)), "data")
    assert "no file or folder" in only_error(ask(data_path=str(tmp_path / "rows.jsnl"))).text
    with zipfile.ZipFile(data := tmp_path / "rows.zip", "w") as archive:
        archive.writestr("train.jsonl", CHATS)
        archive.writestr("../more.jsonl", CHATS)
    assert "rows.zip: left out are files whose paths lead out of the zip: ../more.jsonl" in said(
        ask(data_path=str(data)), "data"
    )


def test_a_role_the_template_does_not_know(ask: Asking, tmp_path: Path) -> None:
    data = tmp_path / "rows.jsonl"
    data.write_text(CHATS + '{"messages": [{"role": "narrator", "content": "x"}]}\n')
    assert "line 41" in only_error(ask(data_path=str(data))).text


def test_a_machine_that_is_too_small_names_one_that_fits(ask: Asking) -> None:
    wrong = only_error(ask(model="ann/large", quantization="int4"))
    assert wrong.topic == "memory" and "and t4-small has" in wrong.text
    assert wrong.fix.startswith("--backend spaces-") and "fits: about" in wrong.fix


def test_a_flavor_nobody_rents_out(ask: Asking) -> None:
    wrong = only_error(ask(flavor="t5-small"))
    assert wrong.topic == "backend" and "t4-small" in wrong.text


def test_a_cap_below_the_least_cost(ask: Asking) -> None:
    wrong = only_error(ask(job={"max_cost": 0.001}))
    assert wrong.topic == "price" and "--max-cost" in wrong.fix
    assert ask(job={"max_cost": 5.0}).ok


def test_a_gpu_without_bfloat16(ask: Asking) -> None:
    assert only_error(ask(mixed_precision="bf16")).fix == "--mixed-precision fp16"


# the network


def test_a_hub_that_stumbles_is_asked_again(ask: Asking, hub: HubServer) -> None:
    try:
        hub.fault({"status": 503}, path="whoami|/api/models/ann/small", times=3)
        assert ask().ok
    finally:
        hub.clear_faults()


def test_a_hub_that_does_not_answer_is_said_once(
    ask: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{taken.getsockname()[1]}")
        wrong = only_error(ask())
    assert "no answer from http://127.0.0.1" in wrong.text and "Check the network" in wrong.fix


# names, and what a laptop needs


@pytest.mark.parametrize(
    ("name", "better"),
    [
        ("my bot!", "my-bot"),
        ("--a..b--", "a.b"),
        ("x" * 120, "x" * 89),
        ("größe", "gr-e"),
        ("a.git", "a"),
        ("!", "my-model"),
    ],
)
def test_a_name_that_is_not_allowed_is_cleaned(name: str, better: str) -> None:
    assert not allowed(name) and cleaned(name) == better and allowed(better)


def test_a_check_imports_nothing_heavy() -> None:
    heavy = {"torch", "transformers", "datasets", "gradio", "pandas"}
    code = (
        "import sys, orchestrator.preflight, orchestrator.data.package, worker.tasks.llm;"
        f"print({heavy!r} & set(sys.modules))"
    )
    out = subprocess.check_output([sys.executable, "-c", code], text=True, env=dict(os.environ))
    assert out.strip() == "set()"


# several GPUs


def test_a_model_that_no_gpu_holds_is_divided_among_several(ask: Asking) -> None:
    report = ask(model="ann/medium", peft=False, flavor="a10g-largex4")
    assert report.ok
    assert "the model shared by 4 GPUs of a10g-largex4" in said(report, "memory")
    two = ask(peft=False, flavor="a10g-largex4")
    assert two.parallel.processes == 4 and two.parallel.strategy == "ddp"
    assert "the model on each of 4 GPUs of a10g-largex4" in said(two, "memory")


def test_rows_that_gpus_cannot_divide_say_how_many_they_can(ask: Asking, tmp_path: Path) -> None:
    wrong = only_error(ask(flavor="a10g-largex4", batch_size=1, gradient_accumulation=2))
    assert wrong.fix.startswith("--gradient-accumulation 4")
    wrong = only_error(ask(flavor="a10g-largex4", num_processes=8))
    assert "a10g-largex4 has 4 GPUs" in wrong.text
    pairs = tmp_path / "pairs.jsonl"
    pair = {"sentence1": "a fox", "sentence2": "a dog", "target": 0.5}
    pairs.write_text(9 * f"{json.dumps(pair)}\n")
    alone: dict[str, Any] = {"task": load("sentence_transformers"), "data_path": str(pairs)}
    found = errors(ask(flavor="a10g-largex4", num_processes=2, **alone))
    assert "pair_score trains in one process." in [one.text for one in found]
    rewarded: dict[str, Any] = {"trainer": "grpo", "reward_funcs": "think_format_reward"}
    four = ask(flavor="a10g-largex4", batch_size=8, **rewarded)
    assert four.ok and four.parallel.processes == 4, errors(four)
    shared = {"distributed_backend": "fsdp", "batch_size": 8, **rewarded}
    wrong = only_error(ask(flavor="a10g-largex4", **shared))
    assert "cannot divide its model among processes (fsdp)" in wrong.text
    assert wrong.fix.startswith("--distributed-backend ddp")
    idle = ask(flavor="a10g-largex4", num_processes=2)
    assert "2 of the 4 GPUs of a10g-largex4 would train" in said(idle, "backend")
