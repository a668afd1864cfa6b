"""Turn the failures of others (of the argument parser, of the operating system) into the one error class."""

from __future__ import annotations

from typing import Any

import typer

from seqplrp.errors import SeqplrpError


def usage_error_type() -> type[Exception]:
    """Return the base class of the parser's errors.

    typer carried click as a dependency and later as a private copy, so the class is reached through a public
    descendant of it.
    """
    usage_error, click_exception = typer.BadParameter.__mro__[1:3]
    assert usage_error.__name__ == "UsageError"
    assert click_exception.__name__ == "ClickException"
    return click_exception


def from_usage_error(error: Any, command: str) -> SeqplrpError:
    """Tell a wrong argument in one line: where it stands, what is wrong, where to look.

    Parameters
    ----------
    error : click exception
        What the parser raised.
    command : str
        The command in question, for errors that do not know it.
    """
    ctx = getattr(error, "ctx", None)
    command = ctx.command_path if ctx is not None else command
    param = getattr(error, "param", None)
    remedy = f"see `{command} --help`"
    if type(error).__name__ == "MissingParameter" and param is not None:
        return SeqplrpError(command, f"{_argument_name(param)} is missing", f"give it ({remedy})")
    where = _argument_name(param) if param is not None else command
    what = error.message if param is not None else error.format_message()
    return SeqplrpError(where, _sentence(what), remedy)


def _argument_name(param: Any) -> str:
    if param.param_type_name == "option":
        return str(max(param.opts, key=len))
    return str(param.metavar or param.name.upper())


def _sentence(text: str) -> str:
    """One line without the full stop, its first letter small (an option's own name is left as it is)."""
    line = " ".join(text.split()).rstrip(".")
    return line[:1].lower() + line[1:] if line[1:2].islower() else line
