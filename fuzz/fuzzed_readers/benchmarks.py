"""Configurations of benchmarks, and the tables and reports that they leave."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from fuzzed_readers.reader import Reader, Seeds, texts
from fuzzed_readers.sequences import GENOME
from fuzzed_readers.tasks import GROUPS

_BENCHMARK = b"""name: small
description: "short"
tasks:
  decoys: {group: development, task: decoys, n: 600, test: 30, seed: 1}
  own: {group: report, task: task.yaml, n: 600, test: 30, learned: 0.7}
architectures:
  basset-small: {options: {filters: [8, 8, 8]}, training: {epochs: 3}}
seeds: [0, 1]
training: {epochs: 2, learning_rate: 1e-3}
learned: 0.9
sequences: 100
common: {center: composition}
methods:
  gxi: {method: gradient-x-input}
  plrp: {method: plrp, rule: gamma, p: [0.0, 0.5]}
  by-layer: {method: lrp, rule: {"conv*": epsilon, "*": gamma(0.25)}}
  smooth: {method: smoothgrad, over: {method: saliency}, draws: 3, center: none}
  truth: {method: truth}
default: plrp p=0.5
peers: [gxi, plrp p=0]
comparisons: {by-layer: [gxi]}
protocols:
  localisation:
  causal: {sequences: 20, draws: 10, null_windows: 100, methods: [plrp]}
matched_sparsity: {to: plrp p=0.5, methods: [gxi]}
must_hold: {p: 0.01, better_in: [rma]}
cost: {sequences: 16, repeats: 3}
pictures: {sequences: 2, methods: [plrp p=0.5]}
"""


def _benchmark(path: Path) -> None:
    from seqplrp.recovery.benchmark import read_config

    read_config(path)


_BENCHMARK_RUN = {
    "benchmark.json": b'{"format": "seqplrp-benchmark", "format_version": 1}',
    "report.md": b"# Benchmark: x\n\nWhy.\n\nINCOMPLETE: 1 of 2.\n\n## Means\n\n| method | RMA |\n| --- | --- |\n"
    b"| **a\\|b** | *1* |\n\n### Pictures\n\n- one\n- `two`\n\n![dots](pictures/dots.png)\n\ndots\n",
    "summary.tsv": b"group\ttask\tarchitecture\tmethod\tmeasure\tmean\tlow\thigh\ttested\tverdict\n"
    b"report\tall\tall\ta\trma\t0.5\t0.4\t0.6\t\t\nreport\tall\tall\tb\trma\t0.4\t\t\ta\tbetter\n",
    "tests.tsv": b"group\ttask\tarchitecture\tmethod\tmeasure\treference\tother\tverdict\n"
    b"report\tall\tall\ta\trma\ta\tb\tworse\n",
    "models.tsv": b"task\tarchitecture\tstatus\none\tsmall\tscored\n",
}


def _benchmark_page(path: Path) -> None:
    from seqplrp.benchmark import benchmark_page

    benchmark_page(path.parent).html()


def _of_benchmark(name: str) -> Seeds:
    return {"ours": _BENCHMARK_RUN[name]}


def _beside_benchmark(name: str) -> Seeds:
    return {other: content for other, content in _BENCHMARK_RUN.items() if other != name}


READERS = (
    *(
        Reader(
            f"benchmark-{name}",
            name,
            partial(_of_benchmark, name),
            _benchmark_page,
            partial(_beside_benchmark, name),
            cost=20,
        )
        for name in _BENCHMARK_RUN
    ),
    Reader(
        "benchmark",
        "benchmark.yaml",
        texts(small=_BENCHMARK),
        _benchmark,
        lambda: {"task.yaml": GROUPS, "genome.fa": GENOME},
        names=False,
        cost=40,
    ),
)
