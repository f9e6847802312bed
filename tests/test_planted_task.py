"""Tasks planted in a copy of the house are found everywhere: nothing else has to know of them.

They are the examples of CONTRIBUTING.md: `examples/majority.py`, and `examples/topics/`, which
trains with transformers.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from standins.laptop import SECONDS, Said
from tiny_llm import write_model, write_rows

ROOT = Path(__file__).parent.parent
ROOMS = ("orchestrator", "worker", "backends", "space_template")
EXAMPLE = ROOT / "examples" / "majority.py"
TOPICS = ROOT / "examples" / "topics"

NAMED = ("--project-name", "box")

SPY = """

def answer(self, model, question):
    import os, sys
    print("what a library prints")
    return {"argv": sys.argv, "environ": dict(os.environ), "asked": question.row}

if os.environ.get("HUBTRAIN_SPY"):
    MajorityTask.answer = answer
"""
"""Instead of an answer: what the process that answers can see."""


@dataclass(frozen=True)
class House:
    """A copy of hubtrain with two tasks more, and a user's folder beside it."""

    sources: Path
    user: Path

    def run(self, *words: str, **more: str) -> Said:
        """Run a command of the copy."""
        environ = {
            **os.environ,
            "PYTHONPATH": str(self.sources),
            "HUBTRAIN_HOME": str(self.user / "home"),
            "HF_ENDPOINT": "http://127.0.0.1:9",  # nobody answers there
            "HF_TOKEN": "",
            "COLUMNS": "200",
        }
        done = subprocess.run(
            [sys.executable, "-P", "-m", "orchestrator.terminal.cli", *words],
            cwd=self.user,
            env=environ | more,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        return Said(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    folder = tmp_path_factory.mktemp("house")
    for room in ROOMS:
        shutil.copytree(
            ROOT / room, folder / "src" / room, ignore=shutil.ignore_patterns("__pycache__")
        )
    source = EXAMPLE.read_text(encoding="utf-8")
    planted = folder / "src" / "worker" / "tasks" / "majority.py"
    planted.write_text(source.replace("import json\n", "import json\nimport os\n", 1) + SPY)
    shutil.copytree(TOPICS, folder / "src" / "worker" / "tasks" / "topics")
    user = folder / "user"
    user.mkdir()
    (user / "mail.csv").write_text("text,label\nhello,ham\nwin,spam\nhow are you,ham\n")
    return House(folder / "src", user)


def test_the_page_for_contributors_shows_this_task() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = page.split("## Add a task")[1].split("\n## ")[0]
    assert EXAMPLE.read_text(encoding="utf-8") in re.findall(r"```python\n(.*?)```", section, re.S)


def test_help_lists_it_and_its_settings(house: House) -> None:
    assert "Learn the most frequent label." in house.run("--help").out
    said = house.run("majority", "--help").out
    assert "--label-column" in said and "--row" in said and "Most frequent label:" in said


def test_the_check_asks_it(house: House) -> None:
    said = house.run(
        "majority", "--train", "--data-path", "mail.csv", "--label-column", "kind", *NAMED
    )
    assert said.code == 2
    assert 'no column "kind" in mail.csv; it has: text, label.' in said.out + said.err
    assert "--label-column with the name of one of them" in said.out + said.err


def test_the_plan_shows_it(house: House) -> None:
    words = ("majority", "--train", "--data-path", "mail.csv", "--dry-run", "--json")
    said = house.run(*words, *NAMED, "--label-column", "text")
    assert said.code == 0, said.out + said.err
    plan = said.document
    assert plan["settings"]["label_column"] == {"value": "text", "from": "flags"}
    assert plan["report"]["data"] == {"rows": 3, "valid_rows": 0, "steps": 1}
    assert plan["report"]["model"] is None


def test_it_runs_to_a_model_that_answers(house: House) -> None:
    said = house.run("majority", "--train", "--data-path", "mail.csv", "--project-name", "box")
    assert said.code == 0, said.out + said.err
    assert "accuracy 0.667" in said.out + said.err
    assert "hubtrain majority --inference --model" in said.out + said.err
    model = house.user / "box"
    assert json.loads((model / "config.json").read_text()) == {"label": "ham"}
    card = (model / "README.md").read_text()
    assert "every row gets" in card and "library_name: json" in card
    asked = ("majority", "--inference", "--model", "box", "--row", "a canary")
    assert house.run(*asked).out.strip() == "ham"
    seen = house.run(*asked, "--json", HUBTRAIN_SPY="1", DATABASE_PASSWORD="another").document
    assert seen["answer"]["asked"] == "a canary"
    assert "a canary" not in str(seen["answer"]["argv"])
    assert "DATABASE_PASSWORD" not in seen["answer"]["environ"]


@pytest.fixture(scope="module")
def texts(house: House) -> House:
    """The same, with a tiny model and texts of two topics beside it."""
    write_model(house.user / "tiny", template=None)
    about = {"animal": "the quick brown fox", "greeting": "says hello"}
    rows = [
        {"text": f"{i} {text}", "label": name} for i in range(20) for name, text in about.items()
    ]
    write_rows(house.user / "texts.jsonl", rows)
    return house


TEXTS = ("topics", "--train", "--data-path", "texts.jsonl", "--model", "tiny")


def test_a_task_with_transformers_looks_at_the_tokens(texts: House) -> None:
    said = texts.run(*TEXTS, "--project-name", "topics", "--max-seq-length", "3", "--dry-run")
    assert said.code == 0, said.out + said.err
    assert "40 texts of 2 topics in texts.jsonl" in said.out
    assert "40 texts have more than 3 tokens and are cut" in said.out


@pytest.mark.slow
def test_a_task_with_transformers_trains_and_answers(texts: House) -> None:
    quick = ("--valid-split", "0.2", "--lr", "1e-2", "--max-steps", "12", "--peft")
    said = texts.run(*TEXTS, *quick, "--project-name", "topics")
    assert said.code == 0, said.out + said.err
    assert "valid accuracy 1.000" in said.out + said.err
    asked = texts.run(
        "topics", "--inference", "--model", "topics", "--text", "7 says hello", "--json"
    )
    assert asked.document["answer"]["label"] == "greeting"
