"""Training on pairs: right beside TRL, the same however it is packed, and it learns."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from test_llm_data import FACTS, params, split
from tiny_llm import job, samples, tokenizer, write_model, write_rows

from orchestrator.settings.gather import task_of
from worker.contract import Event, Metric
from worker.errors import BadConfig
from worker.task import DataReport
from worker.tasks.llm import TASK
from worker.tasks.llm.data import speech
from worker.tasks.llm.pairs.data import PairTokens, encoded, fitted, limits_of, read
from worker.tasks.llm.pairs.params import Pairs

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning"),
]

ROWS = [
    {"prompt": "say one:", "chosen": " the quick brown fox", "rejected": " a dog"},
    {"prompt": "and two then:", "chosen": " fox", "rejected": " the lazy dog says hello over it"},
    {"prompt": "three:", "chosen": " jumps over", "rejected": " jumps under the fence"},
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("pairs") / "tiny")


@pytest.fixture(scope="module")
def model(folder: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, use_cache=False)


@pytest.fixture(scope="module")
def reference(model: Any) -> Any:
    """Return a model that is not far from the one to train."""
    import torch

    other = copy.deepcopy(model)
    torch.manual_seed(1)
    with torch.no_grad():
        for weights in other.parameters():
            weights.add_(0.02 * torch.randn_like(weights))
    return other


def pairs() -> list[PairTokens]:
    made = tokenizer()
    raw, chosen = made.backend_tokenizer, params(trainer="dpo")
    part = split(ROWS)
    how = speech(chosen, FACTS.tokenizer_config, None, raw)
    found = encoded(read(part, chosen, Pairs(), how, part.rows), raw, made.eos_token_id)
    return [kept for pair in found if (kept := fitted(*pair, limits_of(chosen, Pairs())))]


def batch(*, reference: Any = None, **how: Any) -> dict[str, Any]:
    """Return all pairs as one batch, with what `reference` makes of them."""
    import torch

    from worker.tasks.llm.pairs.training.batches import CollatePairs
    from worker.tasks.llm.pairs.training.scores import score

    made = CollatePairs(pad=0, **how)([(pair, (0.0, 0.0)) for pair in pairs()])
    if reference is not None:
        with torch.no_grad():
            told = score(reference, made)
        made["references"] = torch.cat([told.chosen, told.rejected])
    return made


def gradients(model: Any) -> dict[str, Any]:
    """Return a model's gradients, and forget them there."""
    found = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    return found


def assert_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> None:
    assert one.keys() == other.keys()
    for name, wanted in one.items():
        assert float((other[name] - wanted).abs().max()) < 1e-4, name


@pytest.fixture(scope="module")
def trl_dpo(model: Any, reference: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    args = DPOConfig(str(tmp_path_factory.mktemp("trl")), beta=0.3, use_cpu=True, report_to=[],
                     bf16=False, gradient_checkpointing=False)  # fmt: skip
    made = DPOTrainer(
        model=copy.deepcopy(model), ref_model=reference, args=args,
        train_dataset=Dataset.from_list(ROWS), processing_class=tokenizer(),
    )  # fmt: skip
    made.model.train()
    return made


@pytest.mark.parametrize(
    ("loss", "smoothing"), [("sigmoid", 0.0), ("robust", 0.2), ("hinge", 0.0), ("ipo", 0.0)]
)
def test_dpo_is_trls(model: Any, reference: Any, trl_dpo: Any, loss: str, smoothing: float) -> None:
    from worker.tasks.llm.pairs.training.objectives import Dpo
    from worker.tasks.llm.pairs.training.scores import score

    outcome: Any = Dpo(0.3, loss, smoothing)(score(model, batch(reference=reference)))
    outcome.loss.backward()
    trl_dpo.loss_types, trl_dpo.label_smoothing = [loss], smoothing
    theirs = trl_dpo.compute_loss(trl_dpo.model, trl_dpo.data_collator([*trl_dpo.train_dataset]))
    theirs.backward()
    assert outcome.loss.item() == pytest.approx(theirs.item(), abs=1e-4)
    assert_same(gradients(trl_dpo.model), gradients(model))
    logged = trl_dpo._metrics["train"]
    for name in ("rewards/chosen", "rewards/rejected", "rewards/margins", "rewards/accuracies"):
        assert float(outcome.measured[name].mean()) == pytest.approx(logged[name][-1], abs=1e-4)


def test_smoothing_sees_some_pairs_the_other_way_round(model: Any, reference: Any) -> None:
    from worker.tasks.llm.pairs.training.objectives import Dpo
    from worker.tasks.llm.pairs.training.scores import score

    scores = score(model, batch(reference=reference))
    turned = replace(
        scores,
        chosen=scores.rejected,
        rejected=scores.chosen,
        reference_chosen=scores.reference_rejected,
        reference_rejected=scores.reference_chosen,
    )
    right, wrong = (Dpo(0.3)(one).loss.item() for one in (scores, turned))
    smooth = Dpo(0.3, "sigmoid", 0.1)(scores).loss.item()
    assert smooth == pytest.approx(0.9 * right + 0.1 * wrong, abs=1e-5)


def test_orpo_is_trls(model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRL_EXPERIMENTAL_SILENCE", "1")
    from datasets import Dataset
    from trl.experimental.orpo import ORPOConfig, ORPOTrainer

    from worker.tasks.llm.pairs.training.objectives import Orpo
    from worker.tasks.llm.pairs.training.scores import score

    outcome: Any = Orpo(0.3)(score(model, batch(prompts=True)))
    outcome.loss.backward()
    args = ORPOConfig(str(tmp_path), beta=0.3, max_length=64, use_cpu=True, report_to=[],
                      bf16=False, gradient_checkpointing=False)  # fmt: skip
    trl = ORPOTrainer(
        model=copy.deepcopy(model), args=args, train_dataset=Dataset.from_list(ROWS),
        processing_class=tokenizer(),
    )  # fmt: skip
    made = trl.data_collator([*trl.train_dataset])
    theirs, measured = trl.get_batch_loss_metrics(trl.model, made)
    theirs.backward()
    assert outcome.loss.item() == pytest.approx(theirs.item(), abs=1e-4)
    assert_same(gradients(trl.model), gradients(model))
    for name in ("rewards/margins", "nll_loss", "log_odds_ratio", "log_odds_chosen"):
        assert float(outcome.measured[name].mean()) == pytest.approx(measured[name], abs=1e-4)


def test_odds_of_what_is_certain_are_finite() -> None:
    import torch

    from worker.tasks.llm.pairs.training.objectives import _log_odds

    sure = torch.tensor([0.0, -1e-9, -50.0], requires_grad=True)
    odds: Any = _log_odds(sure)
    odds.sum().backward()
    assert sure.grad is not None
    assert bool(torch.isfinite(odds).all() and torch.isfinite(sure.grad).all())


@pytest.mark.parametrize("prompts", [False, True])
@pytest.mark.parametrize("how", [{"packed": False}, {"left": True}, {"flat": True}])
def test_pairs_are_scored_the_same_however_they_lie(
    model: Any, how: dict[str, Any], prompts: bool
) -> None:
    import torch

    from worker.tasks.llm.pairs.training.scores import score

    with torch.no_grad():
        told, other = (score(model, batch(prompts=prompts, **way)) for way in ({}, how))
    for name in ("chosen", "rejected", "text", "chosen_tokens", "rejected_tokens", "text_tokens"):
        assert float((getattr(told, name) - getattr(other, name)).abs().max()) < 1e-4, name
    one = pairs()[0]
    ids = torch.tensor([list(one.chosen.ids)])
    alone = model(input_ids=ids).logits[0].log_softmax(-1).detach()
    wanted = sum(
        float(alone[i - 1, token])
        for i, token in enumerate(one.chosen.ids)
        if one.chosen.learned[i]
    )
    assert float(told.chosen[0]) == pytest.approx(wanted, abs=1e-4)


def test_rows_lie_flat_for_attention_that_needs_no_mask(model: Any) -> None:
    from worker.tasks.llm.pairs.training.scores import score
    from worker.tasks.llm.training.batches import attends_in_packs
    from worker.tasks.llm.training.train import lies_flat

    lent = copy.deepcopy(model)
    assert attends_in_packs(lent, 304) and lies_flat(lent, packing=True)
    assert not lies_flat(model, packing=True)
    masked, flat = score(model, batch()), score(lent, batch(flat=True))
    for name in ("chosen", "rejected"):
        assert float((getattr(masked, name) - getattr(flat, name)).detach().abs().max()) < 1e-4
    for scores, trained in ((masked, model), (flat, lent)):
        trained.zero_grad()
        margin: Any = (scores.chosen - scores.rejected).sum()
        margin.backward()
    assert_same(gradients(model), gradients(lent))


def test_rows_are_filled_with_several_answers() -> None:
    made, apart = batch(), batch(packed=False)
    assert apart["input_ids"].shape[0] == 6
    assert made["input_ids"].shape[0] < 6
    assert made["input_ids"].shape[1] == apart["input_ids"].shape[1]


# Whole trainings.


PLANTED = [
    {
        "prompt": f"say {i % 7}:",
        "text": " the quick brown fox",
        "rejected_text": " the lazy dog says hello",
    }
    for i in range(28)
]


def measured(events: list[Event], name: str) -> list[float]:
    return [e.values[name] for e in events if isinstance(e, Metric) and name in e.values]


class Trained:
    """A training and what it told."""

    def __init__(self, model: Path, folder: Path, **settings: Any) -> None:
        data = write_rows(folder / "data" / "pairs.jsonl", PLANTED)
        usual = {"batch_size": 4, "logging_steps": 1, "epochs": 3}
        self.params, self.run, self.events = job(model, data, folder, **{**usual, **settings})

    def __call__(self) -> Trained:
        TASK.train(self.params, self.run)
        return self

    def all(self, name: str) -> list[float]:
        return measured(self.events, name)


@pytest.fixture(scope="module")
def dpo(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    held_out = {"valid_split": "0.25", "trainer": "dpo", "samples": 1}
    return Trained(folder, tmp_path_factory.mktemp("dpo"), **held_out)()


def test_dpo_learns_a_planted_preference(dpo: Trained) -> None:
    margins = dpo.all("rewards/margins")
    assert abs(margins[0]) < 0.1 and margins[-1] > 1
    assert dpo.all("loss")[0] == pytest.approx(math.log(2), abs=1e-3)
    assert dpo.all("valid_rewards/accuracies")[-1] == 1.0
    assert dpo.all("valid_rewards/margins")[-1] > 1
    first = TASK.measures(dpo.params)[0]
    assert (first.name, first.better) == ("valid_rewards/accuracies", "higher")
    assert (dpo.run.output / "model.safetensors").exists()
    (sample,) = samples(dpo.run.output)
    assert sample["data"].startswith(" the quick brown fox") and sample["prompt"].startswith("say")
    assert sample["before"] and sample["after"]


def test_dpo_with_an_adapter_needs_no_second_model(folder: Path, tmp_path: Path) -> None:
    done = Trained(folder, tmp_path, trainer="dpo", peft=True, lr=1e-2, lora_dropout=0.0)()
    margins = done.all("rewards/margins")
    assert abs(margins[0]) < 1e-5 and margins[-1] > 1
    assert (done.run.output / "adapter_model.safetensors").exists()
    assert [e.name for e in done.events if e.kind == "phase" and "load" in e.name] == [
        "loading model"
    ]


def test_orpo_learns_text_and_preference(folder: Path, tmp_path: Path) -> None:
    done = Trained(folder, tmp_path, trainer="orpo", orpo_beta=1.0)()
    odds, text = done.all("log_odds_chosen"), done.all("nll_loss")
    assert odds[0] < 0.1 and odds[-1] > 1
    assert text[-1] < 0.9 * text[0]
    assert done.all("rewards/accuracies")[-1] == 1.0


def test_a_training_that_goes_on_is_still_compared_with_its_beginning(
    dpo: Trained, folder: Path, tmp_path: Path
) -> None:
    checkpoint = max((dpo.run.work / "checkpoints").glob("checkpoint-*"))
    more = Trained(folder, tmp_path, trainer="dpo", epochs=4, valid_split="0.25")
    more.run = replace(more.run, last_checkpoint=checkpoint)
    assert more().all("rewards/margins")[0] > 0.9 * dpo.all("rewards/margins")[-1]


@pytest.fixture(scope="module")
def other(reference: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("other")
    reference.save_pretrained(folder)
    return folder


def once(folder: Path, tmp_path: Path, **settings: Any) -> dict[str, float]:
    """Return what the first step of a training measures."""
    done = Trained(folder, tmp_path, trainer="dpo", max_steps=1, lr=1e-9, **settings)()
    return next(e.values for e in done.events if isinstance(e, Metric))


def test_the_reference_model_and_beta_are_used(folder: Path, other: Path, tmp_path: Path) -> None:
    one = once(folder, tmp_path / "1", model_ref=str(other), dpo_beta=0.1)
    two = once(folder, tmp_path / "2", model_ref=str(other), dpo_beta=0.2)
    assert abs(one["rewards/margins"]) > 1e-3
    assert two["rewards/margins"] == pytest.approx(2 * one["rewards/margins"], rel=1e-3)


def test_limits_of_prompt_and_answer_are_heeded(folder: Path, tmp_path: Path) -> None:
    def likelihood(**settings: Any) -> float:
        name = "_".join(map(str, settings)) or "none"
        return once(folder, tmp_path / name, **settings)["logps/chosen"]

    whole = likelihood()
    assert likelihood(max_completion_length=2) > 0.7 * whole
    assert abs(likelihood(max_prompt_length=1) - whole) > 1e-3


def test_a_reference_of_another_vocabulary_is_refused(folder: Path, tmp_path: Path) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    small = LlamaConfig(
        vocab_size=16, hidden_size=16, intermediate_size=16, num_hidden_layers=1,
        num_attention_heads=1, num_key_value_heads=1,
    )  # fmt: skip
    LlamaForCausalLM(small).save_pretrained(tmp_path / "small")
    with pytest.raises(BadConfig, match="another vocabulary"):
        once(folder, tmp_path, model_ref=str(tmp_path / "small"))


def test_a_stop_while_the_reference_is_asked_trains_nothing(folder: Path, tmp_path: Path) -> None:
    begun = Trained(folder, tmp_path, trainer="dpo")
    begun.run.stop.set()
    assert not begun().all("loss")
    assert not (begun.run.output / "model.safetensors").exists()


# What is told before.


def estimates(trainer: str, largest: int = 0, **settings: Any) -> tuple[float, float]:
    chosen = TASK.params(model="m", data_path="x", trainer=trainer, **settings)
    data = DataReport(rows=100, valid_rows=10, units=20_000, steps=50, largest=largest)
    return TASK.footprint(chosen, FACTS, data).expected, TASK.flops(chosen, FACTS, data)


def test_cost_counts_both_answers_and_the_reference() -> None:
    memory, work = estimates("orpo", batch_size=2)
    assert memory == estimates("sft", batch_size=4)[0]
    with_reference = estimates("dpo", batch_size=2)
    assert with_reference[0] == memory, "it is gone before training begins"
    assert with_reference[1] / work == pytest.approx(1 + (110 / 3) / (100 + 10 / 3), rel=1e-4)
    assert (
        estimates("dpo", batch_size=2, largest=400)[0]
        == (estimates("sft", batch_size=4, block_size=200)[0])
    )
    half = estimates("dpo", batch_size=2, gradient_accumulation=1, max_steps=25)
    assert half[1] / with_reference[1] == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("name", ["dpo", "orpo"])
def test_files_of_autotrain_name_the_trainer(name: str) -> None:
    for spelled in (f"llm-{name}", f"llm:{name}", f"llm_{name}"):
        assert task_of(spelled) == (TASK, {"trainer": name})
    assert task_of("llm-generic") == (TASK, {"trainer": "default"})
    assert f"llm-{name}" in TASK.also_called
