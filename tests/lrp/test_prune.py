"""Pruning against a naive sort-based NumPy implementation, and the properties of METHODS.md, section 3."""

from __future__ import annotations

import itertools
import math
from functools import cache

import numpy as np
import pytest
import torch
from engine import back_through, graph_of, one_hot, seeded, signed
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_lrp import kept_by_gain, kept_by_mass, rescaled
from torch import Tensor, nn

import seqplrp as sp
from seqplrp.lrp import (
    Epsilon,
    Gamma,
    Plan,
    Propagated,
    Pruning,
    Relative,
    Run,
    ZPlus,
    make_plan,
    propagate,
    run_forward,
    trace,
)

UNITS = 12
DTYPES = {"float32": torch.float32, "float64": torch.float64}
TOLERANCE = {torch.float32: 3e-6, torch.float64: 1e-12}


@cache
def mirror(dtype: torch.dtype, samples: int, units: int = UNITS) -> tuple[Plan, Run]:
    """Two identity layers: under the relative rule with inputs of 1, relevance passes through them bit for bit.

    So what arrives at the input is the relevance that was put in at the output, pruned once, and nothing else. One
    forward pass serves every example.
    """
    net = nn.Sequential(nn.Linear(units, units, bias=False), nn.ReLU(), nn.Linear(units, units, bias=False)).to(dtype)
    with torch.no_grad():
        net[0].weight.copy_(torch.eye(units))
        net[2].weight.copy_(torch.eye(units))
    ones = torch.ones(samples, units, dtype=dtype)
    plan = make_plan(trace(net, ones), net, Relative())
    with torch.inference_mode():
        return plan, run_forward(plan, ones)


def through_mirror(r: Tensor, pruning: Pruning | None) -> Propagated:
    plan, run = mirror(r.dtype, len(r))
    with torch.inference_mode():
        return propagate(plan, run, r, pruning, free=False)


def pruned(r: Tensor, pruning: Pruning | None) -> Tensor:
    """Prune relevance (N, units) by way of the engine."""
    return through_mirror(r, pruning).relevance.clone()


def row_of(r: Tensor, pruning: Pruning) -> dict[str, Tensor]:
    """The ledger's row of that pruning."""
    return next(row.numbers for row in through_mirror(r, pruning).ledger.rows if row.op == "prune")


def as_rows(rows: list[list[float]], dtype: torch.dtype) -> Tensor:
    r = torch.zeros(len(rows), UNITS, dtype=torch.float64)
    for n, row in enumerate(rows):
        r[n, : len(row)] = torch.tensor(row, dtype=torch.float64)
    return r.to(dtype)


# sums of these are exact in both dtypes, so the naive implementation must be met exactly, ties and all
exact = st.builds(lambda k, e: float(k * 2**e), st.integers(-20, 20), st.integers(-3, 4))
exact_rows = st.lists(st.lists(exact, min_size=1, max_size=UNITS), min_size=1, max_size=3)
# anything: tiny, huge, subnormal; float32's own range, whatever the dtype (no sum can overflow it)
any_value = st.one_of(
    st.floats(-(2.0**100), 2.0**100, width=32),
    st.floats(-1, 1, width=32),
    st.floats(-(2.0**-130), 2.0**-130, width=32, allow_subnormal=True),
    st.just(0.0),
    st.just(-0.0),
)
any_rows = st.lists(st.lists(any_value, min_size=1, max_size=UNITS), min_size=1, max_size=3)
dyadic = st.sampled_from([0.0, 0.125, 0.25, 0.5, 0.75, 0.875])
shares = st.one_of(
    st.floats(1e-6, 0.999999), st.sampled_from([1e-300, 1e-12, 0.5, 1 - 1e-9, 1 - 1e-15, math.nextafter(1, 0)])
)
fast = settings(max_examples=25, deadline=None, derandomize=True)


def test_the_mirror_passes_relevance_bit_for_bit() -> None:
    r = signed(3, UNITS) * torch.logspace(-40, 30, UNITS, dtype=torch.float64)
    for dtype in DTYPES.values():
        assert torch.equal(pruned(r.to(dtype), None), r.to(dtype))


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
@fast
@given(rows=exact_rows, p=dyadic, p_neg=dyadic)
def test_mass_thresholds_keep_what_the_naive_sort_keeps(rows, p, p_neg, dtype) -> None:
    r = as_rows(rows, dtype)
    found = pruned(r, Pruning(p=p, p_neg=p_neg))
    for n in range(len(r)):
        kept = kept_by_mass(r[n].numpy(), p, p_neg)
        assert np.array_equal(found[n].numpy() != 0, kept)
        expected = rescaled(np.where(kept, r[n].double().numpy(), 0), r[n].double().numpy())
        np.testing.assert_allclose(found[n].double().numpy(), expected, rtol=TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
@fast
@given(rows=exact_rows, gain=st.sampled_from([0.0, 0.25, 0.5, 1.0, 2.0, 100.0]))
def test_gain_thresholds_keep_what_the_naive_mean_keeps(rows, gain, dtype) -> None:
    r = as_rows(rows, dtype)
    found = pruned(r, Pruning(threshold="gain", gain=gain))
    for n in range(len(r)):
        v = r[n].double().numpy()
        kept = kept_by_gain(v, gain)
        means = [gain * part[part > 0].mean() for part in (v, -v) if (part > 0).any()]
        # a mean that lies within rounding of an entry may fall on either side of it
        near = np.isclose(np.abs(v)[:, None], np.array(means or [0.0]), rtol=TOLERANCE[dtype]).any(1) & (v != 0)
        sure = ~near
        assert np.array_equal((found[n].numpy() != 0)[sure], kept[sure])
        if not near.any():
            expected = rescaled(np.where(kept, v, 0), v)
            np.testing.assert_allclose(found[n].double().numpy(), expected, rtol=TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
@fast
@given(rows=any_rows, p=shares)
def test_as_much_goes_as_may_and_no_more(rows, p, dtype) -> None:
    r = as_rows(rows, dtype)
    found = pruned(r, Pruning(p=p, p_neg=p))
    for n in range(len(r)):
        for sign in (1, -1):
            v = (sign * r[n].double()).clamp(min=0).numpy()
            present, gone = v > 0, (v > 0) & (found[n].numpy() == 0)
            if not present.any():
                continue
            assert not gone[v == v.max()].any(), "the largest always stays"
            assert v[gone].sum() <= p * v.sum() * (1 + 1e-12)
            smallest_kept = v[present & ~gone].min()
            assert (v[gone] < smallest_kept).all(), "equal values fall together or stay together"
            if smallest_kept < v.max():
                assert v[v <= smallest_kept].sum() > p * v.sum() * (1 - 1e-12), "a value that could go stayed"


@pytest.mark.parametrize("threshold", ["mass", "gain"])
@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
@fast
@given(rows=any_rows, p=st.floats(0.01, 0.99))
def test_each_sign_keeps_its_total_and_each_sequence_its_zeros(rows, p, dtype, threshold) -> None:
    r = as_rows(rows, dtype)
    found = pruned(r, Pruning(p=p, p_neg=p, threshold=threshold))
    assert torch.isfinite(found).all()
    assert not found[r == 0].any()
    assert (found * r.sign() >= 0).all(), "no entry changes its sign"
    # below float32's normal range a product has hardly any digits left
    least = torch.finfo(dtype).tiny * UNITS
    for sign in (1, -1):
        before, after = ((sign * t.double()).clamp(min=0).sum(1) for t in (r, found))
        torch.testing.assert_close(after, before, rtol=TOLERANCE[dtype], atol=least)


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
@fast
@given(rows=any_rows, p=st.floats(0.001, 0.999))
def test_lambda_is_at_most_one_over_one_minus_p(rows, p, dtype) -> None:
    numbers = row_of(as_rows(rows, dtype), Pruning(p=p, p_neg=p / 3))
    slack = 1 + 1e-9
    assert (numbers["lambda_pos"] >= 1 / slack).all()
    assert (numbers["lambda_pos"] <= slack / (1 - p)).all()
    assert (numbers["lambda_neg"] >= 1 / slack).all()
    assert (numbers["lambda_neg"] <= slack / (1 - p / 3)).all()


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
@fast
@given(rows=any_rows, low=st.floats(0, 0.9), more=st.floats(0, 0.099))
def test_more_pruning_never_brings_a_unit_back(rows, low, more, dtype) -> None:
    r = as_rows(rows, dtype)
    less_pruned = pruned(r, Pruning(p=low, p_neg=low)) != 0
    more_pruned = pruned(r, Pruning(p=low + more, p_neg=low + more)) != 0
    assert not (more_pruned & ~less_pruned).any()


@pytest.mark.parametrize("threshold", ["mass", "gain"])
@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
@fast
@given(rows=any_rows, p=st.floats(0.01, 0.99), data=st.data())
def test_a_sequence_is_pruned_alike_alone_and_in_any_batch(rows, p, data, dtype, threshold) -> None:
    r = as_rows(rows, dtype)
    pruning = Pruning(p=p, threshold=threshold)
    together = pruned(r, pruning)
    n = data.draw(st.integers(0, len(r) - 1))
    assert torch.equal(pruned(r[n : n + 1], pruning)[0], together[n])
    assert torch.equal(pruned(r.flip(0), pruning).flip(0), together)


def test_thousands_of_units_are_cut_where_a_sort_cuts_them() -> None:
    """The size of a real layer, with heavy tails, many ties and many zeros."""
    units, generator = 6000, torch.Generator().manual_seed(0)
    r = torch.randn(3, units, generator=generator, dtype=torch.float64)
    r[0] *= torch.exp(3 * torch.randn(units, generator=generator, dtype=torch.float64))
    r[1] = (r[1] * 4).round() / 4  # ties
    r[2, torch.rand(units, generator=generator) < 0.8] = 0
    for dtype in DTYPES.values():
        values = r.to(dtype)
        cut = find(values, Pruning(p=0.5))
        for n in range(3):
            for sign, share in ((1, 0.5), (-1, 0.25)):
                v = (sign * values[n].double()).clamp(min=0).numpy()
                sizes, counts = np.unique(v[v > 0], return_counts=True)
                goes = (sizes * counts).cumsum() <= share * v.sum()
                expected = set(sizes[~goes])
                assert set(v[cut[n].numpy() & (v > 0)]) == expected


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
@pytest.mark.parametrize("p", [1 - 1e-9, 1 - 1e-15, math.nextafter(1, 0)])
def test_the_largest_stays_though_nearly_everything_may_go(p: float, dtype: torch.dtype) -> None:
    """Sums in another order differ in their last digits, which must not take the largest entry along."""
    generator = torch.Generator().manual_seed(1)
    for units in (1, 2, 10, 1000):
        r = torch.randn(60, units, generator=generator, dtype=torch.float64)
        r[20:40] = 1 + r[20:40] / 1000
        r[40:], r[40:, 0] = 0.1, 0.1000001
        r = r.to(dtype)
        kept = find(r, Pruning(p=p, p_neg=p))
        for sign in (1, -1):
            v = (sign * r).clamp(min=0)
            assert (kept & (v == v.amax(1, keepdim=True)) | (v.amax(1, keepdim=True) == 0)).any(1).all()


def find(r: Tensor, pruning: Pruning) -> Tensor:
    """What is kept of r, by the engine's own cut: an identity layer of thousands of units would cost too much."""
    from seqplrp.lrp.prune import find_cut, shares_of

    return sum(find_cut(r, pruning, shares_of(pruning, (), 1)).masks(r)).bool()


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
@pytest.mark.parametrize("value", [0.1, 0.3, 1 / 3, 1e-30, 7e20])
@pytest.mark.parametrize("count", [1, 3, 7, 11])
def test_gain_keeps_all_of_equal_entries(value: float, count: int, dtype: torch.dtype) -> None:
    """They are all at the mean, which rounding must not lift above them."""
    r = as_rows([[value] * count, [-value] * count], dtype)
    assert torch.equal(pruned(r, Pruning(threshold="gain", gain=1.0)), r)


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
@pytest.mark.parametrize("threshold", ["mass", "gain"])
def test_the_edge_cases_by_hand(dtype: torch.dtype, threshold: str) -> None:
    pruning = Pruning(p=0.5, p_neg=0.5, threshold=threshold)
    tiny = 1e-45 if dtype == torch.float32 else 5e-324
    smallest = as_rows([[tiny], [-tiny]], dtype)
    assert torch.equal(pruned(smallest, Pruning(p=0.875, p_neg=0.875)), smallest), "p times it rounds to itself"
    for row in (
        [0.0],
        [0.0, -0.0],
        [3.0],
        [-3.0],
        [2.0, -1.0],
        [tiny],
        [-tiny],
        [tiny, 1e30, -tiny, -1e30],
        [5.0, 5.0],
    ):
        r = as_rows([row], dtype)
        found = pruned(r, pruning)
        expected = r.clone()
        if 1e30 in row:
            expected[r.abs() < 1] = 0  # its mass is lost in the rest's rounding
        assert torch.equal(found, expected), row
    # 1 + 1 of 4 may go at p = 0.5, the same and a little more may not
    assert torch.equal(pruned(as_rows([[1, 1, 2]], dtype), Pruning(p=0.5)), as_rows([[0, 0, 4]], dtype))
    assert torch.equal(pruned(as_rows([[1, 1, 2]], dtype), Pruning(p=0.499)), as_rows([[1, 1, 2]], dtype))


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
def test_negative_relevance_is_pruned_at_half_the_share_unless_told_otherwise(dtype: torch.dtype) -> None:
    r = as_rows([[1, 3, 4, -1, -3, -4]], dtype)
    by_half = as_rows([[0, 24 / 7, 32 / 7, 0, -24 / 7, -32 / 7]], dtype)
    torch.testing.assert_close(pruned(r, Pruning(p=0.25)), by_half)
    assert torch.equal((pruned(r, Pruning(p=0.2)) != 0), as_rows([[0, 1, 1, 1, 1, 1]], dtype) != 0)
    assert torch.equal((pruned(r, Pruning(p=0.2, p_neg=0.5)) != 0), as_rows([[0, 1, 1, 0, 0, 1]], dtype) != 0)
    assert torch.equal((pruned(r, Pruning(p=0.0, p_neg=0.5)) != 0), as_rows([[1, 1, 1, 0, 0, 1]], dtype) != 0)
    assert torch.equal((pruned(r, Pruning(p=0.5, p_neg=0.0)) != 0), as_rows([[0, 0, 1, 1, 1, 1]], dtype) != 0)


def test_the_ledger_says_what_was_pruned() -> None:
    r = as_rows([[1, 3, 4, -2, -6], [0], [5, -1]], torch.float64)
    numbers = row_of(r, Pruning(p=0.5, p_neg=0.25))
    expected = {
        "relevance_out": [0, 0, 4],
        "relevance_in": [0, 0, 4],
        "residue": [0, 0, 0],
        "unexplained": [0, 0, 0],
        "size": [16, 0, 6],
        "pruned": [6, 0, 0],
        "lambda": [1.6, 1, 1],
        "lambda_pos": [2, 1, 1],
        "lambda_neg": [8 / 6, 1, 1],
        "kept_share": [2 / 5, 0, 1],
        "kept_mass": [10 / 16, 1, 1],
    }
    for name, values in expected.items():
        assert numbers[name].tolist() == pytest.approx(values), name


@cache
def deep_net() -> nn.Sequential:
    return seeded(
        lambda: nn.Sequential(
            nn.Conv1d(4, 6, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool1d(2),
            nn.Conv1d(6, 5, 3, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(60, 8),
            nn.ReLU(),
            nn.Linear(8, 2),
        ),
        seed=3,
    )


@pytest.mark.parametrize("mode", ["lambda", "matrix"])
@pytest.mark.parametrize("rule", [Epsilon(), Gamma(), ZPlus(), Relative()], ids=repr)
@pytest.mark.parametrize(
    "nothing", [{"p": 0}, {"p": 0.0, "threshold": "gain"}, {"budget": 0.0}, {"p": {"*": 0.0}}, {"p": 0, "p_neg": 0}]
)
def test_p_0_is_plain_lrp_bit_for_bit(mode, rule, nothing) -> None:
    x = one_hot(4, 24)
    plain = back_through(deep_net(), x, None, rule)
    none_pruned = back_through(deep_net(), x, None, rule, Pruning(mode=mode, **nothing))
    assert torch.equal(plain.relevance, none_pruned.relevance)
    assert torch.equal(plain.coefficient, none_pruned.coefficient)
    assert all(row.op != "prune" for row in none_pruned.ledger.rows)


@pytest.mark.parametrize("mode", ["lambda", "matrix"])
def test_a_pruned_map_is_the_same_alone_and_in_a_batch(mode: str) -> None:
    x = one_hot(5, 24)
    pruning = Pruning(p=0.6, mode=mode)
    together = back_through(deep_net(), x, None, Gamma(), pruning).relevance
    for n in range(len(x)):
        alone = back_through(deep_net(), x[n : n + 1], None, Gamma(), pruning).relevance
        torch.testing.assert_close(alone[0], together[n], rtol=1e-11, atol=1e-13)


def test_more_share_makes_sparser_activations_and_maps_at_every_layer() -> None:
    x = one_hot(4, 24)
    zeros = []
    for p in (0.0, 0.3, 0.6, 0.9):
        found = back_through(deep_net(), x, None, Epsilon(), Pruning(p=p))
        kept = [row.numbers["kept_share"].mean().item() for row in found.ledger.rows if row.op == "prune"]
        zeros.append((found.relevance.count_nonzero().item(), *(kept or [1.0] * 3)))
    maps = [z[0] for z in zeros]
    assert maps == sorted(maps, reverse=True)
    assert maps[0] > maps[-1]
    for lower, higher in itertools.pairwise(zeros):
        assert sum(higher[1:]) < sum(lower[1:])


def test_the_map_itself_is_pruned_only_if_asked() -> None:
    x = one_hot(3, 24)
    without = back_through(deep_net(), x, None, Epsilon(), Pruning(p=0.5))
    within = back_through(deep_net(), x, None, Epsilon(), Pruning(p=0.5, prune_input=True))
    assert within.relevance.count_nonzero() < without.relevance.count_nonzero()
    torch.testing.assert_close(within.relevance.sum((1, 2)), without.relevance.sum((1, 2)))
    torch.testing.assert_close(within.relevance, x * within.coefficient)
    for n in range(3):
        flat = without.relevance[n].numpy().ravel()
        kept = kept_by_mass(flat, 0.5, 0.25)
        expected = rescaled(np.where(kept, flat, 0), flat)
        np.testing.assert_allclose(within.relevance[n].numpy().ravel(), expected, rtol=1e-12, atol=1e-15)


def test_shares_by_layer_follow_the_first_pattern_that_matches() -> None:
    plan = make_plan(graph_of(deep_net(), one_hot(1, 24)), deep_net())
    table = plan.table(Pruning(p={"3": 0.25, "[68]": 0.5}))
    assert [row[4] for row in table if row[4]] == [
        "mass 0.25 (-0.125), lambda",
        "mass 0.5 (-0.25), lambda",
        "mass 0.5 (-0.25), lambda",
    ]
    found = back_through(deep_net(), one_hot(2, 24), None, Epsilon(), Pruning(p={"3": 0.0, "*": 0.5}))
    assert [row.layer for row in found.ledger.rows if row.op == "prune"] == ["8", "6"]


def test_a_budget_gives_every_activation_of_the_longest_path_its_part() -> None:
    p = 1 - (1 - 0.9) ** (1 / 3)
    x = one_hot(3, 24)
    by_budget = back_through(deep_net(), x, None, Gamma(), Pruning(budget=0.9)).relevance
    assert torch.equal(by_budget, back_through(deep_net(), x, None, Gamma(), Pruning(p=p)).relevance)


def test_without_p_or_budget_the_whole_network_may_prune_a_half() -> None:
    x = one_hot(3, 24)
    found = [back_through(deep_net(), x, None, Gamma(), pruning).relevance for pruning in (Pruning(), Pruning(p=0.5))]
    half = back_through(deep_net(), x, None, Gamma(), Pruning(budget=0.5)).relevance
    assert torch.equal(found[0], half)
    assert not torch.equal(found[1], half), "a half at each of the three activations is more"


@pytest.mark.parametrize(
    ("values", "where"),
    [
        ({"p": 1}, "p"),
        ({"p": -0.1}, "p"),
        ({"p": "0.5"}, "p"),
        ({"p": float("nan")}, "p"),
        ({"p": [0.5]}, "p"),
        ({"p": {"*": 1.5}}, "p['*']"),
        ({"p_neg": 1.0}, "p_neg"),
        ({"budget": 1.0}, "budget"),
        ({"budget": 0.5, "p": 0.5}, "p, budget"),
        ({"mode": "Lambda"}, "mode"),
        ({"threshold": "masses"}, "threshold"),
        ({"gain": -1}, "gain"),
        ({"gain": float("inf")}, "gain"),
        ({"tau": -0.2}, "tau"),
        ({"tau": None}, "tau"),
    ],
)
def test_an_impossible_parameter_is_named(values: dict, where: str) -> None:
    with pytest.raises(sp.SeqplrpError) as caught:
        Pruning(**values)
    assert caught.value.where == where
