"""Packed rows: full, and of examples that cannot see one another."""

from __future__ import annotations

import random
from array import array
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_llm import write_model

from worker.common import Optimisation
from worker.tasks.llm.packing import best_fit, training_rows
from worker.tasks.llm.tokens import Tokens

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


@given(st.lists(st.integers(1, 64), max_size=200))
@settings(max_examples=100, deadline=None)
def test_every_example_is_in_one_row_and_no_row_is_too_long(lengths: list[int]) -> None:
    rows = best_fit(lengths, 64)
    assert sorted(example for row in rows for example in row) == list(range(len(lengths)))
    assert all(sum(lengths[example] for example in row) <= 64 for row in rows)


def test_rows_are_nearly_full() -> None:
    chance = random.Random(0)
    lengths = [chance.randint(5, 700) for _ in range(2000)]
    rows = best_fit(lengths, 1024)
    assert sum(lengths) / (len(rows) * 1024) > 0.97


def test_each_example_alone_without_packing() -> None:
    assert training_rows([3, 4], 64, packing=False) == [[0], [1]]


@pytest.mark.parametrize(
    ("rows", "batch", "accumulation", "epochs", "expected"),
    [(33, 1, 1, 1, 33), (33, 2, 4, 1, 5), (33, 2, 4, 3, 15), (3, 8, 4, 1, 1), (10, 1, 1, 0.25, 3)],
)
def test_steps(rows: int, batch: int, accumulation: int, epochs: float, expected: int) -> None:
    asked = Optimisation(batch_size=batch, gradient_accumulation=accumulation, epochs=epochs)
    assert asked.steps(rows) == expected


def example(*ids: int, learned: bytes | None = None) -> Tokens:
    return Tokens(array("i", ids), learned or bytes([0]) + bytes([1]) * (len(ids) - 1))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from transformers import AutoModelForCausalLM

    folder = write_model(tmp_path_factory.mktemp("packing") / "model")
    return AutoModelForCausalLM.from_pretrained(folder, use_cache=False).eval()


PARTS = [
    example(*range(5, 25)),
    example(*range(40, 47)),
    example(*range(100, 133)),
]


@pytest.mark.slow
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("left", [False, True])
def test_logits_packed_equal_logits_alone(model: Any, attention: str, left: bool) -> None:
    import torch

    from worker.tasks.llm.training.batches import Collate

    model.set_attn_implementation(attention)
    collate = Collate(pad=0, left=left)
    batch = collate([PARTS, [example(*range(200, 270))]])
    assert "attention_mask" not in batch
    with torch.no_grad():
        packed = model(**batch).logits[0]
        at = packed.shape[0] - sum(map(len, PARTS)) if left else 0
        for part in PARTS:
            alone = model(input_ids=torch.tensor([list(part.ids)])).logits[0]
            assert (packed[at : at + len(part)] - alone).abs().max() < 1e-5
            at += len(part)


@pytest.mark.slow
def test_sparse_logits_give_the_same_loss(model: Any) -> None:
    import torch

    from worker.tasks.llm.training.batches import Collate

    half = example(*range(50, 80), learned=bytes([0] * 20 + [1] * 10))
    with torch.no_grad():
        losses = [
            float(model(**Collate(pad=0, sparse=sparse)([[*PARTS, half]])).loss)
            for sparse in (False, True)
        ]
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("sparse", [False, True])
def test_rows_laid_end_to_end_give_the_same_loss(model: Any, sparse: bool) -> None:
    import torch

    from worker.tasks.llm.training.batches import Collate

    rows = [PARTS, [example(*range(200, 270))], [example(*range(30, 39))]]
    flat = Collate(pad=0, sparse=sparse, flat=True)(rows)
    assert flat["input_ids"].shape == (1, sum(len(part) for row in rows for part in row))
    with torch.no_grad():
        losses = [float(model(**batch).loss) for batch in (flat, Collate(pad=0)(rows))]
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)


def test_nothing_learns_across_a_border() -> None:
    from worker.engine.loss import IGNORED
    from worker.tasks.llm.training.batches import Collate

    all_learned = example(1, 2, 3, learned=b"\1\1\1")
    batch = Collate(pad=0)([[all_learned, all_learned], [example(7, 8)]])
    assert batch["labels"].tolist() == [
        [IGNORED, 2, 3, IGNORED, 2, 3],
        [IGNORED, 8, IGNORED, IGNORED, IGNORED, IGNORED],
    ]
    assert batch["position_ids"].tolist() == [[0, 1, 2, 0, 1, 2], [0, 1, 0, 1, 2, 3]]


@pytest.mark.slow
def test_a_model_that_cannot_keep_examples_apart_is_found_out(model: Any) -> None:
    from worker.tasks.llm.training.batches import keeps_apart

    class Leaking:
        """Passes an attention mask along, as packed training once did by mistake."""

        training = False

        def __call__(self, **inputs: Any) -> Any:
            import torch

            mask = torch.ones_like(inputs["input_ids"])
            return model(**inputs, attention_mask=mask)

        def __getattr__(self, name: str) -> Any:
            return getattr(model, name)

    assert keeps_apart(model, 304)
    assert not keeps_apart(Leaking(), 304)
