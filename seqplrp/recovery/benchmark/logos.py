"""The first sequences of a run as logos, method beneath method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from seqplrp.benchmark import Examples
from seqplrp.plot import LogoTrack, Mark, SequencePanel, comparison_panel, logo_frame
from seqplrp.recovery.benchmark.scenes import Scene


def kept_examples(scene: Scene, most: int, folder: Path) -> list[dict[str, Any]]:
    """Return what the pictures of a scene's first sequences show beside the maps."""
    at = scene.candidates
    found = []
    for row in range(min(most, len(scene))):
        marks = at.placed[at.placed["record"] == row].drop(columns="record")
        found.append(
            {
                "id": at.ids[row],
                "codes": "".join(map(str, at.codes[row].tolist())),
                "score": float(scene.scores[row]),
                "class": scene.model.config.classes[int(at.targets[row])],
                "marks": marks.to_dict(orient="records"),
            }
        )
    return found


def draw_logos(
    examples: Sequence[Mapping[str, Any]], maps: Mapping[str, npt.NDArray[np.float64]], folder: Path
) -> Figure:
    """Draw sequences that were kept, each by several methods, with motifs marked beneath."""
    return comparison_panel([_panel(row, example, maps) for row, example in enumerate(examples)])


def _panel(row: int, example: Mapping[str, Any], maps: Mapping[str, npt.NDArray[np.float64]]) -> SequencePanel:
    codes = np.array([int(code) for code in example["codes"]], dtype=np.uint8)
    tracks = [LogoTrack(name, logo_frame(relevance[row], codes)) for name, relevance in maps.items()]
    marks = [
        Mark(mark["start"], mark["end"], mark["motif"], mark["strand"], mark["supports"]) for mark in example["marks"]
    ]
    return SequencePanel(f"{example['id']}   {example['class']}: {example['score']:.2f}", tracks, marks)


LOGOS = Examples(
    name="logos",
    keep=kept_examples,
    draw=draw_logos,
    caption="The first sequences of {title}, chosen before any was looked at; motifs are marked beneath.",
)
