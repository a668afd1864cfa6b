"""A domain that is no DNA: small images with a bar, whose direction is their class, and networks made by hand."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from matplotlib.figure import Figure
from torch import Tensor, nn

from seqplrp.benchmark import (
    LOCALISATION,
    RANDOMISATION,
    SCORED,
    SPARSITY,
    Architecture,
    BenchmarkTask,
    Candidates,
    Domain,
    Examples,
    Fact,
    ModelFinding,
    ModelProtocol,
    Network,
    Options,
    Scene,
    Source,
    Subject,
    Words,
    faithfulness_protocol,
    flat,
    robustness_protocol,
    scored_rows,
    task_head,
)
from seqplrp.evaluate import Measure, row_generators

SIZE, GREY = 8, 0.1


@dataclass(frozen=True)
class Images:
    x: Tensor
    labels: np.ndarray
    bar: np.ndarray
    dot: np.ndarray


@dataclass(frozen=True)
class BarTask(BenchmarkTask):
    n: int

    def load(self) -> Images:
        """A bar of three pixels, along a row (class 0) or a column (class 1), and a dot elsewhere, in noise."""
        rng = np.random.default_rng(self.seed)
        x = rng.uniform(0, 2 * GREY, (self.n, 1, SIZE, SIZE))
        labels = rng.integers(0, 2, self.n)
        bar, dot = (np.zeros((self.n, SIZE, SIZE), dtype=bool) for _ in range(2))
        for row, label in enumerate(labels):
            down, right = rng.integers(1, 4), rng.integers(1, SIZE - 4)
            bar[(row, down, slice(right, right + 3)) if label == 0 else (row, slice(down, down + 3), right)] = True
            dot[row, SIZE - 1, rng.integers(SIZE)] = True
        x[:, 0][bar | dot] = 1
        return Images(torch.tensor(x, dtype=torch.float32), labels, bar, dot)

    def recipe(self) -> dict[str, Any]:
        return {"kind": "bars", "n": self.n, "seed": self.seed}

    @property
    def says(self) -> str:
        return f"{self.n} images of a bar and a dot"


class Bars(nn.Module):
    """The best match of a bar along a row, and of one along a column."""

    def __init__(self) -> None:
        super().__init__()
        self.look = nn.Conv2d(1, 2, 3)
        self.head = nn.Linear(2, 2)
        row, column = torch.full((3, 3), -0.5), torch.full((3, 3), -0.5)
        row[1], column[:, 1] = 1, 1
        with torch.no_grad():
            self.look.weight.copy_(torch.stack([row, column])[:, None])
            self.look.bias.fill_(-0.5)
            self.head.weight.copy_(torch.eye(2))
            self.head.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.look(x).relu().amax(dim=(2, 3)))


@dataclass(frozen=True)
class BarNet(Architecture):
    given: bool

    @property
    def is_trained(self) -> bool:
        return not self.given

    def check(self, training: Mapping[str, Any]) -> None: ...

    def recipe(self, training: Mapping[str, Any], seed: int) -> dict[str, Any]:
        return {"architecture": "bars", "given": self.given, "seed": 0 if self.given else seed}

    def make(self, data: Images, training: Mapping[str, Any], seed: int, folder: Path) -> None:
        """Given weights leave nothing to write; "training" moves them a little, and the third seed's far."""
        if self.given:
            return
        model = Bars()
        random = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for one in model.parameters():
                one += (3 if seed == 2 else 0.01) * torch.randn(one.shape, generator=random)
            right = (model(data.x).argmax(1).numpy() == data.labels).mean()
        folder.mkdir(parents=True)
        torch.save({"state": model.state_dict(), "accuracy": float(right)}, folder / "model.pt")

    def load(self, folder: Path) -> Network:
        model = Bars()
        facts: dict[str, float] = {"parameters": sum(one.numel() for one in model.parameters())}
        if not self.given:
            kept = torch.load(folder / "model.pt", weights_only=True)
            model.load_state_dict(kept["state"])
            facts["accuracy"] = kept["accuracy"]
        return Network(model.eval(), facts)

    def trial(self) -> tuple[nn.Module, Tensor]:
        return Bars().eval(), torch.rand(2, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(0))


@dataclass(frozen=True)
class Shown(Candidates):
    x: Tensor

    def rows(self, chosen: np.ndarray) -> Shown:
        return replace(super().rows(chosen), x=self.x[torch.from_numpy(chosen)])


def drawn(data: Images, most: int, seed: int) -> Shown:
    rows = np.random.default_rng(seed).permutation(len(data.labels))[:most]
    nothing = np.zeros((len(rows), SIZE, SIZE), dtype=bool)
    head = ([f"image{row}" for row in rows], data.labels[rows].astype(np.int64))
    return Shown(*head, data.bar[rows], nothing, data.dot[rows], data.x[torch.from_numpy(rows)])


def scene(network: Network, data: Images, candidates: Shown, seed: int) -> Scene:
    with torch.no_grad():
        logits = network.module(candidates.x).double().numpy()
    status = np.where(logits.argmax(1) == candidates.targets, SCORED, "another class predicted").astype(object)
    kept, left_out = scored_rows(status)
    chosen = candidates.rows(kept)
    return Scene(network.module, chosen, chosen.x, logits[kept, chosen.targets], seed, left_out)


def grey(scene: Scene, options: Options):
    return lambda x, seed: torch.full_like(x, GREY)


def noise(scene: Scene, options: Options):
    """Another grey value at each pixel, which depends on the seed and the image alone."""

    def perturb(x: Tensor, seed: int) -> Tensor:
        values = np.stack([random.random(x.shape[1:]) for random in row_generators(x.numpy(), seed)])
        return torch.tensor(2 * GREY * values, dtype=x.dtype)

    return perturb


@dataclass(frozen=True)
class Peak:
    """Where most of the maps' relevance lies."""

    row: int
    column: int


def peaks(subject: Subject[Scene], options: Options) -> ModelFinding:
    highest = flat(subject.relevance).argmax(axis=1)
    found = [Peak(int(one) // SIZE, int(one) % SIZE) for one in highest]
    inside = flat(subject.scene.candidates.truth)[np.arange(len(highest)), highest]
    return ModelFinding({"peaks_inside": float(inside.mean())}, tuple(found))


def write_peaks(config: Any, protocol: str, finished: Any, out: Path) -> None:
    table = out / f"{protocol}_places.tsv"
    table.unlink(missing_ok=True)
    if finished is not None:
        table.write_text("".join(f"{cell.name}\n" for cell, _ in finished))


def kept_images(scene: Scene, most: int, folder: Path) -> list[dict[str, Any]]:
    """Pixels go to a file of the cell; the manifest has the rest."""
    np.save(folder / "images.npy", scene.x[:most, 0].numpy())
    return [{"id": id, "score": float(score)} for id, score in zip(scene.candidates.ids[:most], scene.scores)]


def draw_images(examples: Any, maps: Mapping[str, np.ndarray], folder: Path) -> Figure:
    pixels = np.load(folder / "images.npy")
    figure = Figure()
    axes = figure.subplots(len(examples), 1 + len(maps), squeeze=False)
    for row, example in enumerate(examples):
        axes[row, 0].imshow(pixels[row])
        axes[row, 0].set_title(example["id"])
        for column, (name, relevance) in enumerate(maps.items(), start=1):
            assert relevance[row].shape == (SIZE, SIZE)
            axes[row, column].imshow(relevance[row])
            axes[row, column].set_title(name)
    return figure


def reworded(protocol):
    """The same measures in words of images."""
    said = (("bases", "pixels"), ("base", "pixel"), ("motifs", "shapes"), ("sequence", "image"))

    def told(measure: Measure) -> Measure:
        meaning = measure.meaning
        for old, new in said:
            meaning = re.sub(rf"\b{old}\b", new, meaning)
        return replace(measure, meaning=meaning)

    return replace(protocol, measures=tuple(map(told, protocol.measures)))


TOY = Domain(
    name="bars",
    words=Words(
        title="Bars",
        command="toy",
        one="image",
        many="images",
        a="an image",
        part="pixel",
        parts="pixels",
        learned="a network whose accuracy is below the bound ({least}) did not learn",
        scored="only images are scored that are classified rightly",
    ),
    read_task=lambda name, entry: BarTask(
        *task_head(name, entry.mapping(("group", "seed", "learned", "n"), ("group", "n"))),
        entry.mapping()["n"].whole(2),
    ),
    read_architecture=lambda name, entry: BarNet(name, entry.mapping(("given",), ("given",))["given"].flag()),
    draw=drawn,
    scene=scene,
    protocols={
        "localisation": reworded(LOCALISATION),
        "sparsity": reworded(SPARSITY),
        "faithfulness": reworded(faithfulness_protocol(grey)),
        "robustness": reworded(robustness_protocol(noise)),
        "randomisation": reworded(RANDOMISATION),
    },
    model_protocols={
        "peaks": ModelProtocol(
            title="Where maps are highest",
            says="The highest pixel of each map.",
            measures=(Measure("peaks_inside", "inside", "higher", "share of peaks on the bar"),),
            shown=("peaks_inside",),
            run=peaks,
            write=write_peaks,
            paths=lambda out, protocol: (out / f"{protocol}_places.tsv",),
        )
    },
    examples=Examples("heatmaps", kept_images, draw_images, "The first images of {title}."),
    source=Source(("lrp", "methods", "evaluate", "benchmark")),
    facts=(Fact("accuracy", "accuracy", 2), Fact("parameters", "parameters")),
    learned="accuracy",
    least=0.9,
    is_seeded=False,
    shown=("auprc", "rma", "pointing", "gini", "abpc"),
)


def described(folder: Path, **changes: Any) -> Path:
    """Write a configuration, with keys changed; None takes a key away."""
    folder.mkdir(parents=True, exist_ok=True)
    content: dict[str, Any] = {
        "tasks": {"bars": {"group": "report", "n": 30, "seed": 1}, "more": {"group": "development", "n": 30}},
        "architectures": {"given": {"given": True}, "trained": {"given": False}},
        "seeds": [0, 1],
        "images": 10,
        "methods": {
            "gxi": {"method": "gradient-x-input"},
            "plrp": {"method": "plrp", "rule": "gamma", "p": [0.0, 0.5]},
            "random": {"method": "random"},
            "truth": {"method": "truth"},
        },
        "default": "plrp p=0.5",
        "peers": ["gxi", "plrp p=0"],
        "protocols": {
            "localisation": None,
            "sparsity": None,
            "faithfulness": {"draws": 1, "insertion": True, "images": 6},
            "robustness": {"draws": 1, "images": 4},
            "randomisation": {"seeds": 1, "images": 4},
            "peaks": None,
        },
        "matched_sparsity": {"to": "plrp p=0.5", "methods": ["gxi"]},
        "cost": {"images": 4, "repeats": 1},
        "pictures": {"images": 2},
        "must_hold": {"leads": [{"method": "plrp p=0.5", "over": "random", "measure": "auprc", "by": 0.1}]},
    } | changes
    path = folder / "bars.yaml"
    path.write_text(yaml.safe_dump({k: v for k, v in content.items() if v is not None}, sort_keys=False))
    return path
