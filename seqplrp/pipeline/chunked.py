"""Chunk by chunk to parts: what no part holds yet is explained, and each chunk is kept as soon as it is done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seqplrp.pipeline.ahead import read_ahead
from seqplrp.pipeline.chunk_task import Task
from seqplrp.pipeline.contents import Contents
from seqplrp.pipeline.executors import Executing, executing
from seqplrp.pipeline.kept import Kept
from seqplrp.pipeline.preparing import Prepared, check_unchanged

Progress = Callable[[str, int | None], AbstractContextManager[Callable[[int], None]]]
"""Shows how far something is: told what goes on and how many units there are, then how many more are done."""


@contextmanager
def unseen(description: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show nothing."""
    del description, total
    yield lambda steps: None


@dataclass
class Result:
    """What came of it, over all parts.

    Parameters
    ----------
    sequences, bases : int
        What was explained.
    scores, negative_scores : int
        How many scores were explained, one a sequence and target, and how many of them are below 0.
    explain_seconds : float
        Time in the engine, that of earlier processes included.
    wall_seconds : float
        All of this process's time.
    parts, found : int
        How many parts there are, and how many of them an earlier process had made.
    notes : dict
        What a reader of the maps must know, as keys in the order found.
    commands : list of str
        What other tools are to be called with on the files.
    """

    sequences: int = 0
    bases: int = 0
    scores: int = 0
    negative_scores: int = 0
    explain_seconds: float = 0.0
    wall_seconds: float = 0.0
    parts: int = 0
    found: int = 0
    notes: dict[str, None] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)

    def add(self, about: dict[str, Any]) -> None:
        """Count a part in, by what it says of itself."""
        self.parts += 1
        for name in ("sequences", "bases", "scores", "negative_scores", "explain_seconds"):
            setattr(self, name, getattr(self, name) + about[name])
        self.notes |= dict.fromkeys(about["notes"])


def make_parts(
    prepared: Prepared,
    kept: Kept,
    tasks: Iterable[Task],
    result: Result,
    *,
    still_there: Callable[[], None],
    progress: Progress,
    how: Executing,
) -> list[Path]:
    """Explain what no part holds yet.

    Parameters
    ----------
    prepared : Prepared
        What is explained.
    kept : Kept
        Where the parts are.
    tasks : iterable of Task
        All chunks, in the order of the input; they are read ahead, in another thread.
    result : Result
        Counts all parts in, and takes up what is to be told.
    still_there : callable
        Raises where the run's directory is not its own any more.
    progress : callable
        Shows how far it is.
    how : Executing
        Where chunks are explained.

    Returns
    -------
    list of Path
        The parts.
    """
    session, paths, found, sequences = prepared.session, list[Path](), set[Path](), 0
    result.notes |= dict.fromkeys(prepared.notes)
    with (
        progress("explaining", prepared.scan.sequences) as advance,
        executing(prepared, how) as do,
        # closed when something fails here, too: its thread must not go on reading
        closing(read_ahead(_watched(tasks, prepared.contents))) as coming,
    ):
        for task in coming:
            still_there()
            paths.append(task.path)
            about, fault = kept.finished(task.number, task.records)
            if fault:
                result.notes[f"{fault}; it was made anew"] = None
            if about is not None:
                found.add(task.path)
                session.take_up(about["largest_batch"])
            else:
                do(task)
            sequences += len(task.records)
            advance(len(task.records))
        check_unchanged(prepared, sequences)
    result.notes |= dict.fromkeys(kept.swept(paths))
    result.found = len(found)
    for path in paths:  # a run may take weeks: what it wrote at first is not trusted at the end
        result.add(kept.opened(path, verify=path not in found).about)
    if session.further and prepared.request.method.reverse_complement:
        result.notes["further inputs are the same for both strands: they were not turned"] = None
    return paths


def _watched(tasks: Iterable[Task], contents: Contents) -> Iterator[Task]:
    """Give chunks of which each is known to be of the input that the run was begun with."""
    for task in tasks:
        contents.check()
        yield task
