"""Which output of a network is which class: names to numbers, from a network, a list or a file."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

from seqplrp.errors import SeqplrpError, first_line
from seqplrp.storage import parse_json

Classes = Mapping[str, int] | Sequence[str] | Path | str
"""Numbers by name; names in the order of the numbers; or a file that `read_classes` reads."""


_MOST = 10**6
"""Classes: who names a higher number does not mean a network's output."""


def read_classes(path: Path | str) -> dict[str, int]:
    """Read which number each class has.

    Parameters
    ----------
    path : path
        JSON: a list of names; names to numbers; or numbers to names or to lists of names, as Keras' and others'
        ``imagenet_class_index.json``. Or text, a class a line: a name, whose number is the line's, counted from 0;
        or ``name<TAB>number``; or a WordNet id and the class's words, as ImageNet's ``LOC_synset_mapping.txt``, where
        the id is the name.

    Returns
    -------
    dict of str to int
        The number of every name.

    Raises
    ------
    SeqplrpError
        For a file that is missing or none of these, and for a name with two numbers; with its line where there is one.
    """
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise SeqplrpError(file, "is no text in UTF-8", "give JSON, or text with a class a line") from error
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise SeqplrpError(file, f"can't be read ({reason})", "name a file of classes") from error
    pairs = _from_json(text, file) if text.lstrip()[:1] in ("{", "[") else _from_lines(text, file)
    if not pairs:
        raise SeqplrpError(file, "names no class", "give JSON, or text with a class a line")
    unreadable = next((name for name, _ in pairs if not name or not name.isprintable()), None)
    if unreadable is not None:
        raise SeqplrpError(
            file, f"{reprlib.repr(unreadable)} is no class's name", "give JSON, or text with a class a line"
        )
    return _unambiguous(pairs, file)


def _unambiguous(pairs: Sequence[tuple[str, int]], file: Path) -> dict[str, int]:
    """Return the names that stand for one number; a word that stands for two is left out if both have another name."""
    found: dict[str, set[int]] = {}
    for name, number in pairs:
        found.setdefault(name, set()).add(number)
    numbers = {name: min(ones) for name, ones in found.items() if len(ones) == 1}
    named = set(numbers.values())
    for name, several in found.items():
        if not several <= named:
            listed = " and ".join(map(str, sorted(several)))
            raise SeqplrpError(
                file, f"the class {name!r} has the numbers {listed}", "give each class a name of its own"
            )
    return numbers


def numbers_of(classes: Classes) -> dict[str, int]:
    """Return classes' numbers by name; of names that are there twice, none.

    Raises
    ------
    SeqplrpError
        Where a file can't be read, or a number is none.
    """
    if isinstance(classes, Path | str):
        return read_classes(classes)
    if isinstance(classes, Mapping):
        wrong = next((name for name, number in classes.items() if not _is_number(number)), None)
        if wrong is not None:
            raise SeqplrpError("classes", f"{wrong!r} has {reprlib.repr(classes[wrong])}", "give numbers from 0")
        return dict(classes)
    return {name: number for number, name in enumerate(classes) if classes.count(name) == 1}


def number_of(name: str, numbers: Mapping[str, int], where: object) -> int:
    """Return a class's number; `SeqplrpError` names what is like it where there is no such class."""
    if name not in numbers:
        close = get_close_matches(name, numbers, n=1)
        guess = f"did you mean {close[0]!r}?" if close else f"there are {_some(list(numbers))}"
        remedy = "name it as the network does, or give a file of classes"
        if _is_wordnet_id(name):
            remedy = "give a file of classes that has WordNet ids, such as ImageNet's LOC_synset_mapping.txt"
        raise SeqplrpError(where, f"there is no class {name!r} ({guess})", remedy)
    return numbers[name]


def in_order(names: Sequence[str], where: object) -> dict[str, int]:
    """Number classes in the order of their names, as torchvision's ImageFolder does.

    Raises
    ------
    SeqplrpError
        Where the names are numbers themselves, and others than these.
    """
    numbers = {name: number for number, name in enumerate(sorted(set(names)))}
    if all(name.isdecimal() for name in numbers) and any(int(name) != number for name, number in numbers.items()):
        one = next(name for name, number in numbers.items() if int(name) != number)
        raise SeqplrpError(
            where,
            f"classes are named by numbers, and in the order of their names {one!r} would be number {numbers[one]}",
            "give a file of classes, with name<TAB>number a line",
        )
    return numbers


def _some(names: Sequence[str], shown: int = 3) -> str:
    return ", ".join(map(repr, names[:shown])) + (f" and {len(names) - shown} more" if len(names) > shown else "")


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST


def _from_json(text: str, file: Path) -> list[tuple[str, int]]:
    try:
        content = parse_json(text)
    except json.JSONDecodeError as error:
        raise SeqplrpError(f"{file}, line {error.lineno}", f"is not JSON ({error.msg})", "mend it") from error
    except ValueError as error:
        raise SeqplrpError(file, f"can't be read as JSON ({first_line(error)})", "mend it") from error
    if isinstance(content, list):
        content = {str(number): name for number, name in enumerate(content)}
    pairs = []
    for key, value in content.items():
        names = value if isinstance(value, list) else [value]
        number = _whole(key)
        if _is_number(value):
            pairs.append((key, value))
        elif number is not None and names and all(isinstance(name, str) for name in names):
            pairs += [(name, number) for name in names]
        else:
            remedy = "give names to numbers, numbers to names, or a list of names"
            raise SeqplrpError(file, f"{reprlib.repr(key)} has {reprlib.repr(value)}", remedy)
    return pairs


def _from_lines(text: str, file: Path) -> list[tuple[str, int]]:
    pairs: list[tuple[str, int]] = []
    for line, content in enumerate(text.splitlines(), start=1):
        if not content.strip():
            continue
        name, tab, told = content.partition("\t")
        number = _whole(told.strip()) if tab else len(pairs)
        if number is None:
            remedy = "write name<TAB>number, or a name alone"
            raise SeqplrpError(f"{file}, line {line}", f"{reprlib.repr(told)} is no number of a class", remedy)
        if not tab and _is_wordnet_id(content.partition(" ")[0]):
            name = content.partition(" ")[0]
        pairs.append((name.strip(), number))
    return pairs


def _whole(text: str) -> int | None:
    """Return the number that a text is; None where it is none that counts classes."""
    return int(text) if text.isdecimal() and len(text) <= 9 and int(text) < _MOST else None


def _is_wordnet_id(word: str) -> bool:
    return len(word) == 9 and word[0] == "n" and word[1:].isdecimal()
