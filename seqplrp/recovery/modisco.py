"""TF-MoDISco on our maps: its input from what we have, its patterns as ours."""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pandas as pd

from seqplrp.errors import SeqplrpError, first_line
from seqplrp.genomics.motifs import Motif
from seqplrp.genomics.tracks import RelevanceArrays
from seqplrp.recovery.informative_cores import background_of, informative_core
from seqplrp.recovery.patterns import MEMBER_COLUMNS, Pattern
from seqplrp.storage import npz_arrays, stored

MOST_ZERO_WINDOWS = 0.05
"""Share of windows that may sum to exactly zero.

TF-MoDISco fits the rate of a Laplace null to the 5th, 10th ... 95th percentile of the window sums and takes the
highest; with a twentieth of them at the null's centre it is without bound. Then windows pass up to the ceiling of a
fifth of all. On 500 random tracks of 200 positions it called 400 to 580 seqlets with up to 80 % zeros (1 % of the
windows zero; the least it calls is 3 % of them), and 1,300 to 1,700 with 90 % to 99 % (12 % to 81 % of the windows
zero), where `call_seqlets` at the same rate called none to two.
"""

_WINDOW = 20
_FLANK = 5
_TRIM = 30
_EXTEND = 10
_FEWEST_IN_ALL = 100
_MOST_SEQLETS = 20_000
_PSEUDOCOUNT = 1.0
_REMEDY = "give unpruned hypothetical contributions (method lrp), or seqlets=call_seqlets(per_base)"

Floats = npt.NDArray[np.float32]


def require_modisco() -> None:
    """Raise a SeqplrpError that says how to get modisco-lite, if it is not there."""
    if importlib.util.find_spec("modiscolite") is None:
        raise SeqplrpError(
            "modisco-lite", "is not installed, and TF-MoDISco needs it", "pip install 'seqplrp[modisco]'"
        )


@dataclass(frozen=True)
class ModiscoInput:
    """What TF-MoDISco works on.

    Attributes
    ----------
    one_hot : ndarray of float32, shape (N, 4, L)
    hypothetical : ndarray of float32, shape (N, 4, L)
        Contributions of all four bases.
    """

    one_hot: Floats
    hypothetical: Floats

    def __post_init__(self) -> None:
        shape = self.one_hot.shape
        if len(shape) != 3 or shape[1] != 4 or self.hypothetical.shape != shape or 0 in shape:
            what = f"have shapes {shape} and {self.hypothetical.shape}, not (N, 4, L) both"
            raise SeqplrpError("one-hot and hypothetical contributions", what, "give (N, 4, L) arrays, rows ACGT")
        if not (np.isin(self.one_hot, (0, 1)).all() and (self.one_hot.sum(axis=1) <= 1).all()):
            raise SeqplrpError("one_hot", "holds columns that are neither one-hot nor all zero", "give one-hot DNA")
        if not np.isfinite(self.hypothetical).all():
            raise SeqplrpError("hypothetical", "holds NaN or infinite values", "check the model's weights")

    @property
    def per_base(self) -> Floats:
        """Relevance of each position: (N, L)."""
        return np.asarray((self.one_hot * self.hypothetical).sum(axis=1))

    def zero_windows(self, width: int = _WINDOW) -> float:
        """Return the share of windows in which nothing but exact zeros stands."""
        nonzero = np.pad((self.per_base != 0).cumsum(axis=1), ((0, 0), (1, 0)))
        if nonzero.shape[1] <= width:
            return float((nonzero[:, -1] == 0).mean())
        return float((nonzero[:, width:] == nonzero[:, :-width]).mean())


def modisco_input(one_hot: Any, hypothetical: Any) -> ModiscoInput:
    """Take arrays or tensors (N, 4, L), as `one_hot` and `Explanation.hypothetical` are."""

    def plain(values: Any) -> Floats:
        return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values, dtype=np.float32)

    return ModiscoInput(plain(one_hot), plain(hypothetical))


def modisco_input_of(arrays: RelevanceArrays) -> ModiscoInput:
    """Take what ``relevance.npz`` of ``seqplrp explain`` holds (`seqplrp.genomics.tracks.read_npz`).

    Raises
    ------
    SeqplrpError
        If the run kept no hypothetical contributions, or its records differ in length.
    """
    lengths = np.unique(np.diff(arrays.offsets))
    if len(lengths) != 1:
        what = f"has records of {lengths.min()} to {lengths.max()} bases" if len(lengths) else "has no record"
        raise SeqplrpError("relevance.npz", what, "explain records of one length")
    if arrays.hypothetical is None:
        what = "has no hypothetical contributions, which this rule does not give"
        raise SeqplrpError("relevance.npz", what, "explain with the epsilon, gamma, zplus or relative rule")
    letters = arrays.codes.reshape(-1, 1, int(lengths[0])) == np.arange(4, dtype=np.uint8)[:, None]
    values = arrays.hypothetical.reshape(4, -1, int(lengths[0])).transpose(1, 0, 2)
    return modisco_input(letters, values)


def read_modisco_input(sequences: Path | str, attributions: Path | str) -> ModiscoInput:
    """Read the two npz files that TF-MoDISco's own command takes: key ``arr_0``, (N, 4, L).

    Raises
    ------
    SeqplrpError
        If a file is missing or damaged, lacks the key, or they do not fit each other.
    """
    return modisco_input(_arr_0(Path(sequences)), _arr_0(Path(attributions)))


def _arr_0(path: Path) -> npt.NDArray[Any]:
    remedy = "give an npz file of one array (N, 4, L)"
    try:
        found = next((values for name, values in npz_arrays(path) if name == "arr_0"), None)
    except FileNotFoundError:
        raise SeqplrpError(path, "there is no such file", remedy) from None
    except (OSError, ValueError) as error:
        raise SeqplrpError(path, f"can't be read ({first_line(error)})", remedy) from error
    if found is None:
        raise SeqplrpError(path, "has no array 'arr_0'", remedy)
    if found.dtype.kind not in "fiub":
        raise SeqplrpError(path, f"holds values of type {found.dtype}", remedy)
    return found


def run_modisco(
    data: ModiscoInput,
    *,
    seqlets: pd.DataFrame | None = None,
    out: Path | str | None = None,
    trim: int = _TRIM,
    extend: int = _EXTEND,
    leiden_runs: int = 2,
    most_seqlets: int = _MOST_SEQLETS,
    fewest_seqlets: int = _FEWEST_IN_ALL,
    allow_sparse: bool = False,
) -> list[Pattern]:
    """Find motifs by TF-MoDISco-lite.

    Parameters
    ----------
    data : ModiscoInput
        Unpruned hypothetical contributions, or any with `seqlets`.
    seqlets : DataFrame, optional
        As `call_seqlets` returns it: TF-MoDISco then clusters these, each widened to 30 bases about its middle (less
        where the sequences are shorter), instead of calling its own. This is the way to go with pruned maps.
    out : path, optional
        Where to keep TF-MoDISco's own result (HDF5), which its ``modisco report`` reads.
    trim, extend : int
        Width that patterns are cut to about their best part, and bases that are then added at each end. TF-MoDISco
        drops every seqlet whose pattern would reach over its sequence's end: give less than 30 and 10 for sequences of
        100 bases or so, such as 20 and 0.
    leiden_runs : int
        Clusterings, each with a seed of its own, of which the best is kept; the same ones in every run.
    most_seqlets : int
        Of each sign, at most.
    fewest_seqlets : int
        A sign of no more is left out. TF-MoDISco's 100 suit thousands of peaks; of a few hundred sequences less will
        do. A pattern has 20 or more either way.
    allow_sparse : bool
        Go on though TF-MoDISco's null has collapsed (`MOST_ZERO_WINDOWS`).

    Returns
    -------
    list of Pattern
        As `find_patterns` orders and names them; matrices are cut to where they stand out from the background.

    Raises
    ------
    SeqplrpError
        If modisco-lite is not installed, a number is none that can be, the sequences are shorter than 30 bases, or the
        maps are too sparse for TF-MoDISco's null while no `seqlets` are given.

    Notes
    -----
    Shrikumar et al., arXiv 1811.00416; modisco-lite 2.x and 3.x by their ``TFMoDISco``, ``seqlets_to_patterns`` and
    ``save_hdf5``. Window 20, flank 5, trim 30 and extension 10 are those of its command.
    """
    require_modisco()
    _check_whole(most_seqlets=(most_seqlets, 1), fewest_seqlets=(fewest_seqlets, 0))
    if data.one_hot.shape[2] < _WINDOW + 2 * _FLANK:
        what = f"have {data.one_hot.shape[2]} bases"
        raise SeqplrpError("sequences", what, f"give {_WINDOW + 2 * _FLANK} or more, which TF-MoDISco's windows need")
    zero = data.zero_windows()
    if seqlets is None and zero >= MOST_ZERO_WINDOWS and not allow_sparse:
        what = (
            f"{zero:.0%} of the windows of {_WINDOW} bases hold nothing but exact zeros; from {MOST_ZERO_WINDOWS:.0%} "
            "on TF-MoDISco's null collapses and it calls seqlets anywhere"
        )
        raise SeqplrpError("hypothetical", what, _REMEDY)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "modisco.h5" if out is None else Path(out)
        _run(data, seqlets, path, (fewest_seqlets, most_seqlets), _settings(trim, extend, leiden_runs))
        bases = data.one_hot.sum(axis=(0, 2)).astype(np.int64)
        return read_modisco(path, background=background_of(bases))


def _check_whole(**numbers: tuple[int, int]) -> None:
    """Raise a SeqplrpError unless each value is a whole number of at least what stands beside it."""
    for name, (value, least) in numbers.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise SeqplrpError(name, f"is {value!r}", f"give a whole number of {least} or more")


def _settings(trim: int, extend: int, runs: int) -> dict[str, int]:
    _check_whole(trim=(trim, 6), extend=(extend, 0), leiden_runs=(runs, 1))
    return {
        "trim_to_window_size": trim,
        "initial_flank_to_add": extend,
        "final_flank_to_add": 0,
        "n_leiden_runs": runs,
    }


def _run(
    data: ModiscoInput,
    seqlets: pd.DataFrame | None,
    path: Path,
    bounds: tuple[int, int],
    settings: dict[str, int],
) -> None:
    """Call modisco-lite, in its orientation (N, L, 4), and write its result."""
    from modiscolite import core, io, tfmodisco

    fewest, most = bounds
    one_hot = np.ascontiguousarray(data.one_hot.transpose(0, 2, 1))
    hypothetical = np.ascontiguousarray(data.hypothetical.transpose(0, 2, 1))
    if seqlets is None:
        found = tfmodisco.TFMoDISco(
            one_hot=one_hot,
            hypothetical_contribs=hypothetical,
            sliding_window_size=_WINDOW,
            flank_size=_FLANK,
            max_seqlets_per_metacluster=most,
            min_metacluster_size=fewest,
            **settings,
        )
    else:
        tracks = core.TrackSet(
            one_hot=one_hot, contrib_scores=one_hot * hypothetical, hypothetical_contribs=hypothetical
        )
        found = []
        for sign in (1, -1):
            mine = seqlets[seqlets["sign"] == sign].sort_values("score", ascending=False, kind="stable").head(most)
            if len(mine) <= fewest:
                found.append(None)
                continue
            places = _widened(mine, one_hot.shape[1])
            theirs = tracks.create_seqlets([core.Seqlet(row, start, end, False) for row, start, end in places])
            found.append(tfmodisco.seqlets_to_patterns(theirs, track_set=tracks, track_signs=sign, **settings))
    path.parent.mkdir(parents=True, exist_ok=True)
    io.save_hdf5(str(path), *found, window_size=one_hot.shape[1])


def _widened(seqlets: pd.DataFrame, length: int) -> list[tuple[int, int, int]]:
    """Return windows of one width about the seqlets' middles, each once, moved inwards at the sequence's ends."""
    width = _WINDOW + 2 * _FLANK
    start = np.clip((seqlets["start"] + seqlets["end"]).to_numpy() // 2 - width // 2, 0, length - width)
    places = zip(seqlets["sequence"].tolist(), start.tolist(), (start + width).tolist())
    return list(dict.fromkeys(places))


def read_modisco(path: Path | str, *, background: npt.ArrayLike | None = None) -> list[Pattern]:
    """Read the patterns of a result of TF-MoDISco-lite (HDF5).

    Parameters
    ----------
    path : path
    background : array of 4, optional
        Base frequencies of the sequences, against which a matrix is cut to its informative part; a quarter each unless
        given.

    Returns
    -------
    list of Pattern
        ``pos_0`` ... and ``neg_0`` ..., the one of most members first. Patterns of which no part stands out from the
        background are left out. Of the members' table ``mass`` is their relevance over the motif's positions and
        ``similarity`` NaN.

    Raises
    ------
    SeqplrpError
        If the file is missing, or is no such result.
    """
    found: list[Pattern] = []
    given = np.full(4, 0.25) if background is None else np.asarray(background, dtype=np.float64)
    try:
        with h5py.File(path, "r") as file:
            for sign, group, name in ((1, "pos_patterns", "pos"), (-1, "neg_patterns", "neg")):
                mine = [p for p in _patterns_of(file, group, sign, given) if p is not None]
                mine.sort(key=lambda p: -len(p))
                found += [_renamed(pattern, f"{name}_{number}") for number, pattern in enumerate(mine)]
    except FileNotFoundError:
        raise SeqplrpError(path, "there is no such file", "give the HDF5 file of a TF-MoDISco run") from None
    except Exception as error:  # HDF5 and NumPy raise whatever they meet in a file that is no such result
        raise SeqplrpError(
            path,
            f"is no result of TF-MoDISco-lite ({first_line(error)})",
            "give the HDF5 file of `modisco motifs` or run_modisco",
        ) from error
    return found


def _patterns_of(
    file: h5py.File, group: str, sign: int, background: npt.NDArray[np.float64]
) -> Iterator[Pattern | None]:
    if group not in file:
        return
    both = (background + background[::-1]) / 2
    for key in sorted(file[group], key=lambda name: int(name.rpartition("_")[2])):
        yield _read_pattern(file[group][key], sign, both)


def _read_pattern(group: h5py.Group, sign: int, background: npt.NDArray[np.float64]) -> Pattern | None:
    seqlets = group["seqlets"]
    letters, contributions = stored(seqlets["sequence"]), stored(seqlets["contrib_scores"])  # (n, W, 4), along it
    counts = letters.sum(axis=0).round().astype(np.int64)
    core = informative_core(counts, background)
    if core is None:
        return None
    first, last = core
    kept = counts[first:last]
    motif = Motif("pattern", kept / kept.sum(axis=1, keepdims=True), nsites=len(letters), background=background)
    reverse = stored(seqlets["is_revcomp"]).astype(bool)
    start = np.where(reverse, stored(seqlets["end"]) - last, stored(seqlets["start"]) + first)
    members = pd.DataFrame(
        {
            "sequence": stored(seqlets["example_idx"]),
            "start": start,
            "end": start + (last - first),
            "strand": np.where(reverse, "-", "+"),
            "sign": sign,
            "mass": contributions[:, first:last].sum(axis=(1, 2)),
            "similarity": np.nan,
        },
        columns=list(MEMBER_COLUMNS),
    )
    mean = np.asarray(stored(group["contrib_scores"])[first:last], dtype=np.float64)
    return Pattern(motif.with_pseudocount(_PSEUDOCOUNT), sign, mean, members)


def _renamed(pattern: Pattern, name: str) -> Pattern:
    return replace(pattern, motif=replace(pattern.motif, name=name))
