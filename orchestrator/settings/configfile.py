"""A job as a YAML file: its settings, its task, and its variables.

Both a flat mapping and AutoTrain's layout (`data:`, `params:`, `hub:` blocks with `column_mapping`)
are read; `${VAR}`, `${VAR:-default}` and `${VAR:=default}` work anywhere. Knows no setting but
those that make a file dangerous. A file of the web is another's: it may not read variables of
this machine, bring a token, have a model's code run, or say which files are read and who is asked,
sent to and paid.

A file of lines `NAME=value` is another kind, with the same answers: `envfile`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from orchestrator.settings.fetch import name_of
from orchestrator.settings.layers import Layer, twice
from worker.errors import BadConfig
from worker.placeholders import is_placeholder

MOST = 1000
"""Settings it may hold; YAML can repeat a block without repeating its text."""

TOKEN, NAME = "HF_TOKEN", "HF_USERNAME"
VARIABLE = re.compile(r"\$\{(\w+)(?:(:?)[-=]([^}]*))?\}")
_AUTOTRAIN_KEYS = {"base_model": "model", "path": "data_path"}
SWEEP = "sweep"
_TASKS_OWN = "task in a block"
"""A file's `task` names the task; one in a block, as in `params:`, is a setting of that task."""

_NOT_FROM_THE_WEB = (
    *("token", "trust_remote_code", "reward_funcs", "lm_eval", "script_path", "env"),
    *("endpoint", "prompts", "output", "deploy_public", "deploy_backend"),
)


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """Settings as they stand in a file."""

    source: str
    """The file's name, for messages."""

    values: Mapping[str, Any]
    size: int = 0
    from_web: bool = False
    lines: Mapping[str, int] = field(default_factory=dict)
    """In which line each key stands, from 1."""

    sweep: Mapping[str, Any] = field(default_factory=dict)
    """The block `sweep` as it stands there: what a sweep tries, and how."""

    @property
    def task(self) -> str | None:
        """The task it names, if it does. Raises `BadConfig` for variables that are not set."""
        named = self.values.get("task")
        return None if named is None else str(self._filled(str(named), os.environ))

    @property
    def settings(self) -> int:
        """How many settings it gives."""
        return len(self.values.keys() - {"task", "token"})

    def token(self, environ: Mapping[str, str] = os.environ) -> str | None:
        """Return the token it gives; none where that is to be the one of the login."""
        said = self.values.get("token")
        if said is None or str(said) == f"${{{TOKEN}}}":
            return None
        unset = f"{self.source}: {{}} is used but {{}} is not set"
        token = expanded(str(said), environ.get, unset)
        return None if is_placeholder(token) else token

    def secrets(self, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
        """Return what else of it is secret and not a setting, by name."""
        return {}

    def layer(
        self, environ: Mapping[str, str] = os.environ, own_name: Callable[[], str] | None = None
    ) -> Layer:
        """Return the settings, variables filled in. `own_name` tells the user's name on the Hub.

        Raises `BadConfig` for variables that are not set, those of all settings at once.
        """
        said = {k: v for k, v in self.values.items() if k not in {"task", "token"}}
        if _TASKS_OWN in said:
            said["task"] = said.pop(_TASKS_OWN)
        if said.get("username") == f"${{{NAME}}}" and NAME not in environ:
            del said["username"]  # whoever is logged in is who is meant when nobody is named
        values: dict[str, Any] = {}
        wrong: dict[str, str] = {}
        for name, value in said.items():
            try:
                values[name] = self._filled(value, environ, own_name)
            except BadConfig as error:
                text = error.message.removeprefix(f"{self.source}: ").rstrip(".")
                wrong[text] = error.fix
        if wrong:
            fixes = dict.fromkeys(filter(None, wrong.values()))
            raise BadConfig(f"{self.source}: {'; '.join(wrong)}", fix=", and ".join(fixes))
        return Layer(self.source, values, lines=self.lines)

    def _filled(
        self,
        value: Any,
        environ: Mapping[str, str],
        own_name: Callable[[], str] | None = None,
    ) -> Any:
        """Return a value, or a list of them, with the variables in it filled in."""
        if isinstance(value, list):
            return [self._filled(one, environ, own_name) for one in value]
        if not isinstance(value, str):
            return value

        def value_of(name: str) -> str | None:
            if name == TOKEN:
                raise BadConfig(f"{self.source}: ${{{TOKEN}}} is a secret; it may stand in `token`")
            if name == NAME and name not in environ:
                return own_name() if own_name else None
            return None if self.from_web and name != NAME else environ.get(name)

        unset = f"{self.source}: {{}} is used but {{}} is not set"
        if self.from_web:
            unset = f"{self.source}: {{}} is used, and a file of the web may not read {{}} here"
        return expanded(value, value_of, unset)


def parsed(content: bytes, where: str, *, from_web: bool) -> ConfigFile:
    """Return what a YAML file holds. Raises `BadConfig`."""
    lines: dict[str, int] = {}
    name = name_of(where)
    values, sweep = _settings(content, name if from_web else where, lines)
    if from_web:
        refuse_from_the_web(name, values)
        tried = sweep.get("try")
        refuse_from_the_web(name, tried if isinstance(tried, dict) else {})
    return ConfigFile(name, values, len(content), from_web, lines, sweep)


def refuse_from_the_web(name: str, values: Mapping[str, Any]) -> None:
    """Raise `BadConfig` if a file of the web brings what only its user may decide."""
    nothing = {"", "None", "False", f"${{{TOKEN}}}"}
    said = {
        key.replace("-", "_").lower() for key, value in values.items() if str(value) not in nothing
    }
    if refused := [name for name in _NOT_FROM_THE_WEB if name in said]:
        raise BadConfig(
            f"{name} comes from the web, where {' and '.join(refused)} is not taken from.",
            fix="Save the file, look at it, and give its path.",
        )


def _settings(
    content: bytes, path: str, lines: dict[str, int]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the settings, and the block of a sweep, which is no block of settings."""
    try:
        loaded = yaml.load(content.decode("utf-8-sig"), _Loader)
        found = loaded.pop(SWEEP, {}) if isinstance(loaded, dict) else {}
        if not isinstance(found, dict):
            raise BadConfig(f"{path}: {SWEEP} is to be a block, with `try:` in it")
        return (_flat(loaded, path, lines) if loaded or not found else {}), found
    except yaml.MarkedYAMLError as error:
        at = f" line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise BadConfig(f"{path}{at} is not YAML: {error.problem}.") from error
    except (yaml.YAMLError, ValueError) as error:  # a date of no calendar, a number without end
        raise BadConfig(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise BadConfig(f"{path} nests too deep for a file of settings") from error


class _Key(str):
    """A key that knows in which line it stands, from 1."""

    __slots__ = ("line",)
    line: int


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice in a block, which YAML itself takes the last of."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: dict[str, int] = {}
        for key, _ in node.value:
            name = str(key.value)
            if name in seen and name != "<<":
                problem = f"{name} stands twice in a block"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
            seen[name] = key.start_mark.line + 1
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        return {_at(key, seen.get(str(key))): value for key, value in found.items()}

    def flatten_mapping(self, node: Any) -> None:
        """Take in the blocks of `<<`, which may grow with every block that takes in others."""
        super().flatten_mapping(node)
        if len(node.value) > MOST:
            problem = f"a block holds more than {MOST} settings"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)


def _at(key: Any, line: int | None) -> Any:
    if line is None or not isinstance(key, str):
        return key
    placed = _Key(key)
    placed.line = line
    return placed


def _flat(loaded: Any, path: str, lines: dict[str, int]) -> dict[str, Any]:
    """Return the settings of all blocks, and note in `lines` where each stands.

    One said in two blocks must be the same in both.
    """
    if not isinstance(loaded, dict):
        raise BadConfig(f"{path} must hold settings as `name: value` lines")
    flat: dict[str, Any] = {}
    homes: dict[str, str] = {}
    for count, (block, key, value) in enumerate(_leaves(loaded)):
        if count >= MOST:
            raise BadConfig(f"{path} holds more than {MOST} settings")
        if isinstance(value, dict):
            continue
        if isinstance(value, list) and any(isinstance(one, dict | list) for one in value):
            # Lists of lists may refer to one another, and stand for more than memory holds.
            raise BadConfig(f"{path}: {block}{key} may be a list of plain values only")
        str(value)  # raises ValueError for a number that nobody could be told
        name, home = _AUTOTRAIN_KEYS.get(key, str(key)), f"{block}{key}"
        name = _TASKS_OWN if block and key == "task" else name
        if flat.get(name) is not None and value is not None and flat[name] != value:
            raise BadConfig(f"{name_of(path)}: {twice(homes[name], home)}")
        if flat.get(name) is None:
            flat[name], homes[name] = value, home
            lines["task" if name == _TASKS_OWN else name] = getattr(key, "line", 0)
    return flat


def _leaves(loaded: Mapping[Any, Any], block: str = "") -> Iterator[tuple[str, str, Any]]:
    for key, value in loaded.items():
        yield block, key if isinstance(key, str) else str(key), value
        if isinstance(value, dict):
            yield from _leaves(value, f"{block}{key}.")


def expanded(text: str, value_of: Callable[[str], str | None], unset: str) -> str:
    """Return a text with its variables filled in; `unset` is what to say of one with no value.

    As in a shell, `${X:-y}` is `y` where X is empty, too, and `${X-y}` only where it is not set.
    """

    def one(match: re.Match[str]) -> str:
        name, colon, default = match.groups()
        value = value_of(name)
        if value is not None and not (colon and value == ""):
            return value
        if default is None:
            raise BadConfig(unset.format(match[0], name))
        return str(default).strip("\"'")

    return VARIABLE.sub(one, text)
