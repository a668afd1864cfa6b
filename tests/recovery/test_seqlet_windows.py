"""Windows are taken as one would by hand, the best first, whatever the way that finds them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqplrp.recovery import call_seqlets, seqlet_windows
from seqplrp.recovery.seqlet_windows import all_a_round, one_a_round


def by_hand(scores: np.ndarray, widths: np.ndarray, least: float) -> list[tuple[int, int, int, float]]:
    """Go through all windows of each row from the best on, and take what overlaps nothing that was taken."""
    found = []
    for row, of in enumerate(scores):
        windows = sorted((-of[w, s], w, s) for w in range(len(widths)) for s in range(of.shape[1]) if of[w, s] > least)
        free = np.ones(of.shape[1], bool)
        place = 0
        for score, w, start in windows:
            end = start + widths[w]
            if free[start:end].all():
                free[start:end] = False
                found.append((place, row, start, end, -score))
                place += 1
    return [one[1:] for one in sorted(found)]


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(1, 4),
    length=st.integers(1, 120),
    widths=st.sets(st.integers(1, 25), min_size=1, max_size=6),
    digits=st.integers(0, 3),
)
def test_the_same_windows_are_taken_one_by_one_all_at_once_and_by_hand(seed, n, length, widths, digits):
    fitting = np.array(sorted(w for w in widths if w <= length) or [1])
    scores = np.random.default_rng(seed).exponential(4, (n, len(fitting), length)).round(digits).astype(np.float32)
    for i, width in enumerate(fitting):
        scores[i % n, i] = 0  # some without any
        scores[:, i, length - width + 1 :] = 0
    wanted = by_hand(scores, fitting, 3.0)
    for take in (one_a_round, all_a_round):
        assert list(zip(*(part.tolist() for part in take(scores.copy(), fitting, 3.0)))) == wanted


def test_seqlets_of_a_track_do_not_depend_on_how_windows_are_taken(monkeypatch):
    track = np.random.default_rng(0).normal(size=(3, 900)) * 0.1
    track[:, 100:112] += 1
    track[1, 500:520] -= 1
    one = call_seqlets(track)
    monkeypatch.setattr(seqlet_windows, "LONG", 1)
    other = call_seqlets(track)
    assert len(one) == 4
    assert one.equals(other)


@pytest.mark.parametrize("take", [one_a_round, all_a_round])
def test_where_no_window_is_high_none_is_taken(take):
    assert [len(part) for part in take(np.ones((2, 1, 30), np.float32), np.array([3]), 3.0)] == [0, 0, 0, 0]
