"""Tasks that are no language models, with the real command line, on Spaces of the local Hub."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tiny_bert
import tiny_text
from standins.laptop import Laptop
from tiny_vit import COLOURS, image, write_model, write_table

pytestmark = [pytest.mark.slow, pytest.mark.timeout(280)]

MODEL = "ann/tiny-vit"
READER = "ann/tiny-bert"

AUTOTRAIN = f"""\
task: text-classification
base_model: {READER}
project_name: foxes
log: tensorboard
backend: spaces-cpu-basic

data:
  path: .
  train_split: foxes
  column_mapping:
    text_column: text
    target_column: label

params:
  max_seq_length: 32
  epochs: 4
  batch_size: 8
  lr: 3e-3
  mixed_precision: none

hub:
  username: ${{HF_USERNAME}}
  token: ${{HF_TOKEN}}
  push_to_hub: true
"""


def test_images_are_learned_on_a_space_and_told_apart_afterwards(
    hub_server: Any, tmp_path: Path
) -> None:
    from huggingface_hub import ModelCard, snapshot_download
    from transformers import pipeline

    hub = hub_server()
    hub.api().create_repo(MODEL)
    hub.api().upload_folder(repo_id=MODEL, folder_path=write_model(tmp_path / "vit"))
    write_table(tmp_path / "colours.parquet", 24)
    laptop = Laptop(tmp_path / "home", hub)
    said = laptop.run(
        *("image-classification", "--train", "--model", MODEL, "--data-path", "colours.parquet"),
        *("--lr", "3e-3", "--epochs", "6", "--project-name", "colours"),
        *("--backend", "spaces-cpu", "--push-to-hub", "--username", "ann", "--json"),
    )
    assert said.code == 0, said.err + said.out
    assert (said.document["state"], said.document["reason"]) == ("succeeded", "ok")
    assert said.document["metrics"]["valid_accuracy"] > 0.9

    folder = Path(snapshot_download("ann/colours", token=hub.tokens["ann"], endpoint=hub.endpoint))
    classify = pipeline("image-classification", model=str(folder))
    for number, colour in enumerate(COLOURS):
        file = tmp_path / f"{colour}.png"
        file.write_bytes(image(colour, 5000 + number))
        assert classify(str(file))[0]["label"] == colour
    card = ModelCard.load(folder / "README.md")
    assert card.data.pipeline_tag == "image-classification"
    assert card.data.library_name == "transformers"
    assert 'pipeline("image-classification", model="ann/colours")' in card.text
    assert "valid accuracy" in card.text

    hub.api().create_tag("ann/colours", tag="v1")
    hub.api().delete_file("model.safetensors", "ann/colours")  # what v1 was is asked all the same
    asked = laptop.run(
        *("image-classification", "--inference", "--model", "ann/colours@v1"),
        *("--image", "red.png", "--top-k", "2", "--json"),
    )
    assert asked.code == 0, asked.err
    judge = classify(str(tmp_path / "red.png"), top_k=2)
    assert [a["label"] for a in asked.document["answer"]] == [j["label"] for j in judge]
    assert json.dumps(asked.document["answer"]) == json.dumps(judge)


def test_a_file_of_autotrain_makes_a_reader_on_a_space(hub_server: Any, tmp_path: Path) -> None:
    hub = hub_server()
    hub.api().create_repo(READER)
    hub.api().upload_folder(repo_id=READER, folder_path=tiny_bert.write_model(tmp_path / "bert"))
    tiny_text.write_rows(tmp_path / "foxes.jsonl", tiny_text.rows(160))
    (tmp_path / "job.yml").write_text(AUTOTRAIN, encoding="utf-8")
    laptop = Laptop(tmp_path / "home", hub)
    said = laptop.run("--config", "job.yml", "--json")
    assert said.code == 0, said.err + said.out
    assert (said.document["state"], said.document["reason"]) == ("succeeded", "ok")
    assert said.document["metrics"]["valid_accuracy"] > 0.8

    card = Path(hub.api().hf_hub_download("ann/foxes", "README.md")).read_text("utf-8")
    assert "pipeline_tag: text-classification" in card and "| valid accuracy |" in card
    (code,) = re.findall(r"```python\n(.*?)```", card, re.S)
    ran = subprocess.run(
        [sys.executable, "-P", "-c", f"{code}\nprint(ask('a fox'))"],
        env=laptop.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "'label': 'fox'" in ran.stdout

    asked = tiny_text.write_rows(tmp_path / "asked.jsonl", [{"text": "a fox"}, {"text": "a dog"}])
    answered = laptop.run(
        *("text-classification", "--inference", "--model", "ann/foxes", "--input", asked.name),
        *("--output", "answers.jsonl"),
    )
    assert answered.code == 0, answered.err
    lines = (tmp_path / "answers.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["prediction"] for line in lines] == ["fox", "none"]
