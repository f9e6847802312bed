"""AutoTrain's Python, for programs that were written for it: its client, its project, its params.

The client has a running app in AutoTrain's place:

    from hubtrain.autotrain import Client  # in the place of AutoTrain's own

    client = Client(host="http://127.0.0.1:7860", token="KEY", username="ann")
    job = client.create(
        project_name="bot",
        task="llm:sft",
        base_model="Qwen/Qwen3-1.7B",
        backend="spaces-a10g-large",
        dataset="ann/chats",
        train_split="train",
        column_mapping={"text_column": "messages"},
    )
    print(client.get_logs(job["job_id"])["logs"])

The project and the params do without one; new programs are better off with `hubtrain`:

    from hubtrain.autotrain import AutoTrainProject, LLMTrainingParams

    params = LLMTrainingParams(model="Qwen/Qwen3-1.7B", data_path="chats", project_name="bot")
    AutoTrainProject(params=params, backend="local", process=True).create()
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from hubtrain._app import AppAt
from hubtrain._project import (
    AutoTrainProject,
    ExtractiveQuestionAnsweringParams,
    ImageClassificationParams,
    ImageRegressionParams,
    LLMTrainingParams,
    ObjectDetectionParams,
    SentenceTransformersParams,
    Seq2SeqParams,
    TabularParams,
    TextClassificationParams,
    TextRegressionParams,
    TokenClassificationParams,
    VLMTrainingParams,
)

__all__ = [
    "AutoTrainProject",
    "Client",
    "ExtractiveQuestionAnsweringParams",
    "ImageClassificationParams",
    "ImageRegressionParams",
    "LLMTrainingParams",
    "ObjectDetectionParams",
    "SentenceTransformersParams",
    "Seq2SeqParams",
    "TabularParams",
    "TextClassificationParams",
    "TextRegressionParams",
    "TokenClassificationParams",
    "VLMTrainingParams",
]

HOST, USERNAME = "AUTOTRAIN_API", "HF_USERNAME"
"""Environment variables that it read."""


class Client:
    """Jobs through a running app, by AutoTrain's methods, with its arguments and answers.

    `host` is the app's address: by default AUTOTRAIN_API, then the app of this machine. `token`
    opens the app: its key or password, by default as for `hubtrain.Client`; the Hub's token is
    the app's own. `username` is who gets the model and pays: by default HF_USERNAME, then
    whose token the app has. What goes wrong is a `HubtrainError`.
    """

    def __init__(
        self, host: str | None = None, token: str | None = None, username: str | None = None
    ) -> None:
        self.username = username or os.environ.get(USERNAME)
        self._app = AppAt(host or os.environ.get(HOST), token)

    def __repr__(self) -> str:
        return f"<hubtrain.autotrain.Client {self._app.url}>"

    def create(  # noqa: PLR0917
        self,
        project_name: str,
        task: str,
        base_model: str,
        backend: str,
        dataset: str,
        train_split: str,
        column_mapping: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        valid_split: str | None = None,
    ) -> dict[str, Any]:
        """Launch a job. The answer has `job_id`, `message`, `success` and what ours says of it.

        `task` as AutoTrain calls it (`llm:sft`, `st:pair`, `image-object-detection`), `backend` as
        `--backend` takes it. `params` are really used, and what is trained is pushed.
        """
        return self._app.asked_as_autotrain(
            "create_project",
            {
                "project_name": project_name,
                "task": task,
                "base_model": base_model,
                "hardware": backend,
                "hub_dataset": dataset,
                "train_split": train_split,
                "valid_split": valid_split,
                "column_mapping": dict(column_mapping or {}),
                "params": dict(params or {}),
                "username": self.username,
            },
        )

    def get_logs(self, job_id: str) -> dict[str, Any]:
        """Return what a job has printed, as `logs`: one text."""
        return self._app.asked_as_autotrain("logs", {"jid": job_id})

    def stop_training(self, job_id: str) -> dict[str, Any]:
        """Stop a job and its machine."""
        return self._app.asked_as_autotrain("stop_training", {"jid": job_id})
