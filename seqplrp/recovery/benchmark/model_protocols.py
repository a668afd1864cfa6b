"""The motifs that all of a method's maps of a model give: by our light path, by TF-MoDISco, and what they do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd

from seqplrp.benchmark import ModelFinding, ModelProtocol, Subject
from seqplrp.errors import SeqplrpError
from seqplrp.evaluate import Measure
from seqplrp.genomics.motifs import Motif, load_all
from seqplrp.recovery.benchmark.discovered import (
    Finder,
    MotifOptions,
    discovered,
    light_patterns,
    same_motif,
)
from seqplrp.recovery.benchmark.found_patterns import described
from seqplrp.recovery.benchmark.marginal_protocol import MARGINAL_MEASURES, MARGINAL_SHOWN, MarginalOptions, marginal
from seqplrp.recovery.benchmark.pattern_tables import pattern_paths, write_found
from seqplrp.recovery.benchmark.scenes import Scene
from seqplrp.recovery.discovery import Discovery
from seqplrp.recovery.modisco import modisco_input, require_modisco, run_modisco
from seqplrp.recovery.patterns import Pattern
from seqplrp.recovery.tomtom import require_memelite


@dataclass(frozen=True)
class ModiscoOptions(MotifOptions):
    """The same by TF-MoDISco, from the same seqlets.

    Parameters
    ----------
    trim, extend : int
        See `seqplrp.recovery.run_modisco`; for sequences of a thousand bases its own 30 and 10 are better.
    """

    trim: int = 20
    extend: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, least in (("trim", 6), ("extend", 0)):
            if getattr(self, name) < least:
                raise SeqplrpError(name, f"is {getattr(self, name)}", f"give a whole number of {least} or more")


_FAMILY = "a relative that sequence hardly tells from it counts, too"
MOTIF_MEASURES = (
    Measure("motif_precision", "precision", "higher", "patterns that are most like a true motif, of all patterns"),
    Measure("motif_recall", "recall", "higher", "true motifs that a pattern is most like, of all true motifs"),
    Measure("motif_f1", "F1", "higher", "harmonic mean of precision and recall; 0 where no true motif is found"),
    Measure("motif_precision_family", "precision, family", "higher", f"precision, where {_FAMILY}"),
    Measure("motif_recall_family", "recall, family", "higher", f"recall, where {_FAMILY}; one pattern for each motif"),
    Measure("motif_f1_family", "F1, family", "higher", "harmonic mean of these two"),
    Measure(
        "motif_rank",
        "rank, median",
        "lower",
        "place of a true motif among the library's in likeness to the pattern that is most like it (the last where no "
        "pattern is), median over the true motifs",
    ),
    Measure("motif_rank_worst", "rank, worst", "lower", "the same of the true motif that comes off worst"),
    Measure("motif_q", "q, median", "lower", "TOMTOM's q-value of that likeness (1 where no pattern is like it)"),
    Measure("motif_q_worst", "q, worst", "lower", "the same of the true motif that comes off worst"),
    Measure(
        "motif_similarity",
        "matrix r",
        "higher",
        "Pearson correlation of the recovered matrix with the true one where they overlap, mean over the motifs found "
        "(by family) alone",
    ),
    Measure("motif_coverage", "covered", "higher", "share of the true motif's information in that overlap, same mean"),
    Measure("motif_patterns", "patterns", "neither", "patterns of positive relevance"),
    Measure("motif_spurious", "spurious", "lower", "patterns that are like no true motif, nor a relative of one"),
    Measure("motif_seqlets", "seqlets", "neither", "stretches in which positive relevance gathers"),
    Measure("motif_true", "true motifs", "neither", "true motifs that were asked for"),
)


def _motifs(subject: Subject[Scene], options: MotifOptions, find: Finder) -> ModelFinding:
    """Find patterns of positive relevance in a method's maps, and hold them against the true motifs."""
    found = discovered(subject, options, find)
    asked = [sequences >= options.fewest for _, sequences in found.truth]
    values = {
        "motif_patterns": float(len(found.patterns)),
        "motif_seqlets": float(found.seqlets),
        "motif_true": float(sum(asked)),
    }
    if any(asked):
        values |= _compared(found.discovery, asked, _library_size([motif for motif, _ in found.truth]))
    return ModelFinding(values, described(found.patterns, found.discovery))


def _modisco(subject: Subject[Scene], seqlets: pd.DataFrame, options: ModiscoOptions) -> list[Pattern]:
    """Cluster by TF-MoDISco, from hypothetical contributions where the method has them, or else from the map alone."""
    one_hot = subject.scene.x.numpy()
    known = subject.hypothetical
    found = run_modisco(
        modisco_input(one_hot, one_hot * subject.relevance[:, None] if known is None else known),
        seqlets=seqlets,
        trim=options.trim,
        extend=options.extend,
        fewest_seqlets=options.fewest,
    )
    return [pattern for pattern in found if len(pattern) >= options.fewest]


def _compared(everything: Discovery, asked: Sequence[bool], last: int) -> dict[str, float]:
    """Return what the patterns are worth; true motifs too rare to be asked for are not spurious, either."""
    discovery = replace(everything, truth=everything.truth[np.asarray(asked)].reset_index(drop=True))
    values = {"motif_spurious": float(len(discovery.spurious))}
    for row in discovery.summary.to_dict(orient="records"):
        suffix = "" if row["rule"] == "strict" else "_family"
        values |= {f"motif_{name}{suffix}": float(row[name]) for name in ("precision", "recall", "f1")}
    return values | _ranks(discovery, last) | _likeness(discovery)


def _ranks(discovery: Discovery, last: int) -> dict[str, float]:
    # a motif that nothing is like must count, or a method would do better by finding less
    rank, q = discovery.truth["rank"].fillna(last), discovery.truth["q"].fillna(1.0)
    return {
        "motif_rank": float(rank.median()),
        "motif_rank_worst": float(rank.max()),
        "motif_q": float(q.median()),
        "motif_q_worst": float(q.max()),
    }


def _likeness(discovery: Discovery) -> dict[str, float]:
    of_found = discovery.truth[discovery.truth["found"].astype(bool)]
    return {
        "motif_similarity": float(of_found["pearson"].mean()),
        "motif_coverage": float(of_found["coverage"].mean()),
    }


def _library_size(truth: Sequence[Motif]) -> int:
    """Count the library's motifs and the true ones that are not in it."""
    library = load_all()
    return len(library) + sum(not any(same_motif(motif, one) for one in library) for motif in truth)


_SHOWN = (
    "motif_precision",
    "motif_recall",
    "motif_f1",
    "motif_f1_family",
    "motif_rank",
    "motif_rank_worst",
    "motif_q_worst",
    "motif_similarity",
    "motif_patterns",
    "motif_spurious",
    "motif_true",
)


def _require_both() -> None:
    require_modisco()
    require_memelite()


MODEL_PROTOCOLS: dict[str, ModelProtocol] = {
    "motifs": ModelProtocol(
        title="Which motifs would be discovered",
        says=(
            "From the maps alone, without the truth: stretches in which positive relevance gathers (seqlets) are "
            "clustered into patterns, and each pattern is compared with the motif library by TOMTOM. A pattern is "
            "right if what it is most like is a motif of the explained classes; by family, if it is a relative that "
            "sequence hardly tells from it. True motifs are those that lie in enough of the sequences to make a "
            "pattern."
        ),
        measures=MOTIF_MEASURES,
        shown=_SHOWN,
        run=partial(_motifs, find=light_patterns),
        options=MotifOptions,
        require=require_memelite,
        libraries=("memelite",),
        write=write_found,
        paths=pattern_paths,
    ),
    "modisco": ModelProtocol(
        title="Which motifs TF-MoDISco would discover",
        says=(
            "The same question, with TF-MoDISco in place of the light clustering: it gets the same seqlets, widened to "
            "30 bases, with hypothetical contributions where a method has them and the map alone where it has none, "
            "and its patterns are compared with the motif library in the same way."
        ),
        measures=MOTIF_MEASURES,
        shown=_SHOWN,
        run=partial(_motifs, find=_modisco),
        options=ModiscoOptions,
        require=_require_both,
        libraries=("memelite", "modisco-lite"),
        write=write_found,
        paths=pattern_paths,
    ),
    "marginalisation": ModelProtocol(
        title="What the discovered motifs do to the model's score",
        says=(
            "Each pattern that would be discovered from the maps alone is put into the middle of dinucleotide shuffles "
            "of the sequences, which have nothing else in common, and the mean rise of the score of the class in whose "
            "sequences it was found is measured, beside that of random words of the same length there and of the "
            "planted or known motifs. A pattern that does no more than random words is nothing that the model goes by: "
            "the explanation made it. One that does, and is like no true motif, is the model's own. Of patterns of "
            "nothing, as many as the level would exceed the words."
        ),
        measures=MARGINAL_MEASURES,
        shown=MARGINAL_SHOWN,
        run=marginal,
        options=MarginalOptions,
        require=require_memelite,
        libraries=("memelite",),
        write=write_found,
        paths=pattern_paths,
    ),
}
"""Every protocol of whole models by the name that configurations use; none has the name of one of `PROTOCOLS`."""
