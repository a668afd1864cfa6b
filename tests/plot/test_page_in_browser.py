"""The page of sequences in a real browser: what is drawn, found, sorted and told is what was given."""

from __future__ import annotations

import re

import numpy as np
import pytest
from browsing import Watched, opened
from page_examples import NAMES, example_page

from seqplrp.plot import BASE_COLOURS, DARK_BASE_COLOURS, PageColumn, PagePlaces, PageTrack, TracksPage

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
    address = watched.page.url.split("#")[0]
    watched.page.goto("about:blank")
    watched.page.goto(address)
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


def test_an_axis_has_a_tick_beside_0_however_values_lie(tmp_path, browser):
    peaks = [(high, low) for high in (0.0045, 3e-6, 700.0) for low in (0.0, -0.1, -0.7, -1.0)]
    peaks += [(-high, low) for high, low in peaks]
    values = np.array([[high, low * high, 0.0, 0.0] for high, low in peaks], np.float32)
    n = len(peaks)
    ids, codes = [f"s{i}" for i in range(n)], np.zeros(4 * n, np.uint8)
    places = PagePlaces(ids, ids, [0] * n, [4] * n, ["+"] * n, 4 * np.arange(n + 1), codes)
    # of one, three and five tracks, each lower than the one before
    for tracks in (1, 3, 5):
        page = TracksPage(
            "t", "", places, [PageTrack(f"t{i}", "", values.ravel()) for i in range(tracks)],
            [PageColumn("id", "sequence", ids)],
        )  # fmt: skip
        path = tmp_path / f"{tracks}.html"
        path.write_text(page.html(), encoding="utf-8")
        with opened(browser, path) as shown:
            for number in range(n):
                shown.page.evaluate("i => seqplrp.grid.select(i)", number)
                shown.ready(number)
                ticks = [float(t.replace("\u2212", "-")) for t in shown.page.evaluate("seqplrp.layout()[0].ticks")]
                assert 0 in ticks, (peaks[number], tracks)
                assert 2 <= len(ticks) <= 7, (peaks[number], tracks, ticks)
                np.testing.assert_allclose(np.diff(ticks), ticks[1] - ticks[0], rtol=1e-6)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_letters_are_drawn_in_their_places_and_colours_upright_or_hanging(shown, arrays, scheme):
    shown.page.emulate_media(color_scheme=scheme)
    choose(shown, 0)
    assert state(shown)["dark"] is (scheme == "dark")
    for _ in range(9):
        shown.page.keyboard.press("+")
    view = state(shown)
    assert view["to"] - view["from"] == 8
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
  const layout = seqplrp.layout()[0];
  const canvas = document.querySelector('.stage canvas'), ratio = canvas.width / canvas.clientWidth;
  const view = seqplrp.state;
  const left = 70, right = 10, step = (canvas.clientWidth - left - right) / (view.to - view.from);
  const scale = layout.height / (layout.range[1] - layout.range[0]);
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
    search.fill('class="GATA1" score>1')  # a value may stand in quotes, as one with a blank must
    assert state(shown)["rows"] == [ids[i] for i in range(300) if score[i] > 1 and i % 4 == 0]
    search.fill("peak29")
    assert state(shown)["rows"] == [id for id in ids if "peak29" in id]
    search.fill("chr7:1,003,000-1,003,510")
    assert state(shown)["rows"] == [NAMES[6], "peak7"]
    search.fill("score>what")
    assert "is no number" in shown.page.locator("#count").inner_text()
    search.fill("nothing-like-this")
    assert shown.page.locator(".empty").is_visible()
    search.fill("")
    shown.page.select_option("select[aria-label=motif]", label="CTCF (1)")
    assert state(shown)["rows"] == [NAMES[0]]


def test_a_filter_takes_a_column_by_its_header_too_in_any_case(tmp_path, browser):
    ids, sums, places = ["a", "b", "c"], [4.0, 5.5, 7.0], [1, 2, 3]
    page = TracksPage(
        "t", "", PagePlaces(ids, ids, [0] * 3, [1] * 3, ["+"] * 3, np.arange(4), np.zeros(3, np.uint8)),
        [PageTrack("t", "", np.ones(3, np.float32))],
        [
            PageColumn("id", "sequence", ids),
            PageColumn("relevance_sum", "sum", sums),
            PageColumn("top_position", "peak at", places),
            PageColumn("class", "class", ["T cell", "", "B"]),
            PageColumn("sequence", "bp", places),  # a key of one column, a header of another
        ],
    )  # fmt: skip
    (tmp_path / "page.html").write_text(page.html(), encoding="utf-8")
    with opened(browser, tmp_path / "page.html") as shown:
        for typed, left in {
            "sum>5": "bc",
            "SUM>5 Relevance_Sum<6": "b",
            '"peak at">=2': "bc",
            '"Peak At"=2 class=""': "b",
            'class="t cell"': "a",
            '"class"!="T cell" c': "c",
            "sequence<3": "ab",
            "BP=2": "b",
            '"c"': "ac",  # a text in quotes, among names and classes
            "sum>": "",
        }.items():
            shown.page.locator("#search").fill(typed)
            assert "".join(state(shown)["rows"]) == left, typed
        shown.page.locator("#search").fill("sums>5")
        told = shown.page.locator("#count").inner_text()
        assert told == "no column is called sums: try sequence, sum, top_position, class, bp"


def test_the_address_follows_the_view_and_leads_back_to_it(shown):
    seen = []
    shown.page.expose_function("changed", lambda to: seen.append(to))
    shown.page.evaluate(
        "(() => { const of = history.replaceState.bind(history);"
        " history.replaceState = (state, title, to) => { window.changed(to); of(state, title, to); }; })()"
    )
    choose(shown, 8)
    for _ in range(4):
        shown.page.keyboard.press("+")
    shown.until("location.hash.includes('&from=')")
    view = state(shown)
    wanted = f"#seq=peak8&from={round(view['from'])}&to={round(view['to'])}"
    assert shown.page.evaluate("location.hash") == wanted
    assert [to for to in seen if "from" in to] == [wanted]  # one change of the address, not one a step
    shown.page.reload()
    shown.ready(8)
    again = state(shown)
    assert (again["from"], again["to"]) == pytest.approx((view["from"], view["to"]), abs=0.51)
    shown.page.keyboard.press("0")
    shown.until("location.hash === '#seq=peak8'")
    shown.page.keyboard.press("+")
    shown.page.evaluate("location.hash = '#seq=gone'")  # what was asked for last is not written over
    shown.page.wait_for_timeout(400)
    assert shown.page.evaluate("location.hash") == "#seq=gone"


def test_the_tooltip_leaves_the_letters_free(shown):
    shown.page.locator(".stage").scroll_into_view_if_needed()
    box = shown.page.locator(".stage canvas").bounding_box()
    for track in shown.page.evaluate("seqplrp.layout()"):
        for part in (0.1, 0.5, 0.9):
            shown.page.mouse.move(box["x"] + 300, box["y"] + track["top"] + part * track["height"])
            tip = shown.page.locator(".tip").bounding_box()
            assert tip is not None
            for other in shown.page.evaluate("seqplrp.layout()"):
                top, bottom = box["y"] + other["top"], box["y"] + other["top"] + other["height"]
                assert tip["y"] + tip["height"] <= top or tip["y"] >= bottom, (track["track"], part)
            assert tip["y"] >= 0
            assert tip["y"] + tip["height"] <= 900


def test_the_overview_has_the_colour_of_the_table(shown):
    counted = shown.page.evaluate(
        """() => {
          seqplrp.view.draw();
          const probe = document.createElement('canvas').getContext('2d');
          probe.fillStyle = getComputedStyle(document.documentElement).getPropertyValue('--accent').trim();
          const ink = [1, 3, 5].map(k => parseInt(probe.fillStyle.slice(k, k + 2), 16));
          const of = (canvas, x, y, width, height) => {
            const { data } = canvas.getContext('2d').getImageData(x, y, width, height);
            let found = 0;
            for (let p = 0; p < data.length; p += 4)
              found += data[p + 3] > 250 && ink.every((value, k) => Math.abs(value - data[p + k]) < 8);
            return found;
          };
          const stage = document.querySelector('.stage canvas'), small = document.querySelector('#table canvas');
          return [of(stage, 70, 4, stage.width - 90, 22), of(small, 0, 0, small.width, small.height)];
        }"""
    )
    assert min(counted) > 100


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


def test_a_long_name_does_not_push_the_other_columns_away(shown):
    shown.page.locator("#table tbody").get_by_text(NAMES[6]).wait_for()
    widths = shown.page.evaluate("[...document.querySelectorAll('#table thead th')].map(e => e.offsetWidth)")
    assert max(widths) < 600
    assert shown.page.locator("#table table").evaluate("e => e.offsetWidth <= e.parentElement.clientWidth")


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


def test_the_bars_of_a_spread_are_within_their_axis_whatever_its_scale(shown, arrays):
    start, end = arrays["offsets"][1:3]
    value, around = arrays["per_base"], np.abs(arrays["other"])
    for scale, part in (("track", slice(start, end)), ("view", slice(start, end)), ("all", slice(None))):
        choose(shown, 1)
        shown.page.select_option("select[aria-label='Scale of the axes']", scale)
        low, high = shown.page.evaluate("seqplrp.layout()[0].range")
        assert low <= (value - around)[part].min()
        assert high >= (value + around)[part].max()


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
    assert shown.page.evaluate("seqplrp.lanes().length") == 1  # the other lane is that track's
    assert not any("seqlets" in text for text in shown.page.evaluate("seqplrp.at(4)"))
    choose(shown, 0)
    assert shown.page.evaluate("seqplrp.lanes().length") == 2
    assert any("seqlets" in text for text in shown.page.evaluate("seqplrp.at(4)"))
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
    assert shown.page.get_by_role("heading", name="Where the relevance went").is_visible()
    assert shown.page.locator(".stage canvas").is_visible()
    shown.page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert shown.page.evaluate("document.documentElement.dataset.theme") == "dark"
    shown.page.emulate_media(media="screen", color_scheme="light")


def test_a_print_has_the_first_rows_and_no_empty_paper_for_the_others(shown):
    shown.page.emulate_media(media="print")
    # asked in one go: a print takes the page as it stands when the event is over
    drawn = shown.page.evaluate(
        """() => {
          window.dispatchEvent(new Event('beforeprint'));
          const rows = document.querySelectorAll('#table tbody tr[role=row]');
          return [rows.length, rows[0].innerText, document.querySelectorAll('#table tr.space').length,
                  document.querySelector('#table .note').innerText, document.querySelector('#about details').open];
        }"""
    )
    assert drawn[0] == 100
    assert drawn[1].startswith(NAMES[0])
    assert drawn[2] == 0
    assert drawn[3].startswith("and 200 more")
    assert drawn[4], "what the page is of is on the paper, too"
    shown.page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    shown.page.emulate_media(media="screen")
    shown.until("document.querySelectorAll('#table tbody tr[role=row]').length < 40")
    assert not shown.page.locator("#about details").evaluate("e => e.open")
    assert not shown.page.locator("#table .note").is_visible()
    assert len(re.findall(rb"/Type\s*/Page\b", shown.page.pdf())) <= 6


def test_an_address_leads_to_a_stretch_also_later_and_says_which_name_it_does_not_find(shown):
    shown.page.evaluate("location.hash = '#seq=peak11&from=20&to=60'")
    shown.ready(11)
    assert (state(shown)["from"], state(shown)["to"]) == (20, 60)
    shown.page.evaluate("location.hash = '#seq=peak11&from=70&to=90'")
    shown.until("seqplrp.state.from === 70")
    assert state(shown)["to"] == 90
    shown.page.evaluate("location.hash = '#seq=gone<b>'")
    shown.until("document.querySelector('#readout').innerText !== ''")
    assert shown.page.locator("#readout").inner_text() == "No sequence of this page is called gone<b>."
    assert state(shown)["sequence"] == "peak11"
    shown.page.reload()  # the first is shown where nothing was before
    shown.ready(0)
    assert shown.page.locator("#readout").inner_text() == "No sequence of this page is called gone<b>."
    choose(shown, 1)
    assert shown.page.locator("#readout").inner_text() == ""


def test_a_card_is_a_button_that_keys_unfold(shown):
    card = shown.page.get_by_role("button", name="Conservation")
    card.focus()
    for wanted in ("true", "false"):
        shown.page.keyboard.press("Space")
        assert card.get_attribute("aria-expanded") == wanted


def test_what_is_saved_is_what_is_shown(shown, arrays, tmp_path):
    shown.page.locator("#search").fill("class=GATA1 score>1.5")
    rows = state(shown)["rows"]
    with shown.page.expect_download() as table:
        shown.page.get_by_role("button", name="Save table").click()
    table.value.save_as(tmp_path / "rows.tsv")
    lines = [line.split("\t") for line in (tmp_path / "rows.tsv").read_text(encoding="utf-8").splitlines()]
    assert lines[0] == ["id", "length", "class", "score"]
    assert [line[0] for line in lines[1:]] == rows
    assert [float(line[3]) for line in lines[1:]] == [
        s for i, s in enumerate(arrays["score"]) if i % 4 == 0 and s > 1.5
    ]
    choose(shown, 1)
    with shown.page.expect_download() as picture:
        shown.page.get_by_role("button", name="Save picture").click()
    assert picture.value.suggested_filename == "_img_src_x_onerror_window.broken_1_.png"
    picture.value.save_as(tmp_path / "track.png")
    assert (tmp_path / "track.png").read_bytes().startswith(b"\x89PNG")
    assert shown.messages == []
