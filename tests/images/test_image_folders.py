"""Data sets in folders, and the images and masks in them: whatever their form, right or refused by name."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from seqplrp.errors import SeqplrpError
from seqplrp.images import (
    Preprocessing,
    open_image,
    open_mask,
    read_class_folders,
    read_classes,
    read_ecssd,
    read_imagenet_s,
    read_images,
    read_images_and_masks,
)

pytest.importorskip("torchvision", reason="torchvision belongs to the extra image")

from PIL import Image

SIZE = (6, 9)  # height, width
RNG = np.random.default_rng(0)
COLOURS = RNG.integers(0, 256, (*SIZE, 3), dtype=np.uint8)
GREYS = RNG.integers(0, 256, SIZE, dtype=np.uint8)
OBJECT = np.zeros(SIZE, dtype=bool)
OBJECT[2:4, 3:8] = True
KEEPING = Preprocessing(resize=None, crop=None)


def put(path: Path, values: np.ndarray = COLOURS, **options: object) -> Path:
    """Write an array as an image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path, **options)
    return path


def put_mask(path: Path, mask: np.ndarray = OBJECT) -> Path:
    return put(path, mask.astype(np.uint8) * np.uint8(255))


def opened(path: Path, **options: object) -> np.ndarray:
    image = open_image(path, **options)
    assert image.mode == "RGB"
    return np.asarray(image)


def three(greys: np.ndarray) -> np.ndarray:
    return np.repeat(greys[:, :, None], 3, 2)


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


# ---- folders of classes


def test_classes_folders_give_labels_by_the_network_s_numbers(tmp_path: Path) -> None:
    for name in ("cat/1.jpg", "cat/deep/2.JPEG", "axolotl/1.png"):
        put(tmp_path / name)
    found = read_class_folders(tmp_path, classes={"dog": 0, "axolotl": 7, "cat": 3})
    assert [(record.name, record.label) for record in found] == [("axolotl/1", 7), ("cat/1", 3), ("cat/deep/2", 3)]
    assert found.remarks == ()
    assert [record.label for record in read_class_folders(tmp_path, classes=("cat", "dog", "axolotl"))] == [2, 0, 0]
    (tmp_path / "classes.txt").write_text("cat\naxolotl\n")
    assert [record.label for record in read_class_folders(tmp_path, classes=tmp_path / "classes.txt")] == [1, 0, 0]


def test_without_the_network_s_classes_their_names_order_serves_and_a_remark_says_so(tmp_path: Path) -> None:
    for name in ("b/1.png", "a/1.png", "c/1.png"):
        put(tmp_path / name)
    found = read_class_folders(tmp_path)
    assert [record.label for record in found] == [0, 1, 2]
    assert found.remarks == ("3 classes were numbered in the order of their names",)
    assert found.class_numbers == {"a": 0, "b": 1, "c": 2}


def test_folders_that_are_numbers_are_not_numbered_otherwise(tmp_path: Path) -> None:
    for name in ("0/1.png", "1/1.png"):
        put(tmp_path / name)
    assert [record.label for record in read_class_folders(tmp_path)] == [0, 1]
    for name in ("2/1.png", "10/1.png"):
        put(tmp_path / name)
    with pytest.raises(SeqplrpError, match=r"classes are named by numbers, .*'10' would be number 2"):
        read_class_folders(tmp_path)


def test_a_folder_that_is_no_class_is_told(tmp_path: Path) -> None:
    put(tmp_path / "tabby" / "1.png")
    with pytest.raises(SeqplrpError, match=r"tabby: there is no class 'tabby' \(did you mean 'tabbi'\?\)"):
        read_class_folders(tmp_path, classes=["tabbi", "dog"])
    put(tmp_path / "n01440764" / "1.png")
    with pytest.raises(SeqplrpError, match=r"there is no class 'n01440764'.*LOC_synset_mapping"):
        read_class_folders(tmp_path, classes=["tabby", "dog"])
    put(tmp_path / "lonely.png")
    with pytest.raises(SeqplrpError, match=r"lonely\.png: is in no class's folder"):
        read_class_folders(tmp_path)


def test_folders_of_which_a_network_knows_none_have_no_labels_where_that_is_asked_for(tmp_path: Path) -> None:
    for name in ("n01440764/1.png", "n01443537/1.png"):
        put(tmp_path / name)
    found = read_class_folders(tmp_path, classes=["tench", "goldfish"], unknown="unlabelled")
    assert [(record.name, record.label) for record in found] == [("n01440764/1", None), ("n01443537/1", None)]
    assert found.class_numbers is None
    assert "images have no labels" in found.remarks[0]
    with pytest.raises(SeqplrpError, match="there is no class 'n01443537'"):  # one is known: the other is a mistake
        read_class_folders(tmp_path, classes=["tench", "n01440764"], unknown="unlabelled")


def test_a_class_number_out_of_range_names_the_image(tmp_path: Path) -> None:
    put(tmp_path / "cat" / "1.png")
    found = read_class_folders(tmp_path, classes={"cat": 1000})
    found.check_labels(1001)
    with pytest.raises(SeqplrpError, match=r"cat/1\.png: has the label 1000; the network's outputs are 0 to 999"):
        found.check_labels(1000)


@pytest.mark.parametrize("read", [read_images, read_class_folders, read_ecssd, read_imagenet_s])
def test_an_empty_folder_is_told(tmp_path: Path, read) -> None:
    with pytest.raises(SeqplrpError, match=r"there is (no such folder|nothing in it that is an image)"):
        read(tmp_path)
    with pytest.raises(SeqplrpError, match=r"nowhere.*: there is no such folder"):
        read(tmp_path / "nowhere")


# ---- plain folders


def test_images_are_found_in_the_order_of_their_names_and_others_are_told(tmp_path: Path) -> None:
    for name in ("b.png", "a.jpg", "deep/c.png", ".hidden.png", ".git/d.png"):
        put(tmp_path / name)
    (tmp_path / "read.me").write_text("text")
    found = read_images(tmp_path)
    assert [record.name for record in found] == ["a", "b", "deep/c"]
    assert found.remarks == (
        f"1 files that are no images by their names were left out, the first is {tmp_path / 'read.me'}",
    )
    assert np.array_equal(np.asarray(found[1].open()), COLOURS)
    assert [record.name for record in found[1:]] == ["b", "deep/c"]
    (one,) = read_images(tmp_path / "b.png")
    assert (one.name, one.mask, one.label) == ("b", None, None)
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("")
    with pytest.raises(SeqplrpError, match="none of the 1 files in it is an image by its name"):
        read_images(tmp_path / "texts")


def test_images_of_one_name_keep_their_suffixes(tmp_path: Path) -> None:
    for name in ("a.png", "a.jpg", "b.png"):
        put(tmp_path / name)
    assert [record.name for record in read_images(tmp_path)] == ["a.jpg", "a.png", "b"]
    put(tmp_path / "a.jpg.png")  # without its suffix it would have the name that another has with it
    assert [record.name for record in read_images(tmp_path)] == ["a.jpg", "a.jpg.png", "a.png", "b.png"]


def test_folders_behind_links_are_read_and_circles_end(tmp_path: Path) -> None:
    put(tmp_path / "elsewhere" / "cat" / "1.png")
    data = tmp_path / "data"
    data.mkdir()
    (data / "cat").symlink_to(tmp_path / "elsewhere" / "cat")
    (tmp_path / "elsewhere" / "cat" / "again").symlink_to(data)
    assert [record.name for record in read_class_folders(data)] == ["cat/1"]


# ---- images and masks


@pytest.fixture
def ecssd(tmp_path: Path) -> Path:
    """Three images with masks, as ECSSD has them."""
    for name in ("0001", "0002", "0003"):
        put(tmp_path / "images" / f"{name}.jpg")
        put_mask(tmp_path / "ground_truth_mask" / f"{name}.png")
    return tmp_path


def test_ecssd_gives_each_image_its_mask(ecssd: Path) -> None:
    put_mask(ecssd / "ground_truth_mask" / "0002.png", ~OBJECT)
    found = read_ecssd(ecssd)
    assert [record.name for record in found] == ["0001", "0002", "0003"]
    assert [record.label for record in found] == [None] * 3
    assert np.array_equal(found[1].open_mask().object, ~OBJECT)
    pixels, mask = found[0].load(KEEPING)
    assert pixels.shape == (3, *SIZE)
    assert np.array_equal(mask.object, OBJECT)
    found.check_files()


def test_image_and_mask_are_resized_and_cut_alike(tmp_path: Path) -> None:
    put(tmp_path / "images" / "a.png", three(OBJECT * np.uint8(255)))
    put_mask(tmp_path / "ground_truth_mask" / "a.png")
    (record,) = read_ecssd(tmp_path)
    pixels, mask = record.load(Preprocessing(resize=12, crop=(8, 10), interpolation="nearest"))
    assert mask.object.any()
    assert np.array_equal(pixels[0].numpy() > 0, mask.object)


def test_a_mask_of_another_size_is_told_before_and_when_it_is_opened(ecssd: Path) -> None:
    put_mask(ecssd / "ground_truth_mask" / "0002.png", OBJECT[:, :7])
    found = read_ecssd(ecssd)
    said = r"0002\.png: is 7 x 6 pixels, its image 0002\.jpg 9 x 6; give a mask of the image's size"
    with pytest.raises(SeqplrpError, match=said):
        found.check_files()
    with pytest.raises(SeqplrpError, match=said):
        found[1].load(KEEPING)


def test_files_are_checked_before_any_work(ecssd: Path) -> None:
    (ecssd / "images" / "0003.jpg").write_bytes(b"no image")
    with pytest.raises(SeqplrpError, match=r"0003\.jpg: is no image"):
        read_ecssd(ecssd).check_files()


def test_masks_without_an_image_are_counted_and_images_without_a_mask_refused(ecssd: Path) -> None:
    for name in ("0009", "0008"):
        put_mask(ecssd / "ground_truth_mask" / f"{name}.png")
    found = read_ecssd(ecssd)
    assert len(found) == 3
    assert found.remarks == (
        "2 masks without an image of their name were left out, the first is "
        f"{ecssd / 'ground_truth_mask' / '0008.png'}",
    )
    put(ecssd / "images" / "0004.jpg")
    with pytest.raises(SeqplrpError, match=r"0004\.jpg: has no mask of its name in .*ground_truth_mask; add the masks"):
        read_ecssd(ecssd)


def test_one_image_has_one_mask_whatever_their_names(ecssd: Path) -> None:
    mask = put_mask(ecssd / "mine.png", ~OBJECT)
    (record,) = read_images_and_masks(ecssd / "images" / "0002.jpg", mask)
    assert record.name == "0002"
    assert np.array_equal(record.open_mask().object, ~OBJECT)
    with pytest.raises(SeqplrpError, match=r"mine\.png: is a file, no folder of images"):
        read_images_and_masks(ecssd / "images", mask)


def test_two_masks_of_one_name_are_refused(ecssd: Path) -> None:
    put_mask(ecssd / "ground_truth_mask" / "0001.bmp")
    with pytest.raises(SeqplrpError, match=r"0001\.png: has the name of 0001\.bmp"):
        read_ecssd(ecssd)


def labels(folder: Path, *rows: str, header: str = "id\tsplit\tclass") -> None:
    (folder / "labels.tsv").write_text("\n".join([header, *rows]) + "\n")


def test_a_table_beside_the_folders_gives_labels_and_splits(ecssd: Path) -> None:
    labels(ecssd, "0003\ttest\tstar", "0001.jpg\ttrain\tring", "0002\ttest\tring", "0007\ttest\tring")
    found = read_ecssd(ecssd)
    assert [record.label for record in found] == [0, 0, 1]
    assert found.class_numbers == {"ring": 0, "star": 1}
    assert found.remarks == (
        "2 classes were numbered in the order of their names",
        "1 labels without an image were left out, the first is 0007",
    )
    some = read_ecssd(ecssd, split="test", classes=["star", "cross", "ring"])
    assert [(record.name, record.label) for record in some] == [("0002", 2), ("0003", 0)]


@pytest.mark.parametrize(
    ("rows", "options", "said"),
    [
        (["0001\ttest\tstar", "0002\ttest\tstar"], {}, r"labels\.tsv: there is no id '0003'"),
        (["0001\ta\tb"] * 2, {}, r"labels\.tsv, line 3: the id '0001' is there twice"),
        (
            [f"000{n}\ttest\tstar" for n in (1, 2, 3)],
            {"classes": ["ring"]},
            r"labels\.tsv, line 2: there is no class 'star'",
        ),
        (
            [f"000{n}\ttest\tstar" for n in (1, 2, 3)],
            {"split": "train"},
            "no image is of the split 'train'; choose one of 'test'",
        ),
        (["0001\ttest"], {}, r"labels\.tsv, line 2: has 2 fields"),
    ],
)
def test_a_table_that_does_not_fit_is_told_with_its_line(
    ecssd: Path, rows: list[str], options: dict[str, object], said: str
) -> None:
    labels(ecssd, *rows)
    with pytest.raises(SeqplrpError, match=said):
        read_ecssd(ecssd, **options)


def test_a_split_without_a_table_or_a_column_is_refused(ecssd: Path) -> None:
    with pytest.raises(SeqplrpError, match="split: 'test' was asked for, but there is no table of labels"):
        read_ecssd(ecssd, split="test")
    labels(ecssd, "0001\tstar", header="id\tclass")
    with pytest.raises(SeqplrpError, match=r"labels\.tsv, line 1: there is no column split"):
        read_ecssd(ecssd, split="test")


# ---- ImageNet-S


WORDNET = tuple(f"n{number:08d}" for number in (1440764, 1443537, 2123045))


@pytest.fixture
def imagenet_s(tmp_path: Path) -> Path:
    """Two images of the third class; the mask has three classes, the ignored region and the rest."""
    shown = np.zeros(SIZE, np.int64)
    shown[0], shown[1], shown[2], shown[3] = 3, 1, 1000, 259
    rgb = np.dstack([shown % 256, shown // 256, 0 * shown]).astype(np.uint8)
    put(tmp_path / "validation" / WORDNET[2] / "val_1.JPEG")
    put(tmp_path / "validation-segmentation" / WORDNET[2] / "val_1.png", rgb)
    (tmp_path / "categories.txt").write_text("\n".join([WORDNET[2], WORDNET[0], WORDNET[1]]))
    return tmp_path


def test_imagenet_s_gives_the_class_s_pixels_and_those_to_ignore(imagenet_s: Path) -> None:
    found = read_imagenet_s(imagenet_s, classes={WORDNET[2]: 281}, categories=imagenet_s / "categories.txt")
    (record,) = found
    assert (record.name, record.label) == (f"{WORDNET[2]}/val_1", 281)
    mask = record.open_mask()
    rows = np.arange(SIZE[0])[:, None] + np.zeros(SIZE, int)
    assert np.array_equal(mask.object, rows == 0)
    assert np.array_equal(mask.ignored, rows == 2)
    _, seen = record.load(Preprocessing(resize=None, crop=(4, 9)))
    assert seen.ignored.sum() == 9
    assert seen.object.sum() == 0  # cut off


def test_imagenet_s_has_no_labels_where_the_network_s_classes_are_not_given(imagenet_s: Path) -> None:
    assert read_imagenet_s(imagenet_s, categories=WORDNET)[0].label is None


def test_the_numbers_in_its_masks_are_not_guessed_from_some_of_its_classes(imagenet_s: Path) -> None:
    with pytest.raises(SeqplrpError, match="has 1 classes; their numbers in the masks are known only where all"):
        read_imagenet_s(imagenet_s)
    with pytest.raises(SeqplrpError, match=rf"{WORDNET[2]}: is none of the categories"):
        read_imagenet_s(imagenet_s, categories=WORDNET[:2])
    for number in range(49):
        name = f"n{number + 3_000_000:08d}/a"
        put(imagenet_s / "validation" / f"{name}.JPEG")
        put(imagenet_s / "validation-segmentation" / f"{name}.png")
    all_there = read_imagenet_s(imagenet_s)
    assert [record.mask_identifier for record in all_there] == list(range(1, 51))


def test_imagenet_s_has_no_labels_where_the_network_has_other_names(imagenet_s: Path) -> None:
    given = {"categories": WORDNET, "classes": ["tench", "tabby"]}
    (record,) = found = read_imagenet_s(imagenet_s, **given, unknown="unlabelled")
    assert (record.label, record.mask_identifier) == (None, 3)
    assert "images have no labels" in found.remarks[0]
    with pytest.raises(SeqplrpError, match=f"there is no class '{WORDNET[2]}'"):
        read_imagenet_s(imagenet_s, **given)


def test_a_mask_of_imagenet_s_has_red_and_green(imagenet_s: Path) -> None:
    put_mask(imagenet_s / "validation-segmentation" / WORDNET[2] / "val_1.png")
    with pytest.raises(SeqplrpError, match=r"val_1\.png: is in the mode L; masks of ImageNet-S are RGB"):
        read_imagenet_s(imagenet_s, categories=WORDNET)[0].open_mask()


# ---- files of classes


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('["tench", "goldfish"]', {"tench": 0, "goldfish": 1}),
        ('{"tench": 0, "goldfish": 9}', {"tench": 0, "goldfish": 9}),
        ('{"0": "tench", "9": "goldfish"}', {"tench": 0, "goldfish": 9}),
        (
            json.dumps({"134": ["n02012849", "crane"], "517": ["n03126707", "crane"], "0": ["n01440764", "tench"]}),
            {"n02012849": 134, "n03126707": 517, "n01440764": 0, "tench": 0},
        ),
        ("tench\n\ngreat white shark\n", {"tench": 0, "great white shark": 1}),
        ("\ufefftench\t5\r\ngoldfish\t7\r\n", {"tench": 5, "goldfish": 7}),
        ("n01440764 tench, Tinca tinca\nn01443537 goldfish\n", {"n01440764": 0, "n01443537": 1}),
    ],
)
def test_classes_are_read_in_every_usual_form(tmp_path: Path, content: str, expected: dict[str, int]) -> None:
    (tmp_path / "classes").write_text(content, encoding="utf-8")
    assert read_classes(tmp_path / "classes") == expected


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "names no class"),
        (b"\xff\xfe", "is no text in UTF-8"),
        (b"[1, 2", "line 1: is not JSON"),
        (b'{"tench": "fish"}', "'tench' has 'fish'"),
        (b'["crane", "crane"]', "the class 'crane' has the numbers 0 and 1"),
        (b"tench\tfirst\n", "line 1: 'first' is no number"),
        (b"tench\t1000000\n", "line 1: '1000000' is no number of a class"),
        (b'{"tench": 1000000}', "'tench' has 1000000"),
        (b"tench\t" + b"9" * 5000, "line 1: '9+[.]+9+' is no number of a class;"),
        (b'{"' + b"9" * 5000 + b'": "tench"}', "'9+[.]+9+' has 'tench'"),
        (b'{"tench": ' + b"9" * 5000 + b"}", "can't be read as JSON"),
        (b'{"tench": ' + b"9" * 4000 + b"}", "'tench' has 9+[.]+9+;"),
        (b"[" * 100_000, "can't be read as JSON"),
        (None, "can't be read"),
    ],
)
def test_a_file_of_classes_that_is_none_is_told(tmp_path: Path, content: bytes | None, said: str) -> None:
    if content is not None:
        (tmp_path / "classes").write_bytes(content)
    with pytest.raises(SeqplrpError, match=rf"classes.*{said}"):
        read_classes(tmp_path / "classes")
