"""Parquet and zarr: their own readers find in them what npz has, and the same explanations give the same bytes."""

from __future__ import annotations

import json
import sys
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from written_tracks import memory_grown, record, told_of_a_full_disk

from seqplrp.errors import SeqplrpError
from seqplrp.genomics import codes_to_one_hot, encode, tracks

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
zarr = pytest.importorskip("zarr")

LENGTH, N = 60, 11
ABOUT = {"method": "PLRP()", "models": [{"name": "a", "weights_sha256": "0"}], "targets": ["CTCF", "GATA1"]}


@pytest.fixture
def mixed():
    """Records of several lengths, one of them off its contig's start; contigs whose names look like other things."""
    places = [("NA", -6, "+"), ("1", 40, "-"), ("chr1", 7, "+"), ("NA", 3, "-"), ("nan", 0, "+")]
    return [record(f"r{i}", *place, length=5 + 9 * i, seed=i) for i, place in enumerate(places)]


@pytest.fixture
def windows():
    return [record(f"w{i}", f"chr{1 + i % 2}", 100 * i - 5, "+-"[i % 2], length=LENGTH, seed=i) for i in range(N)]


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# ---- parquet


@pytest.mark.parametrize("positions", [1, 40, 1 << 20], ids=["a record a group", "some", "all in one"])
def test_pandas_reads_from_parquet_what_npz_holds(spool_of, mixed, tmp_path, monkeypatch, positions):
    monkeypatch.setattr("seqplrp.genomics.tracks.parquet._POSITIONS", positions)
    spool, expected = spool_of(mixed, spread=True)
    tracks.write_parquet(tmp_path / "x.parquet", spool, ABOUT)
    tracks.write_npz(tmp_path / "x.npz", spool)
    arrays = tracks.read_npz(tmp_path / "x.npz")
    table = pd.read_parquet(tmp_path / "x.parquet")
    assert table["id"].tolist() == arrays.ids.tolist()
    assert table["start"].tolist() == arrays.starts.tolist()
    found = table[["contig", "start", "end", "strand", "sequence"]].itertuples(index=False, name=None)
    assert list(found) == [(r.contig, r.start, r.end, r.strand, r.sequence) for r in mixed]
    for column in ("per_base", "relevance_spread"):
        assert all(values.dtype == np.float32 for values in table[column])
        np.testing.assert_array_equal(np.concatenate(table[column].tolist()), getattr(arrays, column))
    hypothetical = np.stack([np.concatenate(table[f"hypothetical_{base}"].tolist()) for base in "ACGT"])
    np.testing.assert_array_equal(hypothetical, arrays.hypothetical)
    np.testing.assert_array_equal(table["per_base"][2], expected[2][0])
    assert pq.ParquetFile(tmp_path / "x.parquet").num_row_groups == {1: 5, 40: 4, 1 << 20: 1}[positions]


def test_types_and_what_was_explained_stand_in_the_schema(spool_of, mixed, tmp_path):
    tracks.write_parquet(tmp_path / "x.parquet", spool_of(mixed, hypothetical=False)[0], ABOUT)
    schema = pq.read_schema(tmp_path / "x.parquet")
    names = pa.dictionary(pa.int32(), pa.string())
    floats = pa.list_(pa.field("element", pa.float32()))
    assert {field.name: field.type for field in schema} == {
        **{"id": pa.string(), "contig": names, "start": pa.int64(), "end": pa.int64(), "strand": names},
        **{"sequence": pa.string(), "per_base": floats},
    }
    told = {key.decode(): value.decode() for key, value in schema.metadata.items()}
    assert told["seqplrp.method"] == "PLRP()"
    assert json.loads(told["seqplrp.models"]) == ABOUT["models"]
    assert json.loads(told["seqplrp.targets"]) == ["CTCF", "GATA1"]
    column = pq.ParquetFile(tmp_path / "x.parquet").metadata.row_group(0).column(1)
    assert (column.path_in_schema, "RLE_DICTIONARY" in column.encodings) == ("contig", True)


KINDS = {"id": "name", "note": "text", "n": "integer", "target": "integer or name"}


def texts_of(table, cuts):
    """Cut a table into texts as parts hold them."""
    ends = [0, *cuts, len(table)]
    return [
        table.iloc[a:b].to_csv(sep="\t", index=False, float_format="%.9g", lineterminator="\n").encode()
        for a, b in pairwise(ends)
    ]


@pytest.fixture
def table():
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "id": [("NA", "1", 'a"b', "'c", "d")[i % 5] for i in range(37)],
            "note": ["" if i % 3 == 0 else f"n{i}" for i in range(37)],
            "n": pd.array([pd.NA if i % 4 == 0 else i for i in range(37)], dtype="Int64"),
            "target": [i % 2 for i in range(37)],
            "value": np.where(rng.random(37) < 0.2, np.nan, rng.normal(size=37).astype(np.float32)),
            "other": [np.inf, -np.inf, 0, 1e-300, 1e300, *rng.normal(size=32)],
        }
    )


def test_a_table_of_parquet_is_that_of_the_text_with_types(table, tmp_path):
    path = tmp_path / "t.parquet"
    tracks.write_parquet_table(path, texts_of(table, [5, 6]), KINDS, ABOUT)
    found = pq.read_table(path)
    assert [str(field.type) for field in found.schema] == [
        "dictionary<values=string, indices=int32, ordered=0>",
        *("string", "int64", "int64", "double", "double"),
    ]
    frame = found.to_pandas()
    assert frame["id"].astype(str).tolist() == table["id"].tolist()
    assert frame["note"].isna().tolist() == (table["note"] == "").tolist()
    assert frame["note"].fillna("").tolist() == table["note"].tolist()
    assert frame["n"].isna().tolist() == table["n"].isna().tolist()
    assert frame["n"].fillna(0).tolist() == table["n"].fillna(0).tolist()
    assert frame["target"].tolist() == table["target"].tolist()
    assert found.column("value").null_count == table["value"].isna().sum()
    np.testing.assert_array_equal(frame["value"].astype(np.float32), table["value"].astype(np.float32))
    np.testing.assert_allclose(frame["other"], table["other"], rtol=1e-8)
    assert found.schema.metadata[b"seqplrp.method"] == b"PLRP()"


def test_a_target_that_is_a_function_is_a_name(table, tmp_path):
    tracks.write_parquet_table(tmp_path / "t", texts_of(table.assign(target="net:score"), [9]), KINDS)
    found = pq.read_table(tmp_path / "t").column("target")
    assert pa.types.is_dictionary(found.type)
    assert found.to_pylist() == ["net:score"] * 37


@pytest.mark.parametrize("rows", [1, 7, 36, 37, 38])
def test_how_rows_were_cut_into_texts_changes_no_byte(table, tmp_path, monkeypatch, rows):
    monkeypatch.setattr("seqplrp.genomics.tracks.parquet._ROWS", rows)
    found = []
    for number, cuts in enumerate(([], [1], [10, 20, 30], range(1, 37))):
        path = tmp_path / f"{number}.parquet"
        tracks.write_parquet_table(path, texts_of(table, cuts), KINDS, ABOUT)
        assert pq.read_table(path).column("id").to_pylist() == table["id"].tolist()
        assert pq.ParquetFile(path).num_row_groups == -(-37 // rows)
        found.append(path.read_bytes())
    assert len(set(found)) == 1


def test_a_table_without_rows_has_its_columns(table, tmp_path):
    tracks.write_parquet_table(tmp_path / "t", texts_of(table.iloc[:0], []), KINDS)
    assert pq.read_table(tmp_path / "t").to_pandas().columns.tolist() == list(table.columns)


def test_a_parquet_file_that_was_not_ended_is_not_there(spool_of, mixed, tmp_path, monkeypatch):
    """What is closed early has a footer, and would be read as a whole file with fewer rows."""
    monkeypatch.setattr("seqplrp.genomics.tracks.parquet._POSITIONS", 1)
    spool, _ = spool_of(mixed)
    read = type(spool.per_base).read

    def fails(array, start, stop):
        if start >= 40:
            raise KeyboardInterrupt
        return read(array, start, stop)

    monkeypatch.setattr(type(spool.per_base), "read", fails)
    with pytest.raises(KeyboardInterrupt):
        tracks.write_parquet(tmp_path / "x.parquet", spool)
    assert not list(tmp_path.iterdir())


# ---- zarr


@pytest.mark.parametrize("sizes", [(1, 1), (240, 480), (1 << 18, 1 << 23)], ids=["a row a file", "two", "one file"])
def test_zarr_reads_what_npz_holds(spool_of, windows, tmp_path, monkeypatch, sizes):
    for name, size in zip(("_CHUNK", "_SHARD"), sizes, strict=True):
        monkeypatch.setattr(f"seqplrp.genomics.tracks.zarr_store.{name}", size)
    monkeypatch.setattr("seqplrp.genomics.tracks.zarr_store._PLACES", 3)
    spool, expected = spool_of(windows, spread=True)
    tracks.write_zarr(tmp_path / "x.zarr", spool, ABOUT)
    tracks.write_npz(tmp_path / "x.npz", spool)
    arrays = tracks.read_npz(tmp_path / "x.npz")
    group = zarr.open_group(tmp_path / "x.zarr", mode="r")
    assert group.attrs["seqplrp"] == ABOUT
    letters = codes_to_one_hot(encode([r.sequence for r in windows])).numpy()
    np.testing.assert_array_equal(group["one_hot"][:], letters)
    np.testing.assert_array_equal(group["per_base"][:].ravel(), arrays.per_base)
    np.testing.assert_array_equal(group["relevance_spread"][:].ravel(), arrays.relevance_spread)
    np.testing.assert_array_equal(group["hypothetical"][:].transpose(1, 0, 2).reshape(4, -1), arrays.hypothetical)
    np.testing.assert_array_equal(group["hypothetical"][3], expected[3][1])
    assert group["hypothetical"].dtype == np.float32
    for name in ("id", "contig", "start", "end", "strand"):
        assert group[name][:].tolist() == [getattr(r, name) for r in windows]
    assert group["base"][:].tolist() == list("ACGT")
    axes = {name: array.metadata.dimension_names for name, array in group.arrays()}
    assert axes["hypothetical"] == axes["one_hot"] == ("sequence", "base", "position")
    assert axes["per_base"] == ("sequence", "position")
    assert (axes["id"], axes["base"]) == (("sequence",), ("base",))
    files_of_maps = {1: N, 240: 6, 1 << 18: 1}[sizes[0]]
    assert len([path for path in (tmp_path / "x.zarr" / "hypothetical" / "c").rglob("*") if path.is_file()]) == (
        files_of_maps
    )


def test_one_row_is_read_from_its_shard_alone(spool_of, windows, tmp_path, monkeypatch):
    """What makes a store worth its many files: a reader needs only those of its rows."""
    monkeypatch.setattr("seqplrp.genomics.tracks.zarr_store._CHUNK", 240)
    monkeypatch.setattr("seqplrp.genomics.tracks.zarr_store._SHARD", 480)
    spool, expected = spool_of(windows)
    tracks.write_zarr(tmp_path / "x.zarr", spool)
    for path in (tmp_path / "x.zarr" / "hypothetical" / "c").rglob("*"):
        if path.is_file() and "3" not in path.relative_to(tmp_path / "x.zarr").parts:
            path.unlink()
    group = zarr.open_group(tmp_path / "x.zarr", mode="r")
    np.testing.assert_array_equal(group["hypothetical"][6:8], np.stack([h for _, h in expected[6:8]]))


def test_a_shard_that_was_changed_is_an_error_and_no_other_numbers(spool_of, windows, tmp_path):
    tracks.write_zarr(tmp_path / "x.zarr", spool_of(windows)[0])
    shard = next(path for path in (tmp_path / "x.zarr" / "per_base" / "c").rglob("*") if path.is_file())
    content = bytearray(shard.read_bytes())
    content[40] ^= 1
    shard.write_bytes(content)
    with pytest.raises(Exception, match=r"(?i)checksum|corrupt|decompress|error"):
        zarr.open_group(tmp_path / "x.zarr", mode="r")["per_base"][:]


def test_zarr_without_contributions_has_the_rest_and_mixed_lengths_are_refused(spool_of, windows, mixed, tmp_path):
    tracks.write_zarr(tmp_path / "x.zarr", spool_of(windows, hypothetical=False)[0])
    group = zarr.open_group(tmp_path / "x.zarr", mode="r")
    assert {name for name, _ in group.arrays()} == {
        *("one_hot", "per_base", "base"),
        *("id", "contig", "start", "end", "strand"),
    }
    with pytest.raises(SeqplrpError, match="format zarr: needs records of one length, they have 5 to 41 bases"):
        tracks.write_zarr(tmp_path / "y.zarr", spool_of(mixed)[0])
    assert not (tmp_path / "y.zarr").exists()


# ---- both


def test_the_same_explanations_give_the_same_bytes_however_they_were_cut_into_parts(spool_of, windows, tmp_path):
    for number, in_parts in enumerate((2, N)):
        spool, _ = spool_of(windows, in_parts=in_parts, spread=True)
        (tmp_path / str(number)).mkdir()
        tracks.write_parquet(tmp_path / str(number) / "x.parquet", spool, ABOUT)
        tracks.write_zarr(tmp_path / str(number) / "x.zarr", spool, ABOUT)
    found = [files(tmp_path / str(number)) for number in range(2)]
    assert found[0] == found[1]
    assert len(found[0]) > 10


@pytest.mark.parametrize(
    ("library", "write", "extra"), [("pyarrow", "write_parquet", "parquet"), ("zarr", "write_zarr", "zarr")]
)
def test_a_library_that_is_not_there_is_named_with_its_extra(
    spool_of, windows, tmp_path, monkeypatch, library, write, extra
):
    for name in [name for name in sys.modules if name.split(".")[0] == library]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(SeqplrpError, match=rf"format {extra}: needs {library}, .*pip install 'seqplrp\[{extra}\]'"):
        getattr(tracks, write)(tmp_path / "x", spool_of(windows)[0])
    assert not list(tmp_path.iterdir())


def test_columnar_writers_do_not_hold_the_arrays_in_memory(tmp_path):
    """Three times the sequences, 78 MB more of numbers, take no more memory."""
    smaller = """
from seqplrp.genomics.tracks import parquet, zarr_store
parquet._POSITIONS, zarr_store._SHARD = 1 << 18, 1 << 20
"""
    assert memory_grown(tmp_path, "write_parquet", "write_zarr", settings=smaller) < 16


@pytest.mark.parametrize("writer", ["write_parquet", "write_zarr"])
def test_a_disk_that_fills_up_is_an_error_and_no_crash(tmp_path, writer):
    assert told_of_a_full_disk(tmp_path, writer) == ["file too large"] * 5
    if writer == "write_parquet":
        assert not list(tmp_path.glob("cut*"))
