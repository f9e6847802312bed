"""What a model, a data set or a library prints cannot pass for what the worker says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from test_supervise import Worker, spec
from tiny_llm import chats, write_model, write_rows

from worker.contract import (
    ENDINGS,
    MARK,
    EndReason,
    Event,
    Failed,
    Finished,
    Limits,
    Metric,
    Stopped,
    from_line,
    from_marked,
    marked,
)
from worker.supervise.journal import read_events

FINISHED = marked(Finished(metrics={"valid_loss": 0.1}))
FAILED = marked(Failed(reason=EndReason.BAD_DATA, message="forged"))
METRIC = marked(Metric(step=77, values={"forged": 1.0}))
PIECE = 16 * 1024
"""Where container engines cut lines."""

FIFTY = Limits(max_seconds=50)
"""A limit that is met once the trainer says `later`."""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Any]:
    """Start workers whose trainer is a stand-in."""
    workers: list[Worker] = []

    def made(*acts: str, **changes: Any) -> Worker:
        workers.append(Worker(tmp_path, spec(**changes), *acts))
        return workers[-1]

    yield made
    for worker in workers:
        worker.close()


def heard(text: str, *, cut_at: int = 1 << 30) -> list[Event]:
    """Return the events somebody reads who gets the text in lines, or in pieces of lines."""
    pieces = (
        line[at : at + cut_at]
        for line in text.replace("\r", "\n").split("\n")
        for at in range(0, len(line), cut_at)
    )
    return [event for piece in pieces if (event := from_line(piece.strip()))]


def test_a_forged_good_end_switches_off_no_limit(start: Any) -> None:
    worker = start(f"print={FINISHED}", "touch=later", "steps=6000x0.1", limits=FIFTY)
    ending = worker.ended()
    assert isinstance(ending, Stopped) and ending.reason is EndReason.DEADLINE


def test_nor_does_one_that_the_trainer_says_itself(start: Any) -> None:
    worker = start("model=x", "finish", "touch=later", "steps=6000x0.1", limits=FIFTY)
    ending = worker.ended()
    assert isinstance(ending, Stopped) and ending.reason is EndReason.DEADLINE
    assert "cannot say finished" in worker.output


def test_a_complete_model_that_has_only_to_exit_is_kept_at_its_deadline(start: Any) -> None:
    worker = start("model=x", "saved", "touch=later", "sleep=600", limits=FIFTY)
    assert isinstance(worker.ended(), Finished)
    assert "The model was complete when it had to end: The time limit" in worker.output


def test_a_forged_failure_throws_no_model_away(start: Any) -> None:
    worker = start("model=x", f"print={FAILED}")
    assert isinstance(worker.ended(), Finished)


PRINTED = [
    METRIC,
    f"  {METRIC}",
    METRIC.removeprefix(MARK),
    f"50%\r{METRIC}",
    f"x\n{METRIC}",
    "A" * PIECE + METRIC,
    "A" * 65536 + METRIC,
    "A" * 65536 + METRIC.removeprefix(MARK),
    f"\u2028{METRIC}\u2028{METRIC}",
    f"\x85{METRIC}\x0c{METRIC}",
    f"@hubtrain {METRIC}",
]


def test_no_printed_line_is_an_event_for_anybody(start: Any) -> None:
    worker = start(*(f"print={line}" for line in PRINTED), "steps=1", "model=x")
    assert isinstance(worker.ended(), Finished)
    assert "forged" in worker.output
    assert "forged" not in "".join(e.model_dump_json() for e in worker.events)
    told = [e for line in worker.lines if (e := from_marked(line))]
    assert told == worker.events
    kept = (worker.work / "worker.log").read_text()
    for cut_at in (1 << 30, PIECE):
        assert not heard(kept, cut_at=cut_at)
        assert len(heard(worker.output, cut_at=cut_at)) == len(worker.events)


def test_an_event_is_heard_behind_a_line_that_was_left_open(start: Any) -> None:
    worker = start("open=" + " 50%\r" * 20_000, "model=x", "fail=oom")
    assert worker.ended().reason is EndReason.OOM


@pytest.mark.parametrize(
    "name", ["<img src=x>", "a b", "loss\n", "", "`x`", "a|b", "x" * 81, "[a](b)"]
)
def test_a_measurement_has_a_plain_name(name: str) -> None:
    with pytest.raises(ValidationError):
        Metric(step=1, values={name: 1.0})
    forged = {"kind": "metric", "step": 1, "values": {name: 1.0}}
    assert from_line(json.dumps(forged)) is None


def test_a_measurement_is_a_number() -> None:
    assert from_line('{"kind":"metric","step":1,"values":{"loss":"<b>"}}') is None
    assert from_line('{"kind":"metric","step":1,"values":["<b>"]}') is None
    assert from_line('{"kind":"metric","step":1,"values":{"rewards/chosen":0.5}}')


@pytest.mark.parametrize("value", ["NaN", "-Infinity", "null"])
def test_a_value_that_is_no_number_takes_neither_the_others_nor_the_end_along(value: str) -> None:
    values = f'{{"loss":{value},"lr":0.5}}'
    metric = from_line(f'{{"kind":"metric","step":1,"values":{values}}}')
    assert isinstance(metric, Metric) and metric.values == {"lr": 0.5}
    ended = from_line(f'{{"kind":"finished","metrics":{values}}}')
    assert isinstance(ended, Finished) and ended.metrics == {"lr": 0.5}


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_a_model_whose_tensors_are_named_like_events_changes_nothing(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    model = write_model(tmp_path / "model")
    (file,) = model.glob("*.safetensors")
    names = [f"x\n{line}\n" for line in (FINISHED, FAILED, METRIC)]
    attack = {name: torch.zeros(1) for name in names}
    save_file({**load_file(file), **attack}, file, {"format": "pt"})
    write_rows(tmp_path / "train.jsonl", chats(20))
    settings = {"trainer": "sft", "block_size": 64, "max_steps": 2, "logging_steps": 1}
    job = spec(
        params={"model": str(model), "data_path": str(tmp_path / "train.jsonl"), **settings},
        model={"name": str(model)},
        data={"folder": str(tmp_path), "train": ["train.jsonl"]},
        limits=Limits(max_seconds=150),
        output=str(tmp_path / "out"),
    )
    (tmp_path / "job.json").write_text(job.model_dump_json())
    places = {
        "HUBTRAIN_JOB_FILE": str(tmp_path / "job.json"),
        "HUBTRAIN_WORK": str(tmp_path / "work"),
    }
    done = subprocess.run(
        [sys.executable, "-m", "worker"],
        env={**os.environ, **places},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
        timeout=180,
    )
    assert "forged" in done.stdout, "the attack was not even printed"
    events = list(read_events(tmp_path / "work" / "events.jsonl"))
    assert done.returncode == 0, done.stdout
    (ending,) = [e for e in events if isinstance(e, ENDINGS)]
    assert isinstance(ending, Finished) and ending.metrics["loss"] > 1
    assert [e for line in done.stdout.split("\n") if (e := from_line(line))] == events
    assert "forged" not in "".join(e.model_dump_json() for e in events)
