"""What the check makes of images and what is said of them, light: tokens, damage, memory, names."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import tiny_vlm
from tiny_vit import HUGE, image
from tiny_vlm import QUESTION

from orchestrator.preflight.lookup import in_folder
from orchestrator.preflight.model import facts_of
from worker.errors import BadConfig, BadData
from worker.splits import Split
from worker.task import DataReport, ModelFacts
from worker.tasks.vlm import TASK
from worker.tasks.vlm.kinds import KINDS, UNSUITED
from worker.tasks.vlm.lengths import image_tokens
from worker.tasks.vlm.params import VlmParams

PALIGEMMA: dict[str, Any] = {
    "architectures": ["PaliGemmaForConditionalGeneration"],
    "model_type": "paligemma",
    "text_config": {
        **{"model_type": "gemma", "hidden_size": 2048, "intermediate_size": 16384},
        **{"num_hidden_layers": 18, "num_attention_heads": 8, "num_key_value_heads": 1},
        **{"head_dim": 256, "vocab_size": 257_216, "max_position_embeddings": 8192},
    },
    "vision_config": {
        **{"hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27},
        **{"num_attention_heads": 16, "image_size": 224, "patch_size": 14},
    },
}
FACTS = ModelFacts("google/paligemma-3b-pt-224", 2_923_466_480, 4.0, PALIGEMMA)
PNG = image("red", 1)
GB = 1e9


def split(answers: Sequence[Any], *, images: Any = None, asks: bool = True, **more: Any) -> Split:
    asked = {"question": QUESTION} if asks else {}
    rows = [
        (i, {"image": {"bytes": (images or {}).get(i, PNG), "path": None}, "answer": said, **asked})
        for i, said in enumerate(answers, 1)
    ]
    columns = ("image", "answer", *asked)
    return Split("photos", columns, rows, more.pop("total", len(rows)), **more)


def look(train: Split, facts: ModelFacts = FACTS, **settings: Any) -> DataReport:
    params = VlmParams(data_path="photos", **settings)
    return TASK.inspect(params, {"train": train}, facts, None)


def said(report: DataReport, level: str) -> str:
    return "\n".join(f.text for f in report.findings if f.level == level)


def test_images_and_tokens_are_counted_and_an_example_is_shown() -> None:
    report = look(split(["red", "blue"] * 20))
    assert "40 images with questions and answers · images of 37 x 47 pixels · 20%" in said(
        report, "ok"
    )
    assert "256 are the image" in said(report, "ok")
    assert (report.rows, report.valid_rows, report.steps) == (32, 8, 4)
    assert 256 * 32 < report.units < 300 * 32 and 256 < report.largest < 300
    assert report.example is not None
    assert [(p.text, p.learned) for p in report.example.parts] == [
        (f"<image>answer en {QUESTION}", False),
        (report.example.parts[1].text, True),
    ]


def test_all_that_is_wrong_is_said_at_once() -> None:
    broken = {1: b"", 2: b"<html>", 3: HUGE, 4: PNG[:-20]}
    report = look(split(["red", "red", "red", "blue", "", None, "blue"], images=broken))
    for text in ("without an image", "no readable image", "million pixels", "cut short"):
        assert text in said(report, "warn")
    assert "2 rows without a text" in said(report, "warn")
    report = look(split(["red"] * 5, images=dict.fromkeys(range(1, 6), b"")))
    assert "no row of photos has an image and a text" in said(report, "error")
    assert "every row says the same" in said(look(split(["red"] * 5)), "warn")


@pytest.mark.parametrize(
    ("cell", "text"),
    [(["2", "2", "3"], "2"), (4.0, "4"), (1, "no"), (True, "True"), (" yes ", "yes")],
)
def test_an_answer_is_read_as_people_say_it(cell: Any, text: str) -> None:
    from worker.tasks.vlm.examples import text_of

    classes = {"answer": ("yes", "no")} if cell == 1 and cell is not True else {}
    assert text_of(cell, "answer", split([], classes=classes), 1) == text


def test_what_no_row_can_be_learned_from_is_refused() -> None:
    with pytest.raises(BadData, match='"answer" holds a dict and no text'):
        look(split([{"a": 1}]))
    with pytest.raises(BadData, match='no column "prompt" in photos'):
        look(split(["red"], asks=False))
    with pytest.raises(BadData, match='no column "says" in photos'):
        look(split(["red"]), text_column="says")
    assert "captions" in said(look(split(["red"], asks=False), trainer="captioning"), "ok")


def test_answers_that_do_not_fit_are_told() -> None:
    report = look(split(["red " * 40, "blue"]), model_max_length=280, valid_split=None)
    assert "1 answer is cut" in said(report, "warn")
    report = look(split(["red", "blue"]), model_max_length=200, valid_split=None)
    assert "2 of 2 images leave no room for an answer in 200 tokens" in said(report, "error")


SIZES = [(32, 32), (37, 48), (20, 90), (200, 30), (64, 64)]
WRITE: dict[str, Callable[[Path], Path]] = {
    "idefics3": tiny_vlm.write_idefics,
    "paligemma": tiny_vlm.write_paligemma,
    "llava": tiny_vlm.write_llava,
    "qwen2_vl": tiny_vlm.write_qwen,
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*WRITE])
def test_images_take_the_tokens_that_processors_write(kind: str, tmp_path: Path) -> None:
    from PIL import Image
    from transformers import AutoModelForImageTextToText

    from worker.contract import ModelRef
    from worker.engine.source import Source
    from worker.tasks.vlm.speech import Speech
    from worker.tasks.vlm.training.processors import processor_of, speech_of

    model = WRITE[kind](tmp_path / "model")
    facts = facts_of(in_folder(str(model), TASK.model_reads))
    TASK.check_model(VlmParams(data_path="d"), facts)
    source = Source(ModelRef(name=str(model)), AutoModelForImageTextToText)
    processor = processor_of(source, kind)
    speech = speech_of("m", kind, processor)
    light = Speech.of(facts, processor.tokenizer.backend_tokenizer)
    assert light.prompt("q") == speech.prompt("q")
    assert light.answer("q", "red") == speech.answer("q", "red")
    marked, answer = f"<image>\nq {speech.image}", f"{speech.image}red"  # as LLaVA's rows are
    assert speech.prompt(marked) == speech.prompt("q")
    assert speech.answer(marked, answer) == speech.answer("q", "red")
    if speech.template:
        chat = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "q"}]}]
        stock = processor.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        assert speech.prompt("q") == stock
    words = len(processor.tokenizer(speech.prompt("is"))["input_ids"])
    for size in SIZES:
        given = processor(images=[[Image.new("RGB", size)]], text=[speech.prompt("is")])
        found = len(given["input_ids"][0])
        foretold = image_tokens(facts.config, facts.processor, size) + words
        assert foretold == pytest.approx(found, abs=4), size


@pytest.mark.slow
def test_every_kind_that_transformers_loads_is_known() -> None:
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES as NAMES,
    )

    assert not KINDS & UNSUITED.keys()
    assert KINDS | UNSUITED.keys() == set(NAMES)


def test_other_models_are_refused_and_told_why() -> None:
    for kind, why in {"florence2": "from beside", "llama4": "torchvision", "llama": "say"}.items():
        with pytest.raises(BadConfig, match=why):
            TASK.check_model(
                VlmParams(data_path="d"), ModelFacts("m", 1, config={"model_type": kind})
            )


def test_the_card_asks_a_model_without_a_chat_by_a_prefix_whatever_its_folder_is_called(
    tmp_path: Path,
) -> None:
    def told(kind: str, *, adapter: bool = False) -> str:
        (tmp_path / "config.json").write_text(json.dumps({"model_type": kind}), encoding="utf-8")
        params = TASK.params(data_path="d", trainer="vqa", model=str(tmp_path))
        return TASK.loading(params, "ann/x", adapter=adapter)

    prefix = 'text="<image>" + "answer en What is this?"'
    assert prefix in told("paligemma")
    assert "<image>" not in told("idefics3")
    assert "pillow\n" in told("idefics3") and " peft\n" in told("idefics3", adapter=True)

    derived = TASK.params(data_path="d", trainer="vqa", model="ann/derived")
    (tmp_path / "config.json").unlink()  # an adapter has none
    for kind, found in {"PaliGemmaProcessor": True, "Idefics3Processor": False}.items():
        file = tmp_path / "processor_config.json"
        file.write_text(json.dumps({"processor_class": kind}), encoding="utf-8")
        assert (prefix in TASK.loading_of(tmp_path, derived, "ann/x", adapter=True)) is found


def test_memory_and_work_follow_what_is_trained() -> None:
    report = look(split(["red", "blue"] * 20))

    def footprint(**settings: Any) -> float:
        params = VlmParams(data_path="d", **settings)
        return TASK.footprint(params, FACTS, report, None).expected

    whole, lora = footprint(), footprint(peft=True, quantization=None)
    assert footprint(peft=True) < 4.5 * GB < lora < 15 * GB < 35 * GB < whole < 60 * GB
    assert footprint(train_vision=True) > whole
    params = VlmParams(data_path="d")
    # 32 rows of some 270 tokens, once; 6 a parameter and token, and a look at what is held out
    once = TASK.flops(params, FACTS, report)
    assert once == pytest.approx(6 * 2.5e9 * 32 * 270 * 1.25, rel=0.25)
    assert TASK.flops(VlmParams(data_path="d", peft=True), FACTS, report) < once


def test_bits_are_for_a_base_beside_an_adapter() -> None:
    assert VlmParams(data_path="d").quantization is None
    assert VlmParams(data_path="d", peft=True).quantization == "int4"
    assert VlmParams(data_path="d", peft=True, quantization=None).quantization is None
    with pytest.raises(ValueError, match="needs --peft"):
        VlmParams(data_path="d", quantization="int4")


def test_the_check_needs_neither_torch_nor_pillow() -> None:
    lines = (
        "import sys",
        "from worker.tasks.vlm import TASK",
        "from worker.splits import Split",
        "from worker.task import ModelFacts",
        f"facts = ModelFacts('m', 1, config={json.dumps(PALIGEMMA)})",
        f"row = {{'image': {PNG!r}, 'text': 'red', 'prompt': 'q'}}",
        "split = Split('s', tuple(row), [(1, row)], 1)",
        "TASK.inspect(TASK.params(data_path='d'), {'train': split}, facts, None)",
        "print([m for m in ('torch', 'PIL', 'numpy', 'transformers') if m in sys.modules])",
    )
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
