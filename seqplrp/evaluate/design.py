"""The table of a run as arrays, and the draws that it is a sample of: training seeds and sequences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from seqplrp.errors import SeqplrpError
from seqplrp.evaluate.arrays import BoolArray, FloatArray, ratio

UNIT = ("task", "architecture", "seed", "sequence")
RUN_COLUMNS = (*UNIT, "method", "measure", "value")
"""Columns that a table of a run has to have; it may have others that tell tasks apart, such as ``group``."""

Sequences = Literal["shared", "within"]
IntArray = npt.NDArray[np.int64]

_CELLS = 4_000_000  # weights held at once: 32 MB


@dataclass(frozen=True)
class Grid:
    """A table as one dense array: (units, methods, measures); `present` is False where there was no row."""

    units: pd.DataFrame
    methods: list[str]
    measures: list[str]
    values: FloatArray
    present: BoolArray
    by: tuple[str, ...]

    @classmethod
    def of(cls, table: pd.DataFrame, by: Sequence[str]) -> Grid:
        """Read a table, or raise a SeqplrpError that says what is wrong with it."""
        missing = [name for name in (*RUN_COLUMNS, *by) if name not in table.columns]
        if missing:
            raise SeqplrpError("table", f"lacks {', '.join(missing)}", f"give the columns {', '.join(RUN_COLUMNS)}")
        if isinstance(by, str) or {"seed", "sequence", "method", "measure", "value"} & set(by):
            raise SeqplrpError("by", f"is {by!r}", "give task, architecture or columns that tell tasks apart")
        if table.empty:
            raise SeqplrpError("table", "has no row", "give the rows of a run")
        key = np.zeros(len(table), dtype=np.int64)
        for name in UNIT:
            code, names = pd.factorize(table[name], use_na_sentinel=False)
            key = key * len(names) + code
        _, first, unit = np.unique(key, return_index=True, return_inverse=True)
        method, methods = pd.factorize(table["method"])
        measure, measures = pd.factorize(table["measure"])
        value = table["value"].to_numpy(dtype=np.float64)
        if np.isinf(value).any():
            raise SeqplrpError("value", "holds infinite values", "mark undefined values by NaN")
        shape = (len(first), len(methods), len(measures))
        place = np.ravel_multi_index((unit.ravel(), method, measure), shape)
        counts = np.bincount(place, minlength=int(np.prod(shape)))
        if counts.max() > 1:
            row = table.iloc[int(np.flatnonzero(counts[place] > 1)[0])]
            raise SeqplrpError(
                "table", f"has two rows of {', '.join(str(row[name]) for name in RUN_COLUMNS[:-1])}", "keep one of them"
            )
        values = np.full(counts.shape, np.nan)
        values[place] = value
        units = table[list(dict.fromkeys((*UNIT, *by)))].iloc[first].reset_index(drop=True)
        present = (counts > 0).reshape(shape)
        return cls(
            units, [str(m) for m in methods], [str(m) for m in measures], values.reshape(shape), present, tuple(by)
        )

    def groups(self) -> Iterator[tuple[dict[str, Any], IntArray]]:
        """Yield the labels and the units (U,) of each combination of `by`, in the order of their first rows."""
        if not self.by:
            yield {}, np.arange(len(self.units))
            return
        for labels, rows in self.units.groupby(list(self.by), sort=False, dropna=False).indices.items():
            named = labels if isinstance(labels, tuple) else (labels,)
            yield dict(zip(self.by, named, strict=True)), np.sort(np.asarray(rows, dtype=np.int64))


@dataclass(frozen=True)
class Design:
    """Which model and which sequence each unit of a group belongs to, by number, and which units make up each cell."""

    cells: list[IntArray]
    model: IntArray  # (units,)
    sequence: IntArray  # (units,) the same number for the same sequence of a task
    task: IntArray  # (units,)

    @classmethod
    def of(cls, units: pd.DataFrame) -> Design:
        """Number the models, sequences and cells of units."""

        def number(*names: str) -> IntArray:
            return np.asarray(units.groupby(list(names), sort=False, dropna=False).ngroup(), dtype=np.int64)

        cell = number("task", "architecture")
        cells = [np.flatnonzero(cell == i) for i in range(cell.max() + 1)]
        return cls(cells, number("task", "architecture", "seed"), number("task", "sequence"), number("task"))

    def means(self, values: FloatArray, sequences: Sequences, draws: int, seed: int) -> tuple[FloatArray, FloatArray]:
        """Mean over cells of each column of values (units, C), and of its draws: (C,) and (D, C)."""
        rng = np.random.default_rng(seed)
        parts = []
        step = max(1, _CELLS // max(len(values), 1))
        for start in range(0, draws, step):
            parts.append(self._weighted(values, self._weights(sequences, min(step, draws - start), rng)))
        return self._weighted(values, np.ones((1, len(values))))[0], np.concatenate(parts)

    def _weights(self, sequences: Sequences, draws: int, rng: np.random.Generator) -> FloatArray:
        """How often each draw takes each unit: (D, units)."""
        weights = np.ones((draws, len(self.model)))
        for cell in self.cells:
            models, which = np.unique(self.model[cell], return_inverse=True)
            weights[:, cell] *= _taken(len(models), draws, rng)[:, which]
        # Sequences are drawn once for all models of a task, or anew for every model.
        scope = self.task if sequences == "shared" else self.model
        for number in np.unique(scope):
            here = np.flatnonzero(scope == number)
            drawn, which = np.unique(self.sequence[here], return_inverse=True)
            weights[:, here] *= _taken(len(drawn), draws, rng)[:, which]
        return weights

    def _weighted(self, values: FloatArray, weights: FloatArray) -> FloatArray:
        """Means over cells of weighted means within each: (D, C); a cell without a value is left out."""
        defined = ~np.isnan(values)
        filled = np.where(defined, values, 0.0)
        total, count = (np.zeros((len(weights), values.shape[1])) for _ in range(2))
        for cell in self.cells:
            weight = weights[:, cell]
            mass = np.repeat(weight.sum(axis=1)[:, None], values.shape[1], axis=1)
            holed = ~defined[cell].all(axis=0)
            mass[:, holed] = weight @ defined[cell][:, holed]
            mean = ratio(weight @ filled[cell], mass)
            there = ~np.isnan(mean)
            total += np.where(there, mean, 0.0)
            count += there
        return ratio(total, count)


def _taken(n: int, draws: int, rng: np.random.Generator) -> FloatArray:
    """How often each of n is taken when n - 1 are drawn with replacement: (D, n); of one, always that one.

    A mean of n draws varies by (n - 1) / n too little, a fifth of the variance with five training seeds; one of n - 1
    draws varies as much as the mean of n does (McCarthy and Snowden 1985, the bootstrap of survey sampling).
    """
    if n == 1:
        return np.ones((draws, 1))
    return rng.multinomial(n - 1, np.full(n, 1 / n), size=draws).astype(np.float64)
