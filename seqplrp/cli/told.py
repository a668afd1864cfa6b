"""What the commands that explain say when they have ended, or have been stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

import typer

from seqplrp.errors import SeqplrpError

if TYPE_CHECKING:
    from seqplrp.pipeline import Progress, Result
    from seqplrp.storage import RunDirectory


@contextmanager
def telling_what_is_kept(place: RunDirectory) -> Iterator[Progress]:
    """Yield what shows a run's progress; where the run fails, say how many chunks are kept.

    Parameters
    ----------
    place : RunDirectory
        The run's.
    """
    from seqplrp.cli.console import progress
    from seqplrp.storage import LostRunDirectory

    before, doing = place.kept(), list[str]()

    def watched(description: str, total: int | None) -> AbstractContextManager[Callable[[int], None]]:
        doing.append(description)
        return progress(description, total)

    try:
        yield watched
    except LostRunDirectory:  # what is kept there now is another's
        raise
    except BaseException as error:
        # an input or a place that was refused at once has nothing to do with what an earlier run kept
        failed = not isinstance(error, SeqplrpError) or isinstance(error.__cause__, OSError) or "writing" in doing
        if (kept := place.kept()) and (kept > before or failed):
            typer.echo(f"note: {kept} finished chunks are kept in {place.out}: --resume goes on with them", err=True)
        raise


def tell(result: Result, place: RunDirectory, *, number: int, of: str, how: str, scores: str) -> None:
    """Say what was explained, what a reader of the maps must know, what was written, and what to call next.

    Parameters
    ----------
    result : Result
        What came of it.
    place : RunDirectory
        Where the files are.
    number : int
        How many were explained.
    of : str
        Of what.
    how : str
        By which method.
    scores : str
        Where the scores are told.
    """
    each = 1000 * result.explain_seconds / number
    typer.echo(f"explained {number} {of} by {how} ({each:.2f} ms each)")
    if result.negative_scores:
        typer.echo(
            f"note: {result.negative_scores} of the {result.scores} explained scores are negative, and their maps "
            f"share out a negative number: see {scores}"
        )
    for note in result.notes:
        typer.echo(f"note: {note}")
    typer.echo(f"wrote {place.out} ({result.wall_seconds:.1f} s)")
    for command in result.commands:
        typer.echo(f"next: {command}")
