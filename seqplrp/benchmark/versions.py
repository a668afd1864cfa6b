"""The versions of what results depend on."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

from seqplrp._version import __version__


def versions(libraries: Iterable[str]) -> dict[str, str]:
    """Return the versions of seqplrp and of the libraries that values come from; absent ones are left out.

    A cell that other versions made is refused. Its source is no version: one that another state of it made is said in
    the report (`seqplrp.benchmark.provenance`).
    """
    found = {"seqplrp": __version__}
    for name in libraries:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
