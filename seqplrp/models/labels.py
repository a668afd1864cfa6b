"""The table of labels beside training sequences: read line by line, matched with them, and told what kind it is."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from seqplrp.errors import SeqplrpError, first_line
from seqplrp.models.config import KINDS, Kind
from seqplrp.models.dataset import SPLITS, TRAIN, VALIDATION

_SPLIT_NAMES = {name: name for name in SPLITS} | {"valid": VALIDATION, "val": VALIDATION, "training": TRAIN}
_BINARY_NAMES = ({"0", "1"}, {"negative", "positive"}, {"neg", "pos"}, {"false", "true"}, {"no", "yes"})
_TRUE_NAMES = {"1", "positive", "pos", "true", "yes"}


def read_labels(path: Path) -> pd.DataFrame:
    """Read the table as text, with row numbers that are the file's line numbers; splits by their usual names.

    Raises
    ------
    SeqplrpError
        As `read_table`, and for a table without ids or labels, an id that is there twice, an unknown split.
    """
    if not path.is_file():
        raise SeqplrpError(path, "there is no such file", "give a table with the columns id and class")
    table = read_table(path)
    if "id" not in table.columns:
        found = ", ".join(map(repr, table.columns[:5]))
        raise SeqplrpError(f"{path}, line 1", f"there is no column id (found {found})", "name the first column id")
    if len(table.columns) < 2 or set(table.columns) == {"id", "split"}:
        raise SeqplrpError(f"{path}, line 1", "there is no column of labels", "add a column class, or one per class")
    repeated = table["id"].duplicated()
    if repeated.any():
        line = repeated.idxmax()
        raise SeqplrpError(f"{path}, line {line}", f"the id {table.at[line, 'id']!r} is there twice", "leave one out")
    if "split" in table:
        table["split"] = _read_splits(table["split"], path)
    return table


def read_table(path: Path) -> pd.DataFrame:
    """Read a tab-separated table of text with a header, and refuse rows of another length than the header's.

    Returns
    -------
    DataFrame of str
        The index holds the file's line numbers.

    Raises
    ------
    SeqplrpError
        With file and line: rows that are longer or shorter than the header, a column that is there twice, stray
        quotes, unprintable characters, no text, nothing at all.

    Notes
    -----
    pandas takes the first fields of rows that are longer than the header for an index, and fills up shorter ones.
    """
    rows: dict[int, list[str]] = {}
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter="\t", strict=True)
            for row in reader:
                if row:  # an empty line says nothing
                    rows[reader.line_num] = row
                if not "".join(row).isprintable():  # these become names, in tables and on terminals
                    where = f"{path}, line {reader.line_num}"
                    raise SeqplrpError(where, "holds unprintable characters", "give names in plain text")
    except UnicodeDecodeError as error:
        byte = f"{error.object[error.start]:#04x}"
        raise SeqplrpError(path, f"is no text in UTF-8 (byte {byte})", "save it as UTF-8, tab-separated") from error
    except csv.Error as error:
        where = f"{path}, line {reader.line_num}"
        raise SeqplrpError(
            where, f"is not a tab-separated table ({first_line(error)})", "check its quotes and columns"
        ) from error
    if not rows:
        raise SeqplrpError(path, "is empty", "give a table with the columns id and class")
    (first, header), *others = rows.items()
    for line, row in others:
        if len(row) != len(header):
            raise SeqplrpError(
                f"{path}, line {line}",
                f"has {len(row)} fields, the header has {len(header)}",
                "separate fields with one tab each, and leave none out",
            )
    repeated = next((name for name, count in Counter(header).items() if count > 1), None)
    if repeated is not None:
        raise SeqplrpError(f"{path}, line {first}", f"the column {repeated!r} is there twice", "name it otherwise")
    return pd.DataFrame([row for _, row in others], columns=header, index=[line for line, _ in others], dtype=str)


def check_0_or_1(labels: pd.DataFrame, path: Path) -> None:
    """Raise a SeqplrpError for the first label that is neither, with the line that the index has for it."""
    wrong = ~np.isin(labels.to_numpy(dtype=str), ("0", "1"))
    if wrong.any():
        column, row = divmod(int(wrong.T.argmax()), len(labels))
        found = labels.iat[row, column]
        where = f"{path}, line {labels.index[row]}"
        raise SeqplrpError(where, f"column {labels.columns[column]!r} holds {found!r}", "write 0 or 1")


def _read_splits(column: pd.Series, path: Path) -> pd.Series:
    unknown = ~column.isin([*_SPLIT_NAMES, ""])
    if unknown.any():
        line = unknown.idxmax()
        raise SeqplrpError(
            f"{path}, line {line}",
            f"the split {column[unknown].iloc[0]!r} is not known",
            "write train, validation, test, or nothing",
        )
    return column.map(lambda name: _SPLIT_NAMES.get(name, ""))


def match_labels(labels: pd.DataFrame, ids: list[str], path: Path, fasta: Path) -> pd.DataFrame:
    """Return the labels in the order of the sequences' ids, without the column of ids.

    Raises
    ------
    SeqplrpError
        For a sequence without a label, and for a label without a sequence.
    """
    labelled, present = set(labels["id"]), set(ids)
    without = [name for name in ids if name not in labelled]
    if without:
        raise SeqplrpError(
            path,
            f"{len(without)} of {len(ids)} sequences in {fasta.name} have no label, the first is {without[0]!r}",
            "add their rows, or leave the sequences out",
        )
    surplus = ~labels["id"].isin(present)
    if surplus.any():
        line = surplus.idxmax()
        raise SeqplrpError(
            f"{path}, line {line}",
            f"{labels.at[line, 'id']!r} is not in {fasta.name} ({int(surplus.sum())} such rows)",
            "leave the rows out, or add the sequences",
        )
    order = pd.Series(labels.index, index=labels["id"]).loc[ids]
    return labels.loc[order.to_numpy()].drop(columns="id")


def interpret_labels(
    labels: pd.DataFrame, kind: Kind | Literal["auto"], path: Path
) -> tuple[Kind, list[str], npt.NDArray[np.float32]]:
    """Return what labels mean, the classes' names, and 0 or 1 for each sequence and class.

    Raises
    ------
    SeqplrpError
        For a kind that is none, or that these labels can't be of.
    """
    if kind != "auto" and kind not in KINDS:
        raise SeqplrpError("kind", f"{kind!r} is not known", f"choose auto, {', '.join(KINDS)}")
    if list(labels.columns) == ["class"]:
        return _interpret_names(labels["class"], kind, path)
    check_0_or_1(labels, path)
    table = labels.to_numpy() == "1"
    if kind == "auto":
        one_each = bool((table.sum(axis=1) == 1).all())
        kind = "binary" if table.shape[1] == 1 else "multiclass" if one_each else "multilabel"
    if kind == "binary" and table.shape[1] > 1:
        raise SeqplrpError(
            path, f"{table.shape[1]} columns of labels for --kind binary", "leave one column, or use auto"
        )
    return kind, [str(name) for name in labels.columns], table.astype(np.float32)


def _interpret_names(
    names: pd.Series, kind: Kind | Literal["auto"], path: Path
) -> tuple[Kind, list[str], npt.NDArray[np.float32]]:
    empty = names == ""
    if empty.any():
        raise SeqplrpError(f"{path}, line {empty.idxmax()}", "the class is empty", "name a class")
    classes = sorted(set(names))
    if len(classes) < 2:
        raise SeqplrpError(path, f"every sequence is of class {classes[0]!r}", "give sequences of another class")
    yes_no = {name.lower() for name in classes} in _BINARY_NAMES
    if kind == "binary" and not yes_no:
        raise SeqplrpError(
            path, f"the classes {', '.join(classes)} do not say which is positive", "name them 1 and 0, or use auto"
        )
    if kind == "multilabel":
        raise SeqplrpError(path, "a column class holds one class per sequence", "give one column of 0 and 1 per class")
    if yes_no and kind != "multiclass":
        positive = names.str.lower().isin(_TRUE_NAMES).to_numpy()
        return "binary", ["positive"], positive[:, None].astype(np.float32)
    columns = [(names == name).to_numpy() for name in classes]
    return "multiclass", classes, np.stack(columns, axis=1).astype(np.float32)
