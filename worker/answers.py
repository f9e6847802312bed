"""What models answer, by kind: how an answer looks as plain data, and as cells of a table.

The shapes are those of transformers' pipelines, so that a task may hand on what one returns. A task
says which kind it is (`Page.answers_as`); `worker.show.answers` shows each kind on a page. Light.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeVar

from worker.errors import HubtrainError

T = TypeVar("T")

Kind = Literal[
    "labels", "tags", "number", "entities", "boxes", "text", "span", "vector", "similarity", "data"
]
"""
`labels`: `[{"label", "score"}, …]`, every class, the likeliest first: one of them is true.
`tags`: the same, where several may be true, each with a score of its own.
`number`: a number, or a mapping of names to numbers.
`entities`: `[{"entity_group", "word", "score", "start", "end"}, …]`, places in the text.
`boxes`: `[{"label", "score", "box": {"xmin", "ymin", "xmax", "ymax"}}, …]`, in pixels.
`text`: a text.
`span`: `{"answer", "score", "start", "end"}`, a place in the text.
`vector`: a list of numbers.
`similarity`: a number, of two texts; the vector of a single one.
`data`: anything else.
"""

PREDICTION, SCORE = "prediction", "score"

MOST_SCORES = 100
"""Classes that have a column each; where there are more, only the likeliest is told."""

LIKELY = 0.5
"""Score from which a tag is true."""

Cells = dict[str, Any]
"""The columns that an answer adds to its row."""


def cells(kind: Kind, answer: Any) -> Cells:
    """Return an answer of this kind as columns: `prediction`, and what more there is."""
    return _CELLS[kind](answer)


def _labels(answer: Any) -> Cells:
    likeliest = answer[0] if answer else {"label": None, "score": None}
    return {PREDICTION: likeliest["label"], SCORE: likeliest["score"], **_scores(answer)}


def _tags(answer: Any) -> Cells:
    likely = [one["label"] for one in answer if one["score"] >= LIKELY]
    return {PREDICTION: likely, **_scores(answer)}


def _scores(answer: Any) -> Cells:
    if len(answer) > MOST_SCORES:
        return {}
    return {f"{SCORE}_{one['label']}": one["score"] for one in in_order(answer)}


def in_order(answer: Any) -> list[Any]:
    """Return labels by their names, so that columns do not depend on what is likely in a row."""
    return sorted(answer, key=lambda one: str(one["label"]))


def _number(answer: Any) -> Cells:
    if isinstance(answer, Mapping):
        return {f"{PREDICTION}_{name}": value for name, value in answer.items()}
    return {PREDICTION: answer}


def _span(answer: Any) -> Cells:
    return {PREDICTION: answer["answer"]} | {k: answer[k] for k in ("score", "start", "end")}


def _similarity(answer: Any) -> Cells:
    return {"vector": answer} if isinstance(answer, list) else {"similarity": answer}


def _whole(answer: Any) -> Cells:
    return {PREDICTION: answer}


_CELLS: Mapping[Kind, Callable[[Any], Cells]] = {
    "labels": _labels,
    "tags": _tags,
    "number": _number,
    "entities": _whole,
    "boxes": _whole,
    "text": _whole,
    "span": _span,
    "vector": lambda answer: {"vector": answer},
    "similarity": _similarity,
    "data": _whole,
}


def the_one(answers: Iterable[Any]) -> Any:
    """Return the answer to a single question. Raises the `HubtrainError` that it may be."""
    (answer,) = answers
    if isinstance(answer, HubtrainError):
        raise answer
    return answer


def one_by_one(answer: Callable[[T], Any]) -> Callable[[Sequence[T]], Iterator[Any]]:
    """Return what asks one question after the other, and yields the faults in their places."""

    def answered(questions: Sequence[T]) -> Iterator[Any]:
        for one in questions:
            try:
                yield answer(one)
            except HubtrainError as error:
                yield error

    return answered


def in_places(
    asked: Sequence[T | HubtrainError], work: Callable[[list[T]], Iterable[Any]]
) -> Iterator[Any]:
    """Yield what `work` makes of those that can be answered, and the faults in their places."""
    able = [one for one in asked if not isinstance(one, HubtrainError)]
    answers = iter(work(able) if able else ())
    for one in asked:
        yield one if isinstance(one, HubtrainError) else next(answers)


def parts(questions: Sequence[T], together: int) -> Iterator[Sequence[T]]:
    """Yield questions, so many `together`."""
    for start in range(0, len(questions), together):
        yield questions[start : start + together]
