"""A folder that holds hostile files, and the token on the command line."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_llm import write_model

CANARY = "hf_canaryCANARYcanaryCANARY"
HOSTILE = ("click", "torch", "worker", "json", "orchestrator", "transformers", "localhub")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder whose files leave a trace when they are imported."""
    made = tmp_path / "downloads"
    made.mkdir()
    for name in HOSTILE:
        trace = f"open({str(tmp_path / 'imported')!r}, 'a').write({name!r})\n"
        (made / f"{name}.py").write_text(f"{trace}raise SystemExit('hostile')\n")
    return made


def hubtrain(folder: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the installed program in the folder."""
    environ = {k: v for k, v in os.environ.items() if k not in {"HF_TOKEN", "PYTHONPATH"}}
    program = Path(sys.executable).with_name("hubtrain")
    return subprocess.run(
        [str(program), *words],
        cwd=folder,
        env={**environ, "HUBTRAIN_HOME": str(folder.parent / "home"), **more},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_nothing_of_the_folder_one_stands_in_is_imported(folder: Path) -> None:
    for words in (["jobs", "--offline", "--json"], ["llm", "--help"], ["hub", "--help"]):
        done = hubtrain(folder, *words, "--token", CANARY)
        assert done.returncode == 0, done.stderr
        assert CANARY not in done.stdout + done.stderr
    assert not (folder.parent / "imported").exists()


@pytest.mark.slow
def test_nor_when_a_model_answers(folder: Path) -> None:
    model = write_model(folder.parent / "model")
    asked = ("llm", "--inference", "--model", str(model), "--prompt", "Hi", "--token", CANARY)
    done = hubtrain(folder, *asked, "--max-new-tokens", "2", HF_ENDPOINT="http://127.0.0.1:9")
    assert done.returncode == 0, done.stderr
    assert not (folder.parent / "imported").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="there a program cannot become another one")
def test_the_token_is_gone_before_anything_is_imported(tmp_path: Path) -> None:
    # What was imported before the program became another one, and what came after.
    done = hubtrain(tmp_path, "--version", "--token", CANARY, PYTHONPROFILEIMPORTTIME="1")
    assert done.returncode == 0, done.stderr
    names = re.findall(r"^import time:.*\| +(\S+)$", done.stderr, re.MULTILINE)
    starts = [n for n, name in enumerate(names) if name == "_frozen_importlib_external"]
    assert len(starts) == 2, "the program became another one once"
    # Python itself loads some of its own library first, as for every installed program.
    before = {name.split(".")[0] for name in names[: starts[1]]}
    assert "orchestrator" in before
    assert not before & {"click", "worker", "pydantic", "backends"}
    assert "click" in names[starts[1] :]
