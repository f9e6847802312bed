"""What is particular to jobs on this machine."""

from __future__ import annotations

import dataclasses
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from benches.local import LocalBench
from standins.bench import STANDIN, job
from standins.waiting import until

from backends.errors import (
    PlanRefused,
)
from backends.handle import Handle
from backends.local import Local
from worker.home import make_private


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
        "plan = here.plan(JobSpec.model_validate_json(spec))\n"
        "here.launch(dataclasses.replace(plan, command=(sys.executable, standin)), {})\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    command = [sys.executable, "-c", code, spec.model_dump_json(), str(STANDIN)]
    assert subprocess.run(command, timeout=60, check=False).returncode == -9
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


def test_without_its_key_a_page_has_no_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUBTRAIN_HOME", str(tmp_path))
    bench = LocalBench(Local())
    request, handle = bench.launch(bench.job(params={"lines": 0, "die": True}))
    url = "http://127.0.0.1:1"
    assert str(bench.backend.page(handle, url)).startswith(f"{url}?key=")
    (request.folder.path / "page.key").unlink()
    assert bench.backend.page(handle, url) is None, "nobody would be let in"
    until(lambda: not bench.backend.status(handle).alive)
    bench.backend.remove(handle)
    assert bench.backend.page(handle, url) is None


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
        Local().plan(job("local", extras=("astrology",)))


KEPT_OUT = (
    "AWS_SECRET_ACCESS_KEY",
    "PGPASSWORD",
    "DATABASE_URL",
    "OPENAI_API_KEY",
    "GITHUB_PAT",
    "COMET_API_KEY",
    "ACCELERATORS",
)
LET_THROUGH = (
    "CUDA_VISIBLE_DEVICES",
    "HF_DATASETS_CACHE",
    "https_proxy",
    "WANDB_API_KEY",
    "LC_ALL",
)


def test_a_job_finds_what_training_needs_and_no_other_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUBTRAIN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    for name in (*KEPT_OUT, *LET_THROUGH):
        monkeypatch.setenv(name, f"canary-{name}")
    local = Local()
    request = local.plan(job("local", params={"log": "wandb"}))
    code = "import json, os; print(json.dumps(dict(os.environ) | {'é': ''}, ensure_ascii=False))"
    tells = dataclasses.replace(request, command=(sys.executable, "-c", code))
    handle = local.launch(tells, {"HF_TOKEN": "hf_given"})
    until(lambda: not local.status(handle).alive)
    (line,) = local.logs(handle)
    found = json.loads(line)
    assert not [name for name in KEPT_OUT if name in found or f"canary-{name}" in line]
    assert [found[name] for name in LET_THROUGH] == [f"canary-{name}" for name in LET_THROUGH]
    assert (found["HF_TOKEN"], found["PATH"]) == ("hf_given", os.environ["PATH"])
    assert shut(tmp_path / "home")
    local.remove(handle)


def shut(path: Path) -> bool:
    """Whether nobody but its owner may read it."""
    return stat.S_IMODE(path.stat().st_mode) & 0o077 == 0


@pytest.mark.skipif(sys.platform == "win32", reason="modes are POSIX")
def test_our_folder_is_shut_to_others_and_a_folder_of_others_is_left_open(tmp_path: Path) -> None:
    ours, mixed = tmp_path / "ours", tmp_path / "mixed"
    for folder in (ours, mixed):
        (folder / "runs").mkdir(parents=True)
        (folder / "jobs.sqlite").touch(mode=0o644)
        folder.chmod(0o755)
    (mixed / "letters").mkdir(mode=0o755)
    make_private(ours)
    make_private(mixed)
    assert shut(ours)
    assert [shut(mixed / name) for name in ("", "letters", "runs", "jobs.sqlite")] == [
        *(False, False, True, True)
    ]
