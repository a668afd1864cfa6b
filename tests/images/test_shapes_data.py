"""The shapes data: the truth is true, nothing but the outline tells the class, and a seed gives the same bytes."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.path import Path as Polygon
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from seqplrp.errors import SeqplrpError
from seqplrp.images import open_image, read_ecssd
from seqplrp.images.shapes import DISTRACTORS, SHAPES, Scene, ShapesSettings, draw_scene, is_test, write_shapes
from seqplrp.images.shapes.outlines import Outline, class_outline
from seqplrp.images.shapes.textures import draw_colours

SETTINGS = ShapesSettings(n=800)


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [draw_scene(SETTINGS, index) for index in range(SETTINGS.n)]


@pytest.fixture(scope="module")
def labels(scenes) -> np.ndarray:
    return np.array([scene.label for scene in scenes])


def inside(outline: Outline, size: int, *, fine: int = 4) -> np.ndarray:
    """The share of each pixel that an outline covers, by matplotlib's test of points."""
    ticks = (np.arange(size * fine) + 0.5) / fine
    points = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
    covered = Polygon(outline.edge).contains_points(points)
    if outline.hole is not None:
        covered &= ~Polygon(outline.hole).contains_points(points)
    return covered.reshape(size, fine, size, fine).mean(axis=(1, 3))


# ---- outlines


def outlines(kind: str) -> list[Outline]:
    rng = np.random.default_rng(5)
    return [class_outline(kind)] if kind in SHAPES else [DISTRACTORS[kind](rng) for _ in range(10)]


@pytest.mark.parametrize("kind", [*SHAPES, *DISTRACTORS])
def test_every_outline_has_area_one_and_its_centroid_at_the_origin(kind):
    """Counted in points of a fine grid: else size and place would tell what an object is."""
    for outline in outlines(kind):
        covered = inside(outline.placed(32, 32, 400, 0.7), 64)
        rows, columns = np.indices(covered.shape) + 0.5
        assert covered.sum() == pytest.approx(400, rel=0.01)
        assert (covered * columns).sum() / covered.sum() == pytest.approx(32, abs=0.05)
        assert (covered * rows).sum() / covered.sum() == pytest.approx(32, abs=0.05)


def test_no_distractor_looks_like_a_class_and_no_class_like_another():
    """The share that two outlines of one area have in common, at best over rotations; circle and square have most."""
    turns = np.linspace(0, 2 * math.pi, 24, endpoint=False)
    known = {
        name: np.stack([inside(class_outline(name).placed(24, 24, 300, turn), 48, fine=2) >= 0.5 for turn in turns])
        for name in SHAPES
    }

    def likeness(mask: np.ndarray, name: str) -> float:
        return float(((known[name] & mask).sum((1, 2)) / (known[name] | mask).sum((1, 2))).max())

    for kind in DISTRACTORS:
        for outline in outlines(kind):
            mask = inside(outline.placed(24, 24, 300, 0), 48, fine=2) >= 0.5
            assert max(likeness(mask, name) for name in SHAPES) < 0.8
    for name in SHAPES:
        assert all(likeness(known[name][0], other) < 0.88 for other in SHAPES if other != name)


# ---- the truth


def test_masks_without_distractors_are_the_outline_that_the_table_tells():
    settings = ShapesSettings(n=16, distractors=(0, 0))
    for index in range(16):
        scene = draw_scene(settings, index)
        (told,) = scene.objects
        outline = class_outline(told.kind).placed(told.x, told.y, math.pi * told.radius**2, math.radians(told.rotation))
        wrong = scene.mask != (inside(outline, 64) >= 0.5)
        assert wrong.sum() <= 0.02 * scene.mask.sum() + 3  # pixels of which the edge covers just a half
        assert settings.classes[scene.label] == told.kind
        assert not scene.distractor_mask.any()


def test_masks_have_the_area_of_what_is_visible(scenes):
    for scene in scenes:
        (own,) = (item for item in scene.objects if item.is_class)
        visible = (1 - own.hidden) * math.pi * own.radius**2
        assert abs(scene.mask.sum() - visible) <= 0.06 * visible + 4
        assert not (scene.mask & scene.distractor_mask).any()


def test_no_object_is_hidden_beyond_the_stated_share_and_some_are_hidden(scenes):
    hidden = np.array([item.hidden for scene in scenes for item in scene.objects])
    own = np.array([item.hidden for scene in scenes for item in scene.objects if item.is_class])
    assert hidden.max() <= SETTINGS.hidden
    assert (own > 0.02).mean() > 0.1


def test_the_class_shape_is_where_the_image_is_painted_with_it():
    """Without noise and texture between them, the mask's pixels are far from the background's colour, others near."""
    settings = ShapesSettings(n=30, contrast=0.6, noise=0.0)
    apart = []
    for index in range(30):
        scene = draw_scene(settings, index)
        pixels = scene.image.astype(float) / 255
        ground = np.median(pixels[~(scene.mask | scene.distractor_mask)], axis=0)
        distance = np.linalg.norm(pixels - ground, axis=2)
        apart.append(distance[scene.mask].mean() - distance[~(scene.mask | scene.distractor_mask)].mean())
    assert min(apart) > 0.1


def test_there_are_as_many_distractors_as_was_asked_for_and_one_shape_of_the_class(scenes):
    numbers = [sum(not item.is_class for item in scene.objects) for scene in scenes]
    assert set(numbers) == {1, 2, 3}
    for scene in scenes:
        kinds = [item.kind for item in scene.objects if item.is_class]
        assert kinds == [SETTINGS.classes[scene.label]]
        assert {item.kind for item in scene.objects if not item.is_class} <= set(DISTRACTORS)
    depths = [[item.is_class for item in scene.objects].index(True) for scene in scenes]
    assert set(depths) == {0, 1, 2, 3}


def test_classes_are_balanced_in_every_run_and_in_both_splits(labels):
    assert all(sorted(run) == list(range(8)) for run in labels.reshape(-1, 8))
    test = np.array([is_test(SETTINGS, index) for index in range(SETTINGS.n)])
    assert np.bincount(labels[test]).tolist() == [20] * 8
    assert len({tuple(run) for run in labels.reshape(-1, 8)}) > 90  # in no order that could be learnt


# ---- what does not tell the class


def histogram(pixels: np.ndarray) -> np.ndarray:
    """Shares of pixels by colour: six levels a channel, and all pairs of three levels."""
    single = [np.bincount(channel * 6 // 256, minlength=6) for channel in pixels.T.astype(int)]
    coarse = pixels.astype(int) * 3 // 256
    joint = np.bincount(coarse @ np.array([9, 3, 1]), minlength=27)
    return np.concatenate([*single, joint]) / max(1, len(pixels))


def place_and_size(scene: Scene) -> np.ndarray:
    rows, columns = np.nonzero(scene.mask)
    return np.array([rows.mean(), columns.mean(), len(rows), scene.distractor_mask.sum()])


def background_alone(scene: Scene) -> np.ndarray:
    """Colours, and how they change from pixel to pixel, where there is no object."""
    free = ~(scene.mask | scene.distractor_mask)
    pixels = scene.image.astype(float)
    down = np.abs(np.diff(pixels, axis=0)).mean(axis=2)[free[1:] & free[:-1]]
    across = np.abs(np.diff(pixels, axis=1)).mean(axis=2)[free[:, 1:] & free[:, :-1]]
    change = [value for steps in (down, across) for value in (steps.mean(), steps.std())]
    return np.concatenate([histogram(scene.image[free]), pixels[free].mean(axis=0), pixels[free].std(axis=0), change])


def small(scene: Scene) -> np.ndarray:
    return scene.image.reshape(8, 8, 8, 8, 3).mean(axis=(1, 3)).ravel()


def outline_of_mask(scene: Scene) -> np.ndarray:
    """What does tell the class: how far the mask's pixels are from its centre, and how long its edge is."""
    rows, columns = np.nonzero(scene.mask)
    radii = np.hypot(rows - rows.mean(), columns - columns.mean()) / math.sqrt(len(rows))
    edge = np.abs(np.diff(scene.mask.astype(int), axis=0)).sum() + np.abs(np.diff(scene.mask.astype(int))).sum()
    return np.array([*np.quantile(radii, [0.01, 0.25, 0.5, 0.75, 0.99]), edge / math.sqrt(len(rows))])


FEATURES = {
    "colours of the image": lambda scene: histogram(scene.image.reshape(-1, 3)),
    "colours of the shape": lambda scene: histogram(scene.image[scene.mask]),
    "colours of the distractors": lambda scene: histogram(scene.image[scene.distractor_mask]),
    "place and size": place_and_size,
    "the background alone": background_alone,
    "a thumbnail": small,
}


def accuracies(features: np.ndarray, labels: np.ndarray) -> list[float]:
    """What a linear model and the nearest neighbours reach on images that they have not seen."""
    models = (LogisticRegression(C=0.1, max_iter=200), KNeighborsClassifier(9))
    return [
        float(cross_val_score(make_pipeline(StandardScaler(), model), features, labels, cv=4).mean())
        for model in models
    ]


@pytest.mark.parametrize("name", FEATURES)
def test_what_is_not_the_outline_leaves_a_classifier_at_chance(scenes, labels, name):
    """800 images: one eighth, and four standard deviations of what guessing gives."""
    chance = 1 / 8
    most = chance + 4 * math.sqrt(chance * (1 - chance) / len(labels))
    found = accuracies(np.stack([FEATURES[name](scene) for scene in scenes]), labels)
    assert max(found) < most


def test_the_outline_does_tell_the_class(scenes, labels):
    """The control: the same classifiers on the same images see what there is to be seen."""
    assert min(accuracies(np.stack([outline_of_mask(scene) for scene in scenes]), labels)) > 0.7


def test_colours_keep_their_distance_from_the_background():
    rng = np.random.default_rng(0)
    for _ in range(50):
        colours = draw_colours(rng, 4, 0.6)
        assert np.linalg.norm(colours[1:] - colours[0], axis=1).min() >= 0.6
        assert (colours >= 0).all()
        assert (colours <= 1).all()


# ---- files


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("shapes") / "data"
    write_shapes(place, ShapesSettings(n=48, size=48, seed=3))
    return place


def contents(place: Path) -> dict[str, bytes]:
    return {path.relative_to(place).as_posix(): path.read_bytes() for path in place.rglob("*") if path.is_file()}


def test_a_seed_gives_the_same_bytes_again_and_another_seed_others(written, tmp_path):
    write_shapes(tmp_path / "again", ShapesSettings(n=48, size=48, seed=3))
    write_shapes(tmp_path / "other", ShapesSettings(n=48, size=48, seed=4))
    assert contents(tmp_path / "again") == contents(written)
    images = {name for name in contents(written) if name.startswith("images/")}
    other = contents(tmp_path / "other")
    assert not any(other[name] == contents(written)[name] for name in images)


def test_the_first_images_are_the_same_however_many_there_are(written, tmp_path):
    write_shapes(tmp_path / "few", ShapesSettings(n=5, size=48, seed=3))
    images = {name: content for name, content in contents(tmp_path / "few").items() if name.endswith(".png")}
    assert len(images) == 15
    assert all(contents(written)[name] == content for name, content in images.items())


def test_every_other_file_is_in_the_list_of_hashes(written):
    lines = (written / "SHA256SUMS").read_text().splitlines()
    listed = dict(reversed(line.split("  ")) for line in lines)
    found = {name: hashlib.sha256(content).hexdigest() for name, content in contents(written).items()}
    assert listed == {name: digest for name, digest in found.items() if name != "SHA256SUMS"}


def test_the_layout_is_ecssds_with_labels(written):
    collection = read_ecssd(written, split="test")
    assert dict(collection.class_numbers) == {name: number for number, name in enumerate(SHAPES)}
    assert len(collection) == 8
    everything = read_ecssd(written)
    for index, record in enumerate(everything):
        scene = draw_scene(ShapesSettings(n=48, size=48, seed=3), index)
        assert record.label == scene.label
        np.testing.assert_array_equal(np.asarray(record.open()), scene.image)
        np.testing.assert_array_equal(record.open_mask().object, scene.mask)
        distractors = np.asarray(open_image(written / "distractor_mask" / f"{record.name}.png"))[:, :, 0]
        np.testing.assert_array_equal(distractors, 255 * scene.distractor_mask)


def test_the_table_of_objects_tells_what_was_drawn(written):
    table = pd.read_csv(written / "objects.tsv", sep="\t", dtype={"id": str})
    for index, (_, rows) in enumerate(table.groupby("id")):
        scene = draw_scene(ShapesSettings(n=48, size=48, seed=3), index)
        assert rows["kind"].tolist() == [item.kind for item in scene.objects]
        assert rows["is_class"].tolist() == [int(item.is_class) for item in scene.objects]
        for column in ("x", "y", "radius", "hidden"):
            np.testing.assert_allclose(rows[column], [getattr(item, column) for item in scene.objects], atol=1e-3)
        assert rows["depth"].tolist() == list(range(1, len(rows) + 1))


def test_jpeg_images_are_near_to_what_was_drawn(tmp_path):
    write_shapes(tmp_path, ShapesSettings(n=4), image_format="jpg")
    for index, record in enumerate(read_ecssd(tmp_path)):
        assert record.image.suffix == ".jpg"
        error = np.abs(np.asarray(record.open()).astype(int) - draw_scene(ShapesSettings(n=4), index).image).mean()
        assert 0 < error < 4


# ---- what can't be drawn


@pytest.mark.parametrize(
    ("settings", "where"),
    [
        ({"n": 0}, "n"),
        ({"size": 47}, "size"),
        ({"seed": -1}, "seed"),
        ({"radius": (0.2, 0.1)}, "radius"),
        ({"radius": (0.1, 0.4)}, "radius"),
        ({"distractor_radius": (0.0, 0.1)}, "distractor_radius"),
        ({"distractors": (3, 1)}, "distractors"),
        ({"hidden": 0.9}, "hidden"),
        ({"contrast": 0.9}, "contrast"),
        ({"noise": math.nan}, "noise"),
    ],
)
def test_settings_that_cannot_be_are_named(settings, where, tmp_path):
    with pytest.raises(SeqplrpError) as caught:
        write_shapes(tmp_path, ShapesSettings(**settings))
    assert caught.value.where == where
    assert not list(tmp_path.iterdir())


def test_objects_that_do_not_find_room_are_an_error_and_no_endless_search():
    settings = ShapesSettings(radius=(0.3, 0.3), distractor_radius=(0.25, 0.25), distractors=(6, 6), hidden=0.0)
    with pytest.raises(SeqplrpError, match="do not find room"):
        draw_scene(settings, 0)
