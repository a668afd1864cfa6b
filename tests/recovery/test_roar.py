"""ROAR: what is replaced and how, retraining, controls, going on after a stop."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch

import seqplrp as sp
from seqplrp.errors import SeqplrpError
from seqplrp.methods import settling
from seqplrp.models import TrainOptions, make_dataset
from seqplrp.recovery import RoarOptions, evidence_for_prediction, roar_summary, run_roar
from seqplrp.recovery.roar import kept, mask_alone, order_of, replaced_at, top_mask

WORD = np.array([3, 3, 2, 0, 1, 0, 2, 1], dtype=np.uint8)
FAST = {
    "architecture": "deepbind",
    "options": {"filters": 8, "kernel": 9, "hidden": 8},
    "training": TrainOptions(epochs=6, batch_size=32, patience=6, reverse_complement=False),
}


def easy_task(n=500, length=40, seed=0):
    """Half of the sequences hold a word; also where it stands."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, (n, length), dtype=np.uint8)
    truth = np.zeros((n, length), dtype=bool)
    for row in range(0, n, 2):
        at = rng.integers(0, length - len(WORD))
        codes[row, at : at + len(WORD)] = WORD
        truth[row, at : at + len(WORD)] = True
    labels = (np.arange(n) % 2 == 0).astype(np.float32)[:, None]
    return make_dataset(codes, labels, kind="binary", classes=["positive"], seed=seed, test_fraction=0.3), truth


@pytest.fixture(scope="module")
def study():
    """Truth, random order and a method on an easy task, with masks."""
    data, truth = easy_task()
    options = RoarOptions(percents=(10.0, 20.0), seeds=(0, 1), **FAST)
    importance = {"gradient": evidence_for_prediction("gradient-x-input")}
    return run_roar(data, importance, truth=truth, options=options)


def test_the_true_order_and_a_methods_hurt_more_than_random_order(study):
    mean = study[study["input"] == "sequence"].groupby(["method", "percent"])["auroc"].mean()
    assert mean["unchanged", 0.0] > 0.9
    assert mean["truth", 20.0] < 0.65  # all eight bases of the word are gone
    assert mean["random", 20.0] > mean["truth", 20.0] + 0.1
    summary = roar_summary(study).query("input == 'sequence'")
    area = summary.set_index("method")["area"]
    assert summary["area"].is_monotonic_increasing
    # truth and gradient differ by less than two seeds do: which of them is first depends on how torch rounds
    assert max(area["truth"], area["gradient"]) < area["random"] - 0.1
    assert abs(area["truth"] - area["gradient"]) < 0.1


def test_a_mask_that_hugs_the_motif_tells_the_class_by_itself(study):
    masks = study[study["input"] == "mask"]
    assert set(masks["method"]) == {"truth", "gradient"}  # a random mask knows nothing, so it is not trained
    at = masks[(masks["method"] == "truth") & (masks["percent"] == 20.0)]["auroc"]
    assert at.mean() > 0.9


def test_the_table_has_one_row_a_training_with_what_was_replaced(study):
    assert len(study) == 2 * (1 + 2 * (3 + 2))
    assert not study.duplicated(["method", "input", "percent", "seed"]).any()
    replaced = study.groupby("percent")["replaced"].unique()
    assert [list(values) for values in replaced] == [[0.0], [4.0], [8.0]]
    assert (study["n_test"] == 150).all()


def test_top_positions_are_those_of_the_highest_values_and_unknown_bases_are_passed_over():
    codes = np.array([[0, 1, 2, 3, 0, 4, 1, 2, 3, 0]], dtype=np.uint8)
    importance = np.array([[0, 5, 1, 9, 2, 99, 7, 3, 4, 6]], dtype=float)
    order = order_of(importance, np.random.default_rng(0))
    assert order[0].tolist() == [5, 3, 6, 9, 1, 8, 7, 4, 2, 0]
    for percent, expected in ((11, [3]), (33, [3, 6, 9]), (1, [3]), (50, [1, 3, 6, 9])):
        assert np.flatnonzero(top_mask(order, codes, percent)[0]).tolist() == expected  # of nine known bases


def test_equal_values_are_put_in_random_order():
    order = order_of(np.zeros((4000, 8)), np.random.default_rng(0))
    first = np.bincount(order[:, 0], minlength=8)
    assert np.abs(first - 500).max() < 100


def test_replaced_bases_do_not_depend_on_what_was_there_and_the_others_stay():
    rng = np.random.default_rng(0)
    codes = np.zeros((2000, 10), dtype=np.uint8)
    mask = np.zeros(codes.shape, dtype=bool)
    mask[:, :4] = True
    drawn = replaced_at(codes, mask, np.array([0.1, 0.2, 0.3, 0.4]), rng)
    assert (drawn[:, 4:] == 0).all()
    np.testing.assert_allclose(np.bincount(drawn[:, :4].ravel()) / 8000, [0.1, 0.2, 0.3, 0.4], atol=0.03)
    assert (codes == 0).all()


def test_a_mask_alone_is_one_letter_where_it_is_and_no_base_elsewhere():
    mask = np.array([[True, False, True]])
    x = sp.one_hot("ANA")
    from seqplrp.genomics import codes_to_one_hot

    assert torch.equal(codes_to_one_hot(mask_alone(mask)), x)


def test_evidence_is_for_the_predicted_class_not_for_the_label():
    class Signed(torch.nn.Module):
        n_outputs, config = 1, None

        def forward(self, x):
            return (x[:, 0] - 2 * x[:, 1]).sum(1, keepdim=True)

    codes = np.array([[0, 0, 0, 1], [1, 1, 0, 2]], dtype=np.uint8)  # scores 1 and -3
    found = evidence_for_prediction("gradient-x-input")(Signed(), codes)
    np.testing.assert_allclose(found, [[1, 1, 1, -2], [2, 2, -1, 0]])


def test_a_run_goes_on_where_it_was_stopped_and_gives_the_same_table(tmp_path):
    data, truth = easy_task(n=200)
    quick = {**FAST, "training": TrainOptions(epochs=1, batch_size=32, reverse_complement=False)}
    options = RoarOptions(percents=(20.0,), seeds=(0,), **quick)
    calls = []

    def importance(model, codes):
        calls.append(len(codes))
        return evidence_for_prediction("gradient-x-input")(model, codes)

    class Stop(Exception):
        pass

    def stop(done, total):
        assert total == 6
        if done == 4:
            raise Stop

    out = tmp_path / "study"
    with pytest.raises(Stop):
        run_roar(data, {"mine": importance}, truth=truth, options=options, out=out, progress=stop)
    parts = {path: path.stat().st_mtime_ns for path in (out / "parts").iterdir()}
    assert len(parts) == 4
    table = run_roar(data, {"mine": importance}, truth=truth, options=options, out=out)
    assert {path: path.stat().st_mtime_ns for path in parts} == parts
    again = run_roar(data, {"mine": importance}, truth=truth, options=options, out=out)
    pd.testing.assert_frame_equal(table, again)
    assert calls == [200]  # the maps were kept, too
    fresh = run_roar(data, {"mine": importance}, truth=truth, options=options)
    pd.testing.assert_frame_equal(table.drop(columns="seconds"), fresh.drop(columns="seconds"))
    assert not list(out.rglob(".partial-*"))


def test_parts_of_another_study_are_not_mixed_in(tmp_path):
    data, truth = easy_task(n=120)
    quick = {**FAST, "training": TrainOptions(epochs=1, batch_size=32)}
    options = RoarOptions(percents=(20.0,), seeds=(0,), mask_only=False, **quick)
    maps = {"m": np.random.default_rng(0).random(data.codes.shape)}
    run_roar(data, maps, options=options, out=tmp_path / "a")
    other, _ = easy_task(n=120, seed=1)
    for arguments, what in (
        ((other, maps, None, options), "a study with other data"),
        ((data, {"m": maps["m"] + 1}, None, options), "other maps called 'm'"),
        ((data, maps, truth, options), "a study with other truth"),
        ((data, maps, None, RoarOptions(seeds=(0,), **{**quick, "options": {"filters": 4}})), "other options"),
    ):
        with pytest.raises(SeqplrpError, match=what):
            run_roar(arguments[0], arguments[1], truth=arguments[2], options=arguments[3], out=tmp_path / "a")
    # one more method and one more share are no other study
    more = {"n": np.zeros(data.codes.shape), **maps}
    found = run_roar(
        data, more, options=RoarOptions(percents=(20.0, 40.0), seeds=(0,), mask_only=False, **quick), out=tmp_path / "a"
    )
    assert len(found) == 1 + 3 * 2
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "thesis.txt").write_text("mine")
    with pytest.raises(SeqplrpError, match="holds other files"):
        run_roar(data, maps, options=options, out=tmp_path / "b")
    part = next((tmp_path / "a" / "parts").glob("m-*-20-0.json"))
    for damaged in ("{", "[1]"):
        part.write_text(damaged)
        with pytest.raises(SeqplrpError, match="is damaged; remove this file"):
            run_roar(data, maps, options=options, out=tmp_path / "a")
    assert json.loads((tmp_path / "a" / "study.json").read_text())["architecture"] == "deepbind"


def brief_study(out, method, **changes):
    """One share, one seed, one epoch."""
    data, _ = easy_task(n=120)
    quick = {**FAST, "training": TrainOptions(epochs=1, batch_size=32, reverse_complement=False)}
    options = RoarOptions(percents=changes.get("percents", (20.0,)), seeds=(0,), mask_only=False, **quick)
    return run_roar(data, {"mine": method}, options=options, out=out)


def test_a_method_of_the_same_name_that_became_another_is_refused_with_what_changed(tmp_path, monkeypatch):
    brief_study(tmp_path, evidence_for_prediction("plrp"))
    study = json.loads((tmp_path / "study.json").read_text())
    assert "budget=0.5" in study["maps"]["mine"]
    assert "ConservingRelative" in study["maps"]["mine"]
    brief_study(tmp_path, evidence_for_prediction(sp.PLRP(), batch_size=50))
    with pytest.raises(SeqplrpError, match=r"other maps called 'mine': .*PLRP.* before, .*LRP.*Epsilon.* now"):
        brief_study(tmp_path, evidence_for_prediction("lrp"))
    monkeypatch.setattr(settling, "DEFAULT_BUDGET", 0.95)  # the same words, another default
    with pytest.raises(SeqplrpError, match=r"budget=0.5.* before, .*budget=0.95.* now"):
        brief_study(tmp_path, evidence_for_prediction("plrp"))


def test_a_function_of_ones_own_is_told_from_another_by_its_text(tmp_path):
    def mine(model, codes):
        return np.zeros(codes.shape)

    def changed(model, codes):
        return np.ones(codes.shape)

    brief_study(tmp_path, mine)
    brief_study(tmp_path, mine)
    changed.__qualname__ = mine.__qualname__
    with pytest.raises(SeqplrpError, match="other maps called 'mine'"):
        brief_study(tmp_path, changed)


def test_a_study_of_before_functions_were_described_goes_on_with_a_warning(tmp_path):
    before = brief_study(tmp_path, evidence_for_prediction("gradient-x-input"))
    path = tmp_path / "study.json"
    study = json.loads(path.read_text())
    study["maps"]["mine"] = "function"
    del study["source"], study["sources"]
    path.write_text(json.dumps(study))
    for part in (tmp_path / "parts").glob("*.json"):
        row = json.loads(part.read_text())
        del row["source"]
        part.write_text(json.dumps(row))
    with pytest.warns(UserWarning, match="was not recorded") as told:
        after = brief_study(tmp_path, evidence_for_prediction("gradient-x-input"))
    words = [str(one.message) for one in told]
    assert any("what made the maps of 'mine' was not recorded" in one for one in words)
    assert any("of 3 trainings" in one and "3 by unrecorded" in one for one in words)
    pd.testing.assert_frame_equal(before, after)
    kept = json.loads(path.read_text())
    assert kept["maps"]["mine"] == "function", "what was not recorded stays so"
    assert kept["sources"][0] == "unrecorded"


def test_parts_of_another_state_of_the_source_are_taken_and_counted(tmp_path, monkeypatch, recwarn):
    method = evidence_for_prediction("gradient-x-input")
    brief_study(tmp_path, method)
    before = kept.source_digest()
    brief_study(tmp_path, method)
    assert not [one for one in recwarn if "state of the package's source" in str(one.message)]
    monkeypatch.setattr(kept, "source_digest", lambda: "later0state0")
    with pytest.warns(UserWarning, match=f"of 5 trainings .*than the present one .later0state0.: 4 by {before}"):
        table = brief_study(tmp_path, method, percents=(20.0, 40.0))  # three parts and the maps were there
    assert "source" not in table.columns
    assert json.loads((tmp_path / "study.json").read_text())["sources"] == [before, "later0state0"]


@pytest.mark.parametrize(
    ("importance", "truth", "options", "message"),
    [
        ({"m": np.zeros((3, 4))}, None, {}, r"importance 'm': has shape \(3, 4\)"),
        ({"m": np.full((120, 40), np.nan)}, None, {}, "importance 'm': holds values that are not finite"),
        ({"random": np.zeros((120, 40))}, None, {}, "importance: a method is called 'random'"),
        ({}, np.zeros((120, 40)), {}, "truth: marks no position"),
        ({}, np.full((120, 40), 2), {}, r"truth: has shape \(120, 40\), or other values than 0 and 1"),
        ({}, None, {"percents": (0.0, 5.0)}, r"percents: is \(0.0, 5.0\)"),
        ({}, None, {"percents": (5.0, 2.0)}, "percents: is"),
        ({}, None, {"seeds": (1, 1)}, "seeds: is"),
        ({}, None, {"architecture": "resnet"}, "architecture: 'resnet' is not known"),
        ({}, None, {"options": {"pools": (4, 4, 64)}}, "architecture basset-small: its kernels and pools"),
    ],
)
def test_bad_requests_are_one_clear_error_before_any_training(importance, truth, options, message):
    data, _ = easy_task(n=120)
    with pytest.raises(SeqplrpError, match=message):
        run_roar(data, importance, truth=truth, options=RoarOptions(**options))


def test_areas_are_trapezoids_from_the_unchanged_model_on():
    table = pd.DataFrame(
        [
            ("unchanged", "sequence", 0.0, 0, 0.9),
            ("random", "sequence", 10.0, 0, 0.9),
            ("random", "sequence", 50.0, 0, 0.7),
            ("m", "sequence", 10.0, 0, 0.7),
            ("m", "sequence", 50.0, 0, 0.5),
            ("m", "mask", 10.0, 0, 0.5),
            ("m", "mask", 50.0, 0, 0.5),
        ],
        columns=["method", "input", "percent", "seed", "auroc"],
    )
    summary = roar_summary(table).set_index(["method", "input"])
    assert summary.loc[("m", "sequence"), "area"] == pytest.approx((10 * 0.8 + 40 * 0.6) / 50)
    assert summary.loc[("random", "sequence"), "area"] == pytest.approx((10 * 0.9 + 40 * 0.8) / 50)
    assert summary.loc[("m", "sequence"), "below_random"] == pytest.approx((10 * 0.1 + 40 * 0.2) / 50)
    assert summary.loc[("m", "mask"), "area"] == pytest.approx(0.5)
    assert np.isnan(summary.loc[("m", "mask"), "below_random"])
    early = roar_summary(table, up_to=10).set_index(["method", "input"])
    assert early.loc[("m", "sequence"), "area"] == pytest.approx(0.8)
    with pytest.raises(SeqplrpError, match="holds no share to replace"):
        roar_summary(table, up_to=5)
    with pytest.raises(SeqplrpError, match="no unchanged model of seed 0"):
        roar_summary(table.iloc[1:])


def test_a_second_study_on_the_same_directory_is_refused_and_a_damaged_map_is_told(tmp_path) -> None:
    study, cell = kept.Kept(tmp_path / "study"), kept.Cell("plrp", "sequence", 0, 1)
    with study.alone(), pytest.raises(SeqplrpError, match="another run is at work"), kept.Kept(study.folder).alone():
        pytest.fail("two runs at once")
    study.keep_map(cell, np.ones((2, 3), dtype=np.float32))
    assert np.array_equal(study.map_of(cell), np.ones((2, 3)))
    (path,) = (study.folder / "maps").glob("*.npy")
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(SeqplrpError, match="is damaged; remove this file"):
        study.map_of(cell)
