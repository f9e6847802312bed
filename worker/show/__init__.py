"""How a job is shown: what the page of a running job and the app on the laptop have in common.

Events go in and HTML comes out, so that both show the same, and the cell of a notebook too. What
only one of them needs is in `worker/page`, `orchestrator/app` or `hubtrain`. Light: the standard
library and jinja2, but for `answers`, `mounted` and `polled`, which are about gradio itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

HERE = Path(__file__).parent

_TEMPLATES = Environment(autoescape=False, undefined=StrictUndefined)


def filled(template: Path, **values: Any) -> str:
    """Return a template filled in; what it does not escape itself is taken as HTML."""
    return _TEMPLATES.from_string(template.read_text(encoding="utf-8")).render(**values)


def style() -> str:
    """Return the style sheet that all pages share."""
    page = (HERE / "page.css").read_text(encoding="utf-8")
    return colours(":root", ".dark") + page + parts()


def colours(light: str, dark: str) -> str:
    """Return the colours, as a style sheet for what these two selectors find."""
    return filled(HERE / "colours.css.jinja", light=light, dark=dark) + "\n"


def parts() -> str:
    """Return the style sheet of the parts of a job's page, which touches nothing around them."""
    return (HERE / "job.css").read_text(encoding="utf-8")
