"""The laptop and the machine that trains read the same: same rows, same lines, same words."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import zipfile
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
from worker.reading import FileTable, load
from worker.reading.classes import of_schema, with_features
from worker.reading.files import on_disk
from worker.reading.folders import in_zip
from worker.reading.formats import delimiter_of

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
    "wide.jsonl": '{"text": "ä"}\n'.encode("utf-16"),
    "wide.csv.gz": gzip.compress("text;n\nä, b;1\n".encode("utf-16"), mtime=0),
    "in.json": b'{"version": 1, "data": [{"text": "a"}, {"text": "b"}]}',
    "pandas.json": b'{"text": {"0": "a", "1": "b"}, "n": {"0": 1, "1": 2}}',
    "chat.json": b'{"messages": [{"role": "user", "content": "a"}]}',
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


BOOK = Path(__file__).parent / "golden" / "book.xlsx"
"""Written by XlsxWriter: a blank row, dates, formulas, bold letters, more sheets, one hidden."""


def test_a_workbook_is_read_as_it_shows() -> None:
    rows = [
        ("hello\nworld é 你 <b>&", 1, "2024-05-01", "TRUE", 0.5, "007"),
        ("a, b", 2, "2024-05-01 13:30:00", "FALSE", 2.0, "8"),
        ("  spaced  ", 3, "13:30:00", None, 1e20, None),
    ]
    names = ("text", "n", "when", "ok", "ratio", "id")
    lines = [dict(zip(names, row, strict=True)) for row in rows]
    numbered = list(zip((2, 4, 5), lines, strict=True))
    assert on_laptop(BOOK) == (names, numbered, 3) == on_machine(BOOK)
    assert find(Data(data_path=str(BOOK)), None).notes == ("sheet 'Chats'; also there: Notes",)


def test_brackets_in_texts_are_no_nesting(tmp_path: Path) -> None:
    file = tmp_path / "smiles.jsonl"
    file.write_text('{"text": "\\" :[ {"}\n' * 600)
    assert len(on_laptop(file)[1]) == 600


def test_empty_cells_and_rows_of_a_workbook_take_no_room(tmp_path: Path) -> None:
    styled = '<row><c r="XFD1" s="1"/></row>' * 20_000
    text = '<row><c r="A1" t="inlineStr"><is><t>text</t></is></c></row>'
    (tmp_path / "styled.xlsx").write_bytes(book(f"<s>{text}{styled}{text}</s>"))
    assert on_laptop(tmp_path / "styled.xlsx") == (("text",), [(20_002, {"text": "text"})], 1)


def book(sheet: str | None = None, without: str = "") -> bytes:
    """Return the workbook with other XML in its first sheet, or without a part."""
    made = io.BytesIO()
    with zipfile.ZipFile(BOOK) as old, zipfile.ZipFile(made, "w") as new:
        for name in old.namelist():
            if name != without:
                first = name == "xl/worksheets/sheet1.xml"
                new.writestr(name, sheet if sheet and first else old.read(name))
    return made.getvalue()


CELL = '<c r="{}1"><v>1</v></c>'
ROW = f"<row>{CELL.format('A')}</row>"
ENTITIES = '<!DOCTYPE x [<!ENTITY a "aaaa">]><worksheet>&a;</worksheet>'
ROWS = b'{"text": "a"}\n{"text": "b"}\n'
OFFICE = "soffice --headless --convert-to xlsx"
WRONG: dict[str, tuple[bytes, str]] = {
    "book.csv": (book(), "book.csv is an Excel workbook. mv book.csv book.xlsx"),
    "zip.jsonl": (b"PK\x03\x04..", "zip.jsonl is a zip. mv zip.jsonl zip.zip"),
    "rows.csv": (ROWS, "rows.csv is JSON lines. mv rows.csv rows.jsonl"),
    "rows.parquet": (ROWS, "rows.parquet is JSON lines. mv rows.parquet rows.jsonl"),
    "list.jsonl": (b'[\n{"text": "a"}]', "list.jsonl is one JSON array. mv list.jsonl list.json"),
    "a b.jsonl": (b"text,n\na,1\n", "a b.jsonl is CSV. mv 'a b.jsonl' 'a b.csv'"),
    "table.xlsx": (b"text,n\na,1\n", "table.xlsx is CSV. mv table.xlsx table.csv"),
    "columns.csv": (b"PAR1....", "columns.csv is Parquet. mv columns.csv columns.parquet"),
    "packed.csv": (
        gzip.compress(b"text\na\n"),
        "compressed with gzip. mv packed.csv packed.csv.gz",
    ),
    "old.csv": (
        b"\xd0\xcf\x11\xe0",
        "mv old.csv old.xls && soffice --headless --convert-to xlsx old.xls",
    ),
    "old.xls": (b"\xd0\xcf\x11\xe0", "soffice --headless --convert-to xlsx old.xls"),
    "rows.jsonl.bz2": (b"BZh9", "bunzip2 -k rows.jsonl.bz2"),
    "rows.tar.gz": (gzip.compress(b"x"), "tar xf rows.tar.gz"),
    "lines.txt": (b"a\nb\n", "open('lines.txt', encoding='utf-8-sig')"),
    "splits.json": (
        b'{"train": [{"text": "a"}], "test": [{"text": "b"}]}',
        "splits.json holds several lists of rows: train, test. python -c",
    ),
    "page.csv": (b"<!DOCTYPE html>\n<html>", "page.csv is a web page"),
    "pointer.csv": (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    "paper.csv": (b"%PDF-1.4", "paper.csv is a PDF. "),
    "latin.csv": (
        "text\né\n".encode("latin-1"),
        "iconv -f CP1252 -t UTF-8 latin.csv > latin-utf8.csv",
    ),
    "wide.csv": (
        "text\na\n".encode("utf-16-le"),
        "iconv -f UTF-16LE -t UTF-8 wide.csv > wide-utf8.csv",
    ),
    "cut.csv": (
        "text\na\n".encode("utf-16")[:-1],
        "cut.csv is UTF-16 or UTF-32, and broken or cut short.",
    ),
    "zero.csv": (b"text\na\0b\n" + b"a\n" * 9, "zero.csv line 2 holds a zero byte"),
    "blank.csv": (b"\n\n", "blank.csv has no rows."),
    "none.csv.gz": (gzip.compress(b""), "none.csv.gz is empty."),
    "lines.jsonl": (
        b'{"text": "a"}\n' + b'{"text": oops\n' * 6 + b'[1]\n{"text": ["x"]}\n',
        "lines.jsonl: 8 lines cannot be read.\nline 2 is not JSON: Expecting value at column 10.\n",
    ),
    "items.json": (
        b'[{"text": "a"}, 3, {"text": ["x"]}]',
        "item 3: text is a list here and text before.",
    ),
    "ragged.csv": (
        b"text,n\na,1\nb\nc,2,3\n",
        "ragged.csv: 2 lines cannot be read.\nline 3 has 1 column where the header has 2.\n",
    ),
    "deep.jsonl": (
        b'{"text": ' + b"[" * 90_000 + b"]" * 90_000 + b"}\n",
        "deep.jsonl nests more than 500 deep.",
    ),
    "wide_deep.jsonl": (  # every bracket far from the next, or with others between
        b'{"text": ' + (b" " * 200 + b"[[],") * 9000 + b"1" + b"]" * 9000 + b"}\n",
        "wide_deep.jsonl nests more than 500 deep.",
    ),
    "second_deep.jsonl": (
        ROWS + b'{"text": "a", "b": ' + b"[" * 90_000 + b"]" * 90_000 + b"}\n",
        "second_deep.jsonl nests more than 500 deep.",
    ),
    "half.json": (rb'[{"text": "\ud800"}]', r"half.json holds half a character, \ud800,"),
    "digits.json": (
        b'[{"text": ' + b"9" * 5000 + b"}]",
        "digits.json holds a number with thousands of digits.",
    ),
    "late.jsonl": (
        ROWS * 3000 + b'{"text": ' + b"[" * 2000 + b"]" * 2000 + b"}\n",
        "late.jsonl",
    ),
    "entities.xlsx": (book(ENTITIES), "declares entities"),
    "broken.xlsx": (book("<worksheet><row>"), "is no Excel workbook, or a broken one"),
    "far.xlsx": (book('<s><row r="1"><c r="ZZZZ1"><v>1</v></c></row></s>'), "a cell at ZZZZ1"),
    "many.xlsx": (book('<s><row r="1048577"/></s>'), "a row 1048577"),
    "area.xlsx": (
        book("<s><row>" + CELL.format("XFD") + "</row>" + ROW * 2048 + "</s>"),
        "takes more than 33,554,432 cells",
    ),
    "text.xlsx": (book(without="xl/sharedStrings.xml"), "or a broken one"),
    "formula.xlsx": (
        book('<s><row r="1"><c r="B1"><f>1+1</f><v></v></c></row></s>'),
        "B1 is a formula that was never computed. Open it",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_file_that_cannot_be_read_says_what_it_is_and_what_helps(
    tmp_path: Path, name: str
) -> None:
    data, words = WRONG[name]
    path = tmp_path / name
    path.write_bytes(data)
    said = on_laptop(path)
    assert isinstance(said, str) and words in said
    assert on_machine(path) == said


def test_iconv_makes_of_it_what_can_be_read(tmp_path: Path) -> None:
    """The command is one that works."""
    (tmp_path / "l a.csv").write_bytes("text\né\n".encode("cp1252"))
    said = on_laptop(tmp_path / "l a.csv")
    assert isinstance(said, str)
    command = "iconv" + said.partition("iconv")[2]
    subprocess.run(command, shell=True, check=True, cwd=tmp_path)
    assert on_laptop(tmp_path / "l a-utf8.csv") == (("text",), [(2, {"text": "é"})], 1)


@pytest.mark.parametrize("name", ["data.json", "train.xlsx", "rows.csv.gz"])
def test_a_zip_of_one_file_is_that_file(tmp_path: Path, name: str) -> None:
    content = {
        "data.json": b'[{"text": "a"}]',
        "train.xlsx": BOOK.read_bytes(),
        "rows.csv.gz": gzip.compress(b"text\na\n"),
    }[name]
    (tmp_path / name).write_bytes(content)
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr(name, content)
        archive.writestr("__MACOSX/._" + name, b"x")
    assert on_laptop(tmp_path / "all.zip") == on_laptop(tmp_path / name)


OUTSIDE = ("../rows.csv", "a/../../rows.csv", "/rows.csv", "C:\\rows.csv", "..\\rows.csv")
"""Paths in a zip that lead out of it."""


def test_what_leads_out_of_a_zip_is_left_out_and_told(tmp_path: Path) -> None:
    packed = tmp_path / "all.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for name in ("a/train.csv", "a..b/more.csv", *OUTSIDE):
            archive.writestr(name, "text\na\n")
    files = in_zip(packed)
    assert (files.names, files.folders) == (("a..b/more.csv", "a/train.csv"), ("a", "a..b"))
    assert (files.outside, files.hidden) == (OUTSIDE, ())
    told = find(Data(data_path=str(packed)), None).left_out
    assert told.endswith("lead out of the zip: " + ", ".join(OUTSIDE))
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(OUTSIDE[0], "text\na\n")
    assert "no data" in (said := str(on_laptop(packed))) and "lead out of the zip" in said


def test_several_files_of_a_split_are_one_table_with_all_their_columns(tmp_path: Path) -> None:
    for name, row in {"train-0.jsonl": {"n": 1}, "train-1.jsonl": {"n": 1.5, "m": "x"}}.items():
        (tmp_path / name).write_text(json.dumps(row) + "\n", encoding="utf-8")
    names = ("train-0.jsonl", "train-1.jsonl")
    split = load(DataRef(folder=str(tmp_path), train=names))["train"]
    rows = [(1, {"n": 1.0, "m": None}), (2, {"n": 1.5, "m": "x"})]
    assert (split.columns, list(split.rows), split.total) == (("n", "m"), rows, 2)
    assert list(find(Data(data_path=str(tmp_path)), None).tables["train"].rows()) == rows


def test_a_split_may_be_called_as_its_file_or_folder_is(tmp_path: Path) -> None:
    for name in ("foxes.jsonl", "dogs/0.jsonl", "dogs/1.jsonl", "train.jsonl", "more.jsonl"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps({"from": name}) + "\n", encoding="utf-8")
    asked = Data(data_path=str(tmp_path), train_split="foxes", valid_split="dogs")
    tables = find(asked, None).tables
    told = {role: [row["from"] for _, row in table.rows()] for role, table in tables.items()}
    assert told == {"train": ["foxes.jsonl"], "valid": ["dogs/0.jsonl", "dogs/1.jsonl"]}


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


@pytest.mark.parametrize(
    ("content", "delimiter"),
    [
        ("text,n\nfine; really,1\nfine,2\n", ","),
        ("text\nfine; really\nfine; or not\nfine\n", ","),
        ("text;n\nfine, really;1\nfine, or, not;2\n", ";"),
        ("text;n\nfine;1\nfine; really;2\nfine;3\n", ";"),
        ('text;"n, in all"\nfine;1\ngood;2\n', ";"),
        ("text;n\na\tb;1\na\tb;2\n", ";"),
        ('text,n\n"one\ntwo;three",1\nfine,2\n', ","),
        ("text,n\nfine, really,1\nso, so,2\n", ","),
    ],
)
def test_a_mark_in_a_text_is_no_delimiter(tmp_path: Path, content: str, delimiter: str) -> None:
    file = tmp_path / "rows.csv"
    file.write_text(content)
    assert delimiter_of(on_disk(file)) == delimiter


def test_numbers_that_begin_with_zeros_are_texts(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("zip,n,share,text\n01067,0,0.5,a\n80331,10,0.25,b\n,-3,1e5,c\n")
    told = on_laptop(file)
    assert not isinstance(told, str)
    rows = [list(row.values()) for _, row in told[1]]
    assert rows == [["01067", 0, 0.5, "a"], ["80331", 10, 0.25, "b"], ["", -3, 1e5, "c"]]
    assert on_machine(file) == told


def test_zeros_stay_where_a_later_block_is_of_another_kind(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    lines = ("".join(f"0{i % 10},{i}\n" for i in range(700_000)), "07,none\n")
    file.write_text("zip,n\n" + "".join(lines))
    told = on_laptop(file)
    assert not isinstance(told, str)
    assert told[1][-1][1] == {"zip": "07", "n": "none"} and told[1][0][1]["zip"] == "00"


def test_rows_of_a_large_file_are_estimated_by_what_is_stored(tmp_path: Path) -> None:
    """What is decoded takes another room than its text, whose beginning alone is read."""
    text = "".join(f"{n % 9},{n % 7 / 10},a\n" for n in range(1_200_000))
    plain, packed, wide = (tmp_path / name for name in ("a.csv", "b.csv.gz", "c.csv"))
    plain.write_text(f"n,share,kind\n{text}", "utf-8")
    packed.write_bytes(gzip.compress(plain.read_bytes(), 1))
    wide.write_text(plain.read_text("utf-8"), "utf-16")
    for file in (plain, packed, wide):
        found = FileTable(file.name, (on_disk(file),)).measure(1 << 20)
        assert not found.exact
        assert found.rows == pytest.approx(1_200_000, rel=0.15), file.name
