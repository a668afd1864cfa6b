"""The names that users rely on, what they cost to import, and the README's own example."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import seqplrp as sp

README = Path(__file__).parent.parent / "README.md"

PROMISED = [
    "AlphaBeta",
    "Background",
    "ConservingRelative",
    "DeepLIFTSHAP",
    "Epsilon",
    "EnsembleExplanation",
    "Explainer",
    "Explanation",
    "Flat",
    "Gamma",
    "GradientTimesInput",
    "ISM",
    "IntegratedGradients",
    "LRP",
    "NeuronIntGrad",
    "NeuronMCT",
    "PLRP",
    "Random",
    "Relative",
    "Saliency",
    "SeqplrpError",
    "SmoothGrad",
    "WSquare",
    "ZBox",
    "ZPlus",
    "__version__",
    "composite",
    "explain",
    "load_model",
    "motifs",
    "one_hot",
    "read_fasta",
    "reverse_complement",
    "shuffled_references",
]


@pytest.mark.parametrize("name", PROMISED)
def test_a_promised_name_is_there(name):
    assert getattr(sp, name) is not None


def test_no_public_name_is_added_or_lost_unnoticed():
    assert sorted(sp.__all__) == sorted(PROMISED)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'explian'"):
        _ = sp.explian


def test_import_loads_none_of_the_heavy_libraries():
    code = "import seqplrp, sys; print([m for m in ('torch', 'pandas', 'matplotlib', 'sklearn') if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_an_error_is_one_line_a_value_error_and_survives_a_process_boundary():
    import pickle

    error = sp.SeqplrpError("file.fa, line 3", "holds 'X\n'", "remove it")
    assert isinstance(error, ValueError)
    assert str(error) == r"file.fa, line 3: holds 'X\x0a'; remove it"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_the_example_of_the_readme_runs_and_holds_what_its_comments_say():
    (block,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.S)
    names: dict = {}
    exec(compile(block, str(README), "exec"), names)
    e, X = names["e"], names["X"]
    assert e.relevance.shape == X.shape == (2, 4, 24)
    assert (e.relevance == X * e.hypothetical).all()
    assert e.per_base.shape == (2, 24)
    assert e.per_base[0, 22] != 0  # G
    assert e.per_base[0, 23] == 0  # N
    assert len(names["explainer"](X, target=[0, 1])) == 2
