"""The indexed genome: right letters whatever the file looks like, and no stale index."""

from __future__ import annotations

import gzip
import os
import random
import shutil
from pathlib import Path

import pyfaidx
import pytest
from Bio import bgzf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seqplrp import SeqplrpError
from seqplrp.genomics import Genome


def content(contigs: dict[str, str], width: int = 60, newline: str = "\n") -> str:
    lines = []
    for name, sequence in contigs.items():
        lines.append(f">{name} described")
        lines += [sequence[i : i + width] for i in range(0, len(sequence), width)]
    return newline.join([*lines, ""])


def write(path: Path, text: str) -> Path:
    if path.suffix == ".gz":
        with bgzf.BgzfWriter(str(path), "wb") as out:
            out.write(text.encode())
    else:
        path.write_bytes(text.encode())
    return path


def drawn(seed: int, length: int, letters: str = "ACGTNacgtn") -> str:
    return "".join(random.Random(seed).choices(letters, k=length))


CONTIGS = {"chr1": drawn(1, 1003), "chr2": drawn(2, 180), "chrM": drawn(3, 59)}


@pytest.fixture(params=["genome.fa", "genome.fa.gz"])
def path(request, tmp_path: Path) -> Path:
    return write(tmp_path / request.param, content(CONTIGS))


def test_every_stretch_is_what_slicing_gives_and_what_pyfaidx_gives(path: Path) -> None:
    draw = random.Random(0)
    with Genome(path) as genome, pyfaidx.Fasta(path, sequence_always_upper=True, as_raw=True) as oracle:
        assert genome.sizes == {name: len(sequence) for name, sequence in CONTIGS.items()}
        for name, sequence in CONTIGS.items():
            assert genome.fetch(name, 0, len(sequence)) == sequence.upper()
            for _ in range(100):
                start, end = sorted(draw.choices(range(len(sequence) + 1), k=2))
                found = genome.fetch(name, start, end)
                assert found == sequence[start:end].upper()
                assert start == end or found == oracle[name][start:end]


def test_a_stretch_at_the_first_letter_of_a_full_block_is_read(tmp_path: Path) -> None:
    sequence = drawn(4, 200_000, "ACGT")
    path = write(tmp_path / "genome.fa.gz", content({"a": sequence}, width=1000))
    header, block = len(">a described\n"), 65_536
    starts = [number for number in range(len(sequence)) if (header + number // 1000 * 1001 + number % 1000) % block < 2]
    assert len(starts) == 6  # the first and second letter of each further block
    with Genome(path) as genome:
        for start in starts:
            assert genome.fetch("a", start, start + 50) == sequence[start : start + 50]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(
    st.lists(st.text("ACGTacgtn", min_size=1, max_size=60), min_size=1, max_size=4),
    st.integers(1, 61),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([".fa", ".fa.gz"]),
    st.booleans(),
)
def test_line_widths_line_ends_and_a_missing_last_one_change_nothing(
    tmp_path, sequences, width, newline, end, whole
) -> None:
    contigs = {f"c{number}": sequence for number, sequence in enumerate(sequences)}
    text = content(contigs, width, newline)
    path = write(tmp_path / f"genome{end}", text if whole else text.removesuffix(newline))
    for index in tmp_path.glob("genome*.??i"):
        index.unlink()  # examples follow each other faster than the clock ticks
    with Genome(path) as genome:
        for name, sequence in contigs.items():
            for start in range(len(sequence)):
                assert genome.fetch(name, start, len(sequence)) == sequence[start:].upper()
                assert genome.fetch(name, 0, start) == sequence[:start].upper()


def test_soft_masked_letters_u_and_ambiguity_codes(tmp_path: Path) -> None:
    path = write(tmp_path / "genome.fa", ">a\nacguN\nACGRy\n>b\nAC-GT\n")
    with Genome(path) as genome:
        assert genome.fetch("a", 0, 8) == "ACGTNACG"
        with pytest.raises(SeqplrpError) as error:
            genome.fetch("a", 6, 10)
        assert str(path) in error.value.where
        assert "contig 'a', position 8 (0-based)" in error.value.where
        assert "letter 'R' of the genome is an ambiguity code" in error.value.what
    with Genome(path, iupac="n") as genome:
        assert genome.fetch("a", 0, 10) == "ACGTNACGNN"
        with pytest.raises(SeqplrpError, match=r"contig 'b', position 2 .*letter '-' of the genome is not DNA"):
            genome.fetch("b", 0, 5)
    with pytest.raises(SeqplrpError, match="iupac"):
        Genome(path, iupac="drop")


@pytest.mark.parametrize(
    ("there", "asked", "hint"),
    [
        ("1", "chr1", "which has '1'"),
        ("chr1", "1", "which has 'chr1'"),
        ("chrX", "CHRX", "which has 'chrX'"),
        ("MT", "chrM", "which has 'MT'"),
        ("chrM", "MT", "which has 'chrM'"),
    ],
)
def test_a_contig_of_another_naming_is_suggested(tmp_path: Path, there: str, asked: str, hint: str) -> None:
    with Genome(write(tmp_path / "genome.fa", f">x\nA\n>{there}\nACGT\n")) as genome:
        with pytest.raises(SeqplrpError) as error:
            genome.fetch(asked, 0, 1)
        assert f"contig {asked!r} is not in the genome" in error.value.what
        assert hint in error.value.what
        assert "alike" in error.value.remedy
        with pytest.raises(SeqplrpError, match=r"^peaks.bed, line 3: "):
            genome.size(asked, where="peaks.bed, line 3")


def test_an_unknown_contig_is_told_some_that_are_there(tmp_path: Path) -> None:
    text = "".join(f">c{number}\nA\n" for number in range(5))
    with Genome(write(tmp_path / "genome.fa", text)) as genome, pytest.raises(SeqplrpError) as error:
        genome.fetch("plasmid", 0, 1)
    assert "'c0', 'c1', 'c2' and 2 more" in error.value.what


@pytest.mark.parametrize(("start", "end"), [(-1, 3), (0, 181), (5, 4), (181, 181)])
def test_a_stretch_off_the_contig_is_refused_and_not_cut(path: Path, start: int, end: int) -> None:
    with Genome(path) as genome, pytest.raises(SeqplrpError, match="no stretch of contig 'chr2', which has 180 bases"):
        genome.fetch("chr2", start, end)


def changed(text: str, path: Path, seconds: float) -> None:
    """Write another genome, and date it after (or before) its index."""
    write(path, text)
    index = os.stat(f"{path}.fai").st_mtime_ns + int(seconds * 1e9)  # in whole numbers: a float would round
    os.utime(path, ns=(index, index))


OTHER = {"chr2": drawn(5, 100), "chr1": drawn(6, 1003), "chrM": drawn(7, 59)}


@pytest.mark.parametrize("seconds", [10, 0, -10], ids=["newer", "as old", "older"])
def test_an_index_of_what_the_genome_was_before_gives_no_wrong_letter(path: Path, seconds: float) -> None:
    Genome(path).close()
    changed(content(OTHER), path, seconds)
    with Genome(path) as genome:
        assert genome.sizes == {name: len(sequence) for name, sequence in OTHER.items()}
        for name, sequence in OTHER.items():
            assert genome.fetch(name, 0, len(sequence)) == sequence.upper()
        why = "is older than the genome" if seconds > 0 else "is damaged, or another file's"
        assert genome.notes == (f"the index {path}.fai {why}: it was made anew",)


def test_an_index_that_misfits_only_in_the_middle_is_an_error(path: Path) -> None:
    Genome(path).close()
    renamed = dict(zip(("chr2", "chr1", "chrM"), CONTIGS.values()))
    changed(content(renamed), path, -10)
    with Genome(path) as genome:
        assert genome.fetch("chrM", 0, 59) == CONTIGS["chrM"].upper()
        with pytest.raises(SeqplrpError, match=r"index does not fit at contig 'chr1'.*remove .*\.fai"):
            genome.fetch("chr1", 0, 10)


@pytest.mark.parametrize("damage", ["", "chr1\t1003\n", "\x00\x01", "chr1\t1003\t16\t60\t61\n"])
def test_a_damaged_index_is_made_anew(path: Path, damage: str) -> None:
    Path(f"{path}.fai").write_text(damage)
    if path.suffix == ".gz":
        Path(f"{path}.gzi").write_bytes(b"\x01")
    with Genome(path) as genome:
        assert genome.fetch("chr2", 100, 180) == CONTIGS["chr2"][100:].upper()
        assert genome.notes == (f"the index {path}.fai is damaged, or another file's: it was made anew",)
    with Genome(path) as genome:
        assert genome.notes == ()


def test_half_an_index_is_told_and_none_is_not(tmp_path: Path) -> None:
    path = write(tmp_path / "genome.fa.gz", content(CONTIGS))
    with Genome(path) as genome:
        assert genome.notes == ()
    Path(f"{path}.gzi").unlink()
    with Genome(path) as genome:
        assert genome.notes == (f"the index {path}.fai lacks its other half, genome.fa.gz.gzi: it was made anew",)


def test_an_index_that_is_there_is_used_and_not_touched(path: Path) -> None:
    Genome(path).close()
    indexes = sorted(path.parent.glob("genome.fa*.??i"))
    assert [index.name[len(path.name) :] for index in indexes] == (
        [".fai", ".gzi"] if path.suffix == ".gz" else [".fai"]
    )
    before = [(index.stat().st_ino, index.stat().st_mtime_ns) for index in indexes]
    Genome(path).close()
    assert [(index.stat().st_ino, index.stat().st_mtime_ns) for index in indexes] == before
    assert len(list(path.parent.iterdir())) == 1 + len(indexes)  # nothing half-written stays


@pytest.fixture
def unwritable(path: Path) -> Path:
    """Return a genome beside which no index can be put, even by root: a folder is in its place."""
    Path(f"{path}.fai").mkdir()
    return path


def test_where_no_index_can_be_written_a_temporary_one_serves_and_goes(unwritable, monkeypatch, tmp_path) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "elsewhere"))
    with Genome(unwritable) as genome:
        assert len(list((tmp_path / "elsewhere").iterdir())) == 1
        (note,) = genome.notes
        assert note.startswith(f"the index {unwritable}.fai ")
        assert "another was made for this time alone, as it can't be replaced there" in note
        assert genome.fetch("chr1", 500, 600) == CONTIGS["chr1"][500:600].upper()
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert {file.name for file in unwritable.parent.iterdir()} == {
        unwritable.name,
        f"{unwritable.name}.fai",
        "elsewhere",
    }


def test_a_folder_for_the_index_keeps_it_for_the_next_time(unwritable: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run" / "index"
    for _ in range(2):
        with Genome(unwritable, index_folder=folder) as genome:
            assert genome.fetch("chr1", 500, 600) == CONTIGS["chr1"][500:600].upper()
            stamp = (folder / f"{unwritable.name}.fai").stat().st_mtime_ns
            told = genome.notes
    assert told == (), "that in the folder serves"
    assert (folder / f"{unwritable.name}.fai").stat().st_mtime_ns == stamp
    (tmp_path / "file").touch()
    with pytest.raises(SeqplrpError, match=r"file/in: can't be written"):
        Genome(unwritable, index_folder=tmp_path / "file" / "in")


def test_plain_gzip_and_misleading_names_are_told_how_to_mend(tmp_path: Path, path: Path) -> None:
    zipped = tmp_path / "zipped.fa.gz"
    zipped.write_bytes(gzip.compress(content(CONTIGS).encode()))
    with pytest.raises(SeqplrpError, match=r"compressed by gzip.*bgzip instead .*or gunzip it"):
        Genome(zipped)
    renamed = tmp_path / ("renamed.fa" if path.suffix == ".gz" else "renamed.fa.gz")
    shutil.copy(path, renamed)
    with pytest.raises(SeqplrpError, match=r"\.gz"):
        Genome(renamed)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "can't be indexed"),
        ("ACGT\n", "can't be indexed"),
        (">a\nACGT\nAC\nACGT\n>b\nAC\n", "consistent"),
        (">a\nACGT\n>a\nAC\n", "Duplicate key"),
        (">\nACGT\n", "Bad sequence name"),
        (">a\nAC\r\nACG\n>b\nACGT\n", "does not fit at contig 'a'"),
        (">a\nAC\xe9T\n", "can't be indexed|can't be read"),
    ],
)
def test_what_is_no_genome_is_refused(tmp_path: Path, text: str, what: str) -> None:
    path = tmp_path / "genome.fa"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(SeqplrpError, match=what):
        Genome(path).fetch("a", 0, 4)
    if "indexed" in what or "key" in what:
        assert list(tmp_path.iterdir()) == [path]  # nor is an index left that fits nothing


def test_a_truncated_or_damaged_bgzip_file_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "genome.fa.gz", content({"a": drawn(1, 300_000)}))
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], whole[:-28], whole[:45_000] + b"\x00\x01" * 50 + whole[45_100:]):
        path.write_bytes(damaged)
        with pytest.raises(SeqplrpError, match="can't be indexed"):
            Genome(path)
    path.write_bytes(whole)
    Genome(path).close()
    path.write_bytes(whole[:45_000] + b"\x00\x01" * 50 + whole[45_100:])
    os.utime(path, (0, 0))  # older than its index, whose blocks are all there
    with Genome(path) as genome, pytest.raises(SeqplrpError, match="contig 'a' can't be read"):
        genome.fetch("a", 0, 300_000)


def test_a_missing_file_a_folder_and_a_closed_genome_are_errors(tmp_path: Path, path: Path) -> None:
    with pytest.raises(SeqplrpError, match="no such file; check the path"):
        Genome(tmp_path / "missing.fa")
    with pytest.raises(SeqplrpError, match="not a file"):
        Genome(tmp_path)
    genome = Genome(path)
    genome.close()
    genome.close()
    with pytest.raises(SeqplrpError, match="was closed"):
        genome.fetch("chr1", 0, 1)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=100)
@given(
    st.binary(max_size=80) | st.text(">ab ACGTNR;\t\r\n\x00", max_size=80).map(str.encode),
    st.none() | st.binary(max_size=40) | st.text("ab\t0123456789-\n", max_size=60).map(str.encode),
    st.sampled_from([".fa", ".fa.gz"]),
)
def test_any_bytes_and_any_index_are_read_or_refused_in_one_line(tmp_path, genome, index, end) -> None:
    path = tmp_path / f"fuzz{end}"
    for old in tmp_path.glob("fuzz*"):
        old.unlink()
    if end == ".fa":
        path.write_bytes(genome)
    else:
        with bgzf.BgzfWriter(str(path), "wb") as out:
            out.write(genome)
    if index is not None:
        Path(f"{path}.fai").write_bytes(index)
        Path(f"{path}.gzi").write_bytes(index)
    try:
        with Genome(path) as opened:
            fetched = {name: opened.fetch(name, 0, size) for name, size in opened.sizes.items()}
    except SeqplrpError as error:
        assert "\n" not in str(error)  # noqa: PT017
    else:
        letters = genome.decode().translate(str.maketrans("", "", "\r\n")).upper().replace("U", "T")
        assert fetched
        assert all(sequence in letters for sequence in fetched.values())
