"""What a variant changes: scores and maps of both alleles, laid side by side, as rows of a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from seqplrp.genomics import AllelePair, Record

NEAR = 10
"""Bases on either side of a variant that count as near."""

ALLELES = ("reference", "alternative")


@dataclass(frozen=True)
class Effect:
    """Both alleles of a variant, explained.

    Parameters
    ----------
    pair : AllelePair
        Their sequences.
    columns : (C, 2) array of int64
        Which of their letters belong together; see `AllelePair.alignment`.
    reference, alternative : (T, W) arrays
        Relevance of each of the W letters for each of T targets.
    """

    pair: AllelePair
    columns: np.ndarray
    reference: np.ndarray
    alternative: np.ndarray

    def aligned(self) -> np.ndarray:
        """Return the relevance (2, T, C) of reference and alternative in their common columns; 0 for no letter."""
        both = np.zeros((2, len(self.reference), len(self.columns)))
        for row, maps, index in zip(both, (self.reference, self.alternative), self.columns.T, strict=True):
            there = index >= 0
            row[:, there] = maps[:, index[there]]
        return both

    def alleles(self) -> tuple[slice, slice]:
        """Return where REF stands in the reference and ALT in the alternative, as far as they are in the window."""
        variant, width = self.pair.variant, len(self.pair.reference)
        at = variant.start - self.pair.reference.start
        return slice(at, min(at + len(variant.ref), width)), slice(at, min(at + len(variant.alt), width))

    def place(self, column: int) -> tuple[int, str]:
        """Return a column's place on the genome, counted from 1, and its letters, as ``A>G``; ``-`` for none.

        An inserted letter has the place of the letter before it.
        """
        first, second = self.columns[column].tolist()
        letters = f"{_letter(self.pair.reference, first)}>{_letter(self.pair.alternative, second)}"
        if first >= 0:
            return self.pair.reference.start + first + 1, letters
        position = int(self.pair.alternative_positions()[second])
        if position < 0:  # inserted, as what is drawn in from behind the reference's window has a place
            position = self.pair.reference.start + int(self.columns[:column, 0].max(initial=-1))
        return position + 1, letters


def _letter(record: Record, index: int) -> str:
    return record.sequence[index] if index >= 0 else "-"


def effect_rows(effects: Sequence[Effect], summary: pd.DataFrame, scores: Sequence[np.ndarray]) -> pd.DataFrame:
    """Describe what variants change, a row for each variant and target.

    Parameters
    ----------
    effects : sequence of Effect
        The variants.
    summary : DataFrame
        Of their sequences, as `seqplrp.pipeline.session.summarise` makes it: of each variant that of the reference,
        then that of the alternative, and of each sequence a row a target.
    scores : sequence of (M, N) array
        For each target, what each of M models gives each of these sequences.

    Returns
    -------
    DataFrame
        The columns: ``contig``, ``pos`` (counted from 1), ``ref``, ``alt``, ``id`` and ``filter``, as in the VCF file;
        ``name``, ``contig:POS:REF:ALT``, with long alleles shortened; ``target`` and its ``class``;
        ``score_reference`` and ``score_alternative``, the explained score of each allele, and ``change``, the second
        less the first. Where there are several models, the standard deviation over them (n - 1 in the denominator) of
        the change, ``change_spread``, of its sign, ``change_sign_spread`` (0 where all agree in which allele scores
        higher), and of each score, ``score_spread_...``. ``probability_...`` of each and ``probability_change``, where
        the model's kind tells it; ``strand_consistency_...`` of each where both strands are averaged. Then of the maps,
        laid side by side (letters of one allele alone stand against 0): ``top_change``, the relevance change,
        alternative less reference, that is largest by its absolute value, ``top_change_position``, its place on the
        genome counted from 1 (of an inserted base, that of the base before), and ``top_change_bases``, its letters,
        both empty where nothing changes; ``l1_distance``, the sum of absolute changes; ``relevance_variant_...``, each
        allele's relevance summed over its own letters; and ``relevance_near_...``, over these and 10 bases on either
        side.
    """
    targets = len(summary) // (2 * len(effects))
    # for each allele, the rows of all variants and targets
    of_allele = [np.arange(len(summary)).reshape(-1, 2, targets)[:, i].ravel() for i in range(2)]
    first, second = (summary.iloc[rows].reset_index(drop=True) for rows in of_allele)
    variants = [effect.pair.variant for effect in effects for _ in range(targets)]
    table: dict[str, Any] = {
        "contig": [variant.contig for variant in variants],
        "pos": [variant.start + 1 for variant in variants],
        "ref": [variant.ref for variant in variants],
        "alt": [variant.alt for variant in variants],
        "id": [variant.id for variant in variants],
        "filter": [variant.filter for variant in variants],
        "name": [variant.name for variant in variants],
        "target": first["target"],
        "class": first["class"],
    }
    both = first["output"].astype(float), second["output"].astype(float)
    _put_both(table, "score", *both)
    table["change"] = both[1] - both[0]
    if "output_spread" in first:
        of_models = changes_of(scores)
        table["change_spread"] = of_models.std(0, ddof=1)
        table["change_sign_spread"] = np.sign(of_models).std(0, ddof=1)
        _put_both(table, "score_spread", first["output_spread"], second["output_spread"])
    _put_both(table, "probability", first["probability"], second["probability"])
    table["probability_change"] = second["probability"] - first["probability"]
    if "strand_consistency" in first:
        _put_both(table, "strand_consistency", first["strand_consistency"], second["strand_consistency"])
    maps = pd.DataFrame([row for effect in effects for row in _map_changes(effect)])
    maps["top_change_position"] = maps["top_change_position"].astype("Int64")
    return pd.concat([pd.DataFrame(table), maps], axis=1)


def changes_of(scores: Sequence[np.ndarray]) -> np.ndarray:
    """Return how each of M models' scores change, (M, rows), in the order of the table's rows."""
    every = np.stack(scores, -1).astype(np.float64)  # models, sequences, targets
    return (every[:, 1::2] - every[:, ::2]).reshape(len(every), -1)


def _put_both(table: dict[str, Any], name: str, first: Any, second: Any) -> None:
    for allele, values in zip(ALLELES, (first, second), strict=True):
        table[f"{name}_{allele}"] = values


def _map_changes(effect: Effect) -> list[dict[str, Any]]:
    """Say for each target how the maps of the two alleles differ."""
    both = effect.aligned()
    changes = both[1] - both[0]
    top = np.abs(changes).argmax(1)
    sums: dict[str, np.ndarray] = {}
    for allele, maps, at in zip(ALLELES, (effect.reference, effect.alternative), effect.alleles(), strict=True):
        sums[f"relevance_variant_{allele}"] = maps[:, at].sum(1, dtype=np.float64)
        near = slice(max(0, at.start - NEAR), at.stop + NEAR)
        sums[f"relevance_near_{allele}"] = maps[:, near].sum(1, dtype=np.float64)
    order = [f"relevance_{where}_{allele}" for where in ("variant", "near") for allele in ALLELES]
    rows = []
    for target, column in enumerate(top.tolist()):
        largest = changes[target, column]
        position, letters = effect.place(column) if largest != 0 else (pd.NA, "")
        rows.append(
            {
                "top_change": largest,
                "top_change_position": position,
                "top_change_bases": letters,
                "l1_distance": np.abs(changes[target]).sum(),
                **{name: sums[name][target] for name in order},
            }
        )
    return rows
