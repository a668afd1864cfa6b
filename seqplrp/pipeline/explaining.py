"""From a FASTA file and a model to tracks: check all, explain and spool chunk by chunk, then write."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from seqplrp.errors import SeqplrpError, as_options
from seqplrp.genomics import tracks
from seqplrp.pipeline.further import FurtherInput, read_further
from seqplrp.pipeline.loading import Loaded, load_models
from seqplrp.pipeline.member import Settings
from seqplrp.pipeline.provenance import provenance
from seqplrp.pipeline.request import Request, read_records
from seqplrp.pipeline.session import Chunk, Example, Session, chunks_of

FORMATS = ("bigwig", "bedgraph", "npz", "h5", "tsv")

_WRITERS: dict[str, tuple[str, Callable[[Path, tracks.Spool], None]]] = {
    "bigwig": ("relevance.bw", tracks.write_bigwig),
    "bedgraph": ("relevance.bedgraph", tracks.write_bedgraph),
    "npz": ("relevance.npz", tracks.write_npz),
    "h5": ("relevance.h5", tracks.write_h5),
}


Progress = Callable[[str, int | None], AbstractContextManager[Callable[[int], None]]]
"""Shows how far something is: told what goes on and how many units there are, then how many more are done."""


@contextmanager
def unseen(description: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show nothing."""
    del description, total
    yield lambda steps: None


@dataclass
class Result:
    """What came of it; counted up while it runs.

    Parameters
    ----------
    sequences, bases : int
        What was explained.
    negative_scores : int
        How many of the explained scores are below 0.
    explain_seconds, wall_seconds : float
        Time in the engine, and all of it.
    notes : dict
        What a reader of the maps must know, as keys in the order found.
    """

    sequences: int = 0
    bases: int = 0
    negative_scores: int = 0
    explain_seconds: float = 0.0
    wall_seconds: float = 0.0
    notes: dict[str, None] = field(default_factory=dict)

    def add(self, chunk: Chunk) -> None:
        """Count a chunk in."""
        self.sequences += len(chunk.explained.per_base)
        self.bases += sum(map(len, chunk.explained.per_base))
        self.negative_scores += int((chunk.summary["output"] < 0).sum())
        self.explain_seconds += chunk.seconds
        self.notes |= dict.fromkeys(chunk.notes)


@dataclass(frozen=True)
class Scan:
    """What reading the whole input once tells: nothing is explained before all of it is known to be sound.

    Parameters
    ----------
    sequences : int
        How many there are.
    first_of_length : dict of int to Example
        The first record of each length.
    """

    sequences: int
    first_of_length: dict[int, Example]


@dataclass(frozen=True)
class Prepared:
    """A request of which all that can be known to be wrong was found to be right.

    Parameters
    ----------
    request : Request
        What is to be explained.
    scan : Scan
        What its input holds.
    models : tuple of Loaded
        As loaded.
    session : Session
        The models made ready.
    """

    request: Request
    scan: Scan
    models: tuple[Loaded, ...]
    session: Session

    def provenance(self, command: str, libraries: Iterable[str]) -> dict[str, Any]:
        """Return how the manifest of a command begins."""
        begun = provenance(command, self.request, self.models, self.session, libraries=libraries)
        return {**begun, "checked": self.request.check}


def parse_formats(text: str) -> tuple[str, ...]:
    """Read a list of formats with commas between."""
    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in FORMATS]
    if unknown or not names:
        what = f"{unknown[0]!r} is not known" if unknown else "names no format"
        raise SeqplrpError("--formats", what, f"choose from {','.join(FORMATS)}")
    return tuple(dict.fromkeys(names))


def run(request: Request, stage: Path, progress: Progress = unseen) -> Result:
    """Explain every record and write the files into ``stage``.

    What can be known to be wrong is found before the first chunk.
    """
    began = time.monotonic()
    result = Result()
    with out_of_memory_told(), tempfile.TemporaryDirectory(prefix="parts-", dir=stage) as directory:
        prepared = prepare(request)
        parts = _explain(prepared, stage, Path(directory), result, progress)
        with tracks.joined_parts(parts, Path(directory) / "index.sqlite") as (spool,):
            _write(spool, request.formats, stage)
            for contig in spool.index.doubtful_contigs():
                result.notes[_doubtful(contig)] = None
    result.wall_seconds = time.monotonic() - began
    manifest = _manifest(prepared, result)
    (stage / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    return result


def prepare(request: Request) -> Prepared:
    """Read the whole input once, load the models and trace them.

    Raises
    ------
    SeqplrpError
        For whatever the user can mend in the request, its input and its model.
    """
    settings = request.settings()
    scan = _scan(request)
    models = load_models(request.models, request.weights, trust_pickle=request.trust_pickle)
    for model in models:
        _check_model_takes(model, scan)
    further = read_further(request.further, scan.sequences)
    torch.manual_seed(request.seed)
    return Prepared(request, scan, models, _session(request, scan, models, settings, further))


def _scan(request: Request) -> Scan:
    count, first_of_length = 0, dict[int, Example]()
    for record in read_records(request):
        tracks.check_name(record)
        if len(record) not in first_of_length:
            place = f"{request.fasta}, record {record.id!r}"
            first_of_length[len(record)] = Example(record, count, place)
        count += 1
    if "h5" in request.formats and len(first_of_length) > 1:
        (one, a), (other, b) = sorted(first_of_length.items())[:: len(first_of_length) - 1]
        raise SeqplrpError(
            "--formats",
            f"h5 needs records of one length, {a.record.id!r} has {one} bases and {b.record.id!r} {other}",
            "leave h5 out, or cut the records to one length",
        )
    return Scan(count, first_of_length)


def _check_model_takes(model: Loaded, scan: Scan) -> None:
    """Raise for the first record of a length that a model is known not to take."""
    config = model.config
    if config is None or config.flexible_length:
        return
    for length, example in scan.first_of_length.items():
        if length != config.length:
            raise SeqplrpError(
                example.place,
                f"has {length} bases, the model takes {config.length} only",
                f"cut or extend the sequences to {config.length} bases, or train a model of that length",
            )


def _session(
    request: Request,
    scan: Scan,
    models: tuple[Loaded, ...],
    settings: Settings,
    further: tuple[FurtherInput, ...],
) -> Session:
    examples = [example for _, example in sorted(scan.first_of_length.items())]
    session = Session(
        models,
        request.method,
        target=request.target,
        # a model that takes the shortest and the longest takes those between
        examples=examples[:1] + examples[1:][-1:],
        settings=settings,
        further=further,
    )
    if "h5" in request.formats and not session.has_hypothetical:
        raise SeqplrpError(
            "--formats",
            "h5 holds hypothetical contributions, which this method does not have",
            "leave h5 out, or give the first layer a rule such as epsilon or gamma",
        )
    return session


def _write(spool: tracks.Spool, formats: tuple[str, ...], out: Path) -> None:
    for name in formats:
        if name in _WRITERS:
            file, write = _WRITERS[name]
            write(out / file, spool)
    if "bigwig" in formats and spool.spread is not None:
        tracks.write_bigwig(out / "relevance_spread.bw", spool, spool.spread)
    tracks.write_regions(out / "regions.bed", spool)
    tracks.write_chrom_sizes(out / "chrom.sizes", spool)


def _doubtful(contig: str) -> str:
    return (
        f"contig {contig!r} is one record by its name and others by their coordinates: if they are not the same "
        "contig, rename one, as the tracks average them where they overlap"
    )


def _explain(prepared: Prepared, stage: Path, directory: Path, result: Result, progress: Progress) -> list[Path]:
    request, session, sequences = prepared.request, prepared.session, prepared.scan.sequences
    with ExitStack() as stack:
        parts: list[Path] = []
        tables = []
        if "tsv" in request.formats:
            tables = [stack.enter_context(tracks.TableWriter(stage / f"{t}.tsv")) for t in ("summary", "ledger")]
        advance = stack.enter_context(progress("explaining", sequences))
        for records in chunks_of(read_records(request)):
            chunk = session.explain(records, result.sequences)
            parts.append(directory / f"part-{len(parts):08d}.npz")
            tracks.write_explained(parts[-1], records, [chunk.explained])
            for table, rows in zip(tables, (chunk.summary, chunk.ledger), strict=False):
                table.append(rows)
            result.add(chunk)
            advance(len(records))
        check_unchanged(prepared, result.sequences)
        if session.further and request.method.reverse_complement:
            result.notes["further inputs are the same for both strands: they were not turned"] = None
        return parts


def check_unchanged(prepared: Prepared, sequences: int) -> None:
    """Raise a SeqplrpError if the input holds another number of sequences now than when it was checked."""
    if sequences != prepared.scan.sequences:
        raise SeqplrpError(prepared.request.fasta, "was changed while it was read", "run the command again")


def _manifest(prepared: Prepared, result: Result) -> dict[str, Any]:
    several = len(prepared.models) > 1
    return {
        **prepared.provenance("explain", ("torch", "numpy", "pandas", "h5py", "pybigtools")),
        "sequences": result.sequences,
        "bases": result.bases,
        "negative_scores": result.negative_scores,
        "notes": list(result.notes),
        "explain_seconds": round(result.explain_seconds, 3),
        "wall_seconds": round(result.wall_seconds, 3),
        "conventions": {
            "coordinates": "0-based, half-open",
            "arrays": "order of the letters as read; alphabet ACGT; N is code 4",
            "tracks": "plus strand order; overlapping records of a contig are averaged",
            "chrom_sizes": "largest end seen on each contig",
            "values": "float32",
            **({"spread": "standard deviation over the models, n - 1 in the denominator"} if several else {}),
        },
    }


@contextmanager
def out_of_memory_told() -> Iterator[None]:
    """Let a device that runs out of memory be an error of the option that mends it."""
    try:
        with as_options("batch_size"):
            yield
    except torch.OutOfMemoryError as error:
        raise SeqplrpError(
            "--batch-size", "the device ran out of memory", "give a smaller --batch-size, or --device cpu"
        ) from error
