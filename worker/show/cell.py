"""A job as one piece of HTML that brings its style along: the output of a notebook's cell.

It stands amid the page of a program that has a style of its own, light or dark.
"""

from __future__ import annotations

from worker.show import colours, parts
from worker.show.view import View, answer, curves

DARK = (
    '[data-jp-theme-light="false"] .hubtrain',  # JupyterLab, Notebook
    "[theme=dark] .hubtrain",  # Colab
    ".vscode-dark .hubtrain",
)
"""What finds the job where the program around it is dark."""

_ROOM = ".hubtrain.cell { max-width: 52rem; }\n.hubtrain.cell .curves { margin-top: .8rem; }\n"


def cell(view: View, more: str = "") -> str:
    """Return the job as it stands at a moment; `more` is HTML to stand below its answer."""
    style = colours(".hubtrain", ", ".join(DARK)) + parts() + _ROOM
    body = answer(view) + more + curves(view)
    return f'<style>{style}</style><div class="hubtrain cell">{body}</div>'
