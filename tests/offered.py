"""Distributions that offer plug-ins, written by hand as pip would leave them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from seqplrp import plugins
from seqplrp.lrp.registry import HANDLERS


def offer(
    place: Path,
    name: str,
    points: Mapping[str, Mapping[str, str]],
    modules: Mapping[str, str] | None = None,
    version: str = "1.0",
) -> None:
    """Write a distribution: its entry points by group and name, and its modules' texts by name."""
    info = place / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = []
    for group, named in points.items():
        lines += [f"[{group}]", *(f"{key} = {value}" for key, value in named.items()), ""]
    (info / "entry_points.txt").write_text("\n".join(lines))
    for module, text in (modules or {}).items():
        (place / f"{module}.py").write_text(text)


@contextmanager
def installed_in(place: Path) -> Iterator[None]:
    """Let this process find what lies in a folder, and forget all of it afterwards."""
    before, handlers = set(sys.modules), dict(HANDLERS)
    sys.path.insert(0, str(place))
    plugins.forget()
    try:
        yield
    finally:
        sys.path.remove(str(place))
        for name in set(sys.modules) - before:
            if str(getattr(sys.modules[name], "__file__", "")).startswith(str(place)):
                del sys.modules[name]
        HANDLERS.clear()
        HANDLERS.update(handlers)
        plugins._CLASSES.clear()
        plugins.forget()
