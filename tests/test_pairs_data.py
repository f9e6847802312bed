"""What rows of preference data say, how they are cut, and what the check tells of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from test_llm_data import FACTS, RAW, params, split, told
from tiny_llm import EOS

from worker.errors import BadConfig, BadData
from worker.task import DataReport
from worker.tasks.llm.data import speech
from worker.tasks.llm.pairs.data import PairExamples, encoded, fitted, limits_of, read
from worker.tasks.llm.pairs.params import Lengths, Pairs
from worker.tasks.llm.pairs.report import inspect
from worker.tasks.llm.pairs.rows import shared_text

Row = dict[str, Any]


class Own(Pairs, Lengths):
    """Settings as trainers have them."""


def user(text: Any) -> Row:
    return {"role": "user", "content": text}


def bot(text: Any) -> Row:
    return {"role": "assistant", "content": text}


def pairs(rows: list[Row], own: Pairs | None = None, **settings: Any) -> PairExamples:
    part, chosen = split(rows, "pairs.jsonl"), params(trainer="sft", **settings)
    how = speech(chosen, FACTS.tokenizer_config, FACTS.chat_template, RAW)
    return read(part, chosen, own or Own(), how, part.rows)


def learned(found: PairExamples, at: int = 0) -> tuple[str, str, str]:
    """Return prompt, chosen and rejected of one pair, as they are trained on."""
    chosen, rejected = found.chosen.examples[at], found.rejected.examples[at]
    assert chosen.learned and rejected.learned
    (start, end), (other, last) = chosen.learned[0], rejected.learned[-1]
    assert chosen.text[:start] == rejected.text[:other]
    return chosen.text[:start], chosen.text[start:end], rejected.text[other:last]


def report(rows: list[Row], own: Pairs | None = None, **settings: Any) -> DataReport:
    chosen = params(trainer="sft", **settings)
    return inspect(chosen, own or Own(), {"train": split(rows, "pairs.jsonl")}, FACTS, RAW)


BETTER, WORSE = " nice to meet you", " leave me alone"
SEEDS: Row = {"prompt": "hello", "text": BETTER, "rejected_text": WORSE}


@pytest.mark.parametrize(
    ("row", "own", "settings"),
    [
        (SEEDS, Own(), {}),
        ({"question": "hello", "chosen": BETTER, "rejected": WORSE}, None, {}),
        (
            {"q": "hello", "good": BETTER, "bad": WORSE, "text": "x"},
            Own(rejected_text_column="bad"),
            {"text_column": "good", "prompt_text_column": "q"},
        ),
        ({"text": "hello nice to meet you", "rejected_text": "hello leave me alone"}, None, {}),
    ],
)  # fmt: skip
def test_columns_are_mapped_or_recognised(row: Row, own: Pairs | None, settings: Row) -> None:
    assert learned(pairs([row], own, **settings)) == (
        "hello",
        SEEDS["text"],
        SEEDS["rejected_text"],
    )


ASKED = "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": [user("hi")], "chosen": [bot("yes")], "rejected": [bot("no")]},
        {"prompt": "hi", "chosen": [bot("yes")], "rejected": [bot("no")]},
        {"prompt": [user("hi")], "chosen": "yes", "rejected": "no"},
        {"chosen": [user("hi"), bot("yes")], "rejected": [user("hi"), bot("no")]},
        # Both, as the Hub has it: the prompt is in the conversations already.
        {"prompt": "hi", "chosen": [user("hi"), bot("yes")], "rejected": [user("hi"), bot("no")]},
        {
            "prompt": [user("hi")],
            "chosen": [user("hi"), bot("yes")],
            "rejected": [user("hi"), bot("no")],
        },
        {
            "prompt": [{"from": "human", "value": "hi"}],
            "chosen": {"from": "gpt", "value": "yes"},
            "rejected": {"from": "gpt", "value": "no"},
        },
        {
            "prompt": "hi",
            "chosen": [bot([{"type": "text", "text": "yes"}])],
            "rejected": [bot([{"type": "text", "text": "no"}])],
        },
        {
            "prompt": "hi",
            "chosen": '[{"role": "assistant", "content": "yes"}]',
            "rejected": '[{"role": "assistant", "content": "no"}]',
        },
    ],
)
def test_conversations_with_explicit_and_implicit_prompts(row: Row) -> None:
    assert learned(pairs([row])) == (ASKED, "yes<|im_end|>", "no<|im_end|>")


def test_strings_become_turns_where_a_template_is_asked_for() -> None:
    row = {"prompt": "hi", "chosen": "yes", "rejected": "no"}
    assert learned(pairs([row], chat_template="chatml")) == (ASKED, "yes<|im_end|>", "no<|im_end|>")


def test_answers_of_several_turns_share_the_turns_before() -> None:
    shared = [user("a"), bot("b"), user("c")]
    row = {"chosen": [*shared, bot("yes"), user("d"), bot("e")], "rejected": [*shared, bot("no")]}
    found = pairs([row])
    (example,) = found.chosen.examples
    said = [example.text[start:end] for start, end in example.learned or ()]
    assert said == ["yes<|im_end|>", "e<|im_end|>"]


@pytest.mark.parametrize(
    ("one", "other", "begun"),
    [
        (
            "human: hi \n bot: I am fine",
            "human: hi \n bot: I am not fine",
            "human: hi \n bot: I am",
        ),
        ("bot: My name", "bot: Mary", "bot:"),
        ("say yes", "say yes please", "say"),
        ("a", "b", ""),
        ("yes", "no", ""),
        ("2+2=4", "2+2=5", "2+2="),
    ],
)
def test_texts_part_between_words(one: str, other: str, begun: str) -> None:
    assert shared_text(one, other) == begun


BROKEN: list[Row] = [
    {"chosen": [user("hi"), bot("yes")], "rejected": [user("hi"), bot("no")]},
    {"chosen": [user("hi"), bot("yes")], "rejected": [user("ho"), bot("no")]},
    {"chosen": [user("hi"), bot("yes")], "rejected": [user("hi"), bot("yes")]},
    {"chosen": [user("hi"), bot("yes")], "rejected": None},
    {"chosen": [user("hi"), {"role": "boss", "content": "x"}], "rejected": [user("hi"), bot("no")]},
    {"chosen": 5, "rejected": [user("hi"), bot("no")]},
    {"chosen": None, "rejected": ""},
    {"chosen": [user("hi"), bot("yes")], "rejected": [{"content": "x"}]},
    {"chosen": [bot("yes")], "rejected": [bot("no")]},
    {"chosen": [user("he"), bot("yes")], "rejected": [user("ho"), bot("no")]},
    {"prompt": [{"role": "boss", "content": "x"}], "chosen": [bot("yes")], "rejected": [bot("no")]},
]  # fmt: skip


def test_every_broken_row_is_named_at_once_with_file_and_line() -> None:
    found = report(BROKEN)
    errors, warnings = told(found, "error"), told(found, "warn")
    assert (
        "differ before the assistant speaks" in errors
        and "(pairs.jsonl, lines 2, 5, 6, 10)" in errors
    )
    assert 'needs "role" and "content"' in errors and "(pairs.jsonl, line 8)" in errors
    assert "no prompt" in errors and "line 9" in errors
    assert 'does not know the role "boss"' in errors and "line 11" in errors
    assert "both answers are the same: line 3 of pairs.jsonl" in warnings
    assert '"rejected" is empty: line 4 of pairs.jsonl' in warnings
    assert "1 row is empty and will be left out: line 7" in warnings


def test_what_is_told_first_stands_before_turns() -> None:
    row = {"system": "Be brief.", "question": "hi", "chosen": "yes", "rejected": "no"}
    told = f"<|im_start|>system\nBe brief.<|im_end|>\n{ASKED}"
    assert learned(pairs([row], chat_template="tokenizer"))[0] == told
    own = {**row, "question": [{"role": "system", "content": "Be brief."}, user("hi")]}
    assert learned(pairs([own]))[0] == told


def test_broken_rows_are_refused_where_training_would_begin() -> None:
    with pytest.raises(BadData, match=r"lines 2, 5.* line 8\).*"):
        pairs(BROKEN).refuse()
    pairs(BROKEN[:1]).refuse()


def test_missing_columns_are_told_together_with_what_to_type() -> None:
    rows = [{"promt": "a", "txt": "good one", "rejectd": "bad"}]
    with pytest.raises(BadData) as refused:
        pairs(rows)
    assert 'no column "text"' in str(refused.value) and 'no column "rejected"' in str(refused.value)
    assert refused.value.fix == "--text-column txt --rejected-text-column rejectd"
    with pytest.raises(BadData) as refused:
        pairs([{"question": "a", "better": "good", "worse": "bad"}])
    assert refused.value.fix == "--text-column better --rejected-text-column worse"
    with pytest.raises(BadData, match="--text-column with that of the better answer"):
        pairs([{"a": "x", "b": "y", "c": "z"}])
    with pytest.raises(BadData, match="--prompt-text-column prompt"):
        pairs([SEEDS], prompt_text_column="prom")


def test_conversations_need_a_template() -> None:
    bare = replace(FACTS, chat_template=None)
    rows = split([{"prompt": "a", "chosen": [bot("b")], "rejected": [bot("c")]}])
    with pytest.raises(BadConfig, match="--chat-template chatml"):
        inspect(params(trainer="sft"), Own(), {"train": rows}, bare, RAW)


def tokens(rows: list[Row], **limits: int) -> tuple[str, str] | None:
    """Return a pair as text again, as it is trained on."""
    own = Own(**{name: n for name, n in limits.items() if name != "block_size"})
    row = {"block_size": limits["block_size"]} if "block_size" in limits else {}
    found = pairs(rows, own, **row)
    (pair,) = encoded(found, RAW, eos=RAW.token_to_id(EOS))
    kept = fitted(*pair, limits_of(params(**row), own))
    if kept is None:
        return None
    one, other = (
        RAW.decode(list(t.ids), skip_special_tokens=False) for t in (kept.chosen, kept.rejected)
    )
    return one, other


def test_prompts_keep_their_end_and_answers_their_beginning() -> None:
    row = {"prompt": "abcdef:", "chosen": "12345678", "rejected": "1234"}
    assert tokens([row]) == (f"abcdef:12345678{EOS}", f"abcdef:1234{EOS}")
    assert tokens([row], max_prompt_length=2) == (f"f:12345678{EOS}", f"f:1234{EOS}")
    assert tokens([row], max_completion_length=6) == ("abcdef:123456", f"abcdef:1234{EOS}")
    assert tokens([row], block_size=12) == ("abcdef:12345", f"abcdef:1234{EOS}")
    assert tokens([row], block_size=10) is None  # what is left of both is the same
    assert tokens([row], max_completion_length=4, block_size=10) is None


def test_the_check_counts_pairs_and_shows_one() -> None:
    rows = [{**SEEDS, "prompt": f"hello {i}" + "!" * 9 * i} for i in range(8)]
    own = Own(max_prompt_length=40, max_completion_length=5)
    found = report(rows, own, batch_size=2, epochs=10, valid_split="0.25")
    said = told(found)
    assert "8 pairs of answers" not in said and "6 pairs of answers" in said
    assert found.example is not None
    assert found.example.note == "rejected:  leave me alone"
    answer = next(part for part in found.example.parts if part.learned)
    assert answer.text == " nice to meet you"
    assert "prompts are cut to their last 40 tokens" in said and "cut to its first 5" in said
    assert "6 pairs of up to 64 tokens · 10 epochs, 2 a step: 30 steps" in said
    assert (found.rows, found.valid_rows, found.steps) == (6, 2, 30)
    assert found.units > 6 * 2 * 5
    assert found.units / 6 < found.largest <= 2 * 45


def test_prompts_and_answers_that_run_together_are_told() -> None:
    rows = [{"prompt": "hello", "text": "hi there", "rejected_text": "go away"}]
    assert "run together: «hellohi there»" in told(report(rows), "warn")
    assert "run together" not in told(report(rows, chat_template="chatml"), "warn")
    assert "run together" not in told(report([SEEDS]), "warn")


def test_a_check_without_the_tokenizer_estimates() -> None:
    found = inspect(params(trainer="sft"), Own(), {"train": split([SEEDS] * 3)}, FACTS, None)
    assert found.rows == 3 and "estimated from characters" in told(found)


def test_cells_that_break_readers_are_texts_or_told() -> None:
    half = r'[{"role": "assistant", "content": "a\ud800b"}]'
    found = pairs([{"prompt": [user("hi")], "chosen": half, "rejected": [bot("no")]}])
    assert "a\ufffdb" in found.chosen.examples[0].text
    row: Row = {"prompt": [user("hi")], "chosen": [bot("a")], "rejected": [bot("b")]}
    said = told(report([{**row, "tools": "[" * 100_000}]), "error")
    assert "where a list of tools is expected" in said
