"""A reference genome: an indexed FASTA file from which any stretch can be read."""

from __future__ import annotations

import os
import shutil
import struct
import tempfile
import warnings
import zlib
from bisect import bisect_right
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import uuid4

import pyfaidx

from seqplrp.errors import SeqplrpError, first_line
from seqplrp.genomics.letters import Iupac, foreign_letter, foreign_letter_error, letter_table
from seqplrp.genomics.textfile import disk_failure, unwritable
from seqplrp.storage import MOST_INFLATED

_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_NAMES = (".gz", ".bgz")  # by which pyfaidx tells bgzip
# whatever pyfaidx and Bio.bgzf raise for files that are not what they should be
_UNREADABLE = (
    *(OSError, EOFError, ValueError, IndexError, ArithmeticError, RuntimeError, struct.error, zlib.error),
    *(pyfaidx.FastaIndexingError, ImportError),
)


class Genome:
    """A reference genome in FASTA, plain or compressed by bgzip, read at random by its index.

    The index (``.fai``, and ``.gzi`` for bgzip) beside the file is used if it is not older than the file and fits
    it. Otherwise it is made anew, and put there whole, so that others may read the genome at the same time. Where
    the folder can't be written to it is kept elsewhere. `notes` tells of an index that was there and not used.

    Parameters
    ----------
    path : path
        The FASTA file.
    iupac : {"reject", "n"}
        Whether ambiguity codes in what is fetched are errors or become N.
    index_folder : path, optional
        Where the index is kept, and looked for, if it can't stand beside the file; a temporary folder unless given,
        which goes when the genome is closed.

    Attributes
    ----------
    path : path
        The file.
    sizes : dict of str to int
        Length of every contig, in the file's order.
    notes : tuple of str
        What was wrong with an index that was there, and what was done about it, in a line; mostly there is nothing.

    Raises
    ------
    SeqplrpError
        If the file is missing or is no FASTA that can be indexed (lines of one length in each record, every id
        once), or is compressed otherwise than by bgzip, or `index_folder` is needed and can't be written to.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        iupac: Iupac = "reject",
        index_folder: str | os.PathLike[str] | None = None,
    ) -> None:
        self.path = path
        self._table = letter_table(iupac)
        self._checked: set[str] = set()  # contigs whose entry in the index was seen to fit
        self._closed = False
        self._folder = None if index_folder is None else Path(index_folder)
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._bgzipped = _is_bgzipped(path)
        self._faults: list[str] = []  # of indexes that are there
        ready = self._ready_made()
        self._faidx = ready or self._anew()
        self.notes: tuple[str, ...] = () if ready or not self._faults else (self._told(),)
        self.sizes: dict[str, int] = {name: entry.rlen for name, entry in self._faidx.index.items()}

    def fetch(self, contig: str, start: int, end: int) -> str:
        """Return the letters of a stretch of the plus strand.

        Parameters
        ----------
        contig : str
            Name of the contig.
        start, end : int
            0-based half-open; ``0 <= start <= end <= sizes[contig]``.

        Returns
        -------
        str
            Upper-case letters over ``ACGTN``; lower case (soft masked) is upper-cased, U becomes T.

        Raises
        ------
        SeqplrpError
            If there is no such contig or the stretch is not on it, if a letter is not DNA, if the index does not
            fit the file, or the file can't be read.
        """
        size = self.size(contig)
        if not 0 <= start <= end <= size:
            what = f"{start}-{end} is no stretch of contig {contig!r}, which has {size} bases"
            raise SeqplrpError(self.path, what, "ask for 0 <= start <= end <= its length")
        if start == end:
            return ""
        if self._closed:
            raise SeqplrpError(self.path, "was closed", "fetch what you need before that")
        try:
            if contig not in self._checked:
                self._check_index(contig)
            raw = self._faidx.fetch(contig, start + 1, end).encode("utf-8")
        except SeqplrpError:
            raise
        except _UNREADABLE as problem:
            failed = disk_failure(f"{self.path}, contig {contig!r}", problem)
            if failed is not None:
                raise failed from None
            what = f"contig {contig!r} can't be read ({first_line(problem)})"
            raise SeqplrpError(self.path, what, "copy or download the file again, and remove its index") from None
        if len(raw) != end - start:
            raise self._misfit(contig)
        letters = raw.translate(self._table)
        index = foreign_letter(letters)
        if index is not None:
            where = f"{self.path}, contig {contig!r}, position {start + index} (0-based)"
            raise foreign_letter_error(where, raw[index : index + 1], "the genome")
        return str(letters, "ascii")

    def size(self, contig: str, *, where: object = None) -> int:
        """Return a contig's length.

        Parameters
        ----------
        contig : str
            Its name.
        where : object
            What an error names as the place; the genome's path unless given.

        Raises
        ------
        SeqplrpError
            If there is no such contig; it suggests ``1`` for ``chr1`` and the other way round.
        """
        if contig in self.sizes:
            return self.sizes[contig]
        alike = _named_alike(contig, self.sizes)
        if alike is not None:
            what = f"contig {contig!r} is not in the genome {self.path}, which has {alike!r}"
            remedy = f"name contigs alike in both files (rename {contig!r} to {alike!r}, and others so, or use a genome"
            remedy += " with the other names)"
        else:
            what = f"contig {contig!r} is not in the genome {self.path}, which has {_a_few(list(self.sizes))}"
            remedy = "give the genome that the coordinates belong to"
        raise SeqplrpError(self.path if where is None else where, what, remedy)

    def close(self) -> None:
        """Close the file and remove a temporary index."""
        self._closed = True
        self._faidx.close()
        if self._temporary is not None:
            self._temporary.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Genome({os.fspath(self.path)!r})"

    def _indexes(self, folder: str | os.PathLike[str]) -> list[Path]:
        name = Path(self.path).name
        return [Path(folder) / f"{name}{end}" for end in ((".fai", ".gzi") if self._bgzipped else (".fai",))]

    def _ready_made(self) -> pyfaidx.Faidx | None:
        """Open the genome with an index that is there; None if there is none that can be used."""
        for folder in (Path(self.path).parent, self._folder):
            indexes = [] if folder is None else self._indexes(folder)
            if not indexes or not indexes[0].exists():
                continue
            try:
                changed = os.stat(self.path).st_mtime_ns
                if all(os.stat(index).st_mtime_ns >= changed for index in indexes):
                    return self._open(indexes)
                self._faults.append(f"the index {indexes[0]} is older than the genome")
            except FileNotFoundError:
                self._faults.append(f"the index {indexes[0]} lacks its other half, {indexes[-1].name}")
            except _UNREADABLE:  # a new one is made, which tells what is wrong if that is the genome
                self._faults.append(f"the index {indexes[0]} is damaged, or another file's")
        return None

    def _told(self) -> str:
        """Say what was wrong with the first index that is there, now that another is made."""
        done = "it was made anew"
        if self._temporary is not None:
            done = "another was made for this time alone, as it can't be replaced there (make it by samtools faidx)"
        return f"{self._faults[0]}: {done}"

    def _anew(self) -> pyfaidx.Faidx:
        """Index the genome, put the index beside it or where it may be kept, and open it with that."""
        remedy = "give well-formed FASTA, every id once, lines of equal length"
        try:
            with ExitStack() as undone:
                temporary = tempfile.TemporaryDirectory(prefix="seqplrp-index-")
                undone.callback(temporary.cleanup)
                built = self._indexes(temporary.name)
                pyfaidx.Faidx(self.path, **_index_arguments(built)).close()  # which builds what it does not find
                faidx = self._open(built)  # an index that does not fit, or with an id twice, is kept nowhere
                kept = self._keep(built)
                if kept is not None:
                    faidx.close()
                    return self._open(kept)
                undone.pop_all()
                self._temporary = temporary
                return faidx
        except SeqplrpError:
            raise
        except _UNREADABLE as problem:
            failed = disk_failure(self.path, problem)
            if failed is not None:
                raise failed from None
            if isinstance(problem, OSError):
                remedy = f"copy or download it again, if it is damaged, or make room in {tempfile.gettempdir()}"
            raise SeqplrpError(self.path, f"can't be indexed ({first_line(problem)})", remedy) from None

    def _keep(self, built: list[Path]) -> list[Path] | None:
        """Copy the index beside the genome or, where that can't be, to the folder that was named."""
        beside = self._indexes(Path(self.path).parent)
        if _put(built, beside) is None:
            return beside
        if self._folder is None:
            return None
        named = self._indexes(self._folder)
        problem = _put(built, named)
        if problem is not None:
            raise unwritable(self._folder, problem)
        return named

    def _open(self, indexes: list[Path]) -> pyfaidx.Faidx:
        with warnings.catch_warnings():
            # that an index is older than the genome: a new one is, if the genome's date is in the future
            warnings.simplefilter("ignore", RuntimeWarning)
            faidx = pyfaidx.Faidx(
                self.path,
                as_raw=True,
                strict_bounds=True,
                rebuild=False,
                build_index=False,
                **_index_arguments(indexes),
            )
        try:
            if self._bgzipped:
                faidx.gzi_index = [_Block(*block) for block in faidx.gzi_index]
            last = next(reversed(faidx.index.values()), None)
            most = os.path.getsize(self.path) * (MOST_INFLATED if self._bgzipped else 1)
            if any(max(entry.rlen, entry.offset) > most for entry in faidx.index.values()):
                raise ValueError("the index names places that the file has no content for")
            if last is None or not _ends_there(faidx, last, at_end=True):
                raise ValueError("the index does not fit the file")
        except BaseException:
            faidx.close()
            raise
        return faidx

    def _check_index(self, contig: str) -> None:
        entry = self._faidx.index[contig]
        if not (_starts_there(self._faidx, contig, entry) and _ends_there(self._faidx, entry)):
            raise self._misfit(contig)
        self._checked.add(contig)

    def _misfit(self, contig: str) -> SeqplrpError:
        what = f"its index does not fit at contig {contig!r}: it was made for another file, or the file has changed"
        return SeqplrpError(self.path, what, f"remove {self._faidx.indexname} and start again")


class _Block(pyfaidx.BgzfBlock):  # type: ignore[misc]
    """A block of a bgzip file that pyfaidx finds for its first letter, too, where it takes the block before.

    Which fails if that block is full: no offset in a block may be 65,536.
    """

    __slots__ = ()

    def __lt__(self, other: object) -> bool:
        return bool(self.ustart <= other)


def _index_arguments(indexes: list[Path]) -> dict[str, str]:
    return dict(zip(("indexname", "gzi_indexname"), map(str, indexes)))


def _put(built: list[Path], targets: list[Path]) -> OSError | None:
    """Copy files to a folder, each whole or not at all; return what is in the way, if anything is."""
    for source, target in zip(built, targets, strict=True):
        temporary = target.with_name(f".{target.name}.{uuid4().hex}")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, temporary)
            os.replace(temporary, target)
        except OSError as problem:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            return problem
    return None


def _is_bgzipped(path: str | os.PathLike[str]) -> bool:
    """Tell by its first bytes how a file is compressed, and raise the error where that can't be read at random."""
    if not os.path.isfile(path):
        remedy = "give a FASTA file" if os.path.exists(path) else "check the path"
        raise SeqplrpError(path, "is not a file" if os.path.exists(path) else "there is no such file", remedy)
    try:
        with open(path, "rb") as file:
            head = file.read(18)
    except OSError as problem:
        raise SeqplrpError(path, f"can't be read ({problem.strerror or problem})", "check the file's rights") from None
    named_so = os.fspath(path).lower().endswith(_GZIP_NAMES)
    bgzipped = head[:4] == _GZIP_MAGIC + b"\x08\x04" and head[12:14] == b"BC"
    if head[:2] == _GZIP_MAGIC and not bgzipped:
        what = "is compressed by gzip, in which nothing can be looked up"
        raise SeqplrpError(path, what, "compress it by bgzip instead (gunzip it, then bgzip it), or gunzip it")
    if bgzipped and not named_so:
        raise SeqplrpError(path, "is compressed by bgzip, but not named so", "let its name end in .gz")
    if named_so and not bgzipped:
        raise SeqplrpError(path, "is named as if it were compressed, which it is not", "take .gz off its name")
    return bgzipped


def _read(faidx: pyfaidx.Faidx, position: int, count: int) -> bytes:
    """Read bytes of the (inflated) file."""
    with faidx.lock:
        if hasattr(faidx, "gzi_index"):
            block = faidx.gzi_index[bisect_right(faidx.gzi_index, position, key=lambda block: block.ustart) - 1]
            if position - block.ustart >= 1 << 16:
                raise ValueError("the index does not fit the file")
            faidx.file.seek(block.cstart << 16 | position - block.ustart)  # what bgzip calls a virtual offset
        else:
            faidx.file.seek(position)
        return bytes(faidx.file.read(count))


def _starts_there(faidx: pyfaidx.Faidx, contig: str, entry: pyfaidx.IndexRecord) -> bool:
    """Whether the contig's header stands before its letters."""
    before = _read(faidx, entry.prev_bend, max(0, entry.offset - entry.prev_bend))
    header = before.rstrip().rpartition(b"\n")[2]
    return before.endswith(b"\n") and header[:1] == b">" and header[1:].split()[:1] == [contig.encode("utf-8")]


def _ends_there(faidx: pyfaidx.Faidx, entry: pyfaidx.IndexRecord, *, at_end: bool = False) -> bool:
    """Whether the contig's last letter is followed by the next header, or by the end of the file."""
    last = entry.bend - (entry.lenb - entry.lenc if entry.rlen else 0) - 1
    tail = _read(faidx, last, 256)
    letter, after = tail[:1].strip(), tail[1:].strip()
    if letter == b">" or bool(letter) != (entry.rlen > 0):
        return False
    return not after or (after[:1] == b">" and not at_end)


def _named_alike(contig: str, sizes: Iterable[str]) -> str | None:
    names = {name.lower(): name for name in sizes}
    bare = contig.lower().removeprefix("chr")
    bare = {"mt": "m"}.get(bare, bare)
    tries = [contig.lower(), bare, f"chr{bare}", *(("mt", "chrmt") if bare == "m" else ())]
    return next((names[name] for name in tries if name in names), None)


def _a_few(names: list[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown
