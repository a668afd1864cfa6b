"""YAML as values that know where they stand, so that whatever is wrong with one is told by file, line and key."""

from __future__ import annotations

import difflib
import math
import os
import re
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

from seqplrp.errors import SeqplrpError
from seqplrp.storage import TAGS, YamlFault, compose_yaml, read_yaml, yaml_value

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    class _Checked(DataclassInstance, Protocol):
        def validate(self) -> None: ...


T = TypeVar("T")
D = TypeVar("D", bound="DataclassInstance")


@dataclass(frozen=True)
class Entry:
    """A value of a YAML file and its place in it.

    Attributes
    ----------
    value : object
        A mapping (str to Entry), a list of Entry, or a plain value.
    file : str
        The file's name.
    line : int
        Where the value begins, from 1.
    path : str
        Its key, with those above it: ``methods.plrp.p``.
    """

    value: Any
    file: str
    line: int
    path: str = ""

    def error(self, what: str, remedy: str) -> SeqplrpError:
        """Return the error that says what is wrong with this value."""
        key = f", {self.path}" if self.path else ""
        return SeqplrpError(f"{self.file}, line {self.line}{key}", what, remedy)

    def plain(self) -> Any:
        """Return the value without its places."""
        if isinstance(self.value, dict):
            return {key: entry.plain() for key, entry in self.value.items()}
        if isinstance(self.value, list):
            return [entry.plain() for entry in self.value]
        return self.value

    def mapping(self, known: Collection[str] | None = None, required: Collection[str] = ()) -> dict[str, Entry]:
        """Return a mapping's entries by key.

        Parameters
        ----------
        known : collection of str, optional
            The keys that there may be; any if None.
        required : collection of str
            The keys that there must be.

        Raises
        ------
        SeqplrpError
            If it is no mapping, has an unknown key, or lacks a required one.
        """
        if not isinstance(self.value, dict):
            raise self.error(f"is {_shown(self.value)}, not a mapping", "write KEY: VALUE, one a line")
        for key, entry in self.value.items():
            if known is not None and key not in known:
                near = difflib.get_close_matches(key, known, n=1)
                guess = f"; did you mean {near[0]!r}?" if near else ""
                raise entry.error("is not a known key", f"the keys here are {', '.join(known)}{guess}")
        for key in required:
            if key not in self.value:
                raise self.error(f"lacks the key {key!r}", f"add {key}: ...")
        return dict(self.value)

    def items(self) -> list[Entry]:
        """Return a list's entries; a single value is a list of one."""
        if isinstance(self.value, list):
            return list(self.value)
        if isinstance(self.value, dict):
            raise self.error("is a mapping, not a list", "write [A, B]")
        return [self]

    def text(self) -> str:
        """Return a value that is text (a number or a truth value is not)."""
        if not isinstance(self.value, str) or not self.value.strip():
            raise self.error(f"is {_shown(self.value)}, not text", "write a name")
        return self.value

    def choice(self, among: Collection[str]) -> str:
        """Return a text that is one of those given."""
        found = self.text()
        if found not in among:
            near = difflib.get_close_matches(found, among, n=1)
            guess = f"did you mean {near[0]!r}? " if near else ""
            raise self.error(f"{found!r} is not known", f"{guess}use one of {', '.join(among)}")
        return found

    def whole(self, low: int = 0) -> int:
        """Return a whole number that is not below a bound."""
        if not isinstance(self.value, int) or isinstance(self.value, bool) or self.value < low:
            raise self.error(f"is {_shown(self.value)}", f"write a whole number of {low} or more")
        return self.value

    def number(self, low: float, high: float) -> float:
        """Return a number within bounds."""
        found = as_number(self.value)
        if not isinstance(found, int | float) or isinstance(found, bool) or not low <= found <= high:
            raise self.error(f"is {_shown(self.value)}", f"write a number from {low:g} to {high:g}")
        return float(found)

    def location(self) -> Path:
        """Return a path, variables of the environment filled in; a relative one is seen from the file's folder."""
        text = os.path.expanduser(os.path.expandvars(self.text()))
        unset = re.search(r"\$\{?(\w+)", text)
        if unset:
            raise self.error(f"the environment variable {unset[1]} is not set", "set it, or write the path")
        return Path(self.file).parent / text

    def of_type(self, hint: Any) -> Any:
        """Return a value of a type hint: whole and other numbers, text, truth values, choices, tuples, None."""
        value = self.value
        origin, arguments = get_origin(hint), get_args(hint)
        if origin in (Union, UnionType):
            if value is None and NoneType in arguments:
                return None
            kinds = [one for one in arguments if one is not NoneType]
            if len(kinds) == 1:
                return self.of_type(kinds[0])
        if origin is Literal:
            return self.choice(arguments)
        if origin is tuple:
            return tuple(entry.of_type(arguments[0]) for entry in self.items())
        if hint is bool:
            return self.flag()
        if hint is int:
            return self.whole(-sys.maxsize)
        if hint is float:
            return self.number(-math.inf, math.inf)
        if hint is str:
            return self.text()
        raise TypeError(f"no YAML is read as {hint}")

    def made(
        self, kind: type[D], leave_out: Collection[str] = (), called: Mapping[str, str] | None = None, **more: Any
    ) -> D:
        """Return a dataclass from a mapping of its fields.

        Parameters
        ----------
        kind : dataclass type
            Its own checks may raise `SeqplrpError`.
        leave_out : collection of str
            Fields that the file may not set.
        called : mapping of str to str, optional
            What the file calls fields that have another name there.
        **more
            Fields that are set otherwise.
        """
        hints = get_type_hints(kind)
        names = called or {}
        keys = {names.get(one.name, one.name): one.name for one in fields(kind) if one.name not in leave_out}
        given = {keys[key]: entry.of_type(hints[keys[key]]) for key, entry in self.mapping(list(keys)).items()}
        return self.told(lambda: kind(**given, **more), names)

    def checked_fields(self, kind: type[_Checked], leave_out: Collection[str] = ()) -> dict[str, Any]:
        """Return those fields of a dataclass that a mapping sets, and no others, once its own check has passed.

        Parameters
        ----------
        kind : dataclass type
            Its ``validate()`` may raise `SeqplrpError`.
        leave_out : collection of str
            Fields that the file may not set.
        """
        made = self.made(kind, leave_out)
        self.told(made.validate)
        return {key: getattr(made, key) for key in self.mapping()}

    def flag(self) -> bool:
        """Return true or false."""
        if not isinstance(self.value, bool):
            raise self.error(f"is {_shown(self.value)}", "write true or false")
        return self.value

    def told(self, make: Callable[[], T], called: Mapping[str, str] | None = None) -> T:
        """Call a function whose complaints are about this value: they get its place, and names as the file has them."""
        try:
            return make()
        except SeqplrpError as error:
            where = (called or {}).get(error.where, error.where)
            raise self.error(f"{where}: {error.what}", error.remedy) from error
        except (TypeError, ValueError) as error:
            raise self.error(" ".join(str(error).split()), "see the documentation of this key") from error


def read_entries(path: Path | str) -> Entry:
    """Read a YAML file.

    Raises
    ------
    SeqplrpError
        If it can't be read, is not YAML (with the line), holds a key twice, or a key that is no text.
    """
    file = Path(path)
    try:
        node = compose_yaml(read_yaml(file))
    except FileNotFoundError:
        raise SeqplrpError(file, "there is no such file", "name a YAML file") from None
    except IsADirectoryError:
        raise SeqplrpError(file, "is a directory", "name a YAML file") from None
    except UnicodeDecodeError:
        raise SeqplrpError(file, "is not UTF-8 text", "name a YAML file") from None
    except YamlFault as fault:
        where = str(path) if fault.line is None else f"{path}, line {fault.line}"
        raise SeqplrpError(where, f"is not YAML that can be read ({fault})", "mend it") from None
    if node is None:
        raise SeqplrpError(file, "is empty", "describe the run: tasks, architectures, methods ...")
    return _entry(node, str(path), "", ())


def _entry(node: yaml.Node, file: str, path: str, above: tuple[int, ...]) -> Entry:
    line = node.start_mark.line + 1
    here = Entry(None, file, line, path)
    if id(node) in above:
        raise here.error("holds itself", "write the value out")
    if node.tag.removeprefix("tag:yaml.org,2002:") not in TAGS:
        raise here.error(f"has the tag {node.tag[:60]!r}, which is not read", "remove it")
    above = (*above, id(node))
    if isinstance(node, yaml.MappingNode):
        return Entry(dict(_pairs(node, here, above)), file, line, path)
    if isinstance(node, yaml.SequenceNode):
        parts = [_entry(part, file, f"{path}[{i}]", above) for i, part in enumerate(node.value)]
        return Entry(parts, file, line, path)
    try:
        value = yaml_value(node)
    except YamlFault as fault:
        raise here.error(f"can't be read: {fault}", "write text in quotes") from None
    if isinstance(value, float) and not math.isfinite(value):
        raise here.error(f"is {value}", "write a finite number")
    return Entry(value, file, line, path)


def _pairs(node: yaml.MappingNode, here: Entry, above: tuple[int, ...]) -> Iterator[tuple[str, Entry]]:
    seen: set[str] = set()
    for key_node, value_node in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            raise here.error("has a key that is no text", "write KEY: VALUE")
        # names such as 1 or no are names here, as they stand
        key = key_node.value
        path = f"{here.path}.{key}" if here.path else key
        at = Entry(None, here.file, key_node.start_mark.line + 1, path)
        if key == "<<":
            raise at.error("merge keys are not read", "write the keys out")
        if key in seen:
            raise at.error("is there twice", "leave one out")
        seen.add(key)
        yield key, _entry(value_node, here.file, path, above)


def as_number(value: Any) -> Any:
    """Return what YAML 1.1 takes for text and everybody else for a number: 1e-4."""
    if isinstance(value, str) and re.fullmatch(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+", value):
        return float(value)
    return value


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    return "empty" if value is None else repr(value)
