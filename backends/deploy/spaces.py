"""Hugging Face Spaces: a page on which a model answers, made of the image that jobs run in.

The Space is made on free hardware and the paid machine is requested last. A variable marks it as
ours; its name is all that is needed to find it again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.resources import files as package_files
from typing import TYPE_CHECKING, Any, TypeVar

from backends.base import Flavor, OnProgress, Status, silent
from backends.deploy.base import Deployed, DeployOrder, Place
from backends.errors import JobGone, LaunchFailed, PlanRefused
from backends.handle import Handle
from backends.image import image_files
from backends.spaces import Spaces as JobSpaces
from backends.spaces import logs, status_of
from backends.spaces.launch import blobs, delete, once, pairs
from backends.spaces.request import FREE, PAGE_PORT, SPACE_NAME, TAG, SpaceFile
from worker.clock import Clock
from worker.contract import DEPLOYMENT_FILE
from worker.errors import HubtrainError, HubUnreachable, NotThere
from worker.hubclient import explained, hub, patiently
from worker.markdown import FILTERS

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import SpaceInfo

T = TypeVar("T")

VARIABLE = "HUBTRAIN_DEPLOYMENT"
"""The variable of a Space that says which model it serves."""

DEPLOYMENT_TAG = "hubtrain-deployment"
SECRET = "HF_TOKEN"

_DOWN = {"PAUSED", "STOPPED", "SLEEPING", "RUNTIME_ERROR", "BUILD_ERROR", "CONFIG_ERROR"}
"""Stages from which a Space does not come back because its settings changed."""


@dataclass(frozen=True, slots=True, repr=False)
class SpaceDeployment:
    """A Space that serves one model."""

    repo_id: str
    model: str
    private: bool
    flavor: str
    usd_per_hour: float
    sleep_seconds: int | None
    """Silence after which the Hub puts it to sleep; none leaves the Hub's own rule."""

    needs_token: bool
    files: tuple[SpaceFile, ...]

    @property
    def variables(self) -> dict[str, str]:
        return {VARIABLE: self.model}

    @property
    def steps(self) -> tuple[str, ...]:
        """What `send` does, in order."""
        size = f"{sum(len(f.content) for f in self.files) / 1000:.0f} kB"
        kind = "private" if self.private else "public"
        secret = f" and the secret {SECRET}, a token that reads the model" * self.needs_token
        steps = [
            f"create the {kind} Space {self.repo_id} on {FREE}, marked {VARIABLE}={self.model}"
            f"{secret}; or update the one that is there",
            f"commit {len(self.files)} files, {size}",
        ]
        if self.flavor != FREE:
            asleep = f"asleep after {(self.sleep_seconds or 0) / 60:.0f} min without a visitor"
            steps.append(f"request {self.flavor} at ${self.usd_per_hour:.2f}/h, {asleep}")
        return tuple(steps)

    def __repr__(self) -> str:
        steps = (f"  {n}. {step}" for n, step in enumerate(self.steps, 1))
        return "\n".join([f"Space {self.repo_id}", *steps])

    def to_json(self) -> dict[str, Any]:
        """Return the same as plain data, for `--json`."""
        return {
            "repo_id": self.repo_id,
            "model": self.model,
            "private": self.private,
            "flavor": self.flavor,
            "usd_per_hour": self.usd_per_hour,
            "sleep_seconds": self.sleep_seconds,
            "variables": self.variables,
            "steps": list(self.steps),
            "files": [
                {"path": f.path, "bytes": len(f.content), "sha256": f.sha256} for f in self.files
            ],
        }


class Spaces(Place[SpaceDeployment]):
    """A Space with a page: a chat, or a form."""

    name = "spaces"
    scheme = "space"
    noun = "Space"
    needs = JobSpaces.needs
    usual_flavor = FREE
    short_names = JobSpaces.short_names

    @property
    def api(self) -> HfApi:
        """The Hub, as the owner of the token."""
        return hub(self.token)

    def flavors(self, owner: str) -> list[Flavor]:
        """Return what the Hub rents out for Spaces: the same to everybody."""
        return JobSpaces(self.token, self.clock).flavors()

    def default_name(self, model: str) -> str:
        """Return the model's name with a word for what it does there."""
        return f"{model.rsplit('/', maxsplit=1)[-1]}-chat"

    def rests(self, order: DeployOrder) -> str:
        """Return when the Space goes to sleep: on free hardware the Hub decides."""
        if order.flavor.name == FREE:
            return "asleep after 48 h without a visitor, awake again with the next one"
        minutes = order.sleep_seconds / 60
        return f"asleep and free after {minutes:g} min without a visitor, until the next one comes"

    def plan(self, order: DeployOrder) -> SpaceDeployment:
        """Return the Space that serves the model."""
        if not SPACE_NAME.fullmatch(order.name):
            raise PlanRefused(
                f"{order.name!r} cannot be the name of a Space: letters, digits, '-', '_' and '.',"
                " at most 96, beginning and ending with a letter or digit.",
                fix="--deploy-name with another one",
            )
        paid = order.flavor.name != FREE
        return SpaceDeployment(
            repo_id=order.path,
            model=order.deployment.model.name,
            private=order.private,
            flavor=order.flavor.name,
            usd_per_hour=order.flavor.usd_per_hour,
            sleep_seconds=order.sleep_seconds if paid else None,
            needs_token=order.needs_token,
            files=tuple(_files(order)),
        )

    def send(
        self,
        request: SpaceDeployment,
        secrets: Mapping[str, str],
        on_progress: OnProgress = silent,
    ) -> Handle:
        """Make the Space, or bring it up to date."""
        wanted = {SECRET: secrets[SECRET]} if request.needs_token else {}
        _Sending(self.api, request, wanted, self.clock, on_progress).run()
        return Handle(self.scheme, request.repo_id)

    def look(self, handle: Handle) -> Deployed:
        """Ask the Hub about the Space."""
        try:
            info = patiently(
                f"asking about {handle}", lambda: self.api.space_info(handle.path), self.clock
            )
        except NotThere as gone:
            raise JobGone(
                f"the Hub has no Space {handle.path}, or shows it to others alone."
            ) from gone
        return self._deployed(info)

    def last_words(self, handle: Handle) -> Iterator[str]:
        """Yield what its build and its program wrote."""
        yield from logs.read(handle.path, self.token, build=True)
        yield from logs.read(handle.path, self.token)

    def pause(self, handle: Handle) -> None:
        """Pause the Space, if it is ours."""
        if self._is_ours(handle):
            patiently(
                f"pausing {handle.path}", lambda: self.api.pause_space(handle.path), self.clock
            )

    def remove(self, handle: Handle) -> None:
        """Delete the Space, if it is ours."""
        if self._is_ours(handle):
            delete(self.api, handle.path, self.clock)

    def sweep(self, owner: str) -> list[Deployed]:
        """Return the Spaces of `owner` that are tagged as deployments."""
        found = patiently(
            f"listing the Spaces of {owner}",
            lambda: list(self.api.list_spaces(author=owner, expand=["tags", "runtime"])),
            self.clock,
        )
        ours = (space for space in found if DEPLOYMENT_TAG in (space.tags or []))
        return [self._deployed(space) for space in ours]

    def _deployed(self, space: SpaceInfo) -> Deployed:
        status: Status = status_of(space)
        runtime = space.runtime
        flavor = (runtime.requested_hardware or runtime.hardware) if runtime else None
        model = model_of(self.api, space.id, self.clock) or "?"
        ready = status.stage == "RUNNING"
        return Deployed(Handle(self.scheme, space.id), model, str(flavor or FREE), status, ready)

    def _is_ours(self, handle: Handle) -> bool:
        """Look whether it is there. Raises `LaunchFailed` if hubtrain did not make it."""
        return model_of(self.api, handle.path, self.clock) is not None


class _Sending:
    """One `send`: every step looks before it acts, so that what was cut short is completed."""

    def __init__(
        self,
        api: HfApi,
        request: SpaceDeployment,
        secrets: Mapping[str, str],
        clock: Clock,
        on_progress: OnProgress,
    ) -> None:
        self.api, self.request, self.secrets = api, request, secrets
        self.clock, self.on_progress = clock, on_progress
        self.made = False

    def run(self) -> None:
        """Do what is not done yet; a Space that this call made is removed where it fails."""
        try:
            self._run()
        except BaseException as error:
            if self.made:
                delete(self.api, self.request.repo_id, self.clock)
            if self.made and isinstance(error, HubtrainError):
                text = f"{error.message} The Space {self.request.repo_id} was removed again."
                raise LaunchFailed(text, fix=error.fix, reason=error.reason) from error
            raise

    def _run(self) -> None:
        request = self.request
        if self._there():
            self.on_progress("updating the Space", None)
            self._update()
        else:
            self.on_progress("creating the Space", None)
            self._once(self._create, self._there)
        changed = not self._has_files()
        if changed:
            self.on_progress(f"sending {len(request.files)} files", None)
            self._once(self._commit, self._has_files)
        self._rent()
        if not self.made and self._stage() in _DOWN:
            self.on_progress("starting the Space", None)
            self._ask(lambda: self.api.restart_space(request.repo_id, factory_reboot=changed))

    def _there(self) -> bool:
        return model_of(self.api, self.request.repo_id, self.clock) is not None

    def _create(self) -> None:
        from huggingface_hub import SpaceHardware

        self.made = True
        try:
            with explained(f"creating the Space {self.request.repo_id}"):
                self.api.create_repo(
                    self.request.repo_id,
                    repo_type="space",
                    space_sdk="docker",
                    private=self.request.private,
                    space_hardware=SpaceHardware(FREE),
                    space_variables=pairs(self.request.variables),
                    space_secrets=pairs(self.secrets),
                )
        except HubUnreachable:  # perhaps it was made all the same
            raise
        except HubtrainError:
            self.made = False
            raise

    def _update(self) -> None:
        """Bring what visitors may see, and what the Space may read, up to date."""
        repo, wanted = self.request.repo_id, self.request
        info = self._ask(lambda: self.api.space_info(repo))
        if bool(info.private) != wanted.private:
            self._ask(
                lambda: self.api.update_repo_settings(
                    repo, private=wanted.private, repo_type="space"
                )
            )
        if self._ask(lambda: self.api.get_space_variables(repo))[VARIABLE].value != wanted.model:
            self._ask(lambda: self.api.add_space_variable(repo, VARIABLE, wanted.model))
        for name, value in self.secrets.items():
            self._ask(partial(self.api.add_space_secret, repo, name, value))
        there = self._ask(lambda: self.api.get_space_secrets(repo))
        for name in there.keys() & {SECRET} - self.secrets.keys():
            self._ask(partial(self.api.delete_space_secret, repo, name))

    def _commit(self) -> None:
        from huggingface_hub import CommitOperationAdd

        with explained(f"sending files to {self.request.repo_id}"):
            self.api.create_commit(
                self.request.repo_id,
                [CommitOperationAdd(f.path, f.content) for f in self.request.files],
                repo_type="space",
                commit_message=f"Serve {self.request.model}",
            )

    def _has_files(self) -> bool:
        there = self._ask(lambda: blobs(self.api, self.request.repo_id))
        return all(there.get(f.path) == f.blob_id for f in self.request.files)

    def _rent(self) -> None:
        """Request the machine, and when it is to sleep, where they are not as they should be."""
        repo, flavor, sleep = self.request.repo_id, self.request.flavor, self.request.sleep_seconds
        runtime = self._ask(lambda: self.api.get_space_runtime(repo))
        if flavor not in {runtime.requested_hardware, runtime.hardware}:
            self.on_progress(f"requesting {flavor}", None)
            self._ask(
                lambda: self.api.request_space_hardware(
                    repo,
                    flavor,  # type: ignore[arg-type]  # the Hub has more than the enum
                    sleep_time=sleep,
                )
            )
        elif sleep is not None and runtime.sleep_time != sleep:
            self._ask(lambda: self.api.set_space_sleep_time(repo, sleep))

    def _stage(self) -> str:
        return str(self._ask(lambda: self.api.get_space_runtime(self.request.repo_id)).stage)

    def _once(self, act: Callable[[], None], done: Callable[[], bool]) -> None:
        once(f"making {self.request.repo_id}", act, done, self.clock)

    def _ask(self, ask: Callable[[], T]) -> T:
        return patiently(f"making {self.request.repo_id}", ask, self.clock)


def model_of(api: HfApi, repo_id: str, clock: Clock) -> str | None:
    """Return which model a Space of ours serves; none if there is no such Space.

    Raises `LaunchFailed` for one that hubtrain did not make.
    """
    try:
        there = patiently(
            f"looking for the Space {repo_id}", lambda: api.get_space_variables(repo_id), clock
        )
    except NotThere:
        return None
    if VARIABLE not in there:
        raise LaunchFailed(
            f"the Space {repo_id} was not made by `hubtrain deploy`, and is left alone.",
            fix="--deploy-name with another one",
        )
    return str(there[VARIABLE].value)


def _files(order: DeployOrder) -> Iterator[SpaceFile]:
    deployment = order.deployment
    template = (package_files("space_template") / "deployment.md").read_text("utf-8")
    made = {
        "README.md": _readme(order, template).encode(),
        DEPLOYMENT_FILE: (deployment.model_dump_json(indent=2) + "\n").encode(),
        **image_files(order.extras, order.flavor.accelerators),
    }
    return (SpaceFile(path, made[path]) for path in sorted(made))


def _readme(order: DeployOrder, template: str) -> str:
    from jinja2 import Environment, StrictUndefined

    page = Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)
    page.filters |= FILTERS
    models = (order.deployment.model, order.deployment.base)
    return page.from_string(template).render(
        title=order.name,
        port=PAGE_PORT,
        flavor=order.flavor.name,
        tags=(TAG, DEPLOYMENT_TAG),
        models=[model.name for model in models if model],
        handle=Handle(Spaces.scheme, order.path),
    )


PLACE = Spaces
