"""What the benchmarks of the pipeline have in common: the machine's facts, tables as markdown, files of results."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from speed_measure import facts

RESULTS = Path(__file__).with_name("results")


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
    cells = [columns, *([str(row[column]) for column in columns] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    lines = ["| " + " | ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)) + " |" for line in cells]
    lines.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
    return "\n".join(lines) + "\n"


def save(out: Path, stem: str, text: str, data: Mapping[str, Any]) -> None:
    """Write a text, and the numbers that it was made of."""
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{stem}.md").write_text(text, encoding="utf-8")
    (out / f"{stem}.json").write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    print(f"wrote {out / stem}.md and .json")
