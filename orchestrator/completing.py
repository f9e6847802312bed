"""What a shell offers after Tab: flags and their values, jobs, tasks, machines, files.

Nobody is asked over a network: machines are those of when their providers were last asked. Where
something is wrong nothing is offered, since a message would stand in the middle of what is typed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
)

if TYPE_CHECKING:
    from orchestrator.jobs.glance import Glance
    from worker.params import Setting
    from worker.task import Task

Item = CompletionItem[str]

_TYPEABLE = re.compile(r"[\w.-]+")
"""A name that stands for itself in every shell."""


class _Quiet(ShellComplete):
    """Offers nothing where something is wrong."""

    def get_completions(self, args: list[str], incomplete: str) -> list[Item]:
        with suppress(Exception):
            return super().get_completions(args, incomplete)
        return []


class Bash(_Quiet, BashComplete):
    """Bash, which takes `--lr=3` for three words, and `space://ann/bot` for as many."""

    _before = ""
    """What of the word stands before its last colon: bash puts an answer behind that."""

    def get_completion_args(self) -> tuple[list[str], str]:
        args, incomplete = super().get_completion_args()
        words = [""]
        for word in [*args, *filter(None, [incomplete])]:
            if word == ":" or words[-1].endswith(":"):
                words[-1] += word
            else:
                words.append(word)
        whole = words.pop() if incomplete else ""
        self._before = whole[: whole.rfind(":") + 1]
        return [word for word in words[1:] if word != "="], whole

    def format_completion(self, item: Item) -> str:
        item.value = item.value.removeprefix(self._before)
        return super().format_completion(item)


class Zsh(_Quiet, ZshComplete):
    """Zsh."""


class Fish(_Quiet, FishComplete):
    """Fish."""


SHELLS: dict[str, type[ShellComplete]] = {one.name: one for one in (Bash, Zsh, Fish)}


def variable(program: str) -> str:
    """Return the variable by which a shell asks this program what to offer."""
    return f"_{program}_COMPLETE".upper()


def script(shell: str, program: str) -> str:
    """Return what a shell has to read to ask this program."""
    return SHELLS[shell](click.Command(program), {}, program, variable(program)).source()


def register() -> None:
    """Let click answer shells by these classes."""
    for one in SHELLS.values():
        add_completion_class(one)


def beginning(incomplete: str, names: Iterable[tuple[str, str]]) -> list[Item]:
    """Return the names that begin so, each with what it is."""
    return [Item(name, help=about or None) for name, about in names if name.startswith(incomplete)]


def values(setting: Setting, incomplete: str) -> list[Item]:
    """Return what may be given for a setting: its choices, machines, or, of a text, files."""
    if setting.choices:
        return beginning(incomplete, ((choice, "") for choice in setting.choices))
    if offered := {"backend": _machines, "deploy_backend": _places}.get(setting.name):
        return beginning(incomplete, offered())
    return [Item(incomplete, type="file")] if setting.type is str else []


def _machines() -> Iterator[tuple[str, str]]:
    import backends
    from orchestrator.machine_cache import known

    kinds = map(backends.load, backends.names())
    named = {name: "" for one in kinds for name in (one.name, *one.aliases, *_short(one))}
    yield from {**named, **known()}.items()


def _places() -> Iterator[tuple[str, str]]:
    import backends.deploy

    for one in map(backends.deploy.load, backends.deploy.names()):
        yield from ((name, "") for name in (one.name, *_short(one)))


def _short(one: Any) -> Iterator[str]:
    return (f"{one.name}-{short}" for short in one.short_names)


def tasks(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Item]:
    """Return the names of what can be trained."""
    from orchestrator.samples import kinds

    return beginning(incomplete, ((kind.name, kind.task.help) for kind in kinds()))


def jobs(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Item]:
    """Return jobs by their ids and their projects, the newest first, sweeps and deployments."""
    known = _known()
    return beginning(incomplete, (*_named(known), *_swept(known), *_deployed()))


def running(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Item]:
    """Return the jobs that have not ended, sweeps that have such a job, and deployments."""
    going = [job for job in _known() if not job.final]
    return beginning(incomplete, (*_named(going), *_swept(going), *_deployed()))


def resumable(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Item]:
    """Return the jobs that can be gone on with."""
    return beginning(incomplete, _named([job for job in _known() if job.resumable]))


def sweeps(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Item]:
    """Return sweeps by their names."""
    return beginning(incomplete, _swept(_known()))


def models(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Item]:
    """Return the jobs that made a model, and files: it may be a folder."""
    made = [job for job in _known() if job.state == "succeeded"]
    return [*beginning(incomplete, _named(made)), Item(incomplete, type="file")]


def _known() -> list[Glance]:
    from orchestrator.jobs.client import Client

    return Client().glances()


def _named(found: list[Glance]) -> Iterator[tuple[str, str]]:
    yield from ((job.job_id, f"{job.project}, {job.state}") for job in found)
    projects = {job.project: f"{job.job_id}, {job.state}" for job in reversed(found)}
    yield from ((name, about) for name, about in projects.items() if _TYPEABLE.fullmatch(name))
    if found:
        yield "latest", f"{found[0].job_id}, {found[0].project}"


def _swept(found: list[Glance]) -> Iterator[tuple[str, str]]:
    """Yield sweeps by their names, each with how many of its jobs are among those found."""
    jobs = Counter(job.sweep for job in found if job.sweep)
    for name, count in jobs.items():
        if _TYPEABLE.fullmatch(name):
            yield name, f"sweep, {count} job{'s' * (count != 1)}"


def _deployed() -> Iterator[tuple[str, str]]:
    """Yield deployments by their handles and their names."""
    from orchestrator.jobs.client import Client

    client = Client()
    for one in client.deployments.all() if client.has_deployed else ():
        yield str(one.handle), one.model
        yield one.handle.path.rpartition("/")[2], f"{one.model}, deployed"


def task_of_job(name: str) -> Task[Any] | None:
    """Return the task of a job by its id, the start of it, or its project; none if none is so."""
    import worker.tasks

    of_name = (job for job in _known() if job.job_id.startswith(name) or job.project == name)
    job = next(of_name, None)
    return worker.tasks.load(job.task) if job and name else None


def get_completions(command: click.Command, words: list[str], incomplete: str) -> list[Item]:
    """Return what may come behind the `words` of a command."""
    return ShellComplete(command, {}, "", "").get_completions(words, incomplete)
