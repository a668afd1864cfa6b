"""Long records in tiles: nothing left out, everything in its place, in little memory."""

from __future__ import annotations

import gzip
import random
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from seqplrp import SeqplrpError
from seqplrp.genomics import Record, Remark, fasta_parts, fasta_tiles, read_fasta, write_fasta

COMPLEMENT = {"A": "T", "C": "G", "G": "C", "T": "A", "N": "N"}


def tiles(path: Path, window: int, stride: int, **options: str) -> tuple[list[Record], list[Remark]]:
    remarks: list[Remark] = []
    return list(fasta_tiles(path, window=window, stride=stride, note=remarks.append, **options)), remarks


def fasta(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "in.fa"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def turned(sequence: str) -> str:
    return "".join(COMPLEMENT[letter] for letter in reversed(sequence))


def wrapped(sequence: str, width: int) -> str:
    return "\n".join(sequence[i : i + width] for i in range(0, len(sequence), width))


def test_a_worked_example(tmp_path: Path) -> None:
    path = fasta(tmp_path, ">chr1 words\nAACCG\nGTTAC\n>p::chr2:100-107(-)\nACGTTTT\n")
    assert tiles(path, 4, 3) == (
        [
            Record("chr1:0-4", "AACC", "chr1", 0, 4),
            Record("chr1:3-7", "CGGT", "chr1", 3, 7),
            Record("chr1:6-10", "TTAC", "chr1", 6, 10),
            Record("p::chr2:103-107(-)", "ACGT", "chr2", 103, 107, "-"),
            Record("p::chr2:100-104(-)", "TTTT", "chr2", 100, 104, "-"),
        ],
        [],
    )


def test_the_last_tile_ends_with_the_record(tmp_path: Path) -> None:
    found, _ = tiles(fasta(tmp_path, ">a\nAACCGGTTACG\n"), 4, 4)
    assert [(tile.start, tile.end, tile.sequence) for tile in found] == [
        (0, 4, "AACC"),
        (4, 8, "GGTT"),
        (7, 11, "TACG"),
    ]


letters = st.text("ACGTN", min_size=1, max_size=120)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
@given(
    st.lists(st.tuples(letters, st.sampled_from(["", "+", "-"]), st.integers(0, 50)), min_size=1, max_size=3),
    st.integers(1, 40),
    st.data(),
)
def test_tiles_cover_every_base_and_give_the_parents_letters_back(tmp_path, monkeypatch, parents, window, data) -> None:
    monkeypatch.setattr(fasta_parts, "_BLOCK", data.draw(st.sampled_from([1, 7, 64])))
    stride = data.draw(st.integers(1, window))
    width = data.draw(st.integers(1, 130))
    headers, plus = [], {}
    for number, (sequence, strand, start) in enumerate(parents):
        contig = f"c{number}"
        place = f":{start}-{start + len(sequence)}({strand})" if strand else ""
        headers.append(f">{contig}{place}\n{wrapped(sequence, width)}\n")
        plus[contig] = (start if strand else 0, turned(sequence) if strand == "-" else sequence)
    found, remarks = tiles(fasta(tmp_path, "".join(headers)), window, stride, short="whole")
    covered = {contig: set() for contig in plus}
    for tile in found:
        start, parent = plus[tile.contig]
        on_plus = turned(tile.sequence) if tile.strand == "-" else tile.sequence
        assert on_plus == parent[tile.start - start : tile.end - start]
        assert len(tile) == tile.end - tile.start == min(window, len(parent))
        covered[tile.contig] |= set(range(tile.start, tile.end))
    for contig, (start, parent) in plus.items():
        assert covered[contig] == set(range(start, start + len(parent)))
        own = [tile for tile in found if tile.contig == contig]
        if len(parent) >= window:
            assert len(own) == -(-(len(parent) - window) // stride) + 1  # no more tiles than it takes
    assert len(remarks) == sum(len(parent) < window for _, parent in plus.values())
    back = tmp_path / "tiles.fa"
    write_fasta(back, found)
    assert list(read_fasta(back)) == found  # the ids say where they are to others, too


@pytest.mark.parametrize("strand", ["+", "-"])
def test_a_short_record_is_padded_on_both_sides_or_kept_or_skipped_or_refused(tmp_path: Path, strand: str) -> None:
    path = fasta(tmp_path, f">chr1:10-13({strand})\nACG\n>b\nACGTAC\n")
    behind = "(-)" if strand == "-" else ""
    (first, second), remarks = tiles(path, 6, 6, short="pad")
    place = (9, 15) if strand == "+" else (8, 14)
    assert first == Record(f"chr1:{place[0]}-{place[1]}{behind}", "NACGNN", "chr1", *place, strand)
    assert second.id == "b:0-6"
    (remark,) = remarks
    assert (remark.kind, remark.name, remark.start, remark.end, remark.used) == (
        "short",
        f"chr1:10-13({strand})",
        *place,
        True,
    )
    assert remark.where == f"{path}, line 1"
    kept, _ = tiles(path, 6, 6, short="whole")
    assert kept[0] == Record(f"chr1:10-13{behind}", "ACG", "chr1", 10, 13, strand)
    skipped, remarks = tiles(path, 6, 6, short="skip")
    assert [tile.id for tile in skipped] == ["b:0-6"]
    assert [remark.used for remark in remarks] == [False]
    with pytest.raises(SeqplrpError, match=r"line 1: record .* has 3 letters, fewer than the window of 6"):
        tiles(path, 6, 6, short="error")


def test_a_padded_tile_of_a_record_at_the_contigs_start_says_its_true_place(tmp_path: Path) -> None:
    ((tile,), _) = tiles(fasta(tmp_path, ">a\nACG\n"), 8, 8)
    assert tile == Record("a:-2-6", "NNACGNNN", "a", -2, 6)


def test_tiles_of_overlapping_records_come_once_and_others_are_listed(tmp_path: Path) -> None:
    path = fasta(tmp_path, ">chr1:0-6\nAACCGG\n>chr1:2-8\nCCGGTT\n>alt::chr1:2-8\nCCTTTT\n")
    found, remarks = tiles(path, 4, 2)
    assert [tile.id for tile in found] == [
        "chr1:0-4",
        "chr1:2-6",
        "chr1:4-8",
        "alt::chr1:2-6",
        "alt::chr1:4-8",
    ]
    assert [(remark.kind, remark.name, remark.start, remark.where) for remark in remarks] == [
        ("duplicate", "chr1:2-8", 2, f"{path}, line 3")
    ]


MALFORMED = [
    ">a\nACGTACGT\nGXT\n",
    ">a\nAC GT\n",
    ">a\nACGR\n",
    ">a\nAC\n>a\nGT\n",
    ">a\nAC\n> b\nGT\n",
    ">a\n>b\nAC\n",
    ">a\nAC\n>b\n\n",
    "ACGT\n>a\nAC\n",
    "",
    ">chr1:101-104\nACGT\n",
    ">chr1:0-4(-)\nACGTACGTACGT\n",
    ">a\n" + "ACGT" * 40 + " " * 90 + "A\n",
    ">a\n" + "ACGT" * 40 + " " * 90 + "\n\nAX",
]


@pytest.mark.parametrize("content", MALFORMED, ids=range(len(MALFORMED)))
@pytest.mark.parametrize("piece", [64, 1 << 18])
def test_what_reading_records_refuses_is_refused_in_the_same_words(tmp_path, monkeypatch, content, piece) -> None:
    path = fasta(tmp_path, content)
    with pytest.raises(SeqplrpError) as expected:
        list(read_fasta(path))
    monkeypatch.setattr(fasta_parts, "_PIECE", piece)
    monkeypatch.setattr(fasta_parts, "_BLOCK", 50)
    for read in (lambda: list(read_fasta(path)), lambda: tiles(path, 2, 2)):
        with pytest.raises(SeqplrpError) as error:
            read()
        assert str(error.value) == str(expected.value)


def test_the_column_of_a_foreign_letter_far_in_one_long_line_is_right(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(fasta_parts, "_PIECE", 64)
    path = fasta(tmp_path, ">a\nAC\n" + "ACGT" * 100 + "X\n")
    with pytest.raises(SeqplrpError, match="line 3, column 401: letter 'X'"):
        tiles(path, 10, 5)


def test_a_header_sign_in_the_middle_of_a_long_line_starts_no_record(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(fasta_parts, "_PIECE", 64)
    path = fasta(tmp_path, ">a\n" + "A" * 64 + ">b\nACGT\n")
    with pytest.raises(SeqplrpError, match="line 2, column 65: letter '>'"):
        list(read_fasta(path))


def test_no_tile_lies_beyond_the_place_that_a_wrong_header_names(tmp_path: Path) -> None:
    path = fasta(tmp_path, ">chr1:100-110(-)\n" + "A" * 1000 + "\n")
    given_before = []
    with pytest.raises(SeqplrpError, match="span 10 bases, its sequence has 1000"):
        given_before.extend(fasta_tiles(path, window=4, stride=2, note=print))
    assert all(100 <= tile.start < tile.end <= 110 for tile in given_before)


def test_a_header_without_end_is_refused_before_it_fills_memory(tmp_path: Path) -> None:
    path = fasta(tmp_path, b">" + b"a" * (1 << 20))
    with pytest.raises(SeqplrpError, match="line 1: the header is longer than"):
        tiles(path, 2, 2)


@pytest.mark.parametrize(
    "asked", [{"window": 0}, {"window": 1 << 40}, {"stride": 0}, {"stride": 5}, {"short": "drop"}, {"iupac": "drop"}]
)
def test_what_can_not_be_done_is_refused_before_reading(tmp_path: Path, asked: dict) -> None:
    with pytest.raises(SeqplrpError, match=next(iter(asked))):
        fasta_tiles(tmp_path / "missing.fa", **({"window": 4, "stride": 4, "note": print} | asked))


@pytest.mark.parametrize("line", [60, None], ids=["lines of 60", "one line"])
@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gzip"])
def test_a_long_record_takes_the_memory_of_a_few_windows(tmp_path: Path, line: int | None, zipped: bool) -> None:
    length, window = 6_000_000, 2_114
    draw = random.Random(0).choices("ACGTacgt", k=10_000)
    sequence = "".join(draw) * (length // 10_000)
    content = f">chr1\n{sequence if line is None else wrapped(sequence, line)}\n".encode()
    path = fasta(tmp_path, gzip.compress(content, 1) if zipped else content)
    del content
    tracemalloc.start()
    try:
        count = sum(1 for _ in fasta_tiles(path, window=window, stride=window, note=print))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == -(-length // window)
    assert peak < 2_000_000


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100, deadline=None)
@given(st.binary(max_size=200) | st.text("ACGTN>:-\n\r \t\x001a::()+", max_size=200).map(str.encode))
@example(b">x:9-1\nA\n")
def test_any_bytes_are_tiled_or_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    try:
        found, _ = tiles(fasta(tmp_path, content), 3, 2, short="pad")
    except SeqplrpError as error:
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert found
        assert all(len(tile) == 3 == tile.end - tile.start for tile in found)
