"""The picture of a table of means shows its numbers, says what is missing, and marks the best."""

from __future__ import annotations

import pandas as pd
import pytest

from seqplrp import SeqplrpError
from seqplrp.plot import measure_bars, save_figure

TABLE = pd.DataFrame(
    [
        ("lrp", "rma", 0.2, 0.1, 0.3),
        ("plrp", "rma", 0.5, 0.4, 0.6),
        ("lrp", "distractor_mass", 0.10, 0.05, 0.15),
        ("plrp", "distractor_mass", 0.30, 0.2, 0.4),
        ("lrp", "zeros", float("nan"), float("nan"), float("nan")),
        ("lrp", "snr", -2.0, -3.0, -1.0),
        ("plrp", "snr", 4.0, 3.0, 5.0),
    ],
    columns=["method", "measure", "mean", "low", "high"],
)


def texts(ax) -> list[tuple[str, str]]:
    return [(t.get_text(), t.get_fontweight()) for t in ax.texts]


def test_bars_and_intervals_have_the_lengths_of_the_numbers() -> None:
    ax = measure_bars(TABLE).axes[0]
    assert [bar.get_width() for bar in ax.patches] == [0.2, 0.5]
    segments = ax.collections[0].get_segments()
    assert [(s[0][0], s[1][0]) for s in segments] == [(0.1, 0.3), (0.4, 0.6)]


def test_the_best_is_bold_by_the_measures_own_direction() -> None:
    rma, distractor, zeros, snr = measure_bars(TABLE).axes
    assert texts(rma) == [("0.200", "normal"), ("0.500", "bold")]
    assert texts(distractor) == [("0.100", "bold"), ("0.300", "normal")]
    assert texts(snr) == [("-2.000", "normal"), ("4.000", "bold")]
    assert [ax.get_title(loc="left") for ax in (rma, distractor, zeros)] == [
        "RMA \u2191",
        "Distractor mass \u2193",
        "Exact zeros",
    ]


def test_undefined_and_missing_values_say_so_instead_of_looking_like_zero() -> None:
    ax = measure_bars(TABLE, measures=["zeros"]).axes[0]
    assert [text for text, _ in texts(ax)] == ["undefined", "not measured"]
    assert len(ax.patches) == 0


def test_negative_means_stay_inside_the_axis() -> None:
    low, high = measure_bars(TABLE, measures=["snr"]).axes[0].get_xlim()
    assert low < -3.0
    assert high > 5.0


def test_the_highlighted_method_differs_in_colour_and_weight(tmp_path) -> None:
    figure = measure_bars(TABLE, highlight="plrp", title="a $title$")
    ax = figure.axes[0]
    assert ax.patches[0].get_facecolor() != ax.patches[1].get_facecolor()
    assert [(t.get_text(), t.get_fontweight()) for t in ax.get_yticklabels()] == [("lrp", "normal"), ("plrp", "bold")]
    save_figure(figure, tmp_path / "bars.png")
    assert (tmp_path / "bars.png").stat().st_size > 5000


@pytest.mark.parametrize(
    ("table", "keywords", "text"),
    [
        (TABLE.drop(columns="low"), {}, "table: has no column 'low'"),
        (TABLE.iloc[:0], {}, "table: has no row"),
        (pd.concat([TABLE, TABLE]), {}, "table: has several rows for 'lrp' and 'rma'"),
        (TABLE, {"measures": ["gini"]}, "measures: 'gini' has no row"),
        (TABLE, {"highlight": "ism"}, "highlight: 'ism' has no row"),
    ],
)
def test_tables_that_can_not_be_drawn_are_refused(table: pd.DataFrame, keywords: dict, text: str) -> None:
    with pytest.raises(SeqplrpError) as error:
        measure_bars(table, **keywords)
    assert text in str(error.value)
