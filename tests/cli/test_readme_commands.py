"""The README's commands for a model of one's own do what it says."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import torch
from commandline import random_dna

import seqplrp as sp
from seqplrp.genomics import tracks, write_fasta

README = Path(__file__).parents[2] / "README.md"

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


def commands() -> list[list[str]]:
    """Return the command lines of the README's section on a model of one's own, without comments."""
    text = README.read_text(encoding="utf-8")
    (section,) = re.findall(r"## Explain your own model\n(.*?)\n## ", text, flags=re.S)
    block = "\n".join(re.findall(r"```bash\n(.*?)```", section, flags=re.S)).replace("\\\n", " ")
    return [shlex.split(line, comments=True) for line in block.splitlines() if line.strip()]


def test_each_command_for_a_model_of_ones_own_runs_and_explains_what_it_says(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for module in ("net.py", "my_package/models.py"):
        path = tmp_path / module
        path.parent.mkdir(exist_ok=True)
        path.write_text(NET)
    sequences = random_dna(3, 40)
    write_fasta("peaks.fa", [(f"s{i}", dna) for i, dna in enumerate(sequences)])
    x, control = sp.one_hot(sequences), torch.tensor([[1.0], [2.0], [3.0]])
    np.save("control.npy", control.numpy())
    monkeypatch.syspath_prepend(str(tmp_path))
    import net
    from safetensors.torch import save_file

    nets = [net.Net().eval(), net.Net().eval()]
    with torch.no_grad():
        nets[1].head.weight.mul_(-0.5)
    for name, one in (("weights", nets[0]), ("fold1", nets[0]), ("fold2", nets[1])):
        save_file(one.state_dict(), f"{name}.safetensors")
    torch.export.save(torch.export.export(nets[0], (x,)), "program.pt2")
    expected = {
        "explained": sp.explain(nets[0], x, target=3).per_base,
        "saved": sp.explain(nets[0], x, target=0).per_base,
        "mean": sp.explain(nets, x, target=0).per_base,
        "counts": sp.explain(nets[0], x, target=0).per_base,
        "nlc": sp.explain(nets[0], x, target=0).per_base,
        "beside": sp.explain(nets[0], x, target=0).per_base * control,
    }
    written = []
    for program, *arguments in commands():
        assert program == "seqplrp"
        done = run(*arguments)
        assert (done.code, done.err) == (0, ""), (arguments, done.err)
        out = arguments[arguments.index("--out") + 1]
        found = tracks.read_npz(f"{out}/relevance.npz").per_base.reshape(3, -1)
        np.testing.assert_allclose(found, expected[out], rtol=1e-4, atol=1e-7)
        written.append(out)
    assert written == list(expected)
    assert len(json.loads(Path("mean/manifest.json").read_text())["models"]) == 2
