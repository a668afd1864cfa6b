"""A finished run as one page: its report, with all means and tests to look through."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from seqplrp.benchmark.summary import ALL
from seqplrp.benchmark.verdicts import BETTER, BETTER_BY_ONE, UNDECIDED, WORSE, WORSE_BY_ONE
from seqplrp.benchmark.written_report import read_report
from seqplrp.errors import SeqplrpError, first_line
from seqplrp.evaluate import MEASURES, PROTOCOL_MEASURES, Measure
from seqplrp.plot import Explorer, PageBlock, PageCheck, PageHeading, PagePicture, PageText, TablesPage
from seqplrp.storage import parse_json

_FORMAT = "seqplrp-benchmark"
_KEYS = ("group", "task", "architecture", "method", "measure")
_NUMBERS = ("mean", "low", "high", "n", "cost_ratio", "difference", "p_holm", "p_models_holm")


def benchmark_page(folder: Path | str, *, title: str | None = None, measures: Iterable[Measure] = ()) -> TablesPage:
    """Read a benchmark's directory, and make the page of it.

    Parameters
    ----------
    folder : path
        What ``seqplrp benchmark`` or ``seqplrp image benchmark`` wrote, whatever the kind of input. The run need not be
        finished: the page shows what was reported.
    title : str, optional
        That of the report if None.
    measures : iterable of Measure
        Those of a kind of input, which the tables name and `seqplrp.evaluate` does not have: their labels, and which
        way is better.

    Raises
    ------
    SeqplrpError
        If it is no such directory, nothing was reported yet, or a table is damaged.
    """
    folder = Path(folder)
    known = MEASURES | PROTOCOL_MEASURES | {one.name: one for one in measures}
    _check_format(folder / "benchmark.json")
    blocks = read_report(folder)
    head, lead, rest = _head(blocks)
    summary = _table(folder / "summary.tsv", (*_KEYS, "mean"))
    models = _table(folder / "models.tsv", ("task", "architecture", "status"))
    explorer = None if summary is None else _explorer(summary, known)
    tables = {
        "models": models,
        "must hold": _table(folder / "must_hold.tsv", ("claim", "verdict")),
        "tests": _table(folder / "tests.tsv", (*_KEYS[:3], "measure", "reference", "other", "verdict")),
    }
    return TablesPage(
        title=title or head,
        lead=lead,
        blocks=rest,
        checks=list(_checks(tables, known)),
        explorer=explorer,
        details=[("directory", str(folder))],
    )


def _check_format(path: Path) -> None:
    remedy = "name a directory that `seqplrp benchmark` wrote"
    try:
        content = parse_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SeqplrpError(path, "there is no such file", remedy) from None
    except (OSError, ValueError) as error:
        raise SeqplrpError(path, f"can't be read ({first_line(error)})", remedy) from error
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise SeqplrpError(path, "marks no benchmark of seqplrp", remedy)


def _head(blocks: list[PageBlock]) -> tuple[str, str, list[PageBlock]]:
    """Take the title and what is said under it off the report."""
    rest = list(blocks)
    title, lead = "Benchmark", ""
    match rest:
        case [PageHeading(text), *rest]:
            title = text
    match rest:
        case [PageText(text, warning=False), *rest]:
            lead = text
    return title, lead, list(_pictures_apart(rest))


def _pictures_apart(blocks: list[PageBlock]) -> Iterator[PageBlock]:
    """Give the pictures of a group a heading of their own: else they are under that of its last task, which folds."""
    before: PageBlock | None = None
    for block in blocks:
        if isinstance(block, PagePicture) and not isinstance(before, PagePicture):
            yield PageHeading("Pictures", 3)
        yield block
        before = block


def _table(path: Path, needed: tuple[str, ...]) -> pd.DataFrame | None:
    """Read a table that may not be there.

    Raises
    ------
    SeqplrpError
        If it is there and no table, or lacks a column.
    """
    if not path.is_file():
        return None
    remedy = "repeat the benchmark's command with --cells 0, which writes it anew"
    try:
        table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False, encoding="utf-8")
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        if isinstance(error, pd.errors.EmptyDataError):  # nothing could be tested
            return None
        raise SeqplrpError(path, f"is no table ({first_line(error)})", remedy) from error
    lacking = [name for name in needed if name not in table]
    if lacking and len(table.columns):
        raise SeqplrpError(path, f"has no column {lacking[0]!r}", remedy)
    return table


def _explorer(summary: pd.DataFrame, known: Mapping[str, Measure]) -> Explorer:
    texts = [*_KEYS, *(name for name in ("tested", "verdict") if name in summary)]
    numbers = [name for name in _NUMBERS if name in summary]
    named = [name for name in pd.unique(summary["measure"]) if name in known]
    tested = [name for name in pd.unique(summary["tested"]) if name] if "tested" in summary else []
    first = next((name for name in ("auprc", "rma") if name in named), "")
    return Explorer(
        keys={name: summary[name].tolist() for name in texts},
        numbers={name: pd.to_numeric(summary[name], errors="coerce").to_numpy(np.float64).tolist() for name in numbers},
        labels={name: known[name].label for name in named},
        better={name: known[name].better for name in named},
        first=first,
        strong=tested[0] if tested else "",
    )


def _checks(tables: Mapping[str, pd.DataFrame | None], known: Mapping[str, Measure]) -> Iterator[PageCheck]:
    models, held, tests = tables["models"], tables["must hold"], tables["tests"]
    if models is not None and len(models):
        yield _models(models)
    if held is not None and len(held):
        yield _held(held)
    if tests is not None and len(tests):
        yield from _against_peers(tests, known)


def _models(models: pd.DataFrame) -> PageCheck:
    scored = int((models["status"] == "scored").sum())
    tasks, nets = models["task"].nunique(), models["architecture"].nunique()
    counted = f"{_several(tasks, 'task')}, {_several(nets, 'architecture')}"
    text = f"{_several(len(models), 'model')}: {counted}. {scored} {'was' if scored == 1 else 'were'} scored"
    others = models.loc[models["status"] != "scored", "status"].value_counts()
    if len(others):
        text += "; " + ", ".join(f"{count} {status}" for status, count in others.items())
    return PageCheck("Models", "good" if scored == len(models) else "warn", text + ".")


def _several(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"


def _held(held: pd.DataFrame) -> PageCheck:
    counts = held["verdict"].value_counts()
    holds = int(counts.get("holds", 0))
    missed = held.loc[held["verdict"] != "holds"]
    named = [f"{row.claim}{f' ({row.measure})' if 'measure' in held else ''}" for row in missed.itertuples()]
    text = f"{holds} of {len(held)} claims hold." + (f" Not: {'; '.join(map(str, named))}." if named else "")
    return PageCheck("What it is held to", "good" if not named else "warn", text)


def _against_peers(tests: pd.DataFrame, known: Mapping[str, Measure]) -> Iterator[PageCheck]:
    """Count verdicts over all tasks and architectures of the first group, for each tested method."""
    whole = tests[(tests["task"] == ALL) & (tests["architecture"] == ALL)]
    if whole.empty:
        return
    whole = whole[whole["group"] == whole["group"].iloc[0]]
    for reference, rows in list(whole.groupby("reference", sort=False))[:3]:
        verdict = rows["verdict"]
        better, worse = verdict.isin([BETTER, BETTER_BY_ONE]), verdict.isin([WORSE, WORSE_BY_ONE])
        unclear = int((verdict == UNDECIDED).sum())
        told = f"Of {len(rows)} comparisons (a measure and a peer each): better in {int(better.sum())}, worse in "
        told += f"{int(worse.sum())}, undecided in {unclear}, else not to be told apart."
        if worse.any():
            by = rows[worse].groupby("measure", sort=False)["other"].agg(", ".join)
            told += (
                " Worse: "
                + "; ".join(
                    f"{known[name].label if name in known else name} than {others}" for name, others in by.items()
                )
                + "."
            )
        yield PageCheck(f"{reference} against peers", "warn" if worse.any() else "good", told)
