"""What the check says, in the words of a form: settings by the names of their fields.

What it advises is read as changes to the draft where it names whole values, so that one press does
what the terminal asks to type.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from orchestrator.form.draft import Draft, plain, spelled
from orchestrator.mentions import Mention, mentions, respelled
from worker.finding import Finding
from worker.params import Setting

_FIRST = re.compile(r", (?:or|and) |\. | \(|, then ")
_PLACEHOLDER = re.compile(r"[A-Z][A-Z-]+|.*[…/]?[A-Z]{4,}.*|.*….*")


@dataclass(frozen=True, slots=True)
class Told:
    """A finding, as a form says it."""

    finding: Finding
    field: str = ""
    """The field it is about; empty where it names none that is there."""

    changes: Mapping[str, Any] | None = None
    """What its first advice changes; none where it advises nothing that a field holds."""

    instead: str = ""
    """What else it advises."""

    @property
    def press(self) -> str:
        """What is pressed to do it: the fields with what they will hold."""
        changes = (self.changes or {}).items()
        return ", ".join(f"{name.replace('_', ' ')}: {spelled(value)}" for name, value in changes)


def told(found: Finding, said: Draft) -> Told:
    """Return a finding in the words of the form of a draft."""
    known = said.catalog.settings
    named = [m.setting.name for m in mentions(f"{found.text} {found.fix}")]
    field = next((name for name in named if name in known), "")
    here = replace(found, text=in_words(found.text), fix=in_words(found.fix))
    first, *others = _FIRST.split(found.fix, maxsplit=1)
    changes = changes_of(first, known)
    return Told(here, field, changes, in_words(" ".join(others)) if changes else here.fix)


def in_words(said: str) -> str:
    """Return a sentence in which settings are called as their fields are."""
    return (
        respelled(said, _spelled)
        .replace("the same command", "it")
        .replace("The same command", "It")
    )


def _spelled(one: Mention) -> str:
    label = f"“{one.setting.name.replace('_', ' ')}”"
    if one.setting.type is bool:
        return f"{label} {'on' if one.on else 'off'}{one.after}"
    return f"{label} {one.value}" if one.value else f"{label}{one.after}"


def changes_of(fix: str, known: Mapping[str, Setting]) -> dict[str, Any] | None:
    """Return what an advice changes, by the setting's name.

    None where it is not made of settings and their values alone: there is nothing to press then.
    """
    found = mentions(fix)
    rest = respelled(fix, lambda one: "" if one.setting.type is bool or one.value else "?")
    changes = {one.setting.name: _value(one) for one in found if one.setting.name in known}
    whole = bool(changes) and not rest.strip() and len(changes) == len(found)
    return changes if whole and not any(map(_stands_for_another, changes.values())) else None


def _value(one: Mention) -> Any:
    return one.on if one.setting.type is bool else plain(one.setting, one.value)


def _stands_for_another(value: Any) -> bool:
    return isinstance(value, str) and bool(_PLACEHOLDER.fullmatch(value))
