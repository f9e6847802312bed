"""Asks for confirmation before what cannot be undone: one question, answered with yes or no."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr

from worker.errors import HubtrainError
from worker.show.mounted import ASKED
from worker.show.polled import QUIET

PRESSED = """
element.addEventListener('click', event => {
  const button = event.target.closest('[data-act]');
  if (button) trigger('click', {act: button.dataset.act, what: button.dataset.what});
});
"""
"""For `gr.HTML(js_on_load=…)`: its buttons say what they are for to its `click` event."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question with two buttons, hidden until something is asked."""

    box: Any
    words: Any
    about: Any
    yes: Any

    def before(
        self,
        pressed: list[Any],
        ask: Callable[[str, str], str],
        do: Callable[[str, str], None],
    ) -> None:
        """Ask with the words of `ask`, and on a yes `do`; `pressed` are those of `PRESSED`."""

        def asked(event: gr.EventData) -> list[Any]:
            about = (str(event.act), str(event.what))
            try:
                said, sure = ask(*about), True
            except HubtrainError as error:
                said, sure = str(error), False
            shown = f'<p class="hubtrain">{escape(said)}</p>'
            return [gr.update(visible=True), shown, about, gr.update(visible=sure)]

        def done(about: tuple[str, str] | None) -> list[Any]:
            if about:
                do(*about)
            return [gr.update(visible=False), None]

        outputs = [self.box, self.words, self.about, self.yes]
        for one in pressed:
            one.click(asked, outputs=outputs, **QUIET).then(None, js=ASKED)
        self.yes.click(done, inputs=[self.about], outputs=[self.box, self.about], **QUIET)


def question(yes: str = "Yes, stop it") -> Question:
    """Lay out a question, which is not asked yet."""
    with gr.Column(visible=False, elem_id="sure") as box:
        words = gr.HTML(js_on_load=None, elem_id="sure-words")
        about = gr.State()
        with gr.Row():
            agree = gr.Button(yes, variant="stop", size="sm", elem_id="sure-yes")
            no = gr.Button("No, leave it", size="sm", elem_id="sure-no")
    no.click(lambda: [gr.update(visible=False), None], outputs=[box, about], **QUIET)
    return Question(box, words, about, agree)
