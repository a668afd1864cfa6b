"""Motifs: the shipped library, MEME and JASPAR files, and exact scans for them.

>>> from seqplrp import motifs
>>> motifs.load("USF1").width
10
"""

from __future__ import annotations

from seqplrp.genomics.motifs.distribution import ScoreDistribution, score_distribution, score_threshold
from seqplrp.genomics.motifs.library import available, load, load_all
from seqplrp.genomics.motifs.meme import write_meme
from seqplrp.genomics.motifs.model import WIDEST, Motif
from seqplrp.genomics.motifs.reading import read_motifs
from seqplrp.genomics.motifs.scanning import scan

__all__ = [
    "WIDEST",
    "Motif",
    "ScoreDistribution",
    "available",
    "load",
    "load_all",
    "read_motifs",
    "scan",
    "score_distribution",
    "score_threshold",
    "write_meme",
]
