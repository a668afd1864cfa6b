"""Being told to end: by a scheduler, by ``timeout``, by a terminal that is lost."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

_NAMES = ("SIGTERM", "SIGHUP")


class Stopped(BaseException):
    """The process was told to end; like `KeyboardInterrupt`, nothing that catches errors catches it.

    Parameters
    ----------
    number : int
        Of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@contextmanager
def stoppable() -> Iterator[None]:
    """Let a signal that would end the process at once raise `Stopped` instead, so that temporary files are removed.

    A signal that is ignored (nohup) or that the caller handles is left to them, and so are all outside of the main
    thread, where Python lets nobody set a handler.
    """
    there = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
    ours = [number for number in there if signal.getsignal(number) is signal.SIG_DFL]
    if threading.current_thread() is not threading.main_thread():
        ours = []
    for number in ours:
        signal.signal(number, _stop)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


def stop_behind(error: BaseException) -> Stopped | KeyboardInterrupt | None:
    """Return the stop that an exception came of, itself or another that it set off.

    What is stopped while a library is imported, say, may find that library half there as it cleans up, and fail in its
    turn: that is no fault of the program's.
    """
    seen: set[int] = set()
    behind: BaseException | None = error
    while behind is not None and id(behind) not in seen:
        if isinstance(behind, Stopped | KeyboardInterrupt):
            return behind
        seen.add(id(behind))
        behind = behind.__cause__ or behind.__context__
    return None


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    del frame
    raise Stopped(number)
