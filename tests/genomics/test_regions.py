"""BED and truth BED: what is read, and what each malformed line is told."""

from __future__ import annotations

import gzip
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seqplrp import SeqplrpError
from seqplrp.genomics import Interval, read_bed, read_truth_bed, write_truth_bed

TRUTH = ["chrom", "start", "end", "name", "score", "strand", "motif", "class"]


def bed(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "in.bed"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_three_to_many_columns_are_read(tmp_path: Path) -> None:
    text = (
        "# a comment\nbrowser position chr1\ntrack name=x\n\n"
        "chr1\t0\t10\nchr2 5 6 by white space\r\n"
        "chr3\t1\t2\ta name\t.\t+\nchr4\t1\t2\tpeak\t1e3\t-\t0\t0\t255,0,0\n"
    ).replace("by white space", "peak 0.5 .")
    assert read_bed(bed(tmp_path, text)) == [
        Interval("chr1", 0, 10, ".", 0.0, "."),
        Interval("chr2", 5, 6, "peak", 0.5, "."),
        Interval("chr3", 1, 2, "a name", 0.0, "+"),
        Interval("chr4", 1, 2, "peak", 1000.0, "-"),
    ]
    assert [len(interval) for interval in read_bed(bed(tmp_path, gzip.compress(text.encode())))] == [10, 1, 1, 1]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("chr1\t5", "2 columns"),
        ("chr1\tx\t6", "coordinate 'x'"),
        ("chr1\t-1\t6", "coordinate '-1'"),
        ("chr1\t1.5\t6", "coordinate '1.5'"),
        ("chr1\t1\t9999999999999999999", "coordinate"),
        ("chr1\t٣\t6", "coordinate"),
        ("chr1\t6\t6", "start 6 is not below end 6"),
        ("chr1\t7\t6", "start 7 is not below end 6"),
        ("\t1\t6", "chrom ''"),
        ("chr1\t1\t6\tn\tmuch", "score 'much'"),
        ("chr1\t1\t6\tn\tnan", "score 'nan'"),
        ("chr1\t1\t6\tn\t0\tplus", "strand 'plus'"),
    ],
)
def test_each_malformed_line_is_named(tmp_path: Path, line: str, what: str) -> None:
    path = bed(tmp_path, f"# comment\nchr1\t1\t2\n{line}\n")
    with pytest.raises(SeqplrpError) as error:
        read_bed(path)
    assert error.value.where == f"{path}, line 3"
    assert what in error.value.what


@pytest.mark.parametrize("content", ["", "# only a comment\n", "track x\n"])
def test_a_file_without_regions_is_an_error(tmp_path: Path, content: str) -> None:
    for read in (read_bed, read_truth_bed):
        with pytest.raises(SeqplrpError, match="no region"):
            read(bed(tmp_path, content))


def test_bytes_that_are_not_text_are_an_error_with_their_line(tmp_path: Path) -> None:
    with pytest.raises(SeqplrpError, match="line 2: byte 0xff is not UTF-8"):
        read_bed(bed(tmp_path, b"chr1\t1\t2\nchr\xff\t1\t2\n"))


words = st.text(st.characters(categories=("L", "N", "P")), min_size=1, max_size=6)
rows = st.tuples(
    words.filter(lambda word: not word.startswith("#")),
    st.integers(0, 10**9),
    st.integers(1, 10**6),
    words,
    st.integers(0, 1000) | st.floats(-100, 100).map(lambda score: float(f"{score:.6g}")),
    st.sampled_from("+-."),
    words,
    words,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(st.lists(rows, min_size=1, max_size=5))
def test_truth_comes_back_as_it_was_written(tmp_path: Path, drawn: list[tuple]) -> None:
    placed = [(chrom, start, start + length, *others) for chrom, start, length, *others in drawn]
    truth = pd.DataFrame(placed, columns=TRUTH)
    path = tmp_path / "truth.bed"
    write_truth_bed(path, truth.assign(unwritten="x"))
    assert list(read_truth_bed(path).itertuples(index=False, name=None)) == placed
    assert [tuple(vars(interval).values()) for interval in read_bed(path)] == [row[:6] for row in placed]


def test_truth_of_another_width_is_refused_so_that_bed9_is_not_taken_for_it(tmp_path: Path) -> None:
    for line in ("s\t1\t2", "s\t1\t2\tn\t0\t+", "s\t1\t2\tn\t0\t+\tm", "s\t1\t2\tn\t0\t+\t1\t2\t255,0,0"):
        with pytest.raises(SeqplrpError, match=r"line 1: a truth BED has 8 columns"):
            read_truth_bed(bed(tmp_path, line))


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"start": 5, "end": 5}, "start 5 is not below end 5"),
        ({"strand": "x"}, "strand 'x'"),
        ({"name": "a\tb"}, "name"),
        ({"name": ""}, "name"),
        ({"class": " c"}, "class"),
        ({"score": float("nan")}, "score 'nan'"),
        ({"chrom": "#s"}, "comment"),
        ({"chrom": "track"}, "comment"),
    ],
)
def test_truth_that_would_not_be_read_back_is_not_written(tmp_path: Path, change, what: str) -> None:
    row = dict(zip(TRUTH, ("s", 1, 2, "n", 0, "+", "CTCF", "pos"))) | change
    path = tmp_path / "truth.bed"
    with pytest.raises(SeqplrpError, match=what) as error:
        write_truth_bed(path, pd.DataFrame([row]))
    assert error.value.where == "truth, row 0"
    assert not path.exists()


def test_a_truth_table_without_a_column_is_told_which(tmp_path: Path) -> None:
    with pytest.raises(SeqplrpError, match="column 'motif' is missing"):
        write_truth_bed(tmp_path / "truth.bed", pd.DataFrame(columns=[c for c in TRUTH if c != "motif"]))
