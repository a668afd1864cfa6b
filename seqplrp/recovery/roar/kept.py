"""What a ROAR study keeps: its description, a file a training, the maps of a model; so that a stopped one goes on."""

from __future__ import annotations

import hashlib
import io
import json
import warnings
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from seqplrp.errors import SeqplrpError
from seqplrp.models import SequenceData
from seqplrp.recovery.roar.importance import ImportanceFunction, function_described
from seqplrp.recovery.roar.masks import Floats, Masks
from seqplrp.recovery.roar.options import RoarOptions
from seqplrp.recovery.source import source_digest, source_rooms
from seqplrp.storage import locked, npy_array, parse_json, write_json, write_whole

_STUDY_FILE = "study.json"
_UNSAID = "function"  # what studies of before functions were described say of one
_UNRECORDED = "unrecorded"


@dataclass(frozen=True)
class Cell:
    """One training."""

    method: str
    input: Literal["sequence", "mask"]
    percent: float
    seed: int

    @property
    def stem(self) -> str:
        """Name of its part file: any method's name, shortened to what every file system takes."""
        word = "".join(c if c.isalnum() else "_" for c in self.method)[:60]
        return f"{word}-{zlib.crc32(self.method.encode()):08x}-{self.input}-{self.percent:g}-{self.seed}"


def described(
    data: SequenceData, importance: Mapping[str, Floats | ImportanceFunction], truth: Masks | None, options: RoarOptions
) -> dict[str, Any]:
    """Say what is studied, so that parts of another study are told."""
    return {
        "data": _digest(data.codes, data.labels, np.array(data.split, dtype="U10")),
        "architecture": options.architecture,
        "options": json.loads(json.dumps(dict(options.options))),
        "training": {k: v for k, v in asdict(options.training).items() if k not in ("seed", "device")},
        "truth": None if truth is None else _digest(truth),
        "maps": {
            name: function_described(one) if callable(one) else _digest(np.asarray(one))
            for name, one in importance.items()
        },
        "source": source_rooms(),
        "sources": [source_digest()],
    }


class Kept:
    """A study's directory, or nothing where none was named: then all is made anew.

    Parameters
    ----------
    folder : path or None
        Made where it is not there.

    Raises
    ------
    SeqplrpError
        Where it is a file, or holds something else than a study.
    """

    def __init__(self, folder: Path | str | None) -> None:
        self.folder = None if folder is None else Path(folder)
        self._others: Counter[str] = Counter()
        if self.folder is None:
            return
        if self.folder.exists() and not self.folder.is_dir():
            raise SeqplrpError(self.folder, "is a file", "name a directory")
        there = [path for path in self.folder.iterdir() if path.name != ".lock"] if self.folder.is_dir() else []
        if there and not (self.folder / _STUDY_FILE).exists():
            raise SeqplrpError(self.folder, "holds other files than a study's", "choose another directory")
        self.folder.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the directory against a second run."""
        if self.folder is None:
            yield
        else:
            with locked(self.folder):
                yield

    def check_same(self, study: dict[str, Any]) -> None:
        """Write down what is studied, or raise where the parts there are of something else."""
        if self.folder is None:
            return
        path = self.folder / _STUDY_FILE
        if not path.exists():
            write_json(path, study)
            return
        before = _read(path, "remove the directory, or choose another")
        for what in ("data", "architecture", "options", "training", "truth"):
            if before.get(what) != study[what]:
                raise SeqplrpError(self.folder, f"holds parts of a study with other {what}", "choose another directory")
        self._check_maps(before.get("maps", {}), study["maps"])
        # what was not recorded stays so
        study["maps"] = {**study["maps"], **before.get("maps", {})}
        study["sources"] = list(dict.fromkeys([*before.get("sources", [_UNRECORDED]), source_digest()]))
        write_json(path, study)

    def _check_maps(self, before: Mapping[str, str], now: Mapping[str, str]) -> None:
        for name in before.keys() & now.keys():
            known = before[name]
            if known == _UNSAID and " " in now[name]:  # a function's description, no hash
                warnings.warn(
                    f"{self.folder}: what made the maps of {name!r} was not recorded; they are taken for this method's",
                    stacklevel=4,
                )
            elif known != now[name]:
                raise SeqplrpError(
                    self.folder,
                    f"holds parts of other maps called {name!r}{_differing(known, now[name])}",
                    "rename them, or choose another directory",
                )

    def row(self, cell: Cell) -> dict[str, Any] | None:
        """Return a training's row, or None where it was not kept."""
        path = self._path("parts", cell, "json")
        if path is None or not path.exists():
            return None
        row = _read(path, "remove this file and run again")
        self._came_from(row.pop("source", None))
        return row

    def keep_row(self, cell: Cell, row: Mapping[str, Any]) -> None:
        """Keep a training's row."""
        path = self._path("parts", cell, "json")
        if path is not None:
            # may hold NaN: a measure that a test set without one of the classes does not have
            write_whole(path, json.dumps({**row, "source": source_digest()}).encode())

    def map_of(self, cell: Cell) -> Floats | None:
        """Return the importance (N, L) that a function made of a seed's model, or None where it was not kept."""
        path = self._path("maps", cell, "npy")
        if path is None or not path.exists():
            return None
        beside = path.with_suffix(".json")
        known = _read(beside, "remove it") if beside.exists() else {}
        try:
            found = npy_array(path)
        except ValueError as error:
            raise SeqplrpError(path, "is damaged", "remove this file and run again") from error
        self._came_from(known.get("source"))
        return np.array(found)

    def keep_map(self, cell: Cell, found: Floats) -> None:
        """Keep the importance that a function made."""
        path = self._path("maps", cell, "npy")
        if path is not None:
            write_json(path.with_suffix(".json"), {"source": source_digest()})
            content = io.BytesIO()
            np.save(content, found, allow_pickle=False)
            write_whole(path, content.getvalue())

    def warn_of_others(self, total: int) -> None:
        """Warn where parts or maps that were there were made by another state of the package's source."""
        if self._others:
            told = ", ".join(f"{n} by {source}" for source, n in self._others.most_common())
            warnings.warn(
                f"{self.folder}: of {total} trainings and the maps that they need, some were there, made by another "
                f"state of the package's source than the present one ({source_digest()}): {told}",
                stacklevel=3,
            )

    def _path(self, kind: str, cell: Cell, suffix: str) -> Path | None:
        return None if self.folder is None else self.folder / kind / f"{cell.stem}.{suffix}"

    def _came_from(self, source: str | None) -> None:
        if source != source_digest():
            self._others[source or _UNRECORDED] += 1


def _differing(before: str, now: str) -> str:
    """Say what two descriptions are, where they are words and not hashes of maps."""
    return f": {before} before, {now} now" if " " in before and " " in now else ""


def _digest(*arrays: npt.NDArray[Any]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _read(path: Path, remedy: str) -> dict[str, Any]:
    try:
        content = parse_json(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise SeqplrpError(path, "is damaged", remedy) from error
    if not isinstance(content, dict):
        raise SeqplrpError(path, "is damaged", remedy)
    return content
