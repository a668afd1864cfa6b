"""``seqplrp demo``: the whole chain on data that it makes itself."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seqplrp.cli.options import OverwriteDirectory

if TYPE_CHECKING:
    import pandas as pd

_TRAIN, _TEST, _EPOCHS = 6000, 600, 12

_METHODS = {
    "gradient x input": ("gradient-x-input", "--method gradient-x-input"),
    "LRP-gamma": ("lrp-gamma", "--method lrp --rule gamma"),
    "PLRP": ("plrp", "--method plrp"),
    "PLRP, centred": ("plrp-centred", "--method plrp --center composition"),
}
"""Name in the table: directory, options. The last two rows differ in the centring alone."""

_SHOWN = {"rma": "RMA", "rra": "RRA", "auprc": "AUPRC", "gini": "Gini"}


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("demo")(demo)


def demo(
    out: Annotated[Path, typer.Option(help="The directory to write.")],
    overwrite: OverwriteDirectory = False,
) -> None:
    """Simulate, train, explain, score and draw: the main job on data that it makes itself, in a few minutes.

    Prints every command that it runs; any of them can be run again by hand in the directory.
    """
    from contextlib import chdir

    from seqplrp.storage import output_directory

    began = time.monotonic()
    pictures = ["logos.svg", "measures.svg", "model/learning_curve.svg"]
    with output_directory(out, command="demo", overwrite=overwrite) as stage, chdir(stage):
        typer.echo(f"in {out}:")
        _prepare()
        table = _explain_and_score()
        _draw(table)
    typer.echo(_report(table))
    typer.echo("\npictures:")
    for picture in pictures:
        typer.echo(f"  {out / picture}")
    typer.echo(f"all of it took {time.monotonic() - began:.0f} s")


def _prepare() -> None:
    _run(f"simulate --task decoys -n {_TRAIN} --seed 0 --out data", lines=1)
    _run(f"simulate --task decoys -n {_TEST} --seed 1 --out test", lines=1)
    _run(f"train --data data --arch basset-small --epochs {_EPOCHS} --seed 0 --out model", lines=6)


def _explain_and_score() -> pd.DataFrame:
    """Run every method; return ``method, measure, mean, low, high``, with the cost as a measure of its own."""
    import json

    import pandas as pd

    from seqplrp.evaluate import summarise

    rows = []
    for name, (directory, options) in _METHODS.items():
        place = f"explained/{directory}"
        _run(f"explain --model model --fasta test/sequences.fa --target predicted {options} --out {place}")
        _run(f"score {place} --truth test/truth.bed --labels test/labels.tsv --out scores/{directory}.tsv")
        scores = pd.read_csv(f"scores/{directory}.tsv", sep="\t")
        scored = scores[scores["status"] == "scored"]
        rows.append(summarise({measure: scored[measure] for measure in _SHOWN}).assign(method=name))
        manifest = json.loads(Path(place, "manifest.json").read_text(encoding="utf-8"))
        cost = 1000 * manifest["explain_seconds"] / manifest["sequences"]
        rows.append(pd.DataFrame({"method": [name], "measure": ["ms"], "mean": [cost]}))
    table = pd.concat(rows, ignore_index=True)[["method", "measure", "mean", "low", "high", "n"]]
    table.to_csv("table.tsv", sep="\t", index=False, float_format="%.6g")
    return table


def _draw(table: pd.DataFrame) -> None:
    from seqplrp.plot import measure_bars, save_figure

    records = " ".join(f"--record {record}" for record in _first_of_each_class())
    first, *others = reversed([directory for directory, _ in _METHODS.values()])
    also = " ".join(f"--also explained/{directory}" for directory in others)
    _run(f"logo explained/{first} {also} {records} --truth test/truth.bed --out logos.svg")
    figure = measure_bars(
        table[table["measure"] != "ms"],
        highlight=list(_METHODS)[-1],
        title=f"decoys: means over {int(table['n'].min())} test sequences, 95 % intervals",
    )
    save_figure(figure, Path("measures.svg"))


def _first_of_each_class() -> list[str]:
    """Choose what is drawn without looking at it: the first scored sequence of each class."""
    import pandas as pd

    scores = pd.read_csv(f"scores/{list(_METHODS.values())[-1][0]}.tsv", sep="\t", dtype={"id": str})
    return [str(id) for id in scores[scores["status"] == "scored"].groupby("class", sort=False)["id"].first()]


def _report(table: pd.DataFrame) -> str:
    wide = table.pivot(index="method", columns="measure", values="mean").loc[list(_METHODS)]
    width = max(map(len, _METHODS))
    lines = [f"\n{'method':{width}}" + "".join(f"{label:>8}" for label in _SHOWN.values()) + f"{'ms/seq':>9}"]
    for name, row in wide.iterrows():
        lines.append(f"{name:{width}}" + "".join(f"{row[m]:8.3f}" for m in _SHOWN) + f"{row['ms']:9.2f}")
    scored = int(table["n"].min())
    lines.append(
        f"means over the {scored} of {_TEST} test sequences that the model gets right; 95 % intervals in table.tsv"
    )
    return "\n".join(lines)


def _run(command: str, lines: int = 1) -> None:
    """Run a command of ours in this process; show it, and the first lines of what it says."""
    import contextlib
    import io

    from seqplrp.cli.app import run_command

    typer.echo(f"$ seqplrp {command}")
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        run_command(command.split())
    for line in said.getvalue().splitlines()[:lines]:
        typer.echo(f"  {line}")
