"""TF-MoDISco on our maps: orientation, the collapse of its null on sparse ones, and its patterns as ours."""

from __future__ import annotations

import importlib.util
from importlib.metadata import version

import h5py
import numpy as np
import pandas as pd
import pytest

from seqplrp import SeqplrpError
from seqplrp.benchmark import Subject
from seqplrp.benchmark.model_protocols import measured_whole
from seqplrp.genomics import codes_to_one_hot
from seqplrp.genomics.motifs import load
from seqplrp.genomics.simulation import load_task
from seqplrp.genomics.tracks import RelevanceArrays
from seqplrp.recovery import (
    MOST_ZERO_WINDOWS,
    ModiscoInput,
    call_seqlets,
    compare_with_truth,
    modisco_input,
    modisco_input_of,
    read_modisco,
    read_modisco_input,
    require_modisco,
    run_modisco,
)
from seqplrp.recovery.benchmark.model_protocols import MODEL_PROTOCOLS, ModiscoOptions
from seqplrp.recovery.benchmark.scenes import Candidates, Scene
from seqplrp.recovery.benchmark.tasks import SimulatedTask

LENGTH = 120


def planted(names: list[str], n: int, seed: int = 0, sparse: bool = False) -> tuple[ModiscoInput, pd.DataFrame]:
    """One instance a sequence, on either strand; contributions are its log-odds, with faint noise unless sparse."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, (n, LENGTH)).astype(np.uint8)
    hypothetical = np.zeros((n, 4, LENGTH)) if sparse else rng.normal(0, 0.05, (n, 4, LENGTH))
    rows = []
    for i in range(n):
        motif = load(names[i % len(names)])
        word = np.array([rng.choice(4, p=p / p.sum()) for p in motif.probabilities], dtype=np.uint8)
        strand = "+-"[int(rng.integers(2))]
        start = int(rng.integers(0, LENGTH - motif.width + 1))
        turned = motif if strand == "+" else motif.reverse_complement()
        codes[i, start : start + motif.width] = word if strand == "+" else 3 - word[::-1]
        hypothetical[i, :, start : start + motif.width] += turned.log_odds(pseudocount=1.0).T
        rows.append((i, start, start + motif.width, strand))
    truth = pd.DataFrame(rows, columns=["sequence", "start", "end", "strand"])
    return modisco_input(codes_to_one_hot(codes), hypothetical), truth


def positive(data: ModiscoInput) -> pd.DataFrame:
    seqlets = call_seqlets(data.per_base)
    return seqlets[seqlets["sign"] > 0]


@pytest.fixture(scope="module")
def sparse_run(tmp_path_factory):
    """TF-MoDISco on our seqlets of an exactly sparse map: the first call compiles its kernels, some seconds."""
    data, truth = planted(["CTCF"], 160, sparse=True)
    path = tmp_path_factory.mktemp("modisco") / "result.h5"
    return data, truth, path, run_modisco(data, seqlets=positive(data), trim=20, extend=0, out=path)


def test_on_our_seqlets_of_a_sparse_map_it_finds_the_planted_motif(sparse_run) -> None:
    data, _, _, patterns = sparse_run
    assert data.zero_windows() > MOST_ZERO_WINDOWS
    result = compare_with_truth(patterns, [load("CTCF")])
    assert result.truth["found_strict"].tolist() == [True]
    assert result.truth["coverage"][0] == pytest.approx(1.0)
    assert result.truth["pearson"][0] > 0.97  # a wrong orientation would turn letters into their complements
    assert patterns[0].sign == 1
    assert patterns[0].motif.name == "pos_0"
    newest = int(version("modisco-lite").split(".")[0]) >= 3
    assert len(patterns[0]) >= (100 if newest else 60)  # of 160: modisco-lite 2.3 and 2.4 kept 75 with NumPy 1.26


def test_members_say_where_the_motif_stands(sparse_run) -> None:
    data, truth, _, patterns = sparse_run
    members = patterns[0].members
    both = members.merge(truth, on="sequence", suffixes=("", "_true"))
    same = (both["strand"] == both["strand_true"]).mean()
    assert max(same, 1 - same) > 0.97
    forward = both["strand"] == "+"
    offset = np.where(forward, both["start"] - both["start_true"], both["end_true"] - both["end"])
    assert np.mean(offset == np.median(offset)) > 0.95
    for row in members.head(20).itertuples():
        mass = data.per_base[row.sequence, row.start : row.end].sum()
        assert row.mass == pytest.approx(mass, rel=1e-5)


def test_its_file_reads_back_and_a_second_run_is_the_same(sparse_run) -> None:
    data, _, path, patterns = sparse_run
    with h5py.File(path) as file:
        assert "pos_patterns" in file
    again = run_modisco(data, seqlets=positive(data), trim=20, extend=0)
    assert len(again) == len(patterns)
    for one, other in zip(patterns, again):
        assert one.motif == other.motif
        pd.testing.assert_frame_equal(one.members, other.members)
    (alone, *_) = read_modisco(path)
    assert len(alone) == len(patterns[0])
    np.testing.assert_allclose(alone.motif.probabilities, patterns[0].motif.probabilities, atol=0.01)


def test_by_its_own_seqlets_it_finds_the_motif_in_a_dense_map(sparse_run) -> None:
    data, _ = planted(["CTCF"], 160, seed=1)
    result = compare_with_truth(run_modisco(data, trim=20, extend=0), [load("CTCF")])
    assert result.truth["found_strict"].tolist() == [True]


def test_a_sign_of_few_seqlets_is_left_out_and_how_few_can_be_said() -> None:
    """The benchmark asks it of some dozen sequences."""
    data, _ = planted(["CTCF"], 60, sparse=True)
    seqlets = positive(data)
    assert 50 < len(seqlets) < 100
    assert run_modisco(data, seqlets=seqlets, trim=20, extend=0) == []
    (found,) = run_modisco(data, seqlets=seqlets, trim=20, extend=0, fewest_seqlets=20)
    result = compare_with_truth([found], [load("CTCF")])
    assert result.truth["found_strict"].tolist() == [True]


def test_the_benchmark_recovers_every_planted_motif_by_it_from_maps_that_are_the_truth() -> None:
    data = SimulatedTask("decoys", "development", 1, None, load_task("decoys"), n=30, test=150).load()
    at = Candidates.of(data, 150, 1)
    # nothing here asks the model anything
    scene = Scene(None, at, codes_to_one_hot(at.codes), np.ones(len(at.ids)), 1, {})  # type: ignore[arg-type]
    subject = Subject(scene, at.truth.astype(float), None)
    finding = measured_whole(subject, MODEL_PROTOCOLS, {"modisco": ModiscoOptions()}, ("truth", "truth"))["modisco"]
    found = finding.values
    assert (found["motif_true"], found["motif_spurious"]) == (3, 0)
    assert (found["motif_precision"], found["motif_recall"], found["motif_rank_worst"]) == (1, 1, 1)
    assert found["motif_similarity"] > 0.95
    assert {one.best_match for one in finding.patterns} == {"GABPA", "JUND", "USF1"}
    assert all(20 <= one.sequences <= one.seqlets for one in finding.patterns)


def test_a_sparse_map_without_seqlets_is_refused_with_what_to_do() -> None:
    data, _ = planted(["CTCF"], 20, sparse=True)
    with pytest.raises(SeqplrpError, match=r"hold nothing but exact zeros.*; give unpruned.*seqlets=call_seqlets"):
        run_modisco(data)


def test_its_null_collapses_on_exact_zeros_where_ours_holds() -> None:
    """What the refusal is for: random maps, without anything to find."""
    require_modisco()
    from modiscolite.extract_seqlets import extract_seqlets

    def calls(zeros: float) -> tuple[int, int, float]:
        rng = np.random.default_rng(0)
        tracks = rng.normal(size=(300, 200)) * (rng.random((300, 200)) >= zeros)
        one_hot = codes_to_one_hot(rng.integers(0, 4, tracks.shape).astype(np.uint8))
        data = modisco_input(one_hot, np.repeat(tracks[:, None], 4, axis=1))
        found, _ = extract_seqlets(tracks.copy(), 20, 5, 15, 0.2, 0.03, 0.2, 0.8)
        return len(found), len(call_seqlets(tracks, fdr=0.2)), data.zero_windows()

    dense, our_dense, none = calls(0.5)
    sparse, our_sparse, share = calls(0.95)
    assert none < MOST_ZERO_WINDOWS < share
    assert sparse > 2.5 * dense  # up to its ceiling of a fifth of all windows
    assert max(our_dense, our_sparse) <= 5


def test_zero_windows_are_counted_as_by_hand() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(5, 4, 60)) * (rng.random((5, 1, 60)) < 0.1)
    data = modisco_input(codes_to_one_hot(rng.integers(0, 5, (5, 60)).astype(np.uint8)), values)
    windows = [data.per_base[i, s : s + 20] for i in range(5) for s in range(41)]
    assert data.zero_windows() == pytest.approx(np.mean([not w.any() for w in windows]))


def test_what_our_explain_wrote_becomes_its_input() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 5, (3, 7)).astype(np.uint8)
    values = rng.normal(size=(3, 4, 7)).astype(np.float32)
    arrays = RelevanceArrays(
        ids=np.array(["a", "b", "c"]),
        offsets=np.array([0, 7, 14, 21]),
        codes=codes.ravel(),
        per_base=np.zeros(21, dtype=np.float32),
        hypothetical=values.transpose(1, 0, 2).reshape(4, 21),
    )
    data = modisco_input_of(arrays)
    np.testing.assert_array_equal(data.one_hot, codes_to_one_hot(codes).numpy())
    np.testing.assert_array_equal(data.hypothetical, values)
    other = RelevanceArrays(arrays.ids, np.array([0, 5, 14, 21]), arrays.codes, arrays.per_base, arrays.hypothetical)
    with pytest.raises(SeqplrpError, match="has records of 5 to 9 bases; explain records of one length"):
        modisco_input_of(other)
    bare = RelevanceArrays(arrays.ids, arrays.offsets, arrays.codes, arrays.per_base, None)
    with pytest.raises(SeqplrpError, match="has no hypothetical contributions"):
        modisco_input_of(bare)


def test_the_two_files_of_its_command_are_read(tmp_path) -> None:
    data, _ = planted(["CTCF"], 4)
    np.savez(tmp_path / "ohe.npz", data.one_hot)
    np.savez(tmp_path / "attr.npz", data.hypothetical)
    back = read_modisco_input(tmp_path / "ohe.npz", tmp_path / "attr.npz")
    np.testing.assert_array_equal(back.one_hot, data.one_hot)
    np.testing.assert_array_equal(back.hypothetical, data.hypothetical)
    np.savez(tmp_path / "named.npz", scores=data.hypothetical)
    (tmp_path / "text.npz").write_text("no archive")
    for name, told in (("named", "has no array 'arr_0'"), ("gone", "there is no such file"), ("text", "can't be read")):
        with pytest.raises(SeqplrpError, match=told):
            read_modisco_input(tmp_path / "ohe.npz", tmp_path / f"{name}.npz")


@pytest.mark.parametrize(
    ("one_hot", "hypothetical", "told"),
    [
        (np.zeros((2, 30, 4)), np.zeros((2, 30, 4)), r"have shapes \(2, 30, 4\)"),
        (np.full((2, 4, 30), 0.25), np.zeros((2, 4, 30)), "neither one-hot nor all zero"),
        (np.zeros((2, 4, 30)), np.full((2, 4, 30), np.nan), "holds NaN"),
        (np.zeros((2, 4, 30)), np.zeros((3, 4, 30)), "have shapes"),
    ],
)
def test_arrays_that_are_no_input_are_told(one_hot, hypothetical, told) -> None:
    with pytest.raises(SeqplrpError, match=told):
        modisco_input(one_hot, hypothetical)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"fewest_seqlets": -1}, "fewest_seqlets: is -1; give a whole number of 0 or more"),
        ({"most_seqlets": 0}, "most_seqlets: is 0; give a whole number of 1 or more"),
        ({"trim": 5}, "trim: is 5; give a whole number of 6 or more"),
        ({"extend": 1.5}, "extend: is 1.5"),
        ({"leiden_runs": True}, "leiden_runs: is True"),
    ],
)
def test_numbers_that_can_not_be_are_told(options, told) -> None:
    data, _ = planted(["CTCF"], 4)
    with pytest.raises(SeqplrpError, match=told):
        run_modisco(data, **options)


def test_short_sequences_and_what_is_no_result_are_told(tmp_path) -> None:
    data = modisco_input(np.zeros((3, 4, 20)), np.zeros((3, 4, 20)))
    with pytest.raises(SeqplrpError, match="sequences: have 20 bases; give 30 or more"):
        run_modisco(data)
    with pytest.raises(SeqplrpError, match="there is no such file"):
        read_modisco(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("no HDF5")
    with pytest.raises(SeqplrpError, match="is no result of TF-MoDISco-lite"):
        read_modisco(tmp_path / "text.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file.create_group("pos_patterns/pattern_0")
    with pytest.raises(SeqplrpError, match="is no result of TF-MoDISco-lite"):
        read_modisco(tmp_path / "other.h5")


def test_a_missing_modisco_is_told_with_its_remedy(monkeypatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SeqplrpError, match=r"modisco-lite: is not installed, .*; pip install 'seqplrp\[modisco\]'"):
        require_modisco()
    data, _ = planted(["CTCF"], 2)
    with pytest.raises(SeqplrpError, match="is not installed"):
        run_modisco(data)
