"""Settings in layers, and as flags."""

from pathlib import Path
from typing import Any

import click
import pytest
from standins import typed

from orchestrator.flags import (
    nearest_option,
    options_of,
)
from orchestrator.settings.files import read
from orchestrator.settings.job import JobSettings, seconds
from orchestrator.settings.layers import FLAGS, Catalog, Layer, Settings, from_environment, merge
from worker import tasks
from worker.errors import BadConfig
from worker.params import Params, settings_of
from worker.tasks.llm import TASK, trainers
from worker.tasks.llm.params import Ignored

CATALOG = Catalog((JobSettings, TASK.params), Ignored)
NEEDED = {"model": "gpt2", "data_path": "rows.jsonl"}


def merged(*layers: Layer) -> Settings:
    return merge(CATALOG, layers)


def test_later_layers_win_and_every_value_knows_its_origin() -> None:
    settings = merged(
        Layer("job.yml", {**NEEDED, "lr": 1e-3, "epochs": 3}), Layer(FLAGS, {"lr": "5e-5"})
    )
    params = settings.of(TASK.params)
    assert (params.lr, params.epochs) == (5e-5, 3)
    assert settings.spelled("lr") == "--lr"
    assert settings.spelled("epochs") == "job.yml: epochs"


@pytest.mark.parametrize("key", ["learning_rate", "learning-rate", "lr"])
def test_every_spelling_of_a_setting_is_the_setting(key: str) -> None:
    assert merged(Layer("f", {**NEEDED, key: 0.5})).of(TASK.params).lr == 0.5


def test_a_setting_said_twice_names_both_spellings() -> None:
    layer = Layer("job.yml", {**NEEDED, "lr": 1e-4, "learning_rate": 2e-4})
    with pytest.raises(BadConfig, match=r"^job.yml: lr and learning_rate are the same setting"):
        merged(layer)
    same = Layer("f", {**NEEDED, "lr": 1e-4, "learning_rate": 1e-4})
    assert merged(same).of(TASK.params).lr == 1e-4


def test_what_does_nothing_here_is_noted_and_not_refused() -> None:
    settings = merged(Layer("job.yml", {**NEEDED, "unsloth": True}))
    assert settings.of(TASK.params).model_max_length == 1024
    assert [note.split(" is not used")[0] for note in settings.notes] == ["job.yml: unsloth"]


@pytest.mark.parametrize("key", ["unslot", "detach_all", "h100"])
def test_advice_is_not_something_else(key: str) -> None:
    with pytest.raises(BadConfig, match=r"no setting '[a-z0-9_]*'.$"):
        merged(Layer("f", {**NEEDED, key: 1}))


@pytest.mark.parametrize(
    ("key", "meant"),
    [("per_device_train_batch_size", "batch_size"), ("max_seq_length", "model_max_length")],
)
def test_what_others_call_a_setting_is_answered_with_ours(key: str, meant: str) -> None:
    with pytest.raises(BadConfig, match=f"Did you mean {meant}"):
        merged(Layer("f", {**NEEDED, key: 1}))


def test_a_misspelt_scheduler_is_answered_with_the_one_that_was_meant() -> None:
    with pytest.raises(BadConfig, match=r"warmup_stable_decay; did you mean cosine\?$"):
        merged(Layer(FLAGS, {**NEEDED, "scheduler": "cosin"})).of(TASK.params)


def test_all_unknown_keys_are_named_at_once_with_the_nearest() -> None:
    with pytest.raises(BadConfig) as caught:
        merged(Layer("a.yml", {"learning_rat": 1, "epoch": 2}), Layer("b.yml", {"zzzzz": 1}))
    assert caught.value.message.splitlines() == [
        "a.yml: no setting 'learning_rat'. Did you mean learning_rate?",
        "a.yml: no setting 'epoch'. Did you mean epochs?",
        "b.yml: no setting 'zzzzz'.",
    ]


def test_complaints_name_the_setting_as_it_was_written() -> None:
    settings = merged(
        Layer("job.yml", {**NEEDED, "epochs": -1}),
        from_environment(CATALOG, {"HUBTRAIN_LORA_R": "x", "PATH": "/bin"}),
        Layer(FLAGS, {"trainer": "sfft"}),
    )
    with pytest.raises(BadConfig) as caught:
        settings.of(TASK.params)
    assert sorted(caught.value.message.splitlines()) == [
        f"--trainer 'sfft': is not one of {', '.join(trainers.names())}. Did you mean sft?",
        "HUBTRAIN_LORA_R x: must be a whole number.",
        "job.yml: epochs -1: must be more than 0.",
    ]


@pytest.mark.parametrize("trainer", trainers.names())
def test_settings_of_other_trainers_are_named(trainer: str) -> None:
    others = {n: trainers.load(n).settings.model_fields for n in trainers.names() if n != trainer}
    foreign = {n for fields in others.values() for n in fields}
    foreign -= trainers.load(trainer).settings.model_fields.keys()
    settings = merged(Layer(FLAGS, {**dict.fromkeys(foreign, "1"), **NEEDED, "trainer": trainer}))
    said = settings.unused(TASK.unused(TASK.params(model="m", data_path="d", trainer=trainer)))
    assert len(said) == len(foreign)
    for name in foreign:
        (line,) = (line for line in said if line.startswith(f"--{name.replace('_', '-')} "))
        assert "is not used: " in line


def test_what_is_missing_is_explained() -> None:
    with pytest.raises(BadConfig, match=r"^--model is needed: Hub id or folder"):
        merged(Layer(FLAGS, {"data_path": "x"})).of(TASK.params)


def test_none_is_a_value_where_a_setting_may_be_none() -> None:
    values = {**NEEDED, "mixed_precision": "None", "quantization": "none", "chat_template": None}
    params = merged(Layer("f", values)).of(TASK.params)
    assert (params.mixed_precision, params.quantization, params.chat_template) == (None, None, None)


@pytest.mark.parametrize("cap", ["max_cost", "max_duration"])
def test_a_bound_that_says_nothing_is_not_none(cap: str) -> None:
    """As a flag has it with a shell's variable that is not set: nothing would bound the job."""
    with pytest.raises(BadConfig, match=f"^--{cap.replace('_', '-')} '': "):
        merged(Layer(FLAGS, {**NEEDED, cap: ""})).of(JobSettings)
    assert getattr(merged(Layer(FLAGS, {**NEEDED, cap: "none"})).of(JobSettings), cap) is None


def test_settings_that_contradict_one_another_are_refused() -> None:
    with pytest.raises(BadConfig, match="quantization int4 needs --peft"):
        merged(Layer(FLAGS, {**NEEDED, "quantization": "int4"})).of(TASK.params)


def test_autotrain_layout_and_variables(tmp_path: Path) -> None:
    file = tmp_path / "config.yml"
    file.write_text(
        "task: llm-sft\nbase_model: gpt2\nproject_name: x\n"
        "data:\n  path: ${DATA:-rows.jsonl}\n  column_mapping:\n    text_column: review\n"
        "params:\n  lr: 1e-4\n  peft: true\nhub:\n  username: ${WHO}\n  push_to_hub: true\n"
    )
    found = read(str(file))
    settings = merged(found.layer({"WHO": "ann"}))
    params, job = settings.of(TASK.params), settings.of(JobSettings)
    assert found.task == "llm-sft"
    assert (params.model, params.data_path, params.text_column) == ("gpt2", "rows.jsonl", "review")
    assert (params.lr, params.peft, job.username, job.push_to_hub) == (1e-4, True, "ann", True)
    with pytest.raises(BadConfig, match="WHO is not set"):
        found.layer({})


@pytest.mark.parametrize("text", ["- a\n- b\n", "a: [", "\x00"])
def test_files_that_are_not_settings_are_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "bad.yml"
    file.write_text(text)
    with pytest.raises(BadConfig, match=r"bad\.yml"):
        read(str(file))
    with pytest.raises(BadConfig, match="No such file"):
        read(str(tmp_path / "missing.yml"))


def parsed(*words: str) -> dict[str, Any]:
    return typed.parsed(options_of((JobSettings, TASK.params)), words)


def test_absent_flags_leave_no_trace() -> None:
    assert parsed() == {}


@pytest.mark.parametrize("flag", ["--lora-r", "--lora_r", "--lora-rank", "--lora_rank"])
def test_dashes_and_underscores_and_aliases(flag: str) -> None:
    assert parsed(flag, "8") == {"lora_r": "8"}
    assert parsed(f"{flag}=8") == {"lora_r": "8"}


def test_every_bool_can_be_switched_off() -> None:
    bools = [s for s in settings_of(TASK.params) if s.type is bool]
    assert len(bools) > 5
    for setting in bools:
        for flag in setting.flags:
            assert parsed(flag) == {setting.name: True}
            assert parsed("--no-" + flag.removeprefix("--")) == {setting.name: False}
    assert parsed("--public") == {"private": False}


def test_a_typo_is_answered_with_the_nearest_option() -> None:
    with pytest.raises(click.NoSuchOption):
        parsed("--learning-rat", "1")
    command = click.Command("llm", params=list(options_of((TASK.params,))))
    assert nearest_option("--learning-rat", command) == " Did you mean --learning-rate (also --lr)?"
    assert nearest_option("--qqqqqqqq", command) == ""


def test_every_setting_is_explained() -> None:
    declared: list[type[Params]] = [JobSettings]
    for params in declared + [tasks.load(name).params for name in tasks.names()]:
        for setting in settings_of(params):
            assert setting.help.endswith("."), (params, setting.name)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90m", 5400), ("2h", 7200), ("1.5d", 129600), ("1h30m", 5400), ("60", 60)],
)
def test_durations(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "soon", "5 fortnights", "h"])
def test_durations_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="90m"):
        seconds(text)


def test_an_adapter_learns_faster_unless_told() -> None:
    def rate(**more: Any) -> float:
        return TASK.params(**NEEDED, **more).peak_lr

    assert (rate(), rate(peft=True), rate(peft=True, lr=1e-5)) == (3e-5, 2e-4, 1e-5)


def test_a_tracker_is_installed_where_the_job_runs() -> None:
    assert TASK.params(**NEEDED).extras == ()
    assert TASK.params(**NEEDED, log="wandb").extras == ("wandb",)
    assert TASK.params(**NEEDED, log="tensorboard").extras == (), "its writer comes with [llm]"
