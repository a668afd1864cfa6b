"""NeuronMCT and NeuronIntGrad against plain torch modules with hooks, and what ties their scores to LRP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import pytest
import torch
from nets import binary, classifier, seeded, sequences, time_first, without_biases
from torch import Tensor, nn

import seqplrp as sp
from seqplrp.lrp import cached_trace
from seqplrp.methods.base import Batch
from seqplrp.methods.pruned_network import NeuronMCT, units_of
from seqplrp.methods.traced import outside_inference, traced_of, with_autograd

X = sequences()
TARGETS = torch.tensor([0, 1, 2, 0, 1])


# ---- the oracle: torch's own modules, hooked


def relus(model: nn.Module) -> list[nn.Module]:
    return [module for module in model.modules() if isinstance(module, nn.ReLU)]


@contextmanager
def hooked(model: nn.Module, change: Callable[[int, Tensor], Tensor | None]) -> Iterator[None]:
    handles = [
        module.register_forward_hook(lambda _m, _i, out, at=at: change(at, out))
        for at, module in enumerate(relus(model))
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def score(model: nn.Module, x: Tensor) -> Tensor:
    return model(x).gather(1, TARGETS[:, None])[:, 0]


def activations(model: nn.Module, x: Tensor) -> list[Tensor]:
    found: list[Tensor] = []
    with hooked(model, lambda _at, out: found.append(out)):
        model(x)
    return [value.detach() for value in found]


def gradient_at(model: nn.Module, x: Tensor, layer: int, value: Tensor) -> Tensor:
    """df/da of one layer's activation, replaced by a value."""
    leaf = value.clone().requires_grad_()
    with hooked(model, lambda at, out: leaf if at == layer else None):
        (gradient,) = torch.autograd.grad(score(model, x).sum(), leaf)
    return gradient


def oracle_scores(model: nn.Module, x: Tensor, alphas: list[float]) -> list[Tensor]:
    scores = []
    for layer, a in enumerate(activations(model, x)):
        gradients = [gradient_at(model, x, layer, alpha * a) for alpha in alphas]
        scores.append((a * sum(gradients) / len(alphas)).abs())
    return scores


def oracle_masks(scores: list[Tensor], sparsity: float) -> list[Tensor]:
    masks = [torch.empty_like(s) for s in scores]
    for n in range(len(X)):
        flat = torch.cat([s[n].flatten() for s in scores])
        threshold = flat.sort().values[round(sparsity * len(flat)) - 1] if sparsity else -1
        for mask, s in zip(masks, scores, strict=True):
            mask[n] = (s[n] > threshold).double()
    return masks


def masked(model: nn.Module, x: Tensor, masks: list[Tensor]) -> tuple[Tensor, Tensor]:
    leaf = x.clone().requires_grad_()
    with hooked(model, lambda at, out: out * masks[at]):
        y = score(model, leaf)
    return y.detach(), torch.autograd.grad(y.sum(), leaf)[0]


ALPHAS = {"mct": [1.0], "intgrad": [k / 10 for k in range(1, 11)]}


@cache
def wide() -> nn.Module:
    """For which 90 % of the units is a whole number: 400 + 100."""
    return seeded(
        lambda: nn.Sequential(
            nn.Conv1d(4, 20, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool1d(2),
            nn.Conv1d(20, 10, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Flatten(),
            nn.Linear(100, 3),
        ),
        seed=8,
    )


@pytest.mark.parametrize("sparsity", [0.0, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("kind", ["mct", "intgrad"])
def test_the_map_is_the_gradient_of_the_network_pruned_by_hand(kind: str, sparsity: float) -> None:
    masks = oracle_masks(oracle_scores(wide(), X, ALPHAS[kind]), sparsity)
    _, gradient = masked(wide(), X, masks)
    method = (sp.NeuronMCT if kind == "mct" else sp.NeuronIntGrad)(sparsity=sparsity)
    e = sp.explain(wide(), X, TARGETS, method)
    torch.testing.assert_close(e.hypothetical, gradient, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(e.relevance, X * gradient, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(e.output, score(wide(), X).detach())
    if sparsity >= 0.9:  # half of the units have no score: they are silent, or lose in the max pool
        assert not torch.allclose(gradient, sp.explain(wide(), X, TARGETS, "gradient-x-input").hypothetical)


def test_the_two_kinds_of_scores_differ_and_so_do_their_maps() -> None:
    maps = [
        sp.explain(wide(), X, TARGETS, method(sparsity=0.9)).relevance for method in (sp.NeuronMCT, sp.NeuronIntGrad)
    ]
    assert not torch.allclose(*maps)


def test_nine_tenths_of_the_units_are_pruned_unless_another_share_is_given() -> None:
    default = sp.explain(wide(), X, TARGETS, "neuron-mct").relevance
    assert torch.equal(default, sp.explain(wide(), X, TARGETS, sp.NeuronMCT(sparsity=0.9)).relevance)
    assert not torch.allclose(default, sp.explain(wide(), X, TARGETS, sp.NeuronMCT(sparsity=0.99)).relevance)


def test_without_pruning_it_is_gradient_times_input() -> None:
    e = sp.explain(classifier(), X, 1, sp.NeuronMCT(sparsity=0.0))
    torch.testing.assert_close(e.relevance, sp.explain(classifier(), X, 1, "gradient-x-input").relevance)


def test_the_gradient_read_out_is_its_size() -> None:
    by_input = sp.explain(wide(), X, TARGETS, sp.NeuronMCT())
    size = sp.explain(wide(), X, TARGETS, sp.NeuronMCT(readout="gradient"))
    assert (by_input.relevance < 0).any()
    torch.testing.assert_close(size.hypothetical, by_input.hypothetical.abs())
    torch.testing.assert_close(size.relevance, X * by_input.hypothetical.abs())


# ---- scores


@dataclass
class Scored:
    """What a method finds out about units on the way."""

    model: nn.Module
    method: NeuronMCT
    target: Tensor

    def __post_init__(self) -> None:
        self.prepared = self.method.prepare(self.model, cached_trace(self.model, X[:1]), None)
        self.units = units_of(self.prepared)
        batch = Batch(X, (), [self.target])
        with with_autograd():
            self.batch = outside_inference(batch)
            traced = traced_of(self.prepared)
            self.values, ((self.score, _, self.of_units),) = self.method.scored(traced, self.units, self.batch)
            self.threshold = self.method._thresholds(
                traced, self.units, self.batch, self.values, (self.score, self.target), self.of_units
            )

    def masks(self, threshold: Tensor) -> list[Tensor]:
        return list(self.units.masks(self.of_units > threshold, self.values).values())


@cache
def without_pools_that_stabilise() -> nn.Module:
    model = nn.Sequential(*(m for m in without_biases() if not isinstance(m, nn.AvgPool1d)))
    model[6] = seeded(lambda: nn.Linear(35, 4, bias=False), seed=1)
    return model


@pytest.mark.parametrize("target", [0, 1, 2])
def test_without_biases_a_units_score_is_the_size_of_its_relevance(target: int) -> None:
    """METHODS.md, section 5: in a ReLU net, a df/da is the unit's relevance under LRP with eps -> 0."""
    model = without_pools_that_stabilise()
    scored = Scored(model, sp.NeuronMCT(), torch.full((5,), target))
    e = sp.explain(model, X, target, sp.LRP(rule=sp.Epsilon(1e-14)), layers=["1", "4", "7"])
    relevance = torch.cat([e.layers[name].flatten(1) for name in ("1", "4", "7")], 1)
    assert scored.of_units.shape == relevance.shape
    assert (relevance != 0).double().mean() > 0.1
    torch.testing.assert_close(scored.of_units, relevance.abs(), rtol=1e-8, atol=1e-12)


def test_units_are_those_of_the_model_not_of_the_plan_which_pools_before_its_relus() -> None:
    scored = Scored(classifier(), sp.NeuronMCT(), TARGETS)
    assert scored.of_units.shape == (5, 6 * 20 + 5)  # the conv's 20 positions, not the 10 that are left after the pool
    for found, expected in zip(scored.values.values(), activations(classifier(), X), strict=True):
        torch.testing.assert_close(found, expected)


class Reused(nn.Module):
    """One ReLU called twice, once more as a function, and a clamp that is a ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.conv2, self.head, self.relu = nn.Conv1d(4, 6, 5), nn.Conv1d(6, 6, 1), nn.Linear(6, 3), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        h = self.relu(self.conv(x))
        h = h + self.relu(self.conv2(h))
        h = torch.clamp(nn.functional.relu(self.conv2(-h)) - 0.1, min=0)
        return self.head(h.mean(2)) + torch.clamp(h, min=-1, max=1).mean((1, 2), keepdim=False)[:, None]


def test_every_call_of_a_relu_has_units_of_its_own() -> None:
    scored = Scored(seeded(Reused), sp.NeuronMCT(), TARGETS)
    assert [tuple(value.shape) for value in scored.values.values()] == [(5, 6, 16)] * 4  # not the clamp from -1 to 1


LIKE_A_RELU = [
    nn.ReLU6,
    nn.LeakyReLU,
    nn.PReLU,
    nn.RReLU,
    nn.ELU,
    nn.SELU,
    nn.CELU,
    nn.GELU,
    nn.SiLU,
    nn.Mish,
    nn.Hardswish,
    nn.Softplus,
    lambda: nn.Threshold(0, 0),
    lambda: nn.Hardtanh(0, 3),
]


def test_activations_like_a_relu_have_units_and_others_have_none() -> None:
    others = [nn.Tanh(), nn.Sigmoid(), nn.Hardtanh(-1, 1)]
    body = [module for make in LIKE_A_RELU for module in (nn.Conv1d(5, 5, 1), make())]
    model = seeded(lambda: nn.Sequential(nn.Conv1d(4, 5, 5), *others, *body, nn.Flatten(), nn.Linear(80, 3)))
    scored = Scored(model, sp.NeuronIntGrad(sparsity=0.5), TARGETS)
    assert scored.of_units.shape == (5, 80 * len(LIKE_A_RELU))
    assert ((scored.of_units > scored.threshold).sum(1) <= 40 * len(LIKE_A_RELU)).all()


@pytest.mark.parametrize("activation", [nn.Tanh])
def test_a_network_without_such_units_is_an_error(activation: type[nn.Module]) -> None:
    model = seeded(lambda: nn.Sequential(nn.Conv1d(4, 5, 5), activation(), nn.Flatten(), nn.Linear(80, 3)))
    with pytest.raises(sp.SeqplrpError, match="no ReLU-like activation"):
        sp.explain(model, X, 0, "neuron-mct")


def test_a_branch_that_forward_detached_has_units_of_no_score() -> None:
    class Detached(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.head = nn.Conv1d(4, 6, 5), nn.Linear(6, 3)

        def forward(self, x: Tensor) -> Tensor:
            h = self.conv(x)
            return self.head(h.relu().mean(2)) + self.conv(x.detach()).relu().detach().mean((1, 2))[:, None]

    for method in (sp.NeuronMCT(), sp.NeuronIntGrad()):
        scored = Scored(seeded(Detached), method, TARGETS)
        half = scored.of_units.shape[1] // 2
        parts = (scored.of_units[:, :half], scored.of_units[:, half:])
        assert sorted(bool(part.any()) for part in parts) == [False, True]


def test_units_with_the_batch_on_another_axis_are_told_apart_by_sequence() -> None:
    model = time_first()
    for method in (sp.NeuronMCT(sparsity=0.8), sp.NeuronIntGrad(sparsity=0.8), sp.NeuronMCT(max_change=0.15)):
        whole = sp.explain(model, X, TARGETS, method)
        for n in range(len(X)):
            alone = sp.explain(model, X[n : n + 1], int(TARGETS[n]), method)
            torch.testing.assert_close(whole.relevance[n], alone.relevance[0], rtol=1e-10, atol=1e-13)


# ---- as much as leaves the score within 15 %


@pytest.mark.parametrize("method", [sp.NeuronMCT(max_change=0.15), sp.NeuronIntGrad(max_change=0.15)], ids=str)
def test_the_masked_score_stays_within_the_bound_and_one_more_unit_breaks_it(method: NeuronMCT) -> None:
    scored = Scored(wide(), method, TARGETS)
    y, gradient = masked(wide(), X, scored.masks(scored.threshold))
    assert ((y - scored.score).abs() <= 0.15 * scored.score.abs()).all()
    e = sp.explain(wide(), X, TARGETS, method)
    torch.testing.assert_close(e.hypothetical, gradient, rtol=1e-9, atol=1e-12)
    above = scored.of_units.masked_fill(scored.of_units <= scored.threshold, float("inf")).amin(1, keepdim=True)
    y, _ = masked(wide(), X, scored.masks(above))
    assert ((y - scored.score).abs() > 0.15 * scored.score.abs()).all()
    shares = (scored.of_units <= scored.threshold).double().mean(1)
    assert len(set(shares.tolist())) > 1  # each sequence has its own sparsity


def test_where_every_unit_speaks_for_the_score_it_is_the_largest_sparsity_there_is() -> None:
    model = seeded(lambda: nn.Sequential(nn.Conv1d(4, 5, 5), nn.ReLU(), nn.Flatten(), nn.Linear(80, 1, bias=False)))
    model[3].weight.data.abs_()
    target = torch.zeros(5, dtype=torch.long)
    scored = Scored(model, sp.NeuronMCT(max_change=0.15), target)
    for n, scores in enumerate(scored.of_units):
        lost = scores.sort().values.cumsum(0) / scored.score[n]  # the score is the sum of all
        largest = int((lost <= 0.15).sum())
        assert int((scores <= scored.threshold[n]).sum()) == largest
    assert (scored.of_units <= scored.threshold).double().mean() > 0.3


def test_a_score_that_its_units_do_not_matter_to_loses_them_all() -> None:
    model = seeded(lambda: nn.Sequential(nn.Conv1d(4, 5, 5), nn.ReLU(), nn.Flatten(), nn.Linear(80, 1)))
    model[3].weight.data.mul_(1e-6)
    e = sp.explain(model, X, method=sp.NeuronMCT(max_change=0.15))
    assert not e.relevance.any()


def test_no_change_allowed_prunes_what_is_silent_alone() -> None:
    scored = Scored(classifier(), sp.NeuronMCT(max_change=0.0), TARGETS)
    y, _ = masked(classifier(), X, scored.masks(scored.threshold))
    torch.testing.assert_close(y, scored.score, rtol=0, atol=0)
    torch.testing.assert_close(
        sp.explain(classifier(), X, TARGETS, sp.NeuronMCT(max_change=0.0)).relevance,
        sp.explain(classifier(), X, TARGETS, "gradient-x-input").relevance,
    )


# ---- settings


@pytest.mark.parametrize(
    ("values", "where"),
    [
        ({"sparsity": 1.0}, "sparsity"),
        ({"sparsity": -0.1}, "sparsity"),
        ({"sparsity": "most"}, "sparsity"),
        ({"max_change": -1}, "max_change"),
        ({"max_change": float("nan")}, "max_change"),
        ({"sparsity": 0.5, "max_change": 0.1}, "sparsity, max_change"),
        ({"readout": "input"}, "readout"),
        ({"steps": 0}, "steps"),
        ({"steps": 2.5}, "steps"),
    ],
)
def test_a_setting_that_can_not_be_is_named(values: dict, where: str) -> None:
    with pytest.raises(sp.SeqplrpError) as caught:
        sp.NeuronIntGrad(**values)
    assert caught.value.where == where


def test_a_finer_grid_changes_the_scores() -> None:
    coarse, fine = (Scored(wide(), sp.NeuronIntGrad(steps=steps), TARGETS).of_units for steps in (1, 10))
    torch.testing.assert_close(coarse, Scored(wide(), sp.NeuronMCT(), TARGETS).of_units)
    assert not torch.allclose(coarse, fine)


def test_a_note_says_that_the_map_does_not_sum_to_the_score() -> None:
    e = sp.explain(binary(), X, method="neuron-intgrad")
    assert any("does not sum to the score" in note for note in e.notes)
    assert len(e.ledger) == 0
