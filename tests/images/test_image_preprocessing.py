"""What networks see: torchvision's own transforms to the bit, masks by the same geometry, and the way back."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqplrp.errors import SeqplrpError
from seqplrp.images import IMAGENET, Preprocessing

models = pytest.importorskip("torchvision.models", reason="torchvision belongs to the extra image")

from PIL import Image  # noqa: E402
from torchvision.transforms import InterpolationMode  # noqa: E402
from torchvision.transforms import functional as F  # noqa: E402
from torchvision.transforms._presets import ImageClassification  # noqa: E402

PUBLISHED = {
    "VGG-16": models.VGG16_Weights.IMAGENET1K_V1,
    "VGG-16, of bytes": models.VGG16_Weights.IMAGENET1K_FEATURES,
    "ResNet-50": models.ResNet50_Weights.IMAGENET1K_V1,
    "ResNet-50, new recipe": models.ResNet50_Weights.IMAGENET1K_V2,
}
SIDES = st.integers(1, 300)


def noise(height: int, width: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.mark.parametrize("name", PUBLISHED)
@settings(max_examples=8, deadline=None)
@given(height=SIDES, width=SIDES)
def test_images_become_what_the_weights_own_transforms_make_of_them(name: str, height: int, width: int) -> None:
    transforms = PUBLISHED[name].transforms()
    image = noise(height, width)
    found = Preprocessing.of_transforms(transforms).apply(image)
    assert found.dtype == torch.float32
    assert found.shape == (3, 224, 224)
    assert torch.equal(found, transforms(image))


@pytest.mark.parametrize("interpolation", ["nearest", "nearest-exact", "bilinear", "bicubic", "lanczos"])
def test_every_way_of_resizing_is_torchvision_s(interpolation: str) -> None:
    wanted = ImageClassification(crop_size=20, resize_size=24, interpolation=InterpolationMode(interpolation))
    image = noise(50, 41)
    assert torch.equal(Preprocessing.of_transforms(wanted).apply(image), wanted(image))


def test_without_antialias_an_image_is_resized_as_a_tensor_for_pillow_always_smooths() -> None:
    wanted = ImageClassification(crop_size=20, resize_size=24, antialias=False)
    image = noise(50, 41)
    ours = Preprocessing.of_transforms(wanted)
    assert torch.equal(ours.apply(image), wanted(F.pil_to_tensor(image)))
    assert not torch.equal(ours.apply(image), Preprocessing(24, 20).apply(image))


def test_height_comes_before_width() -> None:
    assert Preprocessing(resize=(30, 40), crop=None).apply(noise(9, 9)).shape == (3, 30, 40)
    assert Preprocessing(resize=None, crop=(30, 40)).apply(noise(90, 90)).shape == (3, 30, 40)
    assert Preprocessing(resize=(30, 40), crop=None).size == (30, 40)
    assert Preprocessing(resize=30, crop=None).size is None
    assert IMAGENET.size == (224, 224)


@settings(max_examples=25, deadline=None)
@given(height=st.integers(1, 250), width=st.integers(1, 250), resize=st.integers(1, 90), crop=st.integers(1, 90))
def test_a_mask_goes_where_the_image_s_pixels_go(height: int, width: int, resize: int, crop: int) -> None:
    """An image whose red and green are its own coordinates shows where each pixel came from."""
    rows, columns = np.mgrid[1 : height + 1, 1 : width + 1]  # from 1, as what is added around is 0
    coordinates = Image.fromarray(np.stack([rows, columns, 0 * rows], 2).astype(np.uint8))
    preprocessing = Preprocessing(resize, crop, interpolation="nearest")
    came_from = preprocessing.undo(preprocessing.apply(coordinates)).astype(int)
    mask = np.random.default_rng(height * 251 + width).random((height, width)) < 0.5
    expected = mask[came_from[:, :, 0] - 1, came_from[:, :, 1] - 1] & (came_from[:, :, 0] > 0)
    assert np.array_equal(preprocessing.apply_mask(mask), expected)


@pytest.mark.parametrize("size", [(500, 375), (375, 500), (100, 100)])
def test_a_smoothed_object_and_its_mask_cover_each_other(size: tuple[int, int]) -> None:
    rows, columns = np.mgrid[: size[0], : size[1]]
    disc = (rows - 0.55 * size[0]) ** 2 + (columns - 0.4 * size[1]) ** 2 < (0.2 * min(size)) ** 2
    painted = Image.fromarray(disc.astype(np.uint8) * np.uint8(255)).convert("RGB")
    seen = IMAGENET.undo(IMAGENET.apply(painted))[:, :, 0] >= 128
    mask = IMAGENET.apply_mask(disc)
    assert (seen & mask).sum() / (seen | mask).sum() > 0.98


def test_masks_that_are_none_are_refused() -> None:
    with pytest.raises(SeqplrpError, match=r"mask: is float64 \(5, 5\)"):
        IMAGENET.apply_mask(np.zeros((5, 5)))
    with pytest.raises(SeqplrpError, match=r"mask: is bool \(5, 5, 3\)"):
        IMAGENET.apply_mask(np.zeros((5, 5, 3), dtype=bool))


@pytest.mark.parametrize("name", PUBLISHED)
def test_bounds_are_what_black_and_white_pixels_become(name: str) -> None:
    preprocessing = Preprocessing.of_transforms(PUBLISHED[name].transforms())
    low, high = preprocessing.bounds()
    assert low.shape == high.shape == (3, 1, 1)
    for bound, colour in ((low, "black"), (high, "white")):
        pixels = preprocessing.apply(Image.new("RGB", (8, 8), colour))
        assert torch.equal(pixels, bound.expand(3, 224, 224))


def test_no_pixel_lies_outside_of_the_bounds_even_where_resizing_overshoots() -> None:
    preprocessing = Preprocessing(resize=64, crop=80, interpolation="bicubic")
    edges = Image.fromarray(((np.indices((40, 40)).sum(0) % 8 < 4) * 255).astype(np.uint8)).convert("RGB")
    low, high = preprocessing.bounds()
    pixels = preprocessing.apply(edges)
    assert ((low <= pixels) & (pixels <= high)).all()


def test_undoing_gives_the_picture_that_the_network_saw() -> None:
    image = noise(60, 50)
    kept = Preprocessing(resize=None, crop=None)
    assert np.array_equal(kept.undo(kept.apply(image)), np.asarray(image))
    cut = Preprocessing(resize=None, crop=(20, 30))
    assert np.array_equal(cut.undo(cut.apply(image)), np.asarray(image)[20:40, 10:40])


def test_images_must_be_red_green_and_blue() -> None:
    with pytest.raises(SeqplrpError, match="image: is in mode L, not RGB; open it with"):
        IMAGENET.apply(Image.new("L", (8, 8)))


@pytest.mark.parametrize("preprocessing", [IMAGENET, Preprocessing((3, 4), None, antialias=False)], ids=repr)
def test_settings_survive_json(preprocessing: Preprocessing) -> None:
    assert Preprocessing.from_dict(json.loads(json.dumps(preprocessing.as_dict()))) == preprocessing


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"resize": 0}, "resize: 0 is no size"),
        ({"crop": 2.5}, "crop: 2.5 is no size"),
        ({"crop": (1, 2, 3)}, r"crop: \(1, 2, 3\) is no size"),
        ({"resize": True}, "resize: True is no size"),
        ({"crop": 1_000_000}, "crop: 1000000 is no size; give pixels such as 224, at most 10,000"),
        ({"mean": (0.5, 0.5, 10**400)}, "mean: .* one finite number a channel"),
        ({"mean": (0.5, 0.5)}, "mean: .* one finite number a channel"),
        ({"mean": (0.5, 0.5, float("nan"))}, "mean: .* one finite number a channel"),
        ({"std": (0.5, 0.0, 0.5)}, "std: .* not positive"),
        ({"interpolation": "cubic"}, "interpolation: 'cubic' is not known; use one of nearest"),
        ({"antialias": None}, "antialias: None is neither"),
        ({"antialias": False, "interpolation": "lanczos"}, "antialias: lanczos always smooths"),
    ],
)
def test_a_setting_that_is_none_is_told(settings: dict[str, object], said: str) -> None:
    with pytest.raises(SeqplrpError, match=said):
        Preprocessing(**settings)


def test_settings_that_nobody_knows_are_told() -> None:
    with pytest.raises(SeqplrpError, match="there is no setting 'flip'"):
        Preprocessing.from_dict({"resize": 3, "flip": True})
    with pytest.raises(SeqplrpError, match="transforms: ToTensor is no image classifier's"):
        Preprocessing.of_transforms(sys.modules["torchvision.transforms"].ToTensor())


def test_without_torchvision_the_error_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision.transforms.functional", None)
    with pytest.raises(SeqplrpError, match=r"needs torchvision, .*pip install 'seqplrp\[image\]'"):
        IMAGENET.apply(noise(8, 8))
