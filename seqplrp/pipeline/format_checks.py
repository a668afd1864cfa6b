"""A check for formats of your own: what ours are held to, in one call."""

from __future__ import annotations

import hashlib
import os
import re
import select
import signal
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np

from seqplrp.errors import SeqplrpError, whole_message
from seqplrp.genomics import Record, tracks
from seqplrp.pipeline.formats import FORMATS, LEDGER, SUMMARY, Format, Writing, write_format
from seqplrp.pipeline.remark_table import REMARKS
from seqplrp.storage import PARTS

Reader = Callable[[Path, Writing], Sequence[np.ndarray]]

_OURS = {"manifest.json", "regions.bed", "chrom.sizes", "index.sqlite", "report.html", PARTS, REMARKS}
_OF_OUR_FORMATS = re.compile(
    r"(relevance(_spread|_bpnet)?|modisco_(sequences|attributions))(\..+)?\.(bw|bedgraph|npz|h5|zarr|parquet)"
    r"|(summary|ledger)\.(tsv|parquet)"
)
_OUTPUTS = ("CTCF", "GATA1")


@dataclass(frozen=True)
class _Case:
    """Some explanations, and what is peculiar about them."""

    what: str
    remedy: str
    equal: bool = True
    hypothetical: bool = True
    spread: bool = False
    overlapping: bool = False


_USUAL = _Case("records of both strands", "look at Writing and Spool")
_CASES = (
    _USUAL,
    _Case("the spread of several models", "read what.spool.spread only if it is not None", spread=True),
    _Case("records that overlap", "look at tracks.along_the_genome", overlapping=True),
    _Case("records of several lengths", "say one_length=True", equal=False),
    _Case("no hypothetical contributions", "say hypothetical=True", hypothetical=False),
)


def check_format(form: str | Format, *, read: Reader | None = None) -> None:
    """Check a format as the package's own formats are checked.

    It writes explanations of one and of two outputs, of records on both strands, of one length and of several, with and
    without hypothetical contributions and spread, as far as it says that it can: into the directory that it is given
    and nowhere else, under names that no other output's and none of our files have, the same bytes each time and
    wherever that directory is. A file that can't be written whole, as on a full disk, is an error. With `read`, what
    was written is what was explained.

    Parameters
    ----------
    form : str or Format
        A name, a plug-in's say, or the format.
    read : callable, optional
        From the directory and the `Writing` to the relevance (L,) of each record that the files hold, in the order of
        the input.

    Raises
    ------
    SeqplrpError
        Naming the first check that fails.

    Notes
    -----
    The full disk is a limit on the size of files (``RLIMIT_FSIZE``) in a copy of this process; not on Windows.
    """
    name = form if isinstance(form, str) else repr(form)
    if isinstance(form, str):
        if form not in FORMATS:
            raise _failed(name, "the format itself", "is not known", f"use one of {', '.join(FORMATS)}")
        form = FORMATS[form]
    if not isinstance(form, Format) or (form.each is None and form.together is None):
        raise _failed(name, "the format itself", "is no Format that writes anything", "make a seqplrp.pipeline.Format")
    with TemporaryDirectory() as place:
        for number, case in enumerate(_CASES):
            if (form.one_length and not case.equal) or (form.hypothetical and not case.hypothetical):
                continue
            _check_case(name, form, case, Path(place) / str(number), read)


def _check_case(name: str, form: Format, case: _Case, place: Path, read: Reader | None) -> None:
    parts = _parts(place / "parts", case)
    before = _contents(place)
    with tracks.joined_parts(parts, place / "index.sqlite") as spools:
        several = [
            Writing(spool, parts, f".{output}", about={"targets": list(_OUTPUTS), "version": "0", "method": "plrp"})
            for spool, output in zip(spools, _OUTPUTS, strict=True)
        ]
        one = replace(several[0], suffix="")
        first = _written(name, form, case, place / "one", [one])
        _check_names(name, form, first)
        if _written(name, form, case, place / "elsewhere" / "again", [one]) != first:
            raise _failed(
                name, case.what, "are not the same bytes a second time", "write no dates, paths or hash orders"
            )
        _check_outputs(name, form, _written(name, form, case, place / "two", several), several)
        own = ("one", "elsewhere", "two", "index.sqlite")
        left = {path: digest for path, digest in _contents(place).items() if path.split("/")[0] not in own}
        if left != before:
            raise _failed(name, "where it writes", "not only into the directory that it is given", "write into out")
        if read is not None and not case.overlapping:  # tracks may hold one value a position
            _check_values(name, case, place / "one", one, read)
        if case is _USUAL:
            _check_full_disk(name, form, place / "full", one, max(len(content) for content in first.values()))


def _written(name: str, form: Format, case: _Case, out: Path, outputs: Sequence[Writing]) -> dict[str, bytes]:
    """Write a format into a new directory, and return what is there then."""
    out.mkdir(parents=True)
    try:
        write_format(form, out, outputs)
    except Exception as error:  # whatever the format's own code raises
        raise _failed(
            name, case.what, f"it fails on these ({whole_message(error, most=300, kind=True)})", case.remedy
        ) from error
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


def _check_names(name: str, form: Format, written: Mapping[str, bytes]) -> None:
    is_ours = form in FORMATS.ours.values()
    if not written:
        raise _failed(name, "its files", "there are none", "write what Writing.file names")
    for path in written:
        top = path.split("/")[0]
        if top in _OURS or (_OF_OUR_FORMATS.fullmatch(top) and not is_ours):
            raise _failed(name, "its files", f"{top} is a name of seqplrp's own files", "choose another")
        if top.startswith("."):
            raise _failed(name, "its files", f"{top} is hidden", "leave nothing half-made, and hide nothing")


def _check_outputs(name: str, form: Format, written: Mapping[str, bytes], outputs: Sequence[Writing]) -> None:
    """Check that what is written output by output tells them apart."""
    if form.each is None:
        return
    for what in outputs:
        if not any(what.suffix in path for path in written):
            raise _failed(
                name, "several outputs", f"no file has {what.suffix!r} in its name", "name files by what.file"
            )


def _check_values(name: str, case: _Case, out: Path, what: Writing, read: Reader) -> None:
    found = [np.asarray(one) for one in read(out, what)]
    places = list(what.spool.index.in_order())
    if len(found) != len(places):
        raise _failed(name, "what is read back", f"is {len(found)} of {len(places)} records", case.remedy)
    for place, one in zip(places, found, strict=True):
        expected = what.spool.per_base.read(*place.values)
        if one.shape != expected.shape or not np.allclose(one, expected, rtol=1e-5, atol=1e-7):
            raise _failed(name, "what is read back", f"of record {place.id!r} is not what was explained", case.remedy)


def _check_full_disk(name: str, form: Format, out: Path, what: Writing, largest: int) -> None:
    """Check that a file that is cut short is an error, of the kinds that commands tell in one line."""
    out.mkdir()
    end = _in_a_child(lambda: _end_of(form, out, what, largest // 2))
    if end == _TOLD:
        return
    if end == _SHORT:
        raise _failed(name, "a full disk", "cuts files short without an error", "close what you open in a with block")
    raise _failed(name, "a full disk", end, "let OSError through, or raise SeqplrpError")


_TOLD, _SHORT = "told", "short"
_PATIENCE = 120  # seconds for some small files


def _end_of(form: Format, out: Path, what: Writing, size: int) -> str:
    """Write where no file of this process can grow beyond a size, as on a full disk; say how that ended."""
    import resource  # not on every system

    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    try:
        write_format(form, out, [what])
    except (SeqplrpError, OSError):
        return _TOLD
    except Exception as error:  # a traceback for a full disk
        return f"is told as {type(error).__name__}, which no user can read"
    return _SHORT


def _in_a_child(call: Callable[[], str]) -> str:
    """Call in a copy of this process, and return the text that it gives.

    The limit holds for all files of a process, and what a library leaves open when it fails can end the process later.
    """
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # threads of others do not go on in the copy: none is needed
        child = os.fork()
    if child == 0:
        try:
            os.write(writing, call().encode())
        finally:
            os._exit(0)  # nothing of this process's is closed, flushed or told twice
    os.close(writing)
    with open(reading, "rb") as answer:
        came, _, _ = select.select([answer], [], [], _PATIENCE)
        end = answer.read().decode() if came else ""
    if not came:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if not came:
        return f"does not end within {_PATIENCE} s"
    return end or f"ends the process ({os.waitstatus_to_exitcode(status)})"


def _parts(folder: Path, case: _Case) -> list[Path]:
    """Write part files of explanations of two outputs: of four records in all, on both strands, some overlapping."""
    folder.mkdir(parents=True)
    draws = np.random.default_rng(0)
    found, number = [], 0
    for part in range(2):
        records = []
        for _ in range(2):
            length = 40 if case.equal else 40 + 3 * number
            letters = "".join(draws.choice(list("ACGT"), size=length - 1)) + "N"
            start = (0, 25 if case.overlapping else 125, 500, 10)[number]
            contig = ("chr1", "chr1", "chr2", "chr10")[number]
            strand: Literal["+", "-"] = "-" if number % 2 else "+"
            records.append(Record(f"peak {number}", letters, contig, start, start + length, strand))
            number += 1
        found.append(folder / f"part-{part:08d}.npz")
        explained = [_explained(records, draws, case) for _ in _OUTPUTS]
        tracks.write_explained(found[-1], records, explained, texts=_texts(records))
    return found


def _explained(records: Sequence[Record], draws: np.random.Generator, case: _Case) -> tracks.Explained:
    """Draw a map of each record, some of it exactly 0, as pruning leaves it."""
    per_base, hypothetical = [], []
    for record in records:
        drawn = draws.normal(size=(4, len(record))).astype("f4")
        drawn[:, draws.random(len(record)) < 0.5] = 0
        present = np.array([[letter == base for letter in record.sequence] for base in "ACGT"])
        per_base.append((drawn * present).sum(0))
        hypothetical.append(drawn)
    spread = [np.abs(values) for values in per_base] if case.spread else None
    return tracks.Explained(per_base, hypothetical if case.hypothetical else None, spread)


def _texts(records: Sequence[Record]) -> dict[str, bytes]:
    """Return the rows of the tables, as parts hold them."""
    summary = "".join(f"{one.id}\t{one.contig}\t{one.start}\t{one.end}\t0\t0.5\n" for one in records)
    ledger = "".join(f"{one.id}\tconv\tconv1d\tEpsilon(eps=1e-06)\t0.5\n" for one in records)
    return {
        SUMMARY: f"id\tcontig\tstart\tend\ttarget\toutput\n{summary}".encode(),
        LEDGER: f"id\tlayer\top\trule\trelevance_out\n{ledger}".encode(),
    }


def _contents(place: Path) -> dict[str, str]:
    """Return a digest of each file within a directory."""
    files = (path for path in place.rglob("*") if path.is_file())
    return {str(path.relative_to(place)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _failed(name: str, check: str, what: str, remedy: str) -> SeqplrpError:
    return SeqplrpError(f"format {name} ({check})", what, remedy)
