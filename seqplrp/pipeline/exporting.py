"""From the parts of a finished run to further files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqplrp.errors import SeqplrpError, whole_message
from seqplrp.genomics import tracks
from seqplrp.pipeline.chunked import Progress, unseen
from seqplrp.pipeline.formats import Writing, about_run, name_files, next_commands, output_suffixes, write_formats
from seqplrp.pipeline.kept import part_name
from seqplrp.storage import PARTS, RunDirectory, locked, parse_json


@dataclass(frozen=True)
class Exported:
    """What was written.

    Parameters
    ----------
    files : tuple of str
        Names within the directory, of files and of stores.
    commands : tuple of str
        What other tools are to be called with on them.
    """

    files: tuple[str, ...]
    commands: tuple[str, ...]


_NO_RUN = "give the directory that `seqplrp explain` wrote"


def export(
    directory: Path,
    formats: tuple[str, ...],
    overlaps: tracks.Overlaps = "average",
    pruned: bool = False,
    progress: Progress = unseen,
) -> Exported:
    """Write what a finished run found in further formats, into its directory.

    Parameters
    ----------
    directory : Path
        That `seqplrp explain` wrote.
    formats : tuple of str
        See `seqplrp.pipeline.FORMATS`.
    overlaps : {"average", "split"}
        What tracks have where records overlap.
    pruned : bool
        Whether TF-MoDISco's arrays may be of pruned contributions where the run kept no others.

    Raises
    ------
    SeqplrpError
        If the directory holds no finished run, a part is damaged, or a format does not suit what was explained.
    """
    place = RunDirectory(directory, "explain", resume=True)
    manifest = _manifest_of(directory)
    parts = _parts_in(place.parts, manifest["parts"])
    suffixes = output_suffixes(manifest["outputs"])
    with locked(place.parts), place.finishing() as stage, progress("writing", None):
        index = stage / "index.sqlite"
        with tracks.joined_parts(parts, index, verify=True) as spools:
            if len(spools) != len(suffixes):
                raise SeqplrpError(parts[0], f"holds {len(spools)} outputs, manifest.json {len(suffixes)}", _NO_RUN)
            about = about_run(manifest, manifest["outputs"])
            outputs = [Writing(spool, parts, end, overlaps, about) for spool, end in zip(spools, suffixes, strict=True)]
            if "modisco" in formats and manifest["pruned"] and not pruned and spools[0].unpruned is None:
                raise SeqplrpError(
                    "--to modisco",
                    "the run kept pruned contributions alone, on whose exact zeros TF-MoDISco's null model collapses",
                    "explain again with modisco among --formats, or add --pruned",
                )
            write_formats(formats, stage, outputs)
            commands = next_commands(formats, directory, outputs)
        index.unlink()
        files = sorted(path.name for path in stage.iterdir())
    return Exported(tuple(files), tuple(commands))


def _parts_in(folder: Path, count: int) -> list[Path]:
    """Return the parts of a run; the first that is missing ends the search, however many there should be."""
    parts = []
    for number in range(count):
        parts.append(folder / part_name(number))
        if not parts[-1].is_file():
            raise SeqplrpError(parts[-1], "is not there any more", "run `seqplrp explain` again with --resume")
    return parts


def _manifest_of(directory: Path) -> dict[str, Any]:
    """Return what a finished run says of itself, as far as files are made by it."""
    manifest = directory / "manifest.json"
    if manifest.is_file() and not (directory / PARTS).is_dir():
        raise SeqplrpError(directory, f"has no folder {PARTS!r}, from which files are made", _NO_RUN)
    try:
        content: dict[str, Any] = parse_json(manifest.read_text(encoding="utf-8"))
        if content["command"] != "explain":
            raise SeqplrpError(directory, f"holds what `seqplrp {content['command']}` wrote", _NO_RUN)
        outputs = [*map(str, content["outputs"])]
        told = {"versions": {"seqplrp": str(content["versions"]["seqplrp"])}, "method": str(content["method"])}
        if not outputs or (len(outputs) > 1 and not name_files(outputs)):
            raise ValueError("the names of its outputs can't stand in names of files")
        if int(content["parts"]) < 1:
            raise ValueError("it has no parts")
        found = {"pruned": bool(content["pruned"]), "outputs": outputs, "parts": int(content["parts"])}
        return {**found, **told, "models": list(content["models"])}
    except SeqplrpError:
        raise
    except FileNotFoundError:
        begun = (directory / PARTS).is_dir()
        what = "holds a run that has not ended" if begun else "holds no run"
        remedy = "let `seqplrp explain` go on with it by --resume" if begun else _NO_RUN
        raise SeqplrpError(directory, what, remedy) from None
    except (OSError, ValueError, OverflowError, KeyError, TypeError) as error:
        raise SeqplrpError(manifest, f"can't be read ({whole_message(error, kind=True)})", _NO_RUN) from error
