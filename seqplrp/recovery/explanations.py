"""What ``seqplrp explain`` left in a directory, read back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from seqplrp.errors import SeqplrpError, first_line
from seqplrp.genomics.tracks import RelevanceArrays, read_npz, read_regions
from seqplrp.recovery.truth import Places
from seqplrp.storage import parse_json

_SETTINGS = (
    "rule",
    "p",
    "budget",
    "p_neg",
    "mode",
    "threshold",
    "gain",
    "tau",
    "attention",
    "center",
    "reverse_complement",
)


@dataclass(frozen=True)
class ExplanationSet:
    """The explanations of one run.

    Attributes
    ----------
    directory : Path
        Where they were read from.
    method : str
        The method with all its settings, as its repr, from the manifest.
    title : str
        The method with the settings that were asked for, to stand over a picture.
    arrays : RelevanceArrays
        Relevance and letters, flat over all records.
    places : Places
        Where the records lie.
    summary : DataFrame or None
        ``summary.tsv`` in the order of the arrays: ``output`` is the explained score, ``class`` the
        explained class's name, empty where the model has none. None if the run did not write it.
    """

    directory: Path
    method: str
    title: str
    arrays: RelevanceArrays
    places: Places
    summary: pd.DataFrame | None

    def __len__(self) -> int:
        return len(self.arrays)

    @property
    def outputs(self) -> npt.NDArray[np.float64]:
        """The explained score of each record: (N,).

        Raises
        ------
        SeqplrpError
            If the run wrote no ``summary.tsv``.
        """
        return self._summary()["output"].to_numpy(dtype=np.float64)

    @property
    def classes(self) -> npt.NDArray[np.str_]:
        """The name of the explained class of each record, empty where the model names none: (N,)."""
        return self._summary()["class"].to_numpy(dtype=str)

    @property
    def missed(self) -> npt.NDArray[np.bool_]:
        """Where a multi-class model predicts another class than the explained one: (N,)."""
        summary = self._summary()
        if "predicted" not in summary:
            return np.zeros(len(self), dtype=bool)
        return ((summary["predicted"] != "") & (summary["predicted"] != summary["target"])).to_numpy(dtype=bool)

    def _summary(self) -> pd.DataFrame:
        if self.summary is None:
            path = self.directory / "summary.tsv"
            raise SeqplrpError(path, "there is no such file", "explain again with tsv among --formats")
        return self.summary


def read_explanations(directory: Path | str) -> ExplanationSet:
    """Read a directory that ``seqplrp explain`` wrote.

    Parameters
    ----------
    directory : path
        Must hold ``relevance.npz``, ``regions.bed`` and ``manifest.json``; ``summary.tsv`` is read if it is
        there.

    Raises
    ------
    SeqplrpError
        If it is no such directory, a file is missing or damaged, or the files do not belong together.
    """
    folder = _folder(directory)
    manifest = read_manifest(folder / "manifest.json")
    return _read_output(folder, manifest, "", slice(None))


def read_outputs(directory: Path | str) -> dict[str, ExplanationSet]:
    """Read all outputs of a directory that ``seqplrp explain`` wrote, by name; several begin their titles with it.

    Raises
    ------
    SeqplrpError
        As `read_explanations` does; of several outputs each needs its ``relevance.NAME.npz``.
    """
    folder = _folder(directory)
    manifest = read_manifest(folder / "manifest.json")
    names = manifest.get("outputs", [""])
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and "/" not in name for name in names):
        raise SeqplrpError(folder / "manifest.json", "does not name its outputs", "explain again")
    if len(names) == 1:
        return {names[0]: _read_output(folder, manifest, "", slice(None))}
    # the summary has a row for each output of a record, in the outputs' order
    found = {}
    for number, name in enumerate(names):
        one = _read_output(folder, manifest, f".{name}", slice(number, None, len(names)))
        found[name] = replace(one, title=f"{name}: {one.title}")
    return found


def _folder(directory: Path | str) -> Path:
    folder = Path(directory)
    if not folder.is_dir():
        raise SeqplrpError(folder, "there is no such directory", "name one that `seqplrp explain` wrote")
    return folder


def _read_output(folder: Path, manifest: Mapping[str, Any], suffix: str, rows: slice) -> ExplanationSet:
    """Read one output: its arrays, and its rows of the summary."""
    path = folder / f"relevance{suffix}.npz"
    if not path.is_file():
        raise SeqplrpError(path, "there is no such file", "explain again with npz among --formats")
    arrays = read_npz(path)
    places = _read_places(folder / "regions.bed", arrays)
    return ExplanationSet(
        directory=folder,
        method=str(manifest["method"]),
        title=_title(manifest),
        arrays=arrays,
        places=places,
        summary=_read_summary(folder / "summary.tsv", arrays, rows),
    )


def read_manifest(path: Path) -> dict[str, Any]:
    """Read what a run says of itself.

    Raises
    ------
    SeqplrpError
        If it is not there, or no such manifest.
    """
    remedy = "name a directory that `seqplrp explain` wrote"
    try:
        content = parse_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SeqplrpError(path, "there is no such file", remedy) from None
    except (OSError, ValueError) as error:
        raise SeqplrpError(path, f"can't be read ({first_line(error)})", "explain again") from error
    if not isinstance(content, dict) or "method" not in content:
        raise SeqplrpError(path, "is no manifest of `seqplrp explain`", remedy)
    return content


def _title(manifest: Mapping[str, Any]) -> str:
    """The method's name and those of its settings that the command line gave."""
    arguments = manifest.get("arguments")
    if not isinstance(arguments, dict) or "method" not in arguments:
        return str(manifest["method"])
    words = [str(arguments["method"])]
    for name in _SETTINGS:
        value = arguments.get(name)
        if value is True:
            words.append(name.replace("_", " "))
        elif value not in (None, False, "none", [], [""]):
            words.append(f"{name.replace('_', ' ')} {' '.join(map(str, value)) if isinstance(value, list) else value}")
    return ", ".join(words)


def _read_places(path: Path, arrays: RelevanceArrays) -> Places:
    if not path.is_file():
        raise SeqplrpError(path, "there is no such file", "explain again")
    table = read_regions(path)
    same = len(table) == len(arrays) and bool((table["name"].to_numpy(dtype=str) == arrays.ids).all())
    listed = table[["start", "end"]].to_numpy(dtype=np.int64)
    starts = listed[:, 0] if arrays.starts is None else arrays.starts
    ends = starts + np.diff(arrays.offsets)
    if not same or not _listed(listed, starts, ends, padded=arrays.starts is not None):
        raise SeqplrpError(path, "holds other records than relevance.npz beside it", "explain again")
    return Places(
        ids=arrays.ids,
        contigs=table["contig"].to_numpy(dtype=str),
        starts=starts,
        ends=ends,
        strands=table["strand"].to_numpy(dtype=str),
    )


def _listed(listed: np.ndarray, starts: np.ndarray, ends: np.ndarray, *, padded: bool) -> bool:
    """Say whether regions are those of windows: what was padded beyond a contig is not in them."""
    until = listed[:, 1] <= ends if padded else listed[:, 1] == ends
    return bool((listed[:, 0] == np.maximum(starts, 0)).all() and until.all())


def _read_summary(path: Path, arrays: RelevanceArrays, rows: slice) -> pd.DataFrame | None:
    if not path.is_file():
        return None
    try:
        # As text: a record may be called NA or 1.0.
        table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False, encoding="utf-8")
        table = table.iloc[rows].reset_index(drop=True)
        table["output"] = table["output"].astype(np.float64)
        fits = table["id"].tolist() == arrays.ids.tolist() and {"target", "class"} <= set(table.columns)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, KeyError, ValueError) as error:
        raise SeqplrpError(path, f"is no table of `seqplrp explain` ({first_line(error)})", "explain again") from error
    if not fits:
        raise SeqplrpError(path, "holds other records than relevance.npz beside it", "explain again")
    return table
