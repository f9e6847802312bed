"""How fast texts are learned: rows a second against transformers' Trainer with its best settings.

All train the same small BERT on the same texts in 32 bits and on one thread, each in a process of
its own; the best of two runs counts. Seconds are CPU-seconds, which on one thread are seconds of an
idle machine, whatever else this one does. By hand: texts are put together by length and padded to
the longest of a batch (`group_by_length`, `DataCollatorWithPadding`). AutoTrain padded each text to
`max_seq_length`, and took them as chance had it.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks._job import run_on
from benchmarks.sft_speed import RUNS, measure
from worker.contract import Event, Progress

TEXTS, LONGEST, BATCH = 1600, 128, 8
SECONDS = 400
GOAL, GOAL_AUTOTRAIN = 1.0, 1.3
WORDS = ("the", "quick", "brown", "fox", "jumps", "over", "lazy", "dog", "says", "hello")
PROGRAM = "benchmarks.text_classification"


def write_texts(file: Path) -> Path:
    """Write texts of 3 to 126 words, half of them shorter than 30: as mails and reviews are."""
    chance = random.Random(0)
    with file.open("w", encoding="utf-8") as out:
        for _ in range(TEXTS):
            count = min(LONGEST - 2, max(3, round(chance.lognormvariate(3.4, 0.8))))
            text = " ".join(chance.choice(WORDS) for _ in range(count))
            print(json.dumps({"text": text, "target": str(chance.randrange(2))}), file=out)
    return file


def write_bert(folder: Path) -> Path:
    """Write a BERT of 5 million parameters with random weights, and a tokenizer of words."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    raw = Tokenizer(
        models.WordLevel({w: i for i, w in enumerate([*special, *WORDS])}, unk_token="[UNK]")
    )
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    raw.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=raw, **names).save_pretrained(folder)
    sizes = {"hidden_size": 256, "num_hidden_layers": 6, "num_attention_heads": 4}
    config = BertConfig(vocab_size=1000, intermediate_size=1024, **sizes)
    BertForSequenceClassification(config).save_pretrained(folder)
    return folder


def ours(model: Path, data: Path) -> float:
    """Return the rows a second between the worker's first report and its last step's."""
    from worker.engine.lean import leave_out, unused
    from worker.tasks.text_classification import TASK

    told: list[tuple[float, int]] = []

    def tell(event: Event) -> None:
        if isinstance(event, Progress):
            told.append((time.process_time(), event.units))

    params = TASK.params(
        model=str(model), data_path=str(data), valid_split=None, epochs=1, save_strategy="no"
    )
    leave_out(unused(params))
    TASK.train(params, run_on(model, data, tell))
    return told[-1][1] / (told[-1][0] - told[0][0])


def trainer(model: Path, data: Path, *, padded: bool) -> float:
    """Return the rows a second of transformers' Trainer; `padded` as AutoTrain had it."""
    sys.modules["bitsandbytes"] = None  # type: ignore[assignment]
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainerCallback,
        TrainingArguments,
    )

    class Clock(TrainerCallback):  # type: ignore[misc]
        began = ended = 0.0

        def on_train_begin(self, *_: Any, **__: Any) -> None:
            self.began = time.process_time()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            self.ended = time.process_time()

    tokenizer, clock = AutoTokenizer.from_pretrained(model), Clock()
    how = {"truncation": True, "max_length": LONGEST, "padding": "max_length" if padded else False}
    rows = [json.loads(line) for line in data.read_text("utf-8").splitlines()]
    texts = [{**tokenizer(row["text"], **how), "labels": int(row["target"])} for row in rows]
    with tempfile.TemporaryDirectory() as folder:
        args = TrainingArguments(
            output_dir=folder,
            num_train_epochs=1,
            per_device_train_batch_size=BATCH,
            learning_rate=5e-5,
            save_strategy="no",
            report_to=[],
            use_cpu=True,
            disable_tqdm=True,
            train_sampling_strategy="random" if padded else "group_by_length",
        )
        net = AutoModelForSequenceClassification.from_pretrained(model)
        collate = DataCollatorWithPadding(tokenizer)
        Trainer(net, args, collate, texts, callbacks=[clock]).train()
    return len(texts) / (clock.ended - clock.began)


CONTESTANTS: dict[str, Callable[[Path, Path], float]] = {
    "ours": ours,
    "by_hand": lambda model, data: trainer(model, data, padded=False),
    "autotrain": lambda model, data: trainer(model, data, padded=True),
}


def main() -> None:
    """Print the ratios to transformers' Trainer, and to what AutoTrain asked of it."""
    with tempfile.TemporaryDirectory() as folder:
        model = write_bert(Path(folder) / "model")
        data = write_texts(Path(folder) / "data.jsonl")
        best = dict.fromkeys(CONTESTANTS, 0.0)
        for _ in range(RUNS):
            for name, speed in best.items():
                rows = measure(name, model, data, PROGRAM)
                print(f"  {name}: {rows:,.1f} texts per CPU-second")
                best[name] = max(speed, rows)
    for name, goal in (("by_hand", GOAL), ("autotrain", GOAL_AUTOTRAIN)):
        ratio = best["ours"] / best[name]
        verdict = "ok" if ratio >= goal else "TOO SLOW"
        print(f"  ours is {ratio:.2f} of {name} (at least {goal}) {verdict}")


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    else:
        print(json.dumps(CONTESTANTS[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))))
