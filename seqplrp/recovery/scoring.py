"""Scores of explanations against known motifs, one row per sequence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from seqplrp.errors import SeqplrpError
from seqplrp.evaluate import LOCALISATION_MEASURES, SPARSITY_MEASURES, localisation, sparsity, summarise
from seqplrp.genomics.motifs import Motif
from seqplrp.recovery.explanations import ExplanationSet
from seqplrp.recovery.truth import MotifMasks, classes_of, information, motif_masks, place_truth, supports

MEASURE_NAMES = tuple(m.name for m in (*LOCALISATION_MEASURES, *SPARSITY_MEASURES))

SCORED = "scored"
OTHER_CLASS = "not of the explained class"
NO_TRUTH = "no motif of the explained class"
NOT_POSITIVE = "explained score not above 0"
MISSED = "another class predicted"
REASONS = (OTHER_CLASS, NO_TRUTH, MISSED, NOT_POSITIVE)
"""Why a sequence is left out; the first that applies is told."""

_CELLS = 4_000_000
_UNKNOWN_BASE = 4


@dataclass(frozen=True)
class Scores:
    """What came of scoring one run.

    Attributes
    ----------
    table : DataFrame
        One row per explained sequence, in the explanations' order: ``id``, ``class`` (the explained one),
        ``output`` (the explained score), ``status`` ("scored", or why it was left out), ``truth_bases``,
        then one column for each of ``MEASURE_NAMES``. Measures are NaN where a sequence was left out or a
        measure is undefined.
    outside : int
        Motifs of the truth that lie on no explained sequence.
    """

    table: pd.DataFrame
    outside: int

    @property
    def scored(self) -> pd.DataFrame:
        """The rows that were scored."""
        return self.table[self.table["status"] == SCORED]

    @property
    def left_out(self) -> dict[str, int]:
        """How many sequences were left out, by reason."""
        counts = self.table["status"].value_counts()
        return {reason: int(counts[reason]) for reason in REASONS if reason in counts}

    def summary(self, *, seed: int = 0) -> pd.DataFrame:
        """Mean of each measure over the scored sequences, with a 95 % bootstrap interval.

        Returns
        -------
        DataFrame
            ``measure, mean, low, high, n, undefined``, one row per measure.
        """
        return summarise({name: self.scored[name] for name in MEASURE_NAMES}, seed=seed)

    def tidy(self) -> pd.DataFrame:
        """One row per scored sequence and measure: ``id, measure, value``."""
        values = self.scored[list(MEASURE_NAMES)].to_numpy()
        return pd.DataFrame(
            {
                "id": np.repeat(self.scored["id"].to_numpy(), len(MEASURE_NAMES)),
                "measure": np.tile(np.array(MEASURE_NAMES, dtype=object), len(values)),
                "value": values.ravel(),
            }
        )


def score_explanations(
    explanations: ExplanationSet,
    truth: pd.DataFrame,
    *,
    matrices: Mapping[str, Motif] | None = None,
    labels: pd.DataFrame | None = None,
    explained_class: str | None = None,
    every: bool = False,
    where: object = "truth",
) -> Scores:
    """Score the explanations of one run by the measures of localisation and sparsity.

    By default only sequences are scored that the model gets right with a score above 0, since an
    explanation can't find what the model did not see: those of the explained class (by ``labels``; without
    them, those that hold a motif of the class), with an output above 0, for which a multi-class model
    predicts that class.

    Parameters
    ----------
    explanations : ExplanationSet
        From :func:`read_explanations`.
    truth : DataFrame
        From :func:`seqplrp.genomics.read_truth_bed`.
    matrices : mapping of str to Motif, optional
        Matrices of the truth's motifs, whose uninformative positions are left out. The shipped library if
        None.
    labels : DataFrame of bool, optional
        From :func:`read_labels`.
    explained_class : str, optional
        The class that was explained, as the truth names it. Needed where the model names its outputs
        otherwise, or not at all and the truth has several classes.
    every : bool
        Score every sequence, right or wrong. Localisation is still undefined where the truth is empty.
    where : object
        What errors call the truth, such as its file.

    Raises
    ------
    SeqplrpError
        If truth, labels and explanations do not belong together, or a class or a motif can't be found.
    """
    classes = _explained_classes(explanations, truth, explained_class, where)
    placed = place_truth(truth, explanations.places, where=where)
    offsets = explanations.arrays.offsets
    masks = motif_masks(placed, supports(placed, classes), information(placed, matrices, where=where), offsets)
    bases = np.add.reduceat(masks.truth.astype(np.int64), offsets[:-1])
    status = np.full(len(explanations), SCORED, dtype=object)
    if not every:
        status = _status(explanations, classes, bases, labels)
    table = pd.DataFrame(
        {
            "id": explanations.arrays.ids,
            "class": classes,
            "output": explanations.outputs,
            "status": status,
            "truth_bases": bases,
        }
    )
    values = _measure(explanations, masks, np.flatnonzero(status == SCORED))
    return Scores(pd.concat([table, values], axis=1), len(truth) - placed["row"].nunique())


def _explained_classes(
    explanations: ExplanationSet, truth: pd.DataFrame, named: str | None, where: object
) -> npt.NDArray[np.str_]:
    known = classes_of(truth["class"])
    if not known:
        raise SeqplrpError(where, "names no class in its eighth column", "give the class that each motif supports")
    if named is not None:
        if named not in known:
            raise SeqplrpError("class", f"{named!r} is not in the truth", f"choose from {', '.join(known)}")
        return np.full(len(explanations), named)
    classes = explanations.classes
    nameless = classes == ""
    if nameless.any():
        if len(known) > 1:
            raise SeqplrpError(
                explanations.directory,
                f"the model does not name its outputs, and the truth has the classes {', '.join(known)}",
                "say by --class which of them was explained",
            )
        classes = np.where(nameless, known[0], classes)
    strange = sorted(set(classes.tolist()) - set(known))
    # A class without motifs (what none of the others is) is no mistake as long as some explained class has
    # them.
    if len(strange) == len(set(classes.tolist())):
        raise SeqplrpError(
            explanations.directory,
            f"explains the class {strange[0]!r}, which no motif of {where} supports ({', '.join(known)})",
            "say by --class which of them was explained, or give the truth that belongs to it",
        )
    return classes


def _status(
    explanations: ExplanationSet,
    classes: npt.NDArray[np.str_],
    truth_bases: npt.NDArray[np.int64],
    labels: pd.DataFrame | None,
) -> npt.NDArray[np.object_]:
    """Say of each sequence whether it is scored, or the first reason that leaves it out."""
    labelled = truth_bases >= 0 if labels is None else _labelled(labels, explanations, classes)
    applies = (~labelled, truth_bases == 0, explanations.missed, ~(explanations.outputs > 0))
    return np.select(applies, REASONS, SCORED).astype(object)


def _labelled(
    labels: pd.DataFrame, explanations: ExplanationSet, classes: npt.NDArray[np.str_]
) -> npt.NDArray[np.bool_]:
    """Whether each explained sequence bears the label of the class that it was explained for."""
    row = labels.index.get_indexer(pd.Index(explanations.arrays.ids))
    if (row < 0).any():
        missing = explanations.arrays.ids[row < 0]
        raise SeqplrpError(
            "labels",
            f"{len(missing)} explained sequences have no label, the first is {str(missing[0])!r}",
            "give the labels of the sequences that were explained",
        )
    unknown = sorted(set(classes.tolist()) - {str(c) for c in labels.columns})
    if unknown:
        raise SeqplrpError(
            "labels",
            f"have no class {unknown[0]!r}, but {', '.join(map(str, labels.columns))}",
            "give the labels that belong to the truth",
        )
    column = labels.columns.get_indexer(pd.Index(classes))
    return labels.to_numpy(dtype=bool)[row, column]


def _measure(explanations: ExplanationSet, masks: MotifMasks, rows: npt.NDArray[np.int64]) -> pd.DataFrame:
    """All measures of the chosen sequences; NaN for the others."""
    arrays = explanations.arrays
    out = {name: np.full(len(arrays), np.nan) for name in MEASURE_NAMES}
    for batch in _batches(rows, explanations.places.lengths):
        padding = _Padding.of(arrays.offsets, batch)
        relevance = padding.fill(arrays.per_base, 0.0)
        unknown = padding.fill(arrays.codes == _UNKNOWN_BASE, True)
        found = localisation(
            relevance,
            padding.fill(masks.truth, False),
            ignore=unknown | padding.fill(masks.uninformative, True),
            distractor=padding.fill(masks.distractor, False),
        )
        for name, values in (found | sparsity(relevance, ignore=unknown)).items():
            out[name][batch] = values
    return pd.DataFrame(out)


def _batches(rows: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.int64]]:
    """Cut rows, the longest first, into batches that stay small when padded to their longest."""
    rows = rows[np.argsort(-lengths[rows], kind="stable")]
    while len(rows):
        size = max(1, _CELLS // max(1, int(lengths[rows[0]])))
        yield rows[:size]
        rows = rows[size:]


@dataclass(frozen=True)
class _Padding:
    """How some records of flat arrays are laid out as (records, longest)."""

    index: npt.NDArray[np.int64]  # into the flat arrays; 0 beyond a record's end
    inside: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, offsets: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]) -> _Padding:
        length = offsets[rows + 1] - offsets[rows]
        step = np.arange(length.max())
        inside = step < length[:, None]
        return cls(np.where(inside, offsets[rows][:, None] + step, 0), inside)

    def fill(self, flat: npt.NDArray[Any], beyond: float) -> npt.NDArray[Any]:
        """Lay out a flat array, with ``beyond`` past the records' ends."""
        return np.where(self.inside, flat[self.index], beyond)
