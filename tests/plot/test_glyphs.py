"""The letters that we draw on long tracks are logomaker's: outline by outline, and in the picture."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch

from seqplrp import SeqplrpError
from seqplrp.plot import Renderer, draw_logo, logo_frame, save_figure
from seqplrp.plot.logos import LETTERS_BY_LOGOMAKER


def per_base(length: int = 60, start: int = 0, seed: int = 0) -> pd.DataFrame:
    draws = np.random.default_rng(seed)
    values = draws.normal(size=length)
    values[draws.random(length) < 0.2] = 0
    return logo_frame(values, "".join(draws.choice(list("ACGT"), size=length)), start=start)


def stacks(seed: int = 1) -> pd.DataFrame:
    values = np.random.default_rng(seed).normal(size=(4, 24))
    values[:, 3] = 0
    values[1:3, 5] = 0
    values[:, 7] = np.abs(values[:, 7])
    values[:, 9] = -np.abs(values[:, 9])
    return logo_frame(values)


TABLES = {
    "both signs": per_base(),
    "far along a chromosome": per_base(start=123_456_789),
    "stacks of four": stacks(),
    "sizes far apart": logo_frame([1e-6, 1.0, -1e-4, 0.5, -1.0, 1e-12], "ACGTAC"),
    "as large as floats go": per_base(20) * 1e30,
    "columns in another order": stacks()[["T", "A", "G", "C"]],
    "two bases": stacks()[["A", "T"]],
    "one letter": logo_frame([0.0, 2.5, 0.0], "AGA"),
}
every = pytest.mark.parametrize("frame", TABLES.values(), ids=TABLES)


def drawn(frame: pd.DataFrame, renderer: Renderer) -> Axes:
    ax = Figure(figsize=(8, 1.2), dpi=100).add_axes((0.05, 0.1, 0.94, 0.85))
    draw_logo(ax, frame, renderer=renderer)
    return ax


def outlines(ax: Axes) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Vertices, codes and colour of each letter, from left to right and from below."""
    found = [
        (p.get_path().vertices, p.get_path().codes, np.array(p.get_facecolor()))
        for p in ax.patches
        if isinstance(p, PathPatch)
    ]
    for collection in ax.collections:
        assert isinstance(collection, PathCollection)
        colours = collection.get_facecolors()
        found += [(path.vertices, path.codes, c) for path, c in zip(collection.get_paths(), colours, strict=True)]
    return sorted(found, key=lambda one: (round(one[0][:, 0].mean()), one[0][:, 1].min(), one[0][:, 1].max()))


def pixels(ax: Axes) -> np.ndarray:
    canvas = FigureCanvasAgg(ax.figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[:, :, :3].astype(int)


@every
def test_each_letter_has_logomakers_outline_place_and_colour(frame) -> None:
    theirs, ours = outlines(drawn(frame, "logomaker")), outlines(drawn(frame, "paths"))
    assert len(ours) == len(theirs) == int((frame != 0).to_numpy().sum())
    for (vertices, codes, colour), (own_vertices, own_codes, own_colour) in zip(theirs, ours, strict=True):
        np.testing.assert_array_equal(own_codes, codes)
        height = np.ptp(vertices[:, 1])
        np.testing.assert_allclose(own_vertices[:, 0], vertices[:, 0], rtol=1e-15, atol=1e-9)
        np.testing.assert_allclose(own_vertices[:, 1], vertices[:, 1], rtol=1e-9, atol=1e-9 * height)
        np.testing.assert_allclose(own_colour, colour, atol=1e-9)


@every
def test_the_two_pictures_are_the_same_to_the_eye(frame) -> None:
    theirs, ours = pixels(drawn(frame, "logomaker")), pixels(drawn(frame, "paths"))
    assert theirs.shape == ours.shape
    assert (theirs != 255).any(axis=2).sum() > 100, "something was drawn"
    off = np.abs(theirs - ours).max(axis=2)
    assert off.max() <= 8, "no pixel differs by more than 3 % of a colour"
    assert (off > 0).mean() < 1e-3


@every
def test_axes_are_the_same_whoever_draws(frame) -> None:
    theirs, ours = drawn(frame, "logomaker"), drawn(frame, "paths")
    assert theirs.get_xlim() == ours.get_xlim()
    assert theirs.get_ylim() == ours.get_ylim()
    assert list(theirs.get_yticks()) == list(ours.get_yticks())


def test_a_picture_of_another_logo_is_not_the_same_to_the_eye() -> None:
    one, other = pixels(drawn(per_base(seed=0), "paths")), pixels(drawn(per_base(seed=2), "paths"))
    assert (np.abs(one - other).max(axis=2) > 8).mean() > 0.05


def test_few_letters_are_logomakers_and_many_are_ours() -> None:
    for letters, by_us in ((LETTERS_BY_LOGOMAKER, False), (LETTERS_BY_LOGOMAKER + 1, True)):
        values = np.zeros(400)
        values[:letters] = 1.0
        ax = drawn(logo_frame(values, "A" * 400), "auto")
        assert (len(ax.collections), len(ax.patches)) == ((1, 0) if by_us else (0, letters))


def test_a_long_track_takes_its_room_also_where_it_is_empty() -> None:
    values = np.zeros(3000)
    values[100:300] = 1.0
    ax = drawn(logo_frame(values, "C" * 3000), "auto")
    assert ax.get_xlim() == (-0.5, 2999.5)
    none = drawn(logo_frame(np.zeros(3000), "C" * 3000), "paths")
    assert [text.get_text() for text in none.texts] == ["no relevance here"]


@pytest.mark.parametrize("suffix", [".svg", ".png", ".pdf"])
def test_a_long_logo_is_the_same_file_each_time(tmp_path, suffix: str) -> None:
    for name in "ab":
        save_figure(drawn(per_base(400), "paths").figure, tmp_path / f"{name}{suffix}")
    first, second = ((tmp_path / f"{name}{suffix}").read_bytes() for name in "ab")
    assert first == second
    assert len(first) > 5000


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        (pd.DataFrame({"A": [1.0], "U": [2.0]}), "frame: has a column 'U'; name the columns A, C, G and T"),
        (pd.DataFrame({"A": [np.nan]}), "frame: holds values that are not finite"),
        (pd.DataFrame({"A": []}, dtype=float), "frame: has no position"),
    ],
)
@pytest.mark.parametrize("renderer", ["logomaker", "paths"])
def test_a_table_that_is_no_logo_is_refused_whoever_draws(frame, text: str, renderer: Renderer) -> None:
    with pytest.raises(SeqplrpError, match=text):
        drawn(frame, renderer)
