"""Numbers on a page: off by no more than is said, in their places, whatever they are."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from page_reading import unpacked

from seqplrp.plot.page.packing import COARSE, FINE, blocks_of, number_list, packed, profile, quantised, scales

LENGTHS = st.lists(st.integers(0, 40), min_size=1, max_size=8)


def offsets_of(lengths: list[int]) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(lengths=LENGTHS, data=st.data(), levels=st.sampled_from([FINE, COARSE]))
def test_a_value_is_off_by_half_a_step_at_most_and_zero_stays_zero(lengths, data, levels):
    offsets = offsets_of(lengths)
    floats = st.floats(-(2.0**100), 2.0**100, width=32, allow_subnormal=False)
    values = data.draw(arrays(np.float32, int(offsets[-1]), elements=floats))
    values[np.abs(values) < 1e-25] = 0.0
    steps = scales(values, offsets, levels)
    small = quantised(values, offsets, steps)
    assert small.dtype == np.int16
    assert np.abs(small.astype(int)).max(initial=0) <= levels
    for number, (start, end) in enumerate(itertools.pairwise(offsets)):
        of = values[start:end].astype(float)
        back = small[start:end] * float(steps[number])
        limit = np.abs(of).max(initial=0.0) / levels / 2
        assert (np.abs(back - of) <= limit * 1.000001).all()
        assert (back[of == 0] == 0).all()


def test_the_scale_of_a_sequence_does_not_depend_on_its_neighbours_nor_on_empty_ones():
    values = np.array([1.0, -4.0, 0.0, 0.0, 100.0], np.float32)
    offsets = offsets_of([2, 0, 2, 1, 0])
    np.testing.assert_allclose(scales(values, offsets, FINE) * FINE, [4, 0, 0, 100, 0], rtol=1e-6)
    rows = np.stack([values, -2 * values])
    np.testing.assert_allclose(scales(rows, offsets, COARSE) * COARSE, [8, 0, 0, 200, 0], rtol=1e-6)


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "f4"])
def test_what_is_packed_comes_back_byte_by_byte(dtype):
    values = (np.random.default_rng(0).normal(size=300) * 50).astype(dtype)
    np.testing.assert_array_equal(unpacked(packed(values), dtype), values)


def test_parts_that_are_packed_together_follow_each_other():
    one, other = np.arange(5, dtype=np.int8), np.arange(3, dtype=np.int8) - 7
    np.testing.assert_array_equal(unpacked(packed(one, other), "i1"), [0, 1, 2, 3, 4, -7, -6, -5])


@settings(max_examples=60, deadline=None)
@given(lengths=LENGTHS, most=st.integers(1, 60))
def test_blocks_are_all_sequences_once_and_no_longer_than_they_must_be(lengths, most):
    blocks = blocks_of(offsets_of(lengths), most)
    assert [i for first, last in blocks for i in range(first, last)] == list(range(len(lengths)))
    for first, last in blocks:
        assert last - first == 1 or sum(lengths[first:last]) <= most


def test_the_small_picture_shows_the_strongest_of_each_stretch():
    values = np.array([0, 1, -4, 2, 0, 0, 3, -1], np.float32)
    small = profile(values, offsets_of([8]), 4)[0]
    assert small.tolist() == [round(127 * 1 / 4), -127, 0, round(127 * 3 / 4)]
    # of fewer positions than stretches each is repeated
    assert profile(np.array([1, -1], np.float32), offsets_of([2, 0]), 4).tolist() == [[127, 127, -127, -127], [0] * 4]


def test_numbers_of_the_table_keep_six_digits_and_what_is_not_finite_is_empty():
    assert number_list([1.23456789, np.nan, np.inf, -2, 0]) == [1.23457, None, None, -2.0, 0.0]
