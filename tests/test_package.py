"""Reading and packing: what each kind of file becomes, and what each broken one is told."""

from __future__ import annotations

import gzip
import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from huggingface_hub import CommitOperationAdd, HfApi
from standins.localhub import HubServer

from orchestrator.data.package import Package, local_ref, package, planned_ref, repo_of, upload
from orchestrator.data.package.shards import SHARD_BYTES
from orchestrator.data.sources import DataSource, find
from orchestrator.data.sources.remote import WHOLE_BYTES
from worker.clock import SystemClock
from worker.common import Data
from worker.errors import BadConfig, BadData, HubtrainError
from worker.hubclient import hub as client
from worker.reading import load

ROWS = [{"text": f"row {i}", "n": i} for i in range(20)]
CSV = "text,n\n" + "".join(f"{row['text']},{row['n']}\n" for row in ROWS)
JSONL = "".join(json.dumps(row) + "\n" for row in ROWS)


def source(path: Path, **settings: Any) -> DataSource:
    return find(Data(data_path=str(path), **settings), None)


def rows_of(path: Path, **settings: Any) -> list[dict[str, Any]]:
    return [row for _, row in source(path, **settings).tables["train"].rows()]


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def packed(path: Path, folder: Path, **settings: Any) -> Package:
    params = Data(data_path=str(path), **settings)
    return package(find(params, None), params, folder)


# what can be read


def zipped(path: Path, files: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def parquet(path: Path) -> Path:
    pq.write_table(pa.Table.from_pylist(ROWS), path)
    return path


@pytest.mark.parametrize(
    "name",
    ["a.csv", "a.tsv", "a.jsonl", "a.json", "a.csv.gz", "a.jsonl.gz", "a.parquet", "a.zip", "dir"],
)
def test_every_format_gives_the_same_rows(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    made = {
        "a.csv": lambda: write(path, CSV),
        "a.tsv": lambda: write(path, CSV.replace(",", "\t")),
        "a.jsonl": lambda: write(path, JSONL),
        "a.json": lambda: write(path, json.dumps(ROWS)),
        "a.csv.gz": lambda: write(path, gzip.compress(CSV.encode(), mtime=0)),
        "a.jsonl.gz": lambda: write(path, gzip.compress(JSONL.encode(), mtime=0)),
        "a.parquet": lambda: parquet(path),
        "a.zip": lambda: zipped(path, {"data/train.csv": CSV, "__MACOSX/train.csv": "x"}),
        "dir": lambda: write(path / "train.jsonl", JSONL).parent,
    }
    assert rows_of(made[name]()) == ROWS


def test_a_csv_field_may_hold_quotes_commas_and_lines_and_rows_keep_their_line(
    tmp_path: Path,
) -> None:
    path = write(tmp_path / "a.csv", '\ufefftext,n\n"said ""hi"",\nthen left",1\n\n5" screen,2\n')
    rows = list(source(path).tables["train"].rows())
    assert rows == [
        (2, {"text": 'said "hi",\nthen left', "n": 1}),
        (5, {"text": '5" screen', "n": 2}),
    ]


def test_another_delimiter_is_taken_only_when_it_is_sure(tmp_path: Path) -> None:
    assert rows_of(write(tmp_path / "a.csv", "text;n\nhello, you;1\n")) == [
        {"text": "hello, you", "n": 1}
    ]
    assert rows_of(write(tmp_path / "b.csv", "text\nhello; you\nbye\n")) == [
        {"text": "hello; you"},
        {"text": "bye"},
    ]


def test_a_field_longer_than_a_block_is_read(tmp_path: Path) -> None:
    long = "y" * (5 << 20)
    assert [r["a"] for r in rows_of(write(tmp_path / "a.csv", f"a,b\n{long},1\nx,2\n"))] == [
        long,
        "x",
    ]


def test_a_column_that_stops_being_a_number_is_text_from_the_start(tmp_path: Path) -> None:
    content = "n,p\n" + f"007,{'x' * 40}\n" * 150_000 + "many,x\n"
    folder = tmp_path / "out"
    made = packed(write(tmp_path / "a.csv", content), folder)
    column = pq.read_table(folder / made.train[0])["n"].to_pylist()
    assert (column[0], column[-1], len(column)) == ("007", "many", 150_001)


def test_a_jsonl_field_that_comes_late_is_there(tmp_path: Path) -> None:
    content = (
        f'{{"a": "2020-01-01", "p": "{"x" * 40}"}}\n' * 80_000 + '{"a": "x", "m": [{"z": 1}]}\n'
    )
    rows = rows_of(write(tmp_path / "a.jsonl", content))
    assert rows[0]["a"] == "2020-01-01" and rows[-1] == {"a": "x", "p": None, "m": [{"z": 1}]}


def test_a_split_may_be_several_files(tmp_path: Path) -> None:
    write(tmp_path / "d/train-0.csv", "n\n1\n")
    write(tmp_path / "d/train-1.csv", "n,m\n1.5,x\n")
    write(tmp_path / "d/valid.csv", "n\n9\n")
    found = source(tmp_path / "d", valid_split="validation")
    assert [row for _, row in found.tables["train"].rows()] == [
        {"n": 1.0, "m": None},
        {"n": 1.5, "m": "x"},
    ]
    assert [row for _, row in found.tables["valid"].rows()] == [{"n": 9}]
    assert source(tmp_path / "d").unused == ("valid",)


def test_a_validation_split_may_be_a_file_of_its_own(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", '{"n": 1}\n')
    held = write(tmp_path / "b.csv", "n\n9\n8\n")
    found = source(tmp_path / "a.jsonl", valid_split=str(held))
    assert [row for _, row in found.tables["train"].rows()] == [{"n": 1}]
    assert [row for _, row in found.tables["valid"].rows()] == [{"n": 9}, {"n": 8}]
    params = Data(data_path=str(tmp_path / "a.jsonl"), valid_split=str(held))
    made = package(found, params, tmp_path / "packed")
    assert made.train and made.valid
    with pytest.raises(BadData, match=r"no file or folder .*c\.csv"):
        source(tmp_path / "a.jsonl", valid_split=str(tmp_path / "c.csv"))
    with pytest.raises(BadConfig, match="name a file"):
        source(tmp_path / "a.jsonl", valid_split="valid")


# what is wrong with a file, in one message

BROKEN: list[tuple[str, str | bytes, str]] = [
    ("a.csv", "", "a.csv is empty"),
    ("a.csv", "a,b\n1,2\n3\n", "line 3 has 1 column where the header has 2"),
    ("a.csv", 'a,b\n1,"x\n2,3\n', "a quote opens after line 1 and never closes"),
    ("a.csv", "a,b\nx,é\n".encode("latin-1"), "line 2 is not UTF-8 .byte 0xe9 at 3"),
    ("a.csv", "a;b\n1;2\n".encode("utf-16-be"), "is UTF-16"),
    ("a.csv", "größe,b\n1,2\n".encode("latin-1"), "line 1 is not UTF-8"),
    ("a.csv", "a,a\n1,2\n", "more than one column called 'a'"),
    ("a.jsonl", '{"a": 1}\n\n{"a": 1,}\n', "line 3 is not JSON: .*column 9"),
    ("a.jsonl", '{"a": 1}\n[2]\n', "line 2 is a list, not an object"),
    ("a.jsonl", '{"a": "x"}\n{"a": ["x"]}\n', "line 2: a is a list here and text before"),
    ("a.jsonl", '{"m": [{"c": "x"}, {"c": 1}]}\n', "line 1: m.c is a number here and text before"),
    (
        "a.jsonl",
        '{"a": "x", "b": 1, "m": {"c": 1, "d": 1}}\n{"a": 1, "b": [1], "m": {"c": "x", "d": []}}\n',
        "line 2: a is a number here and text before; b is a list here and a number before; "
        "m.c is text here and a number before; m.d is a list",
    ),
    (
        "a.jsonl",
        '{"a": 1, "b": 1}\n' + '{"a": "x", "b": 1}\n' * 9 + '{"a": 1, "b": "x"}\n',
        "10 lines cannot be read.(?s:.*)line 6: a is text.*\nline 11: b is text .*\nand 4 more",
    ),
    ("a.jsonl", '{"a": "é"}\n'.encode("latin-1"), "line 1 is not UTF-8"),
    ("a.jsonl", "\n\n", "has no rows"),
    ("a.json", '[{"a": 1},\n{"a": 2]', "is not JSON: .* at line 2, column"),
    ("a.csv.gz", b"not gzip", "cannot be read"),
    ("a.jsonl.gz", gzip.compress(JSONL.encode() * 99, mtime=0)[:-20], "cannot be read"),
    ("a.parquet", b"PAR1xxxx", "cannot be read as parquet"),
    ("a.zip", b"nothing", "is not a zip file"),
    ("a.txt", "hello", "in no format that can be read"),
]


@pytest.mark.parametrize(("name", "content", "message"), BROKEN, ids=lambda v: str(v)[:24])
def test_a_broken_file_is_explained(
    tmp_path: Path, name: str, content: str | bytes, message: str
) -> None:
    path = write(tmp_path / name, content)
    with pytest.raises(BadData, match=message):
        source(path).tables["train"].measure(1e9)


def test_a_missing_file_names_the_nearest(tmp_path: Path) -> None:
    write(tmp_path / "reviews.csv", CSV)
    with pytest.raises(BadData, match="no file or folder") as caught:
        source(tmp_path / "review.csv")
    assert caught.value.fix.endswith("reviews.csv")
    with pytest.raises(BadData, match="no file or folder") as caught:
        source(tmp_path / "reviews.jsonl")
    assert caught.value.fix.endswith("reviews.csv")
    with pytest.raises(BadData, match="no file or folder") as caught:
        source(tmp_path / "sales.csv")
    assert caught.value.fix == ""
    write(tmp_path / "job.yml", b"task: llm")
    with pytest.raises(BadData, match="no file or folder") as caught:
        source(tmp_path / "job.csv")
    assert caught.value.fix == "", "a file that can hold no rows"


def test_splits_that_are_not_there_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "d/train.csv", CSV)
    with pytest.raises(BadConfig, match="no split 'dev' in d; it has: train") as caught:
        source(tmp_path / "d", valid_split="dev")
    assert "--valid-split train" not in caught.value.fix
    assert "--valid-split 0.05" in caught.value.fix
    for which in ("train_split", "valid_split"):
        with pytest.raises(BadConfig, match="is one file and has no split 'dev'"):
            source(tmp_path / "d/train.csv", **{which: "dev"})
    with pytest.raises(BadData, match="holds no data"):
        source(write(tmp_path / "e/readme.md", "x").parent)
    write(tmp_path / "d/train.jsonl", JSONL)
    with pytest.raises(BadData, match="is there as csv and as jsonl"):
        source(tmp_path / "d")


# packing


def test_the_same_file_always_gives_the_same_bytes(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", CSV)
    one, two = packed(path, tmp_path / "one"), packed(path, tmp_path / "two")
    assert one.content == two.content
    assert one.digests == two.digests
    for name, digest in one.digests.items():
        assert hashlib.sha256((tmp_path / "two" / name).read_bytes()).hexdigest() == digest
    path.write_text(CSV + "one more,1\n")
    assert packed(path, tmp_path / "three").content != one.content


def test_large_data_becomes_shards_in_order(tmp_path: Path) -> None:
    row = json.dumps({"text": "z" * 1000}) + "\n"
    count = int(SHARD_BYTES * 1.5 / 1000)
    made = packed(write(tmp_path / "a.jsonl", row * count), tmp_path / "out")
    assert made.train == ("data/train-00000.parquet", "data/train-00001.parquet")
    sizes = [pq.read_metadata(tmp_path / "out" / name).num_rows for name in made.train]
    assert sum(sizes) == made.rows == count and sizes[0] > sizes[1]


def test_max_samples_and_a_named_validation_split(tmp_path: Path) -> None:
    write(tmp_path / "d/train.csv", CSV)
    write(tmp_path / "d/test.csv", CSV)
    made = packed(tmp_path / "d", tmp_path / "out", max_samples=3, valid_split="test")
    assert made.rows == 3
    valid = pq.read_table(tmp_path / "out" / made.valid[0])
    assert valid.to_pylist() == ROWS


def test_what_cannot_be_packed_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(BadData):
        packed(write(tmp_path / "a.jsonl", JSONL + "{"), tmp_path / "out")
    assert not (tmp_path / "out" / "data").exists()


def test_local_jobs_with_the_same_data_share_it(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", CSV)
    first = local_ref(packed(path, tmp_path / "one"), tmp_path / "store")
    second = local_ref(packed(path, tmp_path / "two"), tmp_path / "store")
    assert first == second and first.folder is not None
    assert pq.read_table(Path(first.folder) / first.train[0]).to_pylist() == ROWS
    assert [p.name[0] for p in (tmp_path / "store").iterdir()] != ["."]


# the Hub


@pytest.fixture
def api(shared_hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> HfApi:
    monkeypatch.setenv("HF_ENDPOINT", shared_hub.endpoint)
    shared_hub.clear_faults()
    shared_hub.forget_requests()
    return client(shared_hub.tokens["ann"])


def sent(hub: HubServer) -> int:
    """Return how many requests carried data: blobs and commits."""
    return len(hub.requests(path="/commit/", method="POST")) + len(hub.requests(method="PUT"))


def test_the_same_data_is_sent_once(tmp_path: Path, shared_hub: HubServer, api: HfApi) -> None:
    path = write(tmp_path / "a.csv", CSV)
    made = packed(path, tmp_path / "one")
    first = upload(made, api, "ann")
    assert first.repo_id == repo_of(made, "ann") == planned_ref(made, "ann").repo_id
    assert api.dataset_info(str(first.repo_id)).private
    assert {"hubtrain", "hubtrain-data"} <= set(api.dataset_info(str(first.repo_id)).tags or [])
    shared_hub.forget_requests()
    assert upload(packed(path, tmp_path / "two"), api, "ann") == first
    assert sent(shared_hub) == 0

    found = find(Data(data_path=str(first.repo_id)), api)
    assert [row for _, row in found.tables["train"].rows()] == ROWS
    assert found.remote == first.model_copy(update={"rows": None})
    again = package(found, Data(data_path=str(first.repo_id)), tmp_path / "three")
    assert upload(again, api, "ann") == found.remote, "a dataset of the Hub is used in place"


def test_any_dataset_of_the_hub_is_read_where_it_is(
    shared_hub: HubServer, api: HfApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", shared_hub.tokens["ann"])
    stock = shared_hub.api()
    stock.create_repo("ann/marked", repo_type="dataset")
    stock.create_commit(
        "ann/marked",
        [
            CommitOperationAdd("data/train.csv", CSV.replace(",", ";").encode()),
            CommitOperationAdd("data/valid.jsonl.gz", gzip.compress(JSONL.encode(), mtime=0)),
        ],
        commit_message="data",
        repo_type="dataset",
    )
    found = find(Data(data_path="ann/marked", valid_split="valid"), api)
    assert found.remote is not None
    for role, split in load(found.remote).items():
        assert list(split.rows) == list(found.tables[role].rows())
        assert [row for _, row in found.tables[role].rows()] == ROWS


def test_a_card_says_which_files_are_which_split(shared_hub: HubServer, api: HfApi) -> None:
    stock = shared_hub.api()
    stock.create_repo("ann/several", repo_type="dataset")
    card = (
        "---\nconfigs:\n- config_name: en\n  default: true\n  data_files:\n"
        "  - split: train\n    path: en/*.jsonl\n- config_name: de\n  data_files: de/all.csv\n---\n"
    )
    stock.create_commit(
        "ann/several",
        [
            CommitOperationAdd("README.md", card.encode()),
            CommitOperationAdd("en/a.jsonl", JSONL.encode()),
            CommitOperationAdd("en/b.jsonl", JSONL.encode()),
            CommitOperationAdd("de/all.csv", CSV.encode()),
        ],
        commit_message="data",
        repo_type="dataset",
    )
    found = find(Data(data_path="ann/several"), api)
    assert found.remote is not None
    assert found.remote.train == ("en/a.jsonl", "en/b.jsonl")
    assert "also there: de" in found.notes[0]
    both = find(Data(data_path="ann/several", train_split="en:train", valid_split="de:train"), api)
    assert both.remote is not None
    assert both.remote.train == ("en/a.jsonl", "en/b.jsonl")
    assert both.remote.valid == ("de/all.csv",)
    assert not both.notes and not both.unused
    with pytest.raises(BadConfig, match="no configuration 'fr' in ann/several; it has: en, de"):
        find(Data(data_path="ann/several", train_split="fr:train"), api)
    with pytest.raises(BadConfig, match=r"no split 'tset' in ann/several \(en\)"):
        find(Data(data_path="ann/several", train_split="en:tset"), api)


def test_large_remote_files_are_read_in_parts(
    tmp_path: Path, shared_hub: HubServer, api: HfApi
) -> None:
    line = json.dumps({"text": "z" * 100_000}) + "\n"
    many = write(tmp_path / "train.jsonl", line * (WHOLE_BYTES // len(line) + 20))
    stock = shared_hub.api()
    stock.create_repo("ann/large", repo_type="dataset")
    stock.upload_file(
        repo_id="ann/large", repo_type="dataset", path_in_repo="train.jsonl", path_or_fileobj=many
    )
    table = find(Data(data_path="ann/large"), api).tables["train"]
    shared_hub.forget_requests()
    measured = table.measure(8 << 20)
    assert not measured.exact and abs(measured.rows - 691) < 20
    shared_hub.fault({"status": 403, "message": "no more"}, path="/resolve/", nth=2, times=None)
    with pytest.raises(HubtrainError, match=r"reading ann/large/train\.jsonl"):
        table.measure(1e9)
    shared_hub.clear_faults()


def test_an_interrupted_upload_goes_on(tmp_path: Path, shared_hub: HubServer, api: HfApi) -> None:
    write(tmp_path / "d/train.csv", CSV.replace("row", "line"))
    write(tmp_path / "d/valid.csv", CSV)
    made = packed(tmp_path / "d", tmp_path / "out", valid_split="valid")
    shared_hub.fault({"status": 403, "body": {"error": "no"}}, path="/commit/", method="POST")
    with pytest.raises(HubtrainError):
        upload(made, api, "ann")
    blobs = len(shared_hub.requests(method="PUT"))
    ref = upload(made, api, "ann")
    assert len(shared_hub.requests(method="PUT")) == blobs, "blobs that arrived are not sent again"
    assert {s.rfilename for s in api.dataset_info(str(ref.repo_id)).siblings or []} >= {
        *ref.train,
        *ref.valid,
    }


class Impatient(SystemClock):
    """A clock on which waiting takes no time."""

    def sleep(self, seconds: float) -> None:
        pass


def test_a_hub_that_stumbles_is_asked_again(
    tmp_path: Path, shared_hub: HubServer, api: HfApi
) -> None:
    made = packed(write(tmp_path / "a.csv", CSV.replace("row", "verse")), tmp_path / "out")
    shared_hub.fault({"status": 503}, path="/commit/", method="POST", times=2)
    assert upload(made, api, "ann", clock=Impatient()).revision
