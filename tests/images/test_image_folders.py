"""Data sets in folders: every image with its mask and its label, or refused by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from seqplrp.errors import SeqplrpError
from seqplrp.images import (
    Preprocessing,
    read_class_folders,
    read_ecssd,
    read_imagenet_s,
    read_images,
    read_images_and_masks,
)

pytest.importorskip("torchvision", reason="torchvision belongs to the extra image")

from image_files import COLOURS, OBJECT, SIZE, put, put_mask, three

KEEPING = Preprocessing(resize=None, crop=None)


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
