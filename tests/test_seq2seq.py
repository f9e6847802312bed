"""Models that write one text from another: judged by the package rouge_score and by transformers'
own trainer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import tiny_t5
from tiny_llm import write_rows

from worker.contract import DataRef, Event, Metric, Phase
from worker.errors import BadConfig
from worker.facts import CheckContext
from worker.reading import load
from worker.task import DataReport, ModelFacts, Run
from worker.tasks.seq2seq import TASK
from worker.tasks.seq2seq.params import Question

pytestmark = pytest.mark.slow

SAID = ("in the evening the dog sees the cat .", "the dog sees the cat")


@pytest.fixture(scope="module")
def t5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_t5.write_model(tmp_path_factory.mktemp("t5"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rows(tmp_path_factory.mktemp("rows") / "rows.jsonl", tiny_t5.rows(320))


@pytest.fixture(scope="module")
def trained(t5: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, list[Event]]:
    folder = tmp_path_factory.mktemp("trained")
    many = write_rows(folder / "rows.jsonl", tiny_t5.rows(960))
    params, run, events = tiny_t5.job(t5, many, folder / "run", epochs=16, lr=2e-3, batch_size=16)
    TASK.train(params, run)
    return run, events


def told(events: Sequence[Event], name: str) -> dict[int, float]:
    return {e.step: e.values[name] for e in events if isinstance(e, Metric) and name in e.values}


def test_it_learns_and_writes_with_stock_transformers(trained: tuple[Run, list[Event]]) -> None:
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    run, events = trained
    rouge = told(events, "valid_rougeL")
    assert rouge[0] < 20 and max(rouge.values()) > 95
    assert told(events, "valid_loss")[0] > 3
    assert max(told(events, "valid_gen_len").values()) <= 12
    assert [e.name for e in events if isinstance(e, Phase)][-1] == "saved"
    model = AutoModelForSeq2SeqLM.from_pretrained(run.output)
    tokenizer = AutoTokenizer.from_pretrained(run.output)
    assert model.generation_config.max_new_tokens == 12, "and not the libraries' 20"
    out = model.generate(**tokenizer(SAID[0], return_tensors="pt"))
    assert tokenizer.decode(out[0], skip_special_tokens=True) == SAID[1]


def test_questions_are_answered_in_their_order(trained: tuple[Run, list[Event]]) -> None:
    asked = [Question(text=SAID[0]), Question(text="the owl finds the ant .")] * 2
    answers = list(TASK.answering(str(trained[0].output), asked[0], 3)(asked))
    assert answers[0] == answers[2] == SAID[1] and answers[1] == answers[3] != SAID[1]
    short = Question(text=SAID[0], max_new_tokens=2)
    assert TASK.answer(str(trained[0].output), short) == "the dog"


def test_rouge_is_that_of_the_package() -> None:
    from rouge_score.rouge_scorer import RougeScorer

    from worker.tasks.seq2seq.training.rouge import KINDS, by_sentence, rouge

    said = ["The cats were running. It rained!", "nothing at all", "the fox_jumped over 12 dogs"]
    right = ["It rained. The cat ran.", "something else", "12 dogs jumped over the fox"]
    judge = RougeScorer(KINDS, use_stemmer=True)
    scores = [judge.score(by_sentence(b), by_sentence(a)) for a, b in zip(said, right, strict=True)]
    for kind, value in rouge(said, right).items():
        assert value == pytest.approx(100 * sum(s[kind].fmeasure for s in scores) / 3)
    assert by_sentence("One. Two! Three") == "One.\nTwo!\nThree"
    assert rouge(["привет, мир"], ["Привет мир"])["rouge2"] == pytest.approx(100)
    assert rouge(["\u732b\u304c\u5bdd\u308b"], ["\u732b\u304c\u8d70\u308b"])["rouge1"] == 75


def reference(t5: Path, params: Any, run: Run) -> dict[str, float]:
    """Return what transformers' own trainer, written by hand, measures on the same rows."""
    import numpy as np
    from rouge_score.rouge_scorer import RougeScorer
    from transformers import (
        AutoModelForSeq2SeqLM,
        AutoTokenizer,
        DataCollatorForSeq2Seq,
        Seq2SeqTrainer,
        Seq2SeqTrainingArguments,
        set_seed,
    )

    from worker.tasks.seq2seq.rows import gathered

    set_seed(params.seed)
    tokenizer, corpus = AutoTokenizer.from_pretrained(t5), gathered(load(run.data), params)
    model = AutoModelForSeq2SeqLM.from_pretrained(t5)

    def rows(some: Any) -> list[dict[str, Any]]:
        how: dict[str, Any] = {"return_token_type_ids": False}
        return [dict(tokenizer(one.text, text_target=one.target, **how)) for one in some]

    def measured(found: Any) -> dict[str, float]:
        said = np.where(found.predictions < 0, 0, found.predictions)
        texts = tokenizer.batch_decode(said, skip_special_tokens=True)
        judge = RougeScorer(["rougeL"], use_stemmer=True)
        wanted = [one.target for one in corpus.held]
        pairs = zip(wanted, texts, strict=True)
        return {"rougeL": 100 * float(np.mean([judge.score(*p)["rougeL"].fmeasure for p in pairs]))}

    args = Seq2SeqTrainingArguments(
        **{"output_dir": str(run.work), "predict_with_generate": True, "use_cpu": True},
        **{"generation_max_length": 13, "num_train_epochs": params.epochs, "seed": params.seed},
        **{"learning_rate": params.lr, "per_device_train_batch_size": 8, "warmup_steps": 0.1},
        **{"data_seed": params.seed, "report_to": [], "save_strategy": "no", "disable_tqdm": True},
        logging_strategy="no",
    )
    trainer = Seq2SeqTrainer(
        model=model,
        args=args,
        train_dataset=rows(corpus.learned),
        eval_dataset=rows(corpus.held),
        data_collator=DataCollatorForSeq2Seq(tokenizer),
        processing_class=tokenizer,
        compute_metrics=measured,
    )
    trainer.train()
    found: dict[str, float] = trainer.evaluate()
    return found


@pytest.mark.parametrize(
    "seed", [1, *(pytest.param(n, marks=pytest.mark.campaign) for n in (2, 3))]
)
def test_it_measures_what_transformers_own_trainer_does(
    t5: Path, data: Path, tmp_path: Path, seed: int
) -> None:
    how: dict[str, Any] = {"group_by_length": False, "epochs": 3, "seed": seed}
    params, run, events = tiny_t5.job(t5, data, tmp_path, **how)
    TASK.train(params, run)
    theirs = reference(t5, params, run)
    last = max(told(events, "valid_loss"))
    assert told(events, "valid_loss")[last] == pytest.approx(theirs["eval_loss"], rel=0.02)
    assert told(events, "valid_rougeL")[last] == pytest.approx(theirs["eval_rougeL"], abs=3)


def test_the_loss_of_a_batch_is_that_of_the_model_by_hand(
    t5: Path, data: Path, tmp_path: Path
) -> None:
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, DataCollatorForSeq2Seq

    how: dict[str, Any] = {"max_steps": 1, "batch_size": 320, "valid_split": None}
    params, run, events = tiny_t5.job(t5, data, tmp_path, logging_steps=1, **how)
    TASK.train(params, run)
    tokenizer = AutoTokenizer.from_pretrained(t5)
    rows = [json.loads(line) for line in data.read_text().splitlines()]
    batch = DataCollatorForSeq2Seq(tokenizer)(
        [tokenizer(r["text"], text_target=r["target"]) for r in rows]
    )
    batch.pop("token_type_ids", None)
    loss = AutoModelForSeq2SeqLM.from_pretrained(t5).train()(**batch).loss
    assert told(events, "loss")[1] == pytest.approx(loss.item(), abs=1e-5)


@pytest.mark.parametrize("kind", ["bart", "led", "mbart", "pegasus", "mt5"])
def test_other_kinds_learn_and_write(data: Path, tmp_path: Path, kind: str) -> None:
    model = tiny_t5.write_model(tmp_path / kind, kind)
    params, run, events = tiny_t5.job(model, data, tmp_path, max_steps=12, rouge_rows=8)
    TASK.train(params, run)
    losses = told(events, "valid_loss")
    assert losses[max(losses)] < losses[0] - 0.3
    assert told(events, "valid_gen_len")
    assert isinstance(TASK.answer(str(run.output), Question(text=SAID[0])), str)


@pytest.mark.parametrize(
    "how",
    [
        {"quantization": "int8"},
        {"quantization": "int4", "merge_adapter": True},
        {"mixed_precision": "bf16"},
    ],
    ids=lambda how: "-".join(map(str, how.values())),
)
def test_an_adapter_is_pushed_alone_or_merged(
    t5: Path, data: Path, tmp_path: Path, how: dict[str, Any]
) -> None:
    settings = {"max_steps": 12, "rouge_rows": 8, "lr": 1e-2, "peft": True, **how}
    params, run, events = tiny_t5.job(t5, data, tmp_path, **settings)
    TASK.train(params, run)
    losses = told(events, "valid_loss")
    assert losses[max(losses)] < losses[0] - 0.2
    alone = (run.output / "adapter_config.json").exists()
    assert alone is not params.merge_adapter
    assert (" peft" in TASK.loading(params, "ann/x", adapter=alone)) is alone
    assert isinstance(TASK.answer(str(run.output), Question(text=SAID[0])), str)


FACTS = ModelFacts("flan", 250_000_000, 4.0, {"model_type": "t5", "d_model": 768, "num_layers": 12})


def checked(folder: Path, rows: list[dict[str, Any]], **settings: Any) -> DataReport:
    data = write_rows(folder / "rows.jsonl", rows)
    params = TASK.params(data_path=str(data), **settings)
    splits = load(DataRef(folder=str(folder), train=("rows.jsonl",)))
    return TASK.inspect(params, splits, FACTS, tiny_t5.tokenizer().backend_tokenizer)


def test_the_check_finds_all_that_is_wrong(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"id": 1, "dialogue": "the dog sees the cat " * 40, "summary": "the dog"},
        {"id": 2, "dialogue": "", "summary": "the dog"},
        {"id": 3, "dialogue": "the cat", "summary": "the cat"},
        *({"id": i, "dialogue": f"the hen {i}", "summary": "the hen"} for i in range(4, 15)),
        {"id": 15, "dialogue": "the hen 5", "summary": "the hen"},
    ]
    found = checked(tmp_path, rows, valid_split="0.5", max_target_length=2)
    text = "\n".join(f"{f.level} {f.text} {f.fix}" for f in found.findings)
    assert "14 pairs of texts · 50% held out" in text
    assert "1 row of rows.jsonl without a text on both sides, 2: left out" in text
    assert "1 row whose text is to be written as it is, 3" in text
    assert "tokens a text: median 4" in text and "tokens a target: median 3" in text
    assert "cut at 2" in text and "--max-target-length" in text
    assert found.example is not None and found.example.parts[1].learned
    assert found.rows == 7 and found.valid_rows == 7
    lists = checked(tmp_path, [{"text": ["a", "list"], "target": "a"}] * 2)
    assert 'the column "text" holds lists' in "".join(f.text for f in lists.findings)
    wrong = checked(tmp_path, [{"text": "a", "target": "a"}] * 3).findings
    assert any("nothing to learn" in f.text and f.level == "error" for f in wrong)


def test_what_cannot_be_trained_is_refused() -> None:
    with pytest.raises(BadConfig, match="no encoder that reads a text"):
        TASK.check_model(
            TASK.params(data_path="d"), ModelFacts("x", 1, config={"model_type": "gpt2"})
        )
    with pytest.raises(ValueError, match="quantization int8 needs --peft"):
        TASK.params(data_path="d", quantization="int8")
    half = TASK.params(data_path="d", mixed_precision="fp16")
    said = [f.text for f in half.checks(CheckContext(facts=FACTS))]
    assert any("t5 overflows" in text for text in said)
    bart = ModelFacts("b", 1, config={"model_type": "bart"})
    assert not [f for f in half.checks(CheckContext(facts=bart)) if "overflows" in f.text]
