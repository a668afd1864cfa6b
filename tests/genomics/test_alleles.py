"""Both alleles of a variant: the right letters, of one length, and which belong together."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seqplrp import SeqplrpError
from seqplrp.genomics import AllelePair, Genome, Record, Remark, Variant, read_fasta, variant_windows, write_fasta

#              0         10        20
LETTERS = {"c": "ACGTTGCAAGGCTTACGATCCATGACCTGA", "long": "".join(random.Random(0).choices("ACGT", k=300))}


@pytest.fixture(scope="module")
def genome(tmp_path_factory: pytest.TempPathFactory):
    path = tmp_path_factory.mktemp("genome") / "genome.fa"
    write_fasta(path, LETTERS.items())
    with Genome(path) as opened:
        yield opened


def pairs(genome: Genome, *variants: Variant, width: int = 10, **options) -> tuple[list[AllelePair], list[Remark]]:
    remarks: list[Remark] = []
    return list(variant_windows(genome, variants, width=width, note=remarks.append, **options)), remarks


def only(genome: Genome, *variant: object, width: int = 10) -> AllelePair:
    ((pair,), remarks) = pairs(genome, Variant(*variant), width=width)
    assert remarks == []
    return pair


def gapped(pair: AllelePair) -> tuple[str, str]:
    """Both sequences laid side by side, a dash where there is no letter."""
    sequences = (pair.reference.sequence, pair.alternative.sequence)
    columns = pair.alignment().T.tolist()
    first, second = ("".join("-" if i < 0 else s[i] for i in column) for s, column in zip(sequences, columns))
    return first, second


# by hand; the genome around index 10 is  C A A G G | G C T T A C G  from 5 to 16
@pytest.mark.parametrize(
    ("ref", "alt", "reference", "alternative"),
    [
        ("G", "T", "GCAAGGCTTA", "GCAAGTCTTA"),  # a substitution
        ("GC", "TA", "GCAAGGCTTA", "GCAAGTATTA"),  # two
        ("GCT", "G", "GCAAGGCTTA--", "GCAAGG--TACG"),  # a deletion behind its base
        ("G", "GAA", "GCAAGG--CTTA", "GCAAGGAACT--"),  # an insertion behind its base
        ("GCT", "TAAA", "GCAAGGCT-TA", "GCAAGTAAAT-"),  # both at once: side by side from the left
        ("GC", "C", "GCAAGGCTTA-", "GCAAG-CTTAC"),  # a deletion that keeps what is behind it
        ("GCTT", "GCT", "GCAAGGCTTA-", "GCAAGGC-TAC"),  # of two equal letters the first goes
        ("G", "GG", "GCAAGG-CTTA", "GCAAGGGCTT-"),  # the base before an insertion stays where it is
    ],
)
def test_hand_worked_variants_lie_side_by_side(genome: Genome, ref, alt, reference, alternative) -> None:
    pair = only(genome, "c", 10, ref, alt)
    assert gapped(pair) == (reference, alternative)
    assert pair.reference.sequence == reference.replace("-", "") == LETTERS["c"][5:15]
    assert pair.alternative.sequence == alternative.replace("-", "")


def test_ids_and_places_are_true_and_an_indels_alternative_claims_none(genome: Genome, tmp_path: Path) -> None:
    snv = only(genome, "c", 10, "G", "T", "rs1")
    assert snv.reference == Record("c:11:G:T_ref::c:5-15", "GCAAGGCTTA", "c", 5, 15)
    assert snv.alternative == Record("c:11:G:T_alt::c:5-15", "GCAAGTCTTA", "c", 5, 15)
    deletion = only(genome, "c", 10, "GCT", "G")
    assert deletion.reference.id == "c:11:GCT:G_ref::c:5-15"
    assert deletion.alternative == Record("c:11:GCT:G_alt", "GCAAGGTACG", "c:11:GCT:G_alt", 0, 10)
    records = [record for pair in (snv, deletion) for record in (pair.reference, pair.alternative)]
    write_fasta(tmp_path / "out.fa", records)
    assert list(read_fasta(tmp_path / "out.fa")) == records


def test_every_letter_of_an_alternative_knows_its_place(genome: Genome) -> None:
    assert only(genome, "c", 10, "GCT", "G").alternative_positions().tolist() == [5, 6, 7, 8, 9, 10, 13, 14, 15, 16]
    assert only(genome, "c", 10, "G", "GAA").alternative_positions().tolist() == [5, 6, 7, 8, 9, 10, -1, -1, 11, 12]
    assert only(genome, "c", 10, "G", "T").alternative_positions().tolist() == list(range(5, 15))


alleles = st.text("ACGT", min_size=1, max_size=12)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)
@given(st.integers(0, 299), st.integers(1, 12), alleles, st.integers(1, 60), st.booleans())
def test_windows_are_those_of_the_whole_haplotype_and_letters_are_laid_to_their_own(
    genome, start, length, alt, width, anchored
) -> None:
    whole = LETTERS["long"]
    ref = whole[start : start + length]
    alt = ref[0] + alt if anchored else alt
    found, remarks = pairs(genome, Variant("long", start, ref, alt), width=width)
    (pair,) = found
    first = start - width // 2
    haplotype = whole[:start] + alt + whole[start + len(ref) :]
    padded = [f"{'N' * 100}{text}{'N' * 100}"[first + 100 : first + 100 + width] for text in (whole, haplotype)]
    assert [pair.reference.sequence, pair.alternative.sequence] == padded
    assert {remark.kind for remark in remarks} <= {"padded", "cut"}
    assert all(remark.used for remark in remarks)
    fits = first >= 0 and max(first + width, first + width + len(ref) - len(alt)) <= len(whole)
    assert fits or "padded" in {remark.kind for remark in remarks}

    columns = pair.alignment()
    for column in columns.T:
        assert column[column >= 0].tolist() == list(range(width))
    assert (columns >= 0).any(1).all()
    touched = range(width // 2, width // 2 + min(len(ref), len(alt)))
    for i, j in columns[(columns >= 0).all(1)]:
        assert pair.reference.sequence[i] == pair.alternative.sequence[j] or i in touched
    if width // 2 + max(len(ref), len(alt)) <= width:
        assert (columns < 0).any(1).sum() == 2 * abs(len(ref) - len(alt))  # in the alleles, and pushed off the end

    positions = pair.alternative_positions()
    for j, position in enumerate(positions):
        if 0 <= position < len(whole) and not start <= position < start + len(ref):
            assert pair.alternative.sequence[j] == whole[position]
    of_both = columns[(columns >= 0).all(1)]
    np.testing.assert_array_equal(positions[of_both[:, 1]], first + of_both[:, 0])


def test_an_allele_beyond_the_window_is_cut_and_listed(genome: Genome) -> None:
    inserted = Variant("long", 100, LETTERS["long"][100], LETTERS["long"][100] + "ACGT" * 10, where="v, line 1")
    deleted = Variant("long", 100, LETTERS["long"][100:140], LETTERS["long"][100], where="v, line 2")
    (first, second), remarks = pairs(genome, inserted, deleted)
    assert first.alternative.sequence == LETTERS["long"][95:101] + "ACGT"
    assert second.alternative.sequence == LETTERS["long"][95:101] + LETTERS["long"][140:144]
    assert second.reference.sequence == LETTERS["long"][95:105]
    assert [(r.kind, r.name, r.where, r.used) for r in remarks] == [
        ("cut", inserted.name, "v, line 1", True),
        ("cut", deleted.name, "v, line 2", True),
    ]
    assert gapped(second) == (
        f"{LETTERS['long'][95:105]}----",
        f"{LETTERS['long'][95:101]}----{LETTERS['long'][140:144]}",
    )


def test_a_reference_allele_that_the_genome_does_not_have_is_an_error_or_listed(genome: Genome) -> None:
    wrong = Variant("c", 10, "A", "C", "rs1", where="v, line 4")
    swapped = Variant("c", 10, "A", "G", where="v, line 5")
    beyond = Variant("c", 29, "AC", "A", where="v, line 6")
    with pytest.raises(SeqplrpError, match=r"^v, line 4: REF 'A' at c:11 is 'G' in .*genome.fa; give the genome"):
        pairs(genome, wrong)
    with pytest.raises(SeqplrpError, match="swapped"):
        pairs(genome, swapped)
    found, remarks = pairs(genome, wrong, swapped, beyond, Variant("c", 10, "G", "A"), mismatch="skip")
    assert len(found) == 1
    assert [(r.kind, r.name, r.start, r.where) for r in remarks] == [
        ("mismatch", "rs1", 10, "v, line 4"),
        ("mismatch", "c:11:A:G", 10, "v, line 5"),
        ("mismatch", "c:30:AC:A", 29, "v, line 6"),
    ]
    assert "reaches beyond the contig, which has 30 bases" in remarks[2].reason


def test_unknown_contigs_duplicates_and_contig_ends_are_treated_as_asked(genome: Genome) -> None:
    near = Variant("c", 2, "G", "T", where="v, line 1")
    again = Variant("c", 2, "G", "T", "rs2", where="v, line 2")
    strange = Variant("chrC", 2, "G", "T", where="v, line 3")
    with pytest.raises(SeqplrpError, match=r"^v, line 3: contig 'chrC' is not in the genome .*, which has 'c'"):
        pairs(genome, strange)
    found, remarks = pairs(genome, near, again, strange, unknown="skip")
    assert [pair.reference.sequence for pair in found] == ["NNNACGTTGC"]
    assert (found[0].reference.start, found[0].reference.end) == (-3, 7)
    assert [(r.kind, r.where, r.used) for r in remarks] == [
        ("padded", "v, line 1", True),
        ("duplicate", "v, line 2", False),
        ("no contig", "v, line 3", False),
    ]
    found, remarks = pairs(genome, near, edge="skip")
    assert (found, [remark.kind for remark in remarks]) == ([], ["off contig"])
    with pytest.raises(SeqplrpError, match=r"^v, line 1: the windows need c:-3-7, off the contig, which has 30"):
        pairs(genome, near, edge="error")


def test_a_deletion_that_draws_letters_from_beyond_the_contig_is_padded_and_listed(genome: Genome) -> None:
    deletion = Variant("c", 24, LETTERS["c"][24:27], LETTERS["c"][24])
    ((pair,), remarks) = pairs(genome, deletion)
    assert pair.reference.sequence == LETTERS["c"][19:29]
    assert pair.alternative.sequence == LETTERS["c"][19:25] + LETTERS["c"][27:30] + "N"
    assert [remark.kind for remark in remarks] == ["padded"]


@pytest.mark.parametrize("asked", [{"width": 0}, {"mismatch": "drop"}, {"edge": "drop"}, {"unknown": "pad"}])
def test_what_is_not_known_is_refused_before_reading(genome: Genome, asked: dict) -> None:
    with pytest.raises(SeqplrpError, match=next(iter(asked))):
        variant_windows(genome, [], **({"width": 4, "note": print} | asked))


def test_what_did_not_pass_and_is_used_is_told_and_what_is_left_out_for_another_reason_is_told_once(genome) -> None:
    used = [Variant("c", 10, "G", alt, filter=filter) for alt, filter in (("A", "PASS"), ("C", "q10;s50"), ("T", "."))]
    wrong = Variant("c", 10, "A", "G", filter="q10")
    off = Variant("c", 2, "G", "T", filter="q10")
    found, remarks = pairs(genome, *used, wrong, off, mismatch="skip", edge="skip")
    assert [pair.variant.alt for pair in found] == ["A", "C", "T"]
    told = [(remark.kind, remark.used, remark.reason) for remark in remarks]
    assert told[0] == ("filtered", True, "FILTER is 'q10;s50'")
    assert [kind for kind, *_ in told] == ["filtered", "mismatch", "off contig"]
