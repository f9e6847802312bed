"""Limits of memory and kills by the kernel, as both versions of control groups tell them."""

from __future__ import annotations

from pathlib import Path

import pytest

from worker.supervise.cgroup import memory_limit, oom_kills

ALL_THERE_IS = "9223372036854771712"
"""What version 1 says where there is no limit."""

KILLED_ONE = "low 0\nhigh 0\nmax 45\noom 1\noom_kill 1\noom_group_kill 0\n"
KILLED_TWO = "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"


def write(folder: Path, files: dict[str, str]) -> tuple[Path, Path]:
    """Write the tree of a machine's groups, and which of them this process is in."""
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder / "cgroup", folder / "own"


IN_A_CONTAINER_1 = {
    "own": "9:name=systemd:/docker/f00\n4:memory:/docker/f00\n3:cpuset:/docker/f00\n0::/\n",
    "cgroup/memory/memory.limit_in_bytes": "314572800\n",
    "cgroup/memory/memory.oom_control": KILLED_TWO,
    "cgroup/cpuset/cpuset.cpus": "0-1\n",
}
IN_A_CONTAINER_2 = {
    "own": "0::/\n",
    "cgroup/memory.max": "314572800\n",
    "cgroup/memory.events": KILLED_ONE,
}
IN_A_BATCH_JOB_1 = {
    "own": "7:cpu,cpuacct:/\n4:hugetlb,memory:/slurm/job_7/step_batch\n",
    "cgroup/memory/memory.limit_in_bytes": ALL_THERE_IS,
    "cgroup/memory/memory.oom_control": KILLED_ONE.replace("oom_kill 1", "oom_kill 9"),
    "cgroup/memory/slurm/job_7/memory.limit_in_bytes": "314572800\n",
    "cgroup/memory/slurm/job_7/step_batch/memory.limit_in_bytes": ALL_THERE_IS,
    "cgroup/memory/slurm/job_7/step_batch/memory.oom_control": KILLED_TWO,
}
IN_A_BATCH_JOB_2 = {
    "own": "0::/system.slice/job_7/step_batch\n",
    "cgroup/cgroup.controllers": "cpu memory\n",
    "cgroup/system.slice/job_7/memory.max": "314572800\n",
    "cgroup/system.slice/job_7/memory.events": KILLED_ONE.replace("oom_kill 1", "oom_kill 9"),
    "cgroup/system.slice/job_7/step_batch/memory.max": "max\n",
    "cgroup/system.slice/job_7/step_batch/memory.events": KILLED_ONE,
}


@pytest.mark.parametrize(
    ("files", "kills"),
    [
        pytest.param(IN_A_CONTAINER_1, 2, id="container, version 1"),
        pytest.param(IN_A_CONTAINER_2, 1, id="container, version 2"),
        pytest.param(IN_A_BATCH_JOB_1, 2, id="batch job, version 1"),
        pytest.param(IN_A_BATCH_JOB_2, 1, id="batch job, version 2"),
    ],
)
def test_the_least_limit_counts_and_the_kills_of_ones_own_group(
    tmp_path: Path, files: dict[str, str], kills: int
) -> None:
    mounted, own = write(tmp_path, files)
    assert memory_limit(mounted, own) == 314572800
    assert oom_kills(mounted, own) == kills


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({}, id="no Linux"),
        pytest.param({"own": "0::/\n", "cgroup/memory.max": "max\n"}, id="no limit, version 2"),
        pytest.param({"own": "0::/user.slice/gone\n"}, id="no such folder"),
        pytest.param({"own": "0::/../..\n", "cgroup/a": ""}, id="outside of what is mounted"),
    ],
)
def test_without_limits_there_is_nothing_to_tell(tmp_path: Path, files: dict[str, str]) -> None:
    mounted, own = write(tmp_path, files)
    assert memory_limit(mounted, own) is None
    assert oom_kills(mounted, own) == 0


def test_this_machine_is_read() -> None:
    assert oom_kills() >= 0
    assert (memory_limit() or 1) > 0
