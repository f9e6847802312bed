"""How a job is shown: what the page of a running job and the app on the laptop have in common.

It knows no server: events go in and HTML comes out, so that both show the same. What only one of
them needs is in `worker/page` or `orchestrator/app`. Light: the standard library and jinja2.
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
    return (HERE / "page.css").read_text(encoding="utf-8")
