"""Pages for tests: sequences of several lengths with names that mean harm, two methods, marks, ledgers."""

from __future__ import annotations

import numpy as np

from seqplrp.plot import (
    ACCOUNT_COLUMNS,
    AccountPattern,
    PageAccounts,
    PageCheck,
    PageColumn,
    PageLane,
    PageMark,
    PagePlaces,
    PageTrack,
    TracksPage,
)

NAMES = [
    "</script><script>window.broken=1</script>",
    '"><img src=x onerror=window.broken=1>',
    "seq\u202egnp.exe",
    "__proto__",
    "NA",
    "peak_turned",
    "a_name_that_does_not_end_" * 12,
]
STEPS = [
    ("head", "linear", "Gamma(gamma=0.25, eps=1e-06)"),
    ("head", "prune", "mass 0.159"),
    ("conv", "conv1d", "Epsilon(eps=1e-06)"),
]
CELLS = {0: {"relevance_out": 4.0, "relevance_in": 3.0, "bias": 1.0, "size": 4.0},
         1: {"relevance_out": 3.0, "relevance_in": 3.0, "size": 5.0, "pruned": 1.0, "kept_share": 0.5, "lambda": 1.25},
         2: {"relevance_out": 3.0, "relevance_in": 2.5, "bias": 0.5, "stabiliser": 0.0, "size": 5.0}}  # fmt: skip


def example_page(n: int = 300, seed: int = 0) -> tuple[TracksPage, dict[str, np.ndarray]]:
    """Return a page, and the arrays behind it."""
    rng = np.random.default_rng(seed)
    lengths = np.where(np.arange(n) % 3 == 0, 40, 120)
    lengths[7] = 1
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    total = int(offsets[-1])
    codes = rng.integers(0, 4, total).astype(np.uint8)
    codes[[3, 50]] = 4
    hypothetical = rng.normal(size=(4, total)).astype(np.float32)
    per_base = np.where(codes < 4, hypothetical[codes % 4, np.arange(total)], 0).astype(np.float32)
    other = np.where(rng.random(total) < 0.6, 0, per_base[::-1]).astype(np.float32)
    other[codes > 3] = 0
    there = np.arange(n) != 4
    ids = [NAMES[i] if i < len(NAMES) else f"peak{i}" for i in range(n)]
    starts = 1_000_000 + 500 * np.arange(n)
    contigs = ["chr7" if i >= 5 else ids[i] for i in range(n)]
    strands = ["-" if i == 5 else "+" for i in range(n)]
    score = rng.normal(size=n).round(3)
    score[9] = np.nan
    pattern = AccountPattern(
        STEPS,
        [(s, ACCOUNT_COLUMNS.index(k)) for s, cells in CELLS.items() for k in cells],
        [v for cells in CELLS.values() for v in cells.values()],
    )
    values = np.array(pattern.mean)
    accounts = PageAccounts([""], [pattern], np.zeros((n, 1), np.int64), {(i, 0): values * (1 + i) for i in range(n)})
    marks = [PageMark(0, 0, 5, 13, "CTCF", "+", True, "of on"), PageMark(0, 0, 9, 20, "DECOY<b>", "-", False)]
    marks += [PageMark(i, 1, 2, 8, "+", ".", True, "relevance +1") for i in range(0, n, 2) if i != 7]
    page = TracksPage(
        title="A page & its <names>",
        lead="for tests",
        places=PagePlaces(ids, contigs, starts.tolist(), (starts + lengths).tolist(), strands, offsets, codes),
        tracks=[
            PageTrack("dense <i>", "Dense()", per_base, hypothetical, spread=np.abs(other), accounts=accounts),
            PageTrack("sparse", "Sparse()", np.where(np.repeat(there, lengths), other, 0), there=there),
        ],
        columns=[
            PageColumn("id", "sequence", ids),
            PageColumn("length", "bp", lengths.tolist()),
            PageColumn("class", "class", ["CTCF" if i % 4 else "GATA1" for i in range(n)]),
            PageColumn("score", "score", score.tolist(), "the <score>"),
        ],
        checks=[PageCheck("Conservation", "good", "It balances <b>.\nTwice.")],
        lanes=[PageLane("known", "truth"), PageLane("seqlets", "seqlet", 1)],
        marks=marks,
        details=[("method", "Dense()")],
    )
    return page, {
        "codes": codes,
        "per_base": per_base,
        "hypothetical": hypothetical,
        "other": other,
        "offsets": offsets,
        "score": score,
    }
