"""Scores of a whole run: the right bases get the right values, and what is left out says why."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score
from written import record, truth_table, write_directory

from seqplrp import SeqplrpError
from seqplrp.evaluate import MEASURES, gini, localisation
from seqplrp.genomics.motifs import Motif
from seqplrp.recovery import MEASURE_NAMES, read_explanations, read_labels, score_explanations

SURE, DULL = [0.97, 0.01, 0.01, 0.01], [0.25, 0.25, 0.25, 0.25]
MATRICES = {"M": Motif("M", np.array([SURE, DULL, SURE]))}


def run_of(tmp_path, lengths=(10, 14, 10), n_at=3, **keywords):
    """Records of different lengths, one N each, whose maps are noise; a motif of class "on" at 4-7 in each."""
    rng = np.random.default_rng(0)
    records, maps = [], []
    for i, length in enumerate(lengths):
        letters = rng.choice(list("ACGT"), length)
        letters[n_at] = "N"
        values = rng.normal(size=length).astype(np.float32)
        values[n_at] = 0
        records.append(record(f"s{i}", "".join(letters)))
        maps.append(values)
    truth = truth_table(*[(f"s{i}", 4, 7, "+", "M", "on") for i in range(len(lengths))])
    directory = write_directory(tmp_path / "explained", records, maps, **keywords)
    return read_explanations(directory), truth, maps


def test_records_of_different_lengths_get_the_values_they_get_alone(tmp_path) -> None:
    explanations, truth, maps = run_of(tmp_path)
    table = score_explanations(explanations, truth, matrices=MATRICES).table
    for i, values in enumerate(maps):
        at = np.arange(len(values))
        alone = localisation(values, np.isin(at, [4, 6]), ignore=np.isin(at, [3, 5]))
        for name, expected in alone.items():
            np.testing.assert_allclose(table[name][i], expected[0], rtol=1e-12, err_msg=name)
        keep = ~np.isin(at, [3, 5])
        assert table["auprc"][i] == pytest.approx(average_precision_score(np.isin(at, [4, 6])[keep], values[keep]))
        assert table["gini"][i] == pytest.approx(gini(values, ignore=at == 3)[0])
    assert table["truth_bases"].tolist() == [2, 2, 2]
    assert list(table.columns) == ["id", "class", "output", "status", "truth_bases", *MEASURES]


def test_each_sequence_that_is_left_out_says_why(tmp_path) -> None:
    explanations, truth, _ = run_of(
        tmp_path, lengths=(10,) * 5, outputs=[2.0, -1.0, 0.0, 1.0, 1.0], predicted=[0, 0, 0, 1, 0]
    )
    scores = score_explanations(explanations, truth.iloc[:4], matrices=MATRICES)
    assert scores.table["status"].tolist() == [
        "scored",
        "explained score not above 0",
        "explained score not above 0",
        "another class predicted",
        "no motif of the explained class",
    ]
    assert scores.left_out == {
        "explained score not above 0": 2,
        "another class predicted": 1,
        "no motif of the explained class": 1,
    }
    assert scores.table.loc[1:, list(MEASURE_NAMES)].isna().all(axis=None)


def test_labels_go_before_the_truth_in_saying_what_belongs_to_the_class(tmp_path) -> None:
    explanations, truth, _ = run_of(tmp_path)
    labels = pd.DataFrame({"on": [True, False, True]}, index=["s0", "s1", "s2"])
    scores = score_explanations(explanations, truth, matrices=MATRICES, labels=labels)
    assert scores.table["status"].tolist() == ["scored", "not of the explained class", "scored"]


def test_all_sequences_are_scored_on_request_and_localisation_without_truth_stays_undefined(tmp_path) -> None:
    explanations, truth, _ = run_of(tmp_path, outputs=[2.0, -1.0, 1.0])
    scores = score_explanations(explanations, truth.iloc[:2], matrices=MATRICES, every=True)
    assert (scores.table["status"] == "scored").all()
    assert scores.table["auprc"].notna().tolist() == [True, True, False]
    assert scores.table["gini"].notna().all()
    summary = scores.summary().set_index("measure")
    assert (summary.loc["auprc", "n"], summary.loc["auprc", "undefined"]) == (2, 1)
    assert summary.loc["gini", "n"] == 3


def test_the_summary_is_the_mean_of_the_table_and_its_interval_holds_it(tmp_path) -> None:
    explanations, truth, _ = run_of(tmp_path, lengths=(20,) * 40)
    scores = score_explanations(explanations, truth, matrices=MATRICES)
    summary = scores.summary().set_index("measure")
    assert list(summary.index) == list(MEASURES)
    for name in ("rma", "auprc", "gini"):
        assert summary.loc[name, "mean"] == pytest.approx(scores.table[name].mean())
        assert summary.loc[name, "low"] < summary.loc[name, "mean"] < summary.loc[name, "high"]
    pd.testing.assert_frame_equal(scores.summary(), scores.summary())


def test_the_tidy_form_holds_the_same_values_in_the_same_order_of_sequences(tmp_path) -> None:
    explanations, truth, _ = run_of(tmp_path, outputs=[1.0, -1.0, 1.0])
    scores = score_explanations(explanations, truth, matrices=MATRICES)
    tidy = scores.tidy()
    assert tidy["id"].drop_duplicates().tolist() == ["s0", "s2"]
    wide = tidy.pivot(index="id", columns="measure", values="value")[list(MEASURE_NAMES)]
    np.testing.assert_array_equal(wide, scores.scored[list(MEASURE_NAMES)].to_numpy())


def test_motifs_outside_the_explained_sequences_are_counted(tmp_path) -> None:
    explanations, truth, _ = run_of(tmp_path)
    more = pd.concat([truth, truth_table(("elsewhere", 0, 3, "+", "M", "on"))], ignore_index=True)
    assert score_explanations(explanations, more, matrices=MATRICES).outside == 1


def test_a_model_without_class_names_is_scored_for_the_only_class_or_the_one_named(tmp_path) -> None:
    explanations, truth, _ = run_of(tmp_path, classes=["", "", ""])
    one = score_explanations(explanations, truth, matrices=MATRICES)
    assert set(one.table["class"]) == {"on"}
    two = truth.assign(**{"class": ["on", "off", "on"]})
    with pytest.raises(SeqplrpError, match="the truth has the classes on, off; say by --class"):
        score_explanations(explanations, two, matrices=MATRICES)
    named = score_explanations(explanations, two, matrices=MATRICES, explained_class="off")
    assert named.table["status"].tolist()[1] == "scored"
    assert named.left_out == {"no motif of the explained class": 2}


@pytest.mark.parametrize(
    ("classes", "change", "keywords", "text"),
    [
        (["x"] * 3, {}, {}, "explains the class 'x', which no motif of truth supports (on)"),
        (["on"] * 3, {}, {"explained_class": "x"}, "class: 'x' is not in the truth; choose from on"),
        (["on"] * 3, {"class": "."}, {}, "truth: names no class in its eighth column"),
        (
            ["on"] * 3,
            {},
            {"labels": pd.DataFrame({"on": [True]}, index=["s0"])},
            "labels: 2 explained sequences have no label, the first is 's1'",
        ),
        (
            ["on"] * 3,
            {},
            {"labels": pd.DataFrame({"x": [True] * 3}, index=["s0", "s1", "s2"])},
            "labels: have no class 'on', but x",
        ),
    ],
)
def test_classes_that_do_not_fit_together_are_refused(tmp_path, classes, change, keywords, text: str) -> None:
    explanations, truth, _ = run_of(tmp_path, classes=classes)
    with pytest.raises(SeqplrpError) as error:
        score_explanations(explanations, truth.assign(**change), matrices=MATRICES, **keywords)
    assert text in str(error.value)


def test_a_class_without_motifs_is_left_out_as_long_as_another_has_them(tmp_path) -> None:
    explanations, truth, _ = run_of(tmp_path, classes=["on", "none", "on"])
    scores = score_explanations(explanations, truth, matrices=MATRICES)
    assert scores.table["status"].tolist() == ["scored", "no motif of the explained class", "scored"]


def test_two_thousand_sequences_of_600_bases_are_scored_in_seconds(tmp_path) -> None:
    rng = np.random.default_rng(1)
    letters = rng.choice(list("ACGT"), (2000, 600))
    records = [record(f"s{i}", "".join(row)) for i, row in enumerate(letters)]
    truth = truth_table(*[(r.id, 100, 103, "+", "M", "on") for r in records])
    explanations = read_explanations(write_directory(tmp_path / "e", records, rng.normal(size=(2000, 600))))
    start = time.perf_counter()
    scores = score_explanations(explanations, truth, matrices=MATRICES)
    # About 0.8 s alone on one core; the bound only rules out a loop over sequences on a busy machine.
    assert time.perf_counter() - start < 10
    assert len(scores.scored) == 2000


def write_labels(tmp_path, text: str):
    (tmp_path / "labels.tsv").write_text(text)
    return tmp_path / "labels.tsv"


def test_labels_are_read_from_columns_of_classes_and_from_a_column_of_names(tmp_path) -> None:
    columns = read_labels(write_labels(tmp_path, "id\tsplit\ta\tb\ns0\ttest\t1\t0\nNA\t\t0\t1\n"))
    assert columns.loc["s0"].tolist() == [True, False]
    assert columns.loc["NA"].tolist() == [False, True]
    names = read_labels(write_labels(tmp_path, "id\tclass\ns0\tx\ns1\ty\n"))
    assert list(names.columns) == ["x", "y"]
    assert names.loc["s1"].tolist() == [False, True]
    yes_no = read_labels(write_labels(tmp_path, "id\tclass\ns0\tpos\ns1\tneg\n"))
    assert yes_no["positive"].tolist() == [True, False]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("id\ta\ns0\t1\ns0\t0\n", "labels.tsv, line 3: the id 's0' is there twice"),
        ("id\ta\ns0\t1\ns1\tmaybe\n", "labels.tsv, line 3: column 'a' holds 'maybe'; write 0 or 1"),
        ("name\ta\ns0\t1\n", "labels.tsv, line 1: lacks a column id or a column of labels"),
        ("id\tsplit\ns0\ttest\n", "labels.tsv, line 1: lacks a column id or a column of labels"),
        ("", "labels.tsv: is empty"),
    ],
)
def test_labels_that_can_not_be_read_name_their_line(tmp_path, text: str, expected: str) -> None:
    with pytest.raises(SeqplrpError) as error:
        read_labels(write_labels(tmp_path, text))
    assert expected in str(error.value)
