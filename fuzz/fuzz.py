"""Fuzz the readers of files from outside, guided by the branches that are taken (atheris, libFuzzer).

    python fuzz/fuzz.py --list
    python fuzz/fuzz.py motifs task --seconds 60
    python fuzz/fuzz.py all --seconds 60 --out fuzz-output
    python fuzz/fuzz.py motifs --again fuzz-output/motifs/crash-...

A reader may give an object, or raise one `SeqplrpError` of one line that names the file. Anything else is a finding,
and so are 20 seconds for one file and 3 GiB of memory: the file is kept in OUT/READER, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import random
import re
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

MEMORY_MB = 3000


def main() -> int:
    """Do what the command line asks."""
    from fuzzed_readers import READERS

    parser = argparse.ArgumentParser(description="Fuzz the readers of files from outside.")
    parser.add_argument("readers", nargs="*", metavar="READER", help="names of the list, or all")
    parser.add_argument("--list", action="store_true", help="name the readers and stop")
    parser.add_argument("--seconds", type=int, default=60, help="for each reader (60)")
    parser.add_argument("--out", type=Path, default=Path("fuzz-output"), help="where findings are kept (fuzz-output)")
    parser.add_argument("--again", type=Path, help="try one file that was kept, and show the traceback")
    parser.add_argument("--patience", type=int, default=20, help="seconds that one file may take (20)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.list:
        print("\n".join(READERS))
        return 0
    names = list(READERS) if asked.readers == ["all"] else asked.readers
    unknown = [name for name in names if name not in READERS]
    if unknown or not names:
        parser.error(f"{unknown[0]!r} is no reader; see --list" if unknown else "name a reader, or all; see --list")
    if asked.again is not None:
        return _again(READERS[names[0]], asked.again)
    if asked.worker:
        _worker(READERS[names[0]], asked)
    return max(_run(name, asked) for name in names)


def _run(name: str, asked: argparse.Namespace) -> int:
    """Fuzz one reader in a process of its own, and tell what came of it."""
    kept = asked.out / name
    kept.mkdir(parents=True, exist_ok=True)
    before = set(kept.iterdir())
    command = [sys.executable, __file__, name, "--worker", "--out", str(asked.out)]
    command += ["--seconds", str(asked.seconds), "--seed", str(asked.seed)]
    command += ["--patience", str(asked.patience)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    said = done.stdout.decode(errors="replace")
    (asked.out / f"{name}.log").write_text(said)
    numbers = dict(re.findall(r"^stat::(\w+):\s+(\d+)", said, re.MULTILINE))
    found = sorted(str(path) for path in set(kept.iterdir()) - before)
    tried, memory = numbers.get("number_of_executed_units", "?"), numbers.get("peak_rss_mb", "?")
    told = ", ".join(found) or "nothing found"
    print(f"{name:22} {tried:>8} files tried, peak {memory} MB, exit {done.returncode}; {told}", flush=True)
    return int(bool(found) or done.returncode != 0)


def _worker(reader: Any, asked: argparse.Namespace) -> None:
    """Fuzz until the time is up or something is found; libFuzzer ends the process."""
    import atheris
    from hostile_edits import LONGEST, edited

    with atheris.instrument_imports(include=["seqplrp", "yaml"]):
        import yaml  # noqa: F401

        import seqplrp.cli
        import seqplrp.pipeline
        import seqplrp.recovery.benchmark  # noqa: F401

    warnings.simplefilter("ignore")
    place = Path(tempfile.mkdtemp(prefix="seqplrp-fuzz-"))
    corpus = place / "corpus"
    corpus.mkdir()
    for name, content in reader.seeds().items():
        (corpus / name).write_bytes(content)
    trial = Trial(reader, place / "trial")

    def mutated(data: bytes, most: int, seed: int) -> bytes:
        chosen = random.Random(seed)
        changed = atheris.Mutate(data, most) if chosen.randrange(2) else edited(data, chosen)
        return changed[:most]

    arguments = [
        sys.argv[0],
        f"-max_total_time={asked.seconds}",
        f"-seed={asked.seed + 1}",
        f"-timeout={asked.patience}",
        f"-rss_limit_mb={MEMORY_MB}",
        f"-max_len={LONGEST}",
        f"-artifact_prefix={asked.out / reader.name}/",
        "-print_final_stats=1",
        str(corpus),
    ]
    atheris.Setup(arguments, trial, custom_mutator=mutated)
    atheris.Fuzz()


class Trial:
    """Gives a reader one file after the other.

    Parameters
    ----------
    reader : Reader
        One of the list.
    folder : Path
        Where the files are put.
    """

    def __init__(self, reader: Any, folder: Path) -> None:
        self._reader, self._folder = reader, folder
        self._path: Path | None = None

    def __call__(self, data: bytes) -> None:
        """Let the reader have a file; those that it may write beside are put there anew."""
        if self._path is None or self._reader.writes:
            self._path = self._reader.prepare(self._folder)
        self._reader.check(self._path, data)


def _again(reader: Any, file: Path) -> int:
    with tempfile.TemporaryDirectory() as folder:
        path = reader.prepare(Path(folder))
        print("read" if reader.check(path, file.read_bytes()) else "refused in one line")
    return 0


if __name__ == "__main__":
    sys.exit(main())
