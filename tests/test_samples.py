"""What there is to begin with: `hubtrain tasks`, and for each kind of training `hubtrain init`.

A new task fails here until it has a `sample`. If that starts from a model that is not among
`MODELS`, it goes there too, as a config alone: its weights are a hole.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from standins.laptop import Laptop
from standins.localhub import USERS, HubServer
from standins.preflight import model as write_model

from orchestrator import flow
from orchestrator.jobs.client import Client
from orchestrator.samples import Kind, begin, kinds
from orchestrator.settings.files import read
from orchestrator.settings.gather import gather
from orchestrator.settings.job import JobSettings
from orchestrator.settings.layers import Catalog, Layer, merge
from worker.errors import BadConfig
from worker.params import settings_of

KINDS = {kind.name: kind for kind in kinds()}
EVERY = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)

BERT = {"model_type": "bert", "architectures": ["BertForMaskedLM"]}
SEEN = {"model_type": "vit", "image_size": 32, "patch_size": 8, "num_channels": 3}
SEES: dict[str, Any] = {
    "model_type": "idefics3",
    "architectures": ["Idefics3ForConditionalGeneration"],
    "text_config": {"hidden_size": 64, "num_hidden_layers": 2, "vocab_size": 300},
    "vision_config": {"hidden_size": 64, "num_hidden_layers": 2, "image_size": 32},
}
MODELS: dict[str, dict[str, Any]] = {
    "HuggingFaceTB/SmolVLM-256M-Instruct": SEES,
    "HuggingFaceTB/SmolLM2-135M-Instruct": {"architectures": ["LlamaForCausalLM"]},
    "facebook/detr-resnet-50": {"model_type": "detr", "architectures": ["DetrForObjectDetection"]},
    "google-bert/bert-base-uncased": BERT,
    "google/flan-t5-base": {"model_type": "t5", "architectures": ["T5ForConditionalGeneration"]},
    "microsoft/mpnet-base": {"model_type": "mpnet", "architectures": ["MPNetForMaskedLM"]},
    "google/vit-base-patch16-224": {**SEEN, "architectures": ["ViTForImageClassification"]},
}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubServer]:
    """A Hub with models of those names, which the check looks at and nothing trains."""
    folder = tmp_path_factory.mktemp("models")
    owners = {name.partition("/")[0] for name in MODELS}
    server = HubServer(folder / "hub", USERS, tuple(f"{owner}:ann" for owner in owners)).start()
    for name, config in MODELS.items():
        server.api().create_repo(name)
        written = write_model(folder / name.replace("/", "-"), **config)
        (written / "preprocessor_config.json").write_text("{}")  # what sees images has one
        server.api().upload_folder(repo_id=name, folder_path=written)
    yield server
    server.stop()


@pytest.fixture
def begun(kind: Kind, hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a job as `hubtrain init` leaves it, in the folder one stands in."""
    monkeypatch.setenv("HUBTRAIN_HOME", str(tmp_path / "home"))
    for name, value in hub.env().items():
        if name.startswith("HF_"):
            monkeypatch.setenv(name, value)
    job, *_ = begin(kind.name, tmp_path / "begun")
    monkeypatch.chdir(job.parent)
    return job


@EVERY
def test_every_kind_shows_a_line_of_data(kind: Kind) -> None:
    assert kind.sample is not None, f"{kind.name} needs a `sample`: CONTRIBUTING.md, Add a task"
    assert kind.sample.row and "\n" not in kind.sample.row


@EVERY
def test_every_kind_begins_with_a_job_that_may_be_submitted(kind: Kind, begun: Path) -> None:
    asked = flow.ask(Client(), kind.task, gather(kind.task, read(begun.name), {}, list))
    checked = flow.check(Client(), asked)
    wrong = [f"{f.topic}: {f.text}" for f in checked.report.findings if f.level == "error"]
    assert isinstance(checked, flow.Checked), wrong


@EVERY
def test_every_line_that_is_commented_out_says_the_default(kind: Kind, begun: Path) -> None:
    text = begun.read_text("utf-8")
    others = yaml.safe_load("\n".join(re.findall(r"^#(\w+: .+)$", text, re.M)))
    merge(Catalog((JobSettings, kind.task.params)), [Layer("job.yml", others)])
    declared = {s.name: s for p in (JobSettings, kind.task.params) for s in settings_of(p)}
    for name, value in others.items():
        default = declared[name].default
        assert value == (list(default) if isinstance(default, tuple) else default), name


def test_what_is_there_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "job.yml").write_text("mine")
    with pytest.raises(BadConfig, match=r"already holds 1 file: job\.yml"):
        begin("tabular", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["job.yml"]
    with pytest.raises(BadConfig, match=r"the task is 'tabluar'\. Did you mean tabular\?"):
        begin("tabluar", tmp_path / "x")


def test_a_link_to_nowhere_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "job.yml").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BadConfig, match=r"job\.yml"):
        begin("tabular", tmp_path)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.slow
def test_from_a_name_to_a_model(hub: HubServer, tmp_path: Path) -> None:
    laptop = Laptop(tmp_path / "home", hub)
    listed = {one["task"]: one for one in laptop.run("tasks", "--json").document}
    assert listed.keys() == KINDS.keys()
    assert json.loads(listed["tabular"]["example"])["fruit"] == "apple"
    for name, left in (("tabular", "model.skops"), ("spacerunner", "greeting.txt")):
        said = laptop.run("init", name, "--json")
        assert said.code == 0, said.err
        job = Path(said.document["job"])
        inside = Laptop(tmp_path / job.parent / ".home", hub)
        done = inside.run("--config", job.name, "--json")
        assert done.code == 0, done.out + done.err
        assert (tmp_path / job.parent / f"my-{name}" / left).is_file()
