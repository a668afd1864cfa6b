"""YAML from outside, as nodes that know their lines: no objects, no end of aliases, no text that takes for ever."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import yaml

TAGS = ("str", "int", "float", "bool", "null", "timestamp", "seq", "map")
"""The tags that a value may have, given or resolved; each behind ``tag:yaml.org,2002:``."""

_LONGEST = 1 << 19  # letters: PyYAML takes some seconds for them, and a quarter of a minute for brackets alone
_MOST_NODES = 200_000  # with aliases written out: aliases of aliases would otherwise unfold without end
_DEEPEST = 100
_LONGEST_NUMBER = 100  # longer ones take for ever to read, or to show


class YamlFault(ValueError):
    """What is wrong with a text.

    Parameters
    ----------
    what : str
        In one line.
    line : int, optional
        Counted from 1; None where it is no single line's fault.
    """

    def __init__(self, what: str, line: int | None = None) -> None:
        super().__init__(what)
        self.line = line


def read_yaml(path: str | os.PathLike[str]) -> str:
    """Return the text of a file, of which no more is read than `compose_yaml` takes.

    Raises
    ------
    YamlFault
        If it is longer.
    OSError, UnicodeDecodeError
        If it can't be read, or is not UTF-8.
    """
    most = 4 * _LONGEST  # a letter has four bytes at most
    with open(path, "rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise YamlFault(f"it has more than {_LONGEST} letters")
    return content.decode("utf-8")


def compose_yaml(text: str) -> yaml.Node | None:
    """Read one YAML document as nodes; None where it is empty. Nodes may still hold themselves by aliases.

    Raises
    ------
    YamlFault
        If the text is no YAML or more than one document, is longer than 2**19 letters, or is nested deeper than 100 or
        has more than 200,000 nodes, with its aliases written out, or has text that no file can hold (half a surrogate
        pair).
    """
    import yaml

    if len(text) > _LONGEST:
        raise YamlFault(f"it has more than {_LONGEST} letters")
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = None if mark is None else mark.line + 1
        raise YamlFault(error.problem or error.context or "it can't be read", line) from None
    except RecursionError:
        raise YamlFault("nested too deeply") from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # the latter of escapes that are no character
        raise YamlFault(" ".join(str(error).split())) from None
    if root is not None:
        _check_extent(root)
    return root


def yaml_value(node: yaml.Node) -> Any:
    """Return what a scalar stands for: text, a number, true or false, a date, or None.

    Raises
    ------
    YamlFault
        If its tag is none of `TAGS`, or it is not what the tag says.
    """
    import yaml

    line = node.start_mark.line + 1
    kind = node.tag.removeprefix("tag:yaml.org,2002:")
    text = str(node.value)
    if kind not in TAGS:
        raise YamlFault(f"tag {node.tag[:60]!r} is not allowed", line)
    if kind != "str" and len(text) > _LONGEST_NUMBER:
        raise YamlFault(f"{text[:60]!r} is no value", line)
    try:
        return yaml.SafeLoader("").construct_object(node)
    except Exception:  # PyYAML's constructors raise whatever they meet in text that is not what its tag says
        raise YamlFault(f"{text[:60]!r} is no value", line) from None


def _check_extent(root: yaml.Node) -> None:
    """Measure the document with all aliases written out, without writing them out."""
    import yaml

    def inside(node: yaml.Node) -> Iterator[yaml.Node]:
        if isinstance(node, yaml.MappingNode):
            return (part for pair in node.value for part in pair)
        if isinstance(node, yaml.SequenceNode):
            return iter(node.value)
        _check_letters(node)
        return iter(())

    known: dict[int, tuple[int, int]] = {}  # nodes and levels of what was walked through, by the node
    here = [(root, inside(root), [1, 1])]
    on_the_way = {id(root)}
    while here:
        node, parts, found = here[-1]
        part = next(parts, None)
        if part is None:
            here.pop()
            on_the_way.remove(id(node))
            known[id(node)] = found[0], found[1]
            if here:
                _add(here[-1][2], known[id(node)], node)
        elif id(part) in known:
            _add(found, known[id(part)], part)
        elif id(part) not in on_the_way:  # one that holds itself is told by whoever reads it, who knows its key
            here.append((part, inside(part), [1, 1]))
            on_the_way.add(id(part))


def _add(found: list[int], inner: tuple[int, int], node: yaml.Node) -> None:
    found[0] += inner[0]
    found[1] = max(found[1], 1 + inner[1])
    if found[1] > _DEEPEST:
        raise YamlFault("nested too deeply", node.start_mark.line + 1)
    if found[0] > _MOST_NODES:
        raise YamlFault("the document repeats itself without end", node.start_mark.line + 1)


def _check_letters(node: yaml.Node) -> None:
    try:
        node.value.encode()
    except UnicodeEncodeError:
        raise YamlFault("it holds half of a character (a lone surrogate)", node.start_mark.line + 1) from None
