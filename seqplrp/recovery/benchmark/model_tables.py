"""What was measured of whole models: as one tidy table a protocol, its means over models, and the motifs found."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from seqplrp.genomics.motifs import write_meme
from seqplrp.recovery.benchmark.cell import PATTERNS_FILE, Cell, recipes_of
from seqplrp.recovery.benchmark.config import BenchmarkConfig
from seqplrp.recovery.benchmark.found_patterns import EFFECT_COLUMNS, PATTERN_COLUMNS, FoundPattern, from_plain
from seqplrp.recovery.benchmark.store import file_name, read_json, write_whole

MODEL_COLUMNS = ("task", "architecture", "seed", "method", "measure", "value")


def model_values(
    config: BenchmarkConfig, protocol: str, cells: Iterable[tuple[Cell, Mapping[str, Any]]]
) -> pd.DataFrame:
    """Return what a protocol of whole models gave.

    Parameters
    ----------
    config : BenchmarkConfig
    protocol : str
        A name of `MODEL_PROTOCOLS`.
    cells : iterable of (Cell, mapping)
        Finished cells, each with its manifest.

    Returns
    -------
    DataFrame
        One row a model, method and measure: `MODEL_COLUMNS` and ``group``; ``value`` is NaN where it is undefined.
    """
    methods, rows = list(recipes_of(config)), []
    for cell, manifest in cells:
        of_cell = manifest.get("of_model", {})
        head = (cell.task.name, cell.architecture.name, cell.seed)
        for method in methods:
            for measure, value in of_cell.get(method, {}).get(protocol, {}).items():
                rows.append((*head, method, measure, np.nan if value is None else value, cell.task.group))
    table = pd.DataFrame(rows, columns=[*MODEL_COLUMNS, "group"])
    return table.astype({"value": float})


def model_means(values: pd.DataFrame) -> pd.DataFrame:
    """Return the mean over models of what `model_values` returns.

    Returns
    -------
    DataFrame
        method, measure, ``mean``, ``low`` and ``high`` (the lowest and highest model's), ``n`` (models on which it is
        defined) and ``models`` (on which it was measured); each model counts the same.
    """
    grouped = values.groupby(["method", "measure"], sort=False)["value"]
    found = grouped.agg(["mean", "min", "max", "count", "size"]).reset_index()
    return found.rename(columns={"min": "low", "max": "high", "count": "n", "size": "models"})


@dataclass(frozen=True)
class MethodPatterns:
    """The motifs that were discovered from a method's maps of a model.

    Attributes
    ----------
    cell : Cell
    method : str
    patterns : tuple of FoundPattern
    """

    cell: Cell
    method: str
    patterns: tuple[FoundPattern, ...]


def model_patterns(
    config: BenchmarkConfig, protocol: str, cells: Iterable[tuple[Cell, Mapping[str, Any]]], out: Path
) -> list[MethodPatterns] | None:
    """Return the motifs that a protocol of whole models found, by model and method.

    Parameters
    ----------
    config, protocol, cells
        As `model_values` takes them.
    out : Path
        The run's directory.

    Returns
    -------
    list of MethodPatterns or None
        None where a cell keeps no patterns of a method that it was measured for: its version measured without keeping
        them, and a table without them would say that nothing was found.
    """
    found = []
    for cell, manifest in cells:
        kept = read_json(cell.folder(out) / PATTERNS_FILE) or {}
        for method in recipes_of(config):
            if protocol not in manifest.get("of_model", {}).get(method, {}):
                continue
            if protocol not in kept.get(method, {}):
                return None
            found.append(MethodPatterns(cell, method, from_plain(kept[method][protocol])))
    return found


def pattern_table(config: BenchmarkConfig, found: Iterable[MethodPatterns]) -> pd.DataFrame:
    """Return one row a model, method and motif that was discovered.

    Returns
    -------
    DataFrame
        task, architecture, seed, method; the columns of `PATTERN_COLUMNS`, and those of `EFFECT_COLUMNS` where effects
        were measured, which `FoundPattern` describes; and ``meme``, the motif's identifier in the model's MEME file.
    """
    words, listed = _words(config), list(found)
    effects = EFFECT_COLUMNS if any(one.effect is not None for of in listed for one in of.patterns) else ()
    rows = []
    for of in listed:
        head = (of.cell.task.name, of.cell.architecture.name, of.cell.seed, of.method)
        for one in of.patterns:
            values = (getattr(one, name) for name in (*PATTERN_COLUMNS, *effects))
            rows.append((*head, *values, _identifier(words, of.method, one)))
    columns = [*MODEL_COLUMNS[:4], *PATTERN_COLUMNS, *effects, "meme"]
    return pd.DataFrame(rows, columns=columns).astype({"best_q": float})


def write_patterns(config: BenchmarkConfig, protocol: str, found: Iterable[MethodPatterns] | None, out: Path) -> None:
    """Write the table of the motifs that were discovered, and their matrices: a MEME file for each model.

    What an earlier state left is removed; where `found` is None, nothing is written in its place.
    """
    table, folder = pattern_paths(out, protocol)
    shutil.rmtree(folder, ignore_errors=True)
    if found is None:
        table.unlink(missing_ok=True)
        return
    listed, words = list(found), _words(config)
    write_whole(table, as_text(pattern_table(config, listed)))
    folder.mkdir()
    by_cell: dict[Cell, list[MethodPatterns]] = {}
    for of in listed:
        by_cell.setdefault(of.cell, []).append(of)
    for cell, of_cell in by_cell.items():
        motifs = [one.motif(_identifier(words, of.method, one)) for of in of_cell for one in of.patterns]
        if motifs:  # the format has no file without one
            write_meme(folder / f"{cell.task.name}.{cell.architecture.name}.seed{cell.seed}.meme", motifs)


def pattern_paths(out: Path, protocol: str) -> tuple[Path, Path]:
    """Return where the table of the motifs that a protocol found is, and the folder of their matrices."""
    return out / f"{protocol}_patterns.tsv", out / f"{protocol}_patterns"


def _identifier(words: Mapping[str, str], method: str, pattern: FoundPattern) -> str:
    return f"{words[method]}/{pattern.pattern}"


def _words(config: BenchmarkConfig) -> dict[str, str]:
    """Return a word for each method, as identifiers hold no blanks; different ones for different names."""
    names = list(recipes_of(config))
    words = {name: "_".join(name.split()) for name in names}
    taken = list(words.values())
    return {
        name: word if taken.count(word) == 1 and word.isprintable() else file_name(name) for name, word in words.items()
    }


def as_text(table: pd.DataFrame) -> bytes:
    """Return a table as tab-separated text; the same values give the same bytes."""
    return table.to_csv(sep="\t", index=False, float_format="%.8g", lineterminator="\n").encode()
