"""From directories of explanations to a page: which sequences, what is said of them and marked, what is refused."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch
from written import record, truth_table, write_directory

import seqplrp as sp
from seqplrp import SeqplrpError
from seqplrp.genomics import motifs, one_hot
from seqplrp.recovery import MarkOptions, read_runs, tracks_page
from seqplrp.recovery.report.accounts import read_account

RECORDS = [record("a", "ACGTACGTAC"), record("b", "TTTTNCCCCC", "chr2", 100, "-"), record("c", "GG")]
MAPS = [np.arange(10) / 10, np.array([1, -2, 0, 0, 0, 3, 0, 0, 0, 0.5]), np.array([0.25, 0.0])]
QUIET = MarkOptions(seqlets=False)
HEAD = "id\tlayer\top\trule\trelevance_out\trelevance_in\tbias\tstabiliser\tfixed_inputs\tresidue\tunexplained\tsize\t"
HEAD += "size_in\tscale\tpruned\tlambda\tlambda_pos\tlambda_neg\tkept_share\tkept_mass\tguarded"


@pytest.fixture
def directory(tmp_path):
    return write_directory(tmp_path / "run", RECORDS, MAPS, outputs=[5.0, -1.0, 0.25])


def ledger(path, rows, further=()):
    """Write a ledger of rows (id, layer, op, rule, numbers by column)."""
    columns = [*HEAD.split("\t"), *further]
    lines = ["\t".join(columns)]
    for id, layer, op, rule, numbers in rows:
        cells = {"id": id, "layer": layer, "op": op, "rule": rule, **numbers}
        lines.append("\t".join(str(cells.get(name, "")) for name in columns))
    (path / "ledger.tsv").write_text("\n".join(lines) + "\n")


def layers(id, score, end, *, unexplained=0.0, **further):
    """Two layers: from the score to the bases; what is missing is the first one's bias."""
    top = {"relevance_out": score, "relevance_in": end, "bias": score - end, "unexplained": unexplained, "size": 10.0}
    low = {"relevance_out": end, "relevance_in": end, "bias": 0.0, "unexplained": 0.0, "size": 5.0}
    return [
        (id, "head", "linear", "Gamma()", {**top, **further}),
        (id, "conv", "conv1d", "Gamma()", {**low, **further}),
    ]


def check(page, title):
    return next(one for one in page.checks if one.title == title)


def column(page, key):
    return next(one.values for one in page.columns if one.key == key)


def test_letters_maps_and_places_are_those_of_the_directory(directory):
    page = tracks_page([directory], marks=QUIET)
    assert page.places.ids == ["a", "b", "c"]
    assert (page.places.contigs, page.places.starts, page.places.strands) == (
        ["a", "chr2", "c"],
        [0, 100, 0],
        ["+", "-", "+"],
    )
    assert page.places.codes.tolist() == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 3, 3, 3, 3, 4, 1, 1, 1, 1, 1, 2, 2]
    np.testing.assert_allclose(page.tracks[0].per_base, np.concatenate(MAPS), rtol=1e-6)
    assert column(page, "place") == ["a:0-10 (+)", "chr2:100-110 (-)", "c:0-2 (+)"]
    assert column(page, "length") == [10, 10, 2]
    assert column(page, "score") == [5.0, -1.0, 0.25]
    assert check(page, "Scores").text.startswith("1 of 3 scores are negative")
    page.html()


def test_the_line_under_the_title_says_which_output_of_which_model_is_explained(directory, tmp_path):
    other = write_directory(tmp_path / "other", RECORDS, MAPS, method="lrp")
    assert tracks_page([directory, other], marks=QUIET).lead == "3 sequences, 22 bases, explained by plrp; lrp"
    for path, about in (
        (directory, {"target": 1, "classes": ["USF1", "CTCF"], "models": [{"name": "a.pt"}]}),
        (other, {"target": "predicted", "models": [{"name": f"{c}.pt"} for c in "abcdef"]}),
    ):
        manifest = json.loads((path / "manifest.json").read_text())
        (path / "manifest.json").write_text(json.dumps({**manifest, **about}))
    assert tracks_page([directory], marks=QUIET).lead.endswith("explained by plrp; target: 1 (CTCF); model: a.pt")
    lead = tracks_page([directory, other], marks=QUIET).lead
    assert lead.endswith("; targets: 1 (CTCF), predicted; models: a.pt, b.pt, c.pt, d.pt and 2 more")


def test_places_have_no_column_where_names_are_places(tmp_path):
    at = [("chr1:5-9", "+"), ("chr2:0-4(-)", "-"), ("chr2:9-13(+)", "+")]
    spans = [("chr1", 5), ("chr2", 0), ("chr2", 9)]
    for number, turned in enumerate(("+", "-")):  # a name that hides the other strand tells too little
        strands = [turned, *[strand for _, strand in at[1:]]]
        records = [record(id, "ACGT", *spans[i], strands[i]) for i, (id, _) in enumerate(at)]
        run = write_directory(tmp_path / f"run{number}", records, [np.ones(4)] * 3)
        found = [one.key for one in tracks_page([run], marks=QUIET).columns]
        assert ("place" in found) is (turned == "-")


def noted(method):
    """What an explanation notes of negative scores, and whether its map speaks with the score's evidence."""
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(8, 1, bias=False))
    torch.nn.init.constant_(model[1].weight, -1.0)
    e = sp.explain(model, one_hot(["AC", "GT", "TT"]), method=method)
    assert (e.output < 0).all()
    return next(note for note in e.notes if "negative" in note)


def test_the_page_tells_of_negative_scores_what_the_explanation_itself_notes(tmp_path):
    of_all = [-5.0, -1.0, -0.25]
    plain = write_directory(tmp_path / "plain", RECORDS, MAPS, outputs=of_all)
    told = check(tracks_page([plain], marks=QUIET), "Scores").text
    assert told == noted(sp.LRP()) + ". Of all scores the median is -1."
    assert "positive relevance is the evidence for the output" in told
    # where signs turn with the score's, both say so: from the arguments, and from the ledger's first layer
    turned = write_directory(tmp_path / "turned", RECORDS, MAPS, outputs=of_all, method="lrp")
    (turned / "manifest.json").write_text(
        json.dumps({"method": repr(sp.LRP(rule="relative")), "arguments": {"method": "lrp"}})
    )
    for with_ledger in (False, True):
        if with_ledger:
            rows = [row for id, score in zip("abc", of_all) for row in layers(id, score, score)]
            ledger(turned, [(id, layer, op, "Relative(eps=1e-06)", numbers) for id, layer, op, _, numbers in rows])
        told = check(tracks_page([turned], marks=QUIET), "Scores").text
        assert told == noted(sp.LRP(rule="relative")) + ". Of all scores the median is -1."
        assert "negative relevance is the evidence for the output" in told
    both = check(tracks_page([plain, turned], marks=QUIET), "Scores").text.split("\n")
    assert [line.split(":")[0] for line in both] == ["plrp", "lrp"]
    assert ["positive relevance is the evidence for" in line for line in both] == [True, False]


def test_a_page_can_do_without_hypothetical_contributions_and_says_nothing_of_them(directory):
    assert tracks_page([directory], marks=QUIET).tracks[0].hypothetical is not None
    assert tracks_page([directory], marks=QUIET, hypothetical=False).tracks[0].hypothetical is None


def test_of_many_sequences_those_of_the_highest_scores_are_shown_in_their_order(directory):
    page = tracks_page([directory], marks=QUIET, most=2)
    assert page.places.ids == ["a", "b"]
    np.testing.assert_allclose(page.tracks[0].per_base, np.concatenate(MAPS[:2]), rtol=1e-6)
    assert "2 of 3 sequences are shown, those of the highest |score|" in check(page, "To be known").text


def test_ledgers_are_read_by_sequence_layer_by_layer_and_their_gaps_found(directory):
    ledger(directory, [*layers("a", 5.0, 4.5), *layers("b", -1.0, 2.5, unexplained=2e-3), *layers("c", 0.25, 0.25)])
    runs = read_runs([directory], most=10)
    account = read_account(runs.runs[0], ["a", "b", "c"])
    assert account is not None
    assert (account.worst, account.worst_at) == (pytest.approx(2e-4), ("b", "head"))
    np.testing.assert_allclose(account.start, [5, -1, 0.25])
    np.testing.assert_allclose(account.end, [4.5, 2.5, 0.25])
    np.testing.assert_allclose(account.bias, [0.5, -3.5, 0])
    (pattern,) = account.accounts.patterns
    assert [step[0] for step in pattern.steps] == ["head", "conv"]
    cells = dict(zip(pattern.cells, account.accounts.values[1, 0]))
    assert (cells[0, 0], cells[0, 1], cells[0, 2]) == (-1.0, 2.5, -3.5)
    assert dict(zip(pattern.cells, pattern.mean))[0, 1] == pytest.approx((4.5 + 2.5 + 0.25) / 3)
    conservation = check(tracks_page([directory], marks=QUIET), "Conservation")
    assert conservation.state == "warn"
    assert "0.0002 of the relevance at layer head of b is unaccounted for" in conservation.text


def test_a_ledger_that_balances_and_a_map_that_is_what_arrived_are_said_to_be_so(directory):
    ends = [float(values.sum()) for values in MAPS]
    ledger(directory, [row for id, end in zip("abc", ends) for row in layers(id, 2 * end, end)])
    conservation = check(tracks_page([directory], marks=QUIET), "Conservation")
    assert conservation.state == "good"
    assert "of 6, one a layer and sequence" in conservation.text
    assert "The bases explain 50 % of the score in the median, 50 % to 50 % from the 5th" in conservation.text
    assert "; biases make up the rest. Every map sums to the sign of its score." in conservation.text
    ledger(directory, [row for id, end in zip("abc", ends) for row in layers(id, 2 * end, end + 1)])
    assert check(tracks_page([directory], marks=QUIET), "Conservation").state == "warn"


@pytest.mark.parametrize("method", ["PLRP()", "PLRP(center='composition')"])
def test_that_bases_explain_much_of_some_scores_and_less_than_nothing_of_others_is_said_and_is_no_tick(
    tmp_path, method
):
    n = 20
    ends = np.linspace(-1.0, 2.0, n)  # -100 % to 200 % of a score of 1, and 7 of 20 below 0
    records = [record(f"s{i}", "ACGT") for i in range(n)]
    maps = [np.array([end, 0, 0, 0]) for end in ends]
    run = write_directory(tmp_path / "run", records, maps, outputs=[1.0] * n)
    (run / "manifest.json").write_text(json.dumps({"method": method, "arguments": {"method": "plrp"}}))
    moved = 0.25 if "center" in method else 0.0  # what centring takes from no map's sign here
    ends = ends + moved * (ends > 0)
    ledger(run, [row for i, end in enumerate(ends) for row in layers(f"s{i}", 1.0, end)])
    found = check(tracks_page([run], marks=QUIET), "Conservation")
    assert found.state == "warn"
    low, high = np.percentile(100 * ends, [5, 95])
    assert low < 0
    assert f"in the median, \u2212{-low:.0f} % to {high:.0f} % from the 5th to the 95th percentile" in found.text
    assert "biases make up the rest (above 100 %, biases take some of it back)" in found.text
    when = ", before centring," if moved else ""
    told = (
        f"7 of 20 maps{when} sum to the other sign than the score: there biases outweigh the bases, and a map does not"
    )
    assert told in found.text
    # a single one is told, and is no cause for a warning
    ledger(run, [row for i, end in enumerate(ends) for row in layers(f"s{i}", 1.0 if i == 6 else end, end)])
    found = check(tracks_page([run], marks=QUIET), "Conservation")
    assert found.state == "good"
    assert f"1 of 20 maps{when} sum to the other sign than the score" in found.text
    # what further inputs took is not called biases
    ledger(run, [row for i, end in enumerate(ends) for row in layers(f"s{i}", 1.0, end, bias=0.0)])
    text = check(tracks_page([run], marks=QUIET), "Conservation").text
    assert "where the rest went, the ledgers say" in text
    assert "there biases and other terms outweigh the bases" in text


def test_strands_and_models_have_ledgers_of_their_own(directory):
    rows = []
    for id in "abc":
        rows += layers(id, 2.0, 1.0, strand="+", member=1) + layers(id, 4.0, 3.0, strand="-", member=1)
    ledger(directory, rows, further=("strand", "member"))
    account = read_account(read_runs([directory], most=10).runs[0], ["a", "b", "c"])
    assert account is not None
    assert account.accounts.labels == ["model 1, strand +", "model 1, strand \u2212"]
    np.testing.assert_allclose(account.end, 2.0)
    assert account.accounts.values[2, 1][1] == 3.0


def test_sequences_of_other_layers_have_a_pattern_of_their_own(directory):
    ledger(directory, [*layers("a", 5, 4), *layers("b", 1, 1), *layers("c", 1, 1)[:1]])
    accounts = read_account(read_runs([directory], most=10).runs[0], ["a", "b", "c"]).accounts
    assert accounts.which[:, 0].tolist() == [0, 0, 1]
    assert [len(pattern.steps) for pattern in accounts.patterns] == [2, 1]


def test_without_a_ledger_or_a_summary_the_page_says_what_it_does_not_know(tmp_path):
    directory = write_directory(tmp_path / "bare", RECORDS, MAPS, summary=False)
    page = tracks_page([directory], marks=QUIET, most=2)
    assert check(page, "Conservation").state == "open"
    assert check(page, "Scores").state == "open"
    assert page.places.ids == ["a", "b"]  # the first, as no scores are known
    assert [one.key for one in page.columns] == ["id", "place"]


def test_the_strands_agreement_is_told_in_words(directory):
    assert check(tracks_page([directory], marks=QUIET), "Reverse complement").state == "open"
    table = pd.read_csv(directory / "summary.tsv", sep="\t")
    table.assign(strand_consistency=[0.9, 0.1, 0.8]).to_csv(directory / "summary.tsv", sep="\t", index=False)
    found = check(tracks_page([directory], marks=QUIET), "Reverse complement")
    assert found.state == "warn"
    assert "median cosine of 0.80; 1 of 3 sequences are below 0.5 (the lowest, b, 0.10)" in found.text
    assert found.text.startswith("The maps")


def test_a_method_keeps_its_name_where_it_begins_a_sentence(directory, tmp_path):
    for path in (directory, write_directory(tmp_path / "other", RECORDS, MAPS, method="lrp")):
        table = pd.read_csv(path / "summary.tsv", sep="\t")
        table.assign(strand_consistency=0.9).to_csv(path / "summary.tsv", sep="\t", index=False)
    text = check(tracks_page([directory, tmp_path / "other"], marks=QUIET), "Reverse complement").text
    assert [line.split(":")[0] for line in text.split("\n")] == ["plrp", "lrp"]


def test_several_directories_are_stacked_and_compared(directory, tmp_path):
    other = write_directory(tmp_path / "other", RECORDS[:2], [2 * MAPS[0], -MAPS[1]], method="lrp", outputs=[5.0, -1.0])
    page = tracks_page([directory, other], marks=QUIET)
    assert [track.title for track in page.tracks] == ["plrp", "lrp"]
    assert page.tracks[1].there.tolist() == [True, True, False]
    np.testing.assert_allclose(page.tracks[1].per_base, np.concatenate([2 * MAPS[0], -MAPS[1], [0, 0]]), rtol=1e-6)
    np.testing.assert_allclose(column(page, "like-2"), [1, -1, np.nan], atol=1e-6)
    assert "lrp lacks 1 of the 3 sequences" in check(page, "To be known").text
    assert [one.key for one in page.columns].count("score") == 1
    page.html()


def test_the_same_method_twice_is_told_apart_by_directories(directory, tmp_path):
    other = write_directory(tmp_path / "again", RECORDS, MAPS)
    assert [t.title for t in tracks_page([directory, other], marks=QUIET).tracks] == ["plrp (run)", "plrp (again)"]


def test_several_outputs_of_one_directory_are_stacked(directory):
    for name in ("GATA1", "CTCF"):
        (directory / f"relevance.{name}.npz").write_bytes((directory / "relevance.npz").read_bytes())
    (directory / "relevance.npz").unlink()
    manifest = json.loads((directory / "manifest.json").read_text())
    (directory / "manifest.json").write_text(json.dumps({**manifest, "outputs": ["GATA1", "CTCF"]}))
    table = pd.read_csv(directory / "summary.tsv", sep="\t")
    both = pd.concat([table.assign(target=0), table.assign(target=1, output=[7.0, 8.0, 9.0])]).sort_index(kind="stable")
    both.to_csv(directory / "summary.tsv", sep="\t", index=False)
    rows = [row for id in "abc" for t in (0, 1) for row in layers(id, 1.0 + t, 1.0 + t, target=t)]
    ledger(directory, rows, further=("target",))
    page = tracks_page([directory], marks=QUIET)
    assert [track.title for track in page.tracks] == ["GATA1: plrp", "CTCF: plrp"]
    assert (column(page, "score"), column(page, "score-2")) == ([5.0, -1.0, 0.25], [7.0, 8.0, 9.0])
    assert [one.label for one in page.columns if one.key.startswith("score")] == ["score GATA1", "score CTCF"]
    assert [track.accounts.values[1, 0][0] for track in page.tracks] == [1.0, 2.0]


def test_known_motifs_are_marked_by_record_and_by_genome_and_those_of_the_class_are_counted(directory):
    truth = truth_table(
        ("a", 7, 10, "+", "USF1", "on"), ("a", 0, 4, "-", "CTCF", "."), ("chr2", 100, 103, "+", "USF1", "on")
    )
    page = tracks_page([directory], marks=MarkOptions(truth=truth, seqlets=False))
    assert [(m.sequence, m.start, m.end, m.name, m.strand, m.strong) for m in page.marks] == [
        (0, 0, 4, "CTCF", "-", False),
        (0, 7, 10, "USF1", "+", True),
        (1, 7, 10, "USF1", "-", True),  # read from the other strand
    ]
    np.testing.assert_allclose(column(page, "on-motif"), [2.4 / 4.5, 0.5 / 4.5, np.nan], rtol=1e-6)
    plain = tracks_page([directory], marks=MarkOptions(truth=truth, classes=False, seqlets=False))
    assert all(mark.strong for mark in plain.marks)


def test_a_truth_of_sequences_that_are_not_shown_is_no_error_and_one_of_others_is(directory):
    truth = truth_table(("c", 0, 2, "+", "USF1", "on"))
    assert tracks_page([directory], marks=MarkOptions(truth=truth, seqlets=False), most=1).marks == []
    with pytest.raises(SeqplrpError, match="no record's id or contig"):
        tracks_page([directory], marks=MarkOptions(truth=truth_table(("x", 0, 2, "+", "USF1", "on")), seqlets=False))


def test_seqlets_and_matches_are_where_relevance_gathers_on_a_motif(tmp_path):
    rng = np.random.default_rng(3)
    motif = motifs.load("USF1")
    word = motif.consensus
    records, maps = [], []
    for i in range(30):
        letters = rng.choice(list("ACGT"), 120)
        letters[50 : 50 + len(word)] = list(word)
        values = rng.normal(scale=0.01, size=120)
        values[50 : 50 + len(word)] += 1.0
        records.append(record(f"s{i}", "".join(letters)))
        maps.append(values)
    records.append(record("short", "ACG"))
    maps.append(np.ones(3))
    directory = write_directory(tmp_path / "run", records, maps)
    page = tracks_page([directory], marks=MarkOptions(motifs=(motif,)))
    assert [lane.title for lane in page.lanes] == ["matches", "seqlets"]
    for i in range(30):
        own = [mark for mark in page.marks if mark.sequence == i]
        assert any(m.lane == 1 and m.start >= 48 and m.end <= 52 + len(word) and m.strong for m in own)
        (hit,) = [m for m in own if m.lane == 0 and m.start == 50]
        assert hit.strong
        assert hit.name == "USF1"
    assert all(not m.strong for m in page.marks if m.lane == 0 and abs(m.start - 50) > 20)
    assert len(column(page, "seqlets")) == 31


def test_each_track_has_its_own_seqlets_on_the_sequences_that_it_has(tmp_path):
    rng = np.random.default_rng(4)
    records, first, second = [], [], []
    for i in range(30):
        records.append(record(f"s{i}", "".join(rng.choice(list("ACGT"), 120))))
        for maps, at in ((first, 30), (second, 80)):
            maps.append(rng.normal(scale=0.01, size=120))
            maps[-1][at : at + 8] += 1.0
    one = write_directory(tmp_path / "one", records, first)
    other = write_directory(tmp_path / "other", records[:20], second[:20])
    page = tracks_page([one, other])
    assert [(lane.title, lane.style) for lane in page.lanes] == [("seqlets 1", "seqlet"), ("seqlets 2", "seqlet")]
    for lane, at, among in ((0, 30, 30), (1, 80, 20)):
        for i in range(30):
            strong = [mark for mark in page.marks if (mark.sequence, mark.lane) == (i, lane) and mark.strong]
            assert any(abs(mark.start - at) <= 3 and abs(mark.end - at - 8) <= 3 for mark in strong) == (i < among)
            assert all(mark.note.startswith(f"{page.tracks[lane].title}: relevance +") for mark in strong)
    assert np.isnan(column(page, "seqlets-2")[20:]).all()  # not explained is not none found
    assert min(column(page, "seqlets") + column(page, "seqlets-2")[:20]) >= 1
    assert dict(page.details)["seqlets"].startswith("of each track")


@pytest.mark.parametrize("what", ["letters", "none", "twice", "nan", "foreign", "ledger", "outputs"])
def test_what_does_not_belong_together_is_refused_and_named(directory, tmp_path, what):
    others = [directory]
    if what == "letters":
        others.append(write_directory(tmp_path / "o", [record("a", "T" * 10)], MAPS[:1]))
    elif what == "none":
        others.append(write_directory(tmp_path / "o", [record("z", "T" * 10)], MAPS[:1]))
    elif what == "twice":
        others.append(tmp_path / "run" / ".." / "run")
    elif what == "ledger":
        (directory / "ledger.tsv").write_text("id\tlayer\na\tb\n")
    elif what == "outputs":
        (directory / "manifest.json").write_text('{"method": "m", "outputs": ["../x", "y"]}')
    else:
        arrays = dict(np.load(directory / "relevance.npz"))
        if what == "nan":
            arrays["per_base"][3] = np.nan
        else:
            arrays["hypothetical"] = arrays["hypothetical"] + 1
        np.savez(directory / "relevance.npz", **arrays)
    told = {
        "letters": r"o, record 'a': is another sequence",
        "none": r"o: has none of the 3 sequences",
        "twice": r"is named twice",
        "nan": r"relevance.npz: holds values that are not finite",
        "foreign": r"hypothetical contributions of another map",
        "ledger": r"ledger.tsv: is no ledger of `seqplrp explain` \(.*no column",
        "outputs": r"manifest.json: does not name its outputs",
    }
    with pytest.raises(SeqplrpError, match=told[what]):
        tracks_page(others, marks=QUIET)
