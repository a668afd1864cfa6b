"""What an audit says: findings, each with its size, its places and what to do, by check."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Level = Literal["finding", "note", "unsettled"]
Cause = Literal["model", "explanation", "both", "unsettled", "not asked"]
Range = tuple[int, int]

CAUSES: Mapping[Cause, str] = {
    "model": "most of it is the model's own doing",
    "explanation": "little or none of it is the model's own doing, and the explanation adds the most",
    "both": "a part of it is the model's own doing, and the explanation adds to that",
    "unsettled": "whether the model or the explanation does it can't be told: the score's answers are too uncertain",
    "not asked": "",
}


@dataclass(frozen=True)
class Finding:
    """One artifact.

    Attributes
    ----------
    check : str
        The check that found it.
    name : str
        Which artifact: ``edge``, ``comb``, ``uneven``, ``does not follow``, ``strand`` ...
    level : {"finding", "note", "unsettled"}
        A note is significant, but too small to change what a reader of the maps concludes, or no fault of the maps.
        What is unsettled may be a finding or nothing: what was measured can't tell.
    what : str
        One sentence: what was seen, with figures.
    size : float
        How large it is, in the unit that `size_of` names.
    size_of : str
        What `size` measures.
    p : float or None
        Corrected for the number of tests of the check; None where the statistic is no test.
    positions : tuple of (start, end)
        The positions to distrust, 0-based half-open; empty where it concerns all, or none in particular.
    cause : str
        A key of `CAUSES`.
    remedy : str
        What to do.
    details : mapping
        Further numbers.
    """

    check: str
    name: str
    level: Level
    what: str
    size: float
    size_of: str
    p: float | None = None
    positions: tuple[Range, ...] = ()
    cause: Cause = "not asked"
    remedy: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class CheckResult:
    """What one check came to.

    Attributes
    ----------
    check : str
        Its short name.
    title : str
        What it asks.
    summary : str
        What was measured, with figures, or why it did not run.
    ran : bool
        False where something that it needs was not given.
    findings : tuple of Finding
        Findings and notes.
    statistics : mapping
        What was measured, as JSON can hold it.
    draw : callable, optional
        Makes the picture.
    """

    check: str
    title: str
    summary: str
    ran: bool = True
    findings: tuple[Finding, ...] = ()
    statistics: Mapping[str, Any] = field(default_factory=dict)
    draw: Callable[[], Figure] | None = field(default=None, repr=False, compare=False)

    @property
    def status(self) -> Literal["findings", "unsettled", "nothing found", "not run"]:
        """How it ended; notes alone count as nothing found, which is no proof that there is nothing."""
        if not self.ran:
            return "not run"
        levels = {one.level for one in self.findings}
        return "findings" if "finding" in levels else "unsettled" if "unsettled" in levels else "nothing found"


def plain(value: Any) -> Any:
    """Return a value as JSON can hold it: arrays as lists, numbers that are not finite as None."""
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(one) for one in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value


def ranges_of(flags: np.ndarray, *, gap: int = 0) -> tuple[Range, ...]:
    """Return the runs of true values of (L,) flags as 0-based half-open ranges; runs closer than `gap` are joined."""
    where = np.flatnonzero(flags)
    if not where.size:
        return ()
    breaks = np.flatnonzero(np.diff(where) > gap + 1)
    starts = where[np.concatenate([[0], breaks + 1])]
    ends = where[np.concatenate([breaks, [where.size - 1]])] + 1
    return tuple(zip(starts.tolist(), ends.tolist(), strict=True))


def spoken(ranges: Sequence[Range], most: int = 6) -> str:
    """Say ranges: ``0-12, 50-60 and 3 more``."""
    shown = ", ".join(f"{start}-{end}" for start, end in ranges[:most])
    return shown + (f" and {len(ranges) - most} more" if len(ranges) > most else "")
