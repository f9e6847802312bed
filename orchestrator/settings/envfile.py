"""A job as a file of variables, `NAME=value` line by line, or as the variables of a shell.

A shell reads such a file with `source`; this reads it the same, and runs nothing in it. The names
are those of AutoTrain's guide to such files, and those of all settings in capitals. Where a shell
has read the file already (`set -a; source falcon.env`), its variables are found in the environment.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator.settings.configfile import (
    TOKEN,
    VARIABLE,
    ConfigFile,
    expanded,
    refuse_from_the_web,
)
from orchestrator.settings.layers import Layer
from orchestrator.settings.secrets import SECRETS
from worker.errors import BadConfig
from worker.params import ENV_PREFIX
from worker.placeholders import NO_TOKEN, is_placeholder, stands_for_a_repo

PROJECT = "AUTOTRAIN_PROJECT_NAME"
"""The variable that no other program has: with it in the environment, the others are meant too."""

SOURCED = "sourced environment"
"""Where settings come from that a shell has read out of such a file."""

ROWS, ROWS_HERE = "DATA_PATH", "DATA_FILE"

NAMES = {
    PROJECT: "project_name",
    "MODEL_NAME": "model",
    ROWS: "data_path",
    ROWS_HERE: "data_path",
}
"""What such a file calls a setting by another name, and the setting."""

_SAME_NAMES = """
TEXT_COLUMN LEARNING_RATE NUM_EPOCHS BATCH_SIZE BLOCK_SIZE TRAINER WARMUP_RATIO WEIGHT_DECAY
GRADIENT_ACCUMULATION LORA_R LORA_ALPHA LORA_DROPOUT PUSH_TO_HUB REPO_ID
"""
SAME_NAMES = frozenset(_SAME_NAMES.split())
"""The guide's other names, each that of a setting in capitals. A file may use all settings' names;
of an environment, which holds other programs' variables too, only these and `USE_…` are read."""

SWITCHES = {
    "USE_FP16": ("mixed_precision", "fp16"),
    "USE_BF16": ("mixed_precision", "bf16"),
    "USE_INT4": ("quantization", "int4"),
    "USE_INT8": ("quantization", "int8"),
}
"""Variables that are on or off, each the setting and the value that it means where it is on."""

MISSPELT = {"TEXT_COLUMM": "TEXT_COLUMN"}
"""Names that the guide itself has wrong, so that files copied from there have them."""

LONGEST = 1 << 16
"""Characters of a value: variables made of one another grow without end."""

_ON = {"true", "1", "yes", "on"}
_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_]\w*)=(.*)", re.DOTALL)
_PLAIN_VARIABLE = re.compile(r"\$([A-Za-z_]\w*)")
_TO_FILL = re.compile(rf"\\.|{VARIABLE.pattern}|\$[A-Za-z_]\w*", re.DOTALL)
_ASSIGNS = re.compile(r"\$\{(\w+):?=")
_PIECE = re.compile(
    r"""
      '(?P<literal>[^']*)'
    | "(?P<quoted>(?:[^"\\$`]|\\.|\$\{[^}]*\}|\$(?![({]))*)"
    | (?P<bare>(?:\$\{[^}]*\}|\$(?![({])|\\.|[^\s'"$`;&|<>()\\])+)
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class EnvFile(ConfigFile):
    """Variables as they stand in a file, each with its text before anything is filled in."""

    @property
    def task(self) -> str | None:
        """The task that it names as `TASK`, if it does."""
        return self._variables(os.environ).get("TASK") or None

    @property
    def settings(self) -> int:
        """How many variables it gives."""
        return len(self.values.keys() - {"TASK", TOKEN})

    def token(self, environ: Mapping[str, str] = os.environ) -> str | None:
        """Return the token it gives; none where there is none, or `hf_XXX`."""
        said = self._variables(environ).get(TOKEN, "")
        return None if not said or is_placeholder(said) else said

    def secrets(self, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
        """Return what else of it is secret and not a setting, by name."""
        said = self._variables(environ)
        return {name: said[name] for name in SECRETS if said.get(name)}

    def layer(
        self, environ: Mapping[str, str] = os.environ, own_name: Callable[[], str] | None = None
    ) -> Layer:
        """Return the settings, variables filled in. Raises `BadConfig` where that cannot be."""
        helpers = {name for text in self.values.values() for name in _used(str(text))}
        said = self._variables(environ)
        for name in {"TASK", TOKEN, *SECRETS, *(helpers - NAMES.keys() - SAME_NAMES)}:
            said.pop(name, None)
        layer = layer_of(self.source, said, self.lines)
        token = self._variables(environ).get(TOKEN, "")
        if not is_placeholder(token) or is_placeholder(environ.get(TOKEN, "")):
            return layer
        note = f"{self.source} line {self.lines[TOKEN]}: {NO_TOKEN}"
        return replace(layer, notes=(*layer.notes, note))

    def _variables(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Return the variables as a shell would have them after reading the file.

        What the environment has already is asked only where the file itself asks for it.
        """
        outside = {} if self.from_web else environ
        known: dict[str, str] = {}
        secret = self._secret
        for name, text in self.values.items():
            where = f"{self.source} line {self.lines[name]}"
            written = {name} if name in NAMES or name in SAME_NAMES else set()
            used = written | (set() if name in secret else _used(str(text)))
            for one in sorted(used & secret.keys()):
                raise BadConfig(f"{where}: {one} {secret[one]}, and {name} is written down.")
            known[name] = _valued(str(text), {**outside, **known}, where, known)
        return known

    @property
    def _secret(self) -> dict[str, str]:
        """The variables that are secrets or that secrets are made of, each with why it is one."""
        found = dict.fromkeys((TOKEN, *SECRETS), "is a secret")
        waiting = [name for name in found if name in self.values]
        while waiting:
            made = waiting.pop()
            for name in sorted(_used(str(self.values[made])) - found.keys()):
                found[name] = f"is a secret, of which {made} is made"
                waiting += [name] if name in self.values else []
        return found


def is_one(content: bytes) -> bool:
    """Whether a file holds variables: its first line that is no comment sets one."""
    lines = (line.strip() for line in content.decode("utf-8-sig", "replace").splitlines())
    first = next((line for line in lines if line and not line.startswith("#")), "")
    return bool(_LINE.match(first))


def parsed(content: bytes, source: str, *, from_web: bool) -> EnvFile:
    """Return the variables of a file. Raises `BadConfig` for a line that sets none."""
    values: dict[str, str] = {}
    lines: dict[str, int] = {}
    for number, line in enumerate(content.decode("utf-8-sig", "replace").splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _LINE.fullmatch(line)
        if found is None:
            raise BadConfig(f"{source} line {number} is not NAME=value; no command is run here.")
        values[found[1]], lines[found[1]] = found[2], number
    if from_web:
        keys = {_setting(name).removeprefix("hf_"): text for name, text in values.items()}
        refuse_from_the_web(source, {k: None if is_placeholder(v) else v for k, v in keys.items()})
    return EnvFile(source, values, len(content), from_web, lines)


def from_shell(environ: Mapping[str, str]) -> Layer:
    """Return what a shell has read out of such a file, by the names of the guide; often nothing."""
    if PROJECT not in environ:
        return Layer(SOURCED, {})
    names = {*NAMES, *SAME_NAMES, *MISSPELT}
    said = {k: v for k, v in environ.items() if k in names or k.startswith("USE_")}
    return layer_of(SOURCED, said, {})


def layer_of(source: str, said: Mapping[str, str], lines: Mapping[str, int]) -> Layer:
    """Return variables as settings. What is empty says nothing."""
    notes: list[str] = []
    values: dict[str, str] = {}
    placed: dict[str, int] = {}
    for name, key, value in _settings(source, dict(said), lines, notes):
        values[key] = value
        if name in lines:
            placed[key] = lines[name]
    return Layer(source, values, lines=placed, notes=tuple(notes), strict=False)


def _settings(
    source: str, said: dict[str, str], lines: Mapping[str, int], notes: list[str]
) -> Iterator[tuple[str, str, str]]:
    """Yield each variable that says something, with the key that it means and its value."""
    for wrong in MISSPELT.keys() & said.keys():
        at = f" line {lines[wrong]}" if wrong in lines else ""
        notes.append(f"{source}{at}: {wrong} is read as {MISSPELT[wrong]}, its right spelling.")
        value = said.pop(wrong)
        said.setdefault(MISSPELT[wrong], value)
    left_out = _rows(source, said, notes)
    for name, value in said.items():
        if not value or name in left_out:
            continue
        if name in SWITCHES:
            key, meant = SWITCHES[name]
            if value.lower() in _ON:
                yield name, key, meant
        elif name == PROJECT and "/" in value:
            plain = value.strip("/").replace("/", "-")
            notes.append(f"{source}: {name} {value} is a path; the project is called {plain}.")
            yield name, NAMES[name], plain
        elif name == "REPO_ID" and stands_for_a_repo(value):
            notes.append(f"{source}: REPO_ID {value} stands for a repo and is none; not used.")
        else:
            yield name, _setting(name), value


def _setting(name: str) -> str:
    """Return the setting that a variable means."""
    return NAMES.get(name) or name.removeprefix(ENV_PREFIX).lower()


def _rows(source: str, said: Mapping[str, str], notes: list[str]) -> set[str]:
    """Return which of the two names for the rows is not used: a file that is here wins."""
    path, file = said.get(ROWS), said.get(ROWS_HERE)
    if not path or not file:
        return set()
    here = Path(file).expanduser().exists()
    used, other = (ROWS_HERE, ROWS) if here else (ROWS, ROWS_HERE)
    why = "is here" if here else "is not here"
    notes.append(f"{source}: {ROWS_HERE} {file} {why}, so the rows are those of {used}.")
    return {other}


def _used(text: str) -> set[str]:
    """Return the names of the variables in a text."""
    return {m[1] for pattern in (VARIABLE, _PLAIN_VARIABLE) for m in pattern.finditer(text)}


def _valued(text: str, known: Mapping[str, str], where: str, assigned: dict[str, str]) -> str:
    """Return what a shell makes of the text behind `NAME=`; `${X:=y}` sets X in `assigned`.

    What is wrong is told without the text, which may be a secret.
    """
    rest, value = text.strip(), ""
    _refuse_long(len(rest), where)
    while rest:
        piece = _PIECE.match(rest)
        if piece is None:
            at = len(text.strip()) - len(rest) + 1
            raise BadConfig(
                f"{where} cannot be read from character {at} of the value on; no command is run "
                "here, and quotes have to be closed."
            )
        value += piece["literal"] if piece["literal"] is not None else ""
        open_text = piece["quoted"] if piece["quoted"] is not None else piece["bare"]
        if open_text is not None:
            value += _filled(open_text, known, where, assigned)
        _refuse_long(len(value), where)
        rest = rest[piece.end() :]
        if rest[:1].isspace():
            if not rest.lstrip().startswith("#"):
                raise BadConfig(f"{where} holds a blank outside of quotes")
            break
    return value


def _refuse_long(length: int, where: str) -> None:
    if length > LONGEST:
        raise BadConfig(f"{where} is longer than {LONGEST:,} characters.")


def _filled(text: str, known: Mapping[str, str], where: str, assigned: dict[str, str]) -> str:
    unset = f"{where}: {{}} is used but {{}} is not set"

    length = 0

    def one(match: re.Match[str]) -> str:
        nonlocal length
        said = match[0]
        if said.startswith("\\"):
            return said[1:]
        braced = said if said.startswith("${") else f"${{{said[1:]}}}"
        value = expanded(braced, known.get, unset)
        length += len(value)
        _refuse_long(length, where)
        if sets := _ASSIGNS.match(braced):
            assigned.setdefault(sets[1], value)
        return value

    return _TO_FILL.sub(one, text)
