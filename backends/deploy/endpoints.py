"""Inference Endpoints: a model behind an address of its own, on machines that scale to zero.

What can be rented, and its price, the service itself says. Creating one costs from then on, and is
one call, so it is the last thing that is done. A tag marks an endpoint as ours.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from backends.base import Flavor, OnProgress, Status, silent
from backends.deploy.base import SECRET, Deployed, DeployOrder, Place
from backends.errors import BackendError, JobGone, LaunchFailed, PlanRefused
from backends.handle import Handle
from backends.hub.files import once
from worker.errors import NotThere
from worker.hubclient import REAL_HUB, endpoint, explained, hub, patiently

if TYPE_CHECKING:
    from huggingface_hub import HfApi, InferenceEndpoint
    from huggingface_hub._inference_endpoints import InferenceEndpointHardware

T = TypeVar("T")

TAG = "hubtrain"

LONGEST_NAME = 32
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")

_RENTED = {"available", "low_availability"}
_KINDS = {"cpu", "gpu"}
"""Accelerators on which a model runs as it is stored; others need one compiled for them."""

_READY = {"running", "scaledToZero"}
_ENDED = {"failed", "updateFailed", "paused"}
_UNBILLED = {"pending", "paused", "scaledToZero", "failed"}


@dataclass(frozen=True, slots=True, repr=False)
class EndpointRequest:
    """An endpoint that answers with one model."""

    namespace: str
    name: str
    repository: str
    revision: str | None
    task: str
    hardware: str
    """Id of the machine, as in `aws-us-east-1-nvidia-l4-x1`."""

    usd_per_hour: float
    compute: Mapping[str, str] = field(hash=False)
    """The same machine in the words in which it is requested."""

    sleep_minutes: int
    type: str
    needs_token: bool

    def __repr__(self) -> str:
        secret = f" and the secret {SECRET}, a token that reads the model" * self.needs_token
        return "\n".join(
            (
                f"Inference Endpoint {self.namespace}/{self.name}",
                f"  1. create it, {self.type} and tagged {TAG}, or update the one that is there:",
                f"     {self.repository} at {str(self.revision)[:7]} for {self.task} on"
                f" {self.hardware} at ${self.usd_per_hour:.2f}/h, asleep and free after"
                f" {self.sleep_minutes} min without a request{secret}",
            )
        )

    def to_json(self) -> dict[str, Any]:
        """Return the same as plain data, for `--json`."""
        return asdict(self)

    @property
    def settings(self) -> dict[str, Any]:
        """What creating and updating take alike."""
        machine = ("accelerator", "instance_size", "instance_type")
        return {
            "repository": self.repository,
            "revision": self.revision,
            "framework": "pytorch",
            "task": self.task,
            "min_replica": 0,
            "max_replica": 1,
            "scale_to_zero_timeout": self.sleep_minutes,
            "tags": [TAG],
            "namespace": self.namespace,
            **{name: self.compute[name] for name in machine},
        }


class Endpoints(Place[EndpointRequest]):
    """An Inference Endpoint, which scales to zero."""

    name = "endpoints"
    scheme = "endpoint"
    noun = "Inference Endpoint"
    takes_adapters = False
    fixes_answers = False

    @property
    def api(self) -> HfApi:
        """The service, as the owner of the token."""
        if endpoint() != REAL_HUB:  # the library has one address, for which no other token is
            from huggingface_hub import constants

            constants.INFERENCE_ENDPOINTS_ENDPOINT = f"{endpoint()}/endpoints/v2"
        return hub(self.token)

    def flavors(self, owner: str) -> list[Flavor]:
        """Return what `owner` can rent now, cheapest first; prices are those of the service."""
        return sorted(
            (_flavor(one) for one in self._hardware(owner) if _can_be_had(one)),
            key=lambda flavor: (flavor.usd_per_hour, flavor.name),
        )

    def default_name(self, model: str) -> str:
        """Return the model's name in the letters that an endpoint's may have."""
        bare = re.sub(r"[^a-z0-9]+", "-", model.rsplit("/", maxsplit=1)[-1].lower())
        return bare[:LONGEST_NAME].strip("-")

    def rests(self, order: DeployOrder) -> str:
        """Return when it goes to sleep: when it scales to zero, as the service calls it."""
        minutes = _minutes(order)
        return f"asleep and free after {minutes} min without a request, until the next one comes"

    def plan(self, order: DeployOrder) -> EndpointRequest:
        """Return the endpoint that answers with the model."""
        if len(order.name) > LONGEST_NAME or not _NAME.fullmatch(order.name):
            raise PlanRefused(
                f"{order.name!r} cannot be the name of an endpoint: small letters, digits and '-',"
                f" at most {LONGEST_NAME}.",
                fix="--deploy-name with another one",
            )
        return EndpointRequest(
            namespace=order.owner,
            name=order.name,
            repository=order.deployment.model.name,
            revision=order.deployment.model.revision,
            task=order.does,
            hardware=order.flavor.name,
            usd_per_hour=order.flavor.usd_per_hour,
            compute=dict(order.flavor.words),
            sleep_minutes=_minutes(order),
            type="authenticated" if order.private else "public",
            needs_token=order.needs_token,
        )

    def send(
        self,
        request: EndpointRequest,
        secrets: Mapping[str, str],
        on_progress: OnProgress = silent,
    ) -> Handle:
        """Create the endpoint, or bring it up to date."""
        handle = Handle(self.scheme, f"{request.namespace}/{request.name}")
        wanted = {SECRET: secrets[SECRET]} if request.needs_token else {}
        there = self._there(handle)
        if there is None:
            on_progress(f"requesting {request.hardware}", None)
            create = partial(self._create, request, wanted)
            done = partial(self._there, handle)
            once(f"creating {handle}", create, lambda: done() is not None, self.clock)
        else:
            on_progress("updating the endpoint", None)
            self._update(there, request, wanted)
        return handle

    def look(self, handle: Handle) -> Deployed:
        """Ask the service about the endpoint."""
        there = self._there(handle)
        if there is None:
            raise JobGone(f"there is no endpoint {handle.path}, or others alone see it.")
        return self._deployed(there)

    def last_words(self, handle: Handle) -> Iterator[str]:
        """Yield nothing: the service shows logs on its pages alone."""
        yield from ()

    def pause(self, handle: Handle) -> None:
        """Pause it: it is not billed, and no request wakes it."""
        if (there := self._there(handle)) and there.status != "paused":
            self._ask(f"pausing {handle}", self.api.pause_inference_endpoint, handle)

    def remove(self, handle: Handle) -> None:
        """Delete it, if it is ours."""
        if self._there(handle):
            self._ask(f"deleting {handle}", self.api.delete_inference_endpoint, handle)

    def sweep(self, owner: str) -> list[Deployed]:
        """Return the endpoints of `owner` that are ours; an account without any has none."""
        ask = partial(self.api.list_inference_endpoints, owner)
        try:
            found = patiently(f"listing the endpoints of {owner}", ask, self.clock)
        except NotThere:
            return []
        return [self._deployed(one) for one in found if _is_ours(one)]

    def _hardware(self, owner: str) -> list[InferenceEndpointHardware]:
        ask = partial(self.api.list_inference_endpoints_hardware, namespace=owner)
        try:
            return patiently("asking for the machines of Inference Endpoints", ask, self.clock)
        except NotThere as error:
            raise BackendError(f"{endpoint()} has no Inference Endpoints.") from error

    def _there(self, handle: Handle) -> InferenceEndpoint | None:
        """Return the endpoint. Raises `LaunchFailed` for one that hubtrain did not make."""
        try:
            found = self._ask(f"looking for {handle}", self.api.get_inference_endpoint, handle)
        except NotThere:
            return None
        if not _is_ours(found):
            raise LaunchFailed(
                f"the endpoint {handle.path} was not made by `hubtrain deploy`, and is left alone.",
                fix="--deploy-name with another one",
            )
        return found

    def _create(self, request: EndpointRequest, secrets: Mapping[str, str]) -> None:
        with explained(f"creating the endpoint {request.name}"):
            self.api.create_inference_endpoint(
                request.name,
                **request.settings,
                region=request.compute["region"],
                vendor=request.compute["vendor"],
                secrets=dict(secrets) or None,
                type=request.type,
            )

    def _update(
        self, there: InferenceEndpoint, request: EndpointRequest, secrets: Mapping[str, str]
    ) -> None:
        place = there.raw["provider"]
        if (place["vendor"], place["region"]) != (
            request.compute["vendor"],
            request.compute["region"],
        ):
            raise LaunchFailed(
                f"{request.name} is in {place['vendor']} {place['region']}, and cannot be moved.",
                fix=f"hubtrain rm {Endpoints.scheme}://{request.namespace}/{request.name} first, or"
                " --deploy-name with another one",
            )
        update = partial(self.api.update_inference_endpoint, request.name, secrets=dict(secrets))
        doing = f"updating the endpoint {request.name}"
        patiently(doing, partial(update, **request.settings), self.clock)
        if there.status == "paused":
            handle = Handle(self.scheme, f"{request.namespace}/{request.name}")
            self._ask(f"starting {handle}", self.api.resume_inference_endpoint, handle)

    def _ask(self, doing: str, ask: Callable[..., T], handle: Handle) -> T:
        owner, _, name = handle.path.partition("/")
        return patiently(doing, partial(ask, name, namespace=owner), self.clock)

    def _deployed(self, found: InferenceEndpoint) -> Deployed:
        compute, place = found.raw["compute"], found.raw["provider"]
        where = (place["vendor"], place["region"], compute["instanceType"], compute["instanceSize"])
        state = str(found.status)
        return Deployed(
            handle=Handle(self.scheme, f"{found.namespace}/{found.name}"),
            model=found.repository,
            flavor="-".join(where),
            status=Status(
                alive=state not in _ENDED,
                costing=state not in _UNBILLED,
                stage=state,
                detail=str(found.raw["status"].get("message") or ""),
                url=found.url,
            ),
            ready=state in _READY,
        )


def _is_ours(found: InferenceEndpoint) -> bool:
    return TAG in (found.raw.get("tags") or ())


def _can_be_had(one: InferenceEndpointHardware) -> bool:
    left = one.max_accelerators - one.used_accelerators
    return one.accelerator in _KINDS and one.status in _RENTED and left >= one.num_accelerators


def _flavor(one: InferenceEndpointHardware) -> Flavor:
    gpus = one.num_accelerators if one.accelerator == "gpu" else 0
    names = ("vendor", "region", "accelerator", "instance_type", "instance_size")
    return Flavor(
        name=one.id,
        description=one.architecture,
        usd_per_hour=one.price_per_hour,
        memory_bytes=one.memory_gb * 1e9,
        accelerator=one.architecture if gpus else None,
        accelerators=gpus,
        vram_bytes=(one.gpu_memory_gb or 0) * 1e9,
        cpus=float(one.num_cpus or 0),
        words=tuple((name, str(getattr(one, name))) for name in names),
    )


def _minutes(order: DeployOrder) -> int:
    return max(1, order.sleep_seconds // 60)


PLACE = Endpoints
