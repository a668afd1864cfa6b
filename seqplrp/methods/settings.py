"""Checks of the numbers that methods take, each with one clear error."""

from __future__ import annotations

from math import isfinite
from typing import Any

from seqplrp.errors import SeqplrpError


def check_count(name: str, value: Any, least: int = 1) -> None:
    """Raise a SeqplrpError unless a value is a whole number of at least so many."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise SeqplrpError(name, f"{value!r} is not a whole number >= {least}", f"give {max(least, 10)}, say")


def check_number(name: str, value: Any, low: float, high: float = float("inf"), *, below: bool = False) -> None:
    """Raise a SeqplrpError unless a value is a number from low to high; `below` leaves high itself out."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    if not is_number or not (low <= value < high if below else low <= value <= high):
        upper = "" if high == float("inf") else f" and {'<' if below else '<='} {high:g}"
        raise SeqplrpError(name, f"{value!r} is not a number >= {low:g}{upper}", "give a number in that range")


def check_choice(name: str, value: Any, known: tuple[str, ...]) -> None:
    """Raise a SeqplrpError unless a value is one of a few words."""
    if value not in known:
        raise SeqplrpError(name, f"{value!r} is not known", f"use {' or '.join(map(repr, known))}")


def check_seed(value: Any) -> None:
    """Raise a SeqplrpError unless a value can seed a generator."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**31:
        raise SeqplrpError("seed", f"{value!r} is not a whole number >= 0 and < 2**31", "give 0, say")
