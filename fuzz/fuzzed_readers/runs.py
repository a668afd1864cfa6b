"""Directories of runs: the files by which they know what is theirs, and what is finished."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from fuzzed_readers.explanations import explained, only
from fuzzed_readers.reader import Reader, Seeds


def _exported(path: Path) -> None:
    from seqplrp.pipeline import export

    export(path.parent, ("bedgraph",))


def _marker(path: Path) -> None:
    from seqplrp.storage import output_directory

    with output_directory(path.parent, command="explain", overwrite=True) as stage:
        (stage / "x").write_text("")


def _run_file(path: Path) -> None:
    from seqplrp.storage import RunDirectory

    with RunDirectory(path.parents[1], "explain", resume=True).opened({"input": "x", "parts": [1, {"a": None}]}):
        pass


def _finished_run() -> Seeds:
    names = ("manifest.json", "part-00000000.npz")
    return {f"parts/{name}" if name.startswith("part-") else name: explained()[name] for name in names}


READERS = (
    Reader(
        "run-file",
        "parts/run.json",
        lambda: {"ours": b'{"input": "x", "parts": [1, {"a": null}]}'},
        _run_file,
        writes=True,
    ),
    Reader(
        "list-of-files",
        "out/.seqplrp.json",
        lambda: {"ours": b'{"seqplrp": "0", "command": "explain", "files": ["x"]}'},
        _marker,
        lambda: {"out/x": b""},
        cost=2,
        writes=True,
    ),
    Reader(
        "manifest-of-parts",
        "manifest.json",
        partial(only, "manifest.json"),
        _exported,
        _finished_run,
        cost=15,
        writes=True,
    ),
)
