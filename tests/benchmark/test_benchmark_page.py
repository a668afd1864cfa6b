"""The page of a benchmark says what its report and tables say, whatever their names hold."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from invented_runs import config_of, invented
from page_reading import read_page

from seqplrp import SeqplrpError
from seqplrp.benchmark import benchmark_page
from seqplrp.benchmark.blocks import Grid, Heading, Points, Text, as_markdown
from seqplrp.benchmark.pictures import Picture
from seqplrp.benchmark.report import report_blocks
from seqplrp.benchmark.summary import in_words, summary_rows
from seqplrp.benchmark.written_report import blocks_of
from seqplrp.evaluate import Measure
from seqplrp.plot import PageHeading, PageList, PagePicture, PageTable, PageText

DOT = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763f8ffff3f0005fe02fedccc59e7"
    "0000000049454e44ae426082"
)


def table(path, frame):
    frame.to_csv(path, sep="\t", index=False, float_format="%.6g", lineterminator="\n")


@pytest.fixture(scope="module")
def summary(tmp_path_factory):
    return invented(config_of(tmp_path_factory.mktemp("config"), "one"), {"rma": 0.2, "rra": -0.2})


@pytest.fixture
def run(tmp_path, summary):
    """A finished run's directory, without its cells."""
    folder = tmp_path / "run"
    (folder / "pictures").mkdir(parents=True)
    (folder / "pictures" / "report-ranks.png").write_bytes(DOT)
    (folder / "benchmark.json").write_text('{"format": "seqplrp-benchmark", "format_version": 1}')
    blocks = list(report_blocks(summary, [Picture("report-ranks", "Ranks <b>.", "report")]))
    (folder / "report.md").write_text(as_markdown(blocks), encoding="utf-8")
    table(folder / "summary.tsv", in_words(summary_rows(summary), summary.words))
    table(folder / "tests.tsv", in_words(summary.tests, summary.words))
    table(folder / "models.tsv", summary.models)
    return folder


def as_page(block):
    """What a block of a report is on the page."""
    match block:
        case Heading(text, level):
            return PageHeading(text, level)
        case Text(text):
            return PageText(text, warning=text.split(":")[0].isupper())
        case Points(items):
            return PageList(list(items))
        case Grid(head, rows, strong):
            strong_rows = frozenset(i for i, row in enumerate(rows) if strong and row[0] == strong)
            return PageTable(list(head), [list(row) for row in rows], strong_rows)
    raise AssertionError(block)


def test_a_report_is_read_back_block_by_block(summary, tmp_path):
    blocks = list(report_blocks(summary, []))
    found = list(blocks_of(as_markdown(blocks), tmp_path))
    assert found == [as_page(block) for block in blocks]


CELL = st.text("abc|\\*<&é 1", max_size=8).map(str.strip)


@settings(max_examples=60, deadline=None)
@given(head=st.lists(CELL, min_size=2, max_size=4), data=st.data())
def test_a_table_is_read_back_whatever_its_cells_hold(head, data):
    row = st.lists(CELL, min_size=len(head), max_size=len(head))
    rows = data.draw(st.lists(row, max_size=4))
    plain = [r for r in rows if not (r[0].startswith("**") and r[0].endswith("**"))]
    (found,) = blocks_of(as_markdown([Grid(head, plain)]), Path("nowhere"))
    assert found == PageTable(head, plain)


def test_the_page_has_the_texts_tables_and_pictures_of_the_report(run, summary):
    page = benchmark_page(run)
    assert page.title == "Motif recovery benchmark: tiny"
    pictures = [block for block in page.blocks if isinstance(block, PagePicture)]
    assert [(one.content, one.kind, one.caption) for one in pictures] == [(DOT, "image/png", "Ranks <b>.")]
    assert any(isinstance(block, PageHeading) and block.text == "Where plrp p=0.5 loses" for block in page.blocks)
    read = read_page(page.html())
    assert "Where plrp p=0.5 loses" in read.text
    (image,) = [attrs for tag, attrs in read.tags if tag == "img"]
    assert image["src"].startswith("data:image/png;base64,")
    assert image["alt"] == "Ranks <b>."
    links = [str(a.get("href", "")) for tag, a in read.tags if tag == "a"]
    assert all(link.startswith("#") for link in links)


def test_the_explorer_holds_every_mean_and_test(run, summary):
    data = read_page(benchmark_page(run).html()).data["explorer"]
    rows = summary_rows(summary)
    for key in ("task", "method", "measure"):
        assert [data["names"][key][code] for code in data["codes"][key]] == rows[key].astype(str).tolist()
    for value, mean in zip(data["numbers"]["mean"], rows["mean"], strict=True):
        assert (value is None) == (mean != mean)
        assert value is None or value == pytest.approx(mean, rel=1e-5)
    assert data["better"]["rma"] == "higher"
    assert data["labels"]["rma"] == "RMA"
    assert data["strong"] == "plrp p=0.5"


def test_measures_of_a_kind_of_input_are_called_what_they_are_and_turned_the_right_way(run):
    for file in ("summary.tsv", "tests.tsv"):
        path = run / file
        path.write_text(path.read_text().replace("\trra\t", "\tblur_rra\t"))
    unknown = benchmark_page(run)
    assert "blur_rra" not in unknown.explorer.better
    given = benchmark_page(run, measures=[Measure("blur_rra", "RRA, blurred", "lower", "of blurred images")])
    assert (given.explorer.labels["blur_rra"], given.explorer.better["blur_rra"]) == ("RRA, blurred", "lower")
    assert any("Worse: RRA, blurred than" in check.text for check in given.checks)


def test_what_is_lost_stands_on_top(run):
    checks = {check.title: check for check in benchmark_page(run).checks}
    assert checks["Models"].state == "good"
    assert "12 models: 1 task, 2 architectures. 12 were scored" in checks["Models"].text
    against = checks["plrp p=0.5 against peers"]
    assert against.state == "warn"
    assert "Worse: RRA than gxi, plrp p=0" in against.text


def test_an_unfinished_run_and_a_mixed_one_say_so_at_once(run):
    text = (run / "report.md").read_text()
    (run / "report.md").write_text(text.replace("\n\n## ", "\n\nINCOMPLETE: 3 of 12 models are finished.\n\n## ", 1))
    first = benchmark_page(run).blocks[0]
    assert isinstance(first, PageText)
    assert first.warning


def test_a_page_does_without_tables_and_pictures_that_are_not_there(run):
    for name in ("summary.tsv", "tests.tsv", "models.tsv"):
        (run / name).unlink()
    (run / "pictures" / "report-ranks.png").unlink()
    page = benchmark_page(run)
    assert page.explorer is None
    assert list(page.checks) == []
    assert "(The picture report-ranks is not there any more.)" in read_page(page.html()).text


def test_hostile_names_stay_names(run):
    name = "</script><img src=x onerror=alert(1)>"
    for file in ("report.md", "summary.tsv"):
        path = run / file
        path.write_text(path.read_text().replace("gxi", name))
    read = read_page(benchmark_page(run, title=name).html())
    assert len(read.code) == 1
    assert [a["src"][:5] for tag, a in read.tags if tag == "img"] == ["data:"]
    assert name in read.data["explorer"]["names"]["method"]
    assert name in read.text


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            lambda run: (run / "report.md").unlink(),
            r"report.md: there is no such file: .*; repeat its command with --cells 0",
        ),
        (lambda run: (run / "benchmark.json").write_text('{"format": "other"}'), "marks no benchmark of seqplrp"),
        (lambda run: (run / "benchmark.json").write_text("{"), r"benchmark.json: can't be read"),
        (lambda run: (run / "summary.tsv").write_text("a\tb\n1\t2\n"), "summary.tsv: has no column 'group'"),
        (lambda run: (run / "report.md").write_bytes(b"\xff\xfe"), "report.md: is not UTF-8"),
    ],
    ids=["unreported", "foreign", "cut", "columns", "bytes"],
)
def test_what_is_missing_or_damaged_is_named(run, change, told):
    change(run)
    with pytest.raises(SeqplrpError, match=told):
        benchmark_page(run)


def test_a_picture_is_taken_from_the_run_alone(run):
    outside = run.parent / "secret.png"
    outside.write_bytes(DOT)
    (run / "report.md").write_text("# t\n\n![x](pictures/../../secret.png)\n\n![y](pictures/..png)\n")
    assert not any(isinstance(block, PagePicture) for block in benchmark_page(run).blocks)
    json.dumps(benchmark_page(run).details)
