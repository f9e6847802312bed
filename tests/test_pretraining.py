"""Pretraining: the flags of the page it succeeds, models from nothing, data as a stream."""

from __future__ import annotations

import gzip
import json
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import CommitOperationAdd
from pydantic import ValidationError
from standins.laptop import Laptop
from tiny_llm import write_model, write_rows

from worker import tasks
from worker.contract import DataRef, Metric, ModelRef, Progress
from worker.errors import BadData
from worker.params import Setting, settings_of
from worker.reading import stream
from worker.task import NO_MODEL, Run, Split
from worker.tasks.pretraining import TASK, models
from worker.tasks.pretraining.files import GALORE, LORA, settings_in
from worker.tasks.pretraining.params import PretrainingParams
from worker.tasks.pretraining.report import steps_of

ROOT = Path(__file__).parents[1]
EXAMPLE = (
    *("--mode", "pretraining", "--optimizer", "lora", "--model", "llama_1b", "--batch_size", "32"),
    *("--num_epochs", "20", "--shuffle", "false", "--lr", "3e-4"),
)
"""The page's own example."""

PAGE: dict[str, tuple[Any, tuple[str, ...]]] = {
    "--mode": (None, ("pretraining", "finetuning")),
    "--optimizer": (None, ("lora", "galore", "galore8bit", "lora+galore8bit", "baseline")),
    "--model": (None, ("llama_60m", "llama_1b", "llama_7b", "roberta", "gpt2")),
    "--batch-size": (16, ()),
    "--num-epochs": (30, ()),
    "--max-length": (512, ()),
    "--num-training-tokens": (10**9, ()),
    "--shuffle": ("true", ("true", "false")),
    "--dtype": ("fp16", ("bf16", "fp16")),
    "--lr": (4e-4, ()),
    "--weight-decay": (0.01, ()),
    "--tmax": (30, ()),
    "--lora-config": ("config/lora_config.json", ()),
    "--galore-config": ("config/galore_config.json", ()),
    "--test": ("false", ("true", "false")),
}
"""What the page says of each option: its default, and its choices."""

TINY = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 128,
    "vocab_size": 300,
    "tie_word_embeddings": False,
}

GPT2 = {"model_type": "gpt2", "n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 64}
ROBERTA = {
    **{"model_type": "roberta", "hidden_size": 64, "intermediate_size": 128, "vocab_size": 300},
    **{"num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 34},
    **{"type_vocab_size": 1},
}

BASICS: dict[str, Any] = {
    "mode": "pretraining",
    "optimizer": "baseline",
    "model": "llama_60m",
    "data_path": "texts.jsonl",
}


def params(**settings: Any) -> PretrainingParams:
    return PretrainingParams(**{**BASICS, **settings})


def texts(count: int = 24) -> list[dict[str, Any]]:
    """Return texts of unequal lengths, one of which says nothing."""
    words = ["the quick", "brown fox", "jumps over", "the lazy dog", "and says hello"]
    made = [{"text": " ".join(words[i % 5 :] * (1 + i % 7)) + f" {i}"} for i in range(count)]
    return [*made, {"text": ""}]


@pytest.mark.parametrize("flag", PAGE)
def test_every_option_of_the_page_is_there(flag: str) -> None:
    default, choices = PAGE[flag]
    setting = next(s for s in settings_of(PretrainingParams) if flag in s.flags)
    assert setting.required if default is None else setting.default == default
    assert set(setting.choices) == set(choices)


def test_the_example_of_the_page_and_numbers_as_it_writes_them() -> None:
    made = params(model="llama_1b", optimizer="lora", num_training_tokens="1e9", shuffle=False)
    assert (made.num_training_tokens, made.shuffle) == (10**9, "false")
    with pytest.raises(ValidationError):
        params(num_training_tokens="1.5")


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("llama_60m", 58_073_600),
        ("llama_1b", 1_339_082_752),
        ("llama_7b", 6_738_415_616),
        ("gpt2", 124_439_808),
        ("roberta", 124_697_433),
    ],
)
def test_models_have_the_size_that_is_published(name: str, count: int) -> None:
    import torch
    import transformers

    config = transformers.AutoConfig.for_model(**models.config(name))
    with torch.device("meta"):
        built = getattr(transformers, config.architectures[0])(config)
    assert built.num_parameters() == models.facts(name).parameters == count


def test_a_llama_sees_as_far_as_it_is_told_and_the_others_as_far_as_they_can() -> None:
    assert models.config("llama_60m", 4096)["max_position_embeddings"] == 4096
    assert params(max_length=4096).max_length == 4096
    with pytest.raises(ValidationError, match=r"gpt2 sees 1,024 tokens.*--max-length 1024"):
        params(model="gpt2", max_length=2048)


def test_files_that_are_shipped_say_what_settings_are_without_them() -> None:
    by_name: dict[str, Setting] = {s.name: s for s in settings_of(PretrainingParams)}
    for kind in (LORA, GALORE):
        for name, value in settings_in(kind, kind.default).items():
            default = by_name[name].default
            assert value == (0.25 if name == "optim_scale" else default)


def test_a_file_of_the_users_wins_a_flag_wins_over_it_and_the_file_need_not_travel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "galore_config.json").write_text('{"rank": 64, "proj_type": "std"}')
    (tmp_path / "mine.json").write_text(
        '{"r": 4, "lora_alpha": 8, "bias": "none", "target_modules": ["q_proj", "v_proj"], '
        '"init_lora_weights": true}'
    )
    asked = params(optimizer="lora+galore8bit", lora_config="mine.json", lora_alpha=6)
    assert (asked.lora_r, asked.lora_alpha, asked.target_modules) == (4, 6, "q_proj,v_proj")
    assert asked.init_lora_weights == "default"
    assert (asked.optim_rank, asked.update_proj_gap) == (64, 200)
    assert (asked.peft, asked.merge_adapter, asked.optim_target_modules) == (True, True, "all")
    given = {"optimizer": "lora+galore8bit", "lora_config": "mine.json"}
    said = PretrainingParams.brought(given)
    assert said["lora_r"] == "mine.json" and said["optim_rank"] == "config/galore_config.json"
    assert said["peft"] == "optimizer" and "update_proj_gap" not in said
    sent = json.loads(json.dumps(asked.model_dump(mode="json")))
    (tmp_path / "mine.json").unlink()
    assert PretrainingParams.model_validate(sent) == asked
    assert params(optimizer="galore").optim_rank == 64
    assert not params(optimizer="galore").peft


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"rnak": 8}', r"no key 'rnak'\. Did you mean rank\?"),
        ('{"colour": 8}', "It may have rank, update_proj_gap, scale, target_modules"),
        ('{"proj_type": "full"}', 'proj_type may only be "std"'),
        ("[1]", "must be a JSON object"),
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
    ],
)
def test_a_file_that_is_wrong_is_told_by_its_name(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "mine.json"
    file.write_text(text)
    with pytest.raises(ValidationError, match=said) as error:
        params(optimizer="galore", galore_config=str(file))
    assert str(file) in str(error.value)
    with pytest.raises(ValidationError, match="there is no file"):
        params(optimizer="galore", galore_config=str(tmp_path / "none.json"))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"mode": "finetuning"}, "no published weights to fine-tune: --mode pretraining"),
        ({"optimizer": "galor"}, "baseline"),
    ],
)
def test_what_cannot_be_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        params(**settings)


def test_finetuning_wants_data_and_pretraining_has_that_of_the_paper() -> None:
    with pytest.raises(ValidationError, match="finetuning needs data"):
        PretrainingParams(mode="finetuning", optimizer="lora", model="gpt2")
    assert PretrainingParams(mode="pretraining", optimizer="lora", model="gpt2").data_path
    asked = params(mode="finetuning", model="gpt2")
    assert TASK.base(asked) == "openai-community/gpt2"
    assert TASK.base(params()) is None


def test_whichever_comes_first_ends_the_training() -> None:
    small = {"batch_size": 2, "gradient_accumulation": 2, "max_length": 64}
    assert steps_of(params(**small, num_training_tokens=2600), 1000) == 10  # 256 a step
    assert steps_of(params(**small, epochs=3), 10) == 8  # 30 rows, 4 a step
    assert steps_of(params(**small, epochs=3, max_steps=5), 10) == 5


def test_the_check_counts_tokens_and_says_what_ends_it() -> None:
    rows = list(enumerate(texts(), 1))
    split = Split("texts.jsonl", ("text",), rows, len(rows))
    asked = params(max_length=64, batch_size=2, num_training_tokens=640)
    found = TASK.inspect(asked, {"train": split}, NO_MODEL, None)
    assert found.steps == 5
    assert f"about {found.units:,} tokens a pass" in found.findings[0].text
    assert found.findings[1].text.startswith("640 tokens to train on")
    assert "ends at --num-training-tokens 640" in found.findings[1].text
    chats = [(1, {"messages": [{"role": "user", "content": "hi"}]})]
    with pytest.raises(BadData, match="pretraining learns texts"):
        TASK.inspect(asked, {"train": Split("c", ("messages",), chats, 1)}, NO_MODEL, None)
    plenty = TASK.footprint(asked, NO_MODEL, found)
    few = TASK.footprint(params(optimizer="galore", max_length=64, batch_size=2), NO_MODEL, found)
    assert few.expected < plenty.expected
    assert TASK.flops(asked, NO_MODEL, found) == pytest.approx(6 * 58e6 * 640, rel=0.1)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> DataRef:
    folder = tmp_path_factory.mktemp("texts")
    write_rows(folder / "a.jsonl", texts(12))
    write_rows(folder / "b.jsonl", texts(24)[12:])
    return DataRef(folder=str(folder), train=("a.jsonl", "b.jsonl"))


def test_files_are_opened_as_their_rows_are_reached(data: DataRef) -> None:
    late = data.model_copy(update={"train": ("a.jsonl", "there-is-none.jsonl")})
    rows = iter(stream(late, "train").rows)
    first = [next(rows) for _ in range(13)]
    assert first[0][1]["text"].startswith("the quick")
    with pytest.raises(BadData, match="there-is-none"):
        next(rows)


def passes(**how: Any) -> Any:
    from worker.tasks.pretraining.training.fresh import trained_on
    from worker.tasks.pretraining.training.stream import Passes

    found = [row["text"] for row in texts() if row["text"]]
    tokenizer = trained_on(iter(found), 300)
    return Passes(lambda: found, tokenizer.backend_tokenizer, tokenizer.eos_token_id, 32, **how)


def flat(rows: Iterator[Any]) -> list[tuple[Any, ...]]:
    return [tuple(tuple(piece.ids) for piece in row) for row in rows]


def test_a_pass_has_each_token_to_learn_once_in_full_rows() -> None:
    made = passes()
    rows = list(made.once())
    assert all(sum(map(len, row)) in {31, 32} for row in rows[:-1])
    learned = sum(len(piece) - 1 for row in rows for piece in row)
    found = [row["text"] for row in texts() if row["text"]]
    whole = [len(e.ids) for e in made.tokenizer.encode_batch(found)]
    assert learned == sum(whole)  # the end of each text counts, its first token does not
    assert sum(piece.ids[-1] == made.eos for row in rows for piece in row) == len(found)


def test_a_shuffled_pass_has_the_same_rows_in_an_order_of_its_own() -> None:
    plain, shuffled = passes(), passes(seed=7)
    count = len(list(plain.once()))
    both = flat(row for row, _ in zip(shuffled.all(), range(2 * count), strict=False))
    first, second = both[:count], both[count:]
    assert sorted(first) == sorted(second) == sorted(flat(plain.once()))
    assert first != second and first != flat(plain.once())
    again = flat(row for row, _ in zip(passes(seed=7).all(), range(2 * count), strict=False))
    assert again == both


def test_a_try_takes_so_many_tokens_and_no_more() -> None:
    rows = list(passes(most_tokens=100).once())
    assert sum(len(piece) for row in rows for piece in row) in range(96, 110)


def test_the_tokenizer_is_the_same_for_the_same_texts_and_loses_nothing() -> None:
    one, other = passes().tokenizer, passes().tokenizer
    assert one.to_str() == other.to_str()
    text = "Grüße, 世界!\n\tdef f(): pass"
    assert one.decode(one.encode(text).ids) == text


def trained(
    data: DataRef, folder: Path, *, config: Any = None, **settings: Any
) -> tuple[Run, list[Any]]:
    """Pretrain a tiny model."""
    from worker.tasks.pretraining.training.train import pretrain

    small = {
        **{"batch_size": 2, "max_length": 32, "epochs": 2, "lr": 5e-3, "logging_steps": 1},
        **{"save_strategy": "no"},
    }
    events: list[Any] = []
    resumed = settings.pop("resumed", None)
    run = Run(
        model=None,
        data=data,
        output=folder / "output",
        work=folder / "work",
        emit=events.append,
        last_checkpoint=resumed,
        unit="tokens",
    )
    pretrain(params(**{**small, **settings}), run, {"vocab_size": 300, **(config or TINY)})
    return run, events


def curve(events: list[Any], name: str) -> list[float]:
    return [e.values[name] for e in events if isinstance(e, Metric) and name in e.values]


def test_galore_pretrains_from_nothing_to_a_model_that_loads(data: DataRef, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"optimizer": "galore", "optim_rank": 16, "tmax": 2}
    run, events = trained(
        data, tmp_path, **settings, lr=0.02, epochs=4, batch_size=4, valid_split="0.2"
    )
    losses = curve(events, "loss")
    assert losses[0] == pytest.approx(math.log(300), abs=0.4)
    assert losses[-1] < losses[0] - 1
    assert curve(events, "valid_loss")
    rates = curve(events, "lr")  # down in two epochs, and up again in the next two
    assert rates[len(rates) // 2] < 0.002 and rates[-1] > 0.015
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(run.output)
    tokenizer = AutoTokenizer.from_pretrained(run.output)
    assert model.config.eos_token_id == tokenizer.eos_token_id
    said = model.generate(**tokenizer("the quick", return_tensors="pt"), max_new_tokens=4)
    assert tokenizer.decode(said[0]).startswith("the quick")
    last = [e for e in events if isinstance(e, Progress)][-1]
    assert (last.unit, last.step) == ("tokens", last.total_steps)


def test_it_goes_on_from_a_checkpoint_as_if_it_had_not_stopped(
    data: DataRef, tmp_path: Path
) -> None:
    import torch
    from safetensors.torch import load_file

    settings: dict[str, Any] = {"optimizer": "galore", "optim_rank": 16, "max_steps": 6}
    settings |= {"update_proj_gap": 2}
    saving: dict[str, Any] = {"save_strategy": "steps", "save_steps": 3, "save_total_limit": 2}
    whole, _ = trained(data, tmp_path / "whole", **settings, **saving)
    half = whole.work / "checkpoints" / "checkpoint-3"
    again, events = trained(data, tmp_path / "again", **settings, resumed=half)
    assert len(curve(events, "loss")) == 3
    ours, other = (load_file(r.output / "model.safetensors") for r in (whole, again))
    assert all(torch.allclose(ours[name], other[name], atol=1e-6) for name in ours)


def test_lora_from_nothing_trains_what_has_no_adapter_and_leaves_a_whole_model(
    data: DataRef, tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM

    lora: dict[str, Any] = {"optimizer": "lora", "lora_r": 4, "max_steps": 8}
    run, events = trained(data, tmp_path / "some", **lora)
    begun, _ = trained(data, tmp_path / "none", **lora, lr=1e-12)
    assert curve(events, "loss")[-1] < curve(events, "loss")[0]
    after, before = (
        dict(AutoModelForCausalLM.from_pretrained(r.output).named_parameters())
        for r in (run, begun)
    )
    moved = {name for name in after if not after[name].equal(before[name])}
    assert moved == set(after)
    assert not (run.output / "adapter_config.json").exists()


@pytest.mark.parametrize("optimizer", ["baseline", "lora"])
@pytest.mark.parametrize("name", ["gpt2", "roberta"])
def test_the_others_are_pretrained_too(
    data: DataRef, tmp_path: Path, optimizer: str, name: str
) -> None:
    import transformers

    kind = "AutoModelForCausalLM" if name == "gpt2" else "AutoModelForMaskedLM"
    config = GPT2 if name == "gpt2" else ROBERTA
    settings: dict[str, Any] = {"max_steps": 20, "lr": 0.02}
    settings |= {"model": name, "optimizer": optimizer}
    run, events = trained(data, tmp_path, config=config, **settings)
    losses = curve(events, "loss")
    assert sum(losses[-3:]) / 3 < losses[0] - 0.1
    model = getattr(transformers, kind).from_pretrained(run.output)
    assert model.config.tie_word_embeddings is (optimizer == "baseline")


def test_finetuning_is_that_of_language_models_under_these_flags(
    tmp_path: Path, data: DataRef
) -> None:
    events: list[Any] = []
    asked = params(
        **{"mode": "finetuning", "model": "gpt2", "optimizer": "lora", "batch_size": 2},
        **{"max_length": 32, "epochs": 1, "tmax": 2, "logging_steps": 1, "shuffle": "false"},
    )
    run = Run(
        model=ModelRef(name=str(write_model(tmp_path / "tiny"))),
        data=data,
        output=tmp_path / "output",
        work=tmp_path / "work",
        emit=events.append,
    )
    TASK.train(asked, run)
    assert (run.output / "adapter_config.json").exists()
    # Of a cosine of two epochs one is half: the rate ends at half of its peak.
    assert curve(events, "lr")[-1] == pytest.approx(4e-4 / 2, rel=0.2)


def test_tries_and_words_for_precision() -> None:
    assert params().mixed_precision is None  # nobody asked for it
    assert params(dtype="fp16").mixed_precision == "fp16"
    assert params(dtype="bf16").mixed_precision == "bf16"
    assert params(dtype="bf16", test="true").mixed_precision is None


SMALL = ("--batch_size", "2", "--max_length", "64", "--num_training_tokens", "256")


@pytest.fixture(scope="module")
def laptop(shared_hub: Any, tmp_path_factory: pytest.TempPathFactory) -> Laptop:
    folder = tmp_path_factory.mktemp("laptop")
    write_rows(folder / "texts.jsonl", texts(60))
    return Laptop(folder / "home", shared_hub)


def test_the_command_needs_no_other_word_and_names_its_job(laptop: Laptop) -> None:
    words = [*EXAMPLE[:2], "--optimizer", "galore", "--model", "llama_60m", *SMALL]
    said = laptop.run("train", *words, "--data-path", "texts.jsonl", "--dry-run", "--json")
    assert said.code == 0, said.out + said.err
    plan = said.document
    assert plan["model"]["folder"].endswith("llama-60m-galore")
    assert plan["report"]["model"] is None
    assert plan["report"]["data"]["steps"] == 2


def test_the_example_of_the_page_on_data_laid_out_as_that_of_the_paper(
    laptop: Laptop,
) -> None:
    api = laptop.hub.api()
    api.create_repo("ann/c4", repo_type="dataset")
    lines = "".join(json.dumps(row) + "\n" for row in texts(400)).encode()
    card = b"""---
configs:
- config_name: en
  data_files:
  - split: train
    path: en/*.gz
---
"""
    files = {f"en/c4-train.{i:05}-of-00070.json.gz": gzip.compress(lines) for i in range(70)}
    api.create_commit(
        "ann/c4",
        [CommitOperationAdd(n, c) for n, c in {**files, "README.md": card}.items()],
        commit_message="texts",
        repo_type="dataset",
    )
    more = ("--data-path", "ann/c4", "--dry-run", "--json")
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "train.py"), *EXAMPLE, *more],
        env=laptop.environ,
        capture_output=True,
        text=True,
        cwd=laptop.home.parent,
        check=False,
    )
    told = done.stdout + done.stderr
    assert done.returncode in {0, 2}, told
    data = json.loads(done.stdout.splitlines()[-1])["report"]
    said = [f["text"] for f in data["findings"] if f["topic"] == "data"]
    assert any("ann/c4" in text and "28,000 texts" in text for text in said), said
    # What a laptop may lack for a model of 1.3 billion parameters is memory, and nothing else.
    wrong = {f["topic"] for f in data["findings"] if f["level"] == "error"}
    assert wrong <= {"memory"}, said


def test_settings_that_another_optimizer_has_are_named(laptop: Laptop) -> None:
    words = ("--optimizer", "baseline", "--model", "gpt2", "--data-path", "texts.jsonl")
    more = ("--galore-config", "mine.json", "--peft", "--dry-run")
    said = laptop.run("train", *EXAMPLE[:2], *words, *more)
    assert said.code == 0, said.out + said.err
    assert "--galore-config is not used: only the optimizers with galore have it." in said.out
    assert "--peft is not used: --optimizer lora trains adapters" in said.out


def test_what_needs_a_gpu_is_refused_in_the_plan_with_what_to_type(laptop: Laptop) -> None:
    words = ("--optimizer", "galore8bit", "--model", "llama_60m", "--data-path", "texts.jsonl")
    for backend in ("local", "spaces-cpu"):
        said = laptop.run("train", *EXAMPLE[:2], *words, "--backend", backend)
        assert said.code == 2
        assert "--optimizer galore8bit needs an NVIDIA GPU" in said.out
        assert "--optimizer galore\n" in said.out
    said = laptop.run("train", *EXAMPLE[:2], *words[2:], "--optimizer", "galore", "--dtype", "fp16")
    assert "fp16 needs a GPU" in said.out and "--dtype bf16" in said.out


@pytest.mark.slow
@pytest.mark.timeout(280)
def test_a_llama_is_pretrained_on_a_space_and_pushed(laptop: Laptop, tmp_path: Path) -> None:
    from huggingface_hub import snapshot_download

    words = [*EXAMPLE[:2], "--optimizer", "baseline", "--model", "llama_60m", *SMALL]
    place = ("--backend", "spaces-cpu", "--push-to-hub", "--data-path", "texts.jsonl")
    said = laptop.run("train", *words, *place, "--save-strategy", "no", "--json")
    assert said.code == 0, said.out + said.err
    api = laptop.hub.api()
    folder = snapshot_download(
        "ann/llama-60m-baseline", endpoint=api.endpoint, token=api.token, cache_dir=tmp_path
    )
    card = (Path(folder) / "README.md").read_text()
    assert "full model" in card and "--mode pretraining" in card
    manifest = json.loads((Path(folder) / "hubtrain.json").read_text())
    assert manifest["spec"]["model"] is None
    assert manifest["metrics"]["loss"] < math.log(32000) + 0.5
    assert tasks.load(manifest["spec"]["task"]) is TASK
