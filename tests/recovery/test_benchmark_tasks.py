"""Tasks give the same data to every model, keep the test sequences apart, and know where the motifs are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from benchmark_runs import written

from seqplrp.genomics import codes_to_strings, motifs, write_fasta
from seqplrp.genomics.simulation import load_task
from seqplrp.recovery.benchmark import read_config
from seqplrp.recovery.benchmark.scenes import Candidates, Scene
from seqplrp.recovery.benchmark.tasks import ChipSeqTask, SimulatedTask


def simulated(preset: str, n: int = 300, test: int = 60) -> SimulatedTask:
    return SimulatedTask("t", "report", 5, None, load_task(preset), n, test)


def test_test_sequences_are_apart_and_do_not_depend_on_anything_but_the_task() -> None:
    first, again = simulated("single-motif").load(), simulated("single-motif").load()
    assert (first.data.codes == again.data.codes).all()
    assert (first.data.split == again.data.split).all()
    assert len(first.data.rows("test")) == 60
    seen = {row.tobytes() for row in first.data.codes[first.data.split != "test"]}
    assert not any(row.tobytes() in seen for row in first.data.codes[first.data.rows("test")])
    assert set(first.truth["chrom"]) <= {first.data.ids[row] for row in first.data.rows("test")}


def test_candidates_are_of_a_class_and_explained_for_one_of_their_own() -> None:
    task = simulated("tal1-gata").load()
    found = Candidates.of(task, 40, 5)
    assert found.labels.any(axis=1).all()
    assert (found.labels[np.arange(len(found.ids)), found.targets] == 1).all()
    several = found.labels.sum(axis=1) > 1
    assert len(set(found.targets[several])) == 3, "of several classes each is explained now and then"
    again = Candidates.of(task, 40, 5)
    assert (again.ids, again.targets.tolist()) == (found.ids, found.targets.tolist())
    assert Candidates.of(task, 10, 5).ids == found.ids[:10], "fewer are the first of more"


def test_masks_are_the_motifs_of_the_explained_class_and_the_others_are_distractors() -> None:
    task = simulated("decoys").load()
    found = Candidates.of(task, 30, 5)
    classes = task.data.classes
    for row, id in enumerate(found.ids):
        planted = task.truth[task.truth["chrom"] == id]
        own = planted[planted["motif"] == classes[found.targets[row]]]
        others = planted[planted["motif"].isin(["HNF1A", "CTCF"])]
        assert len(own) == 1
        for table, mask in ((own, found.truth), (others, found.distractor)):
            inside = np.zeros(200, dtype=bool)
            for start, end in zip(table["start"], table["end"]):
                inside[start:end] = True
            assert not (mask[row] & ~inside).any()
            assert mask[row].sum() >= 0.5 * inside.sum(), "most positions of a motif carry information"
    assert not (found.truth & found.distractor).any()
    assert not (found.truth & found.ignore).any()


class Fixed(torch.nn.Module):
    """Gives the same logits for all sequences of one base at the start."""

    def __init__(self, logits: list[list[float]]) -> None:
        super().__init__()
        self.table = torch.nn.Parameter(torch.tensor(logits))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, :, 0] @ self.table


def test_only_sequences_that_the_model_gets_right_above_zero_are_scored() -> None:
    task = simulated("decoys").load()
    found = Candidates.of(task, 60, 5)
    # by first base: the first class wins; the second; the first, below 0; all the same
    model = Fixed([[2.0, 1.0, 0.0], [0.0, 2.0, 1.0], [-1.0, -2.0, -3.0], [1.0, 1.0, 1.0]])
    scene = Scene.of(model, "multiclass", found, 0)
    first, target = found.codes[:, 0], found.targets
    right = ((first == 0) & (target == 0)) | ((first == 1) & (target == 1)) | ((first == 3) & (target == 0))
    assert scene.candidates.ids == [id for id, kept in zip(found.ids, right) if kept]
    assert scene.left_out["explained score not above 0"] == int(((first == 2) & (target == 0)).sum())
    assert len(scene) + sum(scene.left_out.values()) == 60
    assert (scene.candidates.truth == found.truth[right]).all()
    assert scene.candidates.placed["record"].max() < len(scene)
    multilabel = Scene.of(model, "multilabel", found, 0)
    assert len(multilabel) > len(scene), "with a sigmoid each, another output may be higher"


@pytest.fixture
def peaks(tmp_path):
    """Peaks with CTCF's best word at place 20, every second one on the other strand; test negatives without it."""
    rng = np.random.default_rng(0)
    word = motifs.load("CTCF").probabilities.argmax(axis=1).astype(np.uint8)

    def write(name: str, n: int, planted: bool) -> None:
        codes = rng.integers(0, 4, (n, 80), dtype=np.uint8)
        if planted:
            codes[::2, 20 : 20 + len(word)] = word
            codes[1::2, 20 : 20 + len(word)] = 3 - word[::-1]
        write_fasta(tmp_path / name, [(f"{name}{i}", s) for i, s in enumerate(codes_to_strings(codes))])

    write("F.train.pos.fa", 120, True)
    write("F.test.pos.fa", 30, True)
    write("F.test.neg.fa", 30, False)
    return tmp_path


def test_real_peaks_have_the_scans_sites_as_truth_on_test_peaks_alone(peaks) -> None:
    entry = {"group": "report", "kind": "chipseq", "directory": ".", "factor": "F", "motif": "CTCF", "p_value": "1e-5"}
    config = read_config(written(peaks, tasks={"f": {**entry, "train": 100}}))
    (task,) = config.tasks
    assert isinstance(task, ChipSeqTask)
    loaded = task.load()
    assert len(loaded.data.rows("train")) == 100
    assert len(loaded.data.rows("test")) == 60
    planted = loaded.truth[loaded.truth["start"] == 20]
    assert planted["chrom"].nunique() == 30
    assert all(id.startswith("F.test.pos.fa") for id in loaded.truth["chrom"])
    strand = planted.set_index("chrom")["strand"]
    assert (strand["F.test.pos.fa0"], strand["F.test.pos.fa1"]) == ("+", "-")
    assert len(loaded.truth) < 40, "at a false-positive rate of 1e-5 hardly anything else is a site"
    found = Candidates.of(loaded, 100, task.seed)
    assert len(found.ids) == 30
    assert (found.targets == 0).all()
    assert found.truth[:, 20:35].mean() > 0.8
    before = task.recipe()
    (peaks / "F.test.pos.fa").write_text((peaks / "F.test.pos.fa").read_text().replace("A", "C", 1))
    assert task.recipe() != before, "another file is another task"
