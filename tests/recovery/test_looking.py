"""What a picture of a record is made of, and how directories that are no explanations are refused."""

from __future__ import annotations

import numpy as np
import pytest
from written import record, truth_table, write_directory

from seqplrp import SeqplrpError
from seqplrp.plot import logo_values
from seqplrp.recovery import parse_region, read_explanations, sequence_panel

DNA = "ACGTNACGTA"
VALUES = np.array([1, -2, 3, -4, 0, 5, -6, 7, -8, 9], dtype=float)


def run_in(tmp_path, name="explained", dna=DNA, values=VALUES, records=None, **keywords):
    records = records or [record("other", dna[::-1]), record("s1", dna)]
    return read_explanations(write_directory(tmp_path / name, records, [values[::-1], values], **keywords))


def test_a_track_shows_the_relevance_of_the_letters_that_are_there(tmp_path) -> None:
    panel = sequence_panel([run_in(tmp_path)], "s1")
    values = logo_values(panel.tracks[0].frame)
    np.testing.assert_array_equal(values.sum(axis=0), VALUES)
    assert values[:, 2].tolist() == [0, 0, 3, 0]


def test_a_region_shows_those_positions_alone_under_their_own_numbers(tmp_path) -> None:
    panel = sequence_panel([run_in(tmp_path)], "s1", region=(2, 6))
    assert (panel.start, panel.end) == (2, 6)
    np.testing.assert_array_equal(logo_values(panel.tracks[0].frame).sum(axis=0), VALUES[2:6])


def test_the_hypothetical_view_shows_all_four_bases(tmp_path) -> None:
    panel = sequence_panel([run_in(tmp_path)], "s1", hypothetical=True)
    assert logo_values(panel.tracks[0].frame)[:, 0].tolist() == [1, 1, 1, 1]
    assert logo_values(panel.tracks[0].frame)[:, 1].tolist() == [1, -2, 1, 1]


def test_runs_are_stacked_under_what_was_asked_of_each(tmp_path) -> None:
    plrp = run_in(tmp_path, "a", p=["0.5"], center="composition", reverse_complement=True, budget=None)
    lrp = run_in(tmp_path, "b", method="lrp", rule=["gamma(0.25)"], center="none", reverse_complement=False)
    panel = sequence_panel([plrp, lrp], "s1")
    assert [t.title for t in panel.tracks] == [
        "plrp, p 0.5, center composition, reverse complement",
        "lrp, rule gamma(0.25)",
    ]
    assert [t.title for t in sequence_panel([plrp, lrp], "s1", titles=["x", "y"]).tracks] == ["x", "y"]


def test_the_title_names_the_record_its_place_and_its_score(tmp_path) -> None:
    assert sequence_panel([run_in(tmp_path)], "s1").title == "s1   on: 1"
    placed = [record("x", DNA), record("peak", DNA, "chr3", 500, "-")]
    on_genome = run_in(tmp_path, "b", records=placed, outputs=[0.0, -1.234567], classes=["", ""])
    assert sequence_panel([on_genome], "peak").title == "peak  chr3:500-510 (-)   target 0: -1.23"


def test_motifs_are_marked_in_the_letters_direction_and_told_apart_by_class(tmp_path) -> None:
    placed = [record("x", DNA), record("peak", DNA, "chr3", 500, "-")]
    run = run_in(tmp_path, records=placed)
    truth = truth_table(
        ("chr3", 502, 505, "+", "A", "on"), ("chr3", 508, 530, "-", "B", "off"), ("x", 0, 4, "+", "C", "on")
    )
    marks = sequence_panel([run], "peak", truth=truth).marks
    assert [(m.start, m.end, m.name, m.strand, m.supports) for m in marks] == [
        (0, 2, "B", "+", False),
        (5, 8, "A", "-", True),
    ]
    assert [m.supports for m in sequence_panel([run], "peak", truth=truth, explained_class="off").marks] == [
        True,
        False,
    ]


def test_a_record_without_motifs_and_a_run_without_summary_are_drawn_all_the_same(tmp_path) -> None:
    run = run_in(tmp_path, summary=False)
    truth = truth_table(("other", 0, 4, "+", "C", "on"), ("s1", 0, 4, "+", "C", "."))
    assert [m.supports for m in sequence_panel([run], "s1", truth=truth).marks] == [False]
    assert sequence_panel([run], "s1", truth=truth.iloc[:1]).marks == ()


def test_records_that_are_not_there_are_refused_with_their_nearest(tmp_path) -> None:
    with pytest.raises(SeqplrpError, match=r"record: 'S1' is not among the 2 records of .*; try s1"):
        sequence_panel([run_in(tmp_path)], "S1")


@pytest.mark.parametrize("region", [(0, 11), (5, 5), (6, 2)])
def test_regions_outside_the_record_are_refused(tmp_path, region) -> None:
    with pytest.raises(SeqplrpError, match="is not within the 10 bases of 's1'"):
        sequence_panel([run_in(tmp_path)], "s1", region=region)


def test_regions_are_read_and_anything_else_is_refused() -> None:
    assert parse_region("50-120") == (50, 120)
    for text in ("50", "a-b", "-5-10", "5:10", "", "5-", "½-3"):
        with pytest.raises(SeqplrpError, match="is no region"):
            parse_region(text)


def test_other_sequences_under_the_same_id_are_not_stacked(tmp_path) -> None:
    with pytest.raises(SeqplrpError, match="is another sequence than in"):
        sequence_panel([run_in(tmp_path, "a"), run_in(tmp_path, "b", dna="ACGTNACGTC")], "s1")


def test_hypothetical_contributions_that_a_run_lacks_are_not_made_up(tmp_path) -> None:
    with pytest.raises(SeqplrpError, match="holds no hypothetical contributions"):
        sequence_panel([run_in(tmp_path, hypothetical=False)], "s1", hypothetical=True)


def test_directories_that_are_no_explanations_are_refused(tmp_path) -> None:
    def told(path) -> str:
        with pytest.raises(SeqplrpError) as error:
            _ = read_explanations(path).outputs
        return str(error.value)

    good = write_directory(tmp_path / "e", [record("s", "ACGT")], [np.ones(4)])
    assert "there is no such directory" in told(tmp_path / "nothing")
    assert "manifest.json: there is no such file" in told(tmp_path)
    (good / "summary.tsv").write_text("id\ttarget\tclass\toutput\nt\t0\ton\t1\n")
    assert "summary.tsv: holds other records" in told(good)
    (good / "summary.tsv").write_text("id\nt\n")
    assert "summary.tsv: is no table" in told(good)
    (good / "summary.tsv").unlink()
    assert "summary.tsv: there is no such file; explain again with tsv among --formats" in told(good)
    (good / "regions.bed").write_text("s\t0\t5\ts\t0\t+\n")
    assert "regions.bed: holds other records" in told(good)
    (good / "regions.bed").unlink()
    assert "regions.bed: there is no such file" in told(good)
    (good / "relevance.npz").unlink()
    assert "relevance.npz: there is no such file; explain again with npz among --formats" in told(good)
    (good / "manifest.json").write_text("{}")
    assert "manifest.json: is no manifest" in told(good)
    (good / "manifest.json").write_text("{")
    assert "manifest.json: can't be read" in told(good)
