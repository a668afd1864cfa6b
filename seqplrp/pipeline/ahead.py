"""Reading ahead and writing behind, each in a thread of its own, while the engine works."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")
_END = object()


def read_ahead(items: Iterable[T], most: int = 2) -> Generator[T, None, None]:
    """Yield what an iterable gives, which is read in another thread, at most so many items ahead.

    What the iterable raises is raised here, after the items before it. When the caller stops early the thread ends.
    """
    waiting: queue.Queue[Any] = queue.Queue(most)
    stopped = threading.Event()

    def put(item: Any) -> bool:
        while not stopped.is_set():
            try:
                waiting.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def read() -> None:
        try:
            for item in items:
                if not put((item, None)):
                    return
        except BaseException as error:  # it is the caller's, whatever it is
            put((_END, error))
        else:
            put((_END, None))

    thread = threading.Thread(target=read, name="reading ahead", daemon=True)
    thread.start()
    try:
        while True:
            item, error = waiting.get()
            if error is not None:
                raise error
            if item is _END:
                return
            yield item
    finally:
        stopped.set()
        thread.join()


@contextmanager
def writing_behind() -> Iterator[Callable[..., None]]:
    """Yield what calls a function in another thread and returns at once: one call at a time waits, no more.

    A call that failed raises at the next one or at the end of the block. However the block ends, the call that is at
    work is let finish, so that what was computed is not lost.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="writing behind") as pool:
        pending: list[Future[None]] = []

        def later(work: Callable[..., None], *given: Any) -> None:
            while pending:
                pending.pop().result()
            pending.append(pool.submit(work, *given))

        yield later
        while pending:
            pending.pop().result()
