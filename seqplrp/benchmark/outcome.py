"""A run from its description to its report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from seqplrp.benchmark.config import BenchmarkConfig
from seqplrp.benchmark.curve_pictures import draw_curves
from seqplrp.benchmark.curve_tables import CURVE_TABLES, curves_of_run
from seqplrp.benchmark.must_hold import held_table, held_to
from seqplrp.benchmark.pictures import draw_pictures
from seqplrp.benchmark.report import write_report
from seqplrp.benchmark.runner import RESULTS_FILE, Listener, RunState, run_cells, run_state
from seqplrp.benchmark.summary import Summary, in_words, summarise_run, summary_rows
from seqplrp.errors import SeqplrpError
from seqplrp.storage import write_whole

HELD_FILE = "must_hold.tsv"


@dataclass(frozen=True)
class Outcome:
    """What a run left.

    Attributes
    ----------
    state : RunState or None
        None where cells were not run, only reported.
    summary : Summary
    files : list of Path
        What to look at: report, tables, pictures.
    """

    state: RunState | None
    summary: Summary
    files: list[Path]


def run_benchmark(
    config: BenchmarkConfig,
    out: Path | str,
    *,
    most: int | None = None,
    again: bool = False,
    listener: Listener | None = None,
) -> Outcome:
    """Make the cells that are missing, then tables, pictures and report of all that are finished.

    Parameters
    ----------
    config, out, most, again, listener
        As `run_cells` takes them.

    Raises
    ------
    SeqplrpError
        As `run_cells` does, and where no cell is to be made and none is finished.
    """
    if most == 0 and not (Path(out).is_dir() and run_state(config, out, again=again).finished):
        raise SeqplrpError(
            Path(out), "holds no finished cell of this benchmark", "run it first: 0 cells only report what is finished"
        )
    state = run_cells(config, out, most=most, again=again, listener=listener)
    outcome = report_run(config, out)
    return Outcome(state, outcome.summary, outcome.files)


def report_run(config: BenchmarkConfig, out: Path | str) -> Outcome:
    """Make tables, pictures and report of the cells that are finished.

    Raises
    ------
    SeqplrpError
        If none is.
    """
    folder = Path(out)
    summary = summarise_run(config, folder)
    if not summary.cells:
        raise SeqplrpError(folder, "holds no finished cell of this benchmark", "run it first")
    words = config.domain.words
    _write_table(in_words(summary_rows(summary), words), folder / "summary.tsv")
    _write_table(in_words(summary.tests, words), folder / "tests.tsv")
    _write_table(summary.costs, folder / "costs.tsv")
    _write_table(summary.models, folder / "models.tsv")
    _write_held(summary, folder / HELD_FILE)
    for name, means in summary.of_models.items():
        _write_table(means, folder / f"{name}_summary.tsv")
    curves = curves_of_run(summary)
    for name, kind in CURVE_TABLES.items():
        (folder / kind.file).unlink(missing_ok=True)
        if name in curves:
            _write_table(in_words(curves[name], words), folder / kind.file)
    pictures = [*draw_pictures(summary, folder), *draw_curves(summary, curves, folder)]
    reports = write_report(summary, pictures, folder)
    tables = [folder / name for name in ("summary.tsv", "tests.tsv", "costs.tsv", "models.tsv", RESULTS_FILE)]
    tables += [path for path in (folder / HELD_FILE, folder / "results.parquet") if path.exists()]
    tables += [folder / name for one in summary.of_models for name in (f"{one}.tsv", f"{one}_summary.tsv")]
    tables += [folder / CURVE_TABLES[name].file for name in curves]
    known = config.domain.model_protocols
    tables += [path for one in summary.of_models for path in known[one].paths(folder, one) if path.exists()]
    return Outcome(None, summary, [*reports, *tables, folder / "pictures"])


def _write_held(summary: Summary, path: Path) -> None:
    """Write what the default is held to, or take away what an earlier description was."""
    held = held_to(summary)
    if held:
        _write_table(held_table(held), path)
    else:
        path.unlink(missing_ok=True)


def _write_table(table: pd.DataFrame, path: Path) -> None:
    write_whole(path, table.to_csv(sep="\t", index=False, float_format="%.6g", lineterminator="\n").encode())
