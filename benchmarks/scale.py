#!/usr/bin/env python3
"""What a run of a million sequences takes, from what one takes: the inputs of docs/scale.md, measured, and its tables.

    python benchmarks/scale.py measure [--sequences N] [--length L] [--threads N] [--out DIR]
    python benchmarks/scale.py size --measured FILE.json --ms X [--sequences N] [--devices N]... [--actors N]
                                     [--formats LIST]

`measure` times, on one core of the CPU, all that is not the engine: reading and hashing the input, tables, parts,
checksums, each format. Times are processor time, which other work on the machine hardly lengthens. It counts the
engine's floating-point operations for two networks exactly, and times them on the CPU.

`size` adds that up for so many devices (GPUs, or cores), given the milliseconds that a sequence takes the engine on one
of them: what `seqplrp explain --device cuda` prints as "ms each". It names what takes longest.
"""

from __future__ import annotations

import argparse
import gzip
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass, replace
from io import StringIO
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from pipeline import write_input
from reported import RESULTS, listed, machine, save, table
from torch.utils.flop_counter import FlopCounterMode

import seqplrp as sp
from seqplrp.cli import main as command
from seqplrp.genomics import one_hot, read_fasta, tracks
from seqplrp.models import ModelConfig, build_model, save_model
from seqplrp.pipeline import FORMATS, executors, export, file_sha256
from seqplrp.pipeline.member import Member

MILLION = 1_000_000
NETS = {"BPNet": {"filters": 64, "layers": 8}, "ChromBPNet's size": {"filters": 512, "layers": 8}}
METHODS = {"LRP": sp.LRP(rule="default"), "PLRP": sp.PLRP()}
BY_DEFAULT = ("bigwig", "bedgraph", "npz", "h5", "tsv")


# ---- measure


@dataclass(frozen=True)
class Engine:
    """What one sequence takes the engine.

    Attributes
    ----------
    net, method : str
        Which.
    parameters : int
        The network's.
    forward_gflop : float
        Of one forward pass, in 10^9 floating-point operations, two for each multiplication and addition.
    gflop : float
        Of the whole explanation.
    cpu_ms : float
        Processor time on one core.
    """

    net: str
    method: str
    parameters: int
    forward_gflop: float
    gflop: float
    cpu_ms: float


def engines(length: int, calls: int) -> list[Engine]:
    """Count and time the engine on both networks."""
    found = []
    for net, options in NETS.items():
        torch.manual_seed(0)
        model = build_model("dilated-residual", length=length, n_outputs=1, **options).eval()
        x = one_hot([random_dna(length)])
        with FlopCounterMode(display=False) as forward, torch.inference_mode():
            model(x)
        for name, method in METHODS.items():
            explainer = sp.Explainer(model, x, method=method)
            with FlopCounterMode(display=False) as whole:
                explainer(x)
            began = time.process_time()
            for _ in range(calls):
                explainer(x)
            took = (time.process_time() - began) / calls
            parameters = sum(parameter.numel() for parameter in model.parameters())
            flops = (forward.get_total_flops() / 1e9, whole.get_total_flops() / 1e9)
            found.append(Engine(net, name, parameters, *flops, 1e3 * took))
    return found


def random_dna(length: int) -> str:
    """Return random letters."""
    return "".join("ACGT"[code] for code in torch.randint(0, 4, (length,)).tolist())


class Clock:
    """Adds up the processor time of calls: in the thread that makes them, unless another clock is read."""

    def __init__(self, read: Callable[[], float] = time.thread_time) -> None:
        self.seconds = 0.0
        self.read = read

    def timed(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that does the same and is timed."""

        def run(*given: Any, **more: Any) -> Any:
            began = self.read()
            try:
                return call(*given, **more)
            finally:
                self.seconds += self.read() - began

        return run


def reading(fasta: Path) -> dict[str, float]:
    """Time what is done with the input, in seconds."""
    packed = fasta.with_suffix(".fa.gz")
    with gzip.open(packed, "wb", compresslevel=6) as out:
        out.write(fasta.read_bytes())
    times = {"hash": seconds(lambda: file_sha256(fasta)), "hash, gzip": seconds(lambda: file_sha256(packed))}
    times["read"] = seconds(lambda: sum(len(record) for record in read_fasta(fasta)))
    times["read, gzip"] = seconds(lambda: sum(len(record) for record in read_fasta(packed)))
    return times


def seconds(call: Callable[[], Any]) -> float:
    """Return the processor time of a call, all threads'."""
    began = time.process_time()
    call()
    return time.process_time() - began


def run_of(fasta: Path, out: Path, length: int) -> dict[str, float]:
    """Run the command with a narrow net of as many layers, whose tables and parts are those of the real one.

    Returns
    -------
    dict
        Seconds of the chunks' own work beside the engine: "tables" before a part is written, and "part".
    """
    model = build_model("dilated-residual", length=length, n_outputs=1, filters=4, layers=8)
    config = ModelConfig("dilated-residual", asdict(model.options), length, True, 1, ["positive"], "binary")
    save_model(model, out.with_name("model"), config)
    engine, explaining, writing = Clock(), Clock(), Clock()
    arguments = ["explain", "--model", out.with_name("model"), "--fasta", fasta, "--out", out, "--formats", "npz"]
    arguments += ["--device", "cpu"]
    own = executors.explain_task

    def explain_task(*given: Any) -> Any:
        with mock.patch.object(Member, "explain", _method(engine.timed(Member.explain))):
            return own(*given)

    with (
        mock.patch.object(executors, "explain_task", explaining.timed(explain_task)),
        mock.patch.object(executors, "write_task", writing.timed(executors.write_task)),
        redirect_stdout(StringIO()),
    ):
        code = command([str(argument) for argument in arguments])
    if code:
        raise SystemExit(f"`seqplrp explain` ended with {code}")
    return {"tables": explaining.seconds - engine.seconds, "part": writing.seconds}


def _method(call: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *given: call(*given)


def formats_of(out: Path) -> dict[str, dict[str, float]]:
    """Write each format from the run's parts; return seconds and bytes of each, by its name."""
    found = {}
    for name in FORMATS:
        before = {path for path in out.rglob("*") if path.is_file()}
        clock, form = Clock(time.process_time), FORMATS[name]  # libraries write in threads of their own
        fields = {kind: clock.timed(call) for kind in ("each", "together") if (call := getattr(form, kind)) is not None}
        with mock.patch.dict(FORMATS.ours, {name: replace(form, **fields)}):
            export(out, (name,), pruned=True)
        made = {path for path in out.rglob("*") if path.is_file()} - before
        if name == "npz":  # was there
            made = {out / "relevance.npz"}
        found[name] = {"seconds": clock.seconds, "bytes": sum(path.stat().st_size for path in made)}
    return found


def measure(given: argparse.Namespace) -> None:
    """Measure all inputs, print them and save them."""
    torch.set_num_threads(given.threads)
    told = machine(libraries=("numpy", "pandas", "h5py", "pybigtools"))
    found = engines(given.length, given.calls)
    n = given.sequences
    with tempfile.TemporaryDirectory() as folder:
        fasta, out = Path(folder) / "x.fa", Path(folder) / "out"
        write_input(fasta, n, given.length)
        steps = {**reading(fasta), **run_of(fasta, out, given.length)}
        parts = sorted((out / "parts").glob("part-*.npz"))
        steps["verify"] = seconds(lambda: [tracks.open_part(path, verify=True) for path in parts])
        steps["index"] = seconds(lambda: indexed(parts, Path(folder) / "index"))
        chunk = len(tracks.open_part(parts[0]).records)
        kept = sum(path.stat().st_size for path in parts)
        written = formats_of(out)
    data = {
        "facts": told,
        "length": given.length,
        "sequences": n,
        "chunk": chunk,
        "engines": [asdict(one) for one in found],
        "microseconds": {name: 1e6 * took / n for name, took in steps.items()},
        "part_bytes": kept / n,
        "formats": {
            name: {"microseconds": 1e6 * one["seconds"] / n, "bytes": one["bytes"] / n} for name, one in written.items()
        },
    }
    text = measured_text(data)
    print(text, end="")
    save(given.out, f"{told['date'][:10]}-scale", text, data)


def indexed(parts: Sequence[Path], index: Path) -> None:
    """Join parts as they are before files are made of them."""
    with tracks.joined_parts(parts, index):
        pass


def measured_text(data: dict[str, Any]) -> str:
    """Return what was measured as text."""
    length = data["length"]
    text = f"# What a sequence of {length:,} bp takes\n\n{listed(data['facts'])}\n## The engine, on one core\n\n"
    text += table(
        [
            {
                "network": one["net"],
                "parameters": f"{one['parameters']:,}",
                "method": one["method"],
                "forward pass, GFLOP": f"{one['forward_gflop']:.2f}",
                "explanation, GFLOP": f"{one['gflop']:.2f}",
                "forward passes": f"{one['gflop'] / one['forward_gflop']:.2f}",
                "ms": f"{one['cpu_ms']:.0f}",
                "GFLOP/s": f"{1e3 * one['gflop'] / one['cpu_ms']:.0f}",
            }
            for one in data["engines"]
        ]
    )
    text += "\n## All else, on one core\n\n"
    text += table(
        [
            {"step": name, "microseconds a sequence": f"{one:.0f}", "sequences a second": f"{1e6 / one:,.0f}"}
            for name, one in data["microseconds"].items()
        ]
    )
    text += (
        f"\nParts: {data['part_bytes'] / 1e3:.1f} kB a sequence, {data['chunk']} sequences a part.\n\n## Formats\n\n"
    )
    return text + table(
        [
            {
                "format": name,
                "microseconds a sequence": f"{one['microseconds']:.0f}",
                "sequences a second": f"{1e6 / one['microseconds']:,.0f}",
                "kB a sequence": f"{one['bytes'] / 1e3:.1f}",
                "a million takes": f"{one['microseconds'] / 60:.0f} min, {one['bytes'] / 1e3:.0f} GB",
            }
            for name, one in data["formats"].items()
        ]
    )


# ---- size


def sized(
    data: dict[str, Any], ms: float, sequences: int, devices: int, actors: int, formats: Sequence[str]
) -> dict[str, Any]:
    """Add up a run, in minutes.

    Parameters
    ----------
    data : dict
        What `measure` saved.
    ms : float
        The engine's milliseconds a sequence on one device.
    sequences, devices : int
        How many.
    actors : int
        Processes that share a device, so that one's tables do not keep it waiting.
    formats : sequence of str
        What is written.
    """
    own, million = data["microseconds"], sequences / 6e7  # minutes of a microsecond a sequence
    beside = own["tables"] + own["part"]
    each = max(1e3 * ms, (1e3 * ms + beside) / actors)  # others compute while one makes its tables
    steps = {
        "check": (own["hash"] + own["read"]) * million,
        "explain": each / devices * million,
        "hand out": own["read"] * million,
        "gather": (own["hash"] + own["verify"] + own["index"]) * million,
        "files": sum(data["formats"][name]["microseconds"] for name in formats) * million,
    }
    apart = {name: took for name, took in steps.items() if name != "hand out"}
    apart["explain"] = max(steps["explain"], steps["hand out"])  # the input is read meanwhile
    return {
        "devices": devices,
        **{f"{name}, min": f"{took:.1f}" for name, took in apart.items()},
        "all, h": f"{sum(apart.values()) / 60:.2f}",
        "longest": max(apart, key=lambda name: apart[name]),
    }


def size(given: argparse.Namespace) -> None:
    """Print the table for the user's own GPU."""
    data = json.loads(given.measured.read_text(encoding="utf-8"))
    formats, n, devices = given.formats.split(","), given.sequences, given.devices or (1, 8, 64)
    actors = f"{given.actors} actor{'s' * (given.actors > 1)} each"
    print(f"{n:,} sequences, {given.ms:g} ms each on one device, {actors}, formats {given.formats}\n")
    print(table([sized(data, given.ms, n, number, given.actors, formats) for number in devices]), end="")
    parts, files = data["part_bytes"], sum(data["formats"][name]["bytes"] for name in formats)
    print(f"\nOn the disk: {parts * n / 1e9:.0f} GB of parts, {files * n / 1e9:.0f} GB of files.")
    lost = data["chunk"] * given.ms / 1e3
    print(f"A worker that dies loses the chunk it is at: {data['chunk']} sequences, {lost:.1f} s of the engine's time.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(required=True)
    one = kinds.add_parser("measure")
    one.add_argument("--sequences", type=int, default=4000)
    one.add_argument("--length", type=int, default=2114)
    one.add_argument("--calls", type=int, default=5, help="of the engine, each of one sequence")
    one.add_argument("--threads", type=int, default=1)
    one.add_argument("--out", type=Path, default=RESULTS, help="a folder for the table")
    one.set_defaults(do=measure)
    other = kinds.add_parser("size")
    other.add_argument("--measured", type=Path, required=True)
    other.add_argument("--ms", type=float, required=True)
    other.add_argument("--sequences", type=int, default=MILLION)
    other.add_argument("--devices", type=int, action="append", help="repeatable; 1, 8 and 64 unless given")
    other.add_argument("--actors", type=int, default=1)
    other.add_argument("--formats", default=",".join(BY_DEFAULT))
    other.set_defaults(do=size)
    given = parser.parse_args()
    given.do(given)


if __name__ == "__main__":
    main()
