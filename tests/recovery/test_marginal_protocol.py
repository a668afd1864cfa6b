"""Found motifs in backgrounds: against models of which it is known what they go by."""

from __future__ import annotations

import math
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from benchmark_runs import written
from torch import Tensor, nn

import seqplrp as sp
from seqplrp.benchmark import ModelFinding, Subject
from seqplrp.benchmark.cell import cells_of
from seqplrp.benchmark.model_protocols import measured_whole
from seqplrp.genomics import codes_to_one_hot, one_hot
from seqplrp.genomics.motifs import load
from seqplrp.genomics.simulation import load_task
from seqplrp.recovery import marginalise, random_word_effects
from seqplrp.recovery.benchmark import discovered as room
from seqplrp.recovery.benchmark import read_config
from seqplrp.recovery.benchmark.found_patterns import EFFECT_COLUMNS, from_plain
from seqplrp.recovery.benchmark.marginal_protocol import MARGINAL_MEASURES, MarginalOptions
from seqplrp.recovery.benchmark.model_protocols import MODEL_PROTOCOLS, MotifOptions
from seqplrp.recovery.benchmark.pattern_tables import MethodPatterns, pattern_table
from seqplrp.recovery.benchmark.scenes import Candidates, Scene
from seqplrp.recovery.benchmark.tasks import SimulatedTask


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Reads(nn.Module):
    """Each output is the best match, on either strand, of the motifs that it goes by: what it uses is known."""

    def __init__(self, *outputs: tuple[str, ...]) -> None:
        super().__init__()
        self.names = outputs

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([torch.stack([match(x, name) for name in names]).sum(0) for names in self.names], dim=1)


def match(x: Tensor, name: str) -> Tensor:
    weights = np.log2((load(name).probabilities + 0.01) / 0.26)
    both = torch.tensor(np.stack([weights.T, weights[::-1, ::-1].T]).copy(), dtype=torch.float32)
    return torch.nn.functional.conv1d(x.float(), both).amax(dim=(1, 2))


CLASSES = ("GABPA", "USF1", "JUND")


@pytest.fixture(scope="module")
def scene() -> Scene:
    """Sequences of three classes, each with its own motif, and decoys (CTCF, HNF1A) in all."""
    data = SimulatedTask("decoys", "development", 1, None, load_task("decoys"), n=30, test=150).load()
    at = Candidates.of(data, 150, 1)
    assert data.data.classes == list(CLASSES)
    return Scene(Reads(*((name,) for name in CLASSES)), at, codes_to_one_hot(at.codes), np.ones(len(at.ids)), 1, {})


OPTIONS = MarginalOptions(backgrounds=20, words=39)


def found_in(scene: Scene, relevance: np.ndarray, **changes) -> ModelFinding:
    options = {"marginalisation": replace(OPTIONS, **changes)}
    return measured_whole(Subject(scene, relevance, None), MODEL_PROTOCOLS, options, ("x", "x"))["marginalisation"]


def test_patterns_of_what_the_model_goes_by_move_its_score_as_the_true_motifs_do(scene) -> None:
    found = found_in(scene, scene.candidates.truth.astype(float))
    values = found.values
    assert (values["marginal_patterns"], values["marginal_share"]) == (3, 1)
    assert (values["marginal_idle"], values["marginal_own"], values["marginal_planted_share"]) == (0, 0, 1)
    assert values["marginal_effect"] == pytest.approx(values["marginal_planted"], rel=0.25)
    assert values["marginal_specific"] > 3
    assert abs(values["marginal_words"]) < 1 < values["marginal_effect"]
    assert values["marginal_words"] < values["marginal_words_top"] < values["marginal_effect"]
    for pattern in found.patterns:
        assert pattern.effect_p == pytest.approx(1 / 40)
        assert pattern.effect_low <= pattern.effect <= pattern.effect_high


def test_patterns_of_what_it_does_not_read_are_idle(scene) -> None:
    values = found_in(scene, scene.candidates.distractor.astype(float)).values
    assert values["marginal_patterns"] >= 2
    assert values["marginal_idle"] == values["marginal_patterns"]
    assert (values["marginal_share"], values["marginal_own"]) == (0, 0)
    assert values["marginal_planted_share"] == 1, "the model is the same"


def test_a_decoy_that_the_model_goes_by_is_its_own_not_the_explanations(scene) -> None:
    reads_decoys = replace(scene, model=Reads(*((name, "CTCF", "HNF1A") for name in CLASSES)), known={})
    values = found_in(reads_decoys, scene.candidates.distractor.astype(float)).values
    assert values["marginal_own"] == values["marginal_patterns"] >= 2
    assert values["marginal_idle"] == 0


def test_a_motif_is_asked_of_the_output_of_the_sequences_that_it_lies_in(scene) -> None:
    """With outputs in another order, each motif moves one that is not explained where it lies."""
    turned = replace(scene, model=Reads(*((name,) for name in (*CLASSES[1:], CLASSES[0]))), known={})
    values = found_in(turned, scene.candidates.truth.astype(float)).values
    # USF1 and JUND have four bases in common, which is enough to move either's output a little
    assert max(values["marginal_share"], values["marginal_planted_share"]) < 0.5


def test_maps_without_a_pattern_have_no_mean_and_the_model_is_still_described(scene) -> None:
    values = found_in(scene, np.random.default_rng(0).normal(size=scene.candidates.truth.shape)).values
    assert (values["marginal_patterns"], values["marginal_idle"]) == (0, 0)
    assert math.isnan(values["marginal_share"])
    assert math.isnan(values["marginal_effect"])
    assert values["marginal_planted"] > 3
    assert set(values) == {measure.name for measure in MARGINAL_MEASURES}


def test_words_drawn_from_a_pattern_do_less_than_its_likeliest_one(scene) -> None:
    relevance = scene.candidates.truth.astype(float)
    likeliest, drawn = (found_in(scene, relevance, letters=letters).values for letters in ("consensus", "drawn"))
    assert 1 < drawn["marginal_effect"] < likeliest["marginal_effect"]


def test_patterns_are_found_once_for_both_protocols(scene, monkeypatch) -> None:
    calls = []
    real = room.find_patterns
    monkeypatch.setattr(room, "find_patterns", lambda *a, **k: calls.append(1) or real(*a, **k))
    subject = Subject(scene, scene.candidates.truth.astype(float), None)
    both = measured_whole(subject, MODEL_PROTOCOLS, {"motifs": MotifOptions(), "marginalisation": OPTIONS}, ("x", "x"))
    assert len(calls) == 1
    assert both["motifs"].values["motif_patterns"] == both["marginalisation"].values["marginal_patterns"] == 3
    other = {"motifs": MotifOptions(fdr=0.05), "marginalisation": OPTIONS}
    measured_whole(subject, MODEL_PROTOCOLS, other, ("x", "x"))
    assert len(calls) == 2, "by other settings they are found anew"


def test_tables_name_the_effects_where_they_were_measured(scene, tmp_path) -> None:
    config = read_config(written(tmp_path))
    cell = cells_of(config)[0]
    subject = Subject(scene, scene.candidates.truth.astype(float), None)
    both = measured_whole(subject, MODEL_PROTOCOLS, {"motifs": MotifOptions(), "marginalisation": OPTIONS}, ("x", "x"))
    with_effects, without = (
        pattern_table(config, [MethodPatterns(cell, "gxi", from_plain(map(asdict, both[name].patterns)))])
        for name in ("marginalisation", "motifs")
    )
    assert set(with_effects.columns) - set(without.columns) == set(EFFECT_COLUMNS)
    assert (with_effects["effect"] > with_effects["words_effect"]).all()
    assert (with_effects["kind"] == "true motif").all()


def test_patterns_that_were_kept_before_effects_were_measured_are_read() -> None:
    plain = {
        "pattern": "pos_0", "consensus": "ACGT", "seqlets": 9, "sequences": 9, "bits": 8.0, "best_match": "",
        "best_accession": "", "best_q": None, "kind": "unknown", "truth": "", "probabilities": [[1.0, 0.0, 0.0, 0.0]],
        "background": [0.25] * 4,
    }  # fmt: skip
    (found,) = from_plain([plain])
    assert found.effect is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backgrounds": 5}, "backgrounds: is 5"),
        ({"words": 10}, "words: is 10, too few for a chance of 0.05; give 19"),
        ({"chance": 0.0}, "chance: is 0.0"),
        ({"fdr": 0.0}, "fdr: is 0.0"),
    ],
)
def test_settings_that_can_not_be_are_told_where_they_stand(tmp_path, options, message) -> None:
    path = written(tmp_path, protocols={"localisation": None, "marginalisation": options})
    with pytest.raises(sp.SeqplrpError, match=rf"tiny.yaml, line \d+, protocols.marginalisation: {message}"):
        read_config(path)


def test_it_is_in_the_list_of_protocols_and_has_words_for_its_tables() -> None:
    protocol = MODEL_PROTOCOLS["marginalisation"]
    assert set(protocol.shown) <= {measure.name for measure in protocol.measures}
    labels = [measure.label for measure in protocol.measures]
    assert len(set(labels)) == len(labels)


def backgrounds(n: int = 12, length: int = 30) -> Tensor:
    return codes_to_one_hot(np.random.default_rng(1).integers(4, size=(n, length)).astype(np.uint8))


def test_effects_of_random_words_are_those_of_the_words_put_in_one_by_one() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv1d(4, 6, 5), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 26, 2)).eval()
    x, width, seen = backgrounds(), 6, []

    def watching(batch: Tensor, target: Tensor) -> Tensor:
        seen.append(batch)
        with torch.no_grad():
            return net(batch)[:, 1]

    found = random_word_effects(watching, x, 1, width, words=7, seed=3, batch_size=40)
    windows = torch.cat(seen[1:])[:, :, 12:18].argmax(dim=1).reshape(7, 12, width)
    assert (windows == windows[:, :1]).all(), "a word is the same in all backgrounds"
    words = ["".join("ACGT"[code] for code in word[0]) for word in windows.tolist()]
    assert len(set(words)) == 7
    by_hand = marginalise(watching, x, 1, {str(i): word for i, word in enumerate(words)}).table["effect"]
    np.testing.assert_allclose(found, by_hand, atol=1e-5)


def test_random_words_have_the_letters_of_the_backgrounds_and_hang_on_the_seed_alone() -> None:
    x = one_hot(["A" * 20, "AAAAAAAAAAAAAAACCCCC"])

    def letters(batch: Tensor, target: Tensor) -> Tensor:
        return batch[:, 1, 5:15].sum(dim=1)

    share_of_c = random_word_effects(letters, x, 0, 10, words=400, seed=0).mean() / 10
    assert share_of_c == pytest.approx(5 / 40, abs=0.02)
    first, again, other = (random_word_effects(letters, x, 0, 10, words=50, seed=s) for s in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()
    with pytest.raises(sp.SeqplrpError, match="does not fit"):
        random_word_effects(letters, x, 0, 21)
    with pytest.raises(sp.SeqplrpError, match="words: is 0"):
        random_word_effects(letters, x, 0, 5, words=0)
