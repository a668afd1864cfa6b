"""The page of tables in a real browser: sorted as numbers, narrowed, unfolded; every mean where one looks for it."""

from __future__ import annotations

import pytest
from browsing import Watched, opened

from seqplrp.plot import Explorer, PageCheck, PageHeading, PageList, PagePicture, PageTable, PageText, TablesPage

HOSTILE = "</td><img src=x onerror=window.broken=1>"
DOT = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763f8ffff3f0005fe02fedccc59e7"
    "0000000049454e44ae426082"
)
NONE = float("nan")
ROWS = [
    ["a", "0.861 [0.837, 0.883]", "< 1e-4"],
    [HOSTILE, "*10.5*", "0.03"],
    ["c", "", "1e-3"],
    ["d", "\u22122", "0.5"],
]


def explorer() -> Explorer:
    methods = (("plrp", 0.5), ("ism", 0.4), (HOSTILE, 0.7), ("empty", NONE))
    rows = [(task, method, measure, mean + turn * add if method == "plrp" else mean)
            for task, add in (("all", 0.0), ("one", 0.1))
            for measure, turn in (("auprc", 1), ("distractor_mass", -1), ("foreign", 1))
            for method, mean in methods]  # fmt: skip
    tested = ["" if method == "plrp" else "plrp" for _, method, *_ in rows]
    means = [row[3] for row in rows]
    return Explorer(
        keys={
            "group": ["report"] * len(rows),
            "task": [row[0] for row in rows],
            "architecture": ["all"] * len(rows),
            "method": [row[1] for row in rows],
            "measure": [row[2] for row in rows],
            "tested": tested,
            "verdict": ["worse" if m > 0.5 else "better" if t else "" for m, t in zip(means, tested)],
        },
        numbers={
            "mean": means,
            "low": [m - 0.1 for m in means],
            "high": [m + 0.1 for m in means],
            "n": [9] * len(rows),
        },
        labels={"auprc": "AUPRC", "distractor_mass": "Distractor mass"},
        better={"auprc": "higher", "distractor_mass": "lower"},
        first="auprc",
        strong="plrp",
    )


@pytest.fixture(scope="module")
def shown(tmp_path_factory, browser):
    long = [[f"row-{i}", str(i)] for i in range(60)]
    blocks = [
        PageText("INCOMPLETE: not all.", warning=True),
        PageHeading("Means"),
        PageTable(["method", "AUPRC", "p"], ROWS, frozenset({0})),
        PageList(["`code` and more", HOSTILE]),
        PageHeading("Long", 3),
        PageTable(["name", "value"], long),
        PageHeading("Pictures", 3),
        PagePicture(DOT, "image/png", "A dot <b>."),
    ]
    page = TablesPage("A benchmark", HOSTILE, blocks, [PageCheck("Models", "warn", "Few.")], explorer())
    path = tmp_path_factory.mktemp("page") / "benchmark.html"
    path.write_text(page.html(), encoding="utf-8")
    with opened(browser, path) as watched:
        yield watched


def cells(shown: Watched, table: str, column: int) -> list[str]:
    found = shown.page.evaluate(
        """([table, column]) => [...document.querySelectorAll(table + ' tbody tr')]
            .filter(row => !row.hidden).map(row => row.cells[column].innerText)""",
        [table, column],
    )
    return [text.strip() for text in found]


def test_nothing_is_loaded_nothing_complains_and_names_are_but_names(shown):
    assert shown.messages == []
    assert [url for url in shown.requests if not url.startswith(("file:", "data:"))] == []
    assert shown.page.evaluate("window.broken === undefined && document.images.length === 1")
    assert shown.page.locator(".lead").inner_text() == HOSTILE
    assert shown.page.locator("figcaption").inner_text() == "A dot <b>."


def test_columns_are_sorted_as_numbers_and_back(shown):
    header = shown.page.locator("#s1 th button").nth(1)
    header.click()
    assert cells(shown, "#s1", 0) == [HOSTILE, "a", "d", "c"]  # what is empty comes last
    header.click()
    assert cells(shown, "#s1", 0) == ["d", "a", HOSTILE, "c"]
    header.click()
    assert cells(shown, "#s1", 0) == ["a", HOSTILE, "c", "d"]  # as it was
    small = shown.page.locator("#s1 th button").nth(2)
    small.click()
    small.click()
    assert cells(shown, "#s1", 2) == ["< 1e-4", "1e-3", "0.03", "0.5"]


def test_a_long_table_is_folded_until_it_is_asked_for_and_can_be_narrowed(shown):
    assert shown.page.evaluate("document.querySelector('#s2').open") is False
    shown.page.click("nav a[href='#s2']")
    shown.until("document.querySelector('#s2').open")
    shown.page.fill("#s2 input.narrow", "row-5")
    assert cells(shown, "#s2", 0) == ["row-5", *(f"row-{i}" for i in range(50, 60))]


def test_the_explorer_shows_each_place_and_measure_the_better_first(shown):
    assert cells(shown, "#explorer", 0) == [HOSTILE, "plrp", "ism", "empty"]
    shown.page.select_option("#explorer select[aria-label=task]", label="one")
    assert cells(shown, "#explorer", 2) == ["0.7", "0.6", "0.4", ""]
    shown.page.select_option("#explorer select[aria-label=measure]", label="Distractor mass")
    assert cells(shown, "#explorer", 0) == ["plrp", "ism", HOSTILE, "empty"]  # of this one, less is better
    assert "lower is better" in shown.page.locator("#explorer .note").inner_text()
    shown.page.select_option("#explorer select[aria-label=measure]", label="foreign")
    assert "which way is better is not known here" in shown.page.locator("#explorer .note").inner_text()
    shown.page.select_option("#explorer select[aria-label=measure]", label="Distractor mass")
    assert shown.page.locator("#explorer tr.strong td").first.inner_text() == "plrp"
    shown.page.fill("#explorer input", "IS")
    assert cells(shown, "#explorer", 0) == ["ism"]
    assert shown.messages == []
