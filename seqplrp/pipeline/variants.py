"""From variants and models to what each variant changes: both alleles explained, laid side by side."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from seqplrp.errors import SeqplrpError
from seqplrp.genomics import AllelePair, Note, Remark, Variant, encode, tracks
from seqplrp.genomics.tracks import Explained
from seqplrp.pipeline.chunk_task import Task, as_text
from seqplrp.pipeline.chunked import Progress, Result, unseen
from seqplrp.pipeline.executors import Executing
from seqplrp.pipeline.formats import join_tables
from seqplrp.pipeline.growing_arrays import GrowingArrays
from seqplrp.pipeline.kept import Kept
from seqplrp.pipeline.preparing import Prepared
from seqplrp.pipeline.remark_table import REMARKS
from seqplrp.pipeline.request import Request
from seqplrp.pipeline.session import Chunk
from seqplrp.pipeline.variant_effects import ALLELES, NEAR, Effect, effect_rows
from seqplrp.pipeline.variant_logos import LargestChanges
from seqplrp.pipeline.variant_source import VariantSource
from seqplrp.pipeline.whole_run import made_parts
from seqplrp.storage import RunDirectory, naming

_CHUNK_BASES = 1 << 20  # of both alleles, for each target: maps and contributions of a chunk then take about 50 MB
_TABLE, _VARIANTS = "variants.tsv", "variants.json"


@dataclass
class VariantResult(Result):
    """What came of it, over all parts.

    Parameters
    ----------
    left_out, otherwise : Counter
        How many alleles were left out, and how many used otherwise than they stand in the file, by kind.
    pictures : int
        How many were drawn.
    """

    left_out: Counter[str] = field(default_factory=Counter)
    otherwise: Counter[str] = field(default_factory=Counter)
    pictures: int = 0

    @property
    def variants(self) -> int:
        """How many alternative alleles were explained, each beside the reference."""
        return self.sequences // len(ALLELES)

    def add_remark(self, remark: Remark) -> None:
        """Count a remark in."""
        (self.otherwise if remark.used else self.left_out)[remark.kind] += 1


@dataclass(frozen=True)
class VariantTask(Task):
    """Variants that are to be explained.

    Parameters
    ----------
    pairs : tuple of AllelePair
        Whose records these are: of each variant that of the reference, then that of the alternative.
    """

    pairs: tuple[AllelePair, ...]

    def texts(self, chunk: Chunk) -> dict[str, bytes]:
        """Return what its part holds beside the maps: the rows of the table, and the variants."""
        rows = effect_rows(_effects(self.pairs, chunk.explained), chunk.summary, chunk.scores)
        found = [pair.variant for pair in self.pairs]
        kept = [[one.contig, one.start, one.ref, one.alt, one.id, one.filter] for one in found]
        return {_TABLE: as_text(rows), _VARIANTS: json.dumps(kept).encode()}


def run_variants(
    request: Request,
    place: RunDirectory,
    *,
    logos: int = 0,
    progress: Progress = unseen,
    how: Executing | None = None,
) -> VariantResult:
    """Explain both alleles of every variant, part by part, and write what differs.

    What can be known to be wrong, mismatching reference alleles too, is found before the first is explained. Both
    alleles of a variant go through the models together, and memory does not grow with the number of variants.

    Parameters
    ----------
    request : Request
        Of a `VariantSource`. Further inputs have one row for all, or a row a sequence: of each variant that is used
        that of the reference, then that of the alternative.
    place : RunDirectory
        Where the files are to be: ``variants.tsv`` (see `seqplrp.pipeline.variant_effects.effect_rows`),
        ``variants.npz`` (see `seqplrp.pipeline.variants.arrays_of`), ``remarks.tsv`` where alleles were left out or
        used otherwise than they stand, ``logos`` where pictures were asked for, ``manifest.json``, and the parts.
    logos : int
        How many of the largest changes to draw.
    progress : callable
        Shows how far it is.
    how : Executing, optional
        Where chunks are explained; here unless given.

    Raises
    ------
    SeqplrpError
        For whatever the user can mend. Parts that are finished then stay, and the run can be gone on with.
    """
    if "predicted" in request.targets:
        what = "predicted may be another output for each allele, and their scores are compared"
        raise SeqplrpError("--target", what, "name an output")
    result = VariantResult()
    with made_parts(request, place, _tasks, result, progress=progress, how=how, note=result.add_remark) as made:
        result.pictures = _write(made.stage, made.kept, made.parts, made.prepared.session.names, logos)
        result.notes |= dict.fromkeys(_remarked(result))
        result.wall_seconds = made.seconds()
        made.write_manifest(_manifest(made.prepared, result))
    return result


def _tasks(prepared: Prepared, kept: Kept, note: Note) -> Iterator[VariantTask]:
    """Cut the variants into chunks."""
    source = prepared.request.source
    if not isinstance(source, VariantSource):
        raise TypeError(f"{source!r} is no source of variants")
    width, targets, first = len(prepared.scan.longest.record), len(prepared.session.targets), 0
    most = _most_variants(prepared.request.chunk_size, width, targets)
    for number, pairs in enumerate(_chunks(source.pairs(note), most)):
        records = tuple(one for pair in pairs for one in (pair.reference, pair.alternative))
        yield VariantTask(number, first, records, kept.path(number), kept.run, tuple(pairs))
        first += len(records)


def _most_variants(asked: int, width: int, targets: int) -> int:
    return max(1, min(asked, _CHUNK_BASES // (2 * width * targets)))


def _chunks(pairs: Iterable[AllelePair], most: int) -> Iterator[list[AllelePair]]:
    rest = iter(pairs)
    while chunk := list(islice(rest, most)):
        yield chunk


def _effects(pairs: Sequence[AllelePair], explained: Sequence[Explained]) -> list[Effect]:
    def maps(row: int) -> np.ndarray:
        return np.stack([one.per_base[row] for one in explained])

    return [Effect(pair, pair.alignment(), maps(2 * i), maps(2 * i + 1)) for i, pair in enumerate(pairs)]


def _write(stage: Path, kept: Kept, parts: Sequence[Path], names: Sequence[str], logos: int) -> int:
    """Make the files of the parts, a part at a time; return how many pictures there are."""
    largest, columns, arrays_file = LargestChanges(logos), 0, stage / "variants.npz"
    opened = (kept.opened(path, verify=False) for path in parts)
    with naming(stage / _TABLE):
        join_tables((part.text(_TABLE) for part in opened), stage / _TABLE)
    with naming(arrays_file), GrowingArrays(stage) as arrays:
        arrays.append({"targets": np.array(names)})
        for path in parts:
            part = kept.opened(path, verify=False)
            explained = tracks.read_explained(part)
            effects = _effects(_pairs(part), explained)
            arrays.append(arrays_of(effects, explained, columns))
            columns += sum(len(effect.columns) for effect in effects)
            if logos:
                _offer(largest, effects, part, names)
        arrays.save(arrays_file)
    with naming(stage / "logos"):
        return largest.save(stage / "logos")


def _pairs(part: tracks.Part) -> list[AllelePair]:
    """Return the variants that a part holds."""
    records = tracks.read_records(part)
    variants = [
        Variant(contig, start, ref, alt, id, filter=filter)
        for contig, start, ref, alt, id, filter in json.loads(part.text(_VARIANTS))
    ]
    return [AllelePair(*given) for given in zip(variants, records[::2], records[1::2], strict=True)]


def arrays_of(effects: Sequence[Effect], explained: Sequence[Explained], columns: int) -> dict[str, np.ndarray]:
    """Return what ``variants.npz`` holds of some variants; `seqplrp.genomics.tracks.read_variants` says what that is.

    Parameters
    ----------
    effects : sequence of Effect
        The variants.
    explained : sequence of Explained
        For each target, the maps of their sequences: of each variant reference, then alternative.
    columns : int
        How many columns of the alignment earlier variants have.

    Notes
    -----
    The file has ``targets`` (T,) before these.
    """
    found = {
        "ids": np.array([effect.pair.variant.name for effect in effects]),
        "contigs": np.array([effect.pair.variant.contig for effect in effects]),
        "starts": np.array([effect.pair.reference.start for effect in effects], np.int64),
        "alignment": np.concatenate([effect.columns for effect in effects]).astype(np.int32),
        "alignment_ends": columns + np.cumsum([len(effect.columns) for effect in effects], dtype=np.int64),
    }
    for number, allele in enumerate(ALLELES):
        found[f"codes_{allele}"] = encode([getattr(effect.pair, allele).sequence for effect in effects])
        for name, kind in (("relevance", "per_base"), ("hypothetical", "hypothetical"), ("relevance_spread", "spread")):
            maps = [getattr(one, kind) for one in explained]
            if maps[0] is not None:
                found[f"{name}_{allele}"] = np.stack([np.stack(one[number::2]) for one in maps], 1)
    return found


def _offer(largest: LargestChanges, effects: Sequence[Effect], part: tracks.Part, names: Sequence[str]) -> None:
    columns = [f"score_{allele}" for allele in ALLELES]
    scores = pd.read_csv(io.BytesIO(part.text(_TABLE)), sep="\t", usecols=columns)[columns]
    wanted = ((effect, target) for effect in effects for target in range(len(names)))
    for (effect, target), both in zip(wanted, scores.itertuples(index=False, name=None), strict=True):
        largest.offer(effect, target, names[target] if len(names) > 1 else "", both)


def _remarked(result: VariantResult) -> Iterator[str]:
    filtered = result.otherwise["filtered"]
    otherwise = result.otherwise - Counter(filtered=filtered)
    for kinds, what in ((result.left_out, "were left out"), (otherwise, "are used otherwise than they stand")):
        if kinds:
            told = ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items()))
            yield f"{kinds.total()} alternative alleles {what}: {told}; see {REMARKS}"
    if filtered:
        yield (
            f"{filtered} alternative alleles are used though their FILTER is neither PASS nor '.': see {REMARKS}; "
            "--apply-filters PASS,. leaves such out"
        )


def _manifest(prepared: Prepared, result: VariantResult) -> dict[str, Any]:
    return {
        **prepared.provenance("variants", ("torch", "numpy", "pandas", "pyfaidx")),
        "outputs": list(prepared.session.names),
        "variants": result.variants,
        "negative_scores": result.negative_scores,
        "left_out": dict(result.left_out),
        "used_otherwise": dict(result.otherwise),
        "notes": list(result.notes),
        "parts": result.parts,
        "parts_of_earlier_processes": result.found,
        "largest_batch": prepared.session.largest_batch,
        "explain_seconds": round(result.explain_seconds, 3),
        "wall_seconds": round(result.wall_seconds, 3),
        "conventions": {
            "change": "alternative less reference",
            "spread": "standard deviation over the models, n - 1 in the denominator",
            "window": "both alleles begin at the same base, the variant's first letter at index width // 2",
            "table": "pos and top_change_position are counted from 1; letters of one allele alone stand against 0; "
            f"near is within {NEAR} bases of the allele",
            "arrays": "indices and starts are counted from 0; alphabet ACGT; N is code 4; variant i has the rows "
            "alignment_ends[i - 1] (0 for the first) up to alignment_ends[i] of alignment, each an index of the "
            "reference and one of the alternative, -1 where the allele has no such letter",
            "values": "float32",
        },
    }
