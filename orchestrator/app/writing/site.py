"""What all pages of an app on which jobs are written have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from orchestrator.app.rehearsing import Rehearsing
from orchestrator.form.starting import Offers
from orchestrator.jobs.client import Client


@dataclass(frozen=True)
class Site:
    """Whose jobs are written, and on which machine."""

    client: Client
    environ: Mapping[str, str] = field(default_factory=dict)
    """Variables that settings may come from, as they do in the terminal."""

    own_machine: bool = True
    """Whether this machine is the user's own: its folders may be named then."""

    rehearsing: Rehearsing | None = None
    """What rehearses here; none where that is not done, since it trains on this machine."""

    job_page: Callable[[str], str] = "/job?id={}".format
    offers: Offers = field(default_factory=Offers)
