"""What the tests of models share."""

from __future__ import annotations

from pathlib import Path

import pytest
from planted import binary_data
from saved_programs import Net, save, seeded

from seqplrp.models import SequenceData, load_model


@pytest.fixture(scope="session")
def small_binary() -> SequenceData:
    return binary_data()


@pytest.fixture(scope="session")
def place(tmp_path_factory) -> Path:
    """Where saved programs are put."""
    return tmp_path_factory.mktemp("programs")


@pytest.fixture(scope="session")
def free(place) -> Path:
    """`Net` with a free batch size."""
    return save(seeded(Net), place / "free.pt2")


@pytest.fixture(scope="session")
def fixed(place) -> Path:
    """`Net` for three sequences at a time."""
    return save(seeded(Net), place / "fixed.pt2", free=None)


@pytest.fixture(scope="session")
def programs(free, fixed):
    """Both, loaded once."""
    return {"free": load_model(free), "fixed": load_model(fixed)}
