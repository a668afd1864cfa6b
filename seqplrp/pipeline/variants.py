"""From variants and models to what each variant changes: both alleles explained, laid side by side."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from seqplrp.errors import SeqplrpError
from seqplrp.genomics import AllelePair, Remark, encode
from seqplrp.genomics.tracks import Explained, TableWriter
from seqplrp.pipeline.ahead import read_ahead
from seqplrp.pipeline.explaining import Progress, unseen
from seqplrp.pipeline.growing_arrays import GrowingArrays
from seqplrp.pipeline.preparing import Prepared, check_unchanged, out_of_memory_told, prepare
from seqplrp.pipeline.remark_table import REMARKS, RemarkTable
from seqplrp.pipeline.request import Request
from seqplrp.pipeline.session import Chunk
from seqplrp.pipeline.variant_effects import ALLELES, NEAR, Effect, effect_rows
from seqplrp.pipeline.variant_logos import LargestChanges
from seqplrp.pipeline.variant_source import VariantSource
from seqplrp.storage import output_directory

_CHUNK_VARIANTS = 512
_CHUNK_BASES = 1 << 20  # of both alleles, for each target: maps and contributions of a chunk then take about 50 MB


@dataclass
class VariantResult:
    """What came of it.

    Parameters
    ----------
    variants : int
        How many alternative alleles were explained.
    scores, negative_scores : int
        How many scores were explained, one an allele and target, and how many of them are below 0.
    left_out, otherwise : Counter
        How many alleles were left out, and how many used otherwise than they stand in the file, by kind.
    pictures : int
        How many were drawn.
    explain_seconds : float
        Time in the engine.
    wall_seconds : float
        All of it.
    notes : dict
        What a reader of the maps must know, as keys in the order found.
    """

    variants: int = 0
    scores: int = 0
    negative_scores: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    otherwise: Counter[str] = field(default_factory=Counter)
    pictures: int = 0
    explain_seconds: float = 0.0
    wall_seconds: float = 0.0
    notes: dict[str, None] = field(default_factory=dict)

    def add(self, chunk: Chunk, variants: int) -> None:
        """Count a chunk in."""
        self.variants += variants
        self.scores += len(chunk.summary)
        self.negative_scores += int((chunk.summary["output"] < 0).sum())
        self.explain_seconds += chunk.seconds
        self.notes |= dict.fromkeys(chunk.notes)

    def add_remark(self, remark: Remark) -> None:
        """Count a remark in."""
        (self.otherwise if remark.used else self.left_out)[remark.kind] += 1


def run_variants(
    request: Request, out: Path, *, overwrite: bool = False, logos: int = 0, progress: Progress = unseen
) -> VariantResult:
    """Explain both alleles of every variant, and write what differs.

    What can be known to be wrong, mismatching reference alleles too, is found before the first is explained. Both
    alleles of a variant go through the models together, and memory does not grow with the number of variants.

    Parameters
    ----------
    request : Request
        Of a `VariantSource`. Further inputs have one row for all, or a row a sequence: of each variant that is used
        that of the reference, then that of the alternative.
    out : Path
        The directory, which is there as a whole at the end or not at all. It holds ``variants.tsv`` (see
        `seqplrp.pipeline.variant_effects.effect_rows`), ``variants.npz`` (see `seqplrp.pipeline.variants.arrays_of`),
        ``remarks.tsv`` where alleles were left out or used otherwise than they stand, ``logos`` where pictures were
        asked for, and ``manifest.json``.
    overwrite : bool
        Replace what the same command wrote there.
    logos : int
        How many of the largest changes to draw.
    progress : callable
        Shows how far it is.

    Raises
    ------
    SeqplrpError
        For whatever the user can mend.
    """
    began = time.monotonic()
    if "predicted" in request.targets:
        what = "predicted may be another output for each allele, and their scores are compared"
        raise SeqplrpError("--target", what, "name an output")
    inputs: list[Path | str | None] = [*request.models, *request.source.files, *request.weights, *request.further]
    with output_directory(out, command="variants", overwrite=overwrite, inputs=inputs) as stage, out_of_memory_told():
        prepared = prepare(request)
        largest = LargestChanges(logos)
        with RemarkTable(stage / REMARKS) as remarks:
            result = _explain(prepared, stage, progress, remarks, largest)
        if remarks.count:
            result.notes |= dict.fromkeys(_remarked(result))
        else:
            (stage / REMARKS).unlink()
        result.pictures = largest.save(stage / "logos")
        if prepared.session.further and request.method.reverse_complement:
            result.notes["further inputs are the same for both strands: they were not turned"] = None
        result.wall_seconds = time.monotonic() - began
        manifest = json.dumps(_manifest(prepared, result), indent=1) + "\n"
        (stage / "manifest.json").write_text(manifest, encoding="utf-8")
    return result


def _explain(
    prepared: Prepared, stage: Path, progress: Progress, remarks: RemarkTable, largest: LargestChanges
) -> VariantResult:
    """Explain chunk by chunk, and write each as it comes."""
    request, session, source = prepared.request, prepared.session, prepared.request.source
    if not isinstance(source, VariantSource):
        raise TypeError(f"{source!r} is no source of variants")
    result = VariantResult()

    def note(remark: Remark) -> None:
        remarks.append(remark)
        result.add_remark(remark)

    most = _most_variants(len(prepared.scan.longest.record), len(session.targets))
    with (
        progress("explaining", prepared.scan.sequences) as advance,
        TableWriter(stage / "variants.tsv") as table,
        GrowingArrays(stage) as arrays,
        closing(read_ahead(_chunks(source.pairs(note), most))) as chunks,
    ):
        columns = 0
        arrays.append({"targets": np.array(session.names)})
        for number, pairs in enumerate(chunks):
            # what is drawn at random for a chunk must not depend on the chunks before
            torch.manual_seed(request.seed + number)
            chunk = session.explain([one for p in pairs for one in (p.reference, p.alternative)], 2 * result.variants)
            effects = _effects(pairs, chunk.explained)
            rows = effect_rows(effects, chunk.summary)
            table.append(rows)
            arrays.append(arrays_of(effects, chunk.explained, columns))
            columns += sum(len(effect.columns) for effect in effects)
            _offer(largest, effects, rows, session.names)
            result.add(chunk, len(pairs))
            advance(2 * len(pairs))
        check_unchanged(prepared, 2 * result.variants)
        arrays.save(stage / "variants.npz")
    return result


def _most_variants(width: int, targets: int) -> int:
    return max(1, min(_CHUNK_VARIANTS, _CHUNK_BASES // (2 * width * targets)))


def _chunks(pairs: Iterable[AllelePair], most: int) -> Iterator[list[AllelePair]]:
    rest = iter(pairs)
    while chunk := list(islice(rest, most)):
        yield chunk


def _effects(pairs: Sequence[AllelePair], explained: Sequence[Explained]) -> list[Effect]:
    def maps(row: int) -> np.ndarray:
        return np.stack([one.per_base[row] for one in explained])

    return [Effect(pair, pair.alignment(), maps(2 * i), maps(2 * i + 1)) for i, pair in enumerate(pairs)]


def arrays_of(effects: Sequence[Effect], explained: Sequence[Explained], columns: int) -> dict[str, np.ndarray]:
    """Return what ``variants.npz`` holds of V variants of width W and T targets.

    Parameters
    ----------
    effects : sequence of Effect
        The variants.
    explained : sequence of Explained
        For each target, the maps of their sequences: of each variant reference, then alternative.
    columns : int
        How many columns of the alignment earlier variants have.

    Returns
    -------
    dict of str to ndarray
        ``ids`` (V,), the names ``contig:POS:REF:ALT``; ``contigs`` and ``starts`` (V,), where both windows begin,
        counted from 0. Then ``..._reference`` and ``..._alternative`` of ``codes`` (V, W), 0 to 3 for ACGT and 4 for
        N; of ``relevance`` (V, T, W), of each position; of ``hypothetical`` (V, T, 4, W), what each of ACGT would
        contribute, where the method tells that; and of ``relevance_spread`` (V, T, W), the standard deviation over
        the models, where there are several. ``alignment`` (columns, 2) lays the letters of the two side by side: of
        variant i it has the rows ``alignment_ends[i - 1]`` (0 for the first) up to ``alignment_ends[i]``, each an
        index of the reference and one of the alternative, -1 where the allele has no such letter.

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


def _offer(largest: LargestChanges, effects: Sequence[Effect], rows: pd.DataFrame, names: Sequence[str]) -> None:
    scores = zip(rows["score_reference"], rows["score_alternative"], strict=True)
    wanted = ((effect, target) for effect in effects for target in range(len(names)))
    for (effect, target), both in zip(wanted, scores, strict=True):
        largest.offer(effect, target, names[target] if len(names) > 1 else "", both)


def _remarked(result: VariantResult) -> Iterator[str]:
    for kinds, what in ((result.left_out, "were left out"), (result.otherwise, "are used otherwise than they stand")):
        if kinds:
            told = ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items()))
            yield f"{kinds.total()} alternative alleles {what}: {told}; see {REMARKS}"


def _manifest(prepared: Prepared, result: VariantResult) -> dict[str, Any]:
    return {
        **prepared.provenance("variants", ("torch", "numpy", "pandas", "pyfaidx")),
        "outputs": list(prepared.session.names),
        "variants": result.variants,
        "negative_scores": result.negative_scores,
        "left_out": dict(result.left_out),
        "used_otherwise": dict(result.otherwise),
        "notes": list(result.notes),
        "largest_batch": prepared.session.largest_batch,
        "explain_seconds": round(result.explain_seconds, 3),
        "wall_seconds": round(result.wall_seconds, 3),
        "conventions": {
            "change": "alternative less reference",
            "window": "both alleles begin at the same base, the variant's first letter at index width // 2",
            "table": "pos and top_change_position are counted from 1; letters of one allele alone stand against 0; "
            f"near is within {NEAR} bases of the allele",
            "arrays": "indices and starts are counted from 0; alphabet ACGT; N is code 4; variant i has the rows "
            "alignment_ends[i - 1] (0 for the first) up to alignment_ends[i] of alignment, each an index of the "
            "reference and one of the alternative, -1 where the allele has no such letter",
            "values": "float32",
        },
    }
