"""The part of a job's page where its model is asked: in words, or with a form as its task says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

import gradio as gr

from orchestrator.app.base import App
from orchestrator.inference.trained import Model, model_of
from orchestrator.words import count
from worker.errors import HubtrainError
from worker.session import Message, Reply
from worker.show.answers import given, input_of, output_of, shown
from worker.show.polled import QUIET

Talk = tuple[Message, ...]
"""What was said up to here, as the model is told it."""

WAITS: dict[str, Any] = {"api_visibility": "private", "concurrency_limit": 4}

BUSY = gr.update(value="Answering…", interactive=False)
"""The button while a question is answered: there is one at a time."""

READY = gr.update(value="Ask", interactive=True)
LOCKED, OPEN = gr.update(interactive=False), gr.update(interactive=True)


def try_it(app: App) -> Any:
    """Lay it out, hidden; returns what is to be shown where there is a model."""

    with gr.Accordion("Try the model", open=False, visible=False, elem_id="try") as box:
        begin = gr.Button("Ask it here", size="sm", elem_id="try-begin")

        def form(request: gr.Request) -> None:
            job_id = str(request.query_params.get("id", ""))
            try:
                model = model_of(app.client, app.client.records.get(job_id))
            except HubtrainError as error:
                said = f'<p class="hubtrain wrong">{escape(str(error))}</p>'
                gr.HTML(said, js_on_load=None)
                return
            _prompt(app, model) if model.page is None else _form(app, model)

        gr.render(triggers=[begin.click], show_progress="hidden")(form)

    return box


def _prompt(app: App, model: Model) -> None:
    said = gr.State(())
    talk = gr.HTML(elem_id="try-talk", js_on_load=None)
    prompt = gr.Textbox(label="Prompt", lines=2, max_length=100_000, elem_id="try-prompt")
    with gr.Row():
        ask = gr.Button("Ask", variant="primary", size="sm", elem_id="try-ask")
        anew = gr.Button("Begin anew", size="sm", elem_id="try-anew")

    def answer(prompt: str, said: Talk) -> Iterator[list[Any]]:
        asked: Talk = (*said, {"role": "user", "content": prompt})
        yield [conversation(asked, note="Loading the model, or thinking…"), "", said, BUSY, LOCKED]
        reply = None
        try:
            for reply in app.trying.talk(model, asked):
                yield [conversation(_and(asked, reply)), gr.skip(), said, gr.skip(), gr.skip()]
        except HubtrainError as error:
            yield [conversation(said, wrong=str(error)), prompt, said, gr.skip(), gr.skip()]
        else:
            assert reply is not None
            told = _and(asked, reply)[reply.dropped :]
            yield [conversation(told, note=_remark(reply)), gr.skip(), told, gr.skip(), gr.skip()]

    moments, shown = [ask.click, prompt.submit], [talk, prompt, said, ask, anew]
    pressed = gr.on(moments, answer, [prompt, said], shown, show_progress="hidden", **WAITS)
    # After a mistake of ours, too.
    pressed.then(lambda: [READY, OPEN], outputs=[ask, anew], **QUIET)
    anew.click(lambda: ["", ()], outputs=[talk, said], **QUIET)


def _and(asked: Talk, reply: Reply) -> Talk:
    return (*asked, {"role": "assistant", "content": reply.text})


def _remark(reply: Reply) -> str:
    """Return what an answer does not show of itself."""
    left = f"{count(reply.dropped, 'earlier message')} left out: the model cannot hold them."
    told = [left] if reply.dropped else []
    told += ["Cut: that is as long as an answer may be here."] if reply.end == "length" else []
    return " ".join(told)


def conversation(said: Talk, *, note: str = "", wrong: str = "") -> str:
    """Return what was said as HTML; models and people may say what they like."""
    who = {"user": "You", "assistant": "The model"}
    turns = "".join(
        f"<dt>{who[one['role']]}</dt><dd><pre>{escape(one['content'])}</pre></dd>" for one in said
    )
    told = f'<p class="small" role="status">{escape(note)}</p>' if note else ""
    told += f'<p class="wrong" role="alert">{escape(wrong)}</p>' if wrong else ""
    return f'<div class="hubtrain"><dl class="talk">{turns}</dl>{told}</div>'


def _form(app: App, model: Model) -> None:
    page = model.page
    assert page is not None
    inputs = [input_of(field) for field in page.fields]
    ask = gr.Button("Ask", variant="primary", size="sm", elem_id="try-ask")
    wrong = gr.HTML(js_on_load=None)
    said = output_of(page.answers_as)

    def answer(*values: Any) -> Iterator[list[Any]]:
        yield ["", gr.skip(), BUSY]
        told = {f.name: given(f, value) for f, value in zip(page.fields, values, strict=True)}
        asked: Mapping[str, Any] = {k: v for k, v in told.items() if v is not None}
        try:
            found = app.trying.answer(model, asked)
        except HubtrainError as error:
            yield [f'<p class="hubtrain wrong">{escape(str(error))}</p>', None, gr.skip()]
        else:
            yield ["", shown(page.answers_as, found, asked), gr.skip()]

    pressed = ask.click(answer, inputs, [wrong, said, ask], **WAITS)
    pressed.then(lambda: READY, outputs=[ask], **QUIET)
