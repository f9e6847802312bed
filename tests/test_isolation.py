"""Which architectures keep packed examples apart, and what is done for those that do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tiny_llm import job, tokenizer, write_rows

from worker.contract import Event, Metric

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

VOCABULARY = 304
PLAIN: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 256,
    "pad_token_id": 0,
    "bos_token_id": 0,
    "eos_token_id": 0,
}
WINDOW = {**PLAIN, "sliding_window": 4}
EXPERTS = {**PLAIN, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
GPT = {
    **{"vocab_size": VOCABULARY, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 256},
    **{"bos_token_id": 0, "eos_token_id": 0},
}
SHORT = {"vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 2, "pad_token_id": 0}
DELTA = {
    **{"linear_num_key_heads": 2, "linear_num_value_heads": 4},
    **{"linear_key_head_dim": 8, "linear_value_head_dim": 8},
}

APART: dict[str, dict[str, Any]] = {
    "llama": PLAIN,
    "qwen3": PLAIN,
    "gemma2": PLAIN,
    "gemma3_text": WINDOW,
    "smollm3": PLAIN,
    "phi3": PLAIN,
    "mistral": WINDOW,
    "gpt2": GPT,
    "gpt_neox": PLAIN,
    "olmo3": WINDOW,
    "mixtral": {**PLAIN, "num_local_experts": 4},
    "qwen3_moe": EXPERTS,
}
TOGETHER: dict[str, dict[str, Any]] = {
    "recurrent_gemma": {
        **{**PLAIN, "num_hidden_layers": 3, "lru_width": 32, "attention_window_size": 64},
        "block_types": ["recurrent", "recurrent", "attention"],
    },
    "jamba": {
        **{**PLAIN, "num_hidden_layers": 4, "num_experts": 4, "mamba_d_state": 8},
        **{"attn_layer_period": 4, "attn_layer_offset": 1},
    },
    "qwen3_next": {
        **{**EXPERTS, **DELTA, "num_hidden_layers": 4, "shared_expert_intermediate_size": 32}
    },
    "falcon_h1": {
        **{**PLAIN, "mamba_d_ssm": 32, "mamba_n_heads": 4, "mamba_d_head": 8},
        **{"mamba_d_state": 8, "mamba_chunk_size": 16},
    },
    "lfm2": {**PLAIN, "layer_types": ["conv", "full_attention"]},
    "qwen3_5_text": {**PLAIN, **DELTA, "num_hidden_layers": 4},
}
BLIND: dict[str, dict[str, Any]] = {
    "bloom": {"vocab_size": VOCABULARY, "hidden_size": 32, "n_layer": 2, "n_head": 4},
    "falcon": {**SHORT, "num_attention_heads": 4, "alibi": True},
    "mpt": {
        **{"vocab_size": VOCABULARY, "d_model": 32, "n_layers": 2, "n_heads": 4},
        "max_seq_len": 256,
    },
    "mamba": {**SHORT, "state_size": 8},
}
"""Models that pay no heed to positions at all."""


def built(name: str, settings: dict[str, Any], dtype: str = "float32") -> Any:
    import torch
    from transformers import CONFIG_MAPPING, AutoModelForCausalLM

    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(
        CONFIG_MAPPING[name](**settings), dtype=getattr(torch, dtype)
    )
    model.config.use_cache = False
    return model


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", [*APART, *TOGETHER, *BLIND])
def test_what_leaks_is_not_packed_and_what_does_not_is(name: str, dtype: str) -> None:
    from worker.tasks.llm.training.batches import keeps_apart

    model = built(name, {**APART, **TOGETHER, **BLIND}[name], dtype)
    assert keeps_apart(model, VOCABULARY) == (name in APART)


@pytest.mark.parametrize("bits", ["int4", "int8"])
def test_rounding_of_a_quantized_model_is_not_taken_for_a_leak(bits: str, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    from worker.tasks.llm.training.batches import keeps_apart

    whole = built("llama", {**PLAIN, "hidden_size": 64, "head_dim": 16}, "bfloat16")
    for layer in whole.model.layers:  # outliers, which 8-bit products take out token by token
        layer.input_layernorm.weight.data[3] *= 60
        layer.post_attention_layernorm.weight.data[5] *= 60
    whole.save_pretrained(tmp_path)
    how = BitsAndBytesConfig(load_in_4bit=bits == "int4", load_in_8bit=bits == "int8")
    model = AutoModelForCausalLM.from_pretrained(
        tmp_path, quantization_config=how, dtype=torch.bfloat16
    )
    model.config.use_cache = False
    assert keeps_apart(model, VOCABULARY)


def losses(name: str, settings: dict[str, Any], folder: Path, **how: Any) -> list[float]:
    from worker.tasks.llm.training.train import train

    model = folder / "model"
    built(name, settings).save_pretrained(model)
    tokenizer().save_pretrained(model)
    rows = [{"text": "the quick brown fox " * (1 + i % 4)} for i in range(8)]
    data = write_rows(folder / "train.jsonl", rows)
    params, run, events = job(model, data, folder, logging_steps=1, max_steps=4, **how)
    train(params, run)
    return _named(events, "loss")


def _named(events: list[Event], name: str) -> list[float]:
    return [e.values[name] for e in events if isinstance(e, Metric) and name in e.values]


@pytest.mark.parametrize("name", [*BLIND])
def test_padding_is_never_seen_by_a_model_that_ignores_positions(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = BLIND[name]
    how = {"packing": False, "batch_size": 2, "gradient_accumulation": 1}
    right = losses(name, settings, tmp_path / "right", padding="right", **how)
    left = losses(name, settings, tmp_path / "left", padding="left", **how)
    assert left == pytest.approx(right, rel=1e-6)
    assert "rows are padded on the right" in capfd.readouterr().err
