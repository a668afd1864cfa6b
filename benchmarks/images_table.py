"""The results of the image benchmark as markdown, csv and json."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from images_rows import TOLERANCE
from reported import BesideGxi, aligned, write_files
from speed_table import Ratio

_EXPLAINED = (
    "Each ratio is to gradient x input (gxi) of the same model and images, run back to back in one process: the "
    "median over pairs, with quartiles. *Call*: `explainer(x, target=0, batch_size=len(x))`, or zennit's "
    "attributor, registered once. *Processor*: the call's ratio in processor time of all threads, which runs only "
    "while the process does; where it and *call* differ, other work ran. *Engine*: forward and back on a prepared "
    "plan, the whole batch at once. *Memory*: peak above what was in use before the call, over gxi's; *with the "
    "plan* adds the weights that the plan keeps beside the model's. *Unexplained*: the largest share of a layer's "
    f"|relevance| that the ledger leaves unexplained, in float32 (at most {TOLERANCE:g} is asked for); under "
    "relative LRP, of the steps that claim completeness. *Differs*: how much of |relevance| LRP epsilon by us "
    "differs from zennit's. Weights are random."
)

_COLUMNS = (
    "row",
    "call",
    "processor",
    "engine",
    "limit",
    "holds for",
    "memory",
    "with the plan",
    "ms",
    "pairs",
    "unexplained",
    "differs",
    "notes",
)


@dataclass(frozen=True)
class Result(BesideGxi):
    """One row on one network; None for what was not measured or is not there.

    Attributes
    ----------
    net, row : str
        Which.
    batch : int
        Images a call.
    call, processor, engine, engine_processor : Ratio or None
        Times over gxi's: of the whole call and of the engine, each by the clock and by processor time.
    gxi_ms, ms : float or None
        Medians by the clock.
    gxi_bytes, peak_bytes, plan_bytes : int or None
        Peak memory of gxi and of the call, and what the plan holds beside the model.
    unexplained, differs : float or None
        See the table's own explanation.
    limit : float or None
        At most so many times gxi.
    notes : tuple of str
        Why something was not measured.
    """

    net: str
    row: str
    batch: int
    call: Ratio | None = None
    processor: Ratio | None = None
    engine: Ratio | None = None
    engine_processor: Ratio | None = None
    gxi_ms: float | None = None
    ms: float | None = None
    gxi_bytes: int | None = None
    peak_bytes: int | None = None
    plan_bytes: int | None = None
    unexplained: float | None = None
    differs: float | None = None
    limit: float | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """All that one run found."""

    facts: Mapping[str, Any]
    options: Mapping[str, Any]
    nets: Mapping[str, str]
    results: Sequence[Result] = ()
    planned: int = 0


def wrong_with(results: Sequence[Result]) -> list[str]:
    """Name every row beyond its limit, with a ledger that does not balance, or not measured though it has a limit."""
    lines = []
    for result in results:
        where = f"{result.row} on {result.net}"
        if result.limit is not None and result.call is None:
            lines.append(f"{where}: not measured ({'; '.join(result.notes) or 'no reason given'})")
        elif result.limit is not None and result.call is not None and result.call.median > result.limit:
            lines.append(f"{where}: the call takes {result.call} x gxi, at most {result.limit:g}")
        if result.unexplained is not None and not result.unexplained <= TOLERANCE:  # nor is NaN
            lines.append(f"{where}: the ledger leaves {result.unexplained:.2g} unexplained, at most {TOLERANCE:g}")
    return lines


def markdown(report: Report) -> str:
    """Return the table for people."""
    parts = ["# Image networks: cost beside gradient x input, and ledgers", ""]
    parts += [f"- {name}: {value}" for name, value in report.facts.items() if value is not None]
    options = ", ".join(f"{name} {value}" for name, value in report.options.items() if value is not None)
    parts += [f"- options: {options}", ""]
    if len(report.results) < report.planned:
        parts += [f"**Unfinished: {len(report.results)} of {report.planned} rows.**", ""]
    parts += [_EXPLAINED, ""]
    for net, title in report.nets.items():
        results = [result for result in report.results if result.net == net]
        if not results:
            continue
        parts += [f"## {net}: {title}, {results[0].batch} images a call", ""]
        gxi = next((result for result in results if result.gxi_ms is not None), None)
        if gxi is not None:
            memory = "" if gxi.gxi_bytes is None else f", {gxi.gxi_bytes / 2**20:.0f} MiB"
            parts += [f"gxi itself: {gxi.gxi_ms:.0f} ms{memory}.", ""]
        parts += [*aligned(_COLUMNS, [_cells(result) for result in results]), ""]
    return "\n".join(parts).rstrip() + "\n"


def _cells(result: Result) -> tuple[str, ...]:
    def shown(value: object, form: str = "") -> str:
        return "-" if value is None or value == "" else format(value, form) if form else str(value)

    pairs = "/".join(str(len(ratio.pairs)) for ratio in (result.call, result.engine) if ratio is not None)
    return (
        result.row,
        shown(result.call),
        shown(result.processor),
        shown(result.engine),
        shown(result.limit, ".2f"),
        shown(result.within),
        shown(result.memory, ".2f"),
        shown(result.memory_with_plan, ".2f"),
        shown(result.ms, ".0f"),
        shown(pairs),
        shown(result.unexplained, ".1e"),
        shown(result.differs, ".1e"),
        "; ".join(result.notes),
    )


def comma_separated(report: Report) -> str:
    """Return the table for programs, one line a row, empty where there is nothing."""
    records = []
    for result in report.results:
        record: dict[str, Any] = {}
        for name in Result.__dataclass_fields__:
            value = getattr(result, name)
            if isinstance(value, Ratio):
                record |= {name: value.median, f"{name}_q1": value.low, f"{name}_q3": value.high}
                record[f"{name}_pairs"] = len(value.pairs)
            else:
                record[name] = "; ".join(value) if isinstance(value, tuple) else value
        records.append(record | {"within": result.within, "memory": result.memory})
    columns = list(dict.fromkeys(name for record in records for name in record))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for record in records:
        writer.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in record.items()})
    return text.getvalue()


def save(report: Report, folder: Path, stem: str) -> None:
    """Write the three files."""
    everything = json.dumps(asdict(report), indent=1) + "\n"
    write_files(folder, stem, {"md": markdown(report), "csv": comma_separated(report), "json": everything})
