"""What an explanation shows of itself: a logo of each sequence, and a page for notebooks."""

from __future__ import annotations

import base64
import io
import re
import subprocess
import sys
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.image import imread
from torch import Tensor, nn

import seqplrp as sp
from seqplrp.lrp import Ledger
from seqplrp.methods import together
from seqplrp.methods.explanation import Account
from seqplrp.plot import short_name

X = sp.one_hot(["ACGTTGCAAC", "TTTNACGTAC", "GGGGCCCCAA", "ACACACACAC", "TGTGTGTGTG"])


def explained(x: Tensor = X, *, method: sp.methods.Method | None = None, **more: object) -> sp.Explanation:
    """An explanation made by hand: hypothetical contributions -2, -1, 1 and 2 for A, C, G and T, growing along it."""
    each = torch.tensor([-2.0, -1.0, 1.0, 2.0])[None, :, None] * torch.arange(1, x.shape[2] + 1)
    each = each.expand(x.shape)
    n = len(x)
    settings: dict = {
        "output": torch.linspace(1, 2, n),
        "target": torch.arange(n),
        "method": method or sp.GradientTimesInput(),
        "_hypothetical": each,
    }
    return sp.Explanation(relevance=x * each, **{**settings, **more})


def letters(figure) -> list[tuple[float, float, float]]:
    """The middle, lowest and highest point of each letter, in the order of the positions."""
    boxes = [p.get_path().get_extents() for p in figure.axes[0].patches if p.get_path().vertices.shape[0] > 5]
    return sorted(((box.x0 + box.x1) / 2, box.y0, box.y1) for box in boxes)


def texts(figure) -> str:
    found = [text.get_text() for ax in figure.axes for text in (*ax.texts, ax.title)]
    return "\n".join([*found, *(ax.get_title(loc="left") for ax in figure.axes), figure.axes[-1].get_xlabel()])


# ---- logos


def test_a_logo_has_the_letters_of_its_sequence_where_they_are() -> None:
    figure = explained().logo(1)
    expected = [(i, v) for i, v in enumerate([2, 4, 6, None, -10, -6, 7, 16, -18, -10]) if v is not None]
    for (middle, low, high), (place, value) in zip(letters(figure), expected, strict=True):
        assert middle == pytest.approx(place, abs=0.02)
        assert (low, high) == (pytest.approx(min(value, 0)), pytest.approx(max(value, 0)))
    assert "sequence 1, score 1.25 (output 1)" in texts(figure)
    assert figure.axes[0].get_ylabel() == "relevance"
    assert "relevance by GradientTimesInput()" in texts(figure)


def test_a_stretch_of_it_keeps_its_positions() -> None:
    figure = explained().logo(-1, start=4, end=7)
    assert [round(middle) for middle, *_ in letters(figure)] == [4, 5, 6]
    assert figure.axes[0].get_xlim() == (3.5, 6.5)
    assert "sequence 4, " in texts(figure)


def test_hypothetical_contributions_are_four_letters_a_position() -> None:
    figure = explained().logo(1, hypothetical=True, start=2, end=4)
    assert len(letters(figure)) == 8, "also where the base is unknown"
    assert "hypothetical contributions by" in texts(figure)
    assert figure.axes[0].get_ylabel() == "contribution"


def test_a_logo_is_a_picture_that_notebooks_show_and_leaves_pyplot_alone() -> None:
    figure = explained().logo()
    shown = figure._repr_png_()
    assert shown == explained().logo()._repr_png_()
    assert imread(io.BytesIO(shown)).shape[1] > 400
    assert plt.get_fignums() == []


@pytest.mark.parametrize(
    ("ask", "text"),
    [
        (lambda e: e.logo(5), "logo: there is no sequence 5 of 5; give 0 to 4"),
        (lambda e: e.logo(-6), "logo: there is no sequence -6 of 5"),
        (lambda e: e.logo(1.0), "logo: there is no sequence 1.0 of 5"),
        (lambda e: e.logo(0, start=7, end=7), "logo: 7 to 7 is no stretch of a sequence of 10 bases"),
        (lambda e: e.logo(0, start=-1), "logo: -1 to 10 is no stretch"),
        (lambda e: e.logo(0, end=11), "logo: 0 to 11 is no stretch"),
        (lambda e: replace(e, _hypothetical=None).logo(0, hypothetical=True), "gives no hypothetical contributions"),
        (lambda e: replace(e, relevance=torch.zeros(2, 3, 8, 8)).logo(0), "logos are of DNA, (N, 4, L)"),
        (lambda e: replace(e, relevance=e.relevance / 0).logo(0), "a logo needs finite heights"),
    ],
)  # fmt: skip
def test_what_can_not_be_drawn_is_one_clear_error(ask, text: str) -> None:
    with pytest.raises(sp.SeqplrpError, match=re.escape(text)):
        ask(explained())


def test_a_method_is_told_by_what_was_set_on_it() -> None:
    assert short_name(sp.PLRP()) == "PLRP()"
    assert short_name(sp.PLRP(p=0.25, center="uniform")) == "PLRP(center='uniform', p=0.25)"
    assert short_name(sp.LRP(rule=sp.Gamma(0.5))) == "LRP(rule=Gamma(gamma=0.5, eps=1e-06))"
    box = sp.LRP(rule={"@first": sp.ZBox(torch.zeros(4, 1), torch.ones(4, 1)), "*": sp.Gamma()})
    assert short_name(box).startswith("LRP(rule={'@first': ZBox(low=torch.tensor(")


@dataclass(frozen=True, kw_only=True)
class Asking(sp.GradientTimesInput):
    word: str


@dataclass(frozen=True, kw_only=True)
class Weighing(sp.GradientTimesInput):
    weights: Tensor = field(default_factory=lambda: torch.ones(2))


def test_a_method_of_others_is_told_also_where_it_asks_for_values_or_holds_arrays() -> None:
    assert short_name(Asking(word="x")) == "Asking(reverse_complement=False, word='x')"
    assert short_name(Weighing()) == "Weighing(weights=tensor([1., 1.]))"


# ---- a notebook's page


class Page(HTMLParser):
    """What a page holds; every tag that is opened is closed in its turn."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text, self.images, self.tags, self.open = "", [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs) -> None:
        self.tags.append(tag)
        if tag == "img":
            self.images.append(dict(attrs))
        else:
            self.open.append(tag)
        for name, value in attrs:
            assert name in ("style", "alt", "src"), "nothing that acts"
            assert name != "src" or value.startswith("data:image/png;base64,"), "nothing from elsewhere"

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_an_explanation_shows_what_it_is_how_it_adds_up_and_its_first_sequences() -> None:
    page = Page(explained()._repr_html_())
    assert "Explanation of 5 sequences of 10 bp by GradientTimesInput()" in page.text
    assert "this method keeps no ledger" in page.text
    assert len(page.images) == 3
    assert "sequence 0: score 1 (output 0); relevance sums to" in page.text
    assert "2 more: e.logo(i) draws any of them." in page.text
    for image in page.images:
        picture = imread(io.BytesIO(base64.b64decode(image["src"].split(",")[1])))
        assert (picture[:, :, :3] != 1).any(axis=2).mean() > 0.01, "there are letters"
        assert re.fullmatch(r"sequence logo of the relevance of sequence \d, bases 0 to 10", image["alt"])


def test_its_words_on_conservation_are_those_of_its_numbers() -> None:
    relevance = torch.zeros(3, 4, 6)
    relevance[:, 0, 0] = torch.tensor([1.0, 3.0, 2.0])
    e = sp.Explanation(relevance, torch.tensor([2.0, 2.0, -4.0]), None, sp.LRP(), ("a note of its own",))
    assert "relevance sums to 50 % (median; -50 % to 150 %) of the score" in Page(e._repr_html_()).text
    assert "a note of its own" in Page(e._repr_html_()).text
    same = replace(e, output=torch.tensor([1.0, 3.0, 2.0]))
    assert "relevance sums to 100 % of the score" in Page(same._repr_html_()).text
    nothing = replace(e, output=torch.zeros(3))
    assert "of the score" not in Page(nothing._repr_html_()).text
    sizeless = replace(e, method=sp.LRP(rule="relative"))
    assert "of the score" not in Page(sizeless._repr_html_()).text


def ledger_of(unexplained: float) -> Ledger:
    ledger = Ledger()
    ones = torch.ones(5, dtype=torch.float64)
    ledger.add("<b>conv</b>", "conv1d", "Epsilon", relevance_out=ones, relevance_in=ones - unexplained, size=ones)
    return ledger


def test_a_ledger_that_balances_is_told_and_one_that_does_not_is_told_loudly() -> None:
    fine = explained(_accounts=(Account(ledger_of(1e-7), 5, 0),))
    assert "the ledger balances: at most 1e-07 of a layer's relevance is unexplained" in Page(fine._repr_html_()).text
    for share in (0.25, float("nan")):
        broken = explained(_accounts=(Account(ledger_of(0.0), 5, 0), Account(ledger_of(share), 5, 5)))
        text = Page(broken._repr_html_()).text
        assert f"THE LEDGER DOES NOT BALANCE: {share:.2g} of the relevance is unexplained at layer <b>conv</b>" in text


def test_both_strands_agreement_is_told() -> None:
    found = explained(strand_consistency=torch.tensor([0.9, float("nan"), 0.8, 0.7, 0.6]))
    assert "their maps agree by a cosine of 0.70 (median)" in Page(found._repr_html_()).text
    none = explained(strand_consistency=torch.full((5,), float("nan")))
    assert "cosine" not in Page(none._repr_html_()).text


@dataclass(frozen=True, kw_only=True)
class Hostile(sp.GradientTimesInput):
    word: str = ""


def test_hostile_words_are_shown_and_never_obeyed() -> None:
    word = "</code><script>alert('x')</script><img src=x onerror=alert(1)>"
    e = explained(method=Hostile(word=word), notes=(word, *(f"note {i}" for i in range(20))))
    page = Page(e._repr_html_())
    assert "script" not in page.tags
    assert page.text.count("<script>alert('x')</script>") == 2
    assert "and 15 more notes: see .notes" in page.text


def test_of_long_sequences_the_surroundings_of_the_strongest_stretch_are_shown() -> None:
    x = sp.one_hot(["A" * 2114] * 2)
    relevance = torch.zeros_like(x)
    relevance[0, 0, 1500:1510] = 1.0
    relevance[0, 0, 40] = 5.0
    e = sp.Explanation(relevance, torch.ones(2), None, sp.PLRP())
    page = Page(e._repr_html_())
    (first, second) = re.findall(r"bases ([\d,]+) to ([\d,]+), around its strongest stretch", page.text)
    start, end = (int(number.replace(",", "")) for number in first)
    assert end - start == 120
    assert start < 1480, "with its surroundings"
    assert end > 1530
    assert second == ("0", "120"), "of a map of zeros the beginning"


def test_a_page_of_many_sequences_is_no_larger_than_one_of_few() -> None:
    few, many = (len(explained(X[:1].expand(n, 4, 10))._repr_html_()) for n in (5, 20_000))
    assert abs(many - few) < 2000
    assert many < 200_000


def test_what_is_no_dna_is_told_without_logos() -> None:
    e = sp.Explanation(torch.ones(2, 3, 8, 8), torch.ones(2), None, sp.LRP())
    page = Page(e._repr_html_())
    assert "Explanation of 2 inputs (3, 8, 8) by LRP()" in page.text
    assert page.images == []


class Net(nn.Module):
    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.conv, self.head = nn.Conv1d(4, 5, 3), nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.conv(x).relu().mean(2))


def test_what_the_engine_explains_shows_itself_and_an_ensemble_its_spread() -> None:
    one = sp.explain(Net(0), X, target=1)
    page = Page(one._repr_html_())
    assert "Explanation of 5 sequences of 10 bp by PLRP()" in page.text
    assert "the ledger balances: at most" in page.text
    assert re.search(r"relevance sums to -?\d+ % \(median; -?\d+ % to -?\d+ %\) of the score", page.text)
    both = together([one, sp.explain(Net(1), X, target=1)])
    text = Page(both._repr_html_()).text
    assert "EnsembleExplanation of 5 sequences" in text
    spread = f"{float(both.output_spread[0]):.2g} over 2 models"
    assert f"± {spread}" in text
    assert len(letters(both.logo(0))) == int((both.relevance[0] != 0).sum())
    assert np.isfinite(both.logo(0).axes[0].get_ylim()).all()


def test_methods_do_not_import_pictures_before_one_is_asked_for() -> None:
    code = "import seqplrp.methods, sys; print([m for m in ('matplotlib', 'logomaker') if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
