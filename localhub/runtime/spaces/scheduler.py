"""Assigns machines to Spaces, at most one to each. Every change of a Space is decided here.

Each method decides and records in one database transaction and returns at once; leases do the work
afterwards. It knows no HTTP and checks no permissions.
"""

from __future__ import annotations

import shutil
import time
from datetime import datetime
from typing import Any

from localhub.runtime.doors import Door
from localhub.runtime.machines import Machines
from localhub.runtime.meter import Tenant
from localhub.runtime.processes import Run, found_in
from localhub.runtime.site import Site
from localhub.runtime.spaces.environment import pass_key
from localhub.runtime.spaces.environment import subdomain as host_part
from localhub.runtime.spaces.lease import Lease, LeaseEnded
from localhub.runtime.spaces.records import Space, SpaceRecords, SpaceStage
from localhub.storage.repos import Repo

PATIENCE = 30.0
"""Seconds that the Hub, when it ends, waits for its Spaces to end."""


class Scheduler:
    """All Spaces of a Hub, running or not."""

    def __init__(self, hub: Site, machines: Machines) -> None:
        self.hub = hub
        self.machines = machines
        self.records = SpaceRecords(hub.store)
        self.leases: dict[int, Lease] = {}
        self._visits: dict[int, float] = {}

    def known(self, repo: int) -> tuple[Space, Repo]:
        """Return a Space's record and repo, or raise `LeaseEnded` if it was deleted."""
        space, found = self.records.get(repo), self.hub.repos.by_id(repo)
        if space is None or found is None:
            raise LeaseEnded
        return space, found

    # verbs

    def change(
        self, repo: int, *, lease: Lease | None = None, at: datetime | None = None, **changes: Any
    ) -> Space:
        """Set fields of a record, start or end its billing to match, and return the record.

        A change by a `lease` that has ended is refused with `LeaseEnded`.
        """
        with self.hub.store.write():
            if lease is not None and lease.ended.is_set():
                raise LeaseEnded
            space, found = self.known(repo)
            changed = space.model_copy(update=changes)
            self.records.put(changed)
            rented = changed.flavor if changed.stage.has_machine else None
            self.machines.meter.follow(
                Tenant("space", found.full_name, found.ns),
                self.machines.prices.find(rented, space=True) if rented else None,
                at,
            )
        return changed

    def begin(self, repo: int, *, build: bool) -> Space:
        """Restart a Space; with `build`, from its files. Ends what is running."""
        with self.hub.store.write():
            space, _ = self.known(repo)
            stage = SpaceStage.BUILDING if build or space.built is None else SpaceStage.APP_STARTING
            return self._replace(repo, stage, lets=True)

    def rest(self, repo: int, stage: SpaceStage) -> Space:
        """Stop a Space and leave it in `stage`, without a machine."""
        with self.hub.store.write():
            return self._replace(repo, stage, lets=False)

    def settings_changed(self, repo: int) -> None:
        """Restart a Space whose settings changed, unless its owner stopped it."""
        space, _ = self.known(repo)
        if space.stage.has_machine or space.stage in {
            SpaceStage.RUNTIME_ERROR,
            SpaceStage.SLEEPING,
        }:
            self.begin(repo, build=False)
        elif space.stage in {SpaceStage.BUILDING, SpaceStage.BUILD_ERROR}:
            self.begin(repo, build=True)

    def committed(self, repo: int) -> None:
        """Build a Space whose files changed, unless its owner stopped it."""
        space, _ = self.known(repo)
        if not space.stage.resting:
            self.begin(repo, build=True)

    def forget(self, repo: Repo) -> None:
        """End a Space that is being deleted; called inside the transaction that does so."""
        if self.records.get(repo.id) is None:
            return
        self.machines.meter.follow(Tenant("space", repo.full_name, repo.ns), None)
        self.records.drop(repo.id)
        self.hub.store.after_commit(lambda: self._evict(repo.id))

    def _evict(self, repo: int) -> None:
        lease = self.leases.pop(repo, None)
        if lease is not None:
            lease.end()
        for kind in ("build", "run"):
            self.machines.log(f"space-{repo}-{kind}").path.unlink(missing_ok=True)

    def _replace(self, repo: int, stage: SpaceStage, *, lets: bool) -> Space:
        """End the present lease and, if `lets`, make the next one. Call it within a transaction."""
        before = self.leases.get(repo)
        if before is not None:
            before.end()
        space = self.change(
            repo, stage=stage, error=None, run=None, current=None, listens=None, port=None
        )
        if lets:
            lease = self.leases[repo] = Lease(self, repo, before=before)
            self.hub.store.after_commit(lease.start)
        return space

    def at_work(self, repo: int) -> bool:
        """Return whether a Space still has a running process, even one that is ending."""
        lease = self.leases.get(repo)
        return lease is not None and lease.thread.is_alive()

    # visitors

    def door(self, subdomain: str) -> Door | None:
        """Return the door of a subdomain, None if no Space has it."""
        for repo in self.hub.repos.list("space"):
            space = self.records.get(repo.id) if host_part(repo.full_name) == subdomain else None
            if space is not None:
                return self._door(repo, space)
        return None

    def _door(self, repo: Repo, space: Space) -> Door:
        return Door(
            key=f"space-{repo.id}",
            title=repo.full_name,
            opens_to=lambda caller: caller.may_read(repo),
            port=space.listens if space.stage is SpaceStage.RUNNING else None,
            pass_key=pass_key(self.hub, repo.id),
            closed=f"{space.stage.value}. {space.error or ''}".strip(),
            waits=space.stage.moving or space.stage is SpaceStage.SLEEPING,
            visited=lambda: self._welcome(repo.id),
        )

    def _welcome(self, repo: int) -> None:
        """Note a visit, and wake the Space if it sleeps."""
        self.visited(repo)
        space, _ = self.known(repo)
        if space.stage is SpaceStage.SLEEPING:
            self.begin(repo, build=False)

    def visited(self, repo: int) -> None:
        """Note that somebody looked at a Space's page."""
        self._visits[repo] = time.monotonic()

    def unvisited_too_long(self, repo: int) -> bool:
        """Return whether a Space should fall asleep."""
        space = self.records.get(repo)
        if space is None or space.sleeps_after is None:
            return False
        return time.monotonic() - self._visits.get(repo, time.monotonic()) > space.sleeps_after

    # the Hub's own life

    def open(self) -> None:
        """Go on with what an earlier process of this Hub left running, so that no Space runs twice.

        Live runs are watched again; the stage of the others is set by how they ended.
        """
        wanted = {space.run: space for space in self.records.all() if space.stage.has_machine}
        for run in found_in(self.machines.runs):
            if run.folder.name.startswith("space-") and run.folder.name not in wanted:
                run.stop(self.machines.conditions.grace)
        for space in self.records.all():
            if space.stage.moving:
                self._resume(space)
        self._sweep(set(wanted))

    def _resume(self, space: Space) -> None:
        run = Run(self.machines.runs / space.run) if space.run else None
        if run is None or not run.started():
            self.begin(space.repo, build=space.stage is SpaceStage.BUILDING)
            return
        lease = self.leases[space.repo] = Lease(self, space.repo, before=None, found=run)
        lease.start()

    def _sweep(self, wanted: set[str | None]) -> None:
        self.machines.runs.mkdir(parents=True, exist_ok=True)
        if self.machines.containers:
            self.machines.containers.sweep(wanted)
        for folder in self.machines.runs.glob("space-*"):
            if folder.name not in wanted and not Run(folder).alive():
                shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Stop every Space, because the Hub ends; each stays so until it is restarted."""
        for space in self.records.all():
            if space.stage.has_machine:
                self.rest(space.repo, SpaceStage.STOPPED)
        for lease in self.leases.values():
            lease.end()
        deadline = time.monotonic() + PATIENCE
        for lease in self.leases.values():
            if lease.thread.is_alive():
                lease.thread.join(max(0.0, deadline - time.monotonic()))
