"""What only a GPU shows: its kernels, its precisions, its memory running out."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny_bert
import tiny_detector
import tiny_reader
import tiny_sentences
import tiny_t5
import tiny_text
import tiny_vit
import tiny_vlm
from tiny_llm import chats, job, write_model, write_rows

from worker.contract import EndReason, Event, Metric
from worker.tasks import load

torch = pytest.importorskip("torch")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.gpu,
    pytest.mark.filterwarnings("ignore"),
]

WORDS = 304


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("gpu") / "model")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rows(tmp_path_factory.mktemp("rows") / "train.jsonl", chats(200))


@pytest.fixture
def little_memory() -> Iterator[None]:
    """Leave this process a hundredth of the GPU's memory."""
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(0.01)
    yield
    torch.cuda.set_per_process_memory_fraction(1.0)


def built(**more: Any) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=WORDS,
        hidden_size=256,
        intermediate_size=512,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        use_cache=False,
        **more,
    )
    return LlamaForCausalLM(config).cuda()


@pytest.mark.parametrize("kind", ["bfloat16", "float16"])
@pytest.mark.parametrize("weights", ["float32", "16 bits"])
def test_flash_attention_is_taken_up_and_keeps_examples_apart(kind: str, weights: str) -> None:
    from worker.engine import attention
    from worker.tasks.llm.training.batches import attends_in_packs, keeps_apart

    products = getattr(torch, kind)
    net = built() if weights == "float32" else built().to(products)
    with torch.autocast("cuda", products):
        assert keeps_apart(net, WORDS)
        assert attends_in_packs(net, WORDS)
        assert keeps_apart(net, WORDS)
    assert attention.lent(net)


def test_without_16_bit_products_examples_are_taken_one_by_one() -> None:
    from worker.tasks.llm.training.batches import attends_in_packs, keeps_apart

    net = built()
    assert attends_in_packs(net, WORDS)
    assert keeps_apart(net, WORDS)


def test_gradients_are_as_near_to_32_bits_as_with_a_mask() -> None:
    from worker.engine.loss import causal_loss
    from worker.tasks.llm.training.batches import attends_in_packs, examples_of

    net = built()
    lengths = [700, 3, 1, 400, 900]
    at = torch.cat([torch.arange(n) for n in lengths])[None].cuda()
    ids = torch.randint(0, WORDS, at.shape, device="cuda")

    def gradients(products: Any, **told: Any) -> Any:
        net.zero_grad()
        with torch.autocast("cuda", products or torch.float32, enabled=products is not None):
            net(input_ids=ids, position_ids=at, labels=ids, **told).loss.backward()
        return torch.cat([p.grad.flatten() for p in net.parameters()])

    exact = gradients(None)
    masked = (gradients(torch.bfloat16) - exact).norm() / exact.norm()
    with torch.autocast("cuda", torch.bfloat16):
        assert attends_in_packs(net, WORDS)
    net.loss_function = causal_loss
    packed = (gradients(torch.bfloat16, **examples_of(at)) - exact).norm() / exact.norm()
    print(f"relative error of gradients: masked {masked:.4f}, packed {packed:.4f}")
    assert packed < 0.02
    assert packed < 1.5 * masked


def losses(events: list[Event]) -> list[float]:
    return [e.values["loss"] for e in events if isinstance(e, Metric) and "loss" in e.values]


LORA = {"peft": True, "lr": 1e-2, "lora_dropout": 0.0}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"mixed_precision": "bf16"},
        {"mixed_precision": "fp16"},
        {"packing": False, "batch_size": 4},
        {"packing": False, "batch_size": 4, "padding": "left"},
        {"optimizer": "adamw_8bit"},
        {"optimizer": "paged_adamw_8bit"},
        {"optimizer": "adafactor", "lr": 1e-2},
        {"optimizer": "lion_8bit", "lr": 3e-4},
        LORA,
        {**LORA, "mixed_precision": "bf16", "merge_adapter": True},
        {**LORA, "mixed_precision": "fp16"},
        {**LORA, "quantization": "int4"},
        {**LORA, "quantization": "int4", "merge_adapter": True},
        {**LORA, "quantization": "int8"},
        {**LORA, "quantization": "int4", "mixed_precision": "fp16"},
    ],
    ids=lambda s: "-".join(map(str, s.values())) or "plain",
)
def test_training_learns(settings: dict[str, Any], model: Path, data: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    from worker.tasks.llm.training.train import train

    params, run, events = job(
        model, data, tmp_path, trainer="sft", epochs=4, logging_steps=1, **settings
    )
    train(params, run)
    found = losses(events)
    print(settings, found[0], found[-1])
    assert found[-1] < (0.85 if params.peft else 0.5) * found[0]  # the head of words stays as it is
    assert all(map(math.isfinite, found))
    AutoModelForCausalLM.from_pretrained(run.output)
    if params.peft and not params.merge_adapter:
        assert json.loads((run.output / "adapter_config.json").read_text())["r"] == params.lora_r


def test_memory_that_runs_out_is_told_as_that(
    model: Path, data: Path, tmp_path: Path, little_memory: None
) -> None:
    from worker.run import explain
    from worker.tasks.llm.training.train import train

    params, run, _ = job(
        model, data, tmp_path, trainer="sft", batch_size=4096, block_size=512, packing=False
    )
    with pytest.raises(torch.OutOfMemoryError) as raised:
        train(*_much(params, run))
    failed = explain(raised.value)
    print(failed.message)
    assert failed.reason is EndReason.OOM


def test_a_batch_that_does_not_fit_is_halved(
    model: Path, data: Path, tmp_path: Path, little_memory: None
) -> None:
    from worker.tasks.llm.training.train import train

    params, run, _ = job(
        model, data, tmp_path, trainer="sft", batch_size=4096, block_size=512, packing=False
    )
    params, run = _much(params, run)
    train(params.model_copy(update={"auto_find_batch_size": True}), run)
    assert (run.output / "model.safetensors").is_file()


def _much(params: Any, run: Any) -> tuple[Any, Any]:
    """Make the data so much that one batch of it fills what memory there is."""
    long = {"text": "the quick brown fox jumps over the lazy dog " * 60}
    write_rows(Path(run.data.folder) / "much.jsonl", [long] * 4096)
    many = run.data.model_copy(update={"train": ("much.jsonl",)})
    return params.model_copy(update={"trainer": "default"}), replace(run, data=many)


def test_the_gpu_is_seen_and_computes() -> None:
    from worker import probe
    from worker.engine import devices
    from worker.supervise import resources

    probe.multiply(0)
    devices.require(1)
    assert probe.driver_version()
    (gpu, *_) = resources.gpus()
    print(gpu)
    assert gpu.name
    assert 0 < gpu.used < gpu.total


BF16 = {"mixed_precision": "bf16"}
SHORT: dict[str, Any] = {"valid_split": "0.2", "logging_steps": 1, **BF16}


def texts(folder: Path) -> Any:
    rows = tiny_text.write_rows(folder / "rows.jsonl", tiny_text.rows(400))
    model = tiny_bert.write_model(folder / "model")
    how: dict[str, Any] = {"target_column": "label", "epochs": 4, **SHORT}
    return tiny_text.job(load("text_classification"), model, rows, folder, **how)


def tags(folder: Path) -> Any:
    model = tiny_reader.write_model(folder / "model")
    how: dict[str, Any] = {"lr": 3e-3, **SHORT}
    rows = tiny_reader.sentences(400)
    return tiny_reader.job(load("token_classification"), model, rows, folder, **how)


def answers(folder: Path) -> Any:
    model = tiny_reader.write_model(folder / "model")
    how: dict[str, Any] = {
        "lr": 3e-3,
        "max_seq_length": 48,
        "max_doc_stride": 8,
        "epochs": 4,
        **SHORT,
    }
    return tiny_reader.job(load("extractive_qa"), model, tiny_reader.questions(400), folder, **how)


def writing(folder: Path) -> Any:
    model = tiny_t5.write_model(folder / "model")
    rows = write_rows(folder / "rows.jsonl", tiny_t5.rows(400))
    return tiny_t5.job(model, rows, folder, epochs=2, **SHORT)


def sentences(folder: Path) -> Any:
    model = tiny_sentences.write_model(folder / "model")
    return tiny_sentences.job(model, folder, "pair", **SHORT)


def classified(folder: Path) -> Any:
    model = tiny_vit.write_model(folder / "model")
    rows = tiny_vit.write_table(folder / "rows.parquet", 60)
    return tiny_vit.job(model, rows, folder, epochs=4, **SHORT)


def detected(folder: Path) -> Any:
    model = tiny_detector.write_rt_detr(folder / "model")
    rows = tiny_detector.write_table(folder / "rows.parquet", 120)
    return tiny_detector.job(model, rows, folder, epochs=3, **SHORT)


def told_in_4_bits(folder: Path) -> Any:
    model = tiny_vlm.write_idefics(folder / "model", dtype=torch.bfloat16)
    rows = tiny_vlm.write_table(folder / "rows.parquet", 60)
    lora = {**LORA, "quantization": "int4", "lora_r": 8}
    return tiny_vlm.job(model, rows, folder, epochs=4, **{**lora, **SHORT})


FAMILIES = {
    "text_classification": texts,
    "token_classification": tags,
    "extractive_qa": answers,
    "seq2seq": writing,
    "sentence_transformers": sentences,
    "image_classification": classified,
    "object_detection": detected,
    "vlm": told_in_4_bits,
}


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_learns_in_bfloat16(name: str, tmp_path: Path) -> None:
    params, run, events = FAMILIES[name](tmp_path)
    for folder in (run.output, run.work):
        folder.mkdir(parents=True, exist_ok=True)
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    load(name).train(params, run)
    assert torch.cuda.max_memory_allocated() > before
    found = losses(events)
    judged = [e.values for e in events if isinstance(e, Metric) and "valid_loss" in e.values]
    print(name, found[0], found[-1], judged[-1])
    assert sum(found[-5:]) < 0.9 * sum(found[:5])
    assert all(math.isfinite(value) for values in judged for value in values.values())
    assert list(run.output.glob("*.safetensors"))
