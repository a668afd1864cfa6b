"""The page of sequences in a real browser: what is drawn, found, sorted and told is what was given."""

from __future__ import annotations

import numpy as np
import pytest
from browsing import Watched, opened
from page_examples import NAMES, example_page

from seqplrp.plot import BASE_COLOURS, DARK_BASE_COLOURS

INKS = {"light": BASE_COLOURS, "dark": DARK_BASE_COLOURS}


@pytest.fixture(scope="module")
def arrays_and_page(tmp_path_factory, browser):
    page, arrays = example_page()
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(page.html(), encoding="utf-8")
    with opened(browser, path) as watched:
        yield arrays, watched


@pytest.fixture
def arrays(arrays_and_page):
    return arrays_and_page[0]


@pytest.fixture
def shown(arrays_and_page) -> Watched:
    """The page, as it stands when it is opened: no filter, the first sequence."""
    watched = arrays_and_page[1]
    watched.page.evaluate("history.replaceState(null, '', location.pathname)")
    watched.page.reload()
    watched.ready()
    watched.messages.clear()
    return watched


def state(shown: Watched) -> dict:
    return shown.page.evaluate("seqplrp.state")


def choose(shown: Watched, number: int) -> None:
    """Go to a sequence by the address, as a link would."""
    shown.page.evaluate("i => { location.hash = '#seq=' + encodeURIComponent(seqplrp.ids[i]) }", number)
    shown.ready(number)


def test_nothing_is_loaded_nothing_complains_and_hostile_names_are_but_names(arrays_and_page):
    shown = arrays_and_page[1]
    assert shown.messages == []
    assert [url for url in shown.requests if not url.startswith(("file:", "data:", "blob:"))] == []
    assert shown.page.evaluate("window.broken === undefined && document.images.length === 0")
    rows = shown.page.locator("#table tbody tr[role=row]")
    assert NAMES[0] in rows.nth(0).inner_text()
    assert "seq\u27e8U+202E\u27e9gnp.exe" in rows.nth(2).inner_text()
    assert shown.page.locator("#viewer h2").inner_text() == NAMES[0]
    assert shown.page.title() == "A page & its <names>"


def test_letters_and_relevance_at_every_position_are_those_given(shown, arrays):
    for number in (0, 5):
        choose(shown, number)
        start, end = arrays["offsets"][number : number + 2]
        told = shown.page.evaluate(f"[...Array({end - start}).keys()].map(i => seqplrp.at(i))")
        largest = float(np.abs(arrays["hypothetical"][:, start:end]).max())
        for i, lines in enumerate(told):
            assert lines[1] == f"base {'ACGTN'[arrays['codes'][start + i]]}"
            value = float(lines[2][1].split("\u00b1")[0].replace("\u2212", "-"))
            assert value == pytest.approx(arrays["per_base"][start + i], abs=largest / 65534 + 1e-3 * abs(value))
    # on the minus strand the first letter has the last place
    assert told[0][0] == f"position 0, chr7:{1_000_000 + 2500 + (end - start) - 1:,} (-)"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_letters_are_drawn_in_their_places_and_colours_upright_or_hanging(shown, arrays, scheme):
    shown.page.emulate_media(color_scheme=scheme)
    choose(shown, 0)
    assert state(shown)["dark"] is (scheme == "dark")
    for _ in range(9):
        shown.page.keyboard.press("+")
    view = state(shown)
    assert view["to"] - view["from"] == 8
    shown.page.wait_for_timeout(60)
    drawn = shown.page.evaluate(_INKS, [INKS[scheme][base] for base in "ACGT"])
    codes, values = arrays["codes"], arrays["per_base"]
    first = int(np.ceil(view["from"]))
    for i in range(first, int(view["to"])):
        if abs(values[i]) < 0.15 * np.abs(values[:40]).max():
            continue
        ups, downs = drawn[str(i)]
        here, there = (ups, downs) if values[i] > 0 else (downs, ups)
        assert int(np.argmax(here)) == codes[i], (i, ups, downs)
        assert sum(there) < 0.1 * sum(here)
    shown.page.emulate_media(color_scheme="light")


# Counts the pixels of each base's colour above and below the first track's axis, position by position.
_INKS = """inks => {
  const canvas = document.querySelector('.stage canvas'), ratio = canvas.width / canvas.clientWidth;
  const view = seqplrp.state;
  const left = 62, right = 10, step = (canvas.clientWidth - left - right) / (view.to - view.from);
  const layout = seqplrp.layout()[0], scale = layout.height / (layout.range[1] - layout.range[0]);
  const zero = layout.top + layout.range[1] * scale;
  const wanted = inks.map(ink => [1, 3, 5].map(k => parseInt(ink.slice(k, k + 2), 16)));
  const context = canvas.getContext('2d'), found = {};
  for (let i = Math.ceil(view.from); i + 1 <= view.to; i++) {
    const x = Math.round((left + (i - view.from) * step) * ratio), width = Math.floor(step * ratio);
    found[i] = [[layout.top, zero], [zero, layout.top + layout.height]].map(([top, bottom]) => {
      const height = Math.floor((bottom - top) * ratio) - 2, counts = [0, 0, 0, 0];
      if (height < 1) return counts;
      const { data } = context.getImageData(x, Math.round(top * ratio) + 1, width, height);
      for (let p = 0; p < data.length; p += 4) {
        if (data[p + 3] < 100) continue;
        wanted.forEach((ink, b) => {
          if (ink.reduce((sum, value, k) => sum + Math.abs(data[p + k] - value), 0) < 24) counts[b]++;
        });
      }
      return counts;
    });
  }
  return found;
}"""


def test_a_filter_leaves_what_fits_it_and_says_what_it_can_not_read(shown, arrays):
    ids = [NAMES[i] if i < len(NAMES) else f"peak{i}" for i in range(300)]
    score, search = arrays["score"], shown.page.locator("#search")
    search.fill("score>1 class=GATA1")
    assert state(shown)["rows"] == [ids[i] for i in range(300) if score[i] > 1 and i % 4 == 0]
    search.fill("peak29")
    assert state(shown)["rows"] == [id for id in ids if "peak29" in id]
    search.fill("chr7:1,003,000-1,003,510")
    assert state(shown)["rows"] == ["peak6", "peak7"]
    search.fill("score>what")
    assert "is no number" in shown.page.locator("#count").inner_text()
    search.fill("nothing-like-this")
    assert shown.page.locator(".empty").is_visible()
    search.fill("")
    shown.page.select_option("select[aria-label=motif]", label="CTCF (1)")
    assert state(shown)["rows"] == [NAMES[0]]


def test_a_click_on_a_header_sorts_and_what_has_no_value_comes_last(shown, arrays):
    score = arrays["score"]
    header = shown.page.locator("#table th button").get_by_text("score", exact=True)
    for turn in (-1, 1):
        header.click()
        rows = state(shown)["rows"]
        assert rows[-1] == "peak9"
        order = sorted((i for i in range(300) if i != 9), key=lambda i: (turn * score[i], i))
        assert rows[:-1] == [NAMES[i] if i < len(NAMES) else f"peak{i}" for i in order]
    assert shown.page.locator("th[aria-sort=ascending]").inner_text() == "score"


def test_only_rows_in_view_are_in_the_page(shown):
    assert shown.page.locator("#table tbody tr[role=row]").count() < 40
    shown.page.locator("#table .scroll").evaluate("e => e.scrollTop = e.scrollHeight")
    shown.page.get_by_text("peak299").wait_for(timeout=5000)
    assert shown.page.locator("#table tbody tr[role=row]").count() < 40


def test_all_of_it_can_be_reached_by_keys(shown):
    keys = shown.page.keyboard
    keys.press("n")
    shown.ready(1)
    assert state(shown)["sequence"] == NAMES[1]
    keys.press("/")
    keys.type("peak1")
    keys.press("Enter")  # into the table, at the first that fits
    shown.ready(10)
    keys.press("ArrowDown")
    shown.ready(11)
    assert state(shown)["sequence"] == "peak11"
    keys.press("Enter")  # and into the track
    keys.press("Home")
    keys.press("ArrowRight")
    assert state(shown)["cursor"] == 1
    assert shown.page.locator("#readout").inner_text().startswith("position 1, chr7:1,005,501 (+)")
    keys.press("h")
    assert state(shown)["hypothetical"] is True
    assert "A " in shown.page.locator("#readout").inner_text() or shown.page.evaluate("seqplrp.at(1).length") > 4
    keys.press("?")
    assert shown.page.locator("dialog").is_visible()
    keys.press("Escape")
    assert not shown.page.locator("dialog").is_visible()


def test_zoom_by_wheel_drag_and_keys_stays_within_the_sequence(shown):
    choose(shown, 1)
    canvas = shown.page.locator(".stage canvas")
    box = canvas.bounding_box()
    middle = (box["x"] + box["width"] / 2, box["y"] + 150)
    shown.page.mouse.click(*middle)
    shown.page.mouse.wheel(0, -400)
    shown.until("seqplrp.state.to - seqplrp.state.from < 100")
    near = state(shown)
    assert 0 < near["from"] < 60 < near["to"] < 120
    shown.page.mouse.down()
    shown.page.mouse.move(middle[0] + 5000, middle[1], steps=3)
    shown.page.mouse.up()
    assert state(shown)["from"] == 0
    assert state(shown)["to"] == pytest.approx(near["to"] - near["from"])
    shown.page.keyboard.press("0")
    assert (state(shown)["from"], state(shown)["to"]) == (0, 120)
    shown.page.keyboard.down("Shift")
    shown.page.mouse.move(*middle)
    shown.page.mouse.down()
    shown.page.mouse.move(middle[0] + 200, middle[1], steps=3)
    shown.page.mouse.up()
    shown.page.keyboard.up("Shift")
    view = state(shown)
    assert view["from"] == pytest.approx(60, abs=4)
    assert view["to"] - view["from"] == pytest.approx(200 / (box["width"] - 72) * 120, abs=1)


def test_the_ledger_tells_what_each_layer_took(shown):
    choose(shown, 3)  # its ledger is four times the first
    rows = shown.page.locator("#ledger tbody tr")
    shown.until("document.querySelectorAll('#ledger tbody tr').length === 5")
    told = [[text.strip() for text in rows.nth(i).locator("td").all_inner_texts()] for i in range(5)]
    assert [row[3] for row in told] == ["16", "12", "12", "10", "10"]
    assert [told[i][4] for i in (1, 3)] == ["+4", "+2"]
    assert told[2][7].startswith("20 %, kept 200 % of units")  # the example multiplies shares, too
    assert (
        "The score of 16 went down through 3 steps, and 10 arrived at the bases"
        in shown.page.locator("#ledger .note").inner_text()
    )


def test_a_sequence_that_a_method_lacks_and_one_of_one_base_are_shown(shown, arrays):
    choose(shown, 4)
    shown.until("seqplrp.layout().length === 1")
    choose(shown, 7)
    shown.page.keyboard.press("+")
    assert (state(shown)["from"], state(shown)["to"]) == (0, 1)
    assert shown.page.evaluate("seqplrp.at(0)")[1] == f"base {'ACGT'[arrays['codes'][arrays['offsets'][7]]]}"
    assert shown.messages == []


def test_lanes_hold_marks_that_overlap_apart(shown):
    assert [len(rows) for rows in shown.page.evaluate("seqplrp.lanes()")] == [2, 1]
    texts = shown.page.evaluate("seqplrp.at(10)")
    assert any("CTCF" in text for text in texts)
    assert any("DECOY<b>" in text for text in texts)


def test_print_is_light_and_leaves_the_controls_out(shown):
    shown.page.emulate_media(media="print", color_scheme="dark")
    shown.page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert shown.page.evaluate("document.documentElement.dataset.theme") == "light"
    assert not shown.page.locator("#search").is_visible()
    assert shown.page.locator(".stage canvas").is_visible()
    shown.page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert shown.page.evaluate("document.documentElement.dataset.theme") == "dark"
    shown.page.emulate_media(media="screen", color_scheme="light")
