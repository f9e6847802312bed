"""How well words are tagged and answers found in what every Python has: its own standard library.

Tags are the parts that names and signs play in source code; questions are of functions, to their
signature and docstring. A small BERT learns both from nothing, on two thirds of the modules, and is
asked about the others. Beside it stands what a plain rule reaches.
"""

from __future__ import annotations

import ast
import io
import keyword
import re
import sys
import sysconfig
import tempfile
import time
import tokenize
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks._reader import trained, write_model, write_rows
from worker.families.training.answers import answered
from worker.families.training.entities import tagging

SECONDS = 420
MODULES = 150
ROW_TOKENS = 40

TAGGING: dict[str, Any] = {"epochs": 4, "lr": 1e-3, "batch_size": 16, "max_seq_length": 128}
ASKING: dict[str, Any] = {"epochs": 8, "lr": 1e-3, "batch_size": 16, "max_seq_length": 128}

Rows = list[dict[str, Any]]


def sources() -> Iterator[tuple[bool, str]]:
    """Yield modules of the standard library, and whether a model learns from them."""
    folder = Path(sysconfig.get_paths()["stdlib"])
    for number, file in enumerate(sorted(folder.glob("[a-z]*.py"))[:MODULES]):
        yield number % 3 < 2, file.read_text("utf-8", errors="replace")


def sentences(source: str) -> Iterator[dict[str, Any]]:
    """Yield the tokens of a module, some at a time, and the parts that they play."""
    read = [t for t in _tokens(source) if t.string.strip() and t.type != tokenize.COMMENT]
    edges = [None, *read, None]
    pairs = [
        (token.string.split("\n")[0][:40], _part(before, token, behind))
        for before, token, behind in zip(edges, read, edges[2:], strict=False)
    ]
    for start in range(0, len(pairs), ROW_TOKENS):
        words, tags = zip(*pairs[start : start + ROW_TOKENS], strict=True)
        yield {"tokens": list(words), "tags": list(tags)}


def _tokens(source: str) -> list[tokenize.TokenInfo]:
    try:
        return list(tokenize.generate_tokens(io.StringIO(source).readline))
    except (tokenize.TokenError, SyntaxError):
        return []


def _part(before: Any, token: Any, behind: Any) -> str:
    """Return what a token is; a name is told by its neighbours."""
    if token.type != tokenize.NAME:
        return tokenize.tok_name[token.type].lower()
    if keyword.iskeyword(token.string):
        return "keyword"
    was, will = (one.string if one else "" for one in (before, behind))
    if was in {"def", "class"}:
        return was
    if was == ".":
        return "method" if will == "(" else "attribute"
    return {"(": "call", "=": "assigned"}.get(will, "name")


def questions(source: str) -> Iterator[dict[str, Any]]:
    """Yield questions of a module's functions: name, parameters, purpose and what they return."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return
    for found in ast.walk(tree):
        told = ast.get_docstring(found) if isinstance(found, ast.FunctionDef) else None
        if isinstance(found, ast.FunctionDef) and told:
            yield from _asked(found.name, ast.unparse(found.args), told)


def _asked(name: str, parameters: str, told: str) -> Iterator[dict[str, Any]]:
    told = " ".join(told.split())[:300]
    context = f"{name} ( {parameters} ) {told}"
    purpose = re.match(r"[^.]{5,150}", told)
    returns = re.search(r"\b[Rr]eturns? ([^.,;]{3,80})", told)
    answers = {
        "what is it called": (name, 0),
        "what does it take": (parameters, len(name) + 3),
        "what does it do": (purpose[0], context.index(told)) if purpose else ("", 0),
        "what does it return": (returns[1], context.index(told) + returns.start(1))
        if returns
        else ("", 0),
    }
    for question, (text, start) in answers.items():
        said = (
            {"text": [text], "answer_start": [start]} if text else {"text": [], "answer_start": []}
        )
        yield {"context": context, "question": f"{question} ?", "answers": said}


def by_most_frequent_tag(train: Rows, valid: Rows) -> dict[str, float]:
    """Return what it measures to give a word the tag that it mostly has, an unknown one name."""
    seen: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for row in train:
        for word, tag in zip(row["tokens"], row["tags"], strict=True):
            seen[word][tag] += 1
    guess = {word: counts.most_common(1)[0][0] for word, counts in seen.items()}
    guesses = [[guess.get(word, "name") for word in row["tokens"]] for row in valid]
    return tagging([row["tags"] for row in valid], guesses)


def by_first_words(train: Rows, valid: Rows) -> dict[str, float]:
    """Return what it measures to know, for each question, at which word answers mostly begin and
    end, or that there mostly is none."""
    places: defaultdict[str, Counter[tuple[int, int]]] = defaultdict(Counter)
    for row in train:
        places[row["question"]][_words(row)] += 1
    usual = {question: counts.most_common(1)[0][0] for question, counts in places.items()}
    spans = [(row["context"].split(), usual[row["question"]]) for row in valid]
    guesses = [" ".join(words[first:last]) for words, (first, last) in spans]
    return answered(guesses, [row["answers"]["text"] for row in valid])


def _words(row: dict[str, Any]) -> tuple[int, int]:
    """Return the place of an answer's first word and the one behind its last."""
    if not row["answers"]["text"]:
        return 0, 0
    first = len(row["context"][: row["answers"]["answer_start"][0]].split())
    return first, first + len(row["answers"]["text"][0].split())


def main() -> None:
    """Print what models and rules reach on the modules that they have not learned from."""
    from worker.tasks.extractive_qa import TASK as ASKED
    from worker.tasks.token_classification import TASK as TAGGED

    read = list(sources())
    print(f"  Python {sys.version.split()[0]}, {len(read)} modules")
    for task, rows_of, rule, how in (
        (TAGGED, sentences, by_most_frequent_tag, TAGGING),
        (ASKED, questions, by_first_words, ASKING),
    ):
        train, valid = (
            [row for learned, source in read if learned == wanted for row in rows_of(source)]
            for wanted in (True, False)
        )
        print(f"  {task.name}: {len(train):,} rows to learn from, {len(valid):,} to judge by")
        print(f"    by a rule ({rule.__name__}): {_told(rule(train, valid))}")
        with tempfile.TemporaryDirectory() as folder:
            began = time.monotonic()
            model = write_model(Path(folder) / "model", _texts(train))
            write_rows(Path(folder) / "valid.jsonl", valid)
            data = write_rows(Path(folder) / "train.jsonl", train)
            found = trained(task, model, data, **how)
            print(f"    by a model: {_told(found)} ({time.monotonic() - began:.0f} s)")


def _texts(rows: Sequence[dict[str, Any]]) -> list[str]:
    told = [" ".join(row["tokens"]) if "tokens" in row else row["context"] for row in rows]
    return [*told, *{row["question"] for row in rows if "question" in row}]


def _told(found: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in found.items())


if __name__ == "__main__":
    main()
