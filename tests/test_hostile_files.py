"""Files from outside: whatever stands in them, a reader gives an object or one line that names the file.

The readers and their small valid files are those that `fuzz/fuzz.py` goes on with for as long as one likes.
"""

from __future__ import annotations

import gzip
import io
import json
import pickle
import re
import signal
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seqplrp.recovery import read_explanations

FUZZ = Path(__file__).parents[1] / "fuzz"
sys.path.append(str(FUZZ))

from fuzzed_readers import READERS, Reader, framed, zipped  # noqa: E402
from hostile_edits import edited  # noqa: E402

A_FILE_TAKES = 20  # seconds of the processor at most; all but a few take milliseconds
A_WAIT_TAKES = 600  # seconds at most for what waits instead, on a busy machine
SURVIVED = [name for name, reader in READERS.items() if not reader.crashes]
EXAMPLES = {name: max(5, min(40, int(100 / reader.cost))) for name, reader in READERS.items()}


@contextmanager
def in_time() -> Iterator[None]:
    """Fail instead of waiting without end."""

    def late(*_: object) -> None:
        raise AssertionError(f"takes more than {A_FILE_TAKES} s, or waits more than {A_WAIT_TAKES} s")

    before = {number: signal.signal(number, late) for number in (signal.SIGPROF, signal.SIGALRM)}
    signal.setitimer(signal.ITIMER_PROF, A_FILE_TAKES)
    signal.alarm(A_WAIT_TAKES)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
        for number, handler in before.items():
            signal.signal(number, handler)


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
        # an index that is none is made anew; a track or a table may be empty; a report may be any text
        sound = name in MADE_ANEW or (kind in NO_ROWS and name in MAY_BE_EMPTY)
        assert read == (sound or (name == "benchmark-report.md" and is_text(no_files()[kind]))), name


def is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


MADE_ANEW = ("genome-index", "genome-bgzip-index")
MAY_BE_EMPTY = ("bedgraph", "chrom-sizes", "benchmark-summary.tsv", "benchmark-tests.tsv", "benchmark-models.tsv")
OPTIONAL = ("summary", "ledger", "benchmark-summary.tsv", "benchmark-tests.tsv", "benchmark-models.tsv")
"""Files that need not be there: a folder of that name is none."""
NO_ROWS = ("empty", "a line's end")


@pytest.mark.parametrize("name", SURVIVED)
def test_a_folder_in_a_file_s_place_is_refused(tmp_path, name: str) -> None:
    reader = READERS[name]
    path = reader.prepare(tmp_path / "trial")
    path.unlink(missing_ok=True)
    path.mkdir()
    with suppress(IsADirectoryError):  # the command line tells it in one line
        # an index is made anew; a table of scores need not be there
        assert reader.told(path) == (name in (*MADE_ANEW, *OPTIONAL))


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
    "ledger",
    "benchmark-summary.tsv",
    "benchmark-tests.tsv",
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


# --- what was found by fuzzing: each of these once ended in a traceback, or did not end -------------------------------


def swapped(old: bytes, new: bytes):
    """Return a change of a sound file, in which what is to be replaced must stand."""

    def change(data: bytes) -> bytes:
        assert old in data
        return data.replace(old, new, 1)

    return change


def on_another_disk(data: bytes) -> bytes:
    """Say that a zip archive is of several disks."""
    at = data.rindex(b"PK\x06\x07")
    return data[: at + 16] + (2).to_bytes(4, "little") + data[at + 20 :]


def beginning_before_the_file(data: bytes) -> bytes:
    """Let a zip archive's directory say that it stands 100 bytes further on than it does."""
    at = data.rindex(b"PK\x05\x06") + 16
    return data[:at] + (int.from_bytes(data[at : at + 4], "little") + 100).to_bytes(4, "little") + data[at + 4 :]


NESTED = b"[" * 3000
FOUND: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "a date that is none": ("task", swapped(b"length: 60", b"length: !!timestamp x")),
    "a whole number without digits": ("task", swapped(b"length: 60", b"length: !!int ''")),
    "a number without digits": ("task", swapped(b"length: 60", b"length: !!float ''")),
    "a truth value that is none": ("task", swapped(b"length: 60", b"length: !!bool maybe")),
    "a number too large for a float": ("task", swapped(b"length: 60", b"length: 1" + b":1" * 400 + b".0")),
    "a number too long to be shown": ("task", swapped(b"length: 60", b"length: 0x" + b"f" * 4000)),
    "an escape beyond Unicode": ("task", swapped(b"name: spaced", b'name: "\\UFFFFFFFF"')),
    "half a character": ("task", swapped(b"two motifs", b"two \\ud800 motifs")),
    "a path that is too long": ("task", swapped(b"motifs.meme", b"x" * 5000)),
    "a background's path that is too long": ("task", swapped(b"{gc: 0.41}", b"{shuffle: " + b"x" * 5000 + b"}")),
    "a benchmark's date that is none": ("benchmark", swapped(b"learned: 0.9", b"learned: !!timestamp x")),
    "a benchmark's truth value that is none": ("benchmark", swapped(b"learned: 0.9", b"learned: !!bool maybe")),
    "a benchmark's escape beyond Unicode": ("benchmark", swapped(b"name: small", b'name: "\\UFFFFFFFF"')),
    "a benchmark that is nested too deeply": ("benchmark", swapped(b"seeds: [0, 1]", b"seeds: " + NESTED)),
    "a model's description that is nested too deeply": ("model-config", swapped(b"80", NESTED)),
    "a model's number of 5,000 digits": ("model-config", swapped(b"80", b"9" * 5000)),
    "a model's option that is none of the network's": ("model-config", swapped(b'"dense"', b'"length"')),
    "weights on several disks": ("state-dict", on_another_disk),
    "an array whose header does not end": ("relevance-members", swapped(b"'fortran_order'", b"('fortran_order'")),
    "an array that is none": ("relevance-members", swapped(b"member:codes.npy\n\x93NUMPY", b"member:codes\n")),
    "an array of more than counts": ("relevance-members", swapped(b"(20,)", b"(%d,)" % 2**70)),
    "text in place of numbers": ("modisco-arrays", swapped(b"'|i1'", b"'|S1'")),
    "an array of a type that no NumPy has": ("further-npy", swapped(b"'<f4'", b"'<08'")),
    "a part that begins before its file": ("part", beginning_before_the_file),
    "a part without its letters": ("part-members", swapped(b"member:codes.npy", b"member:x.npy")),
    "a part without its map": ("part-members", swapped(b"member:per_base.0.npy", b"member:per_base.7.npy")),
    "a part without its table": ("part-members", swapped(b"member:summary.tsv", b"member:x.tsv")),
    "a part that says nothing of itself": ("part-members", lambda data: re.sub(rb'\{"largest[^}]*\}', b"[]", data)),
    "a part whose record ends where nothing does": ("part-members", swapped(b"3, 13", b"3, %d" % 2**70)),
    "a part whose records are nested too deeply": ("part-members", swapped(b'"s0"', NESTED)),
    "a run's description that is a list": ("run-file", lambda data: b"[1]"),
    "a run's description that is nested too deeply": ("run-file", lambda data: NESTED),
    "a list of files that is nested too deeply": ("list-of-files", swapped(b'["x"]', NESTED)),
    "a list of files that holds a number": ("list-of-files", swapped(b'["x"]', b'["x", 1]')),
    "a manifest that is nested too deeply": ("manifest", swapped(b"0.5", NESTED)),
    "a region beyond all numbers": ("regions", swapped(b"\t13\t", b"\t" + b"9" * 30 + b"\t")),
    "a size beyond all numbers": ("chrom-sizes", swapped(b"9", b"9" * 30)),
}  # fmt: skip


@pytest.mark.parametrize("case", FOUND)
def test_what_was_found_by_fuzzing_is_refused_in_one_line(tried, case: str) -> None:
    name, change = FOUND[case]
    reader = READERS[name]
    assert not tried(reader, change(next(iter(reader.seeds().values()))))


def test_a_setting_of_numbers_stands_in_a_title(tmp_path) -> None:
    """Found by fuzzing, too: a manifest may have numbers where the command line gives texts."""
    reader = READERS["manifest"]
    path = reader.prepare(tmp_path)
    path.write_bytes(swapped(b'["gamma"]', b"[0.5, null]")(reader.seeds()["ours"]))
    assert read_explanations(tmp_path).title == "plrp, rule 0.5 None, p 0.5"


@pytest.mark.parametrize("entry", [b"chr1\t14\t8\t10\t%d\n" % 2**70, b"chr1\t14\t%d\t10\t11\n" % 2**50])
def test_an_index_of_places_beyond_the_genome_is_made_anew(tmp_path, entry: bytes) -> None:
    """Found by fuzzing: the second asked for a petabyte."""
    reader = READERS["genome-index"]
    path = reader.prepare(tmp_path)
    path.write_bytes(entry)
    assert reader.told(path)
    assert path.read_bytes() == reader.seeds()["plain"]


def test_an_hdf5_file_whose_pattern_has_no_number_is_refused(tried) -> None:
    """Found by fuzzing, too."""
    reader = READERS["modisco-result"]
    buffer = io.BytesIO(reader.seeds()["ours"])
    with h5py.File(buffer, "a") as file:
        file.move("pos_patterns/pattern_0", "pos_patterns/pattern_x")
    assert not tried(reader, buffer.getvalue())
