#!/usr/bin/env python3
"""What a run of `seqplrp explain` costs beside the engine: its time, and its memory as the sequences grow.

    python benchmarks/pipeline.py [--sequences N] [--few N] [--length L] [--architecture NAME] [--formats LIST]
                                  [--threads N] [--check] [--out DIR]

Each size is a process of its own, on the CPU. The whole command is timed from outside, with Python's start and torch's
import; the engine's time is that of the same run (what the chunks' own clocks add up to). The memory is the process's
highest (ru_maxrss), held against that of the run of few sequences. --check ends with 1 where a limit is exceeded.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from reported import RESULTS, listed, machine, save, table

MOST_TIME, MOST_MEMORY = 1.25, 1.10
"""The limits: the whole command in times of the engine; the memory in times of that for few sequences."""


def write_input(path: Path, sequences: int, length: int) -> None:
    """Write random DNA, placed side by side on chromosomes of 10 Mb."""
    rng = np.random.default_rng(sequences)
    letters = np.frombuffer(b"ACGT", dtype="S1")
    on_one = max(1, 10_000_000 // length)
    with open(path, "w", encoding="ascii") as out:
        for i in range(sequences):
            text = letters[rng.integers(0, 4, length)].tobytes().decode()
            start = (i % on_one) * length
            out.write(f">chr{1 + i // on_one}:{start}-{start + length}\n{text}\n")


def write_model(path: Path, architecture: str, length: int) -> None:
    """Save a model of the zoo, untrained: what it computes costs the same."""
    import torch

    from seqplrp.models import ModelConfig, build_model, save_model

    torch.manual_seed(0)
    model = build_model(architecture, length=length, n_outputs=1)
    config = ModelConfig(
        architecture=architecture,
        options=asdict(model.options),
        length=length,
        flexible_length=False,
        n_outputs=1,
        classes=["positive"],
        kind="binary",
    )
    save_model(model, path, config)


@dataclass(frozen=True)
class Figures:
    """What one run took.

    Attributes
    ----------
    sequences : int
        How many it explained.
    engine_seconds : float
        The engine's time.
    run_seconds : float
        What the command itself says that it took, from when its arguments were read.
    command_seconds : float
        The whole process.
    highest_mib : float
        Its highest memory.
    written_mib : float
        What it wrote, parts and files.
    """

    sequences: int
    engine_seconds: float
    run_seconds: float
    command_seconds: float
    highest_mib: float
    written_mib: float

    @property
    def ratio(self) -> float:
        """The whole command in times of the engine."""
        return self.command_seconds / self.engine_seconds

    @property
    def row(self) -> dict[str, str]:
        """A line of the table."""
        return {
            "sequences": f"{self.sequences:,}",
            "engine, s": f"{self.engine_seconds:.1f}",
            "ms a sequence": f"{1e3 * self.engine_seconds / self.sequences:.2f}",
            "command, s": f"{self.command_seconds:.1f}",
            "of which start, s": f"{self.command_seconds - self.run_seconds:.1f}",
            "command / engine": f"{self.ratio:.3f}",
            "highest memory, MiB": f"{self.highest_mib:.0f}",
            "written, MiB": f"{self.written_mib:.0f}",
        }


def run(model: Path, fasta: Path, out: Path, formats: str | None, threads: int | None) -> Figures:
    """Run the command in a process of its own; return its figures."""
    command = ["explain", "--model", str(model), "--fasta", str(fasta), "--out", str(out), "--device", "cpu"]
    command += [] if formats is None else ["--formats", formats]
    script = (
        "import resource, sys\n"
        "from seqplrp.cli import main\n"
        f"code = main({command!r})\n"
        "print('highest', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
        "sys.exit(code)\n"
    )
    environment = os.environ if threads is None else {**os.environ, "OMP_NUM_THREADS": str(threads)}
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, env=environment)
    took = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(done.stderr)
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    return Figures(
        sequences=manifest["sequences"],
        engine_seconds=manifest["explain_seconds"],
        run_seconds=manifest["wall_seconds"],
        command_seconds=took,
        highest_mib=int(done.stdout.rsplit("highest", 1)[1]) / 1024,
        written_mib=sum(path.stat().st_size for path in out.rglob("*") if path.is_file()) / 2**20,
    )


def verdicts(few: Figures, many: Figures) -> list[tuple[str, bool]]:
    """Hold what was measured against the limits."""
    memory = many.highest_mib / few.highest_mib
    time_ = f"command / engine: {many.ratio:.3f} (limit {MOST_TIME:.2f})"
    grown = f"highest memory in times of that for {few.sequences:,} sequences: {memory:.3f} (limit {MOST_MEMORY:.2f})"
    return [(time_, many.ratio <= MOST_TIME), (grown, memory <= MOST_MEMORY)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sequences", type=int, default=20_000)
    parser.add_argument("--few", type=int, default=2_000)
    parser.add_argument("--length", type=int, default=600)
    parser.add_argument("--architecture", default="basset")
    parser.add_argument("--formats", help="those of the command unless given")
    parser.add_argument("--threads", type=int, help="torch's; its own choice unless given")
    parser.add_argument("--check", action="store_true", help="end with 1 where a limit is exceeded")
    parser.add_argument("--out", type=Path, default=RESULTS, help="a folder for the table")
    given = parser.parse_args(arguments)
    told = machine(libraries=("numpy", "pandas", "h5py", "pybigtools"))
    told |= {} if given.threads is None else {"threads": given.threads}
    found = []
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model"
        write_model(model, given.architecture, given.length)
        for sequences in (given.few, given.sequences):
            fasta = Path(folder) / f"{sequences}.fa"
            write_input(fasta, sequences, given.length)
            found.append(run(model, fasta, Path(folder) / f"out{sequences}", given.formats, given.threads))
            print(", ".join(f"{name}: {value}" for name, value in found[-1].row.items()), flush=True)
    kept = verdicts(*found)
    what = f"{given.architecture}, {given.length} bp, formats {given.formats or 'by default'}"
    text = f"# The whole command beside its engine\n\n{listed({**told, 'what': what})}\n"
    text += table([one.row for one in found]) + "\n"
    text += "".join(f"- {said}: {'holds' if holds else '**does not hold**'}\n" for said, holds in kept)
    print(f"\n{text}", end="")
    data = {"facts": told, "what": what, "runs": [asdict(one) for one in found], "limits": dict(kept)}
    save(given.out, f"{told['date'][:10]}-pipeline-{given.architecture}-{given.sequences}", text, data)
    return int(given.check and not all(holds for _, holds in kept))


if __name__ == "__main__":
    sys.exit(main())
