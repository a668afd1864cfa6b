"""Motifs over the known ones they are like: column stands over column, and nothing is drawn that is not there."""

from __future__ import annotations

import numpy as np
import pytest

from seqplrp import SeqplrpError
from seqplrp.genomics.motifs import Motif, load
from seqplrp.plot import MotifCell, information_frame, logo_values, motif_grid

GATA1 = load("GATA1")


def cell(**changes) -> MotifCell:
    given = {"name": "conv:3", "note": "41.0 %, 97 windows", "share": 0.41, "motif": GATA1, "caption": "no match"}
    return MotifCell(**{**given, **changes})


def test_heights_are_probability_times_information_and_faint_positions_are_nothing() -> None:
    motif = Motif("m", [[0.7, 0.1, 0.1, 0.1], [0.25, 0.25, 0.25, 0.25], [0.26, 0.25, 0.25, 0.24], [0, 0, 1, 0]])
    values = logo_values(information_frame(motif, start=5))
    first = 2 + 0.7 * np.log2(0.7) + 0.3 * np.log2(0.1)
    np.testing.assert_allclose(values[:, 0], first * np.array([0.7, 0.1, 0.1, 0.1]))
    np.testing.assert_array_equal(values[:, 1:], [[0, 0, 0], [0, 0, 0], [0, 0, 2], [0, 0, 0]])
    assert information_frame(motif, start=5).index.tolist() == [5, 6, 7, 8]


@pytest.mark.parametrize("offset", [-3, 0, 4])
def test_a_known_motif_stands_under_the_columns_that_it_is_like(offset) -> None:
    known = load("SRF")
    figure = motif_grid([cell(known=known, offset=offset)])
    upper, lower = [ax for ax in figure.axes if ax.get_ylabel() == "bits"]
    span = (min(0, offset) - 0.5, max(GATA1.width, offset + known.width) - 0.5)
    assert upper.get_xlim() == lower.get_xlim() == span
    for ax, motif, start in ((upper, GATA1, 0), (lower, known, offset)):
        letters = [patch.get_extents().transformed(ax.transData.inverted()) for patch in ax.patches]
        left, right = min(box.x0 for box in letters), max(box.x1 for box in letters)
        assert (left, right) == pytest.approx((start - 0.5, start + motif.width - 0.5), abs=0.2)
    assert upper.get_position().x0 == lower.get_position().x0
    assert upper.get_position().width == lower.get_position().width
    assert upper.get_position().y0 > lower.get_position().y1


def test_name_share_and_caption_are_written_and_flanks_shaded() -> None:
    figure = motif_grid([cell(core=(2, 5), caption="GATA1 $x$ (+), q = 1e-9")], title="filters")
    texts = [text.get_text() for ax in figure.axes for text in ax.texts]
    assert texts == ["conv:3", "41.0 %, 97 windows", "GATA1 $x$ (+), q = 1e-9"]
    head, logo, _ = figure.axes
    assert [patch.get_width() for patch in head.patches] == [1.0, 0.41]
    shaded = [patch for patch in logo.patches if patch.get_zorder() == -1]
    assert [(patch.get_x(), patch.get_x() + patch.get_width()) for patch in shaded] == [(-0.5, 1.5), (4.5, 6.5)]
    assert figure.get_suptitle() == "filters"


def test_an_empty_cell_keeps_its_place_and_long_names_do_not_run_into_the_note() -> None:
    figure = motif_grid([cell(motif=None, caption="too few windows"), cell(name="encoder." * 30 + "conv:3")])
    figure.draw_without_rendering()
    assert len([ax for ax in figure.axes if ax.get_ylabel() == "bits"]) == 1
    name, note = figure.axes[3].texts
    assert name.get_text().endswith("conv:3")
    assert name.get_window_extent().x1 < note.get_window_extent().x0
    assert name.get_window_extent().x0 >= 0


def test_bases_are_equally_wide_in_all_cells() -> None:
    figure = motif_grid([cell(), cell(motif=load("ZNF143")), cell(known=load("CTCF"))], columns=2)
    logos = [ax for ax in figure.axes if ax.get_ylabel() == "bits"]
    widths = {round(ax.get_position().width / (ax.get_xlim()[1] - ax.get_xlim()[0]), 9) for ax in logos}
    assert len(widths) == 1
    boxes = [ax.get_position() for ax in figure.axes]
    assert all(0 <= box.x0 < box.x1 <= 1 and 0 <= box.y0 < box.y1 <= 1 for box in boxes)


def test_nothing_to_draw_is_refused() -> None:
    with pytest.raises(SeqplrpError, match="at least one motif and one column"):
        motif_grid([])
    with pytest.raises(SeqplrpError, match="in 0 columns"):
        motif_grid([cell()], columns=0)
