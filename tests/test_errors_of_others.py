"""Errors of other libraries are told in one line, whatever their messages hold."""

from __future__ import annotations

import pytest

from seqplrp.errors import first_line, whole_message


@pytest.mark.parametrize(
    ("error", "plain", "named"),
    [
        (RuntimeError("no CUDA device"), "no CUDA device", "RuntimeError: no CUDA device"),
        (ValueError("\n\n  shapes differ  \nat line 3"), "shapes differ", "ValueError: shapes differ"),
        (AssertionError(), "AssertionError", "AssertionError"),
        (TypeError(" \n \n"), "TypeError", "TypeError"),
        (KeyError("conv"), "'conv'", "KeyError: 'conv'"),
    ],
)
def test_an_error_is_told_by_the_first_line_that_says_something(error, plain, named):
    assert first_line(error) == plain
    assert first_line(error, kind=True) == named


def test_a_whole_message_is_one_line_of_a_length() -> None:
    error = RuntimeError("sizes differ:\n\t4 and  5\n")
    assert whole_message(error) == "sizes differ: 4 and 5"
    assert whole_message(error, most=5, kind=True) == "RuntimeError: sizes"
    assert whole_message(AssertionError(), most=5, kind=True) == "AssertionError"
