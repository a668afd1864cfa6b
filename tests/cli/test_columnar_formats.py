"""`--formats parquet,zarr`: what npz and the TSV tables hold, the same bytes whatever happened on the way."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import re
import signal
import sys
import time

import numpy as np
import pandas as pd
import pytest
from commandline import explain, refused, run_in_child
from small_inputs import LENGTH, random_dna

from seqplrp.cli import main
from seqplrp.genomics import tracks, write_fasta

pq = pytest.importorskip("pyarrow.parquet")
zarr = pytest.importorskip("zarr")

N = 9


def contents(out):
    """All files in these formats, those within stores, too."""
    found = {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    return {name: content for name, content in found.items() if ".zarr/" in name or name.endswith(".parquet")}


@pytest.fixture(scope="module")
def site(model_directory, tmp_path_factory):
    """What is asked, of two targets in chunks of two sequences, and a folder with what comes of it."""
    folder = tmp_path_factory.mktemp("site")
    records = [(f"chr{i % 2}:{50 * i}-{50 * i + LENGTH}", dna) for i, dna in enumerate(random_dna(N, LENGTH))]
    write_fasta(folder / "many.fa", records)
    options = ["--model", model_directory, "--fasta", folder / "many.fa", "--target", "1", "--target", "0"]
    asked = ["explain", *map(str, options), "--chunk-size", "2", "--formats", "parquet,zarr"]
    assert main([*asked, "--out", str(folder / "whole")]) == 0
    return asked, folder / "whole"


@pytest.fixture
def asked(site):
    return site[0]


@pytest.fixture
def whole(site):
    """The files of a run that nothing stopped."""
    return contents(site[1])


def test_each_target_has_what_npz_holds_and_its_name(run, asked, tmp_path):
    out = tmp_path / "out"
    assert run(*asked[:-1], "parquet,zarr,npz,h5", "--out", out).code == 0
    for target in ("GATA1", "CTCF"):
        arrays = tracks.read_npz(out / f"relevance.{target}.npz")
        table = pd.read_parquet(out / f"relevance.{target}.parquet")
        group = zarr.open_group(out / f"relevance.{target}.zarr", mode="r")
        assert table["id"].tolist() == group["id"][:].tolist() == arrays.ids.tolist()
        np.testing.assert_array_equal(np.stack(table["per_base"]).ravel(), arrays.per_base)
        np.testing.assert_array_equal(group["per_base"][:].ravel(), arrays.per_base)
        hypothetical = np.stack([np.stack(table[f"hypothetical_{base}"]) for base in "ACGT"], 1)
        np.testing.assert_array_equal(group["hypothetical"][:], hypothetical)
        np.testing.assert_array_equal(hypothetical, tracks.read_h5(out / f"relevance.{target}.h5")[1])
        manifest = json.loads((out / "manifest.json").read_text())
        told = {k.decode(): v.decode() for k, v in pq.read_schema(out / f"relevance.{target}.parquet").metadata.items()}
        assert told["seqplrp.target"] == group.attrs["seqplrp"]["target"] == target
        assert told["seqplrp.method"] == group.attrs["seqplrp"]["method"] == manifest["method"]
        assert json.loads(told["seqplrp.models"]) == group.attrs["seqplrp"]["models"] == manifest["models"]
        assert json.loads(told["seqplrp.targets"]) == ["GATA1", "CTCF"]
    assert {"pyarrow", "zarr"} <= set(manifest["versions"])


WAYS = [
    [],
    ["--reverse-complement"],
    ["--model", "mynet:Net"],
    ["--target", "mynet:first"],
    ["--method", "saliency"],
    ["--target", "predicted"],
]


@pytest.mark.parametrize("way", WAYS, ids=[" ".join(way) or "as it comes" for way in WAYS])
def test_the_tables_are_those_of_the_text_with_types(run, external, monkeypatch, way):
    module = external / "mynet.py"
    module.write_text(module.read_text() + "\n\ndef first(outputs):\n    return outputs[:, 0]\n")
    write_fasta("x.fa", [(f"s{i}", dna) for i, dna in enumerate(random_dna(3, 30) + random_dna(2, 25))])
    target = [] if "--target" in way else ["--target", "1"]
    explain(run, "out", "--model", "mynet:Net", *target, *way, "--chunk-size", "2", formats="tsv,parquet,npz")
    for name in ("summary", "ledger"):
        text = pd.read_csv(f"out/{name}.tsv", sep="\t", keep_default_na=False, na_values=[""])
        found = pq.read_table(f"out/{name}.parquet")
        assert found.column_names == list(text.columns)
        frame = found.to_pandas()
        for column in text.columns:
            types = {"target": "str" if way == ["--target", "mynet:first"] else "int"}
            typed = str(found.schema.field(column).type)
            if column in ("id", "contig", "strand", "class", "top_base", "layer", "op", "rule"):
                assert typed.startswith("dictionary<values=string"), column
            elif column in ("start", "end", "predicted", "top_position", "member"):
                assert typed == "int64", column
            elif column == "target":
                assert typed.startswith("dictionary" if types["target"] == "str" else "int64")
            else:
                assert typed == "double", column
            assert frame[column].isna().tolist() == text[column].isna().tolist(), column
            there = text[column].notna()
            assert frame[column][there].astype(object).tolist() == text[column][there].astype(object).tolist(), column
    arrays = tracks.read_npz("out/relevance.npz")
    table = pd.read_parquet("out/relevance.parquet")
    np.testing.assert_array_equal(np.concatenate(table["per_base"].tolist()), arrays.per_base)
    assert ("relevance_spread" in table) == (arrays.relevance_spread is not None) == ("--model" in way)


def test_export_writes_what_explain_would_have_written(run, asked, whole, tmp_path):
    out = tmp_path / "out"
    assert run(*asked[:-1], "npz", "--out", out).code == 0
    done = run("export", out, "--to", "parquet,zarr")
    assert (done.code, done.err) == (0, "")
    assert contents(out) == whole
    assert f"wrote {out / 'relevance.GATA1.zarr'}\n" in done.out, "a store is one thing"
    assert run("export", out, "--to", "zarr").code == 0, "a store that is there is replaced"
    assert contents(out) == whole
    assert run(*asked, "--out", out, "--overwrite").code == 0
    assert contents(out) == whole


def test_a_run_that_was_stopped_and_gone_on_with_writes_the_same_bytes(run, asked, whole, tmp_path, monkeypatch):
    from seqplrp.pipeline.session import Session

    explain_chunk, calls = Session.explain, []

    def stops(self, records, first):
        calls.append(first)
        if len(calls) > 3:
            raise KeyboardInterrupt
        return explain_chunk(self, records, first)

    with monkeypatch.context() as patch:
        patch.setattr(Session, "explain", stops)
        assert run(*asked, "--out", tmp_path / "out").code == 130
    assert contents(tmp_path / "out") == {}
    assert run(*asked, "--out", tmp_path / "out", "--resume").code == 0
    assert contents(tmp_path / "out") == whole


def test_kills_while_they_are_written_change_no_byte(asked, whole, tmp_path):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["seqplrp.cli.explain", "seqplrp.pipeline", "commandline"])
    draw, out = random.Random(2), tmp_path / "out"

    def go_on(kill_after):
        """Go on in a process of its own; kill it so long after all chunks are there. Say whether it ended itself."""
        ready = context.Event()
        child = context.Process(target=run_in_child, args=([*map(str, asked), "--out", str(out), "--resume"], ready))
        child.start()
        assert ready.wait(120)
        deadline = time.monotonic() + 120
        while kill_after is not None and len(list((out / "parts").glob("part-*"))) < -(-N // 2):
            assert time.monotonic() < deadline
            time.sleep(0.002)
        child.join(kill_after)
        if child.exitcode is None:
            os.kill(child.pid, signal.SIGKILL)
            child.join(60)
        return child.exitcode == 0

    for _ in range(2):
        go_on(draw.uniform(0, 0.4))
    assert go_on(None)
    assert contents(out) == whole


@pytest.mark.parametrize("library", ["pyarrow", "zarr"])
def test_a_library_that_is_not_installed_is_told_before_any_work(run, site, whole, tmp_path, monkeypatch, library):
    extra = {"pyarrow": "parquet", "zarr": "zarr"}[library]
    for name in [name for name in sys.modules if name.split(".")[0] == library]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    nothing = ["--model", tmp_path / "no model", "--fasta", tmp_path / "none.fa", "--out", tmp_path / "out"]
    told = rf"needs {library}, which can't be imported \(.*\); pip install 'seqplrp\[{extra}\]'"
    refused(run("explain", *nothing, "--formats", f"npz,{extra}"), f"--formats {extra}: {told}")
    refused(run("export", site[1], "--to", extra), f"--to {extra}: {told}")
    assert not (tmp_path / "out").exists()
    assert contents(site[1]) == whole


@pytest.mark.parametrize("formats", ["parquet", "zarr"])
def test_a_disk_that_fills_up_is_one_line_and_leaves_no_half_of_a_file(
    run, asked, whole, tmp_path, monkeypatch, formats
):
    def full(*given, **more):
        raise OSError(28, "No space left on device")

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        if formats == "parquet":
            patch.setattr(pq.ParquetWriter, "write_table", full)
        else:
            patch.setattr("zarr.storage._local._put", full)
        done = run(*asked, "--out", out)
    assert done.code == 2
    where = {"parquet": r"(summary|relevance\.GATA1)\.parquet", "zarr": r"relevance\.GATA1\.zarr"}[formats]
    note, error = done.err.splitlines()
    assert re.fullmatch(rf"error: {re.escape(str(out))}/{where}: no space left on device; free some .*", error)
    assert "note: 5 finished chunks are kept" in note
    assert contents(out) == {}
    assert run(*asked, "--out", out, "--resume").code == 0
    assert contents(out) == whole


def test_zarr_needs_one_length_and_says_so_before_any_work(run, external):
    write_fasta("x.fa", [("a", random_dna(1, 30)[0]), ("b", random_dna(1, 25)[0])])
    asked = ["explain", "--model", "mynet:Net", "--fasta", "x.fa", "--target", "0", "--out", "out"]
    refused(run(*asked, "--formats", "zarr"), "--formats: zarr needs records of one length, 'b' has 25 bases")
    assert not (external / "out").exists()
