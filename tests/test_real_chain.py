"""The main job on real ChIP-seq peaks, by the commands that a user types; the full run is examples/real_chipseq.sh."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pandas as pd
import pytest

from seqplrp.cli import main
from seqplrp.genomics import read_fasta, write_fasta

DATA = Path(os.environ.get("SEQPLRP_REAL_DATA", "")) / "chipseq"

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(
        "SEQPLRP_REAL_DATA" not in os.environ, reason="SEQPLRP_REAL_DATA does not name the ChIP-seq sequences"
    ),
]


@pytest.fixture(scope="module")
def chain(tmp_path_factory) -> Path:
    """Train on 1,500 USF1 peaks and their shuffles, explain 200 test peaks, count words."""
    place = tmp_path_factory.mktemp("usf1")

    def first(name: str, count: int) -> str:
        path = place / name
        write_fasta(path, list(read_fasta(DATA / f"USF1_HepG2.{name}"))[:count])
        return str(path)

    train = ["--positives", first("train.pos.fa", 1500), "--negatives", "shuffle", "--epochs", "8", "--seed", "0"]
    test = ["--test-positives", first("test.pos.fa", 200), "--test-negatives", first("test.neg.fa", 200)]
    assert main(["train", *train, *test, "--out", str(place / "model")]) == 0
    method = ["--method", "plrp", "--center", "composition", "--reverse-complement"]
    inputs = ["--model", str(place / "model"), "--fasta", str(place / "test.pos.fa"), "--target", "0"]
    assert main(["explain", *inputs, *method, "--out", str(place / "explained")]) == 0
    assert main(["score", str(place / "explained"), "--kmers", "6", "--out", str(place / "words.tsv")]) == 0
    return place


def test_the_model_tells_usf1_peaks_from_their_shuffles(chain):
    metrics = json.loads((chain / "model" / "config.json").read_text())["metrics"]
    assert metrics["test"]["macro"]["auroc"] >= 0.97


def test_the_e_box_is_the_most_frequent_word_under_the_peaks_of_relevance(chain):
    words = pd.read_csv(chain / "words.tsv", sep="\t")
    assert words.iloc[0]["kmer"] == "CACGTG"
    assert words.iloc[0]["count"] > 2 * words.iloc[1]["count"]


def test_every_promised_file_is_there(chain):
    promised = (
        "relevance.bw relevance.bedgraph relevance.npz relevance.h5 regions.bed chrom.sizes summary.tsv ledger.tsv"
    )
    assert set(f"{promised} manifest.json".split()) <= {path.name for path in (chain / "explained").iterdir()}


def test_every_layer_accounts_for_its_relevance(chain):
    ledger = pd.read_csv(chain / "explained" / "ledger.tsv", sep="\t")
    assert (ledger["unexplained"].abs() <= 1e-5 * ledger["size"]).all()
    assert ledger["id"].nunique() == 200
