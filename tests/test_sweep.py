"""Sweeps: what may be tried, and whole ones with the real command in a copy of the house.

A task and a backend are planted there whose jobs take no time: the worker is a stand-in that
measures what its setting says. So that clients can be killed at the worst moments, the backend
ends the process that launches when it is told to.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from standins.laptop import Laptop, Said, finish
from standins.localhub import HubServer
from standins.waiting import until

import worker.tasks
from orchestrator.settings.sweep import SweepSettings
from orchestrator.sweep.chosen import Grid
from orchestrator.sweep.space import Choices, Numbers, grid, probes, said, space_of
from orchestrator.sweep.spec import SweepSpec
from orchestrator.sweep.study import Study
from orchestrator.terminal.sweeps.plot import plot
from worker.errors import BadConfig
from worker.task import Measure

pytestmark = pytest.mark.timeout(600)

ROOT = Path(__file__).parent.parent
ROOMS = ("orchestrator", "worker", "backends", "space_template")
TABULAR = worker.tasks.load("tabular")

SETTINGS = '''
    guess: Annotated[float, Ge(-1), Le(1)] = 0.5
    """What is measured; less than nothing fails."""

    pace: float = 0.05
    """Seconds a step takes."""
'''

WORKER = """
import json, os, sys, threading, time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from worker.contract import *

numbers = iter(range(1, 10_000))
def tell(event, **more):
    at = {"at": datetime.now(UTC), "source": "worker", "seq": next(numbers)}
    print(marked(event(**more, **at)), flush=True)

class Page(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"page")
    def log_message(self, *args):
        pass

if port := os.environ.get("GRADIO_SERVER_PORT"):
    server = ThreadingHTTPServer((os.environ["GRADIO_SERVER_NAME"], int(port)), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
spec = JobSpec.model_validate_json(Path("job.json").read_text())
tell(Started, job_id=spec.job_id)
if spec.output:
    with (Path(spec.output).parent / "starts.txt").open("a") as starts:
        starts.write(f"{spec.trial.number}\\n")
guess = spec.params["guess"]
if guess < 0:
    tell(Failed, reason=EndReason.OOM, message="It does not fit.")
    sys.exit(1)
for step in (1, 2, 3):
    time.sleep(spec.params["pace"])
    tell(Progress, step=step, total_steps=3)
    tell(Metric, step=step, values={"accuracy": round(guess * step / 3, 6)})
if spec.push:
    from huggingface_hub import CommitOperationAdd, HfApi
    api, repo = HfApi(), spec.push.repo_id
    api.create_repo(repo, private=spec.push.private, exist_ok=True)
    manifest = json.dumps({"spec": {"job_id": spec.job_id}})
    files = {"hubtrain.json": manifest, "README.md": f"# {repo}"}
    made = api.create_commit(
        repo, [CommitOperationAdd(n, t.encode()) for n, t in files.items()], commit_message="x"
    )
    tell(Pushed, repo_id=repo, commit=made.oid, url=f"{os.environ['HF_ENDPOINT']}/{repo}")
tell(Finished, output=spec.output)
if space := os.environ.get("SPACE_ID"):
    api.pause_space(space)
    time.sleep(60)
"""

DIES = """
    def launch(
        self, request: ShedRequest, secrets: Mapping[str, str], on_progress: OnProgress = silent
    ) -> Handle:
        if os.environ.get("HUBTRAIN_DIE") == "before":
            os._exit(9)
        handle = self._launch(request, secrets, on_progress)
        if os.environ.get("HUBTRAIN_DIE") == "after":
            os._exit(9)
        return handle

    def _launch(
"""


@dataclass
class House:
    """A copy of hubtrain with a task and a backend more, and a user's folder beside it."""

    sources: Path
    user: Path
    environ: dict[str, str] = field(default_factory=dict)

    def start(self, *words: str, **more: str) -> subprocess.Popen[str]:
        """Start a command of the copy."""
        lonely = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_TOKEN": ""}
        own = {"PYTHONPATH": str(self.sources), "HUBTRAIN_HOME": str(self.user / "home")}
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "orchestrator.terminal.cli", *words],
            cwd=self.user,
            env={**os.environ, **lonely, **own, "COLUMNS": "200", **self.environ, **more},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str, **more: str) -> Said:
        """Run a command of the copy to its end."""
        return finish(self.start(*words, **more))

    def sweep(self, *words: str, **more: str) -> Said:
        """Sweep in the shed."""
        return self.run(*sweeping(*words), **more)

    def jobs(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.run("jobs", "--offline", "--json").document
        return found

    def starts(self) -> list[int]:
        """Return the trials whose workers ever began, each as often as it did."""
        return sorted(map(int, (self.user / "starts.txt").read_text().split()))


def sweeping(*words: str) -> tuple[str, ...]:
    given = ("--data-path", "mail.csv", "--project-name", "box", "--backend", "shed")
    return ("sweep", "guesses", *given, "--json", *words)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("house")
    for room in ROOMS:
        shutil.copytree(ROOT / room, folder / room, ignore=shutil.ignore_patterns("__pycache__"))
    task = (ROOT / "examples" / "majority.py").read_text(encoding="utf-8")
    task = task.replace('name = "majority"', 'name = "guesses"').replace(
        '    """Column of the label."""\n', f'    """Column of the label."""\n{SETTINGS}'
    )
    task = task.replace(
        "from typing import Any",
        "from typing import Annotated, Any\n\nfrom annotated_types import Ge, Le",
    )
    (folder / "worker" / "tasks" / "guesses.py").write_text(task, encoding="utf-8")
    shed = (ROOT / "examples" / "shed" / "backend.py").read_text(encoding="utf-8")
    shed = shed.replace("    def launch(\n", DIES.lstrip("\n").rstrip(" "), 1)
    shed = shed.replace('"the computer in the shed", 0.0', '"the computer in the shed", 36.0')
    (folder / "backends" / "shed.py").write_text(shed, encoding="utf-8")
    (folder / "worker" / "__main__.py").write_text(WORKER, encoding="utf-8")
    return folder


@pytest.fixture
def house(sources: Path, tmp_path: Path) -> House:
    user = tmp_path / "user"
    user.mkdir()
    (user / "mail.csv").write_text("text,label\nhello,ham\nwin,spam\nhow are you,ham\n")
    return House(sources, user)


def spec(tried: dict[str, Any], **how: Any) -> SweepSpec:
    return SweepSpec(
        name="box",
        task="tabular",
        folder="/here",
        settings={},
        origins={},
        tried=tried,
        how=SweepSettings(**how),
        max_usd=None,
        measure=Measure("valid_accuracy", "higher"),
    )


def test_what_is_tried_is_read_from_flags_and_files() -> None:
    tried = said(["model=svm, knn", "time_limit=log:1..1e3", "num-trials=2..8:3"])
    assert space_of(TABULAR, tried) == (
        Choices("model", ("svm", "knn")),
        Numbers("time_limit", 1.0, 1000.0, log=True),
        Numbers("num_trials", 2.0, 8.0, step=3.0, whole=True),
    )
    listed = space_of(TABULAR, {"estimator": ["svm"], "time_limit": {"low": 1, "high": 2.5}})
    assert listed == (Choices("model", ("svm",)), Numbers("time_limit", 1.0, 2.5))
    (categories,) = space_of(TABULAR, said(['drop_columns=["a,b", "c"]']))
    assert categories == Choices("drop_columns", ("a,b", "c"))
    points = grid((Choices("a", (1, 2)), Choices("b", ("x", "y"))))
    assert [tuple(p.values()) for p in points] == [(1, "x"), (1, "y"), (2, "x"), (2, "y")]
    ends = list(probes((Choices("a", (1, 2)), Numbers("b", 1, 9, whole=True))))
    assert ends == [{"a": 1, "b": 1}, {"a": 2, "b": 1}, {"a": 1, "b": 9}]


def test_everything_wrong_with_what_is_tried_is_said_at_once() -> None:
    with pytest.raises(BadConfig) as refused:
        space_of(
            TABULAR,
            {
                "modle": ["svm"],
                "lr": "1,2",
                "time_limit": "9..2",
                "model": "1..3",
                "num_trials": "1.5..3",
                "seed": {"low": 1, "hihg": 3},
                "id_column": [["a"], ["b"]],
                "backend": ["local"],
                "estimator": "svm",
            },
        )
    lines = refused.value.message.split("\n")
    assert lines[0] == "--try: no setting 'modle'. Did you mean model?"
    assert "'lr'" in lines[1] and "llm" in lines[1]
    assert lines[2] == "--try time_limit: 9 is to be less than 2"
    assert lines[3] == "--try model: takes no numbers, so its values are to be listed"
    assert lines[4] == "--try num_trials: takes whole numbers"
    assert lines[5] == "--try seed: a range has low, high, log and step, and not hihg"
    assert lines[6] == "--try id_column: may be a list of plain values only"
    assert lines[7].startswith("--try: no setting 'backend'")
    assert len(lines) == 8
    for words in (["lr"], ["=3"], ["lr="], ["a=1", "a=2"]):
        with pytest.raises(BadConfig):
            said(words)
    with pytest.raises(BadConfig, match="a grid is of lists"):
        Grid(spec({"time_limit": "1..2"}, sampler="grid"))
    with pytest.raises(BadConfig, match="has 2,000 combinations"):
        Grid(spec({"seed": list(range(1000)), "model": ["svm", "knn"]}))


@pytest.mark.parametrize("sampler", ["tpe", "qmc"])
def test_optuna_goes_on_where_a_killed_process_left_it(tmp_path: Path, sampler: str) -> None:
    """Whoever asks, and however often: the same trials with the same settings."""
    tried = {"time_limit": "log:1..1000", "num_trials": "1..50", "model": "svm,knn,ridge"}
    asked = spec(tried, trials=4, sampler=sampler)
    whole, told = Study(asked, None), []
    for number in range(4):
        told.append(whole.settings(number))
        whole.tell(number, number / 10)
    for number in range(4):
        later = Study(asked, tmp_path / "s.sqlite")  # a process of its own for each
        assert later.settings(number) == told[number]
        later.tell(number, number / 10)
        later.tell(number, 99.0)  # what was told is told
    assert Study(asked, tmp_path / "s.sqlite").settings(2) == told[2]
    assert len({json.dumps(one) for one in told}) > 2


def test_a_pruner_stops_what_measures_worse_than_others(tmp_path: Path) -> None:
    asked = spec({"time_limit": "1..1000"}, trials=9, pruner="median")
    study = Study(asked, tmp_path / "s.sqlite")
    for number in range(6):
        study.settings(number)
        assert not study.report(number, 1, 0.8)
        study.tell(number, 0.9)
    study.settings(6)
    assert not study.report(6, 1, 0.85)
    study.settings(7)
    assert study.report(7, 1, 0.1) and study.pruned(7)
    later = Study(asked, tmp_path / "s.sqlite")
    assert later.pruned(7) and later.report(7, 2, 1.0), "it was found not to be worth its time"
    later.tell(7, None)
    assert later.pruned(7) and not later.pruned(6)


def test_a_picture_shows_each_trial_and_the_best_so_far() -> None:
    lines = plot([(0, 1.0), (1, 3.0), (2, 2.0)], higher=True, height=3)
    assert lines == ["3 ┤ ·●··", "2 ┤    ●", "1 ┤●", "   t0 t2"] or "●" in lines[0]
    assert sum(line.count("●") for line in lines) == 3
    assert plot([(0, 1.0)], higher=True) == []


@pytest.mark.slow
def test_a_grid_its_best_and_the_same_command_again(house: House) -> None:
    words = ("--try", "guess=0.2,0.9,-0.5,0.4", "--parallel", "2", "--max-cost", "$9")
    done = house.sweep(*words)
    assert done.code == 0, done.err + done.out
    told = done.document
    assert [t["settings"]["guess"] for t in told["trials"]] == ["0.2", "0.9", "-0.5", "0.4"]
    assert [t["value"] for t in told["trials"]] == [0.2, 0.9, None, 0.4]
    assert (told["best"], told["metric"], told["better"]) == (1, "accuracy", "higher")
    assert told["model"] == str(house.user / "box-t1")
    failed = told["trials"][2]
    assert (failed["state"], failed["reason"]) == ("failed", "oom")
    jobs = {job["project"]: job for job in house.jobs()}
    assert jobs["box-t3"]["trial"] == {"sweep": "box", "number": 3}
    by_sweep = house.run("cost", "--offline", "--by", "sweep", "--json").document["lines"]
    assert [(line["group"], line["jobs"]) for line in by_sweep] == [("box", 4)]
    again = house.sweep(*words)
    assert (again.code, again.document["trials"]) == (0, told["trials"])
    assert house.starts() == [0, 1, 2, 3], "nothing ran twice"
    other = house.sweep("--try", "guess=0.1")
    assert other.code == 2 and "--resume box" in other.err
    resumed = house.run("sweep", "--resume", "box")
    assert "t1     " in resumed.out and "best    t1: guess 0.9" in resumed.out
    assert house.run("rm", "box", "--json").code == 0
    assert house.jobs() == [] and not list((house.user / "home" / "sweeps").iterdir())


@pytest.mark.slow
def test_a_client_killed_while_it_launches_rents_nothing_twice(house: House) -> None:
    words = ("--try", "guess=0.2,0.9")
    for when in ("before", "after", "after"):
        assert house.sweep(*words, HUBTRAIN_DIE=when).code == 9
        job = house.jobs()[0]
        assert job["state"] == "created", "written down, and no launch is known"
    assert "Sweeps here: box." in house.run("sweep", "--resume", "bin").err
    done = house.run("sweep", "--resume", "box", "--json")
    assert done.code == 0, done.err + done.out
    assert [t["value"] for t in done.document["trials"]] == [0.2, 0.9]
    assert job["job"] in {t["job"] for t in done.document["trials"]}
    assert house.starts() == [0, 1]


@pytest.mark.slow
def test_a_client_killed_between_trials_is_gone_on_with(house: House) -> None:
    tried = ("--try", "guess=0.1..0.9", "--try", "label_column=label")
    words = ("--trials", "2", "--sampler", "random", *tried, "--pace", "0.5")
    process = house.start(*sweeping(*words))
    until((house.user / "starts.txt").exists, every=0.2)
    other = house.sweep(*words)
    assert other.code == 2 and "being run by another process" in other.err
    process.send_signal(signal.SIGKILL)
    finish(process)
    done = house.sweep(*words)
    assert done.code == 0, done.err + done.out
    trials = done.document["trials"]
    assert house.starts() == [0, 1]
    assert all(t["value"] == pytest.approx(t["settings"]["guess"], abs=1e-5) for t in trials)
    more = house.run("sweep", "--resume", "box", "--trials", "3", "--json")
    assert [t["job"] for t in more.document["trials"][:2]] == [t["job"] for t in trials]
    assert house.starts() == [0, 1, 2]


@pytest.mark.slow
def test_money_bounds_the_whole(house: House) -> None:
    """The shed costs a cent a second, and a trial may take a minute."""
    tried = ("--try", "guess=0.2,0.4,0.6", "--parallel", "3")
    preview = house.sweep(*tried, "--dry-run").document
    assert preview["total"] == 3 and house.jobs() == []
    (each,) = {t["report"]["estimate"]["usd"]["high"] for t in preview["trials"]}
    assert preview["usd"]["high"] == pytest.approx(3 * each)
    poor = house.sweep(*tried, "--max-cost", f"{each / 2:.2f}")
    assert poor.code == 1 and house.jobs() == []
    assert "and the next trial may cost" in poor.document["ended_early"]
    rich = house.run("sweep", "--resume", "box", "--max-cost", f"{1.5 * each:.2f}", "--json")
    assert rich.code == 0, rich.err + rich.out
    begun, ended = [], []
    for job in house.jobs():
        begun.append(job["created_at"])
        ended.append(job["ended_at"])
    assert sorted(begun)[1] > sorted(ended)[0], "the second waited for what the first did not use"
    assert rich.document["cost_usd"] < 1.5 * each
    house.run("rm", "--yes", *(t["job"] for t in rich.document["trials"]))
    assert house.jobs() == []
    enough_for_one = math.ceil(each * 100) / 100 + rich.document["cost_usd"] / 2
    more = house.run("sweep", "--resume", "box", "--max-cost", f"{enough_for_one:.4f}", "--json")
    assert more.code == 1 and house.jobs() == [], "what removed trials cost is spent"
    assert "and the next trial may cost" in more.document["ended_early"]
    assert house.run("rm", "box").code == 0
    house.sweep("--try", "guess=0.2,0.2", "--max-cost", f"{enough_for_one:.4f}")
    assert len(house.jobs()) == 1, "a new sweep of that name has spent nothing"


@pytest.mark.slow
def test_who_leaves_is_told_what_runs_and_one_command_stops_it(house: House) -> None:
    words = [w for w in sweeping("--try", "guess=0.2,0.4", "--pace", "30") if w != "--json"]
    process = house.start(*words)
    until((house.user / "starts.txt").exists, every=0.2)
    process.send_signal(signal.SIGINT)
    left = finish(process)
    assert left.code == 130, left.err
    assert "Left running: t0 (" in left.out and "$36.00/h in all" in left.out
    assert "hubtrain cancel box" in left.out and "hubtrain sweep --resume box" in left.out
    stopped = house.run("cancel", "box", "--json")
    assert (stopped.code, len(stopped.document)) == (0, 1), stopped.err
    (job,) = house.jobs()
    assert job["state"] == "cancelled"


@pytest.mark.slow
def test_a_sweep_goes_on_by_itself_until_it_is_done_or_cancelled(house: House) -> None:
    def status() -> dict[str, Any]:
        found: dict[str, Any] = house.run("status", "box", "--json").document
        return found

    slow = ("--try", "guess=0.1,0.9", "--pace", "600")
    begun = house.sweep(*slow, "--detach")
    assert begun.code == 0 and begun.document["running"], begun.err
    until(lambda: [one["state"] for one in status()["trials"]] == ["running"])
    twice = house.sweep(*slow, "--detach")
    assert twice.code == 2 and "hubtrain status box" in twice.document["fix"]
    assert house.run("cancel", "box").code == 0
    until(lambda: not status()["running"])
    assert [one["state"] for one in status()["trials"]] == ["cancelled"]
    assert "hubtrain cancel box was typed" in status()["ended_early"]
    assert house.run("rm", "box").code == 0
    assert house.sweep("--try", "guess=0.1,0.9", "--detach").code == 0
    until(lambda: not status()["running"])
    done = status()
    assert (done["best"], done["ended_early"]) == (1, None), done
    assert house.run("status", "box").code == 0
    assert sorted(house.starts()) == [0, 0, 1]


@pytest.mark.slow
def test_the_same_settings_are_not_paid_for_twice(house: House) -> None:
    """Of two values five drawings have some twice, also while the first of them runs."""
    done = house.sweep("--trials", "5", "--try", "guess=0.2,0.7", "--parallel", "2")
    assert done.code == 0, done.err + done.out
    trials = done.document["trials"]
    trained = [t["trial"] for t in trials if t["job"]]
    assert house.starts() == trained and len(trained) == 2
    assert all(t["as"] in trained for t in trials if not t["job"])


@pytest.mark.slow
def test_three_failures_in_a_row_end_it(house: House) -> None:
    done = house.sweep("--try", "guess=-0.1,-0.2,-0.3,-0.4")
    assert done.code == 1
    assert done.document["ended_early"].startswith("3 trials failed one after the other")
    assert house.starts() == [0, 1, 2]


@pytest.mark.slow
def test_the_best_of_the_hub_gets_the_name_and_the_others_go(house: House, hub_server: Any) -> None:
    hub: HubServer = hub_server()
    house.environ = hub.env("ann", PYTHONPATH=str(house.sources))
    (house.user / "job.yml").write_text(
        "task: guesses\nbackend: spaces-cpu\nproject_name: box\ndata:\n  path: mail.csv\n"
        "hub:\n  push_to_hub: true\n  username: ann\n"
        "sweep:\n  parallel: 2\n  keep: best\n  try:\n    guess: [0.3, 0.8]\n"
    )
    single = house.run("guesses", "--train", "--config", "job.yml")
    assert single.code == 2 and "hubtrain sweep --config job.yml" in single.err
    done = house.run("sweep", "--config", "job.yml", "--json")
    assert done.code == 0, done.err + done.out
    assert done.document["model"] == f"{hub.endpoint}/ann/box"
    assert done.document["removed"] == ["ann/box-t0"]
    api = hub.api()
    assert [model.id for model in api.list_models(author="ann")] == ["ann/box"]
    assert api.model_info("ann/box").private
    card = api.hf_hub_download("ann/box", "README.md", cache_dir=house.user / "cache")
    assert Path(card).read_text() == "# ann/box"
    data = [d.id for d in api.list_datasets(author="ann")]
    assert len(data) == 1, "the data was sent once"
    assert [bill for bill in hub.admin("GET", "bills") if bill["costing"]] == []
    again = house.run("sweep", "--config", "job.yml", "--json")
    assert (again.code, again.document["model"]) == (0, done.document["model"])


@pytest.mark.slow
def test_models_of_tables_are_really_trained(shared_hub: HubServer, tmp_path: Path) -> None:
    rows = [f"{i % 17},{(i * 7) % 5},{'yn'[i % 17 > 8]}\n" for i in range(80)]
    (tmp_path / "t.csv").write_text("a,b,y\n" + "".join(rows))
    laptop = Laptop(tmp_path / "home", shared_hub)
    done = laptop.run(
        *("sweep", "tabular", "--data-path", "t.csv", "--target-columns", "y", "--json"),
        *("--project-name", "table", "--num-trials", "1", "--parallel", "2"),
        *("--try", "model=decision_tree,naive_bayes"),
        HF_TOKEN="",
    )
    assert done.code == 0, done.err + done.out
    values = [t["value"] for t in done.document["trials"]]
    assert all(0.5 < value <= 1 for value in values)
    assert done.document["best"] == values.index(max(values))
    assert (Path(done.document["model"]) / "model.skops").is_file()
