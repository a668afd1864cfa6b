"""From a FASTA file and a model to what its first-layer filters see: batch by batch, then once over all."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqplrp.cli.console import progress
from seqplrp.errors import SeqplrpError
from seqplrp.genomics import Record, codes_to_one_hot, encode
from seqplrp.genomics.motifs import Motif, load_all, read_motifs, write_meme
from seqplrp.methods import Explainer
from seqplrp.pipeline import (
    Prepared,
    Request,
    check_ledger,
    check_unchanged,
    chunks_of,
    file_sha256,
    out_of_memory_told,
    prepare,
    read_records,
    rows_of,
)
from seqplrp.plot import motif_grid, save_figure
from seqplrp.recovery import (
    FEWEST_TARGETS,
    FilterReport,
    FilterTally,
    FirstLayer,
    first_layers,
    leading_filters,
    report_filters,
    require_memelite,
)

_BATCH_VALUES = 1 << 23  # relevances of a batch at the layers looked at; with their copies about 150 MB
_LARGEST_BATCH = 256


@dataclass(frozen=True)
class Looks:
    """What is wanted of the filters.

    Parameters
    ----------
    top, per_sequence : int
        Windows kept of each filter, and of one sequence.
    motifs : Path, optional
        Known motifs; the library if None.
    match : bool
        Whether to compare with them.
    drawn : int
        Filters in the picture.
    """

    top: int
    per_sequence: int
    motifs: Path | None
    match: bool
    drawn: int

    def check(self) -> None:
        """Raise a SeqplrpError for what can be known to be wrong before any work."""
        if self.match:
            require_memelite()
        elif self.motifs is not None:
            raise SeqplrpError("--motifs, --no-match", "both were given", "leave one of them out")

    def targets(self) -> list[Motif] | None:
        """Return the known motifs, None if nothing is to be compared."""
        if not self.match:
            return None
        return load_all() if self.motifs is None else read_motifs(self.motifs)


@dataclass(frozen=True)
class Found:
    """What came of it.

    Parameters
    ----------
    report : FilterReport
        The filters and what they are like.
    sequences : int
        How many were explained.
    notes : tuple of str
        What a reader of the tables must know.
    wall_seconds : float
        Time for all.
    """

    report: FilterReport
    sequences: int
    notes: tuple[str, ...]
    wall_seconds: float


def run(request: Request, looks: Looks, stage: Path) -> Found:
    """Look at the filters and write the files into ``stage``."""
    began = time.monotonic()
    if not request.method.gives_layers:
        raise SeqplrpError("--method", f"{request.method!r} gives no relevance at layers", "use plrp, lrp or r-lrp")
    targets = looks.targets()
    with out_of_memory_told():
        prepared = prepare(request)
        seen = _look(prepared, looks)
    with progress("comparing (on a machine's first run memelite is compiled)", None, "known motifs"):
        report = report_filters(leading_filters(seen.tallies), targets)
    notes = (*prepared.notes, *seen.notes, *_notes(report, seen, looks))
    _write(report, looks, stage)
    wall_seconds = time.monotonic() - began
    manifest = _manifest(prepared, looks, seen, report, notes, wall_seconds)
    (stage / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    return Found(report, prepared.scan.sequences, notes, wall_seconds)


@dataclass
class _Seen:
    """What is counted up over the sequences."""

    tallies: list[FilterTally]
    negative_scores: int = 0
    notes: tuple[str, ...] = ()


def _look(prepared: Prepared, looks: Looks) -> _Seen:
    """Count up the relevance of all sequences."""
    session, sequences = prepared.session, prepared.scan.sequences
    seen, done = _Seen([]), 0
    with progress("explaining", sequences) as advance:
        for batch in _batches(prepared):
            codes = encode([record.sequence for record in batch.records])
            ids = [record.id for record in batch.records]
            explanation = batch.explainer(
                codes_to_one_hot(codes),
                session.index,
                args=rows_of(session.further, batch.rows),
                layers=[layer.name for layer in batch.layers],
            )
            if prepared.request.check:
                check_ledger(explanation, ids)
            if not seen.tallies:
                seen.notes = tuple(note for note in explanation.notes if not note[:1].isdigit())
                seen.tallies = [_tally(layer, looks) for layer in batch.layers]
            for layer, tally in zip(batch.layers, seen.tallies, strict=True):
                tally.add(explanation.layers[layer.name], codes, ids, layer.reading)
            seen.negative_scores += int((explanation.output < 0).sum())
            done += len(ids)
            advance(len(ids))
    check_unchanged(prepared, done)
    return seen


def _tally(layer: FirstLayer, looks: Looks) -> FilterTally:
    return FilterTally(layer.name, layer.filters, layer.geometry, top=looks.top, per_sequence=looks.per_sequence)


@dataclass(frozen=True)
class _Batch:
    """Records of one length, their numbers in the input, and what explains them."""

    records: list[Record]
    rows: list[int]
    explainer: Explainer
    layers: tuple[FirstLayer, ...]


def _batches(prepared: Prepared) -> Iterator[_Batch]:
    """Cut the input into lists of one length, each small enough for the relevance of its layers to be held."""
    first = 0
    for chunk in chunks_of(read_records(prepared.request)):
        of_length: dict[int, list[int]] = defaultdict(list)
        for place, record in enumerate(chunk):
            of_length[len(record)].append(place)
        for length, places in of_length.items():
            example = codes_to_one_hot(encode(chunk[places[0]].sequence))
            explainer = prepared.session.explainer(example, first + places[0])
            layers = first_layers(explainer, length)
            values = sum(layer.filters * length for layer in layers)  # about as many as outputs
            size = prepared.request.batch_size or max(1, min(_LARGEST_BATCH, _BATCH_VALUES // values))
            for start in range(0, len(places), size):
                some = places[start : start + size]
                yield _Batch([chunk[i] for i in some], [first + i for i in some], explainer, layers)
        first += len(chunk)


def _notes(report: FilterReport, seen: _Seen, looks: Looks) -> Iterator[str]:
    total = seen.tallies[0].sequences
    if seen.negative_scores:
        yield (
            f"{seen.negative_scores} of the {total} explained scores are negative: their filters share out a negative "
            "number"
        )
    if 0 < report.targets < FEWEST_TARGETS:
        yield (
            f"{report.targets} known motifs are few: p- and q-values depend strongly on which they are "
            f"(give {FEWEST_TARGETS} or more)"
        )
    at_ends = [one.name for one in report.filters[: looks.drawn] if one.left_out_share > 0.5]
    if at_ends:
        yield (
            f"most of the relevance of {', '.join(at_ends)} lies on windows over an end of the sequence or with an N, "
            "which no matrix is made of"
        )
    if not report.cells(1):
        yield "no filter carries positive relevance: filters.png was not written"
    if not report.motifs():
        yield "no filter has enough whole windows to make a matrix of: filters.meme was not written"


def _write(report: FilterReport, looks: Looks, stage: Path) -> None:
    report.table().to_csv(stage / "filters.tsv", sep="\t", index=False, float_format="%.6g", lineterminator="\n")
    report.windows().to_csv(stage / "windows.tsv", sep="\t", index=False, float_format="%.6g", lineterminator="\n")
    motifs = report.motifs()
    if motifs:
        write_meme(stage / "filters.meme", motifs)
    cells = report.cells(looks.drawn)
    if cells:
        title = "first-layer filters, by their share of the positive relevance"
        save_figure(motif_grid(cells, title=title), stage / "filters.png")


def _manifest(
    prepared: Prepared, looks: Looks, seen: _Seen, report: FilterReport, notes: Sequence[str], wall_seconds: float
) -> dict[str, Any]:
    libraries = ["torch", "numpy", "pandas", "scipy"] + ["memelite"] * looks.match
    statuses = report.statuses()
    return {
        **prepared.provenance("filters", libraries),
        "sequences": prepared.scan.sequences,
        "negative_scores": seen.negative_scores,
        "layers": [tally.layer for tally in seen.tallies],
        "filters": {status: statuses.count(status) for status in dict.fromkeys(statuses)},
        "motifs": _motifs_used(looks, report),
        "notes": list(notes),
        "wall_seconds": round(wall_seconds, 3),
        "conventions": {
            "share": "part of the positive relevance at the outputs of all first convolutions, over all sequences",
            "windows": "0-based, half-open, in the record as read; none reaches over an end or holds an N",
            "matrices": "base frequencies of the windows, with one site of the sequences' composition as pseudocount",
            "match": "q <= 0.05 (TOMTOM, Benjamini-Hochberg over the known motifs, for each filter by itself) and at "
            "least 4 bits shared",
            "offset": "position of the known motif, turned to the strand, at which the filter's core starts",
        },
    }


def _motifs_used(looks: Looks, report: FilterReport) -> dict[str, Any] | None:
    if not looks.match:
        return None
    if looks.motifs is None:
        return {"path": "the library of seqplrp", "number": report.targets}
    return {"path": str(looks.motifs), "sha256": file_sha256(looks.motifs), "number": report.targets}
