"""What users may set of evaluation with lm-eval, and the task files that go along. Light.

lm-eval is EleutherAI's evaluation harness; a task of it is a name it knows, or a YAML file of the
user's, with the rows it names. Neither file is run: what would be code is refused, and templates
are rendered in a sandbox.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, ClassVar

import yaml
from annotated_types import Ge, Le
from pydantic import field_validator

from worker.common import MOST
from worker.errors import BadConfig
from worker.facts import CheckContext
from worker.finding import Finding
from worker.params import Consent, Flag, Params, listed

PACKAGE = "lm_eval"

LOOK_SECONDS = 90.0
"""Longest time in which lm-eval has to say which tasks it knows: 7 s are usual."""

ROWS = frozenset({"json", "csv", "parquet", "text"})
"""What `dataset_path` says where the rows lie in files, as the library datasets calls it."""

_SUFFIXES = (".yaml", ".yml")
_CODE = ("include", "class", "unsafe_code", "custom_dataset")
"""Keys of a task file that bring code, or another file."""


class LmEvalTasks(Params):
    """Evaluation with lm-eval."""

    goes_on: ClassVar[bool] = True

    lm_eval: Annotated[tuple[str, ...] | None, Consent()] = None
    """Tasks of lm-eval that the trained model is evaluated with on the machine that trains: names
    with commas between, or YAML files of your own, which go along with the rows they name."""

    lm_eval_limit: Annotated[int, Ge(1), Le(MOST)] | None = None
    """Use only so many examples of each task."""

    lm_eval_fewshot: Annotated[int, Ge(0), Le(100)] | None = None
    """Solved examples before each question; none takes each task's own number."""

    lm_eval_batch_size: Annotated[int, Ge(1), Le(MOST)] = 8
    """Questions in one forward pass."""

    lm_eval_chat_template: bool = False
    """Ask in the words of the model's chat template."""

    @field_validator("lm_eval", mode="before")
    @classmethod
    def _tasks_listed(cls, value: Any) -> Any:
        """Take names with commas between as a list."""
        return listed(value)

    @property
    def lm_eval_tasks(self) -> tuple[str, ...]:
        """The tasks that are asked for."""
        return self.lm_eval or ()


class LmEval(LmEvalTasks):
    """Evaluation with lm-eval."""

    lm_eval_before: bool = False
    """Evaluate the base model with the tasks of --lm-eval too, before training."""

    @property
    def extras(self) -> tuple[str, ...]:
        """Extras of the package: the machine has lm-eval where it is asked for."""
        more: tuple[str, ...] = getattr(super(), "extras", ())
        return (*more, "lm-eval") if self.lm_eval_tasks else more

    def checks(self, about: CheckContext) -> Iterator[Finding]:
        """Look for the tasks, and say that their time is not in the estimate."""
        if names := self.lm_eval_tasks:
            wrong = list(refused(names))
            yield from wrong or [Finding("ok", "settings", self._told(names))]
        yield from super().checks(about)

    def _told(self, names: Sequence[str]) -> str:
        when = "before and after training" if self.lm_eval_before else "after training"
        seen = "" if find_spec(PACKAGE) else "; the machine checks the names before it trains"
        text = f"lm-eval {', '.join(names)} {when}, in time and cost beside the estimate{seen}"
        return f"{text}; the model is kept whatever comes of it"


class LmEvalRequest(LmEvalTasks):
    """Evaluation with lm-eval."""

    model: str
    """Hub id or folder."""

    lm_eval: Annotated[tuple[str, ...], Flag("--tasks")]
    """Tasks of lm-eval, names with commas between, or YAML files of your own."""

    output_file: str | None = None
    """File for the results, as JSON, with the errors and counts of each."""

    trust_remote_code: bool = False
    """Run code that comes with the model."""


@dataclass(frozen=True, slots=True)
class OwnTask:
    """A task file of the user's."""

    path: Path
    config: dict[str, Any]
    """What it says."""

    rows: tuple[Path, ...]
    """The files of rows that it names."""

    def with_rows(self, there: Mapping[str, str]) -> dict[str, Any]:
        """Return what it says, with the files of rows where they are, by their names."""
        if not self.rows:
            return self.config
        more = self.config["dataset_kwargs"]
        files = _mapped(more["data_files"], lambda name: there[Path(name).name])
        return {**self.config, "dataset_kwargs": {**more, "data_files": files}}


def is_file(name: str) -> bool:
    """Whether a task is a file of the user's, and no name."""
    return name.endswith(_SUFFIXES)


def files_of(names: Sequence[str]) -> tuple[str, ...]:
    """Return the paths of the files that go along for these tasks. Raises `BadConfig`."""
    own = [own_task(Path(name)) for name in names if is_file(name)]
    paths = [path for task in own for path in (task.path, *task.rows)]
    return tuple(dict.fromkeys(str(path.expanduser().absolute()) for path in paths))


def own_task(path: Path, *, flat: bool = False) -> OwnTask:
    """Return a task file as it is read. Raises `BadConfig` for what is none, or brings code.

    `flat`: it has gone along, so its rows lie beside it, wherever it says that they are.
    """
    try:
        config = yaml.safe_load(path.expanduser().read_text(encoding="utf-8"))
    except OSError as error:
        raise BadConfig(f"--lm-eval: cannot read {path}: {error.strerror}.") from error
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        if "!function" in str(error):
            raise BadConfig(
                f"--lm-eval: {path.name} calls a function, and no code goes along.",
                fix="Say it as a template: doc_to_text: '{{question}}'.",
            ) from error
        raise BadConfig(f"--lm-eval: {path.name} is not YAML: {error}") from error
    if not isinstance(config, dict) or not isinstance(config.get("task"), str):
        raise BadConfig(f"--lm-eval: {path.name} names no task: it needs a line task: NAME.")
    if code := [key for key in _CODE if config.get(key)]:
        raise BadConfig(f"--lm-eval: {path.name} has {', '.join(code)}; one file is all that goes.")
    return OwnTask(path, config, tuple(_rows(path, config, flat)))


def _rows(path: Path, config: dict[str, Any], flat: bool) -> Iterator[Path]:
    if config.get("dataset_path") not in ROWS:
        return
    more = config.get("dataset_kwargs")
    named = more.get("data_files") if isinstance(more, dict) else None
    if not named:
        raise BadConfig(
            f"--lm-eval: {path.name} names no rows.",
            fix="dataset_kwargs: {data_files: {test: questions.jsonl}}",
        )
    found: list[str] = []
    _mapped(named, found.append)
    for name in found:
        file = path.expanduser().parent / (Path(name).name if flat else name)
        if not file.is_file():
            raise BadConfig(f"--lm-eval: {path.name} names {name}, and there is no file {file}.")
        yield file


def _mapped(named: Any, change: Any) -> Any:
    """Return names of files, one, a list, or by split, each changed."""
    if isinstance(named, dict):
        return {split: _mapped(names, change) for split, names in named.items()}
    if isinstance(named, list):
        return [_mapped(name, change) for name in named]
    return change(str(named))


def refused(names: Sequence[str]) -> Iterator[Finding]:
    """Yield what is wrong with tasks, as far as it can be told without lm-eval, or with it."""
    try:
        files_of(names)
        if find_spec(PACKAGE):
            yield from (Finding("error", "settings", text, fix) for text, fix in _unknown(names))
    except BadConfig as error:
        yield Finding("error", "settings", error.message, error.fix)


def _unknown(names: Sequence[str]) -> list[tuple[str, str]]:
    """Return what lm-eval itself says against tasks by name, asked in a process of its own."""
    asked = [name for name in names if not is_file(name)]
    if not asked:
        return []
    command = [sys.executable, "-P", "-m", "worker.tasks.llm.training.harness"]
    try:
        done = subprocess.run(
            command,
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            timeout=LOOK_SECONDS,
            check=True,
        )
    except (subprocess.SubprocessError, OSError):
        return []  # the machine that trains will say it
    said: list[tuple[str, str]] = [(text, fix) for text, fix in json.loads(done.stdout)]
    return said
