"""Files of classes: which output of a network is which, in every usual form, or refused by file and line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from seqplrp.errors import SeqplrpError
from seqplrp.images import read_classes


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
