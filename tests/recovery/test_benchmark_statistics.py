"""Means, intervals, tests and verdicts of a run: against numbers worked out by hand and by simulation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from benchmark_runs import written
from scipy import stats

from seqplrp.recovery.benchmark import read_config
from seqplrp.recovery.benchmark.cell import cells_of, recipes_of
from seqplrp.recovery.benchmark.claims import claims_of
from seqplrp.recovery.benchmark.protocols import measures_of
from seqplrp.recovery.benchmark.report import as_html, as_markdown, report_blocks
from seqplrp.recovery.benchmark.resampling import ModelValues, resample
from seqplrp.recovery.benchmark.summary import (
    FinishedCell,
    Summary,
    in_scope,
    mean_ranks,
    summarise_cells,
    summary_rows,
)

GOOD = {"auprc": 0.8, "rma": 0.7, "gini": 0.8, "abpc": 1.0, "rra": 0.7, "deletion_early": 1.0}


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return read_config(
        written(
            tmp_path_factory.mktemp("statistics"),
            seeds=list(range(6)),
            architectures={"a": {"architecture": "deepbind"}, "b": {"architecture": "deepbind"}},
            tasks={
                "one": {"group": "report", "task": "task.yaml", "n": 500, "test": 40},
                "two": {"group": "development", "task": "task.yaml", "n": 500, "test": 40, "seed": 1},
            },
        )
    )


def invented(config, lead: dict[str, float], n: int = 30, seed: int = 0) -> Summary:
    """A summary of made-up cells: every method at 0.5 with noise, the default ahead by `lead` in each measure."""
    rng = np.random.default_rng(seed)
    methods, measures = list(recipes_of(config)), list(measures_of(config.protocols))
    cells = []
    for cell in cells_of(config):
        values = 0.5 + 0.05 * rng.standard_normal((n, len(methods), len(measures)))
        for measure, by in lead.items():
            values[:, methods.index(config.default.name), measures.index(measure)] += by
        costs = {name: _cost(3.0 if name == config.default.name else 1.5) for name in ("gxi", "plrp p=0.5", "plrp p=0")}
        cells.append(FinishedCell(cell, _manifest(cell, n, costs), values))
    return summarise_cells(config, cells)


def _cost(ratio: float) -> dict[str, float]:
    return {"milliseconds": ratio / 10, "gradient_milliseconds": 0.1, "ratio": ratio, "preparing": 1.0}


def _manifest(cell, n: int, costs) -> dict:
    model = {"auroc": 0.99, "auprc": 0.98, "accuracy": 0.97, "parameters": 10, "epochs": 5, "training_seconds": 2.0}
    return {
        "status": "scored",
        "model": model,
        "candidates": n + 2,
        "scored": n,
        "left_out": {"explained score not above 0": 2},
        "seconds": 3.0,
        "costs": costs,
    }


def test_a_mean_counts_every_stratum_and_every_model_the_same() -> None:
    values = [
        ModelValues(("t", "a"), 0, np.array([[0.0], [1.0], [np.nan]])),  # 0.5
        ModelValues(("t", "a"), 1, np.full((50, 1), 1.0)),  # 1
        ModelValues(("t", "b"), 0, np.array([[0.25]])),
    ]
    assert resample(values).mean.tolist() == [((0.5 + 1.0) / 2 + 0.25) / 2]


def test_intervals_cover_the_true_mean_about_as_often_as_they_say() -> None:
    """Seeds differ by 0.1, sequences by 0.3: an interval over sequences alone would miss the mean most of the time."""
    rng = np.random.default_rng(0)
    hits = 0
    for trial in range(150):
        models = [
            ModelValues(("t", "a"), s, (0.1 * rng.standard_normal() + 0.3 * rng.standard_normal((40, 1))))
            for s in range(12)
        ]
        low, high = resample(models, draws=300, seed=trial).interval()
        hits += bool(low[0] <= 0 <= high[0])
    assert 0.86 <= hits / 150 <= 0.99


def test_a_single_model_gives_the_plain_bootstrap_of_its_sequences() -> None:
    values = np.random.default_rng(1).random((60, 1))
    found = resample([ModelValues(("t", "a"), 0, values)], draws=4000)
    expected = stats.bootstrap((values[:, 0],), np.mean, method="percentile", n_resamples=4000, rng=2)
    low, high = found.interval()
    assert low[0] == pytest.approx(expected.confidence_interval.low, abs=0.01)
    assert high[0] == pytest.approx(expected.confidence_interval.high, abs=0.01)


def test_differences_are_resampled_in_pairs() -> None:
    rng = np.random.default_rng(2)
    first = rng.random((80, 1))
    both = np.concatenate([first, first + 0.1], axis=1)
    difference, low, high = resample([ModelValues(("t", "a"), 0, both)]).difference([1], [0])
    assert (difference[0], low[0], high[0]) == pytest.approx((0.1, 0.1, 0.1)), "what varies alike does not widen it"


def test_undefined_values_are_left_out_and_counted(config) -> None:
    summary = invented(config, {})
    cells = [replace(one, values=one.values.copy()) for one in summary.cells]
    auprc = list(summary.measures).index("auprc")
    cells[0].values[:10, 0, auprc] = np.nan
    table = in_scope(summarise_cells(config, cells).means, "report")
    row = table[(table["method"] == summary.methods[0]) & (table["measure"] == "auprc")].iloc[0]
    assert (row["n"], row["undefined"], row["models"]) == (12 * 30 - 10, 10, 12)


def test_tests_are_scipys_over_sequences_and_over_models_with_holms_correction(config) -> None:
    summary = invented(config, {"auprc": 0.01})
    tests = in_scope(summary.tests, "report")
    tests = tests[(tests["measure"] == "auprc") & ~tests["other"].str.contains("cut")]
    of = [one for one in summary.cells if one.cell.task.group == "report"]
    auprc = list(summary.measures).index("auprc")
    a = summary.methods.index("plrp p=0.5")
    raw, by_model = [], []
    for other in ("gxi", "plrp p=0"):
        b = summary.methods.index(other)
        differences = [one.values[:, a, auprc] - one.values[:, b, auprc] for one in of]
        raw.append(stats.wilcoxon(np.concatenate(differences), zero_method="pratt").pvalue)
        by_model.append(stats.wilcoxon([d.mean() for d in differences], zero_method="pratt").pvalue)
    assert tests["other"].tolist() == ["gxi", "plrp p=0"]
    assert tests["p"].tolist() == pytest.approx(raw)
    assert tests["p_models"].tolist() == pytest.approx(by_model)
    first, second = sorted(raw)
    assert sorted(tests["p_holm"]) == pytest.approx([min(1, 2 * first), max(2 * first, second)])


def test_too_few_models_say_nothing_over_models(config) -> None:
    few = replace(config, seeds=(0, 1))
    tests = in_scope(invented(few, {"auprc": 0.3}).tests, "report")
    assert tests["p_models"].isna().all()
    assert tests["p_holm"].notna().any()


def test_a_verdict_knows_which_way_is_better_and_when_nothing_can_be_said(config) -> None:
    summary = invented(config, {"auprc": 0.2, "rma": -0.2, "distractor_mass": 0.2, "entropy": -0.2, "zeros": 0.3})
    tests = in_scope(summary.tests, "report")
    verdicts = tests[tests["method"] == "plrp p=0.5"].groupby("measure")["verdict"].agg(set)
    assert verdicts["auprc"] == {"better"}
    assert verdicts["rma"] == {"worse"}
    assert verdicts["distractor_mass"] == {"worse"}
    assert verdicts["entropy"] == {"better"}
    assert verdicts["zeros"] == {"not judged"}


def test_the_report_names_every_loss_overall_and_in_single_places(config) -> None:
    summary = invented(config, {"auprc": 0.2, "rma": -0.2})
    cells = [replace(one, values=one.values.copy()) for one in summary.cells]
    gini = list(summary.measures).index("gini")
    for one in cells:
        if one.cell.architecture.name == "b":
            one.values[:, summary.methods.index("plrp p=0.5"), gini] -= 0.3
        else:
            one.values[:, summary.methods.index("plrp p=0.5"), gini] += 0.4
    text = as_markdown(list(report_blocks(summarise_cells(config, cells), [])))
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


def test_report_tasks_are_apart_from_development_tasks_and_come_first(config) -> None:
    text = as_markdown(list(report_blocks(invented(config, {}), [])))
    assert text.index("## Report tasks: not used for choosing") < text.index("## Development tasks: defaults may have")


def test_an_incomplete_run_says_so_and_models_that_did_not_learn_are_counted(config) -> None:
    summary = invented(config, {})
    manifest = {**summary.cells[0].manifest, "status": "did not learn", "scored": 0}
    failed = replace(summary.cells[0], manifest=manifest, values=summary.cells[0].values[:0])
    text = as_markdown(list(report_blocks(summarise_cells(config, [failed, *summary.cells[1:5]]), [])))
    assert "INCOMPLETE: 5 of 24 models are finished" in text
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
    ranks, models = mean_ranks(invented(config, {"auprc": 0.4, "entropy": 0.4}), "report", "auprc")
    assert models == 12
    assert ranks["plrp p=0.5"] == 1
    assert sum(ranks.values()) == pytest.approx(1 + 2 + 3)
    assert mean_ranks(invented(config, {"entropy": 0.4}), "report", "entropy")[0]["plrp p=0.5"] == 3, "lower is better"


def test_claims_are_held_against_the_runs_numbers(config) -> None:
    claims = {claim.says: claim for claim in claims_of(invented(config, {"gini": 0.1, "rma": 0.1}), "report")}
    assert claims["Gini rises with p"].verdict == "holds"
    assert claims["lambda beats matrix"].verdict in ("in part", "holds")
    assert "at p = 0.5" in claims["Gini rises with p"].evidence
    # two points can't rise and then fall
    assert claims["RMA rises with p, then falls"].verdict == "does not hold"
    worse = {
        claim.says: claim for claim in claims_of(invented(config, {"gini": -0.1, "deletion_early": -0.2}), "report")
    }
    assert worse["Gini rises with p"].verdict == "does not hold"
    steep = next(claim for says, claim in worse.items() if says.startswith("First deletion steps"))
    assert steep.verdict == "does not hold"


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
    assert "24 of 24 were" in as_markdown(list(report_blocks(empty, [])))
    assert summary_rows(empty).empty
