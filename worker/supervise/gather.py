"""Has all that is trained with brought here first, so that the trainer needs no token.

A trainer runs code of others: libraries, and a model's own where that is trusted. What it has not
got, none of them can use. It keeps the token only where training itself asks the Hub as the job's
owner (`Task.needs_token`).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

from worker import fetching
from worker.contract import Ending, Finished, Phase
from worker.supervise.live import Live
from worker.supervise.watch import watch


def gather(live: Live) -> Ending | Mapping[str, str]:
    """Return the trainer's environment, or the ending of a job whose model or data is not there."""
    host = live.host
    alone = host.for_trainer(token=False)
    if host.token is None:
        return alone
    # What other nodes have on their disks cannot be known here.
    if live.spec.parallel.nodes > 1 or fetching.needs_token(live.spec):
        return host.for_trainer()
    if not fetching.has_any(live.spec):
        return alone
    live.journal.say(Phase(name="fetching model and data"))
    paths = ["--job", host.job_file, "--output", host.model, "--work", host.work]
    ending = watch(live, [sys.executable, "-P", "-m", "worker.run", "--fetch", *map(str, paths)])
    if not isinstance(ending, Finished):
        return ending
    live.journal.log("Model and data are here: the trainer gets no token of the Hub.")
    if not fetching.closed(host.work):
        return alone
    # A file that a model may have or not is refused to a stranger, which libraries take for an
    # error: offline they look at what is here.
    return alone | {"HF_HUB_OFFLINE": "1"}
