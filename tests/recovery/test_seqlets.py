"""Seqlets: the stated rate of false ones holds whatever the tracks are like; what is planted is found where it is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from seqplrp import SeqplrpError
from seqplrp.recovery import SEQLET_COLUMNS, call_seqlets
from seqplrp.recovery.seqlets import _q_values, _rates, _window_scores

Floats = npt.NDArray[np.float64]
Noise = Callable[[np.random.Generator, tuple[int, int]], Floats]

NOISES: dict[str, Noise] = {
    "dense": lambda rng, shape: rng.normal(size=shape),
    "dense with an offset": lambda rng, shape: rng.normal(0.5, 1.0, size=shape),
    "95 % zeros": lambda rng, shape: rng.normal(size=shape) * (rng.random(shape) < 0.05),
    "99 % zeros": lambda rng, shape: rng.normal(size=shape) * (rng.random(shape) < 0.01),
    "heavy tails": lambda rng, shape: rng.standard_t(1.5, size=shape),
    "heavy tails, positive, 95 % zeros": lambda rng, shape: (
        np.abs(rng.standard_t(1.5, size=shape)) * (rng.random(shape) < 0.05)
    ),
    "scales of their own": lambda rng, shape: rng.normal(size=shape) * 10.0 ** rng.uniform(-3, 3, (shape[0], 1)),
    "whole numbers": lambda rng, shape: rng.integers(-1, 2, shape).astype(float),
}


@pytest.mark.parametrize("noise", NOISES.values(), ids=NOISES)
def test_pure_noise_gives_seqlets_in_no_more_data_sets_than_the_rate_allows(noise: Noise) -> None:
    # Without anything true, the false discovery rate is the probability of any call at all. Each sign is called at the
    # stated rate, so of 2 x 8 questions no more than the binomial's far end may be answered wrongly.
    wrong, calls = 0, 0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        called = call_seqlets(noise(rng, (20, 60)), fdr=0.1, seed=seed)
        wrong += called["sign"].nunique()
        calls += len(called)
    assert wrong <= binom.isf(1e-3, 16, 0.1)
    assert calls / (8 * 20 * 0.06) < 0.8  # a kb


def planted(
    noise: Noise, n: int, height: float, seed: int, width: int = 10, kept: float = 1.0
) -> tuple[Floats, pd.DataFrame]:
    """Tracks with a bump of either sign in seven of ten."""
    rng = np.random.default_rng(seed)
    tracks = noise(rng, (n, 200))
    rows = np.flatnonzero(rng.random(n) < 0.7)
    truth = pd.DataFrame({"sequence": rows, "start": rng.integers(0, 201 - width, len(rows))})
    truth["end"] = truth["start"] + width
    truth["sign"] = rng.choice([-1, 1], len(rows))
    for row in truth.itertuples():
        bump = height * rng.uniform(0.3, 1.7, width) * (rng.random(width) < kept)
        tracks[row.sequence, row.start : row.end] += row.sign * bump
    return tracks, truth


def overlapping(called: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    both = called.reset_index().merge(truth, on=["sequence", "sign"], suffixes=("", "_true"))
    return both[(both["start"] < both["end_true"]) & (both["end"] > both["start_true"])]


@pytest.mark.parametrize(
    ("noise", "height", "kept", "least"),
    [
        ("dense", 2.5, 1.0, 0.95),
        ("dense", 1.5, 1.0, 0.45),
        ("95 % zeros", 1.0, 0.6, 0.8),
        ("99 % zeros", 1.0, 0.6, 0.9),
        ("heavy tails", 8.0, 1.0, 0.8),
    ],
)
def test_planted_bumps_are_found_and_the_stated_share_of_calls_is_false(noise, height, kept, least) -> None:
    tracks, truth = planted(NOISES[noise], 400, height, seed=5, kept=kept)
    called = call_seqlets(tracks, fdr=0.05)
    right = overlapping(called, truth)
    false = len(called) - right["index"].nunique()
    assert false <= binom.isf(1e-3, len(called), 0.05)
    assert right.groupby(["sequence", "start_true"]).ngroups >= least * len(truth)
    assert right["mass"].mul(right["sign"]).min() > 0


def test_a_looser_rate_calls_more_and_q_says_at_which_rate_each_is_called() -> None:
    tracks, _ = planted(NOISES["dense"], 200, 1.2, seed=1)
    loose = call_seqlets(tracks, fdr=0.3)
    strict = call_seqlets(tracks, fdr=0.02)
    assert len(strict) < len(loose)
    again = loose[loose["q"] <= 0.02].reset_index(drop=True)
    pd.testing.assert_frame_equal(again, strict)


def test_seqlets_are_cut_to_where_the_mass_is_and_carry_its_sum() -> None:
    tracks = np.zeros((60, 100))
    tracks[:, 40:47] = [3.0, 1.0, 2.0, 0.0, 2.0, 1.0, 4.0]
    tracks[::2] *= -1
    called = call_seqlets(tracks)
    assert called["sequence"].tolist() == list(range(60))
    assert set(called["start"]) == {40}
    assert set(called["end"]) == {47}
    np.testing.assert_array_equal(called["sign"], np.where(np.arange(60) % 2, 1, -1))
    np.testing.assert_allclose(called["mass"], 13.0 * called["sign"])


@pytest.mark.parametrize("start", [0, 92])
def test_seqlets_at_a_sequences_ends_are_found_whole(start) -> None:
    tracks = np.random.default_rng(0).normal(0, 0.1, (50, 100))
    tracks[:, start : start + 8] += 2.0
    called = call_seqlets(tracks)
    called = called[called["mass"] > 8]
    assert called["sequence"].tolist() == list(range(50))
    assert called["start"].median() == start
    assert called["end"].median() == start + 8


def test_no_two_seqlets_overlap_whatever_their_signs() -> None:
    tracks, _ = planted(NOISES["dense"], 150, 3.0, seed=2)
    tracks[:, 50:56] += 4.0
    tracks[:, 55:61] -= 5.0  # meets the other halfway
    called = call_seqlets(tracks, fdr=0.5)
    assert (called["sign"] > 0).any()
    assert (called["sign"] < 0).any()
    cover = np.zeros(tracks.shape, dtype=int)
    for row in called.itertuples():
        cover[row.sequence, row.start : row.end] += 1
    assert cover.max() == 1
    assert called.equals(called.sort_values(["sequence", "start"], ignore_index=True))


@pytest.mark.parametrize(
    "tracks",
    [
        np.zeros((4, 50)),
        np.full((4, 50), 0.1),
        np.full((3, 50), -7e30),
        np.eye(4, 50),
        -1e-30 * np.eye(4, 50),
        np.ones((1, 1)),
        np.array([[1.0, 2.0]]),
        np.arange(3.0)[None, :],
    ],
)
def test_tracks_without_anything_to_gather_give_no_seqlet(tracks) -> None:
    called = call_seqlets(tracks)
    assert called.empty
    assert tuple(called.columns) == SEQLET_COLUMNS


def test_one_large_value_alone_is_no_seqlet_but_several_in_a_row_are() -> None:
    rng = np.random.default_rng(0)
    tracks = np.zeros((100, 200))
    tracks[np.arange(100), rng.integers(0, 200, 100)] = 1000.0
    assert call_seqlets(tracks).empty
    tracks[:, 100:106] = 1.0
    called = call_seqlets(tracks)
    inside = called[(called["start"] >= 95) & (called["end"] <= 111)]
    assert len(inside) >= 90


def test_the_same_tracks_give_the_same_seqlets_in_any_unit_and_mirrored_ones_the_mirrored() -> None:
    tracks, _ = planted(NOISES["95 % zeros"], 200, 1.0, seed=3)
    called = call_seqlets(tracks)
    pd.testing.assert_frame_equal(called, call_seqlets(torch.from_numpy(tracks)))
    scaled = call_seqlets(tracks * 2.0**20)
    pd.testing.assert_frame_equal(called.drop(columns="mass"), scaled.drop(columns="mass"))
    turned = call_seqlets(-tracks[:, ::-1])
    strong = called[called["q"] < 1e-3]
    mirrored = set(zip(turned["sequence"], 200 - turned["end"], -turned["sign"]))
    assert len(strong) > 50
    found = sum(place in mirrored for place in zip(strong["sequence"], strong["start"], strong["sign"]))
    assert found >= 0.95 * len(strong)


def smeared(rng: np.random.Generator, n: int) -> Floats:
    """Noise as a convolution leaves it: neighbours share relevance."""
    noise = rng.normal(size=(n, 219))
    return sum(noise[:, k : k + 200] for k in range(20)) / np.sqrt(20)  # type: ignore[return-value]


def test_maps_of_shuffles_as_null_hold_the_rate_where_neighbours_share_relevance() -> None:
    wrong = 0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        tracks, null = smeared(rng, 30), smeared(rng, 120)
        wrong += call_seqlets(tracks, null=null, fdr=0.1)["sign"].nunique()
    alone = len(call_seqlets(tracks, fdr=0.1))
    assert alone > 20  # what the null is given for
    assert wrong <= binom.isf(1e-3, 16, 0.1)


def test_with_maps_of_shuffles_as_null_what_is_larger_than_theirs_is_found() -> None:
    rng = np.random.default_rng(0)
    tracks, null = smeared(rng, 200), smeared(rng, 600)
    tracks[:100, 60:70] += 8.0
    called = call_seqlets(tracks, null=null, fdr=0.05)
    right = called[(called["sequence"] < 100) & (called["start"] < 70) & (called["end"] > 60)]
    assert right["sequence"].nunique() >= 95
    assert len(called) - len(right) <= binom.isf(1e-3, len(called), 0.05)


def test_a_windows_score_bounds_its_probability_and_is_the_exact_rate_function() -> None:
    # Of a track of zeros and ones the rate function is known: the divergence of two coins.
    track = np.zeros((1, 200))
    track[0, :20] = 1.0
    rates = _rates(track)
    scores = _window_scores(track, rates, np.array([10, 25], dtype=np.int64))
    m = 20 / 25
    divergence = m * np.log(m / 0.1) + (1 - m) * np.log((1 - m) / 0.9)
    assert scores[0, 0, 0] == pytest.approx(10 * np.log(10), rel=1e-3)  # all ones
    assert scores[0, 1, 0] == pytest.approx(25 * divergence, rel=1e-2)
    assert scores[0, 0, 100] == 0
    assert np.exp(-scores[0, 1, 0]) >= binom.sf(19, 25, 0.1)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20), st.floats(0.001, 50)), min_size=1, max_size=30))
def test_q_values_are_the_smallest_rate_at_which_each_is_called(pairs) -> None:
    scores = np.array([float(score) for score, _ in pairs])
    # what is expected falls with the score
    expected = np.sort([e for _, e in pairs])[::-1][np.argsort(np.argsort(scores, kind="stable"), kind="stable")]
    expected = np.array([expected[scores == s].max() for s in scores])
    q = _q_values(scores, expected)
    for i, score in enumerate(scores):
        rates = [expected[scores == t].max() / (scores >= t).sum() for t in np.unique(scores) if t <= score]
        assert q[i] == pytest.approx(min(1.0, *rates))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"relevance": np.zeros(5)}, r"relevance: has shape \(5,\)"),
        ({"relevance": np.full((2, 9), np.nan)}, "relevance: holds NaN"),
        ({"relevance": np.zeros((2, 9)), "fdr": 0.0}, "fdr: is 0.0"),
        ({"relevance": np.zeros((2, 9)), "widths": ()}, "widths: are"),
        ({"relevance": np.zeros((2, 9)), "null": np.zeros((2, 8))}, "null: its maps have 8 positions"),
    ],
)
def test_what_cannot_be_searched_is_told(arguments, told) -> None:
    with pytest.raises(SeqplrpError, match=told):
        call_seqlets(**arguments)
