"""The names that users rely on, what they cost to import, and the README's own example."""

from __future__ import annotations

import difflib
import re
import subprocess
import sys
from pathlib import Path

import public_names
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


def test_names_parameters_and_options_are_those_that_users_rely_on():
    """What goes away is deprecated first (docs/versions.md); `public_names.py --write` takes a change that is meant."""
    kept, found = public_names.KEPT.read_text(encoding="utf-8").splitlines(), public_names.interface().splitlines()
    changed = list(difflib.unified_diff(kept, found, "kept", "found", lineterm="", n=1))
    assert not changed, "\n".join(changed)


def test_a_parameter_that_is_taken_away_or_becomes_required_is_seen():
    def one(a, *rest, b=1, c=None, d=(), _own=2): ...

    assert public_names.parameters(one) == "(a, *rest, b=1, c=None, d=...)"
    assert public_names.parameters(lambda a, *, b: 0) == "(a, *, b)"


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'explian'"):
        _ = sp.explian


def test_import_loads_none_of_the_heavy_libraries():
    code = "import seqplrp, sys; print([m for m in ('torch', 'pandas', 'matplotlib', 'sklearn') if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_explaining_does_not_wait_for_what_only_training_and_pictures_need():
    code = "from seqplrp import *; import sys; print([m for m in ('sklearn', 'matplotlib', 'Bio') if m in sys.modules])"
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
