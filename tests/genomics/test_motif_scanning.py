"""Scans find what a slow loop finds, with p-values that enumeration confirms."""

from __future__ import annotations

import os
import tracemalloc
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from Bio import motifs as biopython
from hypothesis import given, settings
from hypothesis import strategies as st

from seqplrp import SeqplrpError
from seqplrp.genomics import dinucleotide_shuffle, encode, read_fasta
from seqplrp.genomics.motifs import Motif, load, scan, scanning, score_distribution, score_threshold

BACKGROUND = (0.3, 0.2, 0.15, 0.35)


def random_motif(width: int, seed: int = 0, sharpness: float = 0.5) -> Motif:
    rng = np.random.default_rng(seed)
    return Motif("random", rng.dirichlet([sharpness] * 4, size=width), nsites=100)


def random_codes(n: int, length: int, seed: int = 0, unknown: float = 0.02) -> np.ndarray:
    rng = np.random.default_rng(seed)
    codes = rng.choice(4, size=(n, length), p=BACKGROUND).astype(np.uint8)
    codes[rng.random((n, length)) < unknown] = 4
    return codes


def as_rows(table) -> list[tuple]:
    return list(table[["sequence", "start", "end", "strand"]].itertuples(index=False, name=None))


@pytest.mark.parametrize("pseudocount", [0.1, 0.0])
@pytest.mark.parametrize("width", [1, 2, 5, 7])
def test_tail_probabilities_are_those_of_all_words_enumerated(width: int, pseudocount: float) -> None:
    motif = random_motif(width)
    if pseudocount == 0:
        sharp = motif.probabilities.copy()
        sharp[0] = [0.0, 0.5, 0.5, 0.0]  # impossible bases: these words score minus infinity
        motif = Motif("sharp", sharp)
    distribution = score_distribution(motif, BACKGROUND, pseudocount)
    words = np.array(list(product(range(4), repeat=width)))
    probability = np.prod(np.array(BACKGROUND)[words], axis=1)
    bits = motif.log_odds(BACKGROUND, pseudocount)[np.arange(width), words].sum(axis=1)
    possible = np.isfinite(bits)
    steps = distribution.steps[np.arange(width), words[possible]].sum(axis=1)
    assert np.abs(steps * distribution.step - bits[possible]).max() <= width * distribution.step / 2 + 1e-12
    for score in np.unique(steps):
        expected = probability[possible][steps >= score].sum()
        assert distribution.tail[score - distribution.lowest] == pytest.approx(expected, rel=1e-9)
    assert distribution.tail[0] == pytest.approx(probability[possible].sum(), rel=1e-9)


@pytest.mark.parametrize("p_value", [0.5, 0.01, 1e-3])
def test_the_threshold_is_the_lowest_score_rare_enough(p_value: float) -> None:
    width = 6
    motif = random_motif(width, seed=3)
    distribution = score_distribution(motif, BACKGROUND)
    words = np.array(list(product(range(4), repeat=width)))
    probability = np.prod(np.array(BACKGROUND)[words], axis=1)
    score = distribution.steps[np.arange(width), words].sum(axis=1) * distribution.step
    threshold = score_threshold(motif, p_value, BACKGROUND)
    assert probability[score >= threshold - 1e-9].sum() <= p_value * (1 + 1e-9)
    next_lower = score[score < threshold - 1e-9].max()
    assert probability[score >= next_lower - 1e-9].sum() > p_value


@pytest.mark.parametrize("width", [1, 3, 5, 6, 7, 11, 12, 13, 25])
@pytest.mark.parametrize("both_strands", [True, False])
def test_a_scan_finds_what_a_slow_loop_finds(width: int, both_strands: bool) -> None:
    motif = random_motif(width, seed=width)
    codes = random_codes(20, 60, seed=width, unknown=0.01)
    bits = motif.log_odds(BACKGROUND)
    threshold = score_threshold(motif, 0.3, BACKGROUND)
    found = scan(codes, motif, p_value=0.3, background=BACKGROUND, both_strands=both_strands)
    scores = {row[:4]: row[4] for row in found[["sequence", "start", "end", "strand", "score"]].itertuples(index=False)}
    expected = set()
    borderline = width * 0.001  # what rounding of log-odds can move
    for n, sequence in enumerate(codes):
        for start in range(60 - width + 1):
            window = sequence[start : start + width]
            strands = {"+": window, "-": 3 - window[::-1].astype(int)} if both_strands else {"+": window}
            for strand, word in strands.items():
                if 4 in window:
                    continue
                score = bits[np.arange(width), word].sum()
                key = (n, start, start + width, strand)
                if abs(score - threshold) > borderline:
                    expected |= {key} if score > threshold else set()
                    assert (key in scores) == (score > threshold)
                if key in scores:
                    assert scores[key] == pytest.approx(score, abs=borderline)
    assert len(expected) > 100
    assert as_rows(found) == sorted(as_rows(found), key=lambda row: (row[0], row[1], row[3] == "-"))


def test_a_scan_finds_what_biopython_finds() -> None:
    motif = load("USF1")
    codes = random_codes(50, 400, seed=5, unknown=0)
    threshold = score_threshold(motif, 1e-3)
    oracle = biopython.Motif(counts={b: motif.probabilities[:, i] * motif.nsites for i, b in enumerate("ACGT")})
    oracle.pseudocounts = 0.025
    expected = set()
    for n, text in enumerate("".join("ACGT"[c] for c in row) for row in codes):
        # biopython counts places of the other strand from the end; the margin is what rounding can move
        for place, _ in oracle.pssm.search(text, threshold=threshold + 0.01):
            start = place if place >= 0 else place + len(text)
            expected.add((n, int(start), int(start) + motif.width, "+" if place >= 0 else "-"))
    found = scan(codes, motif, p_value=1e-3)
    assert {row for row, score in zip(as_rows(found), found.score) if score > threshold + 0.02} <= expected
    assert expected <= set(as_rows(found))
    assert len(expected) > 20


@settings(deadline=None, max_examples=30)
@given(st.integers(3, 14), st.integers(0, 1000), st.sampled_from([0.5, 0.05]))
def test_the_other_strand_is_the_same_scan_seen_from_behind(width: int, seed: int, p_value: float) -> None:
    motif = random_motif(width, seed, sharpness=2)
    codes = random_codes(5, 30, seed)
    flipped = np.where(codes == 4, 4, 3 - codes.astype(int))[:, ::-1]
    here = scan(codes, motif, p_value=p_value)
    there = scan(flipped, motif, p_value=p_value)
    mirrored = {(n, 30 - end, 30 - start, "+-"[strand == "+"]) for n, start, end, strand in as_rows(there)}
    assert mirrored == set(as_rows(here))
    forward = scan(codes, motif.reverse_complement(), p_value=p_value, both_strands=False)
    assert [r[:3] for r in as_rows(forward)] == [r[:3] for r in as_rows(here) if r[3] == "-"]


def test_a_window_with_an_n_never_matches_however_lenient_the_threshold() -> None:
    codes = random_codes(30, 40, unknown=0.05)
    for width in (1, 6, 8):
        found = scan(codes, random_motif(width), p_value=1.0)
        clean = (np.lib.stride_tricks.sliding_window_view(codes, width, axis=1) < 4).all(axis=2)
        assert len(found) == 2 * clean.sum()
        assert as_rows(found[found.strand == "+"]) == [(n, s, s + width, "+") for n, s in np.argwhere(clean)]


def test_impossible_bases_never_match() -> None:
    motif = Motif("m", [[1, 0, 0, 0], [0.5, 0, 0, 0.5]] * 4)
    found = scan(encode(["AAAAAAAATTCA"]), motif, p_value=1.0, pseudocount=0, both_strands=False)
    assert as_rows(found) == [(0, start, start + 8, "+") for start in (0, 1)]


def test_random_dna_is_hit_as_often_as_the_p_value_says() -> None:
    codes = np.random.default_rng(11).choice(4, size=(2000, 500), p=BACKGROUND).astype(np.uint8)
    motif = load("GATA2")
    for p_value in (1e-2, 1e-3):
        found = scan(codes, motif, p_value=p_value, background=BACKGROUND, both_strands=False)
        exact = score_distribution(motif, BACKGROUND)
        rate = exact.tail[exact.threshold(p_value) - exact.lowest]
        expected = 2000 * (500 - motif.width + 1) * rate
        # overlapping hits of a motif that is not repetitive: nearly Poisson
        assert abs(len(found) - expected) < 6 * expected**0.5
        assert found.p.max() == pytest.approx(rate)
        assert (np.diff(found.sort_values("score").p) <= 0).all()


def test_no_result_depends_on_how_the_work_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    codes, motif = random_codes(50, 80), load("MYC")
    whole = scan(codes, motif, p_value=1e-2)
    monkeypatch.setattr(scanning, "_CELLS_AT_ONCE", 200)
    assert scan(codes, motif, p_value=1e-2).equals(whole)
    assert len(whole) > 10


def test_memory_stays_bounded() -> None:
    codes = random_codes(50_000, 200)
    tracemalloc.start()
    scan(codes, load("E2F1"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100 * 2**20  # one score a place would take 76 MiB in int32 for each strand, and indices more


def test_very_wide_motifs_are_scanned_with_a_coarser_step() -> None:
    motif = random_motif(700, sharpness=0.1)
    distribution = score_distribution(motif)
    assert distribution.step > 0.001
    assert len(distribution.tail) < 1_001_000
    codes = random_codes(2, 800, unknown=0)
    codes[1, 50:750] = motif.probabilities.argmax(axis=1)
    assert as_rows(scan(codes, motif, p_value=1e-9)) == [(1, 50, 750, "+")]


@pytest.mark.parametrize("codes", [np.zeros((3, 4), np.uint8), np.zeros((0, 50), np.uint8), np.zeros((2, 0), np.uint8)])
def test_nothing_to_scan_gives_an_empty_table(codes: np.ndarray) -> None:
    found = scan(codes, load("USF1"))
    assert list(found.columns) == ["sequence", "start", "end", "strand", "score", "p"]
    assert len(found) == 0


def test_a_p_value_that_no_word_reaches_is_an_error_whose_remedy_works() -> None:
    motif = load("MAX")
    with pytest.raises(SeqplrpError, match=r"no word of the 6 bp motif MAX is as rare as 0.0001") as error:
        scan(encode("CACGTG"), motif)
    offered = float(error.value.remedy.split()[1])
    assert as_rows(scan(encode("CACGTG"), motif, p_value=offered)) == [(0, 0, 6, "+"), (0, 0, 6, "-")]
    assert len(scan(encode("CACGTG"), motif, p_value=4.0**-6)) == 2


@pytest.mark.parametrize("p_value", [0, -1, 1.5, float("nan")])
def test_what_is_no_probability_is_refused(p_value: float) -> None:
    with pytest.raises(SeqplrpError, match="p_value"):
        scan(encode("CACGTGCACGTG"), load("MYC"), p_value=p_value)


def test_other_bad_arguments_are_refused() -> None:
    with pytest.raises(SeqplrpError, match="codes"):
        scan(np.zeros((2, 3)), load("MYC"))
    with pytest.raises(SeqplrpError, match="background"):
        scan(encode("CACGTGCACGTG"), load("MYC"), background=[1, 1, 1, 1])


@pytest.mark.real_data
@pytest.mark.parametrize(("data", "name"), [("USF1_HepG2", "USF1"), ("GABPA_GM12878", "GABPA"), ("CTCFL_K562", "CTCF")])
def test_real_peaks_hold_their_factor_far_more_often_than_shuffles(data: str, name: str) -> None:
    folder = os.environ.get("SEQPLRP_REAL_DATA")
    if not folder:
        pytest.skip("SEQPLRP_REAL_DATA does not name the folder of the ChIP-seq sequences")
    peaks = encode([r.sequence for r in read_fasta(Path(folder) / "chipseq" / f"{data}.test.pos.fa")])
    shuffled = dinucleotide_shuffle(peaks, np.random.default_rng(0))
    held = {kind: scan(codes, load(name)).sequence.nunique() for kind, codes in (("peaks", peaks), ("none", shuffled))}
    assert held["peaks"] > 0.4 * len(peaks)
    assert held["peaks"] > 4 * held["none"]
