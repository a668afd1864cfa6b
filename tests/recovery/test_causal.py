"""Causal truth against models whose use of every base is known, and a null that calls as many false as it says."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

import seqplrp as sp
from seqplrp.evaluate import model_score
from seqplrp.genomics import codes_to_one_hot
from seqplrp.recovery import causal_truth
from seqplrp.recovery.causal import covered, fewest_windows

LENGTH = 60
USED, IDLE = "GATTACA", "CTGCCTG"


def sequences(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(4, size=(n, LENGTH)).astype(np.uint8)


def planted(n: int = 30) -> tuple[Tensor, pd.DataFrame]:
    """Both words in every sequence, at places of its own."""
    codes, rng = sequences(n), np.random.default_rng(1)
    rows = []
    for record in range(n):
        for word, start in ((USED, rng.integers(0, 20)), (IDLE, rng.integers(30, 50))):
            codes[record, start : start + 7] = ["ACGT".index(letter) for letter in word]
            rows.append((record, start, start + 7, word))
    return codes_to_one_hot(codes), pd.DataFrame(rows, columns=["record", "start", "end", "motif"])


def reads(x: Tensor, word: str = USED) -> Tensor:
    """The best match of a word anywhere, in letters."""
    return torch.nn.functional.conv1d(x.float(), sp.one_hot(word)).amax(dim=(1, 2))


def score(x: Tensor, target: Tensor) -> Tensor:
    return torch.where(target == 0, reads(x), -reads(x))


def test_instances_that_the_model_reads_are_causal_and_others_are_not() -> None:
    x, instances = planted()
    got = causal_truth(score, x, 0, instances, draws=20)
    table = got.instances
    assert list(table.columns[:4]) == ["record", "start", "end", "motif"]
    assert table.loc[table["motif"] == USED, "causal"].all()
    assert table.loc[table["motif"] == IDLE, "causal"].mean() < 0.2
    assert not table["opposes"].any()
    assert (table.loc[table["motif"] == USED, "p"] <= 0.05).all()
    against = causal_truth(score, x, 1, instances, draws=20).instances
    assert against.loc[against["motif"] == USED, "opposes"].all()
    assert not against.loc[against["motif"] == USED, "causal"].any()


def test_masks_are_of_causal_instances_and_of_what_lies_in_others_alone() -> None:
    x, instances = planted(8)
    instances = pd.concat([instances, pd.DataFrame([(0, 0, 60, "all")], columns=instances.columns)], ignore_index=True)
    instances.loc[len(instances) - 1, ["start", "end"]] = instances.loc[0, "start"] + 3, instances.loc[0, "start"] + 10
    got = causal_truth(score, x, 0, instances, draws=10)
    used, unused = got.masks()
    table = got.instances
    expected, other = np.zeros((8, LENGTH), dtype=bool), np.zeros((8, LENGTH), dtype=bool)
    for row in table.itertuples():
        (expected if row.causal else other)[row.record, row.start : row.end] = True
    np.testing.assert_array_equal(used, expected)
    np.testing.assert_array_equal(unused, other & ~expected)
    used, unused = got.masks(table["motif"] == IDLE)
    assert not (used | unused)[~covered(table[table["motif"] == IDLE], (8, LENGTH))].any()


def test_the_effect_of_a_window_is_the_mean_over_all_orders_of_its_letters() -> None:
    weight = torch.from_numpy(np.random.default_rng(5).normal(size=(4, LENGTH)))

    def bent(x: Tensor, target: Tensor) -> Tensor:
        values = (x.double() * weight).sum(dim=1)
        return (values[:, 1:] * values[:, :-1]).sum(dim=1)

    codes = sequences(25, seed=3)
    codes[2, 11] = 4  # an unknown base stays where it is
    x = codes_to_one_hot(codes, torch.float64)
    instances = pd.DataFrame({"record": [0, 1, 2], "start": 10, "end": 14})
    got = causal_truth(bent, x, 0, instances, draws=2000, batch_size=512).instances
    for row in range(3):
        window = codes[row, 10:14]
        known = np.flatnonzero(window != 4)
        found = []
        for order in permutations(known):
            changed = codes[row].copy()
            changed[10 + known] = window[list(order)]
            found.append(float(bent(codes_to_one_hot(changed[None], torch.float64), torch.zeros(1))))
        effect = float(bent(x[row : row + 1], torch.zeros(1))) - np.mean(found)
        assert abs(got["effect"][row] - effect) < 4 * got["error"][row] + 1e-9
        assert got["error"][row] == pytest.approx(np.std(found) / np.sqrt(2000), rel=0.1)


def test_the_threshold_and_p_are_those_of_the_null_as_stated() -> None:
    x, instances = planted()
    got = causal_truth(score, x, 0, instances, draws=10, null_windows=99, level=0.9)
    null = got.null["effect"].to_numpy()
    assert len(null) == 99
    for row in got.instances.itertuples():
        p = (1 + (null >= row.effect).sum()) / 100
        assert row.p == pytest.approx(p)
        assert row.causal == (p <= 0.1 and row.effect > 0)
    assert got.instances["threshold"].iloc[0] == max(0.0, np.sort(null)[-10])
    # Its windows stay away from every instance.
    mask = covered(instances, (30, LENGTH))
    for row in got.null.itertuples():
        assert not mask[row.record, row.start : row.start + row.width].any()
    assert not got.null.duplicated(["record", "start"]).any()


def test_instances_like_any_other_window_are_called_causal_as_often_as_the_level_says() -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Conv1d(4, 8, 5), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(8 * 56, 1))
    x = codes_to_one_hot(sequences(200, seed=4))
    start = np.random.default_rng(0).integers(5, LENGTH - 11, size=200)
    instances = pd.DataFrame({"record": np.arange(200), "start": start, "end": start + 6})
    table = causal_truth(model_score(net), x, 0, instances, draws=10, level=0.9).instances
    # 10 % of 200, three standard errors of 2.1 percent points
    assert 0.035 < table["causal"].mean() < 0.17
    assert 0.035 < table["opposes"].mean() < 0.17


def test_each_width_and_output_has_a_null_of_its_own() -> None:
    x, instances = planted(20)
    instances.loc[instances["motif"] == IDLE, "end"] -= 2
    target = torch.arange(20) % 2
    got = causal_truth(score, x, target, instances, draws=10, null_windows=40)
    assert sorted(got.null.groupby(["width", "target"]).size().items()) == [
        ((5, 0), 40),
        ((5, 1), 40),
        ((7, 0), 40),
        ((7, 1), 40),
    ]
    assert (target.numpy()[got.null["record"]] == got.null["target"]).all()


def test_an_effect_depends_on_the_seed_its_sequence_and_its_window_alone() -> None:
    x, instances = planted(20)
    whole = causal_truth(score, x, 0, instances, draws=10)
    other_batch = causal_truth(score, x, 0, instances, draws=10, batch_size=7)
    pd.testing.assert_frame_equal(whole.instances, other_batch.instances)
    part = instances[instances["record"] >= 10].assign(record=lambda t: t["record"] - 10)
    got = causal_truth(score, x[10:], 0, part, draws=10).instances
    np.testing.assert_allclose(got["effect"], whole.instances["effect"].iloc[20:])
    reseeded = causal_truth(score, x, 0, instances, draws=10, seed=1).instances
    assert not np.allclose(reseeded["effect"], whole.instances["effect"])


def with_copies(n: int = 30) -> tuple[Tensor, pd.DataFrame]:
    """The word that is read twice in every other sequence, the idle one twice in all."""
    codes, rows = sequences(n, seed=7), []
    for record in range(n):
        for word, start in ((USED, 2), (USED, 40), (IDLE, 15), (IDLE, 27)):
            if word == IDLE or start == 2 or record % 2:
                codes[record, start : start + 7] = ["ACGT".index(letter) for letter in word]
                rows.append((record, start, start + 7, word))
    return codes_to_one_hot(codes), pd.DataFrame(rows, columns=["record", "start", "end", "motif"])


def test_copies_that_stand_in_for_each_other_are_causal_once_each_is_tested_without_the_other() -> None:
    x, instances = with_copies()
    alone = causal_truth(score, x, 0, instances, draws=10, null_windows=200).instances
    got = causal_truth(score, x, 0, instances, draws=10, null_windows=200, copies="motif")
    table, used = got.instances, instances["motif"] == USED
    double = used & (instances["record"] % 2 == 1)
    assert not alone.loc[double, "causal"].any()
    assert table.loc[used, "causal"].all()
    assert table.loc[~used, "causal"].mean() < 0.2
    np.testing.assert_array_equal(table["effect"], alone["effect"])
    assert table.loc[used & ~double, "effect_without"].isna().all()
    assert table.loc[double, "effect_without"].notna().all()
    np.testing.assert_allclose(table.loc[double, "p"], np.minimum(1, 2 * table.loc[double, "p_without"]))
    assert set(got.null.loc[got.null["copies"], "record"]) <= set(range(30))
    assert got.null["copies"].value_counts().to_dict() == {False: 200, True: 200}


def test_the_effect_without_copies_is_that_of_the_sequence_whose_copies_are_shuffled() -> None:
    weight = torch.from_numpy(np.random.default_rng(5).normal(size=(4, LENGTH)))

    def bent(x: Tensor, target: Tensor) -> Tensor:
        values = (x.double() * weight).sum(dim=1)
        return values[:, 10:13].sum(dim=1) * values[:, 30:34].sum(dim=1)

    codes = sequences(25, seed=3)
    x = codes_to_one_hot(codes, torch.float64)
    instances = pd.DataFrame({"record": [0, 0], "start": [10, 30], "end": [13, 34], "motif": "M"})
    got = causal_truth(bent, x, 0, instances, draws=3000, null_windows=60, copies="motif", batch_size=512).instances
    # A product of sums of independent shuffles: means over all orders, window by window.
    values = (x[0] * weight).sum(dim=0).numpy()
    own = [values[10:13].sum(), values[30:34].sum()]
    mixed = []
    for start, end in ((10, 13), (30, 34)):
        letters = codes[0, start:end]
        mixed.append(
            np.mean(
                [
                    weight.numpy()[letters[list(o)], np.arange(start, end)].sum()
                    for o in permutations(range(end - start))
                ]
            )
        )
    assert got["effect"].to_numpy() == pytest.approx(
        [(own[0] - mixed[0]) * own[1], (own[1] - mixed[1]) * own[0]], abs=0.15
    )
    expected = [(own[0] - mixed[0]) * mixed[1], (own[1] - mixed[1]) * mixed[0]]
    assert got["effect_without"].to_numpy() == pytest.approx(expected, abs=0.15)


def test_two_tests_an_instance_do_not_call_more_of_them_causal_by_chance() -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Conv1d(4, 8, 5), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(8 * 56, 1))
    x = codes_to_one_hot(sequences(150, seed=4))
    rng = np.random.default_rng(0)
    start = np.concatenate([rng.integers(5, 24, size=150), rng.integers(30, LENGTH - 11, size=150)])
    instances = pd.DataFrame({"record": np.tile(np.arange(150), 2), "start": start, "end": start + 6, "motif": "M"})
    table = causal_truth(
        model_score(net), x, 0, instances, draws=10, level=0.9, copies="motif", null_windows=400
    ).instances
    assert 0.03 < table["causal"].mean() < 0.155
    assert 0.03 < table["opposes"].mean() < 0.155


def test_what_has_too_few_places_for_a_null_can_be_left_untested_beside_the_rest() -> None:
    """An instance nearly as wide as its sequence has no null; the others come out as they do without it."""
    x, instances = planted()
    wide = pd.DataFrame({"record": [0], "start": [0], "end": [LENGTH - 1], "motif": ["WIDE"]})
    both = pd.concat([instances[instances["record"] > 0], wide], ignore_index=True)
    with pytest.raises(sp.SeqplrpError, match="too few for a null"):
        causal_truth(score, x, 0, both, draws=10, null_windows=99)
    got = causal_truth(score, x, 0, both, draws=10, null_windows=99, untestable="leave")
    alone = causal_truth(score, x, 0, both.iloc[:-1], draws=10, null_windows=99)
    last = got.instances.iloc[-1]
    assert np.isnan(last["p"])
    assert not last["causal"]
    assert not last["opposes"]
    columns = ["effect", "p", "causal"]
    # the null stays away from the wide one, whose sequence holds no other instance: the same effects, other nulls
    assert got.instances["effect"].iloc[:-1].to_numpy() == pytest.approx(alone.instances["effect"].to_numpy())
    assert got.instances[columns].iloc[:-1].notna().all(axis=None)
    assert got.instances["causal"].iloc[:-1].tolist() == alone.instances["causal"].tolist()
    used, unused = got.masks()
    assert not used[0].any()
    assert unused[0, : LENGTH - 1].all(), "what was not tested is neither used nor idle"


def test_an_instance_whose_copies_leave_no_null_is_untested_though_it_was_tested_alone() -> None:
    x, instances = with_copies(1)  # 39 windows of one sequence are there alone, but too few beside its copies
    table = instances.assign(end=instances["start"] + 20)
    table = table[table["start"] + 20 <= LENGTH]
    got = causal_truth(
        score, x, 0, table, copies="motif", draws=10, null_windows=99, level=0.5, untestable="leave"
    ).instances
    assert (got["p"].isna() | got["p_alone"].notna()).all()
    assert not got.loc[got["p"].isna(), "causal"].any()


@pytest.mark.parametrize(
    ("level", "copies", "fewest"), [(0.95, False, 19), (0.95, True, 39), (0.9, False, 9), (0.5, True, 3)]
)
def test_the_fewest_windows_are_those_whose_smallest_p_reaches_the_level(level, copies, fewest) -> None:
    assert fewest_windows(level, copies=copies) == fewest
    tests = 2 if copies else 1
    assert tests / (fewest + 1) <= 1 - level + 1e-9 < tests / fewest


def test_no_instance_gives_empty_tables() -> None:
    x, instances = planted(3)
    got = causal_truth(score, x, 0, instances.iloc[:0])
    assert len(got.instances) == len(got.null) == 0
    assert not got.masks()[0].any()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"draws": 5}, "draws: is 5; give 10 or more"),
        ({"level": 1.0}, "level: is 1.0"),
        ({"null_windows": 0}, "null_windows: is 0"),
        ({"copies": "name"}, "copies: 'name' is no column of instances"),
        ({"instances": pd.DataFrame({"record": [0], "start": [1]})}, "instances: lack end"),
        ({"instances": pd.DataFrame({"record": [0], "start": [50], "end": [61]})}, "row 0 is 50 to 61 of record 0"),
        ({"instances": pd.DataFrame({"record": [9], "start": [5], "end": [6]})}, "row 0 is 5 to 6 of record 9"),
        ({"instances": pd.DataFrame({"record": [0], "start": [0], "end": [59]})}, "leave 4 places outside motifs"),
        ({"x": torch.full((3, 4, LENGTH), 0.25)}, "X: is not one-hot"),
    ],
)
def test_what_can_not_be_tested_is_refused(change: dict, text: str) -> None:
    x, instances = planted(3)
    with pytest.raises(sp.SeqplrpError) as error:
        causal_truth(**({"score": score, "x": x, "target": 0, "instances": instances} | change))
    assert text in str(error.value)
