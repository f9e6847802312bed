"""What goes with a model: a card for people, `README.md`, and a manifest for programs.

Both are made of the spec and the events alone, so anybody can check them. What the words on the
card say is in `card.md.jinja`; this file only finds what fills them. The manifest is that of
`worker.manifest`.
"""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from worker import tasks
from worker.contract import EVALUATED, JobSpec, Story
from worker.evaluation_plots import PICTURES
from worker.hubclient import endpoint
from worker.manifest import TrainedJob, curve, drawn, manifest, telling
from worker.markdown import FILTERS, code, text
from worker.output import MANIFEST_FILE
from worker.params import settings_of
from worker.paths import spec_for_others
from worker.picture import draw
from worker.samples import SAMPLES_FILE, Samples
from worker.samples import read as read_samples
from worker.task import EVALUATION_FILE, Task

PICTURE_FILE = "loss.png"

CARD_POINTS = 12
"""Most rows of the curve on the card."""


def write(trained: TrainedJob, folder: Path) -> None:
    """Write card and manifest into the folder of the model; of other output there is no card.

    What goes to a repo names no path of the user's disk.
    """
    if trained.spec.push:
        trained = replace(trained, spec=spec_for_others(trained.spec))
    (folder / MANIFEST_FILE).write_text(manifest(trained).to_text(), encoding="utf-8")
    if result_of(trained.spec) == "output":
        return
    adapter = (folder / "adapter_config.json").exists()
    text = card(
        trained,
        adapter=adapter,
        samples=_samples(trained.spec, folder / SAMPLES_FILE),
        evaluation=_evaluation(folder / EVALUATION_FILE),
        picture=_pictured(trained, folder / PICTURE_FILE),
        judged={name: words for name, words in PICTURES.items() if (folder / name).exists()},
        folder=folder,
    )
    (folder / "README.md").write_text(text, encoding="utf-8")


def _samples(spec: JobSpec, file: Path) -> Samples | None:
    """Return what the trainer left for the card.

    Samples are rows of the data: a model for everybody goes without those of data that is not.
    """
    if spec.push and not spec.push.private and not _public_data(spec):
        file.unlink(missing_ok=True)
    return read_samples(file)


def evaluated_with(spec: JobSpec) -> str:
    """Return what a job's model is evaluated with, as its task says; empty where it is not."""
    try:
        task, params = tasks.asked(spec)
    except ValueError:  # a task or a setting that is not there: the trainer says so
        return ""
    return task.evaluates(params)


def result_of(spec: JobSpec) -> Literal["model", "output"]:
    """Return what comes of a job (`Task.makes`)."""
    return tasks.load(spec.task).makes


def worker_of(spec: JobSpec) -> str:
    """Return what people call the program that does a job: its trainer, or their script."""
    try:
        return tasks.load(spec.task).runs_program or "trainer"
    except ValueError:  # a task that this version lacks: the program itself says so
        return "trainer"


def packages_of(spec: JobSpec) -> tuple[str, ...]:
    """Return the packages whose versions decide what a job does (`Task.packages`)."""
    try:
        return tasks.load(spec.task).packages
    except ValueError:
        return ()


def _evaluation(file: Path) -> dict[str, Any]:
    """Return what an evaluation left; empty where there was none."""
    found: dict[str, Any] = json.loads(file.read_text("utf-8")) if file.exists() else {}
    return found


def _pictured(trained: TrainedJob, file: Path) -> str:
    """Draw the losses, or what tells more; return the picture's name, nothing without one."""
    history = trained.story.history
    lines = {
        name.replace("_", " "): [
            (float(m.step), m.values[name]) for m in history if name in m.values
        ]
        for name in drawn(trained.spec)
    }
    return file.name if draw(lines, file) else ""


def card(
    trained: TrainedJob,
    *,
    adapter: bool,
    samples: Samples | None = None,
    evaluation: Mapping[str, Any] | None = None,
    picture: str = "",
    judged: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> str:
    """Return the text of the model card: with samples, an evaluation, and files of pictures.

    `picture` shows how training went, `judged` where the model errs, in words by their names;
    the model's own files in `folder` may tell how it is asked.
    """
    here = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,
    )
    here.filters |= FILTERS
    spec, story = trained.spec, trained.story
    task, params = tasks.asked(spec)
    where = (spec.push.repo_id if spec.push else spec.output) or spec.project
    load = partial(task.loading_of, folder) if folder else task.loading
    names = telling(spec)
    rows = curve(story.history, CARD_POINTS, names)[-4 * CARD_POINTS :]
    names = [n for n in names if any(n in row for row in rows)]
    return here.get_template("card.md.jinja").render(
        front_matter=yaml.safe_dump(
            front_matter(trained, adapter=adapter) | _model_index(spec.project, evaluation or {}),
            sort_keys=False,
        ),
        title=spec.project,
        adapter=adapter,
        base=_linked(spec),
        loading=load(params, where, adapter=adapter),
        metrics=[(name.replace("_", " "), shown(v), shown(b)) for name, v, b in _told(story, task)],
        measured_before=bool(_before(story)),
        samples=samples,
        evaluation=evaluation or None,
        evaluated=list(_evaluated(evaluation or {}, _before(story))),
        picture=picture,
        pictured=drawn(spec)[0].capitalize(),
        judged=judged or {},
        curve_names=[name.replace("_", " ") for name in names],
        curve=[[f"{row['step']:.0f}", *(shown(row.get(n)) for n in names)] for row in rows],
        facts=list(_facts(trained)),
        command=command(spec),
    )


def front_matter(trained: TrainedJob, *, adapter: bool) -> dict[str, Any]:
    """Return the card's metadata, as the Hub reads it."""
    spec = trained.spec
    (task, params), base = tasks.asked(spec), _on_hub(spec)
    matter: dict[str, Any] = {
        "base_model": base,
        "base_model_relation": ("adapter" if adapter else "finetune") if base else None,
        "datasets": [data] if (data := _public_data(spec)) else None,
        "library_name": "peft" if adapter else task.library,
        "pipeline_tag": task.pipeline_tag(params),
        "license": trained.license,
        "tags": _tags(spec),
    }
    return {key: value for key, value in matter.items() if value is not None}


def _tags(spec: JobSpec) -> list[str]:
    """Return the tags of a model, each once."""
    task, params = tasks.asked(spec)
    ours = ("hubtrain", tasks.typed(spec.task), task.method(params))
    return list(dict.fromkeys(filter(None, (*ours, *task.tags(params)))))


def _model_index(name: str, evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """Return the results of an evaluation as the Hub's metadata has them; empty for none."""
    results = [
        {
            "task": {"type": "text-generation"},
            "dataset": {
                name: value
                for name, value in (
                    ("name", one["task"]),
                    ("type", one["dataset"]),
                    ("config", one["config"]),
                    ("split", one["split"]),
                )
                if value is not None
            },
            "metrics": [{"type": one["measure"], "value": one["value"], "name": one["measure"]}],
        }
        for one in evaluation.get("results", ())
    ]
    return {"model-index": [{"name": name, "results": results}]} if results else {}


def _evaluated(
    evaluation: Mapping[str, Any], before: Mapping[str, float]
) -> Iterable[tuple[str, ...]]:
    """Yield the rows of an evaluation: task, measure, before, after, error, examples, shots."""
    for one in evaluation.get("results", ()):
        counts = ("-" if one[name] is None else str(one[name]) for name in ("examples", "shots"))
        values = (before.get(one["name"]), one["value"], one["error"])
        yield (text(one["task"]), text(one["measure"]), *map(shown, values), *counts)


def command(spec: JobSpec) -> str:
    """Return the command line that asks for this training once more."""
    words = ["hubtrain", tasks.typed(spec.task), "--train", *_flags(spec)]
    words += ["--backend", "-".join(spec.machine.words), "--project-name", spec.project]
    if spec.push:
        words += ["--push-to-hub", "--username", spec.push.repo_id.partition("/")[0]]
    return shlex.join(words)


def shown(value: float | None) -> str:
    """Return a measurement with four significant digits; a dash for none."""
    return "-" if value is None else f"{value:.4g}"


def _flags(spec: JobSpec) -> Iterable[str]:
    for setting in settings_of(tasks.load(spec.task).params):
        value = spec.params.get(setting.name, setting.default)
        if value is None or (value == setting.default and not setting.required):
            continue
        flag = setting.flags[0]
        if isinstance(value, bool):
            yield flag if value else flag.replace("--", "--no-", 1)
        else:
            several = isinstance(value, list | tuple)
            yield from (flag, ",".join(map(str, value)) if several else str(value))


def _told(story: Story, task: Task[Any]) -> Iterable[tuple[str, float, float | None]]:
    """Yield the measurements that tell how good a model is, not how it was trained.

    Each with what it was before training, where that was measured.
    """
    before = _before(story)
    for name, value in sorted(story.metrics.items()):
        if name not in task.steering and not name.startswith(EVALUATED):
            yield name, value, before.get(name)


def _before(story: Story) -> dict[str, float]:
    measured = (m.values for m in story.history if m.step == 0)
    return {k: v for values in measured for k, v in values.items() if math.isfinite(v)}


def _facts(trained: TrainedJob) -> Iterable[tuple[str, str]]:
    spec, story, started = trained.spec, trained.story, trained.started
    task, params = tasks.asked(spec)
    yield "task", text(" ".join(filter(None, (tasks.typed(spec.task), task.method(params)))))
    if base := spec.model:
        pinned = f" at {code(base.revision)}" if base.revision else ""
        yield "base model", code(base.name) + pinned
    yield "data", _data_in_words(spec)
    if story.progress:
        yield "steps", f"{story.progress.step:,}"
        yield story.progress.unit, f"{story.progress.units:,}"
    yield "hardware", text(" ".join(spec.machine.words))
    yield "took", f"{story.seconds(trained.now) / 60:.1f} min"
    yield "cost", f"${story.cost(spec.machine.usd_per_hour, trained.now):.2f}"
    if started:
        yield "versions", ", ".join(text(f"{k} {v}") for k, v in started.versions.items())
    yield "job", text(spec.job_id)


def _data_in_words(spec: JobSpec) -> str:
    data = spec.data
    named = _public_data(spec) or Path(str(spec.params.get("data_path") or data.folder or "")).name
    rows = f", {data.rows:,} rows" if data.rows else ""
    pinned = f" at {code(data.revision)}" if data.revision and named == data.repo_id else ""
    return f"{code(named)}{pinned}{rows}"


def _public_data(spec: JobSpec) -> str | None:
    """Return the dataset's Hub id where users named one; packaged files are nobody's business."""
    named = spec.params.get("data_path")
    return spec.data.repo_id if spec.data.repo_id and spec.data.repo_id == named else None


def _linked(spec: JobSpec) -> str:
    """Return the base model as the card names it; empty where there is none."""
    if name := _on_hub(spec):
        return f"[{code(name)}]({endpoint()}/{quote(name)})"
    return code(spec.model.name) if spec.model else ""


def _on_hub(spec: JobSpec) -> str | None:
    """Return the base model's Hub id; none for a folder, which has no revision."""
    return spec.model.name if spec.model and spec.model.on_hub else None
