"""What visitors of a deployed model see: a chat, or a form with the model's answer beside it.

Answers are shown as text and never as HTML or Markdown: a model says what it has read somewhere.
The same is an API, which `gradio_client` finds by the names `chat` and `ask`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from html import escape
from pathlib import PurePath
from typing import Any

import gradio as gr
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from worker.errors import HubtrainError
from worker.session import Messages
from worker.show.answers import LONGEST_INPUT, given, input_of, output_of, shown
from worker.show.crosssite import from_here, with_headers
from worker.task import Page

WAITING = 32
"""Visitors who may wait for their turn; more are told to come back."""

LARGEST_FILE = "20mb"

Talk = Callable[[Messages], Iterator[str]]
"""Returns the answer to a conversation as it grows."""


def chat_page(title: str, talk: Talk, system: str | None) -> gr.Blocks:
    """Return a page on which visitors talk with a model, which answers one of them at a time.

    `system` is what it is told first, which visitors may change; none for a model that knows no
    turns, and only goes on with what was said last.
    """

    def answer(message: str, history: list[dict[str, Any]], first: str = "") -> Iterator[str]:
        turns = [{"role": "system", "content": first}] if first.strip() else []
        turns += [{"role": one["role"], "content": _text(one["content"])} for one in history]
        with _told():
            yield from talk([*turns, {"role": "user", "content": message}])

    more = [] if system is None else [gr.Textbox(system, max_length=LONGEST_INPUT, label="System")]
    return _own(
        gr.ChatInterface(
            answer,
            chatbot=_as_text(gr.Chatbot(height="65vh", label=title, buttons=["copy"])),
            textbox=gr.Textbox(max_length=LONGEST_INPUT, placeholder="Say something", label="You"),
            additional_inputs=more,
            title=title,
            api_name="chat",
            flagging_mode="never",
            concurrency_limit=1,
        )
    )


def form_page(title: str, page: Page, ask: Callable[[Mapping[str, Any]], Any]) -> gr.Blocks:
    """Return a page with an input for each field, and below them the answer, shown by its kind."""

    def answer(*values: Any) -> Any:
        said = {f.name: given(f, value) for f, value in zip(page.fields, values, strict=True)}
        asked = {name: value for name, value in said.items() if value is not None}
        with _told(*(asked.get(field.name) for field in page.fields if field.kind == "image")):
            return shown(page.answers_as, ask(asked), asked)

    return _own(
        gr.Interface(
            answer,
            inputs=[input_of(field) for field in page.fields],
            outputs=output_of(page.answers_as),
            title=title,
            deep_link=False,
            api_name="ask",
            flagging_mode="never",
            concurrency_limit=1,
        )
    )


def application(page: gr.Blocks) -> Any:
    """Return the page as an ASGI application, with nothing on it that comes from elsewhere."""
    from fastapi import FastAPI

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(_Guard)
    theme = gr.themes.Base(
        font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]
    )
    return gr.mount_gradio_app(
        app,
        page.queue(max_size=WAITING),
        path="/",
        theme=theme,
        footer_links=["api"],
        run_history=False,
        show_error=True,
        ssr_mode=False,
        max_file_size=LARGEST_FILE,
    )


class _Guard:
    """Refuses what other websites send, and lets the page load nothing from other servers."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            refused = not from_here(Request(scope))
            answer = Response(status_code=403) if refused else self.app
            await answer(scope, receive, with_headers(send, framed=True))
        else:
            await self.app(scope, receive, send)


def _as_text(chatbot: gr.Chatbot) -> gr.Chatbot:
    """Let a chatbot show letters for what is HTML or Markdown; gradio has no setting for that."""
    made = chatbot.postprocess

    def shown(value: Any) -> Any:
        told = made(value)
        for message in told.root:
            message.content = [
                piece.model_copy(update={"text": escape(piece.text, quote=False)})
                if piece.type == "text"
                else piece
                for piece in message.content
            ]
        return told

    chatbot.postprocess, chatbot.render_markdown = shown, False
    return chatbot


def _text(content: Any) -> str:
    """Return what was said in a turn, which gradio keeps in pieces."""
    if isinstance(content, str):
        return content
    return "".join(str(piece.get("text", "")) for piece in content if isinstance(piece, dict))


def _own(page: gr.Blocks) -> gr.Blocks:
    page.space_id = None  # otherwise gradio adds a header on Spaces, with fonts from other servers
    return page


@contextmanager
def _told(*files: str | None) -> Iterator[None]:
    """Show visitors what they can mend, in our words, and nothing of other errors.

    What they have sent as `files` is called as they call it.
    """
    try:
        yield
    except HubtrainError as error:
        message = error.message
        for file in filter(None, files):
            message = message.replace(file, PurePath(file).name)
        raise gr.Error(message, print_exception=False) from error
    except ValidationError as error:
        asked = ", ".join(str(wrong["loc"][0]) for wrong in error.errors() if wrong["loc"])
        raise gr.Error(f"Please give: {asked}.", print_exception=False) from error
