"""Which filters carry the relevance: sums, best windows and matrices against counts made by hand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from seqplrp import SeqplrpError
from seqplrp.genomics import codes_to_one_hot, encode, motifs
from seqplrp.recovery import FilterTally, Reading, leading_filters
from seqplrp.recovery.informative_cores import informative_core

UNIFORM = np.full(4, 0.25)


@dataclass(frozen=True)
class Reads:
    """A convolution's geometry."""

    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1

    @property
    def width(self) -> int:
        return self.dilation * (self.kernel - 1) + 1

    def outputs(self, length: int) -> int:
        return (length + 2 * self.padding - self.width) // self.stride + 1


def names(n: int) -> list[str]:
    return [f"s{i}" for i in range(n)]


def tally_of(relevance, codes, geometry, **keywords) -> FilterTally:
    tally = FilterTally("conv", relevance.shape[1], geometry, **keywords)
    tally.add(relevance, codes, names(len(codes)))
    return tally


def best_by_hand(relevance, codes, geometry, filter_, top, per_sequence):
    """Every whole window by itself, greedily without overlap within a sequence, in plain Python."""
    chosen = []
    for n, row in enumerate(codes):
        candidates = []
        for j, value in enumerate(relevance[n, filter_]):
            start = j * geometry.stride - geometry.padding
            window = row[start : start + geometry.width] if start >= 0 else row[:0]
            if len(window) == geometry.width and (window < 4).all() and value > 0:
                candidates.append((-value, start, n))
        taken: list[tuple] = []
        for candidate in sorted(candidates):
            if len(taken) < per_sequence and all(abs(candidate[1] - t[1]) >= geometry.width for t in taken):
                taken.append(candidate)
        chosen += taken
    chosen.sort(key=lambda c: (c[0], c[2], c[1]))
    return [(f"s{n}", start, -value) for value, start, n in chosen[:top]]


@settings(max_examples=60, deadline=None)
@given(
    geometry=st.builds(Reads, st.integers(1, 4), st.integers(1, 3), st.integers(0, 4), st.integers(1, 3)),
    seed=st.integers(0, 10**6),
    top=st.integers(1, 6),
    per_sequence=st.integers(1, 3),
    cut=st.integers(1, 5),
)
def test_best_windows_and_sums_are_those_counted_one_by_one_however_the_batches_are_cut(
    geometry, seed, top, per_sequence, cut
) -> None:
    rng = np.random.default_rng(seed)
    codes = rng.choice(5, size=(6, 14), p=[0.23, 0.23, 0.23, 0.23, 0.08]).astype(np.uint8)
    # few values, so that ties are frequent
    relevance = rng.integers(-3, 4, (6, 3, geometry.outputs(14))).astype(float)
    tally = FilterTally("conv", 3, geometry, top=top, per_sequence=per_sequence)
    for start in range(0, 6, cut):
        rows = slice(start, start + cut)
        tally.add(torch.tensor(relevance[rows]), codes[rows], names(6)[rows])
    for filter_ in range(3):
        windows = tally.windows(filter_)
        found = list(zip(windows.ids, windows.starts.tolist(), windows.relevance.tolist()))
        assert found == best_by_hand(relevance, codes, geometry, filter_, top, per_sequence)
        for word, id, start in zip(windows.codes, windows.ids, windows.starts):
            np.testing.assert_array_equal(word, codes[int(id[1:]), start : start + geometry.width])
    np.testing.assert_allclose(tally.positive, np.maximum(relevance, 0).sum((0, 2)))
    np.testing.assert_allclose(tally.negative, np.minimum(relevance, 0).sum((0, 2)))
    np.testing.assert_array_equal(tally.active, (relevance != 0).any(2).sum(0))


def as_read(rows: np.ndarray, reading: Reading, geometry: Reads) -> np.ndarray:
    turned = rows[:, ::-1] if reading.reverse else rows
    cut = turned[:, max(0, -reading.left) : turned.shape[1] + min(0, reading.right)]
    pads = (max(0, reading.left) + geometry.padding, max(0, reading.right) + geometry.padding)
    return np.pad(cut, ((0, 0), pads), constant_values=-1)


@pytest.mark.parametrize(
    "reading", [Reading(3, 1), Reading(-2, -1), Reading(0, 2, True), Reading(-3, 1, True)], ids=repr
)
@pytest.mark.parametrize("geometry", [Reads(4), Reads(3, stride=2, padding=2)], ids=repr)
def test_padded_cropped_and_turned_sequences_give_the_bases_that_the_layer_reads(reading, geometry) -> None:
    rng = np.random.default_rng(3)
    codes = rng.integers(0, 4, (4, 16)).astype(np.uint8)
    # base and place on the record of each column that the layer reads, -1 where there is none
    letters = as_read(3 - codes.astype(int) if reading.reverse else codes.astype(int), reading, geometry)
    places = as_read(np.tile(np.arange(16), (4, 1)), reading, geometry)
    outputs = (letters.shape[1] - geometry.width) // geometry.stride + 1
    relevance = rng.uniform(1, 2, (4, 1, outputs))
    tally = FilterTally("conv", 1, geometry, top=1000, per_sequence=1000)
    tally.add(relevance, codes, names(4), reading)
    windows = tally.windows(0)
    assert set(windows.strands) == {"-" if reading.reverse else "+"}
    assert len(windows) > 4
    for word, id, start, value in zip(windows.codes, windows.ids, windows.starts, windows.relevance):
        n = int(id[1:])
        j = int(np.flatnonzero(relevance[n, 0] == value)[0])
        columns = slice(j * geometry.stride, j * geometry.stride + geometry.width)
        np.testing.assert_array_equal(word, letters[n, columns])
        assert start == places[n, columns].min() >= 0
    whole = [(places[0, j * geometry.stride :][: geometry.width] >= 0).all() for j in range(outputs)]
    left_out = relevance[:, 0, ~np.array(whole)].sum() / relevance.sum()
    assert leading_filters([tally])[0].left_out_share == pytest.approx(left_out)


def test_shares_are_of_all_first_layers_together_and_sorted() -> None:
    codes = encode(["ACGTACGT", "TTTTACGN"])
    first = np.zeros((2, 2, 6))
    first[:, 0, 0] = [3, 1]
    first[0, 1, 2] = -4
    second = np.zeros((2, 1, 8))
    second[0, 0, 4] = 12
    a = FilterTally("a", 2, Reads(3))
    a.add(first, codes, names(2))
    b = FilterTally("b", 1, Reads(1))
    b.add(second, codes, names(2))
    filters = leading_filters([a, b])
    assert [f.name for f in filters] == ["b:0", "a:0", "a:1"]
    assert [f.share for f in filters] == [12 / 16, 4 / 16, 0]
    assert [f.absolute_share for f in filters] == [12 / 20, 4 / 20, 4 / 20]
    assert [(f.active, f.leading) for f in filters] == [(1, 1), (2, 2), (1, 0)]
    assert [f.status for f in filters] == ["too few windows", "too few windows", "no positive relevance"]


def test_relevance_on_windows_over_the_ends_or_with_an_unknown_base_is_told_and_never_kept() -> None:
    codes = encode(["ACGTANGTACGT"])
    relevance = np.zeros((1, 2, 12))  # kernel 3, padding 1: output j reads j-1 to j+1
    relevance[0, 0, [0, 4, 9, 11]] = [8, 4, 1, 3]  # over the left end, with the N, whole, over the right end
    relevance[0, 1, 9] = 1
    tally = tally_of(relevance, codes, Reads(3, padding=1))
    windows = tally.windows(0)
    assert (windows.ids, windows.starts.tolist(), windows.relevance.tolist()) == (("s0",), [8], [1.0])
    by_index = {f.index: f for f in leading_filters([tally])}
    assert by_index[0].left_out_share == pytest.approx(15 / 16)
    assert by_index[1].left_out_share == 0


def test_sequences_shorter_than_a_window_count_in_the_sums_alone() -> None:
    tally = tally_of(np.ones((2, 1, 4)), encode(["ACGT", "ACGT"]), Reads(5, padding=2))
    assert (tally.positive.tolist(), len(tally.windows(0))) == ([8.0], 0)
    assert leading_filters([tally])[0].left_out_share == 1


def test_matrix_counts_the_windows_with_one_site_of_the_sequences_own_composition() -> None:
    rng = np.random.default_rng(0)
    codes = rng.choice(4, size=(30, 20), p=[0.4, 0.1, 0.1, 0.4]).astype(np.uint8)
    places = rng.integers(0, 16, 30)
    relevance = np.zeros((30, 1, 16))
    relevance[np.arange(30), 0, places] = rng.uniform(1, 2, 30)
    tally = tally_of(relevance, codes, Reads(5), top=25)
    (one,) = leading_filters([tally])
    best = np.argsort(-relevance.max((1, 2)))[:25]
    counts = np.zeros((5, 4))
    for n in best:
        for i in range(5):
            counts[i, codes[n, places[n] + i]] += 1
    background = (np.bincount(codes.ravel(), minlength=4) + 1) / (codes.size + 4)
    np.testing.assert_array_equal(one.windows.counts(), counts)
    assert one.motif is not None
    assert one.motif.nsites == 25
    np.testing.assert_allclose(one.motif.probabilities, (counts + background) / 26, atol=1e-12)
    np.testing.assert_allclose(one.motif.background, background)


def planted(word: str, n: int, seed: int = 0) -> np.ndarray:
    """Counts of n random windows of 12 with the word in their middle."""
    codes = np.random.default_rng(seed).integers(0, 4, (n, 12))
    start = (12 - len(word)) // 2
    codes[:, start : start + len(word)] = ["ACGT".index(letter) for letter in word]
    return np.stack([(codes == base).sum(0) for base in range(4)], axis=1)


@pytest.mark.parametrize(("word", "core"), [("CACGTG", (3, 9)), ("TGACTCA", (2, 9)), ("GAT", (4, 7))])
def test_flanks_of_random_bases_are_cut_from_the_core(word, core) -> None:
    assert informative_core(planted(word, 40), UNIFORM) == core


def test_random_windows_have_no_core_and_two_positions_are_not_enough() -> None:
    cores = [informative_core(planted("", n, seed), UNIFORM) for n in (10, 40, 1000) for seed in range(50)]
    assert cores == [None] * 150
    assert informative_core(planted("CG", 200), UNIFORM) is None


def test_the_background_is_not_mistaken_for_information() -> None:
    skewed = np.array([0.1, 0.4, 0.4, 0.1])
    counts = np.random.default_rng(0).multinomial(300, skewed, size=12)
    assert informative_core(counts, skewed) is None
    assert informative_core(counts, UNIFORM) == (0, 12)


def test_a_position_stands_out_as_the_likelihood_ratio_test_says() -> None:
    counts = np.array([[14, 9, 9, 8], [30, 4, 3, 3], [31, 3, 3, 3], [32, 2, 3, 3], [23, 6, 6, 5]])
    p = counts / 40
    statistic = 2 * (counts * np.log(p / 0.25)).sum(1)
    clear = np.flatnonzero(chi2.sf(statistic, 3) < 0.01 / 5)
    assert informative_core(counts, UNIFORM) == (clear[0], clear[-1] + 1)
    assert 0 < clear[0] <= clear[-1]


def test_filters_with_few_or_random_windows_say_so_and_have_no_core() -> None:
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 4, (40, 30)).astype(np.uint8)
    relevance = np.zeros((40, 4, 23))
    relevance[:9, 0, 3] = 1  # nine windows
    relevance[:, 1, 5] = 1  # forty, of random bases
    relevance[:, 2, 7] = -1
    statuses = {f.index: f.status for f in leading_filters([tally_of(relevance, codes, Reads(8))])}
    assert statuses == {0: "too few windows", 1: "no information", 2: "no positive relevance", 3: "no relevance"}
    assert all(f.core_motif is None for f in leading_filters([tally_of(relevance, codes, Reads(8))]))


def test_what_a_convolution_of_known_motifs_sees_is_found_and_a_dead_filter_carries_nothing() -> None:
    # the score is the sum of what the filters give, so that is their relevance
    conv, codes = motif_convolution(["GATA1", "CTCF"], dead=1)
    x = codes_to_one_hot(codes)
    with torch.no_grad():
        activity = conv(x).relu()
    tally = FilterTally("conv", 3, Reads(conv.kernel_size[0], padding=conv.padding[0]))
    tally.add(activity, codes, names(len(codes)))
    filters = {f.index: f for f in leading_filters([tally])}
    assert filters[2].share == 0
    assert filters[2].status == "no relevance"
    for index, name in enumerate(["GATA1", "CTCF"]):
        core = filters[index].core_motif
        assert core is not None
        known = motifs.load(name).probabilities
        differences = [
            np.abs(core.probabilities - known[at : at + core.width]).mean() for at in range(len(known) - core.width + 1)
        ]
        assert min(differences) < 0.1  # a wrong base is off by 0.5 a position


def motif_convolution(known: list[str], dead: int) -> tuple[torch.nn.Conv1d, np.ndarray]:
    """A convolution whose filters are log-odds of known motifs, and DNA with sites of these."""
    rng = np.random.default_rng(0)
    matrices = [motifs.load(name) for name in known]
    width = max(m.width for m in matrices)
    conv = torch.nn.Conv1d(4, len(known) + dead, width, padding=width // 2)
    codes = rng.integers(0, 4, (60, 60)).astype(np.uint8)
    with torch.no_grad():
        conv.weight.zero_()
        conv.bias.fill_(-1.0)
        for i, motif in enumerate(matrices):
            scores = motif.log_odds(pseudocount=1.0)
            conv.weight[i, :, : motif.width] = torch.from_numpy(scores.T).float()
            conv.bias[i] = -0.6 * float(scores.max(1).sum())
    for n in range(60):
        motif = matrices[n % len(matrices)]
        at = rng.integers(0, 60 - motif.width)
        codes[n, at : at + motif.width] = [rng.choice(4, p=p) for p in motif.probabilities]
    return conv, codes


def test_a_layer_that_does_not_read_the_sequence_itself_is_refused() -> None:
    codes = encode(["ACGTACGTAC"])
    for outputs in (5, 6, 10, 12):  # cropped, one too few, padded by two, by four
        with pytest.raises(SeqplrpError, match=r"layer 'conv': its \d+ outputs do not fit 10 bases"):
            tally_of(np.ones((1, 1, outputs)), codes, Reads(3))
    for geometry, outputs in ((Reads(3), 8), (Reads(4, padding=1), 10), (Reads(3, stride=3), 3), (Reads(3, 2, 1), 5)):
        tally_of(np.ones((1, 1, outputs)), codes, geometry)  # "same" pads an even kernel by one more at the right


@pytest.mark.parametrize(
    ("relevance", "ids", "told"),
    [
        (np.ones((1, 2, 8)), ["a"], "not \\(N, 1, L\\)"),
        (np.ones((2, 1, 8)), ["a"], "do not fit"),
        (np.ones((1, 1, 8)), ["a", "b"], "do not fit"),
        (np.full((1, 1, 8), np.nan), ["a"], "NaN"),
    ],
)
def test_batches_that_do_not_fit_are_refused(relevance, ids, told) -> None:
    with pytest.raises(SeqplrpError, match=told):
        FilterTally("conv", 1, Reads(3)).add(relevance, encode(["ACGTACGTAC"]), ids)


def test_counts_below_one_and_empty_tallies_are_refused() -> None:
    with pytest.raises(SeqplrpError, match="top: 0"):
        FilterTally("conv", 1, Reads(3), top=0)
    with pytest.raises(SeqplrpError, match=r"per_sequence: 1\.5"):
        FilterTally("conv", 1, Reads(3), per_sequence=1.5)  # type: ignore[arg-type]
    for tallies in ([], [FilterTally("conv", 1, Reads(3))]):
        with pytest.raises(SeqplrpError, match="no sequence was counted"):
            leading_filters(tallies)


def test_what_is_kept_does_not_grow_with_the_sequences() -> None:
    rng = np.random.default_rng(0)
    tally = FilterTally("conv", 2, Reads(4), top=5)
    for _ in range(20):
        tally.add(rng.uniform(0, 1, (8, 2, 17)), rng.integers(0, 4, (8, 20)).astype(np.uint8), names(8))
    assert (tally.sequences, tally._kept.codes.shape) == (160, (2, 5, 4))
