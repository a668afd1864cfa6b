"""Which state of the source made a run's cells, and what each method was then: for reports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from seqplrp.benchmark.source import Source
from seqplrp.benchmark.variants import Variant

UNRECORDED = "a state that was not recorded"
Manifests = Sequence[Mapping[str, Any]]


def sources_of(manifest: Mapping[str, Any], part: str) -> frozenset[str]:
    """Return the digests of the source that made a cell's model, or its methods' values; `UNRECORDED` is one of them.

    Parameters
    ----------
    manifest : mapping
        The cell's.
    part : {"model", "methods"}
    """
    recorded = manifest.get("sources")
    if recorded is None:  # cells of before it was
        return frozenset({UNRECORDED})
    found = [recorded["model"]] if part == "model" else list(recorded["methods"].values())
    return frozenset(one or UNRECORDED for one in found)


def is_of_now(manifests: Manifests, source: Source) -> bool:
    """Say whether all cells were made by the source as it is now, models and values."""
    now = {source.digest()}
    return all(sources_of(one, part) <= now for one in manifests for part in ("model", "methods"))


def source_warning(manifests: Manifests, source: Source) -> list[str]:
    """Return a sentence where cells were made by another state of the source than the present one; none otherwise."""
    if is_of_now(manifests, source):
        return []
    now = source.digest()
    others = sum(any(sources_of(one, part) - {now} for part in ("model", "methods")) for one in manifests)
    return [
        f"NOT ALL OF ONE SOURCE: {others} of {len(manifests)} finished cells were made, in whole or in part, by "
        f"another state of the package's source than the present one ({now}), or by one that was not "
        "recorded. The version number is the same, so they were taken as they are; how many are of which state stands "
        "under How it was done. A cell whose folder is removed is made again."
    ]


def source_lines(manifests: Manifests, source: Source) -> list[str]:
    """Say how many cells are of which state of the source, their models and their values apart."""
    lines = [f"The package's source is now in state {source.digest()} (a hash of its files that decide values)."]
    for part, what in (("model", "models were trained"), ("methods", "values were measured")):
        made = Counter(sources_of(one, part) for one in manifests)
        made.pop(frozenset(), None)  # a model that did not learn has no values
        told = [f"{n} by {_named(states, manifests, source)}" for states, n in made.most_common()]
        if told:
            lines.append(f"{len(manifests)} finished cells; their {what}: {'; '.join(told)}.")
    return lines


def _named(states: frozenset[str], manifests: Manifests, source: Source) -> str:
    return " and, other methods, by ".join(_state(one, manifests, source) for one in sorted(states))


def _state(digest: str, manifests: Manifests, source: Source) -> str:
    if digest == UNRECORDED:
        return digest
    if digest == source.digest():
        return f"{digest}, the present one"
    rooms = next((m["source"]["rooms"] for m in manifests if m.get("source", {}).get("digest") == digest), None)
    if rooms is None:
        return digest
    differ = [room for room, now in source.state().items() if rooms.get(room) != now]
    return f"{digest} (it differs from the present one in {', '.join(differ) or 'the rooms it has'})"


def settled_lines(variants: Sequence[Variant], manifests: Manifests) -> list[str]:
    """Say what each method resolves to, where its description does not say so itself, and where cells say otherwise."""
    lines = []
    for variant in variants:
        recorded = Counter(_settled(one, variant.name) for one in manifests)
        unknown = recorded.pop(None, 0)
        if variant.settled == variant.recipe and set(recorded) <= {variant.settled}:
            continue
        told = f"{variant.name} resolves to `{variant.settled}`"
        others = {text: n for text, n in recorded.items() if text != variant.settled}
        told += "".join(f"; in {n} of {len(manifests)} cells it was `{text}`" for text, n in others.items())
        if unknown:
            told += f"; what it was in {unknown} of {len(manifests)} cells was not recorded"
        lines.append(told)
    return lines


def _settled(manifest: Mapping[str, Any], name: str) -> str | None:
    found = manifest.get("settled", {}).get(name)
    return None if found is None else str(found)
