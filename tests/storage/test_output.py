"""Output directories are there as a whole or not at all, and nobody else's files are ever removed."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from seqplrp.errors import SeqplrpError
from seqplrp.storage import MARKER, output_directory, output_file


def write(out, *, overwrite=False, **files):
    with output_directory(out, command="test", overwrite=overwrite) as stage:
        for name, text in files.items():
            (stage / name).parent.mkdir(exist_ok=True)
            (stage / name).write_text(text)


def content(directory):
    return {
        str(p.relative_to(directory)): p.read_text()
        for p in Path(directory).rglob("*")
        if p.is_file() and p.name != MARKER
    }


def test_files_appear_together_at_the_end(tmp_path):
    out = tmp_path / "deep" / "out"
    with output_directory(out, command="test") as stage:
        (stage / "a").write_text("1")
        assert not out.exists()
    assert content(out) == {"a": "1"}
    assert [p.name for p in out.parent.iterdir()] == ["out"]


def test_a_directory_has_the_permissions_that_mkdir_would_give(tmp_path):
    write(tmp_path / "out", a="1")
    (tmp_path / "plain").mkdir()
    assert (tmp_path / "out").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SeqplrpError])
def test_an_error_leaves_nothing_behind_not_even_parents(tmp_path, error):
    def half_done():
        with output_directory(tmp_path / "deep" / "er" / "out", command="test") as stage:
            (stage / "a").write_text("1")
            raise error(*["x"] * (3 if error is SeqplrpError else 1))

    with pytest.raises(error):
        half_done()
    assert list(tmp_path.iterdir()) == []


def test_an_error_leaves_an_existing_directory_as_it_was(tmp_path):
    out = tmp_path / "out"
    write(out, a="old", b="old")

    def half_done():
        with output_directory(out, command="test", overwrite=True) as stage:
            (stage / "a").write_text("new")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half_done()
    assert content(out) == {"a": "old", "b": "old"}


def test_an_empty_directory_is_filled_and_stays_the_same_directory(tmp_path, monkeypatch):
    """As it must where it is somebody's working directory or a mount point."""
    monkeypatch.chdir(tmp_path)
    before = os.stat(".").st_ino
    write(Path("."), a="1")
    assert os.stat(".").st_ino == before
    assert content(".") == {"a": "1"}


def test_a_directory_with_files_needs_overwrite(tmp_path):
    write(tmp_path / "out", a="1")
    with pytest.raises(SeqplrpError, match="add --overwrite"):
        write(tmp_path / "out", a="2")
    assert content(tmp_path / "out") == {"a": "1"}


def test_overwrite_replaces_all_that_was_ours(tmp_path):
    out = tmp_path / "out"
    write(out, a="1", **{"sub/b": "1"})
    write(out, overwrite=True, a="2", c="2")
    assert content(out) == {"a": "2", "c": "2"}
    assert not (out / "sub").exists()
    write(out, overwrite=True, d="3")
    assert content(out) == {"d": "3"}


def test_overwrite_never_touches_a_directory_that_is_not_ours(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").write_text("years")
    with pytest.raises(SeqplrpError, match="did not write"):
        write(tmp_path / "home", overwrite=True, a="1")
    assert content(tmp_path / "home") == {"thesis.tex": "years"}


def test_overwrite_refuses_and_names_a_file_that_somebody_put_beside_ours(tmp_path):
    out = tmp_path / "out"
    write(out, a="1")
    (out / "notes.txt").write_text("mine")
    with pytest.raises(SeqplrpError, match=r"notes\.txt"):
        write(out, overwrite=True, a="2")
    assert content(out) == {"a": "1", "notes.txt": "mine"}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"files": 3}', "\xff"])
def test_a_foreign_or_damaged_list_gives_no_leave_to_remove(tmp_path, text):
    (tmp_path / MARKER).write_text(text, encoding="latin-1")
    (tmp_path / "a").write_text("1")
    with pytest.raises(SeqplrpError, match="did not write"):
        write(tmp_path, overwrite=True, a="2")
    assert (tmp_path / "a").read_text() == "1"


def test_a_single_file_written_later_into_ours_counts_as_ours(tmp_path):
    out = tmp_path / "out"
    write(out, a="1")
    with output_file(out / "logo.svg") as path:
        path.write_text("picture")
    write(out, overwrite=True, a="2")
    assert content(out) == {"a": "2"}


def test_a_failed_swap_puts_everything_back(tmp_path, monkeypatch):
    out = tmp_path / "out"
    write(out, a="old", b="old")
    real, calls = os.rename, []

    def rename(source, target):
        calls.append(source)
        if len(calls) == 5:  # the three old ones are aside, one new one is in
            raise OSError(errno.EIO, "disk error", str(target))
        real(source, target)

    monkeypatch.setattr("os.rename", rename)
    with pytest.raises(SeqplrpError, match="input/output error"):
        write(out, overwrite=True, a="new", b="new")
    assert content(out) == {"a": "old", "b": "old"}
    assert sorted(p.name for p in out.iterdir()) == [MARKER, "a", "b"]


def test_a_file_in_the_way_is_an_error(tmp_path):
    (tmp_path / "out").write_text("file")
    with pytest.raises(SeqplrpError, match="not a directory"):
        write(tmp_path / "out", overwrite=True)
    with pytest.raises(SeqplrpError, match="not a directory"):
        write(tmp_path / "out" / "below")


def test_a_place_that_cannot_be_written_is_told_before_the_work(tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    out = locked / "out"
    if os.access(locked, os.W_OK):  # the superuser may write anywhere but here
        out = Path("/proc/seqplrp-out")
    worked = False
    with pytest.raises(SeqplrpError, match="cannot be written"), output_directory(out, command="test"):
        worked = True
    assert not worked


def test_a_full_disk_is_told_with_the_directory_and_leaves_nothing(tmp_path):
    with (
        pytest.raises(SeqplrpError, match="out: no space left"),
        output_directory(tmp_path / "out", command="test"),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")  # as write() raises it: without a name
    assert list(tmp_path.iterdir()) == []


def test_a_single_file_is_whole_or_absent(tmp_path):
    def half_done():
        with output_file(tmp_path / "x.tsv") as path:
            path.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half_done()
    assert list(tmp_path.iterdir()) == []
    with output_file(tmp_path / "x.tsv") as path:
        assert path.suffix == ".tsv"
        path.write_text("whole")
    assert (tmp_path / "x.tsv").read_text() == "whole"
    with pytest.raises(SeqplrpError, match="exists already"), output_file(tmp_path / "x.tsv"):
        pass
    with output_file(tmp_path / "x.tsv", overwrite=True) as path:
        path.write_text("again")
    assert (tmp_path / "x.tsv").read_text() == "again"


@pytest.mark.parametrize("error", [SeqplrpError("{}", "is bad", "mend it"), OSError(errno.EIO, "error", "{}")])
def test_errors_name_the_place_that_the_user_named(tmp_path, error):
    def fail():
        with output_directory(tmp_path / "out", command="test") as stage:
            path = str(stage / "x.bw")
            if isinstance(error, SeqplrpError):
                raise SeqplrpError(path, error.what, error.remedy)
            raise OSError(error.errno, error.strerror, path)

    with pytest.raises(SeqplrpError) as caught:
        fail()
    assert caught.value.where == str(tmp_path / "out" / "x.bw")


def test_overwrite_refuses_what_another_command_wrote(tmp_path):
    write(tmp_path / "model", weights="w")
    with (
        pytest.raises(SeqplrpError, match="holds what `seqplrp test` wrote"),
        output_directory(tmp_path / "model", command="explain", overwrite=True),
    ):
        pass
    assert content(tmp_path / "model") == {"weights": "w"}


@pytest.mark.parametrize("read", ["data", "data/sequences.fa", "data/deeper/labels.tsv"])
def test_overwrite_never_replaces_what_the_command_reads(tmp_path, read):
    write(tmp_path / "data", **{"sequences.fa": ">a", "deeper/labels.tsv": "id"})
    before = content(tmp_path / "data")
    with (
        pytest.raises(SeqplrpError, match="this command reads"),
        output_directory(tmp_path / "data", command="test", overwrite=True, inputs=[None, tmp_path / read]),
    ):
        pass
    assert content(tmp_path / "data") == before


def test_a_single_file_that_the_command_reads_is_never_replaced(tmp_path):
    truth = tmp_path / "truth.bed"
    truth.write_text("chr1")
    with (
        pytest.raises(SeqplrpError, match="is what this command reads"),
        output_file(truth, overwrite=True, inputs=[truth]),
    ):
        pass
    assert truth.read_text() == "chr1"
