"""How good the vectors are: by the evaluators of sentence-transformers, on the validation rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from sentence_transformers.base.evaluation import BaseEvaluator
from sentence_transformers.sentence_transformer.evaluation import (
    EmbeddingSimilarityEvaluator,
    InformationRetrievalEvaluator,
    TripletEvaluator,
)

from worker.families.training.measures import classification
from worker.tasks.sentence_transformers.params import SentenceParams
from worker.tasks.sentence_transformers.rows import Example, columns_of

AMONG = (1, 3, 5, 10)
"""Of how many first finds it is told how often what is wanted is among them."""


class Judge(BaseEvaluator):  # type: ignore[misc]
    """Asks an evaluator, and calls what it says by the names of ours.

    What is no number, such as the correlation of vectors that are all alike, counts as 0.
    """

    def __init__(self, of: BaseEvaluator, names: Mapping[str, str]) -> None:
        super().__init__()
        self.of, self.names = of, names

    def __call__(self, model: Any, *_: Any, **__: Any) -> dict[str, float]:
        """Return what is measured, by our names."""
        found = self.of(model)
        values = {ours: float(found[theirs]) for theirs, ours in self.names.items()}
        return {name: 0.0 if math.isnan(value) else value for name, value in values.items()}


class Classes(BaseEvaluator):  # type: ignore[misc]
    """Asks the head that is trained beside the model for the classes of pairs."""

    def __init__(self, loss: Any, pairs: Sequence[Sequence[str]], labels: Sequence[int]) -> None:
        super().__init__()
        self.loss, self.pairs, self.labels = loss, pairs, np.asarray(labels)

    def __call__(self, model: Any, *_: Any, **__: Any) -> dict[str, float]:
        """Return accuracy and what else is told of classes."""
        first, second = (
            model.encode(list(column), convert_to_tensor=True, show_progress_bar=False).float()
            for column in self.pairs
        )
        with torch.inference_mode():
            logits = self.loss.classifier(torch.cat([first, second, (first - second).abs()], 1))
        return classification(logits.float().cpu().numpy(), self.labels)


def judge_of(
    params: SentenceParams, held: Sequence[Example], classes: Sequence[str], loss: Any
) -> BaseEvaluator | None:
    """Return what judges a model on the rows that are held out; none where there are none."""
    if not held:
        return None
    columns = columns_of(held, params.learns.sentences)
    how: dict[str, Any] = {"batch_size": 2 * params.batch_size, "write_csv": False}
    if params.learns.target == "class":
        return Classes(loss, columns, [classes.index(str(one.target)) for one in held])
    if params.learns.contrasts:
        first, second, third = columns
        triplets = TripletEvaluator(first, second, third, similarity_fn_names=["cosine"], **how)
        return Judge(triplets, {"cosine_accuracy": "cosine_accuracy"})
    if params.learns.target == "score":
        scores = [float(one.target or 0) for one in held]
        first, second = columns
        pairs = EmbeddingSimilarityEvaluator(
            first, second, scores, similarity_fn_names=["cosine"], **how
        )
        return Judge(pairs, {name: name for name in ("spearman_cosine", "pearson_cosine")})
    return Judge(_retrieval(columns[0], columns[1], how), _FOUND)


_FOUND = {
    **{f"cosine_accuracy@{k}": f"recall@{k}" for k in AMONG},
    "cosine_mrr@10": "mrr@10",
    "cosine_ndcg@10": "ndcg@10",
}
"""That one of the answers is among the first k is what recall@k is where there is one."""


def _retrieval(asked: Sequence[str], answers: Sequence[str], how: Mapping[str, Any]) -> Any:
    """Return what looks for the second sentences by the first, among those of all rows."""
    corpus = {text: str(i) for i, text in enumerate(dict.fromkeys(answers))}
    queries = {text: str(i) for i, text in enumerate(dict.fromkeys(asked))}
    wanted: dict[str, set[str]] = {}
    for query, answer in zip(asked, answers, strict=True):
        wanted.setdefault(queries[query], set()).add(corpus[answer])
    return InformationRetrievalEvaluator(
        {number: text for text, number in queries.items()},
        {number: text for text, number in corpus.items()},
        wanted,
        accuracy_at_k=list(AMONG),
        score_functions={"cosine": _cosine},
        **how,
    )


def _cosine(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Return the cosines of all pairs: (queries, answers)."""
    normed = (torch.nn.functional.normalize(x.float(), dim=-1) for x in (one, other))
    first, second = normed
    return first @ second.T
