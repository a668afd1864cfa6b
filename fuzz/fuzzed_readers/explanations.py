"""What `seqplrp explain` and `seqplrp variants` leave, and the maps and tracks of others."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import numpy as np

from fuzzed_readers.framing import framed, zipped
from fuzzed_readers.reader import Reader, Seeds, texts


@cache
def explained() -> Seeds:
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


def only(name: str) -> Seeds:
    """Return one of the files that `seqplrp explain` leaves."""
    return {"ours": explained()[name]}


def _framed(name: str) -> Seeds:
    return {"ours": framed(explained()[name])}


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


_DIRECTORY = ("relevance.npz", "regions.bed", "manifest.json", "summary.tsv")


def _beside_explanations() -> Seeds:
    return {name: explained()[name] for name in _DIRECTORY}


READERS = (
    Reader("relevance", "relevance.npz", partial(only, "relevance.npz"), _npz),
    Reader("relevance-members", "relevance.npz", partial(_framed, "relevance.npz"), _npz, encode=zipped),
    Reader("variants-members", "variants.npz", _variants, _variant_arrays, encode=zipped),
    Reader(
        "modisco-arrays",
        "modisco_sequences.npz",
        partial(_framed, "modisco_sequences.npz"),
        _modisco_arrays,
        lambda: {"modisco_attributions.npz": explained()["modisco_attributions.npz"]},
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
    Reader("part", "part-00000000.npz", partial(only, "part-00000000.npz"), _part, cost=3),
    Reader("part-members", "part-00000000.npz", partial(_framed, "part-00000000.npz"), _part, encode=zipped, cost=3),
    Reader("manifest", "manifest.json", partial(only, "manifest.json"), _explanations, _beside_explanations, cost=3),
    Reader("regions", "regions.bed", partial(only, "regions.bed"), _explanations, _beside_explanations, cost=3),
    Reader("summary", "summary.tsv", partial(only, "summary.tsv"), _explanations, _beside_explanations, cost=3),
    Reader("ledger", "ledger.tsv", _ledger, _page, _beside_explanations, cost=25),
    Reader("manifest-of-a-page", "manifest.json", partial(only, "manifest.json"), _page, _beside_explanations, cost=25),
    Reader("bedgraph", "in.bedgraph", texts(plain=b"chr1\t3\t4\t-1.5\n"), partial(_table, name="read_bedgraph")),
    Reader("chrom-sizes", "chrom.sizes", texts(plain=b"chr1\t3\nchr2\t9\n"), partial(_table, name="read_chrom_sizes")),
    Reader("bigwig", "relevance.bw", partial(only, "relevance.bw"), _bigwig, crashes=True),
    Reader("h5", "relevance.h5", partial(only, "relevance.h5"), _h5, cost=2, crashes=True),
    Reader("modisco-result", "modisco.h5", _modisco_result, _modisco, cost=4, crashes=True),
)
