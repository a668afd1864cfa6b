"""What the tests of tracks have in common: random records, and writers that are watched in a process of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from seqplrp.genomics import Record


def record(id, contig=None, start=0, strand="+", *, length, seed=0):
    """Draw a record, some of its letters N; it is its own contig unless one is given."""
    letters = np.random.default_rng(seed).choice(list("ACGTN"), size=length, p=[0.24] * 4 + [0.04])
    return Record(id, "".join(letters), contig or id, start, start + length, strand)


_IMPORTS = """
import resource, sys
from pathlib import Path
import numpy as np
from seqplrp.errors import SeqplrpError
from seqplrp.genomics import Record, tracks
from seqplrp.storage import from_os_error
out = Path(sys.argv[1])
"""

_GROWTH = """
def run(n):
    (out / str(n)).mkdir()
    letters, values = "ACGT" * 1000, np.random.default_rng(0).normal(size=(4, 4000)).astype(np.float32)
    paths = [out / str(n) / f"{i}.npz" for i in range(0, n, 100)]
    explained = tracks.Explained(100 * [values[0] * (values[0] > 2)], 100 * [values])
    for i, path in enumerate(paths):
        of = range(100 * i, 100 * (i + 1))
        records = [Record(f"r{j}", letters, "c", 4000 * j, 4000 * (j + 1)) for j in of]
        tracks.write_explained(path, records, [explained])
    with tracks.joined_parts(paths, out / str(n) / "index") as (spool,):
        for writer in sys.argv[2:]:
            getattr(tracks, writer)(out / f"{writer}-{n}.bw", spool)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
few = run(400)
print(run(1300) - few)
"""

_FULL = """
writer = getattr(tracks, sys.argv[2])
values = np.random.default_rng(0).normal(size=(4, 500)).astype(np.float32)
records = [Record(f"r{i}", "ACGTA" * 100, "c", 500 * i, 500 * (i + 1)) for i in range(200)]
tracks.write_explained(out / "part", records, [tracks.Explained(200 * [values[0]], 200 * [values])])
with tracks.joined_parts([out / "part"], out / "index") as (spool,):
    whole = out / "whole.bw"
    writer(whole, spool)
    size = max(path.stat().st_size for path in [whole, *whole.rglob("*")] if path.is_file())
    for share in (0, 0.01, 0.3, 0.9, 0.99):
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(share * size), -1))
        try:
            writer(out / f"cut{share}.bw", spool)
        except SeqplrpError as error:
            print(error.what)
        except OSError as error:
            print(from_os_error(error, place="out").what)
"""


def memory_grown(place: Path, *writers: str, settings: str = "") -> float:
    """Return how many MB more a process takes that writes 1300 sequences (``WRITER-1300.bw``), not 400: 78 MB more."""
    done = _run(_IMPORTS + settings + _GROWTH, place, *writers)
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


def told_of_a_full_disk(place: Path, writer: str) -> list[str]:
    """Return what is told where files (``cut*``) may have 0, 1, 30, 90 and 99 percent of their size, and no more."""
    done = _run(_IMPORTS + _FULL, place, writer)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def _run(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
