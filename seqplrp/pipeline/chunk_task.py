"""A chunk that is to be explained, and its part: the function that every executor runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch

from seqplrp.errors import SeqplrpError
from seqplrp.genomics import Record, tracks
from seqplrp.pipeline.formats import LEDGER, SUMMARY
from seqplrp.pipeline.session import Chunk, LargestBatch, Session
from seqplrp.storage import naming


@dataclass(frozen=True)
class Task:
    """A chunk that is to be explained.

    Parameters
    ----------
    number : int
        Which.
    first : int
        The number of its first record in the input.
    records : tuple of Record
        What to explain.
    path : Path
        Where its part is to be.
    run : str
        What tells this run's parts from another's.
    """

    number: int
    first: int
    records: tuple[Record, ...]
    path: Path
    run: str

    def texts(self, chunk: Chunk) -> dict[str, bytes]:
        """Return what its part holds beside the maps, when it was explained."""
        return {SUMMARY: as_text(chunk.summary), LEDGER: as_text(chunk.ledger)}


Do = Callable[[Task], None]
"""Explains a chunk, now or later; what fails is raised by a later call, or at the end."""


def explain_task(session: Session, seed: int, task: Task) -> Chunk:
    """Explain a chunk; what is drawn at random for it does not depend on others."""
    torch.manual_seed(seed + task.number)
    return session.explain(task.records, task.first)


def write_task(task: Task, chunk: Chunk, largest_batch: LargestBatch) -> None:
    """Write a chunk's part.

    Raises
    ------
    SeqplrpError
        If there is no folder for it any more.
    """
    about = {
        "run": task.run,
        "number": task.number,
        "sequences": len(task.records),
        "bases": sum(map(len, task.records)),
        "scores": len(chunk.summary),
        "negative_scores": int((chunk.summary["output"] < 0).sum()),
        "explain_seconds": round(chunk.seconds, 4),
        "notes": list(chunk.notes),
        "largest_batch": largest_batch,
    }
    try:
        with naming(task.path):
            tracks.write_explained(task.path, task.records, chunk.explained, texts=task.texts(chunk), about=about)
    except FileNotFoundError as error:
        raise SeqplrpError(task.path.parent, "was removed while the run was at work", "begin again") from error


def as_text(rows: pd.DataFrame) -> bytes:
    """Return a table as text: floats with nine significant digits, missing values as empty fields."""
    return str(rows.to_csv(sep="\t", index=False, float_format="%.9g", lineterminator="\n")).encode()
