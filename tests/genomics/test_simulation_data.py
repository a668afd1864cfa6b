"""Simulated data is what its task says: places, letters, labels, shares, and the same again from the same seed."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp
from simulation_oracle import Instance, holds_for

from seqplrp import SeqplrpError
from seqplrp.genomics import codes_to_strings
from seqplrp.genomics.motifs import scan
from seqplrp.genomics.simulation import (
    PRESETS,
    SimulatedData,
    dump_task,
    generate,
    load_task,
    parse_task,
    simulate,
)

COMPLEMENT = str.maketrans("ACGT", "TGCA")
# Words without a likeness to each other on either strand; the last is a matrix with forbidden letters.
MOTIFS: dict[str, Any] = {
    "A": {"consensus": "GATTACAA"},
    "B": {"consensus": "CCGTGTTC", "instances": "consensus"},
    "C": {"matrix": [[0.5, 0, 0.5, 0], [0, 1, 0, 0], [0.2, 0, 0, 0.8], [0, 0, 1, 0], [0, 0.5, 0.5, 0], [1, 0, 0, 0]]},
    "D": {"consensus": "TTAGGCC", "instances": "consensus"},
}


def instances_of(data: SimulatedData) -> list[list[Instance]]:
    found: list[list[Instance]] = [[] for _ in range(len(data))]
    for row in data.truth.itertuples():
        found[row.sequence].append(Instance(row.motif, row.start, row.end, row.strand == "-"))
    return found


def read_along(sequence: str, instance: Instance) -> str:
    word = sequence[instance.start : instance.end]
    return word.translate(COMPLEMENT)[::-1] if instance.reverse else word


def assert_no_accidents(data: SimulatedData) -> None:
    """Search for the best words of A, B and C, which no chance may have left outside of their instances."""
    words = {"A": "GATTACAA", "B": "CCGTGTTC", "C": "[AG]CTG[CG]A"}
    rules_ = str(yaml.safe_load(dump_task(data.task))["classes"])
    length = data.sequences.shape[1]
    for text, instances in zip(codes_to_strings(data.sequences), instances_of(data)):
        for motif, word in words.items():
            if f"'{motif}'" not in rules_:
                continue
            for strand in (text, text.translate(COMPLEMENT)[::-1]):
                for match in re.finditer(f"(?=({word}))", strand):
                    start, end = match.start(), match.start() + len(match[1])
                    if strand is not text:
                        start, end = length - end, length - start
                    shared = [min(i.end, end) - max(i.start, start) for i in instances if i.motif == motif]
                    assert max(shared, default=0) * 2 >= end - start


def labels_from_truth(data: SimulatedData) -> list[list[int]]:
    """Labels by the rules' text and what was planted, without the package's grammar."""
    classes = yaml.safe_load(dump_task(data.task))["classes"]
    length = data.sequences.shape[1]
    table = []
    for instances in instances_of(data):
        row = {name: holds_for(rule, instances, length) for name, rule in classes.items() if rule != "otherwise"}
        others = {name: not any(row.values()) for name, rule in classes.items() if rule == "otherwise"}
        table.append([int({**row, **others}[name]) for name in data.classes])
    return table


names = st.sampled_from(["A", "B", "C"])
spacings = st.tuples(st.integers(0, 4), st.integers(0, 6)).map(lambda t: f"{t[0]}-{t[0] + t[1]}")
counts = st.tuples(st.integers(0, 2), st.integers(0, 2)).map(lambda t: f"{t[0]}-{t[0] + t[1]}")
positions = st.just("uniform") | st.fixed_dictionaries({"centre": st.integers(20, 80), "sd": st.integers(5, 40)})
atoms = st.one_of(
    names,
    st.fixed_dictionaries({"count": names, "at_least": st.integers(1, 2)}),
    st.fixed_dictionaries(
        {"pair": st.lists(names, min_size=2, max_size=2), "spacing": spacings},
        optional={"orientation": st.sampled_from(["same", "opposite"])},
    ),
)
rules = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.fixed_dictionaries({"not": inner}),
        st.fixed_dictionaries({"and": st.lists(inner, min_size=1, max_size=2)}),
        st.fixed_dictionaries({"or": st.lists(inner, min_size=1, max_size=2)}),
    ),
    max_leaves=3,
)
plants = st.dictionaries(names, counts, max_size=2)


@st.composite
def tasks(draw) -> dict[str, Any]:
    kind = draw(st.sampled_from(["binary", "multiclass", "multilabel"]))
    classes = {"one": draw(rules)}
    if kind != "binary":
        classes["two"] = draw(rules)
    if kind == "multiclass" or (kind == "binary" and draw(st.booleans())):
        classes["rest"] = "otherwise"
    task: dict[str, Any] = {
        "kind": kind,
        "length": draw(st.integers(60, 120)),
        "motifs": {
            n: {**m, "strands": draw(st.sampled_from(["both", "forward", "reverse"]))} for n, m in MOTIFS.items()
        },
        "classes": classes,
        "decoys": draw(st.just({}) | st.just({"D": "0-2"})),
        "min_spacing": draw(st.integers(0, 4)),
        "position": draw(positions),
        "accidental": draw(st.sampled_from(["remove", "keep", "flag"])),
        "gc_matched": draw(st.booleans()),
        "n": draw(st.integers(1, 60)),
        "seed": draw(st.integers(0, 2**40)),
    }
    if draw(st.booleans()):
        groups = draw(st.lists(plants, min_size=1, max_size=3))
        task["groups"] = {f"g{i}": {"plant": plant} for i, plant in enumerate(groups)}
    return task


@given(tasks())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
def test_whatever_the_task_the_data_is_what_it_says(plain):
    try:
        task = parse_task(yaml.safe_dump(plain))
        data = simulate(task)
    except SeqplrpError:
        assume(False)  # impossible as described; which errors these are is tested by themselves
    sequences = codes_to_strings(data.sequences)
    for sequence, instances in zip(sequences, instances_of(data)):
        for instance in instances:
            word = read_along(sequence, instance)
            assert 0 <= instance.start < instance.end <= len(sequence)
            if instance.motif == "C":
                assert all(MOTIFS["C"]["matrix"][i]["ACGT".index(letter)] > 0 for i, letter in enumerate(word))
            else:
                assert word == MOTIFS[instance.motif]["consensus"]
            strands = plain["motifs"][instance.motif]["strands"]
            assert strands == "both" or instance.reverse == (strands == "reverse")
        for before, after in itertools.pairwise(instances):
            assert after.start >= before.end
            if "pair" not in str(plain["classes"]):  # pairs have a spacing of their own
                assert after.start - before.end >= plain["min_spacing"]
    if plain["accidental"] == "remove":
        assert_no_accidents(data)
    assert data.clean_labels.tolist() == labels_from_truth(data)
    if plain["kind"] == "multiclass":
        assert (data.clean_labels.sum(axis=1) == 1).all()
    for number, group in enumerate(task.groups):
        rows = data.groups == number
        assert abs(rows.sum() - float(group.share) * len(data)) < 1
        if group.classes is not None:
            assert {c for c, true in zip(data.classes, data.clean_labels[rows].all(axis=0)) if true} >= set(
                group.classes
            )
            assert (data.clean_labels[rows].sum(axis=1) == len(group.classes)).all()


@given(tasks())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
def test_the_written_task_makes_the_same_data(plain):
    try:
        data = simulate(parse_task(yaml.safe_dump(plain)))
    except SeqplrpError:
        assume(False)
    written = dump_task(data.task)
    task = parse_task(written)
    assert task == data.task
    again = simulate(task)
    assert dump_task(again.task) == written
    assert (again.sequences == data.sequences).all()
    assert (again.labels == data.labels).all()
    assert again.truth.equals(data.truth)
    assert again.accidental.equals(data.accidental)


def test_another_seed_makes_other_data():
    task = load_task("and-pair")
    assert (simulate(task, 20, 0).sequences != simulate(task, 20, 1).sequences).any(axis=1).all()


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_has_the_labels_of_its_rules_and_shares_as_configured(preset):
    data = simulate(load_task(preset), n=600, seed=3)
    assert data.clean_labels.tolist() == labels_from_truth(data)
    assert (data.labels == data.clean_labels).all()
    shares = [float(group.share) * 600 for group in data.task.groups]
    assert np.bincount(data.groups).tolist() == shares
    if data.kind == "binary":
        assert data.labels.sum() == 300


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_says_in_one_line_what_it_is_for(preset):
    description = load_task(preset).description
    assert 20 < len(description) < 130
    assert "\n" not in description


@pytest.mark.parametrize("preset", PRESETS)
def test_in_a_preset_a_scan_finds_what_was_planted_and_nothing_else(preset):
    data = simulate(load_task(preset), n=400, seed=5)
    task = data.task
    gc = getattr(task.background, "gc", 0.5)
    frequencies = [(1 - gc) / 2, gc / 2, gc / 2, (1 - gc) / 2]
    instances = instances_of(data)
    for motif in task.scanned:
        found = set()
        for hit in scan(data.sequences, motif, p_value=task.p_value, background=frequencies).itertuples():
            same = [
                i
                for i in instances[hit.sequence]
                if i.motif == motif.name and 2 * (min(i.end, hit.end) - max(i.start, hit.start)) >= motif.width
            ]
            assert same, f"{motif.name} matches sequence {hit.sequence} at {hit.start}, where it was not planted"
            found |= {(hit.sequence, i) for i in same}
        assert found == {(s, i) for s, each in enumerate(instances) for i in each if i.motif == motif.name}


def test_supports_names_the_classes_that_an_instance_makes_and_nothing_for_decoys_and_negatives():
    decoys = simulate(load_task("decoys"), n=90, seed=0)
    for row in decoys.truth.itertuples(index=False):
        supported = row[decoys.truth.columns.get_loc("class")]
        own = decoys.classes[int(decoys.labels[row.sequence].argmax())]
        assert supported == (own if row.motif == own else ".")
        assert row.supports == (row.motif == own)
    pairs = simulate(load_task("and-pair"), n=80, seed=0)
    positive = pairs.labels[pairs.truth["sequence"], 0] == 1
    assert (pairs.truth["supports"] == positive).all()
    assert (pairs.truth["class"] == np.where(positive, "both", ".")).all()
    both = simulate(load_task("tal1-gata"), n=80, seed=0)
    table = both.truth[both.labels[both.truth["sequence"], 0] == 1]
    assert (table["class"] == "both," + table["motif"]).all()


def test_presets_cannot_be_told_apart_by_counting_bases():
    for preset in ("single-motif", "and-pair", "spacing-grammar", "decoys"):
        data = simulate(load_task(preset), n=3000, seed=2)
        gc = np.isin(data.sequences, (1, 2)).sum(axis=1)
        for number in range(1, len(data.task.groups)):
            assert ks_2samp(gc[data.groups == 0], gc[data.groups == number]).pvalue > 0.99


def test_and_pair_cannot_be_told_by_one_motif_and_spacing_grammar_not_by_both():
    data = simulate(load_task("and-pair"), n=800, seed=0)
    number = data.truth.groupby(["sequence", "motif"]).size().unstack(fill_value=0)
    positive = data.labels[number.index, 0] == 1
    assert (number[positive] == 1).all(axis=None)
    assert set(map(tuple, number[~positive].to_numpy())) == {(1, 0), (2, 0), (0, 1), (0, 2)}
    assert 0.4 < (number[~positive].sum(axis=1) == 2).mean() < 0.6
    spaced = simulate(load_task("spacing-grammar"), n=60, seed=0)
    assert (spaced.truth.groupby(["sequence", "motif"]).size() == 1).all()
    assert len(spaced.truth) == 120


GC_TASK = """
kind: binary
length: 100
background: {gc: 0.4}
motifs: {RICH: {consensus: GGGCGGGGCCGCG, instances: consensus}}
classes: {rich: RICH}
gc_matched: %s
"""


def test_gc_matching_takes_away_a_difference_that_is_there_without_it():
    means = {}
    for matched in ("false", "true"):
        data = simulate(parse_task(GC_TASK % matched), n=4000, seed=1)
        gc = np.isin(data.sequences, (1, 2)).sum(axis=1)
        positive = data.labels[:, 0] == 1
        means[matched] = gc[positive].mean() - gc[~positive].mean()
        spread = gc[positive].std(), gc[~positive].std()
    assert means["false"] > 6  # 13 strong bases where 5.2 are expected
    assert abs(means["true"]) < 0.01
    assert abs(spread[0] - spread[1]) < 0.01


def test_gc_matching_touches_no_instance_and_brings_back_no_accident():
    task = parse_task(GC_TASK.replace("length: 100", "length: 60") % "true")
    data = simulate(task, n=500, seed=1)
    strings = codes_to_strings(data.sequences)
    found = Counter(s for s, each in enumerate(instances_of(data)) for i in each if read_along(strings[s], i))
    for row, text in enumerate(strings):
        turned = text.translate(COMPLEMENT)[::-1]
        assert text.count("GGGCGGGGCCGCG") + turned.count("GGGCGGGGCCGCG") == found[row]


def test_gc_that_cannot_be_matched_is_told():
    with pytest.raises(SeqplrpError, match=r"\d+ of 50 sequences have too little background to get the GC content"):
        simulate(parse_task(GC_TASK.replace("length: 100", "length: 14") % "true"), n=50, seed=0)


ACCIDENT_TASK = """
kind: binary
length: 300
motifs:
  BOX: {consensus: CACGGGA, instances: consensus}
  OTHER: {consensus: TTGACACG, instances: consensus}     # ends as BOX begins, so seams make BOX
classes: {box: {and: [BOX, {not: OTHER}]}}
groups:
  box: {share: 1/2, class: box, plant: {BOX: 1}}
  other: {share: 1/2, class: negative, plant: {OTHER: 3}}
accidental: %s
"""


def occurrences(text: str, word: str) -> int:
    return sum(text[i : i + len(word)] == word for i in range(len(text) - len(word) + 1))


@pytest.mark.parametrize("action", ["remove", "flag", "keep"])
def test_accidental_words_are_removed_or_flagged_or_left(action):
    data = simulate(parse_task(ACCIDENT_TASK % action), n=4000, seed=0)
    planted = Counter((i.motif, s) for s, each in enumerate(instances_of(data)) for i in each)
    surplus = {}
    for motif, word in (("BOX", "CACGGGA"), ("OTHER", "TTGACACG")):
        for s, text in enumerate(codes_to_strings(data.sequences)):
            seen = occurrences(text, word) + occurrences(text, word.translate(COMPLEMENT)[::-1])
            if seen != planted[motif, s]:
                surplus[motif, s] = seen - planted[motif, s]
    if action == "remove":
        assert not surplus
        assert data.accidental.empty
    else:
        # about 140 and 40 by chance, and 90 at the 6000 seams behind CACG
        assert 200 < sum(surplus.values()) < 350
    if action == "flag":
        assert Counter(zip(data.accidental["motif"], data.accidental["sequence"])) == surplus
    if action == "keep":
        assert data.accidental.empty


def test_accidental_hits_within_a_planted_motif_are_drawn_away_too():
    # every eighth instance of LOOSE holds the word of TIGHT, far from its edges
    text = """
kind: multilabel
length: 60
motifs:
  TIGHT: {consensus: GATTACA}
  LOOSE: {consensus: CCGATTRYRCC}
classes: {tight: TIGHT, loose: LOOSE}
accidental: {action: remove, p_value: 1e-4}
"""
    data = simulate(parse_task(text), n=800, seed=0)
    alone = (data.clean_labels == [0, 1]).all(axis=1)
    strings = codes_to_strings(data.sequences)
    assert alone.sum() == 200
    for row in np.flatnonzero(alone):
        assert "GATTACA" not in strings[row]
        assert "TGTAATC" not in strings[row]
    letters = Counter(
        read_along(strings[s], i)[6:9] for s, each in enumerate(instances_of(data)) for i in each if i.motif == "LOOSE"
    )
    assert len(letters) == 7


@pytest.mark.parametrize(("kind", "classes"), [("binary", 1), ("multiclass", 3), ("multilabel", 2)])
def test_label_noise_makes_exactly_its_share_wrong_and_leaves_the_truth(kind, classes):
    rules_ = dict(list({"a": "A", "b": "B", "c": "otherwise"}.items())[:classes])
    task = {"kind": kind, "length": 80, "motifs": MOTIFS, "classes": rules_, "accidental": "keep"}
    clean = simulate(parse_task(yaml.safe_dump(task)), n=500, seed=0)
    noisy = simulate(parse_task(yaml.safe_dump({**task, "label_noise": 0.1})), n=500, seed=0)
    assert (noisy.sequences == clean.sequences).all()
    assert (noisy.clean_labels == clean.labels).all()
    assert noisy.truth.equals(clean.truth)
    wrong = noisy.labels != noisy.clean_labels
    if kind == "multiclass":
        assert (noisy.labels.sum(axis=1) == 1).all()
        assert wrong.any(axis=1).sum() == 50
    else:
        assert wrong.sum(axis=0).tolist() == [50] * classes


def test_instances_follow_the_matrix_and_strong_ones_its_upper_tail():
    text = """
kind: binary
length: 40
motifs: {{M: {{load: USF1, instances: {}}}}}
classes: {{m: M}}
groups: {{all: {{class: m, plant: {{M: 1}}}}}}
accidental: keep
"""
    means = {}
    for way in ("sample", "strong", "consensus"):
        task = parse_task(text.format(way))
        data = simulate(task, n=6000, seed=0)
        words = [read_along(s, i[0]) for s, i in zip(codes_to_strings(data.sequences), instances_of(data))]
        observed = np.array([[w[k] for w in words] for k in range(10)])
        frequencies = np.stack([(observed == base).mean(axis=1) for base in "ACGT"], axis=1)
        motif = task.motifs[0].motif
        if way == "sample":
            assert np.abs(frequencies - motif.probabilities).max() < 0.03
        if way == "consensus":
            assert set(words) == {motif.consensus}
        hits = scan(data.sequences, motif, p_value=1e-4, background=[0.25] * 4)
        starts = {(h.sequence, h.start) for h in hits.itertuples()}
        means[way] = np.mean([(r.sequence, r.start) in starts for r in data.truth.itertuples()])
    assert means["strong"] == means["consensus"] == 1.0
    assert 0.6 < means["sample"] < 0.9


def test_sequences_of_later_blocks_are_right_too(monkeypatch):
    monkeypatch.setattr(generate, "BLOCK", 64)
    done: list[int] = []
    for text in (ACCIDENT_TASK % "flag", ACCIDENT_TASK % "remove\ngc_matched: true"):
        done.clear()
        data = simulate(parse_task(text), n=150, seed=0, progress=done.append)
        assert done == [64, 64, 22]
        strings = codes_to_strings(data.sequences)
        words = {"BOX": "CACGGGA", "OTHER": "TTGACACG"}
        for text_, instances in zip(strings, instances_of(data)):
            assert all(read_along(text_, i) == words[i.motif] for i in instances)
        assert data.clean_labels.tolist() == labels_from_truth(data)
        for hit in data.accidental.itertuples():
            found = read_along(strings[hit.sequence], Instance(hit.motif, hit.start, hit.end, hit.strand == "-"))
            assert found == words[hit.motif]
        gc = np.isin(data.sequences, (1, 2)).sum(axis=1)
        if data.task.gc_matched:
            assert abs(gc[data.groups == 0].mean() - gc[data.groups == 1].mean()) < 0.1


@pytest.mark.parametrize(
    ("n", "seed", "where"), [(0, 0, "n"), (2.5, 0, "n"), (10, -1, "seed"), (10, "x", "seed"), (10**12, 0, "n")]
)
def test_numbers_that_make_no_sense_are_errors(n, seed, where):
    with pytest.raises(SeqplrpError) as raised:
        simulate(load_task("decoys"), n=n, seed=seed)
    assert raised.value.where == where


def test_motifs_that_cannot_be_told_apart_are_refused_before_anything_is_made():
    text = """
kind: multilabel
length: 100
motifs: {GABPA: GABPA, ELF1: ELF1}
classes: {gabpa: GABPA, elf1: ELF1}
accidental: %s
"""
    with pytest.raises(SeqplrpError, match=r"of the instances of .* are matches of .* too") as raised:
        simulate(parse_task(text % "remove", source="similar.yaml"), n=10)
    assert raised.value.where == "similar.yaml, motifs"
    assert len(simulate(parse_task(text % "flag"), n=50).accidental) > 10


def test_a_motif_too_weak_to_be_strong_is_refused():
    text = """
kind: binary
length: 100
motifs: {WEAK: {matrix: [[4, 3, 3, 0], [3, 4, 3, 0], [3, 3, 4, 0], [0, 3, 3, 4], [4, 3, 3, 0], [3, 3, 0, 4],
  [4, 3, 3, 0], [3, 4, 0, 3]], instances: strong}}
classes: {weak: WEAK}
"""
    with pytest.raises(SeqplrpError, match=r"of its instances only .* match at a p-value of 0.0001"):
        simulate(parse_task(text), n=10)


def test_accidents_that_cannot_be_removed_are_told_instead_of_left():
    text = """
kind: binary
length: 200
motifs: {TINY: {consensus: A}}
classes: {tiny: TINY}
"""
    with pytest.raises(SeqplrpError, match="still hold matches of TINY that were not planted"):
        simulate(parse_task(text), n=5)
