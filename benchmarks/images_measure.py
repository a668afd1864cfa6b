"""How the image benchmark measures: pairs by the clock and by the processor, ledgers, agreement with zennit."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import speed_measure
import torch
from images_rows import METHODS, NETS, TOYS, row_named
from speed_measure import WARM_UPS, finish
from speed_nets import Net
from speed_rows import TARGET, Calls, gxi_of
from torch import Tensor, nn

import seqplrp as sp


@dataclass(frozen=True)
class Job(speed_measure.Job):
    """A row on a network of images; a process of its own measures its memory.

    Attributes
    ----------
    batch : int
        Images a call.
    """

    batch: int

    def the_net(self) -> Net:
        return (TOYS if self.toy else NETS)[self.net]


@dataclass(frozen=True)
class Pairs:
    """Ratios of a call and gxi, pair by pair: by the clock, and by the processor time of all threads."""

    wall: list[float]
    processor: list[float]
    gxi_ms: float
    ms: float


def paired(gxi: Callable[[], Any], other: Callable[[], Any], job: Job) -> Pairs:
    """Time pairs of a call and gxi back to back, in turns which goes first.

    On a machine with other work, processor time tells more than the clock: it does not run while others do.
    """
    for _ in range(WARM_UPS):
        gxi(), other()
    pairs: list[tuple[tuple[float, float], tuple[float, float]]] = []
    until = time.perf_counter() + job.seconds
    while len(pairs) < job.pairs and (not pairs or time.perf_counter() < until):
        first, second = (gxi, other) if len(pairs) % 2 == 0 else (other, gxi)
        times = (_timed(first, job.device), _timed(second, job.device))
        pairs.append(times if first is gxi else times[::-1])
    return Pairs(
        [b[0] / a[0] for a, b in pairs],
        [b[1] / a[1] for a, b in pairs],
        1e3 * statistics.median(a[0] for a, _ in pairs),
        1e3 * statistics.median(b[0] for _, b in pairs),
    )


def _timed(call: Callable[[], Any], device: str) -> tuple[float, float]:
    """Return the seconds of the clock and of the processor until a call's result is there."""
    finish(device)
    wall, processor = time.perf_counter(), time.process_time()
    result = call()
    finish(device)
    found = time.perf_counter() - wall, time.process_time() - processor
    del result
    return found


@lru_cache(maxsize=1)
def loaded(net: Net, batch: int, device: torch.device) -> tuple[nn.Module, Tensor]:
    """Return a network's model and as many images as a call explains, the same for every row of a process."""
    return net.model(device), net.inputs(device)[:batch]


def prepared(job: Job) -> tuple[Calls, nn.Module, Tensor]:
    """Make a row ready: what it calls, the model, the images."""
    net = job.the_net()
    model, x = loaded(net, job.batch, torch.device(job.device))
    return row_named(job.row).build(net, model, x), model, x


def times_of(job: Job) -> dict[str, Any]:
    """Time a row: the whole call and the engine, each a `Pairs` or None; and what its result is like.

    Raises
    ------
    NotRun
        Where the row can't be run here.
    """
    calls, model, x = prepared(job)
    gxi = gxi_of(model, x)
    gc.collect()  # nobody pays for what another row left behind
    found: dict[str, Any] = {
        level: None if call is None else paired(gxi, call, job)
        for level, call in (("call", calls.call), ("engine", calls.engine))
    }
    if job.row in METHODS:
        found["unexplained"] = unexplained(calls.call())
    if job.row == "zennit epsilon":
        ours = sp.explain(model, x, TARGET, METHODS["LRP epsilon"]).relevance
        found["differs"] = float((calls.call() - ours).abs().sum() / ours.abs().sum())
    return found


def unexplained(explained: sp.Explanation) -> float:
    """Return the largest share of a layer's |relevance| that the ledger leaves unexplained, where it claims to."""
    ledger = explained.ledger.dropna(subset=["unexplained"])
    size = ledger[["size", "size_in"]].max(axis=1)
    return float((ledger.unexplained.abs() / size.where(size > 0, 1.0)).max())
