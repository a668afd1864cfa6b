"""The methods of a run: each by the name that tables call it, with sweeps spelled out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import product
from typing import Any

from seqplrp.benchmark.entries import Entry, as_number
from seqplrp.methods import LRP, METHODS, PLRP, Method, Random, options_of, parse_rule, resolve_method, settled
from seqplrp.plugins import of

TRUTH = "truth"
"""The method that knows the answer: its map is the truth itself. The ceiling of every table."""

SWEPT = ("rule", "mode", "threshold", "p", "budget", "p_neg", "gain", "tau", "sparsity")
"""Fields that may be lists: each value is a method of its own."""


@dataclass(frozen=True)
class Offered:
    """What a domain offers to methods.

    Attributes
    ----------
    common : tuple of str
        Fields that may be set for all methods at once.
    references : mapping of str to callable or None
        What an input can be compared with, by name.
    own_references : str or None
        What a background is drawn from unless the file says.
    """

    common: tuple[str, ...] = ()
    references: Mapping[str, Any] = field(default_factory=dict)
    own_references: str | None = None


@dataclass(frozen=True)
class Variant:
    """A method under a name.

    Attributes
    ----------
    name : str
        As tables and pictures call it.
    family : str
        Its key in the file: variants of one sweep have it in common.
    method : Method or None
        None for the truth.
    swept : mapping of str to value
        The fields by which it differs from others of its family.
    """

    name: str
    family: str
    method: Method | None
    swept: Mapping[str, Any] = field(default_factory=dict)

    @property
    def recipe(self) -> str:
        """What one would type to make it, and the plug-ins that this takes, with their versions."""
        return TRUTH if self.method is None else _made_by(self.method)

    @property
    def settled(self) -> str:
        """What it resolves to: the recipe with what it falls back on written out, such as rules and a budget."""
        return TRUTH if self.method is None else _made_by(settled(self.method))

    @property
    def is_control(self) -> bool:
        """Whether it is the ceiling (the truth) or the floor (a random map), whatever tables call it."""
        return self.method is None or isinstance(self.method, Random)

    @property
    def is_pruned(self) -> bool:
        """Whether it is pruned LRP."""
        return isinstance(self.method, PLRP)


def _made_by(method: Method) -> str:
    """Say a method, and whose it is if it takes plug-ins: of another version it may be another method."""
    whose = dict.fromkeys(f"{plugin.distribution} {plugin.version}" for plugin in of(method))
    return repr(method) + (f" by {', '.join(whose)}" if whose else "")


def read_variants(entry: Entry, common: Entry | None, offered: Offered) -> tuple[Variant, ...]:
    """Read the methods of a configuration.

    Parameters
    ----------
    entry : Entry
        A mapping from names to ``{method: NAME, FIELD: VALUE, ...}``, where a field of `SWEPT` may be a list.
    common : Entry, optional
        Fields that every method has unless it sets them itself.
    offered : Offered

    Raises
    ------
    SeqplrpError
        With file, line and key.
    """
    shared = {} if common is None else common.mapping(offered.common)
    found = [variant for name, one in entry.mapping().items() for variant in _variants(name, one, shared, offered)]
    if not found:
        raise entry.error("names no method", "name at least one")
    seen: dict[str, Variant] = {}
    for variant in found:
        if variant.name in seen:
            raise entry.error(f"two methods are called {variant.name!r}", "rename one")
        seen[variant.name] = variant
    return tuple(found)


def shared_passes(variants: Sequence[Variant]) -> list[list[Variant]]:
    """Group methods that can be worked out from one forward pass; all others stand alone."""
    groups: dict[object, list[Variant]] = {}
    for number, variant in enumerate(variants):
        method = variant.method
        alike: object = number
        if type(method) in (LRP, PLRP):
            alike = tuple(repr(getattr(method, one.name)) for one in fields(LRP))
        groups.setdefault(alike, []).append(variant)
    return list(groups.values())


def _variants(name: str, entry: Entry, shared: Mapping[str, Entry], offered: Offered) -> Iterator[Variant]:
    given = entry.mapping(required=("method",))
    asked = given.pop("method")
    which = asked.choice(METHODS if asked.text() in METHODS else (*METHODS, TRUTH))
    if which == TRUTH:
        for surplus in given.values():
            raise surplus.error("the truth has no options", "leave it out")
        yield Variant(name, name, None)
        return
    options = {key: one for key, one in shared.items() if key not in given} | given
    lists = [key for key in SWEPT if key in options and isinstance(options[key].value, list)]
    for key in lists:
        if not options[key].value:
            raise options[key].error("is an empty list", "give at least one value")
    for values in product(*(options[key].items() for key in lists)):
        chosen = options | dict(zip(lists, values, strict=True))
        swept = {key: one.plain() for key, one in zip(lists, values, strict=True)}
        title = " ".join([name, *(f"{key}={_short(value)}" for key, value in swept.items())])
        yield Variant(title, name, _method(which, chosen, entry, offered), swept)


def _method(which: str, options: Mapping[str, Entry], entry: Entry, offered: Offered) -> Method:
    known = options_of(which)
    for key, one in options.items():
        if key not in known:
            raise one.error(f"is no field of {which}", f"its fields are {', '.join(known)}")
    fields_given = {key: _value(key, one, offered) for key, one in options.items()}
    if which == "background" and offered.own_references is not None:
        fields_given.setdefault("references", offered.references[offered.own_references])
    return entry.told(lambda: resolve_method(which, **fields_given))


def _value(key: str, entry: Entry, offered: Offered) -> Any:
    if isinstance(entry.value, dict) and "method" in entry.value:  # a method over another one
        nested = entry.mapping()
        which = nested.pop("method").choice(METHODS)
        return _method(which, nested, entry, offered)
    if key == "rule":
        if isinstance(entry.value, dict):
            return {pattern: one.told(lambda one=one: parse_rule(one.text())) for pattern, one in entry.value.items()}
        return entry.told(lambda: parse_rule(entry.text()))
    if key == "references":
        return offered.references[entry.choice(tuple(offered.references))]
    if key == "center" and entry.value == "none":
        return None
    if isinstance(entry.value, dict):
        return {pattern: _value("", one, offered) for pattern, one in entry.value.items()}
    if isinstance(entry.value, list):
        return tuple(_value("", one, offered) for one in entry.value)
    return as_number(entry.value)


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        return ",".join(f"{key}:{_short(one)}" for key, one in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)


def variant_named(variants: Sequence[Variant], entry: Entry) -> Variant:
    """Return the method of a name.

    Raises
    ------
    SeqplrpError
        If there is none, with the names that there are.
    """
    wanted = entry.text()
    for variant in variants:
        if variant.name == wanted:
            return variant
    among = [v.name for v in variants if v.family == wanted] or [v.name for v in variants]
    raise entry.error(f"{wanted!r} is no method of this run", f"use one of {', '.join(among)}")
