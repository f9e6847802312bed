"""How several GPUs are planned: who takes what, what each holds, and what cannot be done."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from orchestrator.preflight.evaluation import check_evaluation
from worker import launch
from worker.contract import ALONE, DataRef, JobSpec, Machine, Parallel
from worker.hardware import Node
from worker.task import Footprint, ModelFacts
from worker.tasks.llm import TASK

GB = 1e9
WHOLE = Footprint(20 * GB, 30 * GB, 40 * GB, sharded=24 * GB, gathered=1 * GB)
FOUR = Parallel(processes=4)


def params(**settings: Any) -> Any:
    return TASK.params(model="ann/small", data_path="chats.jsonl", **settings)


@pytest.mark.parametrize(
    ("batch", "passes", "processes", "mine"),
    [
        (2, 4, 1, (2, 4)),
        (2, 4, 2, (2, 2)),
        (2, 4, 4, (2, 1)),
        (2, 4, 8, (1, 1)),
        (8, 1, 4, (2, 1)),
        (6, 2, 4, (3, 1)),
        (4, 3, 2, (3, 2)),
        (2, 4, 3, None),
    ],
)
def test_a_step_has_the_rows_that_were_asked_for(
    batch: int, passes: int, processes: int, mine: tuple[int, int] | None
) -> None:
    assert launch.share(batch, passes, processes) == mine
    if mine:
        assert mine[0] * mine[1] * processes == batch * passes and mine[0] <= batch


def test_each_gpu_has_a_process_where_the_task_can() -> None:
    assert launch.processes_of(params(), 4, together=True) == 4
    assert launch.processes_of(params(), 0, together=True) == 1
    assert launch.processes_of(params(num_processes=2), 0, together=True) == 2
    assert launch.processes_of(params(), 4, together=False) == 1


@pytest.mark.parametrize(
    ("settings", "memory", "strategy"),
    [
        ({}, 48 * GB, "ddp"),
        ({}, 24 * GB, "fsdp"),
        ({"distributed_backend": "ddp"}, 24 * GB, "ddp"),
        ({"distributed_backend": "fsdp"}, 48 * GB, "fsdp"),
        ({"distributed_backend": "deepspeed"}, 48 * GB, "fsdp"),
        ({"peft": True, "quantization": "int4"}, 24 * GB, "ddp"),
        ({"peft": True}, 24 * GB, "fsdp"),
        ({"peft": True, "distributed_backend": "deepspeed"}, 48 * GB, "fsdp"),
        (
            {"peft": True, "quantization": "int4", "distributed_backend": "deepspeed"},
            48 * GB,
            "ddp",
        ),
        ({"optimizer": "paged_adamw_8bit"}, 24 * GB, "ddp"),
    ],
)
def test_a_model_is_divided_where_it_would_not_fit(
    settings: dict[str, Any], memory: float, strategy: str
) -> None:
    found = launch.chosen(params(**settings), FOUR, WHOLE, WHOLE, memory)
    assert found == Parallel(processes=4, strategy=strategy)


def test_a_model_that_fits_no_gpu_alone_is_not_evaluated_in_silence() -> None:
    divided, facts = Parallel(processes=4, strategy="fsdp"), ModelFacts("m", 20_000_000_000, 4.0)
    (found,) = check_evaluation("lm-eval arc_easy", facts, divided, 80 * GB)
    assert found.level == "warn"
    assert "on one GPU of 80.0 GB, and its weights take 80.0 GB" in found.text
    for what, parallel, memory in (
        ("", divided, 80 * GB),
        ("lm-eval arc_easy", FOUR, 80 * GB),
        ("lm-eval arc_easy", divided, 141 * GB),
    ):
        assert not list(check_evaluation(what, facts, parallel, memory))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"distributed_backend": "deepspeed"}, "read as fsdp"),
        ({"distributed_backend": "deepspeed", "optimizer": "galore_adamw"}, "read as ddp"),
        ({"distributed_backend": "fsdp"}, ""),
    ],
)
def test_deepspeed_says_what_it_is_read_as(settings: dict[str, Any], said: str) -> None:
    read = params(**settings)
    parallel = launch.chosen(read, FOUR, WHOLE, WHOLE, 48 * GB)
    assert said in launch.read_as(read, parallel)
    assert not launch.read_as(read, ALONE)


def test_what_is_divided_is_in_parts_and_a_layer_of_it_whole() -> None:
    assert WHOLE.divided(4).expected == (30 - 18 + 1) * GB
    assert launch.chosen(params(), ALONE, WHOLE, WHOLE, 1.0) == ALONE


@pytest.mark.parametrize(
    ("settings", "strategy", "words"),
    [
        ({"batch_size": 3, "gradient_accumulation": 2}, "ddp", "--gradient-accumulation 4"),
        ({"auto_find_batch_size": True}, "ddp", "--batch-size"),
        ({"peft": True, "quantization": "int4"}, "fsdp", "--distributed-backend ddp"),
        ({"optimizer": "galore_adamw"}, "fsdp", "--distributed-backend ddp"),
        ({"peft": True, "use_dora": True}, "fsdp", "--distributed-backend ddp"),
        ({"peft": True, "init_lora_weights": "pissa"}, "fsdp", "--distributed-backend ddp"),
    ],
)
def test_what_cannot_be_done_says_what_to_type(
    settings: dict[str, Any], strategy: Any, words: str
) -> None:
    parallel = Parallel(processes=4, strategy=strategy)
    (found,) = launch.faults(params(**settings), parallel, WHOLE)
    assert words in found[1]
    assert not list(launch.faults(params(**settings), ALONE, WHOLE))


def test_a_process_that_died_is_told_by_the_launcher() -> None:
    line = "E1127 00:31:29 api.py:1020] failed (exitcode: -9) local_rank: 1 (pid: 10) of binary: py"
    assert launch.code_in(line) == -9
    assert launch.code_in("failed to do anything") is None


def test_a_hub_that_lends_fewer_gpus_trains_in_one_process() -> None:
    job = JobSpec(
        job_id="k4x",
        project="bot",
        task="llm",
        params={},
        data=DataRef(folder="/data"),
        machine=Machine(backend="spaces", accelerators=4),
        parallel=FOUR,
    )
    assert launch.here(job, 4) == FOUR
    assert launch.here(job, 0) == ALONE
    on_cpu = job.model_copy(update={"machine": Machine(backend="local")})
    assert launch.here(on_cpu, 0) == FOUR


def test_several_nodes_have_as_many_processes_each() -> None:
    assert launch.processes_of(params(), 8, together=True, nodes=2) == 8
    assert launch.processes_of(params(), 0, together=True, nodes=2) == 2
    pair = Parallel(processes=4, nodes=2)
    assert launch.chosen(params(), pair, WHOLE, WHOLE, 1.0).nodes == 2
    words = launch.command(pair, [], 16, Node(1, "10.0.0.7", 29500))
    told = dict(pairwise(words))
    assert (told["--num_machines"], told["--machine_rank"]) == ("2", "1")
    assert (told["--main_process_ip"], told["--main_process_port"]) == ("10.0.0.7", "29500")
    assert told["--num_cpu_threads_per_process"] == "8"
    assert launch.shown(pair, 0).startswith("on 2 nodes: 4 processes on the CPU")
    (found,) = launch.faults(params(batch_size=3), pair.model_copy(update={"processes": 3}), WHOLE)
    assert found == ("3 processes cannot be divided among 2 nodes.", "--num-processes 4")


def test_the_command_is_that_of_accelerate() -> None:
    words = launch.command(FOUR, ["--job", "job.json"], cores=16)
    assert words[2:4] == ["-m", "accelerate.commands.launch"]
    assert words[words.index("--num_cpu_threads_per_process") + 1] == "4"
    assert words[-4:] == ["--module", "worker.run", "--job", "job.json"]
    assert launch.command(ALONE, [], cores=16)[-1] == "worker.run"
    assert launch.shown(FOUR, 4).startswith("accelerate launch --multi_gpu --num_processes 4 ")
    assert launch.shown(FOUR, 0) == "4 processes on the CPU · each holds the whole model"
