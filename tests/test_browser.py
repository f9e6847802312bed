"""The browser of the tests: found, and where there is none, said and left out by name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RACES = """
import pathlib

import pytest


def test_early():
    seen = pathlib.Path("seen")
    late = seen.exists()
    seen.touch()
    assert late


def test_always():
    assert False


def test_breaks():
    raise KeyboardInterrupt


@pytest.mark.parametrize("nth", range(4))
def test_many(nth):
    assert False
"""


@pytest.fixture
def bare(tmp_path: Path) -> dict[str, str]:
    """The environment of a machine without a browser, git or a way to install them."""
    named = {"CHROME": str(tmp_path / "none"), "HUBTRAIN_NO_SKIPS": "", "HOME": str(tmp_path)}
    return {**os.environ, "PATH": str(tmp_path), **named}


def pytest_in(environ: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", *words]
    return subprocess.run(
        command, env=environ, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )


def test_what_needs_a_browser_is_left_out_by_name(bare: dict[str, str]) -> None:
    done = pytest_in(bare, "-m", "browser", "tests/test_localhub_login.py")
    assert done.returncode == 0, done.stdout
    assert "Not run, because a browser is not on this machine" in done.stdout
    assert "tests/test_localhub_login.py::test_a_person_logs_in_to_a_private_space" in done.stdout


def test_ci_refuses_to_leave_it_out(bare: dict[str, str]) -> None:
    bare["HUBTRAIN_NO_SKIPS"] = "1"
    done = pytest_in(bare, "-m", "browser", "tests/test_localhub_login.py")
    assert done.returncode == 1
    assert "HAD TO RUN AND DID NOT" in done.stdout


def test_ci_tries_few_that_failed_again_alone_and_names_them(tmp_path: Path) -> None:
    (tmp_path / "test_races.py").write_text(RACES)
    script = [sys.executable, str(ROOT / "tests/services/again.py")]
    (tmp_path / "conftest.py").write_text((ROOT / "tests/conftest.py").read_text())
    bare = {**os.environ, "PYTEST_ADDOPTS": "", "PYTHONPATH": str(ROOT / "tests")}

    def ran(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, env=bare, cwd=tmp_path, capture_output=True, text=True, check=False
        )

    for chosen, code, told in (
        ("early", 0, "UNSTEADY, passed only at the second try: test_races.py::test_early"),
        ("early or always", 1, "1 failed, 1 passed"),
        ("early or breaks", 1, "1 tests failed, exit code 2: none is tried again."),
        ("many", 1, "4 tests failed, exit code 1: none is tried again."),
    ):
        (tmp_path / "seen").unlink(missing_ok=True)
        assert ran(sys.executable, "-m", "pytest", "--cache-clear", "-k", chosen).returncode > 0
        again = ran(*script)
        assert again.returncode == code and told in again.stdout, again.stdout


def test_ci_leaves_out_what_no_package_brings(bare: dict[str, str]) -> None:
    bare |= {"HUBTRAIN_NO_SKIPS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = pytest_in(bare, "tests/test_gpu.py", "-k", "the_gpu_is_seen")
    assert done.returncode == 0, done.stdout
    assert "Not run, because a GPU that CUDA knows is not on this machine" in done.stdout


def test_a_named_browser_that_is_none_is_refused(bare: dict[str, str]) -> None:
    script = [sys.executable, "tests/services/browser.py"]
    done = subprocess.run(script, env=bare, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "is no browser that starts here" in done.stdout


@pytest.mark.browser
def test_a_browser_that_is_here_is_found() -> None:
    script = [sys.executable, "tests/services/browser.py"]
    done = subprocess.run(script, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stdout.startswith("Browser for the tests of pages: ")
