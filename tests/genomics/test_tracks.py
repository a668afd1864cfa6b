"""Tracks: what is written is what the field's own readers read back."""

from __future__ import annotations

import errno
import zipfile
from collections import defaultdict

import h5py
import numpy as np
import pandas as pd
import pyBigWig
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from written_tracks import memory_grown, record, told_of_a_full_disk

from seqplrp.errors import SeqplrpError
from seqplrp.genomics import Record, codes_to_one_hot, encode, tracks


@pytest.fixture
def mixed(spool_of):
    """Records of several lengths out of order: overlapping, adjacent, on the minus strand, on their own."""
    records = [
        record("b", length=30, contig="chr2", start=100, seed=1),
        record("a", length=20, contig="chr10", start=5, seed=2),
        record("c", length=25, contig="chr2", start=110, strand="-", seed=3),
        record("own", length=12, seed=4),
        record("d", length=7, contig="chr2", start=135, seed=5),
        record("e", length=9, contig="chr2", start=500, strand="-", seed=6),
    ]
    spool, expected = spool_of(records)
    return records, spool, expected


def genome_by_dictionary(records, expected):
    """Average relevance of each covered position, the slow and obvious way."""
    values = defaultdict(list)
    for item, (per_base, _) in zip(records, expected, strict=True):
        for i, value in enumerate(per_base.tolist()):
            position = item.start + i if item.strand == "+" else item.end - 1 - i
            values[item.contig, position].append(value)
    return {place: np.float32(np.mean(found)) for place, found in values.items()}


def test_bigwig_read_by_pybigwig_has_each_covered_base_once_and_overlaps_averaged(mixed, tmp_path):
    records, spool, expected = mixed
    tracks.write_bigwig(tmp_path / "x.bw", spool)
    truth = genome_by_dictionary(records, expected)
    with pyBigWig.open(str(tmp_path / "x.bw")) as file:
        assert file.chroms() == {"chr10": 25, "chr2": 509, "own": 12}
        assert file.header()["nBasesCovered"] == len(truth)
        for contig, size in file.chroms().items():
            found = np.array(file.values(contig, 0, size), np.float32)
            wanted = np.array([truth.get((contig, i), np.nan) for i in range(size)], np.float32)
            np.testing.assert_array_equal(found, wanted)


def test_bigwig_read_by_pybigtools_agrees(mixed, tmp_path):
    pybigtools = pytest.importorskip("pybigtools")
    records, spool, expected = mixed
    tracks.write_bigwig(tmp_path / "x.bw", spool)
    truth = genome_by_dictionary(records, expected)
    file = pybigtools.open(str(tmp_path / "x.bw"))
    for contig, size in file.chroms().items():
        found = np.asarray(file.values(contig, 0, size, fillna=np.nan), np.float32)
        wanted = np.array([truth.get((contig, i), np.nan) for i in range(size)], np.float32)
        np.testing.assert_array_equal(found, wanted)
    file.close()


def test_bedgraph_is_sorted_and_gives_back_the_exact_float32_values(mixed, tmp_path):
    records, spool, expected = mixed
    tracks.write_bedgraph(tmp_path / "x.bedgraph", spool)
    table = tracks.read_bedgraph(tmp_path / "x.bedgraph")
    keys = list(zip(table["contig"], table["start"], strict=True))
    assert keys == sorted(keys)
    found = {
        (row.contig, position): np.float32(row.value)
        for row in table.itertuples()
        for position in range(row.start, row.end)
    }
    assert found == genome_by_dictionary(records, expected)
    assert len(table) < len(found), "equal neighbours share a line"


def test_minus_strand_records_put_each_value_on_its_own_base(tmp_path):
    """A record of the minus strand and its plus-strand twin give the same track."""
    letters = "AACGTTTGCA"
    values = np.arange(1.0, 11.0, dtype=np.float32)
    hypothetical = np.zeros((4, 10), np.float32)
    for name, strand, order in (("plus", "+", 1), ("minus", "-", -1)):
        (tmp_path / name).mkdir()
        part = tmp_path / name / "part.npz"
        explained = tracks.Explained([values[::order]], [hypothetical])
        tracks.write_explained(part, [Record("r", letters, "chr1", 40, 50, strand)], [explained])
        with tracks.joined_parts([part], tmp_path / name / "index") as (spool,):
            tracks.write_bigwig(tmp_path / f"{name}.bw", spool)
    found = [tracks.read_bigwig(tmp_path / f"{name}.bw", "chr1", 40, 50) for name in ("plus", "minus")]
    np.testing.assert_array_equal(found[0], values)
    np.testing.assert_array_equal(found[1], values)


def test_blocks_are_cut_without_losing_or_doubling_a_base(spool_of, tmp_path, monkeypatch):
    """Tiled records, cut into many small blocks, give what one big block gives."""
    records = [record(f"t{i}", length=50, contig="chr1", start=17 * i, seed=i) for i in range(40)]
    spool, expected = spool_of(records)
    monkeypatch.setattr("seqplrp.genomics.tracks.overlaps._BLOCK", 20)
    blocks = list(tracks.along_the_genome(spool))
    assert len(blocks) > 5
    found = {(c, s + i): v for c, s, values in blocks for i, v in enumerate(values)}
    assert sum(len(values) for _, _, values in blocks) == len(found)
    assert found == genome_by_dictionary(records, expected)


def test_split_overlaps_take_each_position_from_the_window_whose_middle_is_nearest(spool_of):
    """Windows of one length are cut midway of their overlap; a window within another keeps its own half."""
    records = [record(f"t{i}", length=40, contig="chr1", start=25 * i, seed=i) for i in range(5)]
    records += [
        record("whole", length=60, contig="chr2", start=0),
        record("within", length=11, contig="chr2", start=5, strand="-"),
    ]
    spool, expected = spool_of(records)
    found = {(c, s + i): v for c, s, vs in tracks.along_the_genome(spool, overlaps="split") for i, v in enumerate(vs)}
    for (contig, position), value in found.items():
        covering = [(r, e) for r, e in zip(records, expected, strict=True) if contig == r.contig]
        covering = [(r, e) for r, e in covering if r.start <= position < r.end]
        nearest, (per_base, _) = min(covering, key=lambda one: abs(2 * position - one[0].start - one[0].end + 1))
        at = position - nearest.start if nearest.strand == "+" else nearest.end - 1 - position
        assert value == per_base[at], (contig, position)
    assert found.keys() == genome_by_dictionary(records, expected).keys()
    # of two windows [0, 40) and [25, 65) the first 32 positions are the first's
    np.testing.assert_array_equal([found["chr1", i] for i in range(32)], expected[0][0][:32])
    assert [found["chr1", 33]] == [expected[1][0][8]]


def test_other_words_for_overlaps_are_refused(mixed):
    with pytest.raises(SeqplrpError, match="'average' or 'split'"):
        tracks.along_the_genome(mixed[1], overlaps="mean")


def test_windows_that_run_off_their_contig_are_cut_at_its_ends_in_the_tracks(spool_of, tmp_path):
    records = [
        record("left", length=20, contig="chr1", start=-6),
        record("right", length=20, contig="chr1", start=40, strand="-", seed=1),
    ]
    spool, expected = spool_of(records, genome={"chr1": 52, "chr2": 9})
    tracks.write_bigwig(tmp_path / "x.bw", spool)
    with pyBigWig.open(str(tmp_path / "x.bw")) as file:
        assert file.chroms() == {"chr1": 52}
        found = np.array(file.values("chr1", 0, 52), np.float32)
    np.testing.assert_array_equal(found[:14], expected[0][0][6:])
    np.testing.assert_array_equal(found[40:], expected[1][0][::-1][:12])
    assert np.isnan(found[14:40]).all()
    tracks.write_regions(tmp_path / "regions.bed", spool)
    table = tracks.read_regions(tmp_path / "regions.bed")
    assert table[["start", "end"]].to_numpy().tolist() == [[0, 14], [40, 52]]
    tracks.write_npz(tmp_path / "x.npz", spool)
    assert len(tracks.read_npz(tmp_path / "x.npz").per_base) == 40, "arrays hold the windows whole"


def test_a_contig_that_the_genome_does_not_have_is_named(spool_of):
    spool, _ = spool_of([record("a", length=9, contig="chr7")], genome={"chr1": 100})
    with pytest.raises(SeqplrpError, match="'chr7'"):
        spool.sizes()


def test_a_contig_named_like_a_format_stands_in_a_bedgraph_as_it_is(spool_of, tmp_path):
    name = "chr%d%s%%"
    spool, _ = spool_of([record("r", length=7, contig=name, start=3)])
    tracks.write_bedgraph(tmp_path / "x.bedgraph", spool)
    table = tracks.read_bedgraph(tmp_path / "x.bedgraph")
    assert set(table["contig"]) == {name}
    assert table["start"].iloc[0] == 3
    assert table["end"].iloc[-1] == 10


def test_what_goes_wrong_while_a_bigwig_is_made_is_raised_as_it_is(spool_of, tmp_path, monkeypatch):
    """The library would print it and tell of an empty file."""
    spool, _ = spool_of([record(f"r{i}", length=50, contig="chr1", start=60 * i) for i in range(9)])
    read = type(spool.per_base).read

    def fails(array, start, stop):
        if start >= 300:
            raise KeyboardInterrupt
        return read(array, start, stop)

    monkeypatch.setattr(type(spool.per_base), "read", fails)
    with pytest.raises(KeyboardInterrupt):
        tracks.write_bigwig(tmp_path / "x.bw", spool)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    places=st.lists(
        st.tuples(st.sampled_from(["c1", "c2"]), st.integers(0, 60), st.integers(1, 25), st.sampled_from("+-")),
        min_size=1,
        max_size=12,
    )
)
def test_any_set_of_places_averages_like_a_dictionary_of_positions(places, spool_of):
    records = [
        record(f"r{i}", length=length, contig=contig, start=start, strand=strand, seed=i)
        for i, (contig, start, length, strand) in enumerate(places)
    ]
    spool, expected = spool_of(records)
    found = {(c, s + i): v for c, s, values in tracks.along_the_genome(spool) for i, v in enumerate(values)}
    truth = genome_by_dictionary(records, expected)
    assert found.keys() == truth.keys()
    np.testing.assert_allclose([found[k] for k in truth], list(truth.values()), rtol=1e-6, atol=1e-7)


def test_npz_loads_without_pickle_and_holds_every_record(mixed, tmp_path):
    records, spool, expected = mixed
    tracks.write_npz(tmp_path / "x.npz", spool)
    with np.load(tmp_path / "x.npz", allow_pickle=False) as content:
        assert set(content.files) == {"ids", "offsets", "starts", "codes", "per_base", "hypothetical"}
        assert content["starts"].tolist() == [r.start for r in records]
        assert content["ids"].dtype.kind == "U"
        assert content["ids"].tolist() == [r.id for r in records]
        offsets = content["offsets"]
        assert offsets[0] == 0
        assert offsets[-1] == sum(map(len, records)) == content["hypothetical"].shape[1]
        for i, (item, (per_base, hypothetical)) in enumerate(zip(records, expected, strict=True)):
            span = slice(offsets[i], offsets[i + 1])
            np.testing.assert_array_equal(content["per_base"][span], per_base)
            np.testing.assert_array_equal(content["hypothetical"][:, span], hypothetical)
            assert "".join("ACGTN"[c] for c in content["codes"][span]) == item.sequence


def test_npz_reader_gives_what_numpy_gives(mixed, tmp_path):
    _, spool, expected = mixed
    tracks.write_npz(tmp_path / "x.npz", spool)
    arrays = tracks.read_npz(tmp_path / "x.npz")
    span = arrays.positions(arrays.index("c"))
    np.testing.assert_array_equal(arrays.per_base[span], expected[2][0])
    with pytest.raises(SeqplrpError, match=r"^record 'nobody': is not among the explained ones; try 'b'$"):
        arrays.index("nobody")


@pytest.mark.parametrize("write", [tracks.write_npz, tracks.write_bigwig, tracks.write_bedgraph, tracks.write_regions])
def test_the_same_explanations_give_the_same_bytes_however_they_were_cut_into_parts(spool_of, tmp_path, write):
    records = [record(f"r{i}", length=900, contig="chr1", start=i * 800, seed=i) for i in range(60)]
    for name, in_parts in (("1.bw", 7), ("2.bw", 60)):
        write(tmp_path / name, spool_of(records, in_parts=in_parts)[0])
    assert (tmp_path / "1.bw").read_bytes() == (tmp_path / "2.bw").read_bytes()


def test_an_npz_of_no_record_is_read_and_asked_in_vain(tmp_path):
    empty = {"ids": np.empty(0, "U1"), "codes": np.empty(0, np.uint8), "per_base": np.empty(0, np.float32)}
    np.savez(tmp_path / "x.npz", offsets=np.zeros(1, np.int64), **empty)
    arrays = tracks.read_npz(tmp_path / "x.npz")
    assert len(arrays) == 0
    with pytest.raises(SeqplrpError, match=r"'s0': is not among the explained ones; give a file that holds a record$"):
        arrays.index("s0")


def test_without_hypothetical_contributions_npz_has_none_and_h5_is_refused(spool_of, tmp_path):
    spool, _ = spool_of([record("a", length=8), record("b", length=8)], hypothetical=False)
    tracks.write_npz(tmp_path / "x.npz", spool)
    assert tracks.read_npz(tmp_path / "x.npz").hypothetical is None
    with pytest.raises(SeqplrpError, match="hypothetical contributions"):
        tracks.write_h5(tmp_path / "x.h5", spool)


def test_h5_has_chrombpnets_layout_and_projected_is_exactly_hypothetical_times_one_hot(spool_of, tmp_path, monkeypatch):
    monkeypatch.setattr("seqplrp.genomics.tracks.equal._BLOCK", 64)  # several blocks of rows
    records = [record(f"r{i}", length=21, seed=i) for i in range(11)]
    spool, expected = spool_of(records)
    tracks.write_h5(tmp_path / "x.h5", spool)
    with h5py.File(tmp_path / "x.h5", "r") as file:
        raw, shap, projected = (file[name][()] for name in ("raw/seq", "shap/seq", "projected_shap/seq"))
    assert raw.shape == shap.shape == projected.shape == (11, 4, 21)
    np.testing.assert_array_equal(raw, codes_to_one_hot(encode([r.sequence for r in records])).numpy())
    np.testing.assert_array_equal(shap, np.stack([h for _, h in expected]))
    np.testing.assert_array_equal(projected, shap * raw)
    np.testing.assert_array_equal(projected.sum(1), np.stack([p for p, _ in expected]))
    for mine, theirs in zip(tracks.read_h5(tmp_path / "x.h5"), (raw, shap, projected), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_h5_of_mixed_lengths_names_both_lengths(mixed, tmp_path):
    with pytest.raises(SeqplrpError, match="7 to 30 bases"):
        tracks.write_h5(tmp_path / "x.h5", mixed[1])


def test_regions_and_sizes_come_back_as_written(mixed, tmp_path):
    records, spool, _ = mixed
    tracks.write_regions(tmp_path / "regions.bed", spool)
    tracks.write_chrom_sizes(tmp_path / "chrom.sizes", spool)
    table = tracks.read_regions(tmp_path / "regions.bed")
    found = list(table[["contig", "start", "end", "name", "strand"]].itertuples(index=False, name=None))
    assert found == [(r.contig, r.start, r.end, r.id, r.strand) for r in records]
    assert tracks.read_chrom_sizes(tmp_path / "chrom.sizes") == {"chr10": 25, "chr2": 509, "own": 12}


def test_contigs_named_like_numbers_or_missing_values_stay_text(spool_of, tmp_path):
    spool, _ = spool_of([record("NA", length=5), record("1", length=6)])
    tracks.write_bedgraph(tmp_path / "x.bedgraph", spool)
    assert set(tracks.read_bedgraph(tmp_path / "x.bedgraph")["contig"]) == {"NA", "1"}


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e39])
def test_relevance_that_no_track_can_hold_is_refused_by_record(tmp_path, value):
    item = record("bad", length=5)
    explained = tracks.Explained([np.zeros(5), np.array([0, 0, value, 0, 0])], 2 * [np.zeros((4, 5))])
    with pytest.raises(SeqplrpError, match="'bad'"):
        tracks.write_explained(tmp_path / "part.npz", [record("good", length=5), item], [explained])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["#1", "track", "browser"])
def test_names_that_bed_readers_take_for_comments_are_refused(name):
    with pytest.raises(SeqplrpError, match="comment"):
        tracks.check_name(record(name, length=5))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a zip",
        b"PK\x03\x04 cut short",
    ],
)
def test_a_damaged_npz_is_an_error_that_names_the_file(tmp_path, content):
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(SeqplrpError, match=r"x\.npz"):
        tracks.read_npz(tmp_path / "x.npz")


def encrypted(path):
    """Say in both headers of the first array that it is encrypted."""
    content = bytearray(path.read_bytes())
    for header, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.find(header) + flags] |= 1
    path.write_bytes(content)


def overwritten(path):
    content = bytearray(path.read_bytes())
    content[100:200] = b"\xff" * 100
    path.write_bytes(content)


@pytest.mark.parametrize("spoil", [encrypted, overwritten])
def test_an_array_that_can_not_be_unpacked_is_named(mixed, tmp_path, spoil):
    path = tmp_path / "x.npz"
    tracks.write_npz(path, mixed[1])
    spoil(path)
    with pytest.raises(SeqplrpError, match=r"x\.npz: .*damaged"):
        tracks.read_npz(path)


def test_a_disk_that_fails_is_not_taken_for_a_damaged_file(mixed, tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError(errno.EIO, "Input/output error")

    tracks.write_npz(tmp_path / "x.npz", mixed[1])
    monkeypatch.setattr(zipfile.ZipFile, "open", fail)
    with pytest.raises(SeqplrpError, match=r"x\.npz: cannot be read \(input/output error\)"):
        tracks.read_npz(tmp_path / "x.npz")


def test_a_pickled_array_is_never_loaded(tmp_path):
    np.savez(tmp_path / "x.npz", ids=np.array([{"a": 1}], dtype=object))
    with pytest.raises(SeqplrpError, match=r"x\.npz"):
        tracks.read_npz(tmp_path / "x.npz")


def test_arrays_that_do_not_fit_each_other_are_refused(mixed, tmp_path):
    tracks.write_npz(tmp_path / "x.npz", mixed[1])
    with np.load(tmp_path / "x.npz") as content:
        arrays = dict(content)
    arrays["offsets"] = arrays["offsets"] + 1
    np.savez(tmp_path / "y.npz", **arrays)
    with pytest.raises(SeqplrpError, match="do not fit"):
        tracks.read_npz(tmp_path / "y.npz")


@pytest.mark.parametrize(
    ("reader", "text"),
    [
        (tracks.read_bedgraph, "chr1\tzero\t1\t0.5\n"),
        (tracks.read_regions, "chr1\t0\tx\tn\t0\t+\n"),
        (tracks.read_chrom_sizes, "chr1\tlong\n"),
        (tracks.read_h5, "no hdf5"),
    ],
)
def test_malformed_tables_are_errors_that_name_the_file(tmp_path, reader, text):
    path = tmp_path / "file"
    with pytest.raises(SeqplrpError, match="file: "):
        reader(path)
    path.write_text(text)
    with pytest.raises(SeqplrpError, match="file: "):
        reader(path)


@pytest.mark.parametrize(
    ("reader", "line"),
    [
        (tracks.read_bedgraph, "7\tchr1\t1\t2\t0.5\n"),
        (tracks.read_regions, "bin\tchr1\t0\t5\tn\t0\t+\n"),
        (tracks.read_chrom_sizes, "chr1\t1000\t6\t60\t61\n"),
    ],
    ids=["bedGraph", "BED", "an index of FASTA"],
)
def test_columns_beside_those_of_the_format_are_not_read_as_others(tmp_path, reader, line):
    """pandas would take the first columns for row names, and 60 for a contig of 61 bases."""
    path = tmp_path / "file"
    path.write_text(2 * line)
    with pytest.raises(SeqplrpError, match=r"file: has more than \d columns; give "):
        reader(path)


def test_table_writer_appends_frames_under_one_header(tmp_path):
    frames = [
        pd.DataFrame({"id": ["NA", "b"], "value": [0.1, np.nan]}),
        pd.DataFrame({"id": ["c"], "value": [3.0]}),
    ]
    with tracks.TableWriter(tmp_path / "t.tsv") as writer:
        for frame in frames:
            writer.append(frame)
        with pytest.raises(ValueError, match="columns"):
            writer.append(pd.DataFrame({"other": [1]}))
    assert (tmp_path / "t.tsv").read_text() == "id\tvalue\nNA\t0.1\nb\t\nc\t3\n"


def test_spooled_writers_do_not_hold_the_arrays_in_memory(tmp_path):
    """Three times the sequences, 78 MB more of numbers, take no more memory."""
    assert memory_grown(tmp_path, "write_npz", "write_h5", "write_bedgraph", "write_bigwig") < 16
    assert (tmp_path / "write_npz-1300.bw").stat().st_size > 100e6


@pytest.mark.parametrize("writer", ["write_npz", "write_h5", "write_bigwig", "write_bedgraph"])
def test_a_disk_that_fills_up_is_an_error_and_no_crash(tmp_path, writer):
    """However far the writer gets: C libraries print to standard error, or crash as the process ends."""
    told = told_of_a_full_disk(tmp_path, writer)
    assert len(told) == 5
    assert set(told) <= {"file too large", "could not be written whole"}
