"""Whether what an explainer holds can be pickled, told in one line before a pickler stumbles over it."""

from __future__ import annotations

import io
import pickle
import sys
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from seqplrp.errors import SeqplrpError, whole_message

_TAKE_CODE_ALONG = {"copy", "cloudpickle", "dill"}
"""Modules that keep functions and classes, or pickle them by value (Ray's and joblib's do, too): a lambda is fine."""


def check_portable(parts: Mapping[str, object]) -> None:
    """Raise a SeqplrpError where one of several things can't be pickled.

    Parameters
    ----------
    parts : mapping of str to object
        By the names that the error calls them.
    """
    if _code_is_taken_along():
        return
    for name, value in parts.items():
        try:
            _WithoutTensors(io.BytesIO()).dump(value)
        except Exception as error:  # whatever an object of the user's raises
            raise SeqplrpError(
                name,
                f"can't be pickled ({whole_message(error)})",
                "define its classes and functions at the top of a module, not as a lambda or inside a function; or use "
                "cloudpickle, which takes them along",
            ) from error


class _WithoutTensors(pickle.Pickler):
    """Leaves out the numbers, which can be pickled and are many."""

    def persistent_id(self, value: Any) -> str | None:
        return "tensor" if isinstance(value, Tensor) else None


def _code_is_taken_along() -> bool:
    """Whether the one who asks is no plain pickler; those in C leave no trace on the stack, those in Python do."""
    frame = sys._getframe(1)
    while frame.f_back is not None:
        frame = frame.f_back
        if not _TAKE_CODE_ALONG.isdisjoint(str(frame.f_globals.get("__name__")).split(".")):
            return True
    return False
