"""Errors in the words of the command line: which option set what is wrong with a method beside a model."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from seqplrp.errors import SeqplrpError, as_options


@contextmanager
def as_method_options() -> Iterator[None]:
    """Let what can only be known to be wrong beside a model name the option that set it."""
    try:
        with as_options("method", "rule", "p", "budget", "center", "attention", "device", "target", "layout"):
            yield
    except SeqplrpError as error:
        for pattern, option, what in (
            (r"rule pattern '(.*)'", "--rule {0}", "{what}"),
            (r"rule for (.*)", "--rule", "layer {0}: {what}"),
            (r"p at (.*)", "--p", "layer {0}: {what}"),
        ):
            found = re.fullmatch(pattern, error.where)
            if found is not None:
                where, told = option.format(found[1]), what.format(found[1], what=error.what)
                rest = "give one without a pattern for all other layers"
                remedy = rest if "'*' pattern" in error.remedy else error.remedy
                raise SeqplrpError(where, told, remedy) from error
        raise
