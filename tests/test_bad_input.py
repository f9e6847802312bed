"""What is wrong is said once, in the user's words, before anything is made anywhere.

Every case runs the real command line against a local Hub, without `--dry-run`: had it not been
refused, a Space would be there.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import resource
import shutil
import socket
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from standins.laptop import Laptop, Said
from standins.localhub import HubServer
from tiny_llm import chats, write_model, write_rows

from orchestrator.jobs.records import Records

MODEL = "ann/tiny"
HERE = ("--data-path", "chats.jsonl")


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubServer]:
    """A Hub with a small model, a gated one, and people who may do different things."""
    folder = tmp_path_factory.mktemp("bad")
    server = HubServer(folder / "data", ("ann:write", "bob:read", "dan:write")).start()
    write_model(folder / "model")
    for owner, name in (("ann", MODEL), ("dan", "dan/gated")):
        api = server.api(owner)
        api.create_repo(name)
        api.upload_folder(repo_id=name, folder_path=folder / "model")
    server.api("dan").update_repo_settings("dan/gated", gated="manual")
    yield server
    server.stop()


@pytest.fixture
def laptop(hub: HubServer, tmp_path: Path) -> Iterator[Laptop]:
    """A laptop with good data, on a Hub that must not change."""
    write_rows(tmp_path / "chats.jsonl", chats(40))
    before = everything(hub)
    used = Laptop(tmp_path / "home", hub)
    yield used
    hub.clear_faults()
    assert everything(hub) == before, "something was made on the Hub"
    if used.home.is_dir():
        assert Records(used.home).all() == [], "a record claims a job"
        assert list(used.home.glob("scratch/*")) == []


def everything(hub: HubServer) -> Any:
    """Return all that people have on the Hub, and what it costs."""
    found = set()
    for owner in ("ann", "bob", "dan", "lab"):
        api = hub.api(owner if owner != "lab" else "ann")
        found |= {("model", m.id, m.sha) for m in api.list_models(author=owner)}
        found |= {("dataset", d.id, d.sha) for d in api.list_datasets(author=owner)}
        found |= {("space", s.id, s.sha) for s in api.list_spaces(author=owner)}
    return found, hub.admin("GET", "bills")


def train(*more: str) -> tuple[str, ...]:
    """Return a command that is right, but for what `more` says."""
    return (
        *("llm", "--train", "--trainer", "sft", "--peft", "--model", MODEL),
        *("--project-name", "bot", "--backend", "spaces-cpu", "--push-to-hub", "--detach"),
        *HERE,
        *more,
    )


def refused(said: Said, *words: str, code: int = 2) -> Said:
    """Check that a command said all of `words`, and nothing but what people understand."""
    text = said.out + said.err
    assert said.code == code, text
    assert "Traceback" not in text and 'File "' not in text
    for word in words:
        assert word in text
    return said


def marks(said: Said) -> int:
    return (said.out + said.err).count("✗")


# settings


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--lr", "nan"], "--lr nan: must be a finite number"),
        (["--lr", "inf"], "--lr inf: must be a finite number"),
        (["--lr", "-1"], "--lr -1: must be more than 0"),
        (["--weight-decay", "inf"], "--weight-decay inf: must be"),
        (["--epochs", "1e300"], "--epochs 1e300: must be 1,000,000 or less"),
        (["--batch-size", "99999999999999999999999"], "must be 1,000,000 or less"),
        (["--lora-r", "1" + "0" * 400], "--lora-r"),
        (["--model-max-length", "99999999999"], "--model-max-length"),
        (["--block-size", "99999999999"], "must be 8 to 1,000,000"),
        (["--seed", "-1"], "--seed -1: must be 0 or more"),
        (["--max-cost", "inf"], "--max-cost inf: must be"),
        (["--hang-minutes", "inf"], "--hang-minutes inf: must be"),
        (["--max-duration", "0s"], "longer than nothing"),
        (["--max-duration", "9" * 400 + "d"], "at most a year"),
        (["--learning-rat", "1"], "Did you mean --learning-rate"),
        (["--backend", "moon"], "There is no backend 'moon'"),
        (["--data-path", ""], "--data-path is needed"),
        (["--model", ""], "--model is needed"),
    ],
)
def test_settings(laptop: Laptop, words: list[str], message: str) -> None:
    said = refused(laptop.run(*train(*words)), message)
    assert marks(said) == 1


def test_all_unknown_options_are_named(laptop: Laptop) -> None:
    said = refused(
        laptop.run(*train("--learning-rat", "1", "--bach-size", "2")),
        "Did you mean --learning-rate",
        "Did you mean --batch-size",
    )
    assert marks(said) == 2


def test_an_unknown_option_with_underscores_is_named_once(laptop: Laptop) -> None:
    said = laptop.run(*train("--use_int4"))
    assert (said.out + said.err).count("no option") == 1


def test_all_wrong_settings_are_named(laptop: Laptop) -> None:
    words = ("--lr", "-1", "--max-duration", "soon", "--backend", "moon", "--epochs", "0")
    said = refused(laptop.run(*train(*words)), "--lr", "soon", "'moon'", "--epochs")
    assert marks(said) == 4


def test_backends_are_listed_with_prices(laptop: Laptop) -> None:
    for wrong in ("space-t4", "spaces-a1000"):
        said = refused(laptop.run(*train("--backend", wrong)), "lists all")
        assert marks(said) == 1
        lines = re.findall(r"^ +spaces-\S+ +\$\d+\.\d\d/h", said.out + said.err, re.M)
        assert len(lines) == 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n- b\n", "must hold settings as `name: value` lines"),
        ("", "must hold settings as `name: value` lines"),
        ("task: llm\nmodel: [x\n", "job.yml line 3 is not YAML"),
        ("\x89PNG\0", "is not YAML"),
        ("task: llm\nseed: " + "9" * 5000, "is not YAML"),
        ("task: llm\nseed: 2001-99-99\n", "is not YAML"),
        ("task: lllm\n", "the file's task is 'lllm'. Did you mean llm? There are: extractive-qa,"),
        ("task: 3\n", "the file's task is '3'"),
        ("task: llm\n1: 2\n", "no setting '1'"),
        ("task: llm\nlearning_rat: 1\n", "no setting 'learning_rat'. Did you mean learning_rate?"),
    ],
)
def test_files_of_settings(laptop: Laptop, tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "job.yml").write_text(text, encoding="utf-8")
    refused(laptop.run("--config", "job.yml"), message)


# data


def parquet(path: Path) -> bytes:
    pq.write_table(pa.table({"text": [f"hello {n}" for n in range(5000)]}), path)
    return path.read_bytes()


def write_bad_data(folder: Path) -> dict[str, tuple[str, ...]]:
    """Write files nobody can train on; return what must be said of each."""
    noise = bytes(range(128, 256)) * 40
    whole = parquet(folder / "whole.parquet")
    role = {"messages": [{"role": "wizard", "content": "x"}, {"role": "assistant", "content": "y"}]}
    content: dict[str, tuple[bytes, tuple[str, ...]]] = {
        "empty.csv": (b"", ("empty.csv is empty",)),
        "header.csv": (b"text\n", ("columns and no rows",)),
        "hollow.csv": (b'text\n""\n"  "\n', ("no row has anything to learn", "lines 2, 3")),
        "wrong.csv": (b"review,stars\nfine,5\n", ("it has: review, stars", "--text-column review")),
        "one.csv": (b"body\nfine\n", ('no column "text"', "it has: body")),
        "broken.jsonl": (b'{"text":"a"}\n{"text":"b"}\n{"text": oops\n', ("line 3 is not JSON",)),
        "noise.csv": (noise, ("line 1 is not UTF-8", "Save it as UTF-8")),
        "noise.parquet": (noise, ("not a parquet file",)),
        "noise.bin": (noise, ("in no format that can be read",)),
        "latin.jsonl": ('{"text":"café"}\n'.encode("latin-1"), ("line 1 is not UTF-8",)),
        "half.parquet": (whole[: len(whole) // 2], ("cannot be read as parquet",)),
        "cut.csv.gz": (gzip.compress(b"text\n" + os.urandom(3000))[:-900], ("Truncated",)),
        "nozip.zip": (b"hello", ("is not a zip file",)),
        "role.jsonl": (json.dumps(role).encode() + b"\n", ('does not know the role "wizard"',)),
    }
    for name, (data, _) in content.items():
        (folder / name).write_bytes(data)
    (folder / "bare").mkdir()
    (folder / "bare" / "notes.txt").write_text("x")
    with zipfile.ZipFile(folder / "bare.zip", "w") as archive:
        archive.writestr("readme.txt", "x")
    with zipfile.ZipFile(folder / "within.zip", "w") as archive:
        archive.write(folder / "bare.zip", "bare.zip")
    os.mkfifo(folder / "pipe.csv")
    return {name: words for name, (_, words) in content.items()} | {
        "bare": ("the folder bare holds no data",),
        "bare.zip": ("bare.zip holds no data",),
        "within.zip": ("within.zip holds a zip, bare.zip", "Unpack bare.zip"),
        "pipe.csv": ("neither a file nor a folder",),
        "missing.jsonl": ("no file or folder missing.jsonl",),
        "nobody/nothing": ("dataset nobody/nothing: not there",),
        "x" * 300: ("File name too long",),
    }


def test_data(laptop: Laptop, tmp_path: Path) -> None:
    bad = write_bad_data(tmp_path)
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda name: laptop.run(*train("--data-path", name)), bad))
    for (name, words), said in zip(bad.items(), answers, strict=True):
        assert marks(refused(said, *words, "1 thing to mend")) == 1, name


# model, account, target, machine


@pytest.mark.parametrize(
    ("words", "messages"),
    [
        (["--model", "ann/tin"], ["no model ann/tin on the Hub", "--model ann/tiny"]),
        (["--model", "a/b/c"], ["a/b/c: no repo can be called so"]),
        (["--model", "../nowhere"], ["no folder ../nowhere"]),
        (["--model", "dan/gated"], ["dan/gated is gated and ann has not accepted its terms"]),
        (["--username", "dan"], ["ann is no member of dan", "--username ann"]),
        (["--repo-id", "dan/bot"], ["ann is no member of dan", "--repo-id ann/NAME"]),
        (["--repo-id", MODEL], [f"{MODEL} already holds", "--overwrite"]),
        (["--project-name", "模型"], ["cannot be a project's name", "--project-name my-model"]),
        (["--project-name", "a--b"], ["cannot be a project's name", "--project-name a-b"]),
        (
            ["--backend", "spaces-t4", "--batch-size", "8000", "--no-packing"],
            ["GB at least", "t4-small has 16 GB", "--backend spaces-"],
        ),
    ],
)
def test_what_the_hub_knows(laptop: Laptop, words: list[str], messages: list[str]) -> None:
    said = refused(laptop.run(*train(*words)), *messages, "1 thing to mend. Nothing was created.")
    assert marks(said) == 1


@pytest.mark.parametrize(
    ("token", "message"),
    [
        ("hf_" + "x" * 34, "does not accept this token"),
        ("hf_abc\ndef", "this is no Hub token"),
        ("hf_ñandú", "this is no Hub token"),
        ("  ", "no Hub token"),
        ("", "no Hub token"),
    ],
)
def test_tokens(laptop: Laptop, token: str, message: str) -> None:
    refused(laptop.run(*train(), HF_TOKEN=token), message)


def test_doctor_says_of_a_token_what_the_check_says(laptop: Laptop) -> None:
    said = laptop.run("doctor", HF_TOKEN="hf_" + "x" * 34)
    assert said.code == 1
    assert "the Hub does not accept this token: it is mistyped, expired or revoked." in said.out


def test_a_token_that_is_empty_on_the_command_line(laptop: Laptop) -> None:
    refused(laptop.run(*train("--token", "")), "no Hub token")


def test_a_line_break_behind_a_token_is_no_part_of_it(laptop: Laptop) -> None:
    said = laptop.run(*train("--dry-run"), HF_TOKEN=laptop.hub.tokens["ann"] + "\n")
    assert said.code == 0, said.err + said.out


def test_everything_at_once(laptop: Laptop, tmp_path: Path) -> None:
    (tmp_path / "wrong.csv").write_text("review,stars\nfine,5\n")
    bob = Laptop(laptop.home, laptop.hub, "bob")
    words = train("--data-path", "wrong.csv", "--model", "ann/tin", "--project-name", "a b")
    said = refused(bob.run(*words), "can read but not write", "a b", "ann/tin", "review")
    assert "4 things to mend. Nothing was created." in said.out


# the network


@contextmanager
def login_page() -> Iterator[str]:
    """Yield the address of what hotels put between people and the network."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(b"<html>Welcome to the hotel</html>")

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_an_address_that_is_none(laptop: Laptop) -> None:
    refused(laptop.run(*train(), HF_ENDPOINT="nonsense"), "'nonsense', which is no address")


def test_a_login_page_in_between(laptop: Laptop) -> None:
    with login_page() as address:
        said = refused(laptop.run(*train(), HF_ENDPOINT=address), f"{address} is no Hub")
    assert marks(said) == 1


def test_no_network(laptop: Laptop) -> None:
    said = laptop.run(*train(), HF_ENDPOINT="http://127.0.0.1:9")
    assert marks(refused(said, "no answer from http://127.0.0.1:9", "Check the network")) == 1


def test_a_hub_that_is_broken_is_asked_again_and_then_named(laptop: Laptop) -> None:
    laptop.hub.forget_requests()
    laptop.hub.fault({"status": 503}, path="/api/whoami", times=None)
    refused(laptop.run(*train()), "the Hub answered 503 and kept doing so")
    assert len(laptop.hub.requests("/api/whoami")) == 4


def test_a_hub_that_recovers(laptop: Laptop) -> None:
    laptop.hub.fault({"status": 503}, path="/api/whoami", times=2)
    said = laptop.run(*train("--dry-run"))
    assert said.code == 0, said.out


@pytest.mark.slow
def test_a_hub_that_takes_the_call_and_says_nothing(laptop: Laptop) -> None:
    with closing(socket.create_server(("127.0.0.1", 0), backlog=64)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        said = refused(laptop.run(*train(), HF_ENDPOINT=address), "no answer from", "ReadTimeout")
    assert marks(said) == 1


# this machine


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """Give `folder` a disk of its own that holds next to nothing. Needs root."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def may_mount(folder: Path) -> bool:
    if os.geteuid() or not shutil.which("mount"):
        return False
    try:
        with small_disk(folder):
            return True
    except subprocess.CalledProcessError:
        return False
    finally:
        folder.rmdir()


def test_a_full_disk(laptop: Laptop, tmp_path: Path) -> None:
    if not may_mount(tmp_path / "try"):
        pytest.skip("only root can mount a small disk")
    write_rows(tmp_path / "chats.jsonl", chats(4000))
    home = tmp_path / "small"
    with small_disk(home):
        said = Laptop(home, laptop.hub).run(*train())
        assert list(home.glob("scratch/*")) == []
    refused(said, "disk is full", "Make room", code=1)


def test_files_that_may_not_grow(laptop: Laptop, tmp_path: Path) -> None:
    write_rows(tmp_path / "chats.jsonl", chats(4000))
    done = subprocess.run(
        [sys.executable, "-P", "-m", "orchestrator.terminal.cli", *train("--json")],
        env=laptop.environ,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024)),
    )
    said = refused(Said(done.returncode, done.stdout, done.stderr), "the disk is full", code=1)
    assert (said.document["exit_code"], said.document["fix"][:9]) == (1, "Make room")


def test_a_home_that_is_none(laptop: Laptop, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    said = laptop.run(*train(), HUBTRAIN_HOME=str(tmp_path / "file" / "home"))
    refused(said, "set HUBTRAIN_HOME to another folder", code=1)


def test_records_that_are_broken(laptop: Laptop, tmp_path: Path) -> None:
    """Found before data is sent: without a record nothing may be launched."""
    home = tmp_path / "broken"
    home.mkdir()
    (home / "jobs.sqlite").write_bytes(os.urandom(8192))
    for words in (train(), ("jobs",), ("gc", "--yes")):
        said = laptop.run(*words, HUBTRAIN_HOME=str(home))
        refused(said, "file is not a database", "set HUBTRAIN_HOME", code=1)
        assert marks(said) == 1
