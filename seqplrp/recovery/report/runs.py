"""The runs that a page stacks: explanations of the same sequences, and which of them are shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from seqplrp.errors import SeqplrpError
from seqplrp.recovery.explanations import ExplanationSet, read_manifest, read_outputs
from seqplrp.recovery.truth import Places

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Run:
    """One output of one directory, over the sequences that are shown.

    Parameters
    ----------
    found : ExplanationSet
        All of it.
    rows : (N,) array of int
        Where each shown sequence is in it; -1 where it has none.
    title : str
    manifest : mapping
    number, outputs : int
        Which of how many outputs of its directory.
    output : str
        The output's name, where there are several; else empty.
    """

    found: ExplanationSet
    rows: Integers
    title: str
    manifest: Mapping[str, Any]
    number: int
    outputs: int
    output: str = ""

    @property
    def there(self) -> npt.NDArray[np.bool_]:
        """Which of the sequences it explains: (N,)."""
        return self.rows >= 0

    def numbers(self, name: str) -> npt.NDArray[np.float64]:
        """Return a column of the summary, NaN where there is none: (N,)."""
        values = np.full(len(self.rows), np.nan)
        summary = self.found.summary
        if summary is not None and name in summary:
            texts = summary[name].to_numpy(dtype=object)[self.rows[self.there]]
            values[self.there] = [_number(text) for text in texts]
        return values

    def texts(self, name: str) -> list[str]:
        """Return a column of the summary as text, empty where there is none."""
        summary = self.found.summary
        if summary is None or name not in summary:
            return [""] * len(self.rows)
        column = summary[name].tolist()
        return [str(column[row]) if row >= 0 else "" for row in self.rows.tolist()]


@dataclass(frozen=True)
class Runs:
    """The runs of a page, of which the first says what the sequences are.

    Parameters
    ----------
    runs : sequence of Run
    rows : (N,) array of int
        The sequences that are shown, by their rows in the first run.
    total : int
        How many sequences it has.
    notes : sequence of str
        What a reader must know: sequences that a run lacks.
    """

    runs: Sequence[Run]
    rows: Integers
    total: int
    notes: Sequence[str] = field(default=())

    @property
    def first(self) -> ExplanationSet:
        """The explanations that say what the sequences are."""
        return self.runs[0].found

    @cached_property
    def places(self) -> Places:
        """Where the shown sequences lie."""
        at = self.first.places
        rows = self.rows
        return Places(at.ids[rows], at.contigs[rows], at.starts[rows], at.ends[rows], at.strands[rows])

    @cached_property
    def offsets(self) -> Integers:
        """Where each shown sequence begins in flat arrays over them: (N + 1,)."""
        lengths = np.diff(self.first.arrays.offsets)[self.rows]
        return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)

    @cached_property
    def codes(self) -> npt.NDArray[np.uint8]:
        """Their letters: (total,)."""
        return self.flat(self.runs[0], self.first.arrays.codes).astype(np.uint8)

    def flat(self, run: Run, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return an array of a run over the shown sequences, 0 where it has none: (..., total)."""
        if np.array_equal(run.rows, np.arange(len(run.found))):
            return values
        found = np.zeros((*values.shape[:-1], int(self.offsets[-1])), dtype=values.dtype)
        for number, row in enumerate(run.rows.tolist()):
            if row >= 0:
                here = slice(int(self.offsets[number]), int(self.offsets[number + 1]))
                found[..., here] = values[..., run.found.arrays.positions(row)]
        return found


def read_runs(directories: Sequence[Path], *, most: int) -> Runs:
    """Read directories that ``seqplrp explain`` wrote, of the same sequences.

    Parameters
    ----------
    directories : sequence of path
        Each output of each becomes a run, in this order.
    most : int
        How many sequences are shown. Of more, those of the highest |score|, in their order; the first, where the run
        tells no scores.

    Raises
    ------
    SeqplrpError
        As `read_explanations` does; if a directory is named twice, there is no sequence, or a record has other letters
        in another directory.
    """
    _check_twice(directories)
    found = [one for directory in directories for one in _outputs(directory)]
    first = found[0][0]
    if not len(first):
        raise SeqplrpError(first.directory, "holds no sequence", "explain some")
    rows = _chosen(first, most)
    runs, notes = [], []
    titles = list(_titles([one.title for one, *_ in found], [one.directory for one, *_ in found]))
    for (one, manifest, number, names), title in zip(found, titles, strict=True):
        of = _rows_in(one, first, rows)
        lacking = int((of < 0).sum())
        if lacking == len(of):
            what = f"has none of the {len(of)} sequences of {first.directory}"
            raise SeqplrpError(one.directory, what, "stack explanations of the same FASTA file")
        if lacking:
            notes.append(f"{title} lacks {lacking:,} of the {len(of):,} sequences")
        output = names[number] if len(names) > 1 else ""
        runs.append(Run(one, of, title, manifest, number, len(names), output))
    return Runs(runs, rows, len(first), notes)


def _outputs(directory: Path) -> Iterator[tuple[ExplanationSet, Mapping[str, Any], int, list[str]]]:
    outputs = read_outputs(directory)
    manifest = read_manifest(Path(directory) / "manifest.json")
    for number, one in enumerate(outputs.values()):
        _check_maps(one)
        yield one, manifest, number, list(outputs)


def _check_maps(one: ExplanationSet) -> None:
    """Raise where the arrays can't be one map: not finite, or hypothetical contributions of another map."""
    arrays = one.arrays
    path = one.directory / "relevance.npz"
    known = arrays.codes < 4
    every = [arrays.per_base, *([] if arrays.hypothetical is None else [arrays.hypothetical])]
    every += [] if arrays.relevance_spread is None else [arrays.relevance_spread]
    if not all(np.isfinite(values).all() for values in every):
        raise SeqplrpError(path, "holds values that are not finite", "check the model's weights, and explain again")
    if arrays.hypothetical is not None:
        own = arrays.hypothetical[arrays.codes[known], np.flatnonzero(known)]
        if not np.allclose(own, arrays.per_base[known], rtol=1e-4, atol=1e-6 * float(np.abs(own).max(initial=1e-30))):
            what = "holds hypothetical contributions of another map than its relevance"
            raise SeqplrpError(path, what, "explain again")


def _check_twice(directories: Sequence[Path]) -> None:
    seen = [Path(directory).resolve() for directory in directories]
    for number, path in enumerate(seen):
        if path in seen[:number]:
            raise SeqplrpError(directories[number], "is named twice", "name each directory once")


def _chosen(first: ExplanationSet, most: int) -> Integers:
    rows = np.arange(len(first))
    if len(first) <= most:
        return rows
    if first.summary is None:
        return rows[:most]
    scores = np.nan_to_num(np.abs(first.outputs), nan=-1.0)
    return np.sort(np.argsort(-scores, kind="stable")[:most])


def _rows_in(one: ExplanationSet, first: ExplanationSet, rows: Integers) -> Integers:
    """Find the first run's sequences in another: -1 where it lacks one.

    Raises
    ------
    SeqplrpError
        If one has other letters there.
    """
    if one is first:
        return rows
    where = {name: row for row, name in enumerate(one.arrays.ids.tolist())}
    found = np.array([where.get(name, -1) for name in first.arrays.ids[rows].tolist()], dtype=np.int64)
    for row, other in zip(rows.tolist(), found.tolist()):
        mine = first.arrays.codes[first.arrays.positions(row)]
        if other >= 0 and not np.array_equal(mine, one.arrays.codes[one.arrays.positions(other)]):
            raise SeqplrpError(
                f"{one.directory}, record {str(first.arrays.ids[row])!r}",
                f"is another sequence than in {first.directory}",
                "stack explanations of the same FASTA file",
            )
    return found


def _titles(titles: Sequence[str], directories: Sequence[Path]) -> Iterator[str]:
    """Tell runs of the same settings apart by their directories' names."""
    for title, directory in zip(titles, directories, strict=True):
        yield f"{title} ({directory.name or directory})" if titles.count(title) > 1 else title


def _number(text: object) -> float:
    try:
        return float(str(text)) if str(text) else np.nan
    except ValueError:
        return np.nan
