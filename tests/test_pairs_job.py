"""Jobs that learn from pairs of answers, with the real command line and the seeds' columns."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from standins.laptop import Laptop
from tiny_llm import write_model

pytestmark = [pytest.mark.slow, pytest.mark.timeout(280)]

COLUMNS = ("prompt", "text", "rejected_text")
FILE = """
task: llm-orpo
base_model: tiny
project_name: odds
log: none
backend: local
data:
  path: prefs
  train_split: train
  valid_split: null
  chat_template: null
  column_mapping:
    text_column: text
    rejected_text_column: rejected_text
    prompt_text_column: prompt
params:
  block_size: 64
  model_max_length: 64
  max_prompt_length: 32
  orpo_beta: 1.0
  epochs: 3
  batch_size: 4
  gradient_accumulation: 1
  lr: 1e-3
  logging_steps: 1
"""


@pytest.fixture(scope="module")
def laptop(shared_hub: Any, tmp_path_factory: pytest.TempPathFactory) -> Laptop:
    folder = tmp_path_factory.mktemp("laptop")
    write_model(folder / "tiny")
    (folder / "prefs").mkdir()
    with (folder / "prefs" / "train.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(COLUMNS)
        for i in range(28):
            rows.writerow((f"say {i % 7}:", " the quick brown fox", " a dog says hello"))
    (folder / "job.yml").write_text(FILE)
    return Laptop(folder / "home", shared_hub)


def measured(folder: Path, name: str) -> list[float]:
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    return [e["values"][name] for e in events if e["kind"] == "metric" and name in e["values"]]


def loads(folder: Path) -> bool:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    made = AutoModelForCausalLM.from_pretrained(folder)
    asked = AutoTokenizer.from_pretrained(folder)("say 1:", return_tensors="pt")
    return bool(made.generate(**asked, max_new_tokens=2).shape[1] > 2)


def test_dpo_from_the_flags_of_autotrain(laptop: Laptop) -> None:
    here = laptop.home.parent
    said = laptop.run(
        *("llm", "--train", "--trainer", "dpo", "--model", "tiny", "--data-path", "prefs"),
        *("--prompt-text-column", "prompt", "--text_column", "text"),
        *("--rejected_text_column", "rejected_text", "--model-ref", "tiny", "--dpo-beta", "0.2"),
        *("--max_prompt_length", "32", "--max_completion_length", "16"),
        *("--model_max_length", "64", "--batch-size", "4", "--gradient_accumulation", "1"),
        *("--epochs", "3", "--lr", "1e-3", "--logging_steps", "1", "--valid-split", "0.25"),
        *("--project-name", "liked", "--backend", "local"),
        HF_TOKEN="",
    )
    assert said.code == 0, said.err + said.out
    assert "21 pairs of answers" in said.out and "rejected:  a dog says hello" in said.out
    assert "reference tiny" in said.out.replace(str(here) + "/", "")
    margins = measured(here / "liked", "rewards/margins")
    assert abs(margins[0]) < 0.1 and margins[-1] > 1
    card = (here / "liked" / "README.md").read_text()
    assert "- dpo" in card and "valid rewards/accuracies" in card and "--trainer dpo" in card
    assert loads(here / "liked")


def test_orpo_from_a_file_of_autotrain(laptop: Laptop) -> None:
    here = laptop.home.parent
    said = laptop.run("--config", "job.yml", HF_TOKEN="")
    assert said.code == 0, said.err + said.out
    odds = measured(here / "odds", "log_odds_chosen")
    assert odds[0] < 0.1 and odds[-1] > 1
    assert "- orpo" in (here / "odds" / "README.md").read_text()
    assert loads(here / "odds")


def test_a_reference_that_is_not_there_is_found_before_anything_runs(laptop: Laptop) -> None:
    said = laptop.run(
        *("llm", "--train", "--trainer", "dpo", "--model", "tiny", "--data-path", "prefs"),
        *("--model-ref", "./nowhere", "--project-name", "lost", "--backend", "local"),
        HF_TOKEN="",
    )
    assert said.code == 2, said.out
    assert "no folder ./nowhere" in said.out + said.err
    assert "--model-ref FOLDER" in said.out + said.err
    assert not (laptop.home.parent / "lost").exists()
