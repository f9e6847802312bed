"""The local Hub under stock clients that upload by Xet, as they do unless told otherwise."""

from __future__ import annotations

import io
import itertools
import os
import random
import struct
import subprocess
import sys
from pathlib import Path

import lz4.frame
import pytest
from huggingface_hub import HfApi
from standins.localhub import HubServer

from localhub.storage.xet import GROUPED, LZ4, PLAIN, chunks, read_shard

NUMBERS = itertools.count()
SCRIPT = """
import sys
from huggingface_hub import HfApi, constants
assert not constants.HF_HUB_DISABLE_XET
repo, folder, propose = sys.argv[1:]
api = HfApi()
if propose:
    data = b"w" * 70_000
    api.upload_file(repo_id=repo, path_or_fileobj=data, path_in_repo="b.bin", create_pr=True)
else:
    api.upload_folder(repo_id=repo, folder_path=folder)
"""


@pytest.fixture
def repo(shared_hub: HubServer) -> str:
    """A new public model repo of ann's."""
    return shared_hub.api().create_repo(f"ann/xet{next(NUMBERS)}").repo_id


def upload(hub: HubServer, repo: str, folder: Path, user: str = "ann", propose: str = "") -> str:
    """Upload by Xet as a user; return what was said, empty for success."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, repo, folder, propose],
        env=hub.env(user, HF_HUB_DISABLE_XET="0"),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.stdout + done.stderr if done.returncode else ""


def content(size: int) -> dict[str, bytes]:
    """Files that are compressed in each way there is: noise, words, numbers."""
    noise = os.urandom(size)
    words = b"over and over again " * (size // 20)
    numbers = b"".join(struct.pack("<f", random.gauss(0, 1)) for _ in range(size // 4))
    return {"noise.bin": noise, "words.bin": words, "numbers.safetensors": numbers}


def test_files_come_as_they_were_and_again_after_a_change(
    shared_hub: HubServer, repo: str, tmp_path: Path
) -> None:
    files = content(1_200_000)
    for turn in range(3):
        for name, data in files.items():
            (tmp_path / name).write_bytes(data)
        assert upload(shared_hub, repo, tmp_path) == ""
        got = Path(shared_hub.api().snapshot_download(repo, local_dir=tmp_path / f"../got{turn}"))
        for name, data in files.items():
            assert (got / name).read_bytes() == data
        # What the client remembers of these it does not send again.
        files = {name: data[:400_000] + b"new" + data[400_000:] for name, data in files.items()}
    stored = list((shared_hub.data / "xet").rglob("*"))
    sent = sum(path.stat().st_size for path in stored if path.is_file())
    assert 0 < sent < 1.5 * sum(map(len, files.values()))
    shared_hub.api().delete_repo(repo)
    assert not [path for path in stored if path.is_file() and path.exists()]


def test_a_token_has_to_be_let_in_and_a_proposal_takes_files_too(
    shared_hub: HubServer, repo: str, tmp_path: Path
) -> None:
    (tmp_path / "a.bin").write_bytes(os.urandom(70_000))
    assert "403" in upload(shared_hub, repo, tmp_path, user="bob")
    assert upload(shared_hub, repo, tmp_path, propose="yes") == ""
    assert HfApi(endpoint=shared_hub.endpoint).file_exists(repo, "b.bin", revision="refs/pr/1")


def head(data: bytes, how: int, size: int) -> bytes:
    return bytes([0, *len(data).to_bytes(3, "little"), how, *size.to_bytes(3, "little")]) + data


def test_chunks_are_opened_however_they_are_compressed() -> None:
    plain = bytes(range(251)) * 3
    grouped = b"".join(plain[place::4] for place in range(4))
    for data, how in (
        (plain, PLAIN),
        (lz4.frame.compress(plain), LZ4),
        (lz4.frame.compress(grouped), GROUPED),
    ):
        xorb = head(b"first", PLAIN, 5) + head(data, how, len(plain)) + b"a footer"
        assert list(chunks(io.BytesIO(xorb), 1, 2)) == [plain]
        for broken in (
            xorb[:20],
            head(b"first", PLAIN, 5) + head(data, how, len(plain) + 1),
            head(b"first", PLAIN, 5) + head(data, 9, len(plain)),
        ):
            with pytest.raises(ValueError, match=r"xorb|chunk"):
                list(chunks(io.BytesIO(broken), 1, 2))
    with pytest.raises(ValueError, match="a chunk cannot be opened"):
        list(chunks(io.BytesIO(head(b"no frame", LZ4, 5)), 0, 1))


def test_a_shard_that_ends_too_early_is_refused() -> None:
    shard = bytes(32) + struct.pack("<QQ", 2, 0)
    shard += bytes(32) + struct.pack("<IIQ", 3 << 30, 1, 0)
    shard += bytes(32) + struct.pack("<IIII", 0, 5, 0, 1) + bytes(48) + bytes(range(48))
    (one,) = read_shard(shard + b"\xff" * 32 + bytes(16))
    assert one.sha256.startswith("0706050403020100") and one.terms[0].last == 1
    for size in range(0, len(shard), 3):
        with pytest.raises(ValueError, match="shard"):
            read_shard(shard[:size])
