"""A kind of training: all that the rest of hubtrain knows of it, in one typed class.

Nothing else knows any task by name, and nothing else knows what a task's settings mean. To add
one, write `worker/tasks/<name>.py`, or a folder of that name, with a subclass of `Task` and
`TASK = Yours()` at its end; the command, its help, the check, the plan, the run, the card and the
end follow. CONTRIBUTING.md shows a whole one.
"""

from __future__ import annotations

import json
import re
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, TypeVar

from worker.answers import one_by_one, the_one
from worker.contract import VALID
from worker.exchange import (
    Answering,
    DataReport,
    Field,
    Footprint,
    Measure,
    Page,
    Region,
    Run,
    Sample,
    Tool,
)
from worker.facts import NO_MODEL, CheckContext, ModelFacts
from worker.finding import Finding
from worker.importing import importing
from worker.params import Params
from worker.rendered import Part, Rendered
from worker.session import Session
from worker.splits import Row, Split, Splits

__all__ = [
    "EVALUATION_FILE",
    "NO_MODEL",
    "CheckContext",
    "DataReport",
    "Field",
    "Finding",
    "Footprint",
    "Measure",
    "ModelFacts",
    "Page",
    "Part",
    "Region",
    "Rendered",
    "Run",
    "Sample",
    "Split",
    "Splits",
    "Task",
    "Tool",
    "python",
]

P = TypeVar("P", bound=Params)

EVALUATION_FILE = "evaluation.json"
"""What evaluating the finished model came to, beside it: `by`, what measured it; `results`, each
with `name`, that of the event, `task`, `measure`, `value`, `error`, `examples`, `shots`, `dataset`,
`config`, `split`; or `failed`, why there is none."""

_PINNED = re.compile(r"[^/\s]+(/[^/\s]+)?@[0-9a-f]{40}")


def _pinned(values: Iterable[Any]) -> Iterator[str]:
    """Yield the texts among settings, and lists of them, that are models at a commit."""
    for value in values:
        if isinstance(value, list | tuple):
            yield from _pinned(value)
        elif isinstance(value, str) and _PINNED.fullmatch(value):
            yield value


def python(*lines: str) -> str:
    """Return lines of Python as Markdown shows them."""
    return "\n".join(("```python", *lines, "```"))


class Task(ABC, Generic[P]):
    """What the rest of hubtrain knows of a kind of training.

    Everything here runs on laptops, without heavy libraries; only `training`, `train`, `session`
    and `answer` do not, and import theirs inside.
    """

    # What it is called, and what users may set.

    name: ClassVar[str]
    """As its file or folder is called, with underscores."""

    help: ClassVar[str]
    """What it does, in a line. A plain string: `--help` reads it without importing the task."""

    params: type[P]
    """Its settings; groups that tasks share are in `worker.common`."""

    ignored: ClassVar[type[Params]] = Params
    """Settings that AutoTrain had for this task and that mean nothing here: they are read, named in
    a note, and not used."""

    def trains_together(self, params: P) -> bool:
        """Return whether several processes can train it, one on each GPU.

        `worker/engine/fit.py` sees to that; what the task does itself, such as writing files, has
        to be done by the first of them alone (`worker.engine.processes`).
        """
        return False

    def unused(self, params: P) -> Mapping[str, str]:
        """Return the settings that do nothing with `params`, each with a sentence that says why.

        Those that were given are named in a note.
        """
        return {}

    also_called: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """Other names a file may give the task, with dashes, and the settings that go with each."""

    extras: ClassVar[tuple[str, ...]]
    """Extras of the package that its image needs: by default those of its family, else the one of
    its name, with dashes."""

    # What it starts from and reads.

    starts_from_model: ClassVar[bool] = True
    """Whether there is a base model, in a setting called `model`."""

    model_reads: ClassVar[tuple[str, ...]] = ()
    """Small files of the base model that it reads beside `config.json`: `tokenizer.json`."""

    media: ClassVar[tuple[str, ...]] = ()
    """Suffixes of files that are examples by themselves: `.jpg`; none of them: tables only."""

    uses_accelerators: ClassVar[bool] = True
    """Whether it trains on GPUs; else none is rented for it, and none is proven before it."""

    reads_rows: ClassVar[bool] = True
    """Whether it learns from rows, which the settings of `worker.common.Data` name. Without them
    there are no splits, and `inspect` is given none."""

    runs_program: ClassVar[str] = ""
    """What people call the program of theirs that does the work, `script`: it takes the GPUs that
    it wants by itself. None where it is done by the process that calls `train`."""

    # What comes out.

    makes: ClassVar[Literal["model", "output"]] = "model"
    """A model has a card, and training has failed without one. Output is whatever was left behind,
    as it is; it may be nothing, and goes to the Hub without being asked to where machines keep no
    disk."""

    model_files: ClassVar[tuple[str, ...]] = tuple(
        ["*.safetensors", "*.bin", "*.gguf", "*.index.json", "adapter_config.json"]
    )
    """Patterns of the files that a library loads as its model, or as a part of one."""

    checkpoint_files: ClassVar[tuple[str, ...]] = (
        *("*.safetensors", "optimizer.pt", "scheduler.pt", "rng_state*.pth"),
        "trainer_state.json",
    )
    """Patterns of what a checkpoint has to hold so that training can go on from it as if it had not
    been interrupted: weights, optimizer, schedule, chance, and the place in the data."""

    library: ClassVar[str] = "transformers"
    """Library that loads a trained model, in the Hub's words."""

    packages: ClassVar[tuple[str, ...]] = ("torch", "transformers", "accelerate", "peft")
    """Packages whose versions decide what a training does: its record and its card tell them, and
    what trains once more compares them."""

    losses: ClassVar[tuple[str, ...]] = ("loss", "valid_loss")
    """Measurements that the card draws over the steps, in one picture."""

    steering: ClassVar[tuple[str, ...]] = ("lr", "grad_norm")
    """Measurements of how it is trained, which say nothing of how good the model is; the card tells
    the course of the first."""

    question: ClassVar[type[Params] | None] = None
    """Settings of a question to a trained model; none where it cannot be asked."""

    fixed: ClassVar[tuple[str, ...]] = ()
    """Settings of the `question` that are the same for all visitors of a deployed model."""

    def method(self, params: P) -> str:
        """Return the way it trains, by its name, such as a trainer's; empty where there is one."""
        return ""

    def unit(self, params: P) -> str:
        """Return what progress counts, plural: tokens, rows, images."""
        return "rows"

    def pipeline_tag(self, params: P) -> str | None:
        """Return what a trained model does, in the Hub's words."""
        return None

    def tags(self, params: P) -> tuple[str, ...]:
        """Return what the Hub finds its models by, beside what it does, in the Hub's words."""
        return ()

    def __init_subclass__(cls, **more: Any) -> None:
        """Give a task whose family has no `extras` either the one of its name."""
        super().__init_subclass__(**more)
        if "name" in vars(cls) and not hasattr(cls, "extras"):
            cls.extras = (cls.name.replace("_", "-"),)

    def sample(self, given: Mapping[str, Any]) -> Sample | None:
        """Return a tiny job that runs as it stands; none where there is none to give.

        `hubtrain init` writes it, and `hubtrain tasks` shows its row. `given` are the settings that
        go with the name it was asked by (`also_called`), which the sample's own come beside.
        """
        return None

    command: ClassVar[str] = ""
    """A command that trains without being told to, beside the one of its name: `hubtrain train`."""

    def base(self, params: P) -> str | None:
        """Return the model to start from, a Hub id or a folder; none where there is none."""
        settings: Any = params
        return str(settings.model) if self.starts_from_model else None

    def project(self, params: P) -> str:
        """Return what a job is called that nobody has named; empty where people have to."""
        return ""

    def files(self, params: P) -> tuple[str, ...]:
        """Return paths of files and folders of this machine that go along, each name once.

        They are sent as data is, to a private place named by their content, and not executed here.
        A folder goes as a zip of its name, without secrets, caches and what `.gitignore` names.
        """
        return ()

    tools: ClassVar[tuple[Tool, ...]] = ()
    """What else is done with its models, on this machine."""

    export: ClassVar[Tool | None] = None
    """What brings its models into the forms that other programs take: `hubtrain export MODEL`.

    Its settings have a `model`, a Hub id or a folder, and those of the flags.
    """

    def shortened(self, params: P, steps: int) -> Mapping[str, Any]:
        """Return the settings, by name, that make of a training one of so many steps.

        A rehearsal trains so; nothing that takes long or that asks somebody else comes after it.
        """
        known = type(params).model_fields
        short = {"max_steps": steps, "lm_eval": None, "log": "none"}
        return {name: value for name, value in short.items() if name in known}

    # The check, before anything is rented.

    def check_model(self, params: P, facts: ModelFacts) -> None:
        """Raise `BadConfig` for a model that cannot be trained so."""

    @abstractmethod
    def inspect(self, params: P, splits: Splits, facts: ModelFacts, tokenizer: Any) -> DataReport:
        """Return what training would make of the examples. Raises `BadData`, `BadConfig`.

        `splits` may hold only the first rows of each split: counts are scaled up to their `total`.
        `tokenizer` is a `tokenizers.Tokenizer`; none where the model has no `tokenizer.json`, and
        for tasks whose `model_reads` does not name it. Runs in a process with little memory, a time
        limit and no secret.
        """

    def over_budget(self, facts: ModelFacts) -> tuple[str, str]:
        """Return why `inspect` may take more than it is given, and what to type then."""
        return "the rows are too large for it", "smaller rows"

    @abstractmethod
    def footprint(
        self, params: P, facts: ModelFacts, data: DataReport, memory: float | None = None
    ) -> Footprint:
        """Return the memory that training takes on one device, which has `memory` bytes."""

    def regions(self, row: Row, said: Mapping[str, Any]) -> Sequence[Region]:
        """Return what a row marks on its image, for people to look at; none where it does not.

        `said` are settings as far as they are known: what cannot be read marks nothing.
        """
        return ()

    @abstractmethod
    def flops(self, params: P, facts: ModelFacts, data: DataReport) -> float:
        """Return the floating point operations of the whole training, validation included."""

    def seconds(self, params: P, facts: ModelFacts, data: DataReport) -> float:
        """Return what the training takes beside its arithmetic, however fast the machine is.

        Infinite where nobody can know: the job then takes what its limits allow.
        """
        return 0.0

    def pushed_bytes(self, params: P, stored: float) -> float:
        """Return the size of what is pushed, from that of the base model as it is stored."""
        return stored

    def shown(self, params: P) -> Mapping[str, Any]:
        """Return the settings that a plan always shows, each as it will be used."""
        return {}

    def memory_advice(self, params: P) -> str:
        """Return what to type where memory does not suffice, the mildest first."""
        return "a smaller --batch-size"

    # The end, the card, and what can be done with a trained model.

    def measures(self, params: P) -> tuple[Measure, ...]:
        """Return the measurements that tell how good a model is, the most telling first."""
        return (Measure("valid_loss"), Measure("loss"))

    def watched(self, params: P) -> str:
        """Return the measurement to show of a training that goes on: the loss, if it tells much."""
        telling = [measure.name.removeprefix(VALID) for measure in self.measures(params)]
        return "loss" if "loss" in telling or not telling else telling[0]

    def try_it(self, params: P, model: str) -> str:
        """Return the command that shows what the trained `model` does; empty for none."""
        return ""

    def loading(self, params: P, model: str, *, adapter: bool) -> str:
        """Return how the trained `model` is loaded, for its card, in Markdown."""
        does = [json.dumps(tag)] if (tag := self.pipeline_tag(params)) else []
        return python(
            "from transformers import pipeline",
            "",
            f"model = pipeline({', '.join([*does, f'model={json.dumps(model)}'])})",
        )

    def loading_of(self, folder: Path, params: P, model: str, *, adapter: bool) -> str:
        """Return the same for a trained model whose files are in `folder`, and may tell more."""
        return self.loading(params, model, adapter=adapter)

    def can_answer(self, facts: ModelFacts) -> None:
        """Raise `BadConfig` for a model that cannot be asked a `question`.

        `facts` are those of the base model where it is an adapter, with `facts.adapter`.
        """

    def session(self, model: str, question: Any, stop: threading.Event) -> Session | None:
        """Return a `model` that is asked again and again, its sampling as a `question` says.

        None for models that give one answer to one question: they are asked by `answer`. An answer
        ends early once `stop` is set. Where `answer` runs. Raises `HubtrainError`.
        """
        return None

    def answer(self, model: str, question: Any) -> Any:
        """Return a trained model's answer to a `question`, as plain data. Raises `HubtrainError`.

        By default that of `answering`: a task has one of the two. Runs in a process of its own,
        where heavy libraries may be imported.
        """
        return the_one(self.answering(model, question, 1)([question]))

    def answering(self, model: str, question: Any, together: int) -> Answering:
        """Return a `model`, loaded once, that answers lists of questions, so many `together`.

        They differ in what the fields of the `page` give; of `question` the other settings count,
        which are the same for all. A list may be as long as 256: its questions can be sorted by
        length. Where `answer` runs. By default each is asked by `answer`, which may load the model
        anew. Raises `HubtrainError`.
        """
        return one_by_one(partial(self.answer, model))

    def page(self, facts: ModelFacts) -> Page | None:
        """Return how visitors ask a deployed model; none where no page can ask it.

        `facts` are as for `can_answer`, which has accepted them.
        """
        return None

    @property
    def has_page(self) -> bool:
        """Whether there is a page for models of this task: they can be deployed."""
        return type(self).page is not Task.page

    # On the machine that trains.

    def libraries(self, params: P) -> Collection[str]:
        """Return which of the packages in `worker.engine.lean.OPTIONAL` its own code imports.

        The others are kept out of the process that trains, so that it starts sooner.
        """
        return ()

    def loads(self, params: P) -> tuple[str, ...]:
        """Return the models of the Hub that training loads beside its base: ids, `@` and commit.

        By default those that settings name and the check has pinned.
        """
        return tuple(_pinned(params.model_dump().values()))

    def needs_token(self, params: P) -> bool:
        """Return whether training itself asks the Hub as the job's owner.

        By default only a user's own program, and a tracker whose page is a Space. Else it finds
        model and data on the disk, and no token.
        """
        return bool(self.runs_program) or getattr(params, "log", "none") == "trackio"

    def evaluates(self, params: P) -> str:
        """Return what the finished model is evaluated with, in a process of its own; empty: not."""
        return ""

    def evaluate(self, params: P, run: Run, step: int) -> None:
        """Evaluate the model in `run.output` after `step` steps, or before them (0) `run.base`.

        Emits `Metric` events and leaves `EVALUATION_FILE` beside the finished model. Before
        training it raises `BadConfig` for what cannot be evaluated at all. Whatever else it raises
        does no harm to the model.
        """

    def training(self) -> Callable[[P, Run], object]:
        """Return what `train` is to call, from a module whose heavy libraries are imported now."""
        raise NotImplementedError(f"{type(self).__name__} has neither `training` nor `train`")

    def train(self, params: P, run: Run) -> None:
        """Train on `run.data`, tell `run.emit` how it goes, leave the model in `run.output`.

        By default that of `training`: a task has one of the two.
        """
        with importing():
            train = self.training()
        train(params, run)
