"""Each kind of answer as a visitor sees it, in a real browser: several pages of one process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny_vit
from playwright.sync_api import Browser, Page
from standins.visitor import shows, submit, visiting

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.timeout(120)]

HOSTILE = "<b>Ada</b>"

SERVER = """
import json, socket, sys, threading
import uvicorn
from worker.exchange import Field, Page
from worker.serve.page import application, form_page

TEXT, IMAGE = Field("text", "Text", "long text"), Field("image", "Picture", "image")
ROW = Field("rows", "Rows", "row", columns=("age", "city"))
HOSTILE = sys.argv[1]
LABELS = [{"label": HOSTILE, "score": 0.75}, {"label": "ham", "score": 0.25}]
BOX = {"xmin": 2, "ymin": 2, "xmax": 30, "ymax": 20}
NAME = {"entity_group": "PER", "word": HOSTILE, "score": 0.9, "start": 0, "end": len(HOSTILE)}
PAGES = {
    "labels": (Page("", (TEXT,), "labels"), lambda asked: LABELS),
    "entities": (Page("", (TEXT,), "entities"), lambda asked: [NAME]),
    "boxes": (Page("", (IMAGE,), "boxes"), lambda a: [{"label": "cup", "score": 1, "box": BOX}]),
    "number": (Page("", (ROW,), "number"), lambda asked: json.loads(asked["rows"])[0]),
    "text": (Page("", (TEXT,), "text"), lambda asked: HOSTILE),
    "vector": (Page("", (TEXT, Field("n", "Number", "number")), "vector"), lambda a: [0, a["n"]]),
}
ports = {}
for name, (page, ask) in PAGES.items():
    listening = socket.create_server(("127.0.0.1", 0))
    ports[name] = listening.getsockname()[1]
    config = uvicorn.Config(application(form_page(name, page, ask)), log_config=None, ws="none")
    server = uvicorn.Server(config)
    threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True).start()
print(json.dumps(ports), flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def ports() -> Iterator[dict[str, int]]:
    command = [sys.executable, "-c", SERVER, HOSTILE]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
        process.kill()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with visiting(browser) as page:
        yield page


def ask(page: Page, port: int, text: str = "") -> None:
    page.goto(f"http://127.0.0.1:{port}/")
    if text:
        page.get_by_label("Text").fill(text)
        submit(page)


def test_labels_have_their_scores(ports: dict[str, int], page: Page) -> None:
    ask(page, ports["labels"], "hello")
    page.get_by_text("75%").wait_for()
    assert page.get_by_text(HOSTILE).count() and page.get_by_text("25%").count()


def test_names_are_marked_in_the_text(ports: dict[str, int], page: Page) -> None:
    ask(page, ports["entities"], f"{HOSTILE} wrote it")
    page.get_by_text("PER").first.wait_for()
    assert page.locator(".highlighted").get_by_text(HOSTILE).count() == 1


def test_boxes_are_drawn_on_the_picture(ports: dict[str, int], page: Page, tmp_path: Path) -> None:
    (picture := tmp_path / "a.png").write_bytes(tiny_vit.image("red", 1))
    ask(page, ports["boxes"])
    page.locator("input[type=file]").first.set_input_files(picture)
    page.locator("img").first.wait_for()
    submit(page)
    page.get_by_text("cup 100%").first.wait_for()


def test_a_table_gives_numbers(ports: dict[str, int], page: Page) -> None:
    ask(page, ports["number"])
    cell = page.get_by_test_id("cell-0-0")
    cell.dblclick()
    cell.locator("input, textarea").fill("41")
    page.keyboard.press("Enter")
    cell.get_by_text("41").wait_for()
    submit(page)
    shows(page, "age: 41\ncity: ")


def test_an_answer_is_text_and_no_html(ports: dict[str, int], page: Page) -> None:
    ask(page, ports["text"], "hello")
    shows(page, HOSTILE)


def test_vectors_are_shown_as_json(ports: dict[str, int], page: Page) -> None:
    ask(page, ports["vector"])
    page.get_by_label("Text").fill("hello")
    page.get_by_label("Number").fill("3")
    submit(page)
    page.locator(".cm-content").get_by_text("3").wait_for()
