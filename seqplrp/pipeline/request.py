"""What is asked of a command that explains: its options, with all resolved that can be without reading a file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch

from seqplrp.errors import SeqplrpError
from seqplrp.genomics import Note, Record, Remark, tracks
from seqplrp.lrp import Layout
from seqplrp.methods import Method
from seqplrp.pipeline.member import Settings
from seqplrp.pipeline.session import CHUNK_RECORDS
from seqplrp.pipeline.sources import Source


@dataclass(frozen=True)
class Request:
    """What is to be explained, with all resolved that can be without reading a file.

    Parameters
    ----------
    models : tuple of str
        Model directories, ``.pt2`` files or ``module:callable``; several are averaged.
    weights : tuple of Path
        Weights of the callables among them.
    trust_pickle : bool
        Whether these, and ``.pt2`` files, may be arbitrary pickles.
    source : Source
        Where the sequences come from.
    method : Method
        How to explain.
    targets : tuple of str or None
        Each an output's number, a class's name, "predicted" or ``module:function``; None alone where there is one.
    formats : tuple of str
        Of `seqplrp.pipeline.FORMATS`.
    batch_size : int, optional
        Sequences at a time.
    device : str
        A torch device or "auto".
    layout : str
        What the models take: "NCL" or "NLC".
    check : bool
        Whether a ledger that does not add up is an error.
    tf32, deterministic : bool
        See `seqplrp.methods.Explainer`.
    seed : int
        For methods that draw at random.
    arguments : dict
        The command line, for the manifest.
    further : tuple of Path
        The models' further inputs, in their order.
    chunk_size : int
        Sequences (or variants) of a chunk, the unit that is finished or not there.
    overlaps : {"average", "split"}
        What tracks have where records overlap; see `seqplrp.genomics.tracks.along_the_genome`.
    formats_given : bool
        Whether the user named the formats; if not, those that the maps can't be written as are left out, with a note.
    """

    models: tuple[str, ...]
    weights: tuple[Path, ...]
    trust_pickle: bool
    source: Source
    method: Method
    targets: tuple[str | None, ...]
    formats: tuple[str, ...]
    batch_size: int | None
    device: str
    layout: str
    check: bool
    tf32: bool
    deterministic: bool
    seed: int
    arguments: dict[str, Any]
    further: tuple[Path, ...] = ()
    chunk_size: int = CHUNK_RECORDS
    overlaps: tracks.Overlaps = "average"
    formats_given: bool = True

    @property
    def read(self) -> tuple[str | Path, ...]:
        """All that is read, none of which may be replaced: models (or the names of the user's code), and files."""
        return (*self.models, *self.weights, *self.source.files, *self.further)

    def settings(self) -> Settings:
        """Return how to run the models.

        Raises
        ------
        SeqplrpError
            For a layout or a way to treat overlaps that is none, and for a chunk of no sequence.
        """
        if self.chunk_size < 1:
            raise SeqplrpError("--chunk-size", f"is {self.chunk_size}", "give 1 or more")
        if self.overlaps not in tracks.OVERLAPS:
            what = f"{self.overlaps!r} is not known"
            raise SeqplrpError("--overlaps", what, f"choose {' or '.join(tracks.OVERLAPS)}")
        layout = self.layout.upper()
        if layout not in ("NCL", "NLC"):
            raise SeqplrpError("--layout", f"{self.layout!r} is not known", "choose NCL or NLC")
        device = self.device
        return Settings(
            layout=cast(Layout, layout),
            device=("cuda" if torch.cuda.is_available() else None) if device == "auto" else device,
            batch_size=self.batch_size,
            check=self.check,
            tf32=self.tf32,
            deterministic=self.deterministic,
        )


def unheard(remark: Remark) -> None:
    """Listen to no remark: for a second reading of what was told of at the first."""


def read_records(request: Request, note: Note = unheard) -> Iterator[Record]:
    """Read the request's sequences, a record at a time; see `Source.records`."""
    return request.source.records(note)
