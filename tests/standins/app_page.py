"""The app's pages in a browser, as tests look at them: on a desktop, on a phone, as pictures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page

ARTIFACTS = Path(__file__).parent.parent / "artifacts"
NASTY = "<img src=x onerror=\"document.title='taken'\">"
"""A name that takes a page over which shows it as HTML."""


@contextmanager
def at_a_desk(browser: Browser, url: str, wait: float) -> Iterator[Page]:
    """Open the app as its user does: a page that has to end without an error in it.

    `wait` is how long anything on it may take, in milliseconds.
    """
    wrong: list[str] = []
    context = browser.new_context(viewport={"width": 1180, "height": 900})
    made = context.new_page()
    made.on("pageerror", lambda error: wrong.append(str(error)))
    made.set_default_timeout(wait)
    made.goto(url)
    made.wait_for_selector("#jobs tbody tr")
    yield made
    assert made.title() != "taken"
    context.close()
    assert wrong == []


def shot(page: Page, name: str) -> None:
    """Keep a picture of the whole page."""
    ARTIFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTIFACTS / f"app-{name}.png", full_page=True)


def phone(page: Page) -> None:
    """Look at the page on a phone, out of which nothing may stick."""
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
