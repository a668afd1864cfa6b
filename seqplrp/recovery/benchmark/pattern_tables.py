"""The motifs that were discovered from methods' maps, in tables and MEME files of a run."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from seqplrp.benchmark import MODEL_COLUMNS, PATTERNS_FILE, BenchmarkConfig, Cell, as_text, file_name, recipes_of
from seqplrp.genomics.motifs import write_meme
from seqplrp.recovery.benchmark.found_patterns import EFFECT_COLUMNS, PATTERN_COLUMNS, FoundPattern, from_plain
from seqplrp.storage import read_json, write_whole


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
    config : BenchmarkConfig
    protocol : str
        A name of `MODEL_PROTOCOLS`.
    cells : iterable of (Cell, mapping)
        Finished cells, each with its manifest.
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


def write_found(
    config: BenchmarkConfig, protocol: str, finished: Sequence[tuple[Cell, Mapping[str, Any]]] | None, out: Path
) -> None:
    """Write what a protocol found in finished cells, and remove what an earlier state left.

    Where `finished` is None, as the run does not name the protocol, nothing is written in its place.
    """
    found = None if finished is None else model_patterns(config, protocol, finished, out)
    write_patterns(config, protocol, found, out)


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
