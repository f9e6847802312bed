"""A visitor of pages in tests: a real browser, which loads nothing from other servers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, expect, sync_playwright
from services.browser import found

from standins.localhub import HubServer
from standins.waiting import PATIENCE

LOSES_AN_ANSWER = """
const ask = window.fetch;
let lost = false;
window.fetch = async (...what) => {
  const answer = await ask(...what);
  if (lost || !String(what[0]).includes('/gradio_api/run/')) return answer;
  lost = true;
  return new Response('a proxy lost it', {status: 502});
};
"""
"""A script for a page whose first answer does not arrive, though its server has given it."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser, for as many pages as one likes, which waits as long as tests do."""
    expect.set_options(timeout=1000 * PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found(), args=["--no-sandbox", "--no-proxy-server"]
        )
        browser.on("context", lambda made: made.set_default_timeout(1000 * PATIENCE))
        yield browser
        browser.close()


@contextmanager
def visiting(browser: Browser) -> Iterator[Page]:
    """A page of a browser, which at its end has asked no server but this machine."""
    page = browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    yield page
    hosts = {urlsplit(url).hostname or "" for url in asked if url.startswith("http")}
    assert {host for host in hosts if host != "127.0.0.1" and not _of_a_space(host)} == set()
    page.close()


def _of_a_space(host: str) -> bool:
    return host.endswith(".localhost")


def log_in(page: Page, hub: HubServer, user: str = "ann") -> None:
    """Let a user of a local Hub log in, so that private Spaces are seen."""
    page.goto(f"{hub.endpoint}/login")
    page.fill("input[name=token]", hub.tokens[user])
    page.click("button")
    page.wait_for_selector("text=log out")


def submit(page: Page) -> None:
    """Press the button of a form."""
    page.get_by_role("button", name="Submit").click()


def shows(page: Page, text: str) -> None:
    """Wait until an answer is this text."""
    found = "text => [...document.querySelectorAll('textarea')].some(t => t.value == text)"
    page.wait_for_function(found, arg=text)
