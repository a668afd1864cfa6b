"""Directories of runs that can be stopped and gone on with: finished parts stay, the rest is made when all are there.

While `output_directory` shows nothing before all is done, a run of days keeps each finished part at once. What the run
is made from is written down before the first, and a run that goes on must be made from the same.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqplrp.errors import SeqplrpError
from seqplrp.storage.files import differences, locked, read_json, sync_directory, write_json
from seqplrp.storage.output import (
    MARKER,
    STAGE,
    make_parents,
    refuse_inputs,
    replaceable,
    told_of,
    unwritable,
    write_list,
)

PARTS = "parts"
"""The folder, within a run's directory, of its finished parts."""

_DESCRIPTION = "run.json"


class LostRunDirectory(SeqplrpError):
    """A run's directory was removed while the run was at work, and what is there now, if anything is, is another's."""


@dataclass(frozen=True)
class RunDirectory:
    """A place for a run; nothing is made there before `opened`.

    Parameters
    ----------
    out : Path
        The directory to be.
    command : str
        Which writes it, for errors and for the list of files.
    resume : bool
        Go on with what is there; the directory need not be there yet.
    overwrite : bool
        Replace what the same command wrote there.
    inputs : tuple of path
        What the command reads: a directory that is one of them, or holds one, is never replaced.
    """

    out: Path
    command: str
    resume: bool = False
    overwrite: bool = False
    inputs: tuple[Path | str | None, ...] = ()

    @property
    def goal(self) -> Path:
        """The directory, wherever the process goes."""
        return Path(self.out).resolve()

    @property
    def parts(self) -> Path:
        """Where its parts are."""
        return self.goal / PARTS

    def check(self) -> None:
        """Raise for whatever is wrong with the place, before any work.

        Raises
        ------
        SeqplrpError
            If it can't be written, holds something else, or holds a run and neither going on nor replacing was asked.
        """
        if self.resume and self.overwrite:
            raise SeqplrpError("--resume, --overwrite", "are both given", "go on with the run, or begin anew")
        refuse_inputs(self.goal, self.out, self.inputs)
        if self._begun and not self.overwrite:
            if not self.resume:
                raise SeqplrpError(
                    self.out,
                    f"holds a run of `seqplrp {self.command}`, finished or not ({self._count()} parts)",
                    "add --resume to go on with it, --overwrite to begin anew, or choose another --out",
                )
            return
        if self._hardly_begun():
            return
        # also with resume: a directory that holds something else is no run to go on with
        replaceable(self.goal, self.out, self.command, self.overwrite, parts=PARTS)

    def _hardly_begun(self) -> bool:
        """Say whether all that is there was left by a process that was killed before it had begun."""
        if not self.parts.is_dir():
            return False
        ours = {MARKER, f"{PARTS}/.lock", f"{MARKER}.partial", f"{PARTS}/{_DESCRIPTION}.partial"}
        return {str(path.relative_to(self.goal)) for path in self.goal.rglob("*") if not path.is_dir()} <= ours

    def kept(self) -> int:
        """Return how many finished parts there are, of a run that has begun."""
        return self._count() if self._begun else 0

    @property
    def _begun(self) -> bool:
        return (self.parts / _DESCRIPTION).is_file() or self._count() > 0

    def _count(self) -> int:
        return sum(1 for path in self.parts.iterdir() if path.name.startswith("part-")) if self.parts.is_dir() else 0

    @contextmanager
    def opened(self, description: Mapping[str, Any]) -> Iterator[Callable[[], None]]:
        """Hold the directory for a run that is made from what `description` says.

        If the block raises before any part is finished, all that was made here is removed again.

        Parameters
        ----------
        description : mapping
            Whatever decides the parts, as JSON can hold it.

        Yields
        ------
        callable
            Raises if the directory is not there any more, or is another's by now: to be called before what is written.

        Raises
        ------
        SeqplrpError
            If another process holds it, or the run that is there was made from something else.
        LostRunDirectory
            If the directory was removed within the block, whatever was raised there because of that.
        """
        self.check()
        made = self._made()
        with told_of(self.goal, self.out), locked(self.parts) as held:
            there, before = self._there(), self._count()

            def check() -> None:
                if not held():
                    raise self._removed()

            try:
                self._begin(there, description)
                yield check
            except BaseException as error:
                if not held():  # and what is there now, if anything is, is another's
                    if isinstance(error, OSError | SeqplrpError):  # whatever was found first came of that
                        raise self._removed() from error
                elif there is None and self._count() == before:  # nobody could go on with what was made
                    self._unmake(made) if before == 0 else (self.parts / _DESCRIPTION).unlink(missing_ok=True)
                raise

    def _there(self) -> Mapping[str, Any] | None:
        """Return the description of the run that is there, if one is; one that is to be replaced may be damaged."""
        path = self.parts / _DESCRIPTION
        if self.overwrite:
            return {} if path.exists() else None
        found: Mapping[str, Any] | None = read_json(path, "remove it: the parts beside it tell which run they are of")
        return found

    def _removed(self) -> LostRunDirectory:
        return LostRunDirectory(
            self.out, "was removed, or begun anew, while this run was at work there", "let it be, and begin again"
        )

    def _made(self) -> list[Path]:
        try:
            return make_parents(self.parts)
        except OSError as error:
            raise unwritable(error, self.out) from error

    def _unmake(self, made: list[Path]) -> None:
        """Remove what was made before any part was finished."""
        for entry in (*self.parts.iterdir(), self.goal / MARKER):
            entry.unlink(missing_ok=True)
        for directory in (self.parts, *made):
            with suppress(OSError):  # something lies in it, or it is gone
                directory.rmdir()

    def _begin(self, there: Mapping[str, Any] | None, description: Mapping[str, Any]) -> None:
        if there is not None and not self.overwrite:
            self._compare(there, description)
            self._swept()
            return
        if self.overwrite:
            self._emptied()
        if self._count():  # parts whose description was lost: whoever reads them sees whether they are of this run
            self._swept()
        else:  # the list first: what has a description is known to be ours
            write_list(self.goal, self.command, set())
        write_json(self.parts / _DESCRIPTION, description)

    def _emptied(self) -> None:
        """Remove what the same command left, as `check` found that there is nothing else."""
        for entry in self.goal.iterdir():
            if entry != self.parts:
                shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
        for entry in self.parts.iterdir():
            if entry.name != ".lock":
                entry.unlink()

    def _compare(self, there: Mapping[str, Any], description: Mapping[str, Any]) -> None:
        differ = differences(there, description)
        if differ:
            shown = "; ".join(differ[:3]) + (f" (and {len(differ) - 3} more)" if len(differ) > 3 else "")
            raise SeqplrpError(
                self.out,
                f"the run there was begun with something else: {shown}",
                "give what it was begun with, or begin anew with --overwrite or another --out",
            )

    def _swept(self) -> None:
        """Remove what a process that was killed left half-made."""
        for directory in (self.goal, self.parts):
            for entry in directory.iterdir():
                if entry.name.startswith(STAGE):
                    shutil.rmtree(entry)
                elif directory == self.parts and entry.name.startswith(".part-"):
                    entry.unlink()

    @contextmanager
    def finishing(self) -> Iterator[Path]:
        """Make the files that are made of all parts: they are written in a temporary place, and moved in at the end.

        Yields
        ------
        Path
            Where to write them.
        """
        stage = Path(tempfile.mkdtemp(prefix=STAGE, dir=self.goal))
        try:
            with told_of(stage, self.out):
                yield stage
                made = sorted(path for path in stage.rglob("*") if path.is_file())
                for path in made:
                    with open(path, "rb") as file:
                        os.fsync(file.fileno())
                # before they are there: whoever is killed between them leaves none that is not known to be ours
                write_list(self.goal, self.command, self._files() | {str(path.relative_to(stage)) for path in made})
                for path in made:
                    goal = self.goal / path.relative_to(stage)
                    goal.parent.mkdir(parents=True, exist_ok=True)
                    os.replace(path, goal)
                write_list(self.goal, self.command, self._files())
                sync_directory(self.goal)
        finally:
            shutil.rmtree(stage, ignore_errors=True)

    def _files(self) -> set[str]:
        """Name the files that are there now, but for the parts and what is temporary."""
        found = (path.relative_to(self.goal) for path in self.goal.rglob("*") if path.is_file())
        return {str(path) for path in found if path.parts[0] != PARTS and not path.parts[0].startswith(STAGE)}
