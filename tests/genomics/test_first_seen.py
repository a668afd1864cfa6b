"""Names seen before: exact, and on disk where they are many."""

from __future__ import annotations

import os
import random
import sqlite3
import threading

import pytest

from seqplrp import SeqplrpError
from seqplrp.genomics import first_seen
from seqplrp.genomics.first_seen import FirstSeen


def test_every_name_is_told_where_it_came_first_when_they_outgrow_memory(monkeypatch) -> None:
    monkeypatch.setattr(first_seen, "_CACHE_KIB", 64)
    draw = random.Random(1)
    oracle: dict[str, int] = {}
    with FirstSeen() as seen:
        for place in range(20_000):
            name = f"{draw.randrange(15_000):x}" * 5
            assert seen.add(name, place) == oracle.get(name)
            oracle.setdefault(name, place)
        if os.path.isdir("/proc/self/fd"):
            assert any("etilqs" in link for link in open_files())  # SQLite's name for its temporary files


def open_files() -> list[str]:
    links = []
    for number in os.listdir("/proc/self/fd"):
        try:
            links.append(os.readlink(f"/proc/self/fd/{number}"))
        except OSError:  # the one that listed the folder
            continue
    return links


def test_names_differ_by_case_and_blanks_and_places_keep_their_type() -> None:
    with FirstSeen() as seen:
        assert [seen.add(name, "x.bed, line 1") for name in ("a", "A", "a ", "ä", "")] == [None] * 5
        assert seen.add("ä", "x.bed, line 2") == "x.bed, line 1"
        assert seen.add("b", 7) is None
        assert seen.add("b", 8) == 7


def test_another_thread_may_go_on() -> None:
    with FirstSeen() as seen:
        seen.add("a", 1)
        found = []
        thread = threading.Thread(target=lambda: found.append(seen.add("a", 2)))
        thread.start()
        thread.join()
        assert found == [1]


def test_a_full_disk_is_an_error_that_names_the_folder() -> None:
    class Full:
        def execute(self, *_: object) -> None:
            raise sqlite3.OperationalError("database or disk is full")

    seen = FirstSeen()
    seen.close()
    seen._database = Full()
    with pytest.raises(SeqplrpError, match=r"disk is full.*TMPDIR"):
        seen.add("a", 1)
