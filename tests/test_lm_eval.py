"""lm-eval: its tasks are looked for first, asked before and after training, and cost no model."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from standins.laptop import Laptop
from test_llm_data import FACTS
from tiny_llm import chats, write_model, write_rows

from backends.image import image_files
from orchestrator.preflight.request import extras_of
from worker.contract import EVALUATED, DataRef, Event, Metric, ModelRef, Phase
from worker.errors import BadConfig
from worker.facts import CheckContext
from worker.task import ModelFacts, Run
from worker.tasks.llm import TASK
from worker.tasks.llm.evaluation import files_of, own_task

NEEDED: dict[str, Any] = {"model": "m", "data_path": "d"}
FOXES = """
task: foxes
dataset_path: json
dataset_kwargs:
  data_files:
    test: questions.jsonl
test_split: test
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_choice: "{{choices}}"
doc_to_target: "{{answer}}"
metric_list:
  - metric: acc
"""

needs_lm_eval = pytest.mark.skipif(not find_spec("lm_eval"), reason="pip install -e '.[dev]'")


def written(folder: Path, text: str = FOXES) -> Path:
    """Write a task file, and rows of which the first answer is what `chats` say."""
    answers = ["the quick brown fox", "the lazy dog"]
    rows = [{"question": f"say {i}:", "choices": answers, "answer": 0} for i in range(6)]
    write_rows(folder / "questions.jsonl", rows)
    file = folder / "foxes.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_task_file_goes_along_with_its_rows(tmp_path: Path) -> None:
    file = written(tmp_path)
    along = TASK.files(TASK.params(**NEEDED, lm_eval=f"arc_easy, {file}"))
    assert along == (str(file), str(tmp_path / "questions.jsonl"))
    there = own_task(file).with_rows({"questions.jsonl": "/there/questions.jsonl"})
    assert there["dataset_kwargs"] == {"data_files": {"test": "/there/questions.jsonl"}}
    assert there["task"] == "foxes" and files_of(["arc_easy"]) == ()


def gone_along(file: Path, folder: Path) -> DataRef:
    """Copy a task file and its rows to a folder, as a machine has them: side by side."""
    folder.mkdir()
    along = [Path(path) for path in files_of([str(file)])]
    for path in along:
        shutil.copy(path, folder)
    return DataRef(folder=str(folder), train=[path.name for path in along])


@pytest.mark.parametrize("named", ["sub/more.jsonl", "{}/sub/more.jsonl"])
def test_rows_of_another_folder_are_found_where_they_went(named: str, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    file = written(tmp_path, FOXES.replace("questions.jsonl", named.format(tmp_path)))
    (tmp_path / "questions.jsonl").rename(tmp_path / "sub" / "more.jsonl")
    gone_along(file, there := tmp_path / "there")
    (tmp_path / "sub" / "more.jsonl").unlink()
    task = own_task(there / "foxes.yaml", flat=True)
    assert task.rows == (there / "more.jsonl",)
    files = task.with_rows({"more.jsonl": "/x"})["dataset_kwargs"]["data_files"]
    assert files == {"test": "/x"}


@needs_lm_eval
@pytest.mark.slow
def test_files_are_looked_at_before_training_and_templates_reach_no_code(tmp_path: Path) -> None:
    from jinja2.exceptions import SecurityError, UndefinedError
    from lm_eval import utils

    from worker.tasks.llm.training import evaluating, harness

    file = written(tmp_path, FOXES.replace("metric: acc", "metric: of_mine"))
    files = gone_along(file, tmp_path / "there")
    run = Run(None, files, tmp_path, tmp_path, lambda _: None, files=files)
    with pytest.raises(BadConfig, match="no measure of_mine"):
        evaluating.evaluate(TASK.params(**NEEDED, lm_eval=str(file)), run, 0)
    harness._manager([{}])
    assert utils.apply_template("{{q|regex_replace('a', 'b')}}\n", {"q": "a"}) == "b\n"
    with pytest.raises(UndefinedError):
        utils.apply_template("{{nowhere}}", {})
    with pytest.raises(SecurityError):
        utils.apply_template("{{q.__class__.__mro__[1].__subclasses__()}}", {"q": "a"})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("task: a\ndoc_to_text: !function utils.text\n", "calls a function, and no code goes"),
        ("task: a\nunsafe_code: true\n", "has unsafe_code"),
        ("task: a\ninclude: other.yaml\n", "has include"),
        ("[1]\n", "names no task"),
        ("task: [\n", "is not YAML"),
        ("task: a\ndataset_path: csv\n", "names no rows"),
        (FOXES.replace("questions", "answers"), "there is no file"),
    ],
)
def test_what_cannot_go_along_is_refused_before_anything_runs(
    text: str, said: str, tmp_path: Path
) -> None:
    file = written(tmp_path, text)
    with pytest.raises(BadConfig, match=said):
        files_of([str(file)])
    (found,) = TASK.params(**NEEDED, lm_eval=str(file)).checks(CheckContext())
    assert found.level == "error" and said in found.text


def test_the_image_has_lm_eval_only_where_it_is_asked_for() -> None:
    asked, not_asked = (
        image_files(extras_of(TASK, TASK.params(**NEEDED, lm_eval=tasks)), 0)["requirements.txt"]
        for tasks in ("arc_easy", None)
    )
    assert b"lm_eval" in asked and b"lm_eval" not in not_asked


def test_models_that_do_not_go_on_with_a_text_are_not_asked() -> None:
    params = TASK.params(**NEEDED, trainer="reward", lm_eval="arc_easy")
    with pytest.raises(BadConfig, match="--trainer reward makes a reward model"):
        TASK.check_model(params, ModelFacts("m", 1, config=FACTS.config))


@needs_lm_eval
@pytest.mark.slow
def test_names_are_looked_for_where_lm_eval_is() -> None:
    params = TASK.params(**NEEDED, lm_eval="arc_esy,humaneval,mmlu")
    (near, unsafe) = params.checks(CheckContext())
    assert (near.level, near.fix) == ("error", "--lm-eval arc_easy")
    assert "humaneval runs what the model writes" in unsafe.text


@needs_lm_eval
@pytest.mark.slow
def test_an_evaluation_that_is_stopped_ends_and_writes_nothing(tmp_path: Path) -> None:
    from worker.tasks.llm.training import evaluating

    model = write_model(tmp_path / "tiny")
    files = gone_along(written(tmp_path), tmp_path / "there")
    told: list[Event] = []
    run = Run(ModelRef(name=str(model)), files, model, tmp_path, told.append, files=files)

    def stop_once_it_computes(event: Event) -> None:
        told.append(event)
        if isinstance(event, Phase) and event.name == "lm-eval foxes":
            run.stop.set()

    run = replace(run, emit=stop_once_it_computes)
    evaluating.evaluate(TASK.params(**NEEDED, lm_eval=str(tmp_path / "foxes.yaml")), run, 1)
    assert run.stop.is_set() and not [event for event in told if isinstance(event, Metric)]
    assert not (model / "evaluation.json").exists()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lm-eval")
    write_model(folder / "tiny")
    write_rows(folder / "chats.jsonl", chats(40))
    written(folder)
    written_badly = FOXES.replace("{{answer}}", "{{nowhere.at_all}}").replace("foxes", "broken")
    (folder / "broken.yaml").write_text(written_badly, encoding="utf-8")
    return folder


def train(laptop: Laptop, *more: str, **environ: str) -> str:
    """Train on this machine; return what was printed."""
    done = laptop.run(
        *("llm", "--train", "--trainer", "sft", "--model", "./tiny", "--data-path", "chats.jsonl"),
        *("--backend", "local", "--block-size", "64", "--lr", "1e-2", "--samples", "0", *more),
        **environ,
    )
    assert done.code == 0, done.out + done.err
    return done.out


@needs_lm_eval
@pytest.mark.slow
def test_a_model_is_evaluated_before_and_after_training(shared_hub: Any, folder: Path) -> None:
    laptop = Laptop(folder / "home", shared_hub)
    how = ("--lm-eval", "foxes.yaml", "--lm-eval-before", "--lm-eval-limit", "4")
    more = (*how, "--epochs", "3", "--batch-size", "4")
    out = train(laptop, *more, "--project-name", "judged", HF_TOKEN="")
    assert "lm-eval foxes.yaml before and after training, in time and cost beside" in out
    assert "foxes acc 0.000 → 1.000" in out
    told = json.loads((folder / "judged" / "evaluation.json").read_text("utf-8"))
    (result,) = told["results"]
    assert (result["value"], result["examples"], result["shots"]) == (1.0, 4, 0)
    card = (folder / "judged" / "README.md").read_text("utf-8")
    assert "| foxes | acc | 0 | 1 | 0 | 4 | 0 |" in card and EVALUATED not in card
    (model,) = yaml.safe_load(card.split("---")[1])["model-index"]
    assert model["results"][0]["dataset"] == {"name": "foxes", "type": "json", "split": "test"}
    assert model["results"][0]["metrics"] == [{"type": "acc", "value": 1.0, "name": "acc"}]
    tool = ("tools", "lm-eval", "judged", "--tasks", "foxes.yaml", "--lm-eval-limit", "4")
    again = laptop.run(*tool, "--output-file", "again.json", HF_TOKEN="")
    assert again.code == 0 and "foxes acc  1.0" in again.out, again.out + again.err
    assert json.loads((folder / "again.json").read_text("utf-8"))["results"] == [result]
    strange = laptop.run("tools", "lm-eval", "./tiny", "--tasks", "broken-off.yaml", HF_TOKEN="")
    assert strange.code == 2 and "cannot read broken-off.yaml" in strange.err


@needs_lm_eval
@pytest.mark.slow
def test_an_evaluation_that_fails_costs_no_model(shared_hub: Any, folder: Path) -> None:
    laptop = Laptop(folder / "home", shared_hub)
    name = f"judged-{folder.parent.name[-6:]}-{folder.name[-1:]}"
    out = train(
        *(laptop, "--lm-eval", "broken.yaml", "--max-steps", "1", "--project-name", name),
        "--push-to-hub",
    )
    assert "the evaluation failed: " in out and "nowhere" in out and "Succeeded in" in out
    api = shared_hub.api("ann")
    assert api.file_exists(f"ann/{name}", "model.safetensors")
    assert len(api.list_repo_commits(f"ann/{name}")) >= 2, "it is pushed before it is evaluated"
    card = Path(api.hf_hub_download(f"ann/{name}", "README.md")).read_text("utf-8")
    assert "The evaluation failed, and the model is whole" in card
