"""Splits that hold out what they say they hold out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqplrp.errors import SeqplrpError
from seqplrp.genomics import codes_to_one_hot, encode, reverse_complement
from seqplrp.models import make_dataset


def random_codes(n: int, length: int = 30, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 4, (n, length), dtype=np.uint8)


def binary(codes: np.ndarray, positive: np.ndarray, **more):
    return make_dataset(codes, positive[:, None], kind="binary", classes=["positive"], **more)


def half(n: int) -> np.ndarray:
    return np.arange(n) % 2


@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(200, 600),
    fraction=st.sampled_from([0.1, 0.2, 0.3]),
    rate=st.sampled_from([0.1, 0.5, 0.8]),
    seed=st.integers(0, 2**31),
)
def test_held_out_shares_are_as_asked_in_every_class(n, fraction, rate, seed):
    positive = (np.arange(n) < rate * n).astype(int)
    data = binary(random_codes(n), positive, seed=seed, test_fraction=fraction, validation_fraction=fraction)
    assert sum(len(data.rows(split)) for split in ("train", "validation", "test")) == n
    for label in (0, 1):
        total = int((positive == label).sum())
        test = int((positive[data.rows("test")] == label).sum())
        assert abs(test - fraction * total) <= 2
        validation = int((positive[data.rows("validation")] == label).sum())
        assert abs(validation - fraction * (total - test)) <= 2


def test_every_combination_of_labels_is_held_out_alike():
    rng = np.random.default_rng(0)
    labels = (rng.random((1000, 3)) < (0.5, 0.3, 0.2)).astype(int)
    data = make_dataset(random_codes(1000), labels, kind="multilabel", classes=["a", "b", "c"])
    combination = labels @ [4, 2, 1]
    for value in range(8):
        share = (combination[data.rows("test")] == value).sum() / (combination == value).sum()
        assert share == pytest.approx(0.1, abs=2 / (combination == value).sum())


def test_the_seed_decides_the_split():
    codes = random_codes(300)
    first, again, other = (binary(codes, half(300), seed=seed) for seed in (3, 3, 4))
    assert (first.split == again.split).all()
    assert (first.split != other.split).any()


def test_equal_sequences_stay_together_on_either_strand():
    unique = random_codes(150)
    x = codes_to_one_hot(unique)
    other_strand = reverse_complement(x).argmax(dim=1).numpy().astype(np.uint8)
    codes = np.concatenate([unique, unique, other_strand])
    data = binary(codes, np.tile(half(150), 3))
    thirds = data.split.reshape(3, 150)
    assert (thirds[0] == thirds[1]).all()
    assert (thirds[0] == thirds[2]).all()
    assert data.notes == []  # nothing leaked, so there is nothing to say


def test_unknown_bases_are_their_own_complement_when_strands_are_compared():
    codes = np.concatenate([random_codes(100, 8), encode(["NACGTTNN", "NNAACGTN"])])
    data = binary(codes, half(102))
    assert data.split[100] == data.split[101]


def test_related_rows_stay_together():
    related = np.repeat(np.arange(100), 3)
    data = binary(random_codes(300), np.tile([1, 0, 0], 100), related=[related])
    for number in range(100):
        assert len(set(data.split[related == number])) == 1


def test_a_given_test_set_is_kept_and_the_validation_set_comes_from_the_rest():
    split = np.array([""] * 200 + ["test"] * 40)
    data = binary(random_codes(240), half(240), split=split)
    assert data.rows("test").tolist() == list(range(200, 240))
    assert len(data.rows("validation")) == pytest.approx(20, abs=2)


def test_a_complete_split_is_kept_as_it_is():
    split = np.array(["train", "train", "validation", "validation", "test", "test"] * 5)
    data = binary(random_codes(30), half(30), split=split)
    assert (data.split == split).all()


def test_test_sequences_that_were_trained_on_are_said_with_their_number():
    codes = random_codes(100)
    split = np.array(["train"] * 100 + ["test"] * 12)
    data = binary(np.concatenate([codes, codes[:7], random_codes(5, seed=9)]), half(112), split=split)
    (note,) = [note for note in data.notes if note.where == "test set"]
    assert note.what.startswith("7 of 12 sequences also occur in an earlier split")


def test_contradicting_labels_are_said():
    codes = random_codes(200)
    data = binary(np.concatenate([codes, codes[:3]]), np.concatenate([half(200), 1 - half(200)[:3]]))
    (note,) = data.notes
    assert note.where == "labels"
    assert note.what.startswith("3 sequences")


def test_one_chain_of_ties_that_cannot_be_divided_is_an_error():
    with pytest.raises(SeqplrpError, match=r"validation set|test set.*can't be divided"):
        binary(random_codes(100), half(100), related=[np.zeros(100, dtype=int)])


@pytest.mark.parametrize(
    ("labels", "kind", "classes", "said"),
    [
        (np.zeros((50, 1)), "binary", ["positive"], "class positive: no sequence is in it"),
        (np.ones((50, 1)), "binary", ["positive"], "class positive: every sequence is in it"),
        (np.eye(3)[np.arange(50) % 2], "multiclass", ["a", "b", "c"], "class c: no sequence is in it"),
        (np.ones((50, 2)), "multiclass", ["a", "b"], "not exactly one class"),
        (np.full((50, 1), 0.5), "binary", ["positive"], "other than 0 and 1"),
        (np.full((50, 1), np.nan), "binary", ["positive"], "other than 0 and 1"),
        (np.eye(2)[np.arange(50) % 2], "binary", ["a", "b"], "2 columns for a binary task"),
        (np.eye(2)[np.arange(50) % 2], "multilabel", ["a"], "one column per class"),
    ],
)
def test_labels_that_nothing_can_be_learned_from_are_refused(labels, kind, classes, said):
    with pytest.raises(SeqplrpError, match=said):
        make_dataset(random_codes(50), labels, kind=kind, classes=classes)


def test_a_class_that_is_too_small_to_hold_out_is_an_error_with_its_number():
    positive = np.zeros(200, dtype=int)
    positive[:3] = 1
    with pytest.raises(SeqplrpError, match=r"no sequences of class positive \(3 such in all"):
        binary(random_codes(200), positive)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.2, float("nan")])
def test_shares_outside_0_to_1_are_refused(fraction):
    with pytest.raises(SeqplrpError, match="test_fraction"):
        binary(random_codes(50), half(50), test_fraction=fraction)
