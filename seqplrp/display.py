"""How an explanation shows itself: it asks here, and `seqplrp/__init__.py`, outside of the rooms, says who draws.

The room of methods lies beneath that of pictures and imports nothing of it. What is supplied is called when something
is to be shown, and not imported before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_SUPPLIED: dict[str, Callable[..., Any]] = {}


def supply(**functions: Callable[..., Any]) -> None:
    """Say which functions show things, by what they make: ``logo``, ``html``."""
    _SUPPLIED.update(functions)


def shown(what: str, *arguments: Any, **settings: Any) -> Any:
    """Call the function that makes a picture, or a page, of something."""
    return _SUPPLIED[what](*arguments, **settings)
