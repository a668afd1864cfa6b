"""Files from outside: whatever stands in them, a reader gives an object or one line that names the file.

The readers and their small valid files are those that `fuzz/fuzz.py` goes on with for as long as one likes.
"""

from __future__ import annotations

import gzip
import io
import json
import pickle
import signal
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

FUZZ = Path(__file__).parents[1] / "fuzz"
sys.path.append(str(FUZZ))

from fuzzed_readers import READERS, Reader, framed, zipped  # noqa: E402
from hostile_edits import edited  # noqa: E402

A_FILE_TAKES = 20  # seconds at most, on a busy machine; all but a few take milliseconds
SURVIVED = [name for name, reader in READERS.items() if not reader.crashes]
EXAMPLES = {name: max(5, min(60, int(150 / reader.cost))) for name, reader in READERS.items()}


@contextmanager
def in_time() -> Iterator[None]:
    """Fail instead of waiting without end."""

    def late(*_: object) -> None:
        raise AssertionError(f"takes more than {A_FILE_TAKES} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(A_FILE_TAKES)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture
def tried(tmp_path):
    """Let a reader have what stands in a file; say whether it read it. Anything but its one line is raised."""

    def tried(reader: Reader, data: bytes) -> bool:
        with in_time():
            return reader.check(reader.prepare(tmp_path / reader.name), data)

    return tried


def fuzzed(examples: int):
    health = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(suppress_health_check=health, deadline=None, max_examples=examples)


SEEDS = [(name, seed) for name, reader in READERS.items() for seed in reader.seeds()]


@pytest.mark.parametrize(("name", "seed"), SEEDS, ids=["-".join(one) for one in SEEDS])
def test_what_is_sound_is_read(tried, name: str, seed: str) -> None:
    """Else the other tests would show nothing."""
    assert tried(READERS[name], READERS[name].seeds()[seed])


@pytest.mark.parametrize("name", SURVIVED)
def test_a_file_that_was_tampered_with_is_read_or_refused_in_one_line(tried, name: str) -> None:
    reader = READERS[name]
    seeds = list(reader.seeds().values())

    @fuzzed(EXAMPLES[name])
    @given(st.integers(0, len(seeds) - 1), st.randoms(use_true_random=False))
    def attempt(number, chosen) -> None:
        tried(reader, edited(seeds[number], chosen))

    attempt()


def no_files() -> dict[str, bytes]:
    png = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(range(256))
    text = b"plain words\n"
    return {
        "empty": b"",
        "a line's end": b"\n",
        "zeros": bytes(3000),
        "a picture": png,
        "words": text * 50,
        "UTF-16": "id\tclass\n".encode("utf-16"),
        "gzip cut short": gzip.compress(text * 500)[:60],
        "gzip of nothing": gzip.compress(b""),
        "an empty archive": zipped(b""),
        "a pickle": pickle.dumps({"a": 1}),
    }


@pytest.mark.parametrize("kind", no_files())
def test_what_is_no_such_file_at_all_is_refused_by_every_reader(tmp_path, kind: str) -> None:
    for name in SURVIVED:
        reader = READERS[name]
        path = reader.prepare(tmp_path / name)
        path.write_bytes(no_files()[kind])  # as it is: a reader's own encoding would make more of it
        with in_time():
            read = reader.told(path)
        # an index that is none is made anew; a track may be empty
        assert read == (name in MADE_ANEW or (kind in NO_ROWS and name in ("bedgraph", "chrom-sizes"))), name


MADE_ANEW = ("genome-index", "genome-bgzip-index")
NO_ROWS = ("empty", "a line's end")


@pytest.mark.parametrize("name", SURVIVED)
def test_a_folder_in_a_file_s_place_is_refused(tmp_path, name: str) -> None:
    reader = READERS[name]
    path = reader.prepare(tmp_path / "trial")
    path.unlink(missing_ok=True)
    path.mkdir()
    with suppress(IsADirectoryError):  # the command line tells it in one line
        # an index is made anew; a table of scores need not be there
        assert reader.told(path) == (name in (*MADE_ANEW, "summary"))


# --- files that are well-formed, with anything in them ----------------------------------------------------------------

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([10**12, 2**63, -(2**64), 10**400, 1e308, float("nan"), float("inf"), 0.5, -0.0])
    | st.text(max_size=5)
    | st.sampled_from(
        ["../../x", "A", "on", "otherwise", "1-3", "9-1", "1e999999999", "1/0", "\u202e", "\x00", "a" * 5000]
    )
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


def places(content, here=()):
    """Go through the places of a document, each as the keys that lead there."""
    yield here
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, inner in items:
        yield from places(inner, (*here, key))


def changed(content, place, new):
    """Return a document with something else in a place, or without it."""
    if not place:
        return content if new is LEFT_OUT else new
    key, *rest = place
    copy = dict(content) if isinstance(content, dict) else dict(enumerate(content))
    if not rest and new is LEFT_OUT:
        del copy[key]
    else:
        copy[key] = changed(copy[key], rest, new)
    return copy if isinstance(content, dict) else list(copy.values())


LEFT_OUT = object()


def documents(reader: Reader) -> list[object]:
    # the text before the data, where there are any
    return [yaml.safe_load(seed.partition(b"\n=====data\n")[0]) for seed in reader.seeds().values()]


DOCUMENTS = ["task", "benchmark", "model-config", "model-weights-header", "run-file", "list-of-files", "manifest"]
DOCUMENTS += ["manifest-of-parts", "saved-network-header"]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_with_any_value_in_any_place_is_read_or_refused_in_one_line(tried, name: str) -> None:
    reader = READERS[name]
    sound = documents(reader)
    data = next(iter(reader.seeds().values())).partition(b"\n=====data\n")

    @fuzzed(EXAMPLES[name])
    @given(st.data())
    def attempt(drawn) -> None:
        content = drawn.draw(st.sampled_from(sound))
        for _ in range(drawn.draw(st.integers(1, 3))):
            place = drawn.draw(st.sampled_from(list(places(content))))
            content = changed(content, place, drawn.draw(values | st.just(LEFT_OUT)))
        tried(reader, json.dumps(content).encode() + b"".join(data[1:]))

    attempt()


CELLS = ["", ".", "+", "-", "0", "-1", "1", "10", "1e3", "1e400", "nan", "9" * 30, "0x1", "١", "a b", '"', "\x00"]
cells = st.sampled_from([*CELLS, "\u202e", "../x", "x" * 300, "s0", "chr1"])
TABLES = [
    "bed",
    "narrowpeak",
    "vcf",
    "truth",
    "simdna",
    "labels",
    "labelled-directory",
    "regions",
    "summary",
    "bedgraph",
]
TABLES += ["chrom-sizes", "genome-index", "image-classes", "image-labels"]


@pytest.mark.parametrize("name", TABLES)
def test_a_table_with_any_cell_in_any_place_is_read_or_refused_in_one_line(tried, name: str) -> None:
    reader = READERS[name]
    sound = [seed.decode() for seed in reader.seeds().values() if seed[:2] != b"\x1f\x8b"]

    @fuzzed(EXAMPLES[name])
    @given(st.data())
    def attempt(drawn) -> None:
        rows = [line.split("\t") for line in drawn.draw(st.sampled_from(sound)).split("\n")]
        for _ in range(drawn.draw(st.integers(1, 4))):
            row = drawn.draw(st.sampled_from(rows))
            column = drawn.draw(st.integers(0, len(row)))
            row[column : column + drawn.draw(st.integers(0, 1))] = drawn.draw(st.lists(cells, max_size=2))
        tried(reader, "\n".join("\t".join(row) for row in rows).encode())

    attempt()


shapes = st.lists(st.sampled_from([0, 1, 2, 3, 4, 10, 20]), max_size=3)
types = st.sampled_from(
    ["f4", "f8", "f2", ">f4", "i1", "i8", "u1", "u8", "?", "c8", "U1", "U4", "S3", "M8[s]", "f4,i2"]
)
arrays = st.builds(lambda shape, kind, fill: np.full(shape, fill).astype(kind), shapes, types, st.integers(0, 5))


@pytest.mark.parametrize(
    "name", ["relevance-members", "variants-members", "modisco-arrays", "further-npz", "part-members"]
)
def test_an_archive_with_any_arrays_is_read_or_refused_in_one_line(tried, name: str) -> None:
    reader = READERS[name]
    (*_, seed) = reader.seeds().values()
    with zipfile.ZipFile(io.BytesIO(zipped(seed))) as archive:
        sound = {member: archive.read(member) for member in archive.namelist()}

    @fuzzed(EXAMPLES[name])
    @given(st.dictionaries(st.sampled_from([*sound, "x.npy"]), arrays | st.none(), min_size=1, max_size=3))
    def attempt(others) -> None:
        members = dict(sound)
        for member, array in others.items():
            members.pop(member, None)
            if array is not None:
                buffer = io.BytesIO()
                np.save(buffer, array)
                members[member] = buffer.getvalue()
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as file:
            for member, content in members.items():
                file.writestr(member, content)
        tried(reader, framed(archive.getvalue()))

    attempt()


@pytest.mark.parametrize("name", ["h5", "modisco-result"])
def test_an_hdf5_file_with_any_datasets_is_read_or_refused_in_one_line(tried, name: str) -> None:
    reader = READERS[name]
    (seed,) = reader.seeds().values()
    known: list[str] = []
    with h5py.File(io.BytesIO(seed), "r") as file:
        file.visit(known.append)
    stored = arrays.filter(lambda array: array.dtype.kind in "fiubS")

    @fuzzed(20)
    @given(
        st.dictionaries(
            st.sampled_from([*known, "pos_patterns/x"]), stored | st.sampled_from(["group", None]), max_size=3
        )
    )
    def attempt(others) -> None:
        buffer = io.BytesIO(seed)
        with h5py.File(buffer, "a") as file:
            for place, new in others.items():
                with suppress(OSError, ValueError, KeyError):  # below what is no group any more
                    if place in file:
                        del file[place]
                    if isinstance(new, str):
                        file.require_group(place)
                    elif new is not None:
                        file[place] = new
        tried(reader, buffer.getvalue())

    attempt()
