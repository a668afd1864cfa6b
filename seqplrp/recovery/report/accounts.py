"""The ledgers of the sequences that are shown, out of ``ledger.tsv``, and whether they add up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from seqplrp.errors import SeqplrpError, first_line
from seqplrp.plot import ACCOUNT_COLUMNS, AccountPattern, PageAccounts
from seqplrp.recovery.report.runs import Run

LIMIT = 1e-5
"""The share of a layer's |relevance| that may be unexplained in float32, as `Explanation.check` has it."""

_KEYS = ("layer", "op", "rule")
_ROWS_AT_ONCE = 500_000
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Account:
    """What the ledgers of one run say.

    Parameters
    ----------
    accounts : PageAccounts
        All of them, by sequence.
    worst : float
        The largest share of a layer's |relevance| that is unexplained; NaN where no layer claims completeness.
    worst_at : (str, str)
        Its record and layer.
    layers : int
        How many accounts of a layer and a sequence that is over.
    unclaimed : int
        How many others do not claim it.
    end : (N,) array
        What arrived at the bases, mean over a sequence's ledgers; NaN where there is none.
    start : (N,) array
        The score that the ledgers start from, likewise.
    bias : (N,) array
        What the biases took, likewise.
    """

    accounts: PageAccounts
    worst: float
    worst_at: tuple[str, str]
    layers: int
    unclaimed: int
    end: Floats
    start: Floats
    bias: Floats


def read_account(run: Run, ids: Sequence[str]) -> Account | None:
    """Read the ledgers of a run's shown sequences; None where it wrote none, or its method keeps none.

    Parameters
    ----------
    run : Run
    ids : sequence of str
        Of the shown sequences.

    Raises
    ------
    SeqplrpError
        If the file is no such table.
    """
    path = run.found.directory / "ledger.tsv"
    if not path.is_file():
        return None
    try:
        table = _read(path, {name: i for i, name in enumerate(ids) if run.there[i]})
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, KeyError, ValueError) as error:
        raise SeqplrpError(path, f"is no ledger of `seqplrp explain` ({first_line(error)})", "explain again") from error
    if "target" in table.columns and run.outputs > 1:
        table = table[_of_output(table, run)]
    return None if table.empty else _account(table.reset_index(drop=True), len(ids), ids)


def _read(path: Path, number: dict[str, int]) -> pd.DataFrame:
    wanted = {"id", *_KEYS, *ACCOUNT_COLUMNS, "size_in", "target", "strand", "member"}
    numbers = [*ACCOUNT_COLUMNS, "size_in"]
    texts = {"id": str, "target": str, "strand": str, "member": str, **dict.fromkeys(_KEYS, str)}
    # an empty field is no number; "NA" may be a record's name
    with pd.read_csv(
        path, sep="\t", usecols=lambda name: name in wanted, dtype=texts, keep_default_na=False, na_values=[""],
        chunksize=_ROWS_AT_ONCE, encoding="utf-8",
    ) as reader:  # fmt: skip
        parts = []
        for part in reader:
            lacking = {"id", *_KEYS, *numbers} - set(part.columns)
            if lacking:
                raise KeyError(f"no column {sorted(lacking)[0]}")
            part["sequence"] = part["id"].map(number)
            parts.append(part[part["sequence"].notna()].astype(dict.fromkeys(numbers, np.float64)))
    table = pd.concat(parts, ignore_index=True).astype({"sequence": np.int64})
    for name in (*_KEYS, "strand", "member", "target"):
        if name in table:
            table[name] = table[name].fillna("")
    return table


def _of_output(table: pd.DataFrame, run: Run) -> npt.NDArray[np.bool_]:
    """Say which rows are of the run's output: targets come in the order of the outputs."""
    targets = pd.unique(table["target"])
    if len(targets) != run.outputs:
        path = run.found.directory / "ledger.tsv"
        raise SeqplrpError(path, f"has {len(targets)} targets, manifest.json {run.outputs}", "explain again")
    return np.asarray(table["target"] == targets[run.number])


def _account(table: pd.DataFrame, n: int, ids: Sequence[str]) -> Account:
    label, labels = _labels(table)
    # a sequence's ledgers one after the other, each in its own order
    order = np.lexsort((np.arange(len(table)), label, table["sequence"]))
    table, label = table.iloc[order].reset_index(drop=True), label[order]
    sequence = table["sequence"].to_numpy()
    begins = np.flatnonzero(np.concatenate([[True], (np.diff(sequence) != 0) | (np.diff(label) != 0)]))
    ends = np.append(begins[1:], len(table))
    numbers = table[list(ACCOUNT_COLUMNS)].to_numpy(dtype=np.float64)
    patterns, which, values = _patterns(table, numbers, begins, ends, sequence[begins], label[begins], (n, len(labels)))
    share, claimed = _shares(table)
    worst = int(np.nanargmax(share)) if claimed.any() else -1
    column = ACCOUNT_COLUMNS.index
    of = sequence[begins]
    bias = np.add.reduceat(np.nan_to_num(numbers[:, column("bias")]), begins)
    return Account(
        accounts=PageAccounts(labels, patterns, which, values),
        worst=float(share[worst]) if worst >= 0 else float("nan"),
        worst_at=(ids[int(sequence[worst])], str(table["layer"].iloc[worst])) if worst >= 0 else ("", ""),
        layers=int(claimed.sum()),
        unclaimed=int((~claimed & np.isfinite(numbers[:, column("relevance_out")])).sum()),
        end=_mean(numbers[ends - 1, column("relevance_in")], of, n),
        start=_mean(numbers[begins, column("relevance_out")], of, n),
        bias=_mean(bias, of, n),
    )


def _labels(table: pd.DataFrame) -> tuple[npt.NDArray[np.int64], list[str]]:
    """Tell the ledgers of one sequence apart, by model and strand."""
    words = pd.Series("", index=table.index)
    if "member" in table:
        words = words + "model " + table["member"]
    if "strand" in table:
        words = words + (", " if "member" in table else "") + "strand " + table["strand"].replace({"-": "\u2212"})
    codes, names = pd.factorize(words)
    return codes.astype(np.int64), [str(name) for name in names]


def _patterns(
    table: pd.DataFrame,
    numbers: Floats,
    begins: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    sequence: npt.NDArray[np.int64],
    label: npt.NDArray[np.int64],
    shape: tuple[int, int],
) -> tuple[list[AccountPattern], npt.NDArray[np.int64], dict[tuple[int, int], Floats]]:
    """Group ledgers by their layers: sequences of another length, say, may have another graph."""
    step, steps = pd.factorize(pd.Series(list(zip(*(table[name] for name in _KEYS)))))
    runs: dict[bytes, list[int]] = {}
    for number, (start, end) in enumerate(zip(begins.tolist(), ends.tolist())):
        runs.setdefault(step[start:end].tobytes(), []).append(number)
    which = np.full(shape, -1, dtype=np.int64)
    patterns: list[AccountPattern] = []
    values: dict[tuple[int, int], Floats] = {}
    for members in runs.values():
        first, length = begins[members[0]], ends[members[0]] - begins[members[0]]
        stack = numbers[begins[members][:, None] + np.arange(length)]  # (ledgers, steps, columns)
        cells = np.argwhere(np.isfinite(stack).any(axis=0))
        kept = stack[:, cells[:, 0], cells[:, 1]]
        mean = np.nanmean(kept, axis=0) if kept.size else np.zeros(0)
        which[sequence[members], label[members]] = len(patterns)
        for row, number in zip(kept, members):
            values[int(sequence[number]), int(label[number])] = row
        named = [steps[code] for code in step[first : first + length]]
        patterns.append(AccountPattern(named, [(int(s), int(c)) for s, c in cells], mean.tolist()))
    return patterns, which, values


def _shares(table: pd.DataFrame) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Return the share of each layer's |relevance| that is unexplained, and where completeness is claimed."""
    size = np.fmax(table["size"].to_numpy(), table["size_in"].to_numpy())
    unexplained = np.abs(table["unexplained"].to_numpy())
    claimed = np.isfinite(unexplained) & np.isfinite(size)
    return np.where(claimed, unexplained / np.where(size > 0, size, 1.0), np.nan), claimed


def _mean(values: Floats, of: npt.NDArray[np.int64], n: int) -> Floats:
    count, total = np.bincount(of, minlength=n), np.bincount(of, weights=values, minlength=n)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
