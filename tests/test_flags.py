"""Every flag of AutoTrain for language models, and what each does in a run.

`autotrain/flags.yaml` holds what AutoTrain's help and a guide to it promise. Where these documents
lie beside the checkout they are read themselves, so that nothing is forgotten.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import pytest
import seeds
import yaml
from standins import typed
from tiny_llm import EOS, IM_END, chats, job, tokenizer, write_model, write_rows

import backends
from orchestrator.flags import options_of
from orchestrator.settings.gather import classes_of, gather
from orchestrator.settings.job import JobSettings
from orchestrator.settings.layers import Settings
from orchestrator.terminal.command import task_command
from worker.contract import Checkpoint, Event, Metric, Progress
from worker.errors import BadConfig
from worker.params import Setting, settings_of
from worker.tasks.llm import TASK, trainers

HERE = Path(__file__).parent
TABLE: list[dict[str, Any]] = yaml.safe_load((HERE / "autotrain" / "flags.yaml").read_text())
DIFFERENT: dict[str, str] = {}
"""Flags whose default is not the one that is stated, and why. There is none."""


def named(entry: Mapping[str, Any]) -> str:
    return str(entry["flags"][0])


# what the documents say


@dataclass(frozen=True)
class Told:
    """An option as a help text describes it."""

    flags: frozenset[str]
    choices: tuple[str, ...]
    switch: bool
    default: str | None


STATED = (
    r"기본값은 '?([\w.-]+?)'?입니다|기본적으로 '(\w+)'가|'(\w+)'가 기본값"
    r"|(기본값은 최신 체크포인트만)"
)
"""How the help says that a value is the default; the last: the newest checkpoint alone."""


def told() -> list[Told]:
    """Return the options of the help in document 004."""
    text = seeds.seed("004").split("options:\n", 1)[1].split("```", 1)[0]
    parts = re.split(r"\n(?=  -)", "\n" + text)
    return [_told(part) for part in parts if part.strip().startswith("--")]


def _told(part: str) -> Told:
    first, _, rest = part.strip().partition("\n")
    head, _, help_ = first.partition("  ")
    help_ += " " + " ".join(rest.split())
    choices = re.search(r"\{([^}]*)\}", head)
    value = re.sub(r"--[\w-]+|\{[^}]*\}|,", "", head).strip()
    stated = re.search(STATED, help_)
    default = next((g for g in stated.groups() if g), None) if stated else None
    return Told(
        flags=frozenset(re.findall(r"--[\w-]+", head)),
        choices=tuple(choices[1].split(",")) if choices else (),
        switch=not value and not choices,
        default="1" if default and " " in default else default,
    )


def test_the_table_has_every_flag_choice_and_default_of_the_help() -> None:
    by_flag = {flag: entry for entry in TABLE for flag in entry["flags"]}
    found = told()
    assert len(found) > 40
    for option in found:
        (entry,) = {id(by_flag[flag]): by_flag[flag] for flag in option.flags}.values()
        assert tuple(map(str, entry.get("choices", ()))) == option.choices, option
        assert bool(entry.get("switch")) == option.switch, option
        assert ("default" in entry) == (option.default is not None), option
        if option.default is not None:
            assert str(entry["default"]) == option.default, option


def test_the_table_has_every_flag_of_the_guide_and_no_flag_of_nobody() -> None:
    bullets = re.findall(r"^- \*\*(.*?)\*\*:", seeds.seed("000"), re.M | re.S)
    guide = {flag for bullet in bullets for flag in re.findall(r"--[\w-]+", bullet)}
    guide |= set(re.findall(r"`(--[\w-]+)`\*\*", seeds.seed("000")))
    ours = {flag for entry in TABLE for flag in entry["flags"]}
    known = guide | {flag for option in told() for flag in option.flags}
    assert guide - ours == set()
    assert ours - known == set()


# what the command line takes


COMMAND = task_command(TASK)


def parsed(*words: str) -> dict[str, Any]:
    """Return what the command of the task makes of words, under the names of settings."""
    return typed.parsed([*options_of(classes_of(TASK)), *options_of((TASK.ignored,))], words)


def settings(*words: str) -> Settings:
    return gather(TASK, None, {"model": "m", "data_path": "d"} | parsed(*words), list, environ={})


def setting(entry: Mapping[str, Any]) -> Setting:
    key = named(entry).removeprefix("--").replace("-", "_")
    for params in (*classes_of(TASK), TASK.ignored):
        for one in settings_of(params):
            if key in one.keys:
                return one
    raise AssertionError(f"{named(entry)} is no setting")


def spellings(flag: str) -> set[str]:
    bare = flag.removeprefix("--")
    return {"--" + bare.replace("_", "-"), "--" + bare.replace("-", "_")}


@pytest.mark.parametrize("entry", TABLE, ids=named)
def test_every_spelling_is_the_flag(entry: dict[str, Any]) -> None:
    if entry.get("command"):
        option = next(o for o in COMMAND.params if named(entry) in o.opts)
        assert isinstance(option, click.Option)
        assert option.is_flag == bool(entry.get("switch"))
        return
    name = setting(entry).name
    for flag in {spelled for one in entry["flags"] for spelled in spellings(one)}:
        if entry.get("switch"):
            assert parsed(flag) == {name: True}
            assert parsed("--no-" + flag.removeprefix("--")) == {name: False}
        else:
            assert parsed(flag, "7") == parsed(f"{flag}=7") == {name: "7"}


@pytest.mark.parametrize("entry", [e for e in TABLE if "choices" in e], ids=named)
def test_every_choice_is_taken_and_no_other(entry: dict[str, Any]) -> None:
    flag, name = named(entry), setting(entry).name
    params = JobSettings if name in JobSettings.model_fields else TASK.params
    for choice in entry["choices"]:
        found = settings(flag, choice, "--peft")
        if choice in trainers.not_yet():
            with pytest.raises(BadConfig, match="is not there yet"):
                found.of(params)
        else:
            taken = getattr(found.of(params), name)
            assert str(taken) == choice
    if name != "backend":  # which is asked of the backends, in `flow.ask`
        with pytest.raises(BadConfig, match=f"{setting(entry).flags[0]} 'nonsense': is not one of"):
            settings(flag, "nonsense").of(params)


@pytest.mark.parametrize("entry", [e for e in TABLE if "default" in e], ids=named)
def test_every_stated_default_is_ours(entry: dict[str, Any]) -> None:
    default = setting(entry).default
    same = default == entry["default"] or str(default) == str(entry["default"])
    assert same != (named(entry) in DIFFERENT), (named(entry), default)


def test_every_flag_has_a_test_that_sees_what_it_does() -> None:
    tests: dict[str, set[str]] = {}
    for file in HERE.glob("test_*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        tests[file.name] = {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}
    for entry in TABLE:
        file, name = entry["seen"].split("::")
        assert name in tests.get(file, ()), f"{named(entry)}: there is no {entry['seen']}"


def test_every_backend_is_a_machine() -> None:
    (entry,) = (e for e in TABLE if named(e) == "--backend")
    for choice in entry["choices"]:
        place = backends.resolve(choice, {})
        assert place.backend.name == choice.split("-")[0]
        assert (place.flavor is not None) == choice.startswith("spaces")


def test_where_the_model_goes() -> None:
    words = ("--push-to-hub", "--project-name", "bot")
    own = settings(*words).of(JobSettings).push_target("ann")
    assert own is not None and own.repo_id == "ann/bot"
    theirs = settings(*words, "--repo-id", "lab/other").of(JobSettings).push_target("ann")
    assert theirs is not None and theirs.repo_id == "lab/other"
    assert settings("--no-push-to-hub").of(JobSettings).push_target("ann") is None


def test_splits_are_chosen_by_name(tmp_path: Path) -> None:
    from orchestrator.data.sources import find

    for split in ("train", "dev", "test"):
        write_rows(tmp_path / f"{split}.jsonl", [{"text": split}])

    def files(*words: str) -> dict[str, str]:
        params = settings(*words).of(TASK.params)
        source = find(params.model_copy(update={"data_path": str(tmp_path)}), None)
        return {role: table.name for role, table in source.tables.items()}

    assert files() == {"train": "train.jsonl"}
    chosen = files("--train-split", "test", "--valid-split", "dev")
    assert chosen == {"train": "test.jsonl", "valid": "dev.jsonl"}


# what a run does


TEXTS = [{"text": "the quick brown fox jumps over the lazy dog and says hello"}] * 8
PLAIN = ("--trainer", "default", "--no-packing", "--batch-size", "1", "--accumulate", "1")
SMALL = (*PLAIN, "--block-size", "64", "--lr", "1e-3", "--logging-steps", "1")


@dataclass(frozen=True)
class Ran:
    """What came of a training."""

    output: Path
    work: Path
    events: list[Event]

    def measured(self, name: str) -> list[float]:
        """Return what was measured while it trained, the look before the first step left out."""
        metrics = [e for e in self.events if isinstance(e, Metric) and e.step]
        return [metric.values[name] for metric in metrics if name in metric.values]

    @property
    def progress(self) -> Progress:
        return [e for e in self.events if isinstance(e, Progress)][-1]

    @property
    def saved(self) -> list[int]:
        return [e.step for e in self.events if isinstance(e, Checkpoint)]

    def weights(self) -> dict[str, Any]:
        from safetensors.torch import load_file

        (file,) = self.output.glob("*.safetensors")
        return load_file(file)


Running = Callable[..., Ran]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("flags") / "model")


@pytest.fixture
def run(model: Path, tmp_path: Path) -> Running:
    """Train as a command line asks for it: `run("--epochs", "2", rows=…, valid=…)`."""
    runs = iter(range(9))

    def trained(*words: str, rows: Any = TEXTS, valid: Any = None, small: Any = SMALL) -> Ran:
        folder = tmp_path / str(next(runs))
        kept = given_last(small, words)
        data = write_rows(folder / "train.jsonl", rows)
        held = write_rows(folder / "valid.jsonl", valid) if valid else None
        _, asked, events = job(model, data, folder, valid=held)
        found = gather(TASK, None, parsed(*kept), list, environ={})
        where = {"model": str(model), "data_path": str(data)}
        params = replace(found, values={**found.values, **where}).of(TASK.params)
        TASK.train(params, asked)
        return Ran(asked.output, asked.work, events)

    return trained


def given_last(usual: tuple[str, ...], words: tuple[str, ...]) -> tuple[str, ...]:
    """Return the usual words without those that are said again, and the words."""
    pairs: list[list[str]] = []
    for word in usual:
        if word.startswith("--"):
            pairs.append([word])
        else:
            pairs[-1].append(word)
    again = parsed(*words)
    kept = [pair for pair in pairs if not parsed(*pair).keys() & again.keys()]
    return (*(word for pair in kept for word in pair), *words)


@contextmanager
def modules(kind: str, note: Callable[[Any, Any, Any], None]) -> Iterator[None]:
    """Call `note(module, arguments, output)` after each step of a module of this torch class."""
    import torch

    def hook(module: Any, arguments: Any, output: Any) -> None:
        if type(module).__name__ == kind and torch.is_grad_enabled() and module.training:
            note(module, arguments, output)

    handle = torch.nn.modules.module.register_module_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def batches() -> Iterator[list[list[list[int]]]]:
    """Collect the token ids of each batch that a model is trained on."""
    seen: list[list[list[int]]] = []
    with modules("Embedding", lambda module, arguments, output: seen.append(arguments[0].tolist())):
        yield seen


def text_of(batch: list[list[int]]) -> str:
    return str(tokenizer().decode(batch[0]))


slow = pytest.mark.slow


@slow
def test_how_many_steps_there_are(run: Running) -> None:
    assert run().progress.total_steps == 8
    assert run("--epochs", "2").progress.total_steps == 16
    assert run("--train-batch-size", "4").progress.total_steps == 2
    assert run("--gradient_accumulation", "4").progress.total_steps == 2


@slow
def test_the_learning_rate_goes_as_it_is_told(run: Running) -> None:
    def rates(*words: str) -> list[float]:
        return [rate / 1e-3 for rate in run(*words).measured("lr")]

    falling = [1 - i / 8 for i in range(8)]
    assert rates() == pytest.approx(falling), "linear; a tenth of 8 steps is no warmup"
    assert rates("--lr", "5e-4") == pytest.approx([rate / 2 for rate in falling])
    assert rates("--scheduler", "constant") == [1.0] * 8
    cosine = rates("--scheduler", "cosine")
    assert cosine[4] == pytest.approx(0.5) and cosine[1] > falling[1] and cosine[7] < falling[7]
    warm = rates("--warmup_ratio", "0.5")
    assert warm[:5] == pytest.approx([0, 0.25, 0.5, 0.75, 1.0])


@slow
def test_the_optimizer_is_the_one_that_is_named(run: Running) -> None:
    import torch

    def state(name: str) -> set[str]:
        ran = run("--optimizer", name, "--max-steps", "1")
        (file,) = ran.work.rglob("optimizer.pt")
        kept = torch.load(file, weights_only=True)["state"]
        return {key for values in kept.values() for key in values}

    assert {"exp_avg", "exp_avg_sq"} <= state("adamw_torch")
    assert "exp_avg" not in state("sgd")
    assert "square_avg" in state("rmsprop")


@slow
def test_weights_decay(run: Running, model: Path) -> None:
    """AdamW takes the share rate times decay from each weight, whatever its gradient."""
    from safetensors.torch import load_file

    how = ("--max-steps", "1", "--scheduler", "constant", "--lr", "0.01")
    kept, decayed = run(*how).weights(), run(*how, "--weight_decay", "0.5").weights()
    name = "model.layers.0.mlp.up_proj.weight"
    before = load_file(model / "model.safetensors")[name]
    assert (kept[name] - decayed[name]).allclose(0.01 * 0.5 * before, atol=1e-7)


@slow
def test_gradients_are_clipped(run: Running, model: Path) -> None:
    """One step of plain descent at rate 1 moves all weights together by the clipped norm."""
    from safetensors.torch import load_file

    how = ("--optimizer", "sgd", "--lr", "1.0", "--max-steps", "1", "--max_grad_norm", "0.01")
    after, before = run(*how).weights(), load_file(model / "model.safetensors")
    moved = sum(float(((after[name] - before[name]) ** 2).sum()) for name in after)
    assert moved**0.5 == pytest.approx(0.01, rel=1e-3)


@slow
def test_a_seed_decides_every_chance(run: Running) -> None:
    rows = [
        {"text": f"{word} fox"}
        for word in ["the", "quick", "brown", "fox", "jumps", "over", "lazy", "dog"]
    ]
    with batches() as seen:
        for seed in ("1", "1", "2"):
            run("--seed", seed, rows=rows)
    first, again, other = seen[:8], seen[8:16], seen[16:]
    assert first == again != other
    assert sorted(map(str, first)) == sorted(map(str, other))


@slow
def test_texts_end_with_their_token_or_without(run: Running) -> None:
    with batches() as seen:
        run("--add_eos_token", "--max-steps", "1")
        run("--no-add-eos-token", "--max-steps", "1")
    ended, open_ = seen
    assert text_of(ended).endswith(EOS) and text_of(open_) + EOS == text_of(ended)


@slow
def test_rows_are_as_long_as_they_are_told(run: Running) -> None:
    rows = [{"text": TEXTS[0]["text"] * 4}] * 4

    def longest(*words: str) -> int:
        with batches() as seen:
            run(*words, rows=rows, small=[w for w in SMALL if w not in {"--block-size", "64"}])
        return max(len(row) for batch in seen for row in batch)

    assert longest("--block_size", "16") == 16
    assert longest("--model_max_length", "24") == 24
    assert longest("--block-size", "-1", "--max-len", "32") == 32
    assert longest("--block-size", "16", "--model-max-length", "32") == 16


@slow
def test_an_adapter_is_of_the_shape_that_is_asked_for(run: Running) -> None:
    import json

    dropped: list[float] = []
    shape = ("--lora_r", "4", "--lora-alpha", "12", "--lora_dropout", "0.25")
    with modules("Dropout", lambda module, *_: dropped.append(module.p)):
        ran = run("--peft", *shape, "--target_modules", "q_proj,v_proj", "--max-steps", "1")
    assert set(dropped) == {0.25}
    weights = ran.weights()
    assert {name.split(".")[-3] for name in weights} == {"q_proj", "v_proj"}
    assert {value.shape[0] for name, value in weights.items() if "lora_A" in name} == {4}
    config = json.loads((ran.output / "adapter_config.json").read_text())
    assert (config["lora_alpha"], config["lora_dropout"]) == (12, 0.25)
    every = run("--use-peft", "--max-steps", "1").weights()
    assert len({name.split(".")[-3] for name in every}) == 7 and "lora" in next(iter(every))


@slow
def test_losses_are_told_as_often_as_asked(run: Running) -> None:
    assert len(run("--logging_steps", "4").measured("loss")) == 2
    assert len(run("--logging-steps", "-1").measured("loss")) == 8


@slow
def test_validation_happens_when_asked(run: Running) -> None:
    def times(strategy: str) -> int:
        ran = run("--evaluation_strategy", strategy, "--epochs", "2", valid=TEXTS[:1])
        return len(ran.measured("valid_loss"))

    assert times("epoch") == 2
    assert times("steps") == 16
    assert times("no") == 0


@slow
def test_checkpoints_are_written_when_asked(run: Running) -> None:
    def saved(*words: str, **how: Any) -> list[int]:
        return run("--epochs", "2", "--save_strategy", *words, **how).saved

    assert saved("epoch") == [8, 16]
    assert saved("steps", "--save-steps", "5") == [5, 10, 15, 16]
    assert saved("no") == []


OTHER = [{"text": "says hello dog lazy the over jumps fox brown"}]
"""What gets worse where the rows to learn from are learned by heart."""


def better(ran: Ran) -> list[int]:
    """Return which validations were better than all before, from 0."""
    seen = ran.measured("valid_loss")
    return [i for i, loss in enumerate(seen) if loss < min(seen[:i], default=loss + 1)]


def best(ran: Ran) -> Any:
    """Return the weights of the best checkpoint."""
    from safetensors.torch import load_file

    folder = ran.work / "checkpoints" / f"checkpoint-{8 * (better(ran)[-1] + 1)}"
    return load_file(next(folder.glob("*.safetensors")))


@slow
@pytest.mark.parametrize("adapter", [(), ("--peft",)], ids=["whole", "adapter"])
def test_the_best_model_is_kept_when_asked(run: Running, adapter: tuple[str, ...]) -> None:
    how = (*adapter, "--epochs", "6", "--lr", "0.05")
    told = run(*how, "--save_strategy", "best", valid=OTHER)
    assert told.saved == [8 * (i + 1) for i in better(told)]
    assert better(told)[-1] < len(told.measured("valid_loss")) - 1
    left, kept = told.weights(), best(told)
    assert left.keys() == kept.keys() and all(left[name].equal(kept[name]) for name in kept)


@slow
def test_a_training_ends_early_when_asked(run: Running) -> None:
    how = ("--epochs", "9", "--lr", "0.05", "--early_stopping_patience", "2")
    told = run(*how, valid=OTHER)
    seen = told.measured("valid_loss")
    assert len(seen) == better(told)[-1] + 3 < 9
    left, kept = told.weights(), best(told)
    assert all(left[name].equal(kept[name]) for name in kept)


@slow
def test_so_many_checkpoints_are_kept(run: Running) -> None:
    how = ("--save-strategy", "steps", "--save-steps", "2")
    assert folders(run(*how)) == ["checkpoint-8"]
    assert folders(run(*how, "--save_total_limit", "3")) == [f"checkpoint-{n}" for n in (4, 6, 8)]


def folders(ran: Ran) -> list[str]:
    return sorted(path.name for path in (ran.work / "checkpoints").glob("checkpoint-*"))


@slow
@pytest.mark.filterwarnings("ignore")
def test_the_batch_size_shrinks_until_it_fits(run: Running) -> None:
    sizes: list[int] = []

    def small_memory(module: Any, arguments: Any, output: Any) -> None:
        sizes.append(len(arguments[0]))
        if len(arguments[0]) > 2:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")

    with modules("Embedding", small_memory):
        ran = run("--auto_find_batch_size", "--batch-size", "8")
        assert sizes == [8, 7, 6, 5, 4, 3, 2, 2, 2, 2]
        assert ran.progress.step == ran.progress.total_steps == 4
        with pytest.raises(RuntimeError, match="out of memory"):
            run("--batch-size", "8")


@slow
def test_products_are_taken_in_the_precision_that_is_asked_for(run: Running) -> None:
    import torch

    def kinds(*words: str) -> set[Any]:
        found: set[Any] = set()
        with modules("Linear", lambda module, arguments, output: found.add(output.dtype)):
            run(*words, "--max-steps", "1")
        return found

    assert kinds() == kinds("--mixed_precision", "None") == {torch.float32}
    assert kinds("--mixed-precision", "bf16") == {torch.bfloat16}
    with pytest.raises(BadConfig, match="fp16 needs a GPU"):
        run("--mixed-precision", "fp16")


@slow
def test_activations_are_kept_or_recomputed(run: Running) -> None:
    def times(*words: str) -> int:
        calls: list[int] = []
        with modules("Linear", lambda *_: calls.append(1)):
            run(*words, "--max-steps", "1")
        return len(calls)

    once = times()
    os.environ["MEMORY"] = "1Mi"  # nothing fits
    try:
        assert times() > 1.5 * once
        assert times("--disable_gradient_checkpointing") == times("--disable-gc") == once
    finally:
        del os.environ["MEMORY"]


@slow
def test_rows_are_read_from_the_columns_that_are_named(run: Running) -> None:
    with batches() as seen:
        run("--text_column", "body", "--max-steps", "1", rows=[{"body": "hello fox", "text": "no"}])
        rows = [{"question": "say dog: ", "completion": "lazy", "prompt": "no"}]
        run("--prompt-text-column", "question", "--max-steps", "1", rows=rows)
    texts, pairs = seen
    assert text_of(texts) == "hello fox" + EOS
    assert text_of(pairs) == "say dog: lazy" + EOS


@slow
def test_each_trainer_makes_something_else_of_the_same_rows(run: Running) -> None:
    rows = [{"prompt": "say dog: ", "completion": "lazy"}] * 4
    default, sft = (run("--trainer", name, rows=rows) for name in ("default", "sft"))
    assert default.measured("loss") != sft.measured("loss"), "prompts are learned, or given"


@slow
def test_flash_attention_that_is_not_there_is_said(
    run: Running, capfd: pytest.CaptureFixture[str]
) -> None:
    run("--use_flash_attention_2", "--max-steps", "1")
    assert "Flash attention 2 is not on this machine" in capfd.readouterr().err
    run("--max-steps", "1")
    assert "Flash attention" not in capfd.readouterr().err


@slow
def test_chats_are_written_by_the_template_that_is_named(run: Running) -> None:
    with batches() as seen:
        for name in ("tokenizer", "chatml", "zephyr", "None"):
            run("--chat_template", name, "--trainer", "sft", "--max-steps", "1", rows=chats(1))
    own, chatml, zephyr, none = map(text_of, seen)
    assert own == none and "<|im_start|>user\nsay 0" in own
    assert "<|im_start|>user\nsay 0" in chatml and IM_END in chatml
    assert "<|user|>\nsay 0" in zephyr and "<|im_start|>" not in zephyr


@slow
def test_rows_are_padded_on_the_side_that_is_named(run: Running) -> None:
    rows = [{"text": "hello"}, {"text": TEXTS[0]["text"]}]

    def shorter(*words: str) -> list[int]:
        with batches() as seen:
            run(*words, "--no-add-eos-token", "--batch-size", "2", rows=rows)
        (short,) = [row for batch in seen for row in batch if row[0] == 0 or row[-1] == 0]
        return short

    left, right = shorter("--padding", "left"), shorter("--padding", "right")
    assert left[0] == 0 != left[-1] and right[-1] == 0 != right[0]
    assert shorter("--padding", "None") == right
