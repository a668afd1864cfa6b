"""What makes a sequence belong to a class: a rule over the motifs that were planted in it.

In YAML a rule is one of

======================================================  ==================================================
``GATA1``                                               at least one instance
``{count: GATA1, at_least: 2}``                         at least that many instances
``{pair: [A, B], spacing: 3-8}``                        some B lies 3 to 8 bases downstream of some A
``{pair: [A, B], spacing: 3-8, orientation: same}``     ... and on the same strand (or ``opposite``)
``{and: [rule, ...]}``, ``{or: [rule, ...]}``           all of them, any of them
``{not: rule}``                                         not that
``otherwise``                                           none of the other classes' rules (top level only)
======================================================  ==================================================

*Downstream* is read in A's own direction, so that a pair and its reverse complement mean the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from seqplrp.errors import SeqplrpError
from seqplrp.genomics.simulation.document import Node, Range, did_you_mean

Orientation = Literal["any", "same", "opposite"]
ORIENTATIONS: tuple[Orientation, ...] = ("any", "same", "opposite")
OTHERWISE = "otherwise"
_FORMS = ("and", "or", "not", "pair", "count")
_DEEPEST = 20


@dataclass(frozen=True)
class Count:
    """At least `at_least` instances of a motif."""

    motif: str
    at_least: int = 1


@dataclass(frozen=True)
class Pair:
    """Some `second` lies `spacing` bases downstream of some `first`, read in the direction of `first`."""

    first: str
    second: str
    spacing: Range
    orientation: Orientation = "any"


@dataclass(frozen=True)
class And:
    """All of the rules hold."""

    rules: tuple[Rule, ...]


@dataclass(frozen=True)
class Or:
    """Any of the rules holds."""

    rules: tuple[Rule, ...]


@dataclass(frozen=True)
class Not:
    """The rule does not hold."""

    rule: Rule


@dataclass(frozen=True)
class Otherwise:
    """No other class's rule holds."""


Rule = Count | Pair | And | Or | Not | Otherwise


def parse_rule(node: Node, motifs: Sequence[str], *, top: bool = True, depth: int = 0) -> Rule:
    """Read a rule; `motifs` are the names that it may use.

    Raises
    ------
    SeqplrpError
        With file, line and key, for an unknown motif or form.
    """
    if depth > _DEEPEST:
        raise node.error("is nested too deeply", "write a simpler rule")
    if not isinstance(node.value, dict):
        if top and node.value == OTHERWISE:
            return Otherwise()
        return Count(_motif(node, motifs))
    forms = [key for key in node.value if key in _FORMS]
    if len(forms) != 1:
        found = f"has {' and '.join(forms)}" if forms else "says neither of " + ", ".join(_FORMS)
        raise node.error(found, f"give one of {', '.join(_FORMS)}, or a motif's name")
    form = forms[0]
    if form == "count":
        entries = node.mapping(("count", "at_least"), required=("at_least",))
        return Count(_motif(entries["count"], motifs), entries["at_least"].integer(1))
    if form == "pair":
        return _parse_pair(node, motifs)
    inner = node.mapping((form,))[form]
    if form == "not":
        return Not(parse_rule(inner, motifs, top=False, depth=depth + 1))
    parts = inner.items("a list of rules")
    if not parts:
        raise inner.error("is an empty list", "give at least one rule")
    rules = tuple(parse_rule(part, motifs, top=False, depth=depth + 1) for part in parts)
    return And(rules) if form == "and" else Or(rules)


def _parse_pair(node: Node, motifs: Sequence[str]) -> Pair:
    entries = node.mapping(("pair", "spacing", "orientation"), required=("pair", "spacing"))
    first, second = parse_two_motifs(entries["pair"], motifs)
    return Pair(first, second, entries["spacing"].range(0), parse_orientation(entries.get("orientation")))


def parse_two_motifs(node: Node, motifs: Sequence[str]) -> tuple[str, str]:
    """Read ``[A, B]``."""
    parts = node.items("a list of two motifs")
    if len(parts) != 2:
        raise node.error(f"names {len(parts)} motifs", "give two, in their order")
    return _motif(parts[0], motifs), _motif(parts[1], motifs)


def parse_orientation(node: Node | None) -> Orientation:
    """Read an orientation; ``any`` if there is none."""
    return "any" if node is None else node.choice(ORIENTATIONS)


def _motif(node: Node, motifs: Sequence[str]) -> str:
    name = node.text()
    if name not in motifs:
        if name == OTHERWISE:
            raise node.error("'otherwise' stands inside a rule", "make it the whole rule of one class")
        raise unknown_motif(node, name, motifs)
    return name


def unknown_motif(node: Node, name: str, motifs: Sequence[str]) -> SeqplrpError:
    """Say that a name is not among the task's motifs."""
    return node.error(f"motif {name[:60]!r} is not among the task's motifs", did_you_mean(name, motifs))


def plain_rule(rule: Rule) -> Any:
    """Return what one would write for a rule in YAML."""
    match rule:
        case Otherwise():
            return OTHERWISE
        case Count(motif, 1):
            return motif
        case Count(motif, at_least):
            return {"count": motif, "at_least": at_least}
        case Pair(first, second, spacing, orientation):
            plain = {"pair": [first, second], "spacing": spacing.plain()}
            return plain if orientation == "any" else {**plain, "orientation": orientation}
        case Not(inner):
            return {"not": plain_rule(inner)}
        case And(rules):
            return {"and": [plain_rule(r) for r in rules]}
        case Or(rules):
            return {"or": [plain_rule(r) for r in rules]}


def atoms(rule: Rule) -> Iterator[Count | Pair]:
    """Walk over the counts and pairs that a rule is made of."""
    match rule:
        case Count() | Pair():
            yield rule
        case Not(inner):
            yield from atoms(inner)
        case And(rules) | Or(rules):
            for inner in rules:
                yield from atoms(inner)


def motifs_of(rules: Sequence[Rule]) -> set[str]:
    """Return the motifs that rules speak of."""
    found = set()
    for rule in rules:
        for atom in atoms(rule):
            found |= {atom.motif} if isinstance(atom, Count) else {atom.first, atom.second}
    return found
