"""A YAML document whose every value knows its file, line and place, so that errors can say them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeVar

import yaml

from seqplrp.errors import SeqplrpError
from seqplrp.storage import TAGS, YamlFault, compose_yaml, yaml_value

_Word = TypeVar("_Word", bound=str)
_LABEL = re.compile(r"[A-Za-z0-9_.:()+-]+")
_RANGE = re.compile(r"\s*(\d{1,9})\s*-\s*(\d{1,9})\s*")
# short exponents only: 1e999999999 is a number too, but an exact one would fill the memory
_NUMBER = re.compile(r"[+-]?(\d{1,30}/\d{1,30}|\d{0,30}\.?\d{0,30}([eE][+-]?\d{1,2})?)")


@dataclass(frozen=True)
class Range:
    """Whole numbers from `low` to `high`, both included."""

    low: int
    high: int

    def __str__(self) -> str:
        return str(self.low) if self.low == self.high else f"{self.low}-{self.high}"

    def plain(self) -> int | str:
        """Return what one would write in YAML."""
        return self.low if self.low == self.high else str(self)


@dataclass(frozen=True)
class Node:
    """One value of a document.

    Parameters
    ----------
    value : dict of Node, list of Node, or scalar
    source : str
        File, or ``preset NAME``.
    path : str
        Keys that lead here, such as ``groups.both.plant``; empty for the whole document.
    line : int
        Counted from 1.
    """

    value: Any
    source: str
    path: str
    line: int

    def error(self, what: str, remedy: str) -> SeqplrpError:
        """Return an error that names this place."""
        where = f"{self.source}, line {self.line}" + (f", {self.path}" if self.path else "")
        return SeqplrpError(where, what, remedy)

    def mapping(self, allowed: Collection[str], required: Collection[str] = ()) -> dict[str, Node]:
        """Return the entries of a mapping that may have no keys but `allowed`."""
        entries = self.entries(f"a mapping with the keys {', '.join(allowed)}")
        for key, node in entries.items():
            if key not in allowed:
                raise node.error(f"key {key[:60]!r} is not known", did_you_mean(key, allowed))
        for key in required:
            if key not in entries:
                raise self.error(f"key {key!r} is missing", "add it")
        return entries

    def entries(self, wanted: str = "a mapping of names") -> dict[str, Node]:
        """Return the entries of a mapping with free keys."""
        if not isinstance(self.value, dict):
            raise self._not(wanted)
        return self.value

    def items(self, wanted: str = "a list") -> list[Node]:
        """Return the entries of a list."""
        if not isinstance(self.value, list):
            raise self._not(wanted)
        return self.value

    def text(self) -> str:
        """Return a text."""
        if not isinstance(self.value, str):
            raise self._not("text")
        return self.value

    def label(self) -> str:
        """Return a text that can be a name in every output file: no white space, no commas."""
        text = self.text()
        if not _LABEL.fullmatch(text):
            raise self.error(f"{text[:60]!r} cannot be a name", "use letters, digits and the signs _ . : ( ) + -")
        return text

    def check_name(self, name: str) -> None:
        """Refuse the key of this value as a name in output files; see `label`."""
        Node(name, self.source, self.path, self.line).label()

    def choice(self, allowed: Collection[_Word]) -> _Word:
        """Return one of a few texts."""
        text = self.text()
        for word in allowed:
            if word == text:
                return word
        raise self.error(f"{text[:60]!r} is not known", did_you_mean(text, allowed))

    def flag(self) -> bool:
        """Return true or false."""
        if not isinstance(self.value, bool):
            raise self._not("true or false")
        return self.value

    def integer(self, low: int, high: int | None = None) -> int:
        """Return a whole number of at least `low` and at most `high`."""
        if isinstance(self.value, bool) or not isinstance(self.value, int):
            raise self._not("a whole number")
        self._check_bounds(self.value, low, high)
        return self.value

    def number(self, low: float, high: float) -> float:
        """Return a number between `low` and `high`, both included; ``1e-4`` and ``1/3`` are numbers too."""
        return float(self.fraction(low, high))

    def fraction(self, low: float, high: float) -> Fraction:
        """Return an exact number between `low` and `high`, both included."""
        if isinstance(self.value, bool) or not isinstance(self.value, int | float | str):
            raise self._not("a number")
        text = str(self.value).strip()
        try:
            value = Fraction(text) if _NUMBER.fullmatch(text) else None
        except (ValueError, ZeroDivisionError):
            value = None
        if value is None:
            raise self._not("a number")
        self._check_bounds(float(value), low, high)  # as a float: 0.1 itself is a little more than 1/10
        return value

    def range(self, low: int) -> Range:
        """Return a range, written ``2``, ``1-3`` or ``[1, 3]``, that does not go below `low`."""
        wanted = "a whole number or a range such as 1-3"
        if isinstance(self.value, int) and not isinstance(self.value, bool):
            found = Range(self.value, self.value)
        elif isinstance(self.value, str) and (match := _RANGE.fullmatch(self.value)):
            found = Range(int(match[1]), int(match[2]))
        elif isinstance(self.value, list) and len(self.value) == 2:
            found = Range(self.value[0].integer(low), self.value[1].integer(low))
        else:
            raise self._not(wanted)
        if found.low > found.high:
            raise self.error(f"the range {found.low}-{found.high} is empty", "give the smaller number first")
        self._check_bounds(found.low, low, None)
        return found

    def _check_bounds(self, value: float, low: float, high: float | None) -> None:
        if value < low:
            raise self.error(f"is {_shown(self.value)}", f"give {low} or more")
        if high is not None and value > high:
            raise self.error(f"is {_shown(self.value)}", f"give {high} or less")

    def _not(self, wanted: str) -> SeqplrpError:
        if isinstance(self.value, bool) and wanted == "text":
            return self.error("YAML reads this word as true or false", "put it in quotes if it is a name")
        return self.error(f"is {_shown(self.value)}, not {wanted}", f"give {wanted}")


def did_you_mean(word: str, allowed: Collection[str]) -> str:
    """Return a remedy that names the nearest of the allowed words, and all of them."""
    near = difflib.get_close_matches(word, allowed, n=1)
    listed = f"allowed are {', '.join(allowed)}"
    return f"did you mean {near[0]!r}? {listed}" if near else listed


def parse_document(text: str, source: str) -> Node:
    """Read YAML text.

    Parameters
    ----------
    text : str
    source : str
        What errors call it.

    Raises
    ------
    SeqplrpError
        With the line, if the text is no YAML, holds a key twice, a tag, or more than one document.
    """
    try:
        root = compose_yaml(text)
    except YamlFault as fault:
        line = "" if fault.line is None else f", line {fault.line}"
        raise SeqplrpError(f"{source}{line}", f"is no YAML that can be read: {fault}", "mend the text") from None
    if root is None:
        raise SeqplrpError(source, "is empty", "describe a task; see the examples in examples/tasks")
    return _Converter(source).convert(root, "", ())


class _Converter:
    """Turns composed YAML nodes into Nodes."""

    def __init__(self, source: str) -> None:
        self.source = source

    def convert(self, node: yaml.Node, path: str, above: tuple[int, ...]) -> Node:
        here = Node(None, self.source, path, node.start_mark.line + 1)
        if id(node) in above:
            raise here.error("the document repeats itself without end", "remove the YAML aliases")
        if node.tag.removeprefix("tag:yaml.org,2002:") not in TAGS:
            raise here.error(f"tag {node.tag[:60]!r} is not allowed", "remove it")
        inside = (*above, id(node))
        value: Any
        if isinstance(node, yaml.MappingNode):
            value = dict(self._pairs(node, here, inside))
        elif isinstance(node, yaml.SequenceNode):
            value = [self.convert(item, f"{path}[{i}]", inside) for i, item in enumerate(node.value)]
        else:
            value = self._scalar(node, here)
        return Node(value, self.source, path, here.line)

    def _pairs(self, node: yaml.MappingNode, here: Node, above: tuple[int, ...]) -> Iterator[tuple[str, Node]]:
        seen = set()
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag.endswith(":merge"):
                raise Node(None, self.source, here.path, line).error("a key is not plain text", "write plain keys")
            key = key_node.value  # as written: a motif called NO or 1 keeps its name
            path = f"{here.path}.{key}" if here.path else key
            if key in seen:
                raise Node(None, self.source, path, line).error("the key is there twice", "keep one")
            seen.add(key)
            value = self.convert(value_node, path, above)
            # the key's line, which is where one looks for a value that begins a line below
            yield key, Node(value.value, self.source, path, line)

    def _scalar(self, node: yaml.Node, here: Node) -> Any:
        try:
            return yaml_value(node)
        except YamlFault as fault:
            raise here.error(str(fault), "mend it") from None


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return "empty" if value is None else repr(value)[:60]
