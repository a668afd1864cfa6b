"""What the benchmarks have in common: arguments, the machine's facts, tables as markdown, files of results."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from speed_measure import facts
from speed_rows import first_line

if TYPE_CHECKING:
    from speed_table import Ratio

RESULTS = Path(__file__).with_name("results")


# ---- arguments


def count(text: str) -> int:
    """Read a number of one or more."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def check_device(command: argparse.ArgumentParser, device: str) -> None:
    """Leave with an error of one line where torch has no such device."""
    try:
        torch.empty(0, device=torch.device(device))
    except (RuntimeError, AssertionError) as error:
        command.error(f"--device {device}: can't be used here ({first_line(error)}); use --device cpu")


# ---- what is told


def machine(device: str = "cpu", libraries: Sequence[str] = ()) -> dict[str, Any]:
    """Return what a reader must know of the machine and the versions."""
    found = {name: value for name, value in facts(device).items() if value is not None}
    return {**found, **{name: version(name) for name in libraries}}


def listed(told: Mapping[str, Any]) -> str:
    """Return facts as a list."""
    return "".join(f"- {name}: {value}\n" for name, value in told.items())


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows, all with the same columns, as a markdown table."""
    columns = list(rows[0])
    return "\n".join(aligned(columns, [[str(row[column]) for column in columns] for row in rows])) + "\n"


def aligned(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a markdown table, its columns of one width each."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"

    return [line(head), "|" + "|".join("-" * (width + 2) for width in widths) + "|", *map(line, rows)]


class BesideGxi:
    """What a row that was measured beside gradient x input says of its memory, and of its limit in time."""

    call: Ratio | None
    engine: Ratio | None
    gxi_bytes: int | None
    peak_bytes: int | None
    plan_bytes: int | None
    limit: float | None

    @property
    def memory(self) -> float | None:
        """Peak memory of the call over gxi's."""
        return None if self.peak_bytes is None or not self.gxi_bytes else self.peak_bytes / self.gxi_bytes

    @property
    def memory_with_plan(self) -> float | None:
        """The same, the weights that the plan holds beside the model's added to the call's."""
        if self.peak_bytes is None or not self.gxi_bytes:
            return None
        return (self.peak_bytes + (self.plan_bytes or 0)) / self.gxi_bytes

    @property
    def within(self) -> str:
        """Where the limit in time holds."""
        if self.limit is None:
            return ""
        holds = [ratio is not None and ratio.median <= self.limit for ratio in (self.call, self.engine)]
        return "call" if holds[0] else "engine only" if holds[1] else "no"


# ---- files


def save(out: Path, stem: str, text: str, data: Mapping[str, Any]) -> None:
    """Write a text, and the numbers that it was made of."""
    write_files(out, stem, {"md": text, "json": json.dumps(data, indent=1) + "\n"})
    print(f"wrote {out / stem}.md and .json")


def write_files(folder: Path, stem: str, texts: Mapping[str, str]) -> list[Path]:
    """Write texts, by their files' suffix, each under a temporary name first; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{stem}.{suffix}" for suffix in texts]
    for path, text in zip(paths, texts.values(), strict=True):
        unfinished = path.with_name(path.name + ".part")
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(path)
    return paths
