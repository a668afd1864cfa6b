"""What is typed behind an option: whatever the text, it is understood, or refused in one line that names the option."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from seqplrp import SeqplrpError
from seqplrp.cli.method_options import method_of
from seqplrp.cli.named_values import named_values
from seqplrp.methods import Method
from seqplrp.methods.names import METHODS, RULES
from seqplrp.pipeline.formats import FORMATS, parse_formats
from seqplrp.pipeline.targets import resolve_target
from seqplrp.recovery import parse_region

words = st.sampled_from(
    ["gamma", "alphabeta(2,1)", "conv*", "epsilon-plus", "*", "(", ")", "((", "=", "==", ",", "-", "0.5", "-1", "1e400",
     "nan", "inf", "9" * 5000, "1_0", "٣", "true", "none", "", " ", "\x00", "\u202e", "a.b:c", "../x:y", "npz",
     "predicted"]
)  # fmt: skip
texts = st.text(max_size=20) | st.lists(words, max_size=5).map("".join)


def one_line(error: SeqplrpError, option: str) -> None:
    assert str(error).isprintable()
    assert error.where.startswith(option), str(error)


@given(st.lists(texts, max_size=3))
@example(["a=" + "9" * 5000])
def test_settings_are_read_or_refused(items: list[str]) -> None:
    try:
        found = named_values(items, "x=1")
    except SeqplrpError as error:
        one_line(error, "--option")
    else:
        assert len(found) == len(items)


@pytest.mark.parametrize("option", ["rule", "p", "option"])
@given(name=st.sampled_from([*METHODS]) | texts, given_texts=st.lists(texts, min_size=1, max_size=3))
@settings(deadline=None)
def test_methods_are_made_or_refused(option: str, name: str, given_texts: list[str]) -> None:
    others = {"rule": None, "p": None, "option": None, option: given_texts}
    try:
        method, _ = method_of(name, **others)
    except SeqplrpError as error:
        one_line(error, "--")
    else:
        assert isinstance(method, Method)


@given(st.sampled_from([*RULES]), st.lists(words, max_size=3))
def test_rules_with_any_numbers_are_made_or_refused(rule: str, numbers: list[str]) -> None:
    try:
        method_of("lrp", rule=[f"{rule}({','.join(numbers)})"], p=None)
    except SeqplrpError as error:
        one_line(error, "--rule")


@given(texts)
def test_formats_are_those_that_there_are(text: str) -> None:
    try:
        assert set(parse_formats(text)) <= set(FORMATS)
    except SeqplrpError as error:
        one_line(error, "--formats")


@given(texts | st.builds("{}-{}".format, texts, texts))
@example("0-" + "9" * 5000)
@example("٣-٤")
def test_regions_are_two_numbers(text: str) -> None:
    try:
        assert all(place >= 0 for place in parse_region(text))
    except SeqplrpError as error:
        one_line(error, "region")


@given(texts, st.integers(1, 3), st.booleans())
@example("9" * 5000, 2, True)
def test_targets_are_outputs_that_there_are(text: str, outputs: int, named: bool) -> None:
    classes = ["a", "predicted", "1"][:outputs] if named else []
    try:
        found = resolve_target(text, outputs, classes)
    except SeqplrpError as error:
        one_line(error, "--target")
    else:
        assert found == "predicted" or 0 <= found < outputs
