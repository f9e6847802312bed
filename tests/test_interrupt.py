"""Ctrl-C while the program starts: it ends with 130 and says nothing."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("module", ["click.core", "worker.tasks", "orchestrator.flags"])
def test_ctrl_c_among_the_imports_is_quiet(tmp_path: Path, module: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-X", "importtime", "-m", "orchestrator.terminal.entry", "backends"],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if line.split("|")[-1].strip() == module:
            process.send_signal(signal.SIGINT)
            break
    out, rest = process.communicate(timeout=60)
    assert process.returncode == 130
    lines = [line for line in (*said, *rest.splitlines()) if not line.startswith("import time:")]
    assert (out, lines) == ("", [])


def test_leaving_needs_no_module_that_may_be_half_imported(tmp_path: Path) -> None:
    code = (
        "import signal, sys, types; sys.modules['orchestrator.exits'] = types.ModuleType('half');"
        "from orchestrator.terminal.entry import _leave;"
        "signal.signal(signal.SIGINT, _leave); signal.raise_signal(signal.SIGINT)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=False, cwd=tmp_path
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")
