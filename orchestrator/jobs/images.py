"""The images that jobs ran in and that stay for the next of their kind: which there are, and where.

They cost no machine time but room. Nothing here removes one that is used, or that hubtrain did not
make.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import backends
from backends.image_keeping import KeepsImages, KeptImage
from orchestrator.jobs.client import Client
from worker.errors import HubtrainError


@dataclass(frozen=True, slots=True)
class Placed:
    """An image, and the backend that keeps it."""

    place: str
    keeper: KeepsImages
    image: KeptImage

    def to_json(self) -> dict[str, Any]:
        """Return it for `--json`."""
        return {"backend": self.place, **self.image.to_json()}


def placed(client: Client, owners: Iterable[str], unanswered: list[str]) -> Iterator[Placed]:
    """Yield the images of every place. Who does not answer is noted in `unanswered`."""
    owners = list(owners)
    for name in backends.names():
        keeper = client.provider(name)
        if isinstance(keeper, KeepsImages):
            try:
                yield from [Placed(name, keeper, image) for image in keeper.images(owners)]
            except HubtrainError as error:
                unanswered.append(f"images of {name}: {error}")
