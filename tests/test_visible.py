"""Whatever models, data and providers say, a terminal only shows it."""

from __future__ import annotations

import io
import json
import re
from typing import Any

import pytest

from orchestrator.terminal.output import Screen
from orchestrator.visible import spell_what_lacks, visible
from worker.clock import SystemClock
from worker.task import Finding

EVIL = {
    "escape": ("a\x1b[2J\x1b]52;c;ZXZpbA==\x07b", r"a\x1b[2J\x1b]52;c;ZXZpbA==\x07b"),
    "return": ("it costs $900\rfree     ", r"it costs $900\rfree     "),
    "backspace": ("no\b\bok", r"no\x08\x08ok"),
    "c1": ("a\x9b2Jb", r"a\x9b2Jb"),
    "bidi": ("model-\u202egpj.exe", r"model-\u202egpj.exe"),
    "isolate": ("\u2066x\u2069", r"\u2066x\u2069"),
    "separator": ("a\u2028b", r"a\u2028b"),
    "half": ("a\ud800b", r"a\ud800b"),
}


@pytest.mark.parametrize("name", EVIL)
def test_what_acts_is_shown(name: str) -> None:
    text, shown = EVIL[name]
    assert visible(text) == shown


def test_what_only_shows_stays() -> None:
    plain = "größe\t漢字 👩‍👩‍👧 שלום\nnext"
    assert visible(plain) == plain
    assert visible("\x1b[1;32mdone\x1b[0m\r\n") == "done\n", "colours of a log"


class Terminal(io.StringIO):
    """A terminal that keeps what it was sent."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("as_json", [False, True])
def test_no_way_of_printing_lets_it_through(
    as_json: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    evil = "".join(text for text, _ in EVIL.values())
    out = io.StringIO()
    screen = Screen(SystemClock(), as_json=as_json, out=out)
    screen.say(evil)
    screen.plain(evil)
    screen.findings([Finding("error", evil, evil, evil)])
    screen.table([evil], [[evil]])
    screen.error(evil, evil)
    screen.document({evil: [evil]})
    with screen.waiting(evil) as tell:
        tell(evil)
    with screen.stages() as stages:
        stages.show(evil, 0.5, evil)
    printed = out.getvalue() + capsys.readouterr().err
    acting = {c for text, _ in EVIL.values() for c in text if not c.isprintable()}
    assert not acting & set(printed), printed
    if as_json:
        documents: list[Any] = [json.loads(line) for line in out.getvalue().splitlines()]
        assert documents[1] == {evil: [evil]}, "programs get what it was"


def test_bars_of_a_terminal_only_show() -> None:
    out = Terminal()
    with Screen(SystemClock(), out=out).stages() as stages:
        stages.show("Training", 0.5, "\x1b]0;owned\x07\u202e")
    assert "\x1b]0;" not in out.getvalue() and "\u202e" not in out.getvalue()


def test_a_warning_goes_on_below_itself_on_a_terminal_and_what_follows_has_its_own_mark() -> None:
    out = Terminal()
    warning = "many words " * 12
    found = [
        Finding("ok", "data", "one"),
        Finding("ok", "data", "two"),
        Finding("warn", "data", warning.strip(), fix="--epochs 2"),
        Finding("ok", "data", "three"),
    ]
    Screen(SystemClock(), out=out).findings(found)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue()).splitlines()
    assert lines[:2] == ["  ✓ data  one", "          two"]
    assert lines[2].startswith("  ! data  many words") and re.match(" {10}[a-z]", lines[3])
    assert all(len(line) <= 80 for line in lines)
    assert lines[-2:] == ["          --epochs 2", "  ✓ data  three"]


def test_a_long_line_of_facts_goes_on_below_itself() -> None:
    out = io.StringIO()
    facts = [f"fact number {n} of the memory" for n in range(8)]
    path = "/a/path/" + "x" * 120
    found = [Finding("ok", "memory", " · ".join([*facts, path])), Finding("error", "data", path)]
    Screen(SystemClock(), out=out).findings(found)
    lines = out.getvalue().splitlines()
    assert all(len(line) <= 100 or path in line for line in lines)
    assert {line[:12] for line in lines[1:3]} == {" " * 12}, "below the first fact"
    assert " · ".join(line[12:] for line in lines[:-1]) == found[0].text, "and none is lost"


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "latin-1"])
def test_an_output_of_few_characters_refuses_none(encoding: str) -> None:
    kept = io.BytesIO()
    out = io.TextIOWrapper(kept, encoding=encoding)
    spell_what_lacks(out)
    for as_json in (False, True):
        screen = Screen(SystemClock(), as_json=as_json, out=out)
        screen.findings([Finding("ok", "data", "größe → 漢字 👧"), Finding("error", "x", "✗")])
        screen.document({"said": "größe 漢字 👧"})
    out.flush()
    text = kept.getvalue().decode(encoding)
    assert "  + data  gr" in text and " -> \\u6f22\\u5b57 \\U0001f467\n  x x     x" in text
    assert json.loads(text.splitlines()[-1]) == {"said": "größe 漢字 👧"}


def test_what_a_machine_costs_is_never_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    out = Terminal()
    rows = [["spaces-rtx-pro-6000x4", "$11.00/h", "RTX PRO 6000", "384 GB"]]
    Screen(SystemClock(), out=out).table(["--backend", "PRICE", "GPU", "VRAM"], rows, whole=2)
    assert "spaces-rtx-pro-6000x4  $11.00/h" in out.getvalue()
