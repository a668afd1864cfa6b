"""Localisation measures against scikit-learn, against enumeration of tie orders, and by their definitions."""

from __future__ import annotations

import itertools
import time
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from seqplrp import SeqplrpError
from seqplrp.evaluate import (
    LOCALISATION_MEASURES,
    auprc,
    auroc,
    distractor_mass,
    localisation,
    pointing_game,
    rma,
    rra,
    snr,
)


def random_scene(seed: int, n: int = 40, length: int = 50) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pruned-looking maps (most values exactly 0, the others on a coarse grid), truth and ignore masks."""
    rng = np.random.default_rng(seed)
    r = np.round(rng.normal(size=(n, length)), 1) * (rng.random((n, length)) < 0.4)
    return r, rng.random((n, length)) < 0.2, rng.random((n, length)) < 0.1


@pytest.mark.parametrize("seed", range(5))
def test_auroc_and_auprc_equal_scikit_learn_with_heavy_ties_zeros_and_ignored_positions(seed: int) -> None:
    r, truth, ignore = random_scene(seed)
    ours_roc, ours_ap = auroc(r, truth, ignore=ignore), auprc(r, truth, ignore=ignore)
    compared = 0
    for i in range(len(r)):
        keep = ~ignore[i]
        t, s = truth[i, keep], r[i, keep]
        if t.any() and not t.all() and s.any():
            assert ours_roc[i] == pytest.approx(roc_auc_score(t, s), abs=1e-12)
            assert ours_ap[i] == pytest.approx(average_precision_score(t, s), abs=1e-12)
            compared += 1
    assert compared >= 38


@given(
    st.lists(st.tuples(st.integers(-2, 2), st.booleans(), st.booleans()), min_size=2, max_size=12).filter(
        lambda rows: (
            {t for _, t, ignored in rows if not ignored} == {True, False}
            and any(v for v, _, ignored in rows if not ignored)
        )
    )
)
@settings(max_examples=150, deadline=None)
def test_every_small_map_agrees_with_scikit_learn(rows: list[tuple[int, bool, bool]]) -> None:
    r, t, ignored = (np.array(column) for column in zip(*rows))
    keep = ~ignored.astype(bool)
    got = localisation(r, t, ignore=ignored)
    assert got["auroc"][0] == pytest.approx(roc_auc_score(t[keep], r[keep]), abs=1e-12)
    assert got["auprc"][0] == pytest.approx(average_precision_score(t[keep], r[keep]), abs=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_rra_and_pointing_are_the_mean_over_all_orders_of_ties(seed: int) -> None:
    rng = np.random.default_rng(seed)
    r, t = (
        rng.integers(-1, 2, size=6).astype(float),
        np.array([1, 0, 1, 0, 0, 1], dtype=bool)[rng.permutation(6)],
    )
    r[0] = 1.0  # never all zero
    shares, firsts = [], []
    for tie_break in itertools.permutations(range(6)):
        order = np.lexsort((tie_break, -r))
        shares.append(t[order[:3]].mean())
        firsts.append(t[order[0]])
    assert rra(r, t)[0] == pytest.approx(np.mean(shares), abs=1e-12)
    assert pointing_game(r, t)[0] == pytest.approx(np.mean(firsts), abs=1e-12)


def test_a_map_that_lies_on_the_truth_alone_is_perfect_and_its_negative_is_not() -> None:
    truth = np.array([[0, 1, 1, 0, 0, 0]], dtype=bool)
    perfect = localisation(truth * 2.0, truth)
    assert all(perfect[m][0] == 1.0 for m in ("rma", "rma_abs", "rra", "auroc", "auprc", "pointing"))
    opposite = localisation(truth * -2.0, truth)
    assert opposite["rra"][0] == 0.0
    assert opposite["auroc"][0] == 0.0
    assert np.isnan(opposite["rma"][0])  # no positive relevance at all
    assert opposite["rma_abs"][0] == 1.0


def test_rma_counts_positive_relevance_and_its_other_form_counts_absolute_relevance() -> None:
    r, t = np.array([[3.0, -4.0, 1.0, 0.0]]), np.array([[1, 1, 0, 0]])
    assert rma(r, t)[0] == pytest.approx(3 / 4)
    assert rma(r, t, absolute=True)[0] == pytest.approx(7 / 8)


def test_distractors_are_background_for_every_other_measure() -> None:
    r, t, d = np.array([[2.0, 5.0, 1.0, 0.0]]), np.array([[1, 0, 0, 0]]), np.array([[0, 1, 0, 0]])
    got = localisation(r, t, distractor=d)
    assert got["distractor_mass"][0] == pytest.approx(5 / 8)
    assert got["rma"][0] == pytest.approx(2 / 8)
    assert got["pointing"][0] == 0.0


def test_where_a_distractor_overlaps_the_truth_the_truth_wins_and_ignored_positions_are_neither() -> None:
    r, t = np.array([[2.0, 5.0, 1.0, 8.0]]), np.array([[1, 1, 0, 1]])
    d, ignored = np.array([[0, 1, 1, 1]]), np.array([[0, 0, 0, 1]])
    assert distractor_mass(r, d, truth=t, ignore=ignored)[0] == pytest.approx(1 / 8)
    assert rma(r, t, ignore=ignored)[0] == pytest.approx(7 / 8)


def test_snr_is_the_mean_on_the_truth_over_the_ten_loudest_background_bases() -> None:
    r = np.concatenate([[4.0, 2.0], np.arange(12) * np.array([1, -1] * 6)])[None]
    t = np.arange(14)[None] < 2
    assert snr(r, t)[0] == pytest.approx(3.0 / np.mean(np.arange(2, 12)))
    few = np.array([[4.0, -2.0, 1.0]])
    assert snr(few, np.array([[1, 0, 0]]))[0] == pytest.approx(4 / 1.5)


UNDEFINED = {
    "all-zero map": ([0.0, 0, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0], "all"),
    "zero but for ignored positions": ([0.0, 0, 0, 3], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], "all"),
    "no truth": ([1.0, 2, 3, 4], [0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0], "all but distractor_mass"),
    "truth ignored": ([1.0, 2, 3, 4], [1, 0, 0, 0], [0, 0, 1, 0], [1, 0, 0, 0], "all but distractor_mass"),
    "no background": ([1.0, 2, 3, 4], [1, 1, 1, 1], [0, 0, 1, 0], [0, 0, 0, 0], "all"),
    "no positive relevance": ([-1.0, -2, 0, -4], [1, 1, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0], "rma"),
    "silent background": ([1.0, 2, 0, 0], [1, 1, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0], "snr"),
    "no distractor": ([1.0, 2, 3, 4], [1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], "distractor_mass"),
    "nothing counted": ([1.0, 2, 3, 4], [1, 1, 0, 0], [0, 0, 1, 0], [1, 1, 1, 1], "all"),
}


@pytest.mark.parametrize("case", UNDEFINED)
def test_undefined_values_are_nan_without_a_warning_and_the_others_are_not(case: str) -> None:
    r, t, d, ignored, which = UNDEFINED[case]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        got = localisation(np.array([r]), np.array([t]), distractor=np.array([d]), ignore=np.array([ignored]))
    names = {m.name for m in LOCALISATION_MEASURES}
    assert set(got) == names
    expected = {"all": names, "all but distractor_mass": names - {"distractor_mass"}}.get(which, {which})
    assert {name for name, value in got.items() if np.isnan(value[0])} == expected


def test_one_broken_sequence_does_not_touch_its_neighbours() -> None:
    r, truth, ignore = random_scene(3, n=6)
    alone = localisation(r, truth, ignore=ignore)
    mixed = localisation(
        np.insert(r, 3, 0.0, axis=0),
        np.insert(truth, 3, True, axis=0),
        ignore=np.insert(ignore, 3, True, axis=0),
    )
    for name, value in mixed.items():
        np.testing.assert_array_equal(np.delete(value, 3), alone[name])
        assert np.isnan(value[3])


@given(st.integers(0, 10_000), st.sampled_from([1e-300, 1e-12, 1e12, 1e300]))
@settings(max_examples=30, deadline=None)
def test_a_maps_size_changes_nothing_even_at_the_ends_of_the_number_range(seed: int, factor: float) -> None:
    r, truth, ignore = random_scene(seed, n=5)
    plain, scaled = localisation(r, truth, ignore=ignore), localisation(r * factor, truth, ignore=ignore)
    for name in plain:
        np.testing.assert_allclose(scaled[name], plain[name], rtol=1e-9, atol=1e-12)


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_the_order_of_positions_and_padding_change_nothing(seed: int) -> None:
    r, truth, ignore = random_scene(seed, n=5)
    order = np.random.default_rng(seed).permutation(r.shape[1])
    plain = localisation(r, truth, ignore=ignore, distractor=~truth)
    moved = localisation(r[:, order], truth[:, order], ignore=ignore[:, order], distractor=~truth[:, order])
    pad = ((0, 0), (0, 9))
    padded = localisation(
        np.pad(r, pad, constant_values=7.0),
        np.pad(truth, pad, constant_values=True),
        ignore=np.pad(ignore, pad, constant_values=True),
        distractor=np.pad(~truth, pad, constant_values=True),
    )
    for name in plain:
        np.testing.assert_allclose(moved[name], plain[name], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(padded[name], plain[name], rtol=1e-12, atol=1e-15)


def test_single_functions_give_the_same_as_all_at_once_and_take_tensors() -> None:
    r, truth, ignore = random_scene(1)
    together = localisation(torch.tensor(r), torch.tensor(truth), ignore=torch.tensor(ignore))
    alone = {
        "rma": rma(r, truth, ignore=ignore),
        "rma_abs": rma(r, truth, ignore=ignore, absolute=True),
        "rra": rra(r, truth, ignore=ignore),
        "auroc": auroc(r, truth, ignore=ignore),
        "auprc": auprc(r, truth, ignore=ignore),
        "pointing": pointing_game(r, truth, ignore=ignore),
        "snr": snr(r, truth, ignore=ignore),
    }
    for name, value in alone.items():
        np.testing.assert_array_equal(together[name], value)


@pytest.mark.parametrize(
    ("relevance", "truth", "text"),
    [
        (np.full((2, 3), np.nan), np.ones((2, 3)), "relevance: sequence 0 has 3 values that are not finite"),
        (np.ones((2, 3)), np.ones((2, 4)), "truth: has shape (2, 4), the relevance has (2, 3)"),
        (np.ones((2, 3)), np.full((2, 3), 2), "truth: holds other values than 0 and 1"),
        (np.ones((2, 3, 4)), np.ones((2, 3)), "relevance: has shape (2, 3, 4), expected (N, L)"),
    ],
)
def test_maps_and_masks_that_make_no_sense_are_refused(relevance: np.ndarray, truth: np.ndarray, text: str) -> None:
    with pytest.raises(SeqplrpError) as error:
        localisation(relevance, truth)
    assert text in str(error.value)


def test_two_thousand_sequences_of_600_bp_take_about_a_second() -> None:
    r, truth, ignore = random_scene(0, n=2000, length=600)
    start = time.perf_counter()
    localisation(r, truth, ignore=ignore)
    # About 0.4 s alone on one core; the bound only rules out a loop over sequences on a busy machine.
    assert time.perf_counter() - start < 6.0
