"""Images and masks in files: whatever their form, right or refused by name."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from seqplrp.errors import SeqplrpError
from seqplrp.images import open_image, open_mask, read_images_and_masks

pytest.importorskip("torchvision", reason="torchvision belongs to the extra image")

from image_files import COLOURS, GREYS, OBJECT, RNG, SIZE, put, put_mask, three
from PIL import Image


def opened(path: Path, **options: object) -> np.ndarray:
    image = open_image(path, **options)
    assert image.mode == "RGB"
    return np.asarray(image)


# ---- images of every form


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".ppm", ".webp"])
def test_colours_come_out_as_they_went_in(tmp_path: Path, suffix: str) -> None:
    path = put(tmp_path / f"a{suffix}", **({"lossless": True} if suffix == ".webp" else {}))
    assert np.array_equal(opened(path), COLOURS)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".pgm"])
def test_grey_becomes_three_equal_channels(tmp_path: Path, suffix: str) -> None:
    found = opened(put(tmp_path / f"a{suffix}", GREYS, **({"quality": 100} if suffix == ".jpg" else {})))
    assert np.abs(found.astype(int) - three(GREYS)).max() <= (2 if suffix == ".jpg" else 0)
    assert np.array_equal(found, three(found[:, :, 0]))


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_are_brought_to_eight_white_to_white(tmp_path: Path, suffix: str) -> None:
    deep = GREYS.astype(np.uint16) * 257
    assert np.array_equal(opened(put(tmp_path / f"a{suffix}", deep)), three(GREYS))
    assert opened(put(tmp_path / f"b{suffix}", np.full(SIZE, 65535, np.uint16))).min() == 255


def test_sixteen_bits_of_each_colour_are_brought_to_eight(tmp_path: Path) -> None:
    """Pillow can't write such a file, so it is made by hand."""
    rows = b"".join(b"\0" + (row.astype(">u2") * 257).tobytes() for row in COLOURS)

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", SIZE[1], SIZE[0], 16, 2, 0, 0, 0)
    path = tmp_path / "a.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )
    assert np.array_equal(opened(path), COLOURS)


def test_a_palette_gives_its_colours_not_its_numbers(tmp_path: Path) -> None:
    few = COLOURS // 128 * 255
    Image.fromarray(few).convert("P", palette=Image.Palette.ADAPTIVE).save(tmp_path / "a.png")
    assert Image.open(tmp_path / "a.png").mode == "P"
    assert np.array_equal(opened(tmp_path / "a.png"), few)
    Image.fromarray(OBJECT).save(tmp_path / "b.png")  # one bit a pixel
    assert np.array_equal(opened(tmp_path / "b.png"), three(OBJECT * np.uint8(255)))


def test_cmyk_becomes_the_colours_that_it_prints(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    flat = np.zeros((16, 16, 3), np.uint8) + np.array([200, 60, 120], np.uint8)
    Image.fromarray(flat).convert("CMYK").save(path, quality=100)
    assert Image.open(path).mode == "CMYK"
    assert np.abs(opened(path).astype(int) - flat).max() <= 4


@pytest.mark.parametrize("form", ["RGBA", "LA", "palette", "one colour"])
def test_what_is_transparent_shows_the_background(tmp_path: Path, form: str) -> None:
    clear = ~OBJECT
    path = tmp_path / "a.png"
    alpha = np.where(clear, 0, 255).astype(np.uint8)
    if form == "RGBA":
        put(path, np.dstack([COLOURS, alpha]))
        shown = COLOURS
    elif form == "LA":
        put(path, np.dstack([GREYS, alpha]))
        shown = three(GREYS)
    elif form == "palette":
        image = Image.fromarray(OBJECT.astype(np.uint8)).convert("P")
        image.putpalette([7, 7, 7, 90, 90, 90])
        image.save(path, transparency=0)
        shown = np.full_like(COLOURS, 90)
    else:
        put(path, three(OBJECT * np.uint8(90)), transparency=(0, 0, 0))
        shown = np.full_like(COLOURS, 90)
    assert np.array_equal(opened(path), np.where(clear[:, :, None], 255, shown))
    on_red = opened(path, background=(200, 0, 10))
    assert np.array_equal(on_red, np.where(clear[:, :, None], (200, 0, 10), shown))


def test_half_transparent_is_mixed_with_the_background(tmp_path: Path) -> None:
    path = put(tmp_path / "a.png", np.dstack([COLOURS, np.full(SIZE, 51, np.uint8)]))  # a fifth
    assert np.abs(opened(path) - (0.2 * COLOURS + 0.8 * 255)).max() <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_what_the_camera_says_of_the_orientation_is_done(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = put(tmp_path / "images" / "a.png", exif=exif)
    upright = {
        1: COLOURS,
        2: COLOURS[:, ::-1],
        3: COLOURS[::-1, ::-1],
        4: COLOURS[::-1],
        5: COLOURS.transpose(1, 0, 2),
        6: np.rot90(COLOURS, -1),
        7: COLOURS[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(COLOURS, 1),
    }[orientation]
    assert np.array_equal(opened(path), upright)
    mask = put_mask(tmp_path / "masks" / "a.png", upright[:, :, 0] > 9)
    read_images_and_masks(path.parent, mask.parent).check_files()  # sizes are those after turning


def test_the_first_frame_of_several_serves(tmp_path: Path) -> None:
    frames = [Image.fromarray(np.full(SIZE, value, np.uint8)) for value in (0, 255)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert opened(tmp_path / "a.gif").max() == 0


# ---- images that can't be opened


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize("share", [0.9, 0.5])
def test_a_truncated_image_is_told_by_name(tmp_path: Path, suffix: str, share: float) -> None:
    whole = put(tmp_path / f"whole{suffix}", RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)).read_bytes()
    path = tmp_path / f"cut{suffix}"
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(SeqplrpError, match=rf"cut\{suffix}: is cut short or damaged \(.*; restore the file"):
        open_image(path)


def test_damage_anywhere_is_an_image_or_an_error_that_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    for whole in (put(path).read_bytes(), put(tmp_path / "b.jpg").read_bytes(), put(tmp_path / "c.gif").read_bytes()):
        for place in range(0, len(whole), 7):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x5A]) + whole[place + 1 :])
            try:
                found = open_image(path).mode
            except SeqplrpError as error:
                found = error.where
            assert found in ("RGB", str(path))


@pytest.mark.parametrize(
    ("content", "said"), [(b"", "is no image that can be read"), (b"<html>", "is no image"), (None, "there is no such")]
)
def test_what_is_no_image_is_told_by_name(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "a.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SeqplrpError, match=rf"a\.jpg: {said}"):
        open_image(path)


def test_a_decompression_bomb_is_not_opened(tmp_path: Path, monkeypatch) -> None:
    path = put(tmp_path / "a.png", np.zeros((30, 50, 3), np.uint8))
    for limit in (1000, 500):  # Pillow warns above the limit, and raises above twice as much
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with pytest.raises(SeqplrpError, match=r"a\.png: has more than .* a decompression bomb has; make the image"):
            open_image(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1500)
    assert open_image(path).size == (50, 30)


def test_values_of_which_nobody_knows_what_is_white_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SeqplrpError, match="holds floats"):
        open_image(put(tmp_path / "a.tif", GREYS.astype(np.float32)))
    with pytest.raises(SeqplrpError, match="holds whole numbers of 32 bits"):
        open_image(put(tmp_path / "b.tif", GREYS.astype(np.int32)))


# ---- masks


@pytest.mark.parametrize("form", ["0 and 255", "0 and 1", "one bit", "RGB", "palette", "JPEG", "16 bits", "opaque"])
def test_a_mask_is_read_in_every_usual_form(tmp_path: Path, form: str) -> None:
    path = tmp_path / ("a.jpg" if form == "JPEG" else "a.png")
    white = OBJECT.astype(np.uint8) * np.uint8(255)
    values = {
        "0 and 1": OBJECT.astype(np.uint8),
        "one bit": OBJECT,
        "RGB": three(white),
        "JPEG": three(white),
        "16 bits": white.astype(np.uint16) * 257,
        "opaque": np.dstack([three(white), np.full(SIZE, 255, np.uint8)]),
    }.get(form, white)
    if form == "palette":
        image = Image.fromarray(OBJECT.astype(np.uint8)).convert("P")
        image.putpalette([0, 0, 0, 255, 255, 255])
        image.save(path)
    else:
        put(path, values, **({"quality": 95} if form == "JPEG" else {}))
    found = open_mask(path)
    assert np.array_equal(found.object, OBJECT)
    assert found.ignored is None


def test_a_mask_s_soft_edge_is_cut_at_the_middle(tmp_path: Path) -> None:
    ramp = np.tile(np.linspace(0, 255, 9).astype(np.uint8), (6, 1))
    assert np.array_equal(open_mask(put(tmp_path / "a.png", ramp)).object, ramp >= 128)


def test_a_mask_without_an_object_is_a_mask(tmp_path: Path) -> None:
    assert not open_mask(put(tmp_path / "a.png", np.zeros(SIZE, np.uint8))).object.any()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.where(OBJECT, 17, 0).astype(np.uint8), "whose largest value is 17: neither"),
        (np.where(OBJECT[:, :, None], (192, 0, 128), 0).astype(np.uint8), "is a mask in colour"),
        (np.dstack([three(GREYS), GREYS]), "is a mask that is transparent in places"),
    ],
)
def test_a_mask_that_could_mean_several_things_is_refused(tmp_path: Path, values: np.ndarray, said: str) -> None:
    with pytest.raises(SeqplrpError, match=rf"a\.png: .*{said}"):
        open_mask(put(tmp_path / "a.png", values))
