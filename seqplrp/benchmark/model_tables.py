"""What was measured of whole models: as one tidy table a protocol, and its means over models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from seqplrp.benchmark.cell import Cell, recipes_of
from seqplrp.benchmark.config import BenchmarkConfig

MODEL_COLUMNS = ("task", "architecture", "seed", "method", "measure", "value")


def model_values(
    config: BenchmarkConfig, protocol: str, cells: Iterable[tuple[Cell, Mapping[str, Any]]]
) -> pd.DataFrame:
    """Return what a protocol of whole models gave.

    Parameters
    ----------
    config : BenchmarkConfig
    protocol : str
        The name of one of the domain's whole-model protocols.
    cells : iterable of (Cell, mapping)
        Finished cells, each with its manifest.

    Returns
    -------
    DataFrame
        One row a model, method and measure: `MODEL_COLUMNS` and ``group``; ``value`` is NaN where it is undefined.
    """
    methods, rows = list(recipes_of(config)), []
    for cell, manifest in cells:
        of_cell = manifest.get("of_model", {})
        head = (cell.task.name, cell.architecture.name, cell.seed)
        for method in methods:
            for measure, value in of_cell.get(method, {}).get(protocol, {}).items():
                rows.append((*head, method, measure, np.nan if value is None else value, cell.task.group))
    table = pd.DataFrame(rows, columns=[*MODEL_COLUMNS, "group"])
    return table.astype({"value": float})


def model_means(values: pd.DataFrame) -> pd.DataFrame:
    """Return the mean over models of what `model_values` returns.

    Returns
    -------
    DataFrame
        method, measure, ``mean``, ``low`` and ``high`` (the lowest and highest model's), ``n`` (models on which it is
        defined) and ``models`` (on which it was measured); each model counts the same.
    """
    grouped = values.groupby(["method", "measure"], sort=False)["value"]
    found = grouped.agg(["mean", "min", "max", "count", "size"]).reset_index()
    return found.rename(columns={"min": "low", "max": "high", "count": "n", "size": "models"})


def as_text(table: pd.DataFrame) -> bytes:
    """Return a table as tab-separated text; the same values give the same bytes."""
    return table.to_csv(sep="\t", index=False, float_format="%.8g", lineterminator="\n").encode()
