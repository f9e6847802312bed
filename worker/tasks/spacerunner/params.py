"""What is run, and with what."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge
from pydantic import BeforeValidator, Field, field_serializer

from worker.errors import HubtrainError
from worker.facts import CheckContext
from worker.finding import Finding
from worker.folder import choose
from worker.params import Params, Rest, SecretPairs

SUFFIXES = (".py", ".sh")


def words(said: Any) -> Any:
    """Return the words that a script is called with.

    A text that begins with a dash is read as a shell would; any other as AutoTrain did, where
    `lr=1e-4;fast` is `--lr 1e-4 --fast`.
    """
    if not isinstance(said, str):
        return tuple(map(str, said)) if isinstance(said, list | tuple) else said
    if said.startswith("-"):
        return tuple(shlex.split(said))
    pairs = (part.partition("=") for part in said.split(";") if part.strip())
    return tuple(
        word
        for name, equals, value in pairs
        for word in (f"--{name.strip()}", *([value] if equals else []))
    )


class ScriptParams(Params):
    """Script."""

    script_path: str
    """Folder with the script, which goes along as it is, or the script's file alone."""

    script: str = "script.py"
    """File of the folder to run: Python (.py), or a shell script (.sh)."""

    args: Annotated[tuple[str, ...], Rest(), BeforeValidator(words)] = ()
    """What the script is called with, as in "--lr 1e-4" or "lr=1e-4;fast"; or the words behind --
    at the end of the command."""

    env: Annotated[tuple[str, ...], SecretPairs()] = ()
    """Variables for the script, as in "A=b;C=d", whose values are secrets and written down nowhere;
    a name alone takes the value that it has here. May be given several times."""

    python_version: Annotated[str, Field(pattern=r"^3\.\d{1,2}$")] | None = None
    """Python to run it with, as in 3.12; that of the machine when not given."""

    max_steps: Annotated[int, Ge(1)] | None = None
    """Steps to do at most: the script finds it in HUBTRAIN_MAX_STEPS. A rehearsal asks for few."""

    @field_serializer("script_path", when_used="json")
    def _written_down(self, path: str) -> str:
        """Return its name: a job is made of what is sent, wherever that lay."""
        return Path(path).expanduser().resolve().name

    @property
    def entry(self) -> str:
        """The file to run, by its path in the folder that goes along."""
        path = Path(self.script_path).expanduser()
        return path.name if path.suffix in SUFFIXES else self.script

    def checks(self, about: CheckContext) -> Iterator[Finding]:
        """Look whether there is a script, and whether it goes along."""
        path = Path(self.script_path).expanduser()
        if not path.exists():
            yield _wrong(f"no file or folder {self.script_path}.", "--script-path FOLDER")
        elif Path(self.entry).suffix not in SUFFIXES:
            yield _wrong(f"{self.entry} ends neither with .py nor with .sh.", "--script FILE")
        elif path.is_dir():
            yield from self._looked_for(path)
        yield from super().checks(about)

    def _looked_for(self, folder: Path) -> Iterator[Finding]:
        """Yield what is wrong with the script of a folder."""
        if not (folder / self.entry).is_file():
            there = sorted(p.name for p in folder.glob("*.py"))
            fix = f"--script {there[0]}" if len(there) == 1 else "--script FILE"
            yield _wrong(f"{self.script_path} has no {self.entry}.", fix)
            return
        with suppress(HubtrainError, OSError):  # what goes along is looked at by itself, too
            if Path(self.entry).as_posix() not in choose(folder).files:
                yield _wrong(f"{self.entry} would be left out of what goes along.", "")


def _wrong(text: str, fix: str) -> Finding:
    return Finding("error", "files", text, fix)
