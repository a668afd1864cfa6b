"""Files for other tools: their own readers find in them what was explained."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from seqplrp.errors import SeqplrpError
from seqplrp.genomics import Record, codes_to_one_hot, encode, tracks

LENGTH, N = 60, 9


@pytest.fixture
def windows():
    rng = np.random.default_rng(5)
    letters = ["".join(rng.choice(list("ACGTN"), size=LENGTH, p=[0.24] * 4 + [0.04])) for _ in range(N)]
    strands = ["+", "-", "+"] * 3
    return [
        Record(f"w{i}", text, f"chr{1 + i % 2}", 100 * i, 100 * i + LENGTH, strand)
        for i, (text, strand) in enumerate(zip(letters, strands, strict=True))
    ]


def one_hot(records):
    return codes_to_one_hot(encode([r.sequence for r in records])).numpy()


def test_bpnets_layout_has_length_before_bases_and_the_windows_places(spool_of, windows, tmp_path, monkeypatch):
    monkeypatch.setattr("seqplrp.genomics.tracks.equal._BLOCK", 4 * LENGTH)  # several blocks of rows
    spool, expected = spool_of(windows)
    tracks.write_bpnet_h5(tmp_path / "x.h5", spool)
    with h5py.File(tmp_path / "x.h5", "r") as file:
        assert set(file) == {"input_seqs", "hyp_scores", "coords_chrom", "coords_start", "coords_end"}
        np.testing.assert_array_equal(file["input_seqs"][()], one_hot(windows).transpose(0, 2, 1))
        np.testing.assert_array_equal(file["hyp_scores"][()], np.stack([h.T for _, h in expected]))
        assert file["coords_chrom"].asstr()[()].tolist() == [r.contig for r in windows]
        assert file["coords_start"][()].tolist() == [r.start for r in windows]
        assert file["coords_end"][()].tolist() == [r.end for r in windows]


def test_modiscos_own_command_reads_all_three_formats_alike(spool_of, windows, tmp_path, monkeypatch):
    """What its algorithm is called with, by npz pair, ChromBPNet's and BPNet's layout."""
    pytest.importorskip("hdf5plugin")
    cli = pytest.importorskip("modiscolite.cli")
    spool, expected = spool_of(windows)
    tracks.write_modisco(tmp_path / "s.npz", tmp_path / "a.npz", spool)
    tracks.write_h5(tmp_path / "chrombpnet.h5", spool)
    tracks.write_bpnet_h5(tmp_path / "bpnet.h5", spool)
    called = []

    def keep(**given):
        called.append(given)
        return None, None

    monkeypatch.setattr("modiscolite.tfmodisco.TFMoDISco", keep)
    monkeypatch.setattr("modiscolite.tfmodisco._import_dependencies", lambda: None, raising=False)
    monkeypatch.setattr("modiscolite.io.save_hdf5", lambda *given: None)
    monkeypatch.setattr(cli.precompile, "start", lambda: None)
    inputs = [
        ["-s", str(tmp_path / "s.npz"), "-a", str(tmp_path / "a.npz")],
        ["-i", str(tmp_path / "chrombpnet.h5")],
        ["-i", str(tmp_path / "bpnet.h5")],
    ]
    for given in inputs:
        cli.cli(["motifs", *given, "-n", "10", "-w", "40", "-o", str(tmp_path / "out")], standalone_mode=False)
    assert len(called) == 3
    for one in called:
        np.testing.assert_array_equal(one["one_hot"], one_hot(windows)[:, :, 10:50].transpose(0, 2, 1))
        wanted = np.stack([h for _, h in expected])[:, :, 10:50].transpose(0, 2, 1)
        np.testing.assert_array_equal(one["hypothetical_contribs"], wanted)


def test_modisco_gets_unpruned_contributions_where_the_run_kept_them(spool_of, windows, tmp_path):
    spool, expected = spool_of(windows, unpruned=True)
    tracks.write_modisco(tmp_path / "s.npz", tmp_path / "a.npz", spool)
    with np.load(tmp_path / "a.npz") as file:
        assert file.files == ["arr_0"]
        np.testing.assert_array_equal(file["arr_0"], np.stack([h + 1 for _, h in expected]))
    tracks.write_h5(tmp_path / "x.h5", spool)
    np.testing.assert_array_equal(tracks.read_h5(tmp_path / "x.h5")[1], np.stack([h for _, h in expected]))


def test_tangermeme_takes_the_exported_arrays(spool_of, windows, tmp_path):
    torch = pytest.importorskip("torch")
    seqlets = pytest.importorskip("tangermeme.seqlet")
    spool, expected = spool_of(windows)
    tracks.write_modisco(tmp_path / "s.npz", tmp_path / "a.npz", spool)
    with np.load(tmp_path / "s.npz") as letters, np.load(tmp_path / "a.npz") as values:
        projected = torch.from_numpy((letters["arr_0"] * values["arr_0"]).sum(1))
    np.testing.assert_allclose(projected.numpy(), np.stack([p for p, _ in expected]), rtol=1e-6)
    projected[2, 20:28] += 30  # one stretch that nobody can miss
    found = seqlets.recursive_seqlets(projected, threshold=0.01)
    assert ((found["example_idx"] == 2) & (found["start"] < 28) & (found["end"] > 20)).any()


@pytest.mark.parametrize("write", ["h5", "bpnet_h5", "modisco"])
def test_windows_of_several_lengths_or_without_contributions_are_refused_by_format(spool_of, windows, tmp_path, write):
    paths = [tmp_path / "1", tmp_path / "2"][: 2 if write == "modisco" else 1]
    writer = getattr(tracks, f"write_{write}")
    other = Record("short", "ACGTACG", "chr1", 5000, 5007)
    with pytest.raises(SeqplrpError, match=r"format .*: needs records of one length, they have 7 to 60 bases"):
        writer(*paths, spool_of([*windows, other])[0])
    with pytest.raises(SeqplrpError, match="hypothetical contributions, which this rule does not have"):
        writer(*paths, spool_of(windows, hypothetical=False)[0])
    assert not any(path.exists() for path in paths)
