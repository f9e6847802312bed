"""A job as AutoTrain's Python asks for one: `AutoTrainProject`, and the params of each task.

What they take is settings by the names that AutoTrain's files have, and `hubtrain.train` does the
rest. To add a class, name its task as AutoTrain's files do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import hubtrain

LATER = "local-ui"
"""This machine, for those who do not wait for it."""


class TrainingParams:
    """The settings of a job. What is wrong with them is said by `create`, all at once."""

    task: ClassVar[str]

    def __init__(self, *, token: str | None = None, **settings: Any) -> None:
        self._token = token
        self.settings = settings

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.settings})"


class LLMTrainingParams(TrainingParams):
    """A language model; `trainer` says how it is trained."""

    task = "llm"


class TextClassificationParams(TrainingParams):
    """Classes of texts."""

    task = "text-classification"


class TextRegressionParams(TrainingParams):
    """Numbers of texts."""

    task = "text-regression"


class TokenClassificationParams(TrainingParams):
    """Tags of words."""

    task = "token-classification"


class Seq2SeqParams(TrainingParams):
    """Texts from texts."""

    task = "seq2seq"


class ExtractiveQuestionAnsweringParams(TrainingParams):
    """Answers found in texts."""

    task = "extractive-question-answering"


class SentenceTransformersParams(TrainingParams):
    """Vectors of sentences; `trainer` says from what they are learned."""

    task = "sentence-transformers"


class ImageClassificationParams(TrainingParams):
    """Classes of images."""

    task = "image-classification"


class ImageRegressionParams(TrainingParams):
    """Numbers of images."""

    task = "image-regression"


class ObjectDetectionParams(TrainingParams):
    """Boxes on images."""

    task = "image-object-detection"


class VLMTrainingParams(TrainingParams):
    """Words about images; `trainer` says which."""

    task = "vlm"


class TabularParams(TrainingParams):
    """Columns of tables; `task` says whether classes or numbers."""

    task = "tabular"


@dataclass
class AutoTrainProject:
    """A job as AutoTrain's scripts ask for it."""

    params: TrainingParams
    backend: str
    process: bool = False
    """Whether data are read and packed first, which is always done here."""

    def create(self) -> str:
        """Check the job, send its data, launch it, and return its id: `hubtrain.job` finds it.

        A job of this machine is waited for, but not with the backend `local-ui`; there AutoTrain
        let failures pass, and here they raise `JobFailed`. Raises what `hubtrain.train` does.
        """
        import backends

        settings = {**self.params.settings, "backend": self.backend}
        kind = ":".join(filter(None, (self.params.task, settings.pop("task", None))))
        job = hubtrain.train(kind, token=self.params._token, **settings)
        if self.backend != LATER and backends.resolve(self.backend).backend.sees_my_files:
            job.result()
        return job.id
