"""Slurm: a batch job per job, submitted on this machine or through `ssh` on a login node.

Several together are tasks of one job array. Everything of a job lies in one folder of the cluster's
shared file system: worker, spec, script, log, and how it ended. So a job is known when Slurm has
forgotten it, which without accounting takes five minutes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import islice
from typing import Any

from backends.base import Backend, Flavor, Found, OnProgress, Status, silent, spec_in
from backends.batch_launch import Together
from backends.errors import BackendError, JobGone, LaunchFailed
from backends.handle import Handle
from backends.packages import installed, refuse_lacking
from backends.slurm import logs
from backends.slurm.array import Array
from backends.slurm.cluster import Cluster, Gone, NoSlurm
from backends.slurm.flavors import Ask, flavors, nodes_of
from backends.slurm.launch import payload
from backends.slurm.options import SlurmOptions
from backends.slurm.request import NAME, SlurmRequest, job_id_in, plan
from backends.slurm.states import status_of
from worker.clock import Clock
from worker.contract import JobSpec
from worker.errors import HubUnreachable

HOST = "HUBTRAIN_SLURM_HOST"
"""Environment of the laptop: the login node of commands that are about no single job."""

ALONE = "`hubtrain rm` the sweep, then the same with --slurm-array 1: each is submitted by itself."


class Slurm(Backend[SlurmRequest], Together):
    """Batch jobs of this user, found again by their folders."""

    name = "slurm"
    noun = "Slurm job"
    bills = False
    on_hub = False
    options = SlurmOptions

    def __init__(self, token: str | None = None, clock: Clock | None = None) -> None:
        super().__init__(token, clock)
        self.asked = SlurmOptions(slurm_host=os.environ.get(HOST) or None)
        self.chooses = False

    def having(self, options: Any, flavor: str | None) -> Slurm:
        """Return the Slurm of the login node that is asked for."""
        one = Slurm(self.token, self.clock)
        one.asked, one.chooses = options, flavor is None
        return one

    @property
    def sees_my_files(self) -> bool:  # type: ignore[override]
        """Whether this machine submits: its files are then those of the nodes."""
        return self.asked.slurm_host is None

    @property
    def keeps_disk(self) -> bool:  # type: ignore[override]
        """Whether a model is kept without the Hub: `rm` takes the folder behind a login node."""
        return self.sees_my_files

    def flavors(self) -> list[Flavor]:
        """Return the partitions, the default one first, and shares of the GPUs of their nodes.

        Where a job names no machine, those of its partition that it may be given: no more GPUs than
        it asks for, and not more than one unasked.
        """
        cluster = Cluster(self.asked.slurm_host)
        nodes = nodes_of(cluster.do("machines", seconds=20).decode())
        found = flavors(nodes, self.asked.slurm_gpu_memory)
        if not self.chooses:
            return found
        return [flavor for flavor in found if self._may_be(Ask.of(flavor.name), found)]

    def _may_be(self, ask: Ask, found: list[Flavor]) -> bool:
        kind, gpus = self.asked.gpus
        partition = self.asked.slurm_partition or Ask.of(found[0].name).partition
        if ask.partition != partition:
            return False
        return ask.gpus == gpus and kind in {None, ask.kind} if gpus else ask.gpus <= 1

    def given(self, flavor: Flavor, options: Any) -> Flavor:
        """Return the memory and the cores that a job asks for, else all there are, of its nodes."""
        asked: SlurmOptions = options
        nodes = asked.slurm_nodes
        return replace(
            flavor,
            memory_bytes=(asked.memory_bytes or flavor.memory_bytes) * nodes,
            cpus=(asked.slurm_cpus or flavor.cpus) * nodes,
            accelerators=flavor.accelerators * nodes,
            vram_bytes=flavor.vram_bytes * nodes,
            nodes=nodes,
        )

    def require(self, extras: tuple[str, ...]) -> None:
        """Refuse while the Python that runs hubtrain, and is to train, lacks a package."""
        if self.sees_my_files and not self.asked.slurm_python:
            refuse_lacking(extras, "or name another environment with --slurm-python")

    def versions(self, names: Iterable[str], accelerators: int) -> Mapping[str, str]:
        """Return those of the Python that trains: unknown where another is named."""
        if self.asked.slurm_python:
            return {}
        here = self.sees_my_files
        return installed(names) if here else super().versions(names, accelerators)

    def plan(self, job: JobSpec) -> SlurmRequest:
        """Return the Slurm job that runs `job`."""
        return plan(job)

    def launch(
        self, request: SlurmRequest, secrets: Mapping[str, str], on_progress: OnProgress = silent
    ) -> Handle:
        """Send the job's folder and submit its script, unless that has been done."""
        on_progress(f"submitting {request.name} on {request.cluster.where}", None)
        sent = payload(request, secrets)
        with _launching("the job"):
            told = request.cluster.do("submit", request.folder, request.name, given=sent)
        return _handle(request, told)

    @property
    def most(self) -> int:
        """How many jobs an array takes: what is asked for, or less where the cluster takes less."""
        asked = self.asked.slurm_array
        with suppress(BackendError, HubUnreachable, ValueError):
            largest = int(Cluster(self.asked.slurm_host).do("largest", seconds=20))
            return max(1, min(asked, largest))
        return asked

    def launch_all(
        self,
        requests: Sequence[SlurmRequest],
        secrets: Mapping[str, str],
        at_once: int,
        on_progress: OnProgress = silent,
    ) -> list[Handle]:
        """Send the folders of jobs and submit one job array of those that are not submitted."""
        array = Array(requests)
        where = requests[0].cluster
        on_progress(f"submitting {len(requests)} jobs as one array on {where.where}", None)
        about = (array.folder, array.name, str(at_once), *array.job_ids)
        with _launching("the jobs", ALONE):
            told = where.do("array", *about, given=array.payload(secrets))
        lines = told.splitlines()
        return [_handle(one, line) for one, line in zip(requests, lines, strict=True)]

    def find(self, request: SlurmRequest) -> Handle | None:
        """Look for the job in its folder, then in Slurm by its name."""
        with suppress(Gone):
            told = request.cluster.do("find", request.folder, request.name)
            return _handle(request, told) if told.strip() else None
        return None

    def status(self, handle: Handle) -> Status:
        """Ask Slurm, and its folder where Slurm has forgotten it."""
        return status_of(_in_folder(handle, "look").decode(errors="replace"))

    def logs(self, handle: Handle, *, skip: int = 0, follow: bool = False) -> Iterator[str]:
        """Yield what the job writes; following survives a login node that is away."""
        cluster, folder = _where(handle)
        if follow:
            alive = lambda: self.look(handle).alive  # noqa: E731
            lines = logs.follow(cluster, folder, alive, self.clock)
        else:
            lines = logs.read(cluster, folder)
        with suppress(Gone):
            yield from islice(lines, skip, None)

    def page(self, handle: Handle, url: str) -> str | None:
        """Return none: a page on a node is not seen from here."""
        return None

    def recall(self, handle: Handle) -> JobSpec:
        """Read the job from its folder."""
        return spec_in(_in_folder(handle, "spec"), str(handle))

    def cancel(self, handle: Handle) -> None:
        """Ask Slurm to end the job; the worker stops its trainer itself."""
        with suppress(JobGone):
            _in_folder(handle, "cancel")

    def remove(self, handle: Handle) -> None:
        """End the job at once and delete its folder; a model kept elsewhere stays."""
        with suppress(JobGone):
            _in_folder(handle, "drop")

    def clear(self, request: SlurmRequest) -> None:
        """Delete the job's folder if nothing was submitted from it."""
        with suppress(Gone):
            request.cluster.do("clear", request.folder, request.name)

    def sweep(self, owner: str) -> list[Found]:
        """Return our jobs that the Slurm of this machine, or of $HUBTRAIN_SLURM_HOST, still has."""
        host = self.asked.slurm_host
        try:
            told = Cluster(host).do("ours", seconds=20).decode()
        except NoSlurm:
            return []
        rows = (line.split("|", 3) for line in told.splitlines())
        return [
            Found(
                Handle(self.name, f"{host or ''}{folder}"),
                name.removeprefix(NAME),
                status_of(f"number={number}\nstate={state}\n"),
            )
            for name, number, state, folder in rows
            if job_id_in(folder) == name.removeprefix(NAME)
        ]


@contextmanager
def _launching(what: str, fix: str = "") -> Iterator[None]:
    """Raise what was refused meanwhile as `LaunchFailed`."""
    try:
        yield
    except BackendError as error:
        refused = f"Slurm refused {what}: " if type(error) is BackendError else ""
        raise LaunchFailed(f"{refused}{error.message}", fix=error.fix or fix) from error


def _handle(request: SlurmRequest, told: bytes) -> Handle:
    _, folder = told.decode().strip().split(maxsplit=1)
    return Handle(Slurm.name, f"{request.options.slurm_host or ''}{folder}")


def _where(handle: Handle) -> tuple[Cluster, str]:
    """Return cluster and folder of a job. Raises `JobGone` for what cannot be one."""
    host, slash, folder = handle.path.partition("/")
    try:
        checked = SlurmOptions(slurm_host=host or None)
    except ValueError as error:
        raise JobGone(f"{host!r} is no host of {handle}.") from error
    if not slash or ".." in folder.split("/"):
        raise JobGone(f"{handle} is no job of Slurm.")
    return Cluster(checked.slurm_host), f"/{folder}"


def _in_folder(handle: Handle, verb: str) -> bytes:
    """Do a verb in a job's folder. Raises `JobGone` where there is none."""
    cluster, folder = _where(handle)
    try:
        return cluster.do(verb, folder)
    except Gone as error:
        raise JobGone(f"{cluster.where} has no job in {folder}.") from error


BACKEND = Slurm
