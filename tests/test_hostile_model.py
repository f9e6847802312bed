"""A model or data from strangers cannot hang, fill or fool the laptop that looks at it."""

from __future__ import annotations

import errno
import json
import os
import pickle
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from standins.preflight import CHATS, Impatient, errors, model, only_error, said
from standins.waiting import PATIENCE

import backends
from orchestrator.preflight import CheckReport, CheckRequest, check
from orchestrator.preflight.inspecting import Budget
from orchestrator.settings.job import JobSettings
from worker.tasks.llm import TASK

LOOP = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"
SWELL = "{% set ns = namespace(x='x' * 1000000) %}" + "{% set ns.x = ns.x ~ ns.x %}" * 14


def looked(tmp_path: Path, template: str, budget: Budget | None = None, **how: Any) -> CheckReport:
    """Check a job of this machine whose model has this chat template."""
    folder = tmp_path / "mine"
    if not folder.exists():
        model(folder, 1_000_000)
    (folder / "chat_template.jinja").write_text(template)
    data = tmp_path / "chats.jsonl"
    if not data.exists():
        data.write_text(CHATS)
    settings = {"model": str(folder), "data_path": str(data), "trainer": "sft", "peft": True}
    request = CheckRequest(
        task=TASK,
        params=TASK.params(**settings | how),
        project="bot",
        owner=None,
        token_given=False,
        job=JobSettings(project_name="bot"),
    )
    clock = Impatient()
    backend = backends.load("local")(None, clock)
    return check(request, None, backend, clock, budget=budget or Budget())


@pytest.mark.parametrize(
    "template",
    [
        "{{ messages | tojson(cls=dict) }}",
        "{{ 1 / 0 }}",
        "{% macro again() %}{{ again() }}{% endmacro %}{{ again() }}",
        "{{ messages | tojson(indent=-999999999999999999999) }}",
        "{{ raise_exception('no' * 100000) }}",
    ],
)
def test_whatever_a_template_raises_is_said_in_words(tmp_path: Path, template: str) -> None:
    wrong = only_error(looked(tmp_path, template))
    assert wrong.text.startswith("The chat template refuses chats.jsonl")
    assert len(wrong.text) <= 2000 and "--chat-template chatml" in wrong.fix


def test_a_template_that_never_ends_is_stopped(tmp_path: Path) -> None:
    wrong = only_error(looked(tmp_path, LOOP, Budget(seconds=5)))
    assert "took more than 5.0 s and was stopped" in wrong.text
    assert "--chat-template chatml" in wrong.fix


def test_a_template_that_swells_gets_no_more_than_its_budget(tmp_path: Path) -> None:
    wrong = only_error(looked(tmp_path, SWELL, Budget(memory=1 << 30)))
    assert "took more than 1.1 GB of memory and was stopped" in wrong.text


def test_a_tokenizer_that_is_none_is_said(tmp_path: Path) -> None:
    model(tmp_path / "mine", 1_000_000)
    (tmp_path / "mine" / "tokenizer.json").write_text('{"model": 1}')
    wrong = only_error(looked(tmp_path, "{{ messages[0].content }}"))
    assert "tokenizer.json of" in wrong.text and "cannot be read" in wrong.text


def test_of_a_very_long_row_only_the_beginning_is_counted(tmp_path: Path) -> None:
    (tmp_path / "chats.jsonl").write_text(json.dumps({"text": "word and word. " * 700_000}) + "\n")
    began = time.monotonic()
    one_row: dict[str, Any] = {"batch_size": 1, "gradient_accumulation": 1}
    report = looked(tmp_path, "", trainer="default", block_size=1024, **one_row)
    took = time.monotonic() - began
    assert report.ok, errors(report)
    assert "1 row is very long: only the beginning was counted" in said(report, "data")
    whole = report.known.data.units
    assert 3_000_000 < whole < 11_000_000 and report.known.data.steps > 3000
    assert took < PATIENCE


class Touch:
    """What writes a file once it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.file}",)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["pickle", "torch", "cut short", "no heads"])
def test_a_model_that_cannot_be_loaded_is_told_in_words(tmp_path: Path, kind: str) -> None:
    """Whatever its weights hold, nothing in them is executed."""
    import tiny_bert
    import torch
    from transformers import AutoModelForSequenceClassification

    from worker.contract import ModelRef
    from worker.engine.source import Source
    from worker.errors import BadConfig

    folder, touched = tiny_bert.write_model(tmp_path / "bert"), tmp_path / "touched"
    weights, config = folder / "model.safetensors", folder / "config.json"
    if kind == "cut short":
        weights.write_bytes(weights.read_bytes()[:5000])
    elif kind == "no heads":
        said = json.loads(config.read_text())
        config.write_text(json.dumps(said | {"num_attention_heads": 0}))
    else:
        weights.unlink()
        write = torch.save if kind == "torch" else partial(pickle.dump, protocol=2)
        with (folder / "pytorch_model.bin").open("wb") as file:
            write({"weight": Touch(touched)}, file)
    source = Source(ModelRef(name=str(folder)), AutoModelForSequenceClassification)
    with pytest.raises(BadConfig, match=r"is not loaded|cannot be loaded") as refused:
        source.load()
    assert not touched.exists() and "weights_only" not in refused.value.message


@pytest.mark.slow
def test_a_full_disk_is_no_fault_of_the_model() -> None:
    from worker.engine.source import loading

    with pytest.raises(OSError, match="No space left"), loading("m"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/cache/blobs/0")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["evil.Module", "os.system", "sentence_transformers.util.misc.os"])
def test_a_model_of_sentences_brings_no_code_of_its_own(tmp_path: Path, kind: str) -> None:
    """`modules.json` names classes: one that is not the library's is not even imported."""
    import tiny_bert

    from worker.errors import BadConfig
    from worker.tasks.sentence_transformers import TASK as SENTENCES

    folder, touched = tiny_bert.write_model(tmp_path / "bert"), tmp_path / "touched"
    whole = {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}
    own = {"idx": 1, "name": "1", "path": "own", "type": kind}
    (folder / "modules.json").write_text(json.dumps([whole, own]))
    (folder / "evil.py").write_text(f"open({str(touched)!r}, 'w')\n")
    (folder / "own").mkdir()
    assert SENTENCES.question is not None
    with pytest.raises(BadConfig, match="cannot be loaded"):
        SENTENCES.answer(str(folder), SENTENCES.question(text="the fox"))
    assert not touched.exists()
