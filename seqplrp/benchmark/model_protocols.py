"""What is measured of a method on a model as a whole, from all its maps at once: a few values, not one an input.

To add one, write a frozen dataclass of its settings and a function from a `Subject` to a `ModelFinding`, and name both
among the domain's whole-model protocols.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from seqplrp.benchmark.protocols import Options, Subject
from seqplrp.evaluate import Measure


@dataclass(frozen=True)
class ModelFinding:
    """What a protocol gives of a method's maps of a model.

    Attributes
    ----------
    values : mapping of str to float
        By measure.
    patterns : tuple of dataclass
        What was found beside them, such as the motifs that were discovered; each is kept as its fields, which have to
        be what JSON can hold.
    """

    values: Mapping[str, float]
    patterns: tuple[Any, ...] = ()


def needs_nothing() -> None:
    """Require no library."""


def writes_nothing(config: Any, protocol: str, finished: Any, out: Path) -> None:
    """Write no tables of patterns."""


def no_paths(out: Path, protocol: str) -> tuple[Path, ...]:
    """Return where tables of patterns are: nowhere."""
    return ()


@dataclass(frozen=True)
class ModelProtocol:
    """Something to measure of all maps that a method makes of a model.

    Attributes
    ----------
    title : str
        Its heading in reports.
    says : str
        For reports: what was done, and how its numbers are to be read.
    measures : tuple of Measure
        What it gives: `run` finds the value of each by its name; what it leaves out is undefined.
    shown : tuple of str
        The measures that reports show; tables have all.
    run : callable
        From a subject and the options to a `ModelFinding`.
    options : type of Options
    require : callable
        Raises `SeqplrpError` where a library that it needs is not installed.
    libraries : tuple of str
        Those libraries, whose versions decide its values.
    write : callable
        From the configuration, the protocol's name, the finished cells (a list of cell and manifest; None where the
        configuration does not name the protocol) and the run's directory: writes tables of the patterns that cells
        keep, and removes what an earlier state left.
    paths : callable
        From the run's directory and the protocol's name to what `write` may have written there.
    """

    title: str
    says: str
    measures: tuple[Measure, ...]
    shown: tuple[str, ...]
    run: Callable[[Any, Any], ModelFinding]
    options: type[Options] = Options
    require: Callable[[], None] = needs_nothing
    libraries: tuple[str, ...] = ()
    write: Callable[[Any, str, Any, Path], None] = writes_nothing
    paths: Callable[[Path, str], tuple[Path, ...]] = no_paths


def measured_whole(
    subject: Subject[Any], known: Mapping[str, ModelProtocol], chosen: Mapping[str, Options], names: tuple[str, ...]
) -> dict[str, ModelFinding]:
    """Run protocols of whole models on a method's maps.

    Parameters
    ----------
    subject : Subject
    known : mapping of str to ModelProtocol
        The domain's.
    chosen : mapping of str to Options
        By their names.
    names : tuple of str
        The method's name and its family's.

    Returns
    -------
    dict
        Of str to `ModelFinding`, by protocol: each measure has a value, NaN where it is undefined; protocols that were
        not asked of the method are not there.
    """
    found = {}
    for name, options in chosen.items():
        if not options.asked_of(names):
            continue
        protocol = known[name]
        finding = protocol.run(subject.first(options.sequences), options)
        values = {one.name: float(finding.values.get(one.name, np.nan)) for one in protocol.measures}
        found[name] = replace(finding, values=values)
    return found


def model_protocol_recipe(known: Mapping[str, ModelProtocol], chosen: Mapping[str, Options]) -> dict[str, Any]:
    """Return all that decides what protocols of whole models give, as plain values."""
    return {name: {**asdict(options), "versions": library_versions(known, [name])} for name, options in chosen.items()}


def library_versions(known: Mapping[str, ModelProtocol], chosen: Sequence[str]) -> dict[str, str]:
    """Return the versions of the libraries that protocols of whole models go by."""
    return {library: version(library) for name in chosen for library in known[name].libraries}
