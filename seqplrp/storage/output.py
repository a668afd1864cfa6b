"""Outputs that are there as a whole or not at all.

A command writes into a temporary place beside its goal and renames at the end. ``--overwrite`` replaces what
seqplrp itself wrote, which it knows from a list that it leaves in every directory it makes, and nothing else.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from seqplrp._version import __version__
from seqplrp.errors import SeqplrpError
from seqplrp.storage.failures import from_os_error
from seqplrp.storage.files import write_json
from seqplrp.storage.json_text import parse_json

MARKER = ".seqplrp.json"
"""The list of the files that seqplrp wrote into a directory: what ``--overwrite`` may replace."""

STAGE = ".seqplrp-partial-"
"""How the names of temporary places begin."""


@contextmanager
def output_directory(
    out: Path, *, command: str, overwrite: bool = False, inputs: Iterable[Path | str | None] = ()
) -> Iterator[Path]:
    """Write a directory as a whole or not at all.

    Enter it before any long work: everything that can be wrong with the place is found on entry.

    Parameters
    ----------
    out : Path
        The directory to be. It may exist if it is empty.
    command : str
        The command that writes it, for the list of files.
    overwrite : bool
        Replace the directory if the same command wrote all that is in it.
    inputs : iterable of path
        What the command reads: a directory that is one of them, or holds one, is never replaced.

    Yields
    ------
    Path
        A temporary directory to write into. At the end its files take their place under ``out``; if the block
        raises (Ctrl-C too) they are removed and ``out`` is as it was.

    Raises
    ------
    SeqplrpError
        If ``out`` is a file, is not empty and may not be replaced, or cannot be written.
    """
    goal = Path(out).resolve()
    refuse_inputs(goal, out, inputs)
    old = replaceable(goal, out, command, overwrite)
    try:
        created = make_parents(goal.parent)
        # Beside the goal, so that the last step is one rename; inside it if it exists, for it may be a mount
        # point or somebody's working directory, which cannot be renamed over.
        stage = Path(tempfile.mkdtemp(prefix=STAGE, dir=goal if goal.is_dir() else goal.parent))
    except OSError as error:
        raise unwritable(error, out) from error
    try:
        with told_of(stage, out):
            yield stage
            _commit(stage, goal, old, command)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        for parent in created:  # deepest first; stays if something lies in it
            if not goal.exists() and not any(parent.iterdir()):
                parent.rmdir()


@contextmanager
def output_file(path: Path, *, overwrite: bool = False, inputs: Iterable[Path | str | None] = ()) -> Iterator[Path]:
    """Write one file as a whole or not at all.

    Parameters
    ----------
    path : Path
        The file to be.
    overwrite : bool
        Replace it if it exists.
    inputs : iterable of path
        What the command reads: none of them is ever replaced.

    Yields
    ------
    Path
        A temporary file of the same name, renamed to ``path`` at the end, removed if the block raises.

    Raises
    ------
    SeqplrpError
        If ``path`` exists and ``overwrite`` is off, or its directory cannot be written.
    """
    goal = Path(path).resolve()
    if goal.is_dir():
        raise SeqplrpError(path, "is a directory", "name a file")
    refuse_inputs(goal, path, inputs)
    if goal.exists() and not overwrite:
        raise SeqplrpError(path, "exists already", "choose another name or add --overwrite")
    try:
        make_parents(goal.parent)
        stage = Path(tempfile.mkdtemp(prefix=STAGE, dir=goal.parent))
    except OSError as error:
        raise unwritable(error, path) from error
    try:
        with told_of(stage / goal.name, path):
            yield stage / goal.name
            os.replace(stage / goal.name, goal)
            _add_to_list(goal)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


@contextmanager
def told_of(stage: Path, out: Path) -> Iterator[None]:
    """Let errors speak of the place that the user named, not of the temporary one."""
    try:
        yield
    except SeqplrpError as error:
        if str(stage) not in error.where:
            raise
        raise type(error)(error.where.replace(str(stage), str(out)), error.what, error.remedy) from error
    except OSError as error:
        mendable = from_os_error(error, place=out)
        if mendable is None:
            raise
        where = mendable.where.replace(str(stage), str(out))
        raise SeqplrpError(where, mendable.what, mendable.remedy) from error


def refuse_inputs(goal: Path, out: Path, inputs: Iterable[Path | str | None]) -> None:
    """Raise where a directory or file to be written is what the command reads, or holds it."""
    for name in inputs:
        if name is None:
            continue
        read = Path(name).resolve()
        if read == goal or goal in read.parents:
            what = "is what this command reads" if read == goal else f"holds {str(name)!r}, which this command reads"
            raise SeqplrpError(out, what, "choose another --out")


def replaceable(goal: Path, out: Path, command: str, overwrite: bool, parts: str | None = None) -> list[str]:
    """Name the entries of an existing directory that may be replaced; refuse if there are others.

    What lies in a folder of the name `parts` need not be in the list of files.
    """
    if not os.path.lexists(goal):
        return []
    if not goal.is_dir():
        raise SeqplrpError(out, "exists and is not a directory", "choose another --out")
    try:
        found = {str(p.relative_to(goal)) for p in goal.rglob("*") if not p.is_dir() or p.is_symlink()}
        entries = sorted(p.name for p in goal.iterdir())
    except OSError as error:
        raise unwritable(error, out) from error
    if not entries:
        return []
    if not overwrite:
        raise SeqplrpError(out, "exists and is not empty", "choose another --out or add --overwrite")
    listed = _read_list(goal)
    if listed is None:
        raise SeqplrpError(
            out,
            "holds files that seqplrp did not write",
            "choose another --out (--overwrite replaces only seqplrp's own)",
        )
    writer = _writer(goal)
    if writer != command:
        raise SeqplrpError(
            out,
            f"holds what `seqplrp {writer}` wrote",
            f"choose another --out (--overwrite replaces only what `seqplrp {command}` wrote)",
        )
    foreign = sorted(
        f for f in found - listed - {MARKER} if not f.startswith(STAGE) and (parts is None or Path(f).parts[0] != parts)
    )
    if foreign:
        raise SeqplrpError(
            out, f"holds {foreign[0]!r}, which seqplrp did not write", "move it away or choose another --out"
        )
    return entries


def _read_list(directory: Path) -> set[str] | None:
    try:
        content = parse_json((directory / MARKER).read_text(encoding="utf-8"))
        files = content["files"]
        ours = isinstance(files, list) and all(isinstance(name, str) for name in files)
        return set(files) if ours else None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # no list, or not one of ours: nothing here may be replaced


def _writer(directory: Path) -> str:
    """Return the command that wrote a list that was read before."""
    return str(parse_json((directory / MARKER).read_text(encoding="utf-8")).get("command", ""))


def write_list(directory: Path, command: str, files: set[str]) -> None:
    """Leave the list of the files that a command wrote into a directory."""
    write_json(directory / MARKER, {"seqplrp": __version__, "command": command, "files": sorted(files)})


def _add_to_list(path: Path) -> None:
    """Enter a file written into one of our directories later (a logo, a table of scores) into its list."""
    for directory in path.parents:
        if directory.name.startswith(STAGE):
            return  # whoever stages this directory lists all of it at the end
        listed = _read_list(directory)
        if listed is not None:
            write_list(directory, _writer(directory), listed | {str(path.relative_to(directory))})
            return


def _commit(stage: Path, goal: Path, old: list[str], command: str) -> None:
    files = {str(p.relative_to(stage)) for p in stage.rglob("*") if p.is_file()}
    write_list(stage, command, files)
    os.chmod(stage, 0o777 & ~_umask())  # mkdtemp's are for the owner alone
    if not goal.is_dir():
        os.rename(stage, goal)
        return
    _swap(stage, goal, old)


def _swap(stage: Path, goal: Path, old: list[str]) -> None:
    """Move the old entries aside and the new ones in, the list first and last; put all back if that fails."""
    aside = Path(tempfile.mkdtemp(prefix=STAGE, dir=goal))
    moves = [(goal / name, aside / name) for name in sorted(old, key=lambda n: n != MARKER)]
    new = sorted((p.name for p in stage.iterdir()), key=lambda n: n == MARKER)
    moves += [(stage / name, goal / name) for name in new]
    done: list[tuple[Path, Path]] = []
    try:
        for source, target in moves:
            os.rename(source, target)
            done.append((source, target))
    except BaseException:
        for source, target in reversed(done):
            os.rename(target, source)
        aside.rmdir()
        raise
    shutil.rmtree(aside, ignore_errors=True)


def make_parents(directory: Path) -> list[Path]:
    """Make a directory and its parents; return those that were made, deepest first."""
    missing = [p for p in (directory, *directory.parents) if not p.exists()]
    there = next(p for p in (directory, *directory.parents) if p not in missing)
    if not there.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(there))
    directory.mkdir(parents=True, exist_ok=True)
    return missing


def unwritable(error: OSError, out: Path) -> SeqplrpError:
    """Tell why a place can't be written."""
    known = from_os_error(OSError(error.errno, error.strerror), place=out)
    if known is None:
        raise error
    return SeqplrpError(out, f"cannot be written ({known.what})", known.remedy)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
