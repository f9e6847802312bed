"""One example of the data, shown before anything is rented: in colour, without, and as JSON."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from standins.laptop import Laptop
from standins.localhub import HubServer
from tiny_llm import chats, write_model, write_rows

from orchestrator.terminal.output import Screen
from worker.clock import SystemClock
from worker.rendered import Part, rendered


class Terminal(io.StringIO):
    """A terminal that keeps what it is sent."""

    def isatty(self) -> bool:
        return True


PARTS = (
    Part("<|im_start|>", special=True),
    Part("user\nwhy? [red]\n"),
    Part("because", learned=True),
    Part("<|im_end|>", learned=True, special=True),
    Part("\n"),
)


def screened(*parts: Part, out: io.StringIO | None = None) -> str:
    out = out or io.StringIO()
    Screen(SystemClock(), out=out).example(rendered("line 7 of chats.jsonl", parts))
    return out.getvalue()


def test_brackets_tell_what_is_learned_without_colours() -> None:
    assert screened(*PARTS).splitlines() == [
        "  line 7 of chats.jsonl, as the model gets it; in ⟦brackets⟧ what is learned:",
        "     │ <|im_start|>user",
        "     │ why? [red]",
        "     │ ⟦because<|im_end|>⟧",
    ]


def test_what_else_there_is_to_say_stands_below_it() -> None:
    out = io.StringIO()
    found = rendered("line 7 of pairs.jsonl", [Part("why?")], "rejected: " + "no " * 60)
    Screen(SystemClock(), out=out).example(found)
    below = [line[:17] for line in out.getvalue().splitlines()[1:4]]
    assert below == ["     │ why?", "     └ rejected: ", "     └ no no no n"]


def test_a_terminal_shows_it_in_green_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    said = screened(*PARTS, out=Terminal())
    assert "\x1b[32mbecause\x1b[0m" in said
    plain = re.sub(r"\x1b\[[0-9;]*m", "", said)
    assert plain.splitlines() == screened(*PARTS).splitlines()


def test_an_example_acts_on_no_terminal_and_passes_for_no_words_of_ours() -> None:
    evil = "\x1b]0;owned\x07\x1b[2J\rx\u202ey\u2028\n  ✓ memory  fits\n" + "long " * 100
    said = screened(Part(evil), Part("\x9b31mred\ud800", learned=True))
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\u2028\ud800]", said)
    head, *lines = said.splitlines()
    assert head.startswith("  line 7") and len(lines) > 3
    assert all(line.startswith("     │ ") and len(line) <= 100 for line in lines)


def test_a_secret_in_an_example_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_" + "q" * 34)
    assert "qqqq" not in screened(Part("my token: hf_" + "q" * 34))


def test_the_check_shows_an_example_and_tells_it_to_programs(
    shared_hub: HubServer, tmp_path: Path
) -> None:
    laptop = Laptop(tmp_path / "home", shared_hub)
    write_model(tmp_path / "model")
    write_rows(tmp_path / "chats.jsonl", chats(4))
    words = (
        *("llm", "--train", "--trainer", "sft", "--model", "./model", "--dry-run"),
        *("--data-path", "chats.jsonl", "--project-name", "bot"),
    )
    said = laptop.run(*words)
    assert "     │ ⟦the quick brown fox <|im_end|>⟧" in said.out, said.out + said.err
    example = json.loads(laptop.run(*words, "--json").out)["report"]["example"]
    assert example["where"] == "line 1 of chats.jsonl"
    assert "".join(p["text"] for p in example["parts"] if p["learned"]) == (
        "the quick brown fox <|im_end|>"
    )
    assert [p["text"] for p in example["parts"] if p["special"]] == [
        *["<|im_start|>", "<|im_end|>"] * 2
    ]
