"""The few pages people see: logging in, a repo, all repos. HTML by hand, no scripts."""

from __future__ import annotations

from html import escape
from http import HTTPStatus
from urllib.parse import parse_qs, quote

from starlette.responses import HTMLResponse, RedirectResponse
from starlette.routing import BaseRoute, Route

from localhub.api.info import main_of
from localhub.auth.accounts import COOKIE
from localhub.errors import Refusal
from localhub.http.call import Answer, Call, endpoint
from localhub.hub import Hub
from localhub.storage.repos import PREFIX

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif;
        max-width: 46rem; margin: 2rem auto; padding: 0 1rem }}
pre {{ overflow-x: auto; background: #f4f4f4; padding: 1rem }} td {{ padding-right: 1.5rem }}
</style>
<nav><a href="/">Hub</a> · {who}</nav>
<h1>{title}</h1>
{body}
</html>
"""

LOGIN = """<form method="post" action="/login?next={next}">
<p><label>Access token <input type="password" name="token" autocomplete="off" autofocus></label>
<button>Log in</button></p><p>{said}</p></form>"""


def routes(hub: Hub) -> list[BaseRoute]:
    """Return the pages; they come last, since a repo's page is any two words."""
    return [
        Route("/", endpoint(hub, home)),
        Route("/login", endpoint(hub, login_form), methods=["GET"]),
        Route("/login", endpoint(hub, log_in, form=True), methods=["POST"]),
        Route("/logout", endpoint(hub, log_out, form=True), methods=["GET", "POST"]),
        Route("/{ns}/{name}", endpoint(hub, repo_page)),
        Route("/{kind}/{ns}/{name}", endpoint(hub, repo_page)),
    ]


def page(call: Call, title: str, body: str, status: int = HTTPStatus.OK) -> HTMLResponse:
    """Return a page that says who is logged in."""
    name = call.caller.name
    here = quote(call.request.url.path)
    who = f'{escape(name)} · <a href="/logout">log out</a>' if name else ""
    who = who or f'<a href="/login?next={here}">log in</a>'
    return HTMLResponse(PAGE.format(title=escape(title), who=who, body=body), status)


def local(path: str) -> str:
    """Return where to go after a login if it is on this Hub, else its first page."""
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) else "/"


def login_form(call: Call) -> Answer:
    """Ask for a token."""
    form = LOGIN.format(next=quote(local(call.query("next", "/")), safe=""), said="")
    return page(call, "Log in", form)


def log_in(call: Call) -> Answer:
    """Start a browser session for whoever has the token."""
    token = parse_qs(call.body.read().decode()).get("token", [""])[0].strip()
    target = local(call.query("next", "/"))
    try:
        session = call.hub.accounts.log_in(token)
    except Refusal:
        form = LOGIN.format(next=quote(target, safe=""), said="There is no such token.")
        return page(call, "Log in", form, HTTPStatus.UNAUTHORIZED)
    answer = RedirectResponse(target, HTTPStatus.SEE_OTHER)
    answer.set_cookie(COOKIE, session, httponly=True, samesite="lax")
    return answer


def log_out(call: Call) -> Answer:
    """End the browser session."""
    call.hub.accounts.log_out(call.request.cookies.get(COOKIE, ""))
    answer = RedirectResponse("/", HTTPStatus.SEE_OTHER)
    answer.delete_cookie(COOKIE)
    return answer


def home(call: Call) -> Answer:
    """List what the visitor may see."""
    body = []
    for kind in PREFIX:
        seen = [repo for repo in call.hub.repos.list(kind) if call.caller.may_read(repo)]
        lines = "".join(
            f'<li><a href="/{repo.page}">{escape(repo.full_name)}</a>'
            f"{' (private)' if repo.private else ''}</li>"
            for repo in seen
        )
        body.append(f"<h2>{kind.capitalize()}s</h2><ul>{lines or '<li>none</li>'}</ul>")
    return page(call, "Hub", "".join(body))


def repo_page(call: Call) -> Answer:
    """Show a repo's card and files, or ask to log in."""
    try:
        repo = call.repo()
    except Refusal as refusal:
        if refusal.status not in (HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND):
            raise
        return page(call, "404", "<p>There is no such page, or it is not yours to see.</p>", 404)
    about = main_of(call.hub, repo)
    rows = "".join(
        f'<tr><td><a href="/{repo.page}/resolve/main/{quote(path)}">{escape(path)}</a></td>'
        f"<td>{blob.size:,}</td></tr>"
        for path, blob in about.files.items()
    )
    card = (about.read("README.md") or b"").decode("utf-8", "replace")
    text = f"<pre>{escape(card)}</pre>" if card else ""
    return page(call, repo.full_name, f"<table>{rows}</table>{text}")
