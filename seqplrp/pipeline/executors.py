"""Where chunks are explained: in this process, or by Ray's actors on one machine or many.

Both run the same function, which writes the chunk's part; nobody sends results around.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from seqplrp.errors import SeqplrpError
from seqplrp.genomics import Record, tracks
from seqplrp.models import weights_sha256
from seqplrp.pipeline.ahead import writing_behind
from seqplrp.pipeline.formats import LEDGER, SUMMARY
from seqplrp.pipeline.loading import Loaded, load_models
from seqplrp.pipeline.preparing import Prepared, Scan, session_of
from seqplrp.pipeline.request import Request
from seqplrp.pipeline.session import Chunk, LargestBatch, Session
from seqplrp.storage import naming

EXECUTORS = ("local", "ray")


@dataclass(frozen=True)
class Task:
    """A chunk that is to be explained.

    Parameters
    ----------
    number : int
        Which.
    first : int
        The number of its first record in the input.
    records : tuple of Record
        What to explain.
    path : Path
        Where its part is to be.
    run : str
        What tells this run's parts from another's.
    """

    number: int
    first: int
    records: tuple[Record, ...]
    path: Path
    run: str

    def texts(self, chunk: Chunk) -> dict[str, bytes]:
        """Return what its part holds beside the maps, when it was explained."""
        return {SUMMARY: as_text(chunk.summary), LEDGER: as_text(chunk.ledger)}


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


Do = Callable[[Task], None]
"""Explains a chunk, now or later; what fails is raised by a later call, or at the end."""


@contextmanager
def executing(prepared: Prepared, how: Executing) -> Iterator[Do]:
    """Yield what chunks are given to; when the block ends all of them are done."""
    if how.executor == "ray":
        with _on_ray(prepared, how) as do:
            yield do
        return
    with writing_behind() as write:

        def do(task: Task) -> None:
            chunk = explain_task(prepared.session, prepared.request.seed, task)
            write(write_task, task, chunk, prepared.session.largest_batch)

        yield do


def explain_task(session: Session, seed: int, task: Task) -> Chunk:
    """Explain a chunk; what is drawn at random for it does not depend on others."""
    torch.manual_seed(seed + task.number)
    return session.explain(task.records, task.first)


def write_task(task: Task, chunk: Chunk, largest_batch: LargestBatch) -> None:
    """Write a chunk's part.

    Raises
    ------
    SeqplrpError
        If there is no folder for it any more.
    """
    about = {
        "run": task.run,
        "number": task.number,
        "sequences": len(task.records),
        "bases": sum(map(len, task.records)),
        "scores": len(chunk.summary),
        "negative_scores": int((chunk.summary["output"] < 0).sum()),
        "explain_seconds": round(chunk.seconds, 4),
        "notes": list(chunk.notes),
        "largest_batch": largest_batch,
    }
    try:
        with naming(task.path):
            tracks.write_explained(task.path, task.records, chunk.explained, texts=task.texts(chunk), about=about)
    except FileNotFoundError as error:
        raise SeqplrpError(task.path.parent, "was removed while the run was at work", "begin again") from error


def as_text(rows: pd.DataFrame) -> bytes:
    """Return a table as text: floats with nine significant digits, missing values as empty fields."""
    return str(rows.to_csv(sep="\t", index=False, float_format="%.9g", lineterminator="\n")).encode()


class _Actor:
    """A process of Ray's with models of its own, which it loads from where the driver did."""

    def __init__(
        self, request: Request, scan: Scan, weights_sha256: Sequence[str], directory: str, threads: int
    ) -> None:
        os.chdir(directory)  # names of files and modules are as the user gave them
        sys.path.insert(0, directory)
        torch.set_num_threads(threads)
        self._seed = request.seed
        self._fault: SeqplrpError | None = None  # told when work is asked for: Ray wraps what is raised here in its own
        try:
            models = load_models(request.models, request.weights, trust_pickle=request.trust_pickle)
            _check_weights(models, weights_sha256)
            self._session = session_of(request, scan, models)
        except SeqplrpError as error:
            self._fault = error

    def process(self) -> int:
        """Return the process's number."""
        if self._fault is not None:
            raise self._fault
        return os.getpid()

    def work(self, task: Task, largest_batch: LargestBatch) -> LargestBatch:
        """Explain a chunk, in batches no larger than others found to fit, and write its part; say what fitted."""
        if self._fault is not None:
            raise self._fault
        self._session.take_up(largest_batch)
        write_task(task, explain_task(self._session, self._seed, task), self._session.largest_batch)
        return self._session.largest_batch


def _check_weights(models: Sequence[Loaded], wanted: Sequence[str]) -> None:
    """Raise where a model is not what the driver loaded: an actor's successor may be born hours later."""
    for model, sha256 in zip(models, wanted, strict=True):
        if weights_sha256(model.module) != sha256:
            raise SeqplrpError(
                model.name, "was changed while the run was at work", "put back what it was, and go on with --resume"
            )


@contextmanager
def _on_ray(prepared: Prepared, how: Executing) -> Iterator[Do]:
    ray = _ray()
    started = not ray.is_initialized()
    if started:
        _connect(ray, how)
    try:
        with _actors(ray, prepared, how) as actors:
            pool = _Pool(ray, actors, prepared.session)
            yield pool.submit
            pool.finish()
    finally:
        if started:
            ray.shutdown()


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise SeqplrpError(
            "--executor ray", "needs Ray, which is not installed", "pip install 'seqplrp[ray]'"
        ) from error
    return ray


def _connect(ray: Any, how: Executing) -> None:
    try:
        ray.init(
            address=how.address,
            log_to_driver=False,
            include_dashboard=False,
            logging_level="error",
            configure_logging=False,
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        where = "--ray-address" if how.address else "--executor ray"
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise SeqplrpError(
            where, f"no cluster answers ({first})", "check the address and that `ray status` works"
        ) from error


@contextmanager
def _actors(ray: Any, prepared: Prepared, how: Executing) -> Iterator[Sequence[Any]]:
    room = ray.cluster_resources()
    most = int(room.get("CPU", 0) // how.cpus)
    if how.gpus:
        most = min(most, int(room.get("GPU", 0) // how.gpus))
    wanted = most if how.workers is None else how.workers
    if wanted < 1 or wanted > most:
        asked = f"{wanted} actors of {how.cpus} CPUs and {how.gpus:g} GPUs"
        what = f"{asked} do not fit the cluster, which has room for {most}"
        raise SeqplrpError("--workers" if how.workers else "--cpus, --gpus", what, "ask for fewer, or for less each")
    # a chunk whose actor dies is given to the actor's successor: parts are whole or not there, so nothing is doubled
    kind = ray.remote(num_cpus=how.cpus, num_gpus=how.gpus, max_restarts=-1, max_task_retries=3)(_Actor)
    weights = [weights_sha256(model.module) for model in prepared.models]
    given = (prepared.request, prepared.scan, weights, os.getcwd(), how.cpus)
    actors = [kind.remote(*given) for _ in range(wanted)]
    try:
        _checked(ray, lambda: ray.get([actor.process.remote() for actor in actors]))
        yield actors
    finally:
        for actor in actors:
            ray.kill(actor)


class _Pool:
    """Gives each actor two chunks, one to work on and one to go on with; tells all what fitted into one's memory."""

    _EACH = 2

    def __init__(self, ray: Any, actors: Sequence[Any], session: Session) -> None:
        self._ray, self._session = ray, session
        self._free = [actor for actor in actors for _ in range(self._EACH)]
        self._busy: dict[Any, Any] = {}

    def submit(self, task: Task) -> None:
        """Give a chunk to an actor, when one is free."""
        if not self._free:
            self._wait()
        actor = self._free.pop(0)
        self._busy[actor.work.remote(task, self._session.largest_batch)] = actor

    def _wait(self) -> None:
        (done,), _ = self._ray.wait(list(self._busy), num_returns=1)
        self._free.append(self._busy.pop(done))
        self._session.take_up(_checked(self._ray, lambda: self._ray.get(done)))

    def finish(self) -> None:
        """Wait until all are done."""
        while self._busy:
            self._wait()


def _checked(ray: Any, get: Callable[[], Any]) -> Any:
    """Raise what went wrong in an actor as it would have been raised here."""
    try:
        return get()
    except ray.exceptions.RayTaskError as error:
        cause = error.cause
        if isinstance(cause, SeqplrpError | OSError | MemoryError):
            raise cause from None
        raise
    except (ray.exceptions.RayActorError, ray.exceptions.WorkerCrashedError) as error:
        what = f"died again and again ({str(error).strip().splitlines()[0]})"
        raise SeqplrpError(
            "a Ray worker", what, "look into Ray's logs; what is finished is kept, --resume goes on"
        ) from error
