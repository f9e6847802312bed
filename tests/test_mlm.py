"""Masked language models: tokens are hidden as by BERT, learned as by transformers, filled in."""

from __future__ import annotations

import math
from array import array
from pathlib import Path
from typing import Any

import pytest
import tiny_bert
import tiny_llm
from tiny_llm import job, samples, write_rows

from worker.contract import Event, Metric
from worker.errors import BadConfig
from worker.task import ModelFacts
from worker.tasks.llm import TASK, trainers
from worker.tasks.llm.tokens import Tokens, framed

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")

TEXTS = [
    "the quick brown fox jumps over the lazy dog",
    "every one who comes by says hello to the dog",
    "the lazy fox says hello and the quick dog jumps by",
]
ROWS = [{"text": TEXTS[i % 3]} for i in range(60)]


def losses(events: list[Event], name: str) -> list[float]:
    return [e.values[name] for e in events if isinstance(e, Metric) and name in e.values]


def batches(**how: Any) -> Any:
    """Return what makes batches for the tiny tokenizer."""
    from worker.tasks.llm.training.masking import Hiding, MaskedRows

    tokenizer = tiny_bert.tokenizer()
    hide = Hiding(0.15, 4, len(tokenizer), tuple(tokenizer.all_special_ids))
    return MaskedRows(hide, 0, **how)


def tokens(*texts: str) -> list[Tokens]:
    found = (array("i", tiny_bert.tokenizer()(text).input_ids) for text in texts)
    return [Tokens(ids, bytes([1]) * len(ids)) for ids in found]


def test_a_long_text_goes_on_in_pieces_that_begin_and_end_as_texts_do() -> None:
    special = frozenset({2, 3})
    whole = Tokens(array("i", [2, *range(10, 21), 3]), bytes(13))
    pieces = [list(piece.ids) for piece in framed(whole, 6, special)]
    assert pieces == [[2, 10, 11, 12, 13, 3], [2, 14, 15, 16, 17, 3], [2, 18, 19, 20, 3]]
    assert framed(whole, 13, special) == [whole]
    assert framed(Tokens(array("i", [2, 3]), bytes(2)), 6, special) == []
    assert framed(whole, 2, special) == []


@pytest.mark.slow
def test_hides_the_tokens_that_transformers_hides() -> None:
    import torch
    from transformers import DataCollatorForLanguageModeling

    theirs = DataCollatorForLanguageModeling(tiny_bert.tokenizer(), mlm_probability=0.15)
    examples = tokens(*TEXTS)
    torch.manual_seed(3)
    expected = theirs([{"input_ids": list(one.ids)} for one in examples])
    torch.manual_seed(3)
    found = batches()([[one] for one in examples])
    assert torch.equal(found["input_ids"], expected["input_ids"])
    assert torch.equal(found["labels"], expected["labels"])


@pytest.mark.slow
def test_of_what_is_learned_eight_tenths_are_hidden() -> None:
    import torch

    torch.manual_seed(0)
    ids = torch.randint(5, 70, (400, 500))
    seen, labels = batches().hide(ids)
    learned = labels != -100
    share = {
        "learned": learned.float().mean(),
        "hidden": (seen[learned] == 4).float().mean(),
        "kept": (seen[learned] == ids[learned]).float().mean(),
    }
    assert share["learned"] == pytest.approx(0.15, abs=0.005)
    assert share["hidden"] == pytest.approx(0.8, abs=0.01)
    assert share["kept"] == pytest.approx(0.1, abs=0.01)
    assert torch.equal(seen[~learned], ids[~learned])


@pytest.mark.slow
def test_validation_hides_the_same_of_a_row_whatever_is_beside_it() -> None:
    import torch

    one, two, three = ([text] for text in tokens(*TEXTS))
    fixed = batches(seed=7)
    alone, among = fixed([two]), fixed([one, two, three])
    width = alone["labels"].shape[1]
    assert torch.equal(alone["labels"][0], among["labels"][1, :width])
    assert not torch.equal(batches(seed=8)([two])["labels"], alone["labels"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "first"),
    [("bert", 0), ("roberta", 1), ("distilbert", 0), ("modernbert", 0), ("electra", 0)],
)
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_packed_texts_yield_what_each_yields_alone(kind: str, first: int, attention: str) -> None:
    import torch

    from worker.tasks.llm.training import masking

    more: dict[str, Any] = {"attn_implementation": attention}
    if kind == "modernbert":  # its layers that see no further than a few tokens, too
        more |= {"local_attention": 8, "global_attn_every_n_layers": 2}
    model = tiny_bert.made(kind, **more).eval()
    ids = masking.plain_tokens(range(5), 70, torch.device("cpu"))
    assert masking.first_position(model, ids, 0) == first
    assert masking.predicts_some(model, ids)
    texts = tokens(*TEXTS)
    packed = batches(first=first, seed=1)([texts[:2], texts[2:]])
    logits = model(**masking.seen(model, packed)).logits
    at = 0
    for text in texts[:2]:
        ids = packed["input_ids"][:1, at : at + len(text)]
        apart = (model(input_ids=ids).logits - logits[:1, at : at + len(text)]).abs().max()
        assert float(apart.detach()) < 1e-5
        at += len(text)


@pytest.mark.slow
def test_a_model_that_sees_other_texts_gets_each_in_a_row_of_its_own() -> None:
    import torch

    from worker.tasks.llm.training import masking

    class Blind(torch.nn.Module):
        """Heeds no mask."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = tiny_bert.made("bert")
            self.config, self.dtype = self.inner.config, torch.float32

        def forward(self, input_ids: Any, **_: Any) -> Any:
            return self.inner(input_ids=input_ids)

    ids = masking.plain_tokens(range(5), 70, torch.device("cpu"))
    assert masking.first_position(Blind(), ids, 0) is None
    assert not masking.predicts_some(Blind(), ids)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bert.write_model(tmp_path_factory.mktemp("mlm") / "bert")


@pytest.fixture(scope="module")
def learned(model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Event]]:
    """A model that has learned three texts."""
    folder = tmp_path_factory.mktemp("learned")
    data = write_rows(folder / "train.jsonl", ROWS)
    valid = write_rows(folder / "valid.jsonl", ROWS[:12])
    how = {"trainer": "mlm", "epochs": 40, "lr": 5e-3, "batch_size": 4, "samples": 2}
    params, run, events = job(model, data, folder, valid=valid, **how)
    TASK.train(params, run)
    return run.output, events


@pytest.mark.slow
def test_loss_and_gradients_of_a_batch_are_those_of_transformers() -> None:
    import torch
    from transformers import DataCollatorForLanguageModeling, TrainingArguments

    from worker.tasks.llm.training.masked import MaskedTrainer

    examples = tokens(*TEXTS)
    theirs, ours = tiny_bert.made("bert").eval(), tiny_bert.made("bert").eval()
    collate = DataCollatorForLanguageModeling(tiny_bert.tokenizer(), mlm_probability=0.15)
    torch.manual_seed(3)
    batch = collate([{"input_ids": list(one.ids)} for one in examples])
    expected = theirs(**batch).loss
    expected.backward()
    torch.manual_seed(3)
    args = TrainingArguments(report_to=[], use_cpu=True, disable_tqdm=True)
    for sparse in (True, False):
        trainer = MaskedTrainer(ours, args, batches(), sparse=sparse)
        torch.manual_seed(3)
        loss = trainer.compute_loss(ours, batches()([[one] for one in examples]))
        assert float(loss.detach()) == pytest.approx(float(expected.detach()), abs=1e-4)
        ours.zero_grad()
        loss.backward()
        pairs = zip(theirs.parameters(), ours.parameters(), strict=True)
        for their, our in pairs:
            if their.grad is not None:
                assert our.grad is not None
                assert float((their.grad - our.grad).abs().max()) < 1e-4


@pytest.mark.slow
def test_perplexity_falls_to_a_tenth(learned: tuple[Path, list[Event]]) -> None:
    seen = losses(learned[1], "valid_perplexity")
    assert seen[-1] < seen[0] / 10
    for one in samples(learned[0]):
        assert "[MASK]" in one["prompt"] and one["after"] == one["data"] != one["before"]
    assert seen[-1] == pytest.approx(math.exp(losses(learned[1], "valid_loss")[-1]), rel=1e-3)


@pytest.mark.slow
def test_what_it_learned_is_filled_in(learned: tuple[Path, list[Event]]) -> None:
    from transformers import pipeline

    model = str(learned[0])
    hidden = "the quick brown fox [MASK] over the lazy dog"
    (told,) = [TASK.answer(model, TASK.question(prompt=hidden.replace("[MASK]", "<mask>")))]
    assert told["text"] == TEXTS[0]
    assert told["tokens"][0][0]["token"] == "jumps"
    assert len(told["tokens"][0]) == 5
    assert pipeline("fill-mask", model=model)(hidden)[0]["token_str"] == "jumps"
    with pytest.raises(BadConfig, match="nothing is hidden"):
        TASK.answer(model, TASK.question(prompt="the dog"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {"packing": False, "batch_size": 4},
        {"gradient_accumulation": 3},
        {"peft": True, "merge_adapter": True},
        {"peft": True},
    ],
    ids=["unpacked", "accumulated", "merged", "adapter"],
)
def test_other_ways_learn_and_load(model: Path, tmp_path: Path, settings: dict[str, Any]) -> None:
    from transformers import AutoModelForMaskedLM

    data = write_rows(tmp_path / "train.jsonl", ROWS)
    how = {"trainer": "mlm", "lr": 1e-2, "logging_steps": 1, "block_size": 32, **settings}
    params, run, events = job(model, data, tmp_path, **{"epochs": 4, **how})
    TASK.train(params, run)
    found = losses(events, "loss")
    if "peft" not in settings:  # beside random weights an adapter can learn next to nothing
        assert sum(found[-5:]) < 0.8 * sum(found[:5])
    net = AutoModelForMaskedLM.from_pretrained(run.output)
    assert "lora" in str(net) if params.adapter_alone else net
    hidden = TASK.question(prompt="the [MASK] fox")
    assert TASK.answer(str(run.output), hidden)["text"].endswith("fox")


@pytest.mark.slow
def test_accumulated_batches_count_every_token_alike(model: Path, tmp_path: Path) -> None:
    """The first loss is the same however its step is split, up to chance in what is hidden."""
    data = write_rows(tmp_path / "train.jsonl", ROWS)
    norms = []
    for batch, accumulation in ((12, 1), (3, 4)):
        folder = tmp_path / str(batch)
        how: dict[str, Any] = {"trainer": "mlm", "packing": False, "max_steps": 2}
        split: dict[str, Any] = {"batch_size": batch, "gradient_accumulation": accumulation}
        told: dict[str, Any] = {"logging_steps": 1, "max_grad_norm": 99.0}
        params, run, events = job(model, data, folder, mlm_probability=0.5, **how, **split, **told)
        TASK.train(params, run)
        norms.append((losses(events, "loss")[0], losses(events, "grad_norm")[0]))
    assert norms[0] == pytest.approx(norms[1], rel=0.15)


def facts(kind: str, **config: Any) -> ModelFacts:
    return ModelFacts("ann/x", 10**6, config={"architectures": [kind], **config})


@pytest.mark.parametrize(
    ("trainer", "kind", "fix"),
    [
        ("default", "BertForMaskedLM", "--trainer mlm, or --model "),
        ("sft", "ModernBertForMaskedLM", "--trainer mlm, or --model "),
        ("mlm", "LlamaForCausalLM", "--trainer default, or --model "),
        ("mlm", "ElectraForPreTraining", "--model "),
        ("mlm", "BertForSequenceClassification", "--model "),
    ],
)
def test_a_model_of_another_kind_is_refused(trainer: str, kind: str, fix: str) -> None:
    params = TASK.params(model="ann/x", data_path="d", trainer=trainer)
    with pytest.raises(BadConfig, match=f"ann/x is a {kind}, which is no") as caught:
        TASK.check_model(params, facts(kind))
    assert caught.value.fix.startswith(fix)


def test_masked_models_are_taken() -> None:
    from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES as NAMES

    params = TASK.params(model="ann/x", data_path="d", trainer="mlm")
    for name in NAMES.values():
        if name.endswith("MaskedLM"):
            TASK.check_model(params, facts(name))
            assert trainers.head_of(facts(name)).pipeline_tag == "fill-mask"
    TASK.check_model(params, ModelFacts("ann/x", 1, config={"model_type": "deberta-v2"}))


def test_positions_that_begin_behind_the_padding_are_not_counted() -> None:
    params = TASK.params(model="ann/x", data_path="d", trainer="mlm")
    config = {"max_position_embeddings": 514, "pad_token_id": 1}
    assert params.within({"model_type": "xlm-roberta", **config}).row_tokens == 512
    assert params.within({"model_type": "bert", **config}).row_tokens == 514


def test_a_decoders_card_says_nothing_of_masks() -> None:
    for trainer, words in (("mlm", "AutoModelForMaskedLM"), ("sft", "AutoModelForCausalLM")):
        params = TASK.params(model="ann/x", data_path="d", trainer=trainer)
        assert words in TASK.loading(params, "ann/y", adapter=False)
        assert ("[MASK]" in TASK.try_it(params, "ann/y")) == (trainer == "mlm")


@pytest.mark.slow
def test_a_decoders_tokenizer_hides_nothing(tmp_path: Path) -> None:
    from worker.tasks.llm.training.masked import train

    model = tiny_llm.write_model(tmp_path / "model")
    data = write_rows(tmp_path / "train.jsonl", ROWS)
    params, run, _ = job(model, data, tmp_path, trainer="mlm")
    with pytest.raises(BadConfig, match="no token that hides another"):
        train(params, run)
