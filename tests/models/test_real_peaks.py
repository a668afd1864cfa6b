"""Real ChIP-seq peaks against their shuffles: the default model learns the factor's motif, also from a part of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from seqplrp.genomics import read_fasta, write_fasta
from seqplrp.models import TrainOptions, read_positives_negatives, train_model

pytestmark = pytest.mark.real_data


@pytest.fixture(scope="module")
def peaks() -> Path:
    folder = os.environ.get("SEQPLRP_REAL_DATA")
    if not folder:
        pytest.skip("the environment variable SEQPLRP_REAL_DATA does not name the ChIP-seq sequences")
    if not (Path(folder) / "chipseq").is_dir():
        pytest.skip(f"SEQPLRP_REAL_DATA={folder} has no folder chipseq")
    return Path(folder) / "chipseq"


# The full 6,000 peaks reach 0.998 (USF1) and 0.976 (GABPA) in 15 epochs.
@pytest.mark.parametrize(("factor", "auroc"), [("USF1_HepG2", 0.98), ("GABPA_GM12878", 0.92)])
def test_1500_peaks_are_enough_to_tell_peaks_from_their_shuffles(peaks, tmp_path, factor, auroc):
    records = list(read_fasta(peaks / f"{factor}.train.pos.fa"))[:1500]
    write_fasta(tmp_path / "train.fa", records)
    data = read_positives_negatives(
        tmp_path / "train.fa",
        "shuffle",
        test_positives=peaks / f"{factor}.test.pos.fa",
        test_negatives=peaks / f"{factor}.test.neg.fa",
    )
    result = train_model(data, "basset-small", training=TrainOptions(epochs=12, device="cpu"))
    assert result.config.metrics["test"]["macro"]["auroc"] >= auroc
    assert result.advice == []
