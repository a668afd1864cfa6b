"""The package of examples/plugin, installed as a user would and used by Python and by commands."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from commandline import EXTERNAL_MODULE, refused
from offered import installed_in, offer
from safetensors.torch import save_file
from small_inputs import LENGTH, random_dna
from torch import nn

import seqplrp as sp
from seqplrp import plugins
from seqplrp.benchmark.entries import Entry
from seqplrp.benchmark.variants import Offered, read_variants
from seqplrp.cli.plugins import plugins as listed
from seqplrp.genomics import write_fasta
from seqplrp.lrp import check_handler, check_rule
from seqplrp.methods import check_method, parse_rule, resolve_method
from seqplrp.pipeline import check_format

ROOT = Path(__file__).parents[2]
PACKAGE, PAGE = ROOT / "examples" / "plugin", ROOT / "docs" / "plugins.md"
NET = (
    EXTERNAL_MODULE
    + """

from seqplrp_example.squared_relu import squared_relu


class Fused(Net):
    def forward(self, x):
        return self.head(squared_relu(self.conv(x)).mean(2))
"""
)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """Where pip installed it; the net of the tests lies beside it."""
    folder = tmp_path_factory.mktemp("plugin")
    shutil.copytree(PACKAGE, folder / "source")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    alone = ["--no-deps", "--no-build-isolation", "--no-index", "--target", str(folder / "site")]
    subprocess.run([*pip, *alone, str(folder / "source")], check=True, capture_output=True)
    (folder / "site" / "fused_net.py").write_text(NET)
    return folder / "site"


@pytest.fixture
def example(site) -> Iterator[Path]:
    with installed_in(site):
        yield site


@pytest.fixture(scope="module")
def two(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("fasta") / "two.fa"
    write_fasta(path, [(f"chr1:{100 * i}-{100 * i + LENGTH}", dna) for i, dna in enumerate(random_dna(2, LENGTH))])
    return path


def commands_of_the_page() -> dict[str, list[str]]:
    """The commands of docs/plugins.md that the installed package is used by, with what it says they print."""
    (block,) = re.findall(r"```console\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.S)
    found: dict[str, list[str]] = {}
    for line in block.splitlines():
        if line.startswith("$ "):
            found[line[2:]] = printed = []
        else:
            printed.append(line)
    return found


def test_another_process_follows_the_page_and_uses_it_by_python(site, two, tmp_path) -> None:
    (listing, shown), *explaining = commands_of_the_page().items()
    assert listing == "seqplrp plugins --check"
    asked = [shlex.split(command)[1:] for command, _ in explaining]
    code = f"""
import sys
import seqplrp as sp
from seqplrp.cli import main
from seqplrp.cli.plugins import plugins

assert main(["explain", "--help"]) == 0
assert "seqplrp_example" not in sys.modules
for asked in {asked!r}:
    assert main(asked) == 0
plugins(check=True)
from fused_net import Net
e = sp.explain(Net(), sp.one_hot(["ACGTACGTNACGT"]), target=1, method="occlusion")
print("relevance of N:", float(e.per_base[0, 8]))
"""
    (tmp_path / "net.py").write_text(EXTERNAL_MODULE)
    names: dict = {}
    exec(EXTERNAL_MODULE, names)
    save_file(names["Net"]().state_dict(), tmp_path / "weights.safetensors")
    shutil.copyfile(two, tmp_path / "peaks.fa")
    path = os.pathsep.join([str(site), str(tmp_path)])
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "\n".join(shown) in done.stdout
    assert "relevance of N: 0.0" in done.stdout
    version = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]["version"]
    whose = {"distribution": "seqplrp-example", "version": version}
    manifests = {name: json.loads((tmp_path / name / "manifest.json").read_text()) for name in ("occluded", "absolute")}
    assert manifests["occluded"]["plugins"] == [
        {"kind": "method", "name": "occlusion", **whose},
        {"kind": "format", "name": "wig", **whose},
    ]
    assert manifests["occluded"]["method"] == "Occlusion(center=None, reverse_complement=False, width=3)"
    assert manifests["absolute"]["plugins"] == [{"kind": "rule", "name": "absolute", **whose}]
    assert "'@first': Absolute(eps=1e-06)" in manifests["absolute"]["method"]
    lines = (tmp_path / "occluded" / "relevance.wig").read_text().splitlines()
    assert [line for line in lines if line.startswith("f")] == [
        f"fixedStep chrom=chr1 start={start} step=1" for start in (1, 101)
    ]
    with np.load(tmp_path / "occluded" / "relevance.npz") as arrays:
        written = [float(line) for line in lines if not line.startswith("f")]
        np.testing.assert_allclose(written, arrays["per_base"], rtol=1e-7)


def test_the_page_shows_the_package_as_it_is() -> None:
    blocks = re.findall(r'```python title="(.*?)"\n(.*?)```', PAGE.read_text(encoding="utf-8"), flags=re.S)
    assert len(blocks) == 4
    for name, text in blocks:
        code = ast.unparse(ast.parse((PACKAGE / name).read_text(encoding="utf-8")))
        shown = ast.unparse(ast.parse(text))
        assert shown in code, f"{name}: but for the module's docstring and its __future__, the same"


def test_a_manifest_names_the_handler_that_a_model_takes(example, run, two, tmp_path) -> None:
    asked = ["explain", "--model", "fused_net:Fused", "--fasta", two, "--target", "0", "--formats", "tsv"]
    assert run(*asked, "--out", tmp_path / "out").code == 0
    op = "seqplrp_example.squared_relu.default"
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["plugins"] == [
        {"kind": "handler", "name": op, "distribution": "seqplrp-example", "version": "0.1.0"}
    ]
    ledger = (tmp_path / "out" / "ledger.tsv").read_text()
    assert "squared_relu" not in ledger, "it hands on all that arrives, and needs no row"


def test_it_passes_the_checks_that_ours_pass(example) -> None:
    check_method(resolve_method("occlusion", width=4))  # the page's check is of what the names make by themselves
    check_rule(parse_rule("absolute(0.01)"))
    check_format("wig", read=read_wiggle)
    from seqplrp_example.squared_relu import squared_relu

    class Squared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.head = nn.Conv1d(4, 5, 3).double(), nn.Linear(5, 2).double()

        def forward(self, x):
            return self.head(squared_relu(self.conv(x)).mean(2))

    check_handler(Squared(), torch.randn(3, 4, 9, dtype=torch.float64))
    assert sp.Explainer(Squared(), torch.randn(1, 4, 9, dtype=torch.float64)).plugins == (
        plugins.find("handler", "seqplrp_example.squared_relu.default"),
    )


def read_wiggle(out, what):
    stretches: dict[tuple[str, int], list[float]] = {}
    for line in what.file(out, "relevance", "wig").read_text().splitlines():
        if line.startswith("fixedStep"):
            words = dict(word.split("=") for word in line.split()[1:])
            here = stretches.setdefault((words["chrom"], int(words["start"]) - 1), [])
        else:
            here.append(float(line))
    found = []
    for place in what.spool.index.in_order():
        (values,) = (
            values[place.start - start : place.end - start]
            for (contig, start), values in stretches.items()
            if contig == place.contig and start <= place.start < start + len(values)
        )
        found.append(np.array(values[::-1] if place.strand == "-" else values))
    return found


def test_occlusion_of_a_linear_model_is_each_bases_weight(example) -> None:
    weights = torch.randn(4, 12, generator=torch.Generator().manual_seed(0)).double()

    class Linear(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(48, 1).double()
            self.layer.weight.data = weights.flatten()[None].clone()

        def forward(self, x):
            return self.layer(x.flatten(1))

    x = sp.one_hot(["ACGTNACGTTGA"]).double()
    by_one = sp.explain(Linear(), x, method="occlusion")
    torch.testing.assert_close(by_one.relevance, x * weights)
    by_three = sp.explain(Linear(), x, method=resolve_method("occlusion", width=3)).per_base[0]
    own = (x * weights).sum(1)[0]
    sums = own.unfold(0, 3, 1).sum(1)  # of each window
    expected = torch.stack([sums[max(0, i - 2) : i + 1].mean() for i in range(12)])
    torch.testing.assert_close(by_three, torch.where(x.sum(1)[0] > 0, expected, 0))


def test_a_benchmark_takes_its_names_and_records_whose_they_are(example) -> None:
    def entry(value: object, path: str = "") -> Entry:
        if isinstance(value, dict):
            value = {key: entry(one, f"{path}.{key}") for key, one in value.items()}
        return Entry(value, "run.yaml", 1, path)

    asked = {
        "hiding": {"method": "occlusion", "width": 2},
        "by size": {"method": "lrp", "rule": "absolute"},
        "smooth": {"method": "smoothgrad", "over": {"method": "occlusion"}},
        "ours": {"method": "lrp"},
        "answer": {"method": "truth"},
    }
    found = {one.name: one for one in read_variants(entry(asked), None, Offered())}
    recipe = "Occlusion(center=None, reverse_complement=False, width=2) by seqplrp-example 0.1.0"
    assert found["hiding"].recipe == found["hiding"].settled == recipe
    for name in ("by size", "smooth"):
        assert found[name].recipe.endswith(" by seqplrp-example 0.1.0")
    assert found["ours"].recipe == repr(sp.LRP())
    assert found["answer"].recipe == "truth"
    with pytest.raises(
        sp.SeqplrpError, match=r"'oclusion' is not known; did you mean 'occlusion'\? use one of plrp.*truth"
    ):
        read_variants(entry({"x": {"method": "oclusion"}}), None, Offered())


def test_commands_take_its_names_with_checks_of_their_own(example, run, two, tmp_path) -> None:
    asked = ["explain", "--model", "fused_net:Net", "--fasta", two, "--target", "0", "--out", tmp_path / "out"]
    refused(run(*asked, "--method", "occlusion", "--option", "wide=3"), "--option wide: is no further setting", "width")
    refused(run(*asked, "--method", "oclusion"), "did you mean 'occlusion'")
    refused(run(*asked, "--rule", "absolute(1, 2, 3)"), "--rule: 'absolute.*does not suit the rule")
    refused(run(*asked, "--formats", "wiggle"), "'wiggle' is not known; choose from .*tsv,wig")
    assert run(*asked, "--formats", "tsv").code == 0
    done = run("export", tmp_path / "out", "--to", "wig")
    assert (done.code, done.err) == (0, "")
    assert "relevance.wig" in done.out
    assert "plugins" not in json.loads((tmp_path / "out" / "manifest.json").read_text()), "nothing of it had a part"


def test_a_run_does_not_go_on_by_another_version(site, run, two, tmp_path) -> None:
    shutil.copytree(site, tmp_path / "site")
    asked = ["explain", "--model", "fused_net:Net", "--fasta", two, "--target", "0", "--out", tmp_path / "out"]
    asked += ["--method", "occlusion", "--chunk-size", "1", "--formats", "tsv"]
    with installed_in(tmp_path / "site"):
        assert run(*asked).code == 0
        assert run(*asked, "--resume").code == 0
    (info,) = (tmp_path / "site").glob("*.dist-info")
    text = (info / "METADATA").read_text().replace("Version: 0.1.0", "Version: 0.2.0")
    (info / "METADATA").write_text(text)
    with installed_in(tmp_path / "site"):
        told = 'plugins.method occlusion was "seqplrp-example 0.1.0" and is "seqplrp-example 0.2.0"'
        assert told in run(*asked, "--resume").err


BROKEN_FORMAT = """
from pathlib import Path
from seqplrp.pipeline import Format

def fails(out, what):
    raise ZeroDivisionError("oh")

def full(out, what):
    raise OSError(28, "No space left on device")

FAILS, FULL = Format(fails), Format(full)
"""


def test_a_format_that_fails_says_whose_it_is_and_leaves_nothing(run, two, model_directory, tmp_path) -> None:
    points = {"seqplrp.formats": {"fails": "broken_format:FAILS", "full": "broken_format:FULL"}}
    offer(tmp_path / "site", "broken", points, {"broken_format": BROKEN_FORMAT})
    asked = ["explain", "--model", model_directory, "--fasta", two, "--target", "0", "--out", tmp_path / "out"]
    with installed_in(tmp_path / "site"):
        with pytest.raises(ZeroDivisionError) as error:
            run(*asked, "--formats", "npz,fails")
        assert error.value.__notes__ == ["this was the format 'fails' of the plug-in broken 1.0: tell its authors"]
        assert not (tmp_path / "out" / "relevance.npz").exists()
        done = run(*asked, "--resume", "--formats", "full")
        assert done.code == 2
        assert "no space left on device; free some space" in done.err


def test_the_list_warns_of_what_can_not_be_used_and_its_check_is_an_error(capsys, tmp_path) -> None:
    points = {"seqplrp.methods": {"gone": "not_there:X"}, "seqplrp.handlers": {"some.op.default": "handler_of_it:H"}}
    handler = "from seqplrp.lrp import Handler\nclass H(Handler):\n    pass"
    offer(tmp_path, "empty", points, {"handler_of_it": handler})
    with installed_in(tmp_path):
        listed()
        found = capsys.readouterr()
        assert [line.split("\t") for line in found.out.splitlines()] == [
            ["handler", "some.op.default", "empty 1.0", "usable"],
            ["method", "gone", "empty 1.0", "not usable"],
        ]
        assert re.fullmatch(
            r"warning: method: 'gone' of the plug-in empty 1.0 \(not_there:X\) can't be imported .*\n", found.err
        )
        with pytest.raises(sp.SeqplrpError, match="--check: 1 of 2 plug-ins can't be used as they are"):
            listed(check=True)


def test_where_nothing_is_installed_the_list_says_so(capsys, monkeypatch) -> None:
    monkeypatch.setattr(plugins, "distributions", lambda: ())
    plugins.forget()
    listed()
    plugins.forget()
    assert capsys.readouterr().out == "no installed package adds anything\n"
