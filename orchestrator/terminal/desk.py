"""What every command works with: the user's jobs, and the screen."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from orchestrator.jobs.client import Client
from orchestrator.terminal.output import Screen


@dataclass
class Desk(Client):
    """One run of one command."""

    as_json: bool = False

    @cached_property
    def screen(self) -> Screen:
        """Where the command's words go."""
        return Screen(self.clock, as_json=self.as_json)
