"""`seqplrp demo` runs the whole chain by the commands that it prints. (Small here; its claims are tested elsewhere.)"""

from __future__ import annotations

import pandas as pd
import pytest

from seqplrp.cli import demo


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(demo, "_TRAIN", 240)
    monkeypatch.setattr(demo, "_TEST", 60)
    monkeypatch.setattr(demo, "_EPOCHS", 1)
    real = demo._run

    def score_all(command: str, lines: int = 1) -> None:
        real(f"{command} --all" if command.startswith("score") else command, lines)

    monkeypatch.setattr(demo, "_run", score_all)  # so small a model gets next to nothing right
    # One method beside the explained one is enough to see them side by side.
    kept = {name: value for name, value in demo._METHODS.items() if value[0] in ("gradient-x-input", "plrp")}
    monkeypatch.setattr(demo, "_METHODS", kept)


def test_demo_ends_with_a_table_and_the_pictures_it_names(run, small, tmp_path):
    out = tmp_path / "demo"
    done = run("demo", "--out", out)
    assert done.code == 0
    table = pd.read_csv(out / "table.tsv", sep="\t")
    assert set(table["measure"]) == {"rma", "rra", "auprc", "gini", "ms"}
    assert list(table["method"].unique()) == list(demo._METHODS)
    for name in demo._METHODS:
        (line,) = [line for line in done.out.splitlines() if line.startswith(name)]
        means = table[table["method"] == name].set_index("measure")["mean"]
        assert line.removeprefix(name).split() == [
            *(f"{means[m]:.3f}" for m in ("rma", "rra", "auprc", "gini")),
            f"{means['ms']:.2f}",
        ]
    pictures = [line.strip() for line in done.out.splitlines() if line.startswith(f"  {out}/")]
    assert len(pictures) == 3
    for picture in pictures:
        assert (tmp_path / picture).stat().st_size > 1000
    commands = [line.removeprefix("$ seqplrp ").split()[0] for line in done.out.splitlines() if line.startswith("$")]
    assert list(dict.fromkeys(commands)) == ["simulate", "train", "explain", "score", "logo"]
    again = run("demo", "--out", out)
    assert again.code == 2
    assert again.err.startswith(f"error: {out}: exists and is not empty")
