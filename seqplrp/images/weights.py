"""What weights tell of themselves: those that torchvision publishes, and files that `save_network` wrote."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from safetensors import SafetensorError, safe_open

from seqplrp.errors import SeqplrpError, first_line
from seqplrp.images.extras import imported
from seqplrp.images.preprocessing import Preprocessing
from seqplrp.storage import parse_json

SUFFIX = ".safetensors"
"""How the names of saved networks end."""

WEIGHTS_FILE = f"model{SUFFIX}"
"""A trained network, in the directory of its training."""

_BESIDE = "seqplrp"
"""The one entry beside the weights: of several, safetensors would write another order each time, and other bytes."""


@dataclass(frozen=True)
class Told:
    """What is known of weights.

    Parameters
    ----------
    network : str or None
        Of which network they are.
    preprocessing : Preprocessing or None
        What they expect.
    classes : tuple of str or None
        What their outputs are.
    """

    network: str | None = None
    preprocessing: Preprocessing | None = None
    classes: tuple[str, ...] | None = None


def described(
    network: str, weights: str, preprocessing: Preprocessing, classes: tuple[str, ...] | None
) -> dict[str, str]:
    """Return what is written beside a saved network's weights; `told_by` reads it."""
    told = {"network": network, "weights": weights, "preprocessing": preprocessing.as_dict(), "classes": classes}
    return {_BESIDE: json.dumps(told)}


def told_by(path: Path) -> Told | None:
    """Return what was written beside the weights of a file; None where nothing was."""
    if path.suffix != SUFFIX:
        return None
    if not path.is_file():
        raise SeqplrpError(path, "there is no such weights file", "check its name")
    try:
        with safe_open(path, "pt") as file:
            written = (file.metadata() or {}).get(_BESIDE)
        return None if written is None else _told(parse_json(written))
    except (SafetensorError, OSError, ValueError) as error:
        raise SeqplrpError(path, f"can't be read as a saved network ({first_line(error)})", "save it again") from error


def _told(content: Any) -> Told:
    if not isinstance(content, dict) or not isinstance(content.get("network"), str):
        raise ValueError("no network is named")
    names = content.get("classes")
    if names is not None and not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        raise ValueError("classes are no list of names")
    preprocessing = Preprocessing.from_dict(content.get("preprocessing", ()))
    return Told(content["network"], preprocessing, None if names is None else tuple(names))


# ---- torchvision's


def published(network: str) -> Mapping[str, Any]:
    """Return the weights that torchvision publishes of a network, by name, DEFAULT among them."""
    models = imported("torchvision.models", f"network {network}")
    return cast(Mapping[str, Any], models.get_model_weights(network).__members__)


def published_as(network: str, path: Path) -> Any:
    """Return the weights of torchvision's that a file holds, known by the beginning of its hash; None if it is none."""
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    for member in published(network).values():
        found = re.search(r"-([0-9a-f]{8,})\.\w+$", member.url)
        if found is not None and digest.startswith(found[1]):
            return member
    return None


def told_by_torchvision(member: Any) -> Told:
    """Return what torchvision says of its weights.

    Raises
    ------
    SeqplrpError
        Where they have no classifier.
    """
    classes = member.meta.get("categories")
    if classes is None:
        raise SeqplrpError(
            f"weights {member.name}", "have no classifier, so there is no score to explain", "use others"
        )
    return Told(None, Preprocessing.of_transforms(member.transforms()), tuple(classes))
