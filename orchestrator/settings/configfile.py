"""A job as a YAML file, of this disk or of the web: its settings, its task, and its variables.

Both a flat mapping and AutoTrain's layout (`data:`, `params:`, `hub:` blocks with `column_mapping`)
are read; `${VAR}`, `${VAR:-default}` and `${VAR:=default}` work anywhere. Knows no setting but
those that make a file dangerous. A file of the web is another's: it may not read variables of
this machine, bring a token, or have a model's code run.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from orchestrator.settings.layers import Layer, twice
from worker.errors import BadConfig

LARGEST = 1 << 20
"""Bytes a file of settings may have."""

MOST = 1000
"""Settings it may hold; YAML can repeat a block without repeating its text."""

SECONDS = 20.0
"""How long the web may take."""

TOKEN, NAME = "HF_TOKEN", "HF_USERNAME"
_VARIABLE = re.compile(r"\$\{(\w+)(?::?[-=]([^}]*))?\}")
_AUTOTRAIN_KEYS = {"base_model": "model", "path": "data_path"}
_TASKS_OWN = "task in a block"
"""A file's `task` names the task; one in a block, as in `params:`, is a setting of that task."""

_NOT_FROM_THE_WEB = ("token", "trust_remote_code")


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """Settings as they stand in a file."""

    source: str
    """The file's name, for messages."""

    values: Mapping[str, Any]
    size: int = 0
    from_web: bool = False

    @property
    def task(self) -> str | None:
        """The task it names, if it does."""
        named = self.values.get("task")
        return None if named is None else str(named)

    @property
    def settings(self) -> int:
        """How many settings it gives."""
        return len(self.values.keys() - {"task", "token"})

    def token(self, environ: Mapping[str, str] = os.environ) -> str | None:
        """Return the token it gives; none where that is to be the one of the login."""
        said = self.values.get("token")
        if said is None or str(said) == f"${{{TOKEN}}}":
            return None
        return _expanded(str(said), environ.get, f"{self.source}: {{}} is used but {{}} is not set")

    def layer(
        self, environ: Mapping[str, str] = os.environ, own_name: Callable[[], str] | None = None
    ) -> Layer:
        """Return the settings, variables filled in. `own_name` tells the user's name on the Hub.

        Raises `BadConfig` for variables that are not set.
        """

        def value_of(name: str) -> str | None:
            if name == TOKEN:
                raise BadConfig(f"{self.source}: ${{{TOKEN}}} is a secret; it may stand in `token`")
            if name == NAME and name not in environ:
                return own_name() if own_name else None
            return None if self.from_web and name != NAME else environ.get(name)

        unset = f"{self.source}: {{}} is used but {{}} is not set"
        if self.from_web:
            unset = f"{self.source}: {{}} is used, and a file of the web may not read {{}} here"
        said = {k: v for k, v in self.values.items() if k not in {"task", "token"}}
        if _TASKS_OWN in said:
            said["task"] = said.pop(_TASKS_OWN)
        if said.get("username") == f"${{{NAME}}}" and NAME not in environ:
            del said["username"]  # whoever is logged in is who is meant when nobody is named
        return Layer(
            self.source,
            {
                k: _expanded(v, value_of, unset) if isinstance(v, str) else v
                for k, v in said.items()
            },
        )


def read(where: str) -> ConfigFile:
    """Return the file at a path, or at an http(s) address. Raises `BadConfig`."""
    if re.match(r"https?://", where):
        return _of_web(where)
    try:
        with Path(where).expanduser().open("rb") as stream:
            content = _bounded(stream.read(LARGEST + 1), where)
    except OSError as error:
        raise BadConfig(f"cannot read {where}: {error.strerror}") from error
    return ConfigFile(Path(where).name, _settings(content, where), len(content))


def _of_web(address: str) -> ConfigFile:
    name = address.split("?", maxsplit=1)[0].rstrip("/").rsplit("/", maxsplit=1)[-1]
    content = _fetched(address)
    values = _settings(content, name)
    own = f"${{{TOKEN}}}"
    if refused := [k for k in _NOT_FROM_THE_WEB if values.get(k) not in {None, False, own}]:
        raise BadConfig(
            f"{name} comes from the web, where {' and '.join(refused)} is not taken from.",
            fix="Save the file, look at it, and give its path.",
        )
    return ConfigFile(name, values, len(content), from_web=True)


@cache
def _fetched(address: str) -> bytes:
    """Return what lies at an address, asked for once. No token goes along."""
    from http.client import HTTPException
    from urllib.request import urlopen

    content, ends = b"", time.monotonic() + SECONDS
    try:
        with urlopen(address, timeout=SECONDS) as answer:
            while len(content) <= LARGEST and (block := answer.read1(1 << 16)):
                content += block
                if time.monotonic() > ends:
                    raise TimeoutError(f"not read in {SECONDS:.0f} s")
    except (HTTPException, OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise BadConfig(f"cannot read {address}: {reason}") from error
    if _bounded(content, address).lstrip()[:1] == b"<":
        raise BadConfig(
            f"{address} is a web page and not a YAML file.", fix="Give the address of the raw file."
        )
    return content


def _bounded(content: bytes, where: str) -> bytes:
    if len(content) > LARGEST:
        raise BadConfig(f"{where} is larger than {LARGEST >> 20} MB; that is no file of settings")
    return content


def _settings(content: bytes, path: str) -> dict[str, Any]:
    try:
        loaded = yaml.load(content.decode("utf-8-sig"), _Loader)
        return _flat(loaded, path)
    except yaml.MarkedYAMLError as error:
        at = f" line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise BadConfig(f"{path}{at} is not YAML: {error.problem}.") from error
    except (yaml.YAMLError, ValueError) as error:  # a date of no calendar, a number without end
        raise BadConfig(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise BadConfig(f"{path} nests too deep for a file of settings") from error


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice in a block, which YAML itself takes the last of."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            name = str(key.value)
            if name in seen and name != "<<":
                problem = f"{name} stands twice in a block"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
            seen.add(name)
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        return found


def _flat(loaded: Any, path: str) -> dict[str, Any]:
    """Return the settings of all blocks; one said in two blocks must be the same in both."""
    if not isinstance(loaded, dict):
        raise BadConfig(f"{path} must hold settings as `name: value` lines")
    flat: dict[str, Any] = {}
    homes: dict[str, str] = {}
    for count, (block, key, value) in enumerate(_leaves(loaded)):
        if count >= MOST:
            raise BadConfig(f"{path} holds more than {MOST} settings")
        if isinstance(value, dict):
            continue
        name, home = _AUTOTRAIN_KEYS.get(key, key), f"{block}{key}"
        name = _TASKS_OWN if block and key == "task" else name
        if flat.get(name) is not None and value is not None and flat[name] != value:
            raise BadConfig(f"{Path(path).name}: {twice(homes[name], home)}")
        if flat.get(name) is None:
            flat[name], homes[name] = value, home
    return flat


def _leaves(loaded: Mapping[Any, Any], block: str = "") -> Iterator[tuple[str, str, Any]]:
    for key, value in loaded.items():
        yield block, str(key), value
        if isinstance(value, dict):
            yield from _leaves(value, f"{block}{key}.")


def _expanded(text: str, value_of: Callable[[str], str | None], unset: str) -> str:
    """Return a text with its variables filled in; `unset` is what to say of one with no value."""

    def one(match: re.Match[str]) -> str:
        name, default = match.groups()
        value = value_of(name)
        if value is not None:
            return value
        if default is None:
            raise BadConfig(unset.format(match[0], name))
        return str(default).strip("\"'")

    return _VARIABLE.sub(one, text)
