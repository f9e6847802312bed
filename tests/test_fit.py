"""What a second task calls of the engine: a model that tells pictures apart is trained with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from worker.common import Data, EarlyStopping, TransformersSettings
from worker.contract import SAVED, Checkpoint, DataRef, Event, Metric, ModelRef, Phase, Progress
from worker.task import Measure, Run

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::FutureWarning")]

LABELS = ("black", "grey", "white")


class Params(Data, EarlyStopping, TransformersSettings):
    """Pictures."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model that tells two kinds of pictures apart; we teach it three."""
    import torch
    from transformers import ViTConfig, ViTForImageClassification

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("vit") / "model"
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1}
    config = ViTConfig(**sizes, num_attention_heads=2, image_size=8, patch_size=4, num_labels=2)
    ViTForImageClassification(config).save_pretrained(folder)
    return folder


def pictures(count: int, *, wrong: bool = False) -> list[dict[str, Any]]:
    """Return plain pictures with their labels; wrong ones where nothing can be learned of them."""
    import torch

    shift = 1 if wrong else 0
    return [
        {"pixel_values": torch.full((3, 8, 8), float(i % 3) - 1), "labels": (i + shift) % 3}
        for i in range(count)
    ]


def trained(
    model: Path,
    folder: Path,
    valid: list[dict[str, Any]],
    last: Path | None = None,
    headline: Measure = Measure("valid_loss"),  # noqa: B008 (frozen)
    **settings: Any,
) -> tuple[Path, list[Event], Any]:
    """Train as a task does it, with nothing but the engine; return what came of it."""
    from transformers import AutoModelForImageClassification, Trainer

    from worker.engine.arguments import training_arguments
    from worker.engine.fit import begin, finish, fit
    from worker.engine.model import load
    from worker.engine.source import Source

    params = Params(data_path="pictures", **{"lr": 0.01, "batch_size": 4, **settings})
    events: list[Event] = []
    run = Run(
        model=ModelRef(name=str(model)),
        data=DataRef(folder=str(folder), train=("none",)),
        output=folder / "output",
        work=folder / "work",
        emit=events.append,
        last_checkpoint=last,
        headline=headline,
        unit="images",
    )
    begin(params)
    names = dict(enumerate(LABELS))
    source = Source(
        run.base,
        AutoModelForImageClassification,
        more={"id2label": names, "num_labels": 3, "ignore_mismatched_sizes": True},
    )
    loaded = load(source, params)
    rows = pictures(22)
    trainer = Trainer(
        model=loaded.model,
        args=training_arguments(
            params,
            run.work / "checkpoints",
            steps=params.steps(len(rows)),
            autocast=loaded.precision.autocast,
            checkpointing=False,
            validates=bool(valid),
        ),
        train_dataset=rows,
        eval_dataset=valid,
        compute_metrics=lambda told: {
            "accuracy": (told.predictions.argmax(-1) == told.label_ids).mean(),
            "f1/a class": 0.5,
        },
    )
    if fit(trainer, params, run):
        finish(loaded, params, run, lambda to: (to / "beside.json").write_text("{}"))
    return run.output, events, trainer


def test_a_second_task_trains_with_what_the_engine_has(model: Path, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForImageClassification

    output, events, _ = trained(model, tmp_path, pictures(6), epochs=12, gradient_accumulation=1)
    net = AutoModelForImageClassification.from_pretrained(output)
    batch = torch.stack([row["pixel_values"] for row in pictures(3)])
    with torch.no_grad():
        said = net(pixel_values=batch).logits.argmax(-1).tolist()
    assert [net.config.id2label[label] for label in said] == list(LABELS)
    assert (output / "beside.json").exists()
    assert "use_cache" not in json.loads((output / "config.json").read_text())
    assert isinstance(events[-1], Phase) and events[-1].name == SAVED


def test_what_is_measured_and_how_far_it_is_are_told_in_the_tasks_words(
    model: Path, tmp_path: Path
) -> None:
    _, events, _ = trained(model, tmp_path, pictures(6), epochs=2, gradient_accumulation=1)
    named = {name for e in events if isinstance(e, Metric) for name in e.values}
    assert named == {"loss", "lr", "grad_norm", "valid_loss", "valid_accuracy", "valid_f1/a_class"}
    progress = [e for e in events if isinstance(e, Progress)]
    assert (progress[0].units, progress[-1].units) == (0, 44)
    assert {e.unit for e in progress} == {"images"}
    assert progress[-1].speed.endswith(" images/s")


def test_a_training_that_gets_no_better_ends_early_with_its_best_model(
    model: Path, tmp_path: Path
) -> None:
    from transformers import AutoModelForImageClassification

    how: dict[str, Any] = {"epochs": 20, "early_stopping_patience": 2, "gradient_accumulation": 1}
    output, events, trainer = trained(model, tmp_path, pictures(6, wrong=True), **how)
    told = [e for e in events if isinstance(e, Metric) and "valid_loss" in e.values]
    seen = [e.values["valid_loss"] for e in told]
    assert len(seen) < 10 and min(seen) != seen[-1]
    best = next(e.step for e in told if e.values["valid_loss"] == min(seen))
    assert Path(trainer.state.best_model_checkpoint).name == f"checkpoint-{best}"
    saved = [e for e in events if isinstance(e, Checkpoint)]
    assert [e.step for e in saved] == [e.step for e in told]
    folders = (output, trainer.state.best_model_checkpoint)
    ours, kept = (AutoModelForImageClassification.from_pretrained(f).state_dict() for f in folders)
    assert all(ours[name].equal(kept[name]) for name in kept)


def test_the_best_model_is_told_by_the_measure_that_the_task_names_first(
    model: Path, tmp_path: Path
) -> None:
    how: dict[str, Any] = {"epochs": 8, "early_stopping_patience": 3, "gradient_accumulation": 1}
    for headline in (Measure("valid_f1/a class", "higher"), Measure("rewards/margins", "higher")):
        folder = tmp_path / headline.name.replace("/", "_")
        _, events, trainer = trained(model, folder, pictures(6), None, headline, **how)
        told = [e for e in events if isinstance(e, Metric) and "valid_loss" in e.values]
        if headline.name.startswith("valid_"):  # which is the same each time
            assert len(told) == 1 + 3 and trainer.state.best_global_step == told[0].step
        else:
            best = min(told, key=lambda e: e.values["valid_loss"])
            assert trainer.state.best_global_step == best.step


def test_a_model_with_names_older_than_the_library_resumes_with_its_weights(
    model: Path, tmp_path: Path
) -> None:
    how: dict[str, Any] = {
        "max_steps": 6,
        "logging_steps": 1,
        "save_strategy": "steps",
        "save_steps": 3,
    }
    _, whole, _ = trained(model, tmp_path / "whole", [], save_total_limit=2, **how)
    saved = next(e for e in whole if isinstance(e, Checkpoint))
    _, rest, _ = trained(model, tmp_path / "rest", [], last=Path(saved.where), **how)
    losses = [
        [e.values["loss"] for e in events if isinstance(e, Metric) and "loss" in e.values]
        for events in (whole, rest)
    ]
    assert len(losses[1]) == 3 and losses[1] == pytest.approx(losses[0][3:], rel=1e-5)


def test_without_validation_nothing_ends_early(model: Path, tmp_path: Path) -> None:
    _, events, _ = trained(model, tmp_path, [], epochs=1, early_stopping_patience=1)
    progress = [e for e in events if isinstance(e, Progress)]
    assert progress[-1].step == progress[-1].total_steps


def test_names_of_measurements() -> None:
    from worker.engine.reporting import measurements

    noise = {"train_runtime": 1.0, "eval_samples_per_second": 2.0, "epoch": 1.0, "total_flos": 1e9}
    noise |= {"eval_runtime": 1.0, "step_time": 1.0, "num_tokens": 7, "train_loss": 0.1}
    noise |= {"train_tokens_per_second": 9.0, "eval_model_preparation_time": 0.1}
    kept = {"loss": 0.5, "learning_rate": 1e-5, "eval_f1": 0.5, "rewards/chosen": -1.0, "kl": 2}
    own = {"eval_runtime_error": 0.2, "eval_memory_recall": 0.9}
    told = measurements({**noise, **kept, "note": "text", "flag": True, "eval_x y": 1.0, **own})
    assert told == {
        **{"loss": 0.5, "lr": 1e-5, "valid_f1": 0.5, "rewards/chosen": -1.0, "kl": 2.0},
        **{"valid_x_y": 1.0, "valid_runtime_error": 0.2, "valid_memory_recall": 0.9},
    }
    Metric(step=1, values=told)


def test_steps_of_many_batches_are_steps_of_one_large_batch(tmp_path: Path) -> None:
    """A model of numbers takes any keyword, and divides its loss by none of them."""
    import torch
    from transformers import Trainer, ViTConfig, ViTForImageClassification

    from worker.engine.arguments import training_arguments
    from worker.engine.fit import begin, fit

    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1}
    config = ViTConfig(**sizes, num_attention_heads=2, image_size=8, patch_size=4, num_labels=1)
    chance = torch.Generator().manual_seed(0)
    rows = [
        {"pixel_values": torch.randn(3, 8, 8, generator=chance), "labels": float(i)}
        for i in range(8)
    ]
    told = []
    for batch_size, accumulation in ((8, 1), (2, 4)):
        params = Params(
            data_path="pictures",
            batch_size=batch_size,
            gradient_accumulation=accumulation,
            max_steps=1,
            logging_steps=1,
        )
        events: list[Event] = []
        work = tmp_path / str(batch_size)
        run = Run(ModelRef(name="none"), DataRef(), work / "output", work, events.append)
        begin(params)
        named: dict[str, Any] = {
            "steps": 1,
            "autocast": None,
            "checkpointing": False,
            "validates": False,
        }
        args = training_arguments(params, work / "checkpoints", **named)
        model = ViTForImageClassification(config)
        assert fit(Trainer(model=model, args=args, train_dataset=rows), params, run)
        told.append(next(e.values for e in events if isinstance(e, Metric)))
    assert told[1]["loss"] == pytest.approx(told[0]["loss"], rel=1e-4)
    assert told[1]["grad_norm"] == pytest.approx(told[0]["grad_norm"], rel=1e-3)
