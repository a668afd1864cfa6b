"""VCF: what is read, what is left out and told, and what each malformed line is told."""

from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seqplrp import SeqplrpError
from seqplrp.genomics import Remark, Variant, read_vcf, vcf

HEADER = "##fileformat=VCFv4.3\n##contig=<ID=chr1>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\ts1\n"


def variants(path: Path, **options: str) -> tuple[list[Variant], list[Remark]]:
    remarks: list[Remark] = []
    return list(read_vcf(path, note=remarks.append, **options)), remarks


def written(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "in.vcf"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("header", [HEADER, "", "##only this\n"], ids=["whole header", "no header", "no column names"])
@pytest.mark.parametrize("compress", [False, True])
def test_each_allele_is_a_variant_whatever_the_header(tmp_path: Path, header: str, compress: bool) -> None:
    text = header + (
        "chr1\t10\trs1\tA\tG\t50\tPASS\tDP=3\tGT\t0/1\n"
        "chr1\t20\t.\tCA\tC,CAT,GT\t.\t.\t.\n"
        "\n"
        "chr2\t1\trs3;rs4\tacgu\tn\r\n"
        "chr2 5 . A T 50 PASS by white space\n"
    )
    path = written(tmp_path, gzip.compress(text.encode()) if compress else text)
    found, remarks = variants(path)
    assert found == [
        Variant("chr1", 9, "A", "G", "rs1"),
        Variant("chr1", 19, "CA", "C"),
        Variant("chr1", 19, "CA", "CAT"),
        Variant("chr1", 19, "CA", "GT"),
        Variant("chr2", 0, "ACGT", "N", "rs3;rs4"),
        Variant("chr2", 4, "A", "T"),
    ]
    first = header.count("\n") + 1
    assert [variant.where for variant in found] == [f"{path}, line {first + line}" for line in (0, 1, 1, 1, 3, 4)]
    assert remarks == []
    assert [variant.name for variant in found[:3]] == ["chr1:10:A:G", "chr1:20:CA:C", "chr1:20:CA:CAT"]
    assert (found[1].start, found[1].end) == (19, 21)


@pytest.mark.parametrize(
    ("alt", "kind"),
    [
        (".", "missing"),
        ("*", "overlapping deletion"),
        ("<DEL>", "symbolic"),
        ("<*>", "symbolic"),
        ("<NON_REF>", "symbolic"),
        ("A[chr2:5[", "breakend"),
        ("]<ctg1>:5]A", "breakend"),
        ("A.", "breakend"),
        (".A", "breakend"),
        ("a", "same"),
    ],
)
def test_alleles_that_are_no_sequence_are_left_out_and_listed(tmp_path: Path, alt: str, kind: str) -> None:
    path = written(tmp_path, f"chr1\t10\trs1\tA\tG,{alt},T\n")
    found, remarks = variants(path)
    assert [variant.alt for variant in found] == ["G", "T"]
    assert [(r.kind, r.name, r.contig, r.start, r.end, r.where, r.used) for r in remarks] == [
        (kind, "rs1", "chr1", 9, 10, f"{path}, line 1", False)
    ]
    assert alt in remarks[0].reason


def test_a_breakend_at_a_telomere_is_listed_and_a_base_there_refused(tmp_path: Path) -> None:
    found, remarks = variants(written(tmp_path, "chr1\t0\t.\tN\t.[13:123457[\n"))
    assert (found, [remark.kind for remark in remarks]) == ([], ["breakend"])
    with pytest.raises(SeqplrpError, match="line 1: POS is 0"):
        variants(written(tmp_path, "chr1\t0\t.\tN\tA\n"))


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("chr1\t10\trs1\tA", "has 4 columns"),
        ("chr1\tx\t.\tA\tG", "POS 'x'"),
        ("chr1\t-5\t.\tA\tG", "POS '-5'"),
        ("chr1\t٣\t.\tA\tG", "POS"),
        ("chr1\t1" + "0" * 20 + "\t.\tA\tG", "POS '1000"),
        ("\t10\t.\tA\tG", "CHROM ''"),
        ("chr1\t10\t.\t\tG", "an allele of REF is empty"),
        ("chr1\t10\t.\tA\tG,,T", "an allele of ALT is empty"),
        ("chr1\t10\t.\t.\tG", "letter '.' of REF '.' is not DNA"),
        ("chr1\t10\t.\tA\tGX", "letter 'X' of ALT 'GX' is not DNA"),
        ("chr1\t10\t.\tA\tGé", "letter 'é'"),
        ("chr1\t10\t.\tA\tR", "letter 'R' of ALT 'R' is an ambiguity code"),
        ("chr1\t10\t.\tA\t<DEL", "letter '<'"),
        ("#CHROM\tPOS\tREF\tALT\tID", "names other columns"),
        ("#CHROM\tPOS\tID\tREF", "names other columns"),
        ("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tINFO", "names other columns"),
    ],
)
def test_each_malformed_line_is_named(tmp_path: Path, line: str, what: str) -> None:
    path = written(tmp_path, f"{HEADER}chr1\t5\t.\tA\tG\n{line}\n")
    with pytest.raises(SeqplrpError) as error:
        variants(path)
    assert error.value.where == f"{path}, line 5"
    assert what in error.value.what


FILTERED = (
    "chr1\t10\tpass\tA\tG,T\t50\tPASS\tDP=3\n"
    "chr1\t20\tnone\tA\tG\t50\t.\n"
    "chr1\t30\tshort\tA\tG\n"
    "chr1\t40\tempty\tA\tG\t.\t\tDP=3\n"
    "chr1\t50\tlow\tA\tG,T,<DEL>\t1\tq10\tDP=3\n"
    "chr1\t60\ttwo\tA\tG\t1\tq10;s50\n"
    "chr1\t70\tword\tA\tG\t1\tPASSED\n"
)


def test_variants_that_did_not_pass_are_used_and_say_so_unless_asked_otherwise(tmp_path: Path) -> None:
    path = written(tmp_path, FILTERED)
    found, remarks = variants(path)
    assert [(variant.id, variant.alt, variant.filter) for variant in found] == [
        *[("pass", "G", "PASS"), ("pass", "T", "PASS"), ("none", "G", "."), ("short", "G", "."), ("empty", "G", ".")],
        *[("low", "G", "q10"), ("low", "T", "q10"), ("two", "G", "q10;s50"), ("word", "G", "PASSED")],
    ]
    assert [(remark.kind, remark.name) for remark in remarks] == [("symbolic", "low")]


@pytest.mark.parametrize(
    ("filters", "used"),
    [
        (["PASS", "."], ["pass", "pass", "none", "short", "empty"]),
        (["PASS"], ["pass", "pass"]),
        (["s50"], ["two"]),
        (["q10"], ["low", "low", "two"]),
        ([], []),
    ],
)
def test_filters_asked_for_leave_out_the_lines_that_bcftools_leaves_out(tmp_path: Path, filters, used) -> None:
    path = written(tmp_path, FILTERED)
    remarks: list[Remark] = []
    found = list(read_vcf(path, note=remarks.append, filters=filters))
    assert [variant.id for variant in found] == used
    out = [remark for remark in remarks if remark.kind == "filtered"]
    assert not any(remark.used for remark in remarks)
    assert len(found) + len(remarks) == 10, "each allele is used or listed"
    assert len(out) + len(used) + ("low" in used) == 10


def test_the_alleles_of_a_line_that_is_left_out_are_not_looked_at(tmp_path: Path) -> None:
    path = written(tmp_path, "chr1\t10\t.\tA\tG\t.\tPASS\nchr1\t20\t.\tR\tX\t.\tq10\n")
    assert len(list(read_vcf(path, note=print, filters=["PASS"]))) == 1
    with pytest.raises(SeqplrpError, match="line 2: letter 'R'"):
        variants(path)


def test_what_is_left_out_is_what_bcftools_library_leaves_out(tmp_path: Path) -> None:
    pysam = pytest.importorskip("pysam")
    header = (
        "##fileformat=VCFv4.3\n##contig=<ID=chr1>\n"
        + "".join(f'##FILTER=<ID={name},Description="x">\n' for name in ("q10", "s50", "PASSED"))
        + '##INFO=<ID=DP,Number=1,Type=Integer,Description="x">\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n'
    )
    lines = [line.split("\t") for line in FILTERED.splitlines() if not line.startswith("chr1\t40")]
    padded = ["\t".join([*line, *[".", ".", "."][len(line) - 5 :]]) for line in lines]
    path = written(tmp_path, header + "\n".join(padded) + "\n")
    with pysam.VariantFile(str(path)) as oracle:
        passed = [record.id for record in oracle if set(record.filter.keys()) <= {"PASS"}]
    found = list(read_vcf(path, note=lambda remark: None, filters=["PASS", "."]))
    assert list(dict.fromkeys(variant.id for variant in found)) == passed == ["pass", "none", "short"]


def test_ambiguity_codes_become_n_when_asked(tmp_path: Path) -> None:
    path = written(tmp_path, "chr1\t10\t.\tr\tAY\n")
    assert variants(path, iupac="n")[0] == [Variant("chr1", 9, "N", "AN")]
    with pytest.raises(SeqplrpError, match="iupac"):
        read_vcf(path, note=print, iupac="drop")


@pytest.mark.parametrize("content", ["", HEADER, "\n\n"])
def test_a_file_without_variants_is_an_error(tmp_path: Path, content: str) -> None:
    with pytest.raises(SeqplrpError, match="holds no variant"):
        variants(written(tmp_path, content))


def test_binary_vcf_and_bytes_that_are_not_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SeqplrpError, match="is a BCF file; convert it to VCF"):
        variants(written(tmp_path, gzip.compress(b"BCF\x02\x02" + bytes(50))))
    with pytest.raises(SeqplrpError, match="line 1: byte 0xff is not UTF-8"):
        variants(written(tmp_path, b"chr\xff\t5\t.\tA\tG\n"))


def test_truncated_gzip_is_an_error_and_not_the_end_of_the_file(tmp_path: Path) -> None:
    whole = gzip.compress((HEADER + "".join(f"chr1\t{n}\t.\tA\tG\n" for n in range(1, 20_000))).encode())
    with pytest.raises(SeqplrpError, match="end too early"):
        variants(written(tmp_path, whole[: len(whole) // 2]))


def test_variants_are_read_one_at_a_time(tmp_path: Path) -> None:
    found = read_vcf(written(tmp_path, "chr1\t5\t.\tA\tG\nchr1\tx\t.\tA\tG\n"), note=print)
    assert next(found).start == 4
    with pytest.raises(SeqplrpError, match="line 2"):
        next(found)


def test_megabytes_of_genotypes_are_passed_over_and_lines_still_counted(tmp_path: Path) -> None:
    line = "chr1\t5\t.\tA\tG\t.\t.\t.\tGT" + "\t0|1" * 2_000_000 + "\n"
    path = written(tmp_path, line + "chr1\t6\t.\tA\tT\n" + line.rstrip())
    del line
    tracemalloc.start()
    try:
        found, _ = variants(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [variant.where.rpartition(" ")[2] for variant in found] == ["1", "2", "3"]
    assert peak < 6 * vcf._PIECE


def test_alleles_longer_than_a_piece_are_refused_and_long_ones_named_shortly(tmp_path: Path, monkeypatch) -> None:
    (inserted, other), _ = variants(written(tmp_path, f"chr1\t5\t.\tA\tA{'CG' * 100},A{'GC' * 100}\n"))
    assert len(inserted.name) < 50
    assert inserted.name.startswith("chr1:5:A:ACGCGCGC.201.")
    assert other.name.startswith("chr1:5:A:AGCGCGCG.201.")
    monkeypatch.setattr(vcf, "_PIECE", 64)
    with pytest.raises(SeqplrpError, match="line 2: the first seven columns take more than 64 bytes"):
        variants(written(tmp_path, f"chr1\t5\t.\tA\tC\nchr1\t5\t.\tA\t{'C' * 100}\tmore\n"))
    fits = "chr1\t5\t.\tA\t" + "C" * 52
    assert len(fits) == 63
    assert len(variants(written(tmp_path, f"{fits}\n{fits}"))[0]) == 2


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)
@given(
    st.binary(max_size=100)
    | st.text("chr12\t\nACGTN<>[]*.,#x\x00", max_size=200).map(str.encode)
    | st.lists(st.sampled_from(["chr1", "5", ".", "A", "ACG", "G,T", "<X>", "*", ""]), min_size=5, max_size=7)
    .map("\t".join)
    .map(str.encode)
)
def test_any_bytes_are_read_or_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    try:
        found, remarks = variants(written(tmp_path, content))
    except SeqplrpError as error:
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert found or remarks
        for variant in found:
            assert set(variant.ref + variant.alt) <= set("ACGTN")
            assert variant.ref != variant.alt
            assert variant.start >= 0
