"""What a run's explanations can be written as."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from seqplrp.errors import SeqplrpError, as_options
from seqplrp.genomics import tracks
from seqplrp.plugins import Named, Plugin
from seqplrp.storage import naming

SUMMARY, LEDGER = "summary.tsv", "ledger.tsv"
"""The tables whose rows are kept in the parts as text, each with its header."""


@dataclass(frozen=True)
class Writing:
    """What is to be written.

    Parameters
    ----------
    spool : Spool
        All explanations of one output.
    parts : sequence of Path
        The parts that they come from.
    suffix : str
        What tells the files of several outputs apart; empty where there is one.
    overlaps : {"average", "split"}
        See `seqplrp.genomics.tracks.along_the_genome`.
    about : mapping
        What files that can hold it say of the run; see `about_run`.
    """

    spool: tracks.Spool
    parts: Sequence[Path]
    suffix: str = ""
    overlaps: tracks.Overlaps = "average"
    about: Mapping[str, Any] = field(default_factory=dict)

    def file(self, out: Path, name: str, ending: str) -> Path:
        """Return where a file goes: ``relevance.bw``, or ``relevance.TARGET.bw`` where there are several outputs."""
        return out / f"{name}{self.suffix}.{ending}"

    @property
    def target(self) -> str:
        """The output's name."""
        return self.suffix.removeprefix(".") or next(iter(self.about.get("targets", ())), "")


@dataclass(frozen=True)
class Format:
    """One of the formats.

    Parameters
    ----------
    each : callable, optional
        Writes files of one output into a directory: ``each(out, what)``; `Writing.file` names them.
    together : callable, optional
        Writes files that hold all outputs that were explained.
    one_length : bool
        Whether all records must have one length.
    hypothetical : bool
        Whether the method must have hypothetical contributions.
    library : str
        The optional library that it needs, whose extra is called as the format; empty where there is none, and for a
        plug-in, which asks for its libraries itself.
    """

    each: Callable[[Path, Writing], None] | None = None
    together: Callable[[Path, Writing], None] | None = None
    one_length: bool = False
    hypothetical: bool = False
    library: str = ""


def _bigwig(out: Path, what: Writing) -> None:
    tracks.write_bigwig(what.file(out, "relevance", "bw"), what.spool, overlaps=what.overlaps)
    if what.spool.spread is not None:
        spread = what.file(out, "relevance_spread", "bw")
        tracks.write_bigwig(spread, what.spool, what.spool.spread, overlaps=what.overlaps)


def _bedgraph(out: Path, what: Writing) -> None:
    path = what.file(out, "relevance", "bedgraph")
    with naming(path):
        tracks.write_bedgraph(path, what.spool, overlaps=what.overlaps)


def _modisco(out: Path, what: Writing) -> None:
    sequences, attributions = (what.file(out, f"modisco_{name}", "npz") for name in ("sequences", "attributions"))
    with naming(sequences, attributions):
        tracks.write_modisco(sequences, attributions, what.spool)


def _of_spool(write: Callable[[Path, tracks.Spool], None], name: str, ending: str, out: Path, what: Writing) -> None:
    path = what.file(out, name, ending)
    with naming(path):
        write(path, what.spool)


def _telling(
    write: Callable[[Path, tracks.Spool, Mapping[str, Any]], None], name: str, ending: str, out: Path, what: Writing
) -> None:
    path = what.file(out, name, ending)
    with naming(path):
        write(path, what.spool, {**what.about, "target": what.target})


def _tables(out: Path, what: Writing) -> None:
    for name in (SUMMARY, LEDGER):
        with naming(out / name):
            join_tables((_text(part, name) for part in what.parts), out / name)


def _parquet_tables(out: Path, what: Writing) -> None:
    for name in (SUMMARY, LEDGER):
        path = (out / name).with_suffix(".parquet")
        with naming(path):
            tracks.write_parquet_table(path, (_text(part, name) for part in what.parts), _KINDS, what.about)


_NAMES = ("id", "contig", "strand", "class", "top_base", "layer", "op", "rule")
_WHOLE = ("start", "end", "predicted", "top_position", "member")
_KINDS: dict[str, tracks.Kind] = {
    **dict.fromkeys(_NAMES, "name"),
    **dict.fromkeys(_WHOLE, "integer"),
    "target": "integer or name",  # that of the function that picks the score
}
"""What the tables' columns hold that are not numbers with fractions."""


def _text(part: Path, name: str) -> bytes:
    with naming(part):
        return tracks.open_part(part).text(name)


_FORMATS = {
    "bigwig": Format(_bigwig),
    "bedgraph": Format(_bedgraph),
    "npz": Format(partial(_of_spool, tracks.write_npz, "relevance", "npz")),
    "h5": Format(partial(_of_spool, tracks.write_h5, "relevance", "h5"), one_length=True, hypothetical=True),
    "bpnet-h5": Format(
        partial(_of_spool, tracks.write_bpnet_h5, "relevance_bpnet", "h5"), one_length=True, hypothetical=True
    ),
    "modisco": Format(_modisco, one_length=True, hypothetical=True),
    "zarr": Format(partial(_telling, tracks.write_zarr, "relevance", "zarr"), one_length=True, library="zarr"),
    "parquet": Format(
        partial(_telling, tracks.write_parquet, "relevance", "parquet"), _parquet_tables, library="pyarrow"
    ),
    "tsv": Format(together=_tables),
}


def _format(plugin: Plugin, found: Any) -> Format:
    """Return a plug-in's format; raise a SeqplrpError where it is none."""
    if not isinstance(found, Format) or (found.each is None and found.together is None):
        raise plugin.error(f"({plugin.place}) is no format: it is no seqplrp.pipeline.Format that writes anything")
    if found.library:
        raise plugin.error(f"asks for the library {found.library!r} as ours do", "let its own package depend on it")
    return found


FORMATS: Named[Format] = Named("format", _FORMATS, _format)
"""The formats by name, those of plug-ins behind ours."""


_PART_OF_NAME = re.compile(r"[\w+-][\w.+-]*")
_LONGEST_PART = 100  # bytes: a file's name has 255 at most


def name_files(names: Sequence[str]) -> bool:
    """Say whether outputs' names can stand in names of files, and tell them apart also where case does not count."""
    plain = all(_PART_OF_NAME.fullmatch(name) and len(name.encode()) <= _LONGEST_PART for name in names)
    return plain and len({name.lower() for name in names}) == len(names)


def output_suffixes(names: Sequence[str]) -> list[str]:
    """Return what tells the files of several outputs apart, by the outputs' names; nothing where there is one."""
    return [f".{name}" for name in names] if len(names) > 1 else [""]


def next_commands(formats: Iterable[str], out: Path, outputs: Sequence[Writing]) -> list[str]:
    """Return what other tools are to be called with on the files in ``out``: TF-MoDISco, over whole windows."""
    if "modisco" not in formats:
        return []
    found = []
    for what in outputs:
        sequences, attributions = (what.file(out, f"modisco_{name}", "npz") for name in ("sequences", "attributions"))
        window, result = what.spool.index.lengths()[0], what.file(out, "modisco", "h5")
        found.append(f"modisco motifs -s {sequences} -a {attributions} -n 2000 -w {window} -o {result}")
    return found


def parse_formats(text: str, option: str = "--formats") -> tuple[str, ...]:
    """Read a list of formats with commas between.

    Raises
    ------
    SeqplrpError
        If it is empty, or names what is no format, or one whose library is not installed.
    """
    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in FORMATS]
    if unknown or not names:
        what = f"{unknown[0]!r} is not known" if unknown else "names no format"
        raise SeqplrpError(option, what, f"choose from {','.join(FORMATS)}")
    for name in names:
        with as_options(format=option):
            form = FORMATS[name]
        if library := form.library:
            tracks.extra_library(name, library, f"{option} {name}")
    return tuple(dict.fromkeys(names))


def libraries_of(formats: Iterable[str]) -> list[str]:
    """Name the optional libraries that formats are written by."""
    return [FORMATS[name].library for name in formats if FORMATS[name].library]


def about_run(provenance: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return what files say of a run, by what its manifest says: nothing that differs from one process to the next.

    Parameters
    ----------
    provenance : mapping
        How the manifest begins.
    names : sequence of str
        Of the outputs that were explained.
    """
    return {
        "version": provenance["versions"]["seqplrp"],
        "method": provenance["method"],
        "models": provenance["models"],
        "targets": list(names),
        "coordinates": "0-based, half-open",
    }


def suited_to_lengths(
    formats: Sequence[str], one: tuple[str, int], other: tuple[str, int], *, given: bool
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Leave out formats that need records of one length where two records, each an id and its length, differ.

    Parameters
    ----------
    formats : sequence of str
        What is to be written.
    one, other : tuple of str and int
        A shortest and a longest record.
    given : bool
        Whether the user named these formats: then none is left out, but there is an error.

    Returns
    -------
    formats : tuple of str
        What can be written.
    notes : tuple of str
        What was left out, and why.
    """
    fitting = tuple(name for name in formats if one[1] == other[1] or not FORMATS[name].one_length)
    why = f"needs records of one length, {one[0]!r} has {one[1]} bases and {other[0]!r} {other[1]}"
    return _left_out(formats, fitting, why, "cut the records to one length", given=given)


def suited_to_maps(
    formats: Sequence[str], has_hypothetical: bool, *, given: bool
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Leave out formats that need hypothetical contributions where the method has none; see `suited_to_lengths`."""
    fitting = tuple(name for name in formats if has_hypothetical or not FORMATS[name].hypothetical)
    why = "holds hypothetical contributions, which this method does not have"
    return _left_out(formats, fitting, why, "give the first layer a rule such as epsilon or gamma", given=given)


def _left_out(
    formats: Sequence[str], fitting: tuple[str, ...], why: str, otherwise: str, *, given: bool
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    unfit = [name for name in formats if name not in fitting]
    if unfit and given:
        raise SeqplrpError(
            "--formats", f"{unfit[0]} {why}", f"write --formats {','.join(fitting or ('npz', 'tsv'))}, or {otherwise}"
        )
    return fitting, tuple(f"{name} was left out: it {why}" for name in unfit)


def write_formats(formats: Iterable[str], out: Path, outputs: Sequence[Writing]) -> None:
    """Write explanations in each of the formats, with the places of the records and the sizes of their contigs."""
    for name in formats:
        with _blamed(FORMATS.plugin(name), out):
            write_format(FORMATS[name], out, outputs)
    for write, name in ((tracks.write_regions, "regions.bed"), (tracks.write_chrom_sizes, "chrom.sizes")):
        with naming(out / name):
            write(out / name, outputs[0].spool)


def write_format(form: Format, out: Path, outputs: Sequence[Writing]) -> None:
    """Write explanations in one format."""
    if form.together is not None:
        form.together(out, outputs[0])
    if form.each is not None:
        for what in outputs:
            form.each(out, what)


@contextmanager
def _blamed(plugin: Plugin | None, out: Path) -> Iterator[None]:
    """Let what a plug-in fails with tell whose fault it is; and where a disk is full, if the plug-in does not say."""
    if plugin is None:
        yield
        return
    try:
        with naming(out):
            yield
    except (SeqplrpError, OSError):
        raise
    except Exception as error:
        error.add_note(f"this was the {plugin}: tell its authors")
        raise


def join_tables(texts: Iterable[bytes], path: Path) -> None:
    """Put tables with the same header, the first line of each, one after the other.

    Raises
    ------
    ValueError
        If headers differ.
    """
    header = None
    with open(path, "wb") as out:
        for text in texts:
            own, _, rows = text.partition(b"\n")
            if header is None:
                out.write(own + b"\n")
            elif own != header:
                raise ValueError(f"{path}: header {own!r} after {header!r}")
            header = own
            out.write(rows)
