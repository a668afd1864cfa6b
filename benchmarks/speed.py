"""How fast seqplrp is: every method's time and memory beside gradient x input of the same model.

`python benchmarks/speed.py` measures, prints and saves a table; `benchmarks/README.md` says how to read it.
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
from reported import RESULTS, check_device, count
from speed_measure import WARM_UPS, Job, facts, in_own_process, loaded, run_job, seconds_of, set_up
from speed_nets import NETS, TOYS
from speed_rows import MEMORY_LIMIT, NotRun, Row, first_line, gxi_of, rows_of
from speed_table import Ratio, Report, Result, exceeding, markdown, save
from torch.profiler import ProfilerActivity


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    command = argparse.ArgumentParser(prog="speed.py", description=__doc__.splitlines()[0])
    add = command.add_argument
    add("--model", action="append", choices=list(NETS), help="repeatable; basset and bpnet unless given")
    add("--device", default="cpu", help="cpu or cuda")
    add("--pairs", type=count, default=15, help="pairs of runs a row and level (default %(default)s)")
    add("--seconds", type=float, default=120.0, help="begin no further pair after this time (default %(default)s)")
    add("--slow-pairs", type=count, default=3, help="pairs of the peers that take a minute (default %(default)s)")
    add("--threads", type=count, help="torch's threads on the CPU; torch's own choice unless given")
    add("--rows", metavar="PATTERN", help="only rows with this in their name; * and ? as in a shell")
    add("--peers", action=argparse.BooleanOptionalAction, default=True, help="measure other libraries, too")
    add("--memory", action=argparse.BooleanOptionalAction, default=True, help="measure peak memory, too")
    add("--compile", action="store_true", help="add rows with torch.compile and with CUDA graphs")
    add("--toy", action="store_true", help="small nets of the same kinds, to try the script; no limits")
    add("--out", type=Path, default=RESULTS, metavar="DIR", help="where the tables go (default: results/ beside it)")
    add(
        "--check",
        nargs="?",
        const="call",
        choices=("call", "engine"),
        help="exit with 1 and name the rows beyond the limits, of the whole call unless 'engine' is given",
    )
    add("--profile", metavar="ROW", help="print where a row's time goes, operation by operation, and do nothing else")
    return command


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return the exit code."""
    command = parser()
    options = command.parse_args(arguments)
    options.model = list(dict.fromkeys(options.model or ["basset", "bpnet"]))
    check_device(command, options.device)
    images = [name for name in options.model if not NETS[name].is_dna]
    if images and importlib.util.find_spec("torchvision") is None:
        command.error(f"--model {images[0]}: torchvision is not installed; pip install 'seqplrp[image]'")
    if options.toy and options.check:
        command.error("--check: the toys of --toy have no limits; leave one of both out")
    rows = rows_of(peers=options.peers, compiled=options.compile, pattern=options.profile or options.rows)
    if not rows:
        known = "\n  ".join(row.name for row in rows_of(peers=options.peers, compiled=options.compile))
        command.error(f"{options.profile or options.rows!r} is in the name of no row; the rows are\n  {known}")
    set_up(options.device, options.threads)
    if options.profile:
        exact = [row for row in rows if row.name.lower() == options.profile.lower()] or rows
        if len(exact) > 1:
            command.error(f"--profile {options.profile!r} is in the names of {', '.join(r.name for r in exact)}")
        print(profile(job_of(options, "profile", options.model[0], exact[0]), exact[0]))
        return 0
    report = measure(options, rows)
    print(markdown(report), end="")
    wrong = list(report.problems)
    wrong += [f"{r.row} on {r.net}: {'; '.join(r.notes)}" for r in report.results if r.failed]
    if options.check:
        wrong += exceeding(report.results, options.check)
        if not any(result.limit for result in report.results):
            wrong.append("--check: no row with a limit was run; basset's and bpnet's have some")
    for line in wrong:
        print(f"error: {line}", file=sys.stderr)
    return 1 if wrong else 0


def measure(options: argparse.Namespace, rows: Sequence[Row]) -> Report:
    """Measure every row on every net; the tables are saved after each, so that nothing is lost."""
    nets = TOYS if options.toy else NETS
    told = ("pairs", "slow_pairs", "seconds", "rows", "peers", "memory", "compile", "toy")
    report = Report(
        facts(options.device),
        {name: getattr(options, name) for name in told},
        {name: nets[name].title for name in options.model},
        planned=len(options.model) * len(rows),
    )
    for name in options.model:
        print(f"{name}: tracing and planning", file=sys.stderr, flush=True)
        try:
            prepared = in_own_process(job_of(options, "prepare", name, None))
            report = replace(report, preparation={**report.preparation, name: prepared})
        except RuntimeError as error:  # peers can be measured all the same
            report = replace(report, problems=[*report.problems, f"tracing and planning on {name}: {error}"])
        for row in rows:
            result = measure_row(options, name, row)
            print(in_short(result), file=sys.stderr, flush=True)
            report = replace(report, results=[*report.results, result])
            save(report, options.out, stem_of(options))
    return report


def stem_of(options: argparse.Namespace) -> str:
    """Return the name of the tables' files; a part of a table never takes the place of the whole."""
    whole = options.rows is None and options.peers and options.memory
    kind = ["toy"] * options.toy + ["compile"] * options.compile + ["partial"] * (not whole)
    return "-".join(["speed", torch.device(options.device).type, *options.model, *kind])


def job_of(options: argparse.Namespace, kind: str, net: str, row: Row | None) -> Job:
    """Return what is to be measured."""
    slow = row is not None and row.slow
    return Job(
        kind=kind,
        net=net,
        row="" if row is None else row.name,
        toy=options.toy,
        device=options.device,
        threads=torch.get_num_threads(),
        pairs=min(options.pairs, options.slow_pairs) if slow else options.pairs,
        seconds=options.seconds,
    )


def measure_row(options: argparse.Namespace, name: str, row: Row) -> Result:
    """Measure one row; its notes say what was not run and why."""
    apart = row.source == "compiled"
    kinds = ["time", "memory"] if options.memory and not apart else ["time"]
    found: dict[str, Any] = {}
    notes: list[str] = []
    failed = False
    for kind in kinds:
        job = job_of(options, kind, name, row)
        try:
            found |= in_own_process(job) if apart or kind == "memory" else run_job(job, row)
        except NotRun as reason:
            notes.append(f"{kind} not measured: {reason}")
            break
        except Exception as error:  # one row must not cost the others; it is told here and by the exit code
            traceback.print_exc()
            notes.append(f"{kind} failed: {type(error).__name__}: {first_line(error)}")
            failed = True
            break
    net = (TOYS if options.toy else NETS)[name]
    limit = None if options.toy else row.limits.get(name)
    return Result(
        net=name,
        row=row.name,
        source=row.source,
        batch=net.few if row.few else net.batch,
        limit=limit,
        memory_limit=MEMORY_LIMIT if limit is not None and options.memory else None,
        notes=(*notes, *found.get("notes", ())),
        failed=failed,
        **_numbers(found),
    )


def _numbers(found: dict[str, Any]) -> dict[str, Any]:
    """Return what `run_job` found as fields of a `Result`."""
    timings = {level: found[level] for level in ("call", "engine") if found.get(level) is not None}
    numbers: dict[str, Any] = {level: Ratio.of(timing["ratios"]) for level, timing in timings.items()}
    for timing in list(timings.values())[:1]:
        numbers |= {"gxi_ms": timing["gxi_ms"], "ms": timing["ms"]}
    return numbers | {name: found[name] for name in ("gxi_bytes", "peak_bytes", "plan_bytes") if name in found}


def in_short(result: Result) -> str:
    """Return a line about a row, for those who wait."""
    levels = [f"{name} {ratio}" for name in ("call", "engine") if (ratio := getattr(result, name)) is not None]
    memory = [] if result.memory is None else [f"memory {result.memory:.2f}"]
    return "  ".join([f"{result.net}: {result.row}", *levels, *memory, *result.notes])


def profile(job: Job, row: Row) -> str:
    """Return the operations in which a row spends its time: of the engine where it has one, else of its call."""
    net = job.the_net()
    model, whole = loaded(net, torch.device(job.device))
    x = row.inputs(whole, net)
    try:
        calls = row.build(net, model, x)
    except NotRun as reason:
        raise SystemExit(f"error: {row.name}: {reason}") from reason
    call, gxi = calls.engine or calls.call, gxi_of(model, x)
    assert call is not None
    for _ in range(WARM_UPS):
        call(), gxi()
    on_gpu = x.device.type == "cuda"
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * on_gpu
    with torch.profiler.profile(activities=activities) as seen:
        call()
    table = seen.key_averages().table(
        sort_by="self_device_time_total" if on_gpu else "self_cpu_time_total", row_limit=25, max_name_column_width=48
    )
    level = "engine" if calls.engine else "whole call"
    times = [1e3 * seconds_of(each, job.device) for each in (call, gxi)]
    return f"{row.name} ({level}) on {net.title}, batch {len(x)}: {times[0]:.1f} ms; gxi {times[1]:.1f} ms\n{table}"


if __name__ == "__main__":
    sys.exit(main())
