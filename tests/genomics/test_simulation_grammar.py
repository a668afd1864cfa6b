"""Rules mean what they say, on either strand, and name the instances that make them hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from simulation_oracle import Instance, holds_for

from seqplrp import SeqplrpError
from seqplrp.genomics.simulation.document import parse_document
from seqplrp.genomics.simulation.grammar import parse_rule, plain_rule
from seqplrp.genomics.simulation.planted import Planted, holds, label, support

MOTIFS = ("A", "B", "C")
NUMBER = {name: i for i, name in enumerate(MOTIFS)}
LENGTH = 60


def rule_of(plain: Any):
    return parse_rule(parse_document(yaml.safe_dump(plain), "rule"), MOTIFS)


def planted_of(sequences: list[list[Instance]]) -> Planted:
    most = max((len(s) for s in sequences), default=0)
    table = np.zeros((4, len(sequences), most), dtype=np.int32)
    table[0] = -1
    for row, instances in enumerate(sequences):
        for column, (motif, start, end, reverse) in enumerate(instances):
            table[:, row, column] = NUMBER[motif], start, end, reverse
    return Planted(table[0].astype(np.int16), table[1], table[2], table[3].astype(bool))


def oracle(plain: Any, instances: list[Instance]) -> bool:
    return holds_for(plain, instances, LENGTH)


names = st.sampled_from(MOTIFS)
spacings = st.tuples(st.integers(0, 10), st.integers(0, 15)).map(lambda t: [t[0], t[0] + t[1]])
atoms = st.one_of(
    names,
    st.fixed_dictionaries({"count": names, "at_least": st.integers(1, 3)}),
    st.fixed_dictionaries(
        {"pair": st.lists(names, min_size=2, max_size=2), "spacing": spacings},
        optional={"orientation": st.sampled_from(["any", "same", "opposite"])},
    ),
)
rules = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.fixed_dictionaries({"not": inner}),
        st.fixed_dictionaries({"and": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"or": st.lists(inner, min_size=1, max_size=3)}),
    ),
    max_leaves=5,
)


@st.composite
def instances(draw) -> list[Instance]:
    found, at = [], draw(st.integers(0, 5))
    for _ in range(draw(st.integers(0, 5))):
        width = draw(st.integers(2, 6))
        if at + width > LENGTH:
            break
        found.append(Instance(draw(names), at, at + width, draw(st.booleans())))
        at += width + draw(st.integers(0, 12))
    return found


@given(rules, st.lists(instances(), min_size=1, max_size=6))
@settings(max_examples=150, deadline=None)
def test_a_rule_holds_where_a_search_through_all_instances_says_so(plain, sequences):
    found = holds(rule_of(plain), planted_of(sequences), NUMBER)
    assert found.tolist() == [oracle(plain, each) for each in sequences]


@given(rules, instances())
@settings(max_examples=80, deadline=None)
def test_a_rule_holds_for_a_sequence_and_its_reverse_complement_alike(plain, sequence):
    turned = [Instance(m, LENGTH - end, LENGTH - start, not reverse) for m, start, end, reverse in reversed(sequence)]
    both = holds(rule_of(plain), planted_of([sequence, turned]), NUMBER)
    assert both[0] == both[1]


@given(rules)
@settings(max_examples=80, deadline=None)
def test_a_rule_written_as_yaml_reads_back_the_same(plain):
    rule = rule_of(plain)
    assert rule_of(plain_rule(rule)) == rule


def has_no_negation(plain: Any) -> bool:
    if isinstance(plain, str) or "count" in plain or "pair" in plain:
        return True
    return "not" not in plain and all(map(has_no_negation, plain.get("and") or plain["or"]))


@given(rules.filter(has_no_negation), instances())
@settings(max_examples=80, deadline=None)
def test_the_supporting_instances_alone_make_a_rule_hold_and_others_cannot_be_among_them(plain, sequence):
    planted = planted_of([sequence])
    rule = rule_of(plain)
    marked = support(rule, planted, NUMBER)[0]
    supporting = [instance for instance, mark in zip(sequence, marked) if mark]
    if oracle(plain, sequence):
        assert oracle(plain, supporting)
    else:
        assert not supporting


def test_an_instance_outside_the_arrangement_does_not_support_a_pair():
    rule = rule_of({"pair": ["A", "B"], "spacing": [2, 4]})
    sequence = [Instance("A", 0, 5, False), Instance("B", 8, 13, False), Instance("A", 30, 35, False)]
    assert support(rule, planted_of([sequence]), NUMBER).tolist() == [[True, True, False]]


def test_what_is_asked_to_be_absent_supports_nothing_and_a_double_negation_supports_again():
    sequence = [Instance("A", 0, 5, False), Instance("B", 8, 13, False)]
    absent = rule_of({"and": ["A", {"not": "C"}]})
    assert support(absent, planted_of([sequence]), NUMBER).tolist() == [[True, False]]
    double = rule_of({"not": {"and": [{"not": "A"}, {"not": "B"}]}})
    assert support(double, planted_of([sequence]), NUMBER).tolist() == [[True, True]]


def test_only_the_branches_of_an_or_that_hold_are_supported():
    rule = rule_of({"or": [{"and": ["A", "C"]}, "B"]})
    sequence = [Instance("A", 0, 5, False), Instance("B", 8, 13, False)]
    assert support(rule, planted_of([sequence]), NUMBER).tolist() == [[False, True]]


def test_otherwise_is_what_no_other_rule_holds_for():
    rules_ = [rule_of("A"), rule_of("otherwise"), rule_of("B")]
    sequences = [[], *([Instance(motif, 0, 5, False)] for motif in "ABC")]
    found = label(rules_, planted_of(sequences), NUMBER)
    assert found.tolist() == [[False, True, False], [True, False, False], [False, False, True], [False, True, False]]


@pytest.mark.parametrize(
    ("text", "where", "said"),
    [
        ("D", "rule, line 1", "motif 'D' is not among the task's motifs; allowed are A, B, C"),
        ("{and: [A, {nor: B}]}", "and[1]", "says neither of and, or, not, pair, count"),
        ("{and: []}", "and", "is an empty list"),
        ("{and: A}", "and", "is 'A', not a list of rules"),
        ("{count: A}", "line 1", "key 'at_least' is missing"),
        ("{count: A, at_least: 0}", "at_least", "give 1 or more"),
        ("{pair: [A], spacing: 1}", "pair", "names 1 motifs"),
        ("{pair: [A, B]}", "line 1", "key 'spacing' is missing"),
        ("{pair: [A, B], spacing: 5-2}", "spacing", "the range 5-2 is empty"),
        ("{pair: [A, B], spacing: x}", "spacing", "not a whole number or a range such as 1-3"),
        ("{pair: [A, B], spacing: 2, orientation: sam}", "orientation", "did you mean 'same'?"),
        ("{pair: [A, B], spacing: 2, strand: same}", "strand", "key 'strand' is not known"),
        ("{or: [A, otherwise]}", "or[1]", "'otherwise' stands inside a rule"),
        ("{not: A, or: [B]}", "line 1", "has not and or"),
        ("3", "line 1", "is 3, not text"),
    ],
)
def test_a_wrong_rule_is_told_with_its_place(text, where, said):
    with pytest.raises(SeqplrpError) as raised:
        parse_rule(parse_document(text, "rule"), MOTIFS)
    assert where in raised.value.where
    assert said in str(raised.value)
