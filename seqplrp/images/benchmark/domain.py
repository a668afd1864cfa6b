"""What images bring to the benchmark: tasks with masks, networks, protocols, heat maps, words."""

from __future__ import annotations

from pathlib import Path

from seqplrp.benchmark import MODULES, BenchmarkConfig, Domain, Source, Words
from seqplrp.benchmark import read_config as read_any_config
from seqplrp.images.benchmark.heat_maps import HEAT_MAPS
from seqplrp.images.benchmark.networks import FACTS, read_architecture, read_training
from seqplrp.images.benchmark.protocols import PROTOCOLS
from seqplrp.images.benchmark.scenes import ShownImages, scene_of
from seqplrp.images.benchmark.tasks import read_task

SHOWN = ("rma", "rra", "pointing", "auroc", "gini", "abpc", "blur_abpc", "deletion_early", "randomised_spearman_abs")

SOURCE = Source(
    ("lrp", "methods", "models", "evaluate", "benchmark", "images"),
    (
        ("benchmark", MODULES),
        ("images/benchmark", ("networks", "perturbing", "protocols", "scenes", "tasks")),
    ),
)

WORDS = Words(
    title="Image benchmark",
    command="seqplrp image benchmark",
    one="image",
    many="images",
    a="an image",
    part="pixel",
    parts="pixels",
    learned=(
        "a network whose accuracy on its test images is below the task's bound ({least}) did not learn and is left out"
    ),
    scored="only images whose object is in sight are scored that the network classifies right by a score above 0",
)

IMAGES = Domain(
    name="images",
    words=WORDS,
    read_task=read_task,
    read_architecture=read_architecture,
    read_training=read_training,
    draw=ShownImages.of,
    scene=scene_of,
    protocols=PROTOCOLS,
    examples=HEAT_MAPS,
    source=SOURCE,
    facts=FACTS,
    learned="accuracy",
    least=0.9,
    is_seeded=False,
    shown=SHOWN,
    libraries=("torch", "torchvision", "numpy", "scipy", "scikit-learn", "pillow"),
    trained_by=("seqplrp", "torch", "torchvision", "numpy"),
)


def read_config(path: Path | str) -> BenchmarkConfig:
    """Read an image benchmark from YAML: the keys of `seqplrp.benchmark.read_config`.

    ``tasks`` are NAME: {group: development | report | control, kind: shapes, n, size, seed ...} (fields of
    `seqplrp.images.shapes.ShapesSettings`) or {group, kind: folder, directory, layout: ecssd | imagenet-s | masks,
    masks, labels, classes, categories, split, resize, crop}; ``architectures`` are NAME: {network, weights, size, mean,
    std} or, of slim networks that are trained on each task by each seed, NAME: {network, training}; ``training`` holds
    fields of `seqplrp.images.ImageTrainOptions`; ``protocols`` are NAME: OPTIONS, of `PROTOCOLS`.

    Raises
    ------
    SeqplrpError
        With file, line and key, for every key or value that can't be.
    """
    return read_any_config(path, IMAGES)
