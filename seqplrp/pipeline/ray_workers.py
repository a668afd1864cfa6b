"""Chunks explained by Ray's actors, on one machine or many; each has models of its own and writes its chunks' parts."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import torch

from seqplrp.errors import SeqplrpError, first_line
from seqplrp.models import weights_sha256
from seqplrp.pipeline.chunk_task import Do, Task, explain_task, write_task
from seqplrp.pipeline.loading import Loaded, load_models
from seqplrp.pipeline.preparing import Prepared, Scan, session_of
from seqplrp.pipeline.request import Request
from seqplrp.pipeline.session import LargestBatch, Session


class RayCluster(Protocol):
    """Which cluster, and what each actor is given of it; see `seqplrp.pipeline.Executing`."""

    @property
    def workers(self) -> int | None:
        """How many actors; None: as many as there is room for."""
        ...

    @property
    def cpus(self) -> int:
        """Threads of each."""
        ...

    @property
    def gpus(self) -> float:
        """GPUs of each."""
        ...

    @property
    def address(self) -> str | None:
        """Of the cluster; None: one is started on this machine."""
        ...


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
def on_ray(prepared: Prepared, how: RayCluster) -> Iterator[Do]:
    """Yield what chunks are given to, which explains them in Ray's actors; when the block ends all of them are done."""
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


def _connect(ray: Any, how: RayCluster) -> None:
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
        raise SeqplrpError(
            where, f"no cluster answers ({first_line(error)})", "check the address and that `ray status` works"
        ) from error


@contextmanager
def _actors(ray: Any, prepared: Prepared, how: RayCluster) -> Iterator[Sequence[Any]]:
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
        what = f"died again and again ({first_line(error)})"
        raise SeqplrpError(
            "a Ray worker", what, "look into Ray's logs; what is finished is kept, --resume goes on"
        ) from error
