"""What a model of this machine says, by the word, in batches and chats: as transformers has it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from standins.terminal import CTRL_D, terminal
from standins.waiting import until
from tiny_llm import write_model, write_rows

from orchestrator.inference.process import ProcessSession
from orchestrator.inference.prompts import read
from orchestrator.subprocess_call import environ_of
from orchestrator.visible import visible
from worker.budget import OverBudget, budget
from worker.errors import BadConfig, BadData
from worker.session import Message
from worker.tasks.llm.params import Question

pytestmark = pytest.mark.slow

PROMPTS = ["the quick", "hello", "a much longer prompt than the others are: fox, dog, fox", "x"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def chatty(folder: Path) -> Path:
    return write_model(folder / "chatty")


@pytest.fixture(scope="module")
def base(folder: Path) -> Path:
    return write_model(folder / "base", template=None)


@pytest.fixture(scope="module")
def stock(chatty: Path) -> Callable[..., str]:
    """Greedy answers to conversations, as the stock classes give them."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    net, tokenizer = (
        kind.from_pretrained(chatty) for kind in (AutoModelForCausalLM, AutoTokenizer)
    )

    def answer(chat: list[Message] | str, most: int) -> str:
        how: dict[str, Any] = {"return_tensors": "pt", "return_dict": True}
        if isinstance(chat, str):
            inputs = tokenizer(chat, return_tensors="pt")
        else:
            inputs = tokenizer.apply_chat_template(chat, add_generation_prompt=True, **how)
        out = net.generate(**inputs, max_new_tokens=most, do_sample=False)
        text: str = tokenizer.decode(
            out[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True
        )
        return text.strip()

    return answer


def generator(model: Path, **how: Any) -> Any:
    from worker.tasks.llm.training.generating import Generator

    return Generator(str(model), Question(**{"max_new_tokens": 12, **how}))


def user(text: str) -> list[Message]:
    return [{"role": "user", "content": text}]


def test_the_pieces_of_an_answer_are_the_whole_of_it(
    chatty: Path, base: Path, stock: Callable[..., str]
) -> None:
    chats, texts = generator(chatty, max_new_tokens=24), generator(base, max_new_tokens=24)
    for prompt in PROMPTS[:3]:
        for model, asked in ((chats, user(prompt)), (texts, prompt)):
            said: list[str] = []
            reply = model.reply(user(prompt), said.append)
            assert "".join(said) == reply.text == stock(asked, 24)
            assert len(said) > 5 and reply.end == "length"


def test_a_batch_says_what_each_prompt_alone_does(base: Path, stock: Callable[..., str]) -> None:
    one = generator(base)
    together = [reply.text for reply in one.replies([user(p) for p in PROMPTS], 3)]
    assert together == [stock(prompt, 12) for prompt in PROMPTS]
    assert len(set(map(len, PROMPTS))) == 4, "they are padded"


def test_an_answer_ends_before_the_text_that_is_to_stop_it(base: Path) -> None:
    whole = generator(base).reply(user("hello"), lambda text: None).text
    stop = whole[6:9]
    said: list[str] = []
    one = generator(base, stop=stop)
    reply = one.reply(user("hello"), said.append)
    assert (reply.text, reply.end) == (whole[: whole.index(stop)].strip(), "stop")
    assert "".join(said) == reply.text
    first, _ = one.replies([user("hello"), user("x")], 2)
    assert first == reply


def test_chance_is_as_the_question_says_or_else_the_models_maker(
    base: Path, tmp_path: Path
) -> None:
    def said(model: Path, **how: Any) -> str:
        text: str = generator(model, **how).reply(user("hello"), lambda text: None).text
        return text

    greedy = said(base)
    assert said(base, temperature=1.5, seed=1) == said(base, temperature=1.5, seed=1) != greedy
    assert said(base, temperature=1.5, seed=2) != said(base, temperature=1.5, seed=1)
    assert said(base, temperature=5.0, top_k=1) == greedy
    own = write_model(tmp_path / "own", template=None)
    config = {"do_sample": True, "temperature": 1.5, "max_new_tokens": 3, "eos_token_id": 0}
    (own / "generation_config.json").write_text(json.dumps(config))
    assert said(own, seed=1) == said(base, temperature=1.5, seed=1)
    assert said(own, temperature=0) == greedy
    assert len(said(own, max_new_tokens=None)) < len(greedy)


def test_the_oldest_turns_go_where_a_conversation_does_not_fit(chatty: Path) -> None:
    one = generator(chatty)
    chat: list[Message] = [{"role": "system", "content": "be brief"}]
    for n in range(4):
        chat += [*user(f"{n} " + "word " * 30), {"role": "assistant", "content": "yes"}]
    reply = one.reply([*chat, *user("and now?")], lambda text: None)
    assert reply.dropped in {2, 4}
    kept = [chat[0], *chat[1 + reply.dropped :], *user("and now?")]
    assert one.reply(kept, lambda text: None) == type(reply)(reply.text, reply.end, 0)
    with pytest.raises(BadConfig, match="sees no more than 512"):
        one.reply(user("word " * 200), lambda text: None)


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{{ raise_exception('System role not supported') }}", "System role not supported"),
        ("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", "time"),
    ],
)
def test_a_template_that_refuses_or_never_ends_is_told(
    chatty: Path, monkeypatch: pytest.MonkeyPatch, template: str, why: str
) -> None:
    one = generator(chatty)
    one.template_seconds = 1.0
    one.tokenizer.chat_template = template
    with pytest.raises(BadConfig, match=why):
        one.reply(user("hi"), lambda text: None)
    one.tokenizer.chat_template = "{{ messages[0].content }}"
    assert one.reply(user("hi"), lambda text: None).text


def test_a_budget_of_time_and_memory() -> None:
    def endless() -> None:
        while True:
            pass

    with pytest.raises(OverBudget), budget(0.2, 1 << 30):
        endless()
    if sys.platform == "linux":
        with pytest.raises(MemoryError), budget(60, 1 << 20):
            bytearray(1 << 28)
    assert len(bytearray(1 << 28)) == 1 << 28


def test_ctrl_c_ends_an_answer_and_the_model_stays(chatty: Path) -> None:
    asked = {"model": str(chatty), "question": {"max_new_tokens": 150}}
    session = ProcessSession("llm", asked, environ_of(None))

    def interrupted(text: str) -> None:
        raise KeyboardInterrupt

    try:
        assert session.talks and session.has_template
        reply = session.reply(user("hello"), interrupted)
        assert reply.end == "interrupted" and reply.text
        said: list[str] = []
        again = session.reply(user("hello"), said.append)
        assert again.end != "interrupted" and again.text.startswith(reply.text)
        assert "".join(said) == again.text
    finally:
        session.close()


def environ(folder: Path) -> dict[str, str]:
    away = {"HF_ENDPOINT": "http://127.0.0.1:9", "HUBTRAIN_HOME": str(folder), "COLUMNS": "200"}
    return {**os.environ, "HF_HOME": str(folder / "hf"), **away}


def hubtrain(folder: Path, *words: str, said: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "orchestrator.terminal.cli", "llm", "--inference"]
    return subprocess.run(
        [*command, "--max-new-tokens", "8", *words],
        cwd=folder,
        env=environ(folder),
        input=said,
        capture_output=True,
        check=False,
        text=True,
        timeout=120,
    )


def test_a_chat_on_a_terminal(folder: Path, chatty: Path, stock: Callable[..., str]) -> None:
    """Three turns are what template and model make of them; then a new conversation."""
    words = ("llm", "--inference", "--model", "./chatty", "--system", "be brief")
    chat: list[Message] = [{"role": "system", "content": "be brief"}]
    with terminal(*words, "--max-new-tokens", "8", cwd=folder, environ=environ(folder)) as screen:
        screen.until("/exit or Ctrl-D leaves")
        for text in ("hello", "and then?", "goodbye"):
            screen.until("\n> ")
            screen.type(f"{text}\n")
            chat += user(text)
            answer = stock(chat, 8)
            chat.append({"role": "assistant", "content": answer})
            assert screen.until(visible(answer) + "\n").startswith(f"{text}\n")
        screen.until("> ")
        screen.type("/reset\n")
        screen.until("A new conversation.")
        screen.until("> ")
        screen.type("/restart\n")
        screen.until("No command /restart.")
        screen.until("> ")
        screen.type("hello\\\nthere\n")
        first = stock([chat[0], *user("hello\nthere")], 8)
        screen.until(visible(first) + "\n")
        screen.until("> ")
        screen.type("word " * 100 + "\\\n" + "word " * 100 + "\n")
        screen.until("sees no more than 512")
        screen.until("> ")
        screen.type(CTRL_D)
        assert screen.end() == 0


def test_a_file_of_prompts_is_answered_though_it_is_killed(
    folder: Path, base: Path, stock: Callable[..., str]
) -> None:
    prompts = [f"{prompt} {n}" for n in range(6) for prompt in PROMPTS]
    rows = write_rows(folder / "prompts.jsonl", ({"id": 1, "prompt": p} for p in prompts))
    asked = ("--model", "./base", "--prompts", rows.name, "--output", "a.jsonl")
    answers = folder / "a.jsonl"
    command = [sys.executable, "-P", "-m", "orchestrator.terminal.cli", "llm", "--inference"]
    few = ("--max-new-tokens", "8", "--batch-size", "2")
    process = subprocess.Popen([*command, *few, *asked], cwd=folder, env=environ(folder))
    try:
        until(lambda: answers.exists() and answers.stat().st_size, every=0.01)
    finally:
        process.kill()
        process.wait()
    before = answers.read_bytes()
    assert before.endswith(b"\n")
    answers.write_bytes(before + b'{"prompt": "torn')

    done = hubtrain(folder, *asked, "--batch-size", "2", "--json")
    assert done.returncode == 0, done.stderr
    assert f"{len(before.splitlines())} of 24 prompts are answered in a.jsonl" in done.stderr
    assert json.loads(done.stdout) == {"model": "./base", "output": "a.jsonl", "rows": 24}
    assert answers.read_bytes().startswith(before)
    told = [json.loads(line) for line in answers.read_bytes().splitlines()]
    assert [(one["prompt"], one["answer"]) for one in told] == [(p, stock(p, 8)) for p in prompts]

    again = hubtrain(folder, *asked)
    assert again.returncode == 0 and "24 of 24" in again.stderr
    answers.write_bytes(b'{"other": 1}\n')
    refused = hubtrain(folder, *asked)
    assert refused.returncode == 2 and "--output with another name" in refused.stderr


def test_conversations_and_standard_input_are_prompts_too(
    folder: Path, chatty: Path, stock: Callable[..., str]
) -> None:
    chat = [*user("hello"), {"role": "assistant", "content": "yes"}, *user("more")]
    rows = [{"messages": [*chat, {"role": "assistant", "content": "known"}]}, {"messages": chat}]
    write_rows(folder / "chats.jsonl", rows)
    done = hubtrain(folder, "--model", "./chatty", "--prompts", "chats.jsonl", "--json")
    told = list(map(json.loads, done.stdout.splitlines()))
    assert [one["answer"] for one in told] == [stock(chat, 8)] * 2
    piped = hubtrain(folder, "--model", "./chatty", "--prompts", "-", said="hello\n\nx\n")
    answers = [visible(stock(user(text), 8)) for text in ("hello", "x")]
    assert piped.stdout == f"> hello\n{answers[0]}\n\n> x\n{answers[1]}\n\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--model", "./base"), "a chat needs a terminal"),
        (("--model", "./base", "--prompt", "a", "--prompts", "b"), "give one of them"),
        (("--model", "./base", "--prompt", "a", "--output", "b"), "--prompts FILE"),
        (("--model", "./base", "--prompts", "none.txt"), "no file none.txt"),
        (("--model", "./base", "--prompts", "other.jsonl"), 'no column "prompt" in other.jsonl'),
        (("--model", "./base", "--prompts", "holes.jsonl"), "line 2 of holes.jsonl"),
        (("--model", "./base", "--prompt", "a", "--system", "b"), "has no chat template"),
        (("--model", "./base", "--prompt", "a", "--top-p", "2"), "--top-p"),
    ],
)
def test_what_cannot_be_answered_is_said_before(
    folder: Path, base: Path, words: tuple[str, ...], said: str
) -> None:
    write_rows(folder / "other.jsonl", [{"question": "why?"}])
    write_rows(folder / "holes.jsonl", [{"prompt": "why?"}, {"prompt": ""}])
    done = hubtrain(folder, *words)
    assert done.returncode == 2 and said in done.stderr, done.stderr
    assert "Traceback" not in done.stderr and done.stdout == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prompt\n12\n7.5\n", ["12", "7.5"]),
        ("prompt,id\nhello,1\n,2\n", '"prompt" in line 3 of p.csv is empty'),
    ],
)
def test_a_table_of_prompts_may_hold_numbers(tmp_path: Path, text: str, said: Any) -> None:
    (tmp_path / "p.csv").write_text(text)
    if isinstance(said, str):
        with pytest.raises(BadData, match=said):
            read(str(tmp_path / "p.csv"), "prompt")
    else:
        assert [one.said for one in read(str(tmp_path / "p.csv"), "prompt")] == said
