"""Reading a Dockerfile: what it would build, as far as one can tell without building it.

Understands line continuations, comments, here-documents, several stages, and the exec and shell
forms. Runs nothing and knows no Space; `localhub.runtime.spaces.build` acts on the result.
"""

from __future__ import annotations

import json
import posixpath
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

INSTRUCTIONS = frozenset(
    {"ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL"}
    | {"MAINTAINER", "ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"}
)
SHELL = ("/bin/sh", "-c")
BASE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""PATH of the images there are, for Dockerfiles that say `ENV PATH=…:$PATH`."""

_HEREDOC = re.compile(r"<<-?\s*[\"']?(\w+)[\"']?")
_VARIABLE = re.compile(r"\\\$|\$(?:(\w+)|\{(\w+)(?::([-+])([^}]*))?\})")


class DockerfileError(ValueError):
    """The Dockerfile cannot be read; the message names the line."""


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction: its line number, its name in capitals, and the rest of it."""

    line: int
    name: str
    rest: str

    def __str__(self) -> str:
        return f"{self.name} {self.rest}"


@dataclass
class Image:
    """The last stage of a Dockerfile: what its container would start, with what around it."""

    base: str = ""
    steps: list[Step] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    arguments: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    copied: list[str] = field(default_factory=list)
    """What COPY and ADD take from the repo."""

    @property
    def argv(self) -> list[str]:
        """What the container starts."""
        return [*self.entrypoint, *self.command]


def read(text: str, build_arguments: Mapping[str, str]) -> Image:
    """Return the image that `text` describes, or raise `DockerfileError`.

    `build_arguments` give declared ARGs their value, as a Space's variables do.
    """
    stage = _Stage(build_arguments)
    for step in _steps(text):
        stage = stage.after(step)
    if not stage.image.base:
        raise DockerfileError("the Dockerfile has no FROM")
    return stage.image


@dataclass
class _Stage:
    """What has been read so far."""

    build_arguments: Mapping[str, str]
    image: Image = field(default_factory=Image)
    before_from: dict[str, str] = field(default_factory=dict)
    """ARGs before the first FROM, which FROM may use and later ARGs may declare again."""

    def after(self, step: Step) -> _Stage:
        """Return the stage as `step` leaves it."""
        if step.name not in INSTRUCTIONS:
            raise DockerfileError(f"line {step.line}: unknown instruction: {step.name}")
        if not step.rest:
            raise DockerfileError(f"line {step.line}: {step.name} requires at least one argument")
        if not self.image.base and step.name not in {"FROM", "ARG"}:
            raise DockerfileError(f"line {step.line}: no build stage in current context")
        self.image.steps.append(step)
        act = getattr(self, f"_{step.name.lower()}", None)
        if act is not None:
            act(step)
        return self

    def _from(self, step: Step) -> None:
        words = [word for word in step.rest.split() if not word.startswith("--")]
        base = expand(words[0], self.before_from) if words else ""
        self.image = Image(base=base, steps=self.image.steps)

    def _arg(self, step: Step) -> None:
        for word in _words(step):
            name, has_default, value = word.partition("=")
            value = expand(value, self._known()) if has_default else self.before_from.get(name, "")
            value = self.build_arguments.get(name, value)
            (self.image.arguments if self.image.base else self.before_from)[name] = value

    def _env(self, step: Step) -> None:
        words = _words(step)
        if "=" not in words[0]:
            name, _, value = step.rest.partition(" ")
            words = [f"{name}={value.strip()}"]
        known = self._known()
        for word in words:
            name, equals, value = word.partition("=")
            if not equals:
                raise DockerfileError(f"line {step.line}: can't find = in {word!r}")
            self.image.environment[name] = expand(value, known)

    def _workdir(self, step: Step) -> None:
        folder = expand(step.rest.strip("\"'"), self._known())
        self.image.workdir = posixpath.normpath(posixpath.join(self.image.workdir, folder))

    def _copy(self, step: Step) -> None:
        form = _exec_form(step.rest)
        words = form if form is not None else _words(step)
        paths = [expand(word, self._known()) for word in words if not word.startswith("--")]
        if len(paths) < 2:  # noqa: PLR2004
            raise DockerfileError(f"line {step.line}: {step.name} requires at least two arguments")
        if "<<" not in step.rest and not any(word.startswith("--from") for word in words):
            self.image.copied += [path for path in paths[:-1] if "://" not in path]

    _add = _copy

    def _cmd(self, step: Step) -> None:
        self.image.command = _command(step)

    def _entrypoint(self, step: Step) -> None:
        self.image.entrypoint = _command(step)
        self.image.command = []

    def _known(self) -> dict[str, str]:
        return {"PATH": BASE_PATH, **self.image.arguments, **self.image.environment}


def expand(text: str, values: Mapping[str, str]) -> str:
    """Replace `$NAME`, `${NAME}`, `${NAME:-else}` and `${NAME:+then}`; `\\$` stays a dollar."""

    def value(match: re.Match[str]) -> str:
        if match.group() == "\\$":
            return "$"
        found = values.get(match.group(1) or match.group(2), "")
        if match.group(3) == "-":
            return found or match.group(4)
        if match.group(3) == "+":
            return match.group(4) if found else ""
        return found

    return _VARIABLE.sub(value, text)


def _steps(text: str) -> Iterator[Step]:
    """Yield the instructions, continued lines joined, comments and here-documents left out."""
    lines = enumerate(text.splitlines(), start=1)
    for number, raw in lines:
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        while line.endswith("\\"):
            more = next(lines, (0, ""))[1].strip()
            line = line[:-1] + ("\\" if more.startswith("#") else more)
        name, _, rest = line.partition(" ")
        if name.upper() in {"RUN", "COPY", "ADD"}:
            for end in _HEREDOC.findall(rest):
                _skip_to(end, lines, number)
        yield Step(number, name.upper(), rest.strip())


def _skip_to(end: str, lines: Iterator[tuple[int, str]], number: int) -> None:
    for _, line in lines:
        if line.strip() == end:
            return
    raise DockerfileError(f"line {number}: unterminated heredoc {end}")


def _words(step: Step) -> list[str]:
    """Return the words of an instruction without their quotes; `\\$` is left to `expand`."""
    try:
        return shlex.split(step.rest.replace(r"\$", r"\\$"))
    except ValueError as error:
        raise DockerfileError(f"line {step.line}: {str(error).lower()}") from error


def _exec_form(text: str) -> list[str] | None:
    """Return the JSON list that `text` is, or None."""
    if not text.startswith("["):
        return None
    try:
        words = json.loads(text)
    except ValueError:
        return None
    return words if all(isinstance(word, str) for word in words) else None


def _command(step: Step) -> list[str]:
    """Return the argv of CMD or ENTRYPOINT; what is not a JSON list is a line for the shell."""
    words = _exec_form(step.rest)
    return [*SHELL, step.rest] if words is None else words
