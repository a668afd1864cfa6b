"""From sequences and models to tracks: explain chunk by chunk, keep each as a part, then make files of all parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from seqplrp.genomics import Note, tracks
from seqplrp.methods import PLRP
from seqplrp.pipeline.chunk_task import Task
from seqplrp.pipeline.chunked import Progress, Result, unseen
from seqplrp.pipeline.executors import Executing
from seqplrp.pipeline.formats import (
    Writing,
    about_run,
    libraries_of,
    next_commands,
    output_suffixes,
    write_formats,
)
from seqplrp.pipeline.kept import Kept
from seqplrp.pipeline.preparing import Prepared, Scan
from seqplrp.pipeline.provenance import now
from seqplrp.pipeline.remark_table import REMARKS
from seqplrp.pipeline.request import Request, read_records
from seqplrp.pipeline.session import chunks_of
from seqplrp.pipeline.whole_run import MadeParts, made_parts
from seqplrp.storage import RunDirectory

_LIBRARIES = ("torch", "numpy", "pandas", "h5py", "pybigtools")


def run(request: Request, place: RunDirectory, progress: Progress = unseen, how: Executing | None = None) -> Result:
    """Explain every record, part by part, and write the files.

    What can be known to be wrong is found before the first chunk, and before anything is written.

    Raises
    ------
    SeqplrpError
        For whatever the user can mend. Parts that are finished then stay, and the run can be gone on with.
    """
    result = Result()
    with made_parts(request, place, _tasks, result, progress=progress, how=how) as made:
        prepared = made.prepared
        formats, names = prepared.request.formats, prepared.session.names
        begun = prepared.provenance("explain", (*_LIBRARIES, *libraries_of(formats)))
        genome = prepared.request.source.sizes()
        _write(made, place.out, genome, about_run(begun, names), result)
        if made.remarks:
            result.notes[_remarked(prepared.scan)] = None
        result.wall_seconds = made.seconds()
        made.write_manifest(_manifest(prepared, begun, genome is not None, result))
    return result


def _write(
    made: MadeParts, out: Path, genome: Mapping[str, int] | None, about: Mapping[str, Any], result: Result
) -> None:
    """Make the files that were asked for, and note what is to be told of them as they will stand in `out`."""
    request, parts, stage = made.prepared.request, made.parts, made.stage
    suffixes, index = output_suffixes(made.prepared.session.names), stage / "index.sqlite"
    with tracks.joined_parts(parts, index, genome=genome) as spools:
        outputs = [
            Writing(spool, parts, suffix, request.overlaps, about)
            for spool, suffix in zip(spools, suffixes, strict=True)
        ]
        write_formats(request.formats, stage, outputs)
        result.commands = next_commands(request.formats, out, outputs)
        for contig in spools[0].index.doubtful_contigs():
            result.notes[_doubtful(contig)] = None
    index.unlink()


def _tasks(prepared: Prepared, kept: Kept, note: Note) -> Iterator[Task]:
    """Cut the input into chunks."""
    request, first = prepared.request, 0
    for number, records in enumerate(chunks_of(read_records(request, note), request.chunk_size)):
        yield Task(number, first, tuple(records), kept.path(number), kept.run)
        first += len(records)


def _remarked(scan: Scan) -> str:
    told = ", ".join(f"{number} {kind}" for kind, number in sorted(scan.remarks.items()))
    return f"not all of the input is used as it stands: {told}; see {REMARKS}"


def _doubtful(contig: str) -> str:
    return (
        f"contig {contig!r} is one record by its name and others by their coordinates: if they are not the same "
        "contig, rename one, as the tracks average them where they overlap"
    )


def _manifest(prepared: Prepared, begun: dict[str, Any], on_genome: bool, result: Result) -> dict[str, Any]:
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
            "chrom_sizes": "of the genome" if on_genome else "largest end seen on each contig",
            "values": "float32",
            **({"spread": "standard deviation over the models, n - 1 in the denominator"} if several else {}),
        },
    }
