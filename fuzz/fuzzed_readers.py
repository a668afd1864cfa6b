"""Every reader of files from outside: small valid files to start from, and what calls it.

The fuzzer (`fuzz.py`) and the tests (`tests/test_hostile_files.py`) share this list: a new reader is added here.
"""

from __future__ import annotations

import gzip
import io
import json
import shutil
import struct
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from seqplrp.errors import SeqplrpError

Seeds = dict[str, bytes]

_MEMBER = b"\n=====member:"


@dataclass(frozen=True)
class Reader:
    """One reader.

    Parameters
    ----------
    name : str
        What it is called on the command line.
    file : str
        What the file under attack is called.
    seeds : callable
        Gives small valid files by name.
    read : callable
        Reads a path and walks over what was read.
    beside : callable
        Gives the files that belong beside it, by name; they are written once.
    encode : callable
        Makes the file of what the fuzzer changes: checksums and lengths that it would hardly ever get right.
    names : bool
        Whether an error has to name the file (it may name another one that it leads to).
    cost : float
        Milliseconds a call, about: slow readers are tried less often in the tests.
    writes : bool
        Whether reading leaves something behind, so that every trial needs a fresh folder.
    crashes : bool
        Whether a library that is not Python ends the process on some damaged files, which no test could survive.
    """

    name: str
    file: str
    seeds: Callable[[], Seeds]
    read: Callable[[Path], object]
    beside: Callable[[], Seeds] = dict
    encode: Callable[[bytes], bytes] = bytes
    names: bool = True
    cost: float = 1.0
    writes: bool = False
    crashes: bool = False

    def prepare(self, folder: Path) -> Path:
        """Write what belongs beside the file, and return where the file goes."""
        if self.writes:
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in self.beside().items():
            place = folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
        path = folder / self.file
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def check(self, path: Path, data: bytes) -> bool:
        """Let it read what the fuzzer made, and say whether it did; an error other than ours goes through.

        Raises
        ------
        AssertionError
            If the error is not one printable line, or names no file.
        """
        path.write_bytes(self.encode(data))
        return self.told(path)

    def told(self, path: Path) -> bool:
        """Let it read what is there."""
        try:
            self.read(path)
        except SeqplrpError as error:
            text = str(error)
            assert text.isprintable(), f"not one printable line: {text!r}"
            folder = path.parents[len(Path(self.file).parts) - 1]
            assert not self.names or str(folder) in text, f"names no file: {text!r}"
            return False
        return True


def framed(archive: bytes) -> bytes:
    """Write a zip archive as plain text and bytes that can be changed without its checksums in the way."""
    with zipfile.ZipFile(io.BytesIO(archive)) as file:
        return b"".join(_MEMBER + name.encode() + b"\n" + file.read(name) for name in file.namelist())


def zipped(text: bytes) -> bytes:
    """Make a zip archive of what `framed` wrote."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for part in text.split(_MEMBER)[1:]:
            name, _, content = part.partition(b"\n")
            info = zipfile.ZipInfo(name.decode("latin-1")[:1000].replace("\0", "") or "_")
            if info.filename not in file.namelist():  # zipfile warns of those that are there twice
                file.writestr(info, content)
    return buffer.getvalue()


def headed(text: bytes) -> bytes:
    """Make a safetensors file of its header's JSON and, behind a line, its data."""
    header, _, data = text.partition(b"\n=====data\n")
    return struct.pack("<Q", len(header)) + header + data


def _split(content: bytes) -> bytes:
    (length,) = struct.unpack("<Q", content[:8])
    return content[8 : 8 + length] + b"\n=====data\n" + content[8 + length :]


def _walk(records: Iterator[Any]) -> int:
    return sum(1 for _ in records)


# --- DNA and places -------------------------------------------------------------------------------------------------

_FASTA = b">chr1:10-22(-) first\nACGTACGTNNAC\n>s2\nacgu\nACGT\n>name::chr2:0-4\nACGT\n"
_GENOME = b">chr1 x\nACGTACGTAC\nGTAC\n>chr2\nACGTACGTAC\n"
_BED = b"#c\ntrack name=x\nchr1\t2\t12\tpeak\t1e3\t+\nchr2 0 4 . . .\n"
_NARROW = b"chr1\t2\t12\tp\t900\t.\t5.5\t-1\t-1\t4\nchr2\t0\t4\tq\t0\t.\t0\t0\t0\t-1\n"
_VCF = (
    b"##fileformat=VCFv4.3\n##contig=<ID=chr1>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    b"chr1\t3\trs1\tG\tT,<DEL>,GA\t.\tPASS\t.\nchr2\t1\t.\tAC\tA\t.\t.\tX=1\n"
)
_TRUTH = b"s0\t2\t8\tm0\t0\t+\tGATA1\ton\ns1\t0\t6\tm1\t0.5\t-\t.\ton,off\n"


def _fasta(path: Path) -> None:
    from seqplrp.genomics import read_fasta

    for record in read_fasta(path):
        assert record.end - record.start == len(record.sequence) > 0


def _tiles(path: Path) -> None:
    from seqplrp.genomics import fasta_tiles

    _walk(fasta_tiles(path, window=5, stride=3, note=lambda remark: None, short="pad"))


def _genome(path: Path) -> None:
    from seqplrp.genomics import Genome

    with Genome(path) as genome:
        for name, size in genome.sizes.items():
            assert len(genome.fetch(name, 0, size)) == size


def _genome_of_index(path: Path) -> None:
    _genome(path.with_suffix(""))


@cache
def _bgzipped() -> Seeds:
    """Return a genome compressed by bgzip, with the indexes that pyfaidx makes of it."""
    import pyfaidx
    from Bio import bgzf

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "genome.fa.gz"
        with bgzf.BgzfWriter(str(path), "wb") as out:
            out.write(_GENOME)
        pyfaidx.Faidx(str(path)).close()
        return {file.name: file.read_bytes() for file in Path(folder).iterdir()}


def _regions(path: Path, form: str) -> None:
    from seqplrp.genomics import iter_regions

    for region in iter_regions(path, format=form):  # type: ignore[arg-type]
        assert 0 <= region.start < region.end


def _vcf(path: Path) -> None:
    from seqplrp.genomics import read_vcf

    for variant in read_vcf(path, note=lambda remark: None):
        assert variant.start >= 0
        assert len(variant.name) < 10_000 + len(variant.contig)


def _truth(path: Path) -> None:
    from seqplrp.genomics import read_truth_bed

    read_truth_bed(path)


# --- motifs and tasks -----------------------------------------------------------------------------------------------

_MEME = b"""MEME version 4

ALPHABET= ACGT

strands: + -

Background letter frequencies
A 0.25 C 0.25 G 0.25 T 0.25

MOTIF MA0001.1 GATA1
letter-probability matrix: alength= 4 w= 3 nsites= 20 E= 0
 0.25 0.25 0.25 0.25
 1 0 0 0
 0.7 0.1 0.1 0.1
URL http://x.org/1

MOTIF two
letter-probability matrix:
 0.5 0.5 0 0
"""
_JASPAR = b">MA0001.1 GATA1\nA [ 1 2 3 ]\nC [ 0 0 9 ]\nG [ 4 4 4 ]\nT [ 1 1 1 ]\n>m2\n1 2\n3 4\n5 6\n7 8\n"
_TASK = b"""name: spaced
description: "two motifs \\u00e9"
kind: binary
length: 60
n: 100
seed: 3
motifs:
  GATA1: GATA1
  own: {consensus: CACGTG, strands: forward}
  counted: {matrix: [[1, 0, 0, 0], [10, 10, 0, 0], [0.25, 0.25, 0.25, 0.25]], nsites: 20}
  file: {file: motifs.meme, name: two}
background: {gc: 0.41}
classes:
  on: {pair: [GATA1, own], spacing: 3-8, orientation: same}
  off: otherwise
decoys: {counted: 0-2}
position: {centre: 30, sd: 20}
accidental: {action: remove, p_value: 1e-4}
min_spacing: 1
label_noise: 1/10
"""
_GROUPS = b"""kind: multilabel
length: 50
motifs: &m
  A: {consensus: CACGTG}
  B: {consensus: TGACTCA}
classes: {one: A, two: {and: [B, {not: {count: A, at_least: 2}}]}}
groups:
  both: {share: 1/2, class: [one, two], plant: {A: 1, B: {count: 1, position: uniform}}}
  none: {share: 0.5, pairs: [{pair: [A, A], spacing: 2, count: 1}]}
background: {markov: genome.fa, order: 1}
"""
_SIMDNA = b"seqName\tsequence\tembeddings\ton\ns0\tACGTACGTGATAAG\tpos-8_GATA1-GATAAG\t1\ns1\tACGTNACG\t\t0\n"


def _motifs(path: Path) -> None:
    from seqplrp.genomics.motifs import read_motifs

    for motif in read_motifs(path, pseudocount=0.1):
        assert np.allclose(motif.probabilities.sum(axis=1), 1)
        motif.log_odds()


def _task(path: Path) -> None:
    from seqplrp.genomics.simulation import dump_task, load_task, parse_task

    task = load_task(path)
    written = dump_task(task).encode().decode()
    assert parse_task(written, folder=path.parent) == task


def _simdna(path: Path) -> None:
    from seqplrp.genomics.simulation import read_simdna

    read_simdna(path)


# --- models ---------------------------------------------------------------------------------------------------------


@cache
def _model() -> Seeds:
    from dataclasses import asdict

    import torch

    from seqplrp.models import ModelConfig, build_model, save_model

    options = {"filters": (2, 2, 2), "kernels": (3, 3, 3), "dense": 3}
    with torch.random.fork_rng(devices=[]):
        model = build_model("basset-small", length=80, n_outputs=2, **options)
    config = ModelConfig("basset-small", asdict(model.options), 80, False, 2, ["on", "off"], "multilabel")
    with tempfile.TemporaryDirectory() as folder:
        save_model(model, Path(folder), config)
        return {file.name: file.read_bytes() for file in Path(folder).iterdir()}


def _of_model(file: str) -> Seeds:
    return {"ours": _model()[file]}


def _model_beside(file: str) -> Seeds:
    return {file: _model()[file]}


def _model_directory(path: Path) -> None:
    from seqplrp.models import load_model

    load_model(path.parent)


@cache
def _torch_file() -> Seeds:
    import torch

    weights = {"conv.weight": torch.zeros(2, 4, 3), "conv.bias": torch.ones(2)}
    found = {}
    for name, content, new in (
        ("plain", weights, True),
        ("nested", {"state_dict": weights}, True),
        ("old", weights, False),
    ):
        buffer = io.BytesIO()
        torch.save(content, buffer, _use_new_zipfile_serialization=new)
        found[name] = buffer.getvalue()
    return found


def _weights(path: Path) -> None:
    from seqplrp.models.external import _read_weights

    _read_weights(path, False)


@cache
def _program_file() -> Seeds:
    import torch
    from torch import nn

    with torch.random.fork_rng(devices=[]):
        net = nn.Sequential(nn.Conv1d(4, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2)).eval()
    program = torch.export.export(net, (torch.zeros(2, 4, 10),), dynamic_shapes=({0: torch.export.Dim.AUTO},))
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    return {"free": buffer.getvalue()}


def _program(path: Path) -> None:
    from seqplrp.models import load_program

    load_program(path)


# --- labels, tables, arrays -----------------------------------------------------------------------------------------

_LABELS = b"id\tsplit\tclass\ns0\ttrain\tpos\ns1\ttest\tneg\n"
_COLUMNS = b"id\ton\toff\ns0\t1\t0\ns1\t0\t1\n"


def _labels(path: Path) -> None:
    from seqplrp.recovery import read_labels

    read_labels(path)


def _labelled(path: Path) -> None:
    from seqplrp.models import ReadOptions, read_labelled_directory

    read_labelled_directory(path.parent, options=ReadOptions(validation_fraction=0.2, test_fraction=0.2))


def _many_labels() -> Seeds:
    names = [f"s{i}" for i in range(20)]
    rows = "".join(f"{name}\t{i % 2}\n" for i, name in enumerate(names))
    return {"binary": f"id\tclass\n{rows}".encode(), "columns": f"id\ton\n{rows}".encode()}


def _many_sequences() -> Seeds:
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(list("ACGT"), 12)) for _ in range(20)]
    return {"sequences.fa": "".join(f">s{i}\n{text}\n" for i, text in enumerate(texts)).encode()}


@cache
def _run() -> Seeds:
    """Return what `seqplrp explain` leaves, of two records."""
    from seqplrp.genomics import Record, tracks

    records = [Record("s0", "ACGTACGTAC", "chr1", 3, 13), Record("s1", "NNGTACGTAC", "s1", 0, 10)]
    values = [np.linspace(-1, 1, 10, dtype=np.float32)] * 2
    contributions = [np.tile(values[0], (4, 1))] * 2
    found: Seeds = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        part = folder / "part-00000000.npz"
        texts = {"summary.tsv": b"id\ttarget\tclass\toutput\ns0\t0\ton\t1.5\n", "ledger.tsv": b"id\tx\n"}
        about = {"largest_batch": 2, "sequences": 2, "bases": 20}
        tracks.write_explained(part, records, [tracks.Explained(values, contributions)], texts=texts, about=about)
        with tracks.joined_parts([part], folder / "index") as (spool,):
            tracks.write_npz(folder / "relevance.npz", spool)
            tracks.write_regions(folder / "regions.bed", spool)
            tracks.write_chrom_sizes(folder / "chrom.sizes", spool)
            tracks.write_bigwig(folder / "relevance.bw", spool)
            tracks.write_h5(folder / "relevance.h5", spool)
            tracks.write_modisco(folder / "modisco_sequences.npz", folder / "modisco_attributions.npz", spool)
        (folder / "index").unlink()
        (folder / "summary.tsv").write_bytes(
            b"id\ttarget\tclass\toutput\tpredicted\ns0\t0\ton\t1.5\t0\ns1\t0\ton\t-1\t1\n"
        )
        manifest = {
            "outputs": ["on"],
            "pruned": True,
            "command": "explain",
            "versions": {"seqplrp": "0"},
            "models": [{"name": "model"}],
            "method": "PLRP()",
            "arguments": {"method": "plrp", "p": 0.5, "rule": ["gamma"]},
            "parts": 1,
        }
        (folder / "manifest.json").write_text(json.dumps(manifest))
        for file in folder.iterdir():
            found[file.name] = file.read_bytes()
    return found


def _only(name: str) -> Seeds:
    return {"ours": _run()[name]}


def _framed(name: str) -> Seeds:
    return {"ours": framed(_run()[name])}


def _explanations(path: Path) -> None:
    from seqplrp.recovery import read_explanations

    found = read_explanations(path.parent)
    if found.summary is not None:
        assert len(found.outputs) == len(found.classes) == len(found.missed) == len(found)


def _page(path: Path) -> None:
    from seqplrp.recovery import MarkOptions, tracks_page

    tracks_page([path.parent], marks=MarkOptions(seqlets=False)).html()


def _ledger() -> Seeds:
    head = "id layer op rule relevance_out relevance_in bias stabiliser fixed_inputs residue unexplained size size_in"
    head += " scale pruned lambda lambda_pos lambda_neg kept_share kept_mass guarded strand"
    rows = [
        [name, layer, "linear", "Gamma()", "1", "0.5", "0.5", "1e-9", "", "", "1e-9", "1", *[""] * 9, strand]
        for name in ("s0", "s1")
        for strand in "+-"
        for layer in ("head", "conv")
    ]
    return {"ours": "\n".join("\t".join(row) for row in [head.split(), *rows]).encode() + b"\n"}


def _npz(path: Path) -> None:
    from seqplrp.genomics.tracks import read_npz

    arrays = read_npz(path)
    for index in range(len(arrays)):
        arrays.per_base[arrays.positions(index)]


@cache
def _variants() -> Seeds:
    codes, relevance = np.tile(np.arange(5, dtype=np.uint8), (2, 1)), np.ones((2, 1, 5), np.float32)
    both = {f"{name}_{allele}": values for allele in ("reference", "alternative") for name, values in (
        ("codes", codes), ("relevance", relevance), ("hypothetical", np.ones((2, 1, 4, 5), np.float32)))}  # fmt: skip
    buffer = io.BytesIO()
    np.savez(
        buffer,
        targets=np.array(["on"]),
        ids=np.array(["chr1:3:G:T", "chr1:9:A:AC"]),
        contigs=np.array(["chr1", "chr1"]),
        starts=np.array([0, 6]),
        alignment=np.array([[0, 0], [1, 1], [0, -1], [-1, 0]], np.int32),
        alignment_ends=np.array([2, 4]),
        **both,
    )
    return {"ours": framed(buffer.getvalue())}


def _variant_arrays(path: Path) -> None:
    from seqplrp.genomics.tracks import read_variants

    arrays = read_variants(path)
    for index in range(len(arrays)):
        arrays.aligned(index)


def _modisco_arrays(path: Path) -> None:
    from seqplrp.recovery import read_modisco_input

    read_modisco_input(path, path.with_name("modisco_attributions.npz"))


def _further(path: Path) -> None:
    from seqplrp.pipeline import read_further

    for one in read_further([path], 3):
        one.rows([0, 2])


def _numpy(save: Callable[..., None]) -> Seeds:
    found = {}
    for name, values in (("floats", np.ones((3, 2), np.float32)), ("whole", np.arange(3)), ("one", np.zeros((1, 4)))):
        buffer = io.BytesIO()
        save(buffer, values)
        found[name] = buffer.getvalue()
    return found


def _part(path: Path) -> None:
    from seqplrp.genomics.tracks import joined_parts, open_part

    part = open_part(path, verify=True)
    assert all(len(place) >= 0 for place in part.records)
    part.text("summary.tsv")
    with tempfile.TemporaryDirectory() as folder, joined_parts([path], Path(folder) / "index") as spools:
        for spool in spools:
            spool.per_base.read(0, spool.total)


def _h5(path: Path) -> None:
    from seqplrp.genomics.tracks import read_h5

    read_h5(path)


@cache
def _modisco_result() -> Seeds:
    import h5py

    buffer = io.BytesIO()
    rng = np.random.default_rng(0)
    with h5py.File(buffer, "w") as file:
        group = file.create_group("pos_patterns/pattern_0")
        letters = np.eye(4)[rng.integers(0, 4, 8)][None].repeat(5, 0)
        group["contrib_scores"] = letters.mean(0)
        group["seqlets/sequence"], group["seqlets/contrib_scores"] = letters, letters
        for name, values in (("start", 3), ("end", 11), ("example_idx", 0)):
            group[f"seqlets/{name}"] = np.full(5, values)
        group["seqlets/is_revcomp"] = np.zeros(5, bool)
    return {"ours": buffer.getvalue()}


def _modisco(path: Path) -> None:
    from seqplrp.recovery import read_modisco

    read_modisco(path)


def _bigwig(path: Path) -> None:
    from seqplrp.genomics.tracks import read_bigwig

    read_bigwig(path, "chr1", 0, 13)


def _table(path: Path, name: str) -> None:
    from seqplrp.genomics import tracks

    getattr(tracks, name)(path)


# --- runs and benchmarks --------------------------------------------------------------------------------------------


def _exported(path: Path) -> None:
    from seqplrp.pipeline import export

    export(path.parent, ("bedgraph",))


def _marker(path: Path) -> None:
    from seqplrp.storage import output_directory

    with output_directory(path.parent, command="explain", overwrite=True) as stage:
        (stage / "x").write_text("")


def _run_file(path: Path) -> None:
    from seqplrp.storage import RunDirectory

    with RunDirectory(path.parents[1], "explain", resume=True).opened({"input": "x", "parts": [1, {"a": None}]}):
        pass


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


_DIRECTORY = ("relevance.npz", "regions.bed", "manifest.json", "summary.tsv")


def _beside_explanations() -> Seeds:
    return {name: _run()[name] for name in _DIRECTORY}


def _finished_run() -> Seeds:
    names = ("manifest.json", "part-00000000.npz")
    return {f"parts/{name}" if name.startswith("part-") else name: _run()[name] for name in names}


# --- images -------------------------------------------------------------------------------------------------------


@cache
def _images() -> Seeds:
    from PIL import Image

    rng = np.random.default_rng(0)
    colours = Image.fromarray(rng.integers(0, 256, (8, 9, 3), dtype=np.uint8))
    alpha = Image.fromarray(rng.integers(0, 256, (8, 9, 4), dtype=np.uint8))
    turned = Image.Exif()
    turned[0x0112] = 6
    kinds: dict[str, tuple[Image.Image, dict[str, Any]]] = {
        "png": (colours, {}),
        "jpeg": (colours, {"exif": turned}),
        "gif": (colours, {}),
        "tiff": (colours, {}),
        "webp": (alpha, {"lossless": True}),
        "palette": (colours.quantize(7), {"format": "png", "transparency": 2}),
        "deep": (Image.fromarray(rng.integers(0, 65536, (8, 9), dtype=np.uint16)), {"format": "png"}),
    }
    return {name: _saved(image, **{"format": name, **options}) for name, (image, options) in kinds.items()}


def _saved(image: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, **options)
    return buffer.getvalue()


@cache
def _masks() -> Seeds:
    from PIL import Image

    white = Image.fromarray((np.arange(72).reshape(8, 9) % 5 == 0).astype(np.uint8) * np.uint8(255))
    return {"grey": _saved(white, format="png"), "bits": _saved(white.convert("1"), format="png")}


@cache
def _numbered_masks() -> Seeds:
    from PIL import Image

    numbers = np.arange(72).reshape(8, 9) % 5 * 250
    rgb = np.dstack([numbers % 256, numbers // 256, 0 * numbers]).astype(np.uint8)
    return {"rgb": _saved(Image.fromarray(rgb), format="png")}


def _image(path: Path) -> None:
    from seqplrp.images import open_image

    open_image(path)


def _mask(path: Path, identifier: int | None = None) -> None:
    from seqplrp.images import open_mask

    open_mask(path, identifier=identifier)


def _classes(path: Path) -> None:
    from seqplrp.images import read_classes

    read_classes(path)


def _image_labels(path: Path) -> None:
    from seqplrp.images import read_ecssd

    read_ecssd(path.parent, split="test", classes=("ring", "star"))


def _labelled_images() -> Seeds:
    image, mask = _images()["png"], _masks()["grey"]
    files = {}
    for name in ("a", "b"):
        files |= {f"images/{name}.png": image, f"ground_truth_mask/{name}.png": mask}
    return files


@cache
def _saved_network() -> Seeds:
    import torch
    from safetensors.torch import save

    from seqplrp.images import Preprocessing
    from seqplrp.images.weights import described

    beside = described("resnet18", "random", Preprocessing(None, 64), ("ring", "star"))
    return {"ours": _split(save({"fc.bias": torch.zeros(2)}, metadata=beside))}


def _network(path: Path) -> None:
    from seqplrp.images.weights import told_by

    told_by(path)


def _gzipped(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


def _texts(**seeds: bytes) -> Callable[[], Seeds]:
    return partial(dict, seeds)


_ALL = (
    Reader("fasta", "in.fa", _texts(plain=_FASTA, zipped=_gzipped(_FASTA)), _fasta),
    Reader("tiles", "in.fa", _texts(plain=_FASTA), _tiles),
    Reader("genome", "genome.fa", _texts(plain=_GENOME), _genome, cost=3),
    Reader(
        "genome-index",
        "genome.fa.fai",
        _texts(plain=b"chr1\t14\t8\t10\t11\nchr2\t10\t30\t10\t11\n"),
        _genome_of_index,
        lambda: {"genome.fa": _GENOME},
        cost=3,
        names=False,
    ),
    Reader(
        "genome-bgzip",
        "genome.fa.gz",
        lambda: {"plain": _bgzipped()["genome.fa.gz"]},
        _genome,
        cost=3,
        writes=True,
    ),
    Reader(
        "genome-bgzip-index",
        "genome.fa.gz.gzi",
        lambda: {"plain": _bgzipped()["genome.fa.gz.gzi"]},
        _genome_of_index,
        lambda: {name: content for name, content in _bgzipped().items() if not name.endswith(".gzi")},
        cost=3,
        names=False,
    ),
    Reader("bed", "in.bed", _texts(plain=_BED, zipped=_gzipped(_BED)), partial(_regions, form="bed")),
    Reader("narrowpeak", "in.narrowPeak", _texts(plain=_NARROW), partial(_regions, form="auto")),
    Reader("vcf", "in.vcf", _texts(plain=_VCF, zipped=_gzipped(_VCF)), _vcf),
    Reader("truth", "truth.bed", _texts(plain=_TRUTH), _truth),
    Reader("motifs", "motifs.txt", _texts(meme=_MEME, jaspar=_JASPAR, zipped=_gzipped(_MEME)), _motifs),
    Reader(
        "task",
        "task.yaml",
        _texts(pair=_TASK, groups=_GROUPS),
        _task,
        lambda: {"motifs.meme": _MEME, "genome.fa": _GENOME},
        names=False,
        cost=25,
    ),
    Reader("simdna", "in.simdata", _texts(plain=_SIMDNA), _simdna),
    Reader(
        "model-config",
        "config.json",
        partial(_of_model, "config.json"),
        _model_directory,
        partial(_model_beside, "model.safetensors"),
        cost=3,
    ),
    Reader(
        "model-weights",
        "model.safetensors",
        partial(_of_model, "model.safetensors"),
        _model_directory,
        partial(_model_beside, "config.json"),
        cost=3,
    ),
    Reader(
        "model-weights-header",
        "model.safetensors",
        lambda: {"ours": _split(_model()["model.safetensors"])},
        _model_directory,
        partial(_model_beside, "config.json"),
        headed,
        cost=3,
    ),
    Reader("state-dict", "weights.pt", _torch_file, _weights),
    Reader(
        "state-dict-members",
        "weights.pt",
        lambda: {name: framed(content) for name, content in _torch_file().items() if name != "old"},
        _weights,
        encode=zipped,
    ),
    Reader("program", "model.pt2", _program_file, _program, cost=60),
    Reader(
        "program-members",
        "model.pt2",
        lambda: {name: framed(content) for name, content in _program_file().items()},
        _program,
        encode=zipped,
        cost=60,
    ),
    Reader("labels", "labels.tsv", _texts(names=_LABELS, columns=_COLUMNS), _labels),
    Reader("labelled-directory", "labels.tsv", _many_labels, _labelled, _many_sequences, names=False, cost=5),
    Reader("relevance", "relevance.npz", partial(_only, "relevance.npz"), _npz),
    Reader("relevance-members", "relevance.npz", partial(_framed, "relevance.npz"), _npz, encode=zipped),
    Reader("variants-members", "variants.npz", _variants, _variant_arrays, encode=zipped),
    Reader(
        "modisco-arrays",
        "modisco_sequences.npz",
        partial(_framed, "modisco_sequences.npz"),
        _modisco_arrays,
        lambda: {"modisco_attributions.npz": _run()["modisco_attributions.npz"]},
        zipped,
        names=False,
    ),
    Reader("further-npy", "control.npy", partial(_numpy, np.save), _further),
    Reader(
        "further-npz",
        "control.npz",
        lambda: {name: framed(content) for name, content in _numpy(np.savez).items()},
        _further,
        encode=zipped,
    ),
    Reader("part", "part-00000000.npz", partial(_only, "part-00000000.npz"), _part, cost=3),
    Reader("part-members", "part-00000000.npz", partial(_framed, "part-00000000.npz"), _part, encode=zipped, cost=3),
    Reader(
        "run-file",
        "parts/run.json",
        lambda: {"ours": b'{"input": "x", "parts": [1, {"a": null}]}'},
        _run_file,
        writes=True,
    ),
    Reader(
        "list-of-files",
        "out/.seqplrp.json",
        lambda: {"ours": b'{"seqplrp": "0", "command": "explain", "files": ["x"]}'},
        _marker,
        lambda: {"out/x": b""},
        cost=2,
        writes=True,
    ),
    Reader("manifest", "manifest.json", partial(_only, "manifest.json"), _explanations, _beside_explanations, cost=3),
    Reader(
        "manifest-of-parts",
        "manifest.json",
        partial(_only, "manifest.json"),
        _exported,
        _finished_run,
        cost=15,
        writes=True,
    ),
    Reader("regions", "regions.bed", partial(_only, "regions.bed"), _explanations, _beside_explanations, cost=3),
    Reader("summary", "summary.tsv", partial(_only, "summary.tsv"), _explanations, _beside_explanations, cost=3),
    Reader("ledger", "ledger.tsv", _ledger, _page, _beside_explanations, cost=25),
    Reader(
        "manifest-of-a-page", "manifest.json", partial(_only, "manifest.json"), _page, _beside_explanations, cost=25
    ),
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
    Reader("bedgraph", "in.bedgraph", _texts(plain=b"chr1\t3\t4\t-1.5\n"), partial(_table, name="read_bedgraph")),
    Reader("chrom-sizes", "chrom.sizes", _texts(plain=b"chr1\t3\nchr2\t9\n"), partial(_table, name="read_chrom_sizes")),
    Reader("bigwig", "relevance.bw", partial(_only, "relevance.bw"), _bigwig, crashes=True),
    Reader("h5", "relevance.h5", partial(_only, "relevance.h5"), _h5, cost=2, crashes=True),
    Reader("modisco-result", "modisco.h5", _modisco_result, _modisco, cost=4, crashes=True),
    Reader("image", "in.png", _images, _image),
    Reader("mask", "mask.png", _masks, _mask),
    Reader("mask-of-numbers", "mask.png", _numbered_masks, partial(_mask, identifier=3)),
    Reader(
        "image-classes",
        "classes.txt",
        _texts(
            names=b"ring\nstar\n",
            numbers=b"ring\t3\nstar\t0\n",
            ids=b"n01440764 tench, Tinca tinca\nn01443537 goldfish\n",
            listed=b'["ring", "star"]',
            table=b'{"0": ["n01440764", "tench"], "1": ["n01443537", "goldfish"]}',
        ),
        _classes,
    ),
    Reader(
        "image-labels",
        "labels.tsv",
        _texts(plain=b"id\tsplit\tclass\na\ttest\tstar\nb.png\ttrain\tring\n"),
        _image_labels,
        _labelled_images,
        cost=2,
    ),
    Reader("saved-network-header", "net.safetensors", _saved_network, _network, encode=headed),
    Reader(
        "benchmark",
        "benchmark.yaml",
        _texts(small=_BENCHMARK),
        _benchmark,
        lambda: {"task.yaml": _GROUPS, "genome.fa": _GENOME},
        names=False,
        cost=40,
    ),
)

READERS: Mapping[str, Reader] = {reader.name: reader for reader in _ALL}
"""All readers by name."""
