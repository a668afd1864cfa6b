"""`seqplrp variants`: both alleles explained as if their windows had been written by hand."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pandas as pd
import pytest
import torch
from Bio import bgzf
from commandline import refused
from small_inputs import LENGTH, random_dna

import seqplrp as sp
from seqplrp.genomics import codes_to_one_hot, decode, write_fasta
from seqplrp.models import load_callable_model, load_model

SIZE = 300
HALF = LENGTH // 2
MOTIF = "CACGTG"

COUNTER = f"""
import torch
from torch import nn


class Counter(nn.Module):
    '''Counts where {MOTIF} stands: 1 for each, as a letter that does not fit takes a match below 0.'''

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(4, 1, {len(MOTIF)})
        with torch.no_grad():
            self.conv.weight.zero_()
            for i, letter in enumerate("{MOTIF}"):
                self.conv.weight[0, "ACGT".index(letter), i] = 1
            self.conv.bias.fill_({1 - len(MOTIF)})

    def forward(self, x):
        return torch.relu(self.conv(x)).sum(2)
"""


@pytest.fixture
def genome(tmp_path):
    """Two contigs; no motif by chance."""
    dna = dict(zip(("chr1", "chr2"), random_dna(2, SIZE, seed=3), strict=True))
    assert not any(MOTIF in letters for letters in dna.values())
    write_fasta(tmp_path / "genome.fa", list(dna.items()))
    return dna


@pytest.fixture
def ask(run, genome, tmp_path):
    """Run the command on lines of a VCF file."""

    def ask(lines, *arguments, out="out", vcf="v.vcf"):
        if lines is not None:
            text = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\n"
            (tmp_path / vcf).write_text(text + "".join("\t".join(map(str, line)) + "\t.\n" for line in lines))
        asked = ["variants", "--vcf", tmp_path / vcf, "--genome", tmp_path / "genome.fa", "--out", tmp_path / out]
        return run(*asked, *arguments)

    return ask


@pytest.fixture
def answered(ask, tmp_path):
    """Run it, check that it has nothing to say against it, and return table and arrays."""

    def answered(lines, *arguments, out="out", **others):
        done = ask(lines, *arguments, out=out, **others)
        assert (done.code, done.err) == (0, ""), done.err
        table = pd.read_csv(tmp_path / out / "variants.tsv", sep="\t", keep_default_na=False, na_values=[""])
        with np.load(tmp_path / out / "variants.npz") as arrays:
            return table, dict(arrays), done

    return answered


def other(letter):
    return "ACGT"[("ACGT".index(letter) + 1) % 4]


def windows(dna, pos, ref, alt, width=LENGTH):
    """Cut both windows by hand; N off the contig."""
    padded = "N" * width + dna + "N" * width
    at = pos - 1 + width
    start = at - width // 2
    assert padded[at : at + len(ref)] == ref
    changed = padded[:at] + alt + padded[at + len(ref) :]
    return padded[start : start + width], changed[start : start + width]


@pytest.fixture
def variants(genome):
    """One of each kind, an allele of a multi-allelic line each, and two whose windows go off the contig."""
    dna = genome["chr1"]

    def ref(pos, length=1):
        return dna[pos - 1 : pos - 1 + length]

    a = ref(100)
    return [
        ("chr1", 100, "rs1", a, other(a)),
        ("chr1", 120, "ins", ref(120), ref(120) + "GATTA"),
        ("chr1", 140, "del", ref(140, 7), ref(140)),
        ("chr1", 160, "mnv", ref(160, 3), "".join(map(other, ref(160, 3)))),
        ("chr2", 200, "multi", genome["chr2"][199], ",".join(sorted(set("ACGT") - {genome["chr2"][199]}))),
        ("chr1", 5, ".", ref(5), other(ref(5))),
        ("chr1", 295, ".", ref(295, 3), ref(295)),
    ]


def each_allele(variants):
    return [(c, p, i, r, alt) for c, p, i, r, alts in variants for alt in alts.split(",")]


def test_scores_and_maps_are_those_of_windows_made_by_hand(answered, genome, variants, model_directory, tmp_path):
    table, arrays, done = answered(variants, "--model", model_directory, "--target", "GATA1")
    wanted = each_allele(variants)
    pairs = [windows(genome[c], p, r, alt) for c, p, _, r, alt in wanted]
    model = load_model(model_directory)
    first, second = (sp.explain(model, sp.one_hot(list(texts)), target=1) for texts in zip(*pairs, strict=True))
    shown = table[["contig", "pos", "id", "ref", "alt"]].to_numpy().tolist()
    assert shown == [list(one) for one in wanted]
    for name, e, texts in zip(("reference", "alternative"), (first, second), zip(*pairs, strict=True), strict=True):
        assert decode(codes_to_one_hot(arrays[f"codes_{name}"])) == list(texts)
        close = {"rtol": 1e-5, "atol": 1e-7}
        np.testing.assert_allclose(arrays[f"relevance_{name}"][:, 0], e.per_base, **close)
        np.testing.assert_allclose(arrays[f"hypothetical_{name}"][:, 0], e.hypothetical, **close)
        np.testing.assert_allclose(table[f"score_{name}"], e.output, **close)
        np.testing.assert_allclose(table[f"probability_{name}"], e.output.sigmoid(), **close)
    np.testing.assert_allclose(table["change"], second.output - first.output, rtol=1e-4, atol=1e-6)
    assert set(table["class"]) == {"GATA1"}
    assert arrays["targets"].tolist() == ["GATA1"]
    assert arrays["starts"].tolist() == [p - 1 - HALF for _, p, *_ in wanted]
    assert "note: 2 alternative alleles are used otherwise than they stand: 2 padded; see remarks.tsv" in done.out


def hand_aligned(pos, ref, alt, first, second):
    """Lay two maps of a window side by side letter by letter: the letters that the variant leaves, then what is new."""
    at = HALF
    shared = min(len(ref), len(alt))
    rows = [(first[i], second[i]) for i in range(at + shared)]
    rows += [(first[i], 0.0) for i in range(at + shared, min(at + len(ref), LENGTH))]
    rows += [(0.0, second[i]) for i in range(at + shared, min(at + len(alt), LENGTH))]
    behind = max(LENGTH - at - len(ref), LENGTH - at - len(alt))
    for k in range(behind):
        i, j = at + len(ref) + k, at + len(alt) + k
        rows.append((first[i] if i < LENGTH else 0.0, second[j] if j < LENGTH else 0.0))
    return np.array(rows, np.float64)


def test_the_table_sums_what_the_aligned_maps_differ_in(answered, variants, model_directory):
    table, arrays, _ = answered(variants, "--model", model_directory, "--target", "0")
    ends = [0, *arrays["alignment_ends"].tolist()]
    for i, row in table.iterrows():
        first, second = arrays["relevance_reference"][i, 0], arrays["relevance_alternative"][i, 0]
        rows = hand_aligned(row.pos, row.ref, row.alt, first, second)
        index = arrays["alignment"][ends[i] : ends[i + 1]]
        laid = np.stack([np.where(k < 0, 0, m[k]) for k, m in zip(index.T, (first, second), strict=True)], 1)
        np.testing.assert_allclose(laid, rows)
        changes = rows[:, 1] - rows[:, 0]
        assert row.l1_distance == pytest.approx(np.abs(changes).sum(), rel=1e-6)
        assert row.top_change == pytest.approx(changes[np.abs(changes).argmax()], rel=1e-6)
        for name, letters, values in (("reference", row.ref, first), ("alternative", row.alt, second)):
            inside = values[HALF : HALF + len(letters)].sum()
            near = values[HALF - 10 : HALF + len(letters) + 10].sum()
            assert row[f"relevance_variant_{name}"] == pytest.approx(inside, abs=1e-6)
            assert row[f"relevance_near_{name}"] == pytest.approx(near, abs=1e-6)


@pytest.fixture
def counter(tmp_path, monkeypatch):
    (tmp_path / "counting.py").write_text(COUNTER)
    monkeypatch.chdir(tmp_path)
    return ["--model", "counting:Counter", "--width", "31", "--method", "lrp", "--rule", "epsilon"]


def test_a_motif_that_is_broken_made_or_moved_changes_what_is_known_by_hand(answered, counter, genome, tmp_path):
    dna = "ACTTA" * 60
    at = 100
    dna = dna[:at] + MOTIF + dna[at + 6 :]  # 1-based 101 to 106
    dna = dna[:200] + "CATCGTG" + dna[207:]  # without its third letter it is the motif
    write_fasta(tmp_path / "genome.fa", [("chr1", dna)])
    (tmp_path / "genome.fa.fai").unlink(missing_ok=True)
    lines = [
        ("chr1", 103, "broken", "C", "T"),
        ("chr1", 103, "split", "C", "CT"),
        ("chr1", 202, "deleted", "AT", "A"),
        ("chr1", 110, "beside", dna[109], other(dna[109])),
        ("chr1", 107, "moved", dna[106], dna[106] + "AA"),
        ("chr1", 150, "made", dna[149], dna[149] + MOTIF),
        ("chr1", 80, "drawn", dna[79:92], dna[79]),  # the window ends before the motif, and with the deletion behind it
    ]
    table, arrays, _ = answered(lines, *counter)
    table = table.set_index("id")
    assert table.index.tolist() == ["broken", "split", "deleted", "beside", "moved", "made", "drawn"]
    assert table["score_reference"].round(5).tolist() == [1, 1, 0, 1, 1, 0, 0]
    assert table["change"].round(5).tolist() == [-1, -1, 1, 0, 0, 1, 1]
    # a match of the motif is shared out evenly: each of its letters adds 1 of 6 to it, and the bias takes 5 away
    assert table["l1_distance"].round(4).tolist() == [6, 6, 6, 0, 0, 6, 6]
    assert table["top_change"].round(4).tolist() == [-1, -1, 1, 0, 0, 1, 1]
    assert table["relevance_variant_reference"].round(4).tolist() == [1, 1, 0, 0, 0, 0, 0]
    assert table["relevance_variant_alternative"].round(4).tolist() == [0, 0, 1, 0, 0, 6, 0]
    assert table["relevance_near_reference"].round(4).tolist() == [6, 6, 0, 6, 6, 0, 0]
    assert table["relevance_near_alternative"].round(4).tolist() == [0, 0, 6, 6, 6, 6, 2]
    assert table.loc["broken", ["top_change_position", "top_change_bases"]].tolist() == [101, "C>C"]
    assert table.loc["deleted", ["top_change_position", "top_change_bases"]].tolist() == [201, "C>C"]
    assert table.loc["made", ["top_change_position", "top_change_bases"]].tolist() == [150, "->C"]
    assert table.loc["drawn", ["top_change_position", "top_change_bases"]].tolist() == [101, "->C"]
    assert table.loc["beside", ["top_change_position", "top_change_bases"]].isna().all()
    assert table["probability_reference"].isna().all()
    assert arrays["relevance_reference"].shape == (7, 1, 31)
    np.testing.assert_allclose(arrays["relevance_reference"][0, 0].nonzero()[0], np.arange(13, 19))


def test_each_target_has_a_row_and_maps_as_if_asked_for_alone(answered, variants, model_directory):
    asked = ["--model", model_directory, "--reverse-complement", "--center", "uniform"]
    both, arrays, _ = answered(variants, *asked, "--target", "1", "--target", "0", out="both")
    assert both["target"].tolist() == [1, 0] * (len(both) // 2)
    assert arrays["targets"].tolist() == ["GATA1", "CTCF"]
    for number, target in enumerate((1, 0)):
        alone, alone_arrays, _ = answered(None, *asked, "--target", target, out=str(target))
        pd.testing.assert_frame_equal(
            both[both["target"] == target].reset_index(drop=True), alone, rtol=1e-5, atol=1e-7
        )
        for name in ("relevance_reference", "hypothetical_alternative"):
            np.testing.assert_allclose(arrays[name][:, number], alone_arrays[name][:, 0], rtol=1e-5, atol=1e-7)
    assert both["strand_consistency_reference"].between(-1, 1).all()


def test_of_several_models_the_mean_is_compared_and_its_spread_told(answered, variants, external):
    asked = ["--model", "mynet:Net", "--model", "mynet:Net", "--width", "33", "--target", "1"]
    table, arrays, _ = answered(variants, *asked)
    alone, _, _ = answered(None, "--model", "mynet:Net", "--width", "33", "--target", "1", out="alone")
    np.testing.assert_allclose(table["change"], alone["change"], rtol=1e-4, atol=1e-7)
    assert (table["score_spread_reference"] == 0).all()
    assert arrays["relevance_spread_alternative"].shape == (len(table), 1, 33)


def test_what_comes_out_does_not_depend_on_how_many_go_together(answered, variants, external):
    asked = ["--model", "mynet:Net", "--width", "21", "--target", "0"]
    whole, arrays, _ = answered(variants, *asked)
    parts, others, _ = answered(None, *asked, "--batch-size", "3", "--chunk-size", "2", out="parts")
    pd.testing.assert_frame_equal(whole, parts, rtol=1e-5, atol=1e-7)
    assert list(arrays) == list(others)
    for name, array in arrays.items():
        if array.dtype.kind == "f":
            np.testing.assert_allclose(array, others[name], rtol=1e-5, atol=1e-7)
        else:
            np.testing.assert_array_equal(array, others[name])


def test_a_chunk_is_no_larger_than_its_windows_and_targets_allow():
    from seqplrp.pipeline import variants

    assert variants._most_variants(512, 200, 1) == 512
    assert variants._most_variants(3, 200, 1) == 3
    assert variants._most_variants(512, 1 << 15, 1) == 16
    assert variants._most_variants(512, 1 << 15, 4) == 4
    assert variants._most_variants(512, 1 << 22, 1) == 1


@pytest.mark.parametrize("compress", [gzip.open, bgzf.open])
def test_a_compressed_file_is_read_as_the_plain_one(answered, variants, external, tmp_path, compress):
    asked = ["--model", "mynet:Net", "--width", "21", "--target", "0"]
    plain, _, _ = answered(variants, *asked)
    with compress(tmp_path / "v.vcf.gz", "wb") as file:
        file.write((tmp_path / "v.vcf").read_bytes())
    found, _, _ = answered(None, *asked, vcf="v.vcf.gz", out="compressed")
    pd.testing.assert_frame_equal(plain, found)


def test_a_method_without_hypothetical_contributions_gives_relevance_alone(answered, variants, external):
    _, arrays, _ = answered(
        variants, "--model", "mynet:Net", "--width", "21", "--target", "0", "--method", "lrp", "--rule", "zbox(0,1)"
    )
    assert "relevance_reference" in arrays
    assert "hypothetical_reference" not in arrays


def test_variants_that_can_not_be_compared_are_listed_and_counted(answered, genome, external, tmp_path):
    ref = genome["chr1"][99]
    lines = [
        ("chr1", 100, "good", ref, other(ref)),
        ("chr1", 100, "again", ref, other(ref)),
        ("chr1", 100, "wrong", other(ref), ref),
        ("chr1", 100, "symbolic", ref, "<DEL>"),
        ("chr9", 100, "nowhere", ref, other(ref)),
        ("chr1", 4, "near", genome["chr1"][3], other(genome["chr1"][3])),
    ]
    asked = ["--model", "mynet:Net", "--width", "21", "--target", "0", "--mismatch", "skip"]
    table, arrays, done = answered(lines, *asked, "--unknown-contig", "skip", "--edge", "skip")
    assert table["id"].tolist() == ["good"]
    assert arrays["ids"].tolist() == [f"chr1:100:{ref}:{other(ref)}"]
    told = "5 alternative alleles were left out: 1 duplicate, 1 mismatch, 1 no contig, 1 off contig, 1 symbolic"
    assert f"note: {told}; see remarks.tsv\n" in done.out
    remarks = pd.read_csv(tmp_path / "out" / "remarks.tsv", sep="\t")
    assert remarks["name"].tolist() == ["again", "wrong", "symbolic", "nowhere", "near"]
    assert remarks["where"][1] == f"{tmp_path / 'v.vcf'}, line 5"
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert (manifest["command"], manifest["variants"], manifest["left_out"]["mismatch"]) == ("variants", 1, 1)
    assert (manifest["input"]["width"], manifest["input"]["mismatch"]) == (21, "skip")
    assert manifest["input"]["further_files"][0]["path"].endswith("genome.fa")


def test_nothing_is_listed_where_all_is_used_as_it_stands(answered, variants, external, tmp_path):
    answered(variants[:1], "--model", "mynet:Net", "--width", "21", "--target", "0")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        ".seqplrp.json",
        "manifest.json",
        "parts",
        "variants.npz",
        "variants.tsv",
    }


def test_further_inputs_have_a_row_for_each_allele(answered, variants, tmp_path, monkeypatch):
    (tmp_path / "scaled.py").write_text(
        COUNTER + "\n\nclass Scaled(Counter):\n    def forward(self, x, by):\n"
        "        return self.conv(x).mean(2) * by\n"
    )
    monkeypatch.chdir(tmp_path)
    np.save("by.npy", np.array([[1.0], [3.0], [2.0], [2.0]]))
    lines = [variants[0], variants[3]]
    asked = ["--model", "scaled:Scaled", "--width", "31"]
    np.save("one.npy", np.ones((1, 1)))
    plain, _, _ = answered(lines, *asked, "--arg", "one.npy", out="plain")
    table, _, _ = answered(None, *asked, "--arg", "by.npy")
    np.testing.assert_allclose(table["score_reference"], plain["score_reference"] * [1, 2], rtol=1e-5)
    np.testing.assert_allclose(table["score_alternative"], plain["score_alternative"] * [3, 2], rtol=1e-5)


def test_the_largest_changes_are_drawn_in_their_order_and_names_stay_in_the_folder(
    answered, counter, genome, tmp_path, monkeypatch
):
    from seqplrp import plot

    drawn = []
    monkeypatch.setattr(plot, "save_figure", lambda figure, path: (drawn.append(figure), path.write_bytes(b"")))
    dna = "ACTTA" * 20 + MOTIF + "ACTTA" * 20
    write_fasta(tmp_path / "genome.fa", [("../x/chr", dna)])
    (tmp_path / "genome.fa.fai").unlink(missing_ok=True)
    lines = [
        ("../x/chr", 50, ".", dna[49], other(dna[49])),
        ("../x/chr", 103, "$rs$", "C", "CTG"),
        ("../x/chr", 60, "rs2", dna[59], other(dna[59])),
    ]
    answered(lines, *counter, "--logos", "2")
    names = sorted(path.name for path in (tmp_path / "out" / "logos").iterdir())
    assert names == ["001_.._x_chr_103_C_CTG.png", "002_.._x_chr_50_A_C.png"]
    tracks = drawn[0].axes
    assert [ax.get_title("left") for ax in tracks[:2]] == ["reference C, score 1", "alternative CTG, score 0"]
    assert [text.get_text() for text in tracks[2].texts] == ["C>CTG"]
    assert tracks[2].get_xlabel() == "aligned letters of both alleles; 0 is ../x/chr:103"
    # the inserted letters keep their columns, at which the reference has dashes
    dashes = [[segment.mean(0).tolist() for segment in ax.collections[-1].get_segments()] for ax in tracks[:2]]
    assert dashes == [[[1, 0], [2, 0]], []]
    (bar,) = tracks[2].patches
    assert (bar.get_x(), bar.get_width()) == (-0.5, 3)


def test_a_long_allele_is_drawn_as_far_as_it_fits(answered, counter, genome, tmp_path):
    ref = genome["chr1"][149]
    lines = [("chr1", 150, "long", ref, ref + random_dna(1, 500)[0])]
    answered(lines, *counter, "--width", "601", "--logos", "1")
    (picture,) = (tmp_path / "out" / "logos").iterdir()
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_what_is_there_is_replaced_only_if_asked(answered, ask, variants, external):
    asked = ["--model", "mynet:Net", "--width", "21", "--target", "0"]
    answered(variants, *asked)
    refused(ask(None, *asked), r"holds a run of `seqplrp variants`, finished or not \(1 parts\); add --resume")
    answered(variants[:1], *asked, "--overwrite")


@pytest.mark.parametrize(
    ("line", "arguments", "told"),
    [
        (("chr1", 100, ".", "MISFIT", "A"), [], r"v.vcf, line 3: letter 'M' of REF 'MISFIT' is an ambiguity code"),
        (("chr1", 100, ".", "WRONG", "A"), ["--iupac", "n"], r"v.vcf, line 3: letter 'O' of REF 'WRONG' is not DNA"),
        (
            ("chr1", 100, ".", "ACGTACGTAC", "A"),
            [],
            r"v.vcf, line 3: REF 'ACGTACGTAC' at chr1:100 is '\w+' in .*genome",
        ),
        (("chr1", "x", ".", "A", "C"), [], r"v.vcf, line 3: POS 'x' is no whole number"),
        (("1", 100, ".", "A", "C"), [], r"v.vcf, line 3: contig '1' is not in the genome .*, which has 'chr1'"),
        (("chr1", 100, ".", "A", "<DEL>"), [], r"v.vcf: leaves no sequence to explain \(1 symbolic\)"),
        ("ok", ["--width", "3"], "v.vcf, record 'chr1:100:.*': the model fails on its 3 bases"),
        ("ok", ["--width", "0"], "--width"),
        ("ok", ["--mismatch", "drop"], "--mismatch: 'drop' is not known; choose error, skip"),
        ("ok", ["--edge", "cut"], "--edge: 'cut' is not known; choose pad, skip, error"),
        ("ok", ["--unknown-contig", "x"], "--unknown-contig: 'x' is not known"),
        ("ok", ["--iupac", "x"], "--iupac: 'x' is not known"),
        ("ok", ["--apply-filters", "PASS,"], "--apply-filters: 'PASS,' holds an empty name"),
        ("ok", ["--apply-filters", "q10"], r"v.vcf: leaves no sequence to explain \(1 filtered\)"),
        ("ok", ["--chunk-size", "0"], "--chunk-size"),
        ("ok", ["--workers", "2"], "are for Ray; add --executor ray"),
        ("ok", ["--target", "7"], "--target: 7 is out of range"),
        ("ok", ["--vcf", "none.vcf"], "none.vcf: can't be read"),
        ("ok", ["--genome", "none.fa"], "none.fa: there is no such file"),
        ("ok", ["--out", "."], "holds 'v.vcf'|which this command reads|is not empty"),
    ],
)
def test_bad_input_is_one_line_that_says_where(ask, genome, external, line, arguments, told):
    ref = genome["chr1"][99]
    line = ("chr1", 100, ".", ref, other(ref)) if line == "ok" else line
    target = [] if "--target" in arguments else ["--target", "0"]
    width = [] if "--width" in arguments else ["--width", "21"]
    refused(ask([line], "--model", "mynet:Net", *target, *width, *arguments), told)
    assert not (external / "out").exists()


def test_the_width_is_the_models_own_or_must_be_given(ask, answered, variants, external, model_directory):
    refused(ask(variants, "--model", "mynet:Net", "--target", "0"), "--width: is needed")
    fixed = ["--model", model_directory, "--target", "0"]
    refused(ask(variants, *fixed, "--width", "50"), "--width: is 50, and the model takes 40 bases only")
    _, arrays, _ = answered(variants, "--model", "mynet:Fixed", "--width", "40")
    assert arrays["codes_reference"].shape[1] == 40
    refused(ask(variants, "--model", "mynet:Fixed", "--width", "41", "--overwrite"), "the model fails on its 41 bases")


def test_the_width_of_a_program_is_that_which_it_was_exported_for(ask, answered, variants, external):
    free = {"Fixed": {0: torch.export.Dim("n")}}
    free["Net"] = free["Fixed"] | {2: torch.export.Dim("length", min=8)}
    for name, sizes in free.items():
        model = load_callable_model(f"mynet:{name}", None, trust_pickle=False)
        program = torch.export.export(model, (torch.zeros(2, 4, 40),), dynamic_shapes=(sizes,))
        torch.export.save(program, f"{name}.pt2")
    table, arrays, _ = answered(variants, "--model", "Fixed.pt2")
    assert arrays["codes_reference"].shape[1] == 40
    expected, _, _ = answered(None, "--model", "mynet:Fixed", "--width", "40", out="expected")
    pd.testing.assert_frame_equal(table, expected, rtol=1e-5, atol=1e-7)
    longer = ask(None, "--model", "Fixed.pt2", "--width", "41", out="longer")
    refused(longer, "--width: is 41, and the model takes 40 bases only")
    refused(ask(None, "--model", "Net.pt2", "--target", "0", out="any"), "--width: is needed")


def test_an_output_that_differs_between_alleles_is_refused(ask, variants, model_directory):
    told = ask(variants, "--model", model_directory, "--target", "predicted")
    refused(told, "--target: predicted may be another output for each allele")


def test_the_module_of_the_hand_made_model_counts_motifs(counter):
    model = load_callable_model("counting:Counter", None, trust_pickle=False)
    x = sp.one_hot(["AA" + MOTIF + "T" + MOTIF, "CACGTC" + "A" * 9])
    assert model(x).squeeze(1).tolist() == [2, 0]
