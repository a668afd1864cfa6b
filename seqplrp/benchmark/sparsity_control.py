"""How far the control for sparsity got: which maps were brought to the goal, and which were sparser already."""

from __future__ import annotations

import numpy as np
import pandas as pd

from seqplrp.benchmark.cell import cut_name
from seqplrp.benchmark.summary import Summary

_UNIT = ["task", "architecture", "seed", "sequence"]
CUT_COLUMNS = ("method", "maps", "matched", "sparser", "undefined", "sparser_gini", "sparser_goal", "away")


def cut_maps(summary: Summary, group: str) -> pd.DataFrame:
    """Compare the Gini index of each map that was to be cut with what it was to be, input by input.

    Parameters
    ----------
    summary : Summary
    group : str

    Returns
    -------
    DataFrame
        ``method`` (before it was cut), ``maps``, of which ``matched``, ``sparser`` (than the goal already: left as they
        were) and ``undefined`` (without a goal or a map); ``sparser_gini``, the mean index of the sparser, and
        ``sparser_goal``, the mean of what it should be; ``away``, the largest distance of a matched map from its goal.
        Empty where nothing was cut or Gini was not measured.
    """
    matched = summary.config.matched
    if matched is None or "gini" not in summary.measures:
        return pd.DataFrame(columns=list(CUT_COLUMNS))
    rows = summary.rows[(summary.rows["group"] == group) & (summary.rows["measure"] == "gini")]
    names = [matched.to.name, *(one.name for one in matched.methods)]
    names += [cut_name(one, matched.to) for one in matched.methods]
    rows = rows[rows["method"].isin(names)].astype({"method": object})
    wide = rows.pivot(index=_UNIT, columns="method", values="value").reindex(columns=list(dict.fromkeys(names)))
    found = []
    for one in matched.methods:
        goal, before, after = (wide[name] for name in (matched.to.name, one.name, cut_name(one, matched.to)))
        if not (before.notna().any() and goal.notna().any()):
            continue
        undefined = goal.isna() | after.isna()
        # what is left as it was has the very index that it had
        sparser = ~undefined & (after == before) & (after > goal)
        met = ~undefined & ~sparser
        found.append(
            {
                "method": one.name,
                "maps": len(wide),
                "matched": int(met.sum()),
                "sparser": int(sparser.sum()),
                "undefined": int(undefined.sum()),
                "sparser_gini": after[sparser].mean() if sparser.any() else np.nan,
                "sparser_goal": goal[sparser].mean() if sparser.any() else np.nan,
                "away": (after - goal)[met].abs().max() if met.any() else np.nan,
            }
        )
    return pd.DataFrame(found, columns=list(CUT_COLUMNS))
