"""What all tests of the command line share: a way to run it, and small models and inputs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from commandline import CHUNK, EXTERNAL_MODULE, SEQUENCES
from small_inputs import LENGTH, random_dna, write_small_model

from seqplrp.cli import main
from seqplrp.genomics import write_fasta


@dataclass(frozen=True)
class Finished:
    """How a command ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Finished]


@pytest.fixture
def run(capsys) -> Run:
    """Run the command line in this process."""

    def run(*arguments: object) -> Finished:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Finished(code, captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def model_directory(tmp_path_factory) -> Path:
    """An untrained zoo model of 40 bases and two classes, as `seqplrp train` would have left it."""
    directory = tmp_path_factory.mktemp("models") / "model"
    write_small_model(directory)
    return directory


@pytest.fixture(scope="session")
def fasta(tmp_path_factory) -> Path:
    """Five records of 40 bases, each its own contig."""
    path = tmp_path_factory.mktemp("fasta") / "five.fa"
    write_fasta(path, [(f"s{i}", dna) for i, dna in enumerate(random_dna(5, LENGTH))])
    return path


@pytest.fixture(scope="session")
def many(tmp_path_factory) -> Path:
    """More records, of three contigs, than go into one chunk of the runs that are stopped and gone on with."""
    path = tmp_path_factory.mktemp("fasta") / "many.fa"
    dna = enumerate(random_dna(SEQUENCES, LENGTH))
    write_fasta(path, [(f"chr{i % 3}:{50 * i}-{50 * i + LENGTH}", text) for i, text in dna])
    return path


@pytest.fixture
def asked(model_directory, many) -> list[object]:
    """What explains them chunk by chunk, but for where to."""
    return ["explain", "--model", model_directory, "--fasta", many, "--target", "1", "--chunk-size", CHUNK]


@pytest.fixture
def external(tmp_path, monkeypatch) -> Path:
    """A directory with the module ``mynet``, which is the current directory."""
    (tmp_path / "mynet.py").write_text(EXTERNAL_MODULE)
    monkeypatch.delitem(sys.modules, "mynet", raising=False)  # another test's of this process
    monkeypatch.syspath_prepend(tmp_path)  # for tests that import it themselves: commands see to it on their own
    monkeypatch.chdir(tmp_path)
    return tmp_path
