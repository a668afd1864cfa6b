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


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    del frame
    raise Stopped(number)
