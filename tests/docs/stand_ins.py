"""Small files by the names that the pages give to a reader's own."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from contextlib import redirect_stdout
from functools import cache
from io import StringIO
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import torch
from small_inputs import LENGTH, random_dna, write_small_model

import seqplrp as sp
from seqplrp.genomics import write_fasta

NET = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv1d(4, 6, 5)
        self.head = nn.Linear(6, 4)

    def forward(self, x):
        return self.head(torch.relu(self.conv(x)).mean(2))


class Profile(Net):
    def forward(self, x):
        return torch.relu(self.conv(x)), super().forward(x)


class ChannelsLast(Net):
    def forward(self, x):
        return super().forward(x.transpose(1, 2))


class Control(Net):
    def forward(self, x, control):
        return super().forward(x) * control


def counts(outputs): return outputs[1][:, 0]


build = Net
"""


def planted(n: int, word: str, *, seed: int, length: int = LENGTH) -> list[str]:
    """Return random DNA with a word in the middle."""
    at = (length - len(word)) // 2
    return [dna[:at] + word + dna[at + len(word) :] for dna in random_dna(n, length, seed)]


def peaks() -> list[str]:
    """Return the sequences of ``peaks.fa``."""
    return random_dna(3, LENGTH)


def nets() -> list[torch.nn.Module]:
    """Return the networks of ``fold1.safetensors`` and ``fold2.safetensors``; the first is ``weights.safetensors``."""
    names: dict = {}
    exec(NET, names)
    first, second = names["Net"]().eval(), names["Net"]().eval()
    with torch.no_grad():
        second.head.weight.mul_(-0.5)
    return [first, second]


def _fasta(path: Path, sequences: list[str]) -> None:
    write_fasta(path, [(f"s{i}", dna) for i, dna in enumerate(sequences)])


def _vcf(path: Path) -> None:
    other = {"A": "C", "C": "G", "G": "T", "T": "A"}
    (dna,) = _genome()
    path.write_text("".join(f"chr1\t{at}\tv{at}\t{dna[at - 1]}\t{other[dna[at - 1]]}\n" for at in (5, 100, 250)))


def _genome() -> list[str]:
    return random_dna(1, 500)


def _regions(path: Path) -> None:
    path.write_text("".join(f"chr1\t{at}\t{at + 30}\tp{at}\t0\t.\t1\t1\t1\t9\n" for at in (0, 100, 200)))


def _weights(path: Path, net: torch.nn.Module) -> None:
    from safetensors.torch import save_file

    save_file(net.state_dict(), path)


def _explained(path: Path, *options: str) -> None:
    """Explain ``peaks.fa`` by ``model``."""
    from seqplrp.cli.app import run_command

    lay(["model", "peaks.fa"], path.parent)
    inputs = ["--model", str(path.parent / "model"), "--fasta", str(path.parent / "peaks.fa"), "--target", "0"]
    with redirect_stdout(StringIO()):
        assert run_command(["explain", *inputs, "--out", str(path), *options]) == 0


def _chrombpnet(path: Path, prefix: str) -> None:
    """Write random weights in the layout of chrombpnet's Keras files, as bpnet-lite's converter reads it."""
    import h5py

    generator, filters, layers = np.random.default_rng(len(prefix)), 6, 2
    with h5py.File(path, "w") as file:
        weights = file.create_group("model_weights")

        def layer(name: str, *shape: int) -> None:
            group = weights.create_group(f"{name}/{name}")
            group["kernel:0"] = generator.normal(0, 0.1, size=shape).astype(np.float32)
            group["bias:0"] = np.zeros(shape[-1], dtype=np.float32)

        layer(f"{prefix}bpnet_1st_conv", 21, 4, filters)
        for i in range(1, layers + 1):
            layer(f"{prefix}bpnet_{i}conv", 3, filters, filters)
        heads = f"{prefix}bpnet_" if prefix else ""
        layer(f"{heads}prof_out_precrop", 75, filters, 1)
        layer(f"{heads}logcount_predictions", filters, 1)


STAND_INS: dict[str, Callable[[Path], None]] = {
    "model": write_small_model,
    "explained": _explained,
    "other-method": lambda path: _explained(path, "--method", "gradient-x-input"),
    "truth.bed": lambda path: path.write_text("".join(f"s{i}\t10\t20\tCTCF_1\t0\t+\tCTCF\tCTCF\n" for i in range(3))),
    "peaks.fa": lambda path: _fasta(path, peaks()),
    "peaks.narrowPeak": _regions,
    "hg38.fa": lambda path: write_fasta(path, [("chr1", _genome()[0])]),
    "v.vcf": _vcf,
    "net.py": lambda path: path.write_text(NET),
    "my_package/models.py": lambda path: path.write_text(NET),
    "weights.safetensors": lambda path: _weights(path, nets()[0]),
    "fold1.safetensors": lambda path: _weights(path, nets()[0]),
    "fold2.safetensors": lambda path: _weights(path, nets()[1]),
    "program.pt2": lambda path: torch.export.save(torch.export.export(nets()[0], (sp.one_hot(peaks()),)), path),
    "control.npy": lambda path: np.save(path, np.array([[1.0], [2.0], [3.0]], dtype=np.float32)),
    "USF1.train.fa": lambda path: _fasta(path, planted(120, "GTCACGTGAC", seed=1)),
    "USF1.test.fa": lambda path: write_fasta(
        path, [(f"seq_{i:05}_peak", dna) for i, dna in enumerate(planted(40, "GTCACGTGAC", seed=2))]
    ),
    "USF1.test.neg.fa": lambda path: _fasta(path, random_dna(40, LENGTH, 3)),
    "chrombpnet_nobias.h5": lambda path: _chrombpnet(path, "wo_bias_"),
    "bias_model_scaled.h5": lambda path: _chrombpnet(path, ""),
}
"""By the name of the file, or directory, that is made."""


def given(page: str) -> dict[str, Any]:
    """Return the names that a page's Python takes for a reader's own."""
    return {"model": nets()[0], "sequences": peaks()} if page == "docs/index.md" else {}


def lay(words: Iterable[str], directory: Path) -> None:
    """Put the stand-ins that words of a command or a program name into a directory, where they are not there yet.

    ``net:Net`` names ``net.py``, as ``my_package.models:build`` names ``my_package/models.py``.
    """
    for word in words:
        module, colon, _ = word.partition(":")
        name = f"{module.replace('.', '/')}.py" if colon else word
        if name in STAND_INS and not (directory / name).exists():
            made, target = _made(name), directory / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(made, target) if made.is_dir() else shutil.copyfile(made, target)


@cache
def _made(name: str) -> Path:
    path = Path(mkdtemp(prefix="seqplrp-docs-")) / Path(name).name
    STAND_INS[name](path)
    return path
