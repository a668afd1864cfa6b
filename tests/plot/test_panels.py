"""Stacked methods over one x axis, with known motifs where they are and names that do not run into one another."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle

from seqplrp import SeqplrpError
from seqplrp.plot import LogoTrack, Mark, SequencePanel, comparison_panel, logo_frame, logo_panel, save_figure
from seqplrp.plot.panels import DECOY_COLOUR, TRUTH_COLOUR, _lanes


def track(title: str, length: int = 40, *, start: int = 0, scale: float = 1.0) -> LogoTrack:
    codes = np.random.default_rng(length).integers(0, 4, length)
    values = np.zeros(length)
    values[::9] = scale
    return LogoTrack(title, logo_frame(values, codes, start=start))


MARKS = (Mark(5, 12, "USF1", "+"), Mark(30, 38, "CTCF", "-", supports=False), Mark(90, 99, "ELSEWHERE"))


def test_every_method_has_its_track_over_the_same_positions_under_its_title() -> None:
    figure = logo_panel(SequencePanel("seq_1", [track("plrp"), track("gradient-x-input")], MARKS))
    *tracks, lanes = figure.axes
    assert [ax.get_title(loc="left") for ax in tracks] == ["plrp", "gradient-x-input"]
    assert {ax.get_xlim() for ax in figure.axes} == {(-0.5, 39.5)}
    assert len({round(ax.get_position().x0, 9) for ax in figure.axes}) == 1
    assert tracks[0].texts[0].get_text() == "seq_1"
    assert "0-based" in lanes.get_xlabel()


def test_bars_cover_exactly_the_motifs_and_motifs_out_of_sight_are_left_out() -> None:
    lanes = logo_panel(SequencePanel("s", [track("plrp")], MARKS)).axes[-1]
    bars = [(p.get_x(), p.get_x() + p.get_width()) for p in lanes.patches if isinstance(p, Rectangle)]
    assert bars == [(4.5, 11.5), (29.5, 37.5)]
    assert [t.get_text() for t in lanes.texts] == ["USF1 \u2192", "CTCF \u2190"]


def test_a_decoy_looks_different_from_a_motif_of_the_class_and_a_key_says_which_is_which() -> None:
    figure = logo_panel(SequencePanel("s", [track("plrp")], MARKS))
    truth, decoy = figure.axes[-1].patches
    assert truth.get_facecolor()[:3] == to_rgb(TRUTH_COLOUR)
    assert (decoy.get_facecolor()[:3], decoy.get_edgecolor()[:3]) == ((1.0, 1.0, 1.0), to_rgb(DECOY_COLOUR))
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["motif of the explained class", "other motif"]
    # No key where only one kind is in sight.
    assert not logo_panel(SequencePanel("s", [track("plrp", 20)], MARKS)).legends


@given(
    st.lists(
        st.builds(
            lambda start, width, name, strand: Mark(start, start + width, name, strand),
            st.integers(0, 195),
            st.integers(1, 25),
            st.text("ACGT:x", min_size=1, max_size=14),
            st.sampled_from("+-."),
        ),
        max_size=12,
    )
)
@settings(max_examples=100, deadline=None)
def test_bars_and_names_in_one_lane_never_overlap_and_no_mark_is_lost(marks: list[Mark]) -> None:
    panel = SequencePanel("s", [track("plrp", 200)], marks)
    lanes = _lanes(panel, width=17.0)
    assert sum(map(len, lanes)) == len(marks)
    for lane in lanes:
        placed = sorted(lane, key=lambda p: p.left)
        assert all(a.right <= b.left for a, b in itertools.pairwise(placed))
        assert all(p.left <= p.mark.start and p.mark.end <= p.right for p in placed)


@pytest.mark.filterwarnings("ignore:Glyph .* missing from font")
@pytest.mark.parametrize("name", ["$\\frac{", "a_$b$_c", "--><script>&amp;", "日本", "x" * 300])
def test_names_out_of_hostile_files_are_drawn_as_they_are(tmp_path, name: str) -> None:
    panel = SequencePanel(name, [LogoTrack(name, track("t").frame)], [Mark(3, 9, name)])
    save_figure(logo_panel(panel), tmp_path / "x.svg")
    elements = {element.tag.rsplit("}")[-1] for element in ET.parse(tmp_path / "x.svg").iter()}
    assert "path" in elements
    assert "script" not in elements


def test_scales_are_each_methods_own_unless_they_are_to_be_shared() -> None:
    panel = SequencePanel("s", [track("big", scale=10.0), track("small")])
    own = logo_panel(panel).axes[:2]
    assert own[0].get_ylim()[1] == pytest.approx(10 * own[1].get_ylim()[1])
    shared = logo_panel(panel, shared_scale=True).axes[:2]
    assert shared[0].get_ylim() == shared[1].get_ylim() == own[0].get_ylim()


def test_logos_of_different_regions_are_not_stacked() -> None:
    with pytest.raises(SeqplrpError, match="track 'b': covers 5-45, the first covers 0-40"):
        SequencePanel("s", [track("a"), track("b", start=5)])
    with pytest.raises(SeqplrpError, match="of 's' are empty"):
        SequencePanel("s", [])


def test_several_sequences_are_laid_out_without_overlap_inside_the_figure() -> None:
    panels = [SequencePanel(f"s{i}", [track("a", n), track("b", n)], MARKS) for i, n in enumerate((40, 90, 20))]
    figure = comparison_panel(panels, columns=2)
    boxes = [ax.get_position() for ax in figure.axes]
    assert len(boxes) == 9
    for box in boxes:
        assert 0 < box.x0 < box.x1 < 1
        assert 0 < box.y0 < box.y1 < 1
    for i, a in enumerate(boxes):
        for b in boxes[i + 1 :]:
            apart = a.x1 <= b.x0 or b.x1 <= a.x0 or a.y1 <= b.y0 + 1e-9 or b.y1 <= a.y0 + 1e-9
            assert apart
    assert boxes[0].y1 == pytest.approx(boxes[3].y1)  # side by side
    assert boxes[6].y1 < boxes[0].y0  # the third on the next row


def test_a_comparison_of_nothing_is_refused() -> None:
    with pytest.raises(SeqplrpError, match="at least one panel"):
        comparison_panel([])
