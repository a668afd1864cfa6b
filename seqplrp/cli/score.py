"""``seqplrp score``: explanations measured against known motifs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seqplrp.cli.options import ExplainedClass, OverwriteFile

if TYPE_CHECKING:
    from seqplrp.genomics.motifs import Motif
    from seqplrp.recovery import Scores


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("score")(score)


def score(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A directory that `seqplrp explain` wrote.")],
    out: Annotated[Path, typer.Option(help="The table to write.")],
    truth: Annotated[
        Path | None,
        typer.Option(
            help="The known motifs, on records by id or on the genome: BED6, the motif's name, and the classes that it "
            "speaks for (commas between; a dot for a motif that no class uses)."
        ),
    ] = None,
    kmers: Annotated[
        int | None,
        typer.Option(help="Without a truth: count the words of this many bases under the peaks of relevance."),
    ] = None,
    motifs: Annotated[
        Path | None,
        typer.Option(
            help="Matrices of those motifs (MEME or JASPAR): bases below 0.1 bit are left out. If not given, "
            "motifs.meme beside the truth, else the library of seqplrp."
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(help="A table of id and classes. If not given, a sequence is of a class if it holds its motif."),
    ] = None,
    class_: ExplainedClass = None,
    every: Annotated[
        bool, typer.Option("--all", help="Score all sequences, not only those that the model gets right.")
    ] = False,
    tidy: Annotated[bool, typer.Option("--tidy", help="Write id, measure, value: one row for each value.")] = False,
    overwrite: OverwriteFile = False,
) -> None:
    """Measure how well explanations find known motifs, and how sparse they are.

    Writes one row per explained sequence with the measures of localisation and sparsity (empty where undefined, and
    where the sequence was left out: the column status says why), and prints their means with 95 % intervals.
    With --kmers K in place of --truth, counts the words under the sequences' highest windows of K bases, both strands
    as one.
    """
    from seqplrp.errors import SeqplrpError

    if (truth is None) == (kmers is None):
        raise SeqplrpError(
            "--truth, --kmers", "one of them is needed, and one alone", "give --truth truth.bed, or --kmers 6"
        )
    if kmers is not None:
        _count_kmers(directory, kmers, out, overwrite)
        return
    assert truth is not None
    from seqplrp.errors import as_options
    from seqplrp.genomics import read_truth_bed
    from seqplrp.recovery import read_explanations, read_labels, score_explanations
    from seqplrp.storage import output_file

    with output_file(out, overwrite=overwrite, inputs=[truth, motifs, labels]) as stage:
        known = read_truth_bed(truth)
        with as_options("labels", "class"):
            scores = score_explanations(
                read_explanations(directory),
                known,
                matrices=_matrices(motifs, truth),
                labels=None if labels is None else read_labels(labels),
                explained_class=class_,
                every=every,
                where=truth,
            )
        if scores.scored.empty:
            raise SeqplrpError(
                directory, f"no sequence is left to score: {_reasons(scores)}", "add --all to score them"
            )
        table = scores.tidy() if tidy else scores.table
        table.to_csv(stage, sep="\t", index=False, float_format="%.6g", lineterminator="\n")
    typer.echo(_report(scores, len(known)))
    typer.echo(f"wrote {out}")


def _count_kmers(directory: Path, k: int, out: Path, overwrite: bool) -> None:
    from seqplrp.errors import as_options
    from seqplrp.recovery import peak_kmers, read_explanations
    from seqplrp.storage import output_file

    with output_file(out, overwrite=overwrite) as stage:
        with as_options("kmers"):
            table = peak_kmers(read_explanations(directory).arrays, k)
        table.to_csv(stage, sep="\t", index=False, float_format="%.6g", lineterminator="\n")
    typer.echo(f"{'word':<{k}}  {'other strand':<{max(k, 12)}}  sequences  share")
    for row in table.head(10).rename(columns={"count": "count_"}).itertuples():
        typer.echo(f"{row.kmer:<{k}}  {row.reverse_complement:<{max(k, 12)}}  {row.count_:>9}  {row.share:.3f}")
    typer.echo(f"wrote {out}")


def _matrices(given: Path | None, truth: Path) -> dict[str, Motif] | None:
    """Read the truth's matrices by name and by accession; None means the library."""
    from seqplrp.genomics.motifs import read_motifs

    path = given
    if path is None and (truth.parent / "motifs.meme").is_file():
        path = truth.parent / "motifs.meme"
    if path is None:
        return None
    found = read_motifs(path)
    return {m.accession: m for m in found if m.accession} | {m.name: m for m in found}


def _report(scores: Scores, motifs: int) -> str:
    """The means as text, and what was left out of them."""
    from seqplrp.evaluate import MEASURES

    lines = [f"scored {len(scores.scored)} of {len(scores.table)} explained sequences"]
    if scores.left_out:
        lines.append(f"left out: {_reasons(scores)}")
    if scores.outside:
        lines.append(f"note: {scores.outside} of {motifs} motifs of the truth lie on no explained sequence")
    lines.append(f"{'measure':<17}{'mean':>8}  {'95 % interval':<19}{'undefined':>9}")
    for row in scores.summary().itertuples():
        interval = f"[{row.low:.3f}, {row.high:.3f}]" if row.n else ""
        mean = f"{row.mean:.3f}" if row.n else "-"
        lines.append(f"{MEASURES[str(row.measure)].label:<17}{mean:>8}  {interval:<19}{row.undefined:>9}")
    return "\n".join(lines)


def _reasons(scores: Scores) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in scores.left_out.items()) or "none was explained"
