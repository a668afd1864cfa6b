"""MEME and JASPAR files: what is read and written, and what each malformed file is told."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from Bio import motifs as biopython
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seqplrp import SeqplrpError
from seqplrp.genomics.motifs import Motif, load_all, read_motifs, write_meme

HEAD = "MEME version 4\n\nALPHABET= ACGT\n\nstrands: + -\n\nBackground letter frequencies\nA 0.3 C 0.2 G 0.2 T 0.3\n\n"
ROWS = "0.97 0.01 0.01 0.01\n0.1 0.2 0.3 0.4\n"
MATRIX = f"letter-probability matrix: alength= 4 w= 2 nsites= 17 E= 4.1e-009\n{ROWS}"
PFM = "A [ 3 0 1 ]\nC [ 0 4 1 ]\nG [ 1 0 1 ]\nT [ 0 0 1 ]\n"


@pytest.fixture
def file(tmp_path: Path):
    """Write content to a file and give its path."""

    def write(content: str | bytes, name: str = "in.txt") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def test_all_that_a_minimal_meme_file_says_is_read(file) -> None:
    text = f"{HEAD}MOTIF MA0001.1 First\n{MATRIX}URL https://example.org/MA0001.1\n\nMOTIF Second\n{MATRIX}\n"
    first, second = read_motifs(file(text))
    assert (first.name, first.accession, first.nsites) == ("First", "MA0001.1", 17)
    assert first.url == "https://example.org/MA0001.1"
    assert first.probabilities == pytest.approx(np.array([[0.97, 0.01, 0.01, 0.01], [0.1, 0.2, 0.3, 0.4]]))
    assert first.background == pytest.approx([0.3, 0.2, 0.2, 0.3])
    assert (second.name, second.accession, second.url) == ("Second", "", "")


@pytest.mark.parametrize(
    "text",
    [
        f"{HEAD}MOTIF m\n{MATRIX}Time 12 seconds\n",
        f"MEME version 5.5.5 (Release date: today)\nMOTIF m\n{MATRIX}",
        f"{HEAD}MOTIF m\nletter-probability matrix:\n{ROWS}",
        f"{HEAD}MOTIF m\nletter-probability matrix\n{ROWS}",
        f"{HEAD}MOTIF m\nletter-probability matrix: alength=4 w=2\n\n\n{ROWS}\nURL x\n",
        f"{HEAD}MOTIF m\nletter-probability matrix: nsites= 0 w= 2\n{ROWS}",
        f"{HEAD}MOTIF m\nlog-odds matrix: alength= 4 w= 2\n 1 -2 3 4\n 1 2 3 4\n{MATRIX}",
        f"{HEAD}MOTIF m width = 2 sites = 17 llr = 5\n\n----\n\tMotif m description\n----\n{MATRIX}----\n\nTime 1\n",
        "MEME version 4\nALPHABET= ACGU\nBackground letter frequencies (from file x):\n"
        f"A 0.25 C 0.25\nG 0.25 U 0.25\nMOTIF m\n{MATRIX}",
        'MEME version 4\nALPHABET "DNA" DNA-LIKE\nA "Adenine" CC0000 ~ T "Thymine" 008000\n'
        f'C "Cytosine" 0000CC ~ G "Guanine" FFB300\nEND ALPHABET\nMOTIF m\n{MATRIX}',
        f"MOTIF m\n{MATRIX}".replace("\n", "\r\n"),
        f"\ufeff{HEAD}  MOTIF m  \n{MATRIX}",
    ],
    ids=[
        "text-after-the-rows", "no-header-lines", "no-attributes", "no-colon", "no-spaces", "zero-sites",
        "log-odds-too", "full-meme-output", "rna-and-wrapped-background", "long-alphabet",
        "windows-and-no-version", "byte-order-mark",
    ],
)  # fmt: skip
def test_every_dialect_of_meme_gives_the_same_motif(file, text: str) -> None:
    (motif,) = read_motifs(file(text))
    assert motif.name == "m"
    assert motif.probabilities == pytest.approx(np.array([[0.97, 0.01, 0.01, 0.01], [0.1, 0.2, 0.3, 0.4]]))


@pytest.mark.parametrize(
    ("text", "name", "accession"),
    [
        (f">MA0001.1 Test\n{PFM}", "Test", "MA0001.1"),
        (f">MA0001.1\tTest\n\n{PFM}", "Test", "MA0001.1"),
        (f"# comment\n>Test\n{PFM}", "Test", ""),
        (PFM, "file_name", ""),
        ("3 0 1\n0 4 1\n1 0 1\n0 0 1\n", "file_name", ""),
        ("A| 3 0 1\nC| 0 4 1\nG| 1 0 1\nT| 0 0 1\n", "file_name", ""),
        ("a: 3 0 1\nc: 0 4 1\ng: 1 0 1\nu: 0 0 1\n", "file_name", ""),
        ("T [0 0 1]\nG [1 0 1]\nC [0 4 1]\nA [3 0 1]\n", "file_name", ""),
        ("A[3.0 0e5 1]\nC[.0 4. 1]\nG[1 0 1]\nT[0 0 1]", "file_name", ""),
    ],
)
def test_every_dialect_of_jaspar_gives_the_same_motif(file, text: str, name: str, accession: str) -> None:
    (motif,) = read_motifs(file(text, "file name.pfm"))
    assert (motif.name, motif.accession, motif.nsites) == (name, accession, 4)
    assert motif.probabilities.tolist() == [[0.75, 0, 0.25, 0], [0, 1, 0, 0], [0.25] * 4]


def test_frequencies_in_jaspar_format_state_no_number_of_sites(file) -> None:
    (motif,) = read_motifs(file(">m\n0.7 0.1\n0.1 0.1\n0.1 0.1\n0.1 0.7\n"))
    assert motif.nsites is None


def test_several_jaspar_matrices_are_read_in_order_plain_or_gzipped(file) -> None:
    text = f">MA1 a\n{PFM}\n>MA2 a\n{PFM}"
    assert [m.accession for m in read_motifs(file(text))] == ["MA1", "MA2"]
    assert [m.accession for m in read_motifs(file(gzip.compress(text.encode())))] == ["MA1", "MA2"]


def test_pseudocounts_are_added_when_asked(file) -> None:
    (plain,) = read_motifs(file(PFM))
    (smoothed,) = read_motifs(file(PFM), pseudocount=1)
    assert smoothed == plain.with_pseudocount(1)
    assert smoothed.probabilities.min() > 0


MALFORMED = [
    ("", None, "empty"),
    ("\n\n", None, "empty"),
    ("MEME version 4\n", None, "no motif"),
    (HEAD, None, "no motif"),
    ("hello\n", 1, "starts neither MEME nor JASPAR"),
    ("AC  M0001\nXX\nID  x\nP0 A C G T\n", 1, "TRANSFAC"),
    ("<html>\n", 1, "neither"),
    (b"MEME version 4\nMOTIF \xff\n", 2, "not UTF-8"),
    (f"{HEAD}MOTIF m\n", 10, "'m' has no letter-probability matrix"),
    (f"{HEAD}MOTIF m\nMOTIF n\n{MATRIX}", 10, "'m' has no letter-probability matrix"),
    (f"{HEAD}MOTIF\n{MATRIX}", 10, "no name"),
    (f"{HEAD}MOTIF a\x07\n{MATRIX}", 10, "not printable"),
    (f">a b\x07\n{PFM}", 1, "not printable"),
    (f"{HEAD}MOTIF m\n{MATRIX}\nMOTIF m\n{MATRIX}", 15, "'m' was given before, on line 10"),
    (f"{HEAD}{MATRIX}", 10, "before any MOTIF line"),
    (f"{HEAD}MOTIF m\n{MATRIX}\n{MATRIX}", 15, "second matrix"),
    (f"{HEAD}MOTIF m\nletter-probability matrix: w= 3\n{ROWS}", 13, "ends after 2 rows, not w= 3"),
    (f"{HEAD}MOTIF m\nletter-probability matrix: w= 3\n{ROWS}\n0.25 0.25 0.25 0.25\n", 14, "ends after 2 rows"),
    (f"{HEAD}MOTIF m\nletter-probability matrix: w= 1\n{ROWS}", 13, "more rows than its w= 1"),
    (f"{HEAD}MOTIF m\nletter-probability matrix:\n", 11, "ends after 0 rows"),
    (f"{HEAD}MOTIF m\nletter-probability matrix: w= 0\n{ROWS}", 11, "width '0'"),
    (f"{HEAD}MOTIF m\nletter-probability matrix: w= 1.5\n{ROWS}", 11, "width '1.5'"),
    (f"{HEAD}MOTIF m\nletter-probability matrix: w= two\n{ROWS}", 11, "width 'two' is not a number"),
    (f"{HEAD}MOTIF m\nletter-probability matrix: alength= 20\n{ROWS}", 11, "alength is 20"),
    (f"{HEAD}MOTIF m\nletter-probability matrix: nsites= -3\n{ROWS}", 11, "nsites '-3'"),
    (f"{HEAD}MOTIF m\nletter-probability matrix: w= 2\n0.25 0.25 0.25\n", 12, "3 numbers, not 4"),
    (f"{HEAD}MOTIF m\nletter-probability matrix: w= 2\n0.25 0.25 x 0.25\n", 12, "'x' is not a number"),
    (f"{HEAD}MOTIF m\nletter-probability matrix: w= 2\nnan 0.5 0.25 0.25\n", 12, "'nan' is not a number"),
    (f"{HEAD}MOTIF m\nletter-probability matrix:\n{ROWS}oops\n", 14, "'oops' is not a number"),
    (f"{HEAD}MOTIF m\nletter-probability matrix: w= 2\n{ROWS[:20]}1.5 -0.5 0 0\n", 13, "negative"),
    (f"{HEAD}MOTIF m\nletter-probability matrix: w= 1\n0.3 0.3 0.3 0.3\n", 12, "sums to 1.2, not to 1"),
    (f"{HEAD}MOTIF m\nletter-probability matrix: w= 1\n3 5 1 1\n", 12, "sums to 10, not to 1"),
    (f"MEME version 4\nALPHABET= ACDEFGHIKLMNPQRSTVWY\nMOTIF m\n{MATRIX}", 2, "not ACGT"),
    (f"MEME version 4\nBackground letter frequencies\nMOTIF m\n{MATRIX}", 3, "letter 'MOTIF' is unknown"),
    ("MEME version 4\nBackground letter frequencies\n", 2, "not followed by"),
    ("MEME version 4\nBackground letter frequencies\nA 0.5 C 0.5 G 0.5 T 0.5\n", 3, "sums to 2"),
    ("MEME version 4\nBackground letter frequencies\nA 0.5 C 0.5 G 0 T 0\n", 3, "zero"),
    ("MEME version 4\nBackground letter frequencies\nA 0.5 C 0.5 G x T 0\n", 3, "'x' is not a number"),
    ("MEME version 4\nBackground letter frequencies\nA 0.5 A 0.5\n", 3, "'A' is unknown or given twice"),
    (">\nA [1]\nC [1]\nG [1]\nT [1]\n", 1, "no identifier"),
    (">m\n", 1, "ends after 0 rows"),
    (">m\n1 1\n1 1\n1 1\n", 4, "ends after 3 rows, not 4"),
    (">m\n1 1 1 1\n1 1 1 1\n1 1 1 1\n1 1 1 1\n1 1 1 1\n", 6, "ends after 5 rows, not 4"),
    (">m\n1 1\n1 1\n1\n1 1\n", 4, "row G has 1 numbers, row A has 2"),
    (">m\nA 1 1\nC 1 1\nC 1 1\nT 1 1\n", 4, "row C is given twice"),
    (">m\nA 1 1\nX 1 1\nG 1 1\nT 1 1\n", 3, "base 'X'"),
    (">m\n1 1\n1 1\n1 oops\n1 1\n", 4, "'oops' is not a number"),
    (">m\n1 1\n1 -1\n1 1\n1 1\n", 3, "-1 is negative"),
    (">m\n1 0\n1 0\n1 0\n1 0\n", 2, "column 2 sums to 0"),
    (">m\n1e308\n1e308\n1 \n1\n", 2, "column 1 sums to inf"),
    (">m\nA []\nC []\nG []\nT []\n", 2, "no number"),
    (f">m\n{PFM}>m\n{PFM}", 6, "'m' was given before, on line 1"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "what"), MALFORMED)
def test_each_malformed_file_is_told_its_line(file, text, line: int | None, what: str) -> None:
    path = file(text)
    with pytest.raises(SeqplrpError) as error:
        read_motifs(path)
    assert what in error.value.what
    place = error.value.where.removeprefix(str(path)).split(", ")
    assert place[1:2] == ([] if line is None else [f"line {line}"])


def test_a_transposed_matrix_is_told_to_turn(file) -> None:
    with pytest.raises(SeqplrpError, match="turn the matrix"):
        read_motifs(file(">HOCOMOCO\n" + "1 2 3 4\n" * 7))


pieces = st.sampled_from(
    ["MEME version 4", "MOTIF", "MOTIF a", "MOTIF b c", "letter-probability matrix:", "alength= 4", "w= 2", "w=", "URL",
     "nsites= 1e999", "0.25 0.25 0.25 0.25", "1 0 0 0", ">m", ">", "A [ 1 2 ]", "C", "[", "]", "1e400", "-1", "nan",
     "Background letter frequencies", "A 0.25 C 0.25 G 0.25 T 0.25", "ALPHABET= ACGT", "ALPHABET", "-----", "#", " "]
)  # fmt: skip
garbage = st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace"))
assembled = st.lists(st.tuples(pieces, st.sampled_from([" ", "\n", "\n\n", ""])), max_size=30).map(
    lambda parts: "".join(piece + space for piece, space in parts).encode()
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=400, deadline=None)
@given(garbage | assembled)
def test_any_bytes_are_read_or_refused_in_one_line(file, content: bytes) -> None:
    try:
        read = read_motifs(file(content))
    except SeqplrpError as error:
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert read
        assert all(np.allclose(motif.probabilities.sum(axis=1), 1) for motif in read)


@pytest.mark.parametrize(
    "line", ["\n", "MOTIF", "letter-probability matrix: w= 9\n", "Background letter frequencies\n"]
)
def test_long_repetitions_neither_hang_nor_overflow_the_stack(file, line: str) -> None:
    with pytest.raises(SeqplrpError):
        read_motifs(file(f"{HEAD}MOTIF m\nletter-probability matrix:\n{line * 20_000}"))


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    known = {"accession": "MA1.1", "url": "https://example.org", "nsites": 12.5, "background": [0.3, 0.2, 0.2, 0.3]}
    motif = Motif("m", [[0.123456, 0.376544, 0.25, 0.25]], **known)
    bare = Motif("bare", [[1, 0, 0, 0]] * 3, background=known["background"])
    path = tmp_path / "out.meme"
    write_meme(path, [motif, bare])
    read = read_motifs(path)
    assert [(m.name, m.accession, m.url, m.nsites) for m in read] == [
        ("m", "MA1.1", "https://example.org", 12.5),
        ("bare", "", "", None),
    ]
    for before, after in zip([motif, bare], read):
        assert after.probabilities == pytest.approx(before.probabilities, abs=1e-15)
        assert after.background == pytest.approx(before.background, abs=1e-15)


def test_what_is_written_is_read_alike_by_biopython_and_memelite(tmp_path: Path) -> None:
    written = load_all()
    path = tmp_path / "all.meme"
    write_meme(path, written)
    with open(path) as handle:
        theirs = biopython.parse(handle, "minimal")
    assert [motif.name.split()[0] for motif in theirs] == [motif.accession for motif in written]
    for ours, other in zip(written, theirs):
        frequencies = np.array([other.pwm[base] for base in "ACGT"]).T
        # biopython rounds to whole counts
        assert frequencies == pytest.approx(ours.probabilities, abs=2 / ours.nsites)
    memelite = pytest.importorskip("memelite.io")
    matrices = list(memelite.read_meme(str(path)).values())
    for ours, matrix in zip(written, matrices, strict=True):
        frequencies = np.asarray(matrix).T
        assert frequencies == pytest.approx(ours.probabilities, abs=1e-6)


def test_the_written_file_has_a_blank_line_after_every_motif_and_its_url(tmp_path: Path) -> None:
    path = tmp_path / "out.meme"
    write_meme(path, load_all()[:3])
    text = path.read_text()
    assert text.count("\n\nMOTIF ") == 3
    assert text.count("\nURL ") == 3
    assert text.endswith("\n\n")


@pytest.mark.parametrize(
    "written",
    [
        [],
        [Motif("m", [[0.25] * 4]), Motif("m", [[1, 0, 0, 0]])],
        [Motif("m", [[0.25] * 4]), Motif("n", [[0.25] * 4], background=[0.3, 0.2, 0.2, 0.3])],
    ],
    ids=["none", "twice", "backgrounds"],
)
def test_what_the_format_can_not_hold_is_not_written(tmp_path: Path, written: list[Motif]) -> None:
    path = tmp_path / "out.meme"
    with pytest.raises(SeqplrpError, match="motifs"):
        write_meme(path, written)
    assert not path.exists()


def test_an_unwritable_path_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SeqplrpError, match="can't be written"):
        write_meme(tmp_path / "missing" / "out.meme", [Motif("m", [[0.25] * 4])])
