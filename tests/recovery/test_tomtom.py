"""Known motifs are found again, where they stand and on which strand; what says nothing matches nothing."""

from __future__ import annotations

import importlib.util
import warnings

import numpy as np
import pytest
from scipy.stats import false_discovery_control, spearmanr

from seqplrp import SeqplrpError
from seqplrp.genomics.motifs import Motif, load, load_all
from seqplrp.recovery import ALIKE, best_matches, require_memelite
from seqplrp.recovery.informative_cores import informative_core
from seqplrp.recovery.tomtom import FEWEST_SHARED_BITS

LIBRARY = load_all()


def drawn(motif: Motif, n: int, seed: int = 0) -> Motif:
    """The motif as counted from n sites drawn from it."""
    rng = np.random.default_rng(seed)
    counts = np.stack([rng.multinomial(n, p / p.sum()) for p in motif.probabilities])
    return Motif("query", counts / n, nsites=n).with_pseudocount(1.0)


def test_every_motif_of_the_library_drawn_from_few_sites_is_like_itself() -> None:
    matches = best_matches([drawn(motif, 30) for motif in LIBRARY], LIBRARY)
    right = sum(match is not None and match.target is motif for match, motif in zip(matches, LIBRARY))
    assert right >= 0.94 * len(LIBRARY)  # families such as JUND and FOS::JUN share a motif
    assert all(match is not None and match.q < 1e-3 for match in matches)


@pytest.mark.parametrize(("cut", "flank"), [(0, 0), (3, 0), (0, 2)])
@pytest.mark.parametrize("turned", [False, True])
def test_offset_strand_and_overlap_say_where_the_query_stands(cut, flank, turned) -> None:
    known = load("CTCF")
    beside = known.reverse_complement() if turned else known
    random = np.tile([0.4, 0.1, 0.1, 0.4], (flank, 1))
    query = Motif("query", np.concatenate([random, beside.probabilities[cut:-1]]))
    (match,) = best_matches([query], LIBRARY)
    assert match is not None
    assert (match.target.name, match.strand, match.offset) == ("CTCF", "-" if turned else "+", cut - flank)
    assert match.overlap == known.width - cut - 1
    np.testing.assert_array_equal(match.aligned.probabilities[cut:-1], query.probabilities[flank:])
    bits = beside.information_content()[cut:-1].sum()
    assert match.shared_bits == pytest.approx(bits)


def likeness(query: Motif, target: Motif) -> float:
    """The smallest mean distance of columns over all alignments of at least 5, both strands."""
    found = []
    for turned in (target, target.reverse_complement()):
        for offset in range(5 - query.width, turned.width - 4):
            start, end = max(0, -offset), min(query.width, turned.width - offset)
            difference = query.probabilities[start:end] - turned.probabilities[start + offset : end + offset]
            found.append(float(np.linalg.norm(difference, axis=1).mean()))
    return min(found)


def test_p_values_order_targets_as_distances_of_columns_do() -> None:
    import memelite

    query = drawn(load("GABPA"), 50)
    p, *_ = memelite.tomtom([query.probabilities.T], [m.probabilities.T for m in LIBRARY], n_target_bins=None, n_jobs=1)
    assert spearmanr(p[0], [likeness(query, m) for m in LIBRARY]).statistic > 0.5
    (match,) = best_matches([query], LIBRARY)
    assert match is not None
    assert match.p == p[0].min()
    assert min((likeness(query, m), m.name) for m in LIBRARY)[1] == match.target.name


def test_q_values_are_those_of_benjamini_and_hochberg_over_the_targets() -> None:
    import memelite

    queries = [drawn(motif, 12) for motif in LIBRARY[:5]]
    p, *_ = memelite.tomtom(
        [q.probabilities.T for q in queries], [m.probabilities.T for m in LIBRARY], n_target_bins=None, n_jobs=1
    )
    for match, row in zip(best_matches(queries, LIBRARY), p):
        assert match is not None
        at = next(i for i, motif in enumerate(LIBRARY) if motif is match.target)
        # the smallest rate at which the step-up procedure rejects this p-value
        ranked = sorted(row)
        rates = [ranked[k] * len(row) / (k + 1) for k in range(len(row)) if ranked[k] >= row[at]]
        assert match.q == pytest.approx(min(1.0, *rates))


def test_what_says_nothing_matches_nothing_though_tomtom_calls_it_like_a_spacer() -> None:
    import memelite

    faint = np.tile([0.31, 0.25, 0.23, 0.21], (10, 1))
    p, *_ = memelite.tomtom([faint.T], [m.probabilities.T for m in LIBRARY], n_jobs=1)
    assert p.min() * len(LIBRARY) < 1e-4  # why the guard is there
    assert best_matches([Motif("faint", faint)], LIBRARY) == [None]


def test_matches_share_the_bits_that_make_them_one() -> None:
    rng = np.random.default_rng(0)
    queries = [Motif("random", 0.88 * rng.dirichlet(np.full(4, 0.5), 10) + 0.03) for _ in range(100)]
    matches = [match for match in best_matches(queries, LIBRARY) if match is not None]
    assert all(match.shared_bits >= FEWEST_SHARED_BITS for match in matches)
    assert len(matches) > 20
    assert sum(match.q < 0.05 for match in matches) <= 0.1 * len(queries)


def test_blurred_motifs_between_noisy_flanks_are_found_again_and_taken_for_no_other() -> None:
    import memelite

    rng = np.random.default_rng(1)
    background = np.full(4, 0.25)
    queries, origins = [], []
    for motif in LIBRARY:
        noise = [background + 0.5 * (rng.dirichlet(np.ones(4), 4) - background) for _ in range(2)]
        columns = np.concatenate([noise[0], 0.7 * motif.probabilities + 0.3 * background, noise[1]])
        counts = np.stack([rng.multinomial(100, p / p.sum()) for p in columns])
        core = informative_core(counts, background)
        assert core is not None
        queries.append(Motif("query", counts[slice(*core)] / 100, nsites=100).with_pseudocount(1.0))
        origins.append(motif)
    found = [match.target for match in best_matches(queries, LIBRARY) if match is not None and match.q <= ALIKE]
    assert len(found) == len(LIBRARY)
    assert sum(target is origin for target, origin in zip(found, origins)) >= 0.85 * len(LIBRARY)
    # the rest are of one family: such motifs are as like one another as they are
    matrices = [motif.probabilities.T for motif in LIBRARY]
    kinship = false_discovery_control(memelite.tomtom(matrices, matrices, n_target_bins=None, n_jobs=1)[0], axis=1)
    number = {id(motif): i for i, motif in enumerate(LIBRARY)}
    assert max(kinship[number[id(o)], number[id(t)]] for o, t in zip(origins, found)) < 0.01


def test_few_targets_do_not_warn_behind_the_callers_back_and_none_is_refused() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (match,) = best_matches([drawn(load("SRF"), 30)], LIBRARY[-12:])
    assert match is not None
    with pytest.raises(SeqplrpError, match="there is no motif to compare with"):
        best_matches([load("SRF")], [])
    assert best_matches([], LIBRARY) == []


def test_a_missing_memelite_is_told_with_its_remedy(monkeypatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SeqplrpError, match=r"memelite: is not installed, .*; pip install 'seqplrp\[modisco\]'"):
        require_memelite()
    with pytest.raises(SeqplrpError, match="is not installed"):
        best_matches([], LIBRARY)
