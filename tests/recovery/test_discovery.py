"""Found motifs against true ones: who counts as found, who as spurious, and how like the matrices are."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.spatial.distance import jensenshannon

from seqplrp import PLRP, SeqplrpError, explain
from seqplrp.genomics import codes_to_one_hot
from seqplrp.genomics.motifs import Motif, load, load_all, read_motifs, write_meme
from seqplrp.genomics.simulation import parse_task, simulate
from seqplrp.models import TrainOptions, make_dataset, train_model
from seqplrp.recovery import (
    MotifMatch,
    Pattern,
    best_matches,
    call_seqlets,
    compare_with_truth,
    find_patterns,
    relatives,
)
from seqplrp.recovery.discovery import matrix_likeness

LIBRARY = load_all()
NAMES = [motif.name for motif in LIBRARY]


def drawn(name: str, n: int = 60, seed: int = 0, called: str = "found") -> Motif:
    """A library motif as counted from n sites drawn from it."""
    rng = np.random.default_rng(seed)
    counts = np.stack([rng.multinomial(n, p / p.sum()) for p in load(name).probabilities])
    return Motif(called, counts / n, nsites=n).with_pseudocount(1.0)


def unlike_any(seed: int = 3) -> Motif:
    rng = np.random.default_rng(seed)
    motif = Motif("novel", 0.88 * np.eye(4)[rng.integers(0, 4, 9)] + 0.03)
    (match,) = best_matches([motif], LIBRARY)
    assert match is None or match.q > 0.05
    return motif


def numbers(discovery) -> dict[str, tuple[float, float, float]]:
    return {row.rule: (row.precision, row.recall, row.f1) for row in discovery.summary.itertuples()}


def test_a_true_motif_a_decoy_and_a_novelty_are_told_apart_and_counted() -> None:
    found = [drawn("GABPA", called="a"), drawn("CTCF", called="b"), unlike_any()]
    result = compare_with_truth(found, [load("GABPA"), load("SRF")])
    assert result.found["kind"].tolist() == ["true", "other", "unknown"]
    assert result.found["truth"].tolist() == ["GABPA", "", ""]
    assert result.found["best_match"].tolist()[:2] == ["GABPA", "CTCF"]
    assert result.spurious["pattern"].tolist() == ["b", "novel"]
    assert result.truth["found_strict"].tolist() == result.truth["found"].tolist() == [True, False]
    for precision, recall, f1 in numbers(result).values():
        assert (precision, recall) == (pytest.approx(1 / 3), 0.5)
        assert f1 == pytest.approx(0.4)  # 2 x 1/3 x 1/2 over 5/6
    row = result.truth.iloc[0]
    assert (row["pattern"], row["rank"], row["seqlets"], row["patterns"]) == ("a", 1, 60, 1)
    assert row["q"] < 1e-3
    assert row["coverage"] == pytest.approx(1.0)
    assert row["pearson"] > 0.95


def test_a_near_identical_relative_is_no_false_discovery_but_strictly_no_hit() -> None:
    result = compare_with_truth([drawn("JUND")], [load("FOS::JUN")])
    assert result.found["best_match"].tolist() == ["JUND"]
    assert result.found["kind"].tolist() == ["relative"]
    assert result.spurious.empty
    assert numbers(result) == {"strict": (0.0, 0.0, 0.0), "family": (1.0, 1.0, 1.0)}
    row = result.truth.iloc[0]
    assert (row["found_strict"], row["found"]) == (False, True)
    assert row["rank"] > row["family_rank"] == 1
    assert "JUND" in row["relatives"].split(",")


def test_where_true_motifs_are_relatives_one_pattern_does_not_find_both() -> None:
    truth = [load("USF1"), load("USF2")]
    one = compare_with_truth([drawn("USF2")], truth)
    assert one.truth["found"].tolist() == [False, True]
    assert numbers(one)["family"] == (1.0, 0.5, pytest.approx(2 / 3))
    both = compare_with_truth([drawn("USF2"), drawn("USF1", called="other")], truth)
    assert both.truth["found"].tolist() == [True, True]
    assert both.truth["pattern"].tolist() == ["other", "found"]


def test_several_patterns_of_one_motif_are_no_fault_and_are_counted() -> None:
    result = compare_with_truth([drawn("CTCF", seed=s, called=f"p{s}") for s in range(3)], [load("CTCF")])
    assert numbers(result)["strict"] == (1.0, 1.0, 1.0)
    assert result.truth["patterns"].tolist() == [3]


def test_nothing_found_is_no_error_and_scores_zero() -> None:
    result = compare_with_truth([], [load("CTCF"), load("SRF")])
    assert len(result.truth) == 2
    assert not result.truth["found"].any()
    assert result.found.empty
    for precision, recall, f1 in numbers(result).values():
        assert math.isnan(precision)
        assert (recall, f1) == (0.0, 0.0)


def test_ranks_and_p_values_are_tomtoms() -> None:
    import memelite

    query = drawn("ELK1", 25)
    result = compare_with_truth([query], [load("ETS1"), load("SRF")])
    p = memelite.tomtom([query.probabilities.T], [m.probabilities.T for m in LIBRARY], n_target_bins=None, n_jobs=1)[0][
        0
    ]
    row = result.truth.set_index("motif").loc["ETS1"]
    mine = p[NAMES.index("ETS1")]
    assert row["p"] == pytest.approx(mine)
    assert row["rank"] == 1 + (p < mine).sum()


def test_true_motifs_outside_the_library_are_added_and_names_are_the_tasks_own() -> None:
    invented = unlike_any()
    own = Motif("mine", invented.probabilities)
    result = compare_with_truth([drawn("GABPA", called="x"), Motif("y", own.probabilities)], [own])
    assert result.found["kind"].tolist() == ["other", "true"]
    assert result.truth["motif"].tolist() == ["mine"]
    assert result.truth["found_strict"].tolist() == [True]
    under_another_name = Motif("ETS", load("GABPA").probabilities)
    assert compare_with_truth([drawn("GABPA")], [under_another_name]).truth["found_strict"].tolist() == [True]


@pytest.mark.parametrize("name", ["GABPA", "CTCF", "USF1"])
def test_a_true_matrix_of_six_digits_is_the_librarys_own_and_not_a_second_one(name, tmp_path) -> None:
    """Beside a twin of its own one pattern would be most like either, by chance, and q-values would count one more."""
    write_meme(tmp_path / "six.meme", [replace(load(name), name="mine", accession="")])
    (rounded,) = read_motifs(tmp_path / "six.meme")
    assert not np.array_equal(rounded.probabilities, load(name).probabilities)
    found = [drawn(name, called="a"), drawn("SRF", called="b")]
    own, other = (compare_with_truth(found, [truth]) for truth in (load(name), rounded))
    assert other.truth["motif"].tolist() == ["mine"]
    columns = [column for column in own.truth.columns if column not in ("motif", "accession")]
    pd.testing.assert_frame_equal(own.truth[columns], other.truth[columns])
    pd.testing.assert_frame_equal(own.found.drop(columns="truth"), other.found.drop(columns="truth"))
    assert other.found["truth"].tolist() == ["mine", ""]
    assert other.truth["relatives"].str.split(",").map(lambda names: name not in names).all()
    with pytest.raises(SeqplrpError, match="are one matrix; give each true motif once"):
        compare_with_truth([], [load(name), rounded])


def test_a_true_matrix_that_is_only_near_one_of_the_library_is_another(tmp_path) -> None:
    near = 0.999 * load("CTCF").probabilities + 0.001 / 4
    result = compare_with_truth([drawn("CTCF")], [Motif("near", near)])
    assert "CTCF" in result.truth["relatives"][0].split(",")


def _words(family: str) -> set[str]:
    return {word.strip().partition("-")[0].partition(" ")[0] for word in family.split(";")}


def test_relatives_are_the_librarys_known_families_and_no_one_else() -> None:
    alike = relatives(LIBRARY)
    assert (alike == alike.T).all()
    assert alike.diagonal().all()
    kin = {name: {NAMES[j] for j in np.flatnonzero(row)} - {name} for name, row in zip(NAMES, alike)}
    assert kin["GABPA"] == {"ELF1", "ELK1", "ETS1", "Spi1"}
    assert kin["USF2"] == {"USF1", "MAX", "MYC"}
    assert kin["CTCF"] == {"CTCFL"}
    assert kin["STAT1"] == {"STAT3"}
    assert "GATA1" not in kin["GATA1::TAL1"]  # one half of it
    assert kin["REST"] == kin["SRF"] == kin["HNF1A"] == set()
    families = {motif.name: motif.family for motif in LIBRARY}
    pairs = [(a, b) for a in kin for b in kin[a]]
    odd = {frozenset(pair) for pair in pairs if not _words(families[pair[0]]) & _words(families[pair[1]])}
    assert odd == {frozenset(("TCF12", "ZEB1"))}  # both bind CACCTG


def test_likeness_of_matrices_is_that_of_the_columns_that_stand_over_one_another() -> None:
    target = load("GATA1")
    # two columns before the target, its first four turned round, noise added
    rng = np.random.default_rng(0)
    beside = target.reverse_complement()
    noisy = 0.9 * beside.probabilities[:4] + 0.1 * rng.dirichlet(np.ones(4), 4)
    query = Motif("q", np.concatenate([np.full((2, 4), 0.25), noisy]))
    match = MotifMatch(target, 0.0, 0.0, -2, "-", 4, 0.0)
    likeness = matrix_likeness(query, match)
    information = beside.information_content()
    assert likeness["coverage"] == pytest.approx(information[:4].sum() / information.sum())
    its = beside.probabilities[:4]
    assert likeness["pearson"] == pytest.approx(np.corrcoef(noisy.ravel(), its.ravel())[0, 1])
    columns = [jensenshannon(a, b, base=2) ** 2 for a, b in zip(noisy, its)]
    assert likeness["divergence"] == pytest.approx(np.average(columns, weights=information[:4]))
    same = matrix_likeness(target, MotifMatch(target, 0.0, 0.0, 0, "+", target.width, 0.0))
    assert same == {
        "coverage": pytest.approx(1),
        "pearson": pytest.approx(1),
        "divergence": pytest.approx(0, abs=1e-12),
    }


@pytest.mark.parametrize(
    ("truth", "level", "told"),
    [
        ([], 0.05, "truth: there is no true motif"),
        ([load("CTCF"), Motif("again", load("CTCF").probabilities)], 0.05, "are one matrix"),
        ([load("CTCF")], 0.0, "level: is 0.0"),
    ],
)
def test_what_cannot_be_compared_is_told(truth, level, told) -> None:
    with pytest.raises(SeqplrpError, match=told):
        compare_with_truth([], truth, level=level)


TASK = """
kind: binary
length: 80
motifs: {CTCF: {load: CTCF, instances: strong}}
classes: {CTCF: CTCF, background: otherwise}
"""


@pytest.fixture(scope="module")
def trained():
    """A small model of one motif against none, 1,200 sequences, and what PLRP says of 400 that hold it."""
    data = simulate(parse_task(TASK), n=1200, seed=0)
    dataset = make_dataset(data.sequences, data.labels, kind=data.kind, classes=data.classes, ids=data.ids, seed=0)
    model = train_model(dataset, "deepbind", training=TrainOptions(epochs=4, batch_size=32, seed=0)).model
    rows = np.flatnonzero(data.labels[:, 0])[:400]
    codes = data.sequences[rows]
    method = PLRP(center="composition", reverse_complement=True)
    return codes, explain(model, codes_to_one_hot(codes), target=0, method=method).per_base


def found_in(codes, relevance) -> list[Pattern]:
    return [p for p in find_patterns(call_seqlets(relevance), codes, relevance) if p.sign > 0]


def test_from_simulated_sequences_over_a_trained_model_to_the_planted_motif(trained) -> None:
    codes, per_base = trained
    result = compare_with_truth(found_in(codes, per_base), [load("CTCF")])
    assert numbers(result)["strict"] == (1.0, 1.0, 1.0)
    row = result.truth.iloc[0]
    assert (row["rank"], row["coverage"]) == (1, pytest.approx(1, abs=0.1))
    assert row["pearson"] > 0.95
    assert row["seqlets"] >= 300


def test_maps_that_say_nothing_of_the_sequences_recover_no_motif(trained) -> None:
    codes, per_base = trained
    rng = np.random.default_rng(0)
    others = rng.permutation(len(codes))  # the maps of other sequences: relevance gathers, letters are arbitrary
    random = torch.from_numpy(rng.normal(size=codes.shape))
    scattered = torch.from_numpy(rng.permuted(per_base.numpy(), axis=1))
    for relevance in (per_base[others], random, scattered):
        result = compare_with_truth(found_in(codes, relevance), [load("CTCF")])
        assert not result.truth["found"].any()
        assert pd.isna(result.summary["precision"]).all() or (result.summary["precision"] == 0).all()
