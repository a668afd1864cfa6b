"""The table a logo is made of, and that the drawing shows it: right letters, places, heights and colours."""

from __future__ import annotations

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch

from seqplrp import SeqplrpError
from seqplrp.plot import BASE_COLOURS, draw_logo, logo_frame, logo_values, save_figure


def glyphs(frame: pd.DataFrame) -> list[tuple[str, float, float, float]]:
    """What was drawn: (base, middle of the letter, lowest point, highest point)."""
    ax = Figure().add_subplot()
    draw_logo(ax, frame)
    base_of = {to_rgb(colour): base for base, colour in BASE_COLOURS.items()}
    boxes = [(base_of[p.get_facecolor()[:3]], p.get_path().get_extents()) for p in ax.patches]
    return sorted((base, (box.x0 + box.x1) / 2, box.y0, box.y1) for base, box in boxes)


def test_the_table_puts_each_value_under_its_letter() -> None:
    frame = logo_frame([1.0, -2.0, 3.0, 0.0, 5.0], "ACGNt", start=10)
    assert list(frame.columns) == list("ACGT")
    assert list(frame.index) == [10, 11, 12, 13, 14]
    assert frame.loc[10].tolist() == [1, 0, 0, 0]
    assert frame.loc[11].tolist() == [0, -2, 0, 0]
    assert frame.loc[13].tolist() == [0, 0, 0, 0]
    assert frame.loc[14].tolist() == [0, 0, 0, 5]


def test_codes_and_letters_give_the_same_table() -> None:
    values = torch.tensor([0.5, 0.25, 0.0])
    pd.testing.assert_frame_equal(logo_frame(values, "TGN"), logo_frame(values, np.array([3, 2, 4], dtype=np.uint8)))


def test_four_rows_go_in_and_come_out_as_they_were() -> None:
    values = np.random.default_rng(0).normal(size=(4, 9))
    np.testing.assert_array_equal(logo_values(logo_frame(values)), values)
    part = pd.DataFrame({"T": [1.0], "A": [2.0]})
    np.testing.assert_array_equal(logo_values(part), [[2.0], [0.0], [0.0], [1.0]])


@pytest.mark.parametrize(
    ("values", "sequence", "text"),
    [
        ([1.0, 2.0], None, "values: has shape (2,); pass (4, L), or (L,) together with the sequence"),
        ([1.0, 2.0], "ACG", "sequence: has 3 letters for 2 values"),
        ([1.0, 2.0], "AN", "values: position 1 is N and carries relevance"),
        ([1.0, np.inf], "AC", "values: holds values that are not finite"),
        (np.ones((3, 5)), None, "values: has shape (3, 5)"),
    ],
)
def test_values_that_are_no_logo_are_refused(values: object, sequence: str | None, text: str) -> None:
    with pytest.raises(SeqplrpError) as error:
        logo_frame(values, sequence)
    assert text in str(error.value)


def test_a_table_with_other_letters_is_refused() -> None:
    with pytest.raises(SeqplrpError, match="column 'U'"):
        logo_values(pd.DataFrame({"U": [1.0]}))


def test_letters_stand_over_their_positions_as_high_as_their_values() -> None:
    drawn = glyphs(logo_frame([1.0, -2.0, 0.0, 0.5], "ACGT", start=7))
    assert [base for base, *_ in drawn] == ["A", "C", "T"]
    for (_, middle, low, high), (where, bottom, top) in zip(drawn, [(7, 0, 1), (8, -2, 0), (10, 0, 0.5)]):
        assert middle == pytest.approx(where, abs=0.02)
        assert (low, high) == (pytest.approx(bottom, abs=1e-9), pytest.approx(top, abs=1e-9))


def test_hypothetical_letters_are_stacked_and_none_is_hidden() -> None:
    frame = logo_frame(np.array([[1.0], [2.0], [-0.5], [-1.0]]))
    box = {base: (low, high) for base, _, low, high in glyphs(frame)}
    assert box["A"] == pytest.approx((0, 1))
    assert box["C"] == pytest.approx((1, 3))  # the largest is farthest from the axis
    assert box["G"] == pytest.approx((-0.5, 0))
    assert box["T"] == pytest.approx((-1.5, -0.5))


def test_positions_without_relevance_cost_no_glyph_and_still_take_their_room() -> None:
    frame = logo_frame([0.0, 0.0, 1.0, 0.0], "ACGT")
    ax = Figure().add_subplot()
    draw_logo(ax, frame)
    assert len([p for p in ax.patches if isinstance(p, PathPatch)]) == 1
    assert ax.get_xlim() == (-0.5, 3.5)


def test_a_map_of_zeros_says_so_instead_of_an_empty_axis() -> None:
    ax = Figure().add_subplot()
    draw_logo(ax, logo_frame(np.zeros(4), "ACGT"))
    assert [t.get_text() for t in ax.texts] == ["no relevance here"]
    assert ax.get_xlim() == (-0.5, 3.5)


def test_the_pixels_show_each_base_in_its_colour_at_its_place() -> None:
    figure = Figure(figsize=(4, 1), dpi=100)
    ax = figure.add_axes((0, 0, 1, 1))
    draw_logo(ax, logo_frame([1.0, 1.0, 1.0, 1.0], "TGCA"), limits=(0.0, 1.0))
    ax.axis("off")
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[:, :, :3].astype(int)
    for i, base in enumerate("TGCA"):
        colour = np.round(np.array(to_rgb(BASE_COLOURS[base])) * 255)
        here = (np.abs(pixels - colour) <= 2).all(axis=2)
        columns = np.flatnonzero(here.any(axis=0))
        assert here.sum() > 500
        assert i * 100 <= columns.min()
        assert columns.max() < (i + 1) * 100


def test_drawing_leaves_pyplot_alone() -> None:
    figure = Figure()
    draw_logo(figure.add_subplot(), logo_frame([1.0], "A"))
    assert plt.get_fignums() == []


@pytest.mark.parametrize("suffix", [".svg", ".png", ".pdf"])
def test_the_same_picture_is_the_same_file(tmp_path, suffix: str) -> None:
    for name in ("a", "b"):
        figure = Figure()
        draw_logo(figure.add_subplot(), logo_frame([1.0, -2.0], "AC"))
        save_figure(figure, tmp_path / (name + suffix))
    first, second = (tmp_path / (name + suffix) for name in "ab")
    assert first.read_bytes() == second.read_bytes()
    assert b"<dc:date>" not in first.read_bytes()
    assert b"CreationDate" not in first.read_bytes()


@pytest.mark.parametrize("name", ["x.jpeg", "x", "x.svg.gz"])
def test_a_suffix_that_names_no_format_is_refused(tmp_path, name: str) -> None:
    with pytest.raises(SeqplrpError, match=r"end the name in \.svg or \.png or \.pdf"):
        save_figure(Figure(), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


# Machado, Oliveira, Fernandes 2009: full loss of one kind of cone, on linear RGB.
DEFICIENCIES = {
    "none": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}


def lab(colour: str, seen: np.ndarray) -> np.ndarray:
    """CIE L*a*b* (D65) of a colour as somebody with a colour-vision deficiency sees it."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = to_xyz @ np.clip(seen @ linear, 0, 1) / np.array([0.9505, 1.0, 1.089])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("deficiency", DEFICIENCIES)
def test_any_two_bases_can_be_told_apart_whatever_cones_one_has(deficiency: str) -> None:
    seen = {base: lab(colour, np.array(DEFICIENCIES[deficiency])) for base, colour in BASE_COLOURS.items()}
    closest = min(np.linalg.norm(seen[a] - seen[b]) for a, b in itertools.combinations("ACGT", 2))
    assert closest >= 28
