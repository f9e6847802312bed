"""What can be had without a model of transformers: the usual baseline of each kind of data."""

from __future__ import annotations

import io
from collections import Counter, defaultdict
from typing import Any

import numpy as np

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
    from PIL import Image

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
