"""What a run's default is held to: claims with their limits, named in the configuration and judged in its report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from seqplrp.benchmark.asked import asked_measures
from seqplrp.benchmark.entries import Entry
from seqplrp.benchmark.protocols import Options, Protocol, measures_of
from seqplrp.benchmark.variants import Variant, variant_named


@dataclass(frozen=True)
class CostShare:
    """A method may cost no more than a share of another one.

    Attributes
    ----------
    method, of : Variant
    at_most : float
    """

    method: Variant
    of: Variant
    at_most: float


@dataclass(frozen=True)
class Lead:
    """A method is to be ahead of another one by so much.

    Attributes
    ----------
    method, over : Variant
    measure : str
    by : float
        Towards what is better, in the measure's own unit.
    """

    method: Variant
    over: Variant
    measure: str
    by: float


@dataclass(frozen=True)
class Aims:
    """What must hold of a run's default on tasks that nothing was chosen on.

    Attributes
    ----------
    p : float
        What Holm-corrected p has to be below, over sequences and over models, for a lead to count.
    better_in : tuple of str
        Measures in which the default is to be better than each of its peers.
    matched_better_in : tuple of str
        Measures in which it is to be better than each method that was cut to its sparsity.
    not_below_best : mapping of str to float
        By measure, by what share of the best peer's mean the default may fall short of it.
    cost_shares : tuple of CostShare
    leads : tuple of Lead
    """

    p: float = 0.01
    better_in: tuple[str, ...] = ()
    matched_better_in: tuple[str, ...] = ()
    not_below_best: Mapping[str, float] | None = None
    cost_shares: tuple[CostShare, ...] = ()
    leads: tuple[Lead, ...] = ()


@dataclass(frozen=True)
class Stage:
    """What aims can speak of: the parts of a configuration that they name.

    Attributes
    ----------
    variants : sequence of Variant
    default : Variant
    peers : sequence of Variant
    cut_to : Variant or None
        What others are cut to.
    cut : sequence of Variant
        What is cut.
    known : mapping of str to Protocol
        The domain's.
    protocols : mapping of str to Options
    has_costs : bool
    reports : bool
        Whether there are report tasks.
    """

    variants: Sequence[Variant]
    default: Variant
    peers: Sequence[Variant]
    cut_to: Variant | None
    cut: Sequence[Variant]
    known: Mapping[str, Protocol]
    protocols: Mapping[str, Options]
    has_costs: bool
    reports: bool


_KEYS = ("p", "better_in", "matched_better_in", "not_below_best", "cost_shares", "leads")


def read_aims(entry: Entry, stage: Stage) -> Aims:
    """Read the key ``must_hold``.

    Raises
    ------
    SeqplrpError
        With file, line and key: for unknown keys, methods and measures, and for what this run could never judge.
    """
    given = entry.mapping(_KEYS)
    if not set(given) - {"p"}:
        raise entry.error("holds nothing to judge", f"add one of {', '.join(_KEYS[1:])}")
    if not stage.reports:
        raise entry.error("is judged on report tasks, and there are none", "leave it out, or set group: report")
    for key in ("better_in", "not_below_best"):
        if key in given and not stage.peers:
            raise given[key].error("speaks of peers, and there are none", "name some under peers")
    if "matched_better_in" in given and stage.cut_to != stage.default:
        raise given["matched_better_in"].error(
            "speaks of methods cut to the default's sparsity, and there are none", "add matched_sparsity: {to, methods}"
        )
    return Aims(
        p=_p(given["p"]) if "p" in given else 0.01,
        better_in=_measures(given.get("better_in"), stage, stage.peers),
        matched_better_in=_measures(given.get("matched_better_in"), stage, stage.cut, cut=True),
        not_below_best=_not_below(given.get("not_below_best"), stage),
        cost_shares=tuple(_cost_share(one, stage) for one in _listed(given.get("cost_shares"))),
        leads=tuple(_lead(one, stage) for one in _listed(given.get("leads"))),
    )


def _p(entry: Entry) -> float:
    p = entry.number(0, 1)
    if not 0 < p < 1:
        raise entry.error(f"is {p:g}", "write a number between 0 and 1, such as 0.01")
    return p


def _listed(entry: Entry | None) -> list[Entry]:
    if entry is None:
        return []
    if not isinstance(entry.value, list) or not entry.value:
        raise entry.error("is no list of claims", "write - {KEY: VALUE, ...}, one a line")
    return entry.items()


def _measures(entry: Entry | None, stage: Stage, others: Sequence[Variant], *, cut: bool = False) -> tuple[str, ...]:
    if entry is None:
        return ()
    if not entry.items():
        raise entry.error("is empty", "name at least one measure")
    found = [_measure(one, stage) for one in entry.items()]
    for one, name in zip(entry.items(), found, strict=True):
        if found.count(name) > 1:
            raise one.error(f"{name!r} is there twice", "leave one out")
        _asked(one, name, stage, [stage.default])
        _asked(one, name, stage, others, cut=cut)
    return tuple(found)


def _measure(entry: Entry, stage: Stage) -> str:
    """Read a measure that this run has and that has a better way."""
    known = measures_of(stage.known, stage.protocols)
    name = entry.choice(known)
    if known[name].better == "neither":
        raise entry.error(f"{name!r} describes a map without judging it", "name a measure that has a better way")
    return name


def _asked(entry: Entry, measure: str, stage: Stage, of: Sequence[Variant], *, cut: bool = False) -> None:
    for variant in of:
        if measure not in asked_measures(stage.known, stage.protocols, variant, cut=cut):
            which = f"{variant.name!r}, cut down" if cut else repr(variant.name)
            raise entry.error(
                f"{measure!r} is not measured of {which}", "name a measure that is, or add it to the protocol's methods"
            )


def _not_below(entry: Entry | None, stage: Stage) -> dict[str, float] | None:
    if entry is None:
        return None
    given = entry.mapping()
    if not given:
        raise entry.error("is empty", "write MEASURE: SHARE, such as abpc: 0.05")
    found = {}
    for key, one in given.items():
        name = _measure(Entry(key, one.file, one.line, one.path), stage)
        _asked(one, name, stage, [stage.default])
        if not any(name in asked_measures(stage.known, stage.protocols, peer) for peer in stage.peers):
            raise one.error(f"{name!r} is measured of no peer", "name a measure that is")
        found[name] = one.number(0, 1)
    return found


def _cost_share(entry: Entry, stage: Stage) -> CostShare:
    given = entry.mapping(("method", "of", "at_most"), ("method", "of", "at_most"))
    if not stage.has_costs:
        raise entry.error("speaks of costs, which this run does not measure", "leave it out, or leave out cost: false")
    method, of = (_other(given[key], stage) for key in ("method", "of"))
    if method == of:
        raise given["of"].error("is the method itself", "name another one")
    for key, one in (("method", method), ("of", of)):
        if one.method is None:
            raise given[key].error(f"{one.name!r} costs nothing: it is no method", "name another one")
    most = given["at_most"].number(0, float("inf"))
    if most == 0:
        raise given["at_most"].error("is 0", "write a share above 0, such as 0.02")
    return CostShare(method, of, most)


def _lead(entry: Entry, stage: Stage) -> Lead:
    given = entry.mapping(("method", "over", "measure", "by"), ("method", "over", "measure", "by"))
    method, over = (_other(given[key], stage) for key in ("method", "over"))
    if method == over:
        raise given["over"].error("is the method itself", "name another one")
    measure = _measure(given["measure"], stage)
    _asked(given["measure"], measure, stage, [method, over])
    return Lead(method, over, measure, given["by"].number(0, float("inf")))


def _other(entry: Entry, stage: Stage) -> Variant:
    return variant_named(stage.variants, entry)
