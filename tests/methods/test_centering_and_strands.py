"""Centring and both strands, by hand."""

from __future__ import annotations

import pytest
import torch
from nets import binary, both_strands, classifier, sequences
from torch import Tensor, nn

import seqplrp as sp

X = sequences()
METHODS = {
    "lrp": sp.LRP,
    "gamma": lambda **options: sp.LRP(rule=sp.Gamma(0.25), **options),
    "plrp": sp.PLRP,
    "relative": lambda **options: sp.PLRP(rule=sp.Relative(), **options),
    "gradient x input": sp.GradientTimesInput,
    "saliency": sp.Saliency,
}


def rc(x: Tensor) -> Tensor:
    return x.flip(1, 2)


@pytest.mark.parametrize("name", list(METHODS))
def test_uniform_centring_subtracts_the_mean_over_the_four_bases(name: str) -> None:
    raw = sp.explain(classifier(), X, target=1, method=METHODS[name]()).hypothetical
    e = sp.explain(classifier(), X, target=1, method=METHODS[name](center="uniform"))
    centred = raw - raw.mean(1, keepdim=True)
    torch.testing.assert_close(e.hypothetical, centred, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(e.relevance, X * centred, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(e.hypothetical.sum(1), torch.zeros(5, 20).double(), rtol=0, atol=1e-12)
    assert not e.relevance[X == 0].any()


@pytest.mark.parametrize("name", list(METHODS))
def test_composition_centring_weighs_the_bases_by_their_frequency_in_the_sequence(name: str) -> None:
    raw = sp.explain(classifier(), X, target=1, method=METHODS[name]()).hypothetical
    e = sp.explain(classifier(), X, target=1, method=METHODS[name](center="composition"))
    for n in range(5):
        counts = [float(X[n, b].sum()) for b in range(4)]  # N counts for none
        frequencies = [c / sum(counts) for c in counts]
        mean = sum(f * raw[n, b] for b, f in enumerate(frequencies))
        torch.testing.assert_close(e.hypothetical[n], raw[n] - mean, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(e.relevance, X * e.hypothetical)


def test_a_sequence_of_n_alone_is_centred_without_a_division_by_zero() -> None:
    x = torch.zeros(2, 4, 20, dtype=torch.float64)
    for center in ("uniform", "composition"):
        e = sp.explain(classifier(), x, target=0, method=sp.LRP(center=center, reverse_complement=True))
        assert torch.isfinite(e.hypothetical).all()
        assert not e.relevance.any()


def test_centring_needs_hypothetical_contributions_and_dna() -> None:
    with pytest.raises(sp.SeqplrpError) as caught:
        sp.explain(binary(), X, method=sp.LRP(rule={"0": sp.Flat(), "*": sp.Epsilon()}, center="uniform"))
    assert caught.value.where == "center"
    for method in (sp.LRP(center="uniform"), sp.LRP(reverse_complement=True)):
        with pytest.raises(sp.SeqplrpError, match="one-hot DNA"):
            sp.explain(torch.nn.Linear(3, 1), torch.ones(2, 3), method=method)


@pytest.mark.parametrize("name", [n for n in METHODS if n != "relative"])
def test_both_strands_are_the_mean_of_two_maps(name: str) -> None:
    forward = sp.explain(classifier(), X, target=1, method=METHODS[name]())
    backward = sp.explain(classifier(), rc(X), target=1, method=METHODS[name]())
    e = sp.explain(classifier(), X, target=1, method=METHODS[name](reverse_complement=True))
    torch.testing.assert_close(e.relevance, (forward.relevance + rc(backward.relevance)) / 2)
    torch.testing.assert_close(e.hypothetical, (forward.hypothetical + rc(backward.hypothetical)) / 2)
    torch.testing.assert_close(e.output, (forward.output + backward.output) / 2)
    torch.testing.assert_close(e.relevance, X * e.hypothetical)


def test_relative_maps_are_brought_to_one_size_and_one_sign_before_they_are_averaged() -> None:
    found = [sp.explain(classifier(), x, target=1, method=METHODS["relative"]()) for x in (X, rc(X))]
    maps, scores = [found[0].relevance, rc(found[1].relevance)], [one.output for one in found]
    e = sp.explain(classifier(), X, target=1, method=METHODS["relative"](reverse_complement=True))
    sizes = [m.abs().sum((1, 2)) for m in maps]
    assert not torch.allclose(*sizes)
    assert (scores[0] * scores[1] < 0).any()
    mean_size = (sizes[0] + sizes[1]) / 2  # and in the mean, positive is the evidence for the output
    factors = [mean_size / size * score.sign() for size, score in zip(sizes, scores, strict=True)]
    scaled = [m * factor[:, None, None] for m, factor in zip(maps, factors, strict=True)]
    torch.testing.assert_close(e.relevance, (scaled[0] + scaled[1]) / 2)
    assert not torch.allclose(e.relevance, (maps[0] + maps[1]) / 2)


def test_strands_of_one_model_whose_scores_differ_in_sign_alone_agree_under_the_relative_rule() -> None:
    """R-LRP starts from the score itself, so the map of -f is that of f turned over: evidence must not cancel out."""
    counts = torch.tensor([[3.0], [0.0], [0.0], [-1.0]], dtype=torch.float64).expand(4, 20).contiguous()
    model = nn.Sequential(nn.Flatten(), nn.Linear(80, 1)).double()
    with torch.no_grad():
        model[1].weight.copy_(counts.reshape(1, 80))
        model[1].bias.zero_()
    x = sp.one_hot(["AAAAAAATCCGGGGGCCCCC", "CATTTTTTTCCCCGGGGGGG"], dtype=torch.float64)
    one, other = (sp.explain(model, strand, method=sp.LRP(rule="relative")) for strand in (x, rc(x)))
    assert (one.output * other.output < 0).all()
    both = sp.explain(model, x, method=sp.LRP(rule="relative", reverse_complement=True))
    evidence = (counts + rc(counts[None])[0]) * x  # what the base adds to the mean of both strands' scores
    assert (both.relevance * evidence >= 0).all()
    assert (both.relevance != 0).equal(evidence != 0)


@pytest.mark.parametrize("rule", [sp.Epsilon(), sp.Gamma(), {"6": sp.Epsilon(), "*": sp.Relative()}])
def test_maps_that_do_not_turn_with_the_score_are_not_turned(rule) -> None:
    method = sp.LRP(rule=rule)
    found = [sp.explain(classifier(), x, target=1, method=method) for x in (X, rc(X))]
    maps = [found[0].relevance, rc(found[1].relevance)]
    assert (found[0].output * found[1].output < 0).any()
    if not method.keeps_size:
        sizes = [m.abs().sum((1, 2), keepdim=True) for m in maps]
        maps = [m * (sizes[0] + sizes[1]) / 2 / size for m, size in zip(maps, sizes, strict=True)]
    both = sp.explain(classifier(), X, target=1, method=sp.LRP(rule=rule, reverse_complement=True))
    torch.testing.assert_close(both.relevance, (maps[0] + maps[1]) / 2)


def test_a_note_says_what_speaks_for_a_negative_score_under_the_relative_rule() -> None:
    def negated(y: Tensor) -> Tensor:
        return -y.abs().sum(1)

    for method, told in (
        (sp.LRP(rule="relative"), "negative relevance is the evidence for the output"),
        (sp.LRP(rule="relative", reverse_complement=True), "positive relevance is the evidence for the output"),
        (sp.LRP(), "positive relevance is the evidence for the output"),
    ):
        e = sp.explain(classifier(), X, target=negated, method=method)
        assert any(told in note for note in e.notes)
        by_epsilon = sp.LRP(reverse_complement=method.reverse_complement)
        agrees = float((sp.explain(classifier(), X, negated, by_epsilon).relevance * e.relevance).sum())
        assert agrees < 0 if told.startswith("negative") else agrees > 0


@pytest.mark.parametrize("center", [None, "uniform", "composition"])
@pytest.mark.parametrize("name", list(METHODS))
def test_a_sequence_and_its_reverse_complement_get_mirrored_maps(name: str, center) -> None:
    method = METHODS[name](reverse_complement=True, center=center)
    one, other = (sp.explain(classifier(), x, target=1, method=method) for x in (X, rc(X)))
    torch.testing.assert_close(rc(other.relevance), one.relevance, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(other.output, one.output)


@pytest.mark.parametrize("name", list(METHODS))
def test_a_model_that_reads_both_strands_alike_needs_no_average(name: str) -> None:
    plain = sp.explain(both_strands(), X, method=METHODS[name]())
    averaged = sp.explain(both_strands(), X, method=METHODS[name](reverse_complement=True))
    torch.testing.assert_close(averaged.relevance, plain.relevance, rtol=1e-9, atol=1e-11)
    mirrored = sp.explain(both_strands(), rc(X), method=METHODS[name]())
    torch.testing.assert_close(rc(mirrored.relevance), plain.relevance, rtol=1e-9, atol=1e-11)


def test_the_ledger_tells_the_strands_apart() -> None:
    e = sp.explain(classifier(), X, target=1, method=sp.LRP(reverse_complement=True), batch_size=2)
    assert e.ledger.strand.unique().tolist() == ["+", "-"]
    for strand, x in (("+", X), ("-", rc(X))):
        alone = sp.explain(classifier(), x, target=1, method=sp.LRP()).ledger
        part = e.ledger[e.ledger.strand == strand].drop(columns="strand").reset_index(drop=True)
        assert part.relevance_out.to_numpy() == pytest.approx(alone.relevance_out.to_numpy())
        assert part.sequence.tolist() == alone.sequence.tolist()


def test_both_strands_are_explained_for_the_output_predicted_on_the_strand_that_was_given() -> None:
    e = sp.explain(classifier(), X, target="predicted", method=sp.LRP(reverse_complement=True))
    assert torch.equal(e.target, classifier()(X).argmax(1))


@pytest.mark.parametrize("name", list(METHODS))
def test_strand_consistency_is_the_cosine_between_the_two_strands_maps(name: str) -> None:
    method = METHODS[name]
    both = sp.explain(classifier(), X, target=1, method=method(reverse_complement=True), batch_size=2)
    forward = sp.explain(classifier(), X, target=1, method=method()).per_base
    backward = sp.explain(classifier(), rc(X), target=1, method=method()).per_base.flip(1)
    expected = torch.nn.functional.cosine_similarity(forward, backward, dim=1, eps=0.0)
    torch.testing.assert_close(both.strand_consistency, expected, rtol=1e-9, atol=1e-12)
    assert (both.strand_consistency < 0.999).all(), "this net does not treat both strands alike"


def test_strand_consistency_is_one_where_the_net_treats_both_strands_alike() -> None:
    e = sp.explain(both_strands(), X, method=sp.LRP(reverse_complement=True))
    torch.testing.assert_close(e.strand_consistency, torch.ones(5).double(), rtol=1e-9, atol=1e-12)
    members = sp.explain([both_strands(), both_strands()], X, method=sp.LRP(reverse_complement=True))
    torch.testing.assert_close(members.strand_consistency, e.strand_consistency, rtol=1e-9, atol=1e-12)


def test_strand_consistency_says_nothing_of_empty_maps_and_of_one_strand() -> None:
    x = X.clone()
    x[0] = 0
    e = sp.explain(classifier(), x, target=1, method=sp.LRP(reverse_complement=True))
    assert torch.isnan(e.strand_consistency[0])
    assert torch.isfinite(e.strand_consistency[1:]).all()
    assert sp.explain(classifier(), x, target=1, method="lrp").strand_consistency is None
