"""How the speed benchmark measures: paired runs, peak memory, what it takes to prepare a model, what the machine is."""

from __future__ import annotations

import datetime
import gc
import json
import os
import platform
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from speed_memory import MALLOC, MEMORY_RUNS, WARM_UPS, peak_of
from speed_nets import NETS, TOYS, Net
from speed_rows import METHODS, Calls, NotRun, Row, first_line, gxi_of
from torch import Tensor, nn

import seqplrp as sp
from seqplrp.lrp import cached_trace, trace


@dataclass(frozen=True)
class Timing:
    """Paired runs of a method and gxi: the ratio of each pair, and the medians of both times in milliseconds."""

    ratios: list[float]
    gxi_ms: float
    ms: float


@dataclass(frozen=True)
class Peak:
    """Peak memory of gxi and of a method's call above what was in use before each, and what the plan holds."""

    gxi_bytes: int
    peak_bytes: int
    plan_bytes: int


@dataclass(frozen=True)
class Job:
    """What is measured in which way; a process of its own gets it as JSON.

    Attributes
    ----------
    kind : {"time", "memory", "prepare"}
        What to measure.
    net, row : str
        Names; the row is "" for "prepare".
    toy : bool
        Whether to run the toy of the net.
    device : str
        Where to run.
    threads : int
        Of torch, on the CPU.
    pairs : int
        How many pairs at most.
    seconds : float
        Past this time no further pair begins.
    """

    kind: str
    net: str
    row: str
    toy: bool
    device: str
    threads: int
    pairs: int
    seconds: float

    def the_net(self) -> Net:
        return (TOYS if self.toy else NETS)[self.net]


# ---- time


def paired(gxi: Callable[[], Any], other: Callable[[], Any], warm_up: Callable[[], Any] | None, job: Job) -> Timing:
    """Time pairs of a method and gxi back to back, in turns which goes first; a slow machine then slows both."""
    for _ in range(WARM_UPS):
        gxi()
        (warm_up or other)()
    times: list[tuple[float, float]] = []
    until = time.perf_counter() + job.seconds
    while len(times) < job.pairs and (not times or time.perf_counter() < until):
        if len(times) % 2 == 0:
            first = seconds_of(gxi, job.device)
            times.append((first, seconds_of(other, job.device)))
        else:
            first = seconds_of(other, job.device)
            times.append((seconds_of(gxi, job.device), first))
    return Timing(
        [b / a for a, b in times],
        1e3 * statistics.median(a for a, _ in times),
        1e3 * statistics.median(b for _, b in times),
    )


def seconds_of(call: Callable[[], Any], device: str) -> float:
    """Return the time until a call's result is there."""
    finish(device)
    start = time.perf_counter()
    result = call()
    finish(device)
    end = time.perf_counter()
    del result
    return end - start


def finish(device: str) -> None:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()


# ---- memory


def peak_of_row(calls: Calls, gxi: Callable[[], Any], job: Job) -> Peak:
    """Measure the peak memory of a row's whole call (of the engine where there is none) and of gxi."""
    call = calls.call or calls.engine
    assert call is not None
    times = 1 if calls.warm_up else MEMORY_RUNS
    try:
        peak = peak_of(call, calls.warm_up or call, job.device, times)
        return Peak(peak_of(gxi, gxi, job.device), peak, calls.holds())
    except OSError as error:
        raise NotRun(f"peak memory on the CPU needs Linux's {error.filename}: {error.strerror}") from error


# ---- preparation


def prepare_times(job: Job) -> dict[str, float]:
    """Time what happens once for a model, in ms; call it first in a process, as its first line is about that."""
    device = torch.device(job.device)
    net = job.the_net()
    model, one = net.model(device), net.inputs(device)[:1]
    found = {"trace, the first in a process": _ms(lambda: trace(model, one))}
    found["trace"] = _median_ms(lambda: trace(model, one), 3)
    graph = cached_trace(model, one)
    found["cached trace"] = _median_ms(lambda: cached_trace(model, one), 20)
    for name in ("LRP epsilon", "LRP gamma", "LRP zplus"):  # pruning changes nothing about a plan
        found[f"plan, {name}"] = _median_ms(partial(METHODS[name][0].prepare, model, graph, device), 5)
    found["Explainer(model, x), trace cached"] = _median_ms(lambda: sp.Explainer(model, one), 5)
    return found


def _median_ms(call: Callable[[], Any], times: int) -> float:
    return statistics.median(_ms(call) for _ in range(times))


def _ms(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - start)


# ---- here, or in a process of its own


def run_job(job: Job, row: Row | None) -> dict[str, Any]:
    """Do a job in this process.

    Returns
    -------
    dict
        Plain values. For "time": "call" and "engine", each a `Timing` or None, and "notes", what the row tells and
        warned of. For "memory": a `Peak`. For "prepare": milliseconds.
    """
    if job.kind == "prepare":
        return prepare_times(job)
    assert row is not None
    net = job.the_net()
    model, whole = loaded(net, torch.device(job.device))
    x = row.inputs(whole, net)
    gxi = gxi_of(model, x)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        calls = row.build(net, model, x)
        if job.kind == "memory":
            return asdict(peak_of_row(calls, gxi, job))
        gc.collect()  # nobody pays for what another row left behind; the collector then runs as it does for a user
        levels = {"call": calls.call, "engine": calls.engine}
        found: dict[str, Any] = {
            level: None if call is None else asdict(paired(gxi, call, calls.warm_up, job))
            for level, call in levels.items()
        }
    return {**found, "notes": [*calls.told, *([] if row.source == "compiled" else _warned(caught))]}


def _warned(caught: Sequence[warnings.WarningMessage]) -> list[str]:
    said = sorted({first_line(str(warning.message)) for warning in caught})
    return [f"it warns: {said[0]}" + f" (and {len(said) - 1} more)" * (len(said) > 1)] if said else []


@cache
def loaded(net: Net, device: torch.device) -> tuple[nn.Module, Tensor]:
    """Return a net's model and its inputs, the same for every row of a process."""
    return net.model(device), net.inputs(device)


def in_own_process(job: Job, child: str = "speed_child.py") -> dict[str, Any]:
    """Do a job in a fresh process, which runs a script beside this one.

    Raises
    ------
    NotRun
        Where the row says that it can't be run.
    RuntimeError
        Where the process ends otherwise than it should.
    """
    environment = {**os.environ, "OMP_NUM_THREADS": str(job.threads)}
    if job.kind == "memory":
        environment |= MALLOC
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name(child)), json.dumps(asdict(job))],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        print(done.stderr, file=sys.stderr)
        said = done.stderr.strip().splitlines() or ["it said nothing"]
        raise RuntimeError(f"its process ended with {done.returncode}: {said[-1]}")
    answer = json.loads(done.stdout.strip().splitlines()[-1])
    if "not_run" in answer:
        raise NotRun(answer["not_run"])
    return answer


def answer(job: Job, do: Callable[[], dict[str, Any]]) -> None:
    """Do a job that this process was started for, and print what `in_own_process` reads."""
    set_up(job.device, job.threads)
    try:
        found = do()
    except NotRun as reason:
        found = {"not_run": str(reason)}
    print(json.dumps(found))


# ---- the machine


def facts(device: str) -> dict[str, Any]:
    """Return what a reader must know of the machine."""
    found: dict[str, Any] = {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "seqplrp": sp.__version__,
        "gpu": None,
    }
    if torch.device(device).type == "cuda":
        found |= {
            "gpu": torch.cuda.get_device_name(),
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
            "tf32": torch.backends.cudnn.allow_tf32 or torch.backends.cuda.matmul.allow_tf32,
        }
    return found


def cpu_model() -> str:
    """Return the CPU's name, as the system tells it."""
    told = Path("/proc/cpuinfo")
    if told.exists():
        for line in told.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def set_up(device: str, threads: int | None) -> None:
    """Make runs comparable: the threads asked for, full float32 on a GPU."""
    if threads is not None:
        torch.set_num_threads(threads)
    if torch.device(device).type == "cuda":
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cuda.matmul.allow_tf32 = False
