"""Settings as command line options: every one of them read off its params class.

Values stay as they were typed, and a flag that was not given leaves no trace, so that layers
merge as plain dicts and validation has one home. Dashes and underscores mean the same.

It reads words and says nothing: the terminal's commands are made of it, and a command that is
pasted into the app is read by it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from worker.params import Params, Setting
    from worker.task import Task

BEHIND = "--"
"""Ends the options of a command: the words behind it are meant for somebody else."""

METAVARS = {int: "INT", float: "NUMBER", str: "TEXT"}

COMMAND_OPTIONS = (
    click.Option(["--train"], is_flag=True, help="Train a model."),
    click.Option(["--deploy"], is_flag=True, help="Let a trained model answer on a page."),
    click.Option(["--inference"], is_flag=True, help="Ask a trained model, or chat with it."),
    CONFIG := click.Option(["--config"], help="File of settings (YAML or .env), or its address."),
    TOKEN_OPTION := click.Option(
        ["--token"], help="Hub token; better in HF_TOKEN or from `hf auth login`."
    ),
    DRY_RUN := click.Option(
        ["--dry-run"], is_flag=True, help="Check, print the plan, create nothing."
    ),
    DETACH := click.Option(["--detach"], is_flag=True, help="Launch and leave; do not watch."),
    JSON := click.Option(["--json"], is_flag=True, help="Print one JSON document."),
)
"""What the command of a task takes beside settings."""


class SettingOption(click.Option):
    """An option that knows which group of `--help` it belongs to.

    The words behind `--` are the value of one that takes the `rest`.
    """

    def __init__(self, *args: Any, setting: Setting, **how: Any) -> None:
        super().__init__(*args, **how)
        self.setting, self.group, self.rest = setting, setting.group, setting.rest

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        from orchestrator.completing import values

        return values(self.setting, incomplete)


class SettingsCommand(click.Command):
    """A command whose `--help` shows options in the groups their classes declare.

    An option that is given under two of its names is refused: one of them was a slip.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if names := _given_twice(self, args):
            from orchestrator.settings.layers import twice

            raise click.UsageError(twice(*names), ctx)
        taking = (o for o in self.params if isinstance(o, SettingOption) and o.rest)
        rest = next(taking, None) if BEHIND in args else None
        if rest is None:
            return super().parse_args(ctx, args)
        at = args.index(BEHIND)
        left = super().parse_args(ctx, args[:at])
        if ctx.params[str(rest.name)] is not None:
            raise click.UsageError(f"{rest.opts[0]} and {BEHIND} are the same; give one.", ctx)
        ctx.params[str(rest.name)] = args[at + 1 :]
        return left

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        """Return the flags that begin so, with dashes or underscores as they were begun."""
        found = super().shell_complete(ctx, normalized(incomplete))
        for item in found if "_" in incomplete else ():
            item.value = "--" + item.value.removeprefix("--").replace("-", "_")
        return found

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        groups: dict[str, list[tuple[str, str]]] = {}
        for option in self.get_params(ctx):
            row = option.get_help_record(ctx)
            if row is not None and row[1]:  # an argument has none: the text above tells of it
                groups.setdefault(getattr(option, "group", "Command"), []).append(row)
        for group, rows in groups.items():
            with formatter.section(group):
                formatter.write_dl(rows, col_max=34)


def options_of(classes: Iterable[type[Params]]) -> list[click.Option]:
    """Return one option per setting of the classes; a setting several share appears once."""
    from worker.params import settings_of

    seen: dict[str, click.Option] = {}
    for params in classes:
        for setting in settings_of(params):
            seen.setdefault(setting.name, _option(setting))
    return list(seen.values())


def options_of_task(task: Task[Any]) -> list[click.Parameter]:
    """Return all that the command of a task takes: settings, and what to do with them."""
    from orchestrator.settings.gather import classes_of

    ignored = hidden(options_of((task.ignored,)))
    return [*COMMAND_OPTIONS, *options_of(classes_of(task)), *ignored]


def typed(task: Task[Any], words: Sequence[str]) -> dict[str, Any]:
    """Return what the words behind `hubtrain TASK` give, by name, as they were typed.

    Raises `click.UsageError`: see `complaint`.
    """
    command = SettingsCommand(
        task.name,
        params=options_of_task(task),
        add_help_option=False,
        context_settings={"token_normalize_func": normalized},
    )
    own = {option.name for option in COMMAND_OPTIONS if option.is_flag}
    found = given(command.make_context(task.name, list(words)).params)
    return {name: value for name, value in found.items() if value or name not in own}


def complaint(error: click.UsageError, words: Sequence[str]) -> str:
    """Return what to say of words that a command does not take."""
    if isinstance(error, click.NoSuchOption) and error.ctx:
        outer = error.ctx.obj  # the command among whose words these stand, if there is one
        beside = outer.command.params if isinstance(outer, click.Context) else []
        return "\n".join(unknown_options(words, error.option_name, error.ctx.command, beside))
    said = error.format_message()
    return in_two(words, said) or said.rstrip(".") + "."


def hidden(options: Iterable[click.Option]) -> list[click.Option]:
    """Return the options, taken where they are given and left out of `--help`."""
    found = list(options)
    for option in found:
        option.hidden = True
    return found


def _option(setting: Setting) -> click.Option:
    how: dict[str, Any] = {"default": None, "help": _help(setting), "setting": setting}
    if setting.type is bool:
        on = [flag for flag in setting.flags if flag.startswith("--")]
        switches = [f"{flag}/--no-{flag.removeprefix('--')}" for flag in on]
        option = SettingOption([setting.name, *switches], **how)
        option.secondary_opts += setting.off
        return option
    if setting.alone:
        how |= {"is_flag": False, "flag_value": setting.alone}
    metavar = f"[{'|'.join(setting.choices)}]" if setting.choices else METAVARS.get(setting.type)
    return SettingOption([setting.name, *setting.flags], metavar=metavar or "TEXT", **how)


def _help(setting: Setting) -> str:
    if setting.required or setting.default is None:
        return setting.help
    default = {True: "on", False: "off"}.get(setting.default, setting.default)
    if setting.type is not bool:
        default = setting.default
    return f"{setting.help} [default: {default}]"


def given(values: dict[str, Any]) -> dict[str, Any]:
    """Return the flags that were really typed."""
    return {name: value for name, value in values.items() if value is not None}


def normalized(token: str) -> str:
    """Return an option's name as options are declared: `--lora_r` is `--lora-r`."""
    return token.replace("_", "-")


def _given_twice(command: click.Command, args: Sequence[str]) -> tuple[str, str] | None:
    """Return two names of one option among the words of a command line, if there are such."""
    options = {flag: o for o in command.params if isinstance(o, click.Option) for flag in o.opts}
    seen: dict[str | None, str] = {}
    words = iter(args)
    for word in words:
        if word == BEHIND:
            break
        long = word.startswith("--")
        flag = normalized(word.split("=")[0]) if long else word[:2]
        option = options.get(flag)
        if option is None:
            continue
        if not option.is_flag and ((long and "=" not in word) or word == flag):
            next(words, None)  # its value
        if (first := seen.setdefault(option.name, flag)) != flag:
            return first, flag
    return None


def config_among(words: Iterable[str]) -> str | None:
    """Return the file that `--config` names among the words of a command line; none without."""
    rest = takewhile(lambda word: word != BEHIND, words)
    for word in rest:
        if word == "--config":
            return next(rest, None)
        if word.startswith("--config="):
            return word.removeprefix("--config=")
    return None


def unknown_options(
    words: Iterable[str], first: str, command: click.Command, beside: Iterable[click.Parameter]
) -> list[str]:
    """Return a complaint for each option among `words` that `command` lacks, `first` before all.

    Options that may stand `beside` its own are none of those.
    """
    there = [*command.params, *beside]
    known = {flag for option in there for flag in (*option.opts, *option.secondary_opts)}
    own = takewhile(lambda word: word != BEHIND, words)
    typed = (word.split("=")[0] for word in own if word.startswith("--"))
    others = (w for w in typed if normalized(w) not in {*known, "--help", normalized(first)})
    from orchestrator.settings.gather import whose

    wrong = dict.fromkeys([first, *others])
    return [f"no option {name}.{nearest_option(name, command) or whose(name)}" for name in wrong]


def in_two(words: Sequence[str], complaint: str) -> str:
    """Return what to say of a word that belongs to no option: it may be the end of a value.

    Empty where the `complaint` of click is another.
    """
    extra = re.search(r"unexpected extra arguments? \((.+)\)", complaint)
    if extra is None:
        return ""
    word = next((w for w in words if extra[1].startswith(w) and not w.startswith("-")), extra[1])
    at = words.index(word) if word in words else 0
    start = max((i for i in range(at) if words[i].startswith("--")), default=None)
    if start is None or at - start < 2:  # noqa: PLR2004
        return ""
    end = next((i for i in range(at, len(words)) if words[i].startswith("-")), len(words))
    whole = shlex.quote(" ".join(words[start + 1 : end]))
    return (
        f"{word} belongs to no option. Where it is part of a name with blanks, that takes quotes:  "
        f"{words[start]} {whole}"
    )


def nearest_option(name: str, command: click.Command) -> str:
    """Return a sentence with the option that looks most like `name`, or an empty one."""
    by_flag = {
        flag: option
        for option in command.params
        for flag in (*option.opts, *option.secondary_opts)
        if flag.startswith("--") and not getattr(option, "hidden", False)
    }
    from orchestrator.settings.autotrain import SYNONYMS
    from worker.nearest import hint, nearest

    near = nearest(name, by_flag, SYNONYMS)
    if near is None:
        return ""
    others = [o for o in by_flag[near].opts if o != near and o.startswith("--")]
    also = f" (also {', '.join(others)})" if others and near in by_flag[near].opts else ""
    return hint(near + also)
