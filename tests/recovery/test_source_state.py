"""A state of the source has one name, and every file that decides a value is in it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import seqplrp
from seqplrp.benchmark import MODULES
from seqplrp.benchmark.source import forget_states
from seqplrp.recovery import source

ROOT = Path(seqplrp.__file__).parent
SHARED = ROOT / "benchmark"
HOUSE = ROOT / "recovery" / "benchmark"
WRITTEN_DOWN = {
    SHARED: {"config", "entries", "source", "store", "versions", "__init__"},
    HOUSE: {"domain", "logos", "pattern_tables", "__init__"},
}
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
            # a benchmark's front page imports all of it, and what reads a description writes what it found down
            if path.stem not in WRITTEN_DOWN.get(path.parent, ()) or path in begin:
                ahead += [
                    one for one in imported_by(path) if one not in (SHARED / "__init__.py", HOUSE / "__init__.py")
                ]
    return reached


def test_nothing_that_a_value_is_made_by_is_left_out() -> None:
    reached = reached_from(SHARED / "cell.py", HOUSE / "domain.py", ROOT / "recovery" / "roar" / "study.py")
    for house, decide in ((SHARED, MODULES), (HOUSE, source.BENCHMARK)):
        assert {one.stem for one in reached if one.parent == house} - WRITTEN_DOWN[house] == set(decide)
    rooms = {one.relative_to(ROOT).parts[0] for one in reached}
    no_values = {"plot", "storage", "display.py"}  # what draws and what writes files
    by_recipe = {"plugins.py"}  # a method that plug-ins have a part in names them, with their versions
    assert rooms - no_values - by_recipe - {"errors.py", "_version.py", "__init__.py"} == set(source.ROOMS)
    assert ROOT / "lrp" / "propagate.py" in reached


@pytest.fixture
def copy(tmp_path, monkeypatch) -> Path:
    """A package of one file a room, whose state is asked for."""
    for room in source.ROOMS:
        (tmp_path / room / "benchmark").mkdir(parents=True)
        (tmp_path / room / ("cell.py" if room == "benchmark" else "code.py")).write_text("a = 1\n")
    (tmp_path / "__init__.py").write_text("")
    monkeypatch.setattr(seqplrp, "__file__", str(tmp_path / "__init__.py"))
    forget_states()
    yield tmp_path
    forget_states()


def state() -> tuple[str, dict[str, str]]:
    forget_states()
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
    (copy / "benchmark" / "report.py").write_text("words = 2\n")
    (copy / "recovery" / "benchmark" / "logos.py").write_text("words = 2\n")
    assert state()[0] == before
    (copy / "benchmark" / "protocols.py").write_text("values = 2\n")
    shared, rooms = state()
    assert shared != before
    (copy / "recovery" / "benchmark" / "protocols.py").write_text("values = 2\n")
    other, changed = state()
    assert [room for room in rooms if rooms[room] != changed[room]] == ["recovery"]
    assert other not in (before, shared)
    (copy / "benchmark" / "protocols.py").unlink()
    (copy / "recovery" / "benchmark" / "protocols.py").unlink()
    assert state()[0] == before
    (copy / "lrp" / "code.py").rename(copy / "lrp" / "other.py")
    assert state()[0] != before
