"""What it takes to start: `import seqplrp` beyond `import torch`, and `seqplrp --help`.

    python benchmarks/startup.py             # the python that runs this, and the seqplrp installed in it
    python benchmarks/startup.py --check     # exit code 1 where a limit is passed

Each time is that of a new process, in turns with the process that it is compared with; the first of each, which may
read from the disk, does not count. Standard library alone, so that it runs in an environment that holds nothing but
seqplrp.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import sysconfig
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

COMMAND = Path(sysconfig.get_path("scripts")) / "seqplrp"
EVERY_NAME = "from seqplrp import *"
IMPORT_LIMIT, HELP_LIMIT = 1.0, 0.5
"""Seconds: of an import beyond torch's, and of the command's help (issue F)."""


def seconds(command: Sequence[str]) -> float:
    """Run a command to its end, and return what it took."""
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def python(code: str) -> list[str]:
    return [sys.executable, "-I", "-c", code]


def measure(runs: int) -> dict[str, list[float]]:
    """Time the commands one after the other, `runs` times over; the round before that only warms the disk's cache."""
    commands = {
        "nothing": python("pass"),
        "torch": python("import torch"),
        "seqplrp": python("import seqplrp"),
        "torch and seqplrp": python("import torch, seqplrp"),
        "torch and every name": python(f"import torch; {EVERY_NAME}"),
        "help": [str(COMMAND), "--help"],
    }
    rounds = [{name: seconds(command) for name, command in commands.items()} for _ in range(runs + 1)][1:]
    return {name: [each[name] for each in rounds] for name in commands}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--check", action="store_true", help="exit code 1 where a limit is passed")
    asked = parser.parse_args()
    took = measure(asked.runs)
    middle = {name: median(times) for name, times in took.items()}
    lazily, wholly = (
        median(one - other for one, other in zip(took[name], took["torch"], strict=True))
        for name in ("torch and seqplrp", "torch and every name")
    )
    alone = f"python alone {middle['nothing']:.2f} s, import torch {middle['torch']:.2f} s"
    print(f"{alone}; medians of {asked.runs} processes each")
    print(f"import seqplrp: {lazily:.2f} s beyond import torch ({middle['seqplrp']:.2f} s in all without it)")
    print(f"{EVERY_NAME}: {wholly:.2f} s beyond import torch (limit {IMPORT_LIMIT})")
    print(f"seqplrp --help: {middle['help']:.2f} s (limit {HELP_LIMIT})")
    return int(asked.check and (wholly > IMPORT_LIMIT or middle["help"] > HELP_LIMIT))


if __name__ == "__main__":
    sys.exit(main())
