"""A draft as a YAML file and as a command, such as people write them, and read back from either.

What is read may be AutoTrain's: its files, its `export NAME=value` lines, its command. Nothing of
it is executed, no variable of this machine is read unless whoever asks hands it over, and a token
that stands in it is left out.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import yaml
from click import UsageError

from orchestrator import flags
from orchestrator.form.draft import Draft, draft, spelled
from orchestrator.settings import configfile, envfile
from orchestrator.settings.configfile import NAME, ConfigFile
from orchestrator.settings.files import read
from orchestrator.settings.gather import task_of, task_of_file
from worker.errors import BadConfig
from worker.params import Setting, settings_of
from worker.task import Task
from worker.tasks import typed

PASTED = "the YAML"
PROGRAMS = ("hubtrain", "autotrain")
WITHOUT_TOKEN = "the token was left out: the app uses its own login"

_NEXT_LINE = re.compile(r"""('[^']*'|"(?:\\.|[^"\\])*")|\\\r?\n""")
_ASSIGNED = re.compile(r"[A-Za-z_]\w*=.*", re.DOTALL)
_VARIABLE = re.compile(r"\$\{?[A-Za-z_]\w*\}?")

Accounts = Callable[[], list[str]]


def as_yaml(said: Draft) -> str:
    """Return a draft as a file for `--config`."""
    inner = {k: v for k, v in said.values.items() if k == "task"}  # else it would name the job's
    document = {"task": typed(said.task.name), **_but(said.values, inner)}
    if inner:
        document["params"] = inner
    text: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=10**9)
    return text


def as_command(said: Draft) -> str:
    """Return a draft as a line for a shell."""
    catalog = said.catalog
    words = ["hubtrain", typed(said.task.name), "--train"]
    for name, value in said.values.items():
        words += _as_words(catalog.settings[name], value)
    return shlex.join(words)


def _as_words(setting: Setting, value: Any) -> Iterator[str]:
    """Yield a setting as words of a command line."""
    flag = setting.flags[0]
    if setting.type is bool and isinstance(value, bool):
        off = setting.off[0] if setting.off else f"--no-{flag.removeprefix('--')}"
        yield flag if value else off
        return
    text = spelled(value)
    if text.startswith("-"):
        yield f"{flag}={text}"
    else:
        yield from (flag, text)


def of_yaml(
    text: str, accounts: Accounts = list, environ: Mapping[str, str] | None = None
) -> Draft:
    """Return the draft that a file says, YAML or lines of variables. Raises `BadConfig`."""
    content = text.encode()
    parser = envfile if envfile.is_one(content) else configfile
    return _of_file(parser.parsed(content, PASTED, from_web=False), accounts, environ or {})


def _of_file(file: ConfigFile, accounts: Accounts, environ: Mapping[str, str]) -> Draft:
    task, extra = task_of_file(file)
    if file.sweep:
        fix = "Take the block `sweep` out, or use hubtrain sweep."
        raise BadConfig(f"{file.source} says what a sweep tries, and this is one job.", fix=fix)
    layer = file.layer(environ, lambda: (accounts() or [""])[0])
    notes = (WITHOUT_TOKEN,) if file.values.get("token") else ()
    return draft(task, {**extra, **layer.values}, (*layer.notes, *notes), source=file.source)


def of_command(
    text: str,
    accounts: Accounts = list,
    environ: Mapping[str, str] | None = None,
    *,
    files: bool = False,
) -> Draft:
    """Return the draft that a command says; `files` of this machine may be read if it names one.

    Raises `BadConfig` in the terminal's words.
    """
    words = list(_words(text))
    task, extra, file, rest = _task(words, files=files)
    rest, named = _apart(task, rest)
    try:
        given = flags.typed(task, rest)
    except UsageError as error:
        raise BadConfig(flags.complaint(error, rest)) from error
    if other := next((one for one in ("deploy", "inference") if given.get(one)), None):
        raise BadConfig(f"--{other} trains nothing, and this form is for training.")
    notes = [WITHOUT_TOKEN] if "token" in given else []
    own = {str(option.name) for option in flags.COMMAND_OPTIONS}
    said = {**extra, **dict(_filled(_but(given, own), notes)), **named}
    if file is None:
        return draft(task, said, tuple(notes))
    below = _of_file(file, accounts, environ or {})
    above = draft(task, said, tuple(notes))
    return Draft(task, {**below.values, **above.values}, (*below.notes, *above.notes))


def _words(text: str) -> Iterator[str]:
    """Yield what a shell makes of a command: its words from the name of the program on."""
    joined = _NEXT_LINE.sub(lambda found: found[1] or " ", text.strip())
    try:
        words = iter(shlex.split(joined.lstrip("$!%> ")))
    except ValueError as error:
        raise BadConfig(f"the command has a quote that does not end ({error}).") from error
    for word in words:
        if word.rpartition("/")[2] in PROGRAMS:
            yield from words
            return
        if not _ASSIGNED.fullmatch(word):
            break
    raise BadConfig("this is no command of hubtrain: it begins with hubtrain or autotrain.")


def _task(
    words: list[str], *, files: bool
) -> tuple[Any, dict[str, Any], ConfigFile | None, list[str]]:
    """Return a command's task, what goes with its name, its file, and its other words."""
    where = flags.config_among(words)
    if where is not None and not files:
        raise BadConfig(f"{where} is not read from here.", fix="Paste what it holds as YAML.")
    file = read(where) if where is not None else None
    if words and not words[0].startswith("-"):
        task, extra = task_of(words[0], "the task")
        return task, extra, file, words[1:]
    if file is None:
        raise BadConfig("the command names no task, as in hubtrain TASK --train.")
    return *task_of_file(file), file, words


def _apart(task: Task[Any], words: list[str]) -> tuple[list[str], dict[str, list[str]]]:
    """Return the words without settings whose values are secrets, and these, however often said."""
    end = words.index(flags.BEHIND) if flags.BEHIND in words else len(words)
    known = {f: s.name for s in settings_of(task.params) if s.secret_pairs for f in s.flags}
    found: dict[str, list[str]] = {}
    left, following = [], iter(words[:end])
    for word in following:
        flag, equals, value = word.partition("=")
        if flag in known:
            found.setdefault(known[flag], []).append(value if equals else next(following, ""))
        else:
            left.append(word)
    return [*left, *words[end:]], found


def _filled(given: Mapping[str, Any], notes: list[str]) -> Iterator[tuple[str, Any]]:
    """Yield settings but those that a shell would have filled in: nobody does that here."""
    for name, value in given.items():
        if isinstance(value, str) and _VARIABLE.fullmatch(value):
            if NAME in value:  # whoever is logged in is who is meant when nobody is named
                continue
            notes.append(f"{name}: {value} is a variable of a shell; write its value")
        else:
            yield name, value


def _but(values: Mapping[str, Any], left_out: Iterable[str]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in left_out}
