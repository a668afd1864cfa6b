"""A state of the source has one name, and every file that decides a value is in it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import seqplrp
from seqplrp.recovery import source

ROOT = Path(seqplrp.__file__).parent
HOUSE = ROOT / "recovery" / "benchmark"
WRITTEN_DOWN = {"config", "entries", "store", "versions", "__init__"}
"""What these decide is in each cell's recipe, or no value."""


def imported_by(path: Path) -> set[Path]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("seqplrp"):
            base = ROOT.parent.joinpath(*node.module.split("."))
            found |= {base.with_suffix(".py"), base / "__init__.py"}
            found |= {base / f"{alias.name}.py" for alias in node.names}
    return {one for one in found if one.is_file()}


def reached_from(*begin: Path) -> set[Path]:
    """What these import, and what those import, and so on."""
    reached: set[Path] = set()
    ahead = list(begin)
    while ahead:
        path = ahead.pop()
        if path not in reached:
            reached.add(path)
            # the benchmark's front page imports all of it, and what reads a description writes what it found down
            if path.parent != HOUSE or path.stem not in WRITTEN_DOWN:
                ahead += [one for one in imported_by(path) if one != HOUSE / "__init__.py"]
    return reached


def test_nothing_that_a_value_is_made_by_is_left_out() -> None:
    reached = reached_from(HOUSE / "cell.py", ROOT / "recovery" / "roar" / "study.py")
    of_benchmark = {one.stem for one in reached if one.parent == HOUSE}
    assert of_benchmark - WRITTEN_DOWN == set(source.BENCHMARK)
    rooms = {one.relative_to(ROOT).parts[0] for one in reached}
    no_values = {"plot", "storage"}  # what draws and what writes files
    assert rooms - no_values - {"errors.py", "_version.py", "__init__.py"} == set(source.ROOMS)
    assert ROOT / "lrp" / "propagate.py" in reached


@pytest.fixture
def copy(tmp_path, monkeypatch) -> Path:
    """A package of one file a room, whose state is asked for."""
    for room in source.ROOMS:
        (tmp_path / room / "benchmark").mkdir(parents=True)
        (tmp_path / room / "code.py").write_text("a = 1\n")
    (tmp_path / "__init__.py").write_text("")
    monkeypatch.setattr(source.seqplrp, "__file__", str(tmp_path / "__init__.py"))
    source.source_rooms.cache_clear()
    yield tmp_path
    source.source_rooms.cache_clear()


def state() -> tuple[str, dict[str, str]]:
    source.source_rooms.cache_clear()
    return source.source_digest(), dict(source.source_rooms())


def test_a_changed_number_is_another_state_and_says_in_which_room(copy) -> None:
    before, rooms = state()
    assert state() == (before, rooms)
    (copy / "methods" / "code.py").write_text("a = 2\n")
    after, changed = state()
    assert after != before
    assert [room for room in rooms if rooms[room] != changed[room]] == ["methods"]


def test_a_renamed_file_is_another_state_and_what_python_keeps_is_none(copy) -> None:
    before, _ = state()
    (copy / "lrp" / "code.pyc").write_bytes(b"\0")
    (copy / "recovery" / "benchmark" / "report.py").write_text("words = 2\n")
    assert state()[0] == before
    (copy / "recovery" / "benchmark" / "cell.py").write_text("values = 2\n")
    assert state()[0] != before
    (copy / "recovery" / "benchmark" / "cell.py").unlink()
    (copy / "lrp" / "code.py").rename(copy / "lrp" / "other.py")
    assert state()[0] != before
