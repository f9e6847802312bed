"""What can be had without a model of transformers: the usual baseline of each kind of data."""

from __future__ import annotations

import io
from collections import Counter, defaultdict
from itertools import product
from typing import Any

import numpy as np
from PIL import Image

from benchmarks._real.packaged import Rows
from worker.families.training.answers import answered
from worker.families.training.entities import tagging
from worker.families.training.measures import regression


def words_counted(train: Rows, valid: Rows) -> float:
    """Return the accuracy of a logistic regression over TF-IDF of words and pairs of them."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    weights = TfidfVectorizer(ngram_range=(1, 2))
    made = make_pipeline(weights, LogisticRegression(C=10, max_iter=1000))
    made.fit([row["text"] for row in train], [row["label"] for row in train])
    return float(made.score([row["text"] for row in valid], [row["label"] for row in valid]))


def words_weighed(train: Rows, valid: Rows) -> float:
    """Return R² of a ridge regression over TF-IDF of words and pairs of them."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline

    made = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), Ridge())
    made.fit([row["text"] for row in train], [row["target"] for row in train])
    return _r2(made.predict([row["text"] for row in valid]), valid)


def usual_tag(train: Rows, valid: Rows) -> float:
    """Return F1 of giving a word the tag that it mostly has, and an unknown one `name`."""
    seen: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for row in train:
        for word, tag in zip(row["tokens"], row["tags"], strict=True):
            seen[word][tag] += 1
    guess = {word: counts.most_common(1)[0][0] for word, counts in seen.items()}
    guesses = [[guess.get(word, "name") for word in row["tokens"]] for row in valid]
    return tagging([row["tags"] for row in valid], guesses)["f1"]


def usual_words(train: Rows, valid: Rows) -> float:
    """Return F1 of answering with the words that mostly are the answer: the third to the fifth."""
    places: defaultdict[str, Counter[tuple[int, int]]] = defaultdict(Counter)
    for row in train:
        places[row["question"]][_words(row)] += 1
    usual = {question: counts.most_common(1)[0][0] for question, counts in places.items()}
    spans = [(row["context"].split(), usual[row["question"]]) for row in valid]
    guesses = [" ".join(words[first:last]) for words, (first, last) in spans]
    return answered(guesses, [row["answers"]["text"] for row in valid])["f1"]


def _words(row: dict[str, Any]) -> tuple[int, int]:
    """Return the place of an answer's first word and the one behind its last."""
    if not row["answers"]["text"]:
        return 0, 0
    first = len(row["context"][: row["answers"]["answer_start"][0]].split())
    return first, first + len(row["answers"]["text"][0].split())


def nearest_target(train: Rows, valid: Rows) -> float:
    """Return ROUGE-L of copying what is written for the nearest text, by the cosine of TF-IDF."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    from worker.tasks.seq2seq.training.rouge import rouge

    weights = TfidfVectorizer().fit([row["text"] for row in train])
    known, asked = (weights.transform([row["text"] for row in rows]) for rows in (train, valid))
    nearest = (asked @ known.T).toarray().argmax(axis=1)
    said = [train[place]["target"] for place in nearest]
    return rouge(said, [row["target"] for row in valid])["rougeL"]


def parts_shared(train: Rows, valid: Rows) -> float:
    """Return MRR@10 of the cosine of TF-IDF of parts of words, three to five letters."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    asked, told = (list(dict.fromkeys(row[name] for row in valid)) for name in ("query", "answer"))
    wanted: defaultdict[str, set[str]] = defaultdict(set)
    for row in valid:
        wanted[row["query"]].add(row["answer"])
    weights = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5))
    weights.fit([*(text for row in train for text in row.values()), *told])
    alike = (weights.transform(asked) @ weights.transform(told).T).toarray()
    nearest = (-alike).argsort(axis=1, kind="stable")[:, :10]
    first = [
        next((1 / n for n, i in enumerate(places, 1) if told[i] in wanted[query]), 0.0)
        for query, places in zip(asked, nearest, strict=True)
    ]
    return float(np.mean(first))


def bright_parts(train: Rows, valid: Rows) -> float:
    """Return mAP of parts that are brighter than a threshold, taken apart where they touch.

    The threshold and what is blurred away are the best for some of what is learned from.
    """
    choices = product(range(30, 66, 3), (1.0, 1.5, 2.0, 3.0), (5, 9, 13))
    best = max(choices, key=lambda how: _found_bright(train[::4], *how))
    return _found_bright(valid, *best)


def _found_bright(rows: Rows, least: float, blur: float, apart: int) -> float:
    from worker.tasks.object_detection.training.measures import Found, measured
    from worker.tasks.object_detection.training.pictures import Truth

    truth, found = [], []
    for row in rows:
        shades = np.asarray(Image.open(io.BytesIO(row["image"])).convert("L"), dtype=np.float64)
        corners = np.array(row["objects"]["bbox"], dtype=np.float64).reshape(-1, 4)
        corners[:, 2:] += corners[:, :2]
        truth.append(Truth(shades.shape, corners, np.zeros(len(corners), dtype=np.int64)))
        boxes, sizes = _bright(shades, least, blur, apart)
        found.append(Found(boxes, np.zeros(len(boxes), dtype=np.int64), sizes))
    return measured(truth, found, ["nucleus"])["map"]


def _bright(shades: Any, least: float, blur: float, apart: int) -> tuple[Any, Any]:
    """Return boxes of bright parts (parts, 4), as corners, and how many points each has.

    A part is of the bright points that have the same peak as the nearest: peaks are farther from
    the dark than all that is near.
    """
    from scipy import ndimage

    bright = ndimage.gaussian_filter(shades, 1) > least
    depth = ndimage.gaussian_filter(ndimage.distance_transform_edt(bright), blur)
    peaks, _ = ndimage.label((depth == ndimage.maximum_filter(depth, apart)) & bright)
    nearest = ndimage.distance_transform_edt(
        peaks == 0, return_distances=False, return_indices=True
    )
    parts = np.where(bright, peaks[tuple(nearest)], 0)
    sizes = np.bincount(parts.ravel())
    kept = [(place, sizes[i]) for i, place in enumerate(ndimage.find_objects(parts), 1) if place]
    boxes = [(x.start, y.start, x.stop, y.stop) for (y, x), _ in kept]
    counts = np.array([size for _, size in kept], dtype=np.float64)
    return np.array(boxes, dtype=np.float64).reshape(-1, 4), counts


def points_told_apart(train: Rows, valid: Rows) -> float:
    """Return the accuracy of a logistic regression over an image's points."""
    from sklearn.linear_model import LogisticRegression

    made = LogisticRegression(max_iter=5000).fit(_points(train), [row["label"] for row in train])
    return float(made.score(_points(valid), [row["label"] for row in valid]))


def points_weighed(train: Rows, valid: Rows) -> float:
    """Return R² of a ridge regression over an image's points."""
    from sklearn.linear_model import Ridge

    made = Ridge().fit(_points(train), [row["target"] for row in train])
    return _r2(made.predict(_points(valid)), valid)


def _points(rows: Rows) -> Any:
    images = (Image.open(io.BytesIO(row["image"])).convert("L") for row in rows)
    return np.stack([np.asarray(image, dtype=np.float64).reshape(-1) / 255 for image in images])


def columns_weighed(train: Rows, valid: Rows) -> float:
    """Return the accuracy of a logistic regression over what was measured of each, gaps as 0."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    def numbers(rows: Rows) -> list[list[float]]:
        return [[x if isinstance(x := row[name], float) else 0.0 for name in names] for row in rows]

    names = [name for name in train[0] if name.endswith(("_mm", "_g"))]
    made = make_pipeline(StandardScaler(), LogisticRegression())
    made.fit(numbers(train), [row["species"] for row in train])
    return float(made.score(numbers(valid), [row["species"] for row in valid]))


def _r2(guesses: Any, valid: Rows) -> float:
    return regression(np.asarray(guesses), np.array([row["target"] for row in valid]))["r2"]
