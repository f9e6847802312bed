"""A model on a server is asked as one here, and each way in which that fails has its own words."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from standins.completions import CHAT, Fault, Served, serving
from standins.script import Hurried
from standins.terminal import CTRL_C, terminal

from orchestrator.inference.endpoint import (
    KEY,
    PROVIDERS,
    EndpointSession,
    address_of,
    key_for,
)
from worker.errors import BadConfig, HubtrainError
from worker.session import Message, Say

TOKEN = "hf_" + "a" * 34
SECRET = "sk-0123456789abcdef"


@pytest.fixture
def served() -> Iterator[Served]:
    with serving(Served()) as one:
        yield one


def user(text: str) -> list[Message]:
    return [{"role": "user", "content": text}]


def said_by(served: Served, say: Say = lambda text: None, **how: Any) -> str:
    """Return what a session of its own answers to "hi there"."""
    settings = {"model": "tiny", "key": "", "clock": Hurried(), **how}
    with closing(EndpointSession(f"{served.address}/v1", **settings)) as session:
        return session.reply(user("hi there"), say).text


def environ(folder: Path, **more: str) -> dict[str, str]:
    ours = {k: v for k, v in os.environ.items() if k != KEY}
    return {**ours, "HUBTRAIN_HOME": str(folder), "HF_TOKEN": TOKEN, "COLUMNS": "200", **more}


def hubtrain(folder: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "orchestrator.terminal.cli", "llm", "--inference"]
    return subprocess.run(
        [*command, *words],
        cwd=folder,
        env=environ(folder, **more),
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )


def test_the_server_is_one_to_a_stock_client(served: Served) -> None:
    from huggingface_hub import InferenceClient
    from huggingface_hub.errors import HfHubHTTPError

    client = InferenceClient(base_url=served.address, api_key="none")
    pieces = client.chat_completion([dict(*user("how are you"))], model="tiny", stream=True)
    said = [chunk.choices[0].delta.content or "" for chunk in pieces]
    assert "".join(said) == "1: how are you" and len(said) > 4
    whole = client.chat_completion([dict(*user("how are you"))], model="tiny", max_tokens=2)
    assert whole.choices[0].message.content == "1: how"
    assert whole.choices[0].finish_reason == "length"
    with pytest.raises(HfHubHTTPError, match="404"):
        client.chat_completion([dict(*user("hi"))], model="other")


def test_a_prompt_is_answered_with_what_was_asked_for(served: Served, tmp_path: Path) -> None:
    flags = ("--max-new-tokens", "2", "--temperature", "0", "--top-p", "0.5", "--stop", "x")
    asked = ("--endpoint", served.address, "--prompt", "how are you", "--system", "be brief")
    done = hubtrain(tmp_path, *asked, *flags, "--seed", "3", "--top-k", "4")
    assert (done.returncode, done.stdout) == (0, "2: how\n"), done.stderr
    (body,) = served.asked
    messages = [{"role": "system", "content": "be brief"}, *user("how are you")]
    how = {"max_tokens": 2, "temperature": 0.0, "top_p": 0.5, "top_k": 4, "stop": "x", "seed": 3}
    assert body == {"model": "tiny", "messages": messages, "stream": True, **how}
    assert "--max-new-tokens" in done.stderr
    assert set(served.keys) == {""}, "the Hub's token is for the Hub"


def test_a_file_of_prompts_is_answered_in_its_order(served: Served, tmp_path: Path) -> None:
    prompts = [f"prompt {n}" for n in range(20)]
    (tmp_path / "p.txt").write_text("\n".join(prompts))
    asked = ("--endpoint", served.address, "--prompts", "p.txt", "--output", "a.jsonl")
    done = hubtrain(tmp_path, *asked)
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert [(t["prompt"], t["answer"]) for t in told] == [(p, f"1: {p}") for p in prompts]
    assert {t["model"] for t in told} == {"tiny"}


def test_a_chat_survives_ctrl_c_and_shows_no_escape(served: Served, tmp_path: Path) -> None:
    served.faults = ["hangs"]
    served.answers = lambda messages: ["well ", "then"]
    words = ("llm", "--inference", "--endpoint", served.address)
    with terminal(*words, cwd=tmp_path, environ=environ(tmp_path)) as screen:
        screen.until("Chat with tiny")
        screen.until("> ")
        screen.type("hello there\n")
        screen.until("well")
        screen.type(CTRL_C)
        screen.until("> ")
        served.answers = lambda messages: [
            str(len(messages)),
            " \x1b]0;",
            "evil\x07 ",
            "\x1b[",
            "2J",
        ]
        screen.type("again\n")
        screen.until("3 \\x1b]0;evil\\x07 \\x1b[2J")
        screen.until("> ")
        served.faults = ["breaks"]
        screen.type("more\n")
        screen.until("broke off")
        screen.until("> ")
        screen.press(CTRL_C, "Ctrl-C again")
        assert screen.end(CTRL_C) == 130
    assert "\x1b]0" not in screen.shown and "\x1b[2J" not in screen.shown
    assert "Traceback" not in screen.shown


def test_a_server_that_loads_its_model_is_waited_for(served: Served) -> None:
    loading: Fault = (503, {"error": "Model is loading", "error_type": "overloaded"}, {})
    served.faults = [loading, (429, {"error": "slow"}, {"Retry-After": "20"}), loading]
    told: list[str] = []
    clock = Hurried()
    assert said_by(served, clock=clock, waiting=told.append) == "1: hi there" and len(told) == 3
    assert "is not ready yet (503: Model is loading)" in told[0]
    assert 20 < clock.monotonic() < 30
    served.faults = [loading] * 500
    with pytest.raises(HubtrainError, match="is not ready") as raised:
        said_by(served, clock=clock)
    assert "again later" in raised.value.fix and clock.monotonic() < 1000


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        ("breaks", HubtrainError, "broke off"),
        ("errs", HubtrainError, "broke off its answer: CUDA out of memory"),
        ("html", BadConfig, "does not speak OpenAI's protocol"),
        ((500, {"detail": "boom"}, {}), HubtrainError, "answered 500: boom"),
        ((400, {"error": {"message": "no chat template"}}, {}), BadConfig, "no chat template"),
        ((302, {}, {"Location": "http://127.0.0.1:9/v1"}), BadConfig, "sends on to http://127"),
    ],
)
def test_each_failure_is_one_message(
    served: Served, fault: Fault, kind: type[HubtrainError], words: str
) -> None:
    served.faults = [fault]
    said: list[str] = []
    with pytest.raises(HubtrainError, match=words) as raised:
        said_by(served, said.append)
    assert type(raised.value) is kind
    assert "".join(said) == ("1:" if fault in ("breaks", "errs") else "")


def test_a_server_that_does_not_stream_is_heard_too(served: Served) -> None:
    served.faults = ["whole"]
    said: list[str] = []
    assert said_by(served, said.append) == "".join(said) == "1: hi there"


def test_models_are_named_by_the_server(served: Served) -> None:
    served.models = ["a/one", "b/two"]
    with pytest.raises(BadConfig, match="it has a/one, b/two"):
        said_by(served, model="")
    with pytest.raises(BadConfig, match="does not know tiny"):
        said_by(served)
    assert said_by(served, model="b/two") == "1: hi there"


def test_nobody_there(tmp_path: Path) -> None:
    done = hubtrain(tmp_path, "--endpoint", "http://127.0.0.1:9", "--prompt", "hi")
    assert done.returncode == 1
    assert "no answer from 127.0.0.1:9 (ConnectError" in done.stderr
    assert "curl http://127.0.0.1:9/v1/models" in done.stderr


def test_a_key_has_a_variable_and_is_shown_nowhere(served: Served, tmp_path: Path) -> None:
    served.key = SECRET
    asked = ("--endpoint", served.address, "--prompt", "hi")
    refused = hubtrain(tmp_path, *asked)
    assert refused.returncode == 2 and "asks for a key (401: Incorrect API key)" in refused.stderr
    assert f"export {KEY}=" in refused.stderr and "hf auth login" not in refused.stderr
    wrong = hubtrain(tmp_path, *asked, **{KEY: "sk-wrong-wrong"})
    assert "refuses this key" in wrong.stderr and "sk-wrong" not in wrong.stderr
    served.answers = lambda messages: ["your", " key is ", SECRET[:8], SECRET[8:], " !"]
    done = hubtrain(tmp_path, *asked, **{KEY: SECRET})
    assert done.stdout == "your key is [secret] !\n", done.stderr
    assert not any(TOKEN in said for said in served.keys)


HUB = {"HF_ENDPOINT": "https://huggingface.co"}


@pytest.mark.parametrize(
    ("endpoint", "key", "sent"),
    [
        (PROVIDERS, "", TOKEN),
        ("https://abc.eu-west-1.aws.endpoints.huggingface.cloud/v1", "", TOKEN),
        ("https://abc.eu-west-1.aws.endpoints.huggingface.cloud/v1", SECRET, SECRET),
        ("http://abc.endpoints.huggingface.cloud/v1", "", ""),
        ("https://huggingface.co.evil.example/v1", "", ""),
        ("https://evilhuggingface.co/v1", "", ""),
        ("https://ann-chat.hf.space/v1", "", ""),
        ("https://api.example.com/v1", "", ""),
        ("https://api.example.com/v1", SECRET, SECRET),
        ("http://localhost:8000/v1", SECRET, SECRET),
        ("http://[::1]:8000/v1", SECRET, SECRET),
    ],
)
def test_who_gets_which_key(
    monkeypatch: pytest.MonkeyPatch, endpoint: str, key: str, sent: str
) -> None:
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    assert key_for(endpoint, {KEY: key}, lambda: TOKEN) == sent


def test_the_token_of_another_hub_goes_to_that_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:7000")
    assert key_for("http://127.0.0.1:7000/v1", {}, lambda: TOKEN) == TOKEN
    assert key_for(PROVIDERS, {}, lambda: TOKEN) == ""
    assert key_for("http://127.0.0.1:7001/v1", {}, lambda: TOKEN) == ""
    with pytest.raises(BadConfig, match="HF_ENDPOINT is http://127"):
        address_of("hub")


def test_no_key_goes_over_the_wire_in_clear() -> None:
    environ: Mapping[str, str] = {KEY: SECRET}
    for address in ("http://10.0.0.7:8000/v1", "http://localhost.evil.example/v1"):
        with pytest.raises(BadConfig, match="is not encrypted"):
            key_for(address, environ, lambda: None)
        assert key_for(address, {}, lambda: TOKEN) == ""


@pytest.mark.parametrize(
    ("said", "address"),
    [
        ("http://localhost:8000", "http://localhost:8000/v1"),
        ("http://localhost:11434/v1/", "http://localhost:11434/v1"),
        (f"http://localhost:8000{CHAT}", "http://localhost:8000/v1"),
        ("https://x.example/openai/chat/completions?v=2", "https://x.example/openai?v=2"),
        ("https://x.example/proxy", "https://x.example/proxy/v1"),
    ],
)
def test_addresses_as_people_have_them(said: str, address: str) -> None:
    assert address_of(said) == address


@pytest.mark.parametrize("said", ["localhost:8000", "ftp://x/y", "http://ann:pw@x.example"])
def test_addresses_that_are_refused(said: str) -> None:
    with pytest.raises(BadConfig) as raised:
        address_of(said)
    assert raised.value.fix and "pw" not in str(raised.value)
