"""What is pushed loads with transformers 4 too, as its card says, and says the same as here."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
import tiny_bert
import tiny_llm
import tiny_vit
from standins import clean
from standins.localhub import HubServer
from tiny_llm import chats, write_rows

from worker import tasks
from worker.contract import DataRef
from worker.engine.saving import save_model
from worker.engine.transformers4 import model_for_both
from worker.task import Run, Task

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
PAIRS = [{"text": "a fox", "rejected_text": "a dog"}] * 4
WORDS = [{"text": "the quick brown fox jumps over the lazy dog"}] * 4
_SAID = 'tokenizer.apply_chat_template([{"role": "user", "content": "say 3"}], return_tensors="pt"'
LOGITS = f"model({_SAID}, return_dict=True)['input_ids']).logits.float().sum().item()"
GENERATED = f"model.generate(**{_SAID}, return_dict=True), max_new_tokens=4, do_sample=False)[0]"
SAYS = f"[{LOGITS}, *{GENERATED}.tolist()]"
SCORE = "score('a text')[0]['score']"
FILLS = 'model(**tokenizer("the [MASK] fox", return_tensors="pt")).logits.float().sum().item()'
SEES = 'classify("image.jpg")[0]["score"]'
TELLS = "model.predict_proba(rows)[0].tolist()"

WAYS: dict[str, tuple[str, dict[str, Any], str]] = {
    "whole": ("llm", {"trainer": "sft"}, SAYS),
    "adapter": ("llm", {"trainer": "sft", "peft": True}, SAYS),
    "merged": ("llm", {"trainer": "sft", "peft": True, "merge_adapter": True}, SAYS),
    "reward": ("llm", {"trainer": "reward"}, SCORE),
    "reward-adapter": ("llm", {"trainer": "reward", "peft": True}, "score.sum().item()"),
    "masked": ("llm", {"trainer": "mlm"}, FILLS),
    "image": ("image_classification", {}, SEES),
    "image-merged": ("image_classification", {"peft": True, "merge_adapter": True}, SEES),
    "tabular": ("tabular", {}, TELLS),
}
"""The task that makes each kind of model, its settings, and what is asked of what its card loads.

A whole model in 16 bits is one in 32 to transformers 4 unless told, so these have 32.
"""


def base(folder: Path) -> Path:
    """Write a model that is as those of Llama 3 and Qwen are where it matters here."""
    tiny_llm.write_model(folder)
    for name, more in (
        ("config.json", {"rope_parameters": LLAMA3}),
        ("tokenizer_config.json", {"extra_special_tokens": ["<|im_start|>"]}),
    ):
        said = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(said | more))
    model_for_both(folder)  # an adapter's base is somebody else's, and loads in both
    return folder


def trained(way: str, folder: Path) -> tuple[Task[Any], Any, Path]:
    """Train a step and return the task, its settings and the folder of the model."""
    name, settings, _ = WAYS[way]
    task = tasks.load(name)
    few: dict[str, Any] = {"max_steps": 1}
    if name == "tabular":
        rows = [{"a": i % 7, "y": "ny"[i % 2]} for i in range(40)]
        data = write_rows(folder / "train.jsonl", rows)
        params: Any = task.params(data_path=str(data), target_columns="y", time_limit=5)
        (run_ := folder / "output").mkdir()
        run = Run(None, DataRef(folder=str(folder), train=(data.name,)), run_, folder, print)
    elif name == "llm":
        masked = settings["trainer"] == "mlm"
        model = tiny_bert.write_model(folder / "base") if masked else base(folder / "base")
        rows = {"reward": PAIRS, "mlm": WORDS}.get(settings["trainer"], chats(4))
        data = write_rows(folder / "train.jsonl", rows)
        params, run, _ = tiny_llm.job(model, data, folder, **few, **settings)
    else:
        data = tiny_vit.write_table(folder / "train.parquet", 4)
        model = tiny_vit.write_model(folder / "base")
        params, run, _ = tiny_vit.job(model, data, folder, **few, **settings)
    task.train(params, run)
    return task, params, run.output


def code(markdown: str) -> str:
    """Return the Python of a card."""
    return "\n".join(re.findall(r"```python\n(.*?)```", markdown, re.DOTALL))


def here(questions: Iterable[tuple[str, str, str]]) -> dict[str, Any]:
    """Return what comes of the same questions with the libraries of the tests."""
    found: dict[str, Any] = {}
    for name, snippet, asked in questions:
        names: dict[str, Any] = {}
        exec(snippet, names)
        found[name] = eval(asked, names)
    return found


def assert_same(there: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    assert set(there) == set(own)
    for name, value in own.items():
        assert there[name] == pytest.approx(value, abs=1e-3), name


def test_every_card_is_right_with_transformers_4(shared_hub: HubServer, tmp_path: Path) -> None:
    (tmp_path / "image.jpg").write_bytes(tiny_vit.image("red", 1, "JPEG"))
    (tmp_path / "rows.csv").write_text("a\n3\n")
    there: list[tuple[str, str, str]] = []
    own: list[tuple[str, str, str]] = []
    for way, (_, settings, asked) in WAYS.items():
        (tmp_path / way).mkdir()
        task, params, model = trained(way, tmp_path / way)
        api, adapter = (
            shared_hub.api("ann"),
            settings.get("peft") and "merge_adapter" not in settings,
        )
        api.create_repo(f"ann/{way}")
        api.upload_folder(repo_id=f"ann/{way}", folder_path=model)
        for name, questions in ((f"ann/{way}", there), (str(model), own)):
            snippet = code(task.loading(params, name, adapter=bool(adapter)))
            if way == "tabular" and name == str(model):
                snippet = snippet.replace(
                    "from huggingface_hub import", "snapshot_download = str  #"
                )
            questions.append((way, snippet, asked))
    hub = {"HF_ENDPOINT": shared_hub.endpoint, "HF_TOKEN": shared_hub.tokens["ann"]}
    with contextlib.chdir(tmp_path):
        assert_same(clean.asked(there, tmp_path, **hub), here(own))


KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "gemma3": ("Gemma3", {"sliding_window": 16, "num_hidden_layers": 6}),
    "linear": ("Llama", {"rope_parameters": {"rope_type": "linear", "factor": 2.0}}),
    "longrope": (
        "Phi3",
        {
            "rope_parameters": {
                "rope_type": "longrope",
                "short_factor": [1.0 + i / 10 for i in range(8)],
                "long_factor": [2.0 + i for i in range(8)],
            },
            "original_max_position_embeddings": 64,
        },
    ),
    "neox": ("GPTNeoX", {"rope_parameters": {"rope_theta": 5e5, "partial_rotary_factor": 0.5}}),
    "qwen2": ("Qwen2", {"rope_parameters": {"rope_theta": 1e6}}),
    "qwen3moe": (
        "Qwen3Moe",
        {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32},
    ),
    "yarn": (
        "Qwen3",
        {
            "rope_parameters": {
                "rope_type": "yarn",
                "rope_theta": 1e6,
                "factor": 4.0,
                "original_max_position_embeddings": 128,
            }
        },
    ),
}
"""Models whose positions or experts transformers 4 calls otherwise."""


def test_models_of_all_kinds_say_the_same_in_transformers_4(tmp_path: Path) -> None:
    import torch
    import transformers

    sizes = {"vocab_size": 300, "hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16}
    few = {**sizes, **heads, "max_position_embeddings": 512, "pad_token_id": 0}
    questions, own = [], {}
    for name, (family, more) in KINDS.items():
        torch.manual_seed(0)
        text = "Text" if family == "Gemma3" else ""
        config = getattr(transformers, f"{family}{text}Config")(**{**few, **more})
        model = getattr(transformers, f"{family}ForCausalLM")(config).eval()
        with torch.no_grad():
            for weights in model.parameters():
                weights.mul_(4)  # so that attention is not the same everywhere
            own[name] = model(torch.arange(3, 103)[None]).logits[0, -1, :9].tolist()
        (tmp_path / name).mkdir()
        save_model(model, tmp_path / name, torch.float32)
        snippet = (
            "import torch\nfrom transformers import AutoModelForCausalLM as Auto\n"
            f"logits = Auto.from_pretrained({name!r})(torch.arange(3, 103)[None]).logits"
        )
        questions.append((name, snippet, "logits[0, -1, :9].tolist()"))
    assert_same(clean.asked(questions, tmp_path), own)
