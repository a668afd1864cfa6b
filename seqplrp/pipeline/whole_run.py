"""One run from what is asked to its directory: all is checked, parts are made, and files of them take their place."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqplrp.genomics import Note, Remark
from seqplrp.pipeline.chunk_task import Task
from seqplrp.pipeline.chunked import Progress, Result, make_parts
from seqplrp.pipeline.executors import Executing, where_it_runs
from seqplrp.pipeline.kept import Kept
from seqplrp.pipeline.preparing import Prepared, out_of_memory_told, prepare
from seqplrp.pipeline.provenance import describe
from seqplrp.pipeline.remark_table import REMARKS, RemarkTable
from seqplrp.pipeline.request import Request, unheard
from seqplrp.storage import RunDirectory


@dataclass(frozen=True)
class MadeParts:
    """A run all of whose parts are made, and whose files are to be.

    Parameters
    ----------
    prepared : Prepared
        What was explained; its request is as it suits the models.
    kept : Kept
        What opens its parts.
    parts : list of Path
        The parts, in the order of the input.
    stage : Path
        Where its files are to be made, that of the remarks is there already.
    remarks : int
        How many there are; without any there is no such file.
    began : float
        When it began, by the monotonic clock.
    """

    prepared: Prepared
    kept: Kept
    parts: list[Path]
    stage: Path
    remarks: int
    began: float

    def seconds(self) -> float:
        """Return how long this process has been at it."""
        return time.monotonic() - self.began

    def write_manifest(self, content: Mapping[str, Any]) -> None:
        """Write the run's manifest, which is the last of its files."""
        (self.stage / "manifest.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


@contextmanager
def made_parts(
    request: Request,
    place: RunDirectory,
    cut: Callable[[Prepared, Kept, Note], Iterator[Task]],
    result: Result,
    *,
    progress: Progress,
    how: Executing | None,
    note: Note = unheard,
) -> Iterator[MadeParts]:
    """Make a run's parts and yield what its files are made of; they take their place when the block ends.

    What can be known to be wrong is found before the first chunk, and before anything is written.

    Parameters
    ----------
    request : Request
        What is to be explained.
    place : RunDirectory
        Where the files are to be.
    cut : callable
        Cuts the input into chunks, and tells of what is left out of it or used otherwise than it stands there.
    result : Result
        Counts all parts in, and takes up what is to be told.
    progress : callable
        Shows how far it is.
    how : Executing or None
        Where chunks are explained; here if None.
    note : callable
        Is told what `cut` tells, beside the table of remarks.

    Raises
    ------
    SeqplrpError
        For whatever the user can mend. Parts that are finished then stay, and the run can be gone on with.
    """
    began, how = time.monotonic(), how or Executing()
    how.check()
    place.check()
    with out_of_memory_told():
        prepared = where_it_runs(prepare(request), how)
        described = describe(prepared.request, prepared.models, prepared.session, prepared.contents.sha256)
        with place.opened(described) as still_there:
            kept = Kept.of(place.parts, described)
            with RemarkTable(place.parts / REMARKS) as remarks:

                def heard(remark: Remark) -> None:
                    remarks.append(remark)
                    note(remark)

                tasks = cut(prepared, kept, heard)
                parts = make_parts(prepared, kept, tasks, result, still_there=still_there, progress=progress, how=how)
            still_there()
            with place.finishing() as stage, progress("writing", None):
                if remarks.count:
                    shutil.copyfile(place.parts / REMARKS, stage / REMARKS)
                yield MadeParts(prepared, kept, parts, stage, remarks.count, began)
