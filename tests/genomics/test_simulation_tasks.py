"""Task files: what is left out is derived, what is wrong is told with its line, what is impossible is told at once."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import yaml

from seqplrp import SeqplrpError, motifs
from seqplrp.genomics.simulation import PRESETS, dump_task, load_task, parse_task, simulate
from seqplrp.genomics.simulation.document import Range
from seqplrp.genomics.simulation.task import Couple, Position, Single, UniformBackground

EXAMPLES = Path(__file__).parents[2] / "examples" / "tasks"

SMALL = """
kind: binary
length: 100
motifs: {A: {consensus: GATTACAA}, B: {consensus: CCGTGTTC}, P: {consensus: CACGTG}}
classes: {one: A}
"""


def changed(**keys: object) -> str:
    return yaml.safe_dump({**yaml.safe_load(SMALL), **keys})


def groups_of(text: str) -> dict[str, tuple]:
    return {g.name: (g.share, g.classes, *g.plants) for g in parse_task(text).groups}


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.name)
def test_the_examples_can_be_simulated(path):
    data = simulate(load_task(path), n=60)
    assert len(data) == 60
    assert set(data.truth["motif"]) <= set(data.task.number)


def test_the_annotated_example_says_every_key_and_what_it_says_holds():
    path = EXAMPLES / "annotated.yaml"
    task = load_task(path)
    assert set(yaml.safe_load(path.read_text())) == {*task.plain(), "position"}
    data = simulate(task, n=300)
    assert data.classes == ["tandem", "composite", "other"]
    assert (data.labels != data.clean_labels).any(axis=1).sum() == 6
    assert data.groups.tolist().count(0) == 100


def test_defaults_are_those_that_the_annotated_example_names():
    task = parse_task(SMALL)
    assert task.background == UniformBackground(0.5)
    assert (task.name, task.accidental, task.p_value, task.min_spacing) == ("task", "remove", 1e-4, 0)
    assert (task.gc_matched, task.label_noise, task.decoys, task.negative) == (False, 0.0, (), "negative")
    assert {(use.instances, use.strands) for use in task.motifs} == {("sample", "both")}
    assert (task.n, task.seed) == (None, None)
    data = simulate(task)
    assert (len(data), data.task.n, data.task.seed) == (10_000, 10_000, 0)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_reads_back_as_it_was_written(preset):
    task = load_task(preset)
    assert parse_task(dump_task(task)) == task


def test_a_presets_name_goes_before_a_file_and_a_path_reaches_the_file(tmp_path, monkeypatch):
    (tmp_path / "decoys").write_text(SMALL)
    monkeypatch.chdir(tmp_path)
    assert load_task("decoys").kind == "multiclass"
    assert load_task("./decoys").kind == "binary"


def test_an_and_is_contrasted_with_each_part_alone_and_nothing():
    derived = groups_of(changed(classes={"one": {"and": ["A", "B"]}}))
    one = Range(1, 1)
    assert derived == {
        "A+B": (Fraction(1, 2), ("one",), Single("A", one), Single("B", one)),
        "A": (Fraction(1, 6), (), Single("A", one)),
        "B": (Fraction(1, 6), (), Single("B", one)),
        "nothing": (Fraction(1, 6), ()),
    }


def test_a_count_is_contrasted_with_one_less():
    derived = groups_of(changed(classes={"one": {"count": "A", "at_least": 3}}))
    assert {name: entry[:2] for name, entry in derived.items()} == {
        "3xA": (Fraction(1, 2), ("one",)),
        "2xA": (Fraction(1, 4), ()),
        "nothing": (Fraction(1, 4), ()),
    }


def test_a_pair_is_contrasted_with_wrong_distance_order_and_strand():
    rule = {"pair": ["A", "B"], "spacing": "3-8", "orientation": "same"}
    derived = groups_of(changed(classes={"one": rule}))
    assert derived["A-B"][2] == Couple("A", "B", Range(3, 8), "same")
    assert derived["A-B-far"][2] == Couple("A", "B", Range(13, 23), "same")
    assert derived["A-B-swapped"][2] == Couple("B", "A", Range(3, 8), "same")
    assert derived["A-B-opposite"][2] == Couple("A", "B", Range(3, 8), "opposite")
    assert {"A", "B", "nothing"} <= set(derived)
    assert sum(share for share, *_ in derived.values()) == 1


def test_near_misses_that_the_sequence_or_the_strands_have_no_room_for_are_left_out():
    rule = {"pair": ["A", "B"], "spacing": "3-8", "orientation": "same"}
    forward = {n: {"consensus": w, "strands": "forward"} for n, w in (("A", "GATTACAA"), ("B", "CCGTGTTC"))}
    derived = groups_of(changed(classes={"one": rule}, length=30, motifs=forward))
    assert "A-B-swapped" in derived
    assert not {"A-B-far", "A-B-opposite"} & set(derived)


def test_multilabel_groups_are_every_combination_and_multiclass_ones_those_of_exactly_one_class():
    classes = {"one": "A", "two": "B"}
    several = groups_of(changed(kind="multilabel", classes=classes))
    assert {entry[1] for entry in several.values()} == {("one", "two"), ("one",), ("two",), ()}
    assert {entry[0] for entry in several.values()} == {Fraction(1, 4)}
    single = groups_of(changed(kind="multiclass", classes=classes))
    assert {entry[1] for entry in single.values()} == {("one",), ("two",)}


def test_positions_reach_derived_groups_decoys_and_plants_that_do_not_say_otherwise():
    centre = {"centre": 50, "sd": 10}
    task = parse_task(changed(position=centre, decoys={"B": 1, "P": {"count": 1, "position": "uniform"}}))
    assert task.groups[0].singles[0].position == Position(50.0, 10.0)
    assert [decoy.position for decoy in task.decoys] == [Position(50.0, 10.0), None]
    assert parse_task(dump_task(task)) == task


def test_motifs_come_from_the_library_a_file_letters_or_a_matrix(tmp_path):
    motifs.write_meme(tmp_path / "two.meme", [motifs.load("CTCF"), motifs.load("USF1")])
    motifs.write_meme(tmp_path / "one.meme", [motifs.load("CTCF")])
    text = """
kind: binary
length: 100
motifs:
  LIB: {load: MA0093}
  FILE: {file: one.meme}
  NAMED: {file: two.meme, name: USF1}
  WORD: {consensus: acgtRYn}
  COUNTS: {matrix: [[1, 2, 1, 0], [0, 0, 7, 0]], nsites: 4}
classes: {one: LIB}
"""
    (tmp_path / "task.yaml").write_text(text)
    found = {use.motif.name: use.motif for use in load_task(tmp_path / "task.yaml").motifs}
    assert list(found) == ["LIB", "FILE", "NAMED", "WORD", "COUNTS"]
    assert found["LIB"].accession == motifs.load("USF1").accession
    for name, source in (("LIB", "USF1"), ("FILE", "CTCF"), ("NAMED", "USF1")):
        assert np.abs(found[name].probabilities - motifs.load(source).probabilities).max() < 2e-6
    assert found["WORD"].probabilities[3:].tolist() == [
        [0, 0, 0, 1],
        [0.5, 0, 0.5, 0],
        [0, 0.5, 0, 0.5],
        [0.25, 0.25, 0.25, 0.25],
    ]
    assert found["COUNTS"].probabilities.tolist() == [[0.25, 0.5, 0.25, 0], [0, 0, 1, 0]]
    assert found["COUNTS"].nsites == 4


def test_the_written_task_does_not_need_the_motif_files_any_more(tmp_path):
    motifs.write_meme(tmp_path / "one.meme", [motifs.load("CTCF")])
    text = "kind: binary\nlength: 60\nmotifs: {M: {file: one.meme}}\nclasses: {one: M}\n"
    (tmp_path / "task.yaml").write_text(text)
    data = simulate(load_task(tmp_path / "task.yaml"), n=20)
    (tmp_path / "one.meme").unlink()
    assert (simulate(parse_task(dump_task(data.task))).sequences == data.sequences).all()


@pytest.mark.parametrize(
    ("text", "where", "said"),
    [
        ("", "t.yaml", "is empty"),
        ("kind: [", "t.yaml, line 1", "is no YAML"),
        ("kind: binary\nkind: binary", "t.yaml, line 2, kind", "the key is there twice"),
        ("kind: !!python/object:os.system x", "t.yaml, line 1", "tag"),
        ("a: &x [*x]", "t.yaml, line 1", "repeats itself without end"),
        ("kind: binary", "t.yaml, line 1", "key 'length' is missing"),
        ("- 1", "t.yaml, line 1", "is a list, not a mapping with the keys name, description"),
        (changed(lenght=5), "lenght", "key 'lenght' is not known; did you mean 'length'? allowed are name,"),
        (changed(kind="binry"), "kind", "did you mean 'binary'?"),
        (changed(length=0), "length", "is 0; give 1 or more"),
        (changed(length="long"), "length", "is 'long', not a whole number"),
        (changed(length=2.5), "length", "is 2.5, not a whole number"),
        (changed(gc_matched="sure"), "gc_matched", "not true or false"),
        (changed(label_noise=0.7), "label_noise", "give 0.5 or less"),
        (changed(label_noise="1e99999"), "label_noise", "not a number"),
        (changed(accidental="delete"), "accidental", "'delete' is not known; allowed are remove, flag, keep"),
        (changed(accidental={"action": "keep", "pvalue": 1}), "accidental.pvalue", "did you mean 'p_value'?"),
        (changed(motifs={}), "motifs", "names no motif"),
        (changed(motifs={"A": "CTFC"}), "motifs.A", "'CTFC' is not in the library; give one of CTCF"),
        (changed(motifs={"A b": "CTCF"}), "motifs.A b", "'A b' cannot be a name"),
        (changed(motifs={"A": {"file": "no.meme"}}), "motifs.A.file", "there is no file"),
        (changed(motifs={"A": {"instances": "strong"}}), "motifs.A", "has no matrix; give one of load"),
        (changed(motifs={"A": {"load": "CTCF", "consensus": "A"}}), "motifs.A", "has load and consensus"),
        (changed(motifs={"A": {"load": "CTCF", "nsites": 4}}), "motifs.A.nsites", "stands without matrix"),
        (changed(motifs={"A": {"consensus": "AXG"}}), "motifs.A.consensus", "'X' is no IUPAC letter"),
        (changed(motifs={"A": {"matrix": [[0.5, 0.2, 0.1, 0.1]]}}), "motifs.A.matrix[0]", "sums to 0.9"),
        (changed(motifs={"A": {"matrix": [[1, 0, 0]]}}), "motifs.A.matrix[0]", "has 3 numbers"),
        (changed(motifs={"A": {"consensus": "ACGT", "strands": "bth"}}), "strands", "did you mean 'both'?"),
        (changed(background={"gc": 1.4}), "background.gc", "give 0.99 or less"),
        (changed(background={"gc": 0.4, "order": 2}), "background.order", "has no meaning beside 'gc'"),
        (changed(background={"markov": "no.fa", "order": 2}), "background.markov", "there is no file"),
        (changed(background={}), "background", "has no kind of background"),
        (changed(classes={"one": "Z"}), "classes.one", "motif 'Z' is not among the task's motifs"),
        (changed(classes={"one": "A", "two": "B"}), "classes", "a binary task has 2 classes with a rule"),
        (changed(classes={"one": "otherwise"}), "classes", "a binary task has 0 classes with a rule"),
        (changed(classes={"none": "A"}), "classes.none", "cannot be a class's name"),
        (changed(kind="multiclass"), "classes", "fewer than two classes"),
        (changed(kind="multilabel", classes={"a": "A", "b": "otherwise"}), "classes", "has no 'otherwise'"),
        (changed(classes={"one": {"and": ["A", {"not": "A"}]}}), "classes", "no sequence can be of class one"),
        (changed(classes={"one": {"or": ["A", {"not": "A"}]}}), "classes", "every sequence is of the class"),
        (changed(kind="multiclass", classes={"a": "A", "b": {"and": ["A", "B"]}}), "classes", "without another class"),
        (changed(decoys={"A": 1}), "decoys.A", "the decoy 'A' is in a class's rule"),
        (changed(decoys={"Q": 1}), "decoys.Q", "motif 'Q' is not among"),
        (changed(position={"centre": 5}), "position", "key 'sd' is missing"),
        (changed(groups={}), "groups", "names no group"),
        (changed(groups={"g": {"share": "1/2"}}), "groups", "the shares sum to 0.5"),
        (changed(groups={"g": {"share": "1/2"}, "h": {}}), "groups.h", "key 'share' is missing"),
        (changed(groups={"g": {"class": "on"}}), "groups.g.class", "did you mean 'one'?"),
        (changed(groups={"g": {"class": ["one", "negative"]}}), "groups.g.class", "names 2 classes"),
        (changed(groups={"g": {"plant": {"A": "2-1"}}}), "groups.g.plant.A", "the range 2-1 is empty"),
        (changed(groups={"g": {"plant": {"A": -1}}}), "groups.g.plant.A", "is -1; give 0 or more"),
    ],
)
def test_a_wrong_task_is_told_with_its_place(text, where, said):
    with pytest.raises(SeqplrpError) as raised:
        parse_task(text, source="t.yaml")
    assert raised.value.where.startswith("t.yaml")
    assert where in raised.value.where
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_an_error_names_the_line_of_its_key():
    text = SMALL + "groups:\n  first:\n    share: 1\n    plnt: {A: 1}\n"
    with pytest.raises(SeqplrpError) as raised:
        parse_task(text, source="t.yaml")
    assert raised.value.where == "t.yaml, line 9, groups.first.plnt"


@pytest.mark.parametrize(
    ("text", "where", "said"),
    [
        (
            changed(groups={"g": {"class": "one", "plant": {"A": "1-9", "B": 4}}}),
            "groups.g",
            "9 x A (8 bp) + 4 x B (8 bp) may take 104 bp, the sequences have 100; plant fewer",
        ),
        (changed(length=12, decoys={"P": 1}), "classes", "may take 14 bp, the sequences have 12"),
        (
            changed(min_spacing=40, groups={"g": {"class": "one", "plant": {"A": 3}}}),
            "groups.g",
            "set length to 104 or more",
        ),
        (
            changed(groups={"g": {"class": "one", "plant": {"B": 1}}}),
            "groups.g",
            "what it plants does not make one: 64 of 64 sequences are still of class negative",
        ),
        (
            changed(kind="multiclass", classes={"a": "A", "b": "B"}, groups={"g": {"plant": {"A": 1, "B": 1}}}),
            "groups.g",
            "does not make exactly one class",
        ),
        (
            changed(length=16, position={"centre": 8, "sd": 0.1}, groups={"g": {"class": "one", "plant": {"A": 2}}}),
            "groups.g",
            "take 16 of 16 bp and find no room around their positions",
        ),
        (
            changed(
                motifs={
                    "A": {"consensus": "GATTACAA", "strands": "forward"},
                    "B": {"consensus": "CCGTGTTC", "strands": "forward"},
                },
                groups={"g": {"pairs": [{"pair": ["A", "B"], "spacing": 3, "orientation": "opposite"}]}},
            ),
            "groups.g",
            "A and B cannot lie on opposite strands",
        ),
        (
            changed(position={"centre": 150, "sd": 5}),
            "classes",
            "the position's centre 150 lies outside of the 100 bp",
        ),
        (
            changed(classes={"one": {"pair": ["P", "A"], "spacing": 3}}),
            "classes.one",
            "P reads alike on both strands",
        ),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_simulated(text, where, said):
    with pytest.raises(SeqplrpError) as raised:
        parse_task(text, source="t.yaml")
    assert where in raised.value.where
    assert said in str(raised.value)


def test_a_pair_may_begin_with_a_palindrome_where_its_direction_shows_otherwise():
    parse_task(changed(classes={"one": {"pair": ["P", "A"], "spacing": 3, "orientation": "same"}}))
    parse_task(changed(classes={"one": {"pair": ["A", "P"], "spacing": 3}}))


@pytest.mark.parametrize("name", ["decoy", "nowhere.yaml"])
def test_a_task_that_is_not_there_is_told_with_the_presets(name):
    with pytest.raises(
        SeqplrpError, match="the presets are single-motif, and-pair, spacing-grammar, decoys, tal1-gata"
    ):
        load_task(name)


def test_a_file_that_is_no_text_is_told(tmp_path):
    (tmp_path / "t.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SeqplrpError, match="is not UTF-8 text"):
        load_task(tmp_path / "t.yaml")
