"""Regions of BED and narrowPeak files, and the windows that are cut at them."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seqplrp import SeqplrpError
from seqplrp.genomics import Genome, Record, Region, Remark, iter_regions, read_fasta, region_windows, write_fasta

LETTERS = {name: "".join(random.Random(name).choices("ACGTN", k=size)) for name, size in (("chr1", 500), ("chr2", 90))}
COMPLEMENT = {"A": "T", "C": "G", "G": "C", "T": "A", "N": "N"}


@pytest.fixture(scope="module")
def genome(tmp_path_factory: pytest.TempPathFactory):
    path = tmp_path_factory.mktemp("genome") / "genome.fa"
    write_fasta(path, LETTERS.items())
    with Genome(path) as opened:
        yield opened


def bed(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "in.bed"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def windows(genome: Genome, regions, **options) -> tuple[list[Record], list[Remark]]:
    remarks: list[Remark] = []
    return list(region_windows(genome, regions, note=remarks.append, **options)), remarks


def letters(contig: str, start: int, end: int, strand: str = "+") -> str:
    """Slice as bedtools getfasta does, N off the contig."""
    sequence = LETTERS[contig]
    found = [sequence[i] if 0 <= i < len(sequence) else "N" for i in range(start, end)]
    return "".join(COMPLEMENT[letter] for letter in reversed(found)) if strand == "-" else "".join(found)


PEAK = "chr1\t100\t200\tpeak_1\t900\t.\t7.1\t-1\t3.3\t40\n"


def test_narrow_peaks_have_summits_and_bed_files_have_none(tmp_path: Path) -> None:
    path = bed(tmp_path, gzip.compress(f"track type=narrowPeak\n{PEAK}chr2\t1\t9\t.\t0\t-\t0\t0\t0\t-1\n".encode()))
    assert list(iter_regions(path)) == [
        Region("chr1", 100, 200, "peak_1", 900.0, ".", 140),
        Region("chr2", 1, 9, ".", 0.0, "-", None),
    ]
    assert [region.where for region in iter_regions(path)] == [f"{path}, line 2", f"{path}, line 3"]
    assert [region.summit for region in iter_regions(path, format="bed")] == [None, None]
    path = bed(tmp_path, "chr1\t1\t2\nchr1\t3\t4\tname\n")
    assert list(iter_regions(path)) == [Region("chr1", 1, 2), Region("chr1", 3, 4, "name")]


def test_the_first_line_tells_the_format_and_more_than_ten_columns_may_be_narrow_peak(tmp_path: Path) -> None:
    path = bed(tmp_path, PEAK.rstrip() + "\tidr\n")
    assert [region.summit for region in iter_regions(path)] == [None]
    assert [region.summit for region in iter_regions(path, format="narrowPeak")] == [140]
    with pytest.raises(SeqplrpError, match="format"):
        iter_regions(path, format="gff")


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("chr1\t100\t200\n", "no more than 6 columns, a narrowPeak line has 10"),
        ("chr1\t100\t200\tn\t0\t.\t1\t1\t1\n", "has 9 columns"),
        (PEAK.replace("\t40\n", "\tx\n"), "summit 'x' is neither"),
        (PEAK.replace("\t40\n", "\t-2\n"), "summit '-2' is neither"),
        (PEAK.replace("\t40\n", "\t100\n"), "summit 100 lies beyond the region's 100 bases"),
        (PEAK.replace("200", "99"), "start 100 is not below end 99"),
    ],
)
def test_a_malformed_peak_is_named_with_its_line(tmp_path: Path, line: str, what: str) -> None:
    path = bed(tmp_path, f"# comment\n{PEAK}{line}")
    with pytest.raises(SeqplrpError) as error:
        list(iter_regions(path))
    assert error.value.where == f"{path}, line 3"
    assert what in error.value.what


def test_regions_are_read_one_at_a_time(tmp_path: Path) -> None:
    regions = iter_regions(bed(tmp_path, "chr1\t1\t2\nchr1\tx\t2\n"))
    assert next(regions).start == 1
    with pytest.raises(SeqplrpError, match="line 2"):
        next(regions)


def test_a_line_without_end_is_refused_before_it_fills_memory(tmp_path: Path) -> None:
    with pytest.raises(SeqplrpError, match="line 1: is longer than"):
        list(iter_regions(bed(tmp_path, bytes(20 << 20))))


@pytest.mark.parametrize(
    ("region", "width", "centre", "start"),
    [
        (Region("chr1", 100, 200, summit=140), 20, "auto", 130),
        (Region("chr1", 100, 200, summit=140), 21, "auto", 130),
        (Region("chr1", 100, 200, summit=140), 20, "summit", 130),
        (Region("chr1", 100, 200, summit=140), 20, "middle", 140),
        (Region("chr1", 100, 200), 20, "auto", 140),
        (Region("chr1", 100, 201), 21, "middle", 140),
        (Region("chr1", 100, 120, summit=100), 20, "middle", 100),
        (Region("chr1", 101, 120), 19, "auto", 101),
    ],
)
@pytest.mark.parametrize("strand", ["+", "-", "."])
def test_windows_stand_where_they_should(genome, region: Region, width, centre, start, strand: str) -> None:
    region = Region(region.chrom, region.start, region.end, "peak", 0, strand, region.summit)
    ((window,), remarks) = windows(genome, [region], width=width, centre=centre)
    sign = "-" if strand == "-" else "+"
    place = ("chr1", start, start + width)
    assert window == Record(f"peak::chr1:{start}-{start + width}({sign})", letters(*place, sign), *place, sign)
    assert remarks == []


def test_without_a_width_a_region_is_its_window_and_a_name_is_one_word(genome: Genome, tmp_path: Path) -> None:
    regions = [Region("chr2", 3, 8, "a  name", summit=4), Region("chr1", 0, 500, strand="-")]
    found, _ = windows(genome, regions)
    assert [(window.id, window.sequence) for window in found] == [
        ("a_name::chr2:3-8(+)", letters("chr2", 3, 8)),
        ("chr1:0-500(-)", letters("chr1", 0, 500, "-")),
    ]
    write_fasta(tmp_path / "out.fa", found)
    assert list(read_fasta(tmp_path / "out.fa")) == found


def test_centring_on_a_summit_that_is_not_there_is_an_error(genome: Genome) -> None:
    with pytest.raises(SeqplrpError, match=r"^peaks, line 1: the region has no summit"):
        windows(genome, [Region("chr1", 1, 9, where="peaks, line 1")], width=4, centre="summit")


OFF = [
    Region("chr2", 0, 10, "left", where="f, line 1"),
    Region("chr2", 80, 90, "right", strand="-", where="f, line 2"),
    Region("chr2", 40, 50, "inside", where="f, line 3"),
    Region("chr2", 200, 210, "beyond", where="f, line 4"),
]


def test_windows_off_a_contig_are_padded_and_listed_with_their_true_place(genome: Genome) -> None:
    found, remarks = windows(genome, OFF, width=30)
    assert [(w.id, w.start, w.end) for w in found] == [
        ("left::chr2:-10-20(+)", -10, 20),
        ("right::chr2:70-100(-)", 70, 100),
        ("inside::chr2:30-60(+)", 30, 60),
    ]
    assert [w.sequence for w in found] == [letters("chr2", w.start, w.end, w.strand) for w in found]
    assert found[0].sequence.startswith("N" * 10)
    assert found[1].sequence.startswith("N" * 10)  # of the minus strand the contig's end comes first
    assert [(r.kind, r.name, r.contig, r.start, r.end, r.where, r.used) for r in remarks] == [
        ("padded", "left", "chr2", -10, 20, "f, line 1", True),
        ("padded", "right", "chr2", 70, 100, "f, line 2", True),
        ("off contig", "beyond", "chr2", 190, 220, "f, line 4", False),
    ]


def test_a_contig_shorter_than_the_window_is_padded_on_both_sides(genome: Genome) -> None:
    ((window,), _) = windows(genome, [Region("chr2", 0, 90)], width=200)
    assert (window.start, window.end) == (-55, 145)
    assert window.sequence == "N" * 55 + LETTERS["chr2"] + "N" * 55


def test_windows_off_a_contig_are_skipped_and_listed_or_an_error_as_asked(genome: Genome) -> None:
    found, remarks = windows(genome, OFF, width=30, edge="skip")
    assert [window.start for window in found] == [30]
    assert [(r.kind, r.name, r.used) for r in remarks] == [
        ("off contig", "left", False),
        ("off contig", "right", False),
        ("off contig", "beyond", False),
    ]
    with pytest.raises(SeqplrpError, match=r"^f, line 1: the window chr2:-10-20 goes off the contig, which has 90"):
        windows(genome, OFF, width=30, edge="error")


def test_an_unknown_contig_is_an_error_with_the_line_or_skipped_and_listed(genome: Genome) -> None:
    regions = [Region("1", 5, 9, "p", where="f, line 7"), Region("chr1", 5, 9)]
    with pytest.raises(SeqplrpError, match=r"^f, line 7: contig '1' is not in the genome .*, which has 'chr1'"):
        windows(genome, regions)
    found, remarks = windows(genome, regions, unknown="skip")
    assert [window.contig for window in found] == ["chr1"]
    assert [(r.kind, r.name, r.contig, r.start, r.end) for r in remarks] == [("no contig", "p", "1", 5, 9)]


def test_a_peak_with_several_summits_gives_a_window_each_but_the_same_window_once(genome: Genome) -> None:
    peaks = [Region("chr1", 100, 200, f"p{n}", summit=s, where=f"line {n}") for n, s in enumerate((120, 160, 160))]
    found, remarks = windows(genome, peaks, width=30)
    assert [window.start for window in found] == [105, 145]
    assert [(r.kind, r.name, r.start, r.where) for r in remarks] == [("duplicate", "p2", 145, "line 2")]
    assert "line 1" in remarks[0].reason
    found, remarks = windows(genome, peaks)
    assert [window.id for window in found] == ["p0::chr1:100-200(+)"]
    assert len(remarks) == 2


def test_both_strands_of_one_place_are_two_windows(genome: Genome) -> None:
    found, remarks = windows(genome, [Region("chr1", 1, 9, strand=strand) for strand in "+-."])
    assert [window.strand for window in found] == ["+", "-"]
    assert len(remarks) == 1


@pytest.mark.parametrize(
    "asked", [{"width": 0}, {"width": 1 << 40}, {"centre": "peak"}, {"edge": "drop"}, {"unknown": "pad"}]
)
def test_what_is_not_known_is_refused_before_reading(genome: Genome, asked: dict) -> None:
    with pytest.raises(SeqplrpError, match=next(iter(asked))):
        region_windows(genome, [], note=print, **asked)


def test_a_region_of_absurd_length_is_refused_before_it_fills_memory(genome: Genome) -> None:
    with pytest.raises(SeqplrpError, match="999999999999999999 bases"):
        windows(genome, [Region("chr1", 0, 999_999_999_999_999_999)])


lines = st.lists(
    st.tuples(
        st.sampled_from(["chr1", "chr2", "chrY"]),
        st.integers(0, 600),
        st.integers(1, 100),
        st.sampled_from("+-."),
        st.none() | st.integers(-2, 100),
    ),
    min_size=1,
    max_size=8,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=100)
@given(
    lines,
    st.none() | st.integers(1, 700),
    st.sampled_from(["auto", "summit", "middle"]),
    st.sampled_from(["pad", "skip"]),
)
def test_any_regions_give_the_letters_of_their_place_or_are_listed_or_refused(
    genome, tmp_path, drawn, width, centre, edge
) -> None:
    rows = [
        f"{chrom}\t{start}\t{start + length}\tn\t0\t{strand}" + ("" if summit is None else f"\t0\t0\t0\t{summit}")
        for chrom, start, length, strand, summit in drawn
    ]
    regions = iter_regions(bed(tmp_path, "\n".join(rows)))
    try:
        found, remarks = windows(genome, regions, width=width, centre=centre, edge=edge, unknown="skip")
    except SeqplrpError as error:
        assert "line " in error.where  # noqa: PT017
        return
    assert len(found) + sum(not remark.used for remark in remarks) == len(rows)
    for window in found:
        assert window.sequence == letters(window.contig, window.start, window.end, window.strand)
        assert len(window) == (width or len(window))
    assert len({window.id for window in found}) == len(found)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
@given(st.binary(max_size=100) | st.text("chr12\t \n0159.-+#x\x00", max_size=200).map(str.encode))
def test_any_bytes_are_read_or_refused_in_one_line(genome: Genome, tmp_path: Path, content: bytes) -> None:
    for format in ("auto", "narrowPeak"):
        try:
            found, _ = windows(genome, iter_regions(bed(tmp_path, content), format=format), width=10, unknown="skip")
        except SeqplrpError as error:
            assert "\n" not in str(error)  # noqa: PT017
        else:
            assert all(len(window) == 10 for window in found)
