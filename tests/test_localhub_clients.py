"""The local Hub under other stock clients: file system, hf, datasets, transformers."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import HfApi, HfFileSystem
from standins.localhub import HubServer

NUMBERS = itertools.count()


@pytest.fixture
def api(shared_hub: HubServer) -> HfApi:
    return shared_hub.api("ann")


@pytest.fixture
def repo(api: HfApi) -> str:
    """A new private model repo of ann's."""
    return api.create_repo(f"ann/m{next(NUMBERS)}", private=True).repo_id


def run(hub: HubServer, *command: str, user: str = "ann", **env: str) -> str:
    """Run a command as a user of the Hub and return what it printed."""
    done = subprocess.run(
        command, env=hub.env(user, **env), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_file_system_lists_and_reads_ranges(shared_hub: HubServer, api: HfApi, repo: str) -> None:
    data = os.urandom(300_000)
    api.upload_file(path_or_fileobj=data, path_in_repo="d/w.bin", repo_id=repo)
    files = HfFileSystem(endpoint=shared_hub.endpoint, token=shared_hub.tokens["ann"])
    assert files.ls(f"{repo}/d", detail=False) == [f"{repo}/d/w.bin"]
    with files.open(f"{repo}/d/w.bin", "rb", block_size=1000) as file:
        file.seek(123_456)
        assert file.read(10) == data[123_456:123_466]
    with files.open(f"{repo}/new.txt", "wb") as file:
        file.write(b"through the file system")
    files.invalidate_cache()
    assert files.cat(f"{repo}/new.txt") == b"through the file system"


def test_snapshot_and_large_folder(api: HfApi, repo: str, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    for number in range(5):
        (folder / "sub" / f"{number}.bin").write_bytes(os.urandom(2000))
    (folder / "README.md").write_text("# hi\n")
    api.upload_folder(repo_id=repo, folder_path=folder, ignore_patterns=["*.md"])
    api.upload_folder(repo_id=repo, folder_path=folder, delete_patterns=["sub/0.bin"])
    got = Path(api.snapshot_download(repo, local_dir=tmp_path / "got"))
    names = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
    for name in names:
        assert (got / name).read_bytes() == (folder / name).read_bytes()


def test_hf_command_line(shared_hub: HubServer, tmp_path: Path) -> None:
    hf = str(Path(sys.executable).parent / "hf")
    name = f"ann/cli{next(NUMBERS)}"
    (tmp_path / "w.safetensors").write_bytes(b"w" * 3000)
    run(shared_hub, hf, "repos", "create", name, "--private")
    assert "ann" in run(shared_hub, hf, "auth", "whoami")
    run(shared_hub, hf, "upload", name, str(tmp_path / "w.safetensors"), "d/w.safetensors")
    run(shared_hub, hf, "download", name, "d/w.safetensors", "--local-dir", str(tmp_path / "got"))
    assert (tmp_path / "got" / "d" / "w.safetensors").read_bytes() == b"w" * 3000
    run(shared_hub, hf, "repos", "tag", "create", name, "v1")
    run(shared_hub, hf, "repos", "delete", name, "--yes")


@pytest.mark.slow
def test_datasets_pushes_and_loads(shared_hub: HubServer) -> None:
    name = f"ann/data{next(NUMBERS)}"
    script = (
        "import sys, datasets\n"
        "name = sys.argv[1]\n"
        "made = datasets.Dataset.from_dict({'text': ['a', 'b', 'c'], 'n': [1, 2, 3]})\n"
        "made.push_to_hub(name, private=True)\n"
        "got = datasets.load_dataset(name, split='train')\n"
        "assert got['text'][:] == ['a', 'b', 'c'] and got['n'][:] == [1, 2, 3]\n"
        "made.push_to_hub(name, split='test')\n"
        "assert set(datasets.load_dataset(name)) == {'train', 'test'}\n"
        "rows = datasets.load_dataset(name, split='test', streaming=True)\n"
        "assert [row['n'] for row in rows] == [1, 2, 3]\n"
    )
    run(shared_hub, sys.executable, "-c", script, name)


@pytest.mark.slow
def test_transformers_pushes_and_loads(shared_hub: HubServer) -> None:
    name = f"ann/llama{next(NUMBERS)}"
    script = (
        "import sys, torch\n"
        "from tokenizers import Tokenizer, models\n"
        "from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig\n"
        "from transformers import LlamaForCausalLM, PreTrainedTokenizerFast\n"
        "name = sys.argv[1]\n"
        "config = LlamaConfig(vocab_size=50, hidden_size=16, intermediate_size=32,\n"
        "    num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2)\n"
        "model = LlamaForCausalLM(config)\n"
        "words = models.WordLevel({'a': 0, 'b': 1, '<unk>': 2}, unk_token='<unk>')\n"
        "tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(words))\n"
        "model.push_to_hub(name, private=True)\n"
        "tokenizer.push_to_hub(name)\n"
        "got = AutoModelForCausalLM.from_pretrained(name)\n"
        "for mine, other in zip(model.parameters(), got.parameters(), strict=True):\n"
        "    assert torch.equal(mine, other)\n"
        "assert AutoTokenizer.from_pretrained(name)('a')['input_ids'] == [0]\n"
    )
    run(shared_hub, sys.executable, "-c", script, name)
    info = shared_hub.api("ann").model_info(name)
    assert info.private and info.safetensors is not None and info.safetensors.total > 1000
