"""The promises of training on a real pretrained model: SmolLM2-135M-Instruct, where installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import smollm2
from tiny_llm import job, write_rows

from worker.contract import Metric

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(smollm2.installed() is None, reason=smollm2.INSTALL),
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning"),
]


@pytest.fixture(scope="module")
def model(pytestconfig: pytest.Config) -> Path:
    folder = pytestconfig.cache.mkdir("models") if pytestconfig.cache else Path("build")
    return smollm2.checkpoint(folder / "SmolLM2-135M-Instruct")


def test_it_learns(model: Path, tmp_path: Path) -> None:
    from worker.tasks.llm.training.train import train

    rows = [
        {
            "messages": [
                {"role": "user", "content": f"What does the command number {i} do?"},
                {"role": "assistant", "content": f"It rents machine number {i} and trains on it."},
            ]
        }
        for i in range(4)
    ]
    data = write_rows(tmp_path / "train.jsonl", rows)
    settings: dict[str, Any] = {"trainer": "sft", "peft": True, "block_size": 64, "max_steps": 6}
    params, run, events = job(model, data, tmp_path, **settings)
    train(params, run)
    losses = [e.values["loss"] for e in events if isinstance(e, Metric) and "loss" in e.values]
    assert losses[-1] < 0.7 * losses[0]
    assert (run.output / "adapter_model.safetensors").stat().st_size > 1e6


def test_logits_packed_equal_logits_alone(model: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from worker.tasks.llm.tokens import Example, encode
    from worker.tasks.llm.training.batches import Collate, keeps_apart

    net = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32, use_cache=False).eval()
    texts = ["The capital of France is Paris.", "Water boils at 100 °C.", "def f(x): return x"]
    raw = AutoTokenizer.from_pretrained(model).backend_tokenizer
    examples = list(encode([Example(text) for text in texts], raw, eos=2))
    assert keeps_apart(net, 49152)
    with torch.no_grad():
        packed = net(**Collate(pad=0)([examples])).logits[0]
        at = 0
        for tokens in examples:
            alone = net(input_ids=torch.tensor([list(tokens.ids)])).logits[0]
            difference = (packed[at : at + len(tokens)] - alone).abs().max()
            assert difference < 1e-5 * alone.abs().max()
            at += len(tokens)
