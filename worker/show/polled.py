"""What a page asks its server for again and again, and what of the answers has reached it.

Every answer that changes something has a number, which the page shows, unseen. It says with every
question which one it shows: if that is not the last one sent, an answer was lost on its way, and
all is sent anew. So whatever a proxy, a network or a browser that was still loading has swallowed,
the page is right again two ticks later.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

from worker.show.visits import Visit, Visits

QUIET: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
"""How a page asks its server for what nobody waits for."""

_SHOWN = """
(...asked) => [...asked.slice(0, -1), document.querySelector('#turn i')?.dataset.turn ?? '']
"""


class Polled:
    """The parts of one page that are asked for again and again. Made within its layout."""

    def __init__(self, visits: Visits) -> None:
        self._visits = visits
        self._turn = gr.HTML(elem_id="turn", js_on_load=None, visible="hidden")

    def asks(
        self,
        answer: Callable[..., Sequence[Any]],
        inputs: Sequence[Any],
        outputs: Sequence[Any],
    ) -> dict[str, Any]:
        """Return what an event of gradio is given so that it asks for `outputs`.

        `answer` is called with the `Visit`, gradio's request and the values of `inputs`.
        """

        def asked(request: gr.Request, *said: Any) -> list[Any]:
            *values, turn = said
            visit = self._visits.look(str(request.session_hash), turn)
            answers = answer(visit, request, *values)
            return [*answers, f'<i data-turn="{visit.turn}"></i>']

        return {
            "fn": asked,
            "inputs": [*inputs, self._turn],
            "outputs": [*outputs, self._turn],
            "js": _SHOWN,
            **QUIET,
        }


def update(visit: Visit, name: str, **properties: Any) -> Any:
    """Return what gives a component these properties, if the page does not show them so."""
    return gr.update(**properties) if visit.draws(name, repr(properties)) else gr.skip()


def redrawn(visit: Visit, name: str, html: str) -> Any:
    """Return a part of the page, in the page's own style, if it is not what the page shows."""
    return f'<div class="hubtrain">{html}</div>' if visit.draws(name, html) else gr.skip()
