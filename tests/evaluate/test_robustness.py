"""One substitution elsewhere and the input's other side: by hand on linear models, and what must not matter."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from seqplrp import SeqplrpError
from seqplrp.evaluate import ROBUSTNESS_MEASURES, flip_consistency, row_generators, substitution_robustness

LENGTH = 12
WEIGHT = torch.from_numpy(np.random.default_rng(0).normal(size=(4, LENGTH)))


def one_hot(n: int = 5, seed: int = 0) -> Tensor:
    codes = np.random.default_rng(seed).integers(4, size=(n, LENGTH))
    return torch.from_numpy(np.eye(4)[codes].transpose(0, 2, 1).copy())


def next_base(x: Tensor, seed: int) -> Tensor:
    return x.roll(1, dims=1)


def score(x: Tensor, target: Tensor) -> Tensor:
    return (x * WEIGHT).sum(dim=(1, 2)) + 20


def linear(x: Tensor, target: Tensor) -> Tensor:
    return (x * WEIGHT).sum(dim=1)


def test_a_linear_models_map_moves_by_just_what_its_output_moves_by() -> None:
    x = one_hot()
    got = substitution_robustness(linear, score, x, 0, next_base, draws=200)
    # Every position is as likely: |change of the weight| on average, over the map's and the output's size.
    change = ((x - next_base(x, 0)) * WEIGHT).sum(dim=1).abs().numpy()
    size, output = linear(x, x).abs().sum(dim=1).numpy(), score(x, x).abs().numpy()
    np.testing.assert_allclose(got["substitution_relevance"], change.mean(axis=1) / size, rtol=0.25)
    ratio = got["substitution_relevance"] / got["substitution_output"]
    np.testing.assert_allclose(ratio, output / size)  # exactly, draw by draw
    np.testing.assert_allclose(got["substitution_ratio"], ratio)


def test_positions_inside_and_ignored_ones_are_never_touched_and_every_other_one_is() -> None:
    x = one_hot(3)
    outside = np.zeros((3, LENGTH), dtype=bool)
    outside[:, 2:5] = True
    ignore = np.zeros((3, LENGTH), dtype=bool)
    ignore[:, 9] = True
    touched = torch.zeros(3, LENGTH, dtype=torch.bool)
    counts: list[int] = []

    def watching(batch: Tensor, target: Tensor) -> Tensor:
        changed = (batch != x).any(dim=1)
        touched.logical_or_(changed)
        counts.extend(changed.sum(dim=1).tolist())
        return linear(batch, target)

    substitution_robustness(watching, score, x, 0, next_base, outside=outside, ignore=ignore, draws=150)
    assert not touched[torch.from_numpy(outside | ignore)].any()
    assert touched[torch.from_numpy(~(outside | ignore))].all()
    assert counts == [0] * 3 + [1] * 450


def test_a_replacement_that_changes_nothing_is_not_drawn() -> None:
    x = one_hot(2)

    def only_the_last(batch: Tensor, seed: int) -> Tensor:
        return torch.cat([batch[:, :, :-1], batch[:, :, -1:].roll(1, dims=1)], dim=2)

    got = substitution_robustness(linear, score, x, 0, only_the_last, draws=3)
    change = ((x - x.roll(1, dims=1)) * WEIGHT).sum(dim=1)[:, -1].abs() / linear(x, x).abs().sum(dim=1)
    np.testing.assert_allclose(got["substitution_relevance"], change.numpy())


def test_what_is_undefined_is_nan_for_that_input_alone() -> None:
    x = one_hot(3)
    outside = np.zeros((3, LENGTH), dtype=bool)
    outside[1] = True

    def dead(batch: Tensor, target: Tensor) -> Tensor:
        return linear(batch, target) * torch.tensor([1.0, 1.0, 0.0])[:, None]

    got = substitution_robustness(dead, score, x, 0, next_base, outside=outside, draws=2)
    assert np.isnan(got["substitution_relevance"]).tolist() == [False, True, True]
    assert np.isnan(got["substitution_output"]).tolist() == [False, True, False]
    still = substitution_robustness(linear, lambda x, t: torch.ones(len(x)), x, 0, next_base, draws=2)
    assert np.isnan(still["substitution_ratio"]).all()


class AnyBase:
    def __call__(self, x: Tensor, seed: int) -> Tensor:
        codes = np.stack([g.integers(4, size=LENGTH) for g in row_generators(x, seed)])
        return torch.from_numpy(np.eye(4)[codes].transpose(0, 2, 1).copy())


def test_draws_depend_on_the_seed_and_the_input_alone() -> None:
    x = one_hot(6)
    whole = substitution_robustness(linear, score, x, 0, AnyBase(), seed=3)
    part = substitution_robustness(linear, score, x[4:], 0, AnyBase(), seed=3, relevance=linear(x[4:], x))
    other = substitution_robustness(linear, score, x, 0, AnyBase(), seed=4)
    for name, value in whole.items():
        np.testing.assert_allclose(part[name], value[4:])
    assert not np.allclose(other["substitution_relevance"], whole["substitution_relevance"])


def both_strands(x: Tensor) -> Tensor:
    return x.flip(1, 2)


def test_a_map_that_knows_both_strands_is_consistent_and_one_that_does_not_is_compared_by_hand() -> None:
    x = one_hot()

    def symmetric(batch: Tensor, target: Tensor) -> Tensor:
        return linear(batch, target) + linear(both_strands(batch), target).flip(1)

    def symmetric_score(batch: Tensor, target: Tensor) -> Tensor:
        return score(batch, target) + score(both_strands(batch), target)

    turn = lambda maps: maps[:, ::-1]  # noqa: E731
    same = flip_consistency(symmetric, x, 0, both_strands, turn, score=symmetric_score)
    np.testing.assert_allclose(same["flip_correlation"], 1)
    np.testing.assert_allclose(same["flip_cosine"], 1)
    np.testing.assert_allclose(same["flip_l1"], 0, atol=1e-12)
    np.testing.assert_allclose(same["flip_output"], 0, atol=1e-12)

    got = flip_consistency(linear, x, 0, both_strands, turn, score=score)
    one, other = linear(x, x).numpy(), linear(both_strands(x), x).numpy()[:, ::-1]
    for i in range(len(x)):
        assert got["flip_correlation"][i] == pytest.approx(np.corrcoef(one[i], other[i])[0, 1])
    expected = 2 * np.abs(one - other).sum(axis=1) / (np.abs(one) + np.abs(other)).sum(axis=1)
    np.testing.assert_allclose(got["flip_l1"], expected)
    f, g = score(x, x).numpy(), score(both_strands(x), x).numpy()
    np.testing.assert_allclose(got["flip_output"], 2 * np.abs(f - g) / (np.abs(f) + np.abs(g)))
    assert "flip_output" not in flip_consistency(linear, x, 0, both_strands, turn)
    substituted = substitution_robustness(linear, score, x, 0, next_base, draws=1)
    assert {*substituted, *got} == {m.name for m in ROBUSTNESS_MEASURES}


def test_maps_of_another_shape_are_refused() -> None:
    x = one_hot()
    with pytest.raises(SeqplrpError, match=r"explain: gives \(5, 11\) for 5 inputs of 12 positions"):
        flip_consistency(lambda x, t: linear(x, t)[:, 1:], x, 0, both_strands, lambda maps: maps)
    with pytest.raises(SeqplrpError, match=r"relevance: gives \(2, 12\)"):
        substitution_robustness(linear, score, x, 0, next_base, relevance=np.ones((2, 12)))
