"""The part of a job's page where its model is asked: a prompt, or a form as its task says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

import gradio as gr

from orchestrator.app.base import App
from orchestrator.inference.trained import Model, model_of
from worker.errors import HubtrainError
from worker.show.answers import given, input_of, output_of, shown

WAITS: dict[str, Any] = {"api_visibility": "private", "concurrency_limit": 4}


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
    def answer(prompt: str) -> Iterator[str]:
        yield "Loading the model, or thinking…"
        try:
            yield from app.trying.talk(model, prompt)
        except HubtrainError as error:
            yield str(error)

    prompt = gr.Textbox(label="Prompt", lines=2, max_length=100_000, elem_id="try-prompt")
    ask = gr.Button("Ask", variant="primary", size="sm", elem_id="try-ask")
    said = gr.Textbox(label="Answer", lines=4, interactive=False, elem_id="try-answer")
    for moment in (ask.click, prompt.submit):
        moment(answer, [prompt], [said], show_progress="hidden", **WAITS)


def _form(app: App, model: Model) -> None:
    page = model.page
    assert page is not None
    inputs = [input_of(field) for field in page.fields]
    ask = gr.Button("Ask", variant="primary", size="sm", elem_id="try-ask")
    wrong = gr.HTML(js_on_load=None)
    said = output_of(page.answers_as)

    def answer(*values: Any) -> list[Any]:
        told = {f.name: given(f, value) for f, value in zip(page.fields, values, strict=True)}
        asked: Mapping[str, Any] = {k: v for k, v in told.items() if v is not None}
        try:
            found = app.trying.answer(model, asked)
        except HubtrainError as error:
            return [f'<p class="hubtrain wrong">{escape(str(error))}</p>', None]
        return ["", shown(page.answers_as, found, asked)]

    ask.click(answer, inputs, [wrong, said], **WAITS)
