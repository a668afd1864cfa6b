"""What the tables that pictures are drawn from must hold."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from seqplrp.errors import SeqplrpError


def check_table(table: pd.DataFrame, columns: Sequence[str], *, name: str = "table", remedy: str = "") -> None:
    """Raise a SeqplrpError if a table lacks a column, or has no row.

    Parameters
    ----------
    table : DataFrame
        As it was given.
    columns : sequence of str
        What is drawn of it.
    name : str
        The argument that it is.
    remedy : str
        What to give instead, where one function makes such tables.
    """
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise SeqplrpError(name, f"has no column {missing[0]!r}", remedy or f"pass the columns {', '.join(columns)}")
    if table.empty:
        raise SeqplrpError(name, "has no row", remedy or "pass at least one")
