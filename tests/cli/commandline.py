"""Small inputs for the tests of the command line, and what is asked of every answer."""

from __future__ import annotations

import re

SEQUENCES, CHUNK = 30, 2
"""Of the runs that are stopped and gone on with: how many records they have, and how many of them go together."""

EXTERNAL_MODULE = '''
import torch
from torch import nn


class Net(nn.Module):
    """Takes any length: convolution, global mean, two outputs."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv1d(4, 6, 5)
        self.head = nn.Linear(6, 2)

    def forward(self, x):
        return self.head(torch.relu(self.conv(x)).mean(2))


class Fixed(nn.Module):
    """Takes 40 bases only, one output."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.conv = nn.Conv1d(4, 6, 5)
        self.head = nn.Linear(6 * 36, 1)

    def forward(self, x):
        return self.head(torch.relu(self.conv(x)).flatten(1))
'''


def explain(run, out, *arguments, fasta="x.fa", formats="npz,tsv"):
    """Run `seqplrp explain` and check that it has nothing to say against it."""
    done = run("explain", "--fasta", fasta, "--out", out, "--formats", formats, *arguments)
    assert (done.code, done.err) == (0, ""), done.err
    return done


def refused(done, *patterns: str) -> str:
    """Check the exit code, that the answer is one line of an error, and that each pattern is in it; return the line."""
    assert (done.code, done.out) == (2, "")
    assert re.fullmatch(r"error: .+: .+; .+\n", done.err), done.err
    assert done.err.count("\n") == 1
    for pattern in patterns:
        assert re.search(pattern, done.err), done.err
    return done.err


def stopped_after(monkeypatch, number, error=KeyboardInterrupt):
    """Let the run be stopped when so many chunks have been explained; return the list of those that were begun."""
    from seqplrp.pipeline.session import Session

    explain, calls = Session.explain, []

    def stops(self, records, first):
        calls.append(first)
        if len(calls) - 1 > number:  # the first call tries the model
            raise error
        return explain(self, records, first)

    monkeypatch.setattr(Session, "explain", stops)
    return calls


def run_in_child(arguments, ready):
    """Run the command line as a process of its own, which says when it is about to begin."""
    import sys

    from seqplrp.cli import main

    ready.set()
    sys.exit(main(arguments))
