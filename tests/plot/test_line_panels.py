"""Lines of several methods: each where its numbers are, gaps where there are none, one legend for all."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from seqplrp.errors import SeqplrpError
from seqplrp.plot import line_panels


def table(lines=("a", "b"), panels=("first", "second")) -> pd.DataFrame:
    rows = []
    for panel in panels:
        for number, line in enumerate(lines):
            for x in (0.0, 1.0, 4.0):
                mean = x * (number + 1)
                rows.append((panel, line, x, mean, mean - 0.5, mean + 0.5))
    return pd.DataFrame(rows, columns=["panel", "line", "x", "mean", "low", "high"])


def axes_of(figure):
    return [axes for axes in figure.axes if axes.axison]


def test_each_line_is_where_its_means_are_and_named_once() -> None:
    figure = line_panels(table(), x_label="x", y_label="y", highlight="b", title="all")
    first, second = axes_of(figure)
    assert (first.get_title(loc="left"), second.get_title(loc="left")) == ("first", "second")
    drawn = {line.get_label(): line.get_xydata().tolist() for line in first.get_lines()}
    assert drawn == {"a": [[0, 0], [1, 1], [4, 4]], "b": [[0, 0], [1, 2], [4, 8]]}
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["a", "b"]


def test_a_point_without_a_mean_is_left_out_and_one_without_an_interval_has_no_band() -> None:
    broken = table(panels=("first",))
    broken.loc[(broken["line"] == "a") & (broken["x"] == 1), "mean"] = np.nan
    broken[["low", "high"]] = np.nan
    (axes,) = axes_of(line_panels(broken))
    assert axes.get_lines()[0].get_xydata().tolist() == [[0, 0], [4, 4]]
    assert not axes.collections


def test_of_many_lines_only_the_highlighted_one_has_a_band_and_all_look_different() -> None:
    names = [f"m{n}" for n in range(18)]
    (axes,) = axes_of(line_panels(table(names, ("one",)), highlight="m3", controls={"m5": "#111111"}))
    assert len(axes.collections) == 1
    looks = {(line.get_color(), str(line._dash_pattern), line.get_linewidth()) for line in axes.lines}
    assert len(looks) == 18
    few = line_panels(table(names[:3], ("one",)))
    assert len(axes_of(few)[0].collections) == 3


def test_small_values_get_more_room_where_x_is_spread_by_its_root() -> None:
    ticks = {"one": ([0.0, 1.0, 4.0], ["0", "1", "4"])}
    (axes,) = axes_of(line_panels(table(panels=("one",)), spread="root", ticks=ticks))
    places = axes.transData.transform([(0, 0), (1, 0), (4, 0)])[:, 0]
    assert places[1] - places[0] == pytest.approx(places[2] - places[1])
    assert [text.get_text() for text in axes.get_xticklabels()] == ["0", "1", "4"]


def test_what_can_not_be_drawn_is_told() -> None:
    with pytest.raises(SeqplrpError, match="table: has no row"):
        line_panels(table().iloc[:0])
    with pytest.raises(SeqplrpError, match="low"):
        line_panels(table().drop(columns="low"))
    with pytest.raises(SeqplrpError, match="is below 0"):
        line_panels(table().assign(x=-1.0), spread="root")
