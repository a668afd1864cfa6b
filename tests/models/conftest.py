"""What the tests of models share."""

from __future__ import annotations

import pytest
from planted import binary_data

from seqplrp.models import SequenceData


@pytest.fixture(scope="session")
def small_binary() -> SequenceData:
    return binary_data()
