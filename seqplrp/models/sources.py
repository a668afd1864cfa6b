"""Training data from files: a directory of sequences and labels, or positives and negatives."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from seqplrp.errors import SeqplrpError
from seqplrp.genomics import Record, dinucleotide_shuffle, encode, read_fasta
from seqplrp.models.config import Advice, Kind
from seqplrp.models.dataset import TEST, Codes, SequenceData, make_dataset
from seqplrp.models.labels import interpret_labels, match_labels, read_labels

SHUFFLE = "shuffle"


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
    labels = read_labels(folder / "labels.tsv")
    ids, sequences, overlaps = _read_sequences(fasta, chosen)
    labels = match_labels(labels, ids, folder / "labels.tsv", fasta)
    split = labels.pop("split") if "split" in labels else None
    found, classes, table = interpret_labels(labels, kind, folder / "labels.tsv")
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
