#!/usr/bin/env python3
"""What a run of `seqplrp explain` costs beside the engine: its time, and its memory as the sequences grow.

    python benchmarks/pipeline.py [--sequences N] [--few N] [--length L] [--architecture NAME] [--out FILE]

Each size is a process of its own, on the CPU, and writes all default formats. The time of the engine is that of the
same run (what the chunks' own clocks add up to); the memory is the process's highest (ru_maxrss), held against that of
the run of few sequences.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np


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


def run(model: Path, fasta: Path, out: Path) -> dict[str, float]:
    """Run the command in a process of its own; return its figures."""
    command = ["explain", "--model", str(model), "--fasta", str(fasta), "--out", str(out), "--device", "cpu"]
    script = (
        "import resource, sys\n"
        "from seqplrp.cli import main\n"
        f"code = main({command!r})\n"
        "print('highest', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
        "sys.exit(code)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    highest = int(done.stdout.rsplit("highest", 1)[1])
    return {
        "sequences": manifest["sequences"],
        "engine_seconds": manifest["explain_seconds"],
        "command_seconds": manifest["wall_seconds"],
        "highest_mib": highest / 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sequences", type=int, default=20_000)
    parser.add_argument("--few", type=int, default=2_000)
    parser.add_argument("--length", type=int, default=600)
    parser.add_argument("--architecture", default="basset")
    parser.add_argument("--out", type=Path, help="a file for the figures, as JSON")
    given = parser.parse_args()
    found = []
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model"
        write_model(model, given.architecture, given.length)
        for sequences in (given.few, given.sequences):
            fasta = Path(folder) / f"{sequences}.fa"
            write_input(fasta, sequences, given.length)
            found.append(run(model, fasta, Path(folder) / f"out{sequences}"))
            one = found[-1]
            share = one["command_seconds"] / one["engine_seconds"]
            print(
                f"{sequences} sequences of {given.length} bp, {given.architecture}: "
                f"engine {one['engine_seconds']:.1f} s, command {one['command_seconds']:.1f} s ({share:.3f} times), "
                f"highest memory {one['highest_mib']:.0f} MiB",
                flush=True,
            )
    few, many = found
    print(
        f"command / engine: {many['command_seconds'] / many['engine_seconds']:.3f} (limit 1.25); memory: "
        f"{many['highest_mib'] / few['highest_mib']:.3f} of that for {given.few} sequences (limit 1.10)"
    )
    if given.out is not None:
        given.out.write_text(
            json.dumps({"settings": {k: str(v) for k, v in vars(given).items()}, "runs": found}, indent=1)
        )


if __name__ == "__main__":
    main()
