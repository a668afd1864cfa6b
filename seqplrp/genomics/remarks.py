"""What is told of inputs that could not be used as they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Remark:
    """One thing in the input that was left out, or used otherwise than it stands there.

    Parameters
    ----------
    kind : str
        What happened, in a word or two that never change, to count by: see the function that makes the remark.
    name : str
        Of the region, record or variant; ``.`` where it has none.
    contig : str
        Where it lies.
    start, end : int
        0-based half-open; of a window they may lie off the contig.
    reason : str
        Why, in a sentence for people.
    where : str
        File and line.
    used : bool
        Whether there is a record of it all the same.
    """

    kind: str
    name: str
    contig: str
    start: int
    end: int
    reason: str
    where: str
    used: bool = False


Note = Callable[[Remark], object]
