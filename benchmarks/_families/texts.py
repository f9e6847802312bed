"""Texts: classes of them and of their words, answers in them, other texts, vectors of sentences."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks._families import Asked, Family, Shape, Size

LONGEST = 128
"""Tokens of a text, AutoTrain's default."""

LONGEST_CONTEXT, STRIDE = 384, 128
"""Tokens of a question and its context, as in BERT's script for SQuAD, and what windows share."""

LONGEST_TARGET = 64
TAGS = ("O", "B-PER", "I-PER", "B-LOC")
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
WORDS = tuple(f"w{number}" for number in range(900))
NOT_JUDGED = -100


def texts(file: Path, rows: Iterator[Mapping[str, Any]]) -> Path:
    """Write JSON lines; return the file."""
    with file.open("w", encoding="utf-8") as out:
        for row in rows:
            print(json.dumps(row), file=out)
    return file


def words(chance: random.Random, most: int = LONGEST - 2, middle: float = 3.4) -> list[str]:
    """Return 3 to `most` words, half of them under `e ** middle`: as mails and reviews are."""
    count = min(most, max(3, round(chance.lognormvariate(middle, 0.8))))
    return chance.choices(WORDS, k=count)


def data(row: Callable[[random.Random], Mapping[str, Any]]) -> Callable[[Path, int], Path]:
    """Return what writes rows, each made by chance."""

    def write(folder: Path, count: int) -> Path:
        chance = random.Random(0)
        return texts(folder / "rows.jsonl", (row(chance) for _ in range(count)))

    return write


def read(file: Path) -> list[dict[str, Any]]:
    """Return the rows of a file."""
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def write_tokenizer(folder: Path, *, pair: bool = True) -> None:
    """Write a tokenizer of words; without `pair` a text ends as T5's do, and begins with itself."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    known = {word: i for i, word in enumerate([*SPECIAL, *WORDS])}
    raw = Tokenizer(models.WordLevel(known, unk_token="[UNK]"))
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    ends = [("[CLS]", 2), ("[SEP]", 3)]
    one, two = "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1"
    raw.post_processor = (
        processors.TemplateProcessing(single=one, pair=two, special_tokens=ends)
        if pair
        else processors.TemplateProcessing(single="$A [SEP]", special_tokens=ends[1:])
    )
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]"}
    names |= {"cls_token": "[CLS]", "sep_token": "[SEP]"} if pair else {"eos_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=raw, **names).save_pretrained(folder)


def write_bert(folder: Path, shape: Shape) -> None:
    """Write a BERT without a head."""
    from transformers import BertConfig, BertModel

    write_tokenizer(folder)
    BertModel(BertConfig(**shape)).save_pretrained(folder)


def write_t5(folder: Path, shape: Shape) -> None:
    """Write a T5."""
    from transformers import T5Config, T5ForConditionalGeneration

    write_tokenizer(folder, pair=False)
    ends = {"pad_token_id": 0, "eos_token_id": 3, "decoder_start_token_id": 0}
    T5ForConditionalGeneration(T5Config(**shape, **ends)).save_pretrained(folder)


def made(asked: Asked, auto: Any, rows: list[Any], collate: Any, **labels: Any) -> Any:
    """Return transformers' Trainer of a model with a head, on rows in tokens."""
    from transformers import Trainer, TrainingArguments

    model = auto.from_pretrained(asked.model, **labels)
    args = TrainingArguments(**asked.arguments, **by_length(asked))
    return Trainer(model, args, collate(model), rows)


def by_length(asked: Asked) -> dict[str, Any]:
    """Return how rows are put together, and by how many processes."""
    if asked.as_autotrain:
        return {}
    return {
        "train_sampling_strategy": "group_by_length",
        "dataloader_num_workers": asked.workers and 2,
    }


def loaded(asked: Asked, most: int = LONGEST) -> tuple[Any, dict[str, Any]]:
    """Return the tokenizer, and how it is asked: AutoTrain filled each row up."""
    from transformers import AutoTokenizer

    how = {"truncation": True, "max_length": most}
    padding = "max_length" if asked.as_autotrain else False
    return AutoTokenizer.from_pretrained(asked.model), {**how, "padding": padding}


def classifier(asked: Asked) -> Any:
    """Return what learns classes of texts."""
    from transformers import AutoModelForSequenceClassification, DataCollatorWithPadding

    tokenizer, how = loaded(asked)
    rows = [
        {**tokenizer(row["text"], **how), "labels": int(row["target"])} for row in read(asked.data)
    ]
    collate = DataCollatorWithPadding(tokenizer)
    return made(asked, AutoModelForSequenceClassification, rows, lambda _: collate)


def tagger(asked: Asked) -> Any:
    """Return what learns tags of words."""
    from transformers import AutoModelForTokenClassification, DataCollatorForTokenClassification

    tokenizer, how = loaded(asked)

    def row(one: dict[str, Any]) -> dict[str, Any]:
        told = tokenizer(one["tokens"], is_split_into_words=True, **how)
        tags = [*map(TAGS.index, one["tags"]), NOT_JUDGED]  # a word has one token here
        return {**told, "labels": [tags[-1 if at is None else at] for at in told.word_ids()]}

    rows = [*map(row, read(asked.data))]
    collate = DataCollatorForTokenClassification(tokenizer)
    head = {"num_labels": len(TAGS)}
    return made(asked, AutoModelForTokenClassification, rows, lambda _: collate, **head)


def reader(asked: Asked) -> Any:
    """Return what learns where answers are."""
    from transformers import AutoModelForQuestionAnswering, DataCollatorWithPadding

    tokenizer, how = loaded(asked, LONGEST_CONTEXT)

    def windows(one: dict[str, Any]) -> Iterator[dict[str, Any]]:
        how["truncation"] = "only_second"
        more = {"return_overflowing_tokens": True, "return_offsets_mapping": True}
        told = tokenizer(one["question"], one["context"], stride=STRIDE, **how, **more)
        begins = one["answers"]["answer_start"][0]
        for number, places in enumerate(told["offset_mapping"]):
            parts = told.sequence_ids(number)
            at = [i for i, (part, place) in enumerate(zip(parts, places, strict=True))
                  if part == 1 and place[0] == begins]  # fmt: skip
            place = at[0] if at else 0  # the answer is a word, which has one token
            row = {name: told[name][number] for name in tokenizer.model_input_names}
            yield {**row, "start_positions": place, "end_positions": place}

    rows = [window for one in read(asked.data) for window in windows(one)]
    collate = DataCollatorWithPadding(tokenizer)
    return made(asked, AutoModelForQuestionAnswering, rows, lambda _: collate)


def writer(asked: Asked) -> Any:
    """Return what learns to write one text after another; AutoTrain padded these by batches."""
    from transformers import AutoModelForSeq2SeqLM, DataCollatorForSeq2Seq

    tokenizer, how = loaded(asked)
    how["padding"] = False

    def row(one: dict[str, Any]) -> dict[str, Any]:
        ids = tokenizer(one["text"], **how)["input_ids"]
        target = tokenizer(text_target=one["target"], truncation=True, max_length=LONGEST_TARGET)
        return {"input_ids": ids, "labels": target["input_ids"]}

    rows = [*map(row, read(asked.data))]
    return made(
        asked, AutoModelForSeq2SeqLM, rows, lambda model: DataCollatorForSeq2Seq(tokenizer, model)
    )


def embedder(asked: Asked) -> Any:
    """Return its library's trainer of vectors of sentences; AutoTrain trained so, too."""
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer, SentenceTransformerTrainingArguments
    from sentence_transformers.sentence_transformer import losses
    from sentence_transformers.sentence_transformer.trainer import SentenceTransformerTrainer
    from sentence_transformers.sentence_transformer.training_args import BatchSamplers

    sampled = BatchSamplers.BATCH_SAMPLER if asked.as_autotrain else BatchSamplers.NO_DUPLICATES
    workers = 0 if asked.as_autotrain else asked.workers and 2
    args = SentenceTransformerTrainingArguments(
        **asked.arguments, batch_sampler=sampled, dataloader_num_workers=workers
    )
    model = SentenceTransformer(str(asked.model), device="cpu" if args.use_cpu else "cuda")
    model.max_seq_length = LONGEST
    return SentenceTransformerTrainer(
        model=model,
        args=args,
        train_dataset=Dataset.from_list(read(asked.data)),
        loss=losses.MultipleNegativesRankingLoss(model),
    )


def labelled(chance: random.Random) -> dict[str, Any]:
    """Return a text and one of two classes."""
    return {"text": " ".join(words(chance)), "target": str(chance.randrange(2))}


def tagged(chance: random.Random) -> dict[str, Any]:
    """Return words and their tags."""
    tokens = words(chance)
    return {"tokens": tokens, "tags": chance.choices(TAGS, (8, 1, 1, 1), k=len(tokens))}


def questioned(chance: random.Random) -> dict[str, Any]:
    """Return a question, and a context of up to 500 words of which one is the answer."""
    found = words(chance, most=500, middle=4.8)
    place = chance.randrange(len(found))
    start = sum(len(word) + 1 for word in found[:place])
    return {
        "question": " ".join(chance.choices(WORDS, k=chance.randint(6, 14))),
        "context": " ".join(found),
        "answers": {"text": [found[place]], "answer_start": [start]},
    }


def summed(chance: random.Random) -> dict[str, Any]:
    """Return a text, and every fourth of its words."""
    found = words(chance)
    return {"text": " ".join(found), "target": " ".join(found[::4])}


def paired(chance: random.Random) -> dict[str, Any]:
    """Return two texts that belong together."""
    return {name: " ".join(words(chance)) for name in ("anchor", "positive")}


SMALL = {
    "vocab_size": 1000,
    "hidden_size": 256,
    "intermediate_size": 1024,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
}
BASE = {"vocab_size": 30522}
"""bert-base-uncased; the rest is what `BertConfig` has by itself."""

SMALL_T5 = {"vocab_size": 1000, "d_model": 256, "d_kv": 64, "d_ff": 1024, "num_layers": 4}
LARGE_T5 = {"vocab_size": 32128}
"""t5-small, as `T5Config` has it."""

LENGTHS = {"max_seq_length": LONGEST}

TEXTS = [
    Family(
        "text_classification", write_bert, data(labelled), classifier,
        Size(SMALL, 640, 8), Size(BASE, 4800, 32), LENGTHS,
    ),
    Family(
        "token_classification", write_bert, data(tagged), tagger,
        Size(SMALL, 640, 8), Size(BASE, 4800, 32), LENGTHS,
    ),
    Family(
        "extractive_qa", write_bert, data(questioned), reader,
        Size(SMALL, 240, 8), Size(BASE, 3200, 32),
        {"max_seq_length": LONGEST_CONTEXT, "max_doc_stride": STRIDE},
    ),
    Family(
        "seq2seq", write_t5, data(summed), writer,
        Size(SMALL_T5 | {"num_heads": 4}, 480, 8), Size(LARGE_T5, 4800, 32),
        {**LENGTHS, "max_target_length": LONGEST_TARGET},
    ),
    Family(
        "sentence_transformers", write_bert, data(paired), embedder,
        Size(SMALL, 320, 16), Size(BASE, 4800, 64), {**LENGTHS, "trainer": "pair"},
    ),
]  # fmt: skip
