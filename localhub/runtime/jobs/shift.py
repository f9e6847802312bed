"""Runs one Job in its own thread: each attempt, from waiting for a machine to the end."""

from __future__ import annotations

import logging
import shutil
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from localhub.clock import stamp
from localhub.errors import Refusal, repo_not_found
from localhub.runtime.jobs.records import Job, JobStage
from localhub.runtime.machines import Machines
from localhub.runtime.mounts import Mount
from localhub.runtime.prices import Flavor
from localhub.runtime.processes import (
    Ending,
    Order,
    Run,
    clean_environment,
    free_port,
    lay_out,
    owner_only,
)
from localhub.runtime.site import Site
from localhub.runtime.spaces.build import BuildFailure, Built, build
from localhub.runtime.spaces.readme import FrontMatter
from localhub.runtime.volumes import laid_out, mounted, relocated

LOOK = 0.1
"""Seconds between two looks at a Job."""

STARTED = "===== Job started at "
"""Beginning of the line that clients leave out when they show a log."""

DEAF = [sys.executable, "-c", "raise SystemExit('the Job has no command')"]


class Interrupted(Exception):
    """The Job has been cancelled, or the Hub ends: its thread has to stop."""


class Recorder(Protocol):
    """What a shift asks of the dispatcher that made it; each change is decided there."""

    hub: Site
    machines: Machines

    def known(self, job: str) -> Job:
        """Return a Job's record, or raise `Interrupted` if there is none."""

    def change(
        self, job: str, *, shift: Shift | None = None, at: datetime | None = None, **changes: Any
    ) -> Job:
        """Set fields of a record; refused with `Interrupted` if the shift has ended."""


class Shift:
    """The thread that runs one Job. `found` is a run that an earlier Hub process started."""

    def __init__(self, dispatcher: Recorder, job: str, found: Run | None = None) -> None:
        self.dispatcher = dispatcher
        self.hub = dispatcher.hub
        self.machines = dispatcher.machines
        self.job = job
        self.run = found
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._work, name=f"job-{job}", daemon=True)

    def _work(self) -> None:
        try:
            while not self._attempt():
                self.run = None
        except Interrupted:
            return
        except (BuildFailure, Refusal) as failure:
            self._finish(JobStage.ERROR, str(failure) or "The Space has no Dockerfile")
        except Exception as error:
            logging.getLogger(__name__).exception("job %s", self.job)
            self._finish(JobStage.ERROR, f"The Hub could not run it: {error}")

    def _say(self, *, at: datetime | None = None, **changes: Any) -> Job:
        return self.dispatcher.change(self.job, shift=self, at=at, **changes)

    def _finish(self, stage: JobStage, message: str | None, at: datetime | None = None) -> None:
        at = at or datetime.now(UTC)
        try:
            self._say(at=at, stage=stage, message=message, finished=at, run=None)
        except Interrupted:
            return

    def _attempt(self) -> bool:
        """Try once; return whether the Job has come to its end."""
        run = self.run = self.run or self._start()
        mounts: list[Mount] = []
        try:
            volumes = self.dispatcher.known(self.job).spec.volumes
            mounts = mounted(self.hub, volumes, run.folder / "mnt")
            return self._watch(run, mounts)
        finally:
            run.stop(self.machines.conditions.grace)
            for mount in mounts:
                mount.sync()
            run.discard()

    # starting

    def _start(self) -> Run:
        if self.ended.wait(self.machines.conditions.scheduling_seconds):
            raise Interrupted
        folder = self.machines.new_run(f"job-{self.job}")
        try:
            return self._start_in(folder)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def _start_in(self, folder: Path) -> Run:
        job = self.dispatcher.known(self.job)
        flavor = self.machines.prices.find(job.spec.flavor, space=False)
        assert flavor is not None
        lay_out(folder)
        built = self._image(job, folder / "app")
        places = laid_out(self.hub, job.spec.volumes, folder / "mnt")
        log = self.machines.log(f"job-{self.job}")
        job = self._say(
            stage=JobStage.RUNNING,
            message=None,
            run=folder.name,
            port=free_port(),
            started=job.started or datetime.now(UTC),
        )
        log.write(f"{STARTED}{stamp(datetime.now(UTC))} =====")
        environment = self._environment(job, flavor, built, folder)
        order = Order(
            argv=[relocated(word, places) for word in self._argv(job, built, folder)],
            environment={key: relocated(value, places) for key, value in environment.items()},
            log=owner_only(log.path),
            memory=flavor.memory_limit,
            **self.machines.patience(),
        )
        return Run.start(folder, order)

    def _image(self, job: Job, app: Path) -> Built:
        """Return what the Job's image contains: the Space's files, or nothing."""
        if job.spec.spaceId is None:
            return Built(FrontMatter(sdk="docker"), [])
        repo = self.hub.repos.find("space", job.spec.spaceId)
        if repo is None:
            raise repo_not_found(anonymous=False)
        self.hub.content.checkout(repo.id, self.hub.content.sha(repo.id, "main"), app)
        return build(app, job.spec.environment, lambda *_: None)

    @staticmethod
    def _argv(job: Job, built: Built, folder: Path) -> list[str]:
        given = [*(job.spec.command or []), *job.spec.arguments]
        return Built(built.config, given or built.argv or DEAF, workdir=built.workdir).here(
            folder / "app"
        )[0]

    def _environment(self, job: Job, flavor: Flavor, built: Built, folder: Path) -> dict[str, str]:
        _, image = built.here(folder / "app")
        return {
            **image,
            **job.spec.environment,
            **job.spec.secrets,
            **clean_environment(folder, image.get("PATH", "")),
            **self.machines.described(flavor),
            "JOB_ID": job.id,
            "HF_ENDPOINT": self.hub.endpoint,
            "GRADIO_SERVER_NAME": "127.0.0.1",
            "GRADIO_SERVER_PORT": str(job.port),
        }

    # watching

    def _watch(self, run: Run, mounts: list[Mount]) -> bool:
        """Wait until the run ends; return whether the Job has ended with it."""
        job = self.dispatcher.known(self.job)
        started = job.started or datetime.now(UTC)
        deadline = started + timedelta(seconds=job.spec.timeoutSeconds)
        while (ending := run.ending()) is None:
            if self.ended.wait(LOOK):
                raise Interrupted
            for mount in mounts:
                mount.look()
            if datetime.now(UTC) > deadline:
                self._finish(JobStage.ERROR, "Job timeout")
                return True
        if self.ended.is_set():
            raise Interrupted
        for mount in mounts:  # whoever hears that it has ended finds what it wrote
            mount.sync()
        return self._told(job, ending)

    def _told(self, job: Job, ending: Ending) -> bool:
        if ending.code == 0:
            self._finish(JobStage.COMPLETED, None, ending.at)
            return True
        reason = ending.reason or "Error"
        message = f"Job failed with exit code: {ending.code}. Reason: {reason}"
        if job.attempt >= job.spec.attempts:
            self._finish(JobStage.ERROR, message, ending.at)
            return True
        self._say(
            at=ending.at,
            stage=JobStage.SCHEDULING,
            message=message,
            attempt=job.attempt + 1,
            run=None,
        )
        return False
