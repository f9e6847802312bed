"""How the learning rate goes, and that every optimizer and scheduler offered really trains."""

from __future__ import annotations

from array import array
from pathlib import Path
from typing import Any

import pytest
from tiny_llm import job, write_model

from worker.common import OPTIMIZERS, SCHEDULERS

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("schedule") / "model")


@pytest.mark.parametrize(
    ("steps", "ratio", "expected"),
    [(1, 0.1, 0), (3, 0.3, 0), (10, 0.1, 0), (11, 0.1, 2), (20, 0.1, 2), (99, 0.03, 3), (9, 0, 0)],
)
def test_the_rate_rises_only_where_there_are_steps_to_rise_in(
    steps: int, ratio: float, expected: int
) -> None:
    from worker.engine.schedule import warmup_steps

    assert warmup_steps(steps, ratio) == expected


def trained(
    model: Path, folder: Path, steps: int, **settings: Any
) -> tuple[list[float], dict[str, Any], dict[str, Any]]:
    """Return the learning rate of each step, and the weights before and after."""
    from transformers import AutoModelForCausalLM

    from worker.engine.arguments import training_arguments
    from worker.engine.token_trainer import TokenTrainer
    from worker.tasks.llm.tokens import Tokens
    from worker.tasks.llm.training.batches import Collate, TrainingRows

    params, run, _ = job(model, folder, folder, logging_steps=1, **settings)
    net = AutoModelForCausalLM.from_pretrained(model)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    tokens = Tokens(array("i", range(10, 26)), bytes([0] + [1] * 15))
    trainer = TokenTrainer(
        model=net,
        args=training_arguments(
            params.model_copy(update={"max_steps": steps, "save_strategy": "no"}),
            run.work,
            steps=steps,
            autocast=None,
            checkpointing=False,
            validates=False,
        ),
        train_dataset=TrainingRows([tokens], [[0]]),
        data_collator=Collate(pad=0),
    )
    trainer.train()
    rates = [entry["learning_rate"] for entry in trainer.state.log_history if "loss" in entry]
    return rates, before, net.state_dict()


@pytest.mark.parametrize("steps", [1, 2, 10])
def test_the_first_of_few_steps_learns(steps: int, model: Path, tmp_path: Path) -> None:
    rates, before, after = trained(model, tmp_path, steps)
    assert rates[0] == pytest.approx(1e-3) and len(rates) == steps and min(rates) > 0
    assert not after["lm_head.weight"].equal(before["lm_head.weight"])


@pytest.mark.parametrize("name", sorted(SCHEDULERS))
@pytest.mark.parametrize("steps", [1, 12])
def test_every_scheduler_trains(name: str, steps: int, model: Path, tmp_path: Path) -> None:
    rates, before, after = trained(model, tmp_path, steps, scheduler=name)
    assert len(rates) == steps
    assert all(rate > 0 for rate in rates[1:]) and rates[-1] > 0
    assert not after["lm_head.weight"].equal(before["lm_head.weight"])


def test_schedules_with_a_floor_or_a_plateau_end_where_the_docs_say(
    model: Path, tmp_path: Path
) -> None:
    floor = trained(model, tmp_path / "a", 20, scheduler="cosine_warmup_with_min_lr")[0]
    assert floor[-1] == pytest.approx(1e-4)
    plateau = trained(model, tmp_path / "b", 20, scheduler="warmup_stable_decay")[0]
    assert plateau[2:17] == pytest.approx([1e-3] * 15)
    assert plateau[16:] == sorted(plateau[16:], reverse=True) and plateau[-1] < 2e-4


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_every_optimizer_trains(name: str, model: Path, tmp_path: Path) -> None:
    import torch

    _, before, after = trained(model, tmp_path, 3, optimizer=name)
    moved = after["lm_head.weight"] - before["lm_head.weight"]
    assert torch.isfinite(moved).all() and moved.abs().max() > 0
