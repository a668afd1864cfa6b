"""Pictures of a benchmark show the table's own numbers, name every method, and refuse what they can't draw."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from seqplrp import SeqplrpError
from seqplrp.plot import critical_difference, save_figure, sweep_curves, trade_off
from seqplrp.plot.ranks import joined


def sweep() -> pd.DataFrame:
    rows = [
        {"family": family, "x": p, "measure": measure, "mean": base + p / 2, "low": base + p / 2 - 0.1, "high": 1.0}
        for family, base in (("plrp", 0.2), ("relative $x", 0.3))
        for p in (0.5, 0.0, 0.9)
        for measure in ("gini", "rma", "mine")
    ]
    return pd.DataFrame(rows)


def test_curves_are_the_tables_means_in_order_of_x() -> None:
    figure = sweep_curves(sweep(), references={"gxi": {"gini": 0.25, "rma": np.nan}}, title="t")
    axes = [ax for ax in figure.axes if ax.get_title(loc="left")]
    assert [ax.get_title(loc="left") for ax in axes] == ["Gini \u2191", "RMA \u2191", "mine"]
    lines = {line.get_label(): line for line in axes[0].get_lines()}
    assert lines["plrp"].get_xdata().tolist() == [0.0, 0.5, 0.9]
    assert lines["plrp"].get_ydata().tolist() == pytest.approx([0.2, 0.45, 0.65])
    assert set(lines) == {"plrp", "relative $x", "gxi"}
    assert "gxi" not in {line.get_label() for line in axes[1].get_lines()}, "an undefined reference is no line"


def test_undefined_points_are_left_out_of_their_line() -> None:
    table = sweep()
    table.loc[(table["x"] == 0.5) & (table["family"] == "plrp"), "mean"] = np.nan
    lines = {line.get_label(): line for line in sweep_curves(table).axes[0].get_lines()}
    assert lines["plrp"].get_xdata().tolist() == [0.0, 0.9]


def trade() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "method": ["cheap", "good", "beaten", "dear", "unknown"],
            "family": ["a", "a", "b", "c", "d"],
            "x": [1.0, 2.0, 3.0, 50.0, np.nan],
            "y": [0.3, 0.8, 0.7, 0.81, 0.5],
            "y_low": [0.2, 0.7, 0.6, 0.8, 0.4],
            "y_high": [0.4, 0.9, 0.8, 0.82, 0.6],
        }
    )


def test_every_method_with_both_values_is_a_named_point() -> None:
    (ax,) = trade_off(trade(), x_label="cost", y_label="AUPRC", log_x=True, highlight="good").axes
    assert {text.get_text() for text in ax.texts} == {"cheap", "good", "beaten", "dear"}
    at = {text.get_text(): text.xy for text in ax.texts}
    assert at["good"] == (2.0, 0.8)
    assert ax.get_xscale() == "log"
    bold = [text.get_text() for text in ax.texts if text.get_fontweight() == "bold"]
    assert bold == ["good"]


def test_of_many_methods_some_are_named_and_all_are_points() -> None:
    (ax,) = trade_off(trade(), x_label="cost", y_label="AUPRC", named={"good", "dear", "unknown"}).axes
    assert {text.get_text() for text in ax.texts} == {"good", "dear"}
    (points,) = [line for line in ax.get_lines() if line.get_markersize() == 3]
    assert points.get_xdata().tolist() == [1.0, 2.0, 3.0, 50.0]
    (bare,) = trade_off(trade(), x_label="cost", y_label="AUPRC", named=()).axes
    assert not bare.texts


def test_bands_are_drawn_for_few_lines_alone() -> None:
    line = {"x": [0.0, 0.5], "measure": "auprc", "mean": [0.5, 0.6], "low": [0.4, 0.5], "high": [0.6, 0.7]}
    for families, bands in ((6, 6), (7, 0)):
        table = pd.concat([pd.DataFrame(line).assign(family=f"f{n}") for n in range(families)])
        (ax,) = sweep_curves(table).axes
        assert (len(ax.collections), len(ax.get_lines())) == (bands, families)


def test_the_frontier_joins_what_no_cheaper_method_beats() -> None:
    (ax,) = trade_off(trade(), x_label="cost", y_label="AUPRC", frontier=True).axes
    (line,) = [line for line in ax.get_lines() if line.get_linewidth() == 5]
    assert line.get_xdata().tolist() == [1.0, 2.0, 50.0]


def test_names_of_crowded_points_do_not_cover_each_other() -> None:
    n = 12
    table = pd.DataFrame(
        {"method": [f"method {i}" for i in range(n)], "x": np.linspace(1, 1.05, n), "y": np.linspace(0.5, 0.52, n)}
    )
    table.loc[n] = ["far", 3.0, 0.9]
    figure = trade_off(table, x_label="x", y_label="y")
    figure.draw_without_rendering()
    boxes = [Text.get_window_extent(text) for text in figure.axes[0].texts]  # an annotation's own would hold its line
    covered = sum(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert covered == 0, "13 names, 12 of them on one spot"


def test_groups_of_ranks_are_the_longest_stretches_within_the_difference() -> None:
    """Demsar 2006: a bar joins methods of which no two are farther apart than the critical difference."""
    assert joined([1.0, 1.5, 2.2, 4.0], 1.0) == [(1.0, 1.5), (1.5, 2.2)]
    assert joined([1.0, 1.5, 1.9, 4.0], 1.0) == [(1.0, 1.9)]
    assert joined([1.0, 3.0], 1.0) == []
    assert joined([1.0, 1.1], float("nan")) == []


def test_the_diagram_names_every_method_with_its_rank_the_best_first() -> None:
    ranks = {"worst": 3.7, "best": 1.2, "second": 2.0, "third": 3.2}
    (ax,) = critical_difference(ranks, 1.1, highlight="best", title="ranks by AUPRC").axes
    texts = [text.get_text() for text in ax.texts]
    assert {"best  1.20", "second  2.00", "3.20  third", "3.70  worst"} <= set(texts)
    assert "critical difference 1.10" in texts
    places = {text.get_text(): text.get_position()[1] for text in ax.texts}
    assert places["best  1.20"] > places["second  2.00"], "the best stands on top"
    bars = [line for line in ax.get_lines() if line.get_linewidth() == 3]
    assert len(bars) == 2, "best and second, third and worst; second and third are too far apart"


def test_pictures_are_written_and_the_same_every_time(tmp_path) -> None:
    figures = {
        "sweep": lambda: sweep_curves(sweep()),
        "trade": lambda: trade_off(trade(), x_label="cost", y_label="AUPRC"),
        "ranks": lambda: critical_difference({"a": 1.0, "b": 2.0}, 0.5),
    }
    for name, make in figures.items():
        for turn in ("a", "b"):
            save_figure(make(), tmp_path / f"{name}-{turn}.svg")
        assert (tmp_path / f"{name}-a.svg").read_bytes() == (tmp_path / f"{name}-b.svg").read_bytes()


def test_what_can_not_be_drawn_is_told() -> None:
    with pytest.raises(SeqplrpError, match="has no column 'low'"):
        sweep_curves(sweep().drop(columns="low"))
    with pytest.raises(SeqplrpError, match="has no row"):
        sweep_curves(sweep().head(0))
    with pytest.raises(SeqplrpError, match="has no row with both values"):
        trade_off(trade().tail(1), x_label="x", y_label="y")
    with pytest.raises(SeqplrpError, match="not above 0 on a logarithmic axis"):
        trade_off(trade().assign(x=0.0), x_label="x", y_label="y", log_x=True)
    with pytest.raises(SeqplrpError, match="pass two or more"):
        critical_difference({"a": 1.0}, 0.5)
    with pytest.raises(SeqplrpError, match="no mean rank"):
        critical_difference({"a": 1.0, "b": float("nan")}, 0.5)
