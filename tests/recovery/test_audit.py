"""The artifact audit: what was planted is found by name and place; clean models give no finding."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import torch
from audit_nets import LENGTH, Clean, Comb, OneStrand, Planted, Weighted, explain_function

import seqplrp as sp
from seqplrp import motifs
from seqplrp.errors import SeqplrpError
from seqplrp.models import TrainOptions, make_dataset
from seqplrp.recovery import AuditOptions, OtherOutputs, Retraining, audit_json, audit_page, pool_strides, run_audit

SMALL = {"sequences": 150, "backgrounds": 12}


def audited(explain, *checks, **more):
    options = AuditOptions(**SMALL, **({"checks": checks} if checks else {}))
    return run_audit(explain, LENGTH, options=options, **more)


def findings(found, level="finding"):
    return [one for result in found.results for one in result.findings if one.level == level]


def overlap(ranges, start, end):
    """Share of start-end that the ranges cover, and how many of their positions lie outside."""
    places = {i for a, b in ranges for i in range(a, b)}
    return len(places & set(range(start, end))) / (end - start), len(places - set(range(start, end)))


@pytest.mark.parametrize(("seed", "method"), [(0, "lrp"), (1, "plrp")])
def test_a_clean_model_gives_no_finding(seed, method):
    found = audited(explain_function(Clean(seed), method=method))
    assert findings(found) == findings(found, "note") == []
    status = {result.check: result.status for result in found.results}
    assert status.pop("permutation") == "not run"
    assert set(status.values()) == {"nothing found"}


def test_large_weights_of_a_flattened_end_are_an_edge_at_that_end():
    places = torch.ones(LENGTH)
    places[:5] = 6.0
    (one,) = findings(audited(explain_function(Weighted(places)), "position"))
    assert (one.check, one.name, one.details["end"], one.cause) == ("position", "edge", "start", "model")
    covered, beyond = overlap(one.positions, 0, 5)
    assert covered == 1
    assert beyond <= 3  # half a kernel
    assert one.size > 2
    assert "first" in one.what


def test_zero_padding_that_takes_the_ends_from_their_windows_is_told_by_size_and_place():
    found = audited(explain_function(Weighted(torch.ones(LENGTH))), "position")
    told = [one for result in found.results for one in result.findings]
    assert {(one.name, one.details["end"]) for one in told} == {("edge", "start"), ("edge", "end")}
    assert findings(found) == []  # three of 120 bases at each end: true, but of no consequence
    for one in told:
        assert one.size < 0.85
        assert one.details["displaced_share"] < 0.02
        width = one.positions[0][1] - one.positions[0][0]
        assert 1 <= width <= 4


def test_a_pools_stride_is_found_with_its_period_phase_and_layer_and_is_the_models_own():
    explainer = sp.Explainer(Comb(), torch.zeros(1, 4, LENGTH), "gradient-x-input")
    strides = pool_strides(explainer.graph)
    assert strides == {4: "pool"}
    (one,) = findings(audited(explainer, "position", strides=strides))
    assert (one.name, one.details["period"], one.details["layer"], one.cause) == ("comb", 4, "pool", "model")
    assert int(np.argmin(one.details["phases"])) == 2  # conv windows stand on 4 j - 1 to 4 j + 1
    assert min(one.details["phases"]) < 1e-6
    assert {(i, i + 1) for i in range(2, LENGTH, 4)} <= set(one.positions)
    assert "period of 4 positions (the stride that pool reaches)" in one.what


def test_a_comb_of_the_explanation_alone_is_found_without_strides_and_not_laid_to_the_model():
    def combed(maps, x):
        return maps * torch.where(torch.arange(LENGTH) % 7 == 3, 2.0, 1.0)

    (one,) = findings(audited(explain_function(Clean(3), combed), "position"))
    assert (one.name, one.details["period"], one.cause) == ("comb", 7, "explanation")
    assert int(np.argmax(one.details["phases"])) == 3
    assert one.size == pytest.approx(7 / 8, abs=0.15)  # (2 - 1) over the mean, 8 / 7


def test_combs_within_combs_are_told_apart():
    def combed(maps, x):
        at = torch.arange(LENGTH)
        return maps * torch.where(at % 4 == 0, 1.6, 1.0) * torch.where(at % 9 == 0, 1.8, 1.0)

    found = findings(audited(explain_function(Clean(4), combed), "position"))
    assert {4, 9} <= {one.details["period"] for one in found if one.name == "comb"}


def test_places_that_a_flattened_layer_weighs_more_are_found_where_they_are():
    places = torch.ones(LENGTH)
    places[70:80] = 3.0
    found = findings(audited(explain_function(Weighted(places)), "position"))
    (one,) = [one for one in found if one.name == "uneven"]
    covered, beyond = overlap(one.positions, 70, 80)
    assert covered == 1
    assert beyond <= 6
    assert one.cause == "model"
    assert not [one for one in found if one.name == "comb"]


def test_random_weights_of_places_are_uneven_stretches_and_neither_edges_nor_combs():
    places = torch.exp(0.6 * torch.randn(LENGTH, generator=torch.Generator().manual_seed(0)))
    found = findings(audited(explain_function(Weighted(places)), "position"))
    assert {one.name for one in found} == {"uneven"}


def test_maps_that_do_not_move_with_the_motif_are_found():
    def fixed(maps, x):
        out = torch.rand(maps.shape, generator=torch.Generator().manual_seed(0))
        out[:, 40:50] += 5
        return out

    model = explain_function(OneStrand(), fixed)
    found = audited(model, "offset", motifs=[motifs.load("GATA1")])
    assert "does not follow" in {one.name for one in findings(found)}
    assert found.motif.name == "GATA1"


def test_maps_that_give_a_motif_nothing_though_the_score_answers_do_not_follow_it():
    nothing = explain_function(OneStrand(), lambda maps, x: 0 * maps)
    (one,) = findings(audited(nothing, "offset", motifs=[motifs.load("GATA1")]))
    assert (one.name, one.size) == ("does not follow", 0)
    still = audited(lambda x: Planted(0 * x.sum(1), 0 * x.sum((1, 2))), "offset").results[0]
    assert (still.status, still.summary[:12]) == ("not run", "did not run:")


def test_a_motif_that_is_seen_less_at_one_end_is_told_with_its_offsets():
    places = torch.ones(LENGTH)
    places[90:] = 0.1

    class Blind(OneStrand):
        def forward(self, x):
            hits = self.conv(x).relu()
            return (hits[..., :LENGTH] * places).sum((1, 2))[:, None] + 1.0

    found = audited(explain_function(Blind(0.3)), "offset", motifs=[motifs.load("GATA1")])
    told = [one for one in findings(found) if one.name in ("edge", "uneven")]
    assert told
    low = [r for one in told for r in one.positions if one.size < 1]
    covered, _ = overlap(low, 92, LENGTH - 11)
    assert covered > 0.8
    assert {one.cause for one in told} <= {"model", "both"}


def test_the_motif_that_moves_the_score_most_is_found_in_the_library():
    found = audited(explain_function(OneStrand()), "offset")
    assert "GATA" in found.motif.name
    assert findings(found) == []


def test_a_model_of_one_strand_is_found_and_averaging_both_strands_is_clean():
    (one,) = findings(audited(explain_function(OneStrand()), "strand"))
    assert (one.check, one.cause) == ("strand", "model")
    assert one.size > 0.5
    both = sp.Explainer(OneStrand(), torch.zeros(1, 4, LENGTH), sp.GradientTimesInput(reverse_complement=True))
    assert findings(audited(both, "strand")) == []


def test_an_asymmetry_that_the_score_does_not_have_is_the_explanations():
    def shifted(maps, x):
        return maps.roll(1, dims=1)

    (one,) = findings(audited(explain_function(Clean(0), shifted), "strand"))
    assert one.cause == "explanation"
    assert abs(one.details["shift"]) == 2  # one base each way
    assert "moved by" in one.what


def where_written(x, name):
    """1 on each exact copy of a motif's consensus: (N, L)."""
    word = sp.one_hot(motifs.load(name).consensus)
    hits = torch.nn.functional.conv1d(x, word) == word.sum()
    return torch.nn.functional.conv_transpose1d(hits.float(), torch.ones(1, 1, word.shape[2]))[:, 0]


def fond_of(name, size):
    """Give each base of a motif some relevance beside what it has."""
    return lambda maps, x: maps + size * where_written(x, name)


class Reads(torch.nn.Module):
    """The score is a weight for each motif that is there; the noise hangs on every base and on no motif."""

    def __init__(self, weights, noise=0.0):
        super().__init__()
        self.weights, self.noise = weights, noise
        self.phases = 30 * torch.randn(4, LENGTH, generator=torch.Generator().manual_seed(1))

    def forward(self, x):
        score = sum(w * where_written(x, name).amax(1) for name, w in self.weights.items())
        return score + self.noise * torch.sin((x * self.phases).sum((1, 2)))


def telling(model, relevance):
    """An explain function whose maps are made by hand: each base of a motif gets what is said."""

    def explain(x):
        maps = 1e-3 * x.sum(1) + sum(r * where_written(x, name) for name, r in relevance.items())
        return Planted(maps, model(x))

    return explain


def asked_of_distractors(explain, *names, backgrounds=24, **more):
    options = AuditOptions(sequences=50, backgrounds=backgrounds, checks=("distractor",))
    more = {"motifs": [motifs.load("GATA1")], "distractor_motifs": [motifs.load(name) for name in names], **more}
    return run_audit(explain, LENGTH, options=options, **more)


def test_mass_on_a_motif_that_the_score_ignores_is_found_by_its_name():
    found = asked_of_distractors(explain_function(OneStrand(0.8), fond_of("CTCF", 0.5)), "CTCF", "SRF", "REST")
    (one,) = findings(found)
    assert (one.details["motif"], one.cause) == ("CTCF", "explanation")
    assert one.details["answer_most"] < 0.1 < one.details["map_least"]
    assert "the score was not seen to answer to it, and answers by less than 0.0" in one.what
    assert "nothing of the kind" not in audit_page(found, subject="")
    by_name = {each["name"]: each["outcome"] for each in found.results[0].statistics["distractors"]}
    assert by_name == {"CTCF": "adds", "SRF": "not blamed", "REST": "not blamed"}


def test_a_motif_that_the_model_uses_is_a_note_and_no_finding_even_if_it_is_said_to_be_a_distractor():
    found = asked_of_distractors(explain_function(OneStrand()), "GATA1")
    assert findings(found) == findings(found, "unsettled") == []
    (one,) = findings(found, "note")
    assert (one.name, one.details["motif"], one.cause) == ("used", "GATA1", "model")
    assert "the model uses it" in one.what


def test_a_motif_that_the_model_uses_weakly_is_not_said_to_be_added():
    model = Reads({"GATA1": 1.0, "CTCF": 0.06})
    in_proportion = {"GATA1": 1 / motifs.load("GATA1").width, "CTCF": 0.06 / motifs.load("CTCF").width}
    found = asked_of_distractors(telling(model, in_proportion), "CTCF")
    assert findings(found) == []
    (one,) = findings(found, "note")
    assert one.name == "used"
    assert one.details["answer_least"] == pytest.approx(0.06, abs=0.005)


def test_a_weak_use_that_the_map_overstates_is_found_and_the_weak_use_is_told():
    model = Reads({"GATA1": 1.0, "CTCF": 0.06})
    (one,) = findings(asked_of_distractors(telling(model, {"GATA1": 0.1, "CTCF": 0.1}), "CTCF"))
    assert one.cause == "both"
    assert "the score answers to it by 0.06 to 0.0" in one.what
    assert "not seen" not in one.what


def test_a_weak_use_under_noise_is_unsettled_and_the_named_number_of_backgrounds_settles_it():
    model = Reads({"GATA1": 1.0, "CTCF": 0.2}, noise=0.6)
    explain = telling(model, {"GATA1": 0.1, "CTCF": 0.02})
    found = asked_of_distractors(explain, "CTCF", backgrounds=8)
    assert findings(found) == []
    (one,) = findings(found, "unsettled")
    assert (one.name, one.cause, found.results[0].status) == ("unsettled", "unsettled", "unsettled")
    page = audit_page(found, subject="")
    assert "**Nothing found** in 1 checks. Unsettled: 1." in page
    assert "## Unsettled" in page
    asked = int(re.search(r"--backgrounds (\d+)", one.remedy)[1])
    assert f"about {one.details['settled_by']} backgrounds" in one.remedy
    assert 8 < asked < 400
    again = asked_of_distractors(explain, "CTCF", backgrounds=5 * asked)  # the first means were uncertain
    assert findings(again, "unsettled") == findings(again) == []
    assert [each.name for each in findings(again, "note")] == ["used"]


def test_a_motif_that_raises_here_and_lowers_there_is_not_said_to_be_added():
    class Changing(Reads):
        def forward(self, x):
            sign = torch.where(x[:, 0, 0] + x[:, 1, 0] > 0, 1.0, -1.0)  # by the first base
            return super().forward(x) + sign * where_written(x, "CTCF").amax(1)

    found = asked_of_distractors(telling(Changing({"GATA1": 1.0}), {"GATA1": 0.1, "CTCF": 0.1}), "CTCF")
    assert findings(found) == []
    (one,) = findings(found, "note")
    assert abs(one.details["score_change"]) < 0.4  # by its mean alone little is seen
    assert one.name == "used"


def test_a_motif_whose_use_cancels_but_whose_letters_matter_is_not_said_to_be_added():
    class Cancelling(Reads):
        """Half of CTCF lowers the score as much as the other half raises it."""

        def forward(self, x):
            word = sp.one_hot(motifs.load("CTCF").consensus)
            half = word.shape[2] // 2
            first, second = word[..., :half], word[..., -half:]
            hits = [(torch.nn.functional.conv1d(x, one) == one.sum()).any(2)[:, 0].float() for one in (first, second)]
            return super().forward(x) + hits[0] - hits[1]

    found = asked_of_distractors(telling(Cancelling({"GATA1": 1.0}), {"GATA1": 0.1, "CTCF": 0.1}), "CTCF")
    assert findings(found) == []
    assert [one.name for one in findings(found, "note")] == ["used"]


def test_without_a_motif_that_the_model_uses_nothing_is_laid_to_the_explanation():
    found = asked_of_distractors(telling(Reads({}, noise=0.1), {"CTCF": 1.0}), "CTCF", motifs=[motifs.load("SRF")])
    assert found.motif is None
    assert findings(found) == []
    (one,) = findings(found, "unsettled")
    assert "nothing to measure its answer to this one by" in one.what
    assert "--motif" in one.remedy


def test_motifs_of_other_outputs_are_no_distractors():
    model, other = Reads({"GATA1": 1.0}), Reads({"CTCF": 1.0})
    explain = telling(model, {"GATA1": 0.1, "CTCF": 0.1})
    others = OtherOutputs(lambda x: other(x)[:, None], ("insulator",))
    assert findings(asked_of_distractors(explain, "CTCF"))
    found = asked_of_distractors(explain, "CTCF", others=others)  # named by the user: told, not judged
    assert findings(found) == findings(found, "unsettled") == []
    (one,) = findings(found, "note")
    assert (one.name, one.details["others"]) == ("of another output", ("insulator",))
    assert "other outputs surely answer to it (insulator)" in one.what
    every = AuditOptions(sequences=50, backgrounds=8, distractors=200, checks=("distractor",))
    for outputs, there in ((None, True), (others, False)):
        result = run_audit(explain, LENGTH, options=every, motifs=[motifs.load("GATA1")], others=outputs).results[0]
        assert ("CTCF" in [each["name"] for each in result.statistics["distractors"]]) == there


def test_other_outputs_of_another_number_than_their_names_are_an_error():
    others = OtherOutputs(lambda x: x.sum((1, 2))[:, None], ("a", "b"))
    with pytest.raises(SeqplrpError, match=r"others: gives shape \(\d+, 1\), expected \(\d+, 2\)"):
        audited(explain_function(OneStrand()), "distractor", others=others)


def test_strands_that_may_or_may_not_be_alike_are_unsettled_with_a_number_of_sequences():
    def sometimes(maps, x):
        turned = x[:, 0, 0] + x[:, 3, 0] > 0
        return torch.where(turned[:, None] & (x[:, 1, 1:3].sum(1) > 0)[:, None], maps.roll(1, 1), maps)

    options = AuditOptions(sequences=50, checks=("strand",))
    found = run_audit(explain_function(Clean(0), sometimes), LENGTH, options=options)
    figures = found.results[0].statistics
    assert figures["difference_low"] <= 0.1 < figures["difference_high"]  # or this tests nothing
    (one,) = findings(found, "unsettled")
    assert "can't be told" in one.what
    assert "--sequences" in one.remedy


def test_scores_alike_on_both_strands_do_not_make_an_asymmetry_the_explanations():
    worth = torch.linspace(1, 0, LENGTH)

    def explain(x):
        maps = x[:, :2].sum(1) * worth  # what the model reads, base by base, and it reads the left alone
        many = (x[:, 0] + x[:, 3]).sum(1) > LENGTH / 2  # moves the score much and alike on both strands, no base of it
        return Planted(maps, maps.sum(1) + 500 * many)

    result = audited(explain, "strand").results[0]
    assert result.statistics["score_difference_high"] < 0.05
    (one,) = result.findings
    assert (one.level, one.cause) == ("finding", "model")
    assert "the score's own answers to the same mutations differ by" in one.what


@pytest.mark.parametrize(("others", "level"), [(0.0, "finding"), (60.0, "unsettled")])
def test_a_flat_map_is_blamed_only_where_the_score_rises_by_much_of_itself(others, level):
    def flat(x):
        return Planted(x.sum(1), others + where_written(x, "GATA1").amax(1))

    options = AuditOptions(sequences=50, backgrounds=8, checks=("offset",))
    (one,) = run_audit(flat, LENGTH, options=options, motifs=[motifs.load("GATA1")]).results[0].findings
    assert one.level == level  # a sixtieth more of the score is next to nothing on top of 6 % of the bases
    width = motifs.load("GATA1").width
    share, rise = width / LENGTH, 1 / (1 + others)
    assert one.details["ratio_due"] == pytest.approx(1 + rise * (1 - share) / share, rel=0.02)


def test_a_motif_whose_relevance_is_too_noisy_to_follow_is_unsettled_not_found():
    generator = torch.Generator().manual_seed(0)

    def noisy(maps, x):
        chosen = torch.rand(1, generator=generator) < 0.3  # in some backgrounds it does follow
        return torch.rand(maps.shape, generator=generator) + chosen * 3 * where_written(x, "GATA1")

    options = AuditOptions(sequences=50, backgrounds=8, checks=("offset",))
    gata = [motifs.load("GATA1")]
    found = run_audit(explain_function(OneStrand(), noisy), LENGTH, options=options, motifs=gata)
    assert "does not follow" not in {one.name for one in findings(found)}
    (one,) = findings(found, "unsettled")
    assert (one.name, one.cause) == ("does it follow", "unsettled")


def test_maps_that_hang_on_the_inputs_size_are_found_and_a_net_without_biases_is_scaled_exactly():
    found = audited(explain_function(OneStrand(0.9)), "scaling", "capping", motifs=[motifs.load("GATA1")])
    assert "scaling" in {one.check for one in findings(found)}  # at 0.8 of the score no site is above the bias
    bare = Clean(0)
    with torch.no_grad():
        bare.bias.zero_()
    result = audited(explain_function(bare), "scaling").results[0]
    np.testing.assert_allclose(result.statistics["agreement"], 1, atol=1e-5)


def small_task(n=700, length=48, seed=0):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, (n, length), dtype=np.uint8)
    word = np.array([3, 3, 2, 0, 1, 0, 2, 1], dtype=np.uint8)
    for row in range(0, n, 2):
        at = rng.integers(0, length - len(word))
        codes[row, at : at + len(word)] = word
    labels = (np.arange(n) % 2 == 0).astype(np.float32)[:, None]
    return make_dataset(codes, labels, kind="binary", classes=["positive"], seed=seed, test_fraction=0.3)


def test_retraining_on_permuted_positions_says_what_neighbourhood_is_worth():
    data = small_task()
    retraining = Retraining(
        data=data,
        architecture="deepbind",
        options={"filters": 8, "kernel": 9, "hidden": 8},
        training=TrainOptions(epochs=10, batch_size=32, patience=10),
        explain=lambda model: sp.Explainer(model, torch.zeros(1, 4, data.length), "lrp"),
    )
    options = AuditOptions(**SMALL, checks=("permutation",))
    (result,) = run_audit(lambda x: None, data.length, options=options, retraining=retraining).results
    figures = result.statistics
    assert result.ran
    assert figures["auroc"] > 0.9
    assert figures["auroc_permuted"] < figures["auroc"] - 0.1
    assert sorted(figures["order"]) == list(range(data.length))
    assert -1 <= figures["correlation_in_network_order"] <= 1


def test_the_same_seed_gives_the_same_audit_and_json_holds_all_of_it():
    first, second = (audit_json(audited(explain_function(Comb()), "position", "strand")) for _ in range(2))
    assert first == second
    text = json.dumps(first, allow_nan=False)
    assert json.loads(text) == first
    comb = first["checks"][0]["findings"][0]
    assert comb["details"]["period"] == 4
    assert len(first["checks"][0]["statistics"]["mean"]) == LENGTH


def test_the_page_names_artifact_size_place_and_remedy_and_says_what_did_not_run():
    found = audited(explain_function(Comb()), "position", "permutation")
    page = audit_page(found, subject="A model by a method", pictures={"position": "position.png"})
    assert "**1 finding** in 1 checks. Not run: permutation." in page
    assert "[position.png](position.png)" in page
    assert "period of 4 positions" in page
    assert "what to do:" in page
    assert "did not run: it needs the training data (--data)" in page
    assert "2302.12317" in page
    clean = audit_page(audited(explain_function(Clean(0)), "scaling"), subject="A model")
    assert "**Nothing found**" in clean
    assert "## Findings" not in clean


def test_every_check_that_ran_draws_its_picture():
    found = audited(explain_function(OneStrand()), motifs=[motifs.load("GATA1")])
    for result in found.results:
        assert (result.draw is None) == (not result.ran)
        if result.draw is not None:
            result.draw().canvas.draw()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"length": 10}, "length: is 10; audit sequences of 20 bases or more"),
        ({"options": AuditOptions(sequences=3)}, "sequences: is 3; give at least 50"),
        ({"options": AuditOptions(checks=("edges",))}, "checks: 'edges' is no check; choose from position, offset"),
        ({"real": np.zeros((30, 50), np.uint8)}, r"real: has shape \(30, 50\), expected \(N, 120\)"),
        ({"real": np.zeros((3, 120), np.uint8)}, "real: 3 sequences of 120 bases are too few"),
        ({"real": np.full((30, 120), 4, np.uint8)}, "real: a sequence holds no base but N"),
    ],
)
def test_bad_requests_are_one_clear_error(more, message):
    with pytest.raises(SeqplrpError, match=message):
        run_audit(**{"explain": explain_function(Clean(0)), "length": LENGTH, **more})


def test_maps_of_another_shape_or_not_finite_are_an_error_of_the_explain_function():
    with pytest.raises(SeqplrpError, match=r"explain: gives maps \(150, 4, 120\)"):
        audited(lambda x: Planted(x, x.sum((1, 2))), "position")
    with pytest.raises(SeqplrpError, match="not finite"):
        audited(lambda x: Planted(x.sum(1) * torch.nan, x.sum((1, 2))), "position")


def test_maps_that_are_zero_everywhere_are_told_not_judged():
    found = audited(lambda x: Planted(0 * x.sum(1), x.sum((1, 2))), "position", "scaling")
    assert [result.status for result in found.results] == ["not run", "not run"]


def test_unknown_bases_at_the_ends_of_real_sequences_are_no_edge():
    real = np.random.default_rng(0).integers(0, 4, (40, LENGTH)).astype(np.uint8)
    real[:, :20] = 4
    real[:, -20:] = 4
    assert findings(audited(explain_function(Clean(0)), "position", real=real)) == []
