"""The extra interface of a backend that keeps the images its jobs ran in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class KeptImage:
    """One image that was made for jobs of a kind, and stays for the next of them."""

    name: str
    size_bytes: int | None
    """With the layers that it shares with others; none where its place does not tell."""

    used_by: tuple[str, ...]
    """What uses it, in the words of its place: names of containers, ids of Jobs."""

    arriving: bool = False
    """Whether it was made just now: the first job in it may be being launched."""

    @property
    def free(self) -> bool:
        """Whether nobody needs it."""
        return not self.used_by and not self.arriving

    def to_json(self) -> dict[str, Any]:
        """Return it for `--json`."""
        return {"image": self.name, "bytes": self.size_bytes, "used_by": list(self.used_by)}


class KeepsImages(ABC):
    """A place whose images stay when their jobs are over."""

    @abstractmethod
    def images(self, owners: Iterable[str]) -> list[KeptImage]:
        """Return those that hubtrain had made, for these accounts where it is the Hub's place.

        Raises `HubtrainError`.
        """

    @abstractmethod
    def remove_image(self, name: str) -> None:
        """Delete an image. One that is gone is no error; one in use raises `BackendError`."""
