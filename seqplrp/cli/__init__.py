"""The command line: thin commands over the rooms below.

``main`` is all that is public. Each command is one module of this room with a function ``register(app)``;
what it needs beyond typer it imports when it runs, so that ``seqplrp --help`` answers at once.
"""

from __future__ import annotations

from seqplrp.cli.app import main

__all__ = ["main"]
