"""Vision language models: trained, judged by TRL and transformers, asked, and gone on with."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny_vlm
from tiny_vit import image
from tiny_vlm import QUESTION, job, write_table

from worker.contract import Checkpoint, Event, Metric, Progress
from worker.task import Run
from worker.tasks.vlm import TASK
from worker.tasks.vlm.params import Question, VlmParams

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:__array__")]
# which is what numpy says of how PaliGemma's processor marks its labels

WRITE: dict[str, Callable[[Path], Path]] = {
    "idefics3": tiny_vlm.write_idefics,
    "paligemma": tiny_vlm.write_paligemma,
    "llava": tiny_vlm.write_llava,
    "qwen2_vl": tiny_vlm.write_qwen,
}
Trained = tuple[VlmParams, Run, list[Event]]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    made: dict[str, Path] = {}

    def model(kind: str) -> Path:
        if kind not in made:
            made[kind] = WRITE[kind](tmp_path_factory.mktemp("models") / kind)
        return made[kind]

    return model


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("data")
    valid = write_table(folder / "valid.parquet", 4, 100)
    return write_table(folder / "train.parquet", 24), valid


@pytest.fixture(scope="module")
def trained(
    models: Any, data: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> Trained:
    """Return a training of all of a decoder."""
    folder = tmp_path_factory.mktemp("trained")
    params, run, events = job(models("idefics3"), data[0], folder, valid=data[1], epochs=5)
    TASK.train(params, run)
    return params, run, events


def told(events: list[Event], name: str) -> list[float]:
    return [e.values[name] for e in events if isinstance(e, Metric) and name in e.values]


def weights(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return dict(load_file(folder / "model.safetensors"))


def pictured(folder: Path, colour: str, number: int = 500) -> Path:
    file = folder / f"{colour}.png"
    file.write_bytes(image(colour, number))
    return file


def test_what_is_on_images_is_learned_and_what_sees_them_stays(
    trained: Trained, models: Any
) -> None:
    params, run, events = trained
    right = told(events, "valid_exact_match")
    assert right[0] < 0.4 and right[-1] > 0.9
    before, after = weights(models("idefics3")), weights(run.output)
    same = {name for name, tensor in before.items() if tensor.equal(after[name])}
    sees = {name for name in before if "vision_model" in name or "connector" in name}
    assert sees == same
    progress = [e for e in events if isinstance(e, Progress)][-1]
    assert progress.step == progress.total_steps == params.steps(72)
    assert progress.unit == "tokens"


def test_stock_pipeline_answers_as_the_card_says(trained: Trained, tmp_path: Path) -> None:
    params, run, _ = trained
    code = TASK.loading(params, str(run.output), adapter=False).strip("`").removeprefix("python\n")
    code = code.replace("image.jpg", str(pictured(tmp_path, "green")))
    code = code.replace("What is this?", QUESTION)
    *lines, last = code.strip().splitlines()
    said: dict[str, Any] = {}
    exec("\n".join([*lines, f"found = {last}"]), said)
    assert said["found"][0]["generated_text"].strip() == "green"


@pytest.mark.parametrize("colour", ["red", "blue"])
def test_a_trained_model_is_asked(trained: Trained, tmp_path: Path, colour: str) -> None:
    asked = Question(image=str(pictured(tmp_path, colour)), prompt=QUESTION)
    assert TASK.answer(str(trained[1].output), asked) == colour


def batch_of(kind: str, model: Path, data: Path, folder: Path) -> tuple[Any, Any, Any]:
    """Return a model, a batch of ours, and the rows it is made of."""
    from transformers import AutoModelForImageTextToText

    from worker.contract import ModelRef
    from worker.engine.source import Source
    from worker.families.pictures.training.shrinking import Shrinking
    from worker.tasks.vlm.speech import Wording
    from worker.tasks.vlm.training.batches import Collate, Gallery
    from worker.tasks.vlm.training.processors import processor_of, speech_of
    from worker.tasks.vlm.training.train import gathered

    params, run, _ = job(model, data, folder)
    source = Source(ModelRef(name=str(model)), AutoModelForImageTextToText)
    processor = processor_of(source, kind)
    album = gathered(params, run, Wording.of(params, kind))
    shrinking = Shrinking(processor.image_processor)
    gallery = Gallery(album.store, album.corpus.learned, shrinking)
    shown = [
        replace(one, said=replace(one.said, answer=f"{one.said.answer} {'. ' * i}".strip()))
        for i, one in enumerate(gallery[i] for i in range(3))
    ]
    collate = Collate(processor, speech_of("m", kind, processor), 256)
    net = source.load().eval()
    return net, (collate(shown), replace(collate, last_alone=True)(shown), processor), shown


@pytest.mark.parametrize("kind", [*WRITE])
def test_the_loss_is_that_of_the_library_and_of_answers_alone(
    models: Any, data: tuple[Path, Path], tmp_path: Path, kind: str
) -> None:
    import torch

    from worker.engine.loss import take_loss

    net, (ours, short, processor), shown = batch_of(kind, models(kind), data[0], tmp_path)
    theirs = reference(kind, processor, shown)
    with torch.no_grad():
        wanted = net(**theirs).loss
        learned = int((theirs["labels"] != -100).sum())
        assert int((ours["labels"] != -100).sum()) == learned == sum(range(2, 5))
        take_loss(net)
        assert float(net(**ours).loss) == pytest.approx(float(wanted), abs=1e-4)
        assert float(net(**short).loss) == pytest.approx(float(wanted), abs=1e-4)


def reference(kind: str, processor: Any, shown: list[Any]) -> Any:
    """Return the batch that the library makes: of TRL, and of PaliGemma's own processor."""
    if kind == "paligemma":
        return processor(
            images=[[one.image] for one in shown],
            text=[f"<image>{one.said.question}" for one in shown],
            suffix=[one.said.answer for one in shown],
            return_tensors="pt",
            padding=True,
            padding_side="right",
        )
    from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

    collate = DataCollatorForVisionLanguageModeling(processor, completion_only_loss=True)
    return collate.torch_call(
        [
            {
                "image": one.image,
                "prompt": [{"role": "user", "content": one.said.question}],
                "completion": [{"role": "assistant", "content": one.said.answer}],
            }
            for one in shown
        ]
    )


@pytest.mark.parametrize("kind", ["paligemma", "qwen2_vl"])
def test_an_adapter_is_pushed_alone_and_loads_with_its_base(
    models: Any, data: tuple[Path, Path], tmp_path: Path, kind: str
) -> None:
    learns = kind == "qwen2_vl"
    settings: dict[str, Any] = {"peft": True, "quantization": None, "valid_split": None}
    settings |= {"lr": 1e-2, "epochs": 10} if learns else {"max_steps": 2}
    params, run, _ = job(models(kind), data[0], tmp_path, **settings)
    TASK.train(params, run)
    config = json.loads((run.output / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(models(kind))
    assert not (run.output / "model.safetensors").exists()
    from safetensors import safe_open

    with safe_open(run.output / "adapter_model.safetensors", "np") as file:
        assert not [name for name in file.keys() if "language_model" not in name]  # noqa: SIM118
    for colour in ("green", "red"):
        asked = Question(image=str(pictured(tmp_path, colour)), prompt=QUESTION, max_new_tokens=4)
        assert (TASK.answer(str(run.output), asked) == colour) is learns


def test_a_merged_model_keeps_its_precision(data: tuple[Path, Path], tmp_path: Path) -> None:
    import torch

    model = tiny_vlm.write_idefics(tmp_path / "half", dtype=torch.bfloat16)
    settings: dict[str, Any] = {"peft": True, "merge_adapter": True, "max_steps": 2}
    settings |= {"quantization": None}
    params, run, _ = job(model, data[0], tmp_path, valid_split=None, **settings)
    TASK.train(params, run)
    before, after = weights(model), weights(run.output)
    assert before.keys() == after.keys()
    assert {str(tensor.dtype) for tensor in after.values()} == {"torch.bfloat16"}
    moved = {name for name in before if not before[name].equal(after[name])}
    assert moved and all("text_model" in name for name in moved)


def test_a_base_of_four_bits_trains_captions(
    models: Any, data: tuple[Path, Path], tmp_path: Path
) -> None:
    settings = {"peft": True, "trainer": "captioning", "max_steps": 3, "logging_steps": 1}
    params, run, events = job(models("idefics3"), data[0], tmp_path, valid=data[1], **settings)
    assert params.quantization == "int4"
    TASK.train(params, run)
    assert (run.output / "adapter_model.safetensors").exists()
    losses = told(events, "valid_loss")
    assert losses[-1] < losses[0] and not told(events, "valid_exact_match")
    wording = json.loads((run.output / "wording.json").read_text())
    assert wording == {"before": "", "prompt": "Describe the image."}


def test_a_training_goes_on_as_if_it_had_not_stopped(
    models: Any, data: tuple[Path, Path], tmp_path: Path
) -> None:
    settings: dict[str, Any] = {"logging_steps": 1, "max_steps": 6, "valid_split": None}

    def made(name: str) -> Trained:
        return job(models("qwen2_vl"), data[0], tmp_path / name, **settings)

    params, run, whole = made("whole")
    TASK.train(params, run)
    params, run, first = made("first")

    def emit(event: Event) -> None:
        first.append(event)
        if isinstance(event, Metric) and event.step >= 3:
            run.stop.set()

    TASK.train(params, replace(run, emit=emit))
    (left,) = [e for e in first if isinstance(e, Checkpoint)]
    params, run, second = made("second")
    TASK.train(params, replace(run, last_checkpoint=Path(left.where)))
    assert told(first, "loss") + told(second, "loss") == pytest.approx(
        told(whole, "loss"), abs=1e-5
    )


@pytest.mark.parametrize("kind", ["idefics3", "paligemma"])
def test_a_step_is_the_same_in_several_passes(
    models: Any, data: tuple[Path, Path], tmp_path: Path, kind: str
) -> None:
    """Answers of several lengths count by their tokens, also where the model would not do so."""
    table = tiny_vlm.write_lengths(tmp_path / "rows.parquet", 16)
    settings: dict[str, Any] = {"logging_steps": 1, "max_steps": 3, "valid_split": None}
    losses = []
    for rows, passes in ((8, 1), (2, 4)):
        settings |= {"batch_size": rows, "gradient_accumulation": passes}
        params, run, events = job(models(kind), table, tmp_path / f"{passes}", **settings)
        TASK.train(params, run)
        losses.append(told(events, "loss"))
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)


def test_images_are_shown_as_they_are(trained: Trained, tmp_path: Path) -> None:
    from PIL import Image

    with Image.open(io.BytesIO(image("red", 500))) as opened:
        opened.convert("RGBA").save(tmp_path / "red.webp", lossless=True)
    asked = Question(image=str(tmp_path / "red.webp"), prompt=QUESTION)
    assert TASK.answer(str(trained[1].output), asked) == "red"
