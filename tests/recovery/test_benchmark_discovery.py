"""Motifs discovered from a method's maps: the answer is known for maps that are the truth, or nothing of it."""

from __future__ import annotations

import importlib.util
import json
import math
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from benchmark_runs import written

import seqplrp as sp
from seqplrp.benchmark import ModelFinding, Subject, outcome, runner
from seqplrp.benchmark.cell import maps_of
from seqplrp.benchmark.model_protocols import measured_whole
from seqplrp.genomics import codes_to_one_hot
from seqplrp.genomics.motifs import Motif, load, load_all, read_motifs
from seqplrp.genomics.simulation import load_task
from seqplrp.recovery import call_seqlets, compare_with_truth, find_patterns
from seqplrp.recovery.benchmark import model_protocols, pattern_tables, read_config, report_run, run_cells
from seqplrp.recovery.benchmark.found_patterns import from_plain
from seqplrp.recovery.benchmark.model_protocols import (
    MODEL_PROTOCOLS,
    ModiscoOptions,
    MotifOptions,
)
from seqplrp.recovery.benchmark.protocols import PROTOCOLS
from seqplrp.recovery.benchmark.scenes import Candidates, Scene
from seqplrp.recovery.benchmark.tasks import SimulatedTask


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Models come out the same to the bit with the same number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def scene() -> Scene:
    """150 sequences of three classes, each with its own motif (GABPA, USF1, JUND), and decoys (CTCF, HNF1A) in all."""
    data = SimulatedTask("decoys", "development", 1, None, load_task("decoys"), n=30, test=150).load()
    at = Candidates.of(data, 150, 1)
    # nothing here asks the model anything
    return Scene(None, at, codes_to_one_hot(at.codes), np.ones(len(at.ids)), 1, {})  # type: ignore[arg-type]


def motifs_of(scene: Scene, relevance: np.ndarray, **options) -> dict[str, float]:
    return found_in(scene, relevance, **options).values


def found_in(scene: Scene, relevance: np.ndarray, **options) -> ModelFinding:
    return measured_whole(
        Subject(scene, relevance, None), MODEL_PROTOCOLS, {"motifs": MotifOptions(**options)}, ("x", "x")
    )["motifs"]


def true_map(scene: Scene) -> np.ndarray:
    return scene.candidates.truth.astype(np.float64)


def test_maps_that_are_the_truth_recover_every_planted_motif_and_nothing_else(scene) -> None:
    found = motifs_of(scene, true_map(scene))
    assert (found["motif_true"], found["motif_patterns"], found["motif_spurious"]) == (3, 3, 0)
    for measure in ("precision", "recall", "f1"):
        assert found[f"motif_{measure}"] == found[f"motif_{measure}_family"] == 1
    assert (found["motif_rank"], found["motif_rank_worst"]) == (1, 1)
    assert found["motif_q"] <= found["motif_q_worst"] < 1e-3
    assert found["motif_similarity"] > 0.95
    assert found["motif_coverage"] > 0.9


def test_random_maps_recover_none_and_come_off_worst_rather_than_undefined(scene) -> None:
    found = motifs_of(scene, np.random.default_rng(0).normal(size=scene.candidates.truth.shape))
    assert (found["motif_patterns"], found["motif_recall"], found["motif_recall_family"]) == (0, 0, 0)
    assert (found["motif_f1"], found["motif_f1_family"]) == (0, 0)
    assert math.isnan(found["motif_precision"])
    assert math.isnan(found["motif_similarity"])
    assert found["motif_rank"] == found["motif_rank_worst"] == len(load_all())
    assert found["motif_q"] == found["motif_q_worst"] == 1


def test_the_motifs_of_other_classes_and_decoys_are_spurious(scene) -> None:
    found = motifs_of(scene, scene.candidates.distractor.astype(np.float64))
    assert found["motif_spurious"] == found["motif_patterns"] >= 2
    assert (found["motif_precision"], found["motif_recall_family"]) == (0, 0)


def test_one_true_motif_of_three_beside_a_decoy_is_a_third_and_a_half(scene) -> None:
    """And finding one perfectly does not hide two that are missed: the worst rank is none of its own."""
    at = scene.candidates
    chosen = at.placed[at.placed["motif"].isin(["GABPA", "CTCF"])]
    chosen = chosen[chosen["supports"] | (chosen["motif"] == "CTCF")]
    relevance = np.zeros(at.truth.shape)
    for row in chosen.itertuples():
        relevance[row.record, row.start : row.end] = 1
    found = motifs_of(scene, relevance)
    assert (found["motif_patterns"], found["motif_spurious"]) == (2, 1)
    assert (found["motif_precision"], found["motif_recall"]) == (0.5, pytest.approx(1 / 3))
    assert found["motif_f1"] == pytest.approx(0.4)
    assert found["motif_rank_worst"] > 1
    assert found["motif_similarity"] > 0.95, "of what was found alone"


def test_relevance_against_the_explained_class_is_no_motif_of_it(scene) -> None:
    found = motifs_of(scene, -true_map(scene))
    assert (found["motif_patterns"], found["motif_seqlets"], found["motif_recall"]) == (0, 0, 0)


def test_values_are_those_of_the_public_functions(scene) -> None:
    at, rng = scene.candidates, np.random.default_rng(3)
    relevance = true_map(scene) * rng.exponential(size=at.truth.shape) + rng.normal(scale=0.2, size=at.truth.shape)
    found = motifs_of(scene, relevance, fdr=0.1, fewest=25)
    seqlets = call_seqlets(relevance, fdr=0.1, seed=1)
    patterns = [one for one in find_patterns(seqlets, at.codes, relevance, fewest=25) if one.sign > 0]
    by_hand = compare_with_truth(patterns, [load(name) for name in ("GABPA", "JUND", "USF1")])
    strict, family = by_hand.summary.to_dict(orient="records")
    assert found["motif_seqlets"] == (seqlets["sign"] > 0).sum()
    assert found["motif_patterns"] == len(patterns) > 0
    assert (found["motif_f1"], found["motif_f1_family"]) == (strict["f1"], family["f1"])
    assert found["motif_rank"] == by_hand.truth["rank"].median()
    assert found["motif_q_worst"] == by_hand.truth["q"].max()
    assert found["motif_similarity"] == by_hand.truth.loc[by_hand.truth["found"], "pearson"].mean()


def test_a_motif_too_rare_to_make_a_pattern_is_not_asked_for_and_not_spurious(scene) -> None:
    at = scene.candidates
    gabpa = at.placed.index[(at.placed["motif"] == "GABPA") & at.placed["supports"]]
    rare = replace(scene, candidates=replace(at, placed=at.placed.drop(gabpa[19:])))
    found = motifs_of(rare, true_map(scene))  # the maps still show it
    assert (found["motif_true"], found["motif_patterns"], found["motif_spurious"]) == (2, 3, 0)
    assert (found["motif_precision"], found["motif_recall"]) == (1, 1)
    none = motifs_of(scene, true_map(scene), fewest=1000)
    assert (none["motif_true"], none["motif_patterns"]) == (0, 0)
    assert math.isnan(none["motif_recall"])


def test_a_task_s_rounded_matrices_are_the_librarys_own(scene) -> None:
    """Tasks and files keep six digits; beside an unrounded twin no pattern would be strictly right."""
    at = scene.candidates
    rounded = {name: Motif(name, np.round(one.probabilities, 4)) for name, one in at.matrices.items()}
    again = replace(scene, candidates=replace(at, matrices=rounded))
    assert motifs_of(again, true_map(scene)) == motifs_of(scene, true_map(scene))


def test_a_true_motif_that_the_library_lacks_is_asked_for_all_the_same(scene) -> None:
    at, rng = scene.candidates, np.random.default_rng(8)
    novel = Motif("GABPA", 0.88 * np.eye(4)[rng.integers(0, 4, 10)] + 0.03)
    other = replace(scene, candidates=replace(at, matrices={**at.matrices, "GABPA": novel}))
    found = motifs_of(other, true_map(scene))
    assert (found["motif_true"], found["motif_spurious"]) == (3, 1)
    assert found["motif_recall"] == pytest.approx(2 / 3)


def test_one_matrix_under_two_names_is_one_motif(scene) -> None:
    at = scene.candidates
    placed, names = at.placed.copy(), at.placed["motif"].to_numpy(dtype=object).copy()
    names[np.flatnonzero(names == "GABPA")[::2]] = "ETS"
    placed["motif"] = names
    matrices = {**at.matrices, "ETS": Motif("ETS", at.matrices["GABPA"].probabilities)}
    twice = replace(scene, candidates=replace(at, placed=placed, matrices=matrices))
    assert motifs_of(twice, true_map(scene)) == motifs_of(scene, true_map(scene))


def test_what_was_discovered_is_described_as_the_public_functions_say(scene) -> None:
    at, relevance = scene.candidates, true_map(scene)
    found = found_in(scene, relevance).patterns
    patterns = find_patterns(call_seqlets(relevance, fdr=0.2, seed=1), at.codes, relevance)
    by_hand = compare_with_truth(patterns, [load(name) for name in ("GABPA", "JUND", "USF1")]).found
    table = pd.DataFrame([asdict(one) for one in found])
    columns = ["pattern", "consensus", "bits", "best_match", "best_accession", "best_q", "kind", "truth"]
    pd.testing.assert_frame_equal(table[columns], by_hand[columns].replace({"kind": {"true": "true motif"}}))
    assert table["seqlets"].tolist() == [len(one) for one in patterns]
    assert table["sequences"].tolist() == [len(set(one.members["sequence"])) for one in patterns]
    assert set(table["best_match"]) == set(table["truth"]) == {"GABPA", "JUND", "USF1"}
    for one, pattern in zip(found, patterns, strict=True):
        motif = one.motif("x/y")
        assert (motif.accession, motif.name, motif.nsites) == ("x/y", one.best_match, len(pattern))
        np.testing.assert_array_equal(motif.probabilities, pattern.motif.probabilities)
        np.testing.assert_array_equal(motif.background, pattern.motif.background)
    assert from_plain(json.loads(json.dumps([asdict(one) for one in found], allow_nan=False))) == found


def test_what_was_found_in_place_of_the_true_motif_has_its_name_and_what_is_like_nothing_its_letters(scene) -> None:
    """As the control asks whose peaks carry another factor's motif."""
    at = scene.candidates
    decoy = at.placed[(at.placed["motif"] == "CTCF") & ~at.placed["supports"]]
    relevance = np.zeros(at.truth.shape)
    for row in decoy.itertuples():
        relevance[row.record, row.start : row.end] = 1
    (found,) = found_in(scene, relevance).patterns
    assert (found.best_match, found.kind, found.truth) == ("CTCF", "other", "")
    assert found.best_q < 1e-5
    assert found.seqlets >= 20
    unlike = replace(found, kind="unknown", best_q=0.8)
    assert unlike.motif("a/b").name == found.consensus
    none = replace(found, kind="unknown", best_match="", best_accession="", best_q=None)
    assert from_plain([asdict(none)]) == (none,)


@pytest.mark.parametrize("known", [True, False], ids=["hypothetical", "the map alone"])
def test_tf_modisco_sees_hypothetical_contributions_where_there_are_such(scene, monkeypatch, known) -> None:
    given = []

    def seen(data, **options):
        given.append((data, options))
        return []

    monkeypatch.setattr(model_protocols, "run_modisco", seen)
    relevance, x = true_map(scene), scene.x.numpy()
    hypothetical = np.random.default_rng(0).normal(size=x.shape).astype(np.float32) if known else None
    subject = Subject(scene, relevance, None, hypothetical)
    options = ModiscoOptions(sequences=100, fewest=23, trim=15, extend=2)
    measured_whole(subject, MODEL_PROTOCOLS, {"modisco": options}, ("x", "x"))
    ((data, settings),) = given
    expected = hypothetical[:100] if known else (x * relevance[:, None])[:100]
    np.testing.assert_array_equal(data.hypothetical, expected)
    np.testing.assert_array_equal(data.one_hot, x[:100])
    assert (settings["fewest_seqlets"], settings["trim"], settings["extend"]) == (23, 15, 2)
    assert (settings["seqlets"]["sign"] > 0).all()
    expected_seqlets = call_seqlets(relevance[:100], fdr=0.2, seed=scene.seed)
    assert len(settings["seqlets"]) == (expected_seqlets["sign"] > 0).sum()


def test_a_method_that_was_not_asked_has_no_values(scene) -> None:
    options = {"motifs": MotifOptions(methods=("plrp",))}
    subject = Subject(scene, true_map(scene), None)
    assert measured_whole(subject, MODEL_PROTOCOLS, options, ("gxi", "gxi")) == {}
    assert set(measured_whole(subject, MODEL_PROTOCOLS, options, ("plrp p=0.5", "plrp"))) == {"motifs"}


def test_every_protocol_of_models_gives_what_it_names_and_no_name_is_taken_twice(scene, monkeypatch) -> None:
    def lightly(data, *, seqlets, fewest_seqlets, **_):  # TF-MoDISco itself is asked in test_modisco.py
        return find_patterns(seqlets, data.one_hot.argmax(axis=1), data.per_base, fewest=fewest_seqlets)

    monkeypatch.setattr(model_protocols, "run_modisco", lightly)
    assert not set(PROTOCOLS) & set(MODEL_PROTOCOLS)
    assert set(MODEL_PROTOCOLS) == {"motifs", "modisco", "marginalisation"}
    for name in ("motifs", "modisco"):  # the third asks a model, in test_marginal_protocol.py
        protocol = MODEL_PROTOCOLS[name]
        names = [measure.name for measure in protocol.measures]
        assert len(set(names)) == len(names)
        assert set(protocol.shown) <= set(names)
        given = protocol.run(Subject(scene, true_map(scene), None), protocol.options())
        assert set(given.values) == set(names)
        assert np.isfinite(list(given.values.values())).all(), "a perfect map leaves nothing undefined"


def test_a_missing_library_is_told_when_the_description_is_read(tmp_path, monkeypatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "memelite" else real(name, *a))
    path = written(tmp_path, protocols={"localisation": None, "motifs": None})
    with pytest.raises(sp.SeqplrpError, match=r"tiny.yaml, line \d+, protocols.motifs: memelite: is not inst") as error:
        read_config(path)
    assert error.value.remedy == "pip install 'seqplrp[modisco]'"
    read_config(written(tmp_path, protocols={"localisation": None}))  # what does not need it goes on without
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "modiscolite" else real(name, *a))
    read_config(written(tmp_path, protocols={"localisation": None, "motifs": None}))
    path = written(tmp_path, protocols={"localisation": None, "modisco": None})
    with pytest.raises(sp.SeqplrpError, match=r"protocols.modisco: modisco-lite: is not installed"):
        read_config(path)


@pytest.mark.parametrize(
    ("protocols", "told"),
    [
        ({"motifs": None}, r"protocols: measures nothing of single sequences; add one of localisation"),
        ({"localisation": None, "motif": None}, r"protocols.motif: 'motif' is not known; did you mean 'motifs'"),
        ({"localisation": None, "motifs": {"fdr": 0}}, r"protocols.motifs: fdr: is 0"),
        ({"localisation": None, "motifs": {"level": 2}}, r"protocols.motifs: level: is 2"),
        ({"localisation": None, "motifs": {"fewest": 1}}, r"protocols.motifs: fewest: is 1"),
        ({"localisation": None, "modisco": {"trim": 5}}, r"protocols.modisco: trim: is 5"),
        ({"localisation": None, "modisco": {"extend": -1}}, r"protocols.modisco: extend: is -1"),
        ({"localisation": None, "motifs": {"draws": 1}}, r"protocols.motifs.draws: is not a known key"),
        (
            {"localisation": None, "motifs": {"methods": ["ism"]}},
            r"protocols.motifs.methods: 'ism' is not known|s\[0\]",
        ),
    ],
)
def test_settings_that_can_not_be_are_told_with_their_place(tmp_path, protocols, told) -> None:
    with pytest.raises(sp.SeqplrpError, match=told) as error:
        read_config(written(tmp_path, protocols=protocols))
    assert "tiny.yaml, line" in str(error.value)


METHODS = {
    "gxi": {"method": "gradient-x-input"},
    "random": {"method": "random", "center": "none"},
    "truth": {"method": "truth"},
}
RUN = {
    "tasks": {"one": {"group": "report", "task": "task.yaml", "n": 500, "test": 120, "seed": 3}},
    "sequences": 60,
    "default": "gxi",
    "peers": ["random"],
    "protocols": {"localisation": None, "motifs": None},
    "matched_sparsity": {"to": "truth", "methods": ["gxi"]},
    "cost": False,
    "pictures": {"sequences": 0},
}


@pytest.fixture
def unchecked(monkeypatch):
    """Leave out the trial of every method before the first cell: it has a test of its own, and costs a trace."""
    monkeypatch.setattr(runner, "_try_methods", lambda *_: None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A finished and reported run, in ``out``; no test may change it."""
    folder = tmp_path_factory.mktemp("discovery")
    config = read_config(written(folder, methods=METHODS, **RUN))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "_try_methods", lambda *_: None)
        patch.setattr(outcome, "draw_pictures", lambda *_: [])  # slow, and not what is asked here
        run_cells(config, folder / "out")
        report_run(config, folder / "out")
    return folder


def table(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "motifs.tsv", sep="\t")


def test_the_run_writes_one_row_a_model_method_and_measure(folder) -> None:
    found = table(folder / "out")
    assert list(found.columns) == ["task", "architecture", "seed", "method", "measure", "value"]
    assert list(found["method"].unique()) == ["gxi", "random", "truth", "gxi | cut to truth"]
    assert len(found) == 2 * 4 * len(MODEL_PROTOCOLS["motifs"].measures)
    wide = found.pivot(index=["method", "seed"], columns="measure", values="value")
    assert (wide.loc["truth", ["motif_precision", "motif_recall", "motif_f1", "motif_rank_worst"]] == 1).all(axis=None)
    assert (wide.loc["random", ["motif_patterns", "motif_recall", "motif_f1"]] == 0).all(axis=None)
    assert wide.loc["random", "motif_precision"].isna().all()


def test_the_run_writes_what_was_discovered_and_its_matrices(folder) -> None:
    out = folder / "out"
    found = pd.read_csv(out / "motifs_patterns.tsv", sep="\t", keep_default_na=False)
    counts = table(out).query("measure == 'motif_patterns'").set_index(["seed", "method"])["value"]
    rows = found.groupby(["seed", "method"]).size()
    assert rows.to_dict() == counts[counts > 0].to_dict(), "one row a motif, none where nothing was found"
    of_truth = found[found["method"] == "truth"]
    assert of_truth["best_match"].tolist() == of_truth["truth"].tolist() == ["CTCF"] * 2
    assert of_truth["kind"].tolist() == ["true motif"] * 2
    assert (of_truth["best_q"].astype(float) < 1e-3).all()
    assert of_truth["meme"].tolist() == ["truth/pos_0"] * 2
    assert "gxi_|_cut_to_truth" in {meme.partition("/")[0] for meme in found["meme"]}
    for seed, of_model in found.groupby("seed"):
        motifs = {one.accession: one for one in read_motifs(out / "motifs_patterns" / f"one.small.seed{seed}.meme")}
        assert list(motifs) == of_model["meme"].tolist()
        for row in of_model.itertuples():
            assert motifs[row.meme].iupac == row.consensus
            assert motifs[row.meme].nsites == row.seqlets
            assert motifs[row.meme].name == (row.best_match if row.kind != "unknown" else row.consensus)
        planted = load("CTCF").consensus  # which is what each instance is
        recovered = motifs["truth/pos_0"]
        assert planted in recovered.consensus or planted in recovered.reverse_complement().consensus


def test_hypothetical_contributions_of_a_run_are_those_of_its_maps(folder) -> None:
    config = read_config(folder / "tiny.yaml")
    model = sp.load_model(folder / "out" / "cells" / "one" / "small" / "seed0" / "model")
    data = config.tasks[0].load()
    scene = Scene.of(model, data.data.kind, Candidates.of(data, 8, 3), 3)
    kinds = {one.name: one for one in config.variants}
    (maps,) = maps_of(scene, [kinds["gxi"]], hypothetical=True)
    np.testing.assert_allclose((scene.x.numpy() * maps.hypothetical).sum(1), maps.relevance, rtol=1e-5, atol=1e-6)
    assert maps_of(scene, [kinds["truth"]], hypothetical=True)[0].hypothetical is None


@pytest.mark.usefixtures("unchecked")
def test_where_a_model_s_motifs_were_not_kept_no_table_claims_that_none_were_found(folder, tmp_path) -> None:
    shutil.copytree(folder / "out", tmp_path / "out")
    out = tmp_path / "out"
    (out / "cells" / "one" / "small" / "seed1" / "patterns.json").unlink()
    events: list[object] = []
    run_cells(read_config(written(tmp_path, methods=METHODS, **RUN)), out, listener=events.append)
    assert not events, "a finished cell stays finished"
    assert not (out / "motifs_patterns.tsv").exists()
    assert not (out / "motifs_patterns").exists()
    assert (out / "motifs.tsv").read_bytes() == (folder / "out" / "motifs.tsv").read_bytes()


def test_methods_whose_names_make_one_word_keep_identifiers_of_their_own(tmp_path) -> None:
    methods = {"a b": {"method": "gradient-x-input"}, "a_b": {"method": "saliency"}, "c d": {"method": "random"}}
    config = read_config(
        written(tmp_path, methods=methods, default="a b", peers=["a_b"], matched_sparsity=None, tasks=RUN["tasks"])
    )
    words = pattern_tables._words(config)
    assert len(set(words.values())) == 3
    assert words["c d"] == "c_d"
    assert all(word.split() == [word] for word in words.values())


def test_means_are_those_over_models_and_the_report_shows_them_in_words(folder) -> None:
    out = folder / "out"
    means = pd.read_csv(out / "motifs_summary.tsv", sep="\t")
    means = means[(means["group"] == "report") & (means["task"] == "all") & (means["architecture"] == "all")]
    by_hand = table(out).groupby(["method", "measure"])["value"].agg(["mean", "min", "max", "count"])
    here = means.set_index(["method", "measure"])[["mean", "low", "high", "n"]].sort_index()
    np.testing.assert_allclose(here.to_numpy(), by_hand.sort_index().to_numpy(), rtol=1e-5)
    assert (means["models"] == 2).all()
    report = (out / "report.md").read_text()
    assert "### Which motifs would be discovered" in report
    section = report.split("### Which motifs would be discovered")[1].split("\n#")[0]
    scored = pd.read_csv(out / "models.tsv", sep="\t")["scored"]
    assert f"{scored.min()} to {scored.max()} a model, {scored.sum()} in all, of 2 models" in section
    assert "Settings: fdr 0.2, fewest 20, level 0.05." in section
    (random,) = (line for line in section.splitlines() if line.startswith("| random "))
    assert "undefined" in random
    assert "memelite" in report


@pytest.mark.usefixtures("unchecked")
def test_a_run_that_is_stopped_and_gets_a_method_later_ends_in_the_same_bytes(folder, tmp_path, monkeypatch) -> None:
    """Stopped while a map of the second model is measured; then to the end with a method more."""
    fewer = {name: METHODS[name] for name in ("gxi", "truth")}
    config = read_config(written(tmp_path, methods=fewer, **{**RUN, "peers": []}))
    out = _with_models_of(folder, tmp_path / "out")
    with pytest.raises(KeyboardInterrupt):
        run_cells(config, out, listener=_stop("seed 1", "gxi"))
    assert (out / "cells" / "one" / "small" / "seed0" / "cell.json").exists()
    doing: list[str] = []
    config = read_config(written(tmp_path, methods=METHODS, **RUN))
    run_cells(config, out, listener=lambda event: doing.append(f"{event.cell.seed} {event.doing}"))
    assert doing == ["0 random", "0 ", "1 gxi", "1 random", "1 "], "what was measured is not measured again"
    for path in (Path("motifs.tsv"), Path("motifs_patterns.tsv"), *_matrices(folder / "out")):
        assert (out / path).read_bytes() == (folder / "out" / path).read_bytes()


def _matrices(out: Path) -> list[Path]:
    found = [path.relative_to(out) for path in (out / "motifs_patterns").iterdir()]
    assert len(found) == 2
    return found


def _with_models_of(folder: Path, out: Path) -> Path:
    """Return a directory that holds the run's trained models, and nothing else."""
    for model in (folder / "out" / "cells").glob("*/*/*/model"):
        shutil.copytree(model, out / model.relative_to(folder / "out"))
    shutil.copy(folder / "out" / "benchmark.json", out)
    return out


def _stop(cell: str, doing: str):
    def listen(event) -> None:
        if cell in event.cell.name and event.doing == doing:
            raise KeyboardInterrupt

    return listen


@pytest.mark.usefixtures("unchecked")
def test_other_settings_are_another_description_and_without_them_no_table_stays(folder, tmp_path) -> None:
    shutil.copytree(folder / "out", tmp_path / "out")
    out = tmp_path / "out"
    stricter = {"localisation": None, "motifs": {"fdr": 0.05}}
    with pytest.raises(sp.SeqplrpError, match=r"model_protocols.motifs.fdr was 0.2 and is 0.05"):
        run_cells(read_config(written(tmp_path, methods=METHODS, **{**RUN, "protocols": stricter})), out)
    without = read_config(written(tmp_path, methods=METHODS, **{**RUN, "protocols": {"localisation": None}}))
    run_cells(without, out, again=True)
    assert not any((out / name).exists() for name in ("motifs.tsv", "motifs_patterns.tsv", "motifs_patterns"))
    report_run(without, out)
    assert "motifs would be discovered" not in (out / "report.md").read_text()


@pytest.mark.usefixtures("unchecked")
def test_parts_and_cells_of_before_there_were_protocols_of_models_are_still_finished(folder, tmp_path) -> None:
    """A long run must not have to begin anew because the program learned to measure more."""
    out = _with_models_of(folder, tmp_path / "out")
    config = read_config(written(tmp_path, methods=METHODS, **{**RUN, "protocols": {"localisation": None}}))
    run_cells(config, out)
    for path in out.rglob("cell.json"):
        manifest = json.loads(path.read_text())
        assert "model_protocols" not in manifest["recipe"]
        del manifest["of_model"]
        path.write_text(json.dumps(manifest))
    events: list[object] = []
    run_cells(config, out, listener=events.append)
    assert not events
