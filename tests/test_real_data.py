"""Small models learn more from real data than the usual baseline does."""

from __future__ import annotations

import pytest

from benchmarks._real.packaged import NotHere
from benchmarks.real_data import TRIALS, Trial

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::FutureWarning")]

BY_TASK = {trial.task: trial for trial in TRIALS}


def test_parts_of_pythons_source_are_told_better_than_by_the_usual_part_of_a_word() -> None:
    ours, plain = BY_TASK["token_classification"].shorter(600, epochs=4, batch_size=8).compared()
    assert ours > plain + 0.03


@pytest.mark.campaign
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("trial", TRIALS, ids=lambda trial: f"{trial.task}: {trial.data}")
def test_more_is_learned_than_the_baseline_knows(trial: Trial) -> None:
    """But for texts and boxes: weights that begin by chance come near, and not always past it."""
    try:
        ours, plain = trial.compared()
    except NotHere as lacking:
        pytest.skip(str(lacking))
    print(f"{trial.measure} {ours:.3f}, the baseline {plain:.3f}")
    assert ours > plain - trial.less
