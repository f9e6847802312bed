"""The app where something breaks: uploads that do not arrive, and the app itself, killed."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Browser, FilePayload, Page, expect
from standins.application import Application, command
from standins.waiting import PATIENCE, until

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900)]

SOON = 1000 * PATIENCE
ROWS = b"text,label\n" + b"a few words,a\n" * 20
NOBODY = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_TOKEN": ""}


def app_in(folder: Path, port: int = 0) -> Application:
    (folder / "tmp").mkdir(exist_ok=True)
    return Application(folder, environ={**NOBODY, "TMPDIR": str(folder / "tmp")}, port=port)


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A browser whose clock can be put forward."""
    made = browser.new_page()
    made.set_default_timeout(SOON)
    made.clock.install()
    yield made
    made.close()


def opened(page: Page, app: Application, path: str) -> None:
    page.goto(app.url)
    page.goto(f"{app.url.partition('?')[0]}{path}")


def upload(page: Page, name: str, content: bytes = ROWS) -> None:
    page.set_input_files("#files", FilePayload(name=name, mimeType="text/csv", buffer=content))


def test_uploads_that_do_not_arrive_say_why(page: Page, tmp_path: Path) -> None:
    with app_in(tmp_path) as app:
        opened(page, app, "new?task=text-classification")
        page.wait_for_selector("#f-project_name")
        told, where = page.locator("#e-files"), page.locator("#f-data_path")

        page.route("**/gradio_api/upload", lambda route: route.abort("connectionreset"))
        upload(page, "rows.csv")
        expect(told).to_contain_text("The upload failed: the connection broke off", timeout=SOON)
        page.unroute("**/gradio_api/upload")

        if sys.platform == "linux":
            _upload_to_a_full_disk(page, app)
            expect(told).to_have_text(
                "The upload failed: the app has no place to keep it: File too large.", timeout=SOON
            )
            received = tmp_path.glob("tmp/hubtrain-app-*/files/*")
            until(lambda: not [one for one in received if one.is_file()])

        page.evaluate(
            "Object.assign(document.querySelector('#files').dataset, {most: 9, room: 'X'})"
        )
        upload(page, "large.csv")
        expect(told).to_contain_text("That is more than X: name a dataset of the Hub", timeout=SOON)
        page.evaluate("delete document.querySelector('#files').dataset.most")

        upload(page, "../../../climbs.csv")
        expect(where).to_have_value(re.compile(r"climbs\.csv$"), timeout=SOON)
        expect(told).to_have_text("")
        there = Path(where.input_value())
        assert there.parent.parent == app.home / "uploads" and there.read_bytes() == ROWS


def _upload_to_a_full_disk(page: Page, app: Application) -> None:
    """Send a file to an app whose files may not become longer than half of it."""
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.prlimit(app.process.pid, resource.RLIMIT_FSIZE, (1_000_000, most))
    with page.expect_response("**/gradio_api/upload"):
        upload(page, "long.csv", ROWS * 8000)
    resource.prlimit(app.process.pid, resource.RLIMIT_FSIZE, (most, most))


def test_a_page_outlives_an_app_that_is_killed(page: Page, tmp_path: Path) -> None:
    (tmp_path / "long.py").write_text("import time\ntime.sleep(3000)\n")
    job = ("--script-path", str(tmp_path / "long.py"), "--project-name", "goes-on")
    command(tmp_path, "spacerunner", *job, "--detach")
    gone, yaml = page.locator("#gone"), page.locator("#yaml")
    try:
        killed = app_in(tmp_path)
        with killed:
            opened(page, killed, "new?task=vlm")
            page.fill("#f-lr", "0.002")
            expect(yaml).to_have_value(re.compile("lr: 0.002"), timeout=SOON)
            page.clock.fast_forward(30_000)  # nothing was asked for so long
            expect(gone).to_have_text("", timeout=SOON)
            killed.process.send_signal(signal.SIGKILL)
            killed.process.wait()
        page.clock.fast_forward(30_000)
        said = "The app no longer answers: start it again with hubtrain app."
        expect(gone).to_have_text(said, timeout=SOON)

        again = app_in(tmp_path, port=httpx2.URL(killed.url).port or 0)
        with again:
            expect(gone).to_have_text("", timeout=SOON)
            expect(page.locator("#f-lr")).to_have_value("0.002")
            page.fill("#f-epochs", "2")
            both = re.compile("lr: 0.002\n(.*\n)*epochs: 2")
            expect(yaml).to_have_value(both, timeout=SOON)
            assert len(list(tmp_path.glob("tmp/hubtrain-app-*"))) == 1, "of the killed one nothing"
            opened(page, again, "")
            expect(page.locator("#jobs")).to_contain_text("Running", timeout=SOON)
        assert "Traceback" not in again.printed, "who ends it while a page is open sees no error"
    finally:
        command(tmp_path, "cancel", "goes-on")
