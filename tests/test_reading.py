"""The laptop and the machine that trains read the same: same rows, same lines, same words."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from standins.localhub import HubServer

from orchestrator.data.package import package
from orchestrator.data.sources import find
from worker.common import Data
from worker.contract import DataRef
from worker.errors import BadData
from worker.hubclient import hub
from worker.reading import load
from worker.reading.classes import of_schema, with_features

ODD: dict[str, bytes] = {
    "bom.csv": b'\xef\xbb\xbftext,n\n"a ""b"",\nc",1\n\nd,2\n',
    "semicolon.csv": b"text;n\nhello, you;1\n",
    "number.csv": b"text,n\n007,1.5\n8,2\n",
    "tabs.tsv": b"text\tn\na, b\t1\n",
    "blank.jsonl": '\ufeff{"text": "ä"}\n\n{"text": null, "late": [{"z": 1}]}\n'.encode(),
    "times.jsonl": b'{"text": "2020-01-01"}\n{"text": "x"}\n',
    "array.json": b'[{"text": "a", "n": 1}, {"text": "b", "n": 2.5}]',
    "packed.csv.gz": gzip.compress(b"text,n\na,1\n", mtime=0),
    "packed.jsonl.gz": gzip.compress(b'{"text": "a"}\n', mtime=0),
    "ragged.csv": b"text,n\na,1\nb\n",
    "latin.csv": "text,n\nx,é\n".encode("latin-1"),
    "wide.csv": "text,n\nx,1\n".encode("utf-16"),
    "open.csv": b'text,n\n1,"x\n2,3\n',
    "broken.jsonl": b'{"text": "a"}\n\n{"text": "b",}\n',
    "list.jsonl": b'{"text": "a"}\n[2]\n',
    "mixed.jsonl": b'{"text": "a"}\n{"text": ["b"]}\n',
    "empty.csv": b"",
    "cut.parquet": b"PAR1xxxx",
    "notes.txt": b"hello",
}

Told = tuple[tuple[str, ...], list[tuple[int, Any]], int] | str


def on_laptop(path: Path) -> Told:
    """Return columns, numbered rows and their count, or what is said instead."""
    try:
        table = find(Data(data_path=str(path)), None).tables["train"]
        rows = table.measure(1e9).rows
        return table.columns(), list(table.rows()), rows
    except BadData as error:
        return f"{error.message} {error.fix}"


def on_machine(path: Path) -> Told:
    """Return the same of the machine that trains."""
    try:
        split = load(DataRef(folder=str(path.parent), train=(path.name,)))["train"]
        return split.columns, list(split.rows), split.total
    except BadData as error:
        return f"{error.message} {error.fix}"


@pytest.mark.parametrize("name", [*ODD, "dictionary.parquet"])
def test_an_odd_file_is_the_same_to_the_laptop_and_to_what_trains(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    if name in ODD:
        path.write_bytes(ODD[name])
    else:
        words = pa.array(["a", "b", "a"]).dictionary_encode()
        pq.write_table(pa.table({"text": words, "n": [1, None, 3]}), path)
    assert on_laptop(path) == on_machine(path)


def test_several_files_of_a_split_are_one_table_with_all_their_columns(tmp_path: Path) -> None:
    for name, row in {"train-0.jsonl": {"n": 1}, "train-1.jsonl": {"n": 1.5, "m": "x"}}.items():
        (tmp_path / name).write_text(json.dumps(row) + "\n", encoding="utf-8")
    names = ("train-0.jsonl", "train-1.jsonl")
    split = load(DataRef(folder=str(tmp_path), train=names))["train"]
    rows = [(1, {"n": 1.0, "m": None}), (2, {"n": 1.5, "m": "x"})]
    assert (split.columns, list(split.rows), split.total) == (("n", "m"), rows, 2)
    assert list(find(Data(data_path=str(tmp_path)), None).tables["train"].rows()) == rows


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="There is no file"):
        load(DataRef(folder=str(tmp_path), train=("gone.csv",)))


# the names of classes

NAMES = ("cat", "dog")
PLAIN = pa.table({"text": ["a", "b"], "label": [1, 0], "parts": [{"kind": [0]}, {"kind": [1]}]})
FEATURES = {
    "label": {"names": list(NAMES), "_type": "ClassLabel"},
    "parts": {"kind": {"feature": {"names": ["x", "y"], "_type": "ClassLabel"}, "_type": "List"}},
}
CARD = """---
dataset_info:
- config_name: other
  features: [{name: label, dtype: {class_label: {names: {'0': no}}}}]
- config_name: default
  features:
  - name: label
    dtype: {class_label: {names: {'0': cat, '1': dog}}}
  - name: parts
    struct:
    - name: kind
      list: {class_label: {names: {'0': x, '1': y}}}
  - {name: text, dtype: string}
configs:
- config_name: default
  data_files: [{split: train, path: train.parquet}]
---
"""
CLASSES = {"label": NAMES, "parts.kind": ("x", "y")}


def test_class_names_come_out_of_a_schema_and_go_with_the_packed_rows(tmp_path: Path) -> None:
    """The judge is the library whose features they are."""
    from datasets import Features

    schema = with_features(PLAIN.schema, FEATURES)
    pq.write_table(PLAIN.cast(schema), tmp_path / "train.parquet")
    params = Data(data_path=str(tmp_path / "train.parquet"))
    found = find(params, None)
    assert found.tables["train"].classes() == CLASSES
    made = package(found, params, tmp_path / "packed")
    split = load(DataRef(folder=str(made.folder), train=made.train))["train"]
    assert split.classes == CLASSES
    assert [row["label"] for _, row in split.rows] == [1, 0]
    packed = Features.from_arrow_schema(pq.read_schema(made.folder / made.train[0]))
    assert packed["label"].names == list(NAMES)
    assert packed["parts"]["kind"].feature.names == ["x", "y"]


def test_class_names_of_a_card_reach_the_laptop_and_what_trains(
    tmp_path: Path, shared_hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", shared_hub.endpoint)
    monkeypatch.setenv("HF_TOKEN", shared_hub.tokens["ann"])
    pq.write_table(PLAIN, tmp_path / "train.parquet")
    (tmp_path / "README.md").write_text(CARD, encoding="utf-8")
    api = hub(shared_hub.tokens["ann"])
    api.create_repo("ann/pets", repo_type="dataset")
    api.upload_folder(repo_id="ann/pets", repo_type="dataset", folder_path=tmp_path)
    found = find(Data(data_path="ann/pets"), api)
    assert found.remote is not None
    assert found.tables["train"].classes() == CLASSES
    told = DataRef.model_validate_json(found.remote.model_dump_json())
    assert load(told)["train"].classes == CLASSES


@pytest.mark.parametrize("told", [b"no json", b"[]", b'{"info": {}}', b'{"info": {"features": 1}}'])
def test_features_that_make_no_sense_are_no_reason_to_refuse(told: bytes) -> None:
    assert of_schema(PLAIN.schema.with_metadata({b"huggingface": told})) == {}
