"""What commands say while they work: warnings, and progress bars that are quiet when nobody watches."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Advance(Protocol):
    """Tells the bar that so many more units are done."""

    def __call__(self, steps: int = 1) -> None:
        """Advance the bar by ``steps`` units."""


def warn(where: object, what: str, remedy: str) -> None:
    """Print ``warning: WHERE: WHAT; REMEDY`` as one line on standard error; the command goes on.

    Parameters
    ----------
    where : object
        The place: a file, an argument, a sequence.
    what : str
        What is doubtful there.
    remedy : str
        What to try.
    """
    from seqplrp.errors import SeqplrpError

    print(f"warning: {SeqplrpError(where, what, remedy)}", file=sys.stderr)


@contextmanager
def progress(description: str, total: int | None, unit: str = "sequences") -> Iterator[Advance]:
    """Show a bar with the rate and the time left on standard error, if that is a terminal.

    Parameters
    ----------
    description : str
        What is going on.
    total : int or None
        How many units there are; None if that is not known before the end.
    unit : str
        What is counted.

    Yields
    ------
    callable
        To be called with the number of units that were done.
    """
    if not sys.stderr.isatty():

        def ignore(steps: int = 1) -> None:
            del steps

        yield ignore
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn(unit))
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(description, total=total)

        def advance(steps: int = 1) -> None:
            bar.advance(task, steps)

        yield advance
