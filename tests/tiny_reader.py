"""A BERT of some 100 thousand parameters that knows capitals and digits; sentences and questions.

In the sentences capitalised words are names, two of them in several tokens; in the contexts a
number stands behind each of several words, and the one behind `age` is asked for.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tiny_llm import write_rows
from tiny_run import run_of

from worker.contract import Event
from worker.task import Run, Task

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
THINGS = "age size cost rank mass"
_WORDS = f"the in of lives works meets says and has a is what answer . ? , {THINGS} Ann Bob Ulm Rom"
WORDS = _WORDS.split()


def tokenizer() -> Any:
    """Return a tokenizer of some words, letters and digits, as transformers knows it."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    letters = [chr(i) for i in (*range(48, 58), *range(65, 91), *range(97, 123))]
    known = [*SPECIAL, *WORDS, *letters, *(f"##{letter}" for letter in letters)]
    vocabulary = {word: i for i, word in enumerate(dict.fromkeys(known))}
    raw = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    raw.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    raw.add_special_tokens(SPECIAL)
    raw.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    names = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    return PreTrainedTokenizerFast(
        tokenizer_object=raw,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        **dict(zip(names, SPECIAL, strict=True)),
    )


def write_model(folder: Path, kind: str = "bert", **more: Any) -> Path:
    """Write a model without a head, with random weights, always the same, and its tokenizer."""
    import torch
    from transformers import AutoConfig, AutoModel

    sizes = {
        "vocab_size": len(tokenizer()),
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 96,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    }
    torch.manual_seed(0)
    tokenizer().save_pretrained(folder)
    AutoModel.from_config(AutoConfig.for_model(kind, **{**sizes, **more})).save_pretrained(folder)
    return folder


def sentences(count: int, seed: int = 0, most: int = 1) -> list[dict[str, Any]]:
    """Return rows of up to `most` sentences with the names in them tagged: people, then places."""
    chance = random.Random(seed)

    def sentence() -> tuple[list[str], list[str]]:
        person = [chance.choice(("Ann", "Bob")), "Gds"][: chance.randint(1, 2)]
        place = chance.choice(("Ulm", "Rom", "Rtk"))
        words = [*person, chance.choice(("lives", "works")), "in", place, "."]
        tags = [*("B-PER", "I-PER")[: len(person)], "O", "O", "B-LOC", "O"]
        return words, tags

    rows = [[sentence() for _ in range(chance.randint(1, most))] for _ in range(count)]
    return [
        {"tokens": [w for words, _ in row for w in words], "tags": [t for _, ts in row for t in ts]}
        for row in rows
    ]


def questions(count: int, seed: int = 0, *, unanswerable: bool = False) -> list[dict[str, Any]]:
    """Return contexts of things and their numbers, and questions for the age among them.

    Where some are `unanswerable`, every fourth tells no age.
    """
    chance, found = random.Random(seed), []
    for number in range(count):
        others = chance.sample(THINGS.split()[1:], 3)
        things = [*others, *([] if unanswerable and number % 4 == 0 else ["age"])]
        chance.shuffle(things)
        told = {thing: str(chance.randint(10, 999)) for thing in things}
        context = " , ".join(f"the {thing} is {value}" for thing, value in told.items())
        answers: dict[str, list[Any]] = {"text": [], "answer_start": []}
        if "age" in told:
            start = context.index("age is ") + len("age is ")
            answers = {"text": [told["age"]], "answer_start": [start]}
        found.append({"context": context, "question": "what is the age ?", "answers": answers})
    return found


def job(
    task: Task[Any],
    model: Path,
    rows: Iterable[Mapping[str, Any]] | Path,
    folder: Path,
    *,
    valid: Iterable[Mapping[str, Any]] | None = None,
    **settings: Any,
) -> tuple[Any, Run, list[Event]]:
    """Return settings, the run they make, and the list its events will be in."""
    data = rows if isinstance(rows, Path) else write_rows(folder / "train.jsonl", rows)
    held = None if valid is None else write_rows(data.parent / "valid.jsonl", valid)
    small = {"lr": 1e-3, "epochs": 1, "valid_split": "valid" if valid else None}
    params = task.params(model=str(model), data_path=str(data), **{**small, **settings})
    run, events = run_of(task, params, model, data, folder, valid=held)
    run.output.mkdir(parents=True)
    run.work.mkdir(parents=True)
    return params, run, events


def train(
    task: Task[Any],
    model: Path,
    rows: Iterable[Mapping[str, Any]],
    folder: Path,
    valid: Iterable[Mapping[str, Any]],
    **settings: Any,
) -> tuple[Path, list[Event]]:
    """Train until the rows are learned; return the folder of the model, and the events."""
    how: dict[str, Any] = {"epochs": 3, "lr": 3e-3, **settings}
    params, run, events = job(task, model, rows, folder, valid=valid, **how)
    task.train(params, run)
    return run.output, events
