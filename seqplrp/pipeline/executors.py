"""Where chunks are explained: in this process, or by Ray's actors on one machine or many.

Both run the same function, which writes the chunk's part; nobody sends results around.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from seqplrp.errors import SeqplrpError
from seqplrp.pipeline.ahead import writing_behind
from seqplrp.pipeline.chunk_task import Do, Task, explain_task, write_task
from seqplrp.pipeline.preparing import Prepared
from seqplrp.pipeline.ray_workers import on_ray

EXECUTORS = ("local", "ray")


@dataclass(frozen=True)
class Executing:
    """Where chunks are explained.

    Parameters
    ----------
    executor : {"local", "ray"}
        This process, or Ray's actors.
    workers : int, optional
        How many actors; as many as the cluster has room for unless given.
    cpus : int
        Threads of each actor.
    gpus : float
        GPUs of each actor.
    address : str, optional
        Of a Ray cluster; unless given, one is started on this machine.
    """

    executor: str = "local"
    workers: int | None = None
    cpus: int = 1
    gpus: float = 0.0
    address: str | None = None

    def check(self) -> None:
        """Raise for values that are none."""
        if self.executor not in EXECUTORS:
            raise SeqplrpError("--executor", f"{self.executor!r} is not known", f"choose {' or '.join(EXECUTORS)}")
        for option, value, least in (
            ("--workers", self.workers, 1),
            ("--cpus", self.cpus, 1),
            ("--gpus", self.gpus, 0),
        ):
            if value is not None and value < least:
                raise SeqplrpError(option, f"is {value}", f"give {least} or more")
        given = self.workers is not None or self.address is not None or self.gpus or self.cpus != 1
        if self.executor == "local" and given:
            raise SeqplrpError("--workers, --cpus, --gpus, --ray-address", "are for Ray", "add --executor ray")


def where_it_runs(prepared: Prepared, how: Executing) -> Prepared:
    """Return what is prepared with the device on which its chunks will be explained, which need not be this process's.

    A cluster's actors run where `how` says, whether or not the machine that hands out the chunks has a GPU.
    """
    if how.executor != "ray" or prepared.request.device != "auto":
        return prepared
    device = "cuda" if how.gpus else "cpu"
    prepared.session.device = device
    return replace(prepared, request=replace(prepared.request, device=device))


@contextmanager
def executing(prepared: Prepared, how: Executing) -> Iterator[Do]:
    """Yield what chunks are given to; when the block ends all of them are done."""
    if how.executor == "ray":
        with on_ray(prepared, how) as do:
            yield do
        return
    with writing_behind() as write:

        def do(task: Task) -> None:
            chunk = explain_task(prepared.session, prepared.request.seed, task)
            write(write_task, task, chunk, prepared.session.largest_batch)

        yield do
