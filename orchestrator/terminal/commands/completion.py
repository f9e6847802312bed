"""`hubtrain completion`: what makes a shell offer commands, flags, jobs and machines after Tab."""

from __future__ import annotations

import click

from orchestrator.completing import SHELLS, script


@click.command("completion")
@click.argument("shell", type=click.Choice(list(SHELLS)))
@click.pass_context
def COMMAND(ctx: click.Context, shell: str) -> int:  # noqa: N802
    """Let bash, zsh or fish complete words after Tab.

    \b
    bash   echo 'eval "$(hubtrain completion bash)"' >> ~/.bashrc
    zsh    echo 'eval "$(hubtrain completion zsh)"' >> ~/.zshrc
    fish   hubtrain completion fish > ~/.config/fish/completions/hubtrain.fish

    In zsh that line comes after `compinit`. After Tab a shell then offers commands, flags and their
    choices, jobs and projects, tasks, machines and files; nothing is asked over a network for it.
    `autotrain completion SHELL` does the same for that name.
    """
    click.echo(script(shell, ctx.find_root().info_name or "hubtrain"))
    return 0
