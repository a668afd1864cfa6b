"""FASTA: what is read, and what each malformed file is told."""

from __future__ import annotations

import gzip
import os
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seqplrp import SeqplrpError
from seqplrp.genomics import Record, read_fasta, write_fasta


@pytest.fixture
def fasta(tmp_path: Path):
    """Write content to a file and give its path."""

    def write(content: str | bytes, name: str = "in.fa") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def sequences(path: Path, **options: str) -> dict[str, str]:
    return {record.id: record.sequence for record in read_fasta(path, **options)}


def failure(path: Path, **options: str) -> SeqplrpError:
    with pytest.raises(SeqplrpError) as error:
        list(read_fasta(path, **options))
    assert str(path) in str(error.value)
    return error.value


def test_a_record_is_its_own_contig_unless_its_header_says_more(fasta) -> None:
    path = fasta(">peak1 and a description\nACgtN\nuU\n>peak2\nA\n")
    assert list(read_fasta(path)) == [
        Record("peak1", "ACGTNTT", "peak1", 0, 7, "+"),
        Record("peak2", "A", "peak2", 0, 1, "+"),
    ]


@pytest.mark.parametrize(
    ("id", "contig", "start", "strand"),
    [
        ("chr1:100-104", "chr1", 100, "+"),
        ("chr1:100-104(+)", "chr1", 100, "+"),
        ("chr1:100-104(.)", "chr1", 100, "+"),
        ("chr1:100-104(-)", "chr1", 100, "-"),
        ("peak::chr1:100-104(-)", "chr1", 100, "-"),
        ("a::b::chrX:0-4", "chrX", 0, "+"),
        ("HLA-A*01:01:01:8-12", "HLA-A*01:01:01", 8, "+"),
    ],
)
def test_bedtools_headers_place_a_record_on_the_genome(fasta, id, contig, start, strand) -> None:
    (record,) = read_fasta(fasta(f">{id} further words\nACGT\n"))
    assert record == Record(id, "ACGT", contig, start, start + 4, strand)


@pytest.mark.parametrize(
    "id", ["chr1", "chr1:5", "gene-1:x-y", ":1-5", "name:::1-5", "name::1-5", "chr1:1-5:extra", "a(+)"]
)
def test_headers_that_only_look_like_places_are_names(fasta, id: str) -> None:
    (record,) = read_fasta(fasta(f">{id}\nACGT\n"))
    assert (record.id, record.contig, record.start, record.end) == (id, id, 0, 4)


def test_coordinates_that_do_not_fit_the_length_are_an_error_that_knows_samtools(fasta) -> None:
    error = failure(fasta(">a\nAC\n>chr1:101-104\nACGT\n"))
    assert error.where.endswith("line 3")
    assert "span 3 bases, its sequence has 4 (they look 1-based inclusive)" in error.what
    assert "1-based" not in failure(fasta(">chr1:100-200\nACGT\n")).what


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_line_ends_blank_lines_compression_and_marks_change_nothing(fasta, compress, newline) -> None:
    text = newline.join(["", ">a", "AC", "", "GT ", "", ">b", "", "TTTT"])
    content = b"\xef\xbb\xbf" + text.encode()
    path = fasta(gzip.compress(content) if compress else content, "named_wrongly.txt")
    assert sequences(path) == {"a": "ACGT", "b": "TTTT"}


def test_several_gzip_members_are_one_file_as_bgzip_writes_them(fasta) -> None:
    path = fasta(gzip.compress(b">a\nAC") + gzip.compress(b"GT\n>b\nT\n") + gzip.compress(b""))
    assert sequences(path) == {"a": "ACGT", "b": "T"}


def test_a_pipe_is_read_as_a_file_is(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(gzip.compress(b">a\nACGT\n"),))
    writer.start()
    assert sequences(pipe) == {"a": "ACGT"}
    writer.join()


def test_reading_streams(fasta) -> None:
    records = read_fasta(fasta(">a\nAC\n>b\nAX\n"))
    assert next(records).id == "a"
    with pytest.raises(SeqplrpError, match="line 4"):
        next(records)


@pytest.mark.parametrize(
    ("content", "line", "what"),
    [
        (">a\nAC\nGXT\n", 3, "letter 'X' of record 'a' is not DNA"),
        (">a\nAC-T\n", 2, "letter '-'"),
        (">a\nAC GT\n", 2, "letter ' '"),
        (">a\n\nAC\n\n\nA*\n>b\nA\n", 6, "letter '*'"),
        (b">a\nAC\x00T\n", 2, "letter '\\x00'"),
        (b">a\nAC\xe9T\n", 2, "letter 'é'"),
        (">a\nACGR\n", 2, "letter 'R' of record 'a' is an ambiguity code"),
        (">a\nmkvlatplga\n", 2, "letter 'm' of record 'a' is not DNA: this is probably a protein"),
        (">a\nAGELKV\n", 2, "letter 'E' of record 'a' is not DNA: this is probably a protein"),
        (">a\nACGTRACGTL\n", 2, "letter 'R' of record 'a' is an ambiguity code"),
        (">a\nACGRACGT length PEPTIDE\n", 2, "letter 'R' of record 'a' is an ambiguity code"),
        (">a\nACIACG\n", 2, "letter 'I' of record 'a' is not DNA"),
        (">a\nAC\n>a\nGT\n", 3, "'a' was used before, on line 1"),
        (">a\nAC\n> b\nGT\n", 3, "no id"),
        (">\nAC\n", 1, "no id"),
        (">a\n>b\nAC\n", 1, "'a' has no sequence"),
        (">a\nAC\n>b\n\n", 3, "'b' has no sequence"),
        ("ACGT\n>a\nAC\n", 1, "stands before the first '>' header"),
        ("\n\nid\tseq\n", 3, "stands before"),
        (b">a\xff\nAC\n", 1, "0xff is not UTF-8"),
        (">a\rACGT\r>b\rAC\r", 1, "bare carriage return"),
        (">a\x07b\nAC\n", 1, "unprintable"),
    ],
)
def test_each_malformed_file_is_told_its_line(fasta, content, line: int, what: str) -> None:
    error = failure(fasta(content))
    assert f"line {line}" in error.where.split(", ")[1:]
    assert what in error.what


def test_the_foreign_letter_is_found_by_column_counted_from_one(fasta) -> None:
    assert failure(fasta(">a\nACGT\nACxT\n")).where.endswith("line 3, column 3")


@pytest.mark.parametrize(
    "content", [b"", b"\n \n", gzip.compress(b"", mtime=0)], ids=["empty", "blank lines", "empty gzip"]
)
def test_a_file_without_records_is_an_error(fasta, content: bytes) -> None:
    assert "no FASTA record" in failure(fasta(content)).what


def test_ambiguity_codes_become_n_when_asked(fasta) -> None:
    path = fasta(">a\nACRYSWKMBDHVryswkmbdhvT\n")
    assert sequences(path, iupac="n") == {"a": "AC" + "N" * 20 + "T"}
    assert "not DNA" in failure(fasta(">a\nARX\n"), iupac="n").what
    with pytest.raises(SeqplrpError, match="iupac"):
        read_fasta(path, iupac="drop")


def test_damaged_gzip_data_are_an_error_and_not_the_end_of_the_file(fasta) -> None:
    whole = gzip.compress(b">a\n" + b"ACGT\n" * 50_000)
    assert "end too early" in failure(fasta(whole[:-12])).what
    assert "end too early" in failure(fasta(whole[: len(whole) // 2])).what
    wrong_checksum = whole[:-8] + bytes(4) + whole[-4:]
    assert "damaged" in failure(fasta(wrong_checksum)).what
    impossible_block = whole[:10] + b"\x07" + whole[11:]
    assert "damaged" in failure(fasta(impossible_block)).what
    assert "damaged" in failure(fasta(whole + b"garbage")).what


def test_a_path_that_can_not_be_read_is_an_error(tmp_path: Path) -> None:
    assert "check the path" in failure(tmp_path / "missing.fa").remedy
    assert "readable file" in failure(tmp_path).remedy


def test_hostile_headers_are_read_in_linear_time(fasta) -> None:
    headers = [":" * 200_000, "1-" * 100_000, "a:" + "9" * 200_000, ":9" * 100_000 + "-", "::" * 100_000 + "1-2"]
    path = fasta("".join(f">{i}{header}\nA\n" for i, header in enumerate(headers)))
    assert len(list(read_fasta(path))) == len(headers)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(st.binary(max_size=200) | st.text("ACGTN>:-\n\r \t\x001a::()+", max_size=200).map(str.encode))
def test_any_bytes_are_read_or_refused_in_one_line(fasta, content: bytes) -> None:
    try:
        records = list(read_fasta(fasta(content)))
    except SeqplrpError as error:
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert records
        for record in records:
            assert record.end - record.start == len(record.sequence) > 0
            assert set(record.sequence) <= set("ACGTN")


ids = st.text(st.characters(categories=("L", "N")), min_size=1, max_size=8)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.dictionaries(ids, st.text("ACGTN", min_size=1, max_size=200), min_size=1))
def test_what_is_written_is_read_back_here_and_by_biopython(tmp_path: Path, pairs: dict[str, str]) -> None:
    from Bio import SeqIO

    path = tmp_path / "out.fa"
    write_fasta(path, pairs.items())
    assert sequences(path) == pairs
    assert {r.id: str(r.seq) for r in SeqIO.parse(path, "fasta")} == pairs
    records = list(read_fasta(path))
    write_fasta(path, records)
    assert list(read_fasta(path)) == records


@pytest.mark.parametrize(
    "pairs", [[("a b", "A")], [("", "A")], [("a", "")], [("a", "A"), ("a", "C")], [(1, "A")], [("a", None)]]
)
def test_what_could_not_be_read_back_is_not_written(tmp_path: Path, pairs) -> None:
    with pytest.raises(SeqplrpError, match="records"):
        write_fasta(tmp_path / "out.fa", pairs)


def test_an_unwritable_path_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SeqplrpError, match="can't be written"):
        write_fasta(tmp_path / "missing" / "out.fa", [("a", "A")])


@pytest.mark.real_data
def test_the_real_peaks_are_read() -> None:
    folder = os.environ.get("SEQPLRP_REAL_DATA")
    if not folder:
        pytest.skip("SEQPLRP_REAL_DATA does not name the folder of the ChIP-seq sequences")
    for factor in ("USF1_HepG2", "GABPA_GM12878"):
        records = list(read_fasta(Path(folder) / "chipseq" / f"{factor}.test.pos.fa"))
        assert len(records) == 500
        assert {len(record) for record in records} == {101}
