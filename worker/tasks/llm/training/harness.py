"""Evaluates a model with lm-eval: the tasks are looked for first, then asked one after the other.

`python -m worker.tasks.llm.training.harness` reads names of tasks, a list in JSON, and says what is
wrong with them; that takes seven seconds, most of them for the index of 14,000 files.
"""

from __future__ import annotations

import json
import math
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from worker.contract import EVALUATED, Event, Metric, Phase
from worker.errors import BadConfig
from worker.nearest import nearest
from worker.task import EVALUATION_FILE, Run
from worker.tasks.llm.evaluation import LmEval, LmEvalTasks, OwnTask, is_file, own_task

TELL_SECONDS = 30.0
"""How often it says that it goes on, as long as the model computes."""

NAME = 80
"""Longest name of a measurement."""


@dataclass(frozen=True, slots=True)
class Result:
    """What one measurement of a task came to."""

    name: str
    """As the event of the job calls it."""

    task: str
    measure: str
    value: float
    error: float | None
    """Standard error; none where there is none."""

    examples: int | None
    shots: int | None
    dataset: str
    config: str | None
    split: str | None
    version: str | None


class Interrupted(Exception):
    """It was asked to stop while the model computed."""


@dataclass(slots=True)
class Pulse:
    """Between two passes of the model: says now and then that it computes, and heeds a stop."""

    emit: Callable[[Event], None]
    stop: threading.Event
    task: str = ""
    told: float = 0.0

    def begin(self, task: str) -> None:
        """Say which task comes next."""
        self.task, self.told = task, -math.inf
        self.beat()

    def beat(self) -> None:
        """Raise `Interrupted` once `stop` is set; say that it goes on if it is time to."""
        if self.stop.is_set():
            raise Interrupted
        if time.monotonic() - self.told >= TELL_SECONDS:
            self.told = time.monotonic()
            self.emit(Phase(name=f"lm-eval {self.task}"))


def evaluate(params: LmEval, run: Run, model: Any, tokenizer: Any, step: int) -> None:
    """Ask `model` all tasks, tell `run.emit` what came of each, and write it into `run.output`.

    Ends early, with nothing written, once `run.stop` is set. Raises what lm-eval raises: for a
    dataset that is not to be had, or when memory runs out.
    """
    found: list[Result] = []
    asked = watched(model, tokenizer, params.lm_eval_batch_size, Pulse(run.emit, run.stop))
    try:
        for results in answered(params, _gone_along(params, run), asked):
            run.emit(Metric(step=step, values={one.name: one.value for one in results}))
            found += results
    except Interrupted:
        return
    if step:
        write(found, run.output / EVALUATION_FILE)


def watched(model: Any, tokenizer: Any, batch_size: int, pulse: Pulse) -> Any:
    """Return a model as lm-eval asks it, with a `pulse` that beats before each of its passes."""
    from lm_eval.models.huggingface import HFLM

    class Watched(HFLM):  # type: ignore[misc]
        """Beats before each pass."""

        def _model_call(self, *args: Any, **more: Any) -> Any:
            pulse.beat()
            return super()._model_call(*args, **more)

        def _model_generate(self, *args: Any, **more: Any) -> Any:
            pulse.beat()
            return super()._model_generate(*args, **more)

    asked = Watched(pretrained=model, tokenizer=tokenizer, batch_size=batch_size)
    asked.pulse = pulse
    return asked


def answered(
    params: LmEvalTasks, tasks: Sequence[str | dict[str, Any]], asked: Any
) -> Iterator[list[Result]]:
    """Yield what came of each task, for a model that is `watched`."""
    import lm_eval

    manager = _manager(tasks)
    for task in tasks:
        asked.pulse.begin(task if isinstance(task, str) else str(task["task"]))
        told = lm_eval.simple_evaluate(
            model=asked,
            tasks=[task],
            task_manager=manager,
            num_fewshot=params.lm_eval_fewshot,
            limit=params.lm_eval_limit,
            apply_chat_template=params.lm_eval_chat_template,
            bootstrap_iters=1000,
            log_samples=False,
        )
        yield list(_results(told))


def write(results: Iterable[Result], file: Path) -> None:
    """Write results as the card reads them (`EVALUATION_FILE`)."""
    import lm_eval

    content = {"by": f"lm-eval {lm_eval.__version__}", "results": [asdict(r) for r in results]}
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def check(params: LmEval, run: Run) -> None:
    """Raise `BadConfig` for what is wrong with the names of tasks, all of it, or with own files."""
    refuse_unknown(params.lm_eval_tasks)
    _gone_along(params, run)


def refuse_unknown(names: Iterable[str]) -> None:
    """Raise `BadConfig` for all that is wrong with the names of tasks."""
    if wrong := wrongs([name for name in names if not is_file(name)]):
        texts, fixes = zip(*wrong, strict=True)
        raise BadConfig("\n".join(texts), fix=" ".join(dict.fromkeys(filter(None, fixes))))


def wrongs(names: Sequence[str]) -> list[tuple[str, str]]:
    """Return what is wrong with tasks by name, each with what to type."""
    if not names:
        return []
    index = _manager(names).task_index
    found: list[tuple[str, str]] = []
    for name in names:
        if name not in index:
            near = nearest(name, index)
            text = f"lm-eval has no task {name!r}."
            found.append((text, f"--lm-eval {near}" if near else "lm-eval ls tasks"))
        elif unsafe := next((n for n, c in _leaves(name, index) if _runs_code(c)), None):
            text = f"lm-eval {unsafe} runs what the model writes, or code of others; it is refused."
            found.append((text, "--lm-eval with another task"))
    return found


def _leaves(name: str, index: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the tasks that a name stands for: itself, those of a group, those with a tag."""
    waiting, seen = [name], set[str]()
    while waiting:
        one = waiting.pop()
        if one in seen or one not in index:
            continue
        seen.add(one)
        config = index[one].cfg or {}
        yield one, config
        parts = config.get("task")
        listed = parts if isinstance(parts, list) else []
        waiting += [str(p.get("task", "") if isinstance(p, dict) else p) for p in listed]
        waiting += [n for n, entry in index.items() if one in entry.tags]


def _runs_code(config: Mapping[str, Any]) -> bool:
    """Whether a task executes answers, or takes a measure whose code comes from the Hub."""
    measures = config.get("metric_list") or []
    fetched = any(isinstance(one, dict) and one.get("hf_evaluate") for one in measures)
    return bool(config.get("unsafe_code")) or fetched


def _manager(names: Iterable[object]) -> Any:
    """Return lm-eval's tasks; none of its own where only files are asked for."""
    os.environ.setdefault("HF_UPDATE_DOWNLOAD_COUNTS", "0")
    from lm_eval.tasks import TaskManager

    _sandbox()
    return TaskManager(include_defaults=any(isinstance(name, str) for name in names))


def _sandbox() -> None:
    """Have lm-eval render templates, which anybody may write, where they reach no code.

    Its own environment is a plain one (`lm_eval.utils.env`, lm-eval 0.4), and the token is near.
    """
    from jinja2.sandbox import ImmutableSandboxedEnvironment
    from lm_eval import utils

    plain = utils.env
    utils.env = ImmutableSandboxedEnvironment(
        loader=plain.loader,
        undefined=plain.undefined,
        keep_trailing_newline=plain.keep_trailing_newline,
    )
    utils.env.filters.update(plain.filters)


def _gone_along(params: LmEval, run: Run) -> list[str | dict[str, Any]]:
    """Return the tasks of a job as lm-eval takes them: its files lie side by side."""
    from worker.reading import local_files

    files = local_files(run.files)["train"] if run.files else []
    there = {file.name: str(file) for file in files}
    return [
        _own(own_task(Path(there[Path(name).name]), flat=True), there) if is_file(name) else name
        for name in params.lm_eval_tasks
    ]


def wanted(names: Iterable[str]) -> list[str | dict[str, Any]]:
    """Return tasks as lm-eval takes them: files of this machine as what they say."""
    found: list[str | dict[str, Any]] = []
    for name in names:
        if is_file(name):
            task = own_task(Path(name))
            found.append(_own(task, {path.name: str(path.absolute()) for path in task.rows}))
        else:
            found.append(name)
    return found


def _own(task: OwnTask, rows: Mapping[str, str]) -> dict[str, Any]:
    """Return what a task file says, with its rows by name.

    Raises `BadConfig` where it would fetch code of others.
    """
    import lm_eval.api.metrics  # noqa: F401 (fills the registry)
    from lm_eval.api.registry import metric_registry

    config, file = task.with_rows(rows), task.path.name
    names = [one.get("metric") for one in config.get("metric_list") or () if isinstance(one, dict)]
    if strange := [str(name) for name in names if name not in metric_registry]:
        raise BadConfig(
            f"{file}: lm-eval has no measure {', '.join(strange)} of its own; others are code from"
            " the Hub, which is not run.",
        )
    if _runs_code(config):
        raise BadConfig(f"{file} takes measures from the Hub, whose code is not run.")
    return config


def _results(told: Mapping[str, Any]) -> Iterator[Result]:
    """Yield the numbers of an evaluation, in lm-eval's order."""
    for task, values in told["results"].items():
        config = told["configs"].get(task, {})
        counted = told.get("n-samples", {}).get(task, {})
        for key, value in values.items():
            measure, _, how = key.partition(",")
            if not how or measure.endswith("_stderr") or not isinstance(value, int | float):
                continue
            measure = measure if how == "none" else f"{measure}/{how}"
            error = values.get(f"{key.partition(',')[0]}_stderr,{how}")
            version = told.get("versions", {}).get(task)
            yield Result(
                name=re.sub(r"[^A-Za-z0-9_./:@+-]", "_", f"{EVALUATED}{task}/{measure}")[:NAME],
                task=task,
                measure=measure,
                value=float(value),
                error=float(error) if isinstance(error, int | float) else None,
                examples=counted.get("effective"),
                shots=told.get("n-shot", {}).get(task),
                dataset=str(config.get("dataset_path") or task),
                config=config.get("dataset_name"),
                split=config.get("test_split") or config.get("validation_split"),
                version=str(version) if isinstance(version, int | float) else None,
            )


if __name__ == "__main__":
    out = sys.stdout
    sys.stdout = sys.stderr  # what libraries print is no answer
    out.write(json.dumps(wrongs(json.load(sys.stdin))))
