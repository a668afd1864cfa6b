"""Disks that are full, read-only or broken: real ones, in a process that mounts them for itself."""

from __future__ import annotations

import builtins
import errno
import gzip
import io
import os
import re
import shutil
from pathlib import Path

import pytest
from commandline import CHUNK, SEQUENCES
from mounts import (
    BrittleDisk,
    command,
    in_own_mounts,
    read_only,
    resize,
    small_disk,
    used,
    without_overrides,
    writable,
)
from small_inputs import LENGTH, random_dna

from seqplrp.genomics import Genome, write_fasta
from seqplrp.pipeline import FORMATS

LARGE = 64 << 20
INDEX = 16 << 10
"""What the index of the records takes on the disk while files are made."""


def contents(out: Path) -> dict[str, bytes]:
    """All files of a run that do not differ from run to run."""
    files = (path for path in out.rglob("*") if path.is_file() and path.relative_to(out).parts[0] != "parts")
    named = {str(path.relative_to(out)): path for path in files}
    return {name: path.read_bytes() for name, path in named.items() if name not in ("manifest.json", ".seqplrp.json")}


def error_of(done: tuple[int, str, str]) -> str:
    """The one line of error of a command that failed, beside which only notes may stand."""
    code, out, err = done
    (line,) = (line for line in err.splitlines() if not line.startswith("note: "))
    assert (code, out) == (2, ""), done
    assert re.fullmatch(r"error: .+: .+; .+", line), done
    return line


def whole_run(run, asked, out, *more):
    done = run(*asked, "--out", out, *more)
    assert (done.code, done.err) == (0, "")
    return contents(out)


# ---- full


def fills_up_while_parts_are_written(asked, place, sizes):
    found = []
    for number, size in enumerate(sizes):
        disk = place / str(number)
        small_disk(disk, size)
        failed = command(*asked, "--out", disk / "out")
        left = sorted(path.name for path in disk.rglob("*"))
        again = command(*asked, "--out", disk / "out", "--resume")
        resize(disk, LARGE)
        ended = command(*asked, "--out", disk / "out", "--resume")
        found.append((failed, left, again, ended, contents(disk / "out")))
    return found


def test_a_disk_that_fills_up_costs_the_chunk_at_work_and_no_other(run, asked, tmp_path):
    whole = whole_run(run, asked, tmp_path / "whole")
    sizes = [4 << 10, 8 << 10, 16 << 10, 30 << 10, 50 << 10, 75 << 10, 100 << 10, 118 << 10]
    kept = []
    for failed, left, again, ended, made in in_own_mounts(
        fills_up_while_parts_are_written, asked, tmp_path / "disks", sizes
    ):
        for done in (failed, again):
            assert re.search(r"/out\S*: no space left on device; free some space on that disk", error_of(done))
        parts = [name for name in left if name.startswith("part-")]
        assert not [name for name in left if "partial" in name or name.startswith(".part-")], (
            "nothing half-made is left"
        )
        kept.append(len(parts))
        if parts:
            told = f"note: {len(parts)} finished chunks are kept in .*/out: --resume goes on with them\n"
            assert re.match(told, failed[2])
            assert re.match(told, again[2])
            assert re.search(r"/part-\d{8}.npz: no space", error_of(failed)), "which file did not fit is told"
        assert (ended[0], ended[2]) == (0, "")
        assert made == whole
    assert kept[0] == 0
    assert sum(0 < number < SEQUENCES // CHUNK for number in kept) >= 4, "the disks were too small or too large"


def fills_up_while_files_are_made(asked, disk):
    small_disk(disk, LARGE)
    found = {}
    for name in FORMATS:
        # modisco's parts hold unpruned contributions, too: they are a run of their own
        out = disk / ("modisco" if name == "modisco" else "others")
        if not out.exists():
            command(*asked, "--out", out, "--formats", out.name.replace("others", "tsv"))
            for path in contents(out).keys() - {"regions.bed", "chrom.sizes"}:
                (out / path).unlink()
        goes_on = [*asked, "--out", out, "--resume", "--formats", name]
        before, taken = contents(out), used(disk)
        assert command(*goes_on)[0] == 0
        expected = contents(out)
        own = expected.keys() - before.keys()
        needed = sum(-(-len(expected[path]) >> 12) << 12 for path in own)
        for path in own:
            (out / path).unlink()
        tries = []
        for room in (0, INDEX, INDEX + (needed // 3 & -4096), INDEX + needed - 4096):
            resize(disk, taken + room)
            tries.append((command(*goes_on), contents(out) == before))
            resize(disk, LARGE)
        ended = command(*goes_on)
        found[name] = (tries, ended, contents(out) == expected, {path.split("/")[0] for path in own})
        for path in own:
            (out / path).unlink()
    return found


@pytest.fixture(scope="module")
def filled(model_directory, many, tmp_path_factory):
    asked = ["explain", "--model", model_directory, "--fasta", many, "--target", "1", "--chunk-size", CHUNK]
    return in_own_mounts(fills_up_while_files_are_made, asked, tmp_path_factory.mktemp("disks") / "disk")


@pytest.mark.parametrize("name", FORMATS)
def test_a_disk_that_fills_up_while_files_are_made_leaves_none_of_them_and_all_parts(filled, name):
    tries, ended, as_expected, own = filled[name]
    named = set()
    for done, untouched in tries:
        line = error_of(done)
        assert re.search("no space left on device; free some space|could not be written whole; check the space", line)
        assert "note: 15 finished chunks are kept in" in done[2]
        assert untouched, "files of before are as they were"
        (path,) = re.findall(r"^error: \S*/(?:others|modisco)/([^/:]+)", line)
        named.add(path)
    assert named & own, f"one of {own} was named"
    assert ended[0] == 0
    assert as_expected


def has_no_names_left(asked, place):
    small_disk(place, LARGE, inodes=12)
    failed = command(*asked, "--out", place / "out")
    return failed, len(list((place / "out" / "parts").glob("part-*.npz")))


def test_a_disk_that_has_room_but_takes_no_more_files_is_told_alike(asked, tmp_path):
    failed, kept = in_own_mounts(has_no_names_left, asked, tmp_path / "disk")
    assert re.search(r"part-\S*: no space left on device; free some space", error_of(failed))
    assert kept == 5
    assert "note: 5 finished chunks are kept" in failed[2]


# ---- not to be written


def may_not_be_written(asked, place, bind):
    disk = place / "disk"
    if bind:
        (disk / "begun").mkdir(parents=True)
    else:
        small_disk(disk, LARGE)
    begun = command(*asked, "--out", disk / "begun", "--formats", "npz")
    read_only(disk, bind=bind)
    goes_on = [*asked, "--resume", "--formats", "npz,bedgraph"]
    told = [command(*asked, "--out", disk / "deep" / "new"), command(*goes_on, "--out", disk / "begun")]
    told.append(command("export", disk / "begun", "--to", "bedgraph"))
    writable(disk, bind=bind)
    return begun, told, command(*goes_on, "--out", disk / "begun"), (disk / "deep").exists()


@pytest.mark.parametrize("bind", [False, True], ids=["file system", "bind mount"])
def test_a_place_that_is_read_only_is_told_before_any_work(asked, tmp_path, bind):
    begun, told, ended, made = in_own_mounts(may_not_be_written, asked, tmp_path, bind)
    assert begun[0] == ended[0] == 0
    for done in told:
        assert re.search(
            r"(new|begun)\S*: .*read-only file system.*; choose a place that is not read-only", error_of(done)
        )
    assert not made


def lacks_permission(asked, place):
    without_overrides()
    (place / "kept").mkdir()
    begun = command(*asked, "--out", place / "kept" / "out", "--formats", "npz")
    (place / "closed").mkdir()
    told = []
    for folder, out in (("closed", "closed/deep/out"), ("kept/out", "kept/out")):
        os.chmod(place / folder, 0o555)
        told.append(command(*asked, "--out", place / out, *(["--resume"] if "kept" in out else [])))
        os.chmod(place / folder, 0o755)
    return begun, told, command(*asked, "--out", place / "kept" / "out", "--resume")


def test_a_place_that_may_not_be_written_is_told(asked, tmp_path):
    begun, told, ended = in_own_mounts(lacks_permission, asked, tmp_path)
    assert begun[0] == ended[0] == 0
    for done in told:
        assert re.search(r": .*permission denied.*; choose a place that you may use", error_of(done))


# ---- broken


def breaks_while_it_is_read(asked, files, place):
    """Lose half of the input before the run, then after it was checked; then half of a part."""
    from seqplrp.pipeline import explaining

    found = []
    fasta = asked.index("--fasta") + 1
    for number in range(2):
        disk = BrittleDisk.holding(files, place / f"disk{number}", place / f"image{number}", 8 << 20)
        asked[fasta] = disk.at / "long.fa"
        out = place / f"out{number}"
        if number == 0:
            disk.loses(asked[fasta], 100 << 10)
            found.append((command(*asked, "--out", out), out.exists()))
            continue
        read = explaining.read_records

        def loses(*given, disk=disk, read=read):
            disk.loses(disk.at / "long.fa", 200 << 10)
            return read(*given)

        explaining.read_records = loses
        found.append(command(*asked, "--out", out))
        explaining.read_records = read
        found.append(len(list((out / "parts").glob("part-*.npz"))))
    asked[fasta] = files / "long.fa"
    found.append(command(*asked, "--out", out, "--resume"))
    made = contents(out)
    part = out / "parts" / "part-00000003.npz"
    (files / "part").mkdir()
    shutil.move(part, files / "part" / "it")
    disk = BrittleDisk.holding(files / "part", place / "disk2", place / "image2", 8 << 20)
    part.symlink_to(disk.at / "it")
    disk.loses(part, 200 << 10)
    found.append(command(*asked, "--out", out, "--resume"))
    found.append(command("export", out, "--to", "bedgraph"))
    return found, made


def test_a_disk_that_breaks_in_mid_file_is_told_with_the_file(run, asked, tmp_path):
    (tmp_path / "files").mkdir()
    records = [(f"s{i}", dna) for i, dna in enumerate(random_dna(10_000, LENGTH))]
    write_fasta(tmp_path / "files" / "long.fa", records)
    asked = [*asked[:-1], 1000, "--formats", "npz"]
    found, made = in_own_mounts(breaks_while_it_is_read, asked, tmp_path / "files", tmp_path)
    (before, begun), meanwhile, kept, ended, *of_part = found
    assert not begun
    for done in (before, meanwhile):
        assert re.search(
            r"disk\d/long.fa, after line \d+: can't be read \(Input/output error\); check the disk", error_of(done)
        )
    assert 2 <= kept <= 8
    assert f"note: {kept} finished chunks are kept" in meanwhile[2]
    assert (ended[0], ended[2]) == (0, "")
    for done in of_part:  # not taken for damaged: what is unreadable now may be whole
        assert re.search(r"out1/parts/part-00000003.npz: input/output error; check that disk", error_of(done))
    asked[asked.index("--fasta") + 1] = tmp_path / "files" / "long.fa"
    assert made == whole_run(run, asked, tmp_path / "whole")


class Breaking(io.FileIO):
    """A file of which all behind some byte can't be read."""

    whole = 1 << 62

    def readinto(self, buffer):
        if self.tell() + len(buffer) > self.whole:
            if self.tell() >= self.whole:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            buffer = memoryview(buffer)[: self.whole - self.tell()]
        return super().readinto(buffer)


@pytest.fixture
def breaks(monkeypatch):
    """Let a file break behind some byte, from the time on when it is opened after so many times."""

    def breaks(path, whole, *, opened=0):
        opens, times = builtins.open, []

        def other(file, mode="r", *given, **more):
            if isinstance(file, str | os.PathLike) and os.fspath(file) == os.fspath(path) and mode == "rb":
                times.append(1)
                raw = Breaking(file)
                raw.whole = whole if len(times) > opened else raw.whole
                return io.BufferedReader(raw)
            return opens(file, mode, *given, **more)

        monkeypatch.setattr(builtins, "open", other)
        return times

    return breaks


def on_a_genome(asked, tmp_path, windows=400):
    """The command for regions of a genome of 40 lines of 500 bases, and their files."""
    (dna,) = random_dna(1, 20_000)
    genome, bed = tmp_path / "genome.fa", tmp_path / "regions.bed"
    genome.write_text(">c\n" + "\n".join(dna[at : at + 500] for at in range(0, 20_000, 500)) + "\n")
    bed.write_text("".join(f"c\t{40 * i}\t{40 * i + LENGTH}\tr{i}\n" for i in range(windows)))
    at = asked.index("--fasta")
    return [*asked[:at], "--bed", bed, "--genome", genome, *asked[at + 2 :]], genome, bed


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("opened", [0, 2], ids=["at the check", "when it is explained"])
def test_a_read_error_in_the_input_is_told_with_file_and_line(run, asked, breaks, tmp_path, packed, opened):
    path = tmp_path / ("x.fa.gz" if packed else "x.fa")
    records = [(f"s{i}", dna) for i, dna in enumerate(random_dna(2000, LENGTH))]
    write_fasta(tmp_path / "x.fa", records)
    content = (tmp_path / "x.fa").read_bytes()
    if packed:
        path.write_bytes(gzip.compress(content))
    asked[asked.index("--fasta") + 1] = path
    asked = [*asked[:-1], 100, "--formats", "npz"]
    size = path.stat().st_size
    # it is opened for the check, for its hash, and to be explained
    times = breaks(path, size // 2, opened=opened)
    done = run(*asked, "--out", tmp_path / "out")
    assert len(times) == opened + 1
    line = error_of((done.code, done.out, done.err))
    assert re.search(rf"{path}, after line \d+: can't be read \(Input/output error\); check the disk", line)
    assert ("finished chunks are kept" in done.err) == (tmp_path / "out").exists() == bool(opened)


@pytest.mark.parametrize("which", ["regions", "genome that is indexed", "genome without an index"])
def test_a_read_error_in_regions_or_the_genome_is_told(run, asked, breaks, tmp_path, which):
    asked, genome, bed = on_a_genome(asked, tmp_path)
    if which == "genome that is indexed":
        with Genome(genome):
            pass
    path = bed if which == "regions" else genome
    breaks(path, 5000)
    line = error_of((lambda done: (done.code, done.out, done.err))(run(*asked, "--out", tmp_path / "out")))
    assert str(path) in line
    assert re.search(r"can.t be read \(Input/output error\); check the disk", line)
    assert not (tmp_path / "out").exists()


def test_a_read_error_in_variants_is_told(run, asked, breaks, tmp_path):
    _, genome, _ = on_a_genome(asked, tmp_path)
    dna = "".join(genome.read_text().splitlines()[1:])
    other = {"A": "C", "C": "G", "G": "T", "T": "A"}
    rows = "".join(f"c\t{at}\tv{at}\t{dna[at - 1]}\t{other[dna[at - 1]]}\n" for at in range(1, 2000, 5))
    (tmp_path / "v.vcf").write_text(rows)
    breaks(tmp_path / "v.vcf", 5000)
    arguments = ["--vcf", tmp_path / "v.vcf", "--genome", genome, "--model", asked[2], "--target", "1"]
    done = run("variants", *arguments, "--out", tmp_path / "out")
    line = error_of((done.code, done.out, done.err))
    assert re.search(r"v.vcf, after line \d+: can't be read \(Input/output error\); check the disk", line)
    assert not (tmp_path / "out").exists()
