"""Motif recovery on real ChIP-seq peaks: a small model of USF1, its PLRP maps, and the E-box out of them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from seqplrp import PLRP, explain
from seqplrp.genomics import codes_to_one_hot, dinucleotide_shuffle, encode, read_fasta
from seqplrp.genomics.motifs import load
from seqplrp.models import TrainOptions, make_dataset, train_model
from seqplrp.recovery import call_seqlets, compare_with_truth, find_patterns

DATA = Path(os.environ.get("SEQPLRP_REAL_DATA", "")) / "chipseq"


@pytest.mark.real_data
@pytest.mark.skipif(
    "SEQPLRP_REAL_DATA" not in os.environ, reason="SEQPLRP_REAL_DATA does not name the ChIP-seq sequences"
)
def test_usf1_peaks_give_the_e_box_and_nothing_else() -> None:
    def first(name: str, count: int) -> np.ndarray:
        records = list(read_fasta(DATA / f"USF1_HepG2.{name}.fa", iupac="n"))[:count]
        return encode([record.sequence for record in records])

    peaks, held_out = first("train.pos", 1000), first("test.pos", 500)
    codes = np.concatenate([peaks, dinucleotide_shuffle(peaks, np.random.default_rng(0))])
    labels = np.repeat([1.0, 0.0], len(peaks))[:, None]
    data = make_dataset(codes, labels, kind="binary", classes=["bound"], seed=0)
    model = train_model(data, "deepbind", training=TrainOptions(epochs=4, batch_size=32, seed=0)).model
    method = PLRP(center="composition", reverse_complement=True)
    per_base = explain(model, codes_to_one_hot(held_out), target=0, method=method).per_base
    seqlets = call_seqlets(per_base)
    found = [p for p in find_patterns(seqlets, held_out, per_base) if p.sign > 0]
    result = compare_with_truth(found, [load("USF1")])
    assert "CACGTG" in found[0].motif.consensus
    assert len(found[0]) >= 300
    # CACGTG itself is as much USF2's, so by family
    assert result.truth["found"].tolist() == [True]
    assert result.truth["q"][0] < 1e-3
    assert result.truth["family_rank"][0] == 1
    assert result.spurious.empty
