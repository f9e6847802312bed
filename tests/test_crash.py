"""A mistake of the program's own is said in a sentence, and kept for whoever mends it."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator import crash

TOKEN = "hf_canaryCanaryCanaryCanaryCanary0123"


def mistake() -> ValueError:
    try:
        int(f"no number {TOKEN}\nand more")
    except ValueError as error:
        return error
    raise AssertionError


def test_it_is_written_down_whole_and_without_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUBTRAIN_HOME", str(tmp_path / "home"))
    said, where = crash.told(mistake())
    kept = tmp_path / "home" / crash.FILE
    assert said.startswith("hubtrain itself made a mistake: ValueError: invalid literal")
    assert "\n" not in said and str(kept) in where
    text = kept.read_text()
    assert "Traceback" in text and "in mistake" in text and TOKEN not in text
    assert kept.parent.stat().st_mode & 0o077 == 0


def test_where_nothing_can_be_written_it_is_still_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HUBTRAIN_HOME", str(tmp_path / "file" / "home"))
    said, where = crash.told(mistake())
    assert "ValueError" in said and where == ""
