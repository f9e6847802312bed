"""The exit codes of the program, as the terminal's commands return them."""

from orchestrator.exits import DETACHED, FAILED, MENDABLE, exit_code

__all__ = ["DETACHED", "FAILED", "MENDABLE", "exit_code"]
