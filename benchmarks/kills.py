#!/usr/bin/env python3
"""Kill `seqplrp explain` again and again at random moments, let it go on, and see that nothing is lost or doubled.

    python benchmarks/kills.py [--kills N] [--sequences N] [--chunk-size N] [--seed N]

Runs follow each other until so many kills (SIGKILL) have come: each run is killed until one process reaches its end,
and its files must then be those of a run that nothing stopped, to the byte. What each kill met is counted by what had
been reached: nothing kept yet, some chunks kept, or all chunks kept and the files being made.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from pipeline import write_input, write_model

from seqplrp.genomics.tracks import read_npz

FILES = (
    "relevance.bw",
    "relevance.bedgraph",
    "relevance.npz",
    "relevance.h5",
    "summary.tsv",
    "ledger.tsv",
    "regions.bed",
    "chrom.sizes",
)


def start(model: Path, fasta: Path, out: Path, chunk_size: int) -> subprocess.Popen[bytes]:
    """Begin the run, or go on with it."""
    arguments = ["--model", model, "--fasta", fasta, "--out", out, "--chunk-size", chunk_size, "--resume"]
    command = [sys.executable, "-c", "import sys; from seqplrp.cli import main; sys.exit(main())", "explain"]
    return subprocess.Popen([*command, *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def contents(out: Path) -> dict[str, bytes]:
    """Read all that a run makes."""
    return {name: (out / name).read_bytes() for name in FILES}


def difference(one: Path, other: Path) -> str:
    """Say how far the relevance of two runs is apart, and in which records."""
    a, b = (read_npz(out / "relevance.npz") for out in (one, other))
    if a.ids.tolist() != b.ids.tolist():
        return "not even the records are the same"
    away = np.abs(a.per_base - b.per_base)
    rows = np.unique(np.searchsorted(a.offsets, np.flatnonzero(away), side="right") - 1)
    return f"relevance by up to {away.max():.3g}, in {len(rows)} records, the first is number {rows[:1].tolist()}"


def reached(out: Path, chunks: int) -> str:
    """Say how far a run that was killed had come."""
    kept = len(list((out / "parts").glob("part-*.npz"))) if (out / "parts").is_dir() else 0
    if kept == 0:
        return "before the first chunk"
    return "some chunks kept" if kept < chunks else "all chunks kept, files being made"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--sequences", type=int, default=4000)
    parser.add_argument("--chunk-size", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    draw, met, runs = random.Random(given.seed), Counter[str](), 0
    with tempfile.TemporaryDirectory() as folder:
        at = Path(folder)
        write_model(at / "model", "basset-small", 200)
        write_input(at / "x.fa", given.sequences, 200)
        began = time.monotonic()
        whole = start(at / "model", at / "x.fa", at / "whole", given.chunk_size)
        if whole.wait():
            raise SystemExit(whole.stderr and whole.stderr.read().decode())
        takes = time.monotonic() - began
        expected = contents(at / "whole")
        chunks = len(list((at / "whole" / "parts").glob("part-*.npz")))
        print(f"{chunks} chunks, {takes:.1f} s a run that nothing stops", flush=True)
        while sum(met.values()) < given.kills:
            out = at / f"run{runs}"
            while True:
                process = start(at / "model", at / "x.fa", out, given.chunk_size)
                try:
                    process.wait(draw.uniform(0, 1.1 * takes) if sum(met.values()) < given.kills else None)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
                    met[reached(out, chunks)] += 1
                    continue
                if process.returncode:
                    raise SystemExit(process.stderr and process.stderr.read().decode())
                break
            runs += 1
            differ = [name for name, content in contents(out).items() if content != expected[name]]
            if differ:
                largest = difference(at / "whole", out)
                raise SystemExit(
                    f"run {runs}: {', '.join(differ)} differ from those of a run that nothing stopped ({largest})"
                )
            print(f"{runs} runs, {sum(met.values())} kills, all files the same: {dict(met)}", flush=True)


if __name__ == "__main__":
    main()
