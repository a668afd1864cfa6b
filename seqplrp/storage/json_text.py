"""JSON from outside: whatever is wrong with it is a ValueError, and what is read can be walked through and written."""

from __future__ import annotations

import json
from typing import Any

_DEEPEST = 100  # what seqplrp writes is 6 deep; whoever walks through it must not run out of stack


def parse_json(text: str | bytes) -> Any:
    """Read JSON.

    Raises
    ------
    ValueError
        For what is no JSON (a JSONDecodeError, which knows the line) or no text, is nested deeper than 100, has a
        number of more than 4,300 digits, or text that no file can hold (half a surrogate pair).
    """
    try:
        found = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if _is_deep(found):
        raise ValueError("it is nested too deeply")
    if b"\\u" in text if isinstance(text, bytes) else "\\u" in text:  # which alone can write such a half
        try:
            json.dumps(found, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise ValueError("it holds half of a character (a lone surrogate)") from None
    return found


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(_DEEPEST):
        level = [inner for one in level if isinstance(one, dict | list) for inner in _within(one)]
        if not level:
            return False
    return True


def _within(value: dict[str, Any] | list[Any]) -> Any:
    return value.values() if isinstance(value, dict) else value
