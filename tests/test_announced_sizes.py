"""Small files that announce large things: no reader takes the memory or the time that such a file asks for."""

from __future__ import annotations

import gzip
import io
import json
import os
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

FUZZ = Path(__file__).parents[1] / "fuzz"
sys.path.append(str(FUZZ))

from fuzzed_readers import READERS  # noqa: E402

HUGE = 10**12


def npy(shape: tuple[int, ...], dtype: str = "<f4") -> bytes:
    """Write the beginning of an array of that shape, with the content of two numbers."""
    buffer = io.BytesIO()
    header = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, header)
    return buffer.getvalue() + bytes(8)


def npz(name: str, content: bytes) -> bytes:
    """Put another array into what a reader takes."""
    members = READERS[name].seeds()
    parts = next(iter(members.values())).split(b"\n=====member:")[1:]
    member = next(part.partition(b"\n")[0] for part in parts if b".npy" in part.partition(b"\n")[0])
    kept = [part for part in parts if not part.startswith(member)]
    return b"".join(b"\n=====member:" + part for part in [member + b"\n" + content, *kept])


def lying_archive() -> bytes:
    """Write an npz file whose directory says that an array unpacks to a terabyte, as the array does."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("ids.npy", npy((HUGE,)))
    content = bytearray(buffer.getvalue())
    entry = content.find(b"PK\x01\x02")
    content[entry + 24 : entry + 28] = struct.pack("<I", 0xFFFFFFF0)
    return bytes(content)


def model_config(**changes: object) -> bytes:
    config = json.loads(READERS["model-config"].seeds()["ours"])
    options = {key: changes.pop(key) for key in list(changes) if key in config["options"]}
    return json.dumps({**config, **changes, "options": {**config["options"], **options}}).encode()


def safetensors(shape: list[int], end: int) -> bytes:
    header = {"features.0.weight": {"dtype": "F32", "shape": shape, "data_offsets": [0, end]}}
    return json.dumps(header).encode() + b"\n=====data\n" + bytes(8)


def hdf5(name: str) -> bytes:
    """Write a dataset of a terabyte that has no content."""
    buffer = io.BytesIO(READERS["h5"].seeds()["ours"])
    with h5py.File(buffer, "a") as file:
        del file[name]
        file.create_dataset(name, (HUGE // 4000, 4, 1000), "f4", chunks=(1, 4, 1000))
    return buffer.getvalue()


def laughs(levels: int) -> bytes:
    """Write a document that is 9 ** levels words with its aliases written out."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, levels)]
    return "\n".join(lines).encode()


def deep(levels: int) -> bytes:
    """Write a document in which each alias holds the one before, 150 levels deeper."""
    lines = ["a0: &a0 x"]
    lines += [f"a{i}: &a{i} {'[' * 150}*a{i - 1}{']' * 150}" for i in range(1, levels)]
    return "\n".join(lines).encode()


def task(old: str, new: str) -> bytes:
    text = READERS["task"].seeds()["groups"].decode()
    assert old in text
    return text.replace(old, new).encode()


def inflated(text: bytes, times: int) -> bytes:
    """Compress a text that is repeated; a kilobyte stands for a megabyte."""
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=1, mtime=0) as file:
        block = text * max(1, (1 << 20) // len(text))
        for _ in range(times):
            file.write(block)
    return buffer.getvalue()


def motif(matrix: str) -> bytes:
    return f"MEME version 4\nMOTIF m\nletter-probability matrix: {matrix}".encode()


ANNOUNCED: dict[str, tuple[str, Callable[[], bytes]]] = {
    "motif-of-a-stated-width": ("motifs", lambda: motif("w= 999999999999\n1 0 0 0\n")),
    "motif-of-a-negative-width": ("motifs", lambda: motif("w= -5\n1 0 0 0\n")),
    "motif-of-a-million-rows": ("motifs", lambda: motif("w= 1000000\n" + "1 0 0 0\n" * 1_000_000)),
    "motif-row-of-a-million-numbers": ("motifs", lambda: motif("w= 1\n" + "1 " * 1_000_000)),
    "jaspar-of-millions-of-columns": ("motifs", lambda: (">m\n" + ("1 " * 4_000_000 + "\n") * 2).encode()),
    "motifs-inflated": ("motifs", lambda: inflated(b"MOTIF m\n", 1) + inflated(b"\n", 200)),
    "motif-line-inflated": ("motifs", lambda: inflated(b"MOTIF " + b"m" * 1000, 300)),
    "labels-of-many-columns": ("labels", lambda: _many_columns()),
    "relevance-of-a-terabyte": ("relevance-members", lambda: npz("relevance-members", npy((HUGE,)))),
    "relevance-of-no-bytes-each": ("relevance-members", lambda: npz("relevance-members", npy((HUGE,), "<U0"))),
    "relevance-of-negative-length": ("relevance-members", lambda: npz("relevance-members", npy((-1, -2)))),
    "relevance-in-a-lying-archive": ("relevance", lying_archive),
    "modisco-of-a-terabyte": ("modisco-arrays", lambda: npz("modisco-arrays", npy((HUGE, 4, 10)))),
    "further-npy-of-a-terabyte": ("further-npy", lambda: npy((HUGE,))),
    "further-npy-of-more-than-a-number-counts": ("further-npy", lambda: npy((2**62, 2**62))),
    "further-npz-of-a-terabyte": ("further-npz", lambda: npz("further-npz", npy((3, HUGE)))),
    "part-of-a-terabyte": ("part-members", lambda: npz("part-members", npy((HUGE,), "|u1"))),
    "parts-without-number": ("manifest-of-parts", lambda: _manifest(parts=HUGE)),
    "parts-without-end": ("manifest-of-parts", lambda: _manifest(parts=float("inf"))),
    "model-of-a-long-sequence": ("model-config", lambda: model_config(length=HUGE)),
    "model-of-longer-than-counts": ("model-config", lambda: model_config(length=10**30)),
    "model-of-many-filters": ("model-config", lambda: model_config(filters=[10**6] * 3)),
    "model-of-more-filters": ("model-config", lambda: model_config(filters=[10**15] * 3)),
    "model-of-many-layers": (
        "model-config",
        lambda: model_config(**{name: [1] * 50_000 for name in ("filters", "kernels", "pools")}),
    ),
    "model-of-many-dense-layers": ("model-config", lambda: model_config(dense=[1] * 100_000)),
    "weights-of-a-terabyte": ("model-weights-header", lambda: safetensors([HUGE], 4 * HUGE)),
    "weights-of-a-shape-that-overflows": ("model-weights-header", lambda: safetensors([2**40, 2**40], 8)),
    "hdf5-of-a-terabyte": ("h5", lambda: hdf5("shap/seq")),
    "task-that-repeats-itself": ("task", lambda: laughs(12)),
    "task-nested-by-aliases": ("task", lambda: deep(40)),
    "task-of-many-entries": ("task", lambda: b"- a\n" * 260_000),
    "task-that-is-too-long": ("task", lambda: b"# " + b"a" * (5 << 20)),
    "task-of-a-wide-motif": ("task", lambda: task("CACGTG", "ACGT" * 100_000)),
    "task-of-many-motifs": ("task", lambda: _many_motifs()),
    "task-that-plants-without-end": ("task", lambda: task("count: 1}", "count: 18446744073709551615}")),
    "task-of-endless-sexagesimals": ("task", lambda: task("length: 50", "length: 1" + ":59" * 100_000)),
    "task-of-an-endless-number": ("task", lambda: task("length: 50", "length: 0x" + "f" * 100_000)),
    "task-of-many-conditions": ("task", lambda: _many_conditions()),
    "benchmark-that-repeats-itself": ("benchmark", lambda: laughs(12)),
    "benchmark-nested-by-aliases": ("benchmark", lambda: deep(40)),
    "benchmark-that-is-too-long": ("benchmark", lambda: b"# " + b"a" * (5 << 20)),
}  # fmt: skip


def _manifest(**changes: object) -> bytes:
    return json.dumps({**json.loads(READERS["manifest-of-parts"].seeds()["ours"]), **changes}).encode()


def _many_columns() -> bytes:
    return "\n".join("\t".join(f"{row}{i}" for i in range(50_000)) for row in ("id", "x")).encode()


def _many_motifs() -> bytes:
    return task("motifs: &m\n", "motifs:\n" + "".join(f"  m{i}: GATA1\n" for i in range(30_000)))


def _many_conditions() -> bytes:
    conditions = ", ".join(f"{{count: A, at_least: {i}}}" for i in range(1, 20_000))
    return f"kind: multilabel\nlength: 50\nmotifs: {{A: GATA1}}\nclasses: {{one: {{or: [{conditions}]}}}}\n".encode()


MEMORY = 1 << 30  # more than what any of them has to take
SECONDS = 20  # of the processor

CHILD = """
import json, resource, sys, time
sys.path[:0] = sys.argv[1:3]
from pathlib import Path
from fuzzed_readers import READERS
import test_announced_sizes as sizes

folder, told = Path(sys.argv[3]), {}
made = {case: (READERS[name], make()) for case, (name, make) in sizes.ANNOUNCED.items()}
for name in {reader.name for reader, _ in made.values()}:  # what is imported on the way is no file's doing
    reader = READERS[name]
    reader.check(reader.prepare(folder / "sound" / name), next(iter(reader.seeds().values())))
taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + sizes.MEMORY, resource.RLIM_INFINITY))
for case, (reader, content) in made.items():
    began = time.process_time()
    try:
        outcome = "read" if reader.check(reader.prepare(folder / case), content) else "refused"
    except BaseException as error:
        outcome = f"{type(error).__name__}: {error}"[:300]
    told[case] = outcome, time.process_time() - began
    print(json.dumps([case, *told[case]]), flush=True)
"""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory) -> dict[str, tuple[str, float]]:
    """Let the readers have all of them in a process of little memory: outcome and seconds by case."""
    here, folder = str(Path(__file__).parent), str(tmp_path_factory.mktemp("announced"))
    command = [sys.executable, "-c", CHILD, str(FUZZ), here, folder]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return {case: (outcome, seconds) for case, outcome, seconds in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize("case", ANNOUNCED)
def test_what_announces_more_than_it_holds_is_refused_at_once_and_in_little_memory(outcomes, case: str) -> None:
    outcome, seconds = outcomes[case]
    assert outcome == "refused"
    assert seconds < SECONDS
