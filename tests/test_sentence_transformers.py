"""Models that make vectors of sentences: judged by the library's own trainer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import tiny_sentences
from tiny_llm import write_rows

from worker.contract import DataRef, Event, Metric
from worker.reading import load
from worker.task import DataReport, ModelFacts
from worker.tasks.sentence_transformers import TASK
from worker.tasks.sentence_transformers.learning import LEARNING
from worker.tasks.sentence_transformers.params import TRAINERS, Question

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_sentences.write_model(tmp_path_factory.mktemp("bert"))


def told(events: Sequence[Event], name: str) -> dict[int, float]:
    return {e.step: e.values[name] for e in events if isinstance(e, Metric) and name in e.values}


@pytest.mark.parametrize("trainer", TRAINERS)
def test_each_trainer_learns_and_its_card_tells_how_to_load_it(
    model: Path, tmp_path: Path, trainer: str
) -> None:
    params, run, events = tiny_sentences.job(model, tmp_path, trainer)
    TASK.train(params, run)
    telling = told(events, f"valid_{LEARNING[trainer].measure}")
    assert max(telling.values()) > min(0.95, telling[0] + 0.05)
    losses = told(events, "valid_loss")
    assert losses[max(losses)] < losses[0]
    left = {path.name for path in run.output.iterdir()}
    assert {"modules.json", "1_Pooling", "config_sentence_transformers.json"} <= left
    assert "README.md" not in left, "the card is the supervisor's"
    assert ("judged.png" in left) is (LEARNING[trainer].target is not None)
    if trainer == "pair":
        loading = TASK.loading(params, str(run.output), adapter=False)
        code = re.findall(r"```python\n(.*?)\n```", loading, re.S)
        known: dict[str, Any] = {}
        exec(code[0], known)
        assert known["model"].max_seq_length == 16
        assert known["vectors"].shape == (2, 64)
        asked = [Question(text="the a b fox"), Question(text="the a b fox", other="dog b a hello")]
        vector, alike = TASK.answering(str(run.output), asked[0], 2)(asked)
        assert len(vector) == 64 and -1 <= alike <= 1


@pytest.mark.parametrize("trainer", TRAINERS)
def test_losses_are_those_of_the_librarys_own_trainer(
    model: Path, tmp_path: Path, trainer: str
) -> None:
    how: dict[str, Any] = {"epochs": 1, "logging_steps": 1, "valid_split": None, "seed": 7}
    params, run, events = tiny_sentences.job(model, tmp_path, trainer, **how)
    TASK.train(params, run)
    theirs = by_the_library(model, tmp_path / "theirs", trainer, params)
    assert len(theirs) == 15
    assert told(events, "loss") == pytest.approx(theirs, rel=1e-4)


def by_the_library(model: Path, folder: Path, trainer: str, params: Any) -> dict[int, float]:
    """Return the losses of the library's trainer by steps, set up as its documentation has it."""
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.sentence_transformer.losses import (
        CoSENTLoss,
        MultipleNegativesRankingLoss,
        SoftmaxLoss,
    )
    from transformers import set_seed

    set_seed(params.seed)
    net = SentenceTransformer(str(model), device="cpu")
    net.max_seq_length = params.max_seq_length
    rows = Dataset.from_list(tiny_sentences.rows(trainer, 240))
    if trainer == "pair_class":
        rows = rows.map(lambda row: {"label": row["label"] - 1})  # theirs have to begin at 0
        loss = SoftmaxLoss(net, net.get_embedding_dimension(), 3)
    else:
        loss = CoSENTLoss(net) if trainer == "pair_score" else MultipleNegativesRankingLoss(net)
    told_of = trainer in ("pair_score", "pair_class")
    args = SentenceTransformerTrainingArguments(
        output_dir=str(folder), num_train_epochs=1, seed=params.seed, use_cpu=True,
        per_device_train_batch_size=params.batch_size, learning_rate=params.lr, warmup_steps=0.1,
        logging_steps=1, report_to=[], save_strategy="no",
        batch_sampler="batch_sampler" if told_of else "no_duplicates",
    )  # fmt: skip
    made = SentenceTransformerTrainer(model=net, args=args, train_dataset=rows, loss=loss)
    made.train()
    return {e["step"]: e["loss"] for e in made.state.log_history if "loss" in e}


FACTS = ModelFacts("mpnet", 1, config={"model_type": "mpnet", "max_position_embeddings": 514})


def checked(folder: Path, rows: list[dict[str, Any]], **settings: Any) -> DataReport:
    data = write_rows(folder / "rows.jsonl", rows)
    params = TASK.params(data_path=str(data), **settings)
    splits = load(DataRef(folder=str(folder), train=("rows.jsonl",)))
    return TASK.inspect(params, splits, FACTS, None)


def text_of(report: DataReport) -> str:
    return "\n".join(f"{f.level} {f.text} {f.fix}" for f in report.findings)


def test_the_check_tells_of_rows_that_teach_nothing(tmp_path: Path) -> None:
    pairs: list[dict[str, Any]] = [
        {"query": f"what is {i}", "answer": f"it is {i}"} for i in range(20)
    ]
    odd = [{"query": "so", "answer": "so"}, pairs[3], {"query": "empty", "answer": ""}]
    text = text_of(checked(tmp_path, pairs + odd, trainer="qa"))
    assert "22 questions with an answer" in text
    assert "1 row in which both sentences are the same, 21" in text
    assert "1 row of rows.jsonl that were there before, 22" in text
    assert "without one of the sentences, 23: left out" in text
    assert "the 7 others of its batch" in text
    three = [{"anchor": "a", "positive": f"b {i}", "negative": f"c {i}"} for i in range(9)]
    three.append({"anchor": "a", "positive": "b", "negative": "b"})
    text = text_of(checked(tmp_path, three, trainer="triplet"))
    assert "9 triplets" in text and "also the one that does not belong, 10: left out" in text


def test_scores_and_classes_are_looked_at(tmp_path: Path) -> None:
    scored = [{"sentence1": f"a {i}", "sentence2": "b", "score": i % 6} for i in range(12)]
    text = text_of(checked(tmp_path, scored))
    assert "scores from 0 to 5, median 3: kept as they are" in text
    text = text_of(checked(tmp_path, [{**row, "score": 1} for row in scored]))
    assert "error all pairs have the same score" in text
    classes = [{"premise": f"a {i}", "hypothesis": "b", "label": 1 + i % 3} for i in range(12)]
    found = checked(tmp_path, classes, trainer="pair_class")
    assert "3 classes: 1 4, 2 4, 3 4" in text_of(found) and found.classes == 3
    assert found.example is not None and found.example.parts[-1].learned


@pytest.mark.parametrize(
    ("named", "trainer"),
    [("st:pair_class", "pair_class"), ("sentence-transformers:qa", "qa"), ("st", "pair_score")],
)
def test_the_names_of_autotrain(named: str, trainer: str) -> None:
    from orchestrator.settings.gather import task_of

    task, given = task_of(named)
    assert task is TASK
    assert given.get("trainer", TASK.params.model_fields["trainer"].default) == trainer
