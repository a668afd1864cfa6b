"""Deletion and insertion curves against a plain loop and additive models with known curves; what must not matter."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.integrate import trapezoid
from torch import Tensor, nn

from seqplrp import SeqplrpError
from seqplrp.evaluate import FAITHFULNESS_MEASURES, STEPS, area, faithfulness, mean_curves, model_score, row_generators

LENGTH = 20


def one_hot(n: int = 4, length: int = LENGTH, seed: int = 0) -> Tensor:
    codes = np.random.default_rng(seed).integers(4, size=(n, length))
    return torch.from_numpy(np.eye(4)[codes].transpose(0, 2, 1).copy())


def next_base(x: Tensor, seed: int) -> Tensor:
    """A perturber without chance: A, C, G, T become C, G, T, A."""
    return x.roll(1, dims=1)


class AnyOtherBase:
    """A random other base, by the sequence and the seed."""

    def __call__(self, x: Tensor, seed: int) -> Tensor:
        step = np.stack([g.integers(1, 4, size=x.shape[2]) for g in row_generators(x, seed)])
        codes = (x.argmax(dim=1) + torch.from_numpy(step)) % 4
        return torch.nn.functional.one_hot(codes, 4).transpose(1, 2).to(x.dtype) * x.sum(dim=1, keepdim=True)

    def fixed(self, x: Tensor) -> Tensor:
        return x.sum(dim=1) == 0


class Additive:
    """The sum of a weight for each base at each position, with a weight table for each target."""

    def __init__(self, length: int = LENGTH, seed: int = 1) -> None:
        self.weight = torch.from_numpy(np.random.default_rng(seed).normal(size=(3, 4, length)))

    def __call__(self, x: Tensor, target: Tensor) -> Tensor:
        return (x * self.weight[target]).sum(dim=(1, 2))

    def drops(self, x: Tensor, target: Tensor, by: Tensor) -> np.ndarray:
        """What each position loses when it is replaced: (N, L)."""
        return ((x - by) * self.weight[target]).sum(dim=1).numpy()


def bent(x: Tensor, target: Tensor) -> Tensor:
    """Not additive: neighbours multiply."""
    weight = torch.linspace(-1, 1, x.shape[2], dtype=x.dtype)
    value = (x * torch.tensor([0.3, -1.0, 0.7, 1.1], dtype=x.dtype)[:, None]).sum(dim=1)
    return (value[:, 1:] * value[:, :-1] * weight[1:]).sum(dim=1) * (1 + target)


def plain_curve(
    score, x: Tensor, target: int, order: list[int], by: Tensor, steps: list[float], start: str
) -> list[float]:
    """One sequence, one order, one position after the other."""
    base, other = (x, by) if start == "whole" else (by, x)
    n, found = len(order), []
    for step in steps:
        count = int(np.floor(step * n + 0.5)) if start == "whole" else n - int(np.floor(round(1 - step, 9) * n + 0.5))
        changed = base.clone()
        for position in order[:count]:
            changed[:, position] = other[:, position]
        found.append(float(score(changed[None], torch.tensor([target]))))
    return found


@pytest.mark.parametrize("kinds", [("deletion",), ("insertion",), ("deletion", "insertion")])
@pytest.mark.parametrize("order", ["signed", "size"])
def test_every_point_of_every_curve_is_that_of_a_plain_loop(kinds, order) -> None:
    x, target = one_hot(), torch.tensor([0, 2, 1, 0])
    relevance = np.random.default_rng(3).normal(size=(4, LENGTH))
    ignore = np.zeros((4, LENGTH), dtype=bool)
    ignore[1, [3, 4, 11]] = True
    got = faithfulness(bent, x, target, relevance, next_base, kinds=kinds, order=order, draws=2, ignore=ignore)
    steps = [0.0, *STEPS]
    by = next_base(x, 0)
    for name, start in (("deletion", "whole"), ("insertion", "perturbed")):
        curves = getattr(got, name)
        if name not in kinds:
            assert curves is None
            continue
        np.testing.assert_allclose(curves.fractions, steps)
        for row in range(4):
            counted = [p for p in range(LENGTH) if not ignore[row, p]]
            key = np.abs(relevance[row]) if order == "size" else relevance[row]
            most = sorted(counted, key=lambda p: -key[p])
            # What is not counted stays as it was in insertion, too.
            left = torch.where(torch.from_numpy(ignore[row]), x[row], by[row])
            for which, positions in (("most", most), ("least", most[::-1])):
                expected = plain_curve(bent, x[row], int(target[row]), positions, left, steps, start)
                np.testing.assert_allclose(getattr(curves, which)[row], expected, atol=1e-12)


def test_areas_are_trapezoids_over_unequal_steps_and_abpc_is_their_difference() -> None:
    assert area(np.array([0.0, 0.1, 0.5]), np.array([4.0, 2.0, 1.0])) == pytest.approx((0.1 * 3 + 0.4 * 1.5) / 0.5)
    score, x = Additive(), one_hot()
    relevance = np.random.default_rng(5).normal(size=(4, LENGTH))
    got = faithfulness(score, x, 0, relevance, AnyOtherBase(), draws=3)
    deletion, insertion = got.deletion, got.insertion
    np.testing.assert_allclose(deletion.abpc, deletion.least_area - deletion.most_area)
    np.testing.assert_allclose(insertion.abpc, insertion.most_area - insertion.least_area)
    first = trapezoid(deletion.most[:, :11], deletion.fractions[:11], axis=1) / 0.1
    measures = got.measures()
    np.testing.assert_allclose(measures["deletion_early"], deletion.most[:, 0] - first)
    assert list(measures) == [m.name for m in FAITHFULNESS_MEASURES]


def test_the_order_of_true_effects_is_the_best_and_its_reverse_the_worst_of_an_additive_model() -> None:
    score, x = Additive(), one_hot(6)
    target = torch.zeros(6, dtype=torch.long)
    drops = score.drops(x, target, next_base(x, 0))
    best = faithfulness(score, x, 0, drops, next_base, draws=1)
    rng = np.random.default_rng(0)
    for _ in range(10):
        other = faithfulness(score, x, 0, rng.normal(size=drops.shape), next_base, draws=1)
        assert (best.deletion.abpc >= other.deletion.abpc).all()
        assert (best.insertion.abpc >= other.insertion.abpc).all()
    worst = faithfulness(score, x, 0, -drops, next_base, draws=1)
    np.testing.assert_allclose(worst.deletion.abpc, -best.deletion.abpc)
    assert (best.deletion.least.max(axis=1) > best.deletion.least[:, 0]).any()  # evidence against goes first: it rises


def test_equal_relevances_fall_in_random_order_so_a_map_of_zeros_is_the_random_order() -> None:
    score, x = Additive(), one_hot(3)
    target = torch.zeros(3, dtype=torch.long)
    drops = score.drops(x, target, next_base(x, 0)).sum(axis=1)
    zeros = faithfulness(score, x, 0, np.zeros((3, LENGTH)), next_base, draws=400, kinds=("deletion",))
    expected = score(x, target).numpy()[:, None] - zeros.deletion.fractions * drops[:, None]
    points = (zeros.deletion.fractions * LENGTH) % 1 == 0  # where no count is rounded
    np.testing.assert_allclose(zeros.deletion.most[:, points], expected[:, points], atol=0.7)
    assert (np.abs(zeros.deletion.abpc) < 4 * zeros.deletion.abpc_error).all()
    unnamed = faithfulness(score, x, 0, None, next_base, draws=400, kinds=("deletion",))
    np.testing.assert_array_equal(unnamed.deletion.most, zeros.deletion.most)
    # By position, the first would always go first: all draws alike.
    assert (zeros.deletion.abpc_error > 0).all()


def test_within_a_draw_all_methods_meet_the_same_replacements_and_draws_differ() -> None:
    x = one_hot(2)
    seen: dict[str, list[Tensor]] = {}

    def recording(name: str):
        def score(batch: Tensor, target: Tensor) -> Tensor:
            seen.setdefault(name, []).append(batch)
            return batch.sum(dim=(1, 2))

        return score

    rng = np.random.default_rng(0)
    for name in ("one", "other"):
        faithfulness(recording(name), x, 0, rng.normal(size=(2, LENGTH)), AnyOtherBase(), draws=2, steps=[0.3, 1.0])
    for row in range(2):
        letters = []
        for draw in range(2):
            used = []
            for name in seen:
                batches = torch.cat(seen[name][1:])  # the first are the inputs themselves
                per_draw = batches.view(2, 2, -1, 4, LENGTH)[draw, row]
                changed = per_draw != x[row]
                used.append(
                    [{int(s[:, p].argmax()) for s, c in zip(per_draw, changed) if c[:, p].any()} for p in range(LENGTH)]
                )
            assert used[0] == used[1]
            assert all(len(letter) == 1 for letter in used[0])
            letters.append(used[0])
        assert letters[0] != letters[1]


@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_curves_do_not_depend_on_the_batch_size_nor_on_other_sequences(batch_size: int) -> None:
    x, relevance = one_hot(5), np.round(np.random.default_rng(1).normal(size=(5, LENGTH)))
    target = torch.arange(5) % 3
    whole = faithfulness(bent, x, target, relevance, AnyOtherBase(), seed=4)
    again = faithfulness(bent, x, target, relevance, AnyOtherBase(), seed=4, batch_size=batch_size)
    part = faithfulness(bent, x[3:], target[3:], relevance[3:], AnyOtherBase(), seed=4)
    for name, value in whole.measures().items():
        np.testing.assert_allclose(again.measures()[name], value, atol=1e-12)
        np.testing.assert_allclose(part.measures()[name], value[3:], atol=1e-12)
    assert not np.allclose(
        faithfulness(bent, x, target, relevance, AnyOtherBase(), seed=5).deletion.abpc, whole.deletion.abpc
    )


def test_unknown_bases_are_never_positions_whether_the_perturber_or_the_caller_says_so() -> None:
    score, x = Additive(), one_hot(3)
    x[:, :, 5:10] = 0
    relevance = np.random.default_rng(2).normal(size=(3, LENGTH))
    relevance[:, 5:10] = 100.0
    got = faithfulness(score, x, 0, relevance, AnyOtherBase(), draws=2)
    short = np.delete(np.arange(LENGTH), np.s_[5:10])
    assert got.positions.tolist() == [15, 15, 15]
    # The same as if those positions were not there, for the same replacements.
    by = AnyOtherBase()
    cut_score = lambda part, target: (part * score.weight[target][:, :, short]).sum(dim=(1, 2))  # noqa: E731

    def cut(part: Tensor, seed: int) -> Tensor:
        return by(x, seed)[:, :, short]

    expected = faithfulness(cut_score, x[:, :, short], 0, relevance[:, short], cut, draws=2)
    np.testing.assert_allclose(got.deletion.most, expected.deletion.most, atol=1e-12)
    nothing = faithfulness(score, x, 0, relevance, AnyOtherBase(), ignore=np.ones((3, LENGTH)), draws=1)
    assert all(np.isnan(value).all() for value in nothing.measures().values())


def test_images_and_tokens_are_perturbed_by_position() -> None:
    weight = torch.arange(6.0)
    image = torch.arange(36.0).view(2, 3, 2, 3)
    dark = lambda x, seed: torch.zeros_like(x)  # noqa: E731
    relevance = np.tile(np.arange(6.0), (2, 1))

    def score(x: Tensor, target: Tensor) -> Tensor:
        return (x.flatten(2)[:, 1] * weight).sum(dim=1)

    got = faithfulness(score, image, 0, relevance, dark, steps=[1 / 3], kinds=("deletion",), draws=1)
    expected = score(image, torch.zeros(2)) - (image.flatten(2)[:, 1] * weight)[:, 4:].sum(dim=1)
    np.testing.assert_allclose(got.deletion.most[:, 1], expected.numpy())
    tokens = torch.arange(1, 13).view(2, 6)
    got = faithfulness(lambda x, t: (x * weight).sum(dim=1), tokens, 0, relevance, dark, steps=[0.5], draws=1)
    np.testing.assert_allclose(got.deletion.most[:, 1], (tokens * weight)[:, :3].sum(dim=1).numpy())


def test_the_table_holds_every_point_and_progress_ends_at_its_total() -> None:
    told: list[tuple[int, int]] = []
    x = one_hot(2)
    got = faithfulness(Additive(), x, 0, None, next_base, draws=2, batch_size=8, progress=lambda *now: told.append(now))
    assert told[-1][0] == told[-1][1] == 2 * (1 + 2 * (2 * 27 + 1))  # both orders at 27 shares, all perturbed once
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    table = got.table()
    assert len(table) == 2 * 2 * 2 * 19
    one = table[(table.kind == "insertion") & (table.order == "least") & (table.input == 1)]
    np.testing.assert_array_equal(one["score"], got.insertion.least[1])


def test_mean_curves_are_means_over_inputs_with_intervals_and_relative_ones_begin_at_one() -> None:
    score, x = Additive(), one_hot(6)
    named = {"random": faithfulness(score, x, 0, None, next_base, draws=2)}
    named["deleted"] = faithfulness(score, x, 0, x[:, 0].numpy(), next_base, draws=2, kinds=("deletion",))
    table = mean_curves(named, draws=50)
    assert len(table) == 19 * 2 * 3
    one = table[(table.method == "random") & (table.kind == "insertion") & (table.order == "least")]
    np.testing.assert_allclose(one["mean"], named["random"].insertion.least.mean(axis=0))
    assert ((one["low"] <= one["mean"]) & (one["mean"] <= one["high"])).all()
    relative = mean_curves(named, draws=5, relative=True)
    begin = relative[(relative.kind == "deletion") & (relative.fraction == 0)]
    np.testing.assert_allclose(begin["mean"], np.sign(named["random"].start).mean())
    np.testing.assert_array_equal(named["random"].start, named["random"].deletion.most[:, 0])


def test_a_models_score_is_its_chosen_output_in_eval_mode_and_leaves_its_mode_alone() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.9), nn.Linear(4 * LENGTH, 3))
    model.train()
    model[0].eval()
    x = one_hot().float()
    target = torch.tensor([2, 0, 1, 1])
    got = model_score(model)(x.double(), target)
    expected = (x.flatten(1) @ model[2].weight.T + model[2].bias)[torch.arange(4), target]
    torch.testing.assert_close(got, expected)
    assert (model.training, model[0].training, model[1].training) == (True, False, True)
    single = nn.Sequential(nn.Flatten(), nn.Linear(4 * LENGTH, 1), nn.Flatten(0))
    assert model_score(single)(x, torch.zeros(4, dtype=torch.long)).shape == (4,)
    with pytest.raises(SeqplrpError, match="target: lies between 0 and 3, the model has 3 outputs"):
        model_score(model)(x, torch.tensor([0, 1, 2, 3]))
    with pytest.raises(SeqplrpError, match="model: returns"):
        model_score(nn.Identity())(x, target)


X, ZEROS = one_hot(), np.zeros((4, LENGTH))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"relevance": np.zeros((4, 7))}, "relevance: has 7 positions, the inputs (4, 4, 20) have 20"),
        ({"relevance": np.zeros((3, LENGTH))}, "relevance: has 3 rows for 4 inputs"),
        ({"relevance": np.full((4, LENGTH), np.nan)}, "not finite"),
        ({"target": [0, 1]}, "target: has shape (2,) for 4 inputs"),
        ({"target": 0.5}, "target: has dtype"),
        ({"steps": [0.2, 0.1]}, "steps: are (0.2, 0.1)"),
        ({"steps": [0.5, 1.5]}, "steps: are"),
        ({"steps": []}, "steps: are"),
        ({"kinds": "deletion"}, "kinds: is 'deletion'"),
        ({"kinds": ()}, "kinds: is ()"),
        ({"order": "random"}, "order: is 'random'"),
        ({"draws": 0}, "draws: 0 is no whole number above 0"),
        ({"seed": -1}, "seed: -1 is no whole number"),
        ({"batch_size": 0}, "batch_size: 0"),
        ({"perturb": lambda x, seed: x[:, :, 1:]}, "perturb: gives (4, 4, 19) for inputs (4, 4, 20)"),
        ({"perturb": lambda x, seed: x * torch.nan}, "perturb: gives NaN"),
        ({"score": lambda x, target: x}, "score: gives"),
        ({"score": lambda x, target: x.sum(dim=(1, 2)) / 0}, "score: gives NaN or infinite values"),
        ({"x": X[:0]}, "X: is (0, 4, 20)"),
    ],
)
def test_what_makes_no_sense_is_refused(change: dict, text: str) -> None:
    given = {"score": Additive(), "x": X, "target": 0, "relevance": ZEROS, "perturb": next_base} | change
    with pytest.raises(SeqplrpError) as error:
        faithfulness(**given)
    assert text in str(error.value)
