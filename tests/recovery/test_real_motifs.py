"""Motif recovery on real ChIP-seq peaks: USF1's E-box; and of SP1's peaks the motif that they carry, not SP1's own."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from seqplrp import PLRP, explain
from seqplrp.genomics import codes_to_one_hot, dinucleotide_shuffle, encode, read_fasta
from seqplrp.genomics.motifs import load, read_motifs
from seqplrp.models import TrainOptions, make_dataset, train_model
from seqplrp.recovery import call_seqlets, compare_with_truth, find_patterns
from seqplrp.recovery.benchmark import read_config, run_cells

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(
        "SEQPLRP_REAL_DATA" not in os.environ, reason="SEQPLRP_REAL_DATA does not name the ChIP-seq sequences"
    ),
]
DATA = Path(os.environ.get("SEQPLRP_REAL_DATA", "")) / "chipseq"


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


CONTROL = """
tasks:
  SP1:
    {group: control, kind: chipseq, directory: $SEQPLRP_REAL_DATA/chipseq, factor: SP1_GM12878, motif: SP1, train: 4000}
architectures: {deepbind: {training: {epochs: 6}}}
seeds: [0]
learned: 0.7
sequences: 500
common: {center: composition}
methods:
  plrp: {method: plrp}
  truth: {method: truth}
default: plrp
peers: []
protocols: {localisation: , motifs: }
cost: false
"""


def test_the_control_s_peaks_give_ccaat_and_not_the_motif_of_the_scan(tmp_path) -> None:
    """METHODS, section 9: what is bound is another factor's motif; the benchmark must show which."""
    (tmp_path / "control.yaml").write_text(CONTROL)
    run_cells(read_config(tmp_path / "control.yaml"), tmp_path / "out")
    found = pd.read_csv(tmp_path / "out" / "motifs_patterns.tsv", sep="\t").set_index("method")
    first = found.loc[["plrp"]].iloc[0]
    assert first["best_match"] in ("NFYA", "NFYB")
    assert first["best_q"] < 1e-3
    assert first["kind"] == "other"
    assert first["seqlets"] >= 40
    (motif,) = (
        one
        for one in read_motifs(tmp_path / "out" / "motifs_patterns" / "SP1.deepbind.seed0.meme")
        if one.accession == first["meme"]
    )
    assert "CCAAT" in motif.consensus or "ATTGG" in motif.consensus
    assert found.loc["truth", "best_match"] == "SP1", "the scan's own sites are there, but the model does not use them"
