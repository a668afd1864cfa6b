"""Simulated data as a directory of files."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd

from seqplrp.genomics.encoding import codes_to_strings
from seqplrp.genomics.fasta import write_fasta
from seqplrp.genomics.motifs import write_meme
from seqplrp.genomics.regions import write_truth_bed
from seqplrp.genomics.simulation.gc_matching import gc_count
from seqplrp.genomics.simulation.generate import SimulatedData, joined_classes
from seqplrp.genomics.simulation.task import dump_task
from seqplrp.genomics.textfile import unwritable


def write_simulated(directory: str | os.PathLike[str], data: SimulatedData) -> None:
    """Write simulated data.

    Parameters
    ----------
    directory : path
        Made if it is not there; files of the same names in it are replaced.
    data : SimulatedData

    Notes
    -----
    ``sequences.fa``
        The sequences.
    ``labels.tsv``
        ``id``, then one column of 0 and 1 for each class, in the task's order; label noise included.
    ``truth.bed``
        The instances: BED6 (score: 1000 for the best word), the motif's name in the task, and the classes that the
        instance supports (comma-joined; ``.``: none, a distractor).
    ``task.yaml``
        The task with n, seed and all matrices: simulating it makes the same files.
    ``sequences.tsv``
        ``id``, ``group``, ``class`` (before noise), ``noisy`` (1 if labels.tsv says otherwise), ``gc``.
    ``motifs.meme``
        The task's motifs under its names for them.
    ``accidental.bed``
        Only if the task says ``accidental: flag``: BED6 and the motif, for matches that were not planted.

    Raises
    ------
    SeqplrpError
        If the directory or a file cannot be written.
    """
    folder = Path(directory)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise unwritable(folder, problem) from None
    ids = np.array(data.ids, dtype=object)
    write_fasta(folder / "sequences.fa", zip(data.ids, codes_to_strings(data.sequences)))
    labels = pd.DataFrame(data.labels, columns=data.classes)
    labels.insert(0, "id", ids)
    _write_table(folder / "labels.tsv", labels)
    write_truth_bed(folder / "truth.bed", data.truth.assign(chrom=ids[data.truth["sequence"]]))
    _write_table(folder / "sequences.tsv", _descriptions(data))
    write_meme(folder / "motifs.meme", [use.motif for use in data.task.motifs])
    if data.task.accidental == "flag":
        _write_table(folder / "accidental.bed", _accident_bed(data, ids), header=False)
    _write_text(folder / "task.yaml", dump_task(data.task))


def _descriptions(data: SimulatedData) -> pd.DataFrame:
    names = np.array([group.name for group in data.task.groups], dtype=object)
    gc = gc_count(data.sequences) / data.sequences.shape[1]
    return pd.DataFrame(
        {
            "id": data.ids,
            "group": names[data.groups],
            "class": joined_classes(data.task, data.clean_labels.astype(bool), data.task.negative),
            "noisy": (data.labels != data.clean_labels).any(axis=1).astype(int),
            "gc": [f"{value:.4f}" for value in gc],
        }
    )


def _accident_bed(data: SimulatedData, ids: np.ndarray) -> pd.DataFrame:
    hits = data.accidental
    score = (-10 * np.log10(hits["p"].to_numpy(dtype=float))).round().astype(int) if len(hits) else []
    return pd.DataFrame(
        {
            "chrom": ids[hits["sequence"].to_numpy(dtype=np.int64)],
            "start": hits["start"],
            "end": hits["end"],
            "name": hits["motif"],
            "score": score,
            "strand": hits["strand"],
            "motif": hits["motif"],
        }
    )


def _write_table(path: Path, table: pd.DataFrame, *, header: bool = True) -> None:
    _write_text(path, table.to_csv(sep="\t", index=False, header=header, lineterminator="\n"))


def _write_text(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as problem:
        raise unwritable(path, problem) from None
