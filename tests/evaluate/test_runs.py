"""Summaries of runs: means and counts by hand, intervals that cover crossed draws, tests that do not count twice."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from seqplrp import SeqplrpError
from seqplrp.evaluate import bootstrap_mean, compare_runs, holm, rank_methods, rank_runs, summarise_runs


def run(
    methods: dict[str, float],
    *,
    tasks: int = 2,
    architectures: int = 2,
    seeds: int = 3,
    sequences: int = 10,
    measures: tuple[str, ...] = ("auprc",),
    noise: float = 1.0,
    seed: int = 0,
) -> pd.DataFrame:
    """Each value its method's mean and noise of its own."""
    rng = np.random.default_rng(seed)
    keys = itertools.product(range(tasks), range(architectures), range(seeds), range(sequences), methods, measures)
    table = pd.DataFrame(keys, columns=["task", "architecture", "seed", "sequence", "method", "measure"])
    value = table["method"].map(methods) + noise * rng.normal(size=len(table))
    return table.assign(task="t" + table["task"].astype(str), value=value)


def test_means_are_of_cells_each_counting_the_same_and_counts_are_told() -> None:
    table = run({"a": 0.0, "b": 1.0})
    # One cell has fewer sequences right: it counts as much as the others.
    fewer = (table["task"] == "t1") & (table["architecture"] == 1) & (table["sequence"] > 1)
    table = table[~fewer]
    got = summarise_runs(table, by=(), draws=50).set_index("method")
    for method in ("a", "b"):
        cells = table[table["method"] == method].groupby(["task", "architecture"])["value"].mean()
        assert got["mean"][method] == pytest.approx(cells.mean())
        assert got["low"][method] < got["mean"][method] < got["high"][method]
    assert got.loc["a", ["n", "undefined", "missing", "models", "cells", "empty_cells"]].tolist() == [
        96,
        0,
        0,
        12,
        4,
        0,
    ]
    assert got["sequences"]["a"] == 20
    each = summarise_runs(table, draws=50)
    assert list(each.columns[:4]) == ["task", "architecture", "method", "measure"]
    assert len(each) == 8
    expected = table.groupby(["task", "architecture", "method"])["value"].mean()
    for row in each.itertuples():
        assert row.mean == pytest.approx(expected[row.task, row.architecture, row.method])


def test_undefined_values_missing_rows_and_empty_cells_are_counted_not_averaged_away() -> None:
    table = run({"a": 0.0, "b": 1.0}, tasks=1)
    b = table["method"] == "b"
    table.loc[b & (table["sequence"] == 3), "value"] = np.nan
    table.loc[b & (table["architecture"] == 1), "value"] = np.nan
    table = table[~(b & (table["seed"] == 2) & (table["sequence"] == 4))]
    got = summarise_runs(table, by=(), draws=50).set_index("method")
    of_b = table[(table["method"] == "b") & (table["architecture"] == 0)]["value"]
    assert got["mean"]["b"] == pytest.approx(of_b.mean())
    assert got.loc["b", ["n", "undefined", "missing", "cells", "empty_cells"]].tolist() == [26, 32, 2, 2, 1]
    assert got.loc["a", ["n", "undefined", "missing", "empty_cells"]].tolist() == [60, 0, 0, 0]
    nothing = summarise_runs(table.assign(value=np.nan), by=(), draws=5)
    assert nothing["mean"].isna().all()
    assert nothing["low"].isna().all()


def test_a_measure_that_a_method_never_had_has_no_row() -> None:
    table = run({"a": 0.0, "b": 1.0}, measures=("auprc", "abpc"))
    table = table[~((table["method"] == "b") & (table["measure"] == "abpc") & (table["task"] == "t1"))]
    got = summarise_runs(table, by=("task",), draws=5)
    assert [tuple(row) for row in got[["task", "method", "measure"]].to_numpy()] == [
        ("t0", "a", "auprc"), ("t0", "a", "abpc"), ("t0", "b", "auprc"), ("t0", "b", "abpc"),
        ("t1", "a", "auprc"), ("t1", "a", "abpc"), ("t1", "b", "auprc"),
    ]  # fmt: skip


def test_within_models_the_interval_is_that_of_the_nested_bootstrap_of_many_models() -> None:
    rng = np.random.default_rng(1)
    table = run({"a": 0.0}, tasks=1, architectures=1, seeds=40, sequences=20)
    table["value"] += np.repeat(rng.normal(size=40), 20)
    got = summarise_runs(table, sequences="within", draws=4000)
    row = bootstrap_mean(table["value"], groups=table["seed"], draws=4000)
    assert got["mean"][0] == pytest.approx(row.mean)
    assert got["high"][0] - got["low"][0] == pytest.approx(row.high - row.low, rel=0.08)


def test_few_seeds_do_not_make_the_interval_too_narrow() -> None:
    own = np.array([0.3, -1.0, 0.8, 1.9, -0.6])
    table = run({"a": 0.0}, tasks=1, architectures=1, seeds=5, sequences=6, noise=0.0)
    got = summarise_runs(table.assign(value=np.repeat(own, 6)), draws=20_000)
    error = own.std(ddof=1) / np.sqrt(5)  # of n draws it would be a tenth less
    assert got["high"][0] - got["low"][0] == pytest.approx(2 * 1.96 * error, rel=0.06)
    one = summarise_runs(table.assign(value=np.repeat(own, 6))[table["seed"] == 1], draws=50)
    assert one["low"][0] == one["high"][0] == -1.0


def test_of_one_sequence_of_one_model_there_is_no_interval() -> None:
    """Nothing varies that could be drawn: an interval of no width would say that all is known."""
    table = run({"a": 0.0, "b": 1.0}, seeds=1, sequences=1)  # four cells, one value each
    got = summarise_runs(table, by=(), draws=20)
    assert got["mean"].notna().all()
    assert got[["low", "high"]].isna().all(axis=None)
    pairs = compare_runs(table, "a", draws=20)
    assert pairs["difference"].notna().all()
    assert pairs[["low", "high"]].isna().all(axis=None)
    two = summarise_runs(run({"a": 0.0}, seeds=1, sequences=2), by=(), draws=20)
    assert two["low"][0] < two["mean"][0] < two["high"][0]
    # of two sequences one is undefined: one value is left
    hole = run({"a": 0.0}, tasks=1, architectures=1, seeds=1, sequences=2)
    hole.loc[0, "value"] = np.nan
    assert summarise_runs(hole, by=(), draws=20)[["low", "high"]].isna().all(axis=None)


def test_which_way_a_test_points_is_told_beside_the_difference_of_means() -> None:
    """Four of five sequences, and of five models, are a little worse, one is much better: the mean is another sign."""
    for unit in ("sequence", "seed"):
        table = run({"a": 0.0, "b": 0.0}, tasks=1, architectures=1, seeds=20, sequences=20, noise=0.0)
        noise = 0.001 * np.random.default_rng(0).random(len(table))
        own = np.where(table[unit] % 5 == 0, 0.3, -0.02) + noise
        got = compare_runs(table.assign(value=own * (table["method"] == "a")), "a", draws=10).iloc[0]
        assert got["difference"] == pytest.approx(0.2 * 0.3 - 0.8 * 0.02, abs=0.002)
        name = {"sequence": "rank_biserial", "seed": "rank_biserial_models"}
        # of 20, 16 below take the ranks 1 to 16, and 4 above 17 to 20
        assert got[name.pop(unit)] == pytest.approx((17 + 18 + 19 + 20 - 16 * 17 / 2) / (20 * 21 / 2))
        assert got[name.popitem()[1]] == 1.0, "of the other kind of units all are above"


def crossed(rng: np.random.Generator, seeds: int = 8, sequences: int = 25) -> pd.DataFrame:
    """Values made of what the model brings, what the sequence brings, and both: the true mean is 0."""
    table = run(
        {"a": 0.0}, tasks=1, architectures=1, seeds=seeds, sequences=sequences, noise=0.3, seed=int(rng.integers(2**31))
    )
    return table.assign(
        value=table["value"]
        + np.repeat(rng.normal(size=seeds) * 0.5, sequences)
        + np.tile(rng.normal(size=sequences), seeds)
    )


def test_intervals_cover_the_mean_where_models_share_sequences_and_nested_ones_do_not() -> None:
    rng = np.random.default_rng(3)
    covered = {"shared": 0, "within": 0}
    for _ in range(150):
        table = crossed(rng)
        for sequences in covered:
            row = summarise_runs(table, sequences=sequences, draws=200).iloc[0]
            covered[sequences] += row["low"] < 0 < row["high"]
    assert covered["shared"] / 150 > 0.9
    assert covered["within"] / 150 < 0.88


def test_intervals_of_differences_are_paired_and_repeat_with_their_seed() -> None:
    table = run({"a": 0.5, "b": 0.0}, noise=0.0)
    shift = table.groupby(["task", "sequence"]).ngroup().map(dict(enumerate(np.random.default_rng(0).normal(size=20))))
    got = compare_runs(table.assign(value=table["value"] + shift), "a", draws=100)
    assert got["difference"][0] == pytest.approx(0.5)
    assert got["high"][0] - got["low"][0] == pytest.approx(0, abs=1e-12)  # what sequences share cancels
    noisy = run({"a": 0.5, "b": 0.0})
    one, again, other = (compare_runs(noisy, "a", draws=100, seed=seed) for seed in (0, 0, 1))
    pd.testing.assert_frame_equal(one, again)
    assert one["low"][0] != other["low"][0]
    assert one["low"][0] < one["difference"][0] < one["high"][0]


def test_tests_take_one_difference_a_sequence_and_one_a_model() -> None:
    table = run({"a": 0.3, "b": 0.0, "c": 0.1}, measures=("auprc", "rma"))
    table.loc[7, "value"] = np.nan
    got = compare_runs(table, "a", draws=10)
    assert list(got["other"]) == ["b", "b", "c", "c"]
    wide = table.pivot_table(
        index=["task", "architecture", "seed", "sequence"], columns=["measure", "method"], values="value", dropna=False
    )
    for row in got.itertuples():
        difference = wide[row.measure]["a"] - wide[row.measure][row.other]
        by_sequence = difference.groupby(["task", "sequence"]).mean()
        by_model = difference.groupby(["task", "architecture", "seed"]).mean()
        assert row.n == 20
        assert row.undefined == difference.isna().sum()
        assert row.p == pytest.approx(stats.wilcoxon(by_sequence, zero_method="pratt").pvalue)
        assert row.p_models == pytest.approx(stats.wilcoxon(by_model, zero_method="pratt").pvalue)
        assert (row.models, row.models_above) == (12, (by_model > 0).sum())
        assert row.superiority == pytest.approx((by_sequence > 0).mean())
        assert row.cohens_d == pytest.approx(by_sequence.mean() / by_sequence.std())
        assert row.median_difference == pytest.approx(by_sequence.median())


def test_more_models_of_the_same_sequences_are_no_more_evidence_over_sequences() -> None:
    rng = np.random.default_rng(5)
    false = 0
    for _ in range(100):  # no difference in truth, but each sequence has its own, the same under every seed
        table = run(
            {"a": 0.0, "b": 0.0},
            tasks=1,
            architectures=1,
            seeds=6,
            sequences=12,
            noise=0.05,
            seed=int(rng.integers(2**31)),
        )
        own = np.tile(np.repeat(rng.normal(size=12), 2), 6) * (table["method"] == "a")
        false += compare_runs(table.assign(value=table["value"] + own), "a", draws=1)["p"][0] < 0.05
    assert false <= 13  # 5 of 100, with room for chance


def test_holm_corrects_within_the_family_that_is_asked_for() -> None:
    table = run({"a": 0.4, "b": 0.0, "c": 0.2}, measures=("auprc", "rma"))
    by_measure = compare_runs(table, "a", by=("task",), draws=1)
    for _, rows in by_measure.groupby("measure"):
        assert len(rows) == 4
        np.testing.assert_allclose(rows["p_holm"], holm(rows["p"].to_numpy()))
        np.testing.assert_allclose(rows["p_models_holm"], holm(rows["p_models"].to_numpy()))
    everything = compare_runs(table, "a", by=("task",), family=(), draws=1)
    np.testing.assert_allclose(everything["p_holm"], holm(everything["p"].to_numpy()))
    alone = compare_runs(table, "a", by=("task",), family=("measure", "task"), peers=["c"], draws=1)
    np.testing.assert_allclose(alone["p_holm"], alone["p"])
    assert set(alone["other"]) == {"c"}


def test_ranks_are_of_models_over_sequences_that_all_methods_are_defined_on() -> None:
    table = run({"a": 0.4, "b": 0.0, "c": 0.2}, noise=0.3)
    hole = (table["method"] == "b") & (table["sequence"] == 0) & (table["seed"] == 1)
    table.loc[hole, "value"] = np.nan
    table.loc[(table["method"] == "c") & (table["task"] == "t0") & (table["architecture"] == 0), "value"] = np.nan
    got = rank_runs(table, "auprc")
    wide = table.pivot_table(
        index=["task", "architecture", "seed", "sequence"], columns="method", values="value", dropna=False
    ).dropna()
    expected = rank_methods(wide.groupby(["task", "architecture", "seed"]).mean())
    assert got.ranks == pytest.approx(expected.ranks)
    assert (got.blocks, got.left_out) == (9, 3)
    flipped = rank_runs(table.assign(measure="entropy"), "entropy")  # lower is better, as the measure says
    assert list(flipped.ranks) == list(got.ranks)[::-1]
    assert list(rank_runs(table, "auprc", methods=["a", "b", "c"], better="lower").ranks) == list(flipped.ranks)


def test_columns_of_ones_own_tell_tasks_apart_and_the_order_of_rows_is_nothing() -> None:
    table = run({"a": 0.4, "b": 0.0})
    table["group"] = table["task"].map({"t0": "development", "t1": "report"})
    got = summarise_runs(table, by=("group",), draws=20)
    assert got["group"].unique().tolist() == ["development", "report"]
    shuffled = summarise_runs(table.sample(frac=1, random_state=0), by=("group",), draws=20)
    merged = got.merge(shuffled, on=["group", "method"])
    np.testing.assert_allclose(merged["mean_x"], merged["mean_y"])


def test_a_run_of_eight_hundred_thousand_rows_is_summarised_in_seconds() -> None:
    import time

    table = run(
        {f"m{i}": i / 10 for i in range(10)},
        tasks=3, architectures=3, seeds=5, sequences=180, measures=tuple(f"x{i}" for i in range(10)),
    )  # fmt: skip
    start = time.perf_counter()
    summarise_runs(table, by=(), draws=200)
    assert time.perf_counter() - start < 30  # about 2 s alone; rules out a loop over rows or columns


ROWS = run({"a": 0.0, "b": 1.0}, sequences=3)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: summarise_runs(ROWS.drop(columns="seed")), "table: lacks seed"),
        (lambda: summarise_runs(ROWS.iloc[:0]), "table: has no row"),
        (lambda: summarise_runs(pd.concat([ROWS, ROWS.tail(1)])), "table: has two rows of t1, 1, 2, 2, b, auprc"),
        (lambda: summarise_runs(ROWS.assign(value=np.inf)), "value: holds infinite values"),
        (lambda: summarise_runs(ROWS, by=("seed",)), "by: is ('seed',)"),
        (lambda: summarise_runs(ROWS, by=("group",)), "table: lacks group"),
        (lambda: summarise_runs(ROWS, sequences="crossed"), "sequences: is 'crossed'"),
        (lambda: summarise_runs(ROWS, confidence=95), "confidence: is 95"),
        (lambda: summarise_runs(ROWS, draws=0), "draws: is 0"),
        (lambda: compare_runs(ROWS, "c"), "method: 'c' has no row; choose from a, b"),
        (lambda: compare_runs(ROWS, "a", peers=["a"]), "peers: hold the reference 'a' itself"),
        (lambda: compare_runs(ROWS, "a", family=("task",)), "family: has 'task'"),
        (lambda: rank_runs(ROWS, "rma"), "measure: 'rma' has no row"),
        (lambda: rank_runs(ROWS.assign(measure="mine"), "mine"), "better: is not known for 'mine'"),
        (lambda: rank_runs(ROWS, "auprc", methods=["a", "z"]), "method: 'z' has no row"),
    ],
)
def test_what_is_no_run_is_refused(call, text: str) -> None:
    with pytest.raises(SeqplrpError) as error:
        call()
    assert text in str(error.value)
