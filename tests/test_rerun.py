"""`hubtrain rerun`: what is believed of a manifest, what is told, and a training done once more."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from standins.laptop import Laptop
from standins.localhub import HubServer
from tiny_llm import chats, write_model, write_rows

from backends import image
from orchestrator import flow, original, rerunning
from orchestrator.jobs.client import Client
from orchestrator.jobs.diff import differences
from orchestrator.settings.layers import FLAGS
from orchestrator.verify import verified
from worker import tasks
from worker.contract import (
    DataRef,
    Event,
    Finished,
    JobSpec,
    Limits,
    Machine,
    Metric,
    ModelRef,
    PushTarget,
    Started,
    fold,
)
from worker.errors import BadConfig, HubError
from worker.manifest import MOST_BYTES, TrainedJob, manifest
from worker.params import settings_of

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
COMMIT = "c" * 40
LLM = tasks.load("llm")
VERSIONS = {"python": "3.11.9", "torch": "2.0.1"}


def job(params: Mapping[str, Any] | None = None, **changes: Any) -> JobSpec:
    asked = {"model": "eve/base", "data_path": "chats.jsonl", "trainer": "sft", "peft": True}
    about: dict[str, Any] = {
        "job_id": "k4x7qp",
        "project": "bot",
        "owner": "eve",
        "task": "llm",
        "params": LLM.params(**{**asked, "lr": 1e-3, **(params or {})}).model_dump(mode="json"),
        "model": ModelRef(name="eve/base", revision=COMMIT),
        "data": DataRef(
            repo_id="eve/hubtrain-data-0123456789ab",
            revision=COMMIT,
            train=("data/train-00000.parquet",),
            rows=40,
        ),
        "push": PushTarget(repo_id="eve/bot", private=False, overwrite=True),
        "limits": Limits(max_usd=500.0),
        "machine": Machine(backend="slurm", options={"slurm_host": "evil.example"}),
    }
    return JobSpec(**{**about, **changes})


def written(spec: JobSpec, *measured: Metric) -> dict[str, Any]:
    """Return what lies in `hubtrain.json` beside the model of a job."""
    started = Started(job_id=spec.job_id, at=NOON, versions=VERSIONS)
    events: list[Event] = [started, *(measured or [Metric(step=1, values={"loss": 2.0})])]
    events.append(Finished(at=NOON + timedelta(minutes=19)))
    told: dict[str, Any] = json.loads(
        manifest(TrainedJob(spec, events, NOON + timedelta(minutes=19))).to_text()
    )
    return told


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    """A user without jobs, in a folder of their own."""
    monkeypatch.setenv("HUBTRAIN_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return Client(given_token="none")


def found(client: Client, told: Mapping[str, Any] | str) -> original.Original:
    Path("model").mkdir(exist_ok=True)
    text = told if isinstance(told, str) else json.dumps(told)
    Path("model", "hubtrain.json").write_text(text, encoding="utf-8")
    return original.original(client, "./model")


def _set(*path: str, to: Any) -> Callable[[dict[str, Any]], None]:
    def change(told: dict[str, Any]) -> None:
        place = told
        for name in path[:-1]:
            place = place[name]
        place[path[-1]] = to

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_set("spec", "run", to="rm -rf /"), r"spec\.run: Extra inputs"),
        (_set("spec", "data", "url", to="http://x"), r"spec\.data\.url: Extra inputs"),
        (_set("hook", to="x"), "hook: Extra inputs"),
        (_set("schema_version", to=2), "schema_version"),
        (_set("versions", to={"a": "x" * 201}), r"versions\.a: String should have at most 200"),
        (_set("versions", to={str(n): "1" for n in range(51)}), "at most 50"),
        (_set("curve", to=[{"<b>": 1.0}]), "pattern"),
        (_set("curve", to=[{"loss": "high"}]), r"curve\.0\.loss"),
        (_set("curve", to=[{"loss": 1.0}]), "a point of the curve has no step"),
        (_set("seconds", to=float("inf")), "seconds: Input should be a finite number"),
        (_set("spec", "task", to="os"), "its task is not one of"),
        (_set("spec", "job_id", to="../../x"), "its job has no job's id"),
        (_set("spec", "project", to="\x1b[31m<script>"), "no project's name"),
        (_set("spec", "data", "revision", to="main"), "its data are no files of a dataset"),
        (_set("spec", "data", "train", to=["../../etc/passwd"]), "its data are no files"),
        (_set("spec", "model", "revision", to="main"), "no model at a commit"),
        (_set("spec", "model", "name", to="../base"), "no model at a commit"),
    ],
)
def test_what_hubtrain_could_not_have_written_is_refused(
    client: Client, change: Callable[[dict[str, Any]], None], words: str
) -> None:
    told = written(job())
    change(told)
    with pytest.raises(BadConfig, match=words) as refused:
        found(client, told)
    assert "somebody changed it" in refused.value.fix.lower()


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, '{"spec": {"job_id": "k4x7qp"}}'])
def test_what_is_no_manifest_is_refused(client: Client, text: str) -> None:
    with pytest.raises(BadConfig, match="is no manifest that this version of hubtrain reads"):
        found(client, text)


def test_a_file_that_is_too_large_is_not_read(client: Client) -> None:
    with pytest.raises(BadConfig, match="larger than such files are"):
        found(client, " " * (MOST_BYTES + 1))


def test_of_a_strangers_job_only_how_it_trained_is_taken(client: Client) -> None:
    told = written(job())
    told["spec"]["params"] |= {"log": "trackio", "model": "/etc/passwd"}
    settings = rerunning.settings_of_original(found(client, told), {}, FLAGS)
    assert "log" not in settings.values, "the trainer would have the user's token"
    assert settings.values["model"] == told["spec"]["model"]["name"]
    given = {k: v for k, v in settings.values.items() if k not in LLM.params.model_fields}
    assert given == {"backend": "slurm", "push_to_hub": True, "project_name": "bot-rerun"}
    assert settings.values["lr"] == 1e-3 and "lora_r" not in settings.values
    assert settings.origins["lr"] == "model"


def test_what_costs_or_runs_code_is_for_the_user_to_say(client: Client) -> None:
    params = {"trust_remote_code": True, "trainer": "grpo", "reward_funcs": ["os.path:join"]}
    data = DataRef(folder="0123456789abcdef", train=("data/train-00000.parquet",), rows=40)
    machine = Machine(backend="spaces", flavor="a100-large", usd_per_hour=2.5)
    base = ModelRef(name="base")
    theirs = found(client, written(job(params, data=data, machine=machine, model=base)))
    with pytest.raises(BadConfig) as refused:
        rerunning.settings_of_original(theirs, {}, FLAGS)
    said = ("--backend spaces-a100-large", "--data-path …", "--model …", "--trust-remote-code")
    assert refused.value.fix == f"add {' '.join(said)} --reward-funcs os.path:join"
    assert "it ran there for 19 min 00 s at $2.50/h, it says" in refused.value.message
    mine = {
        **{"backend": "local", "data_path": "mine.jsonl", "model": "ann/base"},
        **{"trust_remote_code": False, "reward_funcs": "mine.py"},
    }
    settings = rerunning.settings_of_original(theirs, mine, FLAGS)
    assert {name: settings.values[name] for name in mine} == mine


def test_a_place_on_somebodys_disk_is_not_looked_for(client: Client) -> None:
    told = written(job())
    told["spec"]["params"]["text_column"] = "/etc/passwd"
    with pytest.raises(BadConfig, match="names a place on somebody's disk"):
        rerunning.settings_of_original(found(client, told), {}, FLAGS)


def test_settings_that_nobody_knows_are_named(client: Client) -> None:
    told = written(job())
    told["spec"]["params"] |= {"zork": 1}
    with pytest.raises(BadConfig, match="does not know: zork"):
        rerunning.settings_of_original(found(client, told), {}, FLAGS)


def test_what_a_script_left_is_no_training(client: Client) -> None:
    params = {"script_path": "folder", "script": "run.py"}
    spec = job(machine=Machine(backend="local")).model_copy(
        update={"task": "spacerunner", "params": params, "model": None}
    )
    with pytest.raises(BadConfig, match="is what a script left"):
        rerunning.settings_of_original(found(client, written(spec)), {}, FLAGS)


def test_code_that_comes_with_a_model_takes_consent_in_every_task() -> None:
    marked = {
        f"{name}.{setting.name}": setting.consent
        for name in tasks.names()
        for setting in settings_of(tasks.load(name).params)
        if setting.name in {"trust_remote_code", "reward_funcs", "lm_eval", "lora_config"}
    }
    assert len(marked) >= 5 and all(marked.values()), marked


def test_a_job_on_record_is_taken_with_all_but_its_place(client: Client) -> None:
    spec = job(machine=Machine(backend="local"), params={"trust_remote_code": True})
    told = written(spec)
    events: list[Event] = [
        Started(job_id=spec.job_id, at=NOON, versions=VERSIONS),
        Metric(step=1, values={"loss": 2.0}),
        Finished(at=NOON + timedelta(minutes=19)),
    ]
    client.records.write([(spec, events)])
    for mine in (found(client, told), original.original(client, "bot")):
        assert mine.own and mine.manifest.curve == ({"step": 1.0, "loss": 2.0},)
        values = rerunning.settings_of_original(mine, {}, FLAGS).values
        assert (values["username"], values["private"]) == ("eve", False)
        assert values["trust_remote_code"] is True and values["max_cost"] == 500.0
        assert values["project_name"] == "bot-rerun"
        assert values.keys().isdisjoint({"repo_id", "overwrite"}) or not values["overwrite"]
    told["curve"] = [{"step": 1.0, "loss": 1.0}]
    claimed = found(client, told)
    assert claimed.own and claimed.manifest.curve == ({"step": 1.0, "loss": 1.0},)
    told["spec"]["params"]["lr"] = 1.0
    assert not found(client, told).own, "it says something else than the record does"


def test_differences_are_told_in_the_words_of_settings() -> None:
    one = job()
    assert differences(one, one) == []
    moved = one.model_copy(update={"job_id": "other", "output": "/elsewhere"})
    data = one.data.model_copy(
        update={"repo_id": "ann/hubtrain-data-0123456789ab", "revision": "d"}
    )
    assert differences(one, moved.model_copy(update={"data": data})) == []
    other = job({"lr": None, "peft": False}, machine=Machine(backend="local"))
    assert differences(one, other) == [
        "--lr was 0.001 and is not given",
        "--peft was on and is off",
        "--backend was slurm and is local",
    ]
    rows = one.data.model_copy(update={"repo_id": "eve/hubtrain-data-ffffffffffff", "rows": 30})
    (said,) = differences(one, one.model_copy(update={"data": rows}))
    assert said.startswith("the rows were 40 rows of") and "30 rows of" in said


def losses(*values: float, name: str = "loss") -> list[Metric]:
    return [
        Metric(step=n, values={name: value, "lr": 1 / n, "grad_norm": 1.0})
        for n, value in enumerate(values, 1)
    ]


@pytest.mark.parametrize(
    ("then", "now", "told"),
    [
        ([3.0, 2.0, 1.0], [3.0, 2.0, 1.0], (True, True, 0.0, 1, 3, ())),
        ([3.0, 2.0, 1.0], [3.0, 2.00009, 1.0], (True, True, 0.00009, 2, 3, ())),
        ([3.0, 2.0, 1.0], [3.0, 2.0, 0.9], (False, True, 0.1, 3, 3, ())),
        ([3.0, 2.0, 1.0], [3.0, 2.0], (False, False, 0.0, 1, 2, (3,))),
        ([3.0, 2.0], [3.0, 2.0, 1.0], (True, True, 0.0, 1, 2, ())),
    ],
)
def test_curves_are_held_against_each_other_step_by_step(
    client: Client, then: list[float], now: list[float], told: tuple[Any, ...]
) -> None:
    """Told: the same within 1e-4, within 0.2; the gap, where, at how many steps, lacking which."""
    before = found(client, written(job(), *losses(*then))).manifest
    story = fold([Started(job_id="x", at=NOON), *losses(*now)])
    strict, loose = (verified(before, before, story, tolerance) for tolerance in (1e-4, 0.2))
    (gap,) = strict.gaps
    assert gap.name == "loss", "how it is steered is no result"
    measured = round(gap.largest, 9), gap.step, gap.steps, gap.lacking
    assert (strict.same, loose.same, *measured) == told


def test_nothing_measured_is_nothing_verified(client: Client) -> None:
    before = found(client, written(job(), *losses(name="other"))).manifest
    assert not verified(before, before, fold([]), 1.0).same


def test_of_a_table_its_trials_and_what_it_is_worth_are_compared(client: Client) -> None:
    params = tasks.load("tabular").params(data_path="x.csv").model_dump(mode="json")
    spec = job(task="tabular", model=None)
    spec = spec.model_copy(update={"params": params})
    measured = [
        Metric(step=1, values={"loss": 0.5}),
        Metric(step=10, values={"valid_accuracy": 0.9, "valid_loss": 0.3}),
    ]
    before = found(client, written(spec, *measured)).manifest
    verdict = verified(before, before, fold(measured), 0.0)
    assert verdict.same
    assert {gap.name for gap in verdict.gaps} == {"loss", "valid_loss", "valid_accuracy"}


def test_versions_of_an_image_are_those_that_it_is_made_with() -> None:
    cpu, gpu = image.versions(0), image.versions(1)
    assert cpu["transformers"] == gpu["transformers"] and cpu["transformers"][0].isdigit()
    assert cpu["torch"] != gpu["torch"]
    for accelerators, found in ((0, cpu), (1, gpu)):
        pins = image.image_files(["llm"], accelerators)["constraints.txt"].decode().split()
        assert f"torch=={found['torch']}" in pins and f"trl=={found['trl']}" in pins


@pytest.fixture(scope="module")
def hub(shared_hub: HubServer, tmp_path_factory: pytest.TempPathFactory) -> HubServer:
    """A Hub with a base model."""
    shared_hub.api().create_repo("ann/tiny")
    shared_hub.api().upload_folder(
        repo_id="ann/tiny",
        folder_path=write_model(tmp_path_factory.mktemp("tiny") / "tiny"),
        ignore_patterns="*.md",
    )
    return shared_hub


@pytest.fixture
def ann(hub: HubServer, client: Client, monkeypatch: pytest.MonkeyPatch) -> Client:
    """Ann, at the Hub."""
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    return Client(given_token=hub.tokens["ann"])


def put(hub: HubServer, repo_id: str, told: Mapping[str, Any] | bytes) -> str:
    """Put a manifest into a model repo, and return the commit."""
    api = hub.api()
    api.create_repo(repo_id, exist_ok=True)
    content = told if isinstance(told, bytes) else json.dumps(told).encode()
    done = api.upload_file(path_or_fileobj=content, path_in_repo="hubtrain.json", repo_id=repo_id)
    return str(done.oid)


def test_what_is_not_on_the_hub_is_said(hub: HubServer, ann: Client) -> None:
    put(hub, "ann/made", written(job()))
    put(hub, "ann/large", b" " * (MOST_BYTES + 1))
    for name, words in (
        ("ann/nothing", "no model ann/nothing on the Hub"),
        ("ann/tiny", "ann/tiny has no hubtrain.json"),
        ("ann/made@v1", "ann/made has no revision v1"),
        ("ann/ma--de", "is no repo id"),
        ("nothing", "no job 'nothing' on this machine"),
    ):
        with pytest.raises(BadConfig, match=words):
            original.original(ann, name)
    with pytest.raises(HubError, match="larger than such files are"):
        original.original(ann, "ann/large")


def test_a_revision_of_a_repo_is_the_training_of_then(hub: HubServer, ann: Client) -> None:
    first = put(hub, "ann/twice", written(job({"lr": 0.25})))
    put(hub, "ann/twice", written(job({"lr": 0.5})))
    for name, lr in (("ann/twice", 0.5), (f"ann/twice@{first}", 0.25)):
        assert original.original(ann, name).spec.params["lr"] == lr


def test_what_is_gone_and_what_is_not_the_same_is_said_before_anything_is_rented(
    hub: HubServer, ann: Client, tmp_path: Path
) -> None:
    api = hub.api()
    api.create_repo("ann/rows", repo_type="dataset")
    rows = write_rows(tmp_path / "train.jsonl", chats(40))
    api.upload_file(
        path_or_fileobj=rows, path_in_repo="train.jsonl", repo_id="ann/rows", repo_type="dataset"
    )
    at = str(api.dataset_info("ann/rows").sha)
    base = str(api.model_info("ann/tiny").sha)
    data = DataRef(repo_id="ann/rows", revision=at, train=("train.jsonl",))
    said_so = {"data_path": "ann/rows", "model": "ann/tiny"}
    good = job(said_so, data=data, model=ModelRef(name="ann/tiny", revision=base))
    local = {"backend": "spaces-cpu"}

    def checked(spec: JobSpec, **changes: Any) -> str:
        put(hub, "ann/told", written(spec))
        asked = flow.rerun(ann, original.original(ann, "ann/told"), {**local, **changes})
        report = flow.check(ann, asked).report
        assert report.ok is not any(one.level == "error" for one in report.findings)
        return "\n".join(f"{one.level} {one.text} {one.fix}" for one in report.findings)

    gone = data.model_copy(update={"revision": COMMIT})
    lost = good.model_copy(
        update={"data": gone, "model": ModelRef(name="ann/tiny", revision=COMMIT)}
    )
    said = checked(lost)
    assert "error ann/rows has no longer the commit cccccccccccc" in said
    assert f"error ann/tiny has no revision {COMMIT}. --model ann/tiny" in said
    private = data.model_copy(update={"repo_id": "eve/hubtrain-data-0123456789ab"})
    said = checked(good.model_copy(update={"data": private}))
    assert "a dataset that is not there any more or is private" in said
    assert "--data-path FILE" in said
    missing = data.model_copy(update={"train": ("other.jsonl",)})
    assert "error other.jsonl, examples" in checked(good.model_copy(update={"data": missing}))

    api.upload_file(path_or_fileobj=b"new", path_in_repo="notes.txt", repo_id="ann/tiny")
    said = checked(good, lr="0.5")
    assert "error" not in said
    assert "ok bot, job k4x7qp, of 2026-01-01 · 19 min 00 s on slurm, $0.00" in said
    assert f"by now; this begins at {base[:7]}, as the original" in said
    assert "warn torch 2.0.1 then, " in said and "python" not in said
    assert "warn slurm then, spaces-cpu-basic now: losses drift apart" in said
    assert "warn not as in the original: --lr was 0.001 and is 0.5" in said


SMALL = ("--batch-size", "1", "--gradient-accumulation", "1", "--model-max-length", "64")
STEPS = ("--max-steps", "4", "--logging-steps", "1", "--samples", "0", "--valid-split", "0.1")


@pytest.mark.slow
@pytest.mark.timeout(280)
def test_a_training_once_more_and_the_same_command_on_another_laptop(
    hub: HubServer, tmp_path: Path
) -> None:
    command = [
        *("llm", "--train", "--trainer", "sft", "--peft", "--model", "ann/tiny", "--json"),
        *("--data-path", "chats.jsonl", "--project-name", "once", "--backend", "spaces-cpu"),
        *("--push-to-hub", *SMALL, *STEPS),
    ]
    first = _laptop(tmp_path / "first", hub)
    made = first.run(*command)
    assert made.code == 0, made.out + made.err

    other = _laptop(tmp_path / "other", hub)
    again = other.run(*command)
    assert (again.code, again.document["job"]) == (0, made.document["job"]), again.out
    told = other.run(*(word for word in command if word != "--json"))
    assert told.code == 0 and "has been done as" in told.out and "Succeeded in" in told.out
    assert other.jobs() == []
    for flag, value, expected in (
        ("--lr", "0.01", "--lr was not given and is 0.01"),
        ("--data-path", "fewer.jsonl", "and are 30 rows of"),
    ):
        unlike = other.run(*command, flag, value)
        assert unlike.code == 2 and expected in unlike.out, unlike.out

    refused = other.run("rerun", "ann/once")
    assert refused.code == 2 and "add --backend spaces-cpu-basic" in refused.err
    same = other.run("rerun", "ann/once", "--backend", "local", "--verify", "--json")
    assert same.code == 0, same.out + same.err
    document = same.document
    assert document["model"].endswith("/ann/once-rerun") and document["verify"]["same"]
    assert {m["name"]: m["steps"] for m in document["verify"]["measurements"]} == {
        **{"loss": 4, "valid_loss": 2},
    }
    words = ("rerun", "once", "--data-path", "fewer.jsonl", "--project-name", "fewer")
    differs = first.run(*words, "--backend", "local", "--verify")
    assert differs.code == 1, differs.out + differs.err
    assert "Not the same within 0.0001. What is known to differ:" in differs.out
    assert "the rows were 40 rows of ann/hubtrain-data-" in differs.out
    looser = first.run(*words, "--backend", "local", "--verify", "--tolerance", "5")
    assert looser.code == 0, looser.out
    assert "this very job has been done" in looser.out and "The same within 5" in looser.out


def _laptop(folder: Path, hub: HubServer) -> Laptop:
    folder.mkdir()
    write_rows(folder / "chats.jsonl", chats(40))
    write_rows(folder / "fewer.jsonl", chats(30))
    return Laptop(folder / "home", hub)
