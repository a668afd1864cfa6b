"""Optional libraries, imported where they are used, with one clear error where they are not installed."""

from __future__ import annotations

import importlib
from typing import Any

from seqplrp.errors import SeqplrpError, first_line


def _imported(library: str, *modules: str, what: str) -> Any:
    try:
        for module in modules:
            importlib.import_module(f"{library}.{module}")
        return importlib.import_module(library)
    except ImportError as error:
        raise SeqplrpError(
            what, f"needs {library}, which can't be imported ({first_line(error)})", "pip install 'seqplrp[peers]'"
        ) from error


def tangermeme(what: str) -> Any:
    """Return tangermeme, with the modules that are used of it; `what` says what needs it."""
    return _imported("tangermeme", "deep_lift_shap", "ersatz", "saturation_mutagenesis", what=what)


def captum(what: str) -> Any:
    """Return captum with its attributions; `what` says what needs it."""
    return _imported("captum", "attr", what=what)
