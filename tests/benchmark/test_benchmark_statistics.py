"""Means, intervals, tests and verdicts of a run: against numbers worked out by hand and by simulation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from invented_runs import config_of, invented
from scipy import stats

from seqplrp.benchmark import summary as summary_module
from seqplrp.benchmark.claims import claims_of
from seqplrp.benchmark.config import Comparison
from seqplrp.benchmark.report import as_html, as_markdown, report_blocks
from seqplrp.benchmark.summary import (
    in_scope,
    ranked,
    summarise_cells,
    summary_rows,
)


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return config_of(tmp_path_factory.mktemp("statistics"), "one")


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """A report task and a development task."""
    return config_of(tmp_path_factory.mktemp("statistics"), "one", "two")


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    monkeypatch.setattr(summary_module, "DRAWS", 50)  # the bootstrap itself is tested where it is


def test_undefined_values_are_left_out_and_counted(config) -> None:
    summary = invented(config, {})
    cells = [replace(one, values=one.values.copy()) for one in summary.cells]
    auprc = list(summary.measures).index("auprc")
    cells[0].values[:10, 0, auprc] = np.nan
    table = in_scope(summarise_cells(config, cells).means, "report")
    row = table[(table["method"] == summary.methods[0]) & (table["measure"] == "auprc")].iloc[0]
    assert (row["n"], row["undefined"], row["models"]) == (12 * 20 - 10, 10, 12)


def test_sequences_that_a_protocol_was_not_to_measure_are_not_undefined(config) -> None:
    summary = invented(config, {})
    cells = [replace(one, values=one.values.copy()) for one in summary.cells]
    for one in cells:
        one.values[5:, :, list(summary.measures).index("abpc")] = np.nan  # as a run leaves them: sequences: 5
    table = in_scope(summarise_cells(config, cells).means, "report")
    row = table[(table["method"] == "gxi") & (table["measure"] == "abpc")].iloc[0]
    assert (row["n"], row["undefined"]) == (12 * 5, 0)


def test_tests_are_those_of_the_rows_with_holms_correction_over_the_peers_of_a_place(config) -> None:
    """One difference a sequence, its mean over the models of the place; then one a model, its mean over sequences."""
    summary = invented(config, {"auprc": 0.01})
    tests = in_scope(summary.tests, "report", "one", "a")
    tests = tests[(tests["measure"] == "auprc") & ~tests["other"].str.contains("cut")]
    of = [one for one in summary.cells if one.cell.task.name == "one" and one.cell.architecture.name == "a"]
    auprc = list(summary.measures).index("auprc")
    a = summary.methods.index("plrp p=0.5")
    raw, by_model = [], []
    for other in ("gxi", "plrp p=0"):
        b = summary.methods.index(other)
        differences = np.stack([one.values[:, a, auprc] - one.values[:, b, auprc] for one in of])
        raw.append(stats.wilcoxon(differences.mean(axis=0), zero_method="pratt").pvalue)
        by_model.append(stats.wilcoxon(differences.mean(axis=1), zero_method="pratt").pvalue)
    assert tests["other"].tolist() == ["gxi", "plrp p=0"]
    assert tests["p"].tolist() == pytest.approx(raw)
    assert tests["p_models"].tolist() == pytest.approx(by_model)
    first, second = sorted(raw)
    assert sorted(tests["p_holm"]) == pytest.approx([min(1, 2 * first), min(1, max(2 * first, second))])


def test_the_best_of_a_column_is_no_ceiling_and_no_floor_whatever_they_are_called(config) -> None:
    called = {"truth": "the answer", "random": "a throw"}
    variants = tuple(replace(one, name=called.get(one.name, one.name)) for one in config.variants)
    other = replace(config, variants=variants)
    cells = [replace(one, values=one.values.copy()) for one in invented(other, {}).cells]
    methods = invented(other, {}).methods
    for one in cells:
        one.values[:, methods.index("the answer")] += 0.4
        one.values[:, methods.index("a throw")] -= 0.4
    lines = as_markdown(list(report_blocks(summarise_cells(other, cells), []))).splitlines()
    table = {}
    for line in lines:
        table.setdefault(line.split(" | ")[0], line)
    assert "0.9" in table["| the answer"]
    assert not any("*0." in table[f"| {name}"] for name in called.values())
    assert any("*0." in table[f"| {name}"] for name in ("gxi", "plrp p=0", "matrix"))


def test_too_few_models_say_nothing_over_models(config) -> None:
    few = replace(config, seeds=(0, 1))
    tests = in_scope(invented(few, {"auprc": 0.3}).tests, "report")
    assert tests["p_models"].isna().all()
    assert tests["p_holm"].notna().any()


def test_a_verdict_knows_which_way_is_better_and_when_nothing_can_be_said(config) -> None:
    summary = invented(config, {"auprc": 0.2, "rma": -0.2, "distractor_mass": 0.2, "entropy": -0.2, "zeros": 0.3})
    tests = in_scope(summary.tests, "report")
    verdicts = tests[tests["reference"] == "plrp p=0.5"].groupby("measure")["verdict"].agg(set)
    assert verdicts["auprc"] == {"better"}
    assert verdicts["rma"] == {"worse"}
    assert verdicts["distractor_mass"] == {"worse"}
    assert verdicts["entropy"] == {"better"}
    assert verdicts["zeros"] == {"not judged"}


def test_other_methods_are_tested_against_peers_of_their_own(config) -> None:
    named = {variant.name: variant for variant in config.variants}
    more = replace(config, comparisons=(Comparison(named["matrix"], (named["random"],)),))
    summary = invented(more, {"auprc": 0.2})
    cells = [replace(one, values=one.values.copy()) for one in summary.cells]
    auprc = list(summary.measures).index("auprc")
    for one in cells:
        one.values[:, summary.methods.index("matrix"), auprc] -= 0.4
    summary = summarise_cells(more, cells)
    tests = in_scope(summary.tests, "report")
    found = tests[(tests["reference"] == "matrix") & (tests["measure"] == "auprc")]
    assert found["other"].tolist() == ["random"]
    assert found["p_holm"].tolist() == pytest.approx(found["p"].tolist()), "one peer: nothing to correct for"
    assert found["verdict"].tolist() == ["worse"]
    table = summary_rows(summary).set_index(["group", "task", "architecture", "method", "measure"])
    assert table.index.is_unique
    assert table.loc[("report", "all", "all", "random", "auprc"), "tested"] == "matrix"
    text = as_markdown(list(report_blocks(summary, [])))
    assert "### Where plrp p=0.5 loses" in text
    assert "- AUPRC: -0." in text.split("### Where matrix loses")[1].split("###")[0]


def test_a_method_that_two_are_tested_against_has_both_tests_and_one_row_of_the_summary(config) -> None:
    named = {variant.name: variant for variant in config.variants}
    more = replace(config, comparisons=(Comparison(named["matrix"], (named["gxi"],)),))
    summary = invented(more, {"auprc": 0.2})
    tests = in_scope(summary.tests, "report")
    against = tests[(tests["other"] == "gxi") & (tests["measure"] == "auprc")]
    assert against["reference"].tolist() == ["plrp p=0.5", "matrix"]
    table = summary_rows(summary).set_index(["group", "task", "architecture", "method", "measure"])
    assert table.index.is_unique
    assert len(table) == len(summary.means)
    assert table.loc[("report", "all", "all", "gxi", "auprc"), "tested"] == "plrp p=0.5"


def test_a_run_without_peers_says_that_nothing_was_tested(config) -> None:
    text = as_markdown(list(report_blocks(invented(replace(config, peers=(), matched=None), {}), [])))
    assert "No peers are named, so nothing was tested." in text


def test_the_report_names_every_loss_overall_and_in_single_places(both) -> None:
    summary = invented(both, {"auprc": 0.2, "rma": -0.2})
    cells = [replace(one, values=one.values.copy()) for one in summary.cells]
    gini = list(summary.measures).index("gini")
    for one in cells:
        if one.cell.architecture.name == "b":
            one.values[:, summary.methods.index("plrp p=0.5"), gini] -= 0.3
        else:
            one.values[:, summary.methods.index("plrp p=0.5"), gini] += 0.4
    text = as_markdown(list(report_blocks(summarise_cells(both, cells), [])))
    report, development = text.split("## Development tasks")
    for part in (report, development):
        losses = part.split("### Where plrp p=0.5 loses")[1].split("###")[0]
        assert "- RMA: -0." in losses.split("On single pairs")[0]
        assert "AUPRC" not in losses
    assert "- one, b: RMA against gxi" in report
    in_b = next(line for line in report.splitlines() if line.startswith("- one, b:"))
    in_a = next(line for line in report.splitlines() if line.startswith("- one, a:"))
    assert "Gini against gxi" in in_b
    assert "Gini" not in in_a


def test_report_tasks_are_apart_from_development_tasks_and_come_first(both) -> None:
    text = as_markdown(list(report_blocks(invented(both, {}), [])))
    assert text.index("## Report tasks: not used for choosing") < text.index("## Development tasks: defaults may have")


def test_an_incomplete_run_says_so_and_models_that_did_not_learn_are_counted(config) -> None:
    summary = invented(config, {})
    manifest = {**summary.cells[0].manifest, "status": "did not learn", "scored": 0}
    failed = replace(summary.cells[0], manifest=manifest, values=summary.cells[0].values[:0])
    text = as_markdown(list(report_blocks(summarise_cells(config, [failed, *summary.cells[1:5]]), [])))
    assert "INCOMPLETE: 5 of 12 models are finished" in text
    assert "1 of 5 were" in text
    assert "did not learn" in text


def test_html_and_markdown_escape_what_names_hold(config) -> None:
    odd = replace(config.default, name="<b>|x", family="f")
    variants = tuple(odd if v == config.default else v for v in config.variants)
    changed = replace(config, default=odd, variants=variants, matched=None)
    blocks = list(report_blocks(invented(changed, {}), []))
    page = as_html(blocks, "t & t")
    assert "<b>" not in page
    assert "&lt;b&gt;|x" in page
    assert "t &amp; t" in page
    rows = [line for line in as_markdown(blocks).splitlines() if line.startswith("| **<b>")]
    assert rows
    assert all("<b>\\|x" in row for row in rows)


def test_ranks_are_those_of_the_models_means(config) -> None:
    summary = invented(config, {"auprc": 0.4, "entropy": 0.4})
    found = ranked(summary, "report", "auprc")
    assert found.blocks == 12
    assert found.ranks["plrp p=0.5"] == 1
    assert sum(found.ranks.values()) == pytest.approx(1 + 2 + 3)
    assert ranked(summary, "report", "entropy").ranks["plrp p=0.5"] == 3, "lower is better"
    assert ranked(summary, "report", "zeros") is None, "no way is better"
    assert ranked(invented(replace(config, peers=config.peers[:1]), {}), "report", "auprc") is None, (
        "two are no ranking"
    )


def test_claims_are_held_against_the_runs_numbers(config) -> None:
    # eight sequences, as a test of five can't fall below 0.05
    deletion = replace(config.protocols["faithfulness"], sequences=8)
    config = replace(config, protocols={**config.protocols, "faithfulness": deletion})
    claims = {claim.says: claim for claim in claims_of(invented(config, {"gini": 0.1, "rma": 0.1}), "report")}
    assert claims["Gini rises with p"].verdict == "holds"
    assert claims["lambda beats matrix"].verdict in ("in part", "holds")
    assert "at p = 0.5" in claims["Gini rises with p"].evidence
    fell = claims["RMA rises with p, then falls"]
    assert (fell.verdict, fell.evidence) == ("open", "no sweep was measured at three p or more")
    worse = {
        claim.says: claim for claim in claims_of(invented(config, {"gini": -0.1, "deletion_early": -0.2}), "report")
    }
    assert worse["Gini rises with p"].verdict == "does not hold"
    steep = next(claim for says, claim in worse.items() if says.startswith("First deletion steps"))
    assert steep.verdict == "does not hold"


def test_claims_look_at_what_was_measured_alone(config) -> None:
    """A protocol may be asked of some methods of a sweep; that of one point shows no steepness."""
    summary = invented(config, {"gini": 0.1})
    cells = [replace(one, values=one.values.copy()) for one in summary.cells]
    for one in cells:
        early = list(summary.measures).index("deletion_early")
        one.values[:, summary.methods.index("plrp p=0.5"), early] = np.nan
    claims = {claim.says: claim for claim in claims_of(summarise_cells(config, cells), "report")}
    steep = next(claim for says, claim in claims.items() if says.startswith("First deletion steps"))
    assert (steep.verdict, steep.evidence) == ("open", "no sweep was measured at p = 0 and beyond")
    assert claims["Gini rises with p"].verdict == "holds"


def test_claims_that_nothing_was_measured_for_are_open(config) -> None:
    """One point of a sweep neither rises nor falls, and one mode is no better than none."""
    summary = invented(config, {"gini": 0.1})
    cells = [replace(one, values=one.values.copy()) for one in summary.cells]
    asked = [list(summary.measures).index(name) for name in ("gini", "rma", "auprc", "rra", "deletion_early")]
    for one in cells:
        one.values[:, summary.methods.index("plrp p=0.5"), asked] = np.nan
    claims = {claim.says: claim for claim in claims_of(summarise_cells(config, cells), "report")}
    assert {claim.verdict for claim in claims.values()} == {"open"}
    assert claims["Gini rises with p"].evidence == "no sweep was measured at two p or more"
    assert "lambda beats matrix" not in claims


def test_the_summary_table_has_means_costs_and_tests_of_each_method_once(config) -> None:
    summary = invented(config, {"auprc": 0.2})
    table = summary_rows(summary)
    assert not table.duplicated(["group", "task", "architecture", "method", "measure"]).any()
    assert len(table) == len(summary.means)
    row = in_scope(table, "report", "one", "a").set_index(["method", "measure"]).loc[("gxi", "auprc")]
    assert (row["tested"], row["verdict"]) == ("plrp p=0.5", "better")
    assert row["cost_ratio"] == 1.5
    assert row["cost_ms"] == pytest.approx(0.15)
    own = in_scope(table, "report").set_index(["method", "measure"]).loc[("plrp p=0.5", "auprc")]
    assert pd.isna(own["verdict"])
    assert own["low"] < own["mean"] < own["high"]


def test_a_run_in_which_no_model_learned_still_has_a_report(config) -> None:
    summary = invented(config, {})
    failed = [
        replace(one, manifest={**one.manifest, "status": "did not learn", "scored": 0}, values=one.values[:0])
        for one in summary.cells
    ]
    empty = summarise_cells(config, failed)
    assert "12 of 12 were" in as_markdown(list(report_blocks(empty, [])))
    assert summary_rows(empty).empty
