"""Training files: what is read, what is refused and where the error points."""

from __future__ import annotations

import gzip
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from seqplrp.errors import SeqplrpError
from seqplrp.genomics import codes_to_strings
from seqplrp.models import ReadOptions, read_labelled_directory, read_positives_negatives


def random_sequences(n: int, length: int = 30, seed: int = 0) -> list[str]:
    return codes_to_strings(np.random.default_rng(seed).integers(0, 4, (n, length)))


def write_fasta(path: Path, sequences: list[str], prefix: str = "s") -> Path:
    path.write_text("".join(f">{prefix}{row}\n{text}\n" for row, text in enumerate(sequences)))
    return path


@pytest.fixture
def labelled(tmp_path):
    """Return a function that writes a data directory of 60 sequences with the given table of labels."""
    sequences = random_sequences(60)

    def write(header: str, row) -> Path:
        write_fasta(tmp_path / "sequences.fa", sequences)
        lines = [header, *(f"s{number}\t{row(number)}" for number in range(60))]
        (tmp_path / "labels.tsv").write_text("\n".join(lines) + "\n")
        return tmp_path

    return write


def test_one_column_of_0_and_1_is_binary(labelled):
    data = read_labelled_directory(labelled("id\tbound", lambda n: n % 2))
    assert (data.kind, data.classes, data.labels.shape) == ("binary", ["bound"], (60, 1))
    assert data.labels[:4, 0].tolist() == [0, 1, 0, 1]


def test_columns_with_one_1_in_every_row_are_multiclass(labelled):
    directory = labelled("id\ta\tb\tc", lambda n: "\t".join("1" if n % 3 == c else "0" for c in range(3)))
    assert read_labelled_directory(directory).kind == "multiclass"
    assert read_labelled_directory(directory, kind="multilabel").kind == "multilabel"


def test_columns_with_other_sums_are_multilabel(labelled):
    data = read_labelled_directory(labelled("id\ta\tb", lambda n: f"{n % 2}\t{n // 2 % 2}"))
    assert (data.kind, data.classes) == ("multilabel", ["a", "b"])


def test_a_class_column_is_multiclass_with_classes_in_alphabetical_order(labelled):
    data = read_labelled_directory(labelled("id\tclass", lambda n: ["liver", "brain", "gut"][n % 3]))
    assert (data.kind, data.classes) == ("multiclass", ["brain", "gut", "liver"])
    assert data.labels[:3].tolist() == [[0, 0, 1], [1, 0, 0], [0, 1, 0]]


@pytest.mark.parametrize(("yes", "no"), [("positive", "negative"), ("1", "0"), ("Yes", "No")])
def test_a_class_column_that_says_yes_and_no_is_binary(labelled, yes, no):
    data = read_labelled_directory(labelled("id\tclass", lambda n: yes if n % 3 == 0 else no))
    assert (data.kind, data.classes) == ("binary", ["positive"])
    assert data.labels[:4, 0].tolist() == [1, 0, 0, 1]


def test_labels_follow_their_ids_in_whatever_order_they_stand(labelled, tmp_path):
    directory = labelled("id\tbound", lambda n: n % 2)
    head, *rows = (directory / "labels.tsv").read_text().splitlines()
    (directory / "labels.tsv").write_text("\n".join([head, *reversed(rows)]) + "\n")
    data = read_labelled_directory(directory)
    assert data.labels[:, 0].tolist() == [n % 2 for n in range(60)]


def test_a_split_column_is_followed(labelled):
    names = ["train", "val", "test"]
    data = read_labelled_directory(labelled("id\tsplit\tbound", lambda n: f"{names[n % 3]}\t{n // 3 % 2}"))
    assert data.split[:3].tolist() == ["train", "validation", "test"]


def test_gzipped_sequences_are_read(labelled):
    directory = labelled("id\tbound", lambda n: n % 2)
    plain = directory / "sequences.fa"
    with gzip.open(directory / "sequences.fa.gz", "wt") as handle:
        handle.write(plain.read_text())
    plain.unlink()
    assert len(read_labelled_directory(directory).ids) == 60


@pytest.mark.parametrize(
    ("header", "row", "where", "said"),
    [
        ("id\tbound", lambda n: "2" if n == 4 else n % 2, "labels.tsv, line 6", "column 'bound' holds '2'"),
        ("id\tbound", lambda n: "" if n == 4 else n % 2, "labels.tsv, line 6", "holds ''"),
        ("id\tclass", lambda n: "" if n == 4 else f"c{n % 2}", "labels.tsv, line 6", "the class is empty"),
        ("id\tclass", lambda n: "only", "labels.tsv", "every sequence is of class 'only'"),
        ("id\tbound", lambda n: 0, "class bound", "no sequence is in it"),
        ("name\tbound", lambda n: n % 2, "labels.tsv, line 1", "no column id"),
        ("id\tsplit", lambda n: "train", "labels.tsv, line 1", "no column of labels"),
        ("id\tsplit\tbound", lambda n: f"later\t{n % 2}", "labels.tsv, line 2", "the split 'later'"),
        (
            "id\tbound",
            lambda n: f"{n % 2}\t1\t1" if n == 4 else n % 2,
            "labels.tsv, line 6",
            "has 4 fields, the header",
        ),
        ("id\tbound", lambda n: f"{n % 2}\t1", "labels.tsv, line 2", "has 3 fields, the header has 2"),
        ("id\ta\tb", lambda n: n % 2, "labels.tsv, line 2", "has 2 fields, the header has 3"),
        ("id\ta\ta", lambda n: f"{n % 2}\t0", "labels.tsv, line 1", "'a' is there twice"),
        ("id\tclass", lambda n: 'a"b' if n else '"a', "labels.tsv", "not a tab-separated table"),
    ],
)
def test_bad_labels_are_refused_where_they_stand(labelled, header, row, where, said):
    with pytest.raises(SeqplrpError) as found:
        read_labelled_directory(labelled(header, row))
    assert where in found.value.where
    assert said in found.value.what


def test_ids_that_are_in_one_file_alone_are_refused(labelled):
    directory = labelled("id\tbound", lambda n: n % 2)
    table = (directory / "labels.tsv").read_text()
    (directory / "labels.tsv").write_text(table + "extra\t1\n")
    with pytest.raises(SeqplrpError, match=r"line 62: 'extra' is not in sequences.fa"):
        read_labelled_directory(directory)
    (directory / "labels.tsv").write_text(table.replace("s7\t1\n", ""))
    with pytest.raises(SeqplrpError, match=r"1 of 60 sequences .* have no label, the first is 's7'"):
        read_labelled_directory(directory)
    (directory / "labels.tsv").write_text(table + "s7\t1\n")
    with pytest.raises(SeqplrpError, match=r"line 62: the id 's7' is there twice"):
        read_labelled_directory(directory)


def test_missing_files_are_named(tmp_path):
    with pytest.raises(SeqplrpError, match=r"nowhere: there is no such directory"):
        read_labelled_directory(tmp_path / "nowhere")
    with pytest.raises(SeqplrpError, match=r"sequences\.fa: there is no such file"):
        read_labelled_directory(tmp_path)
    write_fasta(tmp_path / "sequences.fa", random_sequences(5))
    with pytest.raises(SeqplrpError, match=r"labels\.tsv: there is no such file"):
        read_labelled_directory(tmp_path)


def test_sequences_of_different_lengths_are_refused_with_the_lengths_and_an_example(tmp_path):
    path = write_fasta(tmp_path / "p.fa", [*random_sequences(30), "ACGT", "ACG"])
    with pytest.raises(SeqplrpError, match=r"3 lengths: 30 \(30 times\).*s30 has 4 bases"):
        read_positives_negatives(path, "shuffle")


def test_length_crops_and_pads_about_the_centre(tmp_path):
    sequence = "".join(random_sequences(1, length=36, seed=5))
    path = write_fasta(tmp_path / "p.fa", [*random_sequences(30), sequence, sequence[:20], sequence[:19]])
    data = read_positives_negatives(path, "shuffle", options=ReadOptions(length=25))
    assert codes_to_strings(data.codes[30:33]) == [
        sequence[5:30],
        "NN" + sequence[:20] + "NNN",
        "NNN" + sequence[:19] + "NNN",
    ]
    assert data.source["length"] == 25


def test_positives_and_negatives_of_different_lengths_are_refused(tmp_path):
    positives = write_fasta(tmp_path / "p.fa", random_sequences(30))
    negatives = write_fasta(tmp_path / "n.fa", random_sequences(30, length=31))
    with pytest.raises(SeqplrpError, match=r"n\.fa: sequences of 31 bases where .*p\.fa has 30"):
        read_positives_negatives(positives, negatives)
    with pytest.raises(SeqplrpError, match=r"n\.fa: sequences of 31 bases where .*p\.fa has 30"):
        read_positives_negatives(positives, "shuffle", test_positives=negatives)


def dinucleotides(text: str) -> Counter[str]:
    return Counter(text[i : i + 2] for i in range(len(text) - 1))


def test_shuffle_makes_one_negative_per_positive_with_its_dinucleotides_in_its_split(tmp_path):
    sequences = random_sequences(100, length=50)
    data = read_positives_negatives(write_fasta(tmp_path / "p.fa", sequences), "shuffle")
    by_id = dict(zip(data.ids, range(200), strict=True))
    texts = codes_to_strings(data.codes)
    for row, text in enumerate(sequences):
        pair = by_id[f"s{row}_shuffled"]
        assert (data.labels[by_id[f"s{row}"], 0], data.labels[pair, 0]) == (1, 0)
        assert texts[pair] != text
        assert dinucleotides(texts[pair]) == dinucleotides(text)
        assert data.split[pair] == data.split[by_id[f"s{row}"]]


def test_the_seed_decides_the_shuffles(tmp_path):
    path = write_fasta(tmp_path / "p.fa", random_sequences(60, length=50))
    first, again, other = (
        read_positives_negatives(path, "shuffle", options=ReadOptions(seed=seed)) for seed in (1, 1, 2)
    )
    assert (first.codes == again.codes).all()
    assert (first.codes != other.codes).any()


def test_a_sequence_without_another_shuffle_has_no_negative_and_that_is_said(tmp_path):
    path = write_fasta(tmp_path / "p.fa", [*random_sequences(60), "A" * 30, "CA" * 15])
    data = read_positives_negatives(path, "shuffle")
    assert len(data.ids) == 62 + 60
    (note,) = data.notes
    assert note.what.startswith("2 sequences have no other shuffle")


def test_test_files_are_the_test_set_and_their_negatives_may_be_shuffled(tmp_path):
    train = write_fasta(tmp_path / "p.fa", random_sequences(60, seed=1))
    test = write_fasta(tmp_path / "t.fa", random_sequences(20, seed=2), prefix="t")
    negatives = write_fasta(tmp_path / "tn.fa", random_sequences(30, seed=3), prefix="n")
    shuffled = read_positives_negatives(train, "shuffle", test_positives=test)
    assert Counter(name[0] for name in np.array(shuffled.ids)[shuffled.rows("test")]) == {"t": 40}
    given = read_positives_negatives(train, "shuffle", test_positives=test, test_negatives=negatives)
    assert Counter(name[0] for name in np.array(given.ids)[given.rows("test")]) == {"t": 20, "n": 30}


def test_half_of_a_test_set_is_refused(tmp_path):
    path = write_fasta(tmp_path / "p.fa", random_sequences(30))
    with pytest.raises(SeqplrpError, match="--test-negatives: given without --test-positives"):
        read_positives_negatives(path, "shuffle", test_negatives=path)
    with pytest.raises(SeqplrpError, match="--test-positives: given without --test-negatives"):
        read_positives_negatives(path, path, test_positives=path)


def test_regions_that_overlap_on_the_genome_stay_in_one_split(tmp_path):
    # 40 clusters of three windows of 30 bases, shifted by 20: neighbours overlap, clusters do not
    starts = [(f"chr{c % 5 + 1}", 1000 * c + 20 * w) for c in range(40) for w in range(3)]
    records = [
        f">{contig}:{start}-{start + 30}\n{text}\n"
        for (contig, start), text in zip(starts, random_sequences(120), strict=True)
    ]
    order = np.random.default_rng(0).permutation(120)
    (tmp_path / "p.fa").write_text("".join(records[row] for row in order))
    data = read_positives_negatives(tmp_path / "p.fa", "shuffle")
    split = dict(zip(data.ids, data.split, strict=True))
    for cluster in range(40):
        names = [f"{contig}:{start}-{start + 30}" for contig, start in starts[3 * cluster : 3 * cluster + 3]]
        assert len({split[name] for name in names} | {split[f"{name}_shuffled"] for name in names}) == 1


def test_negatives_from_a_file_are_labelled_0(tmp_path):
    positives = write_fasta(tmp_path / "p.fa", random_sequences(30, seed=1))
    negatives = write_fasta(tmp_path / "n.fa", random_sequences(50, seed=2), prefix="n")
    data = read_positives_negatives(positives, negatives)
    assert {name[0] for name, label in zip(data.ids, data.labels[:, 0], strict=True) if label == 0} == {"n"}
    assert data.labels.sum() == 30


def test_too_few_sequences_to_divide_are_refused(tmp_path):
    with pytest.raises(SeqplrpError, match=r"(test|validation) set: .*give more sequences"):
        read_positives_negatives(write_fasta(tmp_path / "p.fa", random_sequences(3)), "shuffle")
