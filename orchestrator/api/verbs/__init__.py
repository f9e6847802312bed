"""The verbs: what a program may have done, each a function from a typed request to a document.

`VERBS` finds them by name, in the order in which they are declared: HTTP, MCP and the docs are made
from it, so that a function with `@verb`, a request and an answer is all that a new one takes. They
raise `HubtrainError`, which `orchestrator.api.errors` makes data of.
"""

from __future__ import annotations

from orchestrator.api.verb import VERBS
from orchestrator.api.verbs import jobs, serving, sweeps

__all__ = ["VERBS", "jobs", "serving", "sweeps"]
