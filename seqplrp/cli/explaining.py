"""From a FASTA file and a model to tracks: check all, explain and spool chunk by chunk, then write."""

from __future__ import annotations

import hashlib
import json
import platform
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch import nn

from seqplrp._version import __version__
from seqplrp.cli.chunks import Chunk, Example, Session, chunks_of
from seqplrp.cli.console import progress
from seqplrp.cli.errors import as_options
from seqplrp.cli.further import FurtherInput, read_further
from seqplrp.cli.loading import Loaded, load_models
from seqplrp.cli.member import Settings
from seqplrp.errors import SeqplrpError
from seqplrp.genomics import Record, read_fasta, tracks
from seqplrp.lrp import Layout, Program
from seqplrp.methods import Method

FORMATS = ("bigwig", "bedgraph", "npz", "h5", "tsv")

_WRITERS: dict[str, tuple[str, Callable[[Path, tracks.Spool], None]]] = {
    "bigwig": ("relevance.bw", tracks.write_bigwig),
    "bedgraph": ("relevance.bedgraph", tracks.write_bedgraph),
    "npz": ("relevance.npz", tracks.write_npz),
    "h5": ("relevance.h5", tracks.write_h5),
}


@dataclass(frozen=True)
class Request:
    """What is to be explained, with all resolved that can be without reading a file.

    Parameters
    ----------
    models : tuple of str
        Model directories, ``.pt2`` files or ``module:callable``; several are averaged.
    weights : tuple of Path
        Weights of the callables among them.
    trust_pickle : bool
        Whether these, and ``.pt2`` files, may be arbitrary pickles.
    fasta : Path
        The sequences.
    iupac : str
        Their policy for ambiguity codes.
    method : Method
        How to explain.
    target : str, optional
        An output's number, a class's name, "predicted" or ``module:function``.
    formats : tuple of str
        Of `FORMATS`.
    batch_size : int, optional
        Sequences at a time.
    device : str
        A torch device or "auto".
    layout : str
        What the models take: "NCL" or "NLC".
    check : bool
        Whether a ledger that does not add up is an error.
    tf32, deterministic : bool
        See `seqplrp.methods.Explainer`.
    seed : int
        For methods that draw at random.
    arguments : dict
        The command line, for the manifest.
    further : tuple of Path
        The models' further inputs, in their order.
    """

    models: tuple[str, ...]
    weights: tuple[Path, ...]
    trust_pickle: bool
    fasta: Path
    iupac: str
    method: Method
    target: str | None
    formats: tuple[str, ...]
    batch_size: int | None
    device: str
    layout: str
    check: bool
    tf32: bool
    deterministic: bool
    seed: int
    arguments: dict[str, Any]
    further: tuple[Path, ...] = ()

    def settings(self) -> Settings:
        """Return how to run the models.

        Raises
        ------
        SeqplrpError
            For a layout that is none.
        """
        layout = self.layout.upper()
        if layout not in ("NCL", "NLC"):
            raise SeqplrpError("--layout", f"{self.layout!r} is not known", "choose NCL or NLC")
        device = self.device
        return Settings(
            layout=cast(Layout, layout),
            device=("cuda" if torch.cuda.is_available() else None) if device == "auto" else device,
            batch_size=self.batch_size,
            check=self.check,
            tf32=self.tf32,
            deterministic=self.deterministic,
        )


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
        self.sequences += len(chunk.per_base)
        self.bases += sum(map(len, chunk.per_base))
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


def as_json(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return a command's arguments as JSON can hold them."""
    return {name: _json(value) for name, value in arguments.items()}


def _json(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def parse_formats(text: str) -> tuple[str, ...]:
    """Read a list of formats with commas between."""
    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in FORMATS]
    if unknown or not names:
        what = f"{unknown[0]!r} is not known" if unknown else "names no format"
        raise SeqplrpError("--formats", what, f"choose from {','.join(FORMATS)}")
    return tuple(dict.fromkeys(names))


def run(request: Request, stage: Path) -> Result:
    """Explain every record and write the files into ``stage``.

    What can be known to be wrong is found before the first chunk.
    """
    began = time.monotonic()
    result = Result()
    with out_of_memory_told(), tempfile.TemporaryDirectory(prefix="spool-", dir=stage) as directory:
        prepared = prepare(request)
        spool = _explain(prepared, stage, Path(directory), result)
        for name in request.formats:
            if name in _WRITERS:
                file, write = _WRITERS[name]
                write(stage / file, spool)
        if "bigwig" in request.formats and spool.spread is not None:
            tracks.write_bigwig(stage / "relevance_spread.bw", spool, spool.spread)
        tracks.write_regions(stage / "regions.bed", spool)
        tracks.write_chrom_sizes(stage / "chrom.sizes", spool)
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


def read_records(request: Request) -> Iterator[Record]:
    """Read the request's sequences, a record at a time."""
    if request.iupac not in ("reject", "n"):
        raise SeqplrpError("--iupac", f"{request.iupac!r} is not known", "choose reject or n")
    return read_fasta(request.fasta, iupac=cast(Literal["reject", "n"], request.iupac))


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


def _explain(prepared: Prepared, stage: Path, directory: Path, result: Result) -> tracks.Spool:
    request, session, sequences = prepared.request, prepared.session, prepared.scan.sequences
    with ExitStack() as stack:
        several = len(prepared.models) > 1
        writer = tracks.SpoolWriter(directory, hypothetical=session.has_hypothetical, spread=several)
        spool = stack.enter_context(writer)
        tables = []
        if "tsv" in request.formats:
            tables = [stack.enter_context(tracks.TableWriter(stage / f"{t}.tsv")) for t in ("summary", "ledger")]
        advance = stack.enter_context(progress("explaining", sequences))
        for records in chunks_of(read_records(request)):
            chunk = session.explain(records, result.sequences)
            for i, record in enumerate(records):
                hypothetical = None if chunk.hypothetical is None else chunk.hypothetical[i]
                spread = None if chunk.spread is None else chunk.spread[i]
                spool.append(record, chunk.per_base[i], hypothetical, spread)
            for table, rows in zip(tables, (chunk.summary, chunk.ledger), strict=False):
                table.append(rows)
            result.add(chunk)
            advance(len(records))
        check_unchanged(prepared, result.sequences)
        if session.further and request.method.reverse_complement:
            result.notes["further inputs are the same for both strands: they were not turned"] = None
        return spool.finish()


def check_unchanged(prepared: Prepared, sequences: int) -> None:
    """Raise a SeqplrpError if the input holds another number of sequences now than when it was checked."""
    if sequences != prepared.scan.sequences:
        raise SeqplrpError(prepared.request.fasta, "was changed while it was read", "run the command again")


def provenance(prepared: Prepared, command: str, libraries: Iterable[str]) -> dict[str, Any]:
    """Say what was explained, of what, how and by which versions: how every manifest begins."""
    request, session = prepared.request, prepared.session
    return {
        "command": command,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {
            "seqplrp": __version__,
            "python": platform.python_version(),
            **{name: version(name) for name in libraries},
        },
        "arguments": request.arguments,
        "method": repr(request.method),
        "target": session.target,
        "classes": session.classes,
        "seed": request.seed,
        "device": session.device,
        "layout": request.settings().layout,
        "tf32": request.tf32,
        "deterministic": request.deterministic,
        "checked": request.check,
        "models": [{"name": model.name, "weights_sha256": weights_sha256(model.module)} for model in prepared.models],
        "input": {"path": str(request.fasta), "sha256": file_sha256(request.fasta)},
        "further_inputs": [
            {"path": str(one.path), "sha256": file_sha256(one.path), "shape": list(one.values.shape)}
            for one in session.further
        ],
    }


def _manifest(prepared: Prepared, result: Result) -> dict[str, Any]:
    several = len(prepared.models) > 1
    return {
        **provenance(prepared, "explain", ("torch", "numpy", "pandas", "h5py", "pyBigWig")),
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


def file_sha256(path: Path) -> str:
    """Hash a file's bytes."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def weights_sha256(model: nn.Module) -> str:
    """Hash names, shapes and values of all weights, in the order of their names: the same for any file format."""
    digest = hashlib.sha256()
    weights = model.exported.state_dict if isinstance(model, Program) else model.state_dict()
    for name, value in sorted(weights.items()):
        array = value.detach().cpu().contiguous()
        digest.update(f"{name} {array.dtype} {tuple(array.shape)}\n".encode())
        digest.update(array.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


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
