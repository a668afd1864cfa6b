"""What tests say of two methods: never against their own ranks, and never by one of two tests alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from invented_runs import changed, config_of, invented

from seqplrp.benchmark import summary as summary_module
from seqplrp.benchmark.claim_pictures import mode_picture, steep_picture, steep_table
from seqplrp.benchmark.claims import claims_of
from seqplrp.benchmark.pairs import Pair, compare_pairs
from seqplrp.benchmark.report import as_markdown, report_blocks
from seqplrp.benchmark.sparsity_control import cut_maps
from seqplrp.benchmark.summary import in_scope, summarise_cells
from seqplrp.benchmark.verdicts import models_can_say, verdict_of

PLRP, PEER, LRP = "plrp p=0.5", "gxi", "plrp p=0"
PROTOCOLS = {"localisation": None, "sparsity": None, "faithfulness": {"draws": 2}}


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    monkeypatch.setattr(summary_module, "DRAWS", 50)
    # overall and single pairs: what lies between is tested with the tables
    monkeypatch.setattr(summary_module, "_LEVELS", (("group",), ("group", "task", "architecture")))


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return config_of(tmp_path_factory.mktemp("verdicts"), "one", protocols=PROTOCOLS)


@pytest.fixture(scope="module")
def untested(config):
    """The same without peers, for what needs no table of tests."""
    return replace(config, peers=(), matched=None)


def row_of(summary, measure: str, other: str = PEER, task: str = "all", architecture: str = "all"):
    tests = in_scope(summary.tests, "report", task, architecture)
    return tests[(tests["measure"] == measure) & (tests["other"] == other)].iloc[0]


def test_many_small_losses_and_few_large_gains_are_not_better(config) -> None:
    """Four of five sequences are worse by .05, one is better by .5: the mean is ahead, the ranks are behind."""

    def skewed(_, of) -> None:
        n = len(of(PLRP, "auprc"))
        of(PLRP, "auprc")[:] = of(PEER, "auprc") + np.where(np.arange(n) % 5 == 0, 0.5, -0.05)
        of(PLRP, "entropy")[:] = of(PEER, "entropy") + np.where(np.arange(n) % 5 == 0, 0.5, -0.05)

    summary = changed(invented(config, {}), skewed)
    for place in ({}, {"task": "one", "architecture": "a"}):
        row = row_of(summary, "auprc", **place)
        assert row["difference"] == pytest.approx(0.06)
        assert row["rank_biserial"] < 0
        if row["p_holm"] < 0.05:
            assert row["verdict"] == "undecided"
        assert row["verdict"] not in ("better", "worse")
    overall = row_of(summary, "auprc")
    # every single model's mean is ahead: the test over models says better, that over sequences can't be with it
    assert overall["rank_biserial_models"] == 1
    assert overall["p_models_holm"] < 0.05


def test_a_mean_against_significant_ranks_is_undecided_counted_and_told(config) -> None:
    """Nine of ten sequences behind: the test is clear, and says the opposite of the mean."""

    def skewed(_, of) -> None:
        n = len(of(PLRP, "auprc"))
        of(PLRP, "auprc")[:] = of(PEER, "auprc") + np.where(np.arange(n) % 10 == 0, 0.9, -0.05)

    summary = changed(invented(config, {}), skewed)
    row = row_of(summary, "auprc", task="one", architecture="a")
    assert row["difference"] > 0
    assert row["p_holm"] < 0.05
    assert row["verdict"] == "undecided"
    assert row_of(summary, "auprc")["verdict"] == "undecided"
    text = as_markdown(list(report_blocks(summary, [])))
    losses = text.split(f"### Where {PLRP} loses")[1].split("###")[0]
    overall = in_scope(summary.tests, "report")
    count = int(
        (
            (overall["verdict"] == "undecided") & (overall["reference"] == PLRP) & overall["other"].isin([PEER, LRP])
        ).sum()
    )
    assert f"undecided (mean and ranks, or the two tests, point in opposite ways) in {count}," in losses
    assert "AUPRC: +0.045" in losses.split("Undecided:")[1]


def test_better_needs_the_test_over_models_too_and_one_alone_is_told(config) -> None:
    """Sequences alike under every model but one: what all sequences share is one model's doing."""

    def one_model(cell, of) -> None:
        lead = 0.5 if (cell.seed, cell.architecture.name) == (0, "a") else -0.001 * cell.seed * (-1) ** cell.seed
        of(PLRP, "rra")[:] = of(PEER, "rra") - lead
        of(PLRP, "auprc")[:] = of(PEER, "auprc") + lead

    summary = changed(invented(config, {}), one_model)
    for measure, verdict in (("auprc", "better by one test"), ("rra", "worse by one test")):
        row = row_of(summary, measure)
        assert row["p_holm"] < 0.05
        assert row["p_models_holm"] > 0.05
        assert row["verdict"] == verdict
    assert row_of(summary, "auprc")["rests_on"] == "sequences and models"
    # two peers' correction of 2 / 2^6 is too much for six models to say anything
    assert row_of(summary, "auprc", task="one", architecture="a")["rests_on"] == "sequences alone"
    text = as_markdown(list(report_blocks(summary, [])))
    losses = text.split(f"### Where {PLRP} loses")[1].split("###")[0]
    assert "better by one of the two tests alone in " in losses
    assert "- RRA: -0.0" in losses.split("Worse by the test over sequences or that over models alone:")[1]


def test_where_models_are_too_few_sequences_decide_and_it_is_said(tmp_path) -> None:
    config = config_of(tmp_path, "one", seeds=2, protocols={"localisation": None})
    summary = invented(config, {"auprc": 0.2, "rra": -0.2})
    assert (row_of(summary, "auprc")["verdict"], row_of(summary, "rra")["verdict"]) == ("better", "worse")
    assert set(summary.tests["rests_on"]) == {"sequences alone"}
    text = as_markdown(list(report_blocks(summary, [])))
    assert "by the test over sequences alone, as there are too few models for the other one" in text


def test_models_are_enough_only_if_their_smallest_p_bears_the_correction() -> None:
    """Seven models: p is 2 / 128 at least, which nine peers make 0.14."""
    row = {"models": 7, "p_models_holm": 0.14, "corrected_for": 9}
    assert not models_can_say(row)
    assert models_can_say({**row, "corrected_for": 3})
    assert models_can_say({**row, "models": 9})
    assert not models_can_say({**row, "models": 9}, alpha=0.01)


BASE = {
    "difference": 0.1, "rank_biserial": 0.5, "p_holm": 0.001, "models": 12, "corrected_for": 1,
    "rank_biserial_models": 0.5, "p_models_holm": 0.001,
}  # fmt: skip
SAID = {
    "both": ({}, "better"),
    "both, down": ({"difference": -0.1, "rank_biserial": -0.5, "rank_biserial_models": -0.5}, "worse"),
    "tests apart": ({"rank_biserial_models": -0.5}, "undecided"),
    "mean apart": ({"difference": -0.1}, "undecided"),
    "one, mean apart": ({"difference": -0.1, "p_models_holm": 0.2}, "undecided"),
    "models alone": ({"p_holm": 0.2}, "better by one test"),
    "neither": ({"p_holm": 0.2, "p_models_holm": 0.2}, "not told apart"),
    "no test over models": ({"models": 4, "p_models_holm": np.nan}, "better"),
    "no pair": ({"difference": np.nan}, "undefined"),
}


@pytest.mark.parametrize(("change", "verdict"), SAID.values(), ids=list(SAID))
def test_every_case_of_two_tests_and_a_mean_has_its_word(change, verdict) -> None:
    row = {**BASE, **change}
    assert verdict_of(row, "higher") == verdict
    mirrored = {"better": "worse", "worse": "better", "better by one test": "worse by one test"}
    assert verdict_of(row, "lower") == mirrored.get(verdict, verdict)
    assert verdict_of(row, "neither") == ("undefined" if verdict == "undefined" else "not judged")


def test_pairs_are_corrected_together_and_a_share_is_taken_of_the_second(untested) -> None:
    def values(_, of) -> None:
        of(PLRP, "rma")[:] = 0.97 * of(LRP, "rma")

    summary = changed(invented(untested, {"auprc": 0.1}), values)
    pairs = [Pair(PLRP, LRP, "rma", 0.95), Pair(PLRP, LRP, "rma"), Pair(PLRP, PEER, "auprc")]
    table = compare_pairs(summary, "report", pairs)
    assert table["verdict"].tolist() == ["better", "worse", "better"]
    assert table["share"].tolist() == [0.95, 1, 1]
    mean = summary.mean_table("report").set_index(["method", "measure"])["mean"][LRP, "rma"]
    assert table["difference"].tolist()[:2] == pytest.approx([0.02 * mean, -0.03 * mean])
    assert set(table["corrected_for"]) == {3}
    assert (table["p_holm"] >= table["p"]).all()
    assert compare_pairs(summary, "report", [Pair(PLRP, "truth", "no such measure")]).empty


def test_claims_do_not_hold_by_a_bare_difference_of_means(untested) -> None:
    """Ahead by a little noise: means differ, tests tell nothing."""

    def noise(cell, of) -> None:
        rng = np.random.default_rng(cell.seed)
        for measure in ("gini", "auprc", "rra", "rma"):
            for other in (LRP, "matrix"):
                of(PLRP, measure)[:] = 0.5 + 0.05 * rng.standard_normal(20)
                of(other, measure)[:] = 0.4999 + 0.05 * rng.standard_normal(20)

    claims = {claim.says: claim for claim in claims_of(changed(invented(untested, {}), noise), "report")}
    assert claims["Gini rises with p"].verdict == "open"
    assert claims["lambda beats matrix"].verdict == "open"


def test_lambda_beats_matrix_in_part_where_it_does_so_in_some_measures(untested) -> None:
    def lead(_, of) -> None:
        for measure, by in (("auprc", 0.1), ("rra", -0.1), ("rma", 0.0)):
            of(PLRP, measure)[:] = of("matrix", measure) + by

    claim = next(c for c in claims_of(changed(invented(untested, {}), lead), "report") if "matrix" in c.says)
    assert claim.verdict == "in part"
    assert "AUPRC +0.100 [+0.100, +0.100], plrp p=0.5 - matrix: holds" in claim.evidence
    assert "RRA -0.100 [-0.100, -0.100], plrp p=0.5 - matrix: does not hold" in claim.evidence
    assert claim.evidence.endswith("plrp p=0.5 - matrix: open")


def test_a_rise_and_fall_needs_a_point_between_that_is_above_both_ends(tmp_path) -> None:
    methods = {"gxi": {"method": "gradient-x-input"}, "x": {"method": "plrp", "p": [0.0, 0.5, 0.9]}}
    rest = {"default": "x p=0.5", "peers": [], "matched_sparsity": None, "protocols": {"localisation": None}}
    config = config_of(tmp_path, "one", methods=methods, **rest)
    says = "RMA rises with p, then falls"
    for means, verdict in (((0, 0.2, 0.1), "holds"), ((0, 0.1, 0.2), "does not hold"), ((0, 0.2, 0.2), "open")):

        def shaped(cell, of, means=means) -> None:
            noise = 0.01 * np.random.default_rng(cell.seed).standard_normal((3, 20))
            for p, mean, own in zip((0, 0.5, 0.9), means, noise, strict=True):
                of(f"x p={p:g}", "rma")[:] = mean + own

        claim = {one.says: one for one in claims_of(changed(invented(config, {}), shaped), "report")}[says]
        assert claim.verdict == verdict, means


def test_pictures_of_claims_show_pairs_and_shares_of_the_unpruned_drop(untested) -> None:
    def drops(_, of) -> None:
        of(PLRP, "deletion_early")[:] = 0.9 * of(LRP, "deletion_early")

    summary = changed(invented(untested, {}), drops)
    table = steep_table(summary, "report")
    assert table[["family", "x"]].to_numpy().tolist() == [["plrp", 0.5]]
    assert table["mean"][0] == pytest.approx(0.9)
    assert table["low"][0] <= 0.9 <= table["high"][0]
    steep, modes = steep_picture(summary, "report"), mode_picture(summary, "report")
    assert steep.axes[0].lines[0].get_ydata().tolist() == pytest.approx([0.9])
    assert [label.get_text() for label in modes.axes[0].get_yticklabels()] == [PLRP, "matrix"]
    assert [ax.get_title(loc="left").split()[0] for ax in modes.axes] == ["AUPRC", "RRA", "RMA"]
    nothing = summarise_cells(replace(untested, variants=untested.variants[:1]), [])
    assert steep_picture(nothing, "report") is None
    assert mode_picture(nothing, "report") is None


def test_maps_that_were_sparser_already_are_counted_with_their_gini(config) -> None:
    cut = f"{PEER} | cut to {PLRP}"

    def ginis(_, of) -> None:
        of(PLRP, "gini")[:] = 0.6
        of(PEER, "gini")[:] = of(cut, "gini")[:] = 0.5
        of(cut, "gini")[:12] = 0.6004  # cut, as near as can be
        of(PEER, "gini")[12:15] = of(cut, "gini")[12:15] = 0.7  # sparser already
        of(PLRP, "gini")[15:17] = np.nan  # no goal
        of(PEER, "gini")[17:] = 0.6  # by chance the goal itself: nothing to cut, and nothing sparser
        of(cut, "gini")[17:] = 0.6

    summary = changed(invented(config, {}), ginis)
    (row,) = cut_maps(summary, "report").to_dict(orient="records")
    assert (row["method"], row["maps"], row["matched"], row["sparser"], row["undefined"]) == (
        PEER, 12 * 20, 12 * 15, 12 * 3, 12 * 2,
    )  # fmt: skip
    assert (row["sparser_gini"], row["sparser_goal"]) == pytest.approx((0.7, 0.6))
    assert row["away"] == pytest.approx(0.0004)
    text = as_markdown(list(report_blocks(summary, [])))
    assert "| gxi | 240 | 180 | 36 | 24 | 0.700 | 0.600 | 0.0004 |" in text
    assert "Each map was cut" not in text
    without = replace(config, protocols={"localisation": config.protocols["localisation"]})
    text = as_markdown(list(report_blocks(invented(without, {}), [])))
    assert "it is not known how many maps could be matched" in text


def test_one_sequence_or_seed_is_said_and_has_no_interval_it_can_not_have(tmp_path) -> None:
    config = config_of(tmp_path, "one", seeds=1, protocols={"localisation": None})
    summary = invented(config, {})
    text = as_markdown(list(report_blocks(summary, [])))
    assert "intervals over sequences alone, as there is one training seed" in text
    cells = [
        replace(one, values=one.values[:1], manifest={**one.manifest, "scored": 1, "sequences": ["s0"]})
        for one in summary.cells
    ]
    text = as_markdown(list(report_blocks(summarise_cells(config, cells), [])))
    assert "of which there is one each, so that there are none" in text
    assert "nan" not in text
    table = text.split("| method |")[1].split("\n\n")[0]
    assert "[" not in table


def test_methods_without_a_defined_value_break_nothing_and_are_named(config) -> None:
    def none(_, of) -> None:
        for measure in config_measures:
            of(PEER, measure)[:] = np.nan

    summary = invented(config, {})
    config_measures = list(summary.measures)
    without = changed(summary, none)
    assert PEER not in set(without.tests["other"])
    assert "Not tested, as no value is defined: gxi." in as_markdown(list(report_blocks(without, [])))

    def nothing(_, of) -> None:
        for method in summary.methods:
            for measure in config_measures:
                of(method, measure)[:] = np.nan

    text = as_markdown(list(report_blocks(changed(summary, nothing), [])))
    assert "No value of any method is defined here." in text
