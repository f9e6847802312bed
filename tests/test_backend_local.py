"""What is particular to jobs on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from standins.bench import (
    STANDIN,
    LocalBench,
    job,
    until,
)

from backends.errors import (
    PlanRefused,
)
from backends.handle import Handle
from backends.local import Local


def test_a_local_job_survives_the_process_that_launched_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUBTRAIN_HOME", str(tmp_path))
    spec = job("local", lines=1)
    code = (
        "import dataclasses, os, signal, sys\n"
        "from backends.local import Local\n"
        "from worker.contract import JobSpec\n"
        "spec, standin = sys.argv[1:]\n"
        "here = Local()\n"
        "plan = here.plan(JobSpec.model_validate_json(spec), None)\n"
        "here.launch(dataclasses.replace(plan, command=(sys.executable, standin)), {})\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    command = [sys.executable, "-c", code, spec.model_dump_json(), str(STANDIN)]
    assert subprocess.run(command, timeout=30, check=False).returncode == -9
    local, handle = Local(), Handle("local", spec.job_id)
    try:
        assert local.status(handle).alive
        until(lambda: "line 0" in list(local.logs(handle)))
        folder = tmp_path / "runs" / spec.job_id
        assert (folder / "page.key").stat().st_mode & 0o077 == 0
        assert (folder / "job.json").stat().st_mode & 0o077 == 0
    finally:
        local.remove(handle)


def test_a_reused_process_id_does_not_make_a_dead_job_alive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUBTRAIN_HOME", str(tmp_path))
    bench = LocalBench(Local())
    request, handle = bench.launch(bench.job(params={"lines": 0, "die": True}))
    until(lambda: not bench.backend.status(handle).alive)
    (request.folder.path / "pid").write_text(str(os.getpid()))
    assert not bench.backend.status(handle).alive
    bench.backend.cancel(handle)  # would end this test
    bench.backend.remove(handle)


def test_a_handle_leads_out_of_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUBTRAIN_HOME", str(tmp_path / "home"))
    (tmp_path / "home" / "runs").mkdir(parents=True)
    precious = tmp_path / "home" / "pid"
    precious.write_text("1")
    Local().remove(Handle("local", ".."))
    Local().remove(Handle("local", "../../home"))
    assert precious.exists()


def test_what_local_training_lacks_is_said_before_it_starts() -> None:
    with pytest.raises(PlanRefused, match="no extra astrology"):
        Local().plan(job("local", extras=("astrology",)), None)
