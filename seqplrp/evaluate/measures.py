"""What each measure is called, which way is better, and what it says in one line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Measure:
    """The name of a measure and how to read it.

    Parameters
    ----------
    name : str
        Column name in tables.
    label : str
        Short title for pictures and printed tables.
    better : {"higher", "lower", "neither"}
        Which direction speaks for an explanation. "neither" describes a map without judging it.
    meaning : str
        One line.
    """

    name: str
    label: str
    better: Literal["higher", "lower", "neither"]
    meaning: str


LOCALISATION_MEASURES: tuple[Measure, ...] = (
    Measure("rma", "RMA", "higher", "share of the positive relevance that lies on the truth"),
    Measure("rma_abs", "RMA |r|", "higher", "share of the absolute relevance that lies on the truth"),
    Measure("rra", "RRA", "higher", "share of the |T| highest positions that lie on the truth"),
    Measure("auroc", "AUROC", "higher", "chance that a truth position ranks above a background position"),
    Measure("auprc", "AUPRC", "higher", "average precision of the ranking against the truth"),
    Measure("pointing", "Pointing", "higher", "whether the highest position lies on the truth"),
    Measure("snr", "SNR", "higher", "mean relevance on the truth over the mean of the 10 loudest background bases"),
    Measure(
        "distractor_mass",
        "Distractor mass",
        "lower",
        "share of the absolute relevance on motifs the class does not use",
    ),
)

SPARSITY_MEASURES: tuple[Measure, ...] = (
    Measure("gini", "Gini", "higher", "inequality of |r|: 0 for a flat map, near 1 for a single base"),
    Measure("hoyer", "Hoyer", "higher", "sparsity from the ratio of the L1 to the L2 norm, 0 to 1"),
    Measure("entropy", "Entropy", "lower", "entropy of |r| in bits; 2 to its power is the number of bases in play"),
    Measure("zeros", "Exact zeros", "neither", "share of bases with a relevance of exactly 0"),
)

MEASURES: dict[str, Measure] = {m.name: m for m in (*LOCALISATION_MEASURES, *SPARSITY_MEASURES)}
