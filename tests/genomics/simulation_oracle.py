"""What a rule means, one sequence at a time and straight from the rule's text: what the fast code is held to."""

from __future__ import annotations

from typing import Any, NamedTuple


class Instance(NamedTuple):
    """One planted motif."""

    motif: str
    start: int
    end: int
    reverse: bool


def holds_for(plain: Any, instances: list[Instance], length: int) -> bool:
    """Whether a rule, as one writes it in YAML, holds for the instances of one sequence."""
    if isinstance(plain, str):
        return any(instance.motif == plain for instance in instances)
    if "count" in plain:
        return sum(instance.motif == plain["count"] for instance in instances) >= plain["at_least"]
    if "not" in plain:
        return not holds_for(plain["not"], instances, length)
    if "and" in plain:
        return all(holds_for(p, instances, length) for p in plain["and"])
    if "or" in plain:
        return any(holds_for(p, instances, length) for p in plain["or"])
    return any(
        _arranged(plain, a, b, length) for i, a in enumerate(instances) for j, b in enumerate(instances) if i != j
    )


def _arranged(plain: Any, a: Instance, b: Instance, length: int) -> bool:
    if (a.motif, b.motif) != tuple(plain["pair"]):
        return False
    low, high = _range(plain["spacing"])
    if a.reverse:  # turn the sequence round, so that downstream is to the right
        a, b = (i._replace(start=length - i.end, end=length - i.start, reverse=not i.reverse) for i in (a, b))
    strands = {"any": True, "same": not b.reverse, "opposite": b.reverse}
    return strands[plain.get("orientation", "any")] and low <= b.start - a.end <= high


def _range(plain: Any) -> tuple[int, int]:
    if isinstance(plain, list):
        return plain[0], plain[1]
    numbers = [int(part) for part in str(plain).split("-")]
    return numbers[0], numbers[-1]
