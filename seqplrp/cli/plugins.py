"""``seqplrp plugins``: what other packages add."""

from __future__ import annotations

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("plugins")(plugins)


def plugins(
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Hold each to what seqplrp's own are held to; takes some seconds.")
    ] = False,
) -> None:
    """List the methods, rules, operations and formats that installed packages add, and whether they can be used."""
    from seqplrp.cli.console import warn
    from seqplrp.errors import SeqplrpError
    from seqplrp.pipeline import plugin_states
    from seqplrp.plugins import unreadable

    failed, count = 0, 0
    for state in plugin_states(check=check):
        one = state.plugin
        typer.echo(f"{one.kind}\t{one.name}\t{one.distribution} {one.version}\t{state.told}")
        count += 1
        if state.fault is not None:
            failed += 1
            warn(state.fault.where, state.fault.what, state.fault.remedy)
    for other in unreadable():
        warn(other.distribution, other.what, other.remedy)
    if count == 0:
        typer.echo("no installed package adds anything")
    if check and failed:
        raise SeqplrpError("--check", f"{failed} of {count} plug-ins can't be used as they are", "see the warnings")
