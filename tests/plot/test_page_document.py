"""A page holds all it needs, and whatever stands in names can't become markup or script."""

from __future__ import annotations

import base64
import hashlib
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from page_reading import read_page

from seqplrp.plot.page.document import Document, asset, embedded_json, escaped, visible

ASSETS = ("base.css", "tracks.css", "tables.css", "base.js", "cards.js", "grid.js", "filters.js", "packs.js", "logo.js",
          "view.js", "ledger.js", "tracks.js", "tables.js", "explorer.js", "benchmark.js")  # fmt: skip
HOSTILE = ("</script><script>alert(1)</script>", "<!--<script>", "]]>", "&lt;", '"\'><img src=x onerror=alert(1)>',
           "\u202egnp.exe", "\u2028\u2029", "\x00\x1b[31m", "a\ud800b", "__proto__")  # fmt: skip


def document(**changes) -> Document:
    given = {"title": "t", "body": "<p>b</p>", "data": {}, "styles": ("base.css",), "scripts": ("base.js",)}
    return Document(**{**given, **changes})


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_text_stays_a_text(text):
    page = read_page(document(title=text, body=f"<p>{escaped(text)}</p>", data={"names": [text], text: 1}).html())
    assert page.data == {"names": [text], text: 1}
    assert [tag for tag, _ in page.tags if tag in ("img", "iframe", "object")] == []
    assert len(page.code) == 1  # our own script alone
    assert visible(text) in page.text


@settings(max_examples=40, deadline=None)
@given(
    st.recursive(
        st.text() | st.integers() | st.none() | st.booleans(),
        lambda x: st.lists(x, max_size=4) | st.dictionaries(st.text(), x, max_size=4),
        max_leaves=8,
    )
)
def test_data_comes_back_as_it_was_whatever_it_holds(value):
    text = embedded_json(value)
    assert not re.search(r"[<>&\u2028\u2029]", text)
    assert text.isascii()
    assert read_page(f'<script type="application/json" id="data">{text}</script>').data == value


def test_what_can_not_be_seen_is_shown_by_its_number():
    assert visible("a b\u202ec\n\ud800") == "a b\u27e8U+202E\u27e9c\u27e8U+000A\u27e9\u27e8U+D800\u27e9"
    assert visible("na\u00efve \u03b1\u03b2 \u4e2d") == "na\u00efve \u03b1\u03b2 \u4e2d"


def test_numbers_that_json_does_not_know_are_refused():
    with pytest.raises(ValueError, match="JSON"):
        embedded_json([float("nan")])


def test_the_policy_lets_nothing_run_or_load_but_what_the_page_holds():
    page = read_page(document().html())

    def hash_of(text: str) -> str:
        return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

    rules = dict(rule.strip().split(" ", 1) for rule in page.policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == f"'{hash_of(page.code[0])}'"
    assert rules["style-src"] == f"'{hash_of(page.style)}'"
    assert "unsafe" not in page.policy
    assert rules["img-src"] == "data: blob:"


@pytest.mark.parametrize("name", ASSETS)
def test_styles_and_scripts_speak_to_no_network_and_make_no_markup_of_text(name):
    text = asset(name)
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text)
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|@import|fetch\(", text
    )
    assert "</" not in text  # the element that holds it would end there


def test_a_pack_that_is_none_is_refused():
    for packs in ({"a b": "x"}, {"a": "<"}, {"a": "\u00e9"}):
        with pytest.raises(ValueError, match="pack"):
            document(packs=packs).html()
