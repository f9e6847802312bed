"""Jobs tried on a Hub of this machine before they cost: real settings, Space and worker."""

from __future__ import annotations

import json
import stat
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import transformers
from standins.containers import docker, worker_image
from standins.laptop import Laptop, processes
from standins.localhub import HubServer
from standins.waiting import PATIENCE, until
from tiny_llm import chats, write_model, write_rows

import hubtrain
from orchestrator.localhub import RunningHub, running_hub
from orchestrator.rehearsal import kept
from orchestrator.rehearsal.documents import Outcome, Report
from orchestrator.rehearsal.mirror import Lending
from orchestrator.rehearsal.progress import Halted
from worker.contract import ModelRef
from worker.engine.small import make_small

SMALL = ("--batch-size", "1", "--gradient-accumulation", "1", "--model-max-length", "64")


@pytest.fixture(scope="module")
def laptop(shared_hub: HubServer, tmp_path_factory: pytest.TempPathFactory) -> Laptop:
    """A laptop with data, on a Hub that has a good base model and one whose weights do not fit."""
    folder = tmp_path_factory.mktemp("laptop")
    good = write_model(folder / "good")
    bad = write_model(folder / "bad")
    config = json.loads((bad / "config.json").read_text())
    (bad / "config.json").write_text(json.dumps(config | {"intermediate_size": 256}))
    for name, model in (("ann/good", good), ("ann/bad", bad)):
        shared_hub.api().create_repo(name)
        shared_hub.api().upload_folder(repo_id=name, folder_path=model)
    write_rows(folder / "chats.jsonl", chats(40))
    return Laptop(folder / "home", shared_hub)


def job(model: str, backend: str) -> tuple[str, ...]:
    return (
        *("rehearse", "llm", "--train", "--trainer", "sft", "--peft", "--model", model),
        *("--data-path", "chats.jsonl", "--project-name", "bot", "--backend", backend),
        *("--push-to-hub", "--json", "--epochs", "1000", *SMALL),
    )


def repos(hub: HubServer) -> list[str]:
    """Everything that the user has on the Hub where money is spent."""
    api = hub.api()
    spaces = [s.id for s in api.list_spaces(author="ann")]
    data = [d.id for d in api.list_datasets(author="ann")]
    return sorted([*spaces, *data, *(m.id for m in api.list_models(author="ann"))])


def test_a_rehearsal_that_is_killed_leaves_nothing_that_runs(
    laptop: Laptop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it had is removed by the next one."""
    scratch = str(laptop.home / "scratch")

    def runs() -> bool:
        return any("--train" in words for words in processes(scratch).values())

    process = laptop.start(*job("ann/good", "jobs-cpu-basic"))
    until(runs, 2 * PATIENCE)
    process.kill()
    process.communicate()
    until(lambda: not processes(scratch))
    monkeypatch.setenv("HUBTRAIN_HOME", str(laptop.home))
    assert Outcome.LOST in {one.outcome for one in kept.reports()}


@pytest.mark.slow
@pytest.mark.timeout(280)
def test_a_rehearsal_shows_that_the_job_works_and_leaves_nothing(laptop: Laptop) -> None:
    said = laptop.run(*job("ann/good", "spaces-a10g-small"))
    assert said.code == 0, said.err + said.out
    assert "Warning" not in said.err, "what it keeps is what it says it keeps"
    told = said.document
    assert told["ok"]
    assert (told["job"]["state"], told["job"]["step"]) == ("succeeded", 3)
    assert told["job"]["costing"] is False
    shown = {f["topic"]: f["text"] for f in told["proved"]}
    assert "40 rows packed" in shown["data"]
    assert "3 steps done, loss" in shown["training"]
    assert "adapter at ann/bot" in shown["push"]
    assert (
        "GPUs of spaces-a10g-small" in {f["topic"]: f["text"] for f in told["not_proved"]}["memory"]
    )
    assert repos(laptop.hub) == ["ann/bad", "ann/good"]
    assert laptop.hub.admin("GET", "bills") == []
    assert laptop.jobs() == []
    assert told["took"] and told["memory_bytes"] > 1e6
    assert "jobs-a10g-small" in {one["backend"] for one in told["offers"]["offers"]}
    path = laptop.home / "rehearsals" / told["rehearsal"] / kept.FILE
    report = Report.model_validate_json(path.read_bytes())
    assert (report.outcome, report.backend) == (Outcome.SUCCEEDED, "spaces-a10g-small")
    assert [one.text for one in report.proved] == [one["text"] for one in told["proved"]]
    assert laptop.environ["HF_TOKEN"] not in path.read_text()
    assert list((laptop.home / "scratch").iterdir()) == []
    assert processes(str(laptop.home / "scratch")) == {}


def test_python_is_told_in_its_own_words_that_there_is_nothing_to_rehearse(
    laptop: Laptop, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in laptop.environ.items():
        monkeypatch.setenv(name, value)
    data = laptop.home.parent / "chats.jsonl"
    with pytest.raises(hubtrain.BadConfig, match="rents nothing") as refused:
        hubtrain.rehearse("llm-sft", model="ann/good", data_path=data, project_name="bot")
    assert "max_steps=3" in refused.value.fix
    with pytest.raises(hubtrain.BadConfig, match="'process' or 'docker', not 'podman'"):
        hubtrain.rehearse("llm-sft", runner="podman")


@pytest.mark.campaign
@pytest.mark.timeout(900)
def test_a_rehearsal_with_docker_builds_the_image_and_runs_in_it(laptop: Laptop) -> None:
    worker_image()  # whose layers are those of the Space
    words = job("ann/good", "spaces-cpu-basic")
    said = laptop.run("rehearse", "--runner", "docker", *words[1:])
    assert said.code == 0, said.err + said.out
    assert "built" in {f["topic"]: f["text"] for f in said.document["proved"]}["image"]
    assert "image" not in {f["topic"] for f in said.document["not_proved"]}
    assert docker("ps", "--all", "--quiet", "--filter", "label=localhub") == ""


@pytest.mark.slow
@pytest.mark.timeout(280)
def test_a_rehearsal_finds_what_the_check_cannot_see(laptop: Laptop) -> None:
    said = laptop.run(*job("ann/bad", "jobs-cpu-basic"))
    assert said.code == 1, said.err + said.out
    told = said.document
    assert not told["ok"]
    assert told["job"]["state"] == "failed"
    assert "training" not in {f["topic"] for f in told["proved"]}
    path = laptop.home / "rehearsals" / told["rehearsal"] / kept.FILE
    report = Report.model_validate_json(path.read_bytes())
    assert report.outcome is Outcome.FAILED and report.error == told["job"]["message"]
    assert repos(laptop.hub) == ["ann/bad", "ann/good"]


def test_what_rents_nothing_is_not_rehearsed(laptop: Laptop) -> None:
    said = laptop.run(*job("ann/good", "local"))
    assert said.code == 2
    assert "rents nothing" in said.document["error"]


def begun(name: str, **more: Any) -> Report:
    began = datetime.now(UTC)
    what = {"project": "bot", "task": "llm", "backend": "jobs-t4-small", "began_at": began}
    return Report(**{**what, "rehearsal": name, **more})


def test_only_the_last_reports_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUBTRAIN_HOME", str(tmp_path))
    first = datetime.now(UTC) - timedelta(days=1)
    names = [f"{n:06}".translate(str.maketrans("01", "xy")) for n in range(kept.MOST + 3)]
    for n, name in enumerate(names):
        kept.make_room()
        at = first + timedelta(minutes=n)
        kept.write(begun(name, began_at=at, outcome=Outcome.SUCCEEDED))
    assert [one.rehearsal for one in kept.reports()] == names[: -kept.MOST - 1 : -1]
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700 or sys.platform == "win32"


def test_a_report_says_how_it_is_whoever_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUBTRAIN_HOME", str(tmp_path))
    kept.write(begun("abcdef", doing="training"))
    with kept.held("abcdef"):
        assert kept.get("abcdef").outcome is Outcome.RUNNING
        running = kept.running()
        assert running and running.doing == "training"
        kept.halt("abcdef")
        assert kept.halted("abcdef")
    lost = kept.get("abcdef")  # its process has ended, and told no end
    assert lost.outcome is Outcome.LOST and kept.running() is None
    (tmp_path / "rehearsals" / "abcdef" / kept.FILE).write_text("{")
    with pytest.raises(hubtrain.BadConfig, match="cannot be read"):
        kept.get("abcdef")
    assert kept.reports() == []
    (tmp_path / "report.json").write_text(begun("abcdef").model_dump_json())
    for name in ("..", "../..", "/etc", "nobody", ""):
        with pytest.raises(hubtrain.BadConfig, match="no report"):
            kept.get(name)
        kept.halt(name)
    assert not (tmp_path / "halt").exists()


def test_what_is_fetched_is_let_go_when_its_user_stops_it(
    laptop: Laptop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop() -> None:
        assert processes("worker.snapshot")
        raise Halted("stopped")

    ref = ModelRef(name="ann/good", revision=laptop.hub.api().model_info("ann/good").sha)
    there = RunningHub("http://127.0.0.1:9", {}, tmp_path, 0)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))  # where nothing is fetched yet
    laptop.hub.fault({"delay": PATIENCE}, path="/ann/good/resolve/")
    with pytest.raises(Halted):
        Lending(laptop.hub.api(), there, "llm", goes_on=stop).model(ref)
    laptop.hub.clear_faults()
    assert not processes("worker.snapshot")


@pytest.mark.slow
def test_large_weights_are_lent_as_small_ones(laptop: Laptop, tmp_path: Path) -> None:
    ref = ModelRef(name="ann/good", revision=laptop.hub.api().model_info("ann/good").sha)
    with running_hub(tmp_path, ["ann"]) as there:
        lending = Lending(laptop.hub.api(), there, "llm", whole_bytes=0)
        lent = lending.model(ref)
        assert (lent.name, lent.real) == ("ann/good", False)
        loaded = tmp_path / "loaded"
        from huggingface_hub import HfApi

        HfApi(there.endpoint, token=there.tokens["ann"]).snapshot_download(
            "ann/good", local_dir=loaded
        )
    model = transformers.AutoModelForCausalLM.from_pretrained(loaded)
    assert isinstance(model, transformers.LlamaForCausalLM)
    assert model.config.vocab_size == 304
    assert transformers.AutoTokenizer.from_pretrained(loaded).chat_template


ARCHITECTURES = {
    "LlamaForCausalLM": {"vocab_size": 500, "hidden_size": 512, "num_hidden_layers": 6},
    "Qwen3ForCausalLM": {"vocab_size": 500, "num_hidden_layers": 4},
    "Gemma2ForCausalLM": {"vocab_size": 500, "num_hidden_layers": 4},
    "Phi3ForCausalLM": {"vocab_size": 500, "pad_token_id": 0, "num_hidden_layers": 4},
    "MixtralForCausalLM": {"vocab_size": 500, "num_hidden_layers": 4},
    "GPT2LMHeadModel": {"vocab_size": 500},
    "RobertaForMaskedLM": {"vocab_size": 500},
    "T5ForConditionalGeneration": {"vocab_size": 500},
    "ViTForImageClassification": {"num_labels": 3},
}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_small_model_has_the_parts_of_the_large_one(name: str, tmp_path: Path) -> None:
    kind = getattr(transformers, name)
    config = kind.config_class(**ARCHITECTURES[name], architectures=[name])
    config.save_pretrained(tmp_path / "large")
    made = make_small(tmp_path / "large", tmp_path / "small")
    assert made.parameters < 1_000_000
    assert made.before
    small = kind.from_pretrained(tmp_path / "small")
    import torch

    with torch.device("meta"):
        large = kind(config)

    def kinds(model: torch.nn.Module) -> set[str]:
        return {n.rpartition(".")[2] for n, m in model.named_modules() if not list(m.children())}

    assert kinds(small) == kinds(large)
