"""Checks of what is asked of the readers of sequences."""

from __future__ import annotations

from seqplrp.errors import SeqplrpError

LONGEST_WINDOW = 1 << 28  # longer than any human chromosome; what is longer comes of a mistake


def check_choice(name: str, given: str, choices: tuple[str, ...]) -> None:
    """Raise the error for an argument that is none of the `choices`."""
    if given not in choices:
        raise SeqplrpError(name, f"is {given!r}", f"give {', '.join(map(repr, choices[:-1]))} or {choices[-1]!r}")


def check_width(name: str, width: int) -> None:
    """Raise the error for a window of no letter, or of more than 2 ** 28."""
    if not 1 <= width <= LONGEST_WINDOW:
        raise SeqplrpError(name, f"is {width}", f"give a number of bases from 1 to {LONGEST_WINDOW}")
