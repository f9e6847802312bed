"""Logging in to a Space with an account of the local Hub, as gradio's login button does it."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Iterator

import httpx2
import pytest
from playwright.sync_api import expect
from standins.localhub import HubServer
from standins.spaces import new_space, wait_for
from standins.visitor import chromium
from standins.waiting import PATIENCE

README = "---\nsdk: docker\nhf_oauth: true\nhf_oauth_scopes: [email]\n---\n"
FORM = "application/x-www-form-urlencoded"
APP = """
import gradio as gr

def greet(profile: gr.OAuthProfile | None) -> str:
    return "nobody" if profile is None else f"{profile.username} at {profile['profile']}"

with gr.Blocks() as demo:
    gr.LoginButton()
    who = gr.Textbox()
    demo.load(greet, None, who, api_name="greet")

demo.launch()
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubServer]:
    server = HubServer(
        tmp_path_factory.mktemp("hub") / "data", ("ann:write", "bob:write"), ("lab:ann",)
    )
    server.start()
    yield server
    server.stop()


class Browser:
    """Follows redirects one by one, to any host on loopback, and keeps each host's cookies.

    As Chromium does, it sends Secure cookies to `localhost` without TLS.
    """

    def __init__(self, client: httpx2.Client) -> None:
        self.client = client
        self.jars: dict[str, dict[str, str]] = {}
        self.trail: list[str] = []

    def open(self, url: str, *, method: str = "GET", content: str = "") -> httpx2.Response:
        """Open an address and all it leads to; return the last answer."""
        for _ in range(12):
            answer = self._once(url, method, content)
            if not answer.has_redirect_location:
                return answer
            url = urllib.parse.urljoin(url, answer.headers["location"])
            method, content = "GET", ""
        raise AssertionError(self.trail)

    def _once(self, url: str, method: str, content: str) -> httpx2.Response:
        self.trail.append(url)
        parts = urllib.parse.urlsplit(url)
        assert parts.scheme == "http", url
        jar = self.jars.setdefault(parts.netloc, {})
        answer = self.client.request(
            method,
            parts._replace(netloc=f"127.0.0.1:{parts.port}").geturl(),
            headers={
                "Host": parts.netloc,
                "Content-Type": "application/json" if content.startswith("{") else FORM,
                "Cookie": "; ".join(f"{name}={value}" for name, value in jar.items()),
                # Forms and scripts here stand on the pages that they are sent to.
                **({"Origin": f"http://{parts.netloc}"} if method == "POST" else {}),
            },
            content=content,
        )
        for cookie in answer.headers.get_list("set-cookie"):
            name, _, value = cookie.partition(";")[0].partition("=")
            jar[name] = value.strip('"')
        return answer


@pytest.fixture
def browser() -> Iterator[Browser]:
    with httpx2.Client(timeout=60) as client:
        yield Browser(client)


@pytest.mark.slow
def test_the_login_button_of_gradio_knows_who_clicks(hub: HubServer, browser: Browser) -> None:
    name = new_space(
        hub,
        'CMD ["python", "login.py"]',
        private=False,
        files={"README.md": README, "login.py": APP},
    )
    wait_for(hub, name, seconds=3 * PATIENCE)
    site = f"http://{name.replace('/', '-')}.localhost:{hub.port}"
    asked = browser.open(f"{site}/login/huggingface")
    assert "/login?next=" in browser.trail[-1]
    form = f"token={hub.tokens['ann']}"
    consent = browser.open(browser.trail[-1], method="POST", content=form)
    assert name in consent.text and "email" in consent.text and asked.status_code == 200
    (ticket,) = re.findall(r'name="ticket" value="([^"]+)"', consent.text)
    back = browser.open(browser.trail[-1], method="POST", content=f"ticket={ticket}")
    assert back.status_code == 200 and browser.trail[-1].startswith(site)
    assert whoami(browser, site) == f"ann at {hub.endpoint}/ann"
    browser.open(f"{site}/logout")
    assert whoami(browser, site) == "nobody"
    browser.open(f"{site}/login/huggingface")
    assert whoami(browser, site).startswith("ann"), "consent is asked for once"


@pytest.mark.slow
@pytest.mark.browser
def test_a_person_logs_in_to_a_private_space(hub: HubServer) -> None:
    name = new_space(
        hub, 'CMD ["python", "login.py"]', files={"README.md": README, "login.py": APP}
    )
    wait_for(hub, name, seconds=3 * PATIENCE)
    with chromium() as there:
        page = there.new_page()
        page.goto(f"{hub.endpoint}/spaces/{name}")
        page.fill("input[name=token]", hub.tokens["ann"])
        page.click("button")
        expect(page.get_by_role("textbox")).to_have_value("nobody")
        page.click("text=Sign in with Hugging Face")
        page.click("text=Authorize")
        told = f"ann at {hub.endpoint}/ann"
        expect(page.get_by_role("textbox")).to_have_value(told)
        assert page.url == f"http://{name.replace('/', '-')}.localhost:{hub.port}/"


def whoami(browser: Browser, site: str) -> str:
    """Ask the app, as its page does."""
    event = browser.open(f"{site}/gradio_api/call/greet", method="POST", content='{"data": []}')
    assert event.status_code == 200, event.text
    told = browser.open(f"{site}/gradio_api/call/greet/{event.json()['event_id']}")
    return str(re.findall(r'data: \["(.*)"\]', told.text)[0])
