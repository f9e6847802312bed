"""A question to a model that cannot answer it is refused at once, as a training of it would be."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from standins.laptop import Laptop, Said
from standins.localhub import HubServer
from standins.preflight import model

ASK = ("llm", "--inference", "--prompt", "hello", "--model")


@pytest.fixture(scope="module")
def hub(shared_hub: HubServer, tmp_path_factory: pytest.TempPathFactory) -> HubServer:
    """A Hub with models that cannot be asked."""
    api, folder = shared_hub.api("ann"), tmp_path_factory.mktemp("models")
    made = {
        "t5": model(folder / "t5", is_encoder_decoder=True, model_type="t5"),
        "gated": model(folder / "gated"),
        "coded": model(folder / "coded", model_type="ownkind", auto_map={"AutoModel": "m.M"}),
    }
    for name, base in {"orphan": "ann/nowhere", "of-t5": "ann/t5", "nameless": ""}.items():
        made[name] = folder / name
        made[name].mkdir()
        config = json.dumps({"base_model_name_or_path": base})
        (made[name] / "adapter_config.json").write_text(config)
    for name, path in made.items():
        api.create_repo(f"ann/{name}")
        api.upload_folder(repo_id=f"ann/{name}", folder_path=path)
    api.update_repo_settings("ann/gated", gated="manual")
    return shared_hub


def refused(said: Said, *words: str) -> None:
    """Check that a command said all of `words` and nothing that only programmers read."""
    text = said.out + said.err
    assert said.code == 2, text
    assert "Traceback" not in text and 'File "' not in text
    for word in words:
        assert word in text


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ann/t5", ["no causal language model", "--model with one that does"]),
        ("ann/nowhere", ["no model ann/nowhere on the Hub"]),
        ("ann/gated", ["ann/gated is gated"]),
        ("ann/coded", ["--trust-remote-code"]),
        ("ann/orphan", ["a LoRA adapter for ann/nowhere", "no model ann/nowhere"]),
        ("ann/of-t5", ["ann/t5 is a t5, which is no causal"]),
        ("ann/nameless", ["does not say of which model"]),
        ("./nowhere", ["no folder ./nowhere"]),
    ],
)
def test_a_model_that_cannot_be_asked(
    hub: HubServer, tmp_path: Path, name: str, words: list[str]
) -> None:
    refused(Laptop(tmp_path / "home", hub, "bob").run(*ASK, name), *words)


def test_without_a_network_the_answer_is_quick(hub: HubServer, tmp_path: Path) -> None:
    laptop = Laptop(tmp_path / "home", hub)
    began = time.monotonic()
    said = laptop.run(*ASK, "ann/t5", HF_ENDPOINT="http://127.0.0.1:9", HF_HOME=str(tmp_path))
    assert time.monotonic() - began < 30, "transformers alone would have tried for a minute"
    refused(said, "no answer from http://127.0.0.1:9", "Check the network")


LOADING = """
import sys
from transformers import AutoModel
from worker.contract import ModelRef
from worker.engine.source import Source
from worker.errors import HubtrainError

for name in sys.argv[1:]:
    try:
        Source(ModelRef(name=name), AutoModel).config()
    except HubtrainError as error:
        print(type(error).__name__, error)
"""


def test_what_the_hub_refuses_a_trainer_is_told_as_everywhere(hub: HubServer) -> None:
    command = [sys.executable, "-c", LOADING, "ann/gated", "ann/nowhere"]
    said = subprocess.run(command, env=hub.env("bob"), capture_output=True, text=True, check=True)
    gated, nowhere = said.stdout.splitlines()
    assert gated.startswith("GatedModel loading ann/gated: ")
    assert gated.endswith("Accept the terms on the repo's page.")
    assert nowhere == "NotThere loading ann/nowhere: not there, or this token may not see it."
