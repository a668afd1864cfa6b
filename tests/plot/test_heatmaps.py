"""Heat maps show sign, size and place of relevance, on one symmetric scale, and refuse what can't be drawn."""

from __future__ import annotations

import numpy as np
import pytest

from seqplrp import SeqplrpError
from seqplrp.plot import HeatMap, ImagePanel, heat_colours, heat_limit, heat_map_grid, overlay, save_figure


def panel(title: str = "a.png", maps: tuple[str, ...] = ("plrp", "lrp"), size: tuple[int, int] = (6, 8)) -> ImagePanel:
    rng = np.random.default_rng(0)
    mask = np.zeros(size, dtype=bool)
    mask[1:3, 2:5] = True
    found = [HeatMap(name, rng.normal(size=size), f"RMA {number}") for number, name in enumerate(maps)]
    return ImagePanel(title, rng.random((*size, 3)), found, mask)


def test_zero_is_neutral_and_equal_sizes_of_both_signs_are_equally_strong() -> None:
    colours = heat_colours(np.array([[0.0, 1.0, -1.0, 5.0, -5.0, 0.5]]), limit=1.0)[0]
    assert np.ptp(colours[0]) < 0.02
    assert colours[0].min() > 0.95
    red, blue = colours[1], colours[2]
    assert red[0] > red[2]
    assert blue[2] > blue[0]
    assert np.array_equal(colours[3], red)
    assert np.array_equal(colours[4], blue)
    assert colours[5][0] > colours[5][2]
    assert colours[5][1] > red[1]


def test_one_hot_pixel_does_not_set_the_scale_and_a_sparse_map_still_has_one() -> None:
    values = np.ones((100, 100))
    values[0, 0] = 1000
    assert heat_limit(values) == 1
    assert heat_limit(values, clip=1.0) == 1000
    sparse = np.zeros((100, 100))
    sparse[3, 4] = -2.5
    assert heat_limit(sparse) == 2.5
    assert heat_limit(np.zeros((3, 3))) == 1


def test_an_overlay_shows_the_image_in_grey_where_there_is_no_relevance_and_hides_it_where_there_is_most() -> None:
    image = np.random.default_rng(1).random((4, 5, 3))
    drawn = overlay(image, np.zeros((4, 5)), 1.0)
    assert np.allclose(np.ptp(drawn, axis=2), 0)
    grey = image @ np.array([0.299, 0.587, 0.114])
    assert np.corrcoef(drawn[..., 0].ravel(), grey.ravel())[0, 1] == pytest.approx(1)
    full = overlay(image, np.ones((4, 5)), 1.0)
    assert np.ptp(full, axis=(0, 1)).max() == 0
    assert full[0, 0, 0] > full[0, 0, 2]


@pytest.mark.parametrize("show", ["map", "overlay"])
def test_a_grid_has_a_row_an_image_and_a_column_a_method_with_names_as_they_are(show, tmp_path) -> None:
    figure = heat_map_grid([panel("$a$.png"), panel("b.png")], show=show, title="shapes_$1$")
    axes = figure.axes[:-1]  # the last is the colour bar
    assert len(axes) == 6
    assert [ax.get_title() for ax in axes[:3]] == ["image", "plrp", "lrp"]
    assert [axes[0].get_ylabel(), axes[3].get_ylabel()] == ["$a$.png", "b.png"]
    assert [ax.get_xlabel() for ax in axes[1:3]] == ["RMA 0", "RMA 1"]
    assert all(len(ax.collections) == 1 for ax in axes)  # the mask's outline
    tops = [round(ax.get_position().y1, 6) for ax in axes]
    assert tops[0] == tops[1] == tops[2] > tops[3] == tops[5]
    save_figure(figure, tmp_path / "grid.png")
    save_figure(
        heat_map_grid([panel("$a$.png"), panel("b.png")], show=show, title="shapes_$1$"), tmp_path / "again.png"
    )
    assert (tmp_path / "grid.png").read_bytes() == (tmp_path / "again.png").read_bytes()


def test_what_is_drawn_is_the_map_and_a_shared_scale_keeps_the_methods_sizes() -> None:
    strong, weak = np.full((4, 4), 2.0), np.full((4, 4), 1.0)
    one = ImagePanel("a", np.zeros((4, 4, 3)), [HeatMap("strong", strong), HeatMap("weak", weak)])
    own = [ax.images[0].get_array() for ax in heat_map_grid([one]).axes[1:3]]
    assert np.array_equal(own[0], own[1])
    shared = [ax.images[0].get_array() for ax in heat_map_grid([one], shared=True).axes[1:3]]
    assert np.array_equal(shared[0], heat_colours(strong, 2.0))
    assert np.array_equal(shared[1], heat_colours(weak, 2.0))


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: ImagePanel("a", np.zeros((4, 4)), [HeatMap("m", np.zeros((4, 4)))]), "image 'a': has shape"),
        (lambda: ImagePanel("a", np.zeros((4, 4, 3)), []), "maps: of 'a' are empty"),
        (
            lambda: ImagePanel("a", np.zeros((4, 4, 3)), [HeatMap("m", np.zeros((3, 4, 4)))]),
            "map 'm': of 'a' has shape",
        ),
        (lambda: ImagePanel("a", np.zeros((1, 1, 3)), [HeatMap("m", np.array([[np.nan]]))]), "is not finite"),
        (
            lambda: ImagePanel("a", np.zeros((4, 4, 3)), [HeatMap("m", np.zeros((4, 4)))], np.ones((2, 2), dtype=bool)),
            "mask of 'a': has shape",
        ),
        (lambda: heat_map_grid([]), "panels: are empty"),
        (lambda: heat_map_grid([panel(), panel("b", maps=("plrp",))]), "panel 'b': has other methods"),
        (lambda: heat_limit(np.ones(3), clip=0), "clip: is 0"),
    ],
)
def test_what_cannot_be_drawn_is_told(make, told) -> None:
    with pytest.raises(SeqplrpError) as found:
        make()
    assert told in str(found.value)
