"""A study's curves as one number each."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from scipy.integrate import trapezoid

from seqplrp.errors import SeqplrpError
from seqplrp.recovery.roar.options import RANDOM, UNCHANGED


def roar_summary(table: pd.DataFrame, *, up_to: float | None = None) -> pd.DataFrame:
    """Put each curve of `run_roar` into one number: the area under AUROC against the share replaced.

    Parameters
    ----------
    table : DataFrame
        From `run_roar`.
    up_to : float, optional
        Leave out larger shares, at which the masks tell the class more and more.

    Returns
    -------
    DataFrame
        One row a method and input, the lowest area of sequences first: ``area``, the mean AUROC over the shares from 0
        to the largest (trapezoids; 0 is ``unchanged``), as mean, lowest and highest over seeds; ``below_random``, how
        far it lies below random order of the same seed, likewise (NaN for masks).

    Raises
    ------
    SeqplrpError
        If the table lacks a column, or the unchanged models, or no share is left.
    """
    wanted = ["method", "input", "percent", "seed", "auroc"]
    missing = [name for name in wanted if name not in table.columns]
    if missing:
        raise SeqplrpError("table", f"lacks {', '.join(missing)}", "give what run_roar() returned")
    if up_to is not None:
        table = table[table["percent"] <= up_to]
    unchanged = table[table["method"] == UNCHANGED]
    start = dict(zip(unchanged["seed"].tolist(), unchanged["auroc"].tolist(), strict=True))
    areas = {}
    changed = table[table["method"] != UNCHANGED]
    if changed.empty:
        raise SeqplrpError("table", "holds no share to replace", "give a larger up_to" if up_to else "run more shares")
    for key, part in changed.groupby(["method", "input", "seed"], sort=False):
        method, kind, seed = key
        if seed not in start:
            raise SeqplrpError("table", f"has no unchanged model of seed {seed}", "give all that run_roar() returned")
        curve = part.sort_values("percent")
        # what a mask of no position tells is nothing
        first = float(start[seed]) if kind == "sequence" else 0.5
        percent = np.concatenate([[0.0], curve["percent"]])
        areas[method, kind, seed] = float(trapezoid([first, *curve["auroc"]], percent) / percent[-1])
    rows = []
    for method, kind in dict.fromkeys((method, kind) for method, kind, _ in areas):
        own = {seed: area for (m, k, seed), area in areas.items() if (m, k) == (method, kind)}
        below = [
            areas[RANDOM, "sequence", seed] - area
            for seed, area in own.items()
            if kind == "sequence" and (RANDOM, "sequence", seed) in areas
        ]
        rows.append(
            {"method": method, "input": kind, **_spread("area", own.values()), **_spread("below_random", below)}
        )
    frame = pd.DataFrame(rows)
    return frame.sort_values(["input", "area"], ascending=[False, True], ignore_index=True)


def _spread(name: str, values: Any) -> dict[str, float]:
    found = np.array(list(values), dtype=np.float64)
    if not found.size:
        return {name: math.nan, f"{name}_low": math.nan, f"{name}_high": math.nan}
    return {name: float(found.mean()), f"{name}_low": float(found.min()), f"{name}_high": float(found.max())}
