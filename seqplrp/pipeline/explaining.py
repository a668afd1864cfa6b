"""From sequences and models to tracks: explain chunk by chunk, keep each as a part, then make files of all parts."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seqplrp.genomics import Record, tracks
from seqplrp.methods import PLRP
from seqplrp.pipeline.ahead import read_ahead
from seqplrp.pipeline.contents import Contents
from seqplrp.pipeline.executors import Executing, Task, executing
from seqplrp.pipeline.formats import (
    Writing,
    about_run,
    libraries_of,
    next_commands,
    output_suffixes,
    write_formats,
)
from seqplrp.pipeline.kept import Kept
from seqplrp.pipeline.preparing import Prepared, Scan, check_unchanged, out_of_memory_told, prepare
from seqplrp.pipeline.provenance import describe, now
from seqplrp.pipeline.remark_table import REMARKS, RemarkTable
from seqplrp.pipeline.request import Request, read_records
from seqplrp.pipeline.session import chunks_of
from seqplrp.storage import RunDirectory

_LIBRARIES = ("torch", "numpy", "pandas", "h5py", "pybigtools")

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


def run(request: Request, place: RunDirectory, progress: Progress = unseen, how: Executing | None = None) -> Result:
    """Explain every record, part by part, and write the files.

    What can be known to be wrong is found before the first chunk, and before anything is written.

    Raises
    ------
    SeqplrpError
        For whatever the user can mend. Parts that are finished then stay, and the run can be gone on with.
    """
    began = time.monotonic()
    how = how or Executing()
    how.check()
    place.check()
    with out_of_memory_told():
        prepared = prepare(request)
        request = prepared.request  # as it suits the model
        described = describe(request, prepared.models, prepared.session, prepared.contents.sha256)
        with place.opened(described) as still_there:
            kept = Kept.of(place.parts, described)
            with RemarkTable(place.parts / REMARKS) as remarks:
                parts, result = _explain(prepared, kept, still_there, progress, remarks, how)
            still_there()
            with place.finishing() as stage, progress("writing", None):
                begun = prepared.provenance("explain", (*_LIBRARIES, *libraries_of(request.formats)))
                _write(prepared, stage, place, parts, begun, result)
                if remarks.count:
                    shutil.copyfile(place.parts / REMARKS, stage / REMARKS)
                    result.notes[_remarked(prepared.scan)] = None
                result.wall_seconds = time.monotonic() - began
                manifest = json.dumps(_manifest(prepared, begun, result), indent=1) + "\n"
                (stage / "manifest.json").write_text(manifest, encoding="utf-8")
    return result


def _write(
    prepared: Prepared, stage: Path, place: RunDirectory, parts: list[Path], begun: dict[str, Any], result: Result
) -> None:
    """Make the files that were asked for of the parts, and note what is to be told of them."""
    request, names = prepared.request, prepared.session.names
    index = stage / "index.sqlite"
    with tracks.joined_parts(parts, index, genome=request.source.sizes()) as spools:
        about = about_run(begun, names)
        outputs = [
            Writing(spool, parts, suffix, request.overlaps, about)
            for spool, suffix in zip(spools, output_suffixes(names), strict=True)
        ]
        write_formats(request.formats, stage, outputs)
        result.commands = next_commands(request.formats, place.out, outputs)
        for contig in spools[0].index.doubtful_contigs():
            result.notes[_doubtful(contig)] = None
    index.unlink()


def _explain(
    prepared: Prepared,
    kept: Kept,
    still_there: Callable[[], None],
    progress: Progress,
    remarks: RemarkTable,
    how: Executing,
) -> tuple[list[Path], Result]:
    """Explain what no part holds yet; return all parts and what they say of themselves."""
    request, session = prepared.request, prepared.session
    paths, mended, found, first = list[Path](), list[str](), set[Path](), 0
    with (
        progress("explaining", prepared.scan.sequences) as advance,
        executing(prepared, how) as do,
        ExitStack() as stack,
    ):
        records_of = read_records(request, remarks.append)
        # closed when something fails here, too: its thread must not go on reading
        chunks = chunks_of(records_of, request.chunk_size)
        chunks = stack.enter_context(closing(read_ahead(_watched(chunks, prepared.contents))))
        for number, records in enumerate(chunks):
            still_there()
            task = Task(number, first, tuple(records), kept.path(number), kept.run)
            paths.append(task.path)
            about, fault = kept.finished(number, records)
            if fault:
                mended.append(f"{fault}; it was made anew")
            if about is not None:
                found.add(task.path)
                session.take_up(about["largest_batch"])
            else:
                do(task)
            first += len(records)
            advance(len(records))
        check_unchanged(prepared, first)
    mended += kept.swept(paths)
    result = Result(found=len(found), notes=dict.fromkeys(mended))
    for path in paths:  # a run may take weeks: what it wrote at first is not trusted at the end
        result.add(kept.opened(path, verify=path not in found).about)
    if session.further and request.method.reverse_complement:
        result.notes["further inputs are the same for both strands: they were not turned"] = None
    return paths, result


def _watched(chunks: Iterable[list[Record]], contents: Contents) -> Iterator[list[Record]]:
    """Give chunks of which each is known to be of the input that the run was begun with."""
    for chunk in chunks:
        contents.check()
        yield chunk


def _remarked(scan: Scan) -> str:
    told = ", ".join(f"{number} {kind}" for kind, number in sorted(scan.remarks.items()))
    return f"not all of the input is used as it stands: {told}; see {REMARKS}"


def _doubtful(contig: str) -> str:
    return (
        f"contig {contig!r} is one record by its name and others by their coordinates: if they are not the same "
        "contig, rename one, as the tracks average them where they overlap"
    )


def _manifest(prepared: Prepared, begun: dict[str, Any], result: Result) -> dict[str, Any]:
    several = len(prepared.models) > 1
    return {
        "outputs": list(prepared.session.names),
        "pruned": isinstance(prepared.request.method, PLRP),
        **begun,
        "finished": now(),
        "sequences": result.sequences,
        "bases": result.bases,
        "negative_scores": result.negative_scores,
        "notes": list(result.notes),
        **({"remarks": dict(prepared.scan.remarks)} if prepared.scan.remarks else {}),
        "parts": result.parts,
        "parts_of_earlier_processes": result.found,
        "largest_batch": prepared.session.largest_batch,
        "explain_seconds": round(result.explain_seconds, 3),
        "wall_seconds": round(result.wall_seconds, 3),
        "conventions": {
            "coordinates": "0-based, half-open",
            "arrays": "order of the letters as read; alphabet ACGT; N is code 4",
            "tracks": "plus strand order; overlapping records of a contig are "
            + ("averaged" if prepared.request.overlaps == "average" else "split midway"),
            "chrom_sizes": "of the genome"
            if prepared.request.source.sizes() is not None
            else "largest end seen on each contig",
            "values": "float32",
            **({"spread": "standard deviation over the models, n - 1 in the denominator"} if several else {}),
        },
    }
