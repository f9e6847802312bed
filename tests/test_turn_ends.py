"""A model that learned to answer stops where an answer ends, however it was trained and loaded."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from tiny_llm import EOS, IM_END, job, write_model, write_rows

from worker.tasks.llm import TASK

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning"),
]

ROWS = [
    {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]}
] * 64

LONG = [
    {"messages": [ROWS[0]["messages"][0], {"role": "assistant", "content": "hello fox " * 20}]}
] * 20
"""Longer than the rows of the test that cuts them."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "tiny")


def trained(model: Path, folder: Path, rows: list[Any] = ROWS, **settings: Any) -> Path:
    from worker.tasks.llm.training.train import train

    params, run, _ = job(
        model, write_rows(folder / "train.jsonl", rows), folder, **{"max_steps": 2, **settings}
    )
    train(params, run)
    return run.output


def stops(folder: Path) -> list[int]:
    from transformers import GenerationConfig

    found = GenerationConfig.from_pretrained(folder).eos_token_id
    return found if isinstance(found, list) else [found]


@pytest.mark.parametrize(
    "settings",
    [
        {"trainer": "default"},
        {"trainer": "sft", "completion_only_loss": False},
        {"trainer": "sft", "block_size": 32},
        {"trainer": "sft", "peft": True},
        {"trainer": "sft", "peft": True, "merge_adapter": True},
    ],
    ids=["default", "whole-loss", "cut", "adapter", "merged"],
)
def test_what_ends_a_turn_is_where_generation_stops(
    model: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    from transformers import AutoTokenizer

    output = trained(model, tmp_path, LONG, chat_template="chatml", **settings)
    tokenizer = AutoTokenizer.from_pretrained(output)
    assert stops(output) == [0, tokenizer.convert_tokens_to_ids(IM_END)]
    assert tokenizer.eos_token == IM_END
    assert tokenizer.pad_token == EOS


@pytest.mark.parametrize("peft", [False, True], ids=["whole", "adapter"])
@pytest.mark.parametrize(
    "published",
    [{"temperature": 0.9, "top_p": 0.6}, {"length_penalty": 2.0, "early_stopping": True}],
    ids=["no-sampling", "no-beams"],
)
def test_settings_that_contradict_one_another_lose_no_model(
    model: Path, tmp_path: Path, published: dict[str, Any], peft: bool
) -> None:
    base = tmp_path / "base"
    shutil.copytree(model, base)
    file = base / "generation_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | published))
    output = trained(base, tmp_path, chat_template="chatml", trainer="sft", peft=peft)
    assert (output / ("adapter_model.safetensors" if peft else "model.safetensors")).exists()
    assert len(stops(output)) == 2


def test_texts_end_with_the_end_of_text_and_nothing_else(model: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    output = trained(model, tmp_path, [{"text": "the quick brown fox"}] * 20)
    assert stops(output) == [0] and AutoTokenizer.from_pretrained(output).eos_token == EOS


def test_a_prompt_of_messages_ends_its_turns_too(model: Path, tmp_path: Path) -> None:
    rows = [{"prompt": ROWS[0]["messages"][:1], "completion": ROWS[0]["messages"][1:]}] * 20
    output = trained(model, tmp_path, rows, trainer="sft", chat_template="chatml")
    assert len(stops(output)) == 2
    assert "<|im_start|>" in (output / "chat_template.jinja").read_text()


def test_an_adapter_answers_and_stops(model: Path, tmp_path: Path) -> None:
    """Loaded by the stock classes, and by ours: it says what it learned, and no more."""
    from peft import AutoPeftModelForCausalLM
    from transformers import AutoTokenizer, GenerationConfig

    from worker.tasks.llm.params import Question

    settings: dict[str, Any] = {
        "trainer": "sft",
        "peft": True,
        "lora_r": 32,
        "lr": 1e-2,
        "max_steps": 60,
    }
    output = trained(model, tmp_path, chat_template="chatml", **settings)
    tokenizer = AutoTokenizer.from_pretrained(output)
    prompt = tokenizer.apply_chat_template(
        ROWS[0]["messages"][:1], add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    net = AutoPeftModelForCausalLM.from_pretrained(output)
    for how in (
        {"eos_token_id": tokenizer.eos_token_id},
        {"generation_config": GenerationConfig.from_pretrained(output)},
    ):
        said = net.generate(**prompt, max_new_tokens=20, do_sample=False, **how)
        text = tokenizer.decode(said[0, prompt["input_ids"].shape[1] :])
        assert "llo" in text and text.index(IM_END) == len(text) - len(IM_END)
    params = TASK.params(model=str(model), data_path="rows", trainer="sft")
    told = TASK.loading(params, str(output), adapter=True)
    shown = re.search("```python\n(.*?)```", told, re.S)
    assert shown is not None
    loaded: dict[str, Any] = {}
    exec(shown[1], loaded)
    said = loaded["model"].generate(**prompt, max_new_tokens=20, do_sample=False)
    assert loaded["tokenizer"].decode(said[0, prompt["input_ids"].shape[1] :]) == text
    question = Question(prompt="hi", max_new_tokens=20)
    assert TASK.answer(str(output), question) == text.removesuffix(IM_END)
