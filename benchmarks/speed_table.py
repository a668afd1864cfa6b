"""The results of the speed benchmark as markdown, csv and json."""

from __future__ import annotations

import csv
import io
import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from reported import BesideGxi, aligned, write_files

Level = Literal["call", "engine"]


@dataclass(frozen=True)
class Ratio:
    """How many times as long as gxi: the median and quartiles over pairs."""

    median: float
    low: float
    high: float
    pairs: tuple[float, ...]

    @classmethod
    def of(cls, pairs: Sequence[float]) -> Ratio:
        if len(pairs) == 1:
            return cls(pairs[0], pairs[0], pairs[0], tuple(pairs))
        low, median, high = statistics.quantiles(pairs, n=4, method="inclusive")
        return cls(median, low, high, tuple(pairs))

    def __str__(self) -> str:
        return f"{_short(self.median)} ({_short(self.low)}-{_short(self.high)})"


@dataclass(frozen=True)
class Result(BesideGxi):
    """One row, measured or with the reason why it was not.

    Attributes
    ----------
    net, row, source : str
        Which.
    batch : int
        How many inputs each call explained, gxi's too.
    call, engine : Ratio or None
        At both levels; None where there is no such level or it was not run.
    gxi_ms, ms : float or None
        Medians of gxi and of the whole call (of the engine where there is no such call), in milliseconds.
    gxi_bytes, peak_bytes, plan_bytes : int or None
        Peak memory of gxi and of the call, and what the plan holds.
    limit, memory_limit : float or None
        At most so many times gxi.
    notes : tuple of str
        Why something was not run, and what the row warned of.
    failed : bool
        Whether something went wrong that is no known reason.
    """

    net: str
    row: str
    source: str
    batch: int
    call: Ratio | None = None
    engine: Ratio | None = None
    gxi_ms: float | None = None
    ms: float | None = None
    gxi_bytes: int | None = None
    peak_bytes: int | None = None
    plan_bytes: int | None = None
    limit: float | None = None
    memory_limit: float | None = None
    notes: tuple[str, ...] = ()
    failed: bool = False

    @property
    def too_much_memory(self) -> bool:
        """Whether the call's peak exceeds its limit."""
        return self.memory is not None and self.memory_limit is not None and self.memory > self.memory_limit


@dataclass(frozen=True)
class Report:
    """All that one run of the benchmark found."""

    facts: Mapping[str, Any]
    options: Mapping[str, Any]
    nets: Mapping[str, str]
    results: Sequence[Result] = ()
    preparation: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    planned: int = 0
    problems: Sequence[str] = ()


def exceeding(results: Sequence[Result], level: Level) -> list[str]:
    """Name every row that exceeds its limits, or that has limits and could not be held against them."""
    lines = []
    for result in results:
        where = f"{result.row} on {result.net}"
        if result.limit is not None:
            ratio: Ratio | None = getattr(result, level)
            if ratio is None:
                lines.append(f"{where}: time not measured ({'; '.join(result.notes) or 'no reason given'})")
            elif ratio.median > result.limit:
                lines.append(f"{where}: {level} takes {ratio} x gxi, at most {result.limit:g}")
        if result.memory_limit is not None:
            if result.memory is None:
                lines.append(f"{where}: memory not measured ({'; '.join(result.notes) or 'no reason given'})")
            elif result.too_much_memory:
                lines.append(f"{where}: memory {result.memory:.2f} x gxi, at most {result.memory_limit:g}")
    return lines


# ---- markdown

_HEAD = (
    "row",
    "whole call",
    "engine",
    "limit",
    "holds for",
    "memory",
    "with the plan",
    "ms",
    "batch",
    "pairs",
    "notes",
)

_EXPLAINED = (
    "Each row is a ratio to gradient x input (gxi) of the same model and batch in the same process: the median over "
    "pairs of runs, with quartiles. *Whole call*: `explainer(X, target=0, batch_size=len(X))`, or the peer's own call. "
    "*Engine*: forward and back on a prepared plan, without checks, ledger table and copies. *Memory*: peak above what "
    "was in use before the call, over gxi's; *with the plan* adds the weights that the plan keeps beside the model's. "
    "*ms*: one whole call (of the engine where there is no other). *Pairs*: whole call/engine. More in "
    "`benchmarks/README.md`."
)


def markdown(report: Report) -> str:
    """Return the table for people."""
    options = ", ".join(f"{name} {value}" for name, value in report.options.items() if value is not None)
    done = len(report.results)
    parts = ["# Speed, as multiples of gradient x input", ""]
    parts += [f"- {name}: {value}" for name, value in report.facts.items() if value is not None]
    parts += [f"- options: {options}", ""]
    if done < report.planned:
        parts += [f"**Unfinished: {done} of {report.planned} rows.**", ""]
    parts += [f"**Failed: {problem}**\n" for problem in report.problems]
    parts += [_EXPLAINED, ""]
    for net, title in report.nets.items():
        results = [result for result in report.results if result.net == net]
        parts += [f"## {net}: {title}", ""]
        gxi = next((r.gxi_ms for r in results if r.source == "gxi" and r.gxi_ms is not None), None)
        if gxi is not None:
            parts += [f"gxi itself: {_short(gxi)} ms.", ""]
        notes: list[str] = []
        if results:
            parts += [*aligned(_HEAD, [_cells(result, notes) for result in results]), ""]
            parts += [f"{number}. {note}" for number, note in enumerate(notes, 1)] + [""] * bool(notes)
        if net in report.preparation:
            parts += ["Once for a model:", ""]
            parts += [*aligned(("what", "ms"), [(k, _short(v)) for k, v in report.preparation[net].items()]), ""]
    return "\n".join(parts).rstrip() + "\n"


def _cells(result: Result, notes: list[str]) -> tuple[str, ...]:
    """Return a row's cells; notes are numbered, and those that are new are added to the list beneath the table."""
    notes += [note for note in dict.fromkeys(result.notes) if note not in notes]
    pairs = "/".join(str(len(ratio.pairs)) for ratio in (result.call, result.engine) if ratio is not None)
    return (
        result.row,
        _or_dash(result.call),
        _or_dash(result.engine),
        _or_dash(None if result.limit is None else f"{result.limit:.2f}"),
        result.within or "-",
        _or_dash(None if result.memory is None else f"{result.memory:.2f}{' over' * result.too_much_memory}"),
        _or_dash(None if result.memory_with_plan is None else f"{result.memory_with_plan:.2f}"),
        _or_dash(None if result.ms is None else _short(result.ms)),
        str(result.batch),
        pairs or "-",
        " ".join(f"({notes.index(note) + 1})" for note in dict.fromkeys(result.notes)),
    )


def _or_dash(value: object) -> str:
    return "-" if value is None else str(value)


def _short(number: float) -> str:
    return f"{number:.2f}" if number < 10 else f"{number:.1f}" if number < 100 else f"{number:.0f}"


# ---- csv and json

COLUMNS = (
    "net",
    "row",
    "source",
    "batch",
    "call",
    "call_q1",
    "call_q3",
    "call_pairs",
    "engine",
    "engine_q1",
    "engine_q3",
    "engine_pairs",
    "limit",
    "within",
    "memory",
    "memory_with_plan",
    "memory_limit",
    "gxi_ms",
    "ms",
    "gxi_bytes",
    "peak_bytes",
    "plan_bytes",
    "notes",
)


def comma_separated(report: Report) -> str:
    """Return the table for programs, one line a row, empty where there is nothing."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for result in report.results:
        record: dict[str, Any] = {name: getattr(result, name) for name in COLUMNS if hasattr(result, name)}
        for level in ("call", "engine"):
            ratio: Ratio | None = getattr(result, level)
            record[level] = None if ratio is None else ratio.median
            record[f"{level}_q1"] = None if ratio is None else ratio.low
            record[f"{level}_q3"] = None if ratio is None else ratio.high
            record[f"{level}_pairs"] = None if ratio is None else len(ratio.pairs)
        record["notes"] = "; ".join(result.notes)
        writer.writerow({name: f"{value:.6g}" if isinstance(value, float) else value for name, value in record.items()})
    return text.getvalue()


def as_json(report: Report) -> str:
    """Return everything, every pair's ratio too."""
    return json.dumps(asdict(report), indent=1) + "\n"


def save(report: Report, folder: Path, stem: str) -> list[Path]:
    """Write the three files, and return their paths."""
    texts = {"md": markdown(report), "csv": comma_separated(report), "json": as_json(report)}
    return write_files(folder, stem, texts)
