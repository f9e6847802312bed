"""Jobs as YAML files: AutoTrain's layout, variables, files of the web, and what is refused."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

import backends
import worker.tasks
from orchestrator.settings.autotrain import not_yet
from orchestrator.settings.fetch import LARGEST, content_of, raw
from orchestrator.settings.files import read
from orchestrator.settings.gather import gather, task_of_file
from orchestrator.settings.job import JobSettings
from orchestrator.settings.layers import Catalog, Settings, merge
from orchestrator.terminal.command import command_of
from worker.errors import BadConfig
from worker.tasks.llm import TASK, trainers
from worker.tasks.llm.params import Ignored

CATALOG = Catalog((JobSettings, TASK.params), Ignored)

AUTOTRAIN = """
task: {task}
base_model: HuggingFaceTB/SmolLM2-1.7B-Instruct
project_name: support-bot
log: tensorboard
backend: {backend}

data:
  path: HuggingFaceH4/no_robots
  train_split: train
  valid_split: null
  chat_template: tokenizer
  column_mapping:
    text_column: messages

params:
  block_size: 2048
  model_max_length: 4096
  epochs: 2
  batch_size: 1
  lr: 1e-5
  peft: true
  quantization: int4
  target_modules: all-linear
  padding: right
  optimizer: paged_adamw_8bit
  scheduler: linear
  gradient_accumulation: 8
  mixed_precision: bf16
  merge_adapter: true
  eval_strategy: no
{more}
hub:
  username: ${{HF_USERNAME}}
  token: ${{HF_TOKEN}}
  push_to_hub: true
"""


def autotrain(task: str = "llm-sft", backend: str = "local", more: str = "") -> str:
    return AUTOTRAIN.format(task=task, backend=backend, more=more)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "job.yml"


def settings(file: Path, *, me: str = "ann", **environ: str) -> Settings:
    return merge(CATALOG, [read(str(file)).layer(environ, lambda: me)])


def test_a_public_file_means_what_it_meant(file: Path) -> None:
    file.write_text(autotrain(backend="spaces-a10g-largex4"))
    found = settings(file)
    params, job = found.of(TASK.params), found.of(JobSettings)
    assert (params.lr, params.epochs, params.batch_size) == (1e-5, 2, 1)
    assert (params.log, params.eval_strategy, params.valid_split) == ("tensorboard", "no", None)
    assert (params.text_column, params.chat_template) == ("messages", "tokenizer")
    assert (job.username, job.push_to_hub, job.backend) == (None, True, "spaces-a10g-largex4")
    assert found.notes == ()


def test_keys_of_other_trainers_are_noted(file: Path) -> None:
    more = "  unsloth: true\n  max_prompt_length: 512\n  dpo_beta: 0.1\n  model_ref: null\n"
    file.write_text(autotrain(more=more))
    found = settings(file)
    assert [note.split()[1] for note in found.notes] == ["unsloth"]
    unused = TASK.unused(found.of(TASK.params))
    assert {"dpo_beta", "max_prompt_length", "model_ref"} <= unused.keys()


@pytest.mark.parametrize("task", ["llm", "llm-dpo", "llm:orpo", "llm-generic", "lm_training"])
def test_every_name_of_the_task_is_understood(file: Path, task: str) -> None:
    file.write_text(autotrain(task))
    assert command_of(str(file)) == "llm"


def test_a_task_that_is_there_is_never_said_to_come() -> None:
    assert not_yet("dreambooth:x", called=()) == "DreamBooth"
    assert not_yet("dreambooth:x", called=["dreambooth"]) is None
    for task in map(worker.tasks.load, worker.tasks.names()):
        for name in (task.name, *task.also_called):
            assert not_yet(name) is None and not_yet(f"{name}:x") is None


@pytest.mark.parametrize("task", ["dreambooth", "automatic_speech_recognition"])
def test_other_tasks_are_not_there_yet(file: Path, task: str) -> None:
    file.write_text(autotrain(task))
    with pytest.raises(BadConfig, match=r"is not there yet; there are: "):
        command_of(str(file))


def test_none_and_no_are_what_people_mean(file: Path) -> None:
    file.write_text(
        "task: llm\nmodel: m\ndata_path: d\nlog: None\nmixed_precision: none\nsave_strategy: no\n"
        "text_column: null\nsave_total_limit: null\n"
    )
    params = settings(file).of(TASK.params)
    assert (params.log, params.mixed_precision, params.save_strategy) == ("none", None, "no")
    assert (params.text_column, params.save_total_limit) == ("text", 1)


def test_one_setting_in_two_places_must_be_the_same(file: Path) -> None:
    file.write_text("task: llm\nlr: 1e-4\nparams:\n  lr: 2e-4\n")
    with pytest.raises(BadConfig, match=r"job.yml: lr and params.lr are the same setting"):
        read(str(file))
    file.write_text("base_model: a\nparams:\n  model: a\n  epochs: 2\ntask: llm\n")
    assert read(str(file)).values == {"model": "a", "epochs": 2, "task": "llm"}
    file.write_text("lr: 1\nlr: 2\n")
    with pytest.raises(BadConfig, match=r"line 2 is not YAML: lr stands twice"):
        read(str(file))


GROWS = [f"b{n + 1}: &b{n + 1} {{<<: [{', '.join([f'*b{n}'] * 10)}]}}\n" for n in range(7)]
"""Each block takes in the one before ten times."""


@pytest.mark.parametrize(
    "text",
    [
        "a: &a\n  b: *a\n",
        "[" * 5000,
        "x: " + "{y: " * 3000,
        "x" * (LARGEST + 1),
        "? [a]\n: b\n",
        "".join(f"k{n}: {n}\n" for n in range(1001)),
        "a: &a [*a]\n",
        "a: &a [x]\nb: &b [*a, *a]\nc: [*b, *b]\n",
        "b0: &b0 {x: 1}\n" + "".join(GROWS),
        "a: 0x" + "f" * 5000,
    ],
    ids=["circle", "lists", "blocks", "large", "key", "many", "own", "laughs", "merges", "digits"],
)
def test_a_hostile_file_is_refused_in_words(file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(BadConfig, match=r"job\.yml"):
        read(str(file))


# variables


def test_the_login_stands_in_for_name_and_token(file: Path) -> None:
    file.write_text("repo_id: ${HF_USERNAME}/bot\ntoken: ${HF_TOKEN}\nusername: ${HF_USERNAME}\n")
    found = read(str(file))
    assert found.token({}) is None, "that of the login is taken"
    assert found.layer({}, lambda: "ann").values == {"repo_id": "ann/bot"}
    named = found.layer({"HF_USERNAME": "lab"}, lambda: "ann").values
    assert named == {"repo_id": "lab/bot", "username": "lab"}


def test_a_token_has_one_place(file: Path) -> None:
    file.write_text("project_name: ${HF_TOKEN}\n")
    with pytest.raises(BadConfig, match="is a secret"):
        read(str(file)).layer({"HF_TOKEN": "hf_canary"})


# files of the web


@pytest.fixture
def web() -> Iterator[tuple[str, dict[str, bytes], list[str]]]:
    """Yield an address, the pages to serve there, and the paths that were asked for."""
    pages: dict[str, bytes] = {}
    asked: list[str] = []

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            content = pages.get(self.path)
            if content == b"dripping":
                for _ in range(100):
                    self.wfile.write(b"H")
                    time.sleep(0.02)
                return
            if content is not None and content.startswith(b"->"):
                self.send_response(302)
                self.send_header("Location", content.removeprefix(b"->").decode())
            else:
                self.send_response(404 if content is None else 200)
            if self.path.startswith("/cut"):
                self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", pages, asked
    server.shutdown()
    server.server_close()


Web = tuple[str, dict[str, bytes], list[str]]


def test_a_file_of_the_web_is_fetched_once(web: Web) -> None:
    address, pages, asked = web
    pages["/job.yml?raw=1"] = autotrain().encode()
    where = f"{address}/job.yml?raw=1"
    assert command_of(where) == "llm"
    found = read(where)
    assert (found.source, found.from_web) == ("job.yml", True)
    assert found.layer({}).values["data_path"] == "HuggingFaceH4/no_robots"
    assert asked == ["/job.yml?raw=1"]


@pytest.mark.parametrize(
    ("page", "said"),
    [
        (b"token: hf_theirs\n", "token is not taken from"),
        (b"trust_remote_code: true\n", "trust_remote_code is not taken from"),
        (b"params:\n  trust-remote-code: true\n", "trust_remote_code is not taken from"),
        (b"reward_funcs: ./rewards.py\n", "reward_funcs is not taken from"),
        (b"params: {Reward-Funcs: [os:system]}\n", "reward_funcs is not taken from"),
        (b"endpoint: https://evil.example\n", "endpoint is not taken from"),
        (b"params: {Prompts: /etc/passwd}\n", "prompts is not taken from"),
        (b"output: ~/.profile\n", "output is not taken from"),
        (b"lm-eval: /etc/mine.yaml\n", "lm_eval is not taken from"),
        (b"hub: {deploy-public: true}\n", "deploy_public is not taken from"),
        (b"Deploy_Backend: endpoints\n", "deploy_backend is not taken from"),
        (b"<!doctype html>", "is a web page and not a YAML file"),
        (b"x" * (LARGEST + 10), "larger than 1 MB"),
        (b"- a\n", "must hold settings"),
    ],
)
def test_what_a_file_of_the_web_may_not_be(web: Web, page: bytes, said: str) -> None:
    web[1]["/a.yml"] = page
    with pytest.raises(BadConfig, match=said):
        read(f"{web[0]}/a.yml")


def test_a_file_of_the_web_reads_nothing_of_this_machine(web: Web) -> None:
    web[1]["/b.yml"] = b"project_name: ${AWS_SECRET}\n"
    with pytest.raises(BadConfig, match="a file of the web may not read AWS_SECRET"):
        read(f"{web[0]}/b.yml").layer({"AWS_SECRET": "canary"})
    web[1]["/c.yml"] = b"project_name: ${AWS_SECRET:-plain}\n"
    layer = read(f"{web[0]}/c.yml").layer({"AWS_SECRET": "canary"})
    assert layer.values == {"project_name": "plain"}


def test_an_address_with_nothing_there_is_said(web: Web) -> None:
    with pytest.raises(BadConfig, match=r"cannot read http.*/none.yml: HTTP Error 404: Not Found"):
        read(f"{web[0]}/none.yml")
    with pytest.raises(BadConfig, match=r"cannot read http://127.0.0.1:9/x.yml"):
        read("http://127.0.0.1:9/x.yml")


def test_the_web_is_not_waited_for_while_it_drips(web: Web) -> None:
    web[1]["/slow.yml"] = b"dripping"
    with pytest.raises(BadConfig, match=r"slow.yml: it took longer than 1 s"):
        content_of(f"{web[0]}/slow.yml", seconds=1)


def test_half_a_file_of_the_web_is_none(web: Web) -> None:
    web[1]["/cut.yml"] = b"task: llm\nmax_cost: 5\n"
    with pytest.raises(BadConfig, match=r"cut.yml: the connection ended in the middle of it"):
        read(f"{web[0]}/cut.yml")


def test_what_leads_in_a_circle_is_told_in_one_line(web: Web) -> None:
    web[1]["/circle.yml"] = b"->/circle.yml"
    with pytest.raises(BadConfig, match=r"circle.yml: HTTP Error 302: .*infinite loop\.$"):
        read(f"{web[0]}/circle.yml")


def test_a_page_that_shows_a_file_is_read_as_the_file() -> None:
    shown = "https://github.com/ann/jobs/blob/main/configs/bot.yml?plain=1#L3"
    assert raw(shown) == "https://raw.githubusercontent.com/ann/jobs/main/configs/bot.yml"
    hub = "https://huggingface.co/datasets/ann/jobs/blob/main/bot.yml"
    assert raw(hub) == "https://huggingface.co/datasets/ann/jobs/resolve/main/bot.yml"
    plain = "https://example.org/blob/main.yml"
    assert raw(plain) == plain


def test_a_file_of_the_web_comes_over_https(web: Web) -> None:
    with pytest.raises(BadConfig, match="over http anybody on the way") as caught:
        read("http://example.org/job.yml")
    assert caught.value.fix == "--config https://example.org/job.yml"
    web[1]["/moved.yml"] = b"->http://example.org/job.yml"
    with pytest.raises(BadConfig, match="over http anybody on the way"):
        read(f"{web[0]}/moved.yml")
    web[1]["/there.yml"] = b"->" + f"{web[0]}/job.yml".encode()
    web[1]["/job.yml"] = b"task: llm\n"
    assert read(f"{web[0]}/there.yml").task == "llm"


def test_variables_of_the_web_are_no_variables_of_a_shell_either(web: Web) -> None:
    web[1]["/job.env"] = b"TRAINER=sft\nMODEL_NAME=a/${SECRET}\n"
    with pytest.raises(BadConfig, match="SECRET is not set"):
        read(f"{web[0]}/job.env").layer({"SECRET": "canary"})
    web[1]["/token.env"] = b"TRAINER=sft\nHF_TOKEN=hf_theirsandnotours\n"
    with pytest.raises(BadConfig, match="token is not taken from"):
        read(f"{web[0]}/token.env")


# where things stand


def test_every_setting_knows_its_line(file: Path) -> None:
    file.write_text(autotrain())
    found = settings(file)
    lines = file.read_text().splitlines()
    for name, key in {"model": "base_model", "lr": "lr", "text_column": "text_column"}.items():
        assert lines[found.lines[name] - 1].strip().startswith(f"{key}:")


def test_variables_are_filled_in_anywhere(file: Path) -> None:
    file.write_text(
        "task: ${KIND:-llm}-sft\nproject_name: bot-${RUN}-${USER_:-x}\n"
        "data:\n  path: ${HERE}/rows.jsonl\nparams:\n  lr: ${LR:=1e-4}\n"
        "  target_modules: q_proj,${MORE}\n"
    )
    found = read(str(file))
    assert found.task == "llm-sft"
    layer = found.layer({"RUN": "7", "HERE": "/data", "MORE": "v_proj"})
    assert layer.values == {
        "project_name": "bot-7-x",
        "data_path": "/data/rows.jsonl",
        "lr": "1e-4",
        "target_modules": "q_proj,v_proj",
    }
    with pytest.raises(BadConfig, match=r"job.yml: \$\{RUN\} is used but RUN is not set"):
        found.layer({"HERE": "x", "MORE": "y"})
    with pytest.raises(
        BadConfig, match=r"HERE is not set; \$\{MORE\} is used but MORE is not set$"
    ):
        found.layer({"RUN": "7"})


def test_a_placeholder_is_no_token(file: Path) -> None:
    file.write_text("task: llm\nhub:\n  token: hf_XXX\n")
    assert read(str(file)).token({}) is None


def test_a_key_of_another_task_names_it(file: Path) -> None:
    file.write_text("task: llm\nimage_column: picture\n")
    with pytest.raises(BadConfig, match=r"no setting 'image_column'\. image-classification, "):
        gather(TASK, read(str(file)), {}, list, environ={})


# AutoTrain's own files


GUANACO = {"path": "timdettmers/openassistant-guanaco", "column_mapping": {"text_column": "text"}}
METAMATH = {
    "path": "rishiraj/guanaco-style-metamath-40k",
    "column_mapping": {"text_column": "text"},
}
ROBOTS = {
    "path": "HuggingFaceH4/no_robots",
    "chat_template": "tokenizer",
    "column_mapping": {"text_column": "messages"},
}
PAIRS = {
    "text_column": "chosen",
    "rejected_text_column": "rejected",
    "prompt_text_column": "prompt",
}
CAPYBARA = {
    "path": "argilla/distilabel-capybara-dpo-7k-binarized",
    "chat_template": "chatml",
    "column_mapping": PAIRS,
}
MIX = {"path": "mlabonne/orpo-dpo-mix-40k", "chat_template": "chatml", "column_mapping": PAIRS}
WHOLE = {"quantization": None, "optimizer": "paged_adamw_8bit", "mixed_precision": "bf16"}
SMOL = {"merge_adapter": True, "optimizer": "paged_adamw_8bit", "mixed_precision": "bf16"}
PUBLIC: dict[str, tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "gpt2_sft": (
        "llm-sft",
        GUANACO,
        {"merge_adapter": True, "peft": False, "quantization": None, "target_modules": None},
        {"push_to_hub": False},
    ),
    "llama3-70b-orpo-v1": ("llm-orpo", CAPYBARA, WHOLE, {}),
    "llama3-70b-sft": ("llm-sft", METAMATH, WHOLE, {}),
    "llama3-8b-dpo-qlora": ("llm-dpo", MIX, {}, {"push_to_hub": False}),
    "llama3-8b-orpo": ("llm-orpo", CAPYBARA, {}, {}),
    "llama3-8b-orpo-space": ("llm-orpo", CAPYBARA, {}, {"backend": "spaces-a10g-largex4"}),
    "smollm2_orpo": ("llm-orpo", CAPYBARA, {}, {"push_to_hub": False}),
    "llama3-8b-sft-unsloth": ("llm-sft", METAMATH, {"unsloth": True, "lora_dropout": 0}, {}),
    "llama32-1b-sft": ("llm-sft", ROBOTS, SMOL, {}),
    "smollm2": ("llm-sft", ROBOTS, SMOL, {}),
    "qwen": ("llm-sft", {**ROBOTS, "train_split": "test"}, {"merge_adapter": True}, {}),
    "smollm2_guanaco": ("llm-sft", GUANACO, SMOL, {}),
    "a reward model": ("llm-reward", CAPYBARA, {}, {}),
    "a generic one": ("llm-generic", GUANACO, {}, {}),
}
"""The public files for language models: task, data, params and the rest, where they differ."""


def public(name: str) -> str:
    """Return a file of AutoTrain's, written out in its layout from what is known of it."""
    task, data, params, more = PUBLIC[name]
    usual: dict[str, Any] = {
        "block_size": 1024,
        "model_max_length": 2048,
        "epochs": 3,
        "batch_size": 2,
    }
    usual |= {"lr": "3e-5", "peft": True, "quantization": "int4", "target_modules": "all-linear"}
    usual |= {"padding": "right", "optimizer": "adamw_torch", "scheduler": "linear"}
    usual |= {"gradient_accumulation": 4, "mixed_precision": "fp16"}
    hub = {"username": "${HF_USERNAME}", "token": "${HF_TOKEN}"}
    return yaml.safe_dump(
        {
            "task": task,
            "base_model": "ann/base",
            "project_name": "autotrain-" + re.sub(r"[ _]", "-", name),
            "log": "tensorboard",
            "backend": more.get("backend", "local"),
            "data": {"train_split": "train", "valid_split": None, "chat_template": None, **data},
            "params": usual | params,
            "hub": {**hub, "push_to_hub": more.get("push_to_hub", True)},
        }
    )


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_file_for_language_models_is_a_job(name: str, file: Path) -> None:
    task, data, params, more = PUBLIC[name]
    variant = task.removeprefix("llm-").replace("generic", "default")
    file.write_text(public(name))
    named, extra = task_of_file(read(str(file)))
    found = gather(named, read(str(file)), extra, list, environ={"HF_USERNAME": "ann"})
    if variant in trainers.not_yet():
        with pytest.raises(BadConfig, match="is not there yet"):
            found.of(named.params)
        return
    made, job = found.of(named.params), found.of(JobSettings)
    assert (named, made.trainer, job.username) == (TASK, variant, "ann")
    assert (made.model, made.data_path) == ("ann/base", data["path"])
    assert made.chat_template == data.get("chat_template")
    assert made.train_split == data.get("train_split", "train")
    for key, value in (data["column_mapping"] | {k: v for k, v in params.items() if v}).items():
        assert getattr(made, key, value) == value, key
    assert job.backend == more.get("backend", "local")
    assert job.push_to_hub == more.get("push_to_hub", True)
    flavor = more.get("backend", "").removeprefix("spaces-")
    assert backends.resolve(job.backend, {}).flavor == (flavor or None)
    assert [note.split()[1] for note in found.notes] == (["unsloth"] if "unsloth" in name else [])
