"""What tasks share beside their settings: dealing rows, complaints, sizes, lists in messages."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from orchestrator.terminal.output import Screen
from worker.clock import SystemClock
from worker.columns import no_column
from worker.common import OPTIMIZERS, Data, MergedLora, Training
from worker.finding import Finding
from worker.installing import install
from worker.optimizers import state_bytes
from worker.params import settings_of
from worker.shorten import shortened, some
from worker.splits import Split, hold_out_of_each, in_order, parted


def test_rows_are_held_out_class_by_class() -> None:
    labels = ["a"] * 50 + ["b"] * 10 + ["c"] * 2 + ["d"]
    held = hold_out_of_each(labels, 0.2, 42)
    assert Counter(labels[i] for i in held) == {"a": 10, "b": 2, "c": 1}
    assert held == hold_out_of_each(labels, 0.2, 42) != hold_out_of_each(labels, 0.2, 43)
    learned, judging = parted(labels, held)
    assert (len(learned), Counter(judging)) == (50, {"a": 10, "b": 2, "c": 1})


def test_classes_stand_as_people_count() -> None:
    names = ["b", "10", "-1", "9", "a", "2.5", "1_0", "nan", "9" * 400]
    assert in_order(names) == ("-1", "2.5", "9", "10", "9" * 400, "1_0", "a", "b", "nan")


def test_the_first_rows_are_taken() -> None:
    split = Split("x.csv", ("a",), [(1, {"a": 1}), (2, {"a": 2})], total=2)
    assert [line for line, _ in split.first(1)] == [1]
    assert [line for line, _ in split.first(None)] == [1, 2]
    data = Data(data_path="x.csv", max_samples=5)
    assert (data.taken(9), data.taken(3)) == (5, 3)


def test_a_column_that_is_not_there() -> None:
    columns = [f"c{i}" for i in range(30)]
    error = no_column("lable", ["label", "text"], "x.csv", "--target-column")
    assert error.message.endswith('x.csv; it has: label, text. The nearest is "label":')
    assert error.fix == "--target-column label"
    assert "c19 and 10 more" in no_column("z", columns, "x.csv").message
    assert no_column("z", columns, "x.csv", "--text-column").fix.startswith("--text-column with")
    guess = no_column("z", columns, "x.csv", "--text-column", else_=("It may be", "c3"))
    assert guess.message.endswith(' It may be "c3":')
    assert guess.fix == "--text-column c3"


def test_long_lists_and_long_names_are_shortened() -> None:
    assert some(["a", "b"]) == "a, b"
    assert some(range(9), 2) == "0, 1 and 7 more"
    assert shortened("x" * 100) == "x" * 100
    assert len(shortened("x" * 5000)) == 101
    assert shortened("/home/" + "x" * 5000 + "/data.csv").endswith("/data.csv")


def test_every_optimizer_has_a_size() -> None:
    sizes = {name: state_bytes(name) for name in OPTIMIZERS}
    assert sizes["adamw_torch"] == sizes["paged_adamw_32bit"] == 8
    assert sizes["adamw_bnb_8bit"] == sizes["paged_adamw_8bit"] == 2
    few = ("sgd", "lion_8bit", "rmsprop_bnb", "ademamix")
    assert [sizes[name] for name in few] == [0, 1, 4, 12]


class Headed(Data, MergedLora, Training):
    """A task whose models get a new head."""


def test_an_adapter_beside_a_new_head_is_merged() -> None:
    assert not Headed(data_path="x", peft=True).adapter_alone
    with pytest.raises(ValidationError, match="would fit no model"):
        Headed(data_path="x", peft=True, merge_adapter=False)
    setting = next(s for s in settings_of(Headed) if s.name == "merge_adapter")
    assert (setting.default, setting.group) == (True, "LoRA adapter")


@pytest.mark.parametrize(
    ("noted", "command"),
    [
        ({}, 'pip install "hubtrain[llm,wandb]"'),
        ({"url": "file:///a%20b", "dir_info": {}}, 'pip install "/a b[llm,wandb]"'),
        (
            {"url": "file:///a/b", "dir_info": {"editable": True}},
            'pip install -e "/a/b[llm,wandb]"',
        ),
        (
            {"url": "https://x/y.git", "vcs_info": {"vcs": "git", "commit_id": "1"}},
            'pip install "hubtrain[llm,wandb] @ git+https://x/y.git"',
        ),
        (
            {"url": "https://x/hubtrain-1.whl", "archive_info": {}},
            'pip install "hubtrain[llm,wandb] @ https://x/hubtrain-1.whl"',
        ),
    ],
)
def test_what_is_missing_is_installed_from_where_hubtrain_came(
    noted: dict[str, Any], command: str
) -> None:
    assert install(["llm", "wandb"], json.dumps(noted)) == command


def test_a_clone_installs_the_versions_it_pins() -> None:
    root = Path(__file__).parent.parent
    told = install(["llm"], json.dumps({"url": root.as_uri(), "dir_info": {"editable": True}}))
    assert told == f'pip install -e "{root}[llm]" -c "{root}/space_template/constraints.txt"'


def test_nobody_is_told_a_name_of_5000_letters(capsys: pytest.CaptureFixture[str]) -> None:
    endless = "x" * 5000
    screen = Screen(SystemClock())
    screen.error(f"no file {endless}.", f"--data-path {endless}")
    screen.findings([Finding("error", "data", f"no file {endless}", endless)])
    said = capsys.readouterr()
    assert said.err.count("…") == said.out.count("…") == 2
    assert len(said.err + said.out) < 1000
    address = f"http://127.0.0.1:1/?key={'k' * 200}"
    screen.error(address)
    assert address in capsys.readouterr().err
