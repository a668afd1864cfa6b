"""Optional libraries, imported where they are used, with one clear error where they are not installed."""

from __future__ import annotations

import importlib
from typing import Any

from seqplrp.errors import SeqplrpError, first_line


def extra_library(extra: str, module: str, where: str) -> Any:
    """Import a module of an optional library.

    Parameters
    ----------
    extra : str
        The extra of seqplrp that installs it.
    module : str
        The module.
    where : str
        What needs it, for errors.

    Raises
    ------
    SeqplrpError
        If it can't be imported; it names the extra.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        library = module.partition(".")[0]
        raise SeqplrpError(
            where, f"needs {library}, which can't be imported ({first_line(error)})", f"pip install 'seqplrp[{extra}]'"
        ) from error
