"""`hubtrain backends`: where jobs can run, and what it costs there."""

from __future__ import annotations

from dataclasses import asdict

import click

import backends
from backends.base import Flavor
from orchestrator.exits import FAILED
from orchestrator.machine_cache import keep
from orchestrator.preflight.places import places
from orchestrator.terminal.any_task import TAKES_ALL, TakesSettings, words_of_settings
from orchestrator.terminal.desk import Desk
from orchestrator.words import money, size
from worker.account import who
from worker.errors import HubtrainError
from worker.hubclient import hub
from worker.task import Finding


@click.command("backends", cls=TakesSettings, context_settings=TAKES_ALL)
@click.option("--for", "what", metavar="WHAT", help="A job, its config file, or TASK and SETTINGS.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@words_of_settings("words", "[SETTINGS]...")
def COMMAND(what: str | None, words: tuple[str, ...], as_json: bool) -> int:  # noqa: N802
    """List backends and flavors with today's prices.

    It says which of the Hub's places your account may use. With --for: what a job would take and
    cost on each machine, the cheapest finished run first, and on which it does not fit. `--for
    job.yml --lr 1e-4` and `--for llm --model …` take what TASK --train takes. Exits 0 if all that
    bill answered, with --for too.
    """
    if what is not None:
        from orchestrator.terminal.compared import compared

        return compared(what, words, as_json=as_json)
    if words:
        raise click.UsageError(f"{words[0]} says nothing here; settings of a job go after --for")
    desk = Desk(as_json)
    found: dict[str, list[Flavor]] = {}
    for name in backends.names():
        try:
            found[name] = desk.provider(name).flavors()
        except HubtrainError as error:
            desk.screen.findings([Finding("warn", name, error.message, error.fix)])
    keep(found)
    desk.screen.document({name: [asdict(f) for f in flavors] for name, flavors in found.items()})
    rows = [_row(name, flavor) for name, flavors in found.items() for flavor in flavors]
    columns = ("--backend", "PRICE", "GPU", "VRAM", "MEMORY", "CPUS", "SHORT")
    desk.screen.table(columns, rows, spare=("SHORT", "CPUS", "MEMORY", "VRAM"))
    named = ((name, flavor.short_names) for name, flavors in found.items() for flavor in flavors)
    if short := next((f"{name}-{shorts[0]}" for name, shorts in named if shorts), None):
        desk.screen.say("", f"SHORT may stand for the machine's name: --backend {short}")
    desk.screen.findings(_places(desk))
    return FAILED if backends.any_bills(set(backends.names()) - found.keys()) else 0


def _places(desk: Desk) -> list[Finding]:
    """Return what the token's account may use; nothing where there is no token, or no answer."""
    if desk.token is None:
        return []
    try:
        return list(places(who(hub(desk.token), desk.clock)))
    except HubtrainError as error:
        return [Finding("warn", "account", error.message, error.fix)]


def _row(backend: str, flavor: Flavor) -> tuple[str, ...]:
    gpus = f"{flavor.accelerators} x " if flavor.accelerators > 1 else ""
    return (
        flavor.name if flavor.name == backend else f"{backend}-{flavor.name}",
        f"{money(flavor.usd_per_hour)}/h" if flavor.usd_per_hour else "free",
        f"{gpus}{flavor.accelerator}" if flavor.accelerator else "-",
        size(flavor.vram_bytes) if flavor.vram_bytes else "-",
        size(flavor.memory_bytes),
        f"{flavor.cpus:g}",
        " ".join(flavor.short_names),
    )
