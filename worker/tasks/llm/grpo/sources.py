"""What rewards come from, as `--reward-funcs` names it. Standard library only.

Nothing is imported or executed here: a file of the user's is looked at by `signature`, and run
where the model is trained.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from worker.nearest import nearest
from worker.paths import is_path

BUILT_IN = {"think_format_reward": "trl.rewards.format_rewards"}
"""Reward functions that TRL (1.16) brings and that need no further package, with their modules."""

LACKING = {"accuracy_reward": "math-verify", "reasoning_accuracy_reward": "math-verify"}
"""Those that need a package which the machine that trains has not got."""

FORMS = (
    "rewards.py or rewards.py:function (a file, sent along), package.module:function, a reward "
    f"model, or {', '.join(BUILT_IN)}"
)

_FILE = re.compile(r"(.+\.py)(?::([A-Za-z_]\w*))?")
_IMPORT = re.compile(r"([A-Za-z_][\w.]*)[:.]([A-Za-z_]\w*)")


@dataclass(frozen=True, slots=True)
class File:
    """Functions of a Python file of the user's, which is sent along."""

    path: str
    function: str | None
    """None takes all that are public and take completions."""

    @property
    def name(self) -> str:
        """The file's name, which is the same where it is sent to."""
        return re.split(r"[/\\]", self.path)[-1]


@dataclass(frozen=True, slots=True)
class Import:
    """A function of a package on the machine that trains."""

    module: str
    function: str


@dataclass(frozen=True, slots=True)
class Model:
    """A reward model: a Hub id or a folder."""

    name: str


Source = File | Import | Model


def source(spelled: str) -> Source:
    """Return what one entry names. Raises `ValueError` that says what may be named."""
    if found := _FILE.fullmatch(spelled):
        return File(found[1], found[2])
    if is_path(spelled) or "/" in spelled or Path(spelled).is_dir():
        return Model(spelled)
    if module := BUILT_IN.get(spelled):
        return Import(module, spelled)
    if found := _IMPORT.fullmatch(spelled):
        return Import(found[1], found[2])
    if package := LACKING.get(spelled):
        raise ValueError(
            f"{spelled} needs the package {package}, which the machine that trains has not got: "
            "write such a function into a file of your own"
        )
    near = nearest(spelled, [*BUILT_IN, *LACKING])
    hint = f"; did you mean {near}?" if near else ""
    raise ValueError(f"{spelled!r} names no reward: it may be {FORMS}{hint}")


def anywhere(spelled: str) -> str:
    """Return an entry that means the same in another folder: a model's folder by its whole path.

    A file is found by its name where it is sent to.
    """
    folder = Path(spelled).expanduser()
    return (
        str(folder.resolve()) if isinstance(source(spelled), Model) and folder.is_dir() else spelled
    )
