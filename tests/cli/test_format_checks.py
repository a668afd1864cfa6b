"""check_format passes what is right, and names what is wrong."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from seqplrp import SeqplrpError
from seqplrp.pipeline import FORMATS, Format, Writing, check_format
from seqplrp.pipeline.format_checks import _OF_OUR_FORMATS, _OURS


@pytest.fixture(scope="module")
def checked() -> list[str]:
    """Check our own formats in a process of its own; return what passed."""
    names = [name for name in FORMATS.ours if importlib.util.find_spec(FORMATS[name].library or "numpy")]
    script = Path(__file__).with_name("check_our_formats.py")
    done = subprocess.run([sys.executable, script, *names], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    return done.stdout.splitlines()


@pytest.mark.parametrize("name", list(FORMATS.ours))
def test_our_own_formats_pass(checked, name: str) -> None:
    pytest.importorskip(FORMATS[name].library or "numpy")
    assert f"passes {name}" in checked


@pytest.mark.parametrize("name", ["npz", "h5", "bedgraph"])
def test_what_is_read_back_is_what_was_explained(checked, name: str) -> None:
    assert f"read back {name}" in checked


def text_of(what: Writing) -> str:
    return "\n".join(f"{value:.9g}" for value in what.spool.per_base.read(0, what.spool.total)) + "\n"


def right(out: Path, what: Writing) -> None:
    what.file(out, "mine", "txt").write_text(text_of(what))


def dated(out: Path, what: Writing) -> None:
    what.file(out, "mine", "txt").write_text(text_of(what) + str(time.perf_counter_ns()))


def placed(out: Path, what: Writing) -> None:
    what.file(out, "mine", "txt").write_text(text_of(what) + str(out))


def one_name(out: Path, what: Writing) -> None:
    (out / "mine.txt").write_text(text_of(what))


def none(out: Path, what: Writing) -> None:
    pass


def elsewhere(out: Path, what: Writing) -> None:
    right(out, what)
    (what.parts[0].parent / "mine.txt").write_text(text_of(what))


def hidden(out: Path, what: Writing) -> None:
    right(out, what)
    (out / ".half").write_text("")


def named(name: str, out: Path, what: Writing) -> None:
    what.file(out, *name.split(".")).write_text(text_of(what))


def hypothetical(out: Path, what: Writing) -> None:
    what.file(out, "mine", "txt").write_text(
        str([row.read(0, 5).sum() for row in what.spool.hypothetical]) + text_of(what)
    )


def equal(out: Path, what: Writing) -> None:
    length = what.spool.index.lengths()[0]
    table = what.spool.per_base.read(0, what.spool.total).reshape(-1, length)
    what.file(out, "mine", "txt").write_text(str(table.tolist()))


def cut_short(out: Path, what: Writing) -> None:
    with contextlib.suppress(OSError):
        right(out, what)


def traceback(out: Path, what: Writing) -> None:
    try:
        right(out, what)
    except OSError as error:
        raise RuntimeError("oh") from error


def ends_the_process(out: Path, what: Writing) -> None:
    try:
        right(out, what)
    except OSError:
        os.kill(os.getpid(), signal.SIGKILL)


WRONG = [
    (Format(dated), r"\(records of both strands\): are not the same bytes a second time"),
    (Format(placed), r"\(records of both strands\): are not the same bytes a second time"),
    (Format(one_name), r"\(several outputs\): no file has '.CTCF' in its name"),
    (Format(none), r"\(its files\): there are none"),
    (Format(elsewhere), r"\(where it writes\): not only into the directory"),
    (Format(hidden), r"\(its files\): .half is hidden"),
    (Format(functools.partial(named, "relevance.bw")), r"\(its files\): relevance.bw is a name of seqplrp's own"),
    (Format(functools.partial(named, "manifest.json")), r"\(its files\): manifest.json is a name of seqplrp's own"),
    (
        Format(hypothetical),
        r"\(no hypothetical contributions\): it fails on these \(TypeError: .*; say hypothetical=True",
    ),
    (Format(equal), r"\(records of several lengths\): it fails on these \(ValueError: .*; say one_length=True"),
    (Format(cut_short), r"\(a full disk\): cuts files short without an error"),
    (Format(traceback), r"\(a full disk\): is told as RuntimeError"),
    (Format(ends_the_process), r"\(a full disk\): ends the process \(-9\)"),
    (Format(), r"\(the format itself\): is no Format that writes anything"),
    ("bigwag", r"format bigwag \(the format itself\): is not known; use one of bigwig"),
]


@pytest.mark.parametrize(("form", "text"), WRONG, ids=[text[2:30] for _, text in WRONG])
def test_what_is_wrong_is_named(form: str | Format, text: str) -> None:
    with pytest.raises(SeqplrpError, match=text):
        check_format(form)


@pytest.mark.parametrize(
    "form",
    [Format(right), Format(together=one_name), Format(hypothetical, hypothetical=True), Format(equal, one_length=True)],
    ids=["each", "together", "hypothetical", "one length"],
)
def test_what_is_right_or_says_what_it_needs_passes(form: Format) -> None:
    check_format(form)


def test_no_limit_of_files_stays_in_this_process() -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with pytest.raises(SeqplrpError, match="a full disk"):
        check_format(Format(cut_short))
    assert resource.getrlimit(resource.RLIMIT_FSIZE) == before


def test_the_names_that_no_plugin_may_have_are_all_that_we_write(run, model_directory, fasta, tmp_path) -> None:
    pytest.importorskip("zarr")
    pytest.importorskip("pyarrow")
    out = tmp_path / "out"
    names = ",".join(FORMATS.ours)
    asked = ["explain", "--model", model_directory, "--model", model_directory, "--fasta", fasta]
    assert run(*asked, "--target", "0", "--target", "1", "--out", out, "--formats", names).code == 0
    written = {path.name for path in out.iterdir() if not path.name.startswith(".")} - _OURS
    assert len(written) > 15
    for name in written:
        assert _OF_OUR_FORMATS.fullmatch(name)
        assert _OF_OUR_FORMATS.fullmatch(re.sub(r"\.(CTCF|GATA1)\.", ".", name)), "as of one output"
    assert not re.fullmatch(_OF_OUR_FORMATS, "relevance.wig")
