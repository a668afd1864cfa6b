"""Backgrounds have the composition and the order that was asked for, before and after parts are drawn again."""

from __future__ import annotations

import gzip
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy.stats import chisquare

from seqplrp import SeqplrpError
from seqplrp.genomics import codes_to_strings, encode, read_fasta, write_fasta
from seqplrp.genomics.simulation import dump_task, load_task, parse_task, simulate
from seqplrp.genomics.simulation.backgrounds import MarkovChain, fit_background
from seqplrp.genomics.simulation.task import MarkovBackground, ShuffledBackground, UniformBackground

# A chain with a memory of two bases, far from independent.
TRUE = np.random.default_rng(3).dirichlet([0.7] * 4, size=16)


def chain_sequences(n: int, length: int, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, (n, length))
    for column in range(2, length):
        limits = TRUE[codes[:, column - 2] * 4 + codes[:, column - 1]].cumsum(axis=1)
        codes[:, column] = np.minimum((limits <= rng.random(n)[:, None]).sum(axis=1), 3)
    return codes_to_strings(codes.astype(np.uint8))


def transitions(sequences: list[str]) -> np.ndarray:
    counts = Counter(s[i : i + 3] for s in sequences for i in range(2, len(s) - 2))
    table = np.array([[[counts[a + b + c] for c in "ACGT"] for b in "ACGT"] for a in "ACGT"], dtype=float)
    return (table / table.sum(axis=2, keepdims=True)).reshape(16, 4)


def fasta(path: Path, sequences: list[str]) -> Path:
    write_fasta(path, [(f"r{i}", s) for i, s in enumerate(sequences)])
    return path


def task_text(background: object, length: int = 100, **keys: object) -> str:
    plain = {
        "kind": "binary",
        "length": length,
        "motifs": {"A": {"consensus": "GATTACAA"}},
        "classes": {"a": "A"},
        "background": background,
    }
    return yaml.safe_dump({**plain, **keys})


def test_independent_bases_have_the_gc_content_that_was_asked_for():
    codes = fit_background(UniformBackground(0.3), 50).draw(4000, np.random.default_rng(0))
    assert codes.shape == (4000, 50)
    counts = np.bincount(codes.ravel(), minlength=4)
    assert chisquare(counts, np.array([0.35, 0.15, 0.15, 0.35]) * codes.size).pvalue > 1e-4


def test_a_fitted_chain_makes_sequences_with_the_transitions_of_its_source(tmp_path):
    path = fasta(tmp_path / "source.fa", chain_sequences(400, 300))
    chain = fit_background(MarkovBackground(str(path), "", 2), 300)
    drawn = codes_to_strings(chain.draw(1500, np.random.default_rng(0)))
    assert np.abs(transitions(drawn) - TRUE).max() < 0.03
    shorter = fit_background(MarkovBackground(str(path), "", 1), 300)
    assert np.abs(transitions(codes_to_strings(shorter.draw(1500, np.random.default_rng(0)))) - TRUE).max() > 0.2


def test_what_a_chain_draws_again_follows_from_the_bases_before_it_and_the_rest_stays(tmp_path):
    path = fasta(tmp_path / "source.fa", chain_sequences(400, 300))
    chain = fit_background(MarkovBackground(str(path), "", 2), 60)
    rng = np.random.default_rng(0)
    before = chain.draw(20000, rng)
    mask = np.zeros(before.shape, dtype=bool)
    mask[:, 20:30] = True
    after = chain.redraw(before, mask, rng)
    assert (after[~mask] == before[~mask]).all()
    assert (after[:, 20:30] != before[:, 20:30]).mean() > 0.4
    inside = [s[16:30] for s in codes_to_strings(after)]
    assert np.abs(transitions(inside) - TRUE).max() < 0.05


def test_a_chain_ignores_words_with_n_and_leaves_no_base_impossible(tmp_path):
    path = fasta(tmp_path / "source.fa", ["ACACACACNNTACACAC" * 4, "NNNN", "A"])
    chain = fit_background(MarkovBackground(str(path), "", 1), 10)
    assert isinstance(chain, MarkovChain)
    table = chain.tables[1]
    assert table[0].argmax() == 1  # C behind A
    assert (table > 0).all()
    assert np.allclose(table.sum(axis=1), 1)


def test_a_chain_of_too_high_an_order_for_its_source_is_refused(tmp_path):
    path = fasta(tmp_path / "source.fa", chain_sequences(10, 100))
    with pytest.raises(SeqplrpError, match="words of 6 bases are too few for a chain of order 5") as raised:
        fit_background(MarkovBackground(str(path), "", 5), 60)
    assert raised.value.where == str(path)


def dinucleotides(sequence: str) -> Counter:
    return Counter(sequence[i : i + 2] for i in range(len(sequence) - 1))


def test_shuffled_backgrounds_have_the_dinucleotides_of_a_stretch_of_the_source(tmp_path):
    records = chain_sequences(3, 40, seed=1)
    records[1] = records[1][:18] + "N" * 5 + records[1][23:]
    path = fasta(tmp_path / "source.fa", records)
    stretches = [r[i : i + 20] for r in records for i in range(21) if "N" not in r[i : i + 20]]
    allowed = Counter((tuple(sorted(dinucleotides(s).items())), s[0], s[-1]) for s in stretches)
    drawn = codes_to_strings(fit_background(ShuffledBackground(str(path), ""), 20).draw(2000, np.random.default_rng(0)))
    seen = Counter((tuple(sorted(dinucleotides(s).items())), s[0], s[-1]) for s in drawn)
    assert set(seen) == set(allowed)
    expected = np.array([allowed[key] for key in seen]) / len(stretches) * len(drawn)
    assert chisquare(list(seen.values()), expected).pvalue > 1e-4


def test_a_shuffled_background_keeps_its_dinucleotides_when_a_part_is_drawn_again(tmp_path):
    path = fasta(tmp_path / "source.fa", chain_sequences(5, 200))
    model = fit_background(ShuffledBackground(str(path), ""), 80)
    rng = np.random.default_rng(0)
    before = model.draw(300, rng)
    mask = np.zeros(before.shape, dtype=bool)
    mask[100:200, 2:9] = True
    mask[200:, 74:80] = True
    mask[200:, 30:34] = True
    after = model.redraw(before, mask, rng)
    assert (after[:100] == before[:100]).all()
    assert (after[100:] != before[100:]).any(axis=1).mean() > 0.9
    for old, new in zip(codes_to_strings(before), codes_to_strings(after)):
        assert dinucleotides(old) == dinucleotides(new)


@pytest.mark.parametrize(
    ("records", "said"),
    [(["ACGT" * 10], "has no stretch of 60 bases without N"), (["ACGT" * 10 + "N" + "ACGT" * 10], "without N")],
)
def test_a_source_without_a_stretch_long_enough_is_refused(tmp_path, records, said):
    path = fasta(tmp_path / "source.fa", records)
    with pytest.raises(SeqplrpError, match=said):
        fit_background(ShuffledBackground(str(path), ""), 60)


@pytest.mark.parametrize("kind", ["markov", "shuffle"])
def test_a_task_on_a_users_fasta_is_repeated_from_its_written_form_until_the_file_changes(tmp_path, kind):
    source = fasta(tmp_path / "peaks.fa", chain_sequences(50, 150))
    background = {kind: "peaks.fa"} | ({"order": 2} if kind == "markov" else {})
    (tmp_path / "task.yaml").write_text(task_text(background, gc_matched=True))
    data = simulate(load_task(tmp_path / "task.yaml"), n=200, seed=4)
    (tmp_path / "elsewhere").mkdir()
    written = tmp_path / "elsewhere" / "task.yaml"
    written.write_text(dump_task(data.task))
    again = simulate(load_task(written))
    assert (again.sequences == data.sequences).all()
    assert dump_task(again.task) == written.read_text()
    source.write_text(source.read_text().replace("A", "C", 1))
    with pytest.raises(SeqplrpError, match=r"peaks\.fa is not the file that the task was written with") as raised:
        load_task(written)
    assert "background.sha256" in raised.value.where


def test_a_gzipped_source_with_ambiguous_letters_serves(tmp_path):
    path = tmp_path / "peaks.fa.gz"
    with gzip.open(path, "wt") as out:
        out.writelines(f">r{i}\n{s[:40]}R{s[41:]}\n" for i, s in enumerate(chain_sequences(20, 200)))
    data = simulate(parse_task(task_text({"shuffle": str(path)})), n=50)
    assert data.sequences.max() == 3


@pytest.mark.real_data
def test_real_peaks_serve_as_a_background_of_either_kind():
    folder = os.environ.get("SEQPLRP_REAL_DATA")
    if not folder:
        pytest.skip("SEQPLRP_REAL_DATA does not name the ChIP-seq sequences")
    path = next(Path(folder).rglob("GABPA_GM12878.test.pos.fa"), None)
    if path is None:
        pytest.skip("GABPA_GM12878.test.pos.fa is not in SEQPLRP_REAL_DATA")
    real = encode([record.sequence for record in read_fasta(path)])
    frequencies = np.bincount(real.ravel(), minlength=4)[:4] / real.size
    for background in ({"markov": str(path), "order": 3}, {"shuffle": str(path)}):
        data = simulate(parse_task(task_text(background, length=101)), n=500)
        found = np.bincount(data.sequences.ravel(), minlength=4) / data.sequences.size
        assert np.abs(found - frequencies).max() < 0.03
