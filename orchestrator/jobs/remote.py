"""Jobs that this laptop never knew, found at their providers by tag and read from what they left.

Nothing of them is written down here: a handle is enough to follow one (`Client.record`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import backends
from backends.base import Backend, Found
from backends.errors import JobGone
from backends.handle import Handle
from orchestrator.jobs.archive import archived_events
from orchestrator.jobs.client import Client
from orchestrator.jobs.reader import quietly
from orchestrator.jobs.records import Record
from worker.account import owner_of
from worker.contract import Event, Launched, ending_of, from_marked
from worker.errors import HubtrainError
from worker.hubclient import endpoint


@dataclass(slots=True)
class Remote:
    """Jobs of these accounts that are on no record here, and what could not be asked about."""

    jobs: list[Record] = field(default_factory=list)
    unanswered: list[str] = field(default_factory=list)


def remote(client: Client, owners: Iterable[str], *, made_by: str | None = None) -> Remote:
    """Return what providers have of ours and this laptop does not know.

    With `made_by`, jobs that other members of an organisation launched are left out. What cannot be
    asked about is listed, and the rest goes on. Raises `HubtrainError` where it cannot be asked
    whose token it is.
    """
    found = Remote()
    owners = list(owners) or client.accounts()
    everything = swept(client, owners, found.unanswered)
    new = {str(one.handle): (backend, one) for backend, one in everything}
    unknown = [pair for pair in new.values() if client.records.find(pair[1].job_id) is None]

    def read(pair: tuple[Backend[Any], Found]) -> Record | str | None:
        backend, one = pair
        try:
            if made_by and not _is_by(made_by, backend, one.handle):
                return None
            return recalled(client, backend, one)
        except JobGone:  # a launch that was cut short: `gc` removes it
            return None
        except HubtrainError as error:
            return f"{pair[1].handle}: {error}"

    with ThreadPoolExecutor(8) as pool:
        for told in pool.map(read, unknown):
            if isinstance(told, Record):
                found.jobs.append(told)
            elif told:
                found.unanswered.append(told)
    return found


def _is_by(name: str, backend: Backend[Any], handle: Handle) -> bool:
    """Whether an account launched a job: nobody else can do so in its own name."""
    return owner_of(handle.path) == name or backend.maker(handle) == name


def swept(
    client: Client, owners: Iterable[str], unanswered: list[str]
) -> Iterator[tuple[Backend[Any], Found]]:
    """Yield everything of ours that providers have, whoever launched it.

    A place of the Hub is asked for each account, another one once. Who does not answer is noted.
    """
    owners = list(owners)
    for name in client.places():
        for owner in owners if backends.load(name).on_hub else [""]:
            try:
                backend = client.provider(name)
                yield from [(backend, found) for found in backend.sweep(owner)]
            except HubtrainError as error:
                unanswered.append(f"{name} of {owner}: {error}" if owner else f"{name}: {error}")


def recalled(client: Client, backend: Backend[Any], found: Found) -> Record:
    """Return a job as its machine and the Hub tell of it. Raises `HubtrainError`."""
    spec, status, now = backend.recall(found.handle), found.status, client.clock.now()
    events: list[Event] = archived_events(spec, client.token, client.clock)
    if not ending_of(events):
        lines = quietly(backend.logs(found.handle))
        events += [event for line in lines if (event := from_marked(line)) is not None]
    started = min((event.at for event in events), default=now)
    launched = Launched(handle=str(found.handle), at=started, source="laptop")
    return Record(spec, (launched, status.observed(now), *events), endpoint(), now)
