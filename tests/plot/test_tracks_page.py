"""What a page of sequences holds is what it was given: letters, relevance, all four bases, ledgers, names."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.path import Path as Outline
from page_examples import NAMES, example_page
from page_reading import maps_of, read_page, unpacked
from test_logos import DEFICIENCIES, lab

from seqplrp import SeqplrpError
from seqplrp.plot import DARK_BASE_COLOURS, PageColumn, PagePlaces, PageTrack, TracksPage
from seqplrp.plot.page.glyphs import glyph_paths


@pytest.fixture(scope="module")
def made():
    page, arrays = example_page()
    return read_page(page.html()), arrays


def test_letters_and_relevance_are_those_given(made):
    page, arrays = made
    found = maps_of(page, 0)
    offsets = arrays["offsets"]
    for number, (start, end) in enumerate(itertools.pairwise(offsets)):
        np.testing.assert_array_equal(found["codes"][number], arrays["codes"][start:end])
        of = arrays["per_base"][start:end]
        limit = np.abs(arrays["hypothetical"][:, start:end]).max() / 65534 * 1.001
        assert np.abs(found["relevance"][number] - of).max() <= limit


def test_all_four_bases_are_those_given_also_at_an_unknown_letter(made):
    page, arrays = made
    found = maps_of(page, 0)["bases"]
    offsets = arrays["offsets"]
    for number, (start, end) in enumerate(itertools.pairwise(offsets)):
        of = arrays["hypothetical"][:, start:end]
        assert np.abs(found[number] - of).max() <= np.abs(of).max() / 254 * 1.001
    assert arrays["codes"][3] == 4
    np.testing.assert_allclose(
        found[0][:, 3], arrays["hypothetical"][:, 3], atol=np.abs(arrays["hypothetical"]).max() / 254
    )


def test_zeros_of_a_pruned_map_stay_zeros(made):
    page, arrays = made
    whole = np.concatenate(maps_of(page, 1)["relevance"])
    keep = np.ones(len(whole), bool)
    keep[arrays["offsets"][4] : arrays["offsets"][5]] = False  # the sequence that this track lacks
    assert (whole[keep & (arrays["other"] == 0)] == 0).all()
    assert page.data["tracks"][1]["there"][4] == 0


def test_ledgers_follow_each_other_in_the_order_of_the_sequences(made):
    page, _ = made
    accounts = page.data["tracks"][0]["accounts"]
    cells = accounts["patterns"][0]["cells"]
    for block, (first, last) in enumerate(page.data["blocks"]):
        values = unpacked(page.scripts[f"t0l{block}"], "f4").reshape(last - first, len(cells))
        np.testing.assert_allclose(
            values / values[0, 0] * (1 + first),
            np.outer(1 + np.arange(first, last), values[0] / values[0, 0]),
            rtol=1e-5,
        )
    columns = page.data["accountColumns"]
    assert [columns[c] for _, c in cells][:3] == ["relevance_out", "relevance_in", "bias"]


def test_names_are_data_and_nothing_else(made):
    page, _ = made
    assert page.data["ids"][: len(NAMES)] == NAMES
    assert len(page.code) == 1
    assert not [tag for tag, _ in page.tags if tag == "img"]
    assert "A page & its <names>" in page.text


def test_the_letters_are_those_of_the_drawn_logos_and_fill_their_box():
    for path in glyph_paths().values():
        words = path.split()
        assert words[0] == "M"
        assert words[-1] == "Z"
        box = _outline(path).get_extents()
        np.testing.assert_allclose([box.min, box.max], [[0, 0], [1, 1]], atol=1e-3)
    # a T has ink at its top corners and none at its lower ones, an A the other way round
    t, a = (_outline(glyph_paths()[base]) for base in "TA")
    assert t.contains_point((0.05, 0.95))
    assert not t.contains_point((0.05, 0.05))
    assert a.contains_point((0.06, 0.02))
    assert not a.contains_point((0.05, 0.95))


def _outline(path: str) -> Outline:
    codes = {"M": 1, "L": 2, "Q": 3, "C": 4, "Z": 79}
    points, kinds, now = [], [], ""
    words = iter(path.split())
    for word in words:
        if word in codes:
            now = word
            if word == "Z":
                points.append((0, 0))
                kinds.append(79)
            continue
        points.append((float(word), float(next(words))))
        kinds.append(codes[now])
    return Outline(points, kinds)


@pytest.mark.parametrize("deficiency", DEFICIENCIES)
def test_bases_on_a_dark_page_can_be_told_apart_whatever_cones_one_has(deficiency):
    seen = {base: lab(colour, np.array(DEFICIENCIES[deficiency])) for base, colour in DARK_BASE_COLOURS.items()}
    assert min(np.linalg.norm(seen[a] - seen[b]) for a, b in itertools.combinations("ACGT", 2)) >= 28


def test_bases_stand_out_from_the_dark_page():
    def luminance(colour: str) -> float:
        rgb = np.array(to_rgb(colour))
        return float(np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722])

    dark = luminance("#161b21")
    assert min((luminance(c) + 0.05) / (dark + 0.05) for c in DARK_BASE_COLOURS.values()) >= 4.5


def test_a_page_of_nothing_or_of_other_sizes_is_refused():
    places = PagePlaces(["a"], ["a"], [0], [3], ["+"], np.array([0, 3]), np.array([0, 1, 2], np.uint8))
    columns = [PageColumn("id", "sequence", ["a"])]
    good = PageTrack("t", "", np.zeros(3, np.float32))
    TracksPage("t", "", places, [good], columns)
    for tracks in (
        [],
        [PageTrack("t", "", np.zeros(4, np.float32))],
        [PageTrack("t", "", np.full(3, np.nan, np.float32))],
    ):
        with pytest.raises(SeqplrpError):
            TracksPage("t", "", places, tracks, columns)


def test_two_thousand_sequences_of_600_bases_take_less_than_30_mb_with_one_method_dense_as_it_may_be():
    rng = np.random.default_rng(0)
    n, length = 100, 600
    hypothetical = rng.normal(size=(4, n * length)).astype(np.float32)
    codes = rng.integers(0, 4, n * length).astype(np.uint8)
    places = PagePlaces(
        [f"s{i}" for i in range(n)], ["chr1"] * n, [0] * n, [length] * n, ["+"] * n, np.arange(n + 1) * length, codes
    )
    per_base = hypothetical[codes, np.arange(n * length)]
    page = TracksPage(
        "t", "", places, [PageTrack("t", "", per_base, hypothetical)], [PageColumn("id", "id", places.ids)]
    )
    size, empty = len(page.html()), 120_000
    assert 20 * (size - empty) < 30e6 / 3  # so three methods fit
