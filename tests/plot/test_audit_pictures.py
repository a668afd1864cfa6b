"""Pictures of the audit and of ROAR: what was found is marked where it is, and bad tables are refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

from seqplrp.errors import SeqplrpError
from seqplrp.plot import (
    amplitude_picture,
    distractor_picture,
    permutation_picture,
    profile_picture,
    roar_curves,
    save_figure,
    strand_picture,
)

PROFILE = {"noise": 0.05, "title": "t", "xlabel": "x", "ylabel": "y"}


def texts(figure):
    legends = [axes.get_legend() for axes in figure.axes] + figure.legends
    return [text.get_text() for legend in legends if legend is not None for text in legend.get_texts()]


def test_a_profile_marks_edges_and_stretches_where_they_are_but_not_every_tooth_of_a_comb():
    marked = [("edge", [(0, 5)]), ("uneven", [(40, 50), (60, 61)]), ("comb", [(i, i + 1) for i in range(0, 100, 4)])]
    figure = profile_picture(np.ones(100), marked=marked, combs=[(4, [1.2, 0.8, 1, 1])], **PROFILE)
    main, comb = figure.axes
    spans = [p for p in main.patches if isinstance(p, Rectangle)]
    found = sorted((p.get_x(), p.get_x() + p.get_width()) for p in spans if p.get_alpha())
    assert found == [(-0.5, 4.5), (39.5, 49.5), (59.5, 60.5)]
    assert [bar.get_height() for bar in comb.patches] == [1.2, 0.8, 1, 1]
    assert {"edge", "uneven stretch", "the map"} <= set(texts(figure))
    assert "comb" not in texts(figure)


def test_places_of_a_profile_that_is_not_at_every_position_are_kept():
    figure = profile_picture(np.ones(20), places=np.arange(0, 100, 5), other=("s", np.ones(20)), **PROFILE)
    lines = figure.axes[0].get_lines()
    assert all(line.get_xdata()[-1] == 95 for line in lines if len(line.get_xdata()) == 20)
    assert "s" in texts(figure)


def test_long_combs_are_drawn_as_an_area_and_no_more_than_two_stand_beside_the_profile():
    combs = [(64, np.ones(64)), (4, np.ones(4)), (8, np.ones(8))]
    figure = profile_picture(np.ones(400), combs=combs, **PROFILE)
    assert len(figure.axes) == 3
    assert not figure.axes[1].patches
    assert len(figure.axes[2].patches) == 4


def test_strands_show_scores_against_each_other_even_where_all_are_equal():
    rng = np.random.default_rng(0)
    figure = strand_picture(rng.random(30), rng.random(30), np.ones(30), np.ones(30), np.ones(50), np.ones(50))
    low, high = figure.axes[1].get_xlim()
    assert low < 1 < high
    figure.canvas.draw()


def test_distractors_are_bars_of_their_shares_in_percent():
    figure = distractor_picture(["A$B$", "C"], [0.1, 0.02], [0.05, 0.03], [0.07, 0.07])
    widths = [bar.get_width() for bar in figure.axes[0].patches]
    assert widths == pytest.approx([10, 2, 5, 3])
    assert not figure.axes[0].get_yticklabels()[0].get_parse_math()


@pytest.mark.parametrize("amounts", [(0.5, 0.8, 1.25, 2.0), (0.5, 0.7, 0.85, 0.95)])
def test_amplitudes_stand_in_order_with_the_input_as_it_is_among_them(amounts):
    values = [0.3, 0.6, 0.7, 0.5]
    figure = amplitude_picture(amounts, values, values, values, 0.2, 0.6, "factor")
    line = figure.axes[0].get_lines()[0]
    assert line.get_xdata().tolist() == sorted([*amounts, 1.0])
    assert line.get_ydata()[line.get_xdata().tolist().index(1.0)] == 1


def test_permutations_show_both_orders_with_their_correlations():
    figure = permutation_picture(np.ones(40), np.ones(40), np.ones(40), shared=0.91, of_data=0.12)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles[0].endswith("correlation 0.91")
    assert titles[1].endswith("correlation 0.12")


def roar_table():
    rows = [("unchanged", "sequence", 0.0, seed, 0.9 + seed / 100) for seed in (0, 1)]
    for method, drop in (("random", 0.1), ("truth", 0.4), ("m_1$", 0.3)):
        rows += [(method, "sequence", p, s, 0.9 - drop * p / 50 + s / 100) for p in (10.0, 50.0) for s in (0, 1)]
    rows += [("m_1$", "mask", 10.0, 0, 0.6)]
    return pd.DataFrame(rows, columns=["method", "input", "percent", "seed", "auroc"])


def test_roar_curves_start_at_the_unchanged_model_and_masks_have_a_panel_of_their_own():
    figure = roar_curves(roar_table(), title="a task")
    left, right = figure.axes
    lines = {line.get_label(): line for line in left.get_lines()}
    for method in ("random", "truth", "m_1$"):
        assert lines[method].get_xdata().tolist() == [0, 1, 2]
        assert lines[method].get_ydata()[0] == pytest.approx(0.905)
    assert lines["m_1$"].get_ydata()[2] == pytest.approx(0.605)
    masks = [line for line in right.get_lines() if line.get_label() == "m_1$"]
    assert masks[0].get_xdata().tolist() == [1]
    assert "leakage" in right.get_title(loc="left")
    assert to_hex(lines["m_1$"].get_color()) == to_hex(masks[0].get_color())
    assert set(texts(figure)) == {"random", "truth", "m_1$"}
    assert len(roar_curves(roar_table().query("input == 'sequence'")).axes) == 1


def test_roar_tables_without_rows_or_columns_are_refused():
    with pytest.raises(SeqplrpError, match="table: has no column 'auroc'; give what run_roar"):
        roar_curves(roar_table().drop(columns="auroc"))
    with pytest.raises(SeqplrpError, match="table: has no row"):
        roar_curves(roar_table().iloc[:0])


def test_pictures_are_written_the_same_every_time(tmp_path):
    for name in ("a", "b"):
        save_figure(roar_curves(roar_table()), tmp_path / f"{name}.svg")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
