"""Jobs for preflight to check, and models made of a header and a hole."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

import backends
from orchestrator.preflight import CheckReport, CheckRequest, check
from orchestrator.settings.job import JobSettings
from standins.localhub import HubServer
from worker.clock import SystemClock
from worker.hubclient import hub as client
from worker.task import Finding
from worker.tasks.llm import TASK

TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}</s>"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
PARAMETERS = 150_000_000
CHATS = "".join(
    json.dumps(
        {
            "messages": [
                {"role": "user", "content": f"What is {i}?"},
                {"role": "assistant", "content": f"It is the number {i}."},
            ]
        }
    )
    + "\n"
    for i in range(40)
)


class Impatient(SystemClock):
    """A clock on which waiting takes no time."""

    def sleep(self, seconds: float) -> None:
        pass


def tokenizer() -> Tokenizer:
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(["What is it? It is the number."], trainer)
    return made


def model(folder: Path, parameters: int = PARAMETERS, **config: Any) -> Path:
    """Write a model that says it has so many parameters; its weights are a header and a hole."""
    folder.mkdir(parents=True)
    sizes: dict[str, Any] = {
        "model_type": "llama",
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 128,
        "vocab_size": 300,
    }
    sizes |= config
    (folder / "config.json").write_text(json.dumps(sizes))
    tokenizer().save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"eos_token": "</s>", "chat_template": TEMPLATE})
    )
    tensor = {"dtype": "BF16", "shape": [parameters // 1000, 1000], "data_offsets": [0, 0]}
    norm = {"dtype": "BF16", "shape": [0, sizes["hidden_size"]], "data_offsets": [0, 0]}
    header = json.dumps({"weight": tensor, "norm": norm}).encode()
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    return folder


@dataclass
class Asking:
    """A user who has a job checked: `ask(user="ann", backend="spaces", …)`, settings by name."""

    hub: HubServer
    data: Path

    @classmethod
    def of(cls, hub: HubServer, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Asking:
        """Let somebody with chats in a folder have jobs checked on a Hub."""
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        data = folder / "chats.jsonl"
        data.write_text(CHATS)
        return cls(hub, data)

    def __call__(
        self,
        *,
        user: str | None = "ann",
        backend: str = "spaces",
        flavor: str | None = "t4-small",
        project: str = "bot",
        token: str | None = None,
        job: dict[str, Any] | None = None,
        typed: tuple[str, ...] = (),
        secrets: tuple[str, ...] = (),
        output: Path | None = None,
        task: Any = TASK,
        **settings: Any,
    ) -> CheckReport:
        token = token or (self.hub.tokens[user] if user else None)
        values: dict[str, Any] = {"model": "ann/small", "data_path": str(self.data)}
        values |= {"trainer": "sft", "peft": True} if task is TASK else {}
        own = {"project_name": project, "push_to_hub": backend == "spaces"} | (job or {})
        made = JobSettings(**own)
        request = CheckRequest(
            task=task,
            options=backends.load(backend).options(),
            params=task.params(**values | settings),
            project=project,
            owner=made.username,
            token_given=token is not None,
            job=made,
            typed=frozenset(typed),
            secrets=frozenset(secrets),
            flavor=flavor if backend == "spaces" else None,
            output=output,
        )
        clock = Impatient()
        return check(request, client(token), backends.load(backend)(token, clock), clock)


def errors(report: CheckReport) -> list[Finding]:
    return [f for f in report.findings if f.level == "error"]


def only_error(report: CheckReport) -> Finding:
    wrong = errors(report)
    assert len(wrong) == 1, wrong
    assert not report.ok
    return wrong[0]


def said(report: CheckReport, topic: str) -> str:
    return "\n".join(f"{f.text} {f.fix}".strip() for f in report.findings if f.topic == topic)
