"""Pages of trained models, asked in a real browser: each shows the kind of answer it should."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import tiny_bert
import tiny_detector
import tiny_reader
import tiny_sentences
import tiny_t5
import tiny_text
import tiny_vit
import tiny_vlm
from playwright.sync_api import Browser, Page
from standins.laptop import Laptop
from standins.localhub import HubServer
from standins.visitor import log_in, submit, visiting
from tiny_llm import write_rows
from tiny_vit import image

from worker import tasks

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.timeout(600)]

CONTEXT = "the size is 77 , the age is 451 , the rank is 20"
IS_SAID = "how => [...document.querySelectorAll('textarea')].some(t => t.value.match(how))"
SAID = "in the evening the dog sees the cat ."


@dataclass(frozen=True)
class Case:
    """A task, how a tiny model of it is trained, and what its page shows."""

    model: Callable[[Path], Path]
    data: Callable[[Path], Path]
    settings: Mapping[str, Any]
    visit: Callable[[Page, Path], None]
    question: Mapping[str, Any] = field(default_factory=dict)


def pairs(folder: Path) -> Path:
    return write_rows(folder / "pairs.jsonl", tiny_t5.rows(160))


def asked_for(folder: Path) -> Path:
    return write_rows(folder / "questions.jsonl", tiny_reader.questions(160, 1))


def squares(folder: Path) -> Path:
    return tiny_detector.write_table(folder / "squares.parquet", 60)


def colours(folder: Path) -> Path:
    return tiny_vlm.write_table(folder / "colours.parquet", 16)


def alike(folder: Path) -> Path:
    return write_rows(folder / "alike.jsonl", tiny_sentences.rows("pair_score", 60))


def writes(page: Page, _: Path) -> None:
    page.get_by_label("Text").fill(SAID)
    submit(page)
    page.wait_for_function("document.querySelectorAll('textarea')[1]?.value.includes('the')")


def marks(page: Page, _: Path) -> None:
    page.get_by_label("Text").fill(CONTEXT)
    page.get_by_label("Question").fill("what is the age ?")
    submit(page)
    marked = page.locator(".highlighted").first
    marked.wait_for()
    assert (marked.text_content() or "").strip().split()[0] in CONTEXT.split()
    assert page.get_by_text("the size is").count(), "the answer stands where it was found"


def send(page: Page, file: Path, content: bytes) -> None:
    file.write_bytes(content)
    page.locator("input[type=file]").first.set_input_files(file)
    page.locator("img").first.wait_for()


def draws(page: Page, folder: Path) -> None:
    """Send a photo that its EXIF turns: boxes are drawn on it as it is shown."""
    send(page, folder / "turned.jpg", tiny_detector.turned(48, 64, tiny_detector.scene(700)[0]))
    submit(page)
    page.locator(".base-image").wait_for()
    page.locator("button.legend-item").first.wait_for()
    size = "e => [e.naturalWidth, e.naturalHeight]"
    base, mask = (page.locator(name).first for name in (".base-image", "img.mask"))
    assert base.evaluate(size) == mask.evaluate(size) == [48, 64]


def says(page: Page, folder: Path) -> None:
    send(page, folder / "red.png", image("red", 500))
    page.get_by_label("Question").fill(tiny_vlm.QUESTION)
    submit(page)
    page.wait_for_function(IS_SAID, arg="red|green|blue")


def compares(page: Page, _: Path) -> None:
    page.get_by_label("Text", exact=True).fill("the a b fox")
    page.get_by_label("Another text").fill("dog b a hello")
    submit(page)
    page.wait_for_function(IS_SAID, arg="^-?[01]\\.\\d+$")


def counts(folder: Path) -> Path:
    return tiny_text.write_rows(folder / "texts.jsonl", tiny_text.rows(80))


def brightness(folder: Path) -> Path:
    rows = [{"image": image("red", n), "target": 4000.0 + n} for n in range(40)]
    return tiny_vit.write_rows(folder / "photos.parquet", rows)


def tells(page: Page, _: Path) -> None:
    page.get_by_label("Text").fill("the quick fox says hello")
    submit(page)
    page.wait_for_function(IS_SAID, arg="^-?\\d+\\.\\d+$")


def rates(page: Page, folder: Path) -> None:
    send(page, folder / "red.png", image("red", 500))
    submit(page)
    page.wait_for_function(IS_SAID, arg="^target: \\d+\\.\\d+$")


def chooses(page: Page, _: Path) -> None:
    page.get_by_label("Text").fill("the quick fox says hello")
    submit(page)
    page.get_by_text("%").first.wait_for()
    assert page.get_by_text("fox", exact=True).count() and page.get_by_text("none").count()


_QA = {"epochs": 3, "lr": 3e-3, "max_seq_length": 32, "max_doc_stride": 6}
_BOXES = {"lr": 4e-3, "image_square_size": tiny_detector.SIDE, "augment": False}
_ALIKE = {"trainer": "pair_score", "epochs": 1, "max_seq_length": 16}
_TEXTS = {"epochs": 1, "max_seq_length": 32}
CASES = {
    "seq2seq": Case(
        tiny_t5.write_model, pairs, {"epochs": 2, "lr": 5e-3, "max_target_length": 12}, writes
    ),
    "extractive_qa": Case(tiny_reader.write_model, asked_for, _QA, marks),
    "object_detection": Case(
        tiny_detector.write_rt_detr, squares, {"epochs": 2, **_BOXES}, draws, {"threshold": 0.05}
    ),
    "vlm": Case(tiny_vlm.write_idefics, colours, {"epochs": 2, "lr": 3e-3}, says),
    "sentence_transformers": Case(tiny_sentences.write_model, alike, _ALIKE, compares),
    "text_classification": Case(
        tiny_bert.write_model, counts, {**_TEXTS, "target_column": "label"}, chooses
    ),
    "text_regression": Case(
        tiny_bert.write_model, counts, {**_TEXTS, "target_column": "count"}, tells
    ),
    "image_regression": Case(tiny_vit.write_model, brightness, {"epochs": 1}, rates),
}
EVERY = pytest.mark.parametrize("name", CASES)

SERVER = """
import json, socket, sys, threading
import uvicorn
from pathlib import Path
from worker.contract import Deployment
from worker.serve.page import application
from worker.serve.server import page_of

ports = {}
for name, (folder, question) in json.loads(sys.argv[1]).items():
    deployment = Deployment(task=name, model={"name": name}, question=question)
    listening = socket.create_server(("127.0.0.1", 0))
    ports[name] = listening.getsockname()[1]
    page = application(page_of(deployment, Path(folder)))
    server = uvicorn.Server(uvicorn.Config(page, log_config=None, ws="none"))
    threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True).start()
print(json.dumps(ports), flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Any, Path]]:
    """The settings and the folder of a trained model of each task."""
    return {
        name: trained(name, case, tmp_path_factory.mktemp(name)) for name, case in CASES.items()
    }


@pytest.fixture(scope="module")
def ports(models: dict[str, tuple[Any, Path]]) -> Iterator[dict[str, int]]:
    """The pages of the models, all in one process."""
    told = {name: (str(models[name][1]), case.question) for name, case in CASES.items()}
    command = [sys.executable, "-c", SERVER, json.dumps(told)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
        process.kill()


def trained(name: str, case: Case, folder: Path) -> tuple[Any, Path]:
    """Return settings, and the folder of a model that knows a little of its task."""
    from tiny_run import run_of

    task, data, base = tasks.load(name), case.data(folder), case.model(folder / "base")
    params = task.params(model=str(base), data_path=str(data), **case.settings)
    run, _ = run_of(task, params, base, data, folder)
    for made in (run.output, run.work):
        made.mkdir(parents=True)
    task.train(params, run)
    return params, run.output


@EVERY
def test_a_trained_model_answers_as_its_kind_is_shown(
    name: str, ports: dict[str, int], browser: Browser, tmp_path: Path
) -> None:
    with visiting(browser) as page:
        page.goto(f"http://127.0.0.1:{ports[name]}/")
        CASES[name].visit(page, tmp_path)


def test_a_file_that_is_no_picture_is_told_in_our_words(
    ports: dict[str, int], browser: Browser, tmp_path: Path
) -> None:
    with visiting(browser) as page:
        page.goto(f"http://127.0.0.1:{ports['object_detection']}/")
        send(page, tmp_path / "broken.png", b"no picture")
        submit(page)
        page.get_by_text("broken.png is no image that can be read").first.wait_for()
        assert page.get_by_text("/tmp").count() == 0


def test_what_the_cards_say_runs_as_it_stands_in_a_process_without_hubtrain(
    models: dict[str, tuple[Any, Path]], tmp_path: Path
) -> None:
    (tmp_path / "image.jpg").write_bytes(image("red", 1, "JPEG"))
    for name, (params, folder) in models.items():
        card = tasks.load(name).loading(params, str(folder), adapter=False)
        (code,) = re.findall(r"```python\n(.*?)```", card, re.S)
        (tmp_path / f"{name}.py").write_text(code, "utf-8")
    done = subprocess.run(
        [sys.executable, "-I", "-c", RUN_ALL], cwd=tmp_path, capture_output=True, text=True,
        check=False, env={"PATH": os.environ["PATH"], "HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-1] == str(len(models))


RUN_ALL = """
import runpy, sys
from pathlib import Path

found = sorted(Path.cwd().glob("*.py"))
for file in found:
    runpy.run_path(str(file))
assert not [name for name in sys.modules if name.split(".")[0] in ("worker", "hubtrain")]
print(len(found))
"""


@pytest.mark.campaign
@pytest.mark.timeout(900)
@EVERY
def test_the_whole_way_from_rows_to_a_page(
    name: str, shared_hub: HubServer, browser: Browser, tmp_path: Path
) -> None:
    case, typed = CASES[name], tasks.typed(name)
    laptop = Laptop(tmp_path / "home", shared_hub)
    base, data = case.model(tmp_path / "base"), case.data(tmp_path)
    how = {**case.settings, "model": base, "data_path": data, "project_name": typed}
    flags = [word for key, value in how.items() for word in flag(key, value)]
    said = laptop.run(typed, "--train", "--push-to-hub", *flags)
    assert said.code == 0, said.out + said.err
    question = [word for key, value in case.question.items() for word in flag(key, value)]
    said = laptop.run("deploy", f"ann/{typed}", *question)
    assert said.code == 0, said.out + said.err
    with visiting(browser) as page:
        log_in(page, shared_hub)
        page.goto(f"{shared_hub.endpoint}/spaces/ann/{typed}-chat")
        page.get_by_role("button", name="Submit").wait_for()
        case.visit(page, tmp_path)


def flag(name: str, value: Any) -> tuple[str, ...]:
    """Return a setting as it is typed."""
    typed = name.replace("_", "-")
    return (f"--no-{typed}",) if value is False else (f"--{typed}", str(value))
