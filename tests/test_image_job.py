"""Image classification with the real command line, through a Space of the local Hub."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from standins.laptop import Laptop
from tiny_vit import COLOURS, image, write_model, write_table

pytestmark = [pytest.mark.slow, pytest.mark.timeout(280)]

MODEL = "ann/tiny-vit"


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
