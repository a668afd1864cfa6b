"""Task files: YAML in, a checked `Task` out."""

from __future__ import annotations

import difflib
import hashlib
import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from seqplrp.errors import SeqplrpError
from seqplrp.genomics.simulation.derive import derive_groups
from seqplrp.genomics.simulation.document import Node, Range, parse_document
from seqplrp.genomics.simulation.feasibility import check_pair_direction, check_room
from seqplrp.genomics.simulation.grammar import (
    Otherwise,
    Pair,
    Rule,
    atoms,
    motifs_of,
    parse_orientation,
    parse_rule,
    parse_two_motifs,
    unknown_motif,
)
from seqplrp.genomics.simulation.motif_entries import read_task_motifs
from seqplrp.genomics.simulation.task import (
    ACTIONS,
    KINDS,
    NO_CLASS,
    Background,
    Couple,
    Group,
    MarkovBackground,
    Position,
    ShuffledBackground,
    Single,
    Task,
    UniformBackground,
)
from seqplrp.storage import YamlFault, is_file, read_yaml

_KEYS = (
    "name",
    "description",
    "kind",
    "length",
    "motifs",
    "background",
    "classes",
    "groups",
    "decoys",
    "min_spacing",
    "position",
    "accidental",
    "gc_matched",
    "label_noise",
    "n",
    "seed",
)
_LONGEST = 100_000
_HIGHEST_ORDER = 8
_MOST_CLASSES, _MOST_GROUPS = 1000, 256
PRESET_FOLDER = Path(__file__).resolve().parent / "presets"
PRESETS = ("single-motif", "and-pair", "spacing-grammar", "decoys", "tal1-gata")
"""Names of the tasks that come with the package; each is a YAML file that says what it is for."""


def load_task(path_or_preset: str | os.PathLike[str]) -> Task:
    """Read a task from a YAML file, or one of the `PRESETS` by its name.

    Parameters
    ----------
    path_or_preset : str or path
        A preset's name goes before a file of the same name; write ``./NAME`` for the file.

    Returns
    -------
    Task

    Raises
    ------
    SeqplrpError
        With file, line and key, whatever is wrong with the task: also what can be known of it to be
        impossible before anything is simulated.
    """
    name = os.fspath(path_or_preset)
    if name in PRESETS:
        text = (PRESET_FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
        return parse_task(text, source=f"preset {name}", folder=PRESET_FOLDER)
    path = Path(name)
    if not is_file(path):
        near = difflib.get_close_matches(name, PRESETS, n=1)
        meant = f"did you mean {near[0]!r}? the" if near else "the"
        what = "is a directory" if path.is_dir() else "is neither a preset nor a file"
        raise SeqplrpError(
            "task", f"{name!r} {what}", f"{meant} presets are {', '.join(PRESETS)}, else name a YAML file"
        )
    try:
        text = read_yaml(path)
    except UnicodeDecodeError:
        raise SeqplrpError(path, "is not UTF-8 text", "name a YAML file") from None
    except YamlFault as fault:
        raise SeqplrpError(path, f"is no task: {fault}", "name a YAML file") from None
    return parse_task(text, source=name, folder=path.resolve().parent)


def parse_task(text: str, *, source: str = "task", folder: Path | None = None) -> Task:
    """Read a task from YAML text.

    Parameters
    ----------
    text : str
    source : str
        What errors call it.
    folder : path, optional
        What file names in the task are relative to; the working directory if None.

    Raises
    ------
    SeqplrpError
        As `load_task` does.
    """
    root = parse_document(text, source)
    entries = root.mapping(_KEYS, required=("kind", "length", "motifs", "classes"))
    here = folder or Path.cwd()
    kind = entries["kind"].choice(KINDS)
    motifs = read_task_motifs(entries["motifs"], here)
    names = [use.motif.name for use in motifs]
    rules, negative = _read_classes(entries["classes"], kind, names)
    position = _read_position(entries.get("position"))
    fields: dict[str, Any] = {
        "name": entries["name"].label() if "name" in entries else "task",
        "description": entries["description"].text().strip() if "description" in entries else "",
        "kind": kind,
        "length": entries["length"].integer(1, _LONGEST),
        "motifs": motifs,
        "rules": rules,
        "negative": negative,
        "decoys": _read_decoys(entries.get("decoys"), names, rules, position),
        "background": _read_background(entries.get("background"), here),
        "source": source,
    }
    fields |= _read_options(entries)
    task = Task(groups=(), **fields)
    if "groups" in entries:
        groups = _read_groups(entries["groups"], names, list(rules), kind, negative, position)
    else:
        groups = derive_groups(entries["classes"], task, position)
    task = replace(task, groups=groups)
    for name, rule in rules.items():
        node = entries["classes"].entries()[name]
        for pair in (atom for atom in atoms(rule) if isinstance(atom, Pair)):
            check_pair_direction(node, task, pair)
    for group in groups:
        where = entries["groups"].entries()[group.name] if "groups" in entries else entries["classes"]
        check_room(where, task, group)
    return task


def _read_options(entries: dict[str, Node]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if "min_spacing" in entries:
        options["min_spacing"] = entries["min_spacing"].integer(0, _LONGEST)
    if "gc_matched" in entries:
        options["gc_matched"] = entries["gc_matched"].flag()
    if "label_noise" in entries:
        options["label_noise"] = entries["label_noise"].number(0, 0.5)
    if "n" in entries:
        options["n"] = entries["n"].integer(1)
    if "seed" in entries:
        options["seed"] = entries["seed"].integer(0)
    if "accidental" in entries:
        node = entries["accidental"]
        if isinstance(node.value, dict):
            inner = node.mapping(("action", "p_value"), required=("action",))
            options["accidental"] = inner["action"].choice(ACTIONS)
            if "p_value" in inner:
                options["p_value"] = inner["p_value"].number(1e-12, 0.01)
        else:
            options["accidental"] = node.choice(ACTIONS)
    return options


def _read_background(node: Node | None, folder: Path) -> Background:
    if node is None:
        return UniformBackground()
    if not isinstance(node.value, dict):
        node.choice(("uniform",))
        return UniformBackground()
    entries = node.mapping(("gc", "markov", "order", "shuffle", "sha256"))
    forms = [key for key in ("gc", "markov", "shuffle") if key in entries]
    if len(forms) != 1:
        raise node.error(
            f"has {' and '.join(forms) or 'no kind of background'}", "give one of gc, markov, shuffle, or uniform"
        )
    form = forms[0]
    for key, owners in (("order", ("markov",)), ("sha256", ("markov", "shuffle"))):
        if key in entries and form not in owners:
            raise entries[key].error(f"{key!r} has no meaning beside {form!r}", "remove it")
    if form == "gc":
        return UniformBackground(entries["gc"].number(0.01, 0.99))
    path, digest = _hashed(entries[form], entries.get("sha256"), folder)
    if form == "shuffle":
        return ShuffledBackground(path, digest)
    if "order" not in entries:
        raise node.error("key 'order' is missing", "say how many bases the next one depends on, as order: 2")
    return MarkovBackground(path, digest, entries["order"].integer(0, _HIGHEST_ORDER))


def _hashed(node: Node, expected: Node | None, folder: Path) -> tuple[str, str]:
    path = folder / node.text()
    if not is_file(path):
        raise node.error(f"there is no file {str(path)[-200:]!r}", "name a FASTA file")
    path = path.resolve()
    with open(path, "rb") as handle:
        digest = hashlib.file_digest(handle, "sha256").hexdigest()
    if expected is not None and expected.text() != digest:
        raise expected.error(
            f"{path.name} is not the file that the task was written with", "restore it, or remove sha256"
        )
    return str(path), digest


def _read_position(node: Node | None) -> Position | None:
    if node is None:
        return None
    if not isinstance(node.value, dict):
        node.choice(("uniform",))
        return None
    entries = node.mapping(("centre", "sd"), required=("centre", "sd"))
    return Position(entries["centre"].number(0, _LONGEST), entries["sd"].number(0.1, _LONGEST))


def _read_classes(node: Node, kind: str, motifs: list[str]) -> tuple[dict[str, Rule], str]:
    rules: dict[str, Rule] = {}
    entries = node.entries("a mapping from classes to rules")
    if len(entries) > _MOST_CLASSES:
        raise node.error(f"names {len(entries)} classes", f"name at most {_MOST_CLASSES}")
    for name, entry in entries.items():
        entry.check_name(name)
        if name in (NO_CLASS, "id", "split", "class"):
            raise entry.error(f"{name!r} cannot be a class's name", "choose another")
        rules[name] = parse_rule(entry, motifs)
    others = [name for name, rule in rules.items() if isinstance(rule, Otherwise)]
    negative = NO_CLASS
    if len(others) > 1:
        raise node.error(f"{' and '.join(others)} are both 'otherwise'", "give all but one a rule")
    if kind == "binary":
        negative = others[0] if others else "negative"
        rules.pop(negative, None)
        if len(rules) != 1:
            raise node.error(
                f"a binary task has {len(rules)} classes with a rule", "give one, and one 'otherwise' if you like"
            )
    elif kind == "multilabel" and others:
        raise node.error("a multilabel task has no 'otherwise'", "a sequence without any label is allowed anyway")
    elif kind == "multiclass" and len(rules) < 2:
        raise node.error("a multiclass task has fewer than two classes", "give two or more")
    if not rules:
        raise node.error("names no class", "name at least one, with its rule")
    return rules, negative


def _read_decoys(
    node: Node | None, motifs: list[str], rules: dict[str, Rule], position: Position | None
) -> tuple[Single, ...]:
    if node is None:
        return ()
    singles = _read_singles(node, motifs, position)
    spoken_of = motifs_of(list(rules.values()))
    for name, entry in node.entries().items():
        if name in spoken_of:
            raise entry.error(f"the decoy {name!r} is in a class's rule", "plant it in groups instead")
    return singles


def _read_singles(node: Node, motifs: list[str], position: Position | None) -> tuple[Single, ...]:
    singles = []
    for name, entry in node.entries("a mapping from motifs to how many to plant").items():
        if name not in motifs:
            raise unknown_motif(entry, name, motifs)
        if isinstance(entry.value, dict):
            inner = entry.mapping(("count", "position"))
            count = inner["count"].range(0) if "count" in inner else Range(1, 1)
            own = _read_position(inner["position"]) if "position" in inner else position
            singles.append(Single(name, count, own))
        else:
            singles.append(Single(name, entry.range(0), position))
    return tuple(singles)


def _read_couples(node: Node, motifs: list[str], position: Position | None) -> tuple[Couple, ...]:
    couples = []
    for entry in node.items("a list of pairs"):
        inner = entry.mapping(("pair", "spacing", "orientation", "count", "position"), required=("pair", "spacing"))
        first, second = parse_two_motifs(inner["pair"], motifs)
        couples.append(
            Couple(
                first,
                second,
                inner["spacing"].range(0),
                parse_orientation(inner.get("orientation")),
                inner["count"].range(0) if "count" in inner else Range(1, 1),
                _read_position(inner["position"]) if "position" in inner else position,
            )
        )
    return tuple(couples)


def _read_groups(
    node: Node, motifs: list[str], classes: list[str], kind: str, negative: str, position: Position | None
) -> tuple[Group, ...]:
    entries = node.entries("a mapping from names to groups of sequences")
    if not entries:
        raise node.error("names no group", "name one, or leave 'groups' out to have them derived from the rules")
    if len(entries) > _MOST_GROUPS:
        raise node.error(f"names {len(entries)} groups", f"name at most {_MOST_GROUPS}")
    shares = _read_shares(node, entries)
    groups = []
    for name, entry in entries.items():
        entry.check_name(name)
        inner = entry.mapping(("share", "class", "plant", "pairs"))
        singles = _read_singles(inner["plant"], motifs, position) if "plant" in inner else ()
        couples = _read_couples(inner["pairs"], motifs, position) if "pairs" in inner else ()
        labelled = _read_labels(inner["class"], classes, kind, negative) if "class" in inner else None
        groups.append(Group(name, shares[name], singles, couples, labelled))
    return tuple(groups)


def _read_shares(node: Node, entries: dict[str, Node]) -> dict[str, Fraction]:
    with_share = {
        name: entry.value["share"]
        for name, entry in entries.items()
        if isinstance(entry.value, dict) and "share" in entry.value
    }
    if not with_share:
        return {name: Fraction(1, len(entries)) for name in entries}
    for name, entry in entries.items():
        if name not in with_share:
            raise entry.error("key 'share' is missing", "give every group a share, or none")
    shares = {name: share.fraction(0, 1) for name, share in with_share.items()}
    total = sum(shares.values())
    if abs(total - 1) > Fraction(1, 1000):
        raise node.error(f"the shares sum to {float(total):.6g}", "make them sum to 1, as 1/4, 1/4, 1/2")
    return {name: share / total for name, share in shares.items()}


def _read_labels(node: Node, classes: list[str], kind: str, negative: str) -> tuple[str, ...]:
    allowed = classes + ([] if kind == "multiclass" else [negative])
    parts = node.items() if isinstance(node.value, list) else [node]
    names = [part.choice(allowed) for part in parts]
    if len(names) != 1 and kind != "multilabel":
        raise node.error(f"names {len(names)} classes", f"give one: a {kind} task has one class a sequence")
    return tuple(c for c in classes if c in names)
