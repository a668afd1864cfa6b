"""Settings typed as ``--option NAME=VALUE``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from seqplrp.errors import SeqplrpError


def named_values(items: Sequence[str], example: str) -> dict[str, Any]:
    """Read ``name=value`` texts; a value is a number, true or false, a word, or several with commas between.

    Parameters
    ----------
    items : sequence of str
        As given with ``--option``; a dash in a name stands for an underscore.
    example : str
        What errors show.

    Raises
    ------
    SeqplrpError
        For a text without a name or without a value, and for a name that is given twice.
    """
    found: dict[str, Any] = {}
    for item in items:
        name, equals, text = item.partition("=")
        if not equals or not name or not text:
            raise SeqplrpError("--option", f"{item!r} is not name=value", f"write it as {example}")
        values = [_value(part.strip()) for part in text.split(",") if part.strip()]
        if not values:
            raise SeqplrpError("--option", f"{item!r} has no value", f"write it as {example}")
        key = name.strip().replace("-", "_")
        if key in found:
            raise SeqplrpError("--option", f"gives {key!r} twice", "give each name once")
        found[key] = values[0] if len(values) == 1 else values
    return found


def _value(text: str) -> int | float | bool | str:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text
