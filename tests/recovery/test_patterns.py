"""Patterns: planted motifs come out of seqlets, aligned on both strands; words without a motif give none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from seqplrp import SeqplrpError
from seqplrp.genomics import codes_to_one_hot, encode
from seqplrp.genomics.motifs import Motif, load, read_motifs, write_meme
from seqplrp.recovery import Pattern, call_seqlets, find_patterns
from seqplrp.recovery.patterns import FEWEST_BITS, MEMBER_COLUMNS, MOST_CHANCE, _best_fits

Codes = npt.NDArray[np.uint8]
LENGTH = 120


@dataclass(frozen=True)
class Planted:
    """Sequences that hold one instance each, and a map that lies on it."""

    codes: Codes
    relevance: npt.NDArray[np.float64]
    truth: pd.DataFrame


def planted(names: list[str], n: int, seed: int = 0, kept: float = 0.8, sign: int = 1) -> Planted:
    """Plant motifs in turn, on either strand; bases carry their position's information, `kept` of them any at all."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, (n, LENGTH)).astype(np.uint8)
    relevance = np.zeros((n, LENGTH))
    rows = []
    for i in range(n):
        motif = load(names[i % len(names)])
        word = np.array([rng.choice(4, p=p / p.sum()) for p in motif.probabilities], dtype=np.uint8)
        mass = motif.information_content() * (rng.random(motif.width) < kept) * rng.uniform(0.5, 1.5, motif.width)
        strand = "+-"[int(rng.integers(2))]
        start = int(rng.integers(0, LENGTH - motif.width + 1))
        place = slice(start, start + motif.width)
        codes[i, place] = word if strand == "+" else 3 - word[::-1]
        relevance[i, place] = sign * (mass if strand == "+" else mass[::-1])
        rows.append((i, start, start + motif.width, strand, motif.name))
    return Planted(codes, relevance, pd.DataFrame(rows, columns=["sequence", "start", "end", "strand", "motif"]))


def similarity(one: Motif, other: Motif) -> float:
    """The highest correlation of two matrices over all shifts and strands, with the background beyond their ends."""
    best = -1.0
    for turned in (other, other.reverse_complement()):
        for shift in range(-turned.width, one.width + 1):
            left, right = min(0, shift), max(one.width, shift + turned.width)
            a, b = np.full((right - left, 4), 0.25), np.full((right - left, 4), 0.25)
            a[-left : one.width - left] = one.probabilities
            b[shift - left : shift - left + turned.width] = turned.probabilities
            best = max(best, float(np.corrcoef(a.ravel(), b.ravel())[0, 1]))
    return best


@pytest.fixture(scope="module")
def three() -> tuple[Planted, list[Pattern]]:
    made = planted(["GABPA", "USF1", "HNF1A"], 450)
    return made, find_patterns(call_seqlets(made.relevance), made.codes, made.relevance)


def test_every_planted_motif_is_one_pattern_with_its_matrix(three) -> None:
    _, patterns = three
    assert [p.motif.name for p in patterns] == ["pos_0", "pos_1", "pos_2"]
    for name in ("GABPA", "USF1", "HNF1A"):
        likeness = [similarity(p.motif, load(name)) for p in patterns]
        assert max(likeness) > 0.95
        assert sorted(likeness)[-2] < 0.7
    assert all(p.sign == 1 and len(p) >= 130 and p.bits >= FEWEST_BITS and p.p <= MOST_CHANCE for p in patterns)
    sizes = [len(p) for p in patterns]
    assert sizes == sorted(sizes, reverse=True)


def test_members_say_where_the_motif_stands_and_on_which_strand(three) -> None:
    made, patterns = three
    for pattern in patterns:
        assert tuple(pattern.members.columns) == MEMBER_COLUMNS
        name = max(("GABPA", "USF1", "HNF1A"), key=lambda n: similarity(pattern.motif, load(n)))
        both = pattern.members.merge(made.truth, on="sequence", suffixes=("", "_true"))
        right = both[both["motif"] == name]
        assert len(right) >= 0.97 * len(pattern)
        # The motif may read the other way round throughout, and start elsewhere, but then it does so everywhere.
        turned = (right["strand"] != right["strand_true"]).to_numpy()
        assert max(turned.mean(), 1 - turned.mean()) > 0.85 or name == "HNF1A"  # nearly a palindrome
        middle = (right["start"] + right["end"]) / 2 - (right["start_true"] + right["end_true"]) / 2
        along = np.where(right["strand"] == "-", -middle, middle)
        assert np.mean(np.abs(along - np.median(along)) <= 1) > 0.9
        # and the letters there are what the matrix was counted from
        words = []
        for row in right.itertuples():
            if row.start >= 0 and row.end <= LENGTH:
                word = made.codes[row.sequence, row.start : row.end]
                words.append(word if row.strand == "+" else 3 - word[::-1])
        frequencies = np.stack([(np.stack(words) == base).mean(0) for base in range(4)], axis=1)
        np.testing.assert_allclose(frequencies, pattern.motif.probabilities, atol=0.1)


def test_contributions_are_the_mean_relevance_along_the_motif(three) -> None:
    made, patterns = three
    pattern = patterns[0]
    total = np.zeros_like(pattern.contributions)
    for row in pattern.members.itertuples():
        for offset in range(pattern.motif.width):
            at = row.start + offset
            if 0 <= at < LENGTH:
                letter, value = int(made.codes[row.sequence, at]), made.relevance[row.sequence, at]
                place = (offset, letter) if row.strand == "+" else (pattern.motif.width - 1 - offset, 3 - letter)
                total[place] += value
    np.testing.assert_allclose(pattern.contributions, total / len(pattern), rtol=1e-9, atol=1e-12)


def test_negative_relevance_makes_patterns_of_its_own(three) -> None:
    made, patterns = three
    negative = find_patterns(call_seqlets(-made.relevance), made.codes, -made.relevance)
    assert [p.motif.name for p in negative] == ["neg_0", "neg_1", "neg_2"]
    for mine, theirs in zip(negative, patterns):
        np.testing.assert_array_equal(mine.motif.probabilities, theirs.motif.probabilities)
        np.testing.assert_allclose(mine.contributions, -theirs.contributions)
        assert (mine.members["mass"] < 0).all()


def test_the_same_input_gives_the_same_patterns_and_each_base_may_have_its_own_relevance(three) -> None:
    made, patterns = three
    seqlets = call_seqlets(made.relevance)
    by_base = made.relevance[:, None, :] * codes_to_one_hot(made.codes).numpy()
    mixed = seqlets.sample(frac=1, random_state=0)  # the order of the rows is no matter
    for again in (find_patterns(seqlets, made.codes, by_base), find_patterns(mixed, made.codes, made.relevance)):
        assert len(again) == len(patterns)
        for one, other in zip(patterns, again):
            assert one.motif == other.motif
            pd.testing.assert_frame_equal(one.members, other.members)


def test_the_opposite_strand_gives_the_same_motifs(three) -> None:
    made, patterns = three
    codes, relevance = 3 - made.codes[:, ::-1], made.relevance[:, ::-1]
    turned = find_patterns(call_seqlets(relevance), codes, relevance)
    assert len(turned) == len(patterns)
    assert all(max(similarity(p.motif, t.motif) for t in turned) > 0.98 for p in patterns)


def test_scattered_relevance_on_random_words_gives_no_pattern() -> None:
    for seed in range(2):
        rng = np.random.default_rng(seed)
        codes = rng.integers(0, 4, (600, LENGTH)).astype(np.uint8)
        start = rng.integers(0, LENGTH - 10, 600)
        relevance = np.zeros(codes.shape)
        inside = start[:, None] + np.arange(10)
        np.put_along_axis(relevance, inside, rng.exponential(size=(600, 10)) * (rng.random((600, 10)) < 0.7), axis=1)
        seqlets = call_seqlets(relevance)
        assert len(seqlets) > 400  # relevance does gather
        assert find_patterns(seqlets, codes, relevance) == []
        # without the test of chance, clusters of alike words would pass for motifs
        assert find_patterns(seqlets, codes, relevance, chance=1.0, bits=0.0)


def test_a_motif_in_a_few_of_many_seqlets_is_found() -> None:
    made = planted(["CTCF"], 40, seed=2)
    rng = np.random.default_rng(2)
    codes = np.concatenate([made.codes, rng.integers(0, 4, (500, LENGTH)).astype(np.uint8)])
    relevance = np.zeros(codes.shape)
    relevance[:40] = made.relevance
    inside = rng.integers(0, LENGTH - 8, 500)[:, None] + np.arange(8)
    np.put_along_axis(relevance[40:], inside, rng.exponential(size=inside.shape), axis=1)
    patterns = find_patterns(call_seqlets(relevance), codes, relevance)
    assert len(patterns) == 1
    assert similarity(patterns[0].motif, load("CTCF")) > 0.93
    right = int((patterns[0].members["sequence"] < 40).sum())
    assert right >= 35
    assert right >= 0.75 * len(patterns[0])


def test_fewer_members_than_asked_for_make_no_pattern(three) -> None:
    made, patterns = three
    seqlets = call_seqlets(made.relevance)
    fewest = len(patterns[0])
    kept = find_patterns(seqlets, made.codes, made.relevance, fewest=fewest)
    assert [len(p) for p in kept] == [n for n in (len(p) for p in patterns) if n >= fewest]
    assert find_patterns(seqlets.iloc[:0], made.codes, made.relevance) == []


def test_motifs_go_to_meme_files_and_come_back(three, tmp_path) -> None:
    _, patterns = three
    write_meme(tmp_path / "found.meme", [p.motif for p in patterns])
    back = read_motifs(tmp_path / "found.meme")
    for motif, pattern in zip(back, patterns, strict=True):
        assert (motif.name, motif.nsites) == (pattern.motif.name, len(pattern))
        np.testing.assert_allclose(motif.probabilities, pattern.motif.probabilities, atol=2e-6)


def test_likeness_over_shifts_and_strands_is_that_of_a_loop_over_all() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random((4, 4, 31)).astype(np.float32), rng.random((5, 4, 31)).astype(np.float32)
    best, shift, reverse = _best_fits(a, b)
    for i in range(4):
        for j in range(5):
            found = {}
            for turn in (False, True):
                target = b[j, ::-1, ::-1] if turn else b[j]
                for move in range(-10, 11):
                    pairs = [(x, x - move) for x in range(31) if 0 <= x - move < 31]
                    found[move, turn] = sum(float(a[i, :, x] @ target[:, y]) for x, y in pairs)
            assert best[i, j] == pytest.approx(max(found.values()), rel=1e-5)
            assert found[int(shift[i, j]), bool(reverse[i, j])] == pytest.approx(max(found.values()), rel=1e-5)


def test_seqlets_and_ns_at_the_ends_of_sequences_are_no_trouble() -> None:
    made = planted(["USF1"], 120, seed=4)
    codes = np.concatenate([made.codes, np.full((120, 3), 4, dtype=np.uint8)], axis=1)
    rows = made.truth
    cut = np.stack([codes[i, max(0, s - 1) : max(0, s - 1) + 40] for i, s in enumerate(rows["start"].clip(0, 83))])
    relevance = np.stack(
        [
            np.pad(made.relevance, ((0, 0), (0, 3)))[i, max(0, s - 1) : max(0, s - 1) + 40]
            for i, s in enumerate(rows["start"].clip(0, 83))
        ]
    )
    patterns = find_patterns(call_seqlets(relevance), cut, relevance)
    assert len(patterns) == 1
    assert similarity(patterns[0].motif, load("USF1")) > 0.93


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"codes": np.zeros(5, dtype=np.uint8)}, r"codes: has shape \(5,\)"),
        ({"relevance": np.zeros((2, 9))}, r"relevance: has shape \(2, 9\)"),
        ({"relevance": np.full((2, 8), np.inf)}, "relevance: holds NaN or infinite"),
        ({"seqlets": pd.DataFrame({"sequence": []})}, "seqlets: has no column 'end'"),
        ({"fewest": 1}, "fewest: is 1"),
    ],
)
def test_what_does_not_fit_is_told(change, told) -> None:
    codes = encode(["ACGTACGT", "ACGTACGT"])
    arguments = {"seqlets": call_seqlets(np.zeros((2, 8))), "codes": codes, "relevance": np.zeros((2, 8)), **change}
    with pytest.raises(SeqplrpError, match=told):
        find_patterns(**arguments)


def test_seqlets_of_other_sequences_are_refused() -> None:
    made = planted(["USF1"], 60)
    with pytest.raises(SeqplrpError, match="seqlets: holds some that do not lie on 60 sequences of 20"):
        find_patterns(call_seqlets(made.relevance), made.codes[:, :20], made.relevance[:, :20])
