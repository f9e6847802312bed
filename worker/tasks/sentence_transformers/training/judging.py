"""How good the vectors are: by the evaluators of sentence-transformers, on the validation rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sentence_transformers.base.evaluation import BaseEvaluator
from sentence_transformers.sentence_transformer.evaluation import (
    EmbeddingSimilarityEvaluator,
    InformationRetrievalEvaluator,
    TripletEvaluator,
)

from worker.evaluation_plots import scatter
from worker.families.training.classes import draw_one
from worker.families.training.measures import Numbers, classification
from worker.tasks.sentence_transformers.params import SentenceParams
from worker.tasks.sentence_transformers.rows import Example, columns_of

CUTOFFS = (1, 3, 5, 10)
"""The k of recall@k: of so many texts that are nearest to a query one has to be its answer."""


class Renamed(BaseEvaluator):  # type: ignore[misc]
    """An evaluator of the library, some of its measures, and our `names` for them.

    What is no number, such as the correlation of vectors that are all alike, counts as 0.
    """

    def __init__(self, evaluator: BaseEvaluator, names: Mapping[str, str]) -> None:
        super().__init__()
        self.evaluator, self.names = evaluator, names

    def __call__(self, model: Any, *_: Any, **__: Any) -> dict[str, float]:
        """Return the measures of a model by our names."""
        found = self.evaluator(model)
        values = {ours: float(found[theirs]) for theirs, ours in self.names.items()}
        return {name: 0.0 if math.isnan(value) else value for name, value in values.items()}


class ClassEvaluator(BaseEvaluator):  # type: ignore[misc]
    """Measures the classifier of pairs, which the loss trains beside the model."""

    def __init__(self, loss: Any, pairs: Sequence[Sequence[str]], labels: Sequence[int]) -> None:
        super().__init__()
        self.loss, self.pairs, self.labels = loss, pairs, np.asarray(labels)

    def __call__(self, model: Any, *_: Any, **__: Any) -> dict[str, float]:
        """Return accuracy, F1, precision and recall."""
        return classification(self.logits(model), self.labels)

    def logits(self, model: Any) -> Numbers:
        """Return what the classifier says of the pairs (pairs, classes)."""
        first, second = (
            model.encode(list(column), convert_to_tensor=True, show_progress_bar=False).float()
            for column in self.pairs
        )
        with torch.inference_mode():
            logits = self.loss.classifier(torch.cat([first, second, (first - second).abs()], 1))
        said: Numbers = logits.float().cpu().numpy()
        return said

    def draw(self, model: Any, classes: Sequence[str], folder: Path) -> None:
        """Draw which class of pairs is taken for which, for the card."""
        draw_one(classes, self.logits(model), self.labels, folder)


def draw_scores(model: Any, held: Sequence[Example], folder: Path) -> None:
    """Draw how alike pairs are to a model over the scores that they have, for the card."""
    sides = columns_of(held, 2)
    first, second = (model.encode(side, show_progress_bar=False) for side in sides)
    alike = model.similarity_pairwise(first, second).tolist()
    points = [(float(one.target or 0), said) for one, said in zip(held, alike, strict=True)]
    scatter({"similarity": points}, folder, same_unit=False)


def evaluator_of(
    params: SentenceParams, held: Sequence[Example], classes: Sequence[str], loss: Any
) -> BaseEvaluator | None:
    """Return what measures a model on the rows that are held out; none where there are none."""
    if not held:
        return None
    columns = columns_of(held, params.learns.sentences)
    how: dict[str, Any] = {"batch_size": 2 * params.batch_size, "write_csv": False}
    if params.learns.target == "class":
        return ClassEvaluator(loss, columns, [classes.index(str(one.target)) for one in held])
    if params.learns.has_negative:
        first, second, third = columns
        triplets = TripletEvaluator(first, second, third, similarity_fn_names=["cosine"], **how)
        return Renamed(triplets, {"cosine_accuracy": "cosine_accuracy"})
    if params.learns.target == "score":
        scores = [float(one.target or 0) for one in held]
        first, second = columns
        pairs = EmbeddingSimilarityEvaluator(
            first, second, scores, similarity_fn_names=["cosine"], **how
        )
        return Renamed(pairs, {name: name for name in ("spearman_cosine", "pearson_cosine")})
    return Renamed(_retrieval(columns[0], columns[1], how), _RETRIEVAL)


_RETRIEVAL = {
    **{f"cosine_accuracy@{k}": f"recall@{k}" for k in CUTOFFS},
    "cosine_mrr@10": "mrr@10",
    "cosine_ndcg@10": "ndcg@10",
}
"""The library's names and ours. Accuracy@k counts queries with an answer among the first k, which
is their recall@k where each has one answer."""


def _retrieval(asked: Sequence[str], answers: Sequence[str], how: Mapping[str, Any]) -> Any:
    """Return the evaluator that searches the second sentences of all rows for those of a first."""
    corpus = {text: str(i) for i, text in enumerate(dict.fromkeys(answers))}
    queries = {text: str(i) for i, text in enumerate(dict.fromkeys(asked))}
    wanted: dict[str, set[str]] = {}
    for query, answer in zip(asked, answers, strict=True):
        wanted.setdefault(queries[query], set()).add(corpus[answer])
    return InformationRetrievalEvaluator(
        {number: text for text, number in queries.items()},
        {number: text for text, number in corpus.items()},
        wanted,
        accuracy_at_k=list(CUTOFFS),
        score_functions={"cosine": _cosine},
        **how,
    )


def _cosine(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Return the cosines of all pairs: (queries, answers)."""
    normed = (torch.nn.functional.normalize(x.float(), dim=-1) for x in (one, other))
    first, second = normed
    return first @ second.T
