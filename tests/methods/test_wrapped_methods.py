"""SmoothGrad, a background of shuffles and the random floor, by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from nets import both_strands, classifier, seeded, sequences, without_biases
from torch import Tensor, nn

import seqplrp as sp
from seqplrp.methods.draws import generators_of, normal_like

X = sequences()
INNER = {
    "gradient": sp.GradientTimesInput(),
    "saliency": sp.Saliency(),
    "plrp": sp.PLRP(p=0.5),
    "relative": sp.LRP(rule="relative"),
    "neuron-mct": sp.NeuronMCT(),
}


def noise(x: Tensor, seed: int, draws: int) -> list[Tensor]:
    generators = generators_of(x, seed)
    return [normal_like(x, generators) for _ in range(draws)]


def score(x: Tensor) -> Tensor:
    return classifier()(x)[:, 1].detach()


def turn(name: str, output: Tensor, like: Tensor) -> Tensor:
    """Relative maps turn with the score's sign."""
    return ((output.sign() * like.sign()) if name == "relative" else torch.ones_like(like))[:, None, None]


# ---- SmoothGrad


@pytest.mark.parametrize("name", INNER)
def test_smoothgrad_is_the_mean_over_noisy_inputs(name: str) -> None:
    noisy = [X + 0.2 * n for n in noise(X, 7, 4)]
    found = [sp.explain(classifier(), x, 1, INNER[name]) for x in noisy]
    clean = score(X)
    maps = [one.hypothetical * turn(name, one.output, clean) for one in found]
    expected = torch.stack(maps).mean(0)
    e = sp.explain(classifier(), X, 1, sp.SmoothGrad(over=INNER[name], sigma=0.2, draws=4, seed=7))
    torch.testing.assert_close(e.hypothetical, expected, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(e.relevance, X * expected, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(e.output, classifier()(X)[:, 1].detach())  # of the clean input


def test_smoothgrad_without_noise_is_the_method_itself() -> None:
    for method in INNER.values():
        e = sp.explain(classifier(), X, 1, sp.SmoothGrad(over=method, sigma=0.0, draws=2))
        torch.testing.assert_close(e.relevance, sp.explain(classifier(), X, 1, method).relevance)


def test_noise_is_normal_of_the_size_asked_for_and_independent() -> None:
    x = sequences(6, 500, seed=3)
    drawn = torch.stack(noise(x, 0, 40))
    assert abs(float(drawn.mean())) < 0.01
    assert abs(float(drawn.std()) - 1) < 0.01
    correlations = np.corrcoef(drawn.permute(1, 0, 2, 3).reshape(6, -1).numpy())
    assert np.abs(correlations - np.eye(6)).max() < 0.02
    assert abs(float((drawn[0] * drawn[1]).mean())) < 0.02
    assert abs(float((drawn[..., 0] * drawn[..., 1]).mean())) < 0.1


def test_noise_is_as_large_as_the_input_wants_it() -> None:
    scaled = nn.Sequential(nn.Flatten(), nn.Linear(80, 1)).double()
    square = seeded(lambda: Square(scaled))
    one = sp.explain(square, X, method=sp.SmoothGrad(draws=3, sigma=0.5, seed=2))
    assert float(X.max() - X.min()) == 1
    x = 10 * X
    drawn = [10 * 0.5 * n for n in noise(x, 2, 3)]
    gradients = [sp.explain(square, x + n, method="gradient-x-input").hypothetical for n in drawn]
    ten = sp.explain(square, x, method=sp.SmoothGrad(draws=3, sigma=0.5, seed=2))
    torch.testing.assert_close(ten.hypothetical, torch.stack(gradients).mean(0))
    assert not torch.allclose(ten.hypothetical, one.hypothetical)


class Square(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x) ** 2


def test_the_output_that_is_highest_on_the_clean_input_is_explained_on_noisy_ones() -> None:
    highest = classifier()(X).argmax(1)
    for method in (sp.SmoothGrad(sigma=2.0, draws=5), sp.Background(n_shuffles=5)):
        e = sp.explain(classifier(), X, "predicted", method)
        assert torch.equal(e.target, highest)
        assert torch.equal(e.relevance, sp.explain(classifier(), X, highest, method).relevance)
    noisy = torch.cat([X + 2 * n for n in noise(X, 0, 5)])
    assert not torch.equal(classifier()(noisy).argmax(1), highest.repeat(5))  # so it could be another one


def test_smoothgrad_over_a_method_without_hypothetical_contributions_is_the_mean_of_its_maps() -> None:
    flat = sp.LRP(rule={"0": sp.Flat(), "*": sp.Epsilon()})
    e = sp.explain(classifier(), X, 1, sp.SmoothGrad(over=flat, sigma=0.2, draws=4, seed=7))
    maps = [sp.explain(classifier(), X + 0.2 * n, 1, flat).relevance for n in noise(X, 7, 4)]
    torch.testing.assert_close(e.relevance, torch.stack(maps).mean(0), rtol=1e-9, atol=1e-12)
    assert not e.has_hypothetical


def test_seeds_and_sequences_make_the_noise_differ() -> None:
    torch.testing.assert_close(
        normal_like(X, generators_of(X, 0)).float(), normal_like(X.float(), generators_of(X.float(), 0))
    )
    same = torch.cat([X[:1], X[:1], X[1:2]])
    drawn = normal_like(same, generators_of(same, 0))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.allclose(drawn[0], drawn[2])
    assert not torch.allclose(drawn, normal_like(same, generators_of(same, 1)))
    assert torch.equal(normal_like(-0.0 * X, generators_of(-0.0 * X, 0)), normal_like(0 * X, generators_of(0 * X, 0)))


# ---- a background of shuffles


@pytest.mark.parametrize("name", INNER)
def test_the_background_is_the_mean_over_shuffles_base_by_base_or_by_position(name: str) -> None:
    references = sp.shuffled_references(X, 4, 9)
    plain = sp.explain(classifier(), X, 1, INNER[name])
    shuffled = [sp.explain(classifier(), references[:, k], 1, INNER[name]) for k in range(4)]
    method = sp.Background(over=INNER[name], n_shuffles=4, references=sp.shuffled_references, seed=9)
    if name == "relative":  # their size means nothing
        sizes = [one.relevance.abs().sum((1, 2), keepdim=True) for one in (plain, *shuffled)]
        factors = [
            sizes[0] / size * turn(name, o.output, plain.output) for o, size in zip(shuffled, sizes[1:], strict=True)
        ]
        assert any((factor < 0).any() for factor in factors)
    else:
        factors = [torch.ones(5, 1, 1).double()] * 4
    by_base = sp.explain(classifier(), X, 1, method)
    expected = plain.hypothetical - torch.stack(
        [one.hypothetical * f for one, f in zip(shuffled, factors, strict=True)]
    ).mean(0)
    torch.testing.assert_close(by_base.hypothetical, expected, rtol=1e-9, atol=1e-12)
    by_position = sp.explain(classifier(), X, 1, replace(method, by="position"))
    mean = torch.stack([one.per_base * f[..., 0] for one, f in zip(shuffled, factors, strict=True)]).mean(0)
    present = X.sum(1)  # unknown bases have nothing to subtract from
    torch.testing.assert_close(by_position.per_base, plain.per_base - present * mean, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(by_base.output, plain.output)


def test_by_position_the_map_sums_to_the_score_less_that_of_the_shuffles() -> None:
    x = X[[0, 2, 3]]  # no unknown base
    method = sp.Background(n_shuffles=4, references=sp.shuffled_references, by="position")
    e = sp.explain(without_biases(), x, 1, method)
    references = sp.shuffled_references(x, 4, 0)
    means = torch.stack([without_biases()(references[:, k]) for k in range(4)]).mean(0)
    torch.testing.assert_close(e.relevance.sum((1, 2)), (without_biases()(x) - means)[:, 1].detach())


def test_what_a_motif_free_model_sees_everywhere_is_gone() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(80, 1)).double()
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor([0.0, 1.0, 1.0, 0.0]).repeat_interleave(20)[None])  # counts G and C
    plain, less = (sp.explain(model, X, method=m) for m in (sp.LRP(), sp.Background(over="lrp", n_shuffles=3)))
    assert plain.relevance.abs().max() > 0.9
    assert less.relevance.abs().max() < 1e-9


def test_the_shuffles_of_tangermeme_serve_unless_others_are_given() -> None:
    ersatz = pytest.importorskip("tangermeme.ersatz")
    known = X[[0, 2, 3]]
    maps = []
    for k in range(3):
        reference = ersatz.dinucleotide_shuffle(known, n=1, random_state=[5 + k] * 3)[:, 0]
        maps.append(sp.explain(classifier(), reference, 1, "lrp").hypothetical)
    expected = sp.explain(classifier(), known, 1, "lrp").hypothetical - torch.stack(maps).mean(0)
    e = sp.explain(classifier(), known, 1, sp.Background(over="lrp", n_shuffles=3, seed=5))
    torch.testing.assert_close(e.hypothetical, expected, rtol=1e-9, atol=1e-12)


# ---- what can't be


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: sp.SmoothGrad(over=sp.PLRP(center="uniform")), "over: .* has its own center"),
        (lambda: sp.Background(over=sp.PLRP(reverse_complement=True)), "set reverse_complement on Background"),
        (lambda: sp.SmoothGrad(over="plpr"), "over: 'plpr' is not known .did you mean 'plrp'"),
        (lambda: sp.SmoothGrad(over=3), "is not known"),
        (lambda: sp.SmoothGrad(sigma=-1), "sigma: -1"),
        (lambda: sp.SmoothGrad(draws=0), "draws: 0"),
        (lambda: sp.SmoothGrad(seed=-1), "seed: -1"),
        (lambda: sp.Background(n_shuffles=True), "n_shuffles: True"),
        (lambda: sp.Background(by="column"), "by: 'column'"),
        (lambda: sp.Background(references="shuffle"), "references: is a str"),
        (lambda: sp.Random(seed=0.5), "seed: 0.5"),
    ],
)
def test_a_setting_that_can_not_be_is_named(make, text: str) -> None:
    with pytest.raises(sp.SeqplrpError, match=text):
        make()


@pytest.mark.parametrize(
    ("references", "text"),
    [
        (lambda x, n, seed: x, r"gives \(1, 4, 20\) for one sequence and n=2, not \(1, 2, 4, 20\)"),
        (lambda x, n, seed: None, "gives NoneType"),
        (lambda x, n, seed: x[:, None].repeat(1, n, 1, 1) * float("nan"), "NaN"),
    ],
)
def test_a_function_that_gives_no_references_is_told(references, text: str) -> None:
    with pytest.raises(sp.SeqplrpError, match=text):
        sp.explain(classifier(), X, 1, sp.Background(n_shuffles=2, references=references))


def test_what_needs_dna_or_numbers_says_so() -> None:
    with pytest.raises(sp.SeqplrpError, match="needs one-hot DNA"):
        sp.explain(classifier(), X / 2, 1, sp.Background(references=sp.shuffled_references))
    flat = sp.LRP(rule={"0": sp.Flat(), "*": sp.Epsilon()})
    with pytest.raises(
        sp.SeqplrpError, match=r"^over: .*no hypothetical contributions, as under Flat\(.* first layer's \(0\)"
    ):
        sp.explain(classifier(), X, 1, sp.Background(over=flat, references=sp.shuffled_references))


class Tokens(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.head = nn.Embedding(5, 6), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.table(x).relu().mean(1))


@pytest.mark.parametrize("method", ["gradient-x-input", "saliency", "smoothgrad", "neuron-mct", "integrated-gradients"])
def test_tokens_have_no_gradient(method: str) -> None:
    with pytest.raises(sp.SeqplrpError, match="holds tokens"):
        sp.explain(seeded(Tokens), torch.randint(0, 5, (3, 12)), 0, method)


# ---- the floor


def test_the_random_floor_knows_nothing_of_the_model() -> None:
    one = sp.explain(classifier(), X, 1, "random")
    assert torch.equal(one.relevance, sp.explain(classifier(), X, 2, "random").relevance)
    assert torch.equal(one.relevance, sp.explain(both_strands(), X, method="random").relevance)
    assert not torch.allclose(one.relevance, sp.explain(classifier(), X, 1, sp.Random(seed=1)).relevance)
    torch.testing.assert_close(one.output, classifier()(X)[:, 1].detach())


# ---- PLRP's own fields together with a background, as METHODS.md has it


@pytest.mark.parametrize("center", [None, "uniform", "composition"])
def test_relative_plrp_with_gain_and_budget_composes_with_background_centring_and_strands(center) -> None:
    plrp = sp.PLRP(rule="relative", threshold="gain", gain=1.0)
    for inner in (plrp, sp.PLRP(rule="relative", budget=0.75)):
        method = sp.Background(over=inner, n_shuffles=3, center=center, reverse_complement=True)
        e = sp.explain(classifier(), X, 1, method)
        alone = sp.Background(over=inner, n_shuffles=3, center=center)
        found = [sp.explain(classifier(), x, 1, alone) for x in (X, X.flip(1, 2))]
        maps = [found[0].relevance, found[1].relevance.flip(1, 2)]
        sizes = [strand.abs().sum((1, 2), keepdim=True) for strand in maps]  # relative: one size and one sign first
        mean, signs = sum(sizes) / 2, [one.output.sign()[:, None, None] for one in found]
        expected = sum(m * s * mean / size for m, s, size in zip(maps, signs, sizes, strict=True)) / 2
        torch.testing.assert_close(e.relevance, expected, rtol=1e-9, atol=1e-12)
        assert torch.equal(e.relevance, X * e.hypothetical)
