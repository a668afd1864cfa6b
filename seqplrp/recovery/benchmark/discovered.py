"""The motifs that a method's maps give, and the true ones that they are held against; worked out once for all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from seqplrp.benchmark import Options, Subject
from seqplrp.errors import SeqplrpError
from seqplrp.genomics.motifs import Motif, load_all
from seqplrp.recovery.benchmark.scenes import Scene
from seqplrp.recovery.discovery import Discovery, compare_with_truth, same_matrix
from seqplrp.recovery.filter_report import ALIKE
from seqplrp.recovery.patterns import FEWEST_SEQLETS, Pattern, find_patterns
from seqplrp.recovery.seqlets import call_seqlets

Finder = Callable[[Subject[Scene], pd.DataFrame, Any], list[Pattern]]


@dataclass(frozen=True)
class MotifOptions(Options):
    """Motifs that a method's maps give: seqlets, patterns, likeness to the true motifs.

    Parameters
    ----------
    fdr : float
        Share of false ones among the seqlets that are called; see `seqplrp.recovery.call_seqlets`.
    fewest : int
        Seqlets that a pattern must have. A true motif that lies in fewer of the sequences is not asked for.
    level : float
        The q-value up to which two motifs count as alike; see `seqplrp.recovery.compare_with_truth`.
    """

    fdr: float = 0.2
    fewest: int = FEWEST_SEQLETS
    level: float = ALIKE

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("fdr", "level"):
            if not 0 < getattr(self, name) <= 1:
                raise SeqplrpError(name, f"is {getattr(self, name)}", "give a rate above 0 and up to 1")
        if self.fewest < 2:
            raise SeqplrpError("fewest", f"is {self.fewest}", "give a whole number of 2 or more")


_ROUNDED = 1e-3
"""Probabilities that differ by no more are the same but for the digits that a file kept; no two motifs of the library
are as near to one another."""


def true_motifs(scene: Scene) -> list[tuple[Motif, int]]:
    """Return the motifs that support the explained classes, and in how many sequences each lies.

    Motifs of one matrix under several names are one. What is in the library but for rounding is the library's own:
    beside a twin of its own no pattern could be said to be most like it.
    """
    at, library = scene.candidates, load_all()
    placed = at.placed[at.placed["supports"].astype(bool)]
    motifs: list[Motif] = []
    records: list[set[int]] = []
    for name in sorted(set(placed["motif"])):
        motif = next((one for one in library if same_motif(one, at.matrices[name])), at.matrices[name])
        there = next((number for number, one in enumerate(motifs) if same_motif(one, motif)), len(motifs))
        if there == len(motifs):
            motifs.append(motif)
            records.append(set())
        records[there] |= set(placed.loc[placed["motif"] == name, "record"])
    return [(motif, len(in_sequences)) for motif, in_sequences in zip(motifs, records, strict=True)]


def same_motif(one: Motif, other: Motif) -> bool:
    """Say whether two motifs have one matrix, as truths of any origin are rounded."""
    return same_matrix(one, other, within=_ROUNDED)


@dataclass(frozen=True)
class Discovered:
    """What was discovered from a method's maps.

    Attributes
    ----------
    seqlets : int
        Stretches in which positive relevance gathers.
    patterns : list of Pattern
    truth : list of (Motif, int)
        The true motifs, and in how many sequences each lies.
    discovery : Discovery
        The patterns beside them.
    """

    seqlets: int
    patterns: list[Pattern]
    truth: list[tuple[Motif, int]]
    discovery: Discovery


def light_patterns(subject: Subject[Scene], seqlets: pd.DataFrame, options: MotifOptions) -> list[Pattern]:
    """Cluster by our own light path."""
    return find_patterns(seqlets, subject.scene.candidates.codes, subject.relevance, fewest=options.fewest)


def discovered(subject: Subject[Scene], options: MotifOptions, find: Finder = light_patterns) -> Discovered:
    """Find patterns of positive relevance in a method's maps, and compare them with the true motifs; once for all."""
    light = (options.fdr, options.fewest, options.level) if find is light_patterns else None
    if light is not None and ("discovered", light) in subject.known:
        known: Discovered = subject.known["discovered", light]
        return known
    scene = subject.scene
    seqlets = call_seqlets(subject.relevance, fdr=options.fdr, seed=scene.seed)
    seqlets = seqlets[seqlets["sign"] > 0].reset_index(drop=True)
    patterns, truth = find(subject, seqlets, options), true_motifs(scene)
    discovery = compare_with_truth(patterns, [motif for motif, _ in truth], level=options.level)
    found = Discovered(len(seqlets), patterns, truth, discovery)
    if light is not None:
        subject.known["discovered", light] = found
    return found
