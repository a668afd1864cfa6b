"""Training data from files: a directory of sequences and labels, or positives and negatives."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from seqplrp.errors import SeqplrpError, first_line
from seqplrp.genomics import Record, dinucleotide_shuffle, encode, read_fasta
from seqplrp.models.config import KINDS, Advice, Kind
from seqplrp.models.dataset import SPLITS, TEST, TRAIN, VALIDATION, Codes, SequenceData, make_dataset

SHUFFLE = "shuffle"

_SPLIT_NAMES = {name: name for name in SPLITS} | {"valid": VALIDATION, "val": VALIDATION, "training": TRAIN}
_BINARY_NAMES = ({"0", "1"}, {"negative", "positive"}, {"neg", "pos"}, {"false", "true"}, {"no", "yes"})
_TRUE_NAMES = {"1", "positive", "pos", "true", "yes"}


@dataclass(frozen=True)
class ReadOptions:
    """How training files are read and divided.

    Parameters
    ----------
    length : int or None
        Crop every sequence about its centre to this length, or pad it with N. None: take them as they are.
    iupac : {"reject", "n"}
        Whether IUPAC letters other than N are an error or read as N.
    validation_fraction, test_fraction : float
        Shares held out where no file and no ``split`` column says which.
    seed : int
        Of the split and of the shuffles.
    """

    length: int | None = None
    iupac: Literal["reject", "n"] = "reject"
    validation_fraction: float = 0.1
    test_fraction: float = 0.1
    seed: int = 0


def read_labelled_directory(
    directory: Path | str, *, kind: Kind | Literal["auto"] = "auto", options: ReadOptions | None = None
) -> SequenceData:
    """Read ``sequences.fa`` (or ``.fa.gz``) and ``labels.tsv``, as ``seqplrp simulate`` writes them.

    ``labels.tsv`` is tab-separated with a header: ``id``, optionally ``split`` (train, validation, test), and either
    one column ``class`` with names or one column of 0 and 1 per class.

    Parameters
    ----------
    directory : path
        Where the two files are.
    kind : {"auto", "binary", "multilabel", "multiclass"}
        What the labels mean. "auto": one column of 0 and 1 is binary; several are multi-class if every row has exactly
        one 1, multi-label otherwise; ``class`` is binary for two names that say yes and no (1/0, positive/negative,
        ...), multi-class otherwise.
    options : ReadOptions, optional
        How to read and divide.

    Returns
    -------
    SequenceData

    Raises
    ------
    SeqplrpError
        For missing files, sequences of different lengths, ids that are in one file alone, labels that are not 0 or 1
        (with their line), and all that `make_dataset` refuses.
    """
    chosen = options or ReadOptions()
    folder = Path(directory)
    fasta = _find_sequences(folder)
    labels = _read_labels(folder / "labels.tsv")
    ids, sequences, overlaps = _read_sequences(fasta, chosen)
    labels = _match_labels(labels, ids, folder / "labels.tsv", fasta)
    split = labels.pop("split") if "split" in labels else None
    found, classes, table = _interpret_labels(labels, kind, folder / "labels.tsv")
    return make_dataset(
        _encode(ids, sequences, fasta),
        table,
        kind=found,
        classes=classes,
        ids=ids,
        split=None if split is None else split.to_numpy(dtype="U10"),
        related=[overlaps],
        source={"data": str(directory), "length": chosen.length},
        **_division(chosen),
    )


def read_positives_negatives(
    positives: Path | str,
    negatives: Path | str,
    *,
    test_positives: Path | str | None = None,
    test_negatives: Path | str | None = None,
    options: ReadOptions | None = None,
) -> SequenceData:
    """Read a binary task from FASTA files of positives and negatives, or make the negatives by shuffling.

    Parameters
    ----------
    positives : path
        FASTA of the class "positive".
    negatives : path or "shuffle"
        FASTA of negatives; "shuffle" makes one dinucleotide shuffle of every positive, which stays in its positive's
        split. A shuffle that comes out equal to its positive is left out and said.
    test_positives, test_negatives : path, optional
        FASTA of the test set; without them a share is held out. With ``negatives="shuffle"`` the test negatives may be
        left out: then the test positives are shuffled too.
    options : ReadOptions, optional
        How to read and divide.

    Returns
    -------
    SequenceData
        With one class, "positive".

    Raises
    ------
    SeqplrpError
        As `read_labelled_directory`.
    """
    chosen = options or ReadOptions()
    if test_negatives is not None and test_positives is None:
        raise SeqplrpError("--test-negatives", "given without --test-positives", "give both, or neither")
    parts = [_read_contrast(positives, negatives, "", chosen, stream=2)]
    if test_positives is not None:
        if test_negatives is None and str(negatives) != SHUFFLE:
            raise SeqplrpError("--test-positives", "given without --test-negatives", "give both, or neither")
        parts.append(_read_contrast(test_positives, test_negatives or SHUFFLE, TEST, chosen, stream=3))
    offset = len(parts[0].ids)
    for part in parts[1:]:
        part.related += offset
    _check_one_length({str(part.where): part.codes.shape[1] for part in parts})
    return make_dataset(
        np.concatenate([part.codes for part in parts]),
        np.concatenate([part.labels for part in parts]),
        kind="binary",
        classes=["positive"],
        ids=[name for part in parts for name in part.ids],
        split=np.concatenate([part.split for part in parts]),
        related=[np.concatenate([part.related for part in parts])],
        notes=[note for part in parts for note in part.notes],
        source={
            "positives": str(positives),
            "negatives": str(negatives),
            "test_positives": None if test_positives is None else str(test_positives),
            "test_negatives": None if test_negatives is None else str(test_negatives),
            "length": chosen.length,
        },
        **_division(chosen),
    )


@dataclass
class _Contrast:
    """Positives and negatives that belong to one split (or to an open one, "")."""

    where: Path
    codes: Codes
    labels: npt.NDArray[np.float32]
    ids: list[str]
    split: npt.NDArray[np.str_]
    related: npt.NDArray[np.intp]
    notes: list[Advice]


def _read_contrast(
    positives: Path | str, negatives: Path | str, split: str, options: ReadOptions, stream: int
) -> _Contrast:
    path = Path(positives)
    ids, sequences, overlaps = _read_sequences(path, options)
    inside = _encode(ids, sequences, path)
    notes: list[Advice] = []
    if str(negatives) == SHUFFLE:
        outside = dinucleotide_shuffle(inside, np.random.default_rng([options.seed, stream]))
        kept = np.flatnonzero((outside != inside).any(axis=1))
        if len(kept) < len(inside):
            what = f"{len(inside) - len(kept)} sequences have no other shuffle (too few different bases)"
            notes.append(Advice(str(path), what, "leave them out; they have no negative now"))
        outside, partner = outside[kept], overlaps[kept]
        outside_ids = [f"{ids[row]}_shuffled" for row in kept]
    else:
        outside_ids, sequences, partner = _read_sequences(Path(negatives), options)
        outside = _encode(outside_ids, sequences, Path(negatives))
        _check_one_length({str(path): inside.shape[1], str(negatives): outside.shape[1]})
        partner += len(inside)
    return _Contrast(
        where=path,
        codes=np.concatenate([inside, outside]),
        labels=np.repeat(np.array([[1.0], [0.0]], dtype=np.float32), [len(inside), len(outside)], axis=0),
        ids=[*ids, *outside_ids],
        split=np.full(len(inside) + len(outside), split, dtype="U10"),
        related=np.concatenate([overlaps, partner]),
        notes=notes,
    )


def _division(options: ReadOptions) -> dict[str, Any]:
    return {
        "seed": options.seed,
        "validation_fraction": options.validation_fraction,
        "test_fraction": options.test_fraction,
    }


def _find_sequences(folder: Path) -> Path:
    if not folder.is_dir():
        raise SeqplrpError(folder, "there is no such directory", "name one with sequences.fa and labels.tsv in it")
    for name in ("sequences.fa", "sequences.fa.gz"):
        if (folder / name).is_file():
            return folder / name
    raise SeqplrpError(
        folder / "sequences.fa",
        "there is no such file",
        "name a directory that seqplrp simulate wrote, or use --positives and --negatives",
    )


def _read_sequences(path: Path, options: ReadOptions) -> tuple[list[str], list[str], npt.NDArray[np.intp]]:
    """Ids, sequences, and numbers that are the same for records that overlap on the genome."""
    records = list(read_fasta(path, iupac=options.iupac))
    sequences = [record.sequence for record in records]
    if options.length is not None:
        sequences = [_fit(sequence, options.length) for sequence in sequences]
    return [record.id for record in records], sequences, _overlaps(records)


def _overlaps(records: list[Record]) -> npt.NDArray[np.intp]:
    """Number the records so that those whose regions overlap, directly or in a chain, share a number.

    A record without coordinates is a contig of its own and overlaps nothing.
    """
    numbers = np.arange(len(records))
    contig, end, number = "", 0, -1
    for row in sorted(range(len(records)), key=lambda row: (records[row].contig, records[row].start)):
        record = records[row]
        if record.contig != contig or record.start >= end:
            contig, end, number = record.contig, record.end, row
        end = max(end, record.end)
        numbers[row] = number
    return numbers


def _fit(sequence: str, length: int) -> str:
    """Crop or pad with N about the centre."""
    surplus = len(sequence) - length
    if surplus >= 0:
        return sequence[surplus // 2 : surplus // 2 + length]
    left = -surplus // 2
    return "N" * left + sequence + "N" * (-surplus - left)


def _encode(ids: list[str], sequences: list[str], path: Path) -> Codes:
    lengths = Counter(map(len, sequences))
    if len(lengths) > 1:
        common = lengths.most_common()
        odd = next(row for row, text in enumerate(sequences) if len(text) != common[0][0])
        listed = ", ".join(f"{length} ({number} times)" for length, number in common[:3])
        raise SeqplrpError(
            path,
            f"sequences of {len(lengths)} lengths: {listed}{', ...' if len(common) > 3 else ''}; "
            f"{ids[odd]} has {len(sequences[odd])} bases",
            "give sequences of one length, or crop and pad them with --length",
        )
    return encode(sequences)


def _check_one_length(lengths: dict[str, int]) -> None:
    if len(set(lengths.values())) > 1:
        (first, first_length), (second, second_length) = list(lengths.items())[:2]
        raise SeqplrpError(
            second,
            f"sequences of {second_length} bases where {first} has {first_length}",
            "give sequences of one length, or crop and pad them with --length",
        )


def _read_labels(path: Path) -> pd.DataFrame:
    """Read the table as text, with row numbers that are the file's line numbers."""
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


def _match_labels(labels: pd.DataFrame, ids: list[str], path: Path, fasta: Path) -> pd.DataFrame:
    """Bring the labels into the sequences' order."""
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


def _interpret_labels(
    labels: pd.DataFrame, kind: Kind | Literal["auto"], path: Path
) -> tuple[Kind, list[str], npt.NDArray[np.float32]]:
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
