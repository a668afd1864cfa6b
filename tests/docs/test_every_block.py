"""Every fenced block of README and docs is run, or checked in a way that is declared; and does what its page says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pages
import pandas as pd
import pytest
import stand_ins
import torch

import seqplrp as sp
from seqplrp.genomics import tracks
from seqplrp.pipeline import FORMATS

DOCS = pages.ROOT / "docs"


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Follow a story once, whoever asks."""
    known: dict[tuple[str, str | None], pages.Story] = {}

    def told(page: str, section: str | None = None) -> pages.Story:
        if (page, section) not in known:
            known[page, section] = pages.follow(page, section, tmp_path_factory.mktemp("story"))
        return known[page, section]

    return told


def test_every_page_is_known():
    assert "README.md" in pages.PAGES
    assert {f"docs/{path.relative_to(DOCS).as_posix()}" for path in DOCS.rglob("*.md")} < set(pages.PAGES)


@pytest.mark.parametrize(("page", "section"), pages.stories())
def test_every_block_runs_or_is_checked(told, page, section):
    assert told(page, section).failures == []


def test_no_reason_is_given_for_a_command_that_no_page_has():
    commands = [
        (page, command)
        for page in pages.PAGES
        for block in pages.blocks_of(page)
        if block.language == "bash"
        for command in pages.commands_in(block.text)
    ]
    unused = [
        reason for reason in pages.NOT_RUN if not any(p == reason[0] and c.startswith(reason[1]) for p, c in commands)
    ]
    assert unused == []


@pytest.mark.parametrize(
    ("text", "told_of"),
    [
        ("```bash\nseqplrp explain --no-such-option\n```", "no-such-option"),
        ("```bash\nseqplrp simulate --task decoys --out x -n 0\n```", "-n"),
        ("```bash\ncowsay moo\n```", "cowsay"),
        ("```bash\nmake no-such-target\n```", "no-such-target"),
        ("```bash\npip install 'seqplrp[nothing]'\n```", "nothing"),
        ("```bash\npython benchmarks/scale.py size --none 1\n```", "--none"),
        ("```bash\npython benchmarks/no_such.py\n```", "no_such.py"),
        ("```python\n1 / 0\n```", "ZeroDivisionError"),
        ("1. first\n\n    ```python\n    1 / 0\n    ```", "ZeroDivisionError"),
        ('```python title="broken.py"\ndef\n```', "broken"),
        ("```ruby\nputs 1\n```", "ruby"),
    ],
)
def test_a_block_that_does_not_work_is_found(tmp_path, monkeypatch, text, told_of):
    """The mechanism itself: a page of one broken block fails, and says where."""
    page = tmp_path / "page.md"
    page.write_text(text)
    monkeypatch.setitem(pages.__dict__, "blocks_of", lambda name, real=pages.blocks_of: real(str(page)))
    (tmp_path / "empty").mkdir()
    failures = pages.follow("docs/page.md", None, tmp_path / "empty").failures
    assert len(failures) == 1
    assert told_of in failures[0]


def test_a_command_that_is_not_run_is_parsed(tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text("```bash\nseqplrp image benchmark --config x.yaml --oout y\n```")
    monkeypatch.setitem(pages.__dict__, "blocks_of", lambda name, real=pages.blocks_of: real(str(page)))
    (failure,) = pages.follow("docs/image_networks.md", None, tmp_path).failures
    assert "--oout" in failure
    assert not list(tmp_path.glob("y*"))


def test_the_commands_for_a_model_of_ones_own_explain_what_they_say(told):
    story = told("README.md", "Explain your own model")
    first, second = stand_ins.nets()
    x, control = sp.one_hot(stand_ins.peaks()), torch.tensor([[1.0], [2.0], [3.0]])
    expected = {
        "explained": sp.explain(first, x, target=3).per_base,
        "saved": sp.explain(first, x, target=0).per_base,
        "mean": sp.explain([first, second], x, target=0).per_base,
        "counts": sp.explain(first, x, target=0).per_base,
        "nlc": sp.explain(first, x, target=0).per_base,
        "beside": sp.explain(first, x, target=0).per_base * control,
    }
    written = [arguments[arguments.index("--out") + 1] for arguments, *_ in story.commands]
    assert written == list(expected)
    assert not any(err for *_, err in story.commands)
    for out, per_base in expected.items():
        found = tracks.read_npz(story.directory / out / "relevance.npz").per_base.reshape(3, -1)
        np.testing.assert_allclose(found, per_base, rtol=1e-4, atol=1e-7)
    assert len(json.loads((story.directory / "mean" / "manifest.json").read_text())["models"]) == 2


def test_the_page_of_formats(told):
    pytest.importorskip("pyarrow")
    pytest.importorskip("zarr")
    story = told("docs/formats.md")
    explained, names = story.directory / "explained", story.names
    assert not any(err for *_, err in story.commands)
    arrays = tracks.read_npz(explained / "relevance.npz")
    np.testing.assert_array_equal(names["maps"].ravel(), arrays.per_base)
    np.testing.assert_array_equal(_in(story, lambda: names["store"]["per_base"][:].ravel()), arrays.per_base)
    # where a column of the arrays lies, though the first window was padded and regions.bed is cut
    regions, length = tracks.read_regions(explained / "regions.bed"), stand_ins.LENGTH
    assert (arrays.starts[0], regions["start"][0], regions["end"][0]) == (9 - length // 2, 0, 9 + length // 2)
    for n, start in enumerate(arrays.starts):
        for i in range(length):
            if start + i >= 0:
                (found,) = tracks.read_bigwig(explained / "relevance.bw", "chr1", start + i, start + i + 1)
                assert found == arrays.per_base[arrays.positions(n)][i]
    remarks = pd.read_csv(explained / "remarks.tsv", sep="\t")
    assert remarks["kind"].tolist() == ["padded"]


def _in(story, function):
    import contextlib

    with contextlib.chdir(story.directory):
        return function()


def test_the_page_of_formats_names_each():
    text = (DOCS / "formats.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| `([\w-]+)`", text, flags=re.M)
    assert named == list(dict.fromkeys(named))
    assert set(named) == set(FORMATS)
    for command in ("explain", "export"):
        _, words, _ = pages.run([command, "--help"])
        assert all(name in words for name in FORMATS)


def test_the_page_of_variants(told):
    story = told("docs/variants.md")
    assert not any(err for *_, err in story.commands)
    names, table = story.names, pd.read_csv(story.directory / "changes" / "variants.tsv", sep="\t")
    found = names["found"]
    assert table["id"].tolist() == ["v5", "v100", "v250"]
    assert np.abs(names["difference"]).sum() == pytest.approx(table["l1_distance"][names["i"]], rel=1e-5)
    assert found.starts.tolist() == [at - 1 - stand_ins.LENGTH // 2 for at in (5, 100, 250)]
    text = (DOCS / "variants.md").read_text(encoding="utf-8")
    patterns = [name.removesuffix("...") for name in re.findall(r"`([\w.]+)`", text)]
    assert not [column for column in table if not any(column.startswith(name) for name in patterns if name)]


def test_nothing_is_left_in_the_repository():
    """Stories are followed in directories of their own."""
    assert not [name for name in ("explained", "model", "changes") if (pages.ROOT / name).exists()]
    assert Path.cwd() != DOCS
