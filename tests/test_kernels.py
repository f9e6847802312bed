"""What training does in fewer steps than the libraries do must come to the same."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tiny_llm import write_model

from benchmarks.gpu import SHAPES
from worker.contract import ModelRef
from worker.task import ModelFacts
from worker.tasks.llm import cost
from worker.tasks.llm.params import LlmParams

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

WORDS = 304
LENGTHS = [7, 1, 20, 13]
LLAMA_1B = SHAPES["1b"] | {"max_position_embeddings": 131072}


def built(kind: str = "llama", **more: Any) -> Any:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    config = AutoConfig.for_model(
        kind,
        vocab_size=WORDS,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        pad_token_id=0,
        use_cache=False,
        **more,
    )
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.02)
    return model


@pytest.fixture(scope="module")
def row() -> dict[str, Any]:
    import torch

    torch.manual_seed(1)
    at = torch.cat([torch.arange(n) for n in LENGTHS])[None]
    ids = torch.randint(1, WORDS, at.shape)
    return {"input_ids": ids, "position_ids": at, "labels": ids.masked_fill(at == 0, -100)}


def stepped(model: Any, **batch: Any) -> tuple[float, Any]:
    """Return the loss and all gradients of a batch."""
    import torch

    model.zero_grad()
    loss = model(**batch).loss
    loss.backward()
    return float(loss), torch.cat([p.grad.flatten() for p in model.parameters() if p.requires_grad])


def same(one: tuple[float, Any], other: tuple[float, Any]) -> None:
    assert one[0] == pytest.approx(other[0], rel=1e-6)
    assert float((one[1] - other[1]).norm() / other[1].norm()) < 1e-5


def test_attention_without_a_mask_sees_what_attention_with_one_does(row: dict[str, Any]) -> None:
    from worker.engine import attention
    from worker.tasks.llm.training.batches import attends_in_packs, examples_of

    model = built()
    masked = stepped(model, **row)
    assert attends_in_packs(model, WORDS)
    assert attention.lent(model)
    told = stepped(model, **row, **examples_of(row["position_ids"]))
    same(told, masked)
    same(stepped(model, **row), masked)  # the bounds are found where nobody tells them


def test_bounds_are_where_examples_begin(row: dict[str, Any]) -> None:
    from worker.engine.attention import bounds

    ends, longest = bounds(row["position_ids"][0])
    assert [b - a for a, b in pairwise(ends.tolist())] == LENGTHS
    assert longest == max(LENGTHS)


def test_padded_rows_and_answers_are_the_same_with_either_attention() -> None:
    import torch

    from worker.tasks.llm.training.batches import attends_in_packs

    model = built()
    ids = torch.randint(1, WORDS, (3, 9))
    padded = torch.ones_like(ids)
    padded[1, :4] = 0

    def seen() -> tuple[Any, Any]:
        with torch.no_grad():
            logits = model(input_ids=ids, attention_mask=padded).logits[padded.bool()]
        said = model.generate(
            ids, attention_mask=padded, max_new_tokens=5, do_sample=False, use_cache=True
        )
        return logits, said

    logits, said = seen()
    assert attends_in_packs(model, WORDS)
    again, repeated = seen()
    assert torch.allclose(logits, again, atol=1e-5)
    assert torch.equal(said, repeated)


def test_a_model_that_looks_back_only_so_far_keeps_its_mask() -> None:
    from worker.engine import attention
    from worker.tasks.llm.training.batches import attends_in_packs

    model = built("mistral", sliding_window=8)
    assert not attends_in_packs(model, WORDS)
    assert model.config._attn_implementation == "sdpa"
    assert not attention.lent(model)


@pytest.mark.parametrize(("kind", "more"), [("llama", {}), ("mistral", {"sliding_window": 8})])
def test_a_cpu_trains_packed_rows_without_a_mask(kind: str, more: dict[str, Any]) -> None:
    import torch

    from worker.engine import attention
    from worker.engine.model import Loaded, Precision
    from worker.engine.source import Source
    from worker.tasks.llm.training.train import needs_no_mask

    model = built(kind, **more)
    plain = Precision(torch.float32, torch.float32, torch.float32)
    found = needs_no_mask(Loaded(Source(ModelRef(name="m"), type(model)), model, plain))
    assert found == attention.lent(model) == (kind == "llama")


def test_attention_that_sees_something_else_is_taken_back() -> None:
    from worker.engine import attention

    model = built()
    assert not attention.adopt(model, lambda _: False)
    assert model.config._attn_implementation == "sdpa"


@pytest.mark.parametrize("learned_in_step", [None, 77])
@pytest.mark.parametrize("kind", ["float32", "bfloat16"])
def test_the_loss_that_overwrites_logits_is_the_usual_one(
    kind: str, learned_in_step: int | None
) -> None:
    import torch
    from transformers.loss.loss_utils import ForCausalLMLoss

    from worker.engine.loss import AT_ONCE, causal_loss

    tokens = AT_ONCE // 8192 + 5  # more than are worked on at once
    logits = 4 * torch.randn(1, tokens, 8192, dtype=getattr(torch, kind))
    labels = torch.randint(0, 8192, (1, tokens))
    labels[0, ::5] = -100
    found = []
    for loss in (ForCausalLMLoss, causal_loss):
        leaf = logits.clone().requires_grad_()
        counted = None if learned_in_step is None else torch.tensor(learned_in_step)
        value = loss(leaf * 1.0, labels, 8192, num_items_in_batch=counted)
        (3 * value).backward()
        assert leaf.grad is not None
        found.append((float(value), leaf.grad.float()))
    assert found[1][0] == pytest.approx(found[0][0], rel=1e-6)
    assert torch.allclose(found[1][1], found[0][1], rtol=1e-2 if kind == "bfloat16" else 1e-4)


def test_who_gives_labels_gets_the_loss_and_others_logits(row: dict[str, Any]) -> None:
    from worker.engine.loss import save_memory

    model = built()
    usual = stepped(model, **row)
    assert save_memory(model)
    same(stepped(model, **row), usual)
    assert list(model(**row)) == ["loss"]
    assert model(input_ids=row["input_ids"]).logits.shape[-1] == WORDS


@pytest.mark.parametrize(("kind", "fused"), [("llama", 5), ("gemma", 0)])
def test_norms_are_taken_by_torch_where_they_are_plain(
    kind: str, fused: int, row: dict[str, Any]
) -> None:
    from worker.engine import norms

    model = built(kind)
    written_out = stepped(model, **row)
    assert norms.fuse(model) == fused
    same(stepped(model, **row), written_out)


@pytest.mark.parametrize("dora", [False, True])
def test_an_adapter_in_fewer_steps_is_the_same_adapter(dora: bool, row: dict[str, Any]) -> None:
    import torch
    from peft import LoraConfig, get_peft_model

    from worker.engine.adapter import shorten

    settings = LoraConfig(
        task_type="CAUSAL_LM", r=8, lora_alpha=32, target_modules="all-linear", use_dora=dora
    )
    model = get_peft_model(built(), settings)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.1)
    as_peft_does = stepped(model, **row)
    with model.disable_adapter():
        without = float(model(**row).loss)
    shorten(model)
    same(stepped(model, **row), as_peft_does)
    with model.disable_adapter():
        assert float(model(**row).loss) == without
    merged = model.merge_and_unload()
    assert float(merged(**row).loss) == pytest.approx(as_peft_does[0], rel=1e-5)


def settings(**more: Any) -> LlmParams:
    return LlmParams(model="m", data_path="-", block_size=2048, **more)


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model whose files have 16 bits."""
    from transformers import AutoModelForCausalLM

    folder = write_model(tmp_path_factory.mktemp("half") / "model")
    AutoModelForCausalLM.from_pretrained(folder, dtype="bfloat16").save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"peft": True},
        {"peft": True, "quantization": "int4"},  # packed weights stand for two numbers each
    ],
    ids=["all", "lora", "int4"],
)
def test_the_machine_reckons_with_what_the_check_did(half: Path, more: dict[str, Any]) -> None:
    from safetensors import safe_open

    from worker.contract import ModelRef
    from worker.engine.model import load
    from worker.engine.room import facts_of
    from worker.tasks.llm.training.opening import source_of

    params = settings(mixed_precision="bf16", **more)
    loaded = load(source_of(params, ModelRef(name=str(half))), params)
    config = json.loads((half / "config.json").read_text())
    with safe_open(half / "model.safetensors", "np") as file:
        names = file.keys()
        count = sum(math.prod(file.get_slice(name).get_shape()) for name in names)
    known = ModelFacts("m", count, 2.0, config)
    here = cost.footprint(params, facts_of(loaded), 1e12)
    assert here == cost.footprint(params, known, 1e12)


@pytest.mark.parametrize(
    ("more", "memory", "rows", "passes"),
    [
        ({"peft": True}, 76e9, 8, 1),
        ({}, 76e9, 4, 2),
        ({"peft": True}, 24e9, 2, 4),
        ({"peft": True, "gradient_accumulation": 3}, 76e9, 6, 1),
        ({"peft": True, "batch_size": 8}, 1e12, 8, 4),  # no GPU gets faster beyond that
    ],
)
def test_a_step_is_taken_in_as_few_passes_as_fit(
    more: dict[str, Any], memory: float, rows: int, passes: int
) -> None:
    facts = ModelFacts("m", 1_236_000_000, 2.0, LLAMA_1B)
    asked = settings(**more)
    found = cost.enlarged(asked, facts, memory)
    assert (found.batch_size, found.gradient_accumulation) == (rows, passes)
    assert found.steps(1001) == asked.steps(1001)
    if rows > asked.batch_size:
        assert cost.footprint(found, facts, memory).high <= memory


CHANCE = [
    ("llama", {"attention_dropout": 0.1}),  # handed to the attention as a number
    ("gpt2", {}),  # layers of their own, 0.1 each
    ("gpt_neox", {"hidden_dropout": 0.1}),
]


@pytest.mark.parametrize(("kind", "more"), CHANCE, ids=[kind for kind, _ in CHANCE])
def test_without_dropout_a_model_says_the_same_twice(kind: str, more: dict[str, Any]) -> None:
    import torch

    from worker.engine.dropout import without_dropout

    model, ids = built(kind, **more).train(), torch.arange(1, 13)[None]
    before = model.config.to_dict()

    def said() -> Any:
        with torch.no_grad():
            return model(input_ids=ids).logits

    assert not torch.equal(said(), said())
    without_dropout(model)
    assert torch.equal(said(), said())
    assert model.config.to_dict() == before  # which is saved with the model


def test_passes_are_not_enlarged_where_the_result_would_depend_on_them() -> None:
    from worker.tasks.llm.training.memory import depends_on_passes

    plain = built()
    assert depends_on_passes(settings(), plain) == ""
    assert depends_on_passes(settings(peft=True), plain) == ""
    assert "--neftune" in depends_on_passes(settings(neftune_noise_alpha=5), plain)
    balanced = built("mixtral", num_local_experts=2, output_router_logits=True)
    assert "experts" in depends_on_passes(settings(), balanced)


@pytest.mark.parametrize(
    ("more", "memory", "held"),
    [
        ({"batch_size": 2}, 84e9, 31.3e9),
        ({"batch_size": 4, "gradient_accumulation": 2}, 84e9, 39.9e9),
        ({"batch_size": 8, "gradient_accumulation": 1}, 40e9, 24.6e9),
        ({"batch_size": 2, "peft": True}, 84e9, 12.7e9),
        ({"batch_size": 8, "gradient_accumulation": 1, "peft": True}, 84e9, 41.3e9),
    ],
)
def test_memory_is_what_was_measured_on_a_gpu(
    more: dict[str, Any], memory: float, held: float
) -> None:
    facts = ModelFacts("m", 1_236_000_000, 2.0, LLAMA_1B)
    guess = cost.footprint(settings(**more), facts, memory)
    measured = held + 0.6e9  # CUDA itself, which torch does not count
    assert guess.low < measured < guess.high
    if memory == 84e9:
        assert measured == pytest.approx(guess.expected, rel=0.15)
