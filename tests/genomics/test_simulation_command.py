"""``seqplrp simulate`` and its files: complete, readable by the other rooms, the same bytes again."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from seqplrp.cli import main
from seqplrp.cli.simulate import _PRESETS
from seqplrp.genomics import codes_to_strings, motifs, read_fasta, read_truth_bed
from seqplrp.genomics.simulation import PRESETS, load_task, read_simdna, simulate, write_simulated

FILES = ["labels.tsv", "motifs.meme", "sequences.fa", "sequences.tsv", "task.yaml", "truth.bed"]


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("preset", PRESETS)
def test_the_files_say_what_the_data_says(tmp_path, preset):
    data = simulate(load_task(preset), n=120, seed=2)
    write_simulated(tmp_path, data)
    assert sorted(path.name for path in tmp_path.iterdir()) == FILES
    records = list(read_fasta(tmp_path / "sequences.fa"))
    assert [record.id for record in records] == data.ids
    assert [record.sequence for record in records] == codes_to_strings(data.sequences)
    labels = pd.read_csv(tmp_path / "labels.tsv", sep="\t")
    assert list(labels) == ["id", *data.classes]
    assert labels["id"].tolist() == data.ids
    assert (labels[data.classes].to_numpy() == data.labels).all()
    truth = read_truth_bed(tmp_path / "truth.bed")
    assert truth["chrom"].tolist() == [data.ids[row] for row in data.truth["sequence"]]
    for column in ("start", "end", "name", "score", "strand", "motif", "class"):
        assert truth[column].tolist() == data.truth[column].tolist()
    assert truth["score"].between(0, 1000).all()
    assert not truth.duplicated(["chrom", "name"]).any()
    found = {motif.name: motif for motif in motifs.read_motifs(tmp_path / "motifs.meme")}
    for use in data.task.motifs:
        assert (abs(found[use.motif.name].probabilities - use.motif.probabilities) < 1e-6).all()


def test_flagged_accidents_and_noise_are_in_files_of_their_own(tmp_path):
    text = (Path(__file__).parents[2] / "examples" / "tasks" / "annotated.yaml").read_text()
    (tmp_path / "task.yaml").write_text(text.replace("action: remove", "action: flag"))
    data = simulate(load_task(tmp_path / "task.yaml"), n=300)
    write_simulated(tmp_path / "out", data)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["accidental.bed", *FILES]
    accidents = [line.split("\t") for line in (tmp_path / "out" / "accidental.bed").read_text().splitlines()]
    assert len(accidents) == len(data.accidental) > 0
    assert all(len(line) == 7 and line[6] in data.task.number for line in accidents)
    described = pd.read_csv(tmp_path / "out" / "sequences.tsv", sep="\t")
    assert list(described) == ["id", "group", "class", "noisy", "gc"]
    assert described["noisy"].sum() == 6
    clean = [data.classes[row.argmax()] for row in data.clean_labels]
    assert described["class"].tolist() == clean


def test_the_command_writes_the_directory_and_says_what_is_in_it(tmp_path, capsys):
    out = tmp_path / "data"
    assert (
        main(["simulate", "--task", "spacing-grammar", "-n", "40", "--seed", "7", "--out", str(out), "--simdna"]) == 0
    )
    assert {path.name for path in out.iterdir() if not path.name.startswith(".")} == {*FILES, "sequences.simdata"}
    assert len(read_simdna(out / "sequences.simdata").ids) == 40
    said = capsys.readouterr().out
    assert "simulated 40 sequences of 200 bp with 80 motifs: arranged 20, disarranged 20" in said
    plain = yaml.safe_load((out / "task.yaml").read_text())
    assert (plain["n"], plain["seed"]) == (40, 7)


def test_the_same_seed_gives_the_same_bytes_whatever_the_process(tmp_path):
    folders = []
    for hash_seed in ("1", "2"):
        folders.append(tmp_path / hash_seed)
        command = [sys.executable, "-c", "import sys; from seqplrp.cli import main; sys.exit(main(sys.argv[1:]))"]
        arguments = ["simulate", "--task", "tal1-gata", "-n", "300", "--seed", "1", "--out", str(folders[-1])]
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        environment["PYTHONPATH"] = str(Path(__file__).parents[2])
        subprocess.run([*command, *arguments], check=True, env=environment, capture_output=True)
    assert bytes_of(folders[0]) == bytes_of(folders[1])


@pytest.mark.parametrize("task", ["decoys", str(Path(__file__).parents[2] / "examples" / "tasks" / "annotated.yaml")])
def test_the_written_task_makes_the_same_bytes(tmp_path, task):
    assert main(["simulate", "--task", task, "-n", "150", "--seed", "3", "--out", str(tmp_path / "one")]) == 0
    written = str(tmp_path / "one" / "task.yaml")
    assert main(["simulate", "--task", written, "--out", str(tmp_path / "two")]) == 0
    assert bytes_of(tmp_path / "one") == bytes_of(tmp_path / "two")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--task", "decoyz"], "error: --task: 'decoyz' is neither a preset nor a file; did you mean 'decoys'?"),
        (["--task", "decoys", "-n", "0"], "error: -n: "),
        (["--task", "decoys", "--seed", "-1"], "error: --seed: "),
        ([], "error: seqplrp simulate: --task is missing"),
        (["--task", "{bad}"], "line 3, classes: "),
        (["--task", "{alike}"], "motifs: "),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing_behind(tmp_path, capsys, arguments, said):
    (tmp_path / "bad.yaml").write_text("kind: binary\nlength: 20\nclasses: {}\nmotifs: {A: CTCF}\n")
    alike = "kind: multilabel\nlength: 99\nmotifs: {A: GABPA, B: ELF1}\nclasses: {a: A, b: B}\n"
    (tmp_path / "alike.yaml").write_text(alike)
    filled = [a.format(bad=tmp_path / "bad.yaml", alike=tmp_path / "alike.yaml") for a in arguments]
    assert main(["simulate", *filled, "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert said in error
    assert error.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alike.yaml", "bad.yaml"]


MULTILABEL = "kind: multilabel\nlength: 60\nmotifs: {A: GATA1, B: SRF}\nclasses: {a: A, b: B}\n"
UNEVEN = """
kind: multiclass
length: 60
motifs: {A: GATA1, B: SRF}
classes: {a: {and: [A, {not: B}]}, b: {and: [B, {not: A}]}}
groups:
  a: {share: 99/100, class: a, plant: {A: 1}}
  b: {share: 1/100, class: b, plant: {B: 1}}
"""
NEVER = """
kind: binary
length: 60
motifs: {A: GATA1, B: SRF}
classes: {a: A, rest: otherwise}
groups:
  one: {plant: {A: 1}}
  other: {plant: {A: 1, B: 1}}
"""


@pytest.mark.parametrize(
    ("task", "n", "said"),
    [
        ("and-pair", 1, "1 sequence, and none of class one; give -n 4 or more, so that every group of the task has"),
        (MULTILABEL, 1, r"1 sequence, and none \S+ class a or \S+ class b|1 sequence, and none .*; give -n 4 or more"),
        (UNEVEN, 20, "20 sequences, and none of class b; give -n 100 or more"),
        (NEVER, 20, "20 sequences, and none of class rest; give more, or change what the groups of the task plant"),
        ("and-pair", 4, None),
        (UNEVEN, 100, None),
        (MULTILABEL, 4, None),
    ],
)
def test_a_class_that_stays_empty_is_one_warning(tmp_path, capsys, task, n, said):
    if "\n" in task:
        (tmp_path / "task.yaml").write_text(task)
        task = str(tmp_path / "task.yaml")
    assert main(["simulate", "--task", task, "-n", str(n), "--out", str(tmp_path / "out")]) == 0
    warned = capsys.readouterr().err
    if said is None:
        assert warned == ""
    else:
        assert re.fullmatch(rf"warning: -n: .*({said}).*\n", warned), warned
    labels = pd.read_csv(tmp_path / "out" / "labels.tsv", sep="\t").drop(columns="id")
    one_sided = any(labels[name].nunique() == 1 for name in labels)
    assert one_sided == (said is not None)


def test_the_commands_help_names_the_presets_that_there_are():
    assert tuple(_PRESETS.split(", ")) == PRESETS
