"""What the campaign's copy of hubtrain has beside the real thing, as its folder `worker/planted`.

A task that needs no model, a page that needs no gradio, and a clock that hurries and may be set
wrong. `conditions` are how a process finds them out, on whatever machine of the far side it runs.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import Any

from .where import FILE

LAPTOP = "CAMPAIGN_LAPTOP"
"""Environment of the user's own commands; what is without it is a worker."""

AGENT = "HF_HUB_USER_AGENT_ORIGIN"
"""What the Hub's client library adds to the name by which it calls itself."""


def conditions() -> dict[str, Any]:
    """Return what `campaign.house.House.conditions` has written last; nothing elsewhere."""
    with suppress(OSError, ValueError), open(FILE, encoding="utf-8") as file:
        found: dict[str, Any] = json.load(file)
        return found
    return {}


if LAPTOP not in os.environ:
    os.environ.pop(AGENT, None)  # a local worker inherits it, and is no laptop
    if work := conditions().get("work"):
        os.environ["HUBTRAIN_WORK"] = work
