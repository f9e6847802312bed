"""What a command makes of the words that somebody types."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click
from click.testing import CliRunner

from orchestrator.flags import SettingsCommand, given, normalized


def parsed(options: Iterable[click.Parameter], words: Iterable[str]) -> dict[str, Any]:
    """Return the words, under the names of settings, as a command with `options` takes them."""
    caught: dict[str, Any] = {}
    command = SettingsCommand(
        "llm",
        params=list(options),
        callback=lambda **values: caught.update(given(values)),
        context_settings={"token_normalize_func": normalized},
    )
    result = CliRunner().invoke(command, list(words), standalone_mode=False)
    if result.exception:
        raise result.exception
    return caught
