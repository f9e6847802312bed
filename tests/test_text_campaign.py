"""Text classification at length: in two processes, on a Space of the local Hub, on real texts."""

from __future__ import annotations

import ast
import os
import re
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import tiny_bert
from standins.laptop import Laptop
from tiny_text import job, rows, told, write_rows

from worker import launch
from worker.contract import MARK_VARIABLE, JobSpec, Machine, Parallel, from_marked
from worker.splits import hold_out_of_each
from worker.tasks.text_classification import TASK
from worker.tasks.text_regression import TASK as NUMBERS

pytestmark = [pytest.mark.campaign, pytest.mark.slow, pytest.mark.timeout(900)]

ROOT = Path(__file__).parent.parent
CALM = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


@pytest.mark.parametrize(
    ("task", "column"), [(TASK, "label"), (TASK, "animals"), (NUMBERS, "count")]
)
def test_two_processes_learn_what_one_does(task: Any, column: str, tmp_path: Path) -> None:
    model = tiny_bert.write_model(tmp_path / "bert", **CALM)
    data = write_rows(tmp_path / "rows" / "train.jsonl", rows(96))
    valid = write_rows(tmp_path / "rows" / "valid.jsonl", rows(21, first=900))
    how: dict[str, Any] = {"batch_size": 4, "gradient_accumulation": 2, "logging_steps": 1}
    how |= {"target_column": column, "valid": valid, "epochs": 2}
    params, run, events = job(task, model, data, tmp_path / "one", **how)
    task.train(params, run)
    spec = JobSpec(
        job_id="k4x",
        project="several",
        task=task.name,
        params=params.model_dump(mode="json"),
        model=run.model,
        data=run.data,
        machine=Machine(backend="local"),
        parallel=Parallel(processes=2),
    )
    two = together(spec, tmp_path / "two")
    for name in ("loss", "valid_loss"):
        assert told(two, name) == pytest.approx(told(events, name), abs=1e-3), name
    assert (tmp_path / "two" / "output" / "judged.png").is_file()


def together(asked: JobSpec, folder: Path) -> list[Any]:
    """Train in several processes, as the supervisor starts them; return what they told."""
    folder.mkdir()
    (folder / "job.json").write_text(asked.model_dump_json())
    places = ("--job", folder / "job.json", "--output", folder / "output", "--work", folder)
    environ = {"PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1", MARK_VARIABLE: "@mark "}
    ended = subprocess.run(
        launch.command(asked.parallel, [*map(str, places)], cores=2),
        env=os.environ | environ,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return [e for line in ended.stdout.splitlines() if (e := from_marked(line, "@mark "))]


def test_texts_are_learned_on_a_space_and_told_apart_afterwards(
    hub_server: Any, tmp_path: Path
) -> None:
    from huggingface_hub import ModelCard, snapshot_download

    hub = hub_server()
    hub.api().create_repo("ann/tiny-bert")
    bert = tiny_bert.write_model(tmp_path / "bert")
    hub.api().upload_folder(repo_id="ann/tiny-bert", folder_path=bert)
    write_rows(tmp_path / "foxes.jsonl", rows(160))
    laptop = Laptop(tmp_path / "home", hub)
    said = laptop.run(
        *("text-classification", "--train", "--model", "ann/tiny-bert"),
        *("--data-path", "foxes.jsonl", "--lr", "3e-3", "--epochs", "12", "--max-seq-length", "32"),
        *("--early-stopping-patience", "20", "--project-name", "foxes"),
        *("--backend", "spaces-cpu", "--push-to-hub", "--username", "ann", "--json"),
    )
    assert said.code == 0, said.err + said.out
    assert said.document["metrics"]["valid_accuracy"] > 0.8
    folder = Path(snapshot_download("ann/foxes", token=hub.tokens["ann"], endpoint=hub.endpoint))
    card = ModelCard.load(folder / "README.md")
    assert card.data.pipeline_tag == "text-classification"
    assert 'pipeline("text-classification", model="ann/foxes")' in card.text
    assert "(judged.png)" in card.text and (folder / "judged.png").is_file()
    asked = laptop.run(
        *("text-classification", "--inference", "--model", "ann/foxes"),
        *("--text", "the quick fox", "--top-k", "1", "--json"),
    )
    assert asked.code == 0, asked.err
    assert [one["label"] for one in asked.document["answer"]] == ["fox"]


PACKAGES = ("networkx", "numpy", "pandas", "scipy", "sklearn", "torch")
EACH = 700


def first_paragraphs(package: str) -> Iterator[str]:
    """Yield how the functions and classes of a package describe themselves, names masked."""
    spec = find_spec(package)
    folder = Path(str((spec and spec.origin) or "")).parent
    for file in sorted(folder.rglob("*.py")):
        if "test" in str(file.relative_to(folder)):
            continue
        for node in ast.walk(ast.parse(file.read_text("utf-8", errors="replace"))):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                said = (ast.get_docstring(node) or "").split("\n\n")[0]
                text = re.sub(rf"(?i){package}|\s+", " ", said).strip()
                if 40 <= len(text) <= 400:
                    yield text


def test_real_texts_are_told_apart_as_well_as_by_the_usual_baseline(tmp_path: Path) -> None:
    """Which of six packages a docstring is from: texts that any machine with the extras has."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    found = {
        text: package
        for package in PACKAGES
        for text in list(dict.fromkeys(first_paragraphs(package)))[:EACH]
    }
    texts, names = list(found), list(found.values())
    held = hold_out_of_each(names, 0.2, 42)
    parts: dict[bool, list[dict[str, Any]]] = {False: [], True: []}
    for place, (text, name) in enumerate(zip(texts, names, strict=True)):
        parts[place in held].append({"text": text, "label": name})
    learned, judging = parts[False], parts[True]
    baseline = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(C=10))
    baseline.fit([row["text"] for row in learned], [row["label"] for row in learned])
    plain = baseline.score([row["text"] for row in judging], [row["label"] for row in judging])

    model = write_bert(tmp_path / "bert", [row["text"] for row in learned])
    data = write_rows(tmp_path / "rows" / "train.jsonl", learned)
    valid = write_rows(tmp_path / "rows" / "valid.jsonl", judging)
    how: dict[str, Any] = {"max_seq_length": 128, "lr": 5e-4, "batch_size": 16, "epochs": 6}
    params, run, events = job(TASK, model, data, tmp_path, valid=valid, **how)
    TASK.train(params, run)
    ours = max(told(events, "valid_accuracy"))
    print(f"{len(learned):,} texts, {len(judging):,} judge: {ours:.3f}, by tf-idf {plain:.3f}")
    assert ours > plain - 0.05, f"{ours:.3f} against {plain:.3f}"


def write_bert(folder: Path, texts: list[str]) -> Path:
    """Write a BERT of a million parameters with random weights, and a tokenizer of these texts."""
    import torch
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    raw = BertWordPieceTokenizer(lowercase=True)
    raw.train_from_iterator(texts, vocab_size=6000, min_frequency=2, show_progress=False)
    BertTokenizerFast(tokenizer_object=raw._tokenizer).save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = BertConfig(raw.get_vocab_size(), intermediate_size=256, **sizes)
    BertForSequenceClassification(config).save_pretrained(folder)
    return folder
