"""The figures in docs/choosing_p.md and docs/faq.md are those of the committed tables."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]
SUMMARY = ROOT / "benchmarks" / "results" / "recovery" / "full" / "summary.tsv.gz"

ROWS = {
    "no pruning": "lrp-default",
    "budget .25": "plrp-budget rule=default budget=0.25",
    "**budget .5**": "plrp",
    "budget .75": "plrp-budget rule=default budget=0.75",
    "p = 0": "plrp-gamma p=0",
    "p = .1 at each layer": "plrp-gamma p=0.1",
    "p = .25": "plrp-gamma p=0.25",
    "p = .5": "plrp-gamma p=0.5",
    "p = .75": "plrp-gamma p=0.75",
    "p = .9": "plrp-gamma p=0.9",
}
"""Row of the page's tables: method of the summary."""

COLUMNS = {
    "AUPRC": ("auprc", 3),
    "RMA": ("rma", 3),
    "Gini": ("gini", 3),
    "exact zeros": ("zeros", 3),
    "ABPC": ("abpc", 1),
}
"""Column of the page's tables: measure of the summary, and digits."""


@pytest.fixture(scope="module")
def means() -> pd.DataFrame:
    table = pd.read_csv(SUMMARY, sep="\t", low_memory=False)
    over_all = table[(table["task"] == "all") & (table["architecture"] == "all")]
    return over_all.pivot_table(index="method", columns="measure", values="mean")


def shown(value: float, digits: int) -> str:
    return f"{value:.{digits}f}".removeprefix("0") if digits > 1 else f"{value:.{digits}f}"


def tables(page: str) -> list[tuple[str, dict[str, str]]]:
    """Return the rows of a page's tables: their first cell, and the others by the head of their column."""
    rows, heads = [], []
    for line in [*(ROOT / "docs" / page).read_text(encoding="utf-8").splitlines(), ""]:
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")] if line.startswith("|") else []
        if not cells:
            heads = []
        elif not heads:
            heads = cells
        elif not set(cells[0]) <= {"-"}:
            rows.append((cells[0], dict(zip(heads[1:], cells[1:], strict=True))))
    return rows


def test_the_tables_of_shares_and_budgets_are_the_measured_ones(means):
    found = {name: cells for name, cells in tables("choosing_p.md") if name in ROWS}
    assert list(found) == list(ROWS)
    for name, cells in found.items():
        for head, cell in cells.items():
            measure, digits = COLUMNS[head]
            assert cell.strip("*") == shown(means.loc[ROWS[name], measure], digits), (name, head)


def test_what_the_questions_quote_is_measured(means):
    text = " ".join((ROOT / "docs" / "faq.md").read_text(encoding="utf-8").split())
    told = re.search(r"ABPC ([\d.]+) against ([\d.]+) \(LRP-gamma\) and ([\d.]+) \(ISM\)", text)
    assert told is not None
    assert list(told.groups()) == [shown(means.loc[name, "abpc"], 1) for name in ("plrp", "plrp-gamma p=0", "ism")]
    both = shown(means.loc["plrp", "auprc"], 3)
    assert both == shown(means.loc["r-lrp", "auprc"], 3)
    assert f"AUPRC {both} both" in text
