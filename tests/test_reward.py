"""Reward models: right beside TRL, they rank what they have not seen, and load everywhere."""

from __future__ import annotations

import csv
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tiny_bert
from standins.laptop import Laptop
from test_llm_data import FACTS, split
from test_pairs_training import ROWS, assert_same, gradients, pairs
from tiny_llm import job, samples, tokenizer, write_model, write_rows

from worker.contract import Event, Metric
from worker.errors import BadConfig
from worker.task import ModelFacts
from worker.tasks.llm import TASK, trainers

pytestmark = [
    pytest.mark.timeout(280),
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning"),
]

WORDS = "quick brown jumps over lazy and says to every one who comes by".split()  # noqa: SIM905


def planted(count: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield pairs of texts: somewhere in the better one a fox says hello, in the other a dog."""
    chance = random.Random(seed)
    for _ in range(count):
        prompt = " ".join(chance.choices(WORDS, k=3))
        rest = [" ".join(chance.choices(WORDS, k=chance.randint(0, 3))) for _ in range(4)]
        better, worse = (
            f"{prompt} the {before} {who} {after}".strip()
            for who, before, after in (("fox", *rest[:2]), ("dog", *rest[2:]))
        )
        yield {"text": better, "rejected_text": worse}


def measured(events: list[Event], name: str) -> list[float]:
    return [e.values[name] for e in events if isinstance(e, Metric) and name in e.values]


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("reward") / "llama")


def trained(model: Path, folder: Path, **settings: Any) -> tuple[Path, list[Event]]:
    """Train on 160 planted pairs, validate on 60 others."""
    data = write_rows(folder / "train.jsonl", planted(160, 1))
    valid = write_rows(folder / "valid.jsonl", planted(60, 2))
    how: dict[str, Any] = {
        "trainer": "reward",
        "batch_size": 8,
        "epochs": 4,
        "lr": 3e-3,
        "samples": 2,
    }
    params, run, events = job(model, data, folder, valid=valid, **{**how, **settings})
    TASK.train(params, run)
    return run.output, events


def scores(folder: Path, texts: list[str]) -> list[float]:
    """Return what the answers of `--inference` are."""
    return [TASK.answer(str(folder), TASK.question(prompt=text)) for text in texts]


@pytest.fixture(scope="module")
def learned(llama: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Event]]:
    return trained(llama, tmp_path_factory.mktemp("learned"))


@pytest.mark.slow
@pytest.mark.parametrize("centering", [None, 0.1])
def test_loss_and_gradients_of_a_batch_are_trls(
    llama: Path, tmp_path: Path, centering: float | None
) -> None:
    import copy

    from datasets import Dataset
    from transformers import AutoModelForSequenceClassification
    from trl import RewardConfig, RewardTrainer

    from worker.tasks.llm.pairs.training.ranking import CollateSides, Ranking

    model = AutoModelForSequenceClassification.from_pretrained(llama, num_labels=1, pad_token_id=0)
    args = RewardConfig(
        str(tmp_path), use_cpu=True, report_to=[], bf16=False, gradient_checkpointing=False,
        center_rewards_coefficient=centering,
    )  # fmt: skip
    theirs = RewardTrainer(
        model=copy.deepcopy(model), args=args,
        train_dataset=Dataset.from_list(ROWS), processing_class=tokenizer(),
    )  # fmt: skip
    batch = CollateSides(0)([(pair, (0.0, 0.0)) for pair in pairs()])
    given = theirs.data_collator([*theirs.train_dataset])
    assert {name: one.tolist() for name, one in batch.items()} == {
        name: given[name].tolist() for name in batch
    }
    outcome = Ranking(centering or 0.0)(model(**batch).logits[:, 0])
    outcome.loss.backward()  # type: ignore[no-untyped-call]
    loss = theirs.compute_loss(theirs.model.train(), given)
    loss.backward()
    assert outcome.loss.item() == pytest.approx(loss.item(), abs=1e-4)
    assert_same(gradients(theirs.model), gradients(model))
    assert outcome.measured["rewards/margins"].mean().item() == pytest.approx(
        theirs._metrics["train"]["margin"][0], abs=1e-4
    )


@pytest.mark.slow
def test_pairs_it_has_not_seen_are_ranked(learned: tuple[Path, list[Event]]) -> None:
    folder, events = learned
    assert measured(events, "valid_rewards/accuracies")[-1] >= 0.95
    assert measured(events, "loss")[-1] < 0.2
    others = list(planted(40, 3))
    better, worse = (scores(folder, [row[c] for row in others]) for c in others[0])
    right = sum(one > other for one, other in zip(better, worse, strict=True))
    assert right >= 0.95 * len(others)
    for one in samples(folder):
        assert "the" in one["prompt"]
        assert [line.split(":")[0] for line in one["data"].splitlines()] == ["chosen", "rejected"]
        assert "wrong way" not in one["after"] and one["after"] != one["before"]


@pytest.mark.slow
def test_the_stock_pipeline_gives_the_score(learned: tuple[Path, list[Event]]) -> None:
    from transformers import pipeline

    folder, _ = learned
    texts = ["the quick fox", "every dog comes by and says to one who jumps"]
    told = pipeline("text-classification", model=str(folder))(texts, batch_size=2)
    assert [one["label"] for one in told] == ["reward", "reward"]
    assert [one["score"] for one in told] == pytest.approx(scores(folder, texts), abs=1e-3)
    with pytest.raises(BadConfig, match="no causal language model") as caught:
        TASK.check_model(TASK.params(model="m", data_path="d"), facts_of(folder))
    assert caught.value.fix.startswith("--trainer reward, or --model")


def facts_of(folder: Path) -> ModelFacts:
    from worker.families.finished import facts_of

    return facts_of(str(folder))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["llama", "bert"])
@pytest.mark.parametrize("merge", [False, True])
def test_an_adapter_takes_its_new_layers_along(
    llama: Path, tmp_path: Path, kind: str, merge: bool
) -> None:
    model = llama if kind == "llama" else tiny_bert.write_model(tmp_path / "bert")
    settings = {"peft": True, "merge_adapter": merge, "lr": 1e-2, "epochs": 3}
    folder, events = trained(model, tmp_path, **settings)
    assert measured(events, "valid_rewards/accuracies")[-1] >= 0.8
    texts = ["the quick fox", "the lazy dog"]
    told = scores(folder, texts)
    params = TASK.params(model="m", data_path="d", trainer="reward")
    shown = re.search(
        "```python\n(.*?)```", TASK.loading(params, str(folder), adapter=not merge), re.S
    )
    assert shown is not None
    loaded: dict[str, Any] = {}
    exec(shown[1].replace("a text", texts[0]), loaded)
    if merge:
        assert loaded["score"](texts[1])[0]["score"] == pytest.approx(told[1], abs=1e-3)
    else:
        assert loaded["score"].item() == pytest.approx(told[0], abs=1e-3)
    assert told[0] > told[1]


@pytest.mark.slow
def test_beside_a_base_in_16_bits_the_new_layer_is_trained_in_32(
    llama: Path, tmp_path: Path
) -> None:
    import torch
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM

    half = write_model(tmp_path / "half")
    AutoModelForCausalLM.from_pretrained(llama).to(torch.bfloat16).save_pretrained(half)
    folder, _ = trained(half, tmp_path, peft=True, mixed_precision="bf16", max_steps=2)
    saved = load_file(folder / "adapter_model.safetensors")
    assert any("score" in name for name in saved)
    assert {weights.dtype for weights in saved.values()} == {torch.float32}


@pytest.mark.slow
def test_conversations_are_scored_as_they_were_written(llama: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    def chat(answer: str) -> list[dict[str, str]]:
        return [{"role": "user", "content": "who?"}, {"role": "assistant", "content": answer}]

    rows = [{"chosen": chat(f"fox {i % 9}"), "rejected": chat(f"dog {i % 8}")} for i in range(60)]
    data = write_rows(tmp_path / "train.jsonl", rows)
    how: dict[str, Any] = {"trainer": "reward", "epochs": 4, "batch_size": 8, "lr": 3e-3}
    params, run, _ = job(llama, data, tmp_path, **how)
    TASK.train(params, run)
    assert AutoTokenizer.from_pretrained(run.output).chat_template
    better, worse = (
        TASK.answer(str(run.output), TASK.question(prompt="who?", completion=said))
        for said in ("fox 2", "dog 2")
    )
    assert better > worse + 1


def test_what_reads_texts_can_be_made_to_score_them() -> None:
    params = TASK.params(model="ann/x", data_path="d", trainer="reward")
    taken: list[dict[str, Any]] = [
        {"architectures": ["LlamaForCausalLM"]},
        {"architectures": ["BertForMaskedLM"]},
        {"architectures": ["LlamaForSequenceClassification"], "id2label": {"0": "LABEL_0"}},
    ]
    for config in taken:
        TASK.check_model(params, ModelFacts("ann/x", 1, config=config))
    refused: list[dict[str, Any]] = [
        {"architectures": ["T5ForConditionalGeneration"], "is_encoder_decoder": True},
        {"architectures": ["BertForSequenceClassification"], "id2label": {"0": "a", "1": "b"}},
    ]
    for config in refused:
        with pytest.raises(BadConfig, match="no reward model"):
            TASK.check_model(params, ModelFacts("ann/x", 1, config=config))


def test_the_check_shows_texts_as_they_are_scored() -> None:
    params = TASK.params(model="ann/x", data_path="d", trainer="reward")
    rows = {"train": split([next(planted(1, 0))])}
    found = trainers.of(params).inspect(params, rows, FACTS, tokenizer().backend_tokenizer)
    assert found.example is not None and not any(part.special for part in found.example.parts)


def test_an_adapter_says_itself_that_it_scores() -> None:
    config = {"architectures": ["LlamaForCausalLM"]}
    for brought, does in (("SEQ_CLS", "text-classification"), ("CAUSAL_LM", "text-generation")):
        facts = ModelFacts("ann/x", 1, config=config, adapter={"task_type": brought})
        assert trainers.head_of(facts).pipeline_tag == does


FILE = """
task: llm-reward
base_model: tiny
project_name: judge
log: none
backend: local
data:
  path: prefs
  train_split: train
  valid_split: null
  chat_template: null
  column_mapping:
    text_column: text
    rejected_text_column: rejected_text
params:
  block_size: 64
  model_max_length: 64
  epochs: 2
  batch_size: 4
  gradient_accumulation: 1
  lr: 3e-3
"""


@pytest.mark.slow
def test_a_job_from_a_file_with_the_columns_of_autotrain(
    shared_hub: Any, llama: Path, tmp_path: Path
) -> None:
    (tmp_path / "prefs").mkdir()
    (tmp_path / "tiny").symlink_to(llama)
    with (tmp_path / "prefs" / "train.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.DictWriter(file, ("text", "rejected_text"))
        rows.writeheader()
        rows.writerows(planted(60, 1))
    (tmp_path / "job.yml").write_text(FILE)
    laptop = Laptop(tmp_path / "home", shared_hub)
    done = laptop.run("--config", "job.yml", HF_TOKEN="")
    assert done.code == 0, done.err + done.out
    assert "60 pairs of answers" in done.out and "the difference of two scores" in done.out
    assert "rewards/accuracies" in done.out
    asked = ("llm", "--inference", "--model", "./judge", "--prompt", "the fox", "--json")
    said = laptop.run(*asked, HF_TOKEN="")
    assert isinstance(said.document["answer"], float), said.err + said.out
