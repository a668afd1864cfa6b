"""The typer application, and the one place where a failure becomes a line on standard error."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Protocol, cast

import typer

from seqplrp._version import __version__
from seqplrp.cli.errors import from_usage_error, usage_error_type
from seqplrp.cli.stopping import Stopped, stop_behind, stoppable
from seqplrp.errors import SeqplrpError
from seqplrp.storage import from_os_error

COMMANDS = (
    "simulate",
    "train",
    "explain",
    "variants",
    "export",
    "logo",
    "report",
    "score",
    "audit",
    "filters",
    "benchmark",
    "image",
    "plugins",
    "demo",
)
"""The commands in the order of the work; each is a module of this room of the same name."""

EXIT_MENDABLE = 2
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141
EXIT_STOPPED = 128  # and the signal's number: 143 after SIGTERM


class _Command(Protocol):
    """The part of a click command that is used here; typer carries its own copy of click since 0.26."""

    def make_context(self, info_name: str, args: list[str]) -> Any: ...
    def invoke(self, ctx: Any) -> Any: ...


def build_app() -> typer.Typer:
    """Make the application with every command registered."""
    app = typer.Typer(
        name="seqplrp",
        help="Which bases made my network say that? Explains sequence models by pruned relevance.",
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback(invoke_without_command=True)
    def root(
        ctx: typer.Context,
        version: bool = typer.Option(False, "--version", help="Print the version and stop."),
    ) -> None:
        if version:
            typer.echo(f"seqplrp {__version__}")
        elif ctx.invoked_subcommand is None:
            typer.echo(ctx.get_help())

    for name in COMMANDS:
        importlib.import_module(f"seqplrp.cli.{name}").register(app)
    return app


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments after the program's name; those of the process if None.

    Returns
    -------
    int
        0; 2 after anything the user can mend, which is told in one line ``error: WHERE: WHAT; REMEDY`` on
        standard error; 130 after Ctrl-C; 143 after SIGTERM; 141 if the reader of standard output went away.

    Raises
    ------
    Exception
        Whatever is a fault of the program and not of its use; the interpreter shows it and exits with 1.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        with stoppable():
            code = run_command(arguments)
            sys.stdout.flush()
    except BaseException as error:  # whatever is none of ours is raised again
        stop = stop_behind(error)
        return _ended(error, arguments) if stop is None else _stopped(stop)
    return code


def _ended(error: BaseException, arguments: list[str]) -> int:
    """Tell why a command ended, and return the exit code; raise what is a fault of the program."""
    if isinstance(error, SeqplrpError):
        return _fail(error)
    if isinstance(error, usage_error_type()):
        named = [argument for argument in arguments[:1] if argument in COMMANDS]
        return _fail(from_usage_error(error, " ".join(["seqplrp", *named])))
    if isinstance(error, BrokenPipeError):
        _silence_stdout()
        return EXIT_BROKEN_PIPE
    if isinstance(error, typer.Abort):
        return _stopped(KeyboardInterrupt())
    mendable = from_os_error(error) if isinstance(error, OSError) else None
    if mendable is None:
        raise error
    return _fail(mendable)


def _stopped(stop: Stopped | KeyboardInterrupt) -> int:
    if isinstance(stop, KeyboardInterrupt):
        print("interrupted: stopped before the end; no output was written", file=sys.stderr)
        return EXIT_INTERRUPTED
    with suppress(OSError):  # the terminal may be what was lost
        print(f"stopped by {stop}: no output was written", file=sys.stderr)
    return EXIT_STOPPED + stop.number


def run_command(arguments: list[str]) -> int:
    """Run one command; failures come out as exceptions.

    Returns
    -------
    int
        The exit code that the command asked for.
    """
    # Not the command's own main(): that would format errors, end the process and hide Ctrl-C from us.
    command = cast(_Command, typer.main.get_command(build_app()))
    try:
        with command.make_context("seqplrp", arguments) as ctx:
            command.invoke(ctx)
    except typer.Exit as stop:
        return stop.exit_code
    return 0


def _fail(error: SeqplrpError) -> int:
    print(f"error: {error}", file=sys.stderr)
    return EXIT_MENDABLE


def _silence_stdout() -> None:
    # What is still buffered would raise once more when the interpreter flushes it on its way out.
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):  # standard output is not a real file, as under a test's capture
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  (lives as long as the process)
