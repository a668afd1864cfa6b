"""What the audit is made of: the null holds on sparse rows, planted profiles are found exactly, strides are read."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import seqplrp as sp
from seqplrp import motifs
from seqplrp.recovery import AuditLimits, pool_strides
from seqplrp.recovery.audit.amplitude import agreement
from seqplrp.recovery.audit.answers import LEAST_EXCESS, Answers
from seqplrp.recovery.audit.findings import plain, ranges_of, spoken
from seqplrp.recovery.audit.intervals import Bounds, bounds_of, cause_of, unseen_share
from seqplrp.recovery.audit.offsets import offsets_to_try
from seqplrp.recovery.audit.probes import Effect, strongest, unanswered
from seqplrp.recovery.audit.profiles import examine, normalised, slopes_on
from seqplrp.recovery.audit.strands import difference, reverse_complemented
from seqplrp.recovery.audit.subject import Backgrounds, planted, random_starts, share_on

QUICK = AuditLimits(draws=199)


def sparse_rows(seed, n=120, length=100):
    """Stationary rows as pruned maps are: mostly zero, with bumps of several positions, heavy tails."""
    rng = np.random.default_rng(seed)
    hits = (rng.random((n, length)) < 0.04) * rng.exponential(1.0, (n, length)) ** 2
    kernel = np.fft.rfft(np.r_[1.0, 0.8, 0.5, 0.2, np.zeros(length - 4)])
    rows = np.fft.irfft(np.fft.rfft(hits, axis=1) * kernel, length, axis=1)
    return normalised(np.maximum(rows, 0) + 1e-6 * rng.random((n, length)))


def test_false_alarms_on_sparse_stationary_rows_are_as_rare_as_promised():
    limits = AuditLimits(draws=199, alpha=0.01, edge=0.0, spot=0.0, comb=0.0)  # significance alone decides
    alarms = 0
    for seed in range(40):
        profile = examine(sparse_rows(seed), np.random.default_rng(seed), limits=limits)
        alarms += len(profile.edges) > 0
        alarms += len(profile.combs) > 0
        alarms += profile.spot_p <= 0.01
    assert alarms <= 4  # 1.2 expected of 120; more than 4 has a chance of 1 in 130


@pytest.mark.parametrize(("end", "width"), [("start", 1), ("start", 12), ("end", 5)])
def test_an_edge_is_found_with_its_extent_and_ratio(end, width):
    rows = np.random.default_rng(0).gamma(2.0, 1.0, (200, 100))
    at = slice(0, width) if end == "start" else slice(100 - width, 100)
    rows[:, at] *= 3
    profile = examine(rows / 2, np.random.default_rng(1), limits=QUICK)
    (edge,) = profile.edges
    assert (edge.end, edge.positions) == (end, (at.start, at.stop))
    assert edge.ratio == pytest.approx(3, abs=0.2)
    assert profile.combs == profile.spots == ()


@pytest.mark.parametrize("period", [2, 3, 4, 7, 16, 25])
def test_a_comb_is_found_with_its_period_and_phases_and_not_as_a_multiple_or_a_part(period):
    rows = np.random.default_rng(0).gamma(4.0, 0.25, (200, 120))
    rows[:, 1::period] *= 1.8
    profile = examine(rows, np.random.default_rng(1), limits=QUICK)
    (comb,) = profile.combs
    assert comb.period == period
    assert int(np.argmax(comb.phases)) == 1
    assert comb.contrast == pytest.approx(0.8 / (1 + 0.8 / period), abs=0.1)
    assert profile.edges == profile.spots == ()
    expected = 0.8 / period * (1 - 1 / period) / (1 + 0.8 / period)
    assert profile.comb_mass(comb) == pytest.approx(expected, abs=0.02)


def test_a_period_longer_than_those_looked_for_is_found_where_the_models_strides_name_it():
    rows = np.random.default_rng(0).gamma(4.0, 0.25, (150, 600))
    rows[:, 5::100] *= 3
    without = examine(rows, np.random.default_rng(1), limits=QUICK)
    assert 100 not in [comb.period for comb in without.combs]
    (comb,) = examine(rows, np.random.default_rng(1), limits=QUICK, strides=(100,)).combs
    assert (comb.period, int(np.argmax(comb.phases))) == (100, 5)


def test_stretches_are_found_above_and_below_and_the_rest_is_left_alone():
    rows = np.random.default_rng(0).gamma(4.0, 0.25, (200, 120))
    rows[:, 30:38] *= 2
    rows[:, 80:95] *= 0.5
    profile = examine(rows, np.random.default_rng(1), limits=QUICK)
    assert [spot.positions for spot in profile.spots] == [(30, 38), (80, 95)]
    assert [spot.ratio > 1 for spot in profile.spots] == [True, False]
    assert profile.spot_p == pytest.approx(1 / 200)
    share = profile.displaced([spot.positions for spot in profile.spots])
    assert share == pytest.approx((8 * 1.0 + 15 * 0.5) / rows.mean(0).sum(), rel=0.15)


def test_rows_are_brought_to_one_size_and_empty_ones_left_out():
    rows = normalised([[0, 0, 0], [2, 4, 0], [1, 1, 1]])
    np.testing.assert_allclose(rows, [[1, 2, 0], [1, 1, 1]])


def test_the_slope_on_a_pattern_is_1_for_the_same_and_0_for_none():
    rng = np.random.default_rng(0)
    pattern = np.zeros(50)
    pattern[:5] = -0.6
    flat = rng.gamma(50, 1 / 50, (100, 50))
    for factor in (0.0, 0.5, 1.0):
        slopes = slopes_on(pattern, flat * (1 + factor * pattern))
        error = slopes.std(ddof=1) / len(slopes) ** 0.5
        assert slopes.mean() == pytest.approx(factor, abs=4 * error)
        assert error < 0.05


@given(st.lists(st.booleans(), max_size=40), st.integers(0, 3))
def test_ranges_are_the_runs_of_flags_joined_over_short_gaps(flags, gap):
    ranges = ranges_of(np.array(flags, dtype=bool), gap=gap)
    covered = {i for a, b in ranges for i in range(a, b)}
    on = {i for i, flag in enumerate(flags) if flag}
    assert on <= covered
    assert all(a in on and b - 1 in on for a, b in ranges)
    assert all(later - end > gap for (_, end), (later, _) in pairwise(ranges))
    filled = {i for i in covered - on if not any(j in on for j in range(i - gap, i) if j >= 0)}
    assert not filled


def test_many_ranges_are_said_in_short():
    assert spoken([(0, 3), (5, 6)]) == "0-3, 5-6"
    assert spoken([(i, i + 1) for i in range(9)], most=2) == "0-1, 1-2 and 7 more"


def test_json_holds_arrays_and_what_is_not_finite():
    assert plain({"a": np.arange(2), "b": (np.float32(0.5), float("nan")), 3: None, "c": np.bool_(True)}) == {
        "a": [0, 1],
        "b": [0.5, None],
        "3": None,
        "c": True,
    }


def test_backgrounds_keep_dinucleotides_but_no_position_keeps_its_base():
    rng = np.random.default_rng(0)
    real = rng.integers(0, 4, (30, 60)).astype(np.uint8)
    real[:, 0] = 0
    real[:, -1] = 3
    drawn = Backgrounds(60, real).draw(600, rng)
    for end in (0, -1):
        assert np.bincount(drawn[:, end], minlength=4).min() > 80  # a shuffle alone would give A, or T, every time
    counts = np.bincount(drawn.ravel(), minlength=4)
    np.testing.assert_array_equal(counts, 20 * np.bincount(real.ravel(), minlength=4))
    one = real[:1]
    pairs = lambda codes: np.bincount(codes[:, :-1].ravel() * 4 + codes[:, 1:].ravel(), minlength=16)  # noqa: E731
    for row in Backgrounds(60, one).draw(20, rng):
        assert np.abs(pairs(row[None].astype(int)) - pairs(one.astype(int))).sum() <= 2  # turning opens one, closes one


def test_backgrounds_of_sequences_with_unknown_bases_hold_none():
    real = np.full((30, 40), 4, dtype=np.uint8)
    real[:, 10:20] = 1
    assert (Backgrounds(40, real).draw(50, np.random.default_rng(0)) == 1).all()


def test_words_are_written_and_measured_where_they_start():
    codes = np.zeros((3, 12), dtype=np.uint8)
    starts = np.array([0, 4, 9])
    changed = planted(codes, np.array([1, 2, 3], dtype=np.uint8), starts)
    assert [np.flatnonzero(row).tolist() for row in changed] == [[0, 1, 2], [4, 5, 6], [9, 10, 11]]
    assert not codes.any()
    size = np.ones((3, 12))
    size[2] = 0
    assert share_on(size, starts, 3).tolist() == [0.25, 0.25, 0.0]
    drawn = random_starts(500, 80, 10, np.random.default_rng(0))
    assert (drawn.min(), drawn.max()) == (10, 60)
    assert set(random_starts(50, 12, 11, np.random.default_rng(0))) == {0, 1}


@pytest.mark.parametrize(("available", "strides"), [(90, (4, 16)), (2000, (2, 4, 8, 64)), (1500, (3, 9)), (900, ())])
def test_offsets_reach_over_all_and_come_to_every_phase_of_every_stride(available, strides):
    offsets = offsets_to_try(available, strides)
    assert offsets[0] == 0
    assert available - offsets[-1] <= offsets[1]
    assert len(offsets) <= 400
    for stride in strides:
        assert set(offsets % stride) == set(range(stride))


def test_maps_are_compared_as_their_names_say():
    one, other = np.array([[1.0, -1, 2, 0]]), np.array([[1.0, 1, 0, 2]])
    assert difference(one, other)[0] == pytest.approx((0 + 2 + 2 + 2) / 8)
    assert agreement(one, other)[0] == pytest.approx(0.25)
    assert agreement(one, 7 * one)[0] == pytest.approx(1)
    assert difference(0 * one, 0 * one)[0] == 0
    assert reverse_complemented(np.array([[0, 1, 4, 3]], dtype=np.uint8)).tolist() == [[0, 4, 2, 3]]


def test_the_strongest_motif_raises_the_score_if_any_does_and_quiet_ones_do_not_move_it():
    a, b, c, d = (motifs.load(name) for name in ("CTCF", "SRF", "REST", "GATA1"))
    effects = [Effect(a, 1.0, 9), Effect(b, -5.0, -9), Effect(c, 3.0, 1.5), Effect(d, 0.1, 0.2)]
    assert strongest(effects).motif is a
    assert strongest(effects[1:]).motif is b
    assert strongest(effects[2:]) is None
    assert unanswered(effects, 5) == [d, c]
    assert unanswered([*effects[:3], Effect(d, 0.1, 0.2, moves_others=True)], 5) == [c]


class Strided(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(4, 3, 5, stride=2, padding=2)
        self.pool = nn.MaxPool1d(3)
        self.average = nn.AvgPool1d(4, stride=2)
        self.second = nn.Conv1d(3, 2, 3, padding=1)
        self.last = nn.AdaptiveAvgPool1d(1)

    def forward(self, x):
        return self.last(self.second(self.average(self.pool(self.conv(x).relu())))).flatten(1)[:, :1]


class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.MaxPool1d(2), nn.MaxPool1d(6, stride=4)

    def forward(self, x):
        return self.one(x).mean((1, 2)) + self.two(x).mean((1, 2))


def test_strides_are_products_along_the_way_named_by_their_layers():
    def strides(model):
        return pool_strides(sp.Explainer(model, torch.zeros(1, 4, 96), "gradient-x-input").graph)

    assert strides(Strided()) == {2: "conv", 6: "pool", 12: "average"}
    assert strides(Branches()) == {2: "one", 4: "two"}
    assert strides(nn.Sequential(nn.Conv1d(4, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(2 * 94, 1))) == {}


def test_bounds_are_missed_as_often_as_they_say():
    rng = np.random.default_rng(0)
    found = [bounds_of(values, 0.05) for values in rng.normal(1.0, 2.0, (2000, 8))]
    for missed in (sum(one.low > 1 for one in found), sum(one.high < 1 for one in found)):
        assert 65 < missed < 135  # 100 expected, with a standard deviation of 9.7
    assert bounds_of(np.array([3.0]), 0.05).low == -np.inf


def test_what_was_never_met_may_still_be_there_in_a_share_of_cases():
    share = unseen_share(96, 0.01)
    assert (1 - share) ** 96 == pytest.approx(0.01)
    assert unseen_share(10, 0.01) > unseen_share(1000, 0.01) > 0


@pytest.mark.parametrize(
    ("mean", "noise", "cause"),
    [
        (1.0, 0.3, "model"),
        (0.7, 0.3, "model"),
        (0.35, 0.1, "both"),
        (0.05, 0.1, "explanation"),
        (0.0, 6.0, "unsettled"),  # no answer was seen, and one as large as the pattern would not have been
        (0.3, 6.0, "unsettled"),
    ],
)
def test_a_cause_is_named_only_if_the_whole_interval_says_so(mean, noise, cause):
    rng = np.random.default_rng(0)
    part = noise * rng.standard_normal(40)
    assert cause_of(part - part.mean() + mean, np.ones(40)) == cause


def answers(change, mass, noise, n=100, tail=1e-3):
    """Of a motif beside a used one that moves the score by 1 and gets relevance of 1, exactly."""
    half = 3 * noise / n**0.5
    exact = Bounds(1.0, 0.0, n)
    return Answers(
        changes=(Bounds(change, half, n), Bounds(change, half, n)),
        sizes=(Bounds(0.0, half, n), Bounds(0.0, half, n)),
        used=exact,
        mass=Bounds(mass, half, n),
        mass_of_used=exact,
        tail=tail,
    )


@pytest.mark.parametrize(
    ("change", "mass", "noise", "outcome"),
    [
        (0.0, 0.5, 0.1, "adds"),
        (0.0, 0.5, 1.0, "unsettled"),  # not significant is not none: up to 0.3 of the used motif's would not be seen
        (0.2, 0.2, 0.1, "used"),
        (-0.2, 0.2, 0.1, "used"),
        (0.05, 0.05, 0.1, "used"),  # weak, but certain, and the map makes no more of it
        (0.05, 0.5, 0.1, "adds"),  # weak, and the map makes ten times as much of it
        (0.0, 0.1, 0.1, "unsettled"),  # the map gives no more than what may have been missed
        (0.005, 0.02, 0.001, "unsettled"),
    ],
)
def test_three_outcomes_by_bounds_of_the_answer_and_of_the_map(change, mass, noise, outcome):
    assert answers(change, mass, noise).outcome(0.1) == outcome


def test_an_answer_in_either_stratum_or_of_changing_sign_is_an_answer():
    quiet = answers(0.0, 0.5, 0.1)
    assert quiet.outcome(0.1) == "adds"
    loud = Bounds(0.4, 0.03, 100)
    beside, by_size = (replace(quiet, **{field: (Bounds(0, 0, 100), loud)}) for field in ("changes", "sizes"))
    assert beside.outcome(0.1) == by_size.outcome(0.1) == "used"
    assert by_size.most == pytest.approx(0.43)


def test_the_named_number_of_backgrounds_settles_it_and_fewer_do_not():
    open_case = answers(0.0, 0.5, 1.0)
    needed = open_case.backgrounds_to_settle(0.1)
    assert needed > 100
    assert open_case.with_n(needed).outcome(0.1) == "adds"
    assert open_case.with_n(int(needed / 1.15)).outcome(0.1) == "unsettled"
    by_hand = 100 * (0.3 / 0.1) ** 2  # half a width of 0.3 must come down to 0.1
    assert needed == pytest.approx(by_hand, rel=0.12)
    assert replace(open_case, mass=Bounds(0.0, 0.0, 100)).backgrounds_to_settle(0.1) is None


@pytest.mark.parametrize("share", [0.05, 0.2])
def test_a_map_in_proportion_to_the_score_is_hardly_ever_said_to_add(share):
    rng = np.random.default_rng(0)
    tail, n, wrong = 0.01, 60, 0
    for _ in range(400):
        used = rng.gamma(4.0, 0.25, n)
        # a motif that acts in few backgrounds, as strongly there as the used one
        acts = (rng.random(n) < share) * rng.gamma(4.0, 0.25, n)
        found = Answers(
            changes=(bounds_of(acts, tail),),
            sizes=(bounds_of(acts, tail), bounds_of(acts, tail)),
            used=bounds_of(used, tail),
            mass=bounds_of(acts, tail),
            mass_of_used=bounds_of(used, tail),
            tail=tail,
        )
        wrong += found.outcome(0.1) == "adds"
    assert wrong <= 4 * 400 * tail
    assert LEAST_EXCESS > 1
