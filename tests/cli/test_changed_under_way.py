"""What a run reads, writes and goes by is changed under its hands: nothing is mixed, and what was finished stays."""

from __future__ import annotations

import datetime
import json
import os
import shutil
import sys
import time

import pytest
from commandline import refused
from small_inputs import LENGTH, random_dna

from seqplrp.genomics import tracks, write_fasta
from seqplrp.pipeline.contents import Contents
from seqplrp.pipeline.session import Session

SEQUENCES, CHUNK = 2000, 100
FORMATS = "npz,bedgraph"
TIMES = ("manifest.json", ".seqplrp.json")


@pytest.fixture(scope="module")
def records():
    """Enough that the file is not read into a buffer as a whole, long before its chunks are explained."""
    return [(f"chr{i % 3}:{50 * i}-{50 * i + LENGTH}", dna) for i, dna in enumerate(random_dna(SEQUENCES, LENGTH))]


@pytest.fixture
def fasta(records, tmp_path):
    write_fasta(tmp_path / "x.fa", records)
    return tmp_path / "x.fa"


@pytest.fixture
def asked(model_directory, fasta):
    chosen = ["--target", "1", "--chunk-size", CHUNK, "--formats", FORMATS]
    return ["explain", "--model", model_directory, "--fasta", fasta, *chosen]


@pytest.fixture(scope="module")
def whole(model_directory, records, tmp_path_factory):
    """The files of a run that nothing changed."""
    from mounts import command

    place = tmp_path_factory.mktemp("whole")
    write_fasta(place / "x.fa", records)
    chosen = ["--target", "1", "--chunk-size", CHUNK, "--formats", FORMATS]
    assert (
        command("explain", "--model", model_directory, "--fasta", place / "x.fa", *chosen, "--out", place / "o")[0] == 0
    )
    return contents(place / "o")


def contents(out):
    files = (path for path in out.iterdir() if path.is_file() and path.name not in TIMES)
    return {path.name: path.read_bytes() for path in files}


def parts(out):
    return sorted((out / "parts").glob("part-*.npz"))


def meanwhile(monkeypatch, chunk, do):
    """Let something be done when the chunk of that number is explained."""
    explain = Session.explain

    def explained(self, records, first):
        if first == chunk * CHUNK and len(records) == CHUNK:
            do()
        return explain(self, records, first)

    monkeypatch.setattr(Session, "explain", explained)


# ---- the input


def other_letters(records):
    return [(name, dna[::-1]) for name, dna in records]


def put_in_its_place(fasta, records):
    write_fasta(fasta.with_name("other.fa"), other_letters(records))
    os.replace(fasta.with_name("other.fa"), fasta)


def written_over(fasta, records):
    """The same size, and the old date."""
    date = os.stat(fasta).st_mtime_ns
    write_fasta(fasta.with_name("other.fa"), other_letters(records))
    with open(fasta, "r+b") as file:
        file.write(fasta.with_name("other.fa").read_bytes())
    os.utime(fasta, ns=(date, date))


def appended(fasta, records):
    with open(fasta, "a") as file:
        file.write("".join(f">more{i}\n{'ACGT' * 10}\n" for i in range(250)))


def cut(fasta, records):
    os.truncate(fasta, os.path.getsize(fasta) // 2)


def removed(fasta, records):
    fasta.unlink()


CHANGES = [put_in_its_place, written_over, appended, cut, removed]


@pytest.mark.parametrize("change", CHANGES)
def test_an_input_that_is_changed_meanwhile_stops_the_run_and_is_not_mixed(
    run, asked, records, fasta, whole, tmp_path, monkeypatch, change
):
    out, kept = tmp_path / "out", fasta.read_bytes()
    with monkeypatch.context() as patch:
        meanwhile(patch, 5, lambda: change(fasta, records))
        done = run(*asked, "--out", out)
    what = "removed" if change is removed else "changed"
    assert done.code == 2
    note, error = done.err.splitlines()
    assert error.startswith(f"error: {fasta}: was {what} while it was read; put back what it was and go on, or begin")
    assert f"note: {len(parts(out))} finished chunks are kept in" in note
    assert 5 <= len(parts(out)) <= 9, "it was found chunks later, not at the end"
    if change in (put_in_its_place, written_over, appended):  # what is cut within a record is no FASTA
        refused(run(*asked, "--out", out, "--resume"), "begun with something else: input_sha256 was")
    fasta.write_bytes(kept)
    done = run(*asked, "--out", out, "--resume")
    assert (done.code, done.err) == (0, "")
    assert contents(out) == whole


@pytest.mark.parametrize("change", [put_in_its_place, written_over, appended, cut])
def test_an_input_whose_dates_tell_nothing_is_found_by_its_content(
    run, asked, records, fasta, whole, tmp_path, monkeypatch, change
):
    out, kept = tmp_path / "out", fasta.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(Contents, "check", lambda self: None)
        meanwhile(patch, 3, lambda: change(fasta, records))
        done = run(*asked, "--out", out)
    assert done.code == 2
    assert "was changed while it was read" in done.err or change is cut
    assert len(parts(out)) > 3
    fasta.write_bytes(kept)
    done = run(*asked, "--out", out, "--resume")
    assert (done.code, done.err) == (0, "")
    made_anew = done.out.count("is of an input that was changed for a while; it was made anew")
    assert made_anew >= 10 if change is written_over else made_anew <= 1, "a file that was replaced is read to its end"
    assert ("it was removed" in done.out) == (change is appended)
    assert contents(out) == whole


def test_a_new_date_alone_is_no_change(run, asked, fasta, whole, tmp_path, monkeypatch):
    meanwhile(monkeypatch, 2, fasta.touch)
    meanwhile(monkeypatch, 4, lambda: os.utime(fasta, (0, 0)))
    meanwhile(
        monkeypatch, 6, lambda: shutil.copy(fasta, fasta.with_name("c")) and os.replace(fasta.with_name("c"), fasta)
    )
    done = run(*asked, "--out", tmp_path / "out")
    assert (done.code, done.err) == (0, "")
    assert contents(tmp_path / "out") == whole


@pytest.mark.parametrize("which", ["regions.bed", "genome.fa"])
def test_regions_and_genome_are_watched_alike(run, model_directory, records, tmp_path, monkeypatch, which):
    genome, bed = tmp_path / "genome.fa", tmp_path / "regions.bed"
    write_fasta(genome, [("c", "".join(dna for _, dna in records))])
    bed.write_text("".join(f"c\t{40 * i}\t{40 * i + LENGTH}\n" for i in range(SEQUENCES)))
    asked = ["explain", "--model", model_directory, "--bed", bed, "--genome", genome, "--target", "1"]
    asked += ["--chunk-size", CHUNK, "--formats", "npz", "--out", tmp_path / "out"]

    def change():
        path = tmp_path / which
        path.write_text(path.read_text()[:-2] + "\n")

    with monkeypatch.context() as patch:
        meanwhile(patch, 5, change)
        done = run(*asked)
    assert done.code == 2
    assert f"{tmp_path / which}: was changed while it was read" in done.err


def test_a_pipe_is_refused_as_it_can_be_read_but_once(run, asked, tmp_path):
    os.mkfifo(tmp_path / "pipe.fa")
    asked[asked.index("--fasta") + 1] = tmp_path / "pipe.fa"
    refused(run(*asked, "--out", tmp_path / "out"), "pipe.fa: is a pipe, and is read more than once")


# ---- the output


def gone(out):
    """Remove a directory at once: a thread may be writing there."""
    aside = out.with_name("aside")
    os.rename(out, aside)
    shutil.rmtree(aside, ignore_errors=True)


def test_a_directory_that_is_removed_meanwhile_ends_the_run(run, asked, whole, tmp_path, monkeypatch):
    out = tmp_path / "deep" / "out"
    with monkeypatch.context() as patch:
        meanwhile(patch, 4, lambda: gone(out))
        refused(run(*asked, "--out", out), f"{out}: was removed, or begun anew, while this run was at work there")
    assert not out.exists()
    assert run(*asked, "--out", out, "--resume").code == 0
    assert contents(out) == whole


def test_a_directory_that_is_removed_while_files_are_made_ends_the_run(run, asked, tmp_path, monkeypatch):
    out, write = tmp_path / "out", tracks.write_bedgraph

    def removes(*given, **more):
        shutil.rmtree(out)
        return write(*given, **more)

    monkeypatch.setattr(tracks, "write_bedgraph", removes)
    refused(run(*asked, "--out", out), f"{out}: was removed, or begun anew, while this run was at work there")


def test_a_run_that_another_took_the_place_of_does_not_write_among_its_parts(run, asked, whole, tmp_path, monkeypatch):
    """Somebody removes the directory of a run that is still at work, and begins another one there."""
    from mounts import command

    out = tmp_path / "out"
    other = [*asked, "--rule", "gamma", "--out", out]
    assert run(*other).code == 0
    expected = contents(out)
    shutil.rmtree(out)

    def takes_over():
        gone(out)
        explain, calls = Session.explain, []

        def stops(self, records, first):
            calls.append(first)
            if len(calls) > 4:
                raise KeyboardInterrupt
            return explain(self, records, first)

        with monkeypatch.context() as patch:
            patch.setattr(Session, "explain", stops)
            assert command(*other)[0] == 130

    with monkeypatch.context() as patch:
        meanwhile(patch, 4, takes_over)
        done = run(*asked, "--out", out)
    refused(done, f"{out}: was removed, or begun anew, while this run was at work there")
    assert len(parts(out)) == 3
    assert run(*other, "--resume").code == 0
    assert contents(out) == expected


def test_a_part_of_another_run_is_never_taken_in(run, asked, tmp_path):
    out, other = tmp_path / "out", tmp_path / "other"
    assert run(*asked, "--out", out).code == 0
    assert run(*asked, "--rule", "gamma", "--out", other).code == 0
    before = contents(out)
    shutil.copy(parts(other)[3], parts(out)[3])
    refused(run(*asked, "--out", out, "--resume"), "part-00000003.npz: was made by another run")
    assert contents(out) == before


def test_a_run_whose_description_is_lost_goes_on_by_what_its_parts_tell(run, asked, whole, tmp_path):
    out = tmp_path / "out"
    assert run(*asked, "--out", out).code == 0
    for path in parts(out)[7:]:
        path.unlink()
    (out / "parts" / "run.json").write_bytes(b"\0" * 600)
    done = run(*asked, "--out", out, "--resume")
    assert "run.json: can't be read" in done.err
    assert "; remove it: the parts beside it tell which run they are of" in done.err
    assert len(parts(out)) == 7
    (out / "parts" / "run.json").unlink()
    refused(run(*asked, "--out", out), "holds a run of `seqplrp explain`, finished or not \\(7 parts\\); add --resume")
    for _ in range(2):  # and what was asked for in vain is not what is there from then on
        refused(run(*asked, "--rule", "gamma", "--out", out, "--resume"), "part-00000000.npz: was made by another run")
    done = run(*asked, "--out", out, "--resume")
    assert (done.code, done.err) == (0, "")
    assert json.loads((out / "manifest.json").read_text())["parts_of_earlier_processes"] == 7
    assert contents(out) == whole
    (out / "parts" / "run.json").write_bytes(b"\0")
    assert run(*asked, "--out", out, "--overwrite").code == 0, "its files are still known as ours"
    assert contents(out) == whole


def test_a_part_that_rots_before_the_files_are_made_is_found(run, asked, whole, tmp_path, monkeypatch):
    out = tmp_path / "out"

    def rots():
        part = parts(out)[1]
        content = bytearray(part.read_bytes())
        content[tracks.open_part(part).arrays["per_base.0"][0].begins + 5] ^= 1
        part.write_bytes(content)

    with monkeypatch.context() as patch:
        meanwhile(patch, 15, rots)
        done = run(*asked, "--out", out)
    assert done.code == 2
    assert "part-00000001.npz: is damaged (the checksum of 'per_base.0.npy' does not fit)" in done.err
    assert "with --resume: it is made anew" in done.err
    assert run(*asked, "--out", out, "--resume").code == 0
    assert contents(out) == whole


# ---- the clock


@pytest.mark.parametrize("year", [1975, 2100])
def test_clocks_that_go_wrong_change_nothing(run, asked, whole, tmp_path, monkeypatch, year):
    """Files dated to the future or the past, and a clock that goes back an hour whenever it is asked."""
    out, date = tmp_path / "out", int(datetime.datetime(year, 1, 1).timestamp())
    real, asked_for = time.time, []

    def backwards():
        asked_for.append(1)
        return real() - 3600 * len(asked_for)

    class Backwards(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls.fromtimestamp(backwards(), tz)

    with monkeypatch.context() as patch:
        meanwhile(patch, 6, lambda: (_ for _ in ()).throw(KeyboardInterrupt))
        assert run(*asked, "--out", out).code == 130
    for path in (tmp_path / "x.fa", *out.rglob("*")):
        os.utime(path, (date, date))
    monkeypatch.setattr(time, "time", backwards)
    monkeypatch.setattr(time, "time_ns", lambda: int(1e9 * backwards()))
    monkeypatch.setattr(sys.modules["seqplrp.pipeline.provenance"], "datetime", Backwards)
    done = run(*asked, "--out", out, "--resume")
    assert (done.code, done.err) == (0, "")
    assert asked_for
    assert json.loads((out / "manifest.json").read_text())["parts_of_earlier_processes"] >= 5
    assert contents(out) == whole
