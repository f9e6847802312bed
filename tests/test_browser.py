"""The browser of the tests: found, and where there is none, said and left out by name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEST = "tests/test_page.py::test_"


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
