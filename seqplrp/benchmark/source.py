"""Which state of the package's source results came of: version numbers stay the same while code changes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import seqplrp

MODULES = (
    "cell",
    "costs",
    "curves",
    "model_protocols",
    "networks",
    "protocols",
    "scenes",
    "tasks",
    "variants",
)
"""Of ``benchmark``, the modules that decide what is measured of a cell. Its others read configurations, which each cell
keeps in its recipe, or make tables and pages of what cells hold."""


@dataclass(frozen=True)
class Source:
    """The package's source files that decide the values of a domain.

    Parameters
    ----------
    rooms : tuple of str
        Folders of the package. All their files go in, data such as motifs too.
    chosen : tuple of (str, tuple of str)
        Folders, such as ``recovery/benchmark``, of which these modules alone go in: a page that is laid out anew makes
        no other values.
    """

    rooms: tuple[str, ...]
    chosen: tuple[tuple[str, tuple[str, ...]], ...] = (("benchmark", MODULES),)

    def state(self) -> dict[str, str]:
        """Return a short hash of each room's files, as they were when this was first asked in the process."""
        return dict(_state(self))

    def digest(self) -> str:
        """Return a short hash of all of them: the same hash, the same code.

        Comments count: it tells states apart, not meanings.
        """
        text = "".join(f"{room}:{found}\n" for room, found in self.state().items())
        return hashlib.sha256(text.encode()).hexdigest()[:12]


@cache
def _state(source: Source) -> dict[str, str]:
    chosen = dict(source.chosen)
    return {room: _hashed(room, chosen) for room in source.rooms}


def forget_states() -> None:
    """Read the files anew when a state is next asked for: for tests that change them."""
    _state.cache_clear()


def _hashed(room: str, chosen: dict[str, tuple[str, ...]]) -> str:
    root = Path(seqplrp.__file__).parent
    digest = hashlib.sha256()
    for path in sorted((root / room).rglob("*")):
        if path.is_dir() or path.suffix == ".pyc" or path.name.startswith("."):
            continue
        folder = path.parent.relative_to(root).as_posix()
        if folder in chosen and path.stem not in chosen[folder]:
            continue
        digest.update(path.relative_to(root).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]
