"""Groups of sequences for a task that gives rules only: every combination that the rules tell apart.

For ``{and: [A, B]}`` these are both, A alone, B alone and neither, so that no shortcut tells the classes apart; for a
pair its negatives hold both motifs in a wrong order, too far apart, or on wrong strands.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import product

from seqplrp.errors import SeqplrpError
from seqplrp.genomics.simulation.document import Node, Range
from seqplrp.genomics.simulation.grammar import And, Count, Not, Or, Orientation, Otherwise, Pair, Rule, atoms
from seqplrp.genomics.simulation.planting import strand_choices
from seqplrp.genomics.simulation.task import Couple, Group, Position, Single, Task

_MOST_STATES = 4096
_MOST_GROUPS = 64
_FAR = 5  # bases beyond a pair's widest spacing that "too far apart" begins at


@dataclass(frozen=True)
class _State:
    """Numbers of motifs, and of each pair with both its motifs present whether it stands (None: not present)."""

    counts: Mapping[str, int]
    pairs: Mapping[Pair, bool | None]


def derive_groups(node: Node, task: Task, position: Position | None) -> tuple[Group, ...]:
    """Make groups from rules, with equal shares for the classes and for the combinations within each.

    Parameters
    ----------
    node : Node
        Where the classes are described.
    task : Task
        Still without groups.
    position : Position, optional
        Where the motifs lie.

    Raises
    ------
    SeqplrpError
        If the rules tell too many combinations apart, or a class cannot be by itself.
    """
    rules, kind = task.rules, task.kind
    states: dict[tuple[bool, ...], list[_State]] = {}
    for state in _states(node, list(rules.values())):
        labels = _labels(list(rules.values()), state)
        if kind != "multiclass" or sum(labels) == 1:
            states.setdefault(labels, []).append(state)
    for column, name in enumerate(rules):
        if not any(labels[column] for labels in states):
            alone = " without another class" if kind == "multiclass" else ""
            raise node.error(f"no sequence can be of class {name}{alone}", "change its rule, or write 'groups'")
    if kind == "binary" and (False,) not in states:
        raise node.error("every sequence is of the class", "change its rule, or write 'groups'")
    groups: list[Group] = []
    for labels in sorted(states, reverse=True):
        classes = tuple(c for c, true in zip(rules, labels) if true)
        for state in states[labels]:
            variants = list(_plants(task, state, position))
            share = Fraction(1, len(states) * len(states[labels]) * len(variants))
            groups += [Group(name, share, singles, couples, classes) for name, singles, couples in variants]
    if len(groups) > _MOST_GROUPS:
        raise _too_many(node, f"{len(groups)} groups")
    return _with_unique_names(groups)


def _states(node: Node, rules: list[Rule]) -> Iterator[_State]:
    found = list(dict.fromkeys(atom for rule in rules for atom in atoms(rule)))
    if len(found) > _MOST_STATES:
        raise _too_many(node, f"{len(found)} conditions")
    pairs = [atom for atom in found if isinstance(atom, Pair)]
    choices: dict[str, set[int]] = {}
    in_pairs = [name for pair in pairs for name in (pair.first, pair.second)]
    for name in in_pairs:  # one instance, and one for each pair
        choices.setdefault(name, {0}).update((1, in_pairs.count(name)))
    for atom in found:
        if isinstance(atom, Count):
            choices.setdefault(atom.motif, {0}).update((atom.at_least - 1, atom.at_least))
    number = math.prod(len(options) for options in choices.values()) * 2 ** len(pairs)
    if number > _MOST_STATES:
        shown = str(number) if number < 10**9 else f"about 10^{int(math.log10(number))}"
        raise _too_many(node, f"{shown} combinations")
    for counts in product(*(sorted(options) for options in choices.values())):
        numbers = dict(zip(choices, counts))
        present = [p for p in pairs if _has_both(p, numbers)]
        for standing in product((True, False), repeat=len(present)):
            stands = dict(zip(present, standing))
            if _enough([p for p in present if stands[p]], numbers):
                yield _State(numbers, {p: stands.get(p) for p in pairs})


def _has_both(pair: Pair, counts: Mapping[str, int]) -> bool:
    if pair.first == pair.second:
        return counts[pair.first] >= 2
    return counts[pair.first] > 0 and counts[pair.second] > 0


def _enough(pairs: list[Pair], counts: Mapping[str, int]) -> bool:
    """Say whether there are instances enough for each of the pairs to have its own."""
    left = dict(counts)
    for pair in pairs:
        left[pair.first] -= 1
        left[pair.second] -= 1
    return min(left.values(), default=0) >= 0


def _labels(rules: list[Rule], state: _State) -> tuple[bool, ...]:
    others = [not isinstance(rule, Otherwise) and _true(rule, state) for rule in rules]
    return tuple(not any(others) if isinstance(rule, Otherwise) else true for rule, true in zip(rules, others))


def _true(rule: Rule, state: _State) -> bool:
    match rule:
        case Count(motif, at_least):
            return state.counts[motif] >= at_least
        case Pair():
            return bool(state.pairs[rule])
        case Not(inner):
            return not _true(inner, state)
        case And(rules):
            return all(_true(r, state) for r in rules)
        case Or(rules):
            return any(_true(r, state) for r in rules)
        case Otherwise():
            raise ValueError("'otherwise' stands at the top only")


def _plants(
    task: Task, state: _State, position: Position | None
) -> Iterator[tuple[str, tuple[Single, ...], tuple[Couple, ...]]]:
    """Yield the ways to plant a combination, each with a name: one way for each way to break a pair."""
    left = dict(state.counts)
    singles: list[Single] = []
    couples: list[Couple] = []
    words = []
    broken: list[list[tuple[str, Couple]]] = []
    for pair, stands in state.pairs.items():
        if stands:
            couples.append(Couple(pair.first, pair.second, pair.spacing, pair.orientation, position=position))
            words.append(f"{pair.first}-{pair.second}")
            left[pair.first] -= 1
            left[pair.second] -= 1
    for pair, stands in state.pairs.items():
        misses = [m for m in _near_misses(pair, position) if _possible(task, m[1])]
        if stands is False and _has_both(pair, left) and misses:
            broken.append(misses)
            left[pair.first] -= 1
            left[pair.second] -= 1
    for motif, count in left.items():
        if count:
            singles.append(Single(motif, Range(count, count), position))
            words.append(motif if count == 1 else f"{count}x{motif}")
    for chosen in product(*broken):
        names = [name for name, _ in chosen] + words
        yield "+".join(names) or "nothing", tuple(singles), (*couples, *(couple for _, couple in chosen))


def _possible(task: Task, couple: Couple) -> bool:
    widths = sum(task.use(name).motif.width for name in (couple.first, couple.second))
    return bool(strand_choices(task, couple)) and widths + couple.spacing.high <= task.length


def _near_misses(pair: Pair, position: Position | None) -> Iterator[tuple[str, Couple]]:
    low, high = pair.spacing.low, pair.spacing.high
    name = f"{pair.first}-{pair.second}"
    far = Range(high + _FAR, high + _FAR + max(high - low, 2 * _FAR))
    yield f"{name}-far", Couple(pair.first, pair.second, far, pair.orientation, position=position)
    if pair.first != pair.second:
        # on the same strand, so that the second lies upstream of the first whichever way one reads
        yield f"{name}-swapped", Couple(pair.second, pair.first, pair.spacing, "same", position=position)
    if pair.orientation != "any":
        other: Orientation = "opposite" if pair.orientation == "same" else "same"
        yield f"{name}-{other}", Couple(pair.first, pair.second, pair.spacing, other, position=position)


def _with_unique_names(groups: list[Group]) -> tuple[Group, ...]:
    seen: dict[str, int] = {}
    named = []
    for group in groups:
        seen[group.name] = seen.get(group.name, 0) + 1
        again = f"{group.name}-{seen[group.name]}" if seen[group.name] > 1 else group.name
        named.append(replace(group, name=again))
    return tuple(named)


def _too_many(node: Node, what: str) -> SeqplrpError:
    return node.error(f"the rules tell {what} apart", "write 'groups' that say what to plant")
