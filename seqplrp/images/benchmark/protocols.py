"""What can be measured of image methods, by the names that configurations use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from seqplrp.benchmark import (
    LOCALISATION,
    RANDOMISATION,
    SPARSITY,
    FaithfulnessOptions,
    Measured,
    Options,
    Protocol,
    faithfulness_protocol,
    robustness_protocol,
)
from seqplrp.evaluate import Measure, Perturber
from seqplrp.images.benchmark.perturbing import blurred, mean_colour, other_colours
from seqplrp.images.wording import of_images


def _by_mean_colour(scene: Any, options: Options) -> Perturber:
    return mean_colour


def _by_blur(scene: Any, options: Options) -> Perturber:
    return blurred


def _by_other_colours(scene: Any, options: Options) -> Perturber:
    return other_colours


def _of_pixels(protocol: Protocol) -> Protocol:
    """Return a protocol whose measures' meanings are in the words of images."""

    def told(measure: Measure) -> Measure:
        return replace(measure, meaning=of_images(measure.meaning))

    return replace(protocol, measures=tuple(map(told, protocol.measures)))


_FLIPPED = faithfulness_protocol(_by_mean_colour)
_BLURRED = faithfulness_protocol(_by_blur)


def _blur(subject: Any, options: FaithfulnessOptions) -> Measured:
    """Measure as pixel flipping does, under names of its own."""
    found = _BLURRED.run(subject, options)
    return Measured({f"blur_{name}": values for name, values in found.values.items()}, found.curves)


_ALL = {
    "localisation": LOCALISATION,
    "sparsity": SPARSITY,
    "faithfulness": _FLIPPED,
    "blur": replace(
        _BLURRED,
        run=_blur,
        measures=tuple(
            replace(one, name=f"blur_{one.name}", label=f"{one.label}, blurred") for one in _BLURRED.measures
        ),
    ),
    "robustness": robustness_protocol(_by_other_colours),
    "randomisation": RANDOMISATION,
}

PROTOCOLS: Mapping[str, Protocol] = {name: _of_pixels(protocol) for name, protocol in _ALL.items()}
"""Pixel flipping is ``faithfulness`` (by the image's mean colour) and ``blur`` (by a blurred image)."""
