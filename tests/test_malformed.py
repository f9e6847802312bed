"""Files and answers that are whole and not what they should be: what once ended in a traceback."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from standins.bench import job
from standins.preflight import Impatient, model

from backends.handle import Handle
from backends.spaces import Spaces
from orchestrator.jobs.deployments import DeploymentRecord, Deployments
from orchestrator.jobs.records import Records
from orchestrator.preflight.lookup import in_folder
from orchestrator.preflight.model import check_model, facts_of
from worker.account import who
from worker.errors import BadConfig, BadData, HubtrainError, HubUnreachable
from worker.families.templates import own_template
from worker.families.text.shape import Shape
from worker.hubclient import hub
from worker.reading.diagnose import encoding_fault
from worker.reading.files import on_disk

NOW = datetime(2026, 1, 2, tzinfo=UTC)


# models


def refusal(folder: Path) -> str:
    with pytest.raises(BadConfig) as refused:
        facts_of(in_folder(str(folder), ("chat_template.jinja",)))
    return refused.value.message


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[]", "holds no object"),
        (b"\xff{}", "is not UTF-8"),
        (b"[" * 200_000, "nests too deep"),
        (b'{"hidden_size": "wide"}', "hidden_size is 'wide', which is no size"),
        (b'{"num_hidden_layers": 1e300}', "num_hidden_layers is 1e+300, which is no size"),
        (b'{"num_attention_heads": 0}', "num_attention_heads is 0, and is at least 1"),
        (
            b'{"hidden_size": 64, "n_head": 5}',
            "hidden_size 64 cannot be shared by 5 heads (n_head)",
        ),
        (
            b'{"hidden_size": 128}',
            "of another model than the weights: hidden_size is 128, and no tensor",
        ),
        (b'{"text_config": 7}', "text_config is 7, which is no object"),
        (b'{"id2label": {"cat": 0}}', "which is no object with a number for each class"),
    ],
)
def test_a_configuration_that_is_none(tmp_path: Path, content: bytes, said: str) -> None:
    folder = model(tmp_path / "model")
    (folder / "config.json").write_bytes(content)
    assert said in refusal(folder)


def test_numbers_that_only_look_odd_are_left_alone(tmp_path: Path) -> None:
    odd: dict[str, Any] = {
        "tie_word_embeddings": False,
        "num_key_value_heads": [1, 4],
        "pad_token_id": -1,
    }
    facts = facts_of(in_folder(str(model(tmp_path / "model", **odd))))
    assert Shape.of(facts.config).cached == 2 * 16 * 4, "the most of any layer"


@pytest.mark.parametrize("more", [{"vision_config": {}}, {"head_dim": 16}])
def test_heads_that_need_not_share_the_width(tmp_path: Path, more: dict[str, Any]) -> None:
    """Of a model of parts, or one that tells how wide a head is."""
    folder = model(tmp_path / "model", num_attention_heads=5, **more)
    assert facts_of(in_folder(str(folder))).parameters


@pytest.mark.parametrize(
    "header", ["7", '{"w": "x"}', '{"w": {"dtype": "F32"}}', '{"w": {"dtype": 1, "shape": [2]}}']
)
def test_weights_whose_header_is_none(tmp_path: Path, header: str) -> None:
    folder = model(tmp_path / "model")
    content = len(header).to_bytes(8, "little") + header.encode()
    (folder / "model.safetensors").write_bytes(content)
    assert "model.safetensors" in refusal(folder)


def weights(header: Any, behind: int = 0) -> bytes:
    """Return a safetensors file with so many bytes behind its header."""
    written = json.dumps(header).encode()
    return len(written).to_bytes(8, "little") + written + bytes(behind)


TENSOR = {"w": {"dtype": "F32", "shape": [8, 64], "data_offsets": [0, 2048]}}
POINTER = b"version https://git-lfs.github.com/spec/v1\n"
ARCHIVE = b"PK\x03\x04" + bytes(500)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("model.safetensors", weights(TENSOR)[:-20], "has 56 bytes, and says that there are 76"),
        ("model.safetensors", weights(TENSOR, 2047), "is cut short: it has 2,"),
        ("model.safetensors", POINTER, "Git LFS"),
        ("pytorch_model.bin", POINTER, "Git LFS"),
        ("pytorch_model.bin", ARCHIVE, "is cut short: its end is missing"),
        ("model-1.safetensors", weights(TENSOR, 2048), "names model-2.safe.* and 1 more"),
    ],
)
def test_weights_that_are_not_whole(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    folder = model(tmp_path / "model")
    (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(content)
    if name == "model-1.safetensors":
        places = {"w": name, "v": "model-2.safetensors", "u": "model-3.safetensors"}
        index = folder / "model.safetensors.index.json"
        index.write_text(json.dumps({"weight_map": places}))
    with pytest.raises(BadConfig, match=said) as refused:
        in_folder(str(folder))
    assert ("lfs pull" if content == POINTER else "once more") in refused.value.fix


def test_weights_that_are_whole_are_left_alone(tmp_path: Path) -> None:
    folder = model(tmp_path / "model")
    (folder / "model.safetensors").write_bytes(weights(TENSOR, 2048))
    assert in_folder(str(folder)).weights.parameters == {"F32": 512}


@pytest.mark.parametrize(
    ("gone", "left", "said"),
    [
        (["tokenizer.json", "tokenizer_config.json"], "", "no tokenizer, and cannot read texts"),
        (["tokenizer.json", "tokenizer_config.json"], "vocab.txt", "tokens are estimated"),
        ([], "", "no image processor, and cannot see images"),
        ([], "processor_config.json", ""),
    ],
)
def test_a_model_without_a_part_that_it_takes(
    tmp_path: Path, gone: list[str], left: str, said: str
) -> None:
    folder = model(tmp_path / "model")
    for name in gone:
        (folder / name).unlink()
    if left:
        (folder / left).write_text("{}")
    reads = ("tokenizer.json",) if gone else ("preprocessor_config.json",)
    look = partial(in_folder, str(folder), reads)
    _, findings = check_model(look, lambda facts: None, False, reads)
    told = [finding for finding in findings.in_order() if finding.level != "ok"]
    assert [said in finding.text for finding in told] == [True] * bool(said)
    assert bool(findings.wrong) == (said.startswith("no "))


def test_a_template_that_is_no_text(tmp_path: Path) -> None:
    folder = model(tmp_path / "model")
    (folder / "chat_template.jinja").write_bytes(b"\xff\xfe{")
    assert "chat_template.jinja of" in refusal(folder)
    assert own_template({"chat_template": ["x", {"name": 1}]}) is None


# data


def test_utf_32_that_is_cut_short(tmp_path: Path) -> None:
    file = tmp_path / "cut.csv"
    file.write_bytes("text\nfine\n".encode("utf-32")[:-1])
    fault = encoding_fault(on_disk(file))
    assert isinstance(fault, BadData) and "UTF-32" in fault.message


# records


@pytest.fixture
def records(tmp_path: Path) -> Records:
    made, spec = Records(tmp_path), job("spaces")
    made.claim("f", lambda: spec, NOW)
    Deployments(made).put(
        DeploymentRecord(Handle("space", "ann/chat"), "ann/m", "t4-small", 0.4, NOW)
    )
    return made


def changed(folder: Path, what: str, value: Any) -> None:
    with closing(sqlite3.connect(folder / "jobs.sqlite")) as db, db:
        table, column = what.split(".")
        db.execute(f"update {table} set {column} = ?", (value,))


@pytest.mark.parametrize("what", ["jobs.asked_at", "jobs.forecast", "glances.glance"])
@pytest.mark.parametrize("value", ["{", "[]", b"\x80", '{"minutes": 1}', "3"])
def test_what_a_record_can_do_without(
    records: Records, tmp_path: Path, what: str, value: Any
) -> None:
    (before,) = records.glances()
    changed(tmp_path, what, value)
    if what == "glances.glance" or isinstance(value, str):
        (after,) = records.glances()
        assert (after.job_id, after.state) == (before.job_id, before.state)


def test_a_deployment_on_record_that_cannot_be_read(records: Records, tmp_path: Path) -> None:
    changed(tmp_path, "deployments.at", "yesterday")
    with pytest.raises(HubtrainError, match="of the deployment space://ann/chat cannot be read"):
        Deployments(records).all()


# the Hub


@contextmanager
def answering(answer: Any) -> Iterator[str]:
    """Yield the address of what gives one answer to everything."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("answer", [None, [], {"error": "Sorry"}, {"name": "ann", "orgs": [7]}, 1])
def test_answers_that_are_no_hub_s(answer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(answer) as address:
        monkeypatch.setenv("HF_ENDPOINT", address)
        clock = Impatient()
        with pytest.raises(HubUnreachable, match="did not answer as a Hub does"):
            who(hub("hf_x"), clock)
        for ask in (Spaces("hf_x", clock).flavors, lambda: Spaces("hf_x", clock).sweep("ann")):
            if answer != []:
                with pytest.raises(HubUnreachable):
                    ask()
