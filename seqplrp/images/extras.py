"""The libraries of the extra `image`, imported where they are used, with one clear error where they are missing."""

from __future__ import annotations

import importlib
from typing import Any

from seqplrp.errors import SeqplrpError, first_line


def imported(module: str, what: str) -> Any:
    """Import a module of torchvision or Pillow.

    Parameters
    ----------
    module : str
        Such as ``torchvision.models`` or ``PIL.Image``.
    what : str
        What needs it, for the error.

    Raises
    ------
    SeqplrpError
        Where it can't be imported, with the extra that installs it.
    """
    try:
        return importlib.import_module(module)
    except (ImportError, RuntimeError) as error:  # a torchvision of another torch's fails with either
        library = module.partition(".")[0]
        raise SeqplrpError(
            what, f"needs {library}, which can't be imported ({first_line(error)})", "pip install 'seqplrp[image]'"
        ) from error
