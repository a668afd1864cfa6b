"""Spools of random explanations."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import pytest

from seqplrp.genomics import codes_to_one_hot, encode, tracks


@pytest.fixture
def spool_of(tmp_path_factory):
    """Make a spool of random explanations; it and, per record, (per_base, hypothetical) are returned."""
    with ExitStack() as opened:

        def make(records, *, hypothetical=True, seed=0, in_parts=3, genome=None, unpruned=False, spread=False):
            rng = np.random.default_rng(seed)
            directory = tmp_path_factory.mktemp("spool")
            expected = []
            for record in records:
                contributions = rng.normal(size=(4, len(record))).astype(np.float32)
                contributions[:, rng.random(len(record)) < 0.4] = 0  # pruned maps have runs of zeros
                one_hot = codes_to_one_hot(encode([record.sequence])).numpy()[0]
                expected.append(((contributions * one_hot).sum(0), contributions))
            paths = []
            for first in range(0, len(records), in_parts):
                found = expected[first : first + in_parts]
                explained = tracks.Explained(
                    per_base=[p for p, _ in found],
                    hypothetical=[h for _, h in found] if hypothetical else None,
                    spread=[np.abs(p) for p, _ in found] if spread else None,
                    unpruned=[h + 1 for _, h in found] if unpruned else None,
                )
                paths.append(directory / f"part-{first}.npz")
                tracks.write_explained(paths[-1], records[first : first + in_parts], [explained])
            joined = tracks.joined_parts(paths, directory / "index.sqlite", genome=genome)
            return opened.enter_context(joined)[0], expected

        yield make
