"""Starts Jobs on machines. Every change of a Job is decided and recorded here, in one transaction.

It knows no HTTP and checks no permissions; shifts do the work afterwards.
"""

from __future__ import annotations

import re
import shutil
import time
from datetime import UTC, datetime
from typing import Any

from localhub.runtime.doors import Door
from localhub.runtime.jobs.records import Job, JobRecords, JobStage, Spec
from localhub.runtime.jobs.shift import Interrupted, Shift
from localhub.runtime.machines import Machines
from localhub.runtime.meter import Tenant
from localhub.runtime.processes import Run, found_in
from localhub.runtime.site import Site

PATIENCE = 30.0
"""Seconds that the Hub, when it ends, waits for its Jobs to end."""

HOST = re.compile(r"([0-9a-f]{24})--(\d+)")


class Dispatcher:
    """All Jobs of a Hub, running or not."""

    def __init__(self, hub: Site, machines: Machines) -> None:
        self.hub = hub
        self.machines = machines
        self.records = JobRecords(hub.store)
        self.shifts: dict[str, Shift] = {}

    def known(self, job: str) -> Job:
        """Return a Job's record, or raise `Interrupted` if there is none."""
        found = self.records.get(job)
        if found is None:
            raise Interrupted
        return found

    def change(
        self, job: str, *, shift: Shift | None = None, at: datetime | None = None, **changes: Any
    ) -> Job:
        """Set fields of a record, start or end its billing to match, and return the record.

        A change by a `shift` that has ended is refused with `Interrupted`.
        """
        with self.hub.store.write():
            if shift is not None and shift.ended.is_set():
                raise Interrupted
            changed = self.known(job).model_copy(update=changes)
            self.records.put(changed)
            running = changed.stage is JobStage.RUNNING
            self.machines.meter.follow(
                Tenant("job", f"{changed.ns}/{changed.id}", changed.ns),
                self.machines.prices.find(changed.spec.flavor, space=False) if running else None,
                at,
            )
        return changed

    def submit(self, ns: str, spec: Spec, initiator: dict[str, str]) -> Job:
        """Record a Job and send it to a machine."""
        job = Job(ns=ns, spec=spec, initiator=initiator)
        with self.hub.store.write():
            self.records.put(job)
            shift = self.shifts[job.id] = Shift(self, job.id)
            self.hub.store.after_commit(shift.thread.start)
        return job

    def cancel(self, job: str, message: str | None = None) -> Job:
        """End a Job; one that has ended already stays as it is."""
        with self.hub.store.write():
            found = self.known(job)
            if found.stage.final:
                return found
            if job in self.shifts:
                self.shifts[job].ended.set()
            return self.change(
                job,
                stage=JobStage.CANCELED,
                message=message,
                finished=datetime.now(UTC),
                run=None,
            )

    def over(self, job: str) -> bool:
        """Return whether a Job has ended and its log is complete."""
        shift = self.shifts.get(job)
        return self.known(job).stage.final and not (shift and shift.thread.is_alive())

    # addresses

    def urls(self, job: Job) -> list[str]:
        """Return the addresses of a Job's exposed ports."""
        ports = job.spec.expose.all() if job.spec.expose else []
        return [f"http://{job.id}--{port}.localhost:{self.hub.port}" for port in ports]

    def door(self, subdomain: str) -> Door | None:
        """Return the door of a subdomain, None if no Job has it."""
        named = HOST.fullmatch(subdomain)
        job = self.records.get(named.group(1)) if named else None
        if job is None or named is None or job.spec.expose is None:
            return None
        port, ns, expose = int(named.group(2)), job.ns, job.spec.expose
        if port not in expose.all():
            return None
        return Door(
            key=f"job-{job.id}-{port}",
            title=f"{ns}/{job.id}",
            opens_to=lambda caller: port in expose.portsPublic or ns in caller.roles,
            port=self._listens(job, port),
            closed=f"{job.stage.value}. {job.message or ''}".strip(),
            waits=not job.stage.final,
        )

    def _listens(self, job: Job, port: int) -> int | None:
        """Return the port of this machine on which a Job's `port` is answered."""
        run = self.running(job.id)
        if run is None or job.spec.expose is None:
            return None
        own = [job.port] if job.port and port == job.spec.expose.all()[0] else []
        return run.listening([port, *own])

    def running(self, job: str) -> Run | None:
        """Return the run of a Job that is at work."""
        shift = self.shifts.get(job)
        return shift.run if shift else None

    # the Hub's own life

    def open(self) -> None:
        """Go on with the Jobs that an earlier process of this Hub left running; none runs twice."""
        wanted = {job.run for job in self.records.unfinished() if job.run}
        for run in found_in(self.machines.runs):
            if run.folder.name.startswith("job-") and run.folder.name not in wanted:
                run.stop(self.machines.conditions.grace)
        for job in self.records.unfinished():
            left = Run(self.machines.runs / job.run) if job.run else None
            shift = Shift(self, job.id, left if left and left.started() else None)
            self.shifts[job.id] = shift
            shift.thread.start()
        self._sweep(wanted)

    def _sweep(self, wanted: set[str]) -> None:
        for folder in self.machines.runs.glob("job-*"):
            if folder.name not in wanted and not Run(folder).alive():
                shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Cancel every Job, because the Hub ends."""
        for job in self.records.unfinished():
            self.cancel(job.id, "The Hub was stopped")
        deadline = time.monotonic() + PATIENCE
        for shift in self.shifts.values():
            if shift.thread.is_alive():
                shift.thread.join(max(0.0, deadline - time.monotonic()))
