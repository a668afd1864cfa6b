"""Methods, rules, handlers and formats of other packages: found by entry points, imported when first asked for.

A package offers them in its ``pyproject.toml`` (docs/plugins.md). Nothing is looked up before a name is asked for that
is none of ours, and nothing is imported of a plug-in whose names nobody asks for.
"""

from __future__ import annotations

import difflib
import re
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from importlib.metadata import Distribution, distributions
from typing import Any, Literal, TypeVar
from zipfile import BadZipFile

from seqplrp.errors import SeqplrpError, first_line, whole_message

T = TypeVar("T")
Kind = Literal["method", "rule", "handler", "format"]

GROUPS: dict[Kind, str] = {
    "method": "seqplrp.methods",
    "rule": "seqplrp.rules",
    "handler": "seqplrp.handlers",
    "format": "seqplrp.formats",
}
"""The groups of entry points, by what their objects are."""

# as commands and YAML files read them, whatever the case they are typed in
_NAMES = re.compile(r"[a-z0-9][a-z0-9_+-]*")
_OPERATIONS = re.compile(r"\w+\.\w+\.\w+")  # as torch writes an overload: aten.relu.default


@dataclass(frozen=True, order=True)
class Plugin:
    """One object that a distribution offers.

    Attributes
    ----------
    kind : {"method", "rule", "handler", "format"}
    name : str
        What users type; of a handler, the operation as torch writes it (``aten.relu.default``).
    distribution, version : str
        Who offers it.
    place : str
        Where the object is: ``module:name``.
    """

    kind: Kind
    name: str
    distribution: str
    version: str
    place: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name!r} of the plug-in {self.distribution} {self.version}"

    def error(self, what: str, remedy: str = "") -> SeqplrpError:
        """Return the error that says what is wrong with it."""
        mend = remedy or f"repair it, or remove it: pip uninstall {self.distribution}"
        return SeqplrpError(self.kind, f"{self.name!r} of the plug-in {self.distribution} {self.version} {what}", mend)

    def told(self) -> dict[str, str]:
        """Return what manifests say of it."""
        return {name: str(getattr(self, name)) for name in ("kind", "name", "distribution", "version")}

    @property
    def has_name_to_type(self) -> bool:
        """Whether its name is one that can be asked for."""
        return bool((_OPERATIONS if self.kind == "handler" else _NAMES).fullmatch(self.name))

    def load(self) -> Any:
        """Return the object, imported when this is first asked.

        Raises
        ------
        SeqplrpError
            Where importing it fails, for whatever reason.
        """
        return _loaded(self)


@dataclass(frozen=True)
class Unreadable:
    """A distribution that offers something which can't be used: what of it, and how to mend it."""

    distribution: str
    what: str
    remedy: str


@cache
def _loaded(plugin: Plugin) -> Any:
    from importlib.metadata import EntryPoint

    try:
        found = EntryPoint(plugin.name, plugin.place, GROUPS[plugin.kind]).load()
    except (Exception, SystemExit) as error:  # a module of others may do anything where it is imported
        raise plugin.error(
            f"({plugin.place}) can't be imported ({whole_message(error, most=300, kind=True)})"
        ) from error
    if isinstance(found, type) and found.__module__.partition(".")[0] != "seqplrp":
        _CLASSES.setdefault(found, plugin)
    return found


_CLASSES: dict[type, Plugin] = {}
"""The classes that were loaded, so that an object of one tells where it comes from."""


@cache
def _read() -> tuple[tuple[Plugin, ...], tuple[Unreadable, ...]]:
    """Read what all installed distributions offer; of one that is found twice, what Python would import."""
    found: list[Plugin] = []
    unreadable: list[Unreadable] = []
    seen: set[str] = set()
    kinds = {group: kind for kind, group in GROUPS.items()}
    for one in distributions():
        name = _name_of(one)
        if name is None or name.lower() in seen:
            continue
        seen.add(name.lower())
        try:
            ours = [point for point in one.entry_points if point.group.startswith("seqplrp.")]
            version = str(one.version) if ours else ""
        except Exception as error:  # files of others, in whatever state
            what = f"its entry points can't be read ({first_line(error, kind=True)})"
            unreadable.append(Unreadable(name, what, "install it anew"))
            continue
        for group in sorted({point.group for point in ours} - kinds.keys()):
            what = f"its entry points of the group {group!r} are not read"
            unreadable.append(
                Unreadable(name, what, f"name the group {_listed(difflib.get_close_matches(group, kinds, n=1))}")
            )
        points = [point for point in ours if point.group in kinds]
        found += [Plugin(kinds[point.group], point.name, name, version, point.value) for point in points]
    return tuple(sorted(found)), tuple(unreadable)


def _listed(groups: Sequence[str]) -> str:
    return " or ".join(groups or GROUPS.values())


# what reading one raises where the file is gone, is no text, lacks the name, or lies in a damaged archive
_NO_DESCRIPTION = (OSError, ValueError, KeyError, TypeError, BadZipFile, zlib.error)


def _name_of(one: Distribution) -> str | None:
    """Return a distribution's name, in the one way of writing it; None for what an installation left half removed."""
    try:
        name = one.metadata["Name"]
    except _NO_DESCRIPTION:  # its folder is there, its description is not to be read: pip does not list it, either
        return None
    return re.sub(r"[-_.]+", "-", name) if name else None


def installed() -> tuple[Plugin, ...]:
    """Return all that installed distributions offer, without importing any of it.

    They are looked up once a process; `forget` lets them be looked up anew.
    """
    return _read()[0]


def unreadable() -> tuple[Unreadable, ...]:
    """Return what distributions offer, or may, that can't be read: damaged files, groups that are none of ours."""
    return _read()[1]


def forget() -> None:
    """Look up anew what is installed when it is next asked for; what was imported stays imported."""
    _read.cache_clear()
    _loaded.cache_clear()


def find(kind: Kind, name: str) -> Plugin | None:
    """Return what offers a name; None where nobody does.

    Raises
    ------
    SeqplrpError
        Where several distributions do.
    """
    found = [plugin for plugin in installed() if (plugin.kind, plugin.name) == (kind, name)]
    if len(found) > 1:
        who = " and ".join(f"{one.distribution} {one.version}" for one in found)
        remove = " or ".join(one.distribution for one in found)
        raise SeqplrpError(kind, f"{name!r} is offered by several plug-ins: {who}", f"pip uninstall {remove}")
    return found[0] if found else None


class Named(Mapping[str, T]):
    """Ours by name and, behind them, those of plug-ins, which are found when a name is none of ours.

    To ask whether a plug-in's name is there, or to list all names, imports nothing; to look it up imports it.

    Parameters
    ----------
    kind : {"method", "rule", "format"}
        What they are.
    ours : mapping of str to object
        The package's own; no plug-in can replace one.
    accept : callable
        From a plug-in and its object to the object, if it is of the kind; raises `SeqplrpError` otherwise.
    taken : collection of str
        Further names that no plug-in can have.
    """

    def __init__(
        self, kind: Kind, ours: Mapping[str, T], accept: Callable[[Plugin, Any], T], taken: Collection[str] = ()
    ) -> None:
        self.kind, self.ours = kind, ours
        self._accept, self._taken = accept, frozenset(taken)

    def __getitem__(self, name: str) -> T:
        if name in self.ours:
            return self.ours[name]
        plugin = self.plugin(name)
        if plugin is None:
            raise KeyError(name)
        return self._accept(plugin, plugin.load())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (name in self.ours or name in self._theirs())

    def __iter__(self) -> Iterator[str]:
        yield from self.ours
        yield from self._theirs()

    def __len__(self) -> int:
        return len(self.ours) + len(self._theirs())

    def _theirs(self) -> dict[str, None]:
        """Return the names that plug-ins add, in their order."""
        return dict.fromkeys(one.name for one in installed() if one.kind == self.kind and not self.hidden(one))

    def hidden(self, plugin: Plugin) -> str:
        """Say why a plug-in's name can't be used; nothing where it can."""
        if plugin.name in self.ours or plugin.name in self._taken:
            return "has a name of seqplrp's own, which goes before"
        return "" if plugin.has_name_to_type else "has a name that nobody can type: use a-z, 0-9, - and _"

    def check(self, plugin: Plugin) -> None:
        """Import what a plug-in offers, and raise a SeqplrpError where it can't be used: by its name, or as it is."""
        if why := self.hidden(plugin):
            raise plugin.error(why, "give it another name")
        self[plugin.name]

    def plugin(self, name: str) -> Plugin | None:
        """Return the plug-in that a name is of; None where it is ours, or nobody's.

        Raises
        ------
        SeqplrpError
            Where several plug-ins have it.
        """
        if name in self.ours or name not in self._theirs():
            return None
        return find(self.kind, name)


def of(*values: object) -> tuple[Plugin, ...]:
    """Return the plug-ins whose classes objects are of, or hold objects of: a method with its rules, say."""
    if not _CLASSES:
        return ()
    found = (_CLASSES.get(type(one)) for one in _within(values))
    return tuple(dict.fromkeys(plugin for plugin in found if plugin is not None))


def _within(value: object) -> Iterator[object]:
    """Yield an object and what it holds, as far as it is made of dataclasses, mappings and sequences."""
    yield value
    held: Iterable[object] = ()
    if isinstance(value, Mapping):
        held = value.values()
    elif isinstance(value, list | tuple | set | frozenset):
        held = value
    elif is_dataclass(value) and not isinstance(value, type):
        held = [getattr(value, field.name) for field in fields(value)]
    for one in held:
        yield from _within(one)
