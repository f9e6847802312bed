"""Optimizers with little state: the arithmetic of their papers, and what a training shows."""

from __future__ import annotations

import io
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_llm import chats, job, write_model, write_rows
from torch import Tensor, nn

from worker.contract import Metric
from worker.engine.low_rank import GROWTH, LowRankAdamW
from worker.errors import BadConfig
from worker.facts import ModelFacts
from worker.families import decoder
from worker.families.text.shape import Shape
from worker.tasks.llm import TASK

BASIS = {"rank": 4, "gap": 3, "scale": 0.25}
STEPS = 7
LR, DECAY = 0.01, 0.1


def gradients(*shape: int) -> list[Tensor]:
    """Return a gradient for each step; they have a direction in common, as real ones have."""
    chance = torch.Generator().manual_seed(3)
    common = torch.randn(shape, generator=chance)
    return [common + 0.5 * torch.randn(shape, generator=chance) for _ in range(STEPS)]


def walked(weight: Tensor, seen: list[Tensor], optimizer: torch.optim.Optimizer) -> Tensor:
    for gradient in seen:
        weight.grad = gradient.clone()
        optimizer.step()
    return weight.detach()


def test_without_a_rank_it_is_adamw() -> None:
    seen = gradients(12, 8)
    one, other = (nn.Parameter(torch.ones(12, 8)) for _ in range(2))
    ours = walked(one, seen, LowRankAdamW([one], lr=LR, weight_decay=DECAY))
    torchs = walked(other, seen, torch.optim.AdamW([other], lr=LR, weight_decay=DECAY))
    assert torch.allclose(ours, torchs, atol=1e-7)


@pytest.mark.parametrize("shape", [(12, 8), (8, 12), (9, 9)])
def test_galore_is_algorithm_2_of_its_paper(shape: tuple[int, int]) -> None:
    weight = nn.Parameter(torch.ones(shape))
    optimizer = LowRankAdamW(
        [{"params": [weight], "method": "galore", **BASIS}], lr=LR, weight_decay=DECAY
    )
    ours = walked(weight, gradients(*shape), optimizer).numpy()
    assert np.allclose(ours, galore_by_hand(shape), atol=1e-6)


def galore_by_hand(shape: tuple[int, int]) -> Any:
    """Return the weight after all steps, by the paper's lines in 64 bits with numpy's SVD."""
    weight, rank = np.ones(shape), int(BASIS["rank"])
    basis: Any = np.zeros((min(shape), rank))
    first: Any = 0.0
    second: Any = 0.0
    for step, gradient in enumerate(gradients(*shape)):
        wide = gradient.double().numpy()
        if step % int(BASIS["gap"]) == 0:
            left, _, right = np.linalg.svd(wide, full_matrices=False)
            found = right[:rank].T if shape[0] >= shape[1] else left[:, :rank]
            # Singular vectors have no sign: they point as those before them did.
            basis = found * np.where((found * basis).sum(0) < 0, -1, 1)
        low = wide @ basis if shape[0] >= shape[1] else basis.T @ wide
        first, second = 0.9 * first + 0.1 * low, 0.999 * second + 0.001 * low**2
        corrected = first / (1 - 0.9 ** (step + 1)), second / (1 - 0.999 ** (step + 1))
        moved = corrected[0] / (np.sqrt(corrected[1]) + 1e-8)
        back = moved @ basis.T if shape[0] >= shape[1] else basis @ moved
        weight = weight * (1 - LR * DECAY) - LR * BASIS["scale"] * back
    return weight


def test_apollo_scales_each_channel_of_the_raw_gradient_and_grows_slowly() -> None:
    weight = nn.Parameter(torch.zeros(12, 8))
    optimizer = LowRankAdamW([{"params": [weight], "method": "apollo", **BASIS}], lr=LR)
    before, norms = weight.detach().clone(), []
    for gradient in gradients(12, 8):
        weight.grad = gradient
        optimizer.step()
        change = weight.detach() - before
        along = change / gradient  # the same number in each row
        assert torch.allclose(along, along[:, :1].expand_as(along), rtol=1e-3)
        assert len({round(float(value), 9) for value in along[:, 0]}) > 1
        norms.append(float(change.norm()))
        before = weight.detach().clone()
    steps = [after / before for before, after in pairwise(norms)]
    assert max(steps) <= GROWTH + 1e-4
    assert "basis" not in optimizer.state[weight]


def test_a_checkpoint_in_bytes_goes_on_as_if_nothing_had_been() -> None:
    seen = gradients(96, 80)

    def made() -> tuple[nn.Parameter, LowRankAdamW]:
        weight = nn.Parameter(torch.ones(96, 80))
        basis = {**BASIS, "rank": 64}
        return weight, LowRankAdamW([{"params": [weight], "method": "galore", **basis}], bits=8)

    weight, optimizer = made()
    whole = walked(weight, seen, optimizer)
    half, begun = made()
    walked(half, seen[:4], begun)
    other, resumed = made()
    other.data.copy_(half.data)
    resumed.load_state_dict(through_a_file(begun.state_dict()))
    assert torch.equal(walked(other, seen[4:], resumed), whole)
    state = optimizer.state[weight]
    assert state["first_codes"].dtype == torch.uint8
    assert state["first_codes"].numel() == 96 * 64
    assert "first" not in state


def through_a_file(state: dict[str, Any]) -> dict[str, Any]:
    """Return what a checkpoint gives back, loaded as transformers loads it: with no trust."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    loaded: dict[str, Any] = torch.load(buffer, weights_only=True)
    return loaded


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("low")
    write_model(folder / "tiny")
    write_rows(folder / "rows.jsonl", chats(12))
    return folder


def trained(here: Path, folder: Path, **settings: Any) -> tuple[dict[str, Any], list[float]]:
    """Train in a moment; return the optimizer as the checkpoint has it, and the losses."""
    small = {"save_strategy": "steps", "save_steps": 4, "logging_steps": 1, "max_steps": 4}
    params, run, events = job(
        here / "tiny", here / "rows.jsonl", folder, **{**small, "trainer": "sft", **settings}
    )
    TASK.train(params, run)
    last = run.work / "checkpoints" / f"checkpoint-{params.max_steps}" / "optimizer.pt"
    losses = [e.values["loss"] for e in events if isinstance(e, Metric) and "loss" in e.values]
    return torch.load(last, weights_only=True), losses


def numbers(optimizer: dict[str, Any]) -> int:
    """Return how many numbers a state holds, the count of steps left out."""
    tensors = (t for s in optimizer["state"].values() for n, t in s.items() if n != "step")
    return sum(t.numel() for t in tensors if isinstance(t, Tensor) and t.ndim)


def test_galore_keeps_a_fraction_of_the_state_and_as_much_as_is_foretold(
    here: Path, tmp_path: Path
) -> None:
    settings = {"optimizer": "galore_adamw", "optim_rank": 8, "update_proj_gap": 2, "lr": 0.01}
    optimizer, losses = trained(here, tmp_path / "galore", **settings)
    assert losses[-1] < losses[0]
    group = next(g for g in optimizer["param_groups"] if g["rank"])
    assert len(group["params"]) == 2 * 7  # the layers' matrices, and not the output
    assert (group["rank"], group["gap"], group["scale"]) == (8, 2, 0.25)
    full, _ = trained(here, tmp_path / "full", lr=0.01)
    assert numbers(optimizer) < 0.7 * numbers(full)
    from transformers import LlamaForCausalLM

    model = LlamaForCausalLM.from_pretrained(here / "tiny")
    facts = ModelFacts("tiny", model.num_parameters(), 4.0, model.config.to_dict())
    params = TASK.params(model="m", data_path="d", **settings)
    foretold = decoder.kept_bytes(params, Shape.of(facts.config), facts.parameters)
    assert foretold == pytest.approx(4 * numbers(optimizer), rel=0.05)


def test_apollo_trains_and_keeps_no_basis(here: Path, tmp_path: Path) -> None:
    settings = {"optimizer": "apollo_adamw", "optim_rank": 8, "lr": 0.01}
    optimizer, losses = trained(here, tmp_path, **settings)
    assert losses[-1] < losses[0]
    group = next(g for g in optimizer["param_groups"] if g["rank"])
    assert (group["method"], group["scale"]) == ("apollo", 1.0)
    assert all("basis" not in state for state in optimizer["state"].values())


def test_layers_may_be_named_and_a_rank_that_is_too_large_is_refused(
    here: Path, tmp_path: Path
) -> None:
    galore = {"optimizer": "galore_adamw", "optim_rank": 8}
    optimizer, _ = trained(
        here, tmp_path / "named", **galore, optim_target_modules="mlp", max_steps=4
    )
    assert len(next(g for g in optimizer["param_groups"] if g["rank"])["params"]) == 2 * 3
    with pytest.raises(BadConfig, match="larger than rank 512"):
        trained(here, tmp_path / "large", **{**galore, "optim_rank": 512})


def test_loraplus_moves_the_second_matrix_faster(here: Path, tmp_path: Path) -> None:
    optimizer, _ = trained(here, tmp_path, peft=True, loraplus_lr_ratio=16.0, lr=1e-3)
    rates = sorted(g["initial_lr"] for g in optimizer["param_groups"])
    assert rates == pytest.approx([1e-3, 16e-3])


def test_neftune_makes_noise_in_training_and_leaves_none_behind(here: Path, tmp_path: Path) -> None:
    _, still = trained(here, tmp_path / "still")
    _, noisy = trained(here, tmp_path / "noisy", neftune_noise_alpha=50.0)
    assert abs(noisy[0] - still[0]) > 1e-3
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tmp_path / "noisy" / "output").train()
    ids = torch.arange(8)[None]
    assert torch.equal(model(ids).logits, model(ids).logits)


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")  # peft's
def test_dora_learns_lengths_and_rslora_divides_by_the_root(here: Path, tmp_path: Path) -> None:
    from peft import AutoPeftModelForCausalLM
    from safetensors import safe_open

    trained(here, tmp_path / "dora", peft=True, use_dora=True)
    file = tmp_path / "dora" / "output" / "adapter_model.safetensors"
    with safe_open(file, "pt") as stored:
        assert any("magnitude" in name for name in stored.keys())  # noqa: SIM118
    trained(here, tmp_path / "root", peft=True, use_rslora=True, lora_r=4, lora_alpha=8)
    model = AutoPeftModelForCausalLM.from_pretrained(tmp_path / "root" / "output")
    found = [module.scaling for module in model.modules() if hasattr(module, "lora_A")]
    assert found and all(scaling == {"default": 8 / 4**0.5} for scaling in found)


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")  # peft's
def test_what_pissa_pushes_fits_the_base_as_it_was_published(here: Path, tmp_path: Path) -> None:
    """The adapter on the published base says what the model in training said: the merged one."""
    from peft import AutoPeftModelForCausalLM
    from transformers import AutoModelForCausalLM

    pissa = {"peft": True, "init_lora_weights": "pissa", "lora_dropout": 0.0, "lora_r": 4}
    trained(here, tmp_path / "alone", **pissa)
    trained(here, tmp_path / "whole", **pissa, merge_adapter=True)
    alone = AutoPeftModelForCausalLM.from_pretrained(tmp_path / "alone" / "output").eval()
    whole = AutoModelForCausalLM.from_pretrained(tmp_path / "whole" / "output").eval()
    base = AutoModelForCausalLM.from_pretrained(here / "tiny").eval()
    ids = torch.arange(20)[None]
    assert torch.allclose(alone(ids).logits, whole(ids).logits, atol=1e-4)
    assert not torch.allclose(base(ids).logits, whole(ids).logits, atol=1e-2)
    _, usual = trained(here, tmp_path / "usual", **{**pissa, "init_lora_weights": "default"})
    _, sooner = trained(here, tmp_path / "sooner", **pissa)
    assert usual[0] == pytest.approx(sooner[0], abs=1e-4)  # it begins as the same model
    assert sooner[-1] != pytest.approx(usual[-1], abs=1e-3)  # and learns elsewhere


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"init_lora_weights": "pissa", "use_dora": True}, "do not go together"),
        ({"init_lora_weights": "pissa", "quantization": "int4"}, "leave one of them out"),
    ],
)
def test_what_does_not_go_together_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        TASK.params(model="m", data_path="d", peft=True, **settings)
