"""Directories as ``seqplrp explain`` leaves them, made from arrays that a test chooses."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from seqplrp.genomics import Record, encode
from seqplrp.genomics.tracks import Explained, joined_parts, write_explained, write_npz, write_regions


def record(id: str, sequence: str, contig: str | None = None, start: int = 0, strand: str = "+") -> Record:
    return Record(id, sequence, contig or id, start, start + len(sequence), strand)


def write_directory(
    path: Path,
    records: Sequence[Record],
    per_base: Sequence[np.ndarray],
    *,
    outputs: Sequence[float] | None = None,
    classes: Sequence[str] | None = None,
    predicted: Sequence[int] | None = None,
    hypothetical: bool = True,
    summary: bool = True,
    method: str = "plrp",
    **arguments: object,
) -> Path:
    """Write what the readers need; hypothetical contributions are the relevance for the base present, 1 for others."""
    path.mkdir()
    with tempfile.TemporaryDirectory() as spool_directory:
        part = Path(spool_directory) / "part.npz"
        contributions = []
        for item, values in zip(records, per_base, strict=True):
            present = encode([item.sequence])[0] == np.arange(4)[:, None]
            contributions.append(np.where(present, values, 1.0))
        relevance = [np.asarray(values, np.float32) for values in per_base]
        write_explained(part, records, [Explained(relevance, contributions if hypothetical else None)])
        with joined_parts([part], Path(spool_directory) / "index") as (spool,):
            write_npz(path / "relevance.npz", spool)
            write_regions(path / "regions.bed", spool)
    manifest = {"method": f"{method.upper()}()", "arguments": {"method": method, **arguments}}
    (path / "manifest.json").write_text(json.dumps(manifest))
    if summary:
        table = pd.DataFrame(
            {
                "id": [item.id for item in records],
                "target": 0,
                "class": classes or ["on"] * len(records),
                "output": outputs or [1.0] * len(records),
            }
        )
        if predicted is not None:
            table["predicted"] = predicted
        table.to_csv(path / "summary.tsv", sep="\t", index=False)
    return path


def truth_table(*rows: tuple[str, int, int, str, str, str]) -> pd.DataFrame:
    """Rows of chrom, start, end, strand, motif, class."""
    columns = ["chrom", "start", "end", "strand", "motif", "class"]
    table = pd.DataFrame(rows, columns=columns)
    table.insert(3, "name", [f"m{i}" for i in range(len(rows))])
    table.insert(4, "score", 0.0)
    return table
