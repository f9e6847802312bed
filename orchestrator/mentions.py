"""Settings that a sentence names by their flags, so that each surface can say them in its own way.

The flow speaks to people who type flags: `--overwrite, or another --project-name`. In Python the
first is `overwrite=True`, on a form a switch.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import worker.tasks
from orchestrator.settings.gather import classes_of
from orchestrator.tools import exports
from worker.params import Setting, settings_of

FLAG = re.compile(r"(?<![\w-])--([a-z][a-z0-9_-]*[a-z0-9])(?: (?!-)([^\s,;]*[^\s,;.:]))?")
_COMMAND = re.compile(r"\bhubtrain [a-z][^,;\n]*")
"""A command that a sentence names: its flags are typed with it, whoever reads the sentence."""

_PROSE = {"alone", "ends", "if", "is", "names", "needs", "or", "out", "takes", "trains", "with"}
"""Words that follow a flag and are not its value."""


@dataclass(frozen=True, slots=True)
class Mention:
    """A flag in a sentence, with the word behind it."""

    setting: Setting
    on: bool
    """Whether it switches the setting on: not with `--no-…`."""

    flag: str
    """As it stands there."""

    behind: str
    """The word behind it; empty where nothing or something else stands there."""

    @property
    def value(self) -> str:
        """Return the word behind it where that is its value, else nothing."""
        prose = self.setting.type is bool or self.behind in _PROSE
        return "" if prose else self.behind

    @property
    def after(self) -> str:
        """Return the word behind it, with the blank that parts them."""
        return f" {self.behind}" if self.behind else ""


def respelled(said: str, spell: Callable[[Mention], str]) -> str:
    """Return a sentence in which each mention of a setting is as `spell` has it."""
    commands = _commands(said)

    def one(found: re.Match[str]) -> str:
        mention = _mention(found, commands)
        return spell(mention) if mention else found[0]

    return FLAG.sub(one, said)


def mentions(said: str) -> list[Mention]:
    """Return the settings that a sentence names, in its order."""
    commands = _commands(said)
    return [mention for found in FLAG.finditer(said) if (mention := _mention(found, commands))]


def _commands(said: str) -> list[range]:
    """Return where commands stand in a sentence."""
    return [range(*found.span()) for found in _COMMAND.finditer(said)]


def _mention(found: re.Match[str], commands: list[range]) -> Mention | None:
    """Return the setting that a flag means; none of a command, nor of other programs'."""
    if any(found.start() in command for command in commands):
        return None
    known, name = settings_by_flag(), found[1].replace("_", "-")
    on = name in known
    setting = known.get(name) or known.get(name.removeprefix("no-"))
    return Mention(setting, on, f"--{found[1]}", found[2] or "") if setting else None


@cache
def settings_by_flag() -> dict[str, Setting]:
    """Return every setting there is by each of its flags, without the dashes."""
    classes = [c for name in worker.tasks.names() for c in classes_of(worker.tasks.load(name))]
    classes += [tool.settings for tool in exports().values()]
    return {
        flag.removeprefix("--"): setting
        for one in classes
        for setting in settings_of(one)
        for flag in setting.flags
        if flag.startswith("--")
    }
