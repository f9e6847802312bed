"""A few rounds of the campaign, and whether its auditor notices what it is there for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from campaign.audit import opens
from campaign.faults import faults
from campaign.planted.model import files
from campaign.rounds import Round

TESTS = Path(__file__).parent
PLACES = ("spaces", "jobs", "local")
SEED, ROUNDS = 5, 6


@pytest.mark.slow
def test_nothing_is_wrong_after_some_rounds(tmp_path: Path) -> None:
    out = tmp_path / "outcomes.json"
    words = [str(ROUNDS), "--seed", str(SEED), "--places", ",".join(PLACES), "--out", str(out)]
    ran = subprocess.run(
        [sys.executable, "-P", "-m", "campaign", *words],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    done = json.loads(out.read_text("utf-8"))
    assert sorted(one["number"] for one in done) == list(range(1, ROUNDS + 1))


def test_a_round_is_the_same_again() -> None:
    one, same = (Round.drawn(7, 412, PLACES) for _ in range(2))
    assert (one.place, one.story, one.fault) == (same.place, same.story, same.fault)
    assert one.chance.random() == same.chance.random()
    drawn = [Round.drawn(7, number, PLACES) for number in range(400)]
    assert {one.fault for one in drawn} == set(faults(PLACES))


def test_a_torn_file_does_not_open() -> None:
    whole = next(content for name, content in files(3).items() if name.endswith(".safetensors"))
    assert opens(whole) and not opens(whole[:-1])
