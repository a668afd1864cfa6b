"""What explaining full-size image networks costs beside gradient x input, and whether their ledgers balance.

`python benchmarks/images.py` measures, prints and saves a table; `benchmarks/README.md` says how to read it.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import traceback
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from images_measure import Job, times_of
from images_rows import NETS, ROWS, TOYS
from images_table import Report, Result, markdown, save, wrong_with
from reported import RESULTS, check_device, count
from speed_measure import facts, in_own_process, set_up
from speed_rows import NotRun, Row, first_line
from speed_table import Ratio


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    command = argparse.ArgumentParser(prog="images.py", description=__doc__.splitlines()[0])
    add = command.add_argument
    add("--model", action="append", choices=list(NETS), help="repeatable; all three unless given")
    add("--device", default="cpu", help="cpu or cuda")
    add("--batch", type=count, default=4, help="images a call, at most 8 (default %(default)s)")
    add("--pairs", type=count, default=9, help="pairs of runs a row and level (default %(default)s)")
    add("--seconds", type=float, default=180.0, help="begin no further pair after this time (default %(default)s)")
    add("--threads", type=count, help="torch's threads on the CPU; torch's own choice unless given")
    add("--rows", metavar="TEXT", help="only rows with this in their names")
    add("--memory", action=argparse.BooleanOptionalAction, default=True, help="measure peak memory, too")
    add("--toy", action="store_true", help="small networks of the same kinds, to try the script; no limits")
    add("--out", type=Path, default=RESULTS, metavar="DIR", help="where the tables go (default: results/ beside it)")
    add("--check", action="store_true", help="exit with 1 and name the rows beyond the limits")
    return command


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return the exit code."""
    command = parser()
    options = command.parse_args(arguments)
    options.model = list(dict.fromkeys(options.model or NETS))
    if importlib.util.find_spec("torchvision") is None:
        command.error("torchvision is not installed; pip install 'seqplrp[image]'")
    check_device(command, options.device)
    if options.toy and options.check:
        command.error("--check: the toys of --toy have no limits; leave one of both out")
    rows = [row for row in ROWS if options.rows is None or options.rows.lower() in row.name.lower()]
    if not rows:
        command.error(f"--rows {options.rows!r} is in the name of none of {', '.join(row.name for row in ROWS)}")
    set_up(options.device, options.threads)
    report = measure(options, rows)
    print(markdown(report), end="")
    wrong = [f"{r.row} on {r.net}: {note}" for r in report.results for note in r.notes if "failed" in note]
    if options.check:
        wrong += wrong_with(report.results)
    for line in wrong:
        print(f"error: {line}", file=sys.stderr)
    return 1 if wrong else 0


def measure(options: argparse.Namespace, rows: Sequence[Row]) -> Report:
    """Measure every row on every network; the tables are saved after each, so that nothing is lost."""
    nets = TOYS if options.toy else NETS
    told = ("batch", "pairs", "seconds", "rows", "memory", "toy")
    report = Report(
        facts(options.device),
        {name: getattr(options, name) for name in told},
        {name: nets[name].title for name in options.model},
        planned=len(options.model) * len(rows),
    )
    for name in options.model:
        for row in rows:
            result = measure_row(options, name, row)
            print(in_short(result), file=sys.stderr, flush=True)
            report = replace(report, results=[*report.results, result])
            save(report, options.out, stem_of(options))
    return report


def stem_of(options: argparse.Namespace) -> str:
    """Return the name of the tables' files; a part of a table never takes the place of the whole."""
    whole = options.rows is None and options.memory and len(options.model) == len(NETS)
    kind = ["toy"] * options.toy + ["partial"] * (not whole)
    return "-".join(["images", torch.device(options.device).type, *kind])


def measure_row(options: argparse.Namespace, net: str, row: Row) -> Result:
    """Measure one row; its notes say what was not run and why."""
    kept = {name: getattr(options, name) for name in ("toy", "device", "batch", "pairs", "seconds")}
    job = Job(kind="memory", net=net, row=row.name, threads=torch.get_num_threads(), **kept)
    found: dict[str, Any] = {}
    notes: list[str] = []
    parts = {"time": lambda: _times(job)}
    if options.memory:
        parts["memory"] = lambda: in_own_process(job, "images_child.py")
    for name, part in parts.items():
        try:
            found |= part()
        except NotRun as reason:
            notes.append(f"{name} not measured: {reason}")
        except Exception as error:  # one row must not cost the others; it is told here and by the exit code
            traceback.print_exc()
            notes.append(f"{name} failed: {type(error).__name__}: {first_line(error)}")
    limit = None if options.toy else row.limits.get(net)
    batch = min(options.batch, (TOYS if options.toy else NETS)[net].batch)
    return Result(net=net, row=row.name, batch=batch, limit=limit, notes=tuple(notes), **found)


def _times(job: Job) -> dict[str, Any]:
    """Return what `times_of` found as fields of a `Result`."""
    found = times_of(job)
    call, engine = found.pop("call"), found.pop("engine")
    numbers = {"call": Ratio.of(call.wall), "processor": Ratio.of(call.processor), "gxi_ms": call.gxi_ms, "ms": call.ms}
    if engine is not None:
        numbers |= {"engine": Ratio.of(engine.wall), "engine_processor": Ratio.of(engine.processor)}
    return {**numbers, **found}


def in_short(result: Result) -> str:
    """Return a line about a row, for those who wait."""
    ratios = ("call", "processor", "engine", "engine_processor", "memory", "unexplained", "differs")
    parts = [f"{name} {value}" for name in ratios if (value := getattr(result, name)) is not None]
    return "  ".join([f"{result.net}: {result.row}", *parts, *result.notes])


if __name__ == "__main__":
    sys.exit(main())
