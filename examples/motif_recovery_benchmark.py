#!/usr/bin/env python3
"""The motif-recovery benchmark from Python: `seqplrp benchmark` in a few lines, for notebooks and schedulers.

    python examples/motif_recovery_benchmark.py [CONFIG] [OUT]

CONFIG is examples/benchmark/small.yaml and OUT benchmark-output unless given. A run that was stopped goes on.
"""

from __future__ import annotations

import sys
from pathlib import Path

from seqplrp.recovery.benchmark import Event, read_config, run_benchmark, shown_measures


def main(config_path: Path, out: Path) -> None:
    config = read_config(config_path)

    def tell(event: Event) -> None:
        left = "" if event.seconds_left is None else f", {event.seconds_left:.0f} s left"
        print(f"[{event.done}/{event.total}{left}] {event.cell.name}: {event.doing or 'finished'}", flush=True)

    summary = run_benchmark(config, out, listener=tell).summary
    for group in summary.groups:
        means = summary.mean_table(group).pivot(index="method", columns="measure", values="mean")
        print(f"\n{group} tasks\n{means[shown_measures(summary)].round(3).to_string()}")
    print(f"\nreport: {out / 'report.html'}")


if __name__ == "__main__":
    given = [Path(argument) for argument in sys.argv[1:3]]
    main(*(given + [Path(__file__).parent / "benchmark" / "small.yaml", Path("benchmark-output")][len(given) :]))
