"""A job while it is written: its fields, and the same as YAML and as a command, in step."""

from __future__ import annotations

import base64
import math
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import worker.tasks
from orchestrator.app.writing import drawn, parts
from orchestrator.app.writing.thumbnails import SIDE, thumbnail
from orchestrator.flow import Checked
from orchestrator.form import uploads
from orchestrator.form.clone import free, fresh
from orchestrator.form.draft import Draft, draft, training_classes
from orchestrator.form.fields import Form, form_of
from orchestrator.form.look import Look, Read, Watched, read
from orchestrator.form.preview import Picture, Preview, preview
from orchestrator.form.sampled import offers, sampled
from orchestrator.form.spelling import as_command, as_yaml, of_command, of_yaml
from orchestrator.form.starting import Offers
from orchestrator.form.wording import changes_of, in_words, told
from orchestrator.hosted import upload_of
from orchestrator.jobs.client import Client
from worker.bars import Bars, by_class, by_length, by_number
from worker.errors import BadConfig, HubtrainError
from worker.params import Setting, settings_of
from worker.rendered import Part, Rendered
from worker.task import Finding, Region

FILES = sorted((Path(__file__).parent / "autotrain").glob("*/*.yml"))
TASKS = worker.tasks.names()


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    """A laptop of somebody who has no token, and no Hub."""
    monkeypatch.setenv("HUBTRAIN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_TOKEN", "")
    monkeypatch.chdir(tmp_path)
    return Client()


def new(task: str = "llm", **values: Any) -> Draft:
    return draft(worker.tasks.load(task), values)


def fields(form: Form) -> list[str]:
    groups = [*form.data, *form.columns, *form.model, *form.few, *form.job]
    return [f.name for f in (*groups, *(f for g in form.more for f in g.fields))]


@pytest.mark.parametrize("task", TASKS)
def test_every_setting_is_a_field_once(task: str) -> None:
    """All but those that do nothing beside what is said."""
    said = new(task)
    names = fields(form_of(said))
    assert len(names) == len(set(names))
    wanted = {s.name for s in settings_of(said.task.params)}
    idle = wanted - set(names)
    assert idle <= {name for name, why in said.task.unused(_whole(said)).items() if why}
    assert {"project_name", "backend", "overwrite", "hang_minutes"} <= set(names)
    few = [f.name for f in form_of(said).few]
    assert 2 <= len(few) <= 13
    assert all(f.meaning for f in form_of(said).few)


def _whole(said: Draft) -> Any:
    sample = said.task.sample({})
    return said.task.params(**(sample.settings if sample else {}))


def test_a_field_knows_its_kind_default_and_bounds() -> None:
    by_name = {f.name: f for g in (form_of(new()),) for f in (*g.few, *g.model, *g.columns)}
    assert by_name["trainer"].kind == "choice" and "sft" in by_name["trainer"].choices
    assert by_name["peft"].kind == "switch" and not by_name["peft"].on
    assert (by_name["lr"].kind, by_name["lr"].bounds, by_name["lr"].default) == (
        *("number", "more than 0"),
        "",
    )
    assert by_name["model"].required and by_name["text_column"].kind == "column"
    tables = {f.name: f for f in form_of(new("tabular")).columns}
    assert tables["drop_columns"].kind == "columns"


def test_settings_of_another_trainer_are_there_once_they_are_said() -> None:
    assert "dpo_beta" not in fields(form_of(new()))
    assert "dpo_beta" in fields(form_of(new(trainer="dpo")))
    assert "dpo_beta" in fields(form_of(new(dpo_beta=0.2)))
    assert "slurm_partition" not in fields(form_of(new()))
    assert "slurm_partition" in fields(form_of(new(backend="slurm")))


def values_of(one: Setting) -> st.SearchStrategy[Any]:
    """Return what people may put into a field, as its browser sends it."""
    if one.type is bool:
        return st.booleans()
    if one.choices:
        return st.sampled_from([*one.choices, *(["none"] if one.optional else [])])
    if one.type is int:
        return st.integers(-5, 10**7).map(str)
    if one.type is float:
        numbers = st.floats(-1, 1e7, allow_nan=False).map(repr)
        return numbers | st.sampled_from(["1e-5", ".5", "$3", "none"])
    words = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
    return words.filter(lambda text: text.strip() != "" and not text.startswith("$"))


@st.composite
def drafts(pick: Any) -> Draft:
    """Return what somebody writes into some fields."""
    task = worker.tasks.load(pick(st.sampled_from(TASKS)))
    there = [s for c in training_classes(task) for s in settings_of(c) if not s.secret_pairs]
    chosen = pick(st.lists(st.sampled_from(there), max_size=6, unique_by=lambda s: s.name))
    return draft(task, {one.name: pick(values_of(one)) for one in chosen})


def meant(said: Draft) -> list[Any]:
    """Return the settings as a job would have them, or what the terminal says against them."""
    merged = said.settings()
    wrong = {c: set(merged.complaints(c)) for c in training_classes(said.task)}
    return [names or merged.of(group) for group, names in wrong.items()]


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(drafts())
def test_the_same_as_a_form_as_yaml_and_as_a_command(said: Draft) -> None:
    for again in (of_yaml(as_yaml(said)), of_command(as_command(said))):
        assert again.task is said.task
        assert meant(again) == meant(said)


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
def test_autotrains_files_fill_the_form(file: Path) -> None:
    said = of_yaml(file.read_text())
    assert meant(of_command(as_command(said))) == meant(said)
    assert "token" not in as_yaml(said).replace("token_classification", "").split(":")
    assert set(said.values) <= set(fields(form_of(said)))


def test_a_command_is_read_as_a_shell_would() -> None:
    said = of_command(
        "$ HF_TOKEN=hf_abc autotrain llm --train \\\n"
        """  --model "a/b c" --lr 3e-5 --token $HF_TOKEN --no-packing --use-peft \\\n"""
        "  --username ${HF_USERNAME} --project 'it''s' --block_size=-1 --data-path $DATA"
    )
    assert dict(said.values) == {
        "model": "a/b c",
        "lr": 3e-5,
        "packing": False,
        "peft": True,
        "project_name": "its",
        "block_size": -1,
    }
    assert "hf_abc" not in repr(said)
    assert said.notes[0].startswith("the token was left out")
    assert "$DATA is a variable of a shell" in said.notes[1]


WRONG_COMMANDS = {
    "hubtrain llm --learning-rat 3": "no option --learning-rat. Did you mean --learning-rate",
    "hubtrain llm --train --model a b": "--model 'a b'",
    "hubtrain nix --train": "the task is 'nix'",
    "hubtrain llm --train --model": "requires an argument",
    "hubtrain llm --model 'x": "quote that does not end",
    "hubtrain --config job.yml": "job.yml is not read from here",
    "hubtrain llm --inference --model x": "--inference trains nothing",
    "rm -rf /": "no command of hubtrain",
}


@pytest.mark.parametrize("command", WRONG_COMMANDS)
def test_what_is_wrong_with_a_command_is_said_as_the_terminal_does(command: str) -> None:
    with pytest.raises(BadConfig) as said:
        of_command(command)
    assert WRONG_COMMANDS[command] in f"{said.value.message} {said.value.fix}"


def test_a_file_that_a_command_names_is_read_only_where_that_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "job.yml").write_text("task: llm-sft\nmodel: ann/tiny\nlr: 1e-4\n")
    said = of_command("hubtrain --config job.yml --lr 1", files=True)
    assert dict(said.values) == {"trainer": "sft", "model": "ann/tiny", "lr": 1}


def test_unknown_keys_are_all_named() -> None:
    with pytest.raises(BadConfig) as said:
        of_yaml("task: llm\nlearning_rat: 3\nfoo: 1\n")
    assert "Did you mean learning_rate?" in said.value.message
    assert "the YAML: no setting 'foo'." in said.value.message
    with pytest.raises(BadConfig, match="line 2 is not YAML"):
        of_yaml("task: llm\nlr: {x")


def test_secrets_of_a_program_are_left_out() -> None:
    said = of_command("hubtrain spacerunner --script-path work --env KEY=s3cret --env OTHER")
    assert "s3cret" not in repr(said) and "s3cret" not in as_yaml(said) + as_command(said)
    assert "a form holds no secrets" in said.notes[0]


def test_what_is_wrong_is_told_at_its_field(alone: Client) -> None:
    said = new(model="x", data_path="y", lr="fast", trainer="sftt", max_duration="soon")
    found = read(alone, said, {}, own_machine=True)
    assert found.asked is None
    assert found.at["lr"] == "lr fast: must be a number."
    assert "Did you mean sft?" in found.at["trainer"]
    assert "write 90m" in found.at["max_duration"]
    lacking = read(alone, new(), {}, own_machine=True)
    assert "“data path” is needed" in lacking.at["data_path"] and "model" in lacking.at
    assert lacking.lacking == {"data_path", "model"} and not found.lacking
    nameless = read(alone, new(model="x", data_path="y"), {}, own_machine=True)
    assert "names the model and the job" in nameless.at["project_name"]
    assert "--" not in " ".join([*found.at.values(), *lacking.at.values(), *nameless.at.values()])


def test_on_an_app_of_several_users_no_folder_of_it_is_read(alone: Client, tmp_path: Path) -> None:
    mine = tmp_path / "rows.csv"
    mine.write_text("text\nx\n")
    kept = uploads.received([("rows.csv", mine)])
    asked = {"project_name": "x", "model": "ann/tiny", "backend": "spaces"}
    wrong = read(alone, new(data_path="/etc/passwd", **asked), {}, own_machine=False)
    assert set(wrong.at) == {"data_path"}
    fine = read(alone, new(data_path=kept, **asked), {}, own_machine=False)
    assert fine.asked is not None
    here = read(alone, new(data_path=kept, **{**asked, "backend": "local"}), {}, own_machine=False)
    assert set(here.at) == {"backend"}


def test_advice_is_pressed_where_it_names_values() -> None:
    known = new().catalog.settings
    assert changes_of("--batch-size 1 --gradient-accumulation 8", known) == {
        "batch_size": 1,
        "gradient_accumulation": 8,
    }
    assert changes_of("--no-packing", known) == {"packing": False}
    for none in ("--valid-split 0.05 holds out a share", "--data-path FILE", "hf auth login", ""):
        assert changes_of(none, known) is None
    one = told(
        Finding("error", "project", "it holds 3 files.", "--overwrite, or another --project-name"),
        new(),
    )
    assert (one.press, one.instead) == ("overwrite: on", "another “project name”")
    assert in_words("--peft trains an adapter") == "“peft” on trains an adapter"


HARMLESS = {
    "../../etc/passwd": "passwd",
    r"C:\Users\ann\rows.csv": "rows.csv",
    "/abs/rows.jsonl": "rows.jsonl",
    ".jobs": "jobs",
    "..": "data",
    "a\x00b\n.csv": "a_b_.csv",
    "x" * 300 + ".csv.gz": "x" * 93 + ".csv.gz",
    "": "data",
}


@pytest.mark.parametrize("name", HARMLESS)
def test_an_uploads_name_stays_in_its_folder(name: str) -> None:
    assert uploads.harmless(name) == HARMLESS[name]


def test_uploads_are_kept_as_long_as_a_job_needs_them(alone: Client, tmp_path: Path) -> None:
    def sent(*names: str) -> str:
        files = []
        for number, name in enumerate(names):
            (tmp_path / f"part{number}").write_text(f"text\n{name}\n")
            files.append((name, tmp_path / f"part{number}"))
        return uploads.received(files)

    one, several = sent("../rows.csv"), sent("a.csv", "x/a.csv")
    assert Path(one).name == "rows.csv" and Path(one).read_text() == "text\n../rows.csv\n"
    assert sorted(p.name for p in Path(several).iterdir()) == ["a-2.csv", "a.csv"]
    uploads.used(one, "k4x7qp")
    uploads.dropped(one)
    uploads.dropped(several)
    uploads.dropped(str(tmp_path))
    assert Path(one).exists() and not Path(several).exists() and tmp_path.exists()
    fresh_one = sent("b.csv")
    uploads.clear(alone.clock, lambda job: job == "k4x7qp")
    assert Path(one).exists() and Path(fresh_one).exists()
    uploads.clear(alone.clock, lambda job: False)
    assert not Path(one).exists() and Path(fresh_one).exists()
    assert upload_of("/etc/passwd") is None


def test_a_sample_of_data_lies_where_uploads_do(alone: Client) -> None:
    said = {"task": "regression", "seed": 7}
    table = sampled(draft(worker.tasks.load("tabular"), said))
    assert table.values["target_columns"] == "rent" and table.values["seed"] == 7
    grpo = sampled(new("llm", trainer="grpo"))
    files = [Path(grpo.values["data_path"]), *map(Path, grpo.values["reward_funcs"])]
    assert all(upload_of(str(file)) is not None and file.is_file() for file in files)
    assert any(Path(sampled(new("vlm")).values["data_path"]).glob("*.png"))
    assert not offers(table), "it has data already"
    assert not offers(new("spacerunner"))


def test_the_first_rows_are_shown_as_they_lie(alone: Client, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("text,label\n<b>hi</b>,1\n\nyou,\n")
    found = preview(alone, new("text_classification", data_path="rows.csv"))
    assert found.columns == ("text", "label")
    assert [cells for _, cells in found.rows] == [("<b>hi</b>", "1"), ("you", "")]
    assert preview(alone, new(data_path="nowhere.csv")) == Preview()
    assert "<b>" not in parts.preview(found).replace("<b>!</b>", "")


def test_names_and_logs_are_harmless_in_html() -> None:
    evil = "<img src=x onerror=alert(1)>"
    one = Bars(evil, ((evil, 3),))
    shown = parts.bars(one) + parts.example(Rendered(evil, (Part(evil, learned=True),), evil))
    said = replace(new(project_name=evil, backend=evil), notes=(evil,))
    look = Look(said, Read(None, {"backend": evil}, (evil,)))
    form = form_of(said)
    known = drawn.Known((evil,), (evil,), (evil,))
    shown += parts.report(look) + drawn.source(form, known) + drawn.form(form, known)
    assert "<img" not in shown and evil.replace("<", "&lt;").replace(">", "&gt;") in shown


def test_bars_are_few_and_round() -> None:
    assert by_class("c", {"a": 1, "b": 3}, 2).bars == (("b", 6), ("a", 2))
    many = by_class("c", {f"k{n}": n for n in range(20)})
    assert len(many.bars) == 12 and many.bars[-1] == ("9 others", 36)
    lengths = by_length("l", [*range(1, 2000), 90000])
    assert lengths.bars[0] == ("0 to 199", 199) and lengths.bars[-1] == ("from 2,200", 1)
    assert sum(n for _, n in lengths.bars) == 2000
    assert by_length("l", [5, 5, 7]).bars == (("5", 2), ("6", 0), ("7", 1))
    assert by_length("l", []).bars == ()


def test_numbers_are_between_round_bounds() -> None:
    spread = by_number("n", [*(n / 100 for n in range(-100, 101)), 900.0], 2)
    assert spread.bars[0] == ("-1 to -0.8", 40) and spread.bars[-1][0] == "from 0.8"
    assert sum(n for _, n in spread.bars) == 2 * 202 and len(spread.bars) <= 12
    assert by_number("n", [4.5] * 3).bars == (("4.5", 3),)
    assert sum(n for _, n in by_number("n", [1.0] * 500 + [2.0]).bars) == 501
    for hopeless in ([], [math.nan], [-1.7e308, 1.7e308], [0.0, 5e-324]):
        assert by_number("n", hopeless).bars == ()


def test_a_picture_in_a_row_is_small_and_says_nothing_of_itself() -> None:
    photo, notes = Image.new("RGB", (400, 200), "red"), Image.Exif()
    notes[0x010E], notes[0x0112] = "taken at home", 6  # its description; that it lies on its side
    stored = BytesIO()
    photo.save(stored, "JPEG", exif=notes)
    evil = "<img src=x onerror=alert(1)>"
    box = Region(1, 2, 30, 40, evil)
    html = thumbnail(Picture(evil, stored.getvalue(), (box,)))
    assert evil not in html and 'viewBox="0 0 200 400"' in html and html.count("<rect") == 1
    coded = re.search(r'src="data:image/jpeg;base64,([^"]+)"', html)
    assert coded
    small = Image.open(BytesIO(base64.b64decode(coded[1])))
    assert max(small.size) <= SIDE and small.height > small.width and not small.getexif()
    huge = BytesIO()
    Image.new("P", (30_000, 900)).save(huge, "PNG")
    for hopeless in (b"", b"GIF89a" + b"\xff" * 30, stored.getvalue()[:200], huge.getvalue()):
        assert thumbnail(Picture(evil, hopeless)) == escape(evil)


def test_a_name_is_one_that_no_project_has() -> None:
    assert free("my bot", {"my-bot", "my-bot-2"}) == "my-bot-3"
    assert fresh(worker.tasks.load("llm"), ()).values == {"project_name": "my-llm"}


class Slow:
    """A provider's answer that comes when it is let."""

    def __init__(self) -> None:
        self.let = threading.Event()

    def glances(self) -> Iterator[None]:
        self.let.wait(30)
        raise HubtrainError("too late")


def test_the_last_draft_counts(alone: Client) -> None:
    """A check that hangs neither blocks whoever types, nor says anything of a newer draft."""
    slow: Any = Slow()
    watched = Watched(slow)
    asked = {"project_name": "x", "model": "nowhere", "data_path": "none.csv"}
    for number in range(6):
        said = new(**asked, seed=number)
        watched.wanted(said, read(alone, said, {}, own_machine=True))
    broken = new(seed="x")
    watched.wanted(broken, Read(None, {"seed": "must be a number"}))
    slow.let.set()
    for thread in [t for t in threading.enumerate() if t.name == "check"]:
        thread.join(30)
    assert watched.look is not None
    assert (watched.look.draft, watched.look.busy) == (broken, "")
    assert watched.look.read.at


def test_an_offer_is_started_once(alone: Client) -> None:
    offers = Offers()
    begun: list[str] = []

    class Checking(Checked):
        """A job whose submission is counted: it has no report, so it goes no further."""

        @property
        def asked(self) -> Any:
            begun.append("submitted")
            raise HubtrainError("refused --overwrite")

    offer = offers.make(alone, object.__new__(Checking), new())
    started = [offers.start(offer.name) for _ in range(5)]
    for thread in [t for t in threading.enumerate() if t.name == "start"]:
        thread.join(30)
    assert begun == ["submitted"] and all(one is offer for one in started)
    assert offer.wrong == "refused “overwrite” on"
    assert offers.start("guessed") is None


def test_a_yaml_is_what_config_reads(tmp_path: Path) -> None:
    said = of_command("hubtrain tabular --train --task regression --target-columns a,b --seed 1")
    document = yaml.safe_load(as_yaml(said))
    assert document["task"] == "tabular" and document["params"] == {"task": "regression"}
    assert document["target_columns"] == "a,b"
