"""Motifs, and the tasks that plant them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fuzzed_readers.framing import gzipped
from fuzzed_readers.reader import Reader, texts
from fuzzed_readers.sequences import GENOME

_MEME = b"""MEME version 4

ALPHABET= ACGT

strands: + -

Background letter frequencies
A 0.25 C 0.25 G 0.25 T 0.25

MOTIF MA0001.1 GATA1
letter-probability matrix: alength= 4 w= 3 nsites= 20 E= 0
 0.25 0.25 0.25 0.25
 1 0 0 0
 0.7 0.1 0.1 0.1
URL http://x.org/1

MOTIF two
letter-probability matrix:
 0.5 0.5 0 0
"""
_JASPAR = b">MA0001.1 GATA1\nA [ 1 2 3 ]\nC [ 0 0 9 ]\nG [ 4 4 4 ]\nT [ 1 1 1 ]\n>m2\n1 2\n3 4\n5 6\n7 8\n"
_TASK = b"""name: spaced
description: "two motifs \\u00e9"
kind: binary
length: 60
n: 100
seed: 3
motifs:
  GATA1: GATA1
  own: {consensus: CACGTG, strands: forward}
  counted: {matrix: [[1, 0, 0, 0], [10, 10, 0, 0], [0.25, 0.25, 0.25, 0.25]], nsites: 20}
  file: {file: motifs.meme, name: two}
background: {gc: 0.41}
classes:
  on: {pair: [GATA1, own], spacing: 3-8, orientation: same}
  off: otherwise
decoys: {counted: 0-2}
position: {centre: 30, sd: 20}
accidental: {action: remove, p_value: 1e-4}
min_spacing: 1
label_noise: 1/10
"""
GROUPS = b"""kind: multilabel
length: 50
motifs: &m
  A: {consensus: CACGTG}
  B: {consensus: TGACTCA}
classes: {one: A, two: {and: [B, {not: {count: A, at_least: 2}}]}}
groups:
  both: {share: 1/2, class: [one, two], plant: {A: 1, B: {count: 1, position: uniform}}}
  none: {share: 0.5, pairs: [{pair: [A, A], spacing: 2, count: 1}]}
background: {markov: genome.fa, order: 1}
"""
_SIMDNA = b"seqName\tsequence\tembeddings\ton\ns0\tACGTACGTGATAAG\tpos-8_GATA1-GATAAG\t1\ns1\tACGTNACG\t\t0\n"


def _motifs(path: Path) -> None:
    from seqplrp.genomics.motifs import read_motifs

    for motif in read_motifs(path, pseudocount=0.1):
        assert np.allclose(motif.probabilities.sum(axis=1), 1)
        motif.log_odds()


def _task(path: Path) -> None:
    from seqplrp.genomics.simulation import dump_task, load_task, parse_task

    task = load_task(path)
    written = dump_task(task).encode().decode()
    assert parse_task(written, folder=path.parent) == task


def _simdna(path: Path) -> None:
    from seqplrp.genomics.simulation import read_simdna

    read_simdna(path)


READERS = (
    Reader("motifs", "motifs.txt", texts(meme=_MEME, jaspar=_JASPAR, zipped=gzipped(_MEME)), _motifs),
    Reader(
        "task",
        "task.yaml",
        texts(pair=_TASK, groups=GROUPS),
        _task,
        lambda: {"motifs.meme": _MEME, "genome.fa": GENOME},
        names=False,
        cost=25,
    ),
    Reader("simdna", "in.simdata", texts(plain=_SIMDNA), _simdna),
)
