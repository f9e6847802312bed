"""The part of a folder or zip that one split is: its images, folders and lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.data.sources.media.listing import plain
from worker.reading.files import SPLIT_WORDS, DataFile, is_data
from worker.reading.folders import Files


@dataclass(frozen=True, slots=True)
class Scope:
    """Files below one folder; paths are relative to it."""

    files: Files
    media: tuple[str, ...]
    where: str
    """What messages call the folder."""

    prefix: str = ""
    """Path of the folder in `files`: empty, or with a slash at its end."""

    @property
    def names(self) -> list[str]:
        """All files, in order."""
        skip = len(self.prefix)
        return [name[skip:] for name in self.files.names if name.startswith(self.prefix)]

    @property
    def images(self) -> list[str]:
        """The files that are examples."""
        return [name for name in self.names if is_media(name, self.media)]

    @property
    def folders(self) -> list[str]:
        """The folders right below it."""
        below = (f[len(self.prefix) :] for f in self.files.folders if f.startswith(self.prefix))
        return [folder for folder in below if folder and "/" not in folder]

    @property
    def lists(self) -> list[str]:
        """The files of rows right below it."""
        return [name for name in self.names if "/" not in name and is_data(name)]

    def at(self, path: str) -> str:
        """Return a path as it is in the user's folder."""
        return self.prefix + path

    def get(self, path: str) -> DataFile:
        """Return the file at a path. Raises `BadData`."""
        return self.files.get(self.prefix + path)

    def below(self, folder: str) -> Scope:
        """Return the part below one of its folders."""
        return Scope(self.files, self.media, self.at(folder), f"{self.prefix}{folder}/")

    def finder(self) -> dict[str, str]:
        """Return each image by its path as lists are compared with it."""
        return {plain(name): name for name in self.images}


def is_media(name: str, media: Sequence[str]) -> bool:
    """Whether a file is an example by itself: `.JPG` is `.jpg`."""
    return name.lower().endswith(tuple(media))


def role_of(folder: str) -> str | None:
    """Return the split that a folder's whole name means: a class may be called `test strips`."""
    return next((role for role, words in SPLIT_WORDS.items() if folder.lower() in words), None)
