"""Known motifs land on the right bases: by id, by genome, on either strand, clipped, with their dull bases left out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from written import truth_table

from seqplrp import SeqplrpError
from seqplrp.genomics.motifs import Motif
from seqplrp.recovery import UNINFORMATIVE_BITS, Places
from seqplrp.recovery.truth import classes_of, information, motif_masks, place_truth, supports

SURE, DULL = [0.97, 0.01, 0.01, 0.01], [0.25, 0.25, 0.25, 0.25]
# Informative where 1; not a palindrome in its information.
PATTERN = [1, 1, 0, 1, 0]
MATRIX = Motif("M", np.array([SURE if bit else DULL for bit in PATTERN]))


def places(*records: tuple[str, str, int, int, str]) -> Places:
    ids, contigs, starts, ends, strands = zip(*records)
    return Places(np.array(ids), np.array(contigs), np.array(starts), np.array(ends), np.array(strands))


def masks(truth, where: Places, explained: list[str]):
    placed = place_truth(truth, where)
    profiles = information(placed, {"M": MATRIX})
    offsets = np.concatenate([[0], np.cumsum(where.lengths)])
    return motif_masks(placed, supports(placed, explained), profiles, offsets)


def drawn(mask: np.ndarray) -> str:
    return "".join("#" if bit else "." for bit in mask)


def test_a_motif_of_the_class_is_truth_at_its_informative_bases_and_its_dull_ones_are_set_aside() -> None:
    found = masks(truth_table(("s", 2, 7, "+", "M", "on")), places(("s", "s", 0, 10, "+")), ["on"])
    assert drawn(found.truth) == "..##.#...."
    assert drawn(found.uninformative) == "....#.#..."
    assert drawn(found.distractor) == ".........."


def test_a_motif_on_the_minus_strand_is_read_from_its_end() -> None:
    found = masks(truth_table(("s", 2, 7, "-", "M", "on")), places(("s", "s", 0, 10, "+")), ["on"])
    assert drawn(found.truth) == "...#.##..."


def test_a_motif_of_unknown_strand_has_no_dull_base_unless_both_strands_agree() -> None:
    found = masks(truth_table(("s", 2, 7, ".", "M", "on")), places(("s", "s", 0, 10, "+")), ["on"])
    assert drawn(found.truth) == "..##.##..."
    assert drawn(found.uninformative) == "....#....."


def test_a_motif_without_a_name_counts_at_every_base() -> None:
    found = masks(truth_table(("s", 2, 9, "+", ".", "on")), places(("s", "s", 0, 10, "+")), ["on"])
    assert drawn(found.truth) == "..#######."


def test_motifs_of_other_classes_and_of_none_are_distractors() -> None:
    rows = truth_table(("s", 0, 5, "+", "M", "off"), ("s", 5, 10, "+", "M", "."), ("s", 10, 15, "+", "M", "off,on"))
    found = masks(rows, places(("s", "s", 0, 15, "+")), ["on"])
    assert drawn(found.distractor) == "##.#.##.#......"
    assert drawn(found.truth) == "..........##.#."


def test_on_shared_bases_truth_goes_before_distractor_before_dull() -> None:
    rows = truth_table(("s", 0, 5, "+", "M", "off"), ("s", 1, 6, "+", "M", "on"))
    found = masks(rows, places(("s", "s", 0, 8, "+")), ["on"])
    assert drawn(found.truth) == ".##.#..."
    assert drawn(found.distractor) == "#..#...."
    assert drawn(found.uninformative) == ".....#.."


def test_the_class_is_each_records_own() -> None:
    rows = truth_table(("a", 0, 5, "+", "M", "x"), ("b", 0, 5, "+", "M", "x"))
    found = masks(rows, places(("a", "a", 0, 5, "+"), ("b", "b", 0, 5, "+")), ["x", "y"])
    assert drawn(found.truth) == "##.#......"
    assert drawn(found.distractor) == ".....##.#."


@st.composite
def genome_scenes(draw):
    strands = st.sampled_from("+-")
    records = [
        (
            f"r{i}",
            draw(st.sampled_from(["chr1", "chr2"])),
            start := draw(st.integers(0, 30)),
            start + size,
            draw(strands),
        )
        for i, size in enumerate(draw(st.lists(st.integers(1, 25), min_size=1, max_size=5)))
    ]
    rows = draw(
        st.lists(
            st.builds(
                lambda chrom, start, strand, supported: (chrom, start, start + 5, strand, "M", supported),
                st.sampled_from(["chr1", "chr2", "chr3"]),
                st.integers(0, 55),
                strands,
                st.sampled_from(["on", "off", "."]),
            ),
            min_size=1,
            max_size=6,
        )
    )
    return records, rows


@given(genome_scenes())
@settings(max_examples=200, deadline=None)
def test_masks_of_records_on_a_genome_equal_a_walk_over_every_base(scene) -> None:
    records, rows = scene
    where, truth = places(*records), truth_table(*rows)
    expected = []  # per base of each record: truth, distractor, uninformative
    for _, contig, start, end, strand in records:
        for step in range(end - start):
            base = end - 1 - step if strand == "-" else start + step
            kinds = set()
            for chrom, low, high, sense, _, supported in rows:
                if chrom == contig and low <= base < high:
                    column = high - 1 - base if sense == "-" else base - low
                    kinds.add(("on" if supported == "on" else "off") if PATTERN[column] else "dull")
            best = next((kind for kind in ("on", "off", "dull") if kind in kinds), None)
            expected.append((best == "on", best == "off", best == "dull"))
    placed = place_truth(truth, where, required=False)
    offsets = np.concatenate([[0], np.cumsum(where.lengths)])
    found = motif_masks(placed, supports(placed, ["on"] * len(records)), information(placed, {"M": MATRIX}), offsets)
    got = list(zip(found.truth.tolist(), found.distractor.tolist(), found.uninformative.tolist()))
    assert got == expected
    assert (placed["start"] < placed["end"]).all()


def test_the_threshold_is_the_one_of_the_methods_page() -> None:
    almost = Motif("M", np.array([[0.34, 0.22, 0.22, 0.22], [0.43, 0.19, 0.19, 0.19]]))
    bits = almost.information_content()
    assert bits[0] < UNINFORMATIVE_BITS == 0.1 < bits[1]
    placed = place_truth(truth_table(("s", 0, 2, "+", "M", "on")), places(("s", "s", 0, 2, "+")))
    found = motif_masks(placed, np.array([True]), information(placed, {"M": almost}), np.array([0, 2]))
    assert drawn(found.truth) == ".#"


def test_the_library_is_asked_where_no_matrices_are_given() -> None:
    placed = place_truth(truth_table(("s", 0, 15, "+", "CTCF", "on")), places(("s", "s", 0, 20, "+")))
    assert list(information(placed, None)) == ["CTCF"]


@pytest.mark.parametrize(
    ("rows", "matrices", "text"),
    [
        (
            [("s", 0, 5, "+", "Nothing", "on")],
            None,
            "motif 'Nothing' is not in the library; give its matrix by --motifs",
        ),
        ([("s", 0, 5, "+", "m", "on")], {"M": MATRIX}, "motif 'm' is not among the matrices given (it has M)"),
        ([("s", 0, 6, "+", "M", "on")], {"M": MATRIX}, "motif 'M' covers 6 bases there, its matrix has 5"),
        ([("s", 6, 11, "+", "M", "on")], {"M": MATRIX}, "motif 'm0' ends at 11 in 's', which has 10 bases"),
        ([("z", 0, 5, "+", "M", "on")], {"M": MATRIX}, "none of its 1 motifs lies on an explained record ('z' is no"),
    ],
)
def test_a_truth_that_does_not_belong_to_the_records_is_refused(rows, matrices, text: str) -> None:
    with pytest.raises(SeqplrpError) as error:
        information(
            place_truth(truth_table(*rows), places(("s", "s", 0, 10, "+")), where="t.bed"), matrices, where="t.bed"
        )
    assert text in str(error.value)
    assert str(error.value).startswith("t.bed: ")


def test_classes_are_named_once_in_the_order_of_the_truth() -> None:
    rows = truth_table(*[("s", 0, 5, "+", "M", c) for c in (".", "b,a", "a", "c", ".")])
    assert classes_of(rows["class"]) == ["b", "a", "c"]
