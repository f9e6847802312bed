"""The card and the manifest: made of spec and events alone, readable by people and by the Hub."""

from __future__ import annotations

import json
import math
import shlex
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard
from PIL import Image

from worker import evaluation_plots
from worker.card import card, command, front_matter, write
from worker.contract import (
    DataRef,
    Event,
    JobSpec,
    Machine,
    Metric,
    ModelRef,
    Progress,
    PushTarget,
    Started,
)
from worker.manifest import TrainedJob, curve, manifest
from worker.picture import draw
from worker.samples import SAMPLES_FILE
from worker.tasks.llm import TASK
from worker.tasks.llm.params import LlmParams

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
COMMIT = "70d244c0ffee"


def trained(*events: Event, **changes: Any) -> TrainedJob:
    params = LlmParams(model="ann/base", data_path="chats.jsonl", trainer="sft", peft=True, lr=1e-4)
    about: dict[str, Any] = {
        "job_id": "k4x",
        "project": "support-bot",
        "task": "llm",
        "params": params.model_dump(mode="json"),
        "model": ModelRef(name="ann/base", revision=COMMIT),
        "data": DataRef(repo_id="ann/hubtrain-data-3f9c1e", revision="d4ta", rows=4812),
        "push": PushTarget(repo_id="ann/support-bot"),
        "machine": Machine(backend="spaces", flavor="a10g-small", usd_per_hour=1.0),
    }
    started = Started(job_id="k4x", at=NOON, versions={"torch": "2.13.0"}, hardware={"cpus": 4})
    spec = JobSpec(**{**about, **changes})
    return TrainedJob(spec, [started, *events], NOON + timedelta(minutes=19), "apache-2.0")


EVENTS: list[Event] = [
    Progress(step=300, total_steps=300, units=99_000, unit="tokens"),
    *(Metric(step=n, values={"loss": 3.0 / n, "lr": 1e-4}) for n in range(1, 301)),
    Metric(step=300, values={"valid_loss": 1.081, "valid_perplexity": 2.95}),
]


def test_the_front_matter_is_what_the_hub_reads() -> None:
    text = card(trained(*EVENTS), adapter=True)
    ModelCard(text)  # which validates it
    data = yaml.safe_load(text.split("---")[1])
    assert data["base_model"] == "ann/base"
    assert data["library_name"] == "peft"
    assert data["pipeline_tag"] == "text-generation"
    assert data["license"] == "apache-2.0"
    assert data["tags"] == ["hubtrain", "llm", "sft"]
    assert front_matter(trained(), adapter=False)["library_name"] == "transformers"


def test_packaged_files_are_nobodys_business_and_named_datasets_are() -> None:
    assert "datasets" not in front_matter(trained(), adapter=True)
    assert "hubtrain-data" not in card(trained(*EVENTS), adapter=True)
    named = trained(
        params={"data_path": "ann/chats"}, data=DataRef(repo_id="ann/chats", revision="d4ta")
    )
    assert front_matter(named, adapter=True)["datasets"] == ["ann/chats"]


def test_the_card_says_adapter_or_whole_model_and_how_to_load_it() -> None:
    adapter = card(trained(*EVENTS), adapter=True)
    assert "LoRA adapter" in adapter
    assert 'AutoPeftModelForCausalLM.from_pretrained("ann/support-bot")' in adapter
    whole = card(trained(*EVENTS), adapter=False)
    assert "full model" in whole
    assert 'AutoModelForCausalLM.from_pretrained("ann/support-bot")' in whole


def test_the_card_tells_result_cost_and_curve() -> None:
    text = card(trained(*EVENTS), adapter=True)
    for words in ("| valid loss | 1.081 |", "$0.32", "19.0 min", "4,812 rows", "99,000", COMMIT):
        assert words in text
    assert text.count("\n| 300 |") == 1


def test_the_command_on_the_card_asks_for_the_same_training() -> None:
    words = shlex.split(command(trained().spec))
    assert words[:3] == ["hubtrain", "llm", "--train"]
    for flag, value in (("--model", "ann/base"), ("--lr", "0.0001"), ("--username", "ann")):
        assert words[words.index(flag) + 1] == value
    assert "--peft" in words and "--push-to-hub" in words
    assert "--batch-size" not in words, "defaults go without saying"
    packed = LlmParams(model="m", data_path="d", packing=False).model_dump(mode="json")
    assert "--no-packing" in command(trained(params=packed).spec)


def test_the_manifest_holds_all_that_a_rerun_needs(tmp_path: Path) -> None:
    write(trained(*EVENTS), tmp_path)
    told = json.loads((tmp_path / "hubtrain.json").read_text())
    assert JobSpec.model_validate(told["spec"]) == trained().spec
    assert told["cost_usd"] == round(19 / 60, 4)
    assert told["versions"] == {"torch": "2.13.0"}
    assert told["metrics"]["valid_perplexity"] == 2.95
    assert told["curve"][0] == {"step": 1.0, "loss": 3.0, "lr": 1e-4}
    assert yaml.safe_load((tmp_path / "README.md").read_text().split("---")[1])["base_model"]


def test_a_loss_that_is_no_number_breaks_no_card(tmp_path: Path) -> None:
    events = [Metric(step=1, values={"loss": float("nan"), "lr": 1e-4})]
    write(trained(*events), tmp_path)
    assert "loss" not in manifest(trained(*events)).metrics


def test_the_curve_of_a_classifier_has_its_accuracy() -> None:
    told = trained(Metric(step=3, values={"valid_loss": 0.5, "valid_accuracy": 0.75}))
    spec = told.spec.model_copy(update={"task": "image_classification", "params": {}})
    classifier = replace(told, spec=spec)
    row = {"step": 3.0, "valid_loss": 0.5, "valid_accuracy": 0.75}
    assert manifest(classifier).curve == (row,)
    assert "| step | valid loss | valid accuracy |" in card(classifier, adapter=False)


def test_a_long_curve_keeps_its_ends_and_its_validation() -> None:
    metrics = [Metric(step=n, values={"loss": 1.0}) for n in range(1, 10_001)]
    metrics.append(Metric(step=777, values={"valid_loss": 2.0}))
    rows = curve(metrics, 300, ("loss", "valid_loss", "lr"))
    assert len(rows) <= 302
    assert (rows[0]["step"], rows[-1]["step"]) == (1, 10_000)
    assert {"step": 777.0, "loss": 1.0, "valid_loss": 2.0} in rows


SAMPLES = {
    "about": "Always the likeliest token.",
    "samples": [
        {"prompt": "say ``` hi", "data": "hi", "before": "\x1b[2J<b>", "after": "hi </details>"}
    ],
}


def test_the_card_shows_samples_as_text_and_what_was_measured_before(tmp_path: Path) -> None:
    (tmp_path / SAMPLES_FILE).write_text(json.dumps(SAMPLES), encoding="utf-8")
    begun = Metric(step=0, values={"valid_loss": 3.5, "valid_perplexity": 33.1})
    write(trained(begun, *EVENTS), tmp_path)
    text = (tmp_path / "README.md").read_text("utf-8")
    assert "| valid loss | 3.5 | 1.081 |" in text and "| valid perplexity | 33.1 | 2.95 |" in text
    assert "````\nsay ``` hi\n````" in text and "\x1b" not in text
    assert "```\nhi </details>\n```" in text
    ModelCard(text)


def test_rows_of_private_data_do_not_go_public_with_a_model(tmp_path: Path) -> None:
    public = PushTarget(repo_id="ann/support-bot", private=False)
    for path, shown in (("chats.jsonl", False), ("ann/chats", True)):
        (tmp_path / SAMPLES_FILE).write_text(json.dumps(SAMPLES), encoding="utf-8")
        data = DataRef(repo_id="ann/chats", revision="d4ta")
        write(trained(*EVENTS, push=public, params={"data_path": path}, data=data), tmp_path)
        assert (tmp_path / SAMPLES_FILE).exists() is shown
        assert ("What it says" in (tmp_path / "README.md").read_text("utf-8")) is shown


def test_the_loss_is_a_picture_on_the_card(tmp_path: Path) -> None:
    write(trained(*EVENTS), tmp_path)
    assert (
        "![Loss over the steps of the training](loss.png)" in (tmp_path / "README.md").read_text()
    )
    with Image.open(tmp_path / "loss.png") as picture:
        assert (picture.format, picture.size) == ("PNG", (960, 420))
        colours: set[Any] = {
            picture.getpixel((x, y)) for x in range(84, 936, 2) for y in range(48, 368, 2)
        }
        assert any(abs(r - 37) + abs(g - 99) + abs(b - 235) < 40 for r, g, b in colours)  # blue
    assert (tmp_path / "loss.png").stat().st_size < 60_000


def test_where_the_model_errs_is_a_picture_on_the_card(tmp_path: Path) -> None:
    write(trained(*EVENTS), tmp_path)
    assert "judged.png" not in (tmp_path / "README.md").read_text()
    true = [str(i % 30) for i in range(900)]
    evaluation_plots.confusion(["7", *true[1:]], true, tmp_path)
    with Image.open(tmp_path / "judged.png") as picture:
        height = evaluation_plots.HEAD + evaluation_plots.MOST * evaluation_plots.SIDE + 16
        assert picture.height == height, "of 30 classes the most are shown"
    points = [(float(i), i + 0.5) for i in range(5000)]
    evaluation_plots.scatter({"rent": points, "nothing": [(2.0, 2.0), (1.0, math.nan)]}, tmp_path)
    with Image.open(tmp_path / "judged.png") as picture:
        assert (picture.format, picture.size) == ("PNG", (960, 420))
    steps = [(i / 10, 1 - i / 20) for i in range(11)]
    lines = {f"class {i} 0.75": steps for i in range(9)} | {"of nothing": []}
    evaluation_plots.curves(lines, tmp_path)
    with Image.open(tmp_path / "precision_recall.png") as picture:
        assert (picture.format, picture.size) == ("PNG", (960, 420))
    write(trained(*EVENTS), tmp_path)
    assert "on validation rows](precision_recall.png)" in (tmp_path / "README.md").read_text()
    said = "![What the model says of validation rows, and what is true](judged.png)"
    assert said in (tmp_path / "README.md").read_text()


@pytest.mark.parametrize(
    "points",
    [
        [(0, 1.0), (1, 1.0)],
        [(5, -3.0), (5, 2.0)],
        [(0, 1e-9), (10, 2e-9)],
        [(0, 1e30), (10, 0.0)],
        [(n, 1 / n) for n in range(1, 5000)],
        [(0, math.nan), (1, 2.0), (2, math.inf), (3, 1.0)],
        [(0, 1.7e308), (1, 2.0), (2, -1.7e308), (3, 1.0)],
    ],
)
def test_a_picture_is_drawn_of_any_losses(
    points: list[tuple[float, float]], tmp_path: Path
) -> None:
    assert draw({"loss": points}, tmp_path / "loss.png")


def test_of_one_point_there_is_no_picture(tmp_path: Path) -> None:
    assert not draw({"loss": [(0, 1.0)], "valid loss": []}, tmp_path / "loss.png")
    assert not (tmp_path / "loss.png").exists()


def test_what_tells_most_is_drawn_where_a_loss_tells_little(tmp_path: Path) -> None:
    params = TASK.params(model="m", data_path="d", trainer="grpo")
    events = [
        Metric(step=n, values={"loss": 0.0, "reward": n / 10, "lr": 1e-4}) for n in range(1, 9)
    ]
    told = trained(*events, params=params.model_dump(mode="json"))
    write(told, tmp_path)
    text = (tmp_path / "README.md").read_text()
    assert "![Reward over the steps of the training](loss.png)" in text
    assert "| step | reward | lr |" in text and "| 8 | 0.8 | 0.0001 |" in text
