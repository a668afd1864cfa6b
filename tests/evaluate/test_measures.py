"""Every measure has one name, one line and one direction, and agrees with what its protocol says of itself."""

from __future__ import annotations

from seqplrp.evaluate import (
    FAITHFULNESS_MEASURES,
    LOCALISATION_MEASURES,
    MEASURES,
    PROTOCOL_MEASURES,
    RANDOMISATION_MEASURES,
    ROBUSTNESS_MEASURES,
    SPARSITY_MEASURES,
)


def test_no_two_measures_share_a_name_or_a_label() -> None:
    groups = (
        *LOCALISATION_MEASURES,
        *SPARSITY_MEASURES,
        *FAITHFULNESS_MEASURES,
        *ROBUSTNESS_MEASURES,
        *RANDOMISATION_MEASURES,
    )
    assert len({measure.name for measure in groups}) == len({measure.label for measure in groups}) == len(groups)
    assert {measure.name: measure for measure in groups} == {**MEASURES, **PROTOCOL_MEASURES}


def test_each_says_what_it_is_in_one_short_line() -> None:
    for measure in {**MEASURES, **PROTOCOL_MEASURES}.values():
        assert measure.name.isidentifier()
        assert "\n" not in measure.meaning
        assert 0 < len(measure.label) <= 25
        assert measure.better in ("higher", "lower", "neither")
