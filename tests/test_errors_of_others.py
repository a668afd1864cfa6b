"""Errors of other libraries are told in one line, whatever their messages hold."""

from __future__ import annotations

import pytest

from seqplrp.errors import first_line


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
