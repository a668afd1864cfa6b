"""Which sequences belong to which class, from a table."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from seqplrp.errors import SeqplrpError
from seqplrp.models import check_0_or_1, read_table

_POSITIVE = {"1", "positive", "pos", "true", "yes"}
_NEGATIVE = {"0", "negative", "neg", "false", "no"}


def read_labels(path: Path | str) -> pd.DataFrame:
    """Read ``labels.tsv``: ``id``, and one column ``class`` of names or one column of 0 and 1 per class.

    A column ``split`` is passed over. A column ``class`` that says yes and no (1 and 0, positive and
    negative, ...) makes one class, "positive", as training does.

    Returns
    -------
    DataFrame of bool
        Index id, one column per class.

    Raises
    ------
    SeqplrpError
        With file and line: no such file, no table, no column id, an id twice, a label other than 0 and 1.
    """
    file = Path(path)
    if not file.is_file():
        raise SeqplrpError(file, "there is no such file", "name a table with the columns id and class")
    table = read_table(file)
    columns = [str(c) for c in table.columns if c not in ("id", "split")]
    if "id" not in table.columns or not columns:
        raise SeqplrpError(
            f"{file}, line 1", "lacks a column id or a column of labels", "name its columns id and class"
        )
    twice = table["id"].duplicated()
    if twice.any():
        line = twice.idxmax()
        raise SeqplrpError(f"{file}, line {line}", f"the id {table.at[line, 'id']!r} is there twice", "leave one out")
    values = table.set_index("id")[columns]
    if columns == ["class"]:
        return _by_name(values["class"])
    check_0_or_1(table[columns], file)
    return values == "1"


def _by_name(names: pd.Series) -> pd.DataFrame:
    lower = names.str.lower()
    if lower.isin(_POSITIVE | _NEGATIVE).all():
        return lower.isin(_POSITIVE).to_frame("positive")
    return pd.DataFrame({str(name): names == name for name in pd.unique(names)}, index=names.index)
