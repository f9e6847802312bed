"""What only Slurm has: partitions, wall time, requeues, a controller that forgets, login nodes."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import pytest
from benches.slurm import SERVICE, SlurmBench, slurm, wait_no_longer, with_standin
from standins.bench import CANARY
from standins.bench import job as any_job
from standins.waiting import until

from backends.base import Found, Status
from backends.errors import BackendError, JobGone, LaunchFailed, PlanRefused
from backends.handle import Handle
from backends.slurm import Slurm
from backends.slurm.array import Array
from backends.slurm.cluster import Cluster
from backends.slurm.flavors import flavors, memory_of, nodes_of
from backends.slurm.launch import payload
from backends.slurm.options import SlurmOptions
from backends.slurm.request import SlurmRequest, plan, seconds, wall_time, warning
from backends.slurm.states import status_of
from orchestrator.jobs.client import Client
from orchestrator.jobs.removal import remove_job
from worker.contract import (
    REPLACED,
    DataRef,
    EndReason,
    JobSpec,
    Limits,
    Machine,
    ModelRef,
    Stopped,
    fold,
    from_marked,
)
from worker.errors import HubUnreachable
from worker.host.slurm import SlurmJob

ROOT = Path(__file__).parent.parent


@pytest.fixture
def bench(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SlurmBench]:
    monkeypatch.setenv("HUBTRAIN_HOME", str(tmp_path / "home"))
    with SlurmBench.open(request) as bench:
        assert isinstance(bench, SlurmBench)
        yield bench


def machine(flavor: str | None = "debug", **options: Any) -> Machine:
    return Machine(backend="slurm", flavor=flavor, usd_per_hour=0.0, options=options)


def number(bench: SlurmBench, handle: Handle) -> str:
    return (folder(handle) / "number").read_text().strip()


def folder(handle: Handle) -> Path:
    return Path(handle.path)


def ended(bench: SlurmBench, handle: Handle) -> Status:
    status: Status = until(lambda: None if (s := bench.backend.status(handle)).alive else s)
    return status


CLIENT = """
import os, signal, sys
from pathlib import Path
from benches.slurm import with_standin
from backends.slurm import Slurm
from worker.contract import JobSpec
pid, os.environ["SLURM_CONF"] = sys.argv[2:]
Path(pid).write_text(str(os.getpid()))
here = Slurm()
here.launch(with_standin(here.plan(JobSpec.model_validate_json(sys.argv[1]))), {})
"""

SHIM = """#!/bin/sh
{before}
/usr/bin/sbatch "$@"
code=$?
{after}
exit $code
"""
KILL = 'kill -9 "$(cat {pid})"'


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_client_killed_around_sbatch_makes_one_job(
    bench: SlurmBench, tmp_path: Path, when: str
) -> None:
    spec, pid, shim = bench.job(lines=1), tmp_path / "pid", tmp_path / "bin" / "sbatch"
    shim.parent.mkdir()
    kill = KILL.format(pid=pid)
    shim.write_text(SHIM.format(**{"before": "", "after": "", when: kill}))
    shim.chmod(0o755)
    path = os.pathsep.join([str(shim.parent), os.environ["PATH"]])
    places = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    died = subprocess.run(
        [sys.executable, "-c", CLIENT, spec.model_dump_json(), str(pid), os.environ["SLURM_CONF"]],
        env={**os.environ, "PATH": path, "PYTHONPATH": places},
        check=False,
        timeout=60,
    )
    assert died.returncode == -signal.SIGKILL
    request, handle = bench.launch(spec)
    assert bench.backend.find(request) == handle
    until(lambda: "line 0" in list(bench.backend.logs(handle)))
    assert list(bench.backend.logs(handle)).count("line 0") == 1
    named = slurm("squeue", "--noheader", "--states=all", f"--name={request.name}")
    assert len(named.splitlines()) == 1


def test_what_a_shell_killed_before_sbatch_left_goes_with_the_record(
    bench: SlurmBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shim, spec = tmp_path / "bin" / "sbatch", bench.job(lines=1)
    shim.parent.mkdir()
    shim.write_text(f"#!/bin/sh\nkill -9 {OF_THE_VERB} $PPID $$\n")
    shim.chmod(0o755)
    client, request = Client(), bench.backend.plan(spec)
    record = client.records.claim("f", lambda: spec, client.clock.now())
    with monkeypatch.context() as patched:
        patched.setenv("PATH", os.pathsep.join([str(shim.parent), os.environ["PATH"]]))
        with pytest.raises(HubUnreachable, match="killed"):
            bench.backend.launch(request, {KEY: CANARY})
    assert CANARY in (Path(request.folder) / "handed.json").read_text()
    remove_job(client, record, force=False)
    assert not Path(request.folder).exists() and client.records.find(spec.job_id) is None


OF_THE_VERB = "$(ps -o ppid= $PPID)"


@pytest.mark.parametrize("whom", ["$PPID", OF_THE_VERB], ids=["sbatch", "all"])
def test_a_shell_killed_behind_sbatch_is_no_refusal(
    bench: SlurmBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whom: str
) -> None:
    """Its job may be there: the same launch finds it."""
    shim = tmp_path / "bin" / "sbatch"
    shim.parent.mkdir()
    shim.write_text(SHIM.format(before="", after=f"kill -9 {whom}"))
    shim.chmod(0o755)
    request = bench.plan(bench.job(lines=1))
    with monkeypatch.context() as patched:
        patched.setenv("PATH", os.pathsep.join([str(shim.parent), os.environ["PATH"]]))
        with pytest.raises(HubUnreachable, match="killed"):
            bench.backend.launch(request, {})
    handle = bench.backend.launch(request, {})
    until(lambda: "line 0" in list(bench.backend.logs(handle)))
    named = slurm("squeue", "--noheader", "--states=all", f"--name={request.name}")
    assert len(named.splitlines()) == 1


def test_a_far_shell_that_tells_of_a_killed_one_is_no_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a login shell does that does not become the command that it is given."""
    shim = tmp_path / "ssh"
    shim.write_text("#!/bin/sh\nsh -c 'kill -9 $$'\nexit $?\n")
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join([str(tmp_path), os.environ["PATH"]]))
    with pytest.raises(HubUnreachable, match=r"killed \(signal 9\)"):
        Cluster("far").do("machines")


SLOW = """#!/bin/sh
touch "{begun}"
until [ -e "{go}" ]; do sleep 0.1; done
exec /usr/bin/sbatch "$@"
"""


def test_an_sbatch_that_outlives_its_client_is_waited_for(
    bench: SlurmBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go, shim = tmp_path / "begun", tmp_path / "go", tmp_path / "bin" / "sbatch"
    shim.parent.mkdir()
    shim.write_text(SLOW.format(begun=begun, go=go))
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join([str(shim.parent), os.environ["PATH"]]))
    request = bench.plan(bench.job(lines=1))
    about = ("submit", request.folder, request.name)
    with pytest.raises(HubUnreachable, match="did not answer"):
        Cluster().do(*about, given=payload(request, {}), seconds=1)
    assert until(begun.exists)
    with ThreadPoolExecutor(1) as pool:
        again = pool.submit(bench.backend.launch, request, {})
        assert not wait([again], timeout=2).done, "the first may still make its job"
        go.touch()
        handle = again.result()
    until(lambda: "line 0" in list(bench.backend.logs(handle)))
    named = slurm("squeue", "--noheader", "--states=all", f"--name={request.name}")
    assert len(named.splitlines()) == 1


def test_a_job_that_slurm_has_twice_runs_once(bench: SlurmBench) -> None:
    """As when a controller takes what its `sbatch` had given up."""
    request = bench.plan(bench.job(lines=2))
    handle = bench.backend.launch(request, {"HF_TOKEN": CANARY})
    until(lambda: "line 1" in list(bench.backend.logs(handle)))
    first = number(bench, handle)
    slurm("sbatch", f"--chdir={handle.path}", f"{handle.path}/job.sh")
    said = f"Slurm has this job twice: number {first} runs it."
    until(lambda: said in list(bench.backend.logs(handle)))
    slurm("sbatch", "--hold", f"--chdir={handle.path}", f"{handle.path}/job.sh")
    assert list(bench.backend.logs(handle)).count("line 0") == 1
    assert number(bench, handle) == first and bench.backend.status(handle).alive
    bench.backend.remove(handle)
    named = f"--name={request.name}"
    until(lambda: not slurm("squeue", "--noheader", named).strip())


def test_what_slurm_refuses_is_said_in_its_words_and_leaves_nothing(bench: SlurmBench) -> None:
    request = bench.plan(bench.job(machine=machine("no-such")))
    with pytest.raises(LaunchFailed, match=r"invalid partition specified: no-such"):
        bench.backend.launch(request, {"HF_TOKEN": CANARY})
    assert not Path(request.folder).exists()
    assert bench.backend.find(request) is None


def test_a_job_that_slurm_has_forgotten_is_known_by_its_folder(bench: SlurmBench) -> None:
    _, handle = bench.launch(bench.job(params={"lines": 1, "die": True}))
    ended(bench, handle)
    (folder(handle) / "number").write_text("99999999")
    status = bench.backend.status(handle)
    assert (status.alive, status.stage) == (False, "ended")
    assert "died as asked" in list(bench.backend.logs(handle))


def test_the_secrets_are_read_once_by_one(bench: SlurmBench) -> None:
    request = bench.plan(bench.job(machine=machine(slurm_setup="ls -l; sleep 0.5")))
    handle = bench.backend.launch(request, {"HF_TOKEN": CANARY})
    lines = until(lambda: [x for x in bench.backend.logs(handle) if x.endswith("handed.json")])
    assert lines[0].startswith("-rw-------")
    until(lambda: "line 0" in list(bench.backend.logs(handle)))
    assert not (folder(handle) / "handed.json").exists()
    assert stat.S_IMODE(folder(handle).stat().st_mode) == 0o700
    assert "started on None key True" in list(bench.backend.logs(handle))


def test_what_the_laptop_keeps_to_itself_is_not_in_the_jobs_environment(
    bench: SlurmBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary")
    spec = bench.job(machine=machine(slurm_setup="env | sort | sed 's/^/found /'"))
    _, handle = bench.launch(spec)
    until(lambda: "line 0" in list(bench.backend.logs(handle)))
    found = [x for x in bench.backend.logs(handle) if x.startswith("found ")]
    assert not [x for x in found if "AWS" in x or "HF_" in x]
    assert any("SLURM_CONF=" in x for x in found), "as the cluster needs it"


def test_gpus_come_as_they_were_asked_for(bench: SlurmBench) -> None:
    setup = 'echo "gpus $SLURM_GPUS_ON_NODE $SLURM_JOB_PARTITION $SLURM_CPUS_ON_NODE"'
    told = Machine(
        backend="slurm",
        flavor="gpu:t4x2",
        accelerators=2,
        options={"slurm_setup": setup, "slurm_cpus": 3, "slurm_memory": "1G"},
    )
    _, handle = bench.launch(bench.job(lines=1, machine=told))
    until(lambda: "gpus 2 gpu 3" in list(bench.backend.logs(handle)))


def test_a_sweep_finds_what_no_record_knows(bench: SlurmBench) -> None:
    spec = bench.job()
    _, handle = bench.launch(spec)
    found = {one.job_id: one for one in Slurm().sweep("ann")}
    assert found[spec.job_id].handle == handle
    assert found[spec.job_id].status.alive and not found[spec.job_id].status.costing


def test_a_handle_leads_out_of_no_folder(bench: SlurmBench, tmp_path: Path) -> None:
    precious = tmp_path / "thesis"
    precious.mkdir()
    with pytest.raises(Exception, match="is no job's folder"):
        bench.backend.remove(Handle("slurm", str(precious)))
    for path in ("-oProxyCommand=x/tmp", f"{tmp_path}/home/../thesis"):
        with pytest.raises(JobGone):
            bench.backend.status(Handle("slurm", path))
    assert precious.exists()


def test_the_controller_may_be_restarted_while_a_job_is_followed(bench: SlurmBench) -> None:
    _, handle = bench.launch(bench.job(lines=20))
    lines = bench.backend.logs(handle, follow=True)
    assert next(line for line in lines if line == "line 3")
    subprocess.run([SERVICE, "stop"], check=True)
    with pytest.raises(HubUnreachable):
        bench.backend.remove(handle)
    subprocess.run([SERVICE, "start"], check=True)
    assert bench.backend.status(handle).alive
    assert next(line for line in lines if line == "line 19")
    bench.backend.cancel(handle)
    assert ended(bench, handle).reason is EndReason.USER


WORKER = f"export PYTHONPATH={ROOT}"
KEY = "WANDB_API_KEY"
"""A secret that the trainer gets, as it does not get the token."""


def supervised(bench: SlurmBench, *acts: str, **options: Any) -> tuple[JobSpec, Handle]:
    """Launch a job with the real supervisor, whose trainer is a stand-in that does `acts`."""
    setup = f"{WORKER}; export STANDIN_ACTS='{' '.join(acts)}'"
    asked = machine(slurm_setup=setup, **options)
    model, data = ModelRef(name="/model"), DataRef(folder="/data")  # there is nothing to fetch
    spec = bench.job(push=None, machine=asked, model=model, data=data)
    request = with_standin(bench.backend.plan(spec), ROOT / "tests" / "standins" / "worker.py")
    handle = bench.backend.launch(request, {"HF_TOKEN": CANARY, KEY: CANARY})
    bench.launched.append(handle)
    return spec, handle


def told_phase(bench: SlurmBench, handle: Handle) -> str:
    """Return what the job is busy with, by all that it has told in both lives."""
    return fold(filter(None, map(from_marked, bench.backend.logs(handle)))).phase


def endings(bench: SlurmBench, handle: Handle) -> list[object]:
    events = map(from_marked, bench.backend.logs(handle))
    return [event for event in events if event is not None and event.kind in {"stopped", "failed"}]


def test_a_job_whose_time_is_nearly_over_is_told_and_says_why_it_ends(bench: SlurmBench) -> None:
    _, handle = supervised(bench, "steps=1", "sleep=60")
    until(lambda: "step 1 done" in list(bench.backend.logs(handle)))
    slurm("scancel", "--signal=USR1", "--batch", number(bench, handle))
    ended(bench, handle)
    (told,) = endings(bench, handle)
    assert isinstance(told, Stopped) and told.reason is EndReason.DEADLINE


def test_a_job_cancelled_in_slurm_says_so(bench: SlurmBench) -> None:
    _, handle = supervised(bench, "steps=1", "sleep=60")
    until(lambda: "step 1 done" in list(bench.backend.logs(handle)))
    slurm("scancel", number(bench, handle))
    assert ended(bench, handle).reason is EndReason.USER
    (told,) = endings(bench, handle)
    assert isinstance(told, Stopped) and told.reason is EndReason.USER


def test_a_job_that_is_requeued_has_not_ended_and_gets_its_secrets_again(
    bench: SlurmBench,
) -> None:
    _, handle = supervised(bench, "save-when-asked=7", "steps=1", f"env={KEY}", "sleep=600")
    until(lambda: "step 1 done" in list(bench.backend.logs(handle)))
    slurm("scontrol", "requeue", number(bench, handle))
    until(lambda: bench.backend.status(handle).stage == "PENDING")
    assert endings(bench, handle) == []
    assert told_phase(bench, handle) == REPLACED
    assert stat.S_IMODE((folder(handle) / "handed.json").stat().st_mode) == 0o600
    wait_no_longer(number(bench, handle))
    until(lambda: list(bench.backend.logs(handle)).count("step 1 done") == 2)
    assert any("goes on from step 7" in line for line in bench.backend.logs(handle))
    assert told_phase(bench, handle) != REPLACED
    assert not (folder(handle) / "handed.json").exists()
    seen = [line for line in bench.backend.logs(handle) if line.startswith(f"{KEY} is")]
    assert len(seen) == 2 and "None" not in "".join(seen)
    assert CANARY not in "".join(bench.backend.logs(handle))


def test_a_job_that_may_not_be_requeued_ends_as_preempted(bench: SlurmBench) -> None:
    told = "*** JOB 7 ON vm CANCELLED AT 2026-11-27T04:11:42 DUE TO PREEMPTION ***"
    status = status_of(f"number=7\nstate=\nended=\nsaid={told.partition('CANCELLED AT ')[2]}\n")
    assert status.reason is EndReason.PREEMPTED and not status.alive


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("TIMEOUT", EndReason.DEADLINE),
        ("OUT_OF_MEMORY", EndReason.OOM),
        ("PREEMPTED", EndReason.PREEMPTED),
        ("NODE_FAIL", EndReason.PROVIDER),
        ("CANCELLED", EndReason.USER),
        ("FAILED", None),
        ("COMPLETED", None),
    ],
)
def test_states_of_slurm_in_our_words(state: str, reason: EndReason | None) -> None:
    status = status_of(f"number=7\nstate={state}|None|N/A\n")
    assert (status.alive, status.reason) == (False, reason)


def test_a_job_that_waits_says_for_what() -> None:
    status = status_of("number=7\nstate=PENDING|Resources|2026-11-27T18:00:00\n")
    assert status.alive
    assert status.detail == "Resources, expected to start 2026-11-27T18:00:00"


def planned(bench: SlurmBench, many: int, **changes: Any) -> list[SlurmRequest]:
    return [bench.plan(bench.job(lines=2, **changes)) for _ in range(many)]


def names_in_slurm() -> list[str]:
    return slurm("squeue", "--noheader", "--array", "--states=all", "--format=%j %i").splitlines()


def test_jobs_together_are_one_array_and_each_stays_a_job(bench: SlurmBench) -> None:
    requests = planned(bench, 3)
    handles = bench.slurm.launch_all(requests, {"HF_TOKEN": CANARY}, 2)
    assert handles == [Handle("slurm", request.folder) for request in requests]
    of_it = [line for line in names_in_slurm() if requests[0].job.job_id in line]
    assert len(of_it) == 3 and len({line.partition("_")[0] for line in of_it}) == 1
    until(lambda: all("line 1" in list(bench.backend.logs(one)) for one in handles[:2]))
    assert (
        bench.backend.status(handles[2]).detail
        == "its turn among the trials of its sweep (--parallel)"
    )
    assert [bench.backend.find(request) for request in requests] == handles
    assert [bench.backend.recall(one) for one in handles] == [one.job for one in requests]
    found = {one.handle: one for one in Slurm().sweep("ann")}
    assert [found[one].job_id for one in handles] == [one.job.job_id for one in requests]
    assert all(found[one].status.alive for one in handles)
    bench.backend.cancel(handles[0])
    assert ended(bench, handles[0]).reason is EndReason.USER
    assert bench.backend.status(handles[1]).alive, "one task is cancelled, and no other"
    until(lambda: "line 1" in list(bench.backend.logs(handles[2])))
    kept = "".join(map(bench.kept, requests))
    assert CANARY not in kept
    for handle in handles:
        bench.backend.remove(handle)
    until(lambda: not any(found.status.alive for found in mine(handles)))
    assert not (folder(handles[0]).parent / "arrays" / requests[0].job.job_id).exists()


def mine(handles: list[Handle]) -> list[Found]:
    return [found for found in Slurm().sweep("ann") if found.handle in handles]


def test_an_array_runs_what_was_not_launched_and_nothing_twice(bench: SlurmBench) -> None:
    """Also where the answer was lost, before or after the numbers were written down."""
    requests = planned(bench, 3)
    alone = bench.backend.launch(requests[1], {"HF_TOKEN": CANARY})
    handles = bench.slurm.launch_all(requests, {"HF_TOKEN": CANARY}, 3)
    assert handles[1] == alone
    numbers = [number(bench, one) for one in handles]
    for handle in handles:
        (folder(handle) / "number").unlink()
    assert [bench.backend.find(request) for request in requests] == handles
    assert all(bench.backend.status(one).stage for one in handles), "whoever finds it notes it"
    assert bench.slurm.launch_all(requests, {"HF_TOKEN": CANARY}, 3) == handles
    fewer = bench.slurm.launch_all(requests[:2], {"HF_TOKEN": CANARY}, 3)
    assert fewer == handles[:2]
    until(lambda: all("line 1" in list(bench.backend.logs(one)) for one in handles))
    assert [number(bench, one) for one in handles] == numbers
    for handle in handles:
        assert list(bench.backend.logs(handle)).count("line 0") == 1


def test_an_array_that_slurm_refuses_leaves_nothing(bench: SlurmBench) -> None:
    requests = planned(bench, 2, machine=machine("no-such"))
    with pytest.raises(LaunchFailed, match=r"invalid partition specified") as refused:
        bench.slurm.launch_all(requests, {"HF_TOKEN": CANARY}, 1)
    assert "--slurm-array 1" in str(refused.value.fix)
    assert not any(Path(request.folder).exists() for request in requests)
    assert not list((Path(requests[0].folder).parent / "arrays").iterdir())


def test_a_number_in_an_array_is_never_that_of_another_job(bench: SlurmBench) -> None:
    """One trial is removed after a launch whose answer was lost, and another takes its place."""
    first = planned(bench, 3)
    handles = bench.slurm.launch_all(first, {"HF_TOKEN": CANARY}, 1)
    bench.backend.remove(handles[1])
    assert bench.backend.status(handles[2]).alive, "one that waits is removed, and no other"
    second = [first[0], first[2], *planned(bench, 1)]
    again = bench.slurm.launch_all(second, {"HF_TOKEN": CANARY}, 1)
    assert again[:2] == [handles[0], handles[2]]
    bench.backend.cancel(again[0])  # the next in its array has waited for it
    for handle in again[1:]:
        until(lambda one=handle: "line 1" in list(bench.backend.logs(one)))  # type: ignore[misc]
        assert list(bench.backend.logs(handle)).count("line 0") == 1


def test_an_array_that_comes_cut_short_leaves_nothing(bench: SlurmBench) -> None:
    array = Array(planned(bench, 2))
    sent = array.payload({"HF_TOKEN": CANARY})
    with pytest.raises(BackendError):
        Cluster().do("array", array.folder, array.name, "1", *array.job_ids, given=sent[:-20_000])
    assert not any(Path(request.folder).exists() for request in array.requests)
    assert not Path(array.folder).exists()


def test_an_array_is_no_larger_than_its_cluster_takes(
    bench: SlurmBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bench.slurm.most == 100
    shim = tmp_path / "scontrol"
    shim.write_text("#!/bin/sh\necho 'MaxArraySize            = 7'\n")
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert bench.slurm.most == 7


def test_a_removal_that_was_cut_short_can_be_ended(bench: SlurmBench, tmp_path: Path) -> None:
    """A file that cannot be deleted yet, as one that is open is on a network file system."""
    _, handle = bench.launch(bench.job(lines=1))
    held = folder(handle) / "work"
    other = tmp_path / "other"
    for one in (held, other):
        one.mkdir(exist_ok=True)
    subprocess.run(["mount", "--bind", other, held], check=True)
    try:
        with pytest.raises(BackendError, match="busy"):
            bench.backend.remove(handle)
    finally:
        subprocess.run(["umount", held], check=True)
    bench.backend.remove(handle)
    assert not folder(handle).exists()


def test_a_task_that_is_requeued_gets_its_secrets_again(bench: SlurmBench) -> None:
    setup = f"{WORKER}; export STANDIN_ACTS='save-when-asked=7 steps=1 sleep=600'"
    model, data = ModelRef(name="/model"), DataRef(folder="/data")
    specs = [
        bench.job(push=None, machine=machine(slurm_setup=setup), model=model, data=data)
        for _ in range(2)
    ]
    standin = ROOT / "tests" / "standins" / "worker.py"
    requests = [with_standin(bench.backend.plan(one), standin) for one in specs]
    handles = bench.slurm.launch_all(requests, {"HF_TOKEN": CANARY}, 2)
    bench.launched += handles
    until(lambda: all("step 1 done" in list(bench.backend.logs(one)) for one in handles))
    slurm("scontrol", "requeue", number(bench, handles[1]))
    until(lambda: bench.backend.status(handles[1]).stage == "PENDING")
    assert bench.backend.status(handles[0]).stage == "RUNNING"
    wait_no_longer(number(bench, handles[1]))
    until(lambda: list(bench.backend.logs(handles[1])).count("step 1 done") == 2)
    assert any("goes on from step 7" in line for line in bench.backend.logs(handles[1]))


SINFO = """cpu*|(null)|64|256000|2-00:00:00|12|up
gpu_a|gpu:a100:4(S:0-1),nvme:1|48+|512000+|1-00:00:00|3|up
gpu_a|gpu:4|48|512000|1-00:00:00|1|up
old|gpu:k80:2|16|64000|infinite|9|down
"""


def test_partitions_and_gpus_are_flavors() -> None:
    offered = {flavor.name: flavor for flavor in flavors(nodes_of(SINFO))}
    assert list(offered) == [
        *("cpu", "gpu_a", "gpu_a:a100", "gpu_a:a100x2", "gpu_a:a100x4"),
        *("gpu_a:gpu", "gpu_a:gpux2", "gpu_a:gpux4"),
    ]
    two = offered["gpu_a:a100x2"]
    assert (two.accelerators, two.vram_bytes, two.cpus) == (2, 80e9, 24)
    assert two.short_names == ("gpu-a:a100x2",)
    assert offered["gpu_a:gpu"].vram_bytes == 16e9


@pytest.mark.parametrize(
    ("name", "gigabytes"),
    [("a100", 40), ("a100-sxm4-80gb", 80), ("nvidia_h100", 80), ("1g.10gb", 10), ("odd", None)],
)
def test_memory_of_gpus_by_name(name: str, gigabytes: float | None) -> None:
    assert memory_of(name) == gigabytes


def job(**changes: Any) -> JobSpec:
    return any_job("slurm", **{"machine": machine(), **changes})


def test_wall_time_is_behind_the_limits_of_the_job() -> None:
    hour = job(limits=Limits(max_seconds=3600, push_seconds=600))
    assert wall_time(hour, SlurmOptions()) == "75"
    assert wall_time(hour, SlurmOptions(slurm_time="1-12")) == "1-12"
    assert wall_time(job(limits=Limits()), SlurmOptions()) is None
    assert [seconds(text) for text in ("30", "10:30", "2:00:00", "1-12", "1-12:30")] == [
        *(1800, 630, 7200, 129600, 131400)
    ]
    assert (warning("75"), warning("5"), warning(None)) == (300, 60, 300)


@pytest.mark.parametrize(
    ("flavor", "options", "words"),
    [
        ("gpu:t4", {"slurm_partition": "debug"}, "is not the partition gpu"),
        ("gpu:t4", {"slurm_gpus": "2"}, "2 GPUs are asked for, and gpu:t4 has 1"),
        ("gpu:t4", {"slurm_gres": "gpu:a100:1"}, "asked for"),
    ],
)
def test_two_wishes_that_do_not_go_together_are_refused(
    flavor: str, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(PlanRefused, match=words):
        plan(job(machine=machine(flavor, **options)))


@pytest.mark.parametrize(
    "options",
    [
        {"slurm_partition": "gpu\n#SBATCH --uid=0"},
        {"slurm_host": "-oProxyCommand=evil"},
        {"slurm_memory": "lots"},
        {"slurm_time": "tomorrow"},
        {"slurm_folder": "-rf"},
    ],
)
def test_options_are_words_and_nothing_more(options: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="slurm_"):
        SlurmOptions.model_validate(options)


def test_a_job_that_names_no_machine_may_have_one_gpu_of_its_partition(bench: SlurmBench) -> None:
    def offered(**options: str) -> list[str]:
        asked = bench.backend.having(SlurmOptions.model_validate(options), None)
        return [flavor.name for flavor in asked.flavors()]

    assert offered() == ["debug", "debug:t4"]
    assert offered(slurm_partition="gpu") == ["gpu", "gpu:t4"]
    assert offered(slurm_partition="gpu", slurm_gpus="t4:2") == ["gpu:t4x2"]


def test_the_check_counts_with_the_memory_and_cores_that_are_asked_for() -> None:
    flavor, asked = flavors(nodes_of(SINFO))[0], SlurmOptions(slurm_memory="8G", slurm_cpus=4)
    given = Slurm().given(flavor, asked)
    assert (given.memory_bytes, given.cpus) == (8 * 2**30, 4)
    assert Slurm().given(flavor, SlurmOptions()) == flavor


def test_a_job_knows_what_slurm_gave_it(tmp_path: Path) -> None:
    told = {"SLURM_CPUS_ON_NODE": "4", "SLURM_MEM_PER_CPU": "400", "HUBTRAIN_SLURM": "1"}
    host = SlurmJob(told)
    assert (host.cores, host.memory) == (4, 1600 * 2**20)
    assert SlurmJob({**told, "SLURM_MEM_PER_NODE": "2048"}).memory == 2**31
    assert SlurmJob.is_here(told) and not SlurmJob.is_here({"SLURM_JOB_ID": "7"})
