"""What ``seqplrp report`` does: find out what a directory holds, and write the page of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from seqplrp.errors import SeqplrpError, as_options
from seqplrp.storage import PARTS, output_file, parse_json

if TYPE_CHECKING:
    import pandas as pd

    from seqplrp.genomics.motifs import Motif
    from seqplrp.recovery import MarkOptions

LARGE = 30_000_000
"""Bytes of a page from which on browsers and mail may be slow: then a way to a smaller one is told."""

_EXPLAINED = "name a directory that `seqplrp explain`, `seqplrp benchmark` or `seqplrp image benchmark` wrote"


@dataclass(frozen=True)
class Asked:
    """The options of the command, as it has them."""

    title: str | None = None
    truth: Path | None = None
    explained_class: str | None = None
    motif: tuple[str, ...] = ()
    motifs: Path | None = None
    p_value: float = 1e-4
    seqlets: bool = True
    fdr: float = 0.05
    most: int = 2000
    hypothetical: bool = True


def write_report(directories: Sequence[Path], out: Path, asked: Asked, *, overwrite: bool) -> Iterator[str]:
    """Write the page, and yield what is to be told of it.

    Raises
    ------
    SeqplrpError
        If a directory holds neither explanations nor a benchmark, or an option does not suit what it holds.
    """
    if out.suffix.lower() not in (".html", ".htm"):
        raise SeqplrpError("--out", f"{out} does not end in .html", "name a page, such as report.html")
    kinds = [_kind(directory) for directory in directories]
    benchmarks = [one for one, kind in zip(directories, kinds, strict=True) if kind == "benchmark"]
    if benchmarks and len(directories) > 1:
        raise SeqplrpError(benchmarks[0], "is a benchmark, of which a page holds one", "give it alone")
    if benchmarks:
        _refuse_options(asked, benchmarks[0])
    with output_file(out, overwrite=overwrite, inputs=[asked.truth, asked.motifs]) as stage:
        text = _benchmark(benchmarks[0], asked) if benchmarks else _explanations(directories, asked)
        stage.write_text(text, encoding="utf-8", newline="\n")
    size = len(text.encode("utf-8"))
    yield f"wrote {out} ({size / 1e6:.1f} MB)"
    if size > LARGE:
        yield "note: it is large; fewer sequences (--most) or --no-hypothetical make it smaller"


def _kind(directory: Path) -> str:
    """Say what a directory holds.

    Raises
    ------
    SeqplrpError
        If it is nothing that has a page: what it is instead, and what to do.
    """
    if not directory.is_dir():
        raise SeqplrpError(directory, "there is no such directory", _EXPLAINED)
    if (directory / "benchmark.json").is_file():
        return "benchmark"
    manifest = directory / "manifest.json"
    if manifest.is_file():
        command = _command(manifest)
        if command not in ("", "explain"):
            what = f"holds what `seqplrp {command}` wrote, which has no such page"
            raise SeqplrpError(directory, what, _EXPLAINED)
        return "explanations"
    if (directory / PARTS).is_dir():
        remedy = "let `seqplrp explain` go on with it by --resume"
        raise SeqplrpError(directory, "holds a run that has not ended", remedy)
    inside = sorted(path.parent for path in directory.glob("*/manifest.json"))
    near = f"did you mean {' or '.join(map(str, inside[:3]))}?" if inside else _EXPLAINED
    raise SeqplrpError(directory, "holds no run" if any(directory.iterdir()) else "is empty", near)


def _command(manifest: Path) -> str:
    try:
        content = parse_json(manifest.read_text(encoding="utf-8"))
    except (SeqplrpError, ValueError, OSError):
        return ""  # its reader tells what is wrong with it
    return str(content.get("command", "")) if isinstance(content, dict) else ""


def _refuse_options(asked: Asked, directory: Path) -> None:
    for one in fields(Asked):
        if one.name != "title" and getattr(asked, one.name) != one.default:
            option = "--class" if one.name == "explained_class" else "--" + one.name.replace("_", "-")
            raise SeqplrpError(option, f"is for explanations, {directory} is a benchmark", "leave it out")


def _benchmark(directory: Path, asked: Asked) -> str:
    from seqplrp.benchmark import benchmark_page
    from seqplrp.images.benchmark import IMAGES
    from seqplrp.recovery.benchmark import DNA

    # a run's tables name measures and not the kind of input that brought them: no name means two things
    protocols = [one for domain in (DNA, IMAGES) for one in domain.protocols.values()]
    measures = [measure for one in protocols for measure in one.measures]
    return benchmark_page(directory, title=asked.title, measures=measures).html()


def _explanations(directories: Sequence[Path], asked: Asked) -> str:
    from seqplrp.recovery import tracks_page

    with as_options("fdr", "p_value", "most", "truth"):
        page = tracks_page(
            directories,
            marks=_marks(asked),
            most=asked.most,
            hypothetical=asked.hypothetical,
            title=asked.title,
        )
        return page.html()


def _marks(asked: Asked) -> MarkOptions:
    from seqplrp.recovery import MarkOptions

    if not 0 < asked.fdr <= 1:
        raise SeqplrpError("--fdr", f"is {asked.fdr:g}", "give a rate above 0 and up to 1, such as 0.05")
    truth, classes = (None, True) if asked.truth is None else _truth(asked.truth)
    return MarkOptions(
        truth=truth,
        classes=classes,
        explained_class=asked.explained_class,
        motifs=tuple(_motifs(asked)),
        p_value=asked.p_value,
        seqlets=asked.seqlets,
        fdr=asked.fdr,
    )


def _motifs(asked: Asked) -> Iterator[Motif]:
    from seqplrp.genomics import motifs

    with as_options("motif"):
        yield from (motifs.load(name) for name in dict.fromkeys(asked.motif))
    if asked.motifs is not None:
        yield from motifs.read_motifs(asked.motifs)


def _truth(path: Path) -> tuple[pd.DataFrame, bool]:
    """Read known motifs, and say whether they tell of classes: a truth BED does, other BED files and simdna do not."""
    import pandas as pd

    from seqplrp.genomics import read_bed, read_truth_bed

    if path.name.removesuffix(".gz").endswith((".simdata", ".simdna")):
        return _of_simdna(path), False
    try:
        return read_truth_bed(path), True
    except SeqplrpError as error:
        if "a truth BED has 8 columns" not in error.what:
            raise
    rows = [(i.chrom, i.start, i.end, i.name, i.score, i.strand, i.name, ".") for i in read_bed(path)]
    return pd.DataFrame(rows, columns=["chrom", "start", "end", "name", "score", "strand", "motif", "class"]), False


def _of_simdna(path: Path) -> pd.DataFrame:
    from seqplrp.genomics.simulation import read_simdna

    table = read_simdna(path)
    truth = table.truth
    found = truth.drop(columns="sequence")
    found["chrom"] = [table.ids[row] for row in truth["sequence"].tolist()]
    found["name"], found["score"], found["class"] = truth["motif"], 0.0, "."
    return found
