"""The one error class for everything that a user can mend; how others' errors, and those of options, are told in it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


class SeqplrpError(ValueError):
    """An input or a request that a user can mend.

    Parameters
    ----------
    where : str
        The place: a file with its line, an argument's name, a layer's module path.
    what : str
        What is wrong there, with the value that was found and the value that was expected.
    remedy : str
        What to do about it, in the imperative.

    Notes
    -----
    The text is one line, ``WHERE: WHAT; REMEDY``; the command line prints it after ``error:`` and exits with 2.
    """

    def __init__(self, where: object, what: str, remedy: str) -> None:
        self.where = _one_line(str(where))
        self.what = _one_line(what)
        self.remedy = _one_line(remedy)
        super().__init__(f"{self.where}: {self.what}; {self.remedy}")

    def __reduce__(self) -> tuple[type[SeqplrpError], tuple[str, str, str]]:
        # The default pickles the joined message alone, which would break errors that cross a process.
        return type(self), (self.where, self.what, self.remedy)


def first_line(error: BaseException, *, kind: bool = False) -> str:
    """Return the first line of an error's message that says something; the error's class where there is none.

    Parameters
    ----------
    error : exception
        Of another library, or of the user's own code: its message may have many lines, or be empty.
    kind : bool
        Whether the class is named before the line, too.
    """
    said = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return _said(error, said, kind)


def whole_message(error: BaseException, *, most: int | None = None, kind: bool = False) -> str:
    """Return all of an error's message as one line; the error's class where there is none.

    Parameters
    ----------
    error : exception
        Of another library, or of the user's own code: its message may have many lines, or be empty.
    most : int, optional
        Letters of it, where it may be long.
    kind : bool
        Whether the class is named before the message, too.
    """
    return _said(error, " ".join(str(error).split())[:most], kind)


def _said(error: BaseException, said: str, kind: bool) -> str:
    name = type(error).__name__
    if not said:
        return name
    return f"{name}: {said}" if kind else said


def _one_line(text: str) -> str:
    # Names out of hostile files may carry line breaks or terminal controls; an error must stay one readable line.
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


@contextmanager
def as_options(*names: str, **renamed: str) -> Iterator[None]:
    """Let errors that name an argument of the library name the option that set it.

    Parameters
    ----------
    *names : str
        The arguments; ``batch_size`` becomes ``--batch-size``, and ``p['conv*']`` becomes ``--p 'conv*'``.
    **renamed : str
        Arguments whose option has another name, with that: ``architecture="--arch"``.
    """
    try:
        yield
    except SeqplrpError as error:
        options = {name: option_of(name) for name in names} | renamed
        found = [_option(part, options) for part in error.where.split(", ")]
        if None in found:
            raise
        raise SeqplrpError(", ".join(map(str, found)), error.what, error.remedy) from error


def option_of(name: str) -> str:
    """Return the option that sets an argument: ``--batch-size`` for ``batch_size``."""
    return "--" + name.replace("_", "-")


def _option(where: str, options: Mapping[str, str]) -> str | None:
    """Return the option for an argument, or for one of its values by pattern."""
    by_pattern = re.fullmatch(r"(\w+)\[(.+)\]", where)
    if by_pattern is not None and by_pattern[1] in options:
        return f"{options[by_pattern[1]]} {by_pattern[2]}"
    return options.get(where)
