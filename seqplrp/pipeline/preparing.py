"""Before any work: read the whole input, load the models, trace them; what can be known to be wrong is found here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from seqplrp.errors import SeqplrpError, as_options
from seqplrp.genomics import tracks
from seqplrp.pipeline.contents import Contents
from seqplrp.pipeline.formats import suited_to_lengths, suited_to_maps
from seqplrp.pipeline.further import read_further
from seqplrp.pipeline.loading import Loaded, load_models
from seqplrp.pipeline.provenance import provenance
from seqplrp.pipeline.request import Request, read_records
from seqplrp.pipeline.session import Example, Session


@dataclass(frozen=True)
class Scan:
    """What reading the whole input once tells: nothing is explained before all of it is known to be sound.

    Parameters
    ----------
    sequences, bases : int
        How many there are.
    shortest, longest : Example
        The first of the shortest records, and of the longest.
    place_of_length : dict of int to str
        For each length the first record's place, for errors.
    remarks : Counter
        How many windows were left out, or used otherwise than they stand in the input, by kind.
    """

    sequences: int
    bases: int
    shortest: Example
    longest: Example
    place_of_length: dict[int, str]
    remarks: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Prepared:
    """A request of which all that can be known to be wrong was found to be right.

    Parameters
    ----------
    request : Request
        What is to be explained.
    scan : Scan
        What its input holds.
    models : tuple of Loaded
        As loaded.
    session : Session
        The models made ready.
    contents : Contents
        What the input's files held when all this was found.
    notes : tuple of str
        What a user must know of the models, and of how the input is read.
    """

    request: Request
    scan: Scan
    models: tuple[Loaded, ...]
    session: Session
    contents: Contents
    notes: tuple[str, ...] = ()

    def provenance(self, command: str, libraries: Iterable[str]) -> dict[str, Any]:
        """Return how the manifest of a command begins."""
        known = self.contents.sha256
        begun = provenance(command, self.request, self.models, self.session, libraries=libraries, sha256=known)
        return {**begun, "checked": self.request.check}


def prepare(request: Request) -> Prepared:
    """Read the whole input once, load the models and trace them.

    Raises
    ------
    SeqplrpError
        For whatever the user can mend in the request, its input and its model.
    """
    request.settings()  # before files are read
    models = load_models(request.models, request.weights, trust_pickle=request.trust_pickle)
    request = replace(request, source=request.source.for_length(_only_length(models)))
    contents = Contents((*request.source.files, *request.further))
    notes = (*dict.fromkeys(note for model in models for note in model.notes), *request.source.notes())
    scan = _scan(request)
    ends = [(one.record.id, len(one.record)) for one in (scan.shortest, scan.longest)]
    formats, unequal = suited_to_lengths(request.formats, *ends, given=request.formats_given)
    request = replace(request, formats=formats)
    for model in models:
        _check_model_takes(model, scan)
    session = session_of(request, scan, models)
    formats, unmade = suited_to_maps(formats, session.has_hypothetical, given=request.formats_given)
    contents.hash()
    request = replace(request, formats=formats)
    return Prepared(request, scan, models, session, contents, (*notes, *unequal, *unmade))


def _only_length(models: Iterable[Loaded]) -> int | None:
    """Return the one length that a model is known to take; None where none is known to take one only."""
    fixed = (model.length for model in models if model.config is None or not model.config.flexible_length)
    return next((length for length in fixed if length is not None), None)


def _scan(request: Request) -> Scan:
    count, bases = 0, 0
    shortest: Example | None = None
    longest: Example | None = None
    places: dict[int, str] = {}
    remarks: Counter[str] = Counter()
    for record in read_records(request, lambda remark: remarks.update([remark.kind])):
        tracks.check_name(record)
        length = len(record)
        if length not in places:
            one = Example(record, count, f"{request.source.path}, record {record.id!r}")
            places[length] = one.place
            shortest = one if shortest is None or length < len(shortest.record) else shortest
            longest = one if longest is None or length > len(longest.record) else longest
        count, bases = count + 1, bases + length
    if shortest is None or longest is None:  # a file without a record is an error, but all may have been left out
        told = ", ".join(f"{number} {kind}" for kind, number in remarks.items())
        raise SeqplrpError(request.source.path, f"leaves no sequence to explain ({told})", "check what it names")
    return Scan(count, bases, shortest, longest, places, remarks)


def _check_model_takes(model: Loaded, scan: Scan) -> None:
    """Raise for the first record of a length that a model is known not to take."""
    config = model.config
    if config is None or config.flexible_length:
        return
    for length, place in scan.place_of_length.items():
        if length != config.length:
            raise SeqplrpError(
                place,
                f"has {length} bases, the model takes {config.length} only",
                f"cut or extend the sequences to {config.length} bases, or train a model of that length",
            )


def session_of(request: Request, scan: Scan, models: tuple[Loaded, ...]) -> Session:
    """Make models ready to explain chunks of an input that was found sound."""
    further = read_further(request.further, scan.sequences)
    torch.manual_seed(request.seed)
    return Session(
        models,
        request.method,
        targets=request.targets,
        # a model that takes the shortest and the longest takes those between
        examples=[scan.shortest] if len(scan.place_of_length) == 1 else [scan.shortest, scan.longest],
        settings=request.settings(),
        further=further,
        unpruned="modisco" in request.formats,
    )


def check_unchanged(prepared: Prepared, sequences: int) -> None:
    """Raise a SeqplrpError if the input is not what it was when it was checked: all of it is read once more."""
    prepared.contents.check_content()
    if sequences != prepared.scan.sequences:  # changed, and put back
        raise SeqplrpError(prepared.request.source.path, "was changed while it was read", "run the command again")


@contextmanager
def out_of_memory_told() -> Iterator[None]:
    """Let a device that runs out of memory be an error of the option that mends it."""
    try:
        with as_options("batch_size"):
            yield
    except torch.OutOfMemoryError as error:
        raise SeqplrpError(
            "--batch-size", "the device ran out of memory", "give a smaller --batch-size, or --device cpu"
        ) from error
