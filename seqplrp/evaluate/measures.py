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

FAITHFULNESS_MEASURES: tuple[Measure, ...] = (
    Measure("abpc", "Deletion ABPC", "higher", "area between the curves of deleting the least, and the most, relevant"),
    Measure("deletion_most", "Deletion, most first", "lower", "mean score while the most relevant are deleted"),
    Measure("deletion_least", "Deletion, least first", "higher", "mean score while the least relevant are deleted"),
    Measure("deletion_early", "Early drop", "higher", "mean fall of the score over the first tenth deleted"),
    Measure("insertion_abpc", "Insertion ABPC", "higher", "area between the curves of inserting the most, and least"),
    Measure("insertion_most", "Insertion, most first", "higher", "mean score while the most relevant are inserted"),
    Measure("insertion_early", "Early rise", "higher", "mean rise of the score over the first tenth inserted"),
)

ROBUSTNESS_MEASURES: tuple[Measure, ...] = (
    Measure("substitution_relevance", "Map change", "lower", "relative change of the map by a substitution elsewhere"),
    Measure("substitution_output", "Output change", "neither", "relative change of the score by the same substitution"),
    Measure("substitution_ratio", "Map to output change", "lower", "the map's relative change over the score's"),
    Measure("substitution_cosine", "Cosine, substituted", "higher", "likeness of the maps before and after"),
    Measure("flip_correlation", "Flip correlation", "higher", "correlation of the map with that of the other side"),
    Measure("flip_cosine", "Flip cosine", "higher", "cosine of the map with that of the other side"),
    Measure("flip_l1", "Flip distance", "lower", "relative L1 distance of the map from that of the other side, 0 to 2"),
    Measure("flip_output", "Flip, output", "neither", "relative difference of the model's own scores of both sides"),
)

RANDOMISATION_MEASURES: tuple[Measure, ...] = (
    Measure(  # below 0 is no better than 0: a random model may turn the sign of the score, and of the map with it
        "randomised_spearman",
        "Randomised Spearman",
        "neither",
        "rank correlation with a random model's map; 0 if unrelated",
    ),
    Measure("randomised_spearman_abs", "Randomised Spearman |r|", "lower", "the same of the absolute relevance"),
    Measure("randomised_overlap", "Randomised overlap", "lower", "share of the highest |r| in common with it"),
)

MEASURES: dict[str, Measure] = {m.name: m for m in (*LOCALISATION_MEASURES, *SPARSITY_MEASURES)}
"""What a map alone is measured by, with the truth."""

PROTOCOL_MEASURES: dict[str, Measure] = {
    m.name: m for m in (*FAITHFULNESS_MEASURES, *ROBUSTNESS_MEASURES, *RANDOMISATION_MEASURES)
}
"""What asks the model or the method again."""
